"""Driver of a GPS receiver on a serial port: a port that comes and goes, and the fixes it sends. DESIGN §3, §5, §11.

The same shape as the serial scanner: `poll` waits, opens the port again with growing pauses, and needs no thread of its
own. What is wrong with the bytes is judged by `nmea`. Never decides which stop it is, never sets a clock.
"""

import errno
import os
import select
import termios
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import serial

from bus_validator.drivers.nmea import Fix, GpsTime, NmeaReader
from offline_ledger.errors import DevicePortForbidden, DevicePortInUse, GpsLost, Refusal
from offline_ledger.terminal.drivers.backoff import BackOff

READ_BYTES_MAX = 4_096
REFUSALS_MAX = 16
BAUD = 9_600
"""What NMEA 0183 names, and most receivers speak when they are new."""
BACK_OFF_FIRST_S = 0.2
BACK_OFF_LAST_S = 5.0

_PORT_ERRORS = (OSError, termios.error)


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
        self._back_off = BackOff(settings.back_off_first_s, settings.back_off_last_s)
        self._port: serial.Serial | None = None
        self._refusals: deque[Refusal] = deque(maxlen=REFUSALS_MAX)
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._closed = False
        self._lost_told = False
        self._last_error = ""
        self._last_fix: Fix | None = None
        self._fixes = self._received_bytes = self._connects = self._refused = 0

    def open(self) -> bool:
        """Try to open the port now; False (and a refusal to take) if it is not there. `poll` tries again."""
        self._connect()
        return self._port is not None

    @property
    def is_lost(self) -> bool:
        """Its loss was told, and it is not back."""
        return self._lost_told

    @property
    def last_fix(self) -> Fix | None:
        """The newest fix, however old; its age is for the caller to judge."""
        return self._last_fix

    @property
    def time(self) -> GpsTime | None:
        """The receiver's time, once it has proved itself; also None while the port is lost."""
        return self._reader.time if self._port is not None else None

    def fileno(self) -> int | None:
        """The open port for a selector, or None while it is lost (then `poll` now and then)."""
        return self._port.fileno() if self._port is not None else None

    def poll(self, timeout_s: float) -> list[Fix]:
        """Fixes that arrive within `timeout_s`, at once when there are any; an empty list after it or after `wake`."""
        until_s = self._now_s() + timeout_s
        while not self._closed:
            now_s = self._now_s()
            if self._port is None and self._back_off.left_s(now_s) <= 0:
                self._connect()
            refused_before = self._refused
            left_s = max(0.0, until_s - now_s)
            woken, readable = self._wait(left_s if self._port else min(left_s, self._back_off.left_s(now_s)))
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
        if not self._closed:
            os.write(self._wake_write, b"\0")

    def close(self) -> None:
        """Close the port for good. Call it from the polling thread, after `wake` if need be."""
        if not self._closed:
            self._closed = True
            self._drop_port()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def health(self) -> GpsHealth:
        """The state now, for screens and `diagnose`."""
        fix = self._last_fix
        return GpsHealth(
            path=self._settings.path,
            connected=self._port is not None,
            last_error=self._last_error,
            sentences=self._reader.sentences,
            bad_lines=self._reader.bad_lines,
            without_fix=self._reader.without_fix,
            fixes=self._fixes,
            fix_age_s=None if fix is None else max(0, self._mono_ms() - fix.at_mono_ms) // 1000,
            satellites=0 if fix is None else fix.satellites,
            received_bytes=self._received_bytes,
            connects=self._connects,
            refused=self._refused,
        )

    def _mono_ms(self) -> int:
        return round(self._now_s() * 1000)

    def _wait(self, timeout_s: float) -> tuple[bool, bool]:
        watched = [self._wake_read] if self._port is None else [self._wake_read, self._port.fileno()]
        ready, _, _ = select.select(watched, (), (), timeout_s)
        woken = self._wake_read in ready
        if woken:
            os.read(self._wake_read, READ_BYTES_MAX)
        return woken, len(ready) > woken

    def _read(self) -> list[Fix]:
        assert self._port is not None
        try:
            received = os.read(self._port.fileno(), READ_BYTES_MAX)
        except BlockingIOError:
            return []
        except _PORT_ERRORS as error:
            return self._lose(error)
        if not received:  # a hang-up reads as end of file
            return self._lose(OSError(errno.EIO, "hung up"))
        self._received_bytes += len(received)
        self._back_off.worked()
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

    def _connect(self) -> None:
        if self._port is not None or self._closed:
            return
        try:
            port = serial.Serial(self._settings.path, self._settings.baud, timeout=0, exclusive=True)
        except _PORT_ERRORS as error:
            self._back_off.failed(self._now_s())
            self._tell_lost(error)
            return
        self._port = port
        self._connects += 1
        self._lost_told = False
        self._last_error = ""

    def _lose(self, error: Exception) -> list[Fix]:
        self._drop_port()
        self._back_off.failed(self._now_s())
        self._reader.drop()
        self._tell_lost(error)
        return []

    def _tell_lost(self, error: Exception) -> None:
        self._last_error = str(error)
        if not self._lost_told:  # once per loss, not once per try
            self._lost_told = True
            self._refuse(_refusal_for(error, self._settings.path))

    def _drop_port(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            try:
                port.close()
            except _PORT_ERRORS as error:  # closing a vanished device fails too; its descriptor is gone either way
                self._last_error = str(error)


def _refusal_for(error: Exception, path: str) -> Refusal:
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        return DevicePortForbidden(f"{path}: {error}")
    if number in (errno.EBUSY, errno.EWOULDBLOCK, errno.EAGAIN):
        return DevicePortInUse(f"{path}: {error}")
    return GpsLost(f"{path}: {error}")
