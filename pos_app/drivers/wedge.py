"""Driver of a keyboard-wedge scanner: its event node, grabbed, so that it never types into the page. DESIGN §3, §11.

A line scanner as the serial one is, on another port: of its key events it makes characters (`input_events.py`). It
hands over whatever was scanned: KGO codes and the barcodes of goods alike.

A thread of its own must poll it: the kernel keeps 64 events for us, some sixteen keys, and then drops all it has.
"""

import time
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
    LineScanner,
)
from offline_ledger.terminal.drivers.serial_port import Opening, SerialPort
from offline_ledger.terminal.drivers.untaken import Scans
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


class WedgeScanner(LineScanner):
    """A scanner that is a keyboard. Not for two threads, but for `wake`."""

    def __init__(
        self,
        settings: WedgeSettings,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        ioctl: Ioctl = kernel_ioctl,
        kind: Callable[[int], NodeKind] = kind_of,
    ) -> None:
        splitter = LineSplitter(pause_s=settings.pause_s, pause_ends_line=False)
        self._keys = KeyReader(pause_s=settings.pause_s, long_bytes=settings.long_bytes)
        path = settings.path
        opening = Opening(partial(open_node, path, ioctl, kind), lambda error: refusal_for(error, path))
        back_off = BackOff(settings.back_off_first_s, settings.back_off_last_s)
        scans = Scans(REFUSALS_MAX)
        port = SerialPort(path, 0, back_off, monotonic_s, ScannerLost, scans.refuse, opening)
        super().__init__(port, scans, splitter, monotonic_s)

    def _take_in(self, received: bytes) -> list[str]:
        texts: list[str] = []
        now_s = self._now_s()
        try:
            for chars in self._keys.push(received, now_s):
                if chars is None:
                    self._forget_line()
                    self._scans.refuse(WedgeKeysLost("SYN_DROPPED"))
                elif chars:
                    texts += self._sort(self._splitter.push(chars, now_s))
        except NotAKeyScanner as error:
            self._port.lose(NotEvents(0, error.detail))  # opened anew, it begins at an event's first byte
            self._tell_lost()
        return texts

    def _cut_off(self) -> None:
        super()._cut_off()
        self._keys.reset()

    def _forget_line(self) -> None:
        for _told_by_another_number in self._splitter.drop():
            pass

    def _sort(self, items: Iterable[str | Refusal]) -> list[str]:
        own = (WedgeIncomplete(item.detail) if isinstance(item, ScanIncomplete) else item for item in items)
        return super()._sort(own)
