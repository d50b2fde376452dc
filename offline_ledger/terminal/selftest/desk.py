"""The technician's terminal: what is done and asked now, and what is typed in answer. DESIGN §6.

Lines in, lines out: over SSH, a serial console or a pipe alike. A QR code is drawn with blocks, two modules a letter.
"""

import os
import select
import sys
from collections import deque
from threading import Event, Lock, Thread
from typing import IO

from offline_ledger.terminal.selftest.plan import Result
from offline_ledger.terminal.selftest.report import line_of
from offline_ledger.terminal.selftest.turn import WORDS, Answer, Asked
from offline_ledger.texts import Texts

LOOK_S = 0.1
LINE_BYTES_MAX = 200
SAID_MAX = 16
QUIET_MODULES = 4
QR_CHARACTERS_MAX = 400
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


class Console:
    """A `turn.Board` of lines, and where results are told."""

    def __init__(self, texts: Texts, out: IO[str] | None = None) -> None:
        self._texts, self._out = texts, out or sys.stdout
        self._said = ""

    def show(self, asked: Asked) -> None:
        """One line with the step's id (`>` is done, `!` do it, `?` answer it); below it how to answer, or the code."""
        said = self._texts.get(asked.key, **asked.values)
        if said != self._said:
            self._said = said
            sign = "?" if asked.is_question else "!" if asked.is_wish else ">"
            self.tell(f"{sign} [{asked.id}] {said}")
            if asked.is_question:
                self.tell(f"    {self._texts.get('selftest.how')}")
        if asked.code:
            self.tell(blocks(asked.code))

    def hear(self, result: Result) -> None:
        """A verdict."""
        self._said = ""
        self.tell(line_of(result, self._texts))

    def tell(self, line: str) -> None:
        """As it is."""
        self._out.write(line + "\n")
        self._out.flush()


class Keyboard:
    """A `turn.AnswerSource`: whole lines that are typed; one that is no answer is told so and forgotten."""

    def __init__(self, console: Console, texts: Texts, descriptor: int) -> None:
        self._console, self._texts, self._descriptor = console, texts, descriptor
        self._lock = Lock()
        self._said: deque[Answer] = deque(maxlen=SAID_MAX)
        self._is_ending = Event()
        self.has_ended = Event()
        """Nobody will type any more: the input was closed."""
        self._thread = Thread(target=self._read, name="self-test keyboard", daemon=True)
        self._thread.start()

    def take(self) -> Answer | None:
        """The oldest that was not taken."""
        with self._lock:
            return self._said.popleft() if self._said else None

    def forget(self) -> None:
        """All but a wish to stop."""
        with self._lock:
            wants_end = Answer.STOP in self._said
            self._said.clear()
            if wants_end:
                self._said.append(Answer.STOP)

    def close(self) -> None:
        """Reads no more."""
        self._is_ending.set()
        self._thread.join(2 * LOOK_S)

    def _read(self) -> None:
        held = b""
        while not self._is_ending.is_set():
            if not select.select([self._descriptor], (), (), LOOK_S)[0]:
                continue
            try:
                found = os.read(self._descriptor, LINE_BYTES_MAX)
            except OSError:
                found = b""
            if not found:
                break
            *lines, held = (held + found).split(b"\n")
            held = held[-LINE_BYTES_MAX:]
            for line in lines:
                self._hear(line.decode("utf-8", "replace").strip().casefold())
        self.has_ended.set()

    def _hear(self, word: str) -> None:
        answer = WORDS.get(word)
        if answer is None:
            self._console.tell(f"    {self._texts.get('selftest.how')}")
            return
        with self._lock:
            self._said.append(answer)


def blocks(text: str) -> str:
    """A QR code as lines: light is drawn, for dark windows."""
    rows = [[not dark for dark in row] for row in modules(text)]
    rows += [[True] * len(rows[0])] * (len(rows) % 2)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join("".join(_HALVES[pair] for pair in zip(*two, strict=True)) for two in pairs)


def modules(text: str) -> list[list[bool]]:
    """The modules of a QR code with its quiet zone, True is dark; level M. ValueError when it is empty or too long."""
    if not 0 < len(text) <= QR_CHARACTERS_MAX:
        raise ValueError(f"a code of {len(text)} characters")
    from qrcode.constants import ERROR_CORRECT_M
    from qrcode.main import QRCode

    code = QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_MODULES)
    code.add_data(text)
    code.make(fit=True)
    return [[bool(dark) for dark in row] for row in code.get_matrix()]
