"""Card vouchers at the city's real ingest: paid once wherever a tap was torn, and what was taken back returns.

The acceptor, the journal and the upload are the terminal's; the bus door has the town's tariff. DESIGN §4, §5, §8.
"""

import random
from pathlib import Path

import pytest

from bus_validator.boarding import BusDoor, Trip
from offline_ledger.city.accounts import AccountKind
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import ClockTrust, VoucherKind
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.acceptor import Acceptor, Identity
from offline_ledger.terminal.evidence import EvidenceReader
from offline_ledger.terminal.outcome import Light
from tests.city import town as real
from tests.terminal.city_in_test import CITY, DEVICE, DEVICE_TEST_ONLY
from tests.terminal.desk import DeskConditions
from tests.terminal.desk_card import DeskCard, tap
from tests.terminal.sync_pair import Pair

DOOR = BusDoor(Trip("10", "10-0715", None), real.TARIFF, (1, 1), 120)
GREEN = Light.ACCEPTED_CASH_DUE


class CardBus:
    """The acceptor over the desk's journal; `start` as after a power cut."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.conditions = DeskConditions(TimeNow(real.NOW_S, ClockTrust.SYNCED, 0))
        self.cards = [DeskCard(held) for held in pair.desk.wallets]
        self.acceptor = self.made()

    def made(self) -> Acceptor:
        desk = self.pair.desk
        identity = Identity(CITY, DEVICE, "transit", DEVICE_TEST_ONLY.key_id)
        reader = EvidenceReader(CITY, real.CityKeys())
        entropy = desk.rng.randbytes
        return Acceptor(identity, desk.journal, DEVICE_TEST_ONLY, reader, self.conditions, Limits(), entropy)

    def restart(self) -> None:
        self.pair.desk.restart()
        self.acceptor = self.made()

    def pass_time(self, seconds: int) -> None:
        self.conditions.now = TimeNow(self.conditions.now.at_s + seconds, ClockTrust.SYNCED, 0)
        self.pair.desk.clock.advance(ms=seconds * 1000)

    def outcomes(self) -> list[tuple[int, Outcome, int | None]]:
        """Kind, outcome and refusal of each voucher, as the ledger has them."""
        self.pair.exchange(3)
        self.pair.town.assert_sound()
        rows = self.pair.town.store.fetch("SELECT kind, outcome, refusal FROM vouchers ORDER BY sequence")
        return [(row[0], Outcome(row[1]), row[2] or None) for row in rows]

    def operator_kgo(self) -> int:
        """What the operator was credited."""
        row = self.pair.town.store.one(
            "SELECT coalesce(sum(balance), 0) FROM accounts WHERE kind = ? AND currency = 1", (AccountKind.OPERATOR,)
        )
        assert row is not None
        return row[0]


@pytest.fixture
def bus(pair: Pair) -> CardBus:
    return CardBus(pair)


def test_a_card_is_posted_once_wherever_its_tap_was_torn(bus: CardBus) -> None:
    whole, before, after, restarted, unseen = bus.cards[:5]
    assert tap(bus.acceptor, whole, DOOR).light is GREEN

    assert bus.acceptor.ask(before.offer, DOOR).request is not None  # torn before it paid
    assert tap(bus.acceptor, before, DOOR).light is GREEN

    request = bus.acceptor.ask(after.offer, DOOR).request
    assert request is not None
    after.pay(request)  # torn after it paid
    assert tap(bus.acceptor, after, DOOR).light is GREEN

    request = bus.acceptor.ask(restarted.offer, DOOR).request
    assert request is not None
    restarted.pay(request)
    bus.restart()  # and the power went
    assert tap(bus.acceptor, restarted, DOOR).light is GREEN

    assert tap(bus.acceptor, unseen, DOOR, is_shown=False).light is GREEN
    bus.restart()
    again = tap(bus.acceptor, unseen, DOOR)
    assert again.light is GREEN and again.is_uncharged_green

    assert bus.outcomes() == [(VoucherKind.BOARDING, Outcome.POSTED, None)] * 5
    assert [len(card.paid) for card in bus.cards[:5]] == [1] * 5
    assert bus.operator_kgo() == 5 * real.FARE_KGO


def test_what_was_asked_in_vain_is_cancelled_and_what_is_annulled_returns(bus: CardBus) -> None:
    late, annulled = bus.cards[:2]
    request = bus.acceptor.ask(late.offer, DOOR).request
    assert request is not None
    late.pay(request)
    bus.pass_time(Limits().request_life_s + 1)
    assert bus.acceptor.ask(late.offer, DOOR).outcome is not None
    assert tap(bus.acceptor, annulled, DOOR).light is GREEN
    bus.acceptor.annul(2)
    assert tap(bus.acceptor, late, DOOR).light is GREEN
    kinds = (VoucherKind.CANCELLED_REQUEST, VoucherKind.BOARDING, VoucherKind.ANNUL, VoucherKind.BOARDING)
    assert bus.outcomes() == [(kind, Outcome.POSTED, None) for kind in kinds]
    assert bus.operator_kgo() == real.FARE_KGO


def test_a_day_of_torn_and_whole_taps_is_paid_exactly(bus: CardBus, rng: random.Random, tmp_path: Path) -> None:
    """Every tap is torn at a random place, or not; who saw green has paid once, and nobody else has."""
    greens = 0
    for _ in range(60):
        card = rng.choice(bus.cards)
        bus.pass_time(rng.choice((0, 3, 130)))
        step = bus.acceptor.ask(card.offer, DOOR)
        outcome = step.outcome
        if outcome is None:
            assert step.request is not None
            fate = rng.randrange(4)
            if fate == 0:
                continue  # torn before it paid
            payment = card.pay(step.request)
            if fate == 1:
                continue  # torn after
            if fate == 2:
                bus.restart()
            outcome = bus.acceptor.answer(card.offer, payment, DOOR)
        bus.acceptor.shown(outcome)
        greens += outcome.light is GREEN
    for card in bus.cards:  # whoever was torn comes back before the trip ends
        outcome = bus.acceptor.ask(card.offer, DOOR).outcome
        if outcome is not None:
            bus.acceptor.shown(outcome)
            greens += outcome.light is GREEN
    said = bus.outcomes()
    assert {(outcome, refusal) for _kind, outcome, refusal in said} == {(Outcome.POSTED, None)}
    assert sum(kind == VoucherKind.BOARDING for kind, _outcome, _refusal in said) == greens
    assert bus.operator_kgo() == greens * real.FARE_KGO
    assert greens > 20, "too few taps came through to prove anything"
