"""Driver of a keyboard-wedge scanner: its event node, grabbed, so that it never types into the page. DESIGN §3, §11.

The same port as the serial scanner's: `poll`, `take_refusals`, `wake`, `close`, `is_lost`, `health`. One poll waits for
key events, makes characters of them (`input_events.py`), cuts them into texts (`lines.py`) and opens the node again
when it was lost. It hands over whatever was scanned: KGO codes and the barcodes of goods alike.

A thread of its own must poll it: the kernel keeps 64 events for us, some sixteen keys, and then drops all it has.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from offline_ledger.errors import NotAKeyScanner, Refusal, ScanIncomplete, ScannerLost, WedgeIncomplete, WedgeKeysLost
from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.drivers.lines import LineSplitter
from offline_ledger.terminal.drivers.scanner import (
    BACK_OFF_FIRST_S,
    BACK_OFF_LAST_S,
    PAUSE_S,
    REFUSALS_MAX,
    ScannerHealth,
)
from offline_ledger.terminal.drivers.serial_port import Opening, SerialPort
from pos_app.drivers.event_node import Ioctl, NodeKind, NotEvents, kernel_ioctl, kind_of, open_node, refusal_for
from pos_app.drivers.input_events import LONG_BYTES, KeyReader

PREFIX = "wedge:"


class WedgeSettings(NamedTuple):
    """`path`: a stable `/dev/input/by-id/…-event-kbd`; `pause_s` without a key ends a text as cut short."""

    path: str
    pause_s: float = PAUSE_S
    long_bytes: int = LONG_BYTES
    back_off_first_s: float = BACK_OFF_FIRST_S
    back_off_last_s: float = BACK_OFF_LAST_S


def wedge_settings(port: str) -> WedgeSettings | None:
    """From `scanner.port` of the settings: `wedge:/dev/input/by-id/…`; None: not a wedge's."""
    return WedgeSettings(port.removeprefix(PREFIX)) if port.startswith(PREFIX) else None


class WedgeScanner:
    """A scanner that is a keyboard. Not for two threads, but for `wake`."""

    def __init__(
        self,
        settings: WedgeSettings,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        ioctl: Ioctl = kernel_ioctl,
        kind: Callable[[int], NodeKind] = kind_of,
    ) -> None:
        self._settings = settings
        self._now_s = monotonic_s
        self._splitter = LineSplitter(pause_s=settings.pause_s, pause_ends_line=False)
        self._keys = KeyReader(pause_s=settings.pause_s, long_bytes=settings.long_bytes)
        path = settings.path
        opening = Opening(partial(open_node, path, ioctl, kind), lambda error: refusal_for(error, path))
        back_off = BackOff(settings.back_off_first_s, settings.back_off_last_s)
        self._port = SerialPort(path, 0, back_off, monotonic_s, ScannerLost, self._refuse, opening)
        self._refusals: deque[Refusal] = deque()
        self._texts = self._refused = self._dropped = 0

    def open(self) -> bool:
        """Try to open and grab it now; False (and a refusal to take) if that fails. `poll` tries again."""
        self._port.connect()
        return self._port.is_open

    @property
    def is_lost(self) -> bool:
        """Its loss was told, and it is not back."""
        return self._port.is_lost

    def fileno(self) -> int | None:
        """The open node for a selector, or None while it is lost (then `poll` now and then)."""
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
        """Refusals since the last call, oldest first: cut or lost scans, and each loss of the device once."""
        taken = list(self._refusals)
        self._refusals.clear()
        return taken

    def wake(self) -> None:
        """Make a `poll` in another thread return now."""
        self._port.wake()

    def close(self) -> None:
        """Let the device go for good. Call it from the polling thread, after `wake` if need be."""
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
            return self._lost()
        texts: list[str] = []
        now_s = self._now_s()
        try:
            for chars in self._keys.push(received, now_s):
                if chars is None:
                    self._forget_line()
                    self._refuse(WedgeKeysLost("SYN_DROPPED"))
                elif chars:
                    texts += self._sort(self._splitter.push(chars, now_s))
        except NotAKeyScanner as error:
            self._port.lose(NotEvents(0, error.detail))  # opened anew, it begins at an event's first byte
            texts += self._lost()
        return texts

    def _lost(self) -> list[str]:
        texts = self._sort(self._splitter.drop())
        self._keys.reset()
        self._port.tell_lost()
        return texts

    def _forget_line(self) -> None:
        for _told_by_another_number in self._splitter.drop():
            pass

    def _sort(self, items: Iterable[str | Refusal]) -> list[str]:
        texts: list[str] = []
        for item in items:
            if isinstance(item, str):
                texts.append(item)
            elif isinstance(item, ScanIncomplete):
                self._refuse(WedgeIncomplete(item.detail))
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
