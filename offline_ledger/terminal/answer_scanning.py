"""Scanning the city's answer, code by code, with the device's own scanner or camera. DESIGN §4, §8.

Codes typed or pasted into this window count too, as a scanner does that is a keyboard. Any order, any number of times;
what is no part of this answer is told and passed over. Keeps nothing until all of it is there.
"""

import signal
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Thread

from offline_ledger.errors import AnswerIncomplete, Refusal
from offline_ledger.protocol.answer import AnswerParts
from offline_ledger.protocol.qr import QR_CHARACTERS_MAX
from offline_ledger.terminal.program import Place
from offline_ledger.terminal.readers import Reader, open_readers
from offline_ledger.terminal.scan_loop import CodeSource, ScanLoop
from offline_ledger.texts import Texts

QUIET_S_MAX = 300.0
"""Nobody scans any more: the command ends, and may be given again."""
SHOWN_MISSING_MAX = 12


def scan_answer(place: Place, key_id: bytes, texts: Texts) -> bytes:
    """The whole answer. Raises AnswerIncomplete: nothing came for long, the input ended, or somebody stopped it."""
    return _Scanning(AnswerParts(key_id), texts).run(open_readers(place))


class _Scanning:
    """One answer's."""

    def __init__(self, parts: AnswerParts, texts: Texts, now_s: Callable[[], float] = time.monotonic) -> None:
        self._parts, self._texts, self._now_s = parts, texts, now_s
        self._last_s = now_s()
        self._body: bytes | None = None
        self._loop = ScanLoop(self._on_code, self._on_refusal, self._on_tick)

    def run(self, readers: Sequence[Reader]) -> bytes:
        """Until all of it is there, or a signal ends it."""
        with _ended_by_signals(self._loop.stop):
            self._say("terminal.scan.begin")
            Thread(target=self._read_lines, args=(not readers,), name="typed", daemon=True).start()
            self._loop.run(readers, _nothing)
        if self._body is None:
            raise self._incomplete()
        return self._body

    def _incomplete(self) -> AnswerIncomplete:
        missing = " ".join(map(str, self._parts.missing[:SHOWN_MISSING_MAX]))
        return AnswerIncomplete(f"missing {missing}" if missing else "no part was scanned")

    def _on_code(self, text: str) -> None:
        self._last_s = self._now_s()
        try:
            number = self._parts.add(text)
            missing, count = self._parts.missing, self._parts.count
            left = " ".join(map(str, missing[:SHOWN_MISSING_MAX])) or "-"
            self._say("terminal.scan.part", number=number, have=count - len(missing), count=count, missing=left)
            self._body = self._parts.whole()
        except Refusal as refusal:
            self._tell(refusal)
        if self._body is not None:
            self._loop.stop()

    def _on_refusal(self, _source: CodeSource, refusal: Refusal) -> None:
        self._tell(refusal)

    def _on_tick(self) -> None:
        if self._now_s() - self._last_s > QUIET_S_MAX:
            self._loop.stop()

    def _read_lines(self, is_all: bool) -> None:
        """`is_all`: there is no other reader, so the end of the input is the end."""
        if sys.stdin is not None:
            while line := sys.stdin.readline(QR_CHARACTERS_MAX + 2):
                if text := line.strip():
                    self._loop.do(partial(self._on_code, text))
        if is_all:
            self._loop.do(self._loop.stop)

    def _say(self, key: str, **values: object) -> None:
        sys.stderr.write(self._texts.get(key, **values) + "\n")
        sys.stderr.flush()

    def _tell(self, refusal: Refusal) -> None:
        sys.stderr.write(f"{refusal.number} {self._texts.title(refusal)} ({self._texts.detail(refusal)})\n")
        sys.stderr.flush()


@contextmanager
def _ended_by_signals(stop: Callable[[], None]) -> Generator[None]:
    """No KeyboardInterrupt: one that comes within a callback or a `finally` is lost, or ends it halfway; and whoever
    starts this in the background has SIGINT ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda _number, _frame: stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing() -> None:
    pass
