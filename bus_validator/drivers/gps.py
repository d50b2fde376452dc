"""Driver of a GPS receiver on a serial port: a port that comes and goes, and the fixes it sends. DESIGN §3, §5, §11.

The same shape as the serial scanner: `poll` waits, opens the port again with growing pauses, and needs no thread of its
own. What is wrong with the bytes is judged by `nmea`. Never decides which stop it is, never sets a clock.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from bus_validator.drivers.nmea import Fix, GpsTime, NmeaReader
from offline_ledger.errors import GpsLost, Refusal
from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.drivers.serial_port import SerialPort

REFUSALS_MAX = 16
BAUD = 9_600
"""What NMEA 0183 names, and most receivers speak when they are new."""
BACK_OFF_FIRST_S = 0.2
BACK_OFF_LAST_S = 5.0


class GpsSettings(NamedTuple):
    """`path`: a stable name, `/dev/serial/by-id/...`, `/dev/serial0`, or a pty."""

    path: str
    baud: int = BAUD
    back_off_first_s: float = BACK_OFF_FIRST_S
    back_off_last_s: float = BACK_OFF_LAST_S


class GpsHealth(NamedTuple):
    """What a technician asks of a receiver. Counts are since the driver was made; `fix_age_s` None: never a fix."""

    path: str
    connected: bool
    last_error: str
    sentences: int
    bad_lines: int
    without_fix: int
    fixes: int
    fix_age_s: int | None
    satellites: int
    received_bytes: int
    connects: int
    refused: int


class SerialGps:
    """A receiver on a serial port."""

    def __init__(self, settings: GpsSettings, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._now_s = monotonic_s
        self._reader = NmeaReader()
        back_off = BackOff(settings.back_off_first_s, settings.back_off_last_s)
        self._port = SerialPort(settings.path, settings.baud, back_off, monotonic_s, GpsLost, self._refuse)
        self._refusals: deque[Refusal] = deque(maxlen=REFUSALS_MAX)
        self._last_fix: Fix | None = None
        self._fixes = self._refused = 0

    def open(self) -> bool:
        """Try to open the port now; False (and a refusal to take) if it is not there. `poll` tries again."""
        self._port.connect()
        return self._port.is_open

    @property
    def is_lost(self) -> bool:
        """Its loss was told, and it is not back."""
        return self._port.is_lost

    @property
    def last_fix(self) -> Fix | None:
        """The newest fix, however old; its age is for the caller to judge."""
        return self._last_fix

    @property
    def time(self) -> GpsTime | None:
        """The receiver's time, once it has proved itself; also None while the port is lost."""
        return self._reader.time if self._port.is_open else None

    def fileno(self) -> int | None:
        """The open port for a selector, or None while it is lost (then `poll` now and then)."""
        return self._port.fileno()

    def poll(self, timeout_s: float) -> list[Fix]:
        """Fixes that arrive within `timeout_s`, at once when there are any; an empty list after it or after `wake`."""
        until_s = self._now_s() + timeout_s
        while not self._port.is_closed:
            now_s = self._now_s()
            self._port.connect_if_due()
            refused_before = self._refused
            woken, readable = self._port.wait(max(0.0, until_s - now_s))
            fixes = self._read() if readable else []
            if fixes or woken or self._refused > refused_before or self._now_s() >= until_s:
                return fixes
        return []

    def take_refusals(self) -> list[Refusal]:
        """Refusals since the last call, oldest first: each loss, lack of a fix, garbage or wrong date once."""
        taken = list(self._refusals)
        self._refusals.clear()
        return taken

    def wake(self) -> None:
        """Make a `poll` in another thread return now."""
        self._port.wake()

    def close(self) -> None:
        """Close the port for good. Call it from the polling thread, after `wake` if need be."""
        self._port.close()

    def health(self) -> GpsHealth:
        """The state now, for screens and `diagnose`."""
        fix = self._last_fix
        return GpsHealth(
            path=self._settings.path,
            connected=self._port.is_open,
            last_error=self._port.last_error,
            sentences=self._reader.sentences,
            bad_lines=self._reader.bad_lines,
            without_fix=self._reader.without_fix,
            fixes=self._fixes,
            fix_age_s=None if fix is None else max(0, self._mono_ms() - fix.at_mono_ms) // 1000,
            satellites=0 if fix is None else fix.satellites,
            received_bytes=self._port.received_bytes,
            connects=self._port.connects,
            refused=self._refused,
        )

    def _mono_ms(self) -> int:
        return round(self._now_s() * 1000)

    def _read(self) -> list[Fix]:
        received = self._port.read()
        if received is None:
            self._reader.drop()
            self._port.tell_lost()
            return []
        fixes = self._reader.push(received, self._mono_ms())
        for refusal in self._reader.take_refusals():
            self._refuse(refusal)
        if fixes:
            self._fixes += len(fixes)
            self._last_fix = fixes[-1]
        return fixes

    def _refuse(self, refusal: Refusal) -> None:
        self._refused += 1
        self._refusals.append(refusal)
