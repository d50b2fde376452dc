"""The deciding side of a card's tap: the card's thread asks, the deciding thread judges in its turn. DESIGN §5.

Implements `card_desk.CardDesk`. The deciding thread never waits for a card; a card waits for its turn, and no longer
than somebody holds it there.
"""

from collections.abc import Callable

from offline_ledger.errors import Refusal
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.card_desk import CardOffer
from offline_ledger.terminal.outcome import Counter, Light, Outcome
from offline_ledger.terminal.turns import Turns

Judge = Callable[[Counter], Outcome]


class CardTaps:
    """One terminal's."""

    def __init__(
        self,
        acceptor: Acceptor,
        turns: Turns,
        decide: Callable[[Judge], Outcome | None],
        failed: Callable[[Refusal], None],
    ) -> None:
        """On the deciding thread, `decide` judges at its counter and shows the
        light, unless there is none to show; `failed` shows a tap that came to nothing."""
        self._acceptor, self._turns, self._decide, self._failed = acceptor, turns, decide, failed

    def offered(self, offer: CardOffer) -> bytes | None:
        """The request to put to the card; None: a light is shown, leave the card."""
        return self._turns.take(lambda: self._ask(offer))

    def answered(self, offer: CardOffer, payment: bytes) -> None:
        """The card's payment."""
        self._turns.take(lambda: self._decide(lambda counter: self._acceptor.answer(offer, payment, counter)))

    def declined(self, offer: CardOffer, refusal: Refusal) -> None:
        """The card said no."""
        self._turns.take(lambda: self._decide(lambda _counter: self._acceptor.not_paid(offer, refusal)))

    def failed(self, refusal: Refusal) -> None:
        """No payment came."""
        self._turns.take(lambda: self._failed(refusal))

    def _ask(self, offer: CardOffer) -> bytes | None:
        request: bytes | None = None

        def judge(counter: Counter) -> Outcome:
            nonlocal request
            step = self._acceptor.ask(offer, counter)
            request = step.request
            return step.outcome or ASKED

        self._decide(judge)
        return request


ASKED = Outcome(Light.WAIT)
"""No light yet: the card is asked, and its answer has one."""
