"""A card on the desk: the honest chip's arithmetic alone, without APDUs; a tap can be torn before or after it paid."""

from dataclasses import dataclass, field

from offline_ledger.protocol import cose, device, wallet
from offline_ledger.protocol.device import PaymentRequest
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Payment
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.card_desk import CardOffer
from offline_ledger.terminal.outcome import Counter, Outcome
from tests.terminal.desk import AAD, DeskWallet


def request_in(raw: bytes) -> PaymentRequest:
    """What a signed request says."""
    signed = cose.parse_sign1(raw, AAD[Kind.PAYMENT_REQUEST])
    return device.PAYMENT_REQUEST.decode(signed.payload, OBJECT_BYTES_MAX)


@dataclass
class DeskCard:
    """One chip: n, S and the last signed bytes change together."""

    held: DeskWallet
    last_request: bytes | None = None
    last_payment: bytes | None = None
    paid: list[bytes] = field(default_factory=list[bytes])

    @property
    def offer(self) -> CardOffer:
        return CardOffer(self.held.allowance.raw, self.last_payment)

    def pay(self, request: bytes) -> bytes:
        """As `docs/card.md` has it: the same request again is answered with the same bytes."""
        if request == self.last_request:
            assert self.last_payment is not None
            return self.last_payment
        self.held.next(request_in(request).amount_kgo)
        self.last_request, self.last_payment = request, self.sign(request)
        self.paid.append(self.last_payment)
        return self.last_payment

    def sign(self, request: bytes, **changes: object) -> bytes:
        """A payment as its counter stands, or with something else in it."""
        held, asked = self.held, request_in(request)
        identity = cose.parse_sign1(request, AAD[Kind.PAYMENT_REQUEST]).identity
        says = Payment(held.allowance.identity, held.n, held.sum_kgo, identity, asked.amount_kgo, asked.at_s)
        says = says._replace(**changes)
        return cose.sign1(wallet.PAYMENT.encode(says), AAD[Kind.PAYMENT], held.key.key_id, held.key.sign).raw


def tap(acceptor: Acceptor, card: DeskCard, door: Counter, *, is_shown: bool = True) -> Outcome:
    """One whole tap."""
    step = acceptor.ask(card.offer, door)
    outcome = step.outcome
    if outcome is None:
        assert step.request is not None
        outcome = acceptor.answer(card.offer, card.pay(step.request), door)
    if is_shown:
        acceptor.shown(outcome)
    return outcome
