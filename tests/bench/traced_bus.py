"""The real `kgo-bus`, a few of its calls wrapped so that each leaves its time in a file. The program knows nothing.

    python -m tests.bench.traced_bus MARKS --settings bus.toml

A line of MARKS is a name, its begin and its end, in ns of the machine's monotonic clock, which every process on it
reads alike. A mark costs some 3 µs: a tap has about twenty.
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from threading import get_ident
from time import perf_counter_ns
from typing import Any, NamedTuple

from bus_validator.drivers.screen import Screen
from bus_validator.face import FaceState
from bus_validator.validator import run
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.drivers.card import CardReader
from offline_ledger.terminal.drivers.card_lane import CardLane
from offline_ledger.terminal.drivers.head import ReaderHead
from offline_ledger.terminal.drivers.head_lamp import HeadLight
from offline_ledger.terminal.evidence import EvidenceReader
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.lights import GREEN, Lights
from offline_ledger.terminal.outcome import Outcome

GREEN_FACES = (FaceState.ACCEPTED, FaceState.ACCEPTED_CASH_DUE)
MARKS_BYTES_MAX = 64 * 1_048_576
DECODE, COMMIT, LANE = "decode", "commit", "lane"
TEXT, SERVE, DECIDE, SHOW, LIT, PICTURE = "text", "serve", "decide", "show", "lit", "picture"
"""A text left the head's driver; a card's conversation; the acceptor's call; a green goes to the head; the deciding
thread knows that it is on; a picture of a green is on the screen."""


class Mark(NamedTuple):
    """One call."""

    name: str
    begun_ns: int
    ended_ns: int


def read_marks(file: Path) -> list[Mark]:
    """In the order of their ends."""
    found = (line.split() for line in file.read_text().splitlines())
    return [Mark(name, int(begun), int(ended)) for name, begun, ended in found]


class Marks:
    """Where they are written; each is out at once, so that a killed program leaves all of them."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND, 0o600)
        self._deep: set[tuple[str, int]] = set()
        self._left_bytes = MARKS_BYTES_MAX

    def wrap(self, owner: type, method: str, name: str, is_wanted: Callable[..., bool] = lambda *_: True) -> None:
        """From now on the outermost call of this name leaves a mark, if its result and arguments are wanted."""
        plain: Callable[..., Any] = getattr(owner, method)

        @wraps(plain)
        def marked(*given: Any, **named: Any) -> Any:
            inside = name, get_ident()
            if inside in self._deep:
                return plain(*given, **named)
            self._deep.add(inside)
            begun_ns = perf_counter_ns()
            try:
                found = plain(*given, **named)
            finally:
                self._deep.discard(inside)
            ended_ns = perf_counter_ns()
            if is_wanted(found, *given):
                self._write(f"{name} {begun_ns} {ended_ns}\n".encode())
            return found

        setattr(owner, method, marked)

    def _write(self, line: bytes) -> None:
        self._left_bytes -= len(line)
        if self._left_bytes >= 0:
            os.write(self._file, line)


def trace(marks: Marks) -> None:
    """Wraps what a tap passes through."""
    marks.wrap(ReaderHead, "poll", TEXT, lambda texts, *_: bool(texts))
    marks.wrap(CardReader, "_serve", SERVE)
    for method in ("connect", "transmit"):
        marks.wrap(CardLane, method, LANE)
    for method in ("accept", "ask", "answer"):
        marks.wrap(Acceptor, method, DECIDE)
    for method in ("read", "read_allowance", "read_objects"):
        marks.wrap(EvidenceReader, method, DECODE)
    for method in ("append", "open_request"):
        marks.wrap(Journal, method, COMMIT)
    marks.wrap(HeadLight, "show", SHOW, lambda _seen, _light, light, *_: light in GREEN)
    marks.wrap(
        Lights, "_is_lit", LIT, lambda *given: any(isinstance(one, Outcome) and one.light in GREEN for one in given)
    )
    marks.wrap(Screen, "_put", PICTURE, lambda _none, _screen, face, *_: face.state in GREEN_FACES)


if __name__ == "__main__":
    trace(Marks(Path(sys.argv[1])))
    sys.exit(run(sys.argv[2:]))
