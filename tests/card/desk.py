"""A small desk for card tests: signs requests for a fixed fare, keeps its books, and knows what a card may do.

Its keys are TEST ONLY. It stands for the acceptor, so that the card's own promises are shown by themselves.
"""

from pathlib import Path
from random import Random
from threading import Event

from offline_ledger.errors import Refusal
from offline_ledger.protocol import cose, device, wallet
from offline_ledger.protocol.card import (
    CARD_CHALLENGE,
    CardChallenge,
    Ins,
    commands_for,
    get_response,
    select,
    split_answer,
)
from offline_ledger.protocol.card_info import tlv
from offline_ledger.protocol.device import PaymentRequest
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Allowance, Medium, Payment
from offline_ledger.terminal.card_desk import CardOffer
from simulators.card.applet import TAG_CITY, TAG_ISSUER, TAG_POINT, Applet
from simulators.card.loading import uncompressed
from simulators.card.purse import PurseFile
from simulators.keys import SimulatedKey

CITY = "TH-40"
NOW_S = 1_795_000_000
FARE_KGO = 5_000
ISSUER_TEST_ONLY = SimulatedKey(0x155)
DEVICE_TEST_ONLY = SimulatedKey(0xDE7)
AAD = {kind: cose.external_aad(kind, CITY) for kind in Kind}


def say(applet: Applet, ins: Ins, data: bytes = b"") -> tuple[bytes, int]:
    """One command by short APDUs, without a reader; the whole answer."""
    said = split_answer(b"\x90\x00")
    for apdu in commands_for(ins, data):
        said = split_answer(applet.answer(apdu))
    found = said.data
    while said.status >> 8 == 0x61:
        said = split_answer(applet.answer(get_response(said.status & 0xFF)))
        found += said.data
    return found, said.status


def initialising(*issuers: SimulatedKey, city: str = CITY) -> bytes:
    """The data of INITIALISE."""
    points = b"".join(tlv(TAG_ISSUER, uncompressed(key.point)) for key in issuers or (ISSUER_TEST_ONLY,))
    return tlv(TAG_CITY, city.encode()) + points


def allowance_for(
    point: bytes, reserve_kgo: int = 50_000, issuer: SimulatedKey = ISSUER_TEST_ONLY, **changes: int | str | bytes
) -> cose.Signed:
    """A signed allowance of a card."""
    made = Allowance(
        CITY, bytes.fromhex("c0ffee0000000001"), point, reserve_kgo, 10_000, 3_000, 0, Medium.CARD, NOW_S - 3_600,
        NOW_S + 170_000,
    )._replace(**changes)  # type: ignore[arg-type]  # fmt: skip
    return cose.sign1(wallet.ALLOWANCE.encode(made), AAD[Kind.ALLOWANCE], issuer.key_id, issuer.sign)


def new_card(folder: Path, seed: int = 1, reserve_kgo: int = 50_000, **options: int) -> Applet:
    """A card that is made ready and loaded, switched off."""
    folder.mkdir(parents=True, exist_ok=True)
    applet = Applet(PurseFile(folder / f"card-{seed}.json"), seed, **options)
    assert applet.answer(select())[-2:] == b"\x90\x00"
    data, status = say(applet, Ins.INITIALISE, initialising())
    assert status == 0x9000 and data[:2] == bytes((TAG_POINT, 33))
    assert say(applet, Ins.STORE_ALLOWANCE, allowance_for(data[2:], reserve_kgo).raw) == (b"", 0x9000)
    applet.reset()
    return applet


def request_for(pass_id: bytes, nonce: bytes, amount_kgo: int = FARE_KGO, at_s: int = NOW_S) -> cose.Signed:
    """A signed payment request."""
    said = PaymentRequest("bus-1", "OP-1", amount_kgo, 100, "T1", nonce, at_s, at_s + 300, pass_id)
    payload = device.PAYMENT_REQUEST.encode(said)
    return cose.sign1(payload, AAD[Kind.PAYMENT_REQUEST], DEVICE_TEST_ONLY.key_id, DEVICE_TEST_ONLY.sign)


def challenge_for(pass_id: bytes, nonce: bytes) -> bytes:
    """A challenge of this terminal."""
    return CARD_CHALLENGE.encode(CardChallenge(pass_id, "bus-1", nonce))


def read_allowance(raw: bytes) -> tuple[Allowance, cose.Signed]:
    """Parsed and verified."""
    signed = cose.parse_sign1(raw, AAD[Kind.ALLOWANCE])
    assert cose.is_signature_of(signed, cose.verify_key(ISSUER_TEST_ONLY.point))
    return wallet.ALLOWANCE.decode(signed.payload, OBJECT_BYTES_MAX), signed


def read_payment(raw: bytes, allowance: Allowance) -> Payment:
    """Parsed and verified."""
    signed = cose.parse_sign1(raw, AAD[Kind.PAYMENT])
    assert cose.is_signature_of(signed, cose.verify_key(allowance.wallet_point))
    return wallet.PAYMENT.decode(signed.payload, OBJECT_BYTES_MAX)


class BooksWrong(Exception):
    """A card broke a promise."""


class TestDesk:
    """One open request at a time, as a validator keeps it for a card that broke off; every payment is checked."""

    __test__ = False

    def __init__(self, seed: int = 0, amount_kgo: int = FARE_KGO) -> None:
        self._random = Random(seed)
        self.amount_kgo = amount_kgo
        self.open: cose.Signed | None = None
        self.paid: list[Payment] = []
        self.by_request: dict[bytes, bytes] = {}
        self.asks_again = False
        """Puts the open request to the card again and never looks at its last payment: the chip's own memory counts."""
        self.declined_with: list[Refusal] = []
        self.failed_with: list[Refusal] = []
        self.offers = 0
        self.heard = Event()
        self.proofs: list[bytes] = []
        self.challenges = False

    def __repr__(self) -> str:
        return f"paid {len(self.paid)}, open {self.open is not None}, declined {self.declined_with}, {self.failed_with}"

    def offered(self, offer: CardOffer) -> bytes | None:
        self.offers += 1
        allowance, _ = read_allowance(offer.allowance)
        if self.challenges:
            return challenge_for(allowance.pass_id, self._random.randbytes(16))
        if self.open is not None and offer.last_payment is not None and not self.asks_again:
            payment = read_payment(offer.last_payment, allowance)
            if payment.request_hash == self.open.identity:  # it paid, and its answer was torn
                self._take(offer, offer.last_payment)
                return None
        if self.open is None:
            self.open = request_for(allowance.pass_id, self._random.randbytes(16), self.amount_kgo)
        return self.open.raw

    def answered(self, offer: CardOffer, payment: bytes) -> None:
        if self.challenges:
            self.proofs.append(payment)
        else:
            self._take(offer, payment)
        self.heard.set()

    def declined(self, offer: CardOffer, refusal: Refusal) -> None:
        self.declined_with.append(refusal)
        self.heard.set()

    def failed(self, refusal: Refusal) -> None:
        self.failed_with.append(refusal)
        self.heard.set()

    def _take(self, offer: CardOffer, raw: bytes) -> None:
        """Each request is paid by one payment only; n rises; S holds all that was authorised before."""
        allowance, signed = read_allowance(offer.allowance)
        payment = read_payment(raw, allowance)
        assert self.open is not None
        if payment.request_hash != self.open.identity or payment.amount_kgo != self.amount_kgo:
            raise BooksWrong("another request")
        if payment.allowance_hash != signed.identity:
            raise BooksWrong("another allowance")
        if self.by_request.setdefault(payment.request_hash, raw) != raw:
            raise BooksWrong("two payments for one request")
        if self.paid:
            last = self.paid[-1]
            if payment.n <= last.n or payment.sum_kgo < last.sum_kgo + last.amount_kgo:
                raise BooksWrong(f"n {payment.n}, S {payment.sum_kgo} after {last}")
        if payment.sum_kgo + payment.amount_kgo > allowance.reserve_kgo:
            raise BooksWrong("above R")
        self.paid.append(payment)
        self.open = None
        self.heard.set()
