"""The deciding side of a card's tap: the card's thread asks, the deciding thread judges in its turn. DESIGN §5.

Implements `card_desk.CardDesk`. The deciding thread never waits for a card; a card waits for its turn, and no longer
than somebody holds it there.
"""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

from offline_ledger.errors import Refusal
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.card_desk import CardOffer
from offline_ledger.terminal.outcome import Counter, Light, Outcome

TURN_S_MAX = 10.0
"""A disk that takes longer is a failing one; the tap is over for its customer, and the next one finds what it left."""
STOPPED_S = 0.25
"""How soon a tap that waits for its turn finds out that the program ends."""
T = TypeVar("T")
Judge = Callable[[Counter], Outcome]


class CardTaps:
    """One terminal's."""

    def __init__(
        self,
        acceptor: Acceptor,
        do: Callable[[Callable[[], None]], None],
        decide: Callable[[Judge], Outcome | None],
        failed: Callable[[Refusal], None],
    ) -> None:
        """`do`: have the deciding thread do something. On that thread, `decide` judges at its counter and shows the
        light, unless there is none to show; `failed` shows a tap that came to nothing."""
        self._acceptor, self._do, self._decide, self._failed = acceptor, do, decide, failed
        self._stopping = Event()

    def stop(self) -> None:
        """No tap has its turn any more."""
        self._stopping.set()

    def offered(self, offer: CardOffer) -> bytes | None:
        """The request to put to the card; None: a light is shown, leave the card."""
        return self._in_turn(lambda: self._ask(offer))

    def answered(self, offer: CardOffer, payment: bytes) -> None:
        """The card's payment."""
        self._in_turn(lambda: self._decide(lambda counter: self._acceptor.answer(offer, payment, counter)))

    def declined(self, offer: CardOffer, refusal: Refusal) -> None:
        """The card said no."""
        self._in_turn(lambda: self._decide(lambda _counter: self._acceptor.not_paid(offer, refusal)))

    def failed(self, refusal: Refusal) -> None:
        """No payment came."""
        self._in_turn(lambda: self._failed(refusal))

    def _ask(self, offer: CardOffer) -> bytes | None:
        request: bytes | None = None

        def judge(counter: Counter) -> Outcome:
            nonlocal request
            step = self._acceptor.ask(offer, counter)
            request = step.request
            return step.outcome or ASKED

        self._decide(judge)
        return request

    def _in_turn(self, job: Callable[[], T]) -> T | None:
        """What the job gave; None when its turn did not come: the program ends, or hangs on a disk."""
        given: list[T] = []
        done = Event()

        def turn() -> None:
            try:
                given.append(job())
            finally:
                done.set()

        self._do(turn)
        until_s = monotonic() + TURN_S_MAX
        while not done.wait(STOPPED_S) and not self._stopping.is_set() and monotonic() < until_s:
            pass
        return given[0] if given else None


ASKED = Outcome(Light.WAIT)
"""No light yet: the card is asked, and its answer has one."""
