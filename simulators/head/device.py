"""A reader head that programs find under a link, as they would find `/dev/serial/by-id/...`. DESIGN §11.

The firmware of `firmware/reader_head` runs in the real MicroPython; this file is the hand that plugs, pulls, presses,
scans and spoils. One thread carries bytes between the program's port and the board's, and is the watchdog outside.

    with SimulatedHead(tmp_path / "head0") as head:
        ...                                  # a program opens the link
        head.scan("KGO1P:...")
        head.press(Button.ONE, long=True)
        head.wait_for(messages.ACCEPTED)
"""

import contextlib
import os
import random
import select
import signal
import termios
import time
import tty
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Self, TypeVar

from firmware.reader_head import pins
from firmware.reader_head.keys import BOUNCE_MS, LONG_MS
from simulators.head.interpreter import (
    ROOT,
    STANDARD_ERROR_BYTES_MAX,
    Interpreter,
    InterpreterMissing,
    interpreter_path,
)
from simulators.head.recording import Event, Pixels, Recording, state_of
from simulators.patience import patient
from simulators.pty_port import PtyPort

__all__ = ["Button", "InterpreterMissing", "SimulatedHead"]

WAIT_S_MAX = patient(10)
TICK_S = 0.05
CARRIED_BYTES_MAX = 4_096  # what the cable holds each way; then whoever sends must wait
CHUNK_BYTES = 4_096
RECORD_BYTES = 65_536  # all that its pipe holds
SCAN_BYTES_AT_ONCE = 512
BYTES_A_SECOND = 11_520  # 115200 baud, ten bits a byte
POWER_ON, WATCHDOG = 1, 3  # `machine.reset_cause()` of an RP2040
WATCHDOG_SLACK_S = 1.0


T = TypeVar("T")


class Button(IntEnum):
    """The buttons by their number in BUTTON messages."""

    ONE = 1
    TWO = 2


_PIN_OF = {Button.ONE: pins.BUTTON_1, Button.TWO: pins.BUTTON_2}


class _Way:
    """One direction of the cable."""

    def __init__(self) -> None:
        self.carried = bytearray()
        self.bytes = 0

    def room(self) -> int:
        return CARRIED_BYTES_MAX - len(self.carried)

    def write_to(self, descriptor: int) -> None:
        if self.carried:
            with contextlib.suppress(OSError):  # full, or its other end has just gone
                del self.carried[: os.write(descriptor, self.carried)]


class SimulatedHead:
    """One head. Its methods may be called from any thread; those that wait say so."""

    def __init__(
        self,
        link: Path,
        *,
        board: bytes = b"\xe6\x60\x58\x38\x83\x00\x00\x01",
        protocol: tuple[int, int] | None = None,
        held: tuple[int, ...] = (),
        firmware: Path = ROOT,
        seed: int = 0,
        start_s_max: float = WAIT_S_MAX,
    ) -> None:
        """`protocol`: oldest and newest version that the firmware announces; None: its own. `held`: input pins that
        are not at rest when it boots. `firmware`: the folder that holds the package `firmware`. A `with`
        waits `start_s_max` for it to start. Raises `InterpreterMissing`."""
        interpreter_path()
        self._link = link
        self._board_name = board
        self._protocol = protocol
        self._firmware = firmware
        self._start_s_max = start_s_max
        self._held = set(held)
        self._cut: set[int] = set()
        self._is_blind = False
        self._free_bytes = 0
        self._rng = random.Random(seed)
        self._noise_per_million = 0
        self._recording = Recording()
        self._board: Interpreter | None = None
        self._cable = PtyPort(link)
        self._to_head, self._to_host = _Way(), _Way()
        self._scanner, self._scanner_end = os.openpty()
        tty.setraw(self._scanner_end)
        os.set_blocking(self._scanner, False)
        self._fed_s = 0.0
        self._errors = b""
        self._calls: deque[tuple[Callable[[], object], Signal]] = deque()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._closed = False
        self._thread = Thread(target=self._run, name="simulated-head", daemon=True)
        self._thread.start()

    # --- cable and power

    @property
    def port(self) -> Path:
        """What a program opens."""
        return self._link

    @property
    def is_plugged(self) -> bool:
        """Is the port there?"""
        return self._cable.is_plugged

    @property
    def is_at_prompt(self) -> bool:
        """Has the firmware left the board to a technician?"""
        return self._recording.is_at_prompt

    @property
    def is_running(self) -> bool:
        """Has the board power, and does its firmware run?"""
        return self._board is not None

    def plug(self) -> None:
        """Cable in: the port appears, and the board boots if it had no power."""
        self._do(self._plug)

    replug = plug

    def unplug(self, *, power_stays: bool = False) -> None:
        """Cable out. With it goes the board's power, unless it has a supply of its own."""
        self._do(lambda: self._unplug(power_stays))

    def restart(self, cause: int = WATCHDOG) -> None:
        """The board boots again with this reset cause; the port stays, as with a fast reset behind a USB hub."""
        self._do(lambda: self._boot(cause))

    def kill(self) -> None:
        """The board stops for good and the port stays: a firmware that died without a watchdog, until `restart`."""
        self._do(self._power_off)

    def freeze(self) -> None:
        """The firmware stands still; its watchdog bites when its time is over, and it boots with that cause."""
        self._do(self._freeze)

    def close(self) -> None:
        """Unplug for good."""
        if not self._closed:
            self._do(lambda: self._unplug(False))
            self._closed = True
            os.write(self._wake_write, b"\0")
            self._thread.join(WAIT_S_MAX)
            for end in (self._scanner, self._scanner_end, self._wake_read, self._wake_write):
                os.close(end)

    def __enter__(self) -> Self:
        try:
            self.plug()
            self.wait_until(
                lambda: bool(self._recording.watchdog_ms) or self.is_at_prompt,
                "the firmware to start",
                self._start_s_max,
            )
        except BaseException:
            self.close()  # nobody leaves a block that was not entered
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what people and things do to it

    def scan(self, text: str | bytes, *, suffix: bytes = b"\r\n") -> None:
        """The head's own QR scanner reads this and sends it; returns when its bytes are on the wire. More than the
        port can hold goes at the speed of its wire."""
        if self._is_blind:
            return
        data = (text.encode("utf-8") if isinstance(text, str) else text) + suffix
        until_s = time.monotonic() + WAIT_S_MAX + len(data) / BYTES_A_SECOND
        sent = 0
        while sent < len(data):
            piece = data[sent : sent + SCAN_BYTES_AT_ONCE]
            with contextlib.suppress(BlockingIOError):
                sent += os.write(self._scanner, piece)
            if sent < len(data):
                time.sleep(len(piece) / BYTES_A_SECOND)
            assert time.monotonic() < until_s, "the head takes no more of the scan"

    def flood(self, data: bytes) -> None:
        """All of this at once into the scanner's port, faster than any wire; what does not fit is lost."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._scanner, data)

    def press(self, button: int = Button.ONE, *, long: bool = False) -> None:
        """Press and let go; waits as a finger does."""
        pin = _PIN_OF[Button(button)]
        down_ms = LONG_MS + 5 * BOUNCE_MS if long else 5 * BOUNCE_MS
        self._set_pin(pin, 0, down_ms)
        self._pass_ms(down_ms)
        self._set_pin(pin, 1, 3 * BOUNCE_MS)
        self._pass_ms(3 * BOUNCE_MS)

    def hold(self, button: int = Button.ONE, *, is_down: bool = True) -> None:
        """A button that stays down: it is stuck, or somebody leans on it."""
        self._set_pin(_PIN_OF[Button(button)], 0 if is_down else 1)

    def cut(self, *pins_cut: int) -> None:
        """The wires of these input pins are off: nothing that is done to them reaches the board."""
        self._cut.update(pins_cut)

    def burn_out(self, *lamps: int) -> None:
        """These lamps of the ring stay dark from now on."""
        self._recording.dark.update(lamps)

    def mute_buzzer(self) -> None:
        """Its wire is off."""
        self._recording.is_mute = True

    def cover_lens(self) -> None:
        """The head's scanner reads nothing any more."""
        self._is_blind = True

    def fill_memory(self, free_bytes: int) -> None:
        """From its next boot on so much is free for what the firmware still does after its start."""
        self._free_bytes = free_bytes

    def bounce(self, button: int = Button.ONE, times: int = 5) -> None:
        """Contacts that chatter and end where they were."""
        pin = _PIN_OF[Button(button)]
        for _ in range(times):
            self._set_pin(pin, 0)
            self._set_pin(pin, 1)

    def tamper(self, is_open: bool) -> None:
        """Open or close the cover."""
        self._set_pin(pins.TAMPER, 1 if is_open else 0)

    def garbage_to_host(self, data: bytes) -> None:
        """The program's end receives these bytes, as from a bad contact."""
        self._do(lambda: self._to_host.carried.extend(data[: self._to_host.room()]))

    def garbage_to_head(self, data: bytes) -> None:
        """The firmware receives these bytes."""
        self._do(lambda: self._to_head.carried.extend(data[: self._to_head.room()]))

    def set_noise(self, bytes_per_million: int) -> None:
        """So many bytes of a million are changed on their way, in both directions."""
        self._noise_per_million = bytes_per_million

    # --- what it shows

    def ring(self) -> Pixels:
        """The 24 pixels now, red, green, blue; clockwise from the top."""
        return self._recording.ring

    def state(self) -> int | None:
        """The state that shows so (`firmware.link.messages`), 0 for dark, None for what no state shows."""
        return state_of(self._recording.ring)

    def tone_hertz(self) -> int:
        """What sounds now; 0 for silence."""
        return self._recording.tone_hertz

    def link_led(self) -> int:
        """The link LED: 1 is lit."""
        return self._recording.led

    def timeline(self, since_us: int = 0) -> list[Event]:
        """What it did, oldest first: the last `EVENTS_MAX` over all its boots."""
        return self._do(lambda: self._recording.since(since_us))

    def standard_error(self) -> str:
        """The last words of a firmware that failed; empty for a good one."""
        return self._errors.decode("utf-8", "replace")

    def wait_for(self, state: int, wait_s: float = WAIT_S_MAX) -> None:
        """Until it shows this state."""
        self.wait_until(lambda: self.state() == state, f"state {state}", wait_s)

    def wait_until(self, is_true: Callable[[], bool], what: str, wait_s: float = WAIT_S_MAX) -> None:
        """Until it is so; fails with what was waited for and what the firmware said last."""
        until_s = time.monotonic() + wait_s
        while not is_true():
            if time.monotonic() > until_s:
                raise TimeoutError(f"waited {wait_s} s for {what}; shows {self.state()}; {self.standard_error()}")
            time.sleep(0.002)

    # --- the thread that carries

    def _do(self, call: Callable[[], T]) -> T:
        """Carry this out on the thread, which alone touches the board and the port."""
        done: list[T] = []
        ended = Signal()
        self._calls.append((lambda: done.append(call()), ended))
        os.write(self._wake_write, b"\0")
        if not ended.wait(WAIT_S_MAX) or not done:
            raise RuntimeError("the simulated head does not answer")
        return done[0]

    def _run(self) -> None:
        try:
            while not self._closed:
                self._carry()
                while self._calls:
                    call, ended = self._calls.popleft()
                    call()
                    ended.set()
        finally:
            self._power_off()

    def _carry(self) -> None:
        board = self._board
        readable, writable = [self._wake_read], []
        if self.is_plugged and self._to_head.room() > 0:
            readable.append(self._cable.master)
        if self.is_plugged and self._to_host.carried:
            writable.append(self._cable.master)
        if board is not None:
            readable += [board.record, board.errors]
            if self._to_host.room() > 0:
                readable.append(board.cable)
            if self._to_head.carried:
                writable.append(board.cable)
        ready, _, _ = select.select(readable, (), (), 0 if writable else TICK_S)
        if not ready and writable:
            ready, _, _ = select.select(readable, writable, (), TICK_S)
        if self._wake_read in ready:
            os.read(self._wake_read, CHUNK_BYTES)
        if board is not None:
            self._carry_of_board(board, ready)
        if self.is_plugged:
            if self._cable.master in ready:
                self._to_head.carried += self._arrived(self._spoilt(_read(self._cable.master, self._to_head.room())))
            self._to_host.write_to(self._cable.master)
        if board is not None:
            self._to_head.write_to(board.cable)
            self._watch(board)
        else:
            self._to_head.carried.clear()  # nobody is there who could keep it
        self._tick()

    def _tick(self) -> None:
        """What a board does besides."""

    def _arrived(self, data: bytes) -> bytes:
        """What a program of these bytes gets."""
        return data

    def _carry_of_board(self, board: Interpreter, ready: list[int]) -> None:
        self._hear_of_board(board, *(pipe for pipe in (board.record, board.errors) if pipe in ready))
        if board.cable in ready:
            sent = _read(board.cable, self._to_host.room())
            if self.is_plugged:  # without a cable USB takes the bytes, and nobody gets them
                self._to_host.carried += self._spoilt(sent)

    def _hear_of_board(self, board: Interpreter, *pipes: int) -> None:
        if board.record in pipes:
            for event in self._recording.push(_read(board.record, RECORD_BYTES)):
                if event.what in ("feed", "watchdog"):
                    self._fed_s = time.monotonic()
        if board.errors in pipes:
            self._errors = (self._errors + _read(board.errors, CHUNK_BYTES))[-STANDARD_ERROR_BYTES_MAX:]

    def _watch(self, board: Interpreter) -> None:
        """A firmware that ends itself (`machine.reset`), or feeds no watchdog, boots again."""
        armed_ms = self._recording.watchdog_ms
        if self._recording.is_at_prompt:
            return  # a technician asked for it
        if board.has_ended() or (armed_ms and time.monotonic() - self._fed_s > armed_ms / 1000 + WATCHDOG_SLACK_S):
            self._boot(WATCHDOG)

    def _spoilt(self, data: bytes) -> bytes:
        if not self._noise_per_million:
            return data
        spoilt = bytearray(data)
        for at in range(len(spoilt)):
            if self._rng.randrange(1_000_000) < self._noise_per_million:
                spoilt[at] = self._rng.randrange(256)
        return bytes(spoilt)

    def _plug(self) -> None:
        if self.is_plugged:
            return
        self._to_head.carried.clear()
        self._to_host.carried.clear()
        self._cable.plug()
        if self._board is None:
            self._boot(POWER_ON)

    def _unplug(self, power_stays: bool) -> None:
        self._cable.unplug()
        if not power_stays:
            self._power_off()

    def _boot(self, cause: int) -> None:
        self._power_off()
        termios.tcflush(self._scanner_end, termios.TCIFLUSH)
        self._fed_s = time.monotonic()
        if cause == POWER_ON:
            self._recording.scratch = 0
        self._board = self._started(cause)

    def _started(self, cause: int) -> Interpreter:
        return Interpreter(
            firmware=self._firmware,
            cause=cause,
            board=self._board_name,
            protocol=self._protocol,
            held=tuple(sorted(self._held)),
            scanner=os.ttyname(self._scanner_end),
            scratch=self._recording.scratch,
            more={"KGO_HEAD_FREE": str(self._free_bytes or "")},
        )

    def _power_off(self) -> None:
        board, self._board = self._board, None
        if board is not None:
            board.end()
            self._hear_of_board(board, board.record, board.errors)
            board.close()
            self._recording.power_gone(time.monotonic_ns() // 1000)

    def _freeze(self) -> None:
        if self._board is not None:
            os.kill(self._board.pid, signal.SIGSTOP)

    def _set_pin(self, pin: int, level: int, least_ms: int = 0) -> None:
        if pin in self._cut:
            return
        rest = 0 if pin == pins.TAMPER else 1
        self._held.discard(pin)
        if level != rest:
            self._held.add(pin)

        def tell() -> None:
            if self._board is not None:
                self._board.set_pin(pin, level, least_ms)

        self._do(tell)

    def _pass_ms(self, wait_ms: int) -> None:
        time.sleep(wait_ms / 1000)


def _read(descriptor: int, most: int) -> bytes:
    try:
        return os.read(descriptor, most)
    except OSError:  # the other end has just gone; the watch finds out why
        return b""
