"""`machine` of the RP2040, as far as the firmware uses it. The port overruns, the watchdog bites, tones sound."""

import io
import os
import select
import sys
import time

from board_pipes import PIPES

PWRON_RESET = 1
WDT_RESET = 3
_GET_FILENO = 10  # request of MicroPython's stream protocol
_FIFO_BYTES = 32  # of the PL011 behind the driver's buffer
_OVERRUN = 8
_SCRATCH = 0x4005800C
_FEED_TOLD_MS = 200
_SCANNER_FD = 5
_RISE_MS = 5  # 50 kilohm into 100 nF


_pulled_up = {}


class Pin:
    """A pull-up lifts its wire slowly: until then an open contact reads as closed."""

    IN = 0
    OUT = 1
    PULL_UP = 1

    def __init__(self, name, mode=-1, pull=-1) -> None:
        self.name = name
        if pull == self.PULL_UP:
            _pulled_up.setdefault(name, time.ticks_ms())

    def value(self, level=None):
        if level is None:
            if self.name in _pulled_up and time.ticks_diff(time.ticks_ms(), _pulled_up[self.name]) < _RISE_MS:
                return 0
            return PIPES.level(self.name)
        PIPES.say("led", level)


class PWM:
    def __init__(self, pin, freq=0, duty_u16=0) -> None:
        self._hertz = freq
        self._duty = duty_u16

    def freq(self, hertz) -> None:
        self._hertz = hertz
        if self._duty:
            PIPES.say("tone", hertz)

    def duty_u16(self, duty) -> None:
        if duty or self._duty:
            PIPES.say("tone", self._hertz if duty else 0)
        self._duty = duty


class Registers:
    """The error register of the scanner's port, which any write clears, and the watchdog's scratch register, which is
    kept outside: it lives through a reset."""

    def __init__(self) -> None:
        self.errors = 0
        self._scratch = int(os.getenv("KGO_HEAD_SCRATCH") or 0)

    def __getitem__(self, address) -> int:
        return self._scratch if address == _SCRATCH else self.errors

    def __setitem__(self, address, value) -> None:
        if address == _SCRATCH:
            self._scratch = value
            PIPES.say("scratch", value)
        else:
            self.errors = 0


mem32 = Registers()


class UART(io.IOBase):
    """Holds what came since the firmware last looked, at most its buffer and the chip's; the rest is lost, as there."""

    def __init__(self, number, baudrate=0, tx=None, rx=None, rxbuf=256) -> None:
        self._port = open(_SCANNER_FD, "r+b")  # reads what is there: its descriptor does not wait
        self._poller = select.poll()
        self._poller.register(self._port, select.POLLIN)
        self._held = bytearray(rxbuf + _FIFO_BYTES)
        self._spilt = bytearray(64)
        self._used = 0

    def ioctl(self, request, argument):
        return self._port.fileno() if request == _GET_FILENO else 0

    def any(self) -> int:
        while self._is_readable():
            if self._used == len(self._held):
                self._port.readinto(self._spilt)
                mem32.errors |= _OVERRUN
            else:
                self._used += self._port.readinto(memoryview(self._held)[self._used :])
        return self._used

    def readinto(self, buffer):
        count = min(self.any(), len(buffer))
        if not count:
            return None
        buffer[:count] = self._held[:count]
        self._held[: self._used - count] = self._held[count : self._used]
        self._used -= count
        return count

    def _is_readable(self) -> bool:
        for _ in self._poller.ipoll(0):
            return True
        return False


class WDT:
    """Told outside, which kills an interpreter that stops feeding."""

    def __init__(self, timeout) -> None:
        self._now_ms = time.ticks_ms
        self._told_ms = self._now_ms()
        PIPES.say("watchdog", timeout)

    def feed(self) -> None:
        now_ms = self._now_ms()
        if now_ms - self._told_ms >= _FEED_TOLD_MS:
            self._told_ms = now_ms
            PIPES.say("feed", 0)


def reset() -> None:
    PIPES.say("reset", 0)
    sys.exit(3)


def reset_cause() -> int:
    return int(os.getenv("KGO_HEAD_CAUSE"))


def unique_id() -> bytes:
    return bytes.fromhex(os.getenv("KGO_HEAD_BOARD"))
