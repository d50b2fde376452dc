"""The board's devices, made once from the pins. Nothing else names `machine`. DESIGN §3."""

import select

import machine
import neopixel

from firmware.link.const import const
from firmware.link.messages import CAUSE_ASKED
from firmware.link.window import elapsed_ms
from firmware.reader_head import pins
from firmware.reader_head.cable import Cable
from firmware.reader_head.clock import now_ms

_HELD_MS = const(20)  # a wire of some length needs a few until its pull-up has lifted it: low before that is no button


def is_service_wanted() -> bool:
    # A technician wants MicroPython's prompt: by button 1, held while the power comes, or by the message SERVICE before
    # this reset. That one counts once: a power cut or the next reset starts the firmware again. Asked before any device
    # is made: what a technician then starts by hand makes them anew.
    if machine.mem32[pins.SERVICE_REGISTER] == pins.SERVICE_WANTED:
        machine.mem32[pins.SERVICE_REGISTER] = 0
        return True
    button = machine.Pin(pins.BUTTON_1, machine.Pin.IN, machine.Pin.PULL_UP)
    began_ms = now_ms()
    while True:
        is_last = elapsed_ms(now_ms(), began_ms) >= _HELD_MS
        if button.value():
            return False
        if is_last:
            return True


def _reset_cause() -> int:
    # The chip has one cause for its watchdog and for `machine.reset`; a reset that the bench asked for left its mark.
    if machine.mem32[pins.SERVICE_REGISTER] == pins.RESTART_ASKED:
        machine.mem32[pins.SERVICE_REGISTER] = 0
        return CAUSE_ASKED
    return machine.reset_cause()


class Board:
    def __init__(self) -> None:
        pull_up = machine.Pin.PULL_UP
        self.ring = neopixel.NeoPixel(machine.Pin(pins.RING, machine.Pin.OUT), pins.PIXELS)
        self.buzzer = machine.PWM(machine.Pin(pins.BUZZER), freq=1000, duty_u16=0)
        self.buttons = (
            machine.Pin(pins.BUTTON_1, machine.Pin.IN, pull_up),
            machine.Pin(pins.BUTTON_2, machine.Pin.IN, pull_up),
        )
        self.tamper = machine.Pin(pins.TAMPER, machine.Pin.IN, pull_up)
        self.led = machine.Pin(pins.LINK_LED, machine.Pin.OUT)
        self.scanner = machine.UART(
            pins.SCANNER_UART,
            baudrate=pins.SCANNER_BAUD,
            tx=machine.Pin(pins.SCANNER_TX),
            rx=machine.Pin(pins.SCANNER_RX),
            rxbuf=pins.SCANNER_BUFFER_BYTES,
        )
        self.cable = Cable()
        self.reset_cause = _reset_cause()
        self.name = (machine.unique_id() + bytes(8))[:8]
        self._waiter = select.poll()
        self.cable.watch(self._waiter)
        self._waiter.register(self.scanner, select.POLLIN)
        self._watchdog = None

    def reset_for_service(self) -> None:
        # Never comes back. A reset, as an armed watchdog cannot be disarmed.
        machine.mem32[pins.SERVICE_REGISTER] = pins.SERVICE_WANTED
        machine.reset()

    def guard(self) -> None:
        # From now on the loop must come by every WATCHDOG_MS.
        self._watchdog = machine.WDT(timeout=pins.WATCHDOG_MS)

    def alive(self) -> None:
        if self._watchdog is not None:
            self._watchdog.feed()

    def wait(self, most_ms: int) -> None:
        # Until a byte comes, from the cable or the scanner.
        for _ in self._waiter.ipoll(most_ms):
            break

    def pause(self, most_ms: int) -> None:
        # The same, but for the cable alone: the scanner's bytes lie there and cannot be passed on yet.
        self._waiter.unregister(self.scanner)
        self.wait(most_ms)
        self._waiter.register(self.scanner, select.POLLIN)

    def scanner_overran(self) -> bool:
        # Did the port lose bytes since the last call? The driver does not say, the chip does.
        if machine.mem32[pins.UART1_ERRORS] & pins.UART_OVERRUN:
            machine.mem32[pins.UART1_ERRORS] = 0
            return True
        return False
