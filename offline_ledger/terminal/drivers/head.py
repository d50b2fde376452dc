"""Driver of the reader head: its light, its scanner, its buttons, on a port that comes and goes. DESIGN §3, §5, §11.

Where the terminal polls a scanner it polls the head: texts of the head's QR scanner come out of `poll`, as from
`scanner.py`. `show` is for any thread and never waits. A light counts as seen when the head says that its pixels are
on, not before; what was not confirmed when the cable went never is, and a green is never shown a second time by itself.
"""

import errno
import os
import select
import time
from collections.abc import Callable, Iterable
from threading import Lock
from typing import NamedTuple

import serial

from firmware.link import messages
from offline_ledger.errors import (
    HeadGarbled,
    HeadLost,
    HeadScansLost,
    HeadUnfit,
    Refusal,
    TwoHeads,
)
from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.drivers import head_session as session
from offline_ledger.terminal.drivers.head_ports import HeadPorts
from offline_ledger.terminal.drivers.lines import LineSplitter
from offline_ledger.terminal.drivers.scanner import PAUSE_AS_SUFFIX_S, PAUSE_S
from offline_ledger.terminal.drivers.serial_port import (
    PORT_ERRORS,
    READ_BYTES_MAX,
    close_port,
    open_port,
    refusal_for,
)
from offline_ledger.terminal.drivers.untaken import Scans
from offline_ledger.terminal.outcome import Light

REFUSALS_MAX = 32  # untaken ones; the newest are dropped and counted
LIGHTS_MAX = 8  # shown and not yet confirmed; more than one is on its way only if somebody shows in a burst
BAUD = 115_200
BACK_OFF_FIRST_S = 0.1
BACK_OFF_LAST_S = 2.0
BRIGHTNESS_DAY = 160  # of 255, as the firmware starts: the ring then draws less than the port gives
BRIGHTNESS_NIGHT = 24
IDENTIFY_MS = 10_000
LOOK_S = 1.0  # between looks for a second head, never while a light is on its way: a look takes some 0.1 ms
_WAKE, _NUDGE = b"\1", b"\0"

_STATE_OF = {
    Light.WAIT: messages.WAIT,
    Light.ACCEPTED: messages.ACCEPTED,
    Light.ACCEPTED_CASH_DUE: messages.ACCEPTED_CASH_DUE,
    Light.ALREADY_ACCEPTED: messages.ALREADY_ACCEPTED,
    Light.REFUSED: messages.REFUSED,
    Light.TRY_AGAIN: messages.TRY_AGAIN,
    Light.OUT_OF_SERVICE: messages.OUT_OF_SERVICE,
}
_GREEN = (messages.ACCEPTED, messages.ACCEPTED_CASH_DUE)


def state_for(light: Light, *, is_training: bool) -> int:
    """The head's state for a light; training never shows green."""
    state = _STATE_OF[light]
    return messages.TRAINING if is_training and state in _GREEN else state


class HeadSettings(NamedTuple):
    """`path`: a port, or a pattern (`/dev/serial/by-id/usb-MicroPython_*`) that one port shall match. `suffix` False:
    the head's scanner sends nothing after a text, so a pause of `pause_s` ends it."""

    path: str
    suffix: bool = True
    pause_s: float | None = None
    back_off_first_s: float = BACK_OFF_FIRST_S
    back_off_last_s: float = BACK_OFF_LAST_S
    look_s: float = LOOK_S


class HeadHealth(NamedTuple):
    """What a technician asks of a head. Counts are since the driver was made; `status` is the head's last own word."""

    path: str
    connected: bool
    linked: bool
    last_error: str
    firmware: str
    board: str
    texts: int
    refused: int
    refusals_dropped: int
    received_bytes: int
    connects: int
    sessions: int
    frame_errors: int
    scans_lost: int
    is_cover_open: bool | None
    status: session.HeadStatus | None


def _ignore_button(_button: int, _kind: int) -> None:
    pass


def _ignore_cover(_is_open: bool) -> None:
    pass


def _ignore_second(_two: TwoHeads | None) -> None:
    pass


class ReaderHead:
    """A reader head. `show`, `set_theme`, `identify`, `wake` and `health` are for any thread, all else for the polling
    one, on which every callback comes."""

    def __init__(
        self,
        settings: HeadSettings,
        *,
        on_button: Callable[[int, int], None] = _ignore_button,
        on_tamper: Callable[[bool], None] = _ignore_cover,
        on_second: Callable[[TwoHeads | None], None] = _ignore_second,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_button(button, kind)`: 1 or 2; BUTTON_PRESSED, _RELEASED or _LONG of `firmware.link.messages`.
        `on_tamper(is_open)`: at each beginning of a session and at each change. `on_second(two)`: another head was
        plugged in beside this one, which goes on; None: it is gone again, or this one is."""
        self._settings = settings
        self._on_button, self._on_tamper, self._on_second = on_button, on_tamper, on_second
        self._now_s = monotonic_s
        pause_s = settings.pause_s or (PAUSE_S if settings.suffix else PAUSE_AS_SUFFIX_S)
        self._splitter = LineSplitter(pause_s=pause_s, pause_ends_line=not settings.suffix)
        self._back_off = BackOff(settings.back_off_first_s, settings.back_off_last_s)
        self._lock = Lock()  # over the port, the session and what waits for a confirmation; never held while waiting
        self._session = session.HeadSession(int.from_bytes(os.urandom(4), "big"))
        self._ports = HeadPorts(settings.path)
        self._port: serial.Serial | None = None
        self._second: TwoHeads | None = None
        self._looked_s = self._now_s()
        self._lit: dict[int, Callable[[], None]] = {}
        self._scans = Scans(REFUSALS_MAX)
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._closed = False
        self._told: type[Refusal] | None = None
        self._unlinked_since_s = self._now_s()
        self._bytes_before = 0
        self._last_error = self._firmware = self._board = ""
        self._cover_open: bool | None = None
        self._status: session.HeadStatus | None = None
        self._received_bytes = self._connects = self._sessions = self._scans_lost = self._called = 0

    # --- for any thread

    def show(self, light_state: int, on_lit: Callable[[], None] | None = None) -> bool:
        """Show this state (`state_for`) now; never waits. `on_lit` is called once, by `poll`, when the head says that
        this very light is on, and never if it was lost before. False: no head is there, nobody sees it, and `on_lit`
        will not be called; the head shows the state when it comes, but a green as *wait*."""
        with self._lock:
            token = self._session.light(light_state, self._now_ms())
            if token and on_lit is not None:
                while len(self._lit) >= LIGHTS_MAX:
                    del self._lit[next(iter(self._lit))]
                self._lit[token] = on_lit
            self._flush()
        self._nudge()
        return token != 0

    def set_theme(self, night: bool) -> None:
        """The ring's brightness, for this head and for one that comes later."""
        with self._lock:
            self._session.set_brightness(BRIGHTNESS_NIGHT if night else BRIGHTNESS_DAY, self._now_ms())
            self._flush()
        self._nudge()

    def identify(self, blink_ms: int = IDENTIFY_MS) -> bool:
        """Blink and beep, so that somebody finds it; the next light ends it. False if no head is there."""
        with self._lock:
            is_said = self._session.identify(min(blink_ms, 0xFFFF), self._now_ms())
            self._flush()
        self._nudge()
        return is_said

    def ask(self) -> None:
        """Have the head say its state anew, for `health`; it does so by itself every ten seconds."""
        with self._lock:
            self._session.ask(self._now_ms())
            self._flush()
        self._nudge()

    def wake(self) -> None:
        """Make a `poll` in another thread return now."""
        self._tell_poll(_WAKE)

    def health(self) -> HeadHealth:
        """The state now, for screens and `diagnose`."""
        with self._lock:
            return HeadHealth(
                path=self._settings.path,
                connected=self._port is not None,
                linked=self._session.is_open,
                last_error=self._last_error,
                firmware=self._firmware,
                board=self._board,
                texts=self._scans.texts,
                refused=self._scans.refused,
                refusals_dropped=self._scans.dropped,
                received_bytes=self._received_bytes,
                connects=self._connects,
                sessions=self._sessions,
                frame_errors=self._session.frame_errors,
                scans_lost=self._scans_lost,
                is_cover_open=self._cover_open,
                status=self._status,
            )

    @property
    def is_linked(self) -> bool:
        """Is a head there that understands us? Only then can a light be seen."""
        return self._session.is_open

    # --- for the polling thread

    def open(self) -> bool:
        """Try to open the port now; False (and a refusal to take) if it is not there. `poll` tries again, and makes
        the acquaintance of the head."""
        self._connect()
        return self._port is not None

    @property
    def is_lost(self) -> bool:
        """Its loss was told, and it is not back."""
        return self._told is not None

    def fileno(self) -> int | None:
        """The open port for a selector, or None while it is lost. Poll at least every 0.1 s all the same: pings."""
        return self._port.fileno() if self._port is not None else None

    def poll(self, timeout_s: float) -> list[str]:
        """Texts that arrive within `timeout_s`, at once when there are any; an empty list after it, after `wake`,
        when a session begins, and when a callback was called, which happens here."""
        until_s = self._now_s() + timeout_s
        told_before, woken = self._scans.refused + self._called, False
        while not self._closed:
            now_s = self._now_s()
            if self._port is None and self._back_off.left_s(now_s) <= 0:
                self._connect()
            texts = self._scans.sort(self._splitter.tick(now_s)) + self._handle(self._exchange())
            self._look_for_second(now_s)
            left_s = until_s - self._now_s()
            if texts or woken or self._scans.refused + self._called > told_before or left_s <= 0:
                return texts
            woken = self._wait(self._wait_s(left_s))
        return []

    def take_refusals(self) -> list[Refusal]:
        """Refusals since the last call, oldest first: bad lines, and each trouble of the head once."""
        return self._scans.take()

    def close(self) -> None:
        """Close the port for good; the head shows out of service two seconds later. Call it from the polling thread,
        after `wake` if need be."""
        if not self._closed:
            with self._lock:
                self._closed = True
                self._drop_port()
                self._session.lose()
                self._lit.clear()
                os.close(self._wake_read)
                os.close(self._wake_write)

    # --- inside

    def _now_ms(self) -> int:
        return int(self._now_s() * 1_000)

    def _nudge(self) -> None:
        """A poll that waits shall reckon its time again: there is something to send or to repeat."""
        self._tell_poll(_NUDGE)

    def _tell_poll(self, word: bytes) -> None:
        with self._lock:
            if not self._closed:
                try:
                    os.write(self._wake_write, word)
                except BlockingIOError:
                    pass  # it is full of such words already

    def _wait_s(self, left_s: float) -> float:
        now_s = self._now_s()
        if self._port is None:
            left_s = min(left_s, self._back_off.left_s(now_s))
        else:
            left_s = min(left_s, self._session.left_ms(self._now_ms()) / 1_000)
            if not self._session.is_open and self._told is None:
                left_s = min(left_s, max(0.0, self._unlinked_since_s + session.TELL_MS / 1_000 - now_s))
        if not self._splitter.is_idle:
            left_s = min(left_s, self._splitter.pause_left_s(now_s))
        return left_s

    def _wait(self, timeout_s: float) -> bool:
        """True after `wake`."""
        port = [] if self._port is None else [self._port.fileno()]
        ready, _, _ = select.select([self._wake_read, *port], port if self._session.out else (), (), timeout_s)
        return self._wake_read in ready and _WAKE in os.read(self._wake_read, READ_BYTES_MAX)

    def _exchange(self) -> list[session.HeadEvent]:
        """Read what is there, let time pass, send what is due; the events are for handling without the lock. Reading is
        first: a program that slept must not take its own pause for the head's silence."""
        with self._lock:
            if self._port is None:
                return []
            events: list[session.HeadEvent] = []
            try:
                events += self._read(self._port.fileno())
            except PORT_ERRORS as error:
                return self._lose(error)
            events += self._session.tick(self._now_ms())
            error = self._flush()
            return events if error is None else [*events, *self._lose(error)]

    def _read(self, port: int) -> list[session.HeadEvent]:
        if not select.select([port], (), (), 0)[0]:
            return []
        received = os.read(port, READ_BYTES_MAX)
        if not received:  # a hang-up reads as end of file
            raise OSError(errno.EIO, "hung up")
        self._received_bytes += len(received)
        return self._session.receive(received, self._now_ms())

    def _flush(self) -> Exception | None:
        """Send what the port takes now. An error is the polling thread's business; it will meet it too."""
        out = self._session.out
        while out and self._port is not None:
            try:
                del out[: os.write(self._port.fileno(), out)]
            except BlockingIOError:
                return None
            except PORT_ERRORS as error:
                return error
            self._session.pump(self._now_ms())
        return None

    def _handle(self, events: Iterable[session.HeadEvent]) -> list[str]:
        texts: list[str] = []
        for event in events:
            match event:
                case session.Scanned(data):
                    texts += self._scans.sort(self._splitter.push(data, self._now_s()))
                case session.Lit(token):
                    self._confirm(token)
                case session.Pressed(button, kind):
                    self._called += 1
                    self._on_button(button, kind)
                case session.Cover(is_open):
                    self._called += 1
                    self._cover_open = is_open
                    self._on_tamper(is_open)
                case session.Begun():
                    self._begin(event)
                case session.Ended(why):
                    texts += self._end(why)
                case session.Unfit(oldest, newest):
                    self._tell_unfit(oldest, newest)
                case session.ScansLost(count):
                    self._scans_lost += count
                    texts += self._scans.sort(self._splitter.drop())
                    self._scans.refuse(HeadScansLost(f"{count} times"))
                case session.HeadStatus():
                    self._status = event
        if not self._session.is_open:
            self._judge_silence()
        return texts

    def _confirm(self, token: int) -> None:
        with self._lock:
            on_lit = self._lit.pop(token, None)
            for older in [one for one in self._lit if one < token]:
                del self._lit[older]  # the cable keeps the order: these were never shown, or their word is lost
        if on_lit is not None:
            self._called += 1
            on_lit()

    def _begin(self, event: session.Begun) -> None:
        self._sessions += 1
        self._called += 1
        self._told = None
        self._last_error = ""
        self._firmware = ".".join(str(number) for number in event.firmware)
        self._board = event.board.hex()
        self._back_off.worked()

    def _end(self, why: str) -> list[str]:
        with self._lock:
            self._lit.clear()
        self._last_error = why
        self._start_silence()
        return self._scans.sort(self._splitter.drop())

    def _start_silence(self) -> None:
        self._unlinked_since_s = self._now_s()
        self._bytes_before = self._received_bytes

    def _judge_silence(self) -> None:
        """The port is open and no head has been met for too long: is it noise, or nothing?"""
        if self._port is None or self._told is HeadUnfit:
            return
        if self._now_s() - self._unlinked_since_s < session.TELL_MS / 1_000:
            return
        path = self._settings.path
        if self._received_bytes > self._bytes_before:
            self._tell_lost(HeadGarbled(f"{path}: {self._received_bytes - self._bytes_before} bytes, no greeting"))
        else:
            self._tell_lost(HeadLost(f"{path}: no answer"))

    def _tell_unfit(self, oldest: int, newest: int) -> None:
        needed = f"{messages.PROTOCOL_OLDEST}-{messages.PROTOCOL_NEWEST}"
        self._tell_lost(HeadUnfit(f"the head speaks version {oldest}-{newest}, this terminal {needed}"))

    def _tell_lost(self, refusal: Refusal) -> None:
        self._last_error = refusal.detail
        if self._told is not type(refusal):  # once per loss, not once per try, and again if it turns into another
            self._told = type(refusal)
            self._scans.refuse(refusal)

    def _connect(self) -> None:
        if self._port is not None or self._closed:
            return
        try:
            port = open_port(self._ports.find(), BAUD)
        except TwoHeads as refusal:
            self._back_off.failed(self._now_s())
            self._tell_lost(refusal)
            return
        except PORT_ERRORS as error:
            self._back_off.failed(self._now_s())
            self._tell_lost(refusal_for(error, self._settings.path, HeadLost))
            return
        with self._lock:
            self._port = port
            self._connects += 1
            self._session.greet(self._now_ms())
            self._flush()
        self._start_silence()

    def _look_for_second(self, now_s: float) -> None:
        """A head that came after ours was never asked anything and shows *out of service*: ours goes on."""
        if self._port is None:
            second = None  # `_connect` tells what keeps it from a port
        elif now_s - self._looked_s < self._settings.look_s or self._lit:
            return
        else:
            self._looked_s, second = now_s, self._ports.second()
        if (second is None) is not (self._second is None):
            self._second = second
            self._called += 1
            self._on_second(second)

    def _lose(self, error: Exception) -> list[session.HeadEvent]:
        """The port is gone. The caller holds the lock; what waits for a confirmation goes with the event."""
        self._drop_port()
        self._back_off.failed(self._now_s())
        self._session.lose()
        self._lit.clear()
        self._tell_lost(refusal_for(error, self._settings.path, HeadLost))
        return [session.Ended(str(error))]

    def _drop_port(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            self._last_error = close_port(port) or self._last_error
