"""Driver of a GPS receiver on a serial port: a port that comes and goes, and the fixes it sends. DESIGN §3, §5, §11.

The port is `polled.py`'s, as a serial scanner's is. What is wrong with the bytes is judged by `nmea`. Never decides
which stop it is, never sets a clock.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from bus_validator.drivers.nmea import Fix, GpsTime, NmeaReader
from offline_ledger.errors import GpsLost
from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.drivers.polled import PolledPort
from offline_ledger.terminal.drivers.serial_port import SerialPort
from offline_ledger.terminal.drivers.untaken import Untaken

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


class SerialGps(PolledPort[Fix]):
    """A receiver on a serial port."""

    def __init__(self, settings: GpsSettings, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        back_off = BackOff(settings.back_off_first_s, settings.back_off_last_s)
        untaken = Untaken(REFUSALS_MAX)
        port = SerialPort(settings.path, settings.baud, back_off, monotonic_s, GpsLost, untaken.refuse)
        super().__init__(port, untaken, monotonic_s)
        self._reader = NmeaReader()
        self._last_fix: Fix | None = None
        self._fixes = 0

    @property
    def last_fix(self) -> Fix | None:
        """The newest fix, however old; its age is for the caller to judge."""
        return self._last_fix

    @property
    def time(self) -> GpsTime | None:
        """The receiver's time, once it has proved itself; also None while the port is lost."""
        return self._reader.time if self._port.is_open else None

    def health(self) -> GpsHealth:
        """The state now, for screens and `diagnose`."""
        fix = self._last_fix
        return GpsHealth(
            path=self._port.path,
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
            refused=self._untaken.refused,
        )

    def _mono_ms(self) -> int:
        return round(self._now_s() * 1000)

    def _take_in(self, received: bytes) -> list[Fix]:
        fixes = self._reader.push(received, self._mono_ms())
        for refusal in self._reader.take_refusals():
            self._untaken.refuse(refusal)
        if fixes:
            self._fixes += len(fixes)
            self._last_fix = fixes[-1]
        return fixes

    def _cut_off(self) -> None:
        self._reader.drop()
