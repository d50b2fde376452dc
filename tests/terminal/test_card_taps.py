"""A card's tap between its two threads: what was put to which card, and what its answer counts for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger import errors
from offline_ledger.errors import CardPurseTooSmall, CardTorn, Refusal, TripNotSet
from offline_ledger.protocol import cose
from offline_ledger.protocol.card import CARD_CHALLENGE
from offline_ledger.protocol.kinds import Kind
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.card_desk import CardOffer
from offline_ledger.terminal.card_proof import CardProofs
from offline_ledger.terminal.card_taps import ASKED, CHALLENGED_MAX, CardTaps, Judge
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.turns import Turns
from tests.terminal.desk import AAD, CITY, NOW_S, DeskConditions, FlatBus, acceptor_on, issue, open_journal
from tests.terminal.desk_card import DeskCard

GREEN = Light.ACCEPTED_CASH_DUE


class Door:
    """A bus with one reader or more, whose deciding thread judges at once; drivers' cards are named."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.conditions = journal, DeskConditions()
        self.acceptor: Acceptor = acceptor_on(journal, self.conditions)
        self.closed: Refusal | None = None
        self.is_over = False
        self.drivers: set[bytes] = set()
        self.happened: list[object] = []
        self.taps = CardTaps(self.acceptor, Turns(self._do, lambda: self.is_over), self._decide, self._failed)

    def with_gate(self) -> None:
        self.taps.with_gate(self, CardProofs(self.acceptor, CITY, "bus-1", Random(5).randbytes))

    def _do(self, job: Callable[[], None]) -> None:
        if not self.is_over:
            job()

    def _decide(self, judge: Judge) -> Outcome | None:
        if self.closed is not None:
            self.happened.append(("closed", self.closed.key))
            return None
        outcome = judge(FlatBus())
        if outcome is not ASKED:
            self.acceptor.shown(outcome)
            self.happened.append((outcome.light, None if outcome.refusal is None else outcome.refusal.key))
        return outcome

    def _failed(self, refusal: Refusal) -> None:
        self.happened.append(("failed", refusal.key))

    def wants(self, pass_id: bytes) -> bool:
        return pass_id in self.drivers

    def proved(self, pass_id: bytes) -> None:
        self.happened.append(("proved", pass_id))

    def driver(self, secret: int) -> DeskCard:
        self.drivers.add(secret.to_bytes(8, "big"))
        return DeskCard(issue(secret))

    def tap(self, card: DeskCard) -> None:
        """A whole one."""
        offer = card.offer
        asked = self.taps.offered(offer)
        if asked is not None:
            self.taps.answered(offer, answer_of(card, asked))

    @property
    def vouchers(self) -> int:
        return self.journal.tail.sequence


def answer_of(card: DeskCard, asked: bytes) -> bytes:
    """As a chip answers: it pays a request, and signs a challenge as one."""
    return card.pay(asked) if asked[:1] == b"\xd2" else proof_of(card, asked)


def proof_of(card: DeskCard, challenge: bytes, kind: Kind = Kind.CARD_CHALLENGE) -> bytes:
    key = card.held.key
    return cose.sign1(challenge, AAD[kind], key.key_id, key.sign).raw


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with open_journal(tmp_path) as journal:
        made = Door(journal)
        made.with_gate()
        yield made


def test_a_passenger_is_asked_to_pay_and_a_driver_to_prove(door: Door) -> None:
    door.tap(DeskCard(issue(7)))
    assert door.happened == [(GREEN, None)] and door.vouchers == 1
    door.tap(door.driver(8))
    assert door.happened[1:] == [("proved", (8).to_bytes(8, "big"))] and door.vouchers == 1


def test_without_a_gate_a_drivers_card_pays(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        door = Door(journal)
        door.tap(door.driver(8))
        assert door.happened == [(GREEN, None)]


def test_a_challenge_is_fresh_each_time_and_names_this_card_and_terminal(door: Door) -> None:
    card = door.driver(8)
    made = [door.taps.offered(card.offer) for _ in range(3)]
    assert len(set(made)) == 3
    for one in made:
        assert one is not None
        said = CARD_CHALLENGE.decode(one, 1_024)
        assert (said.pass_id, said.device) == ((8).to_bytes(8, "big"), "bus-1")


def test_an_answer_to_an_earlier_challenge_proves_nothing(door: Door) -> None:
    card = door.driver(8)
    first = door.taps.offered(card.offer)
    second = door.taps.offered(card.offer)
    assert first is not None and second is not None
    door.taps.answered(card.offer, proof_of(card, first))
    assert door.happened == [("failed", "allowance_mismatch")]
    door.taps.answered(card.offer, proof_of(card, second))
    assert ("proved", (8).to_bytes(8, "big")) not in door.happened, "it had its one answer"


@pytest.mark.parametrize(
    ("forge", "key"),
    [
        (lambda _door, card, said: proof_of(card, said, Kind.PAYMENT), "wallet_signature_wrong"),
        (lambda _door, card, said: proof_of(DeskCard(issue(66)), said), "wallet_signature_wrong"),
        (lambda _door, card, said: proof_of(card, said[:-1] + bytes([said[-1] ^ 1])), "allowance_mismatch"),
        (lambda _door, card, said: said, None),
        (lambda _door, card, said: b"", None),
        (lambda _door, card, said: bytes(2_000), None),
        (lambda door, card, said: card.pay(a_request(door, card)), "allowance_mismatch"),
    ],
    ids=["as a payment", "another chip", "another nonce", "the challenge itself", "nothing", "long", "a payment"],
)
def test_what_is_no_proof_signs_nobody_on_and_pays_nothing(
    door: Door, forge: Callable[[Door, DeskCard, bytes], bytes], key: str | None
) -> None:
    card = door.driver(8)
    asked = door.taps.offered(card.offer)
    assert asked is not None
    vouchers = door.vouchers
    door.taps.answered(card.offer, forge(door, card, asked))
    assert len(door.happened) == 1 and door.vouchers == vouchers
    (said,) = door.happened
    assert isinstance(said, tuple) and said[0] == "failed" and key in (None, said[1])


def a_request(door: Door, card: DeskCard) -> bytes:
    """One that this door made for it beside the gate."""
    request = door.acceptor.ask(card.offer, FlatBus()).request
    assert request is not None
    return request


def test_a_proof_pays_no_request(door: Door) -> None:
    card = DeskCard(issue(7))
    asked = door.taps.offered(card.offer)
    assert asked is not None
    door.taps.answered(card.offer, proof_of(card, asked))
    assert [one[0] for one in door.happened if isinstance(one, tuple)] == [Light.REFUSED]
    assert door.vouchers == 0 and door.journal.open_requests(), "it may still be paid"
    door.tap(card)
    assert door.happened[-1] == (GREEN, None)


def test_two_taps_that_cross_keep_their_own(door: Door) -> None:
    """Two readers: a driver's and a passenger's card, each asked before either answers."""
    passenger, driver = DeskCard(issue(7)), door.driver(8)
    paying, proving = passenger.offer, driver.offer
    request, challenge = door.taps.offered(paying), door.taps.offered(proving)
    assert request is not None and challenge is not None
    door.taps.answered(paying, passenger.pay(request))
    door.taps.answered(proving, proof_of(driver, challenge))
    assert door.happened == [(GREEN, None), ("proved", (8).to_bytes(8, "big"))]
    other = DeskCard(issue(9))
    challenge, request = door.taps.offered(driver.offer), door.taps.offered(other.offer)
    assert request is not None and challenge is not None
    door.taps.answered(driver.offer, proof_of(driver, challenge))
    door.taps.answered(other.offer, other.pay(request))
    assert door.happened[2:] == [("proved", (8).to_bytes(8, "big")), (GREEN, None)]


def test_a_card_that_was_torn_at_its_challenge_pays_when_it_is_no_drivers_any_more(door: Door) -> None:
    card = door.driver(8)
    assert door.taps.offered(card.offer) is not None
    door.taps.failed(CardTorn("gone"))
    door.drivers.clear()
    door.tap(card)
    assert door.happened == [("failed", "card_torn"), (GREEN, None)]


def test_of_too_many_challenges_the_oldest_is_forgotten(door: Door) -> None:
    cards = [door.driver(100 + number) for number in range(CHALLENGED_MAX + 1)]
    asked = [door.taps.offered(card.offer) for card in cards]
    for card, challenge in zip(cards, asked, strict=True):
        assert challenge is not None
        door.taps.answered(card.offer, proof_of(card, challenge))
    proved = [one for one in door.happened if isinstance(one, tuple) and one[0] == "proved"]
    assert len(proved) == CHALLENGED_MAX and door.vouchers == 0


def test_a_closed_door_asks_for_no_payment_but_lets_a_driver_sign_on(door: Door) -> None:
    door.closed = TripNotSet()
    assert door.taps.offered(DeskCard(issue(7)).offer) is None
    assert door.happened == [("closed", "trip_not_set")]
    door.tap(door.driver(8))
    assert door.happened[1:] == [("proved", (8).to_bytes(8, "big"))]


@pytest.mark.parametrize(
    "allowance", [b"", b"\xff" * 500, issue(8, expires_at_s=NOW_S - 1_000).allowance.raw], ids=["none", "junk", "old"]
)
def test_a_driver_whose_allowance_is_not_good_proves_nothing_and_is_told_why(door: Door, allowance: bytes) -> None:
    door.driver(8)
    assert door.taps.offered(CardOffer(allowance, None)) is None
    assert len(door.happened) == 1 and door.vouchers == 0
    (said,) = door.happened
    assert isinstance(said, tuple) and said[0] in (Light.REFUSED, Light.TRY_AGAIN)


def test_a_card_that_declines_is_refused_with_its_reason_and_asked_the_same_again(door: Door) -> None:
    card = DeskCard(issue(7))
    asked = door.taps.offered(card.offer)
    door.taps.declined(card.offer, CardPurseTooSmall("3 KGO"))
    assert door.happened == [(Light.REFUSED, "card_purse_too_small")]
    assert door.taps.offered(card.offer) == asked


def test_once_the_program_ends_nothing_is_put_to_a_card_and_nothing_decided(door: Door) -> None:
    card = DeskCard(issue(7))
    asked = door.taps.offered(card.offer)
    assert asked is not None
    door.is_over = True
    assert door.taps.offered(card.offer) is None
    door.taps.answered(card.offer, card.pay(asked))
    door.taps.declined(card.offer, errors.CardPurseTooSmall())
    door.taps.failed(CardTorn())
    assert door.happened == [] and door.vouchers == 0
    door.is_over = False
    door.tap(card)
    assert door.happened == [(GREEN, None)] and len(card.paid) == 1, "the next tap finds what was paid"
