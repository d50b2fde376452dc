"""Driver of a serial QR scanner: a port that comes and goes, and the texts it sends. DESIGN §3, §11.

The port is `polled.py`'s, the cutting into texts `lines.py`'s. It never judges a text: repeats, foreign codes and
garbled ones go to the acceptor as they were read. Bytes that the system had buffered before the port was opened are
thrown away: they are an old customer's scan.
"""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from offline_ledger.errors import Refusal, ScannerLost
from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.drivers.lines import LineSplitter
from offline_ledger.terminal.drivers.polled import PolledPort
from offline_ledger.terminal.drivers.serial_port import SerialPort
from offline_ledger.terminal.drivers.untaken import Scans

REFUSALS_MAX = 32  # untaken ones; the newest are dropped and counted
BAUD = 115_200
PAUSE_S = 0.5  # a wedge-speed scanner leaves 10-20 ms between bytes; a person needs longer than this to scan twice
PAUSE_AS_SUFFIX_S = 0.1
BACK_OFF_FIRST_S = 0.1
BACK_OFF_LAST_S = 2.0


class ScannerSettings(NamedTuple):
    """`suffix` False: the scanner sends nothing after a text, so a pause of `pause_s` ends it."""

    path: str
    baud: int = BAUD
    suffix: bool = True
    pause_s: float | None = None
    back_off_first_s: float = BACK_OFF_FIRST_S
    back_off_last_s: float = BACK_OFF_LAST_S


class ScannerHealth(NamedTuple):
    """What a technician asks of a scanner. Counts are since the driver was made."""

    path: str
    connected: bool
    last_error: str
    texts: int
    refused: int
    refusals_dropped: int
    received_bytes: int
    connects: int


class LineScanner(PolledPort[str]):
    """A scanner on whatever port, which sends a text a line."""

    def __init__(self, port: SerialPort, scans: Scans, splitter: LineSplitter, now_s: Callable[[], float]) -> None:
        super().__init__(port, scans, now_s)
        self._scans, self._splitter = scans, splitter

    def health(self) -> ScannerHealth:
        """The state now, for screens and `diagnose`."""
        return ScannerHealth(
            path=self._port.path,
            connected=self._port.is_open,
            last_error=self._port.last_error,
            texts=self._scans.texts,
            refused=self._scans.refused,
            refusals_dropped=self._scans.dropped,
            received_bytes=self._port.received_bytes,
            connects=self._port.connects,
        )

    def _take_in(self, received: bytes) -> list[str]:
        return self._sort(self._splitter.push(received, self._now_s()))

    def _cut_off(self) -> None:
        self._sort(self._splitter.drop())  # the beginning of a line is never a text

    def _overdue(self, now_s: float) -> list[str]:
        return self._sort(self._splitter.tick(now_s))

    def _pause_left_s(self, now_s: float) -> float:
        return float("inf") if self._splitter.is_idle else self._splitter.pause_left_s(now_s)

    def _sort(self, items: Iterable[str | Refusal]) -> list[str]:
        return self._scans.sort(items)


class SerialScanner(LineScanner):
    """A scanner on a serial port, found by path (a stable `/dev/serial/by-id/...` name or a pty)."""

    def __init__(self, settings: ScannerSettings, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        pause_s = settings.pause_s or (PAUSE_S if settings.suffix else PAUSE_AS_SUFFIX_S)
        splitter = LineSplitter(pause_s=pause_s, pause_ends_line=not settings.suffix)
        back_off = BackOff(settings.back_off_first_s, settings.back_off_last_s)
        scans = Scans(REFUSALS_MAX)
        port = SerialPort(settings.path, settings.baud, back_off, monotonic_s, ScannerLost, scans.refuse)
        super().__init__(port, scans, splitter, monotonic_s)
