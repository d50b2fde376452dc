"""One step's turn: what it may say, show and wait for, and how a technician breaks in. DESIGN §6.

Answers come from the keyboard, the head's buttons or a page, whichever is first. A wait always ends: by what was waited
for, by its time, or by the technician. Decides no verdict.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from offline_ledger.texts import Texts

LOOK_S = 0.02
AGAIN_MAX = 20
"""So often a pattern is shown anew; a technician who needs more leaves the step out."""


class Answer(StrEnum):
    """What a technician says."""

    YES = "yes"
    NO = "no"
    AGAIN = "again"
    SKIP = "skip"
    STOP = "stop"


WORDS: Mapping[str, Answer] = {
    word: answer
    for answer, words in {
        Answer.YES: ("y", "yes", "1", "๑", "ใช่", "ช", "ั"),
        Answer.NO: ("n", "no", "2", "๒", "ไม่", "ไม่ใช่", "ม", "ื"),
        Answer.AGAIN: ("a", "again", "อีก", "อีกครั้ง", "ฟ"),
        Answer.SKIP: ("s", "skip", "ข้าม", "ห"),
        Answer.STOP: ("q", "quit", "stop", "หยุด", "เลิก", "ๆ"),
    }.items()
    for word in words
}
"""As typed; the last of each is what its key gives while the keyboard is Thai."""


class AnswerSource(Protocol):
    """Where answers come from: keyboard, buttons, page."""

    def take(self) -> Answer | None:
        """One that came since the last call; never waits."""
        ...

    def forget(self) -> None:
        """What was said before a question is no answer to it."""
        ...


class Asked(NamedTuple):
    """What stands on every screen while a step is at hand. Texts by their keys; `values` fill them."""

    id: str
    key: str
    values: Mapping[str, str] = {}
    is_question: bool = False
    is_wish: bool = False
    """Somebody is to do something now."""
    code: str = ""
    """A QR text to be shown beside."""


class Board(Protocol):
    """What shows a step to people: the technician's terminal, the device's own screen."""

    def show(self, asked: Asked) -> None:
        """Until the next one."""
        ...


class LeftOut(Exception):
    """The technician goes on without this step."""


class Withheld(Exception):
    """What was to be shown may not be shown now."""


class Stopped(Exception):
    """The technician ends the self-test."""


class Times(NamedTuple):
    """How long things may take, in seconds."""

    ask_s: float = 120.0
    hand_s: float = 45.0
    """For somebody to press, hold or open something."""
    light_s: float = 2.0
    """For a light to be confirmed: its frame needs a millisecond."""
    look_s: float = 2.0
    """So long a pattern stands before it is asked about."""
    fix_s: float = 90.0
    sentence_s: float = 5.0
    disk_s: float = 20.0
    dns_s: float = 10.0
    sync_s: float = 120.0
    fill_s: float = 1.2


class Turn:
    """What a step is handed."""

    def __init__(
        self,
        texts: Texts,
        boards: Sequence[Board],
        sources: Sequence[AnswerSource],
        times: Times | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.texts, self.boards, self.sources = texts, list(boards), list(sources)
        self.times = times or Times()
        self.now_s = now_s
        self.is_deserted: Callable[[], bool] = lambda: False
        """Nobody sits at the terminal any more: no question waits."""

    def show(self, asked: Asked) -> None:
        """To everybody who can look; what was answered before is forgotten."""
        for source in self.sources:
            source.forget()
        for board in self.boards:
            board.show(asked)

    def heard(self) -> Answer | None:
        """The newest answer of anybody."""
        for source in self.sources:
            if (answer := source.take()) is not None:
                return answer
        return None

    def wait(self, is_so: Callable[[], bool], wait_s: float) -> bool:
        """Whether it became so in time. Raises LeftOut, Stopped."""
        until_s = self.now_s() + wait_s
        while not is_so():
            self._break_in(self.heard())
            if self.now_s() >= until_s:
                return is_so()
            time.sleep(LOOK_S)
        return True

    def look(self) -> None:
        """Between two things that take long: does the technician want something? Raises LeftOut, Stopped."""
        self._break_in(self.heard())

    def rest(self, wait_s: float) -> None:
        """Lets time pass. Raises LeftOut, Stopped."""
        self.wait(lambda: False, wait_s)

    def answer(self, wait_s: float, is_over: Callable[[], bool]) -> Answer | None:
        """The technician's; None: none came in time, nobody is there, or what was asked about is gone."""
        until_s = self.now_s() + wait_s
        while self.now_s() < until_s and not is_over():
            is_last = self.is_deserted()  # before the look: what was typed last still counts
            if (answer := self.heard()) is not None or is_last:
                return answer
            time.sleep(LOOK_S)
        return None

    def _break_in(self, answer: Answer | None) -> None:
        """A yes or a no is not asked for here: a finger that slips on a button says nothing."""
        if answer is Answer.SKIP:
            raise LeftOut
        if answer is Answer.STOP:
            raise Stopped
