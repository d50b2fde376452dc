"""The deciding side of a card's tap: the card's thread asks, the deciding thread judges in its turn. DESIGN §5.

Implements `card_desk.CardDesk`. The deciding thread never waits for a card; a card waits for its turn, and no longer
than somebody holds it there.
"""

from collections.abc import Callable

from offline_ledger.errors import Refusal
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.card_desk import CardOffer
from offline_ledger.terminal.card_proof import CardGate, CardProofs, Challenged
from offline_ledger.terminal.outcome import Counter, Light, Outcome
from offline_ledger.terminal.turns import Turns

Judge = Callable[[Counter], Outcome]
CHALLENGED_MAX = 8
"""Cards that were challenged and have not answered; more than lie on one bus's readers."""


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
        self._proofs: CardProofs | None = None
        self._gate: CardGate | None = None
        self._challenged: dict[bytes, Challenged] = {}
        """By the allowance that was read: an answer is to what was put to this card, whatever was put to another."""

    def with_gate(self, gate: CardGate, proofs: CardProofs) -> None:
        """From now on a card may be wanted for something else than paying."""
        self._gate, self._proofs = gate, proofs

    def offered(self, offer: CardOffer) -> bytes | None:
        """The request to put to the card, or a challenge; None: a light is shown, leave the card."""
        return self._turns.take(lambda: self._challenge(offer) or self._ask(offer))

    def answered(self, offer: CardOffer, payment: bytes) -> None:
        """The card's payment, or its answer to the challenge."""
        challenged = self._challenged.pop(offer.allowance, None)
        if challenged is not None:
            self._turns.take(lambda: self._proved(offer, challenged, payment))
            return
        self._turns.take(lambda: self._decide(lambda counter: self._acceptor.answer(offer, payment, counter)))

    def declined(self, offer: CardOffer, refusal: Refusal) -> None:
        """The card said no."""
        self._turns.take(lambda: self._decide(lambda _counter: self._acceptor.not_paid(offer, refusal)))

    def failed(self, refusal: Refusal) -> None:
        """No payment came."""
        self._turns.take(lambda: self._failed(refusal))

    def _challenge(self, offer: CardOffer) -> bytes | None:
        self._challenged.pop(offer.allowance, None)
        if self._gate is None or self._proofs is None:
            return None
        try:
            challenged = self._proofs.challenge(offer, self._gate)
        except Refusal:
            return None  # the door says what is wrong with it
        if challenged is None:
            return None
        while len(self._challenged) >= CHALLENGED_MAX:
            self._challenged.pop(next(iter(self._challenged)))
        self._challenged[offer.allowance] = challenged
        return challenged.payload

    def _proved(self, offer: CardOffer, challenged: Challenged, proof: bytes) -> None:
        assert self._gate is not None and self._proofs is not None
        try:
            self._proofs.check(offer, challenged, proof)
        except Refusal as refusal:
            self._failed(refusal)
        else:
            self._gate.proved(challenged.pass_id)

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
