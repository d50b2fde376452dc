"""Driver of a serial QR scanner: a port that comes and goes, and the texts it sends. DESIGN §3, §11.

One `poll` waits for bytes, cuts them into texts (`lines.py`) and opens the port again when it was lost. It needs no
event loop and no thread of its own; a loop that watches several devices registers `fileno()` and polls with 0.
It never judges a text: repeats, foreign codes and garbled ones go to the acceptor as they were read. Bytes that the
system had buffered before the port was opened are thrown away: they are an old customer's scan.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from offline_ledger.errors import Refusal, ScannerLost
from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.drivers.lines import LineSplitter
from offline_ledger.terminal.drivers.serial_port import SerialPort

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


class SerialScanner:
    """A scanner on a serial port, found by path (a stable `/dev/serial/by-id/...` name or a pty)."""

    def __init__(self, settings: ScannerSettings, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._now_s = monotonic_s
        pause_s = settings.pause_s or (PAUSE_S if settings.suffix else PAUSE_AS_SUFFIX_S)
        self._splitter = LineSplitter(pause_s=pause_s, pause_ends_line=not settings.suffix)
        back_off = BackOff(settings.back_off_first_s, settings.back_off_last_s)
        self._port = SerialPort(settings.path, settings.baud, back_off, monotonic_s, ScannerLost, self._refuse)
        self._refusals: deque[Refusal] = deque()
        self._texts = self._refused = self._dropped = 0

    def open(self) -> bool:
        """Try to open the port now; False (and a refusal to take) if it is not there. `poll` tries again."""
        self._port.connect()
        return self._port.is_open

    @property
    def is_lost(self) -> bool:
        """Its loss was told, and it is not back."""
        return self._port.is_lost

    def fileno(self) -> int | None:
        """The open port for a selector, or None while it is lost (then `poll` now and then)."""
        return self._port.fileno()

    def poll(self, timeout_s: float) -> list[str]:
        """Texts that arrive within `timeout_s`, at once when there are any; an empty list after it or after `wake`."""
        until_s = self._now_s() + timeout_s
        while not self._port.is_closed:
            now_s = self._now_s()
            self._port.connect_if_due()
            refusals_before = self._refused
            texts = self._sort(self._splitter.tick(now_s))
            is_told = bool(texts) or self._refused > refusals_before  # by the pause: nothing more is waited for
            left_s = 0.0 if is_told else max(0.0, until_s - now_s)
            woken, readable = self._port.wait(self._wait_s(left_s, now_s))
            if readable:
                texts += self._read()
            if texts or woken or self._refused > refusals_before or self._now_s() >= until_s:
                return texts
        return []

    def take_refusals(self) -> list[Refusal]:
        """Refusals since the last call, oldest first: bad lines, and each loss of the port once."""
        taken = list(self._refusals)
        self._refusals.clear()
        return taken

    def wake(self) -> None:
        """Make a `poll` in another thread return now."""
        self._port.wake()

    def close(self) -> None:
        """Close the port for good. Call it from the polling thread, after `wake` if need be."""
        self._port.close()

    def health(self) -> ScannerHealth:
        """The state now, for screens and `diagnose`."""
        return ScannerHealth(
            path=self._settings.path,
            connected=self._port.is_open,
            last_error=self._port.last_error,
            texts=self._texts,
            refused=self._refused,
            refusals_dropped=self._dropped,
            received_bytes=self._port.received_bytes,
            connects=self._port.connects,
        )

    def _wait_s(self, left_s: float, now_s: float) -> float:
        if not self._splitter.is_idle:
            left_s = min(left_s, self._splitter.pause_left_s(now_s))
        return left_s

    def _read(self) -> list[str]:
        received = self._port.read()
        if received is None:
            texts = self._sort(self._splitter.drop())
            self._port.tell_lost()
            return texts
        return self._sort(self._splitter.push(received, self._now_s()))

    def _sort(self, items: Iterable[str | Refusal]) -> list[str]:
        texts: list[str] = []
        for item in items:
            if isinstance(item, str):
                texts.append(item)
            else:
                self._refuse(item)
        self._texts += len(texts)
        return texts

    def _refuse(self, refusal: Refusal) -> None:
        self._refused += 1
        if len(self._refusals) < REFUSALS_MAX:
            self._refusals.append(refusal)
        else:
            self._dropped += 1
