"""Calls to a card, each with an end: PC/SC itself has none for a card that never answers. DESIGN §5.

A lane is one thread with a PC/SC context of its own. A call that takes too long is left behind with its thread, which
ends by itself when the card goes; the next card gets a new lane. Never decides anything.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from offline_ledger.terminal.drivers.card_pcsc import PcscCard, PcscContext, PcscError, Scard

_Answer = tuple[bool, Any]


class LaneStuck(Exception):
    """The card did not answer in time; the lane is of no more use."""


class CardLane:
    """One card at a time: `connect`, `transmit` …, `leave`. All raise PcscError and LaneStuck."""

    def __init__(self, scard: Scard, answer_s_max: float) -> None:
        self._scard = scard
        self._answer_s_max = answer_s_max
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._answers: SimpleQueue[_Answer] = SimpleQueue()
        self._context: PcscContext | None = None
        self._card: PcscCard | None = None
        self._thread = Thread(target=self._work, name="card-lane", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Does its thread still live? One that is stuck lives until its card goes."""
        return self._thread.is_alive()

    def connect(self, reader: str) -> None:
        """The card in this reader."""

        def job() -> None:
            if self._context is None:
                self._context = PcscContext(self._scard)
            self._card = self._context.connect(reader)

        self._do(job)

    def transmit(self, apdu: bytes) -> bytes:
        """One APDU."""

        def job() -> bytes:
            assert self._card is not None
            return self._card.transmit(apdu)

        return self._do(job)

    def leave(self) -> None:
        """Lets go of the card, if one is connected."""
        self._do(self._let_go)

    def end(self) -> None:
        """Lets go of everything, now or when the stuck call returns. Does not wait."""
        self._jobs.put(None)

    def _do(self, job: Callable[[], Any]) -> Any:
        self._jobs.put(job)
        try:
            is_good, found = self._answers.get(timeout=self._answer_s_max)
        except Empty:
            self.end()
            raise LaneStuck(f"no answer within {self._answer_s_max} s") from None
        if not is_good:
            raise found
        return found

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._answers.put((True, job()))
            except PcscError as error:  # handed to the thread that asked, which knows what it means
                self._answers.put((False, error))
        self._let_go()
        if self._context is not None:
            self._context.release()

    def _let_go(self) -> None:
        card, self._card = self._card, None
        if card is not None:
            card.disconnect()
