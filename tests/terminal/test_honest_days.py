"""What an honest validator took, the city pays: days of rides drawn by chance, judged by the real ingest. DESIGN §8.

Transfers, a daily cap, phones and cards; greens that nobody saw, power cuts, boardings that the driver takes back, a
link that comes late. Whatever the acceptor made a voucher of must be posted, and nothing of it rejected.
"""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bus_validator.boarding import BusDoor, Trip
from offline_ledger.city import equivocation
from offline_ledger.city.bench import LAPSED
from offline_ledger.city.decisions import release_held
from offline_ledger.city.histories import RIDES_MAX
from offline_ledger.errors import NothingToAnnul
from offline_ledger.protocol import city
from offline_ledger.protocol.city import Bulletin, BulletinKind, Outcome
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.rules.tariff import DailyCap, Tariff, Transfer, encode_tariff
from offline_ledger.terminal import outcome as said
from tests.city import town as real
from tests.terminal.city_in_test import CITY, DEVICE
from tests.terminal.desk import DeskWallet
from tests.terminal.honest import HonestTerminal
from tests.terminal.sync_pair import Pair, linked

STEPS = 150
PHONES = 6
TARIFF = Tariff(real.TARIFF.products, (), Transfer(3_600, 200, 2), DailyCap(2 * real.FARE_KGO + 3_000, 350))
VERSION = (1, 2)
RIDES = 10
UNSEEN_S = 700
"""Longer than a green may wait to be seen."""


class Day(HonestTerminal):
    """One validator, its passengers and its city."""

    def __init__(self, pair: Pair, rng: random.Random) -> None:
        super().__init__(pair, rng, "transit", PHONES)
        self.trips = 0
        self.done: Counter[str] = Counter()

    @property
    def door(self) -> BusDoor:
        return BusDoor(Trip("10", f"T{self.trips}", None), TARIFF, VERSION, 120)

    def see(self, outcome: said.Outcome) -> None:
        """Most greens are seen; some are on their way when the power goes, or for ever."""
        if outcome.voucher is None:
            self.acceptor.shown(outcome)
            return
        match self.rng.randrange(8):
            case 0:
                self.restart()
            case 1:
                self.acceptor.not_shown_yet(outcome)
            case _:
                self.acceptor.shown(outcome)

    def ride_by_phone(self) -> None:
        held: DeskWallet = self.rng.choice(self.phones)
        if self.rng.random() < 0.8 or not held.n:
            held.next(real.FARE_KGO)
        self.see(self.acceptor.accept(held.code(self.now_s), self.door))

    def ride_by_card(self) -> None:
        card = self.rng.choice(self.cards)
        step = self.acceptor.ask(card.offer, self.door)
        if step.request is None:
            assert step.outcome is not None
            self.see(step.outcome)
        elif self.rng.random() < 0.8:
            payment = card.pay(step.request)
            if self.rng.random() < 0.9:  # else torn after it paid
                self.see(self.acceptor.answer(card.offer, payment, self.door))

    def annul(self) -> None:
        try:
            self.acceptor.annul(self.pair.desk.journal.tail.sequence)
        except NothingToAnnul:
            self.done["nothing to annul"] += 1

    def next_trip(self) -> None:
        self.trips += 1

    def pass_time(self) -> None:
        self.pass_s(self.rng.choice((5, 130, 700, 700, 1_900, 4_000)))

    def live(self) -> None:
        steps: list[tuple[Callable[[], None], int]] = [
            (self.ride_by_phone, 40), (self.ride_by_card, 25), (self.annul, 12), (self.next_trip, 12),
            (self.pass_time, 14), (self.restart, 3), (self.exchange, 4),
        ]  # fmt: skip
        for step in self.rng.choices([one for one, _ in steps], [weight for _, weight in steps], k=STEPS):
            self.done[step.__name__] += 1
            self.tick()
            step()
        self.settle()


def publish(pair: Pair) -> None:
    """The tariff of these days."""
    body = encode_tariff(TARIFF)
    made = Bulletin(CITY, BulletinKind.TARIFF, VERSION, real.NOW_S - 9, real.NOW_S - 9, real.NOW_S + 10**8, body)
    raw = real.signed_by(real.BULLETIN_TEST_ONLY, Kind.BULLETIN, city.BULLETIN.encode(made)).raw
    row = (BulletinKind.TARIFF, *VERSION, raw, real.NOW_S - 9, real.NOW_S - 9, real.NOW_S + 10**8)
    with pair.town.store.transaction():
        pair.town.store.execute("INSERT INTO bulletins VALUES(?, ?, ?, ?, ?, ?, ?)", row)


def test_whatever_an_honest_validator_took_is_posted(
    tmp_path: Path, rng: random.Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    kinds: Counter[str] = Counter()
    days = slice_of(200, 4)
    for number in range(days):
        own = random.Random(f"{rng.random()}:{number}")
        with linked(tmp_path / str(number), own) as pair:
            publish(pair)
            day = Day(pair, own)
            day.live()
            pair.town.assert_sound()
            rows = pair.town.store.fetch("SELECT sequence, kind, outcome, refusal, kgo FROM vouchers ORDER BY sequence")
            wrong = [row for row in rows if row[2] != Outcome.POSTED]
            assert not wrong, (number, wrong, day.done)
            assert len(rows) == pair.desk.journal.tail.sequence, "everything was sent"
            kinds.update(VoucherKind(row[1]).name for row in rows)
    assert kinds["BOARDING"] > 20 * days and kinds["ANNUL"] > 2 * days, kinds
    report(f"honest days: {days} days, {dict(sorted(kinds.items()))}, all posted")


def test_a_passenger_whose_greens_are_never_seen_still_rides_on_an_honest_fare(
    tmp_path: Path, rng: random.Random
) -> None:
    """Each such ride may have led to a transfer or not; the next voucher says which of both its validator told."""
    with linked(tmp_path, rng) as pair:
        publish(pair)
        day = Day(pair, rng)
        held = day.phones[0]
        for ride in range(RIDES):
            day.next_trip()
            day.tick()
            held.next(real.FARE_KGO)
            outcome = day.acceptor.accept(held.code(day.now_s), day.door)
            assert outcome.voucher is not None, outcome
            if ride == RIDES - 1:
                day.acceptor.shown(outcome)
            else:
                day.acceptor.not_shown_yet(outcome)
            day.pass_s(UNSEEN_S)
        day.settle()
        rows = pair.town.store.fetch("SELECT sequence, outcome, refusal FROM vouchers ORDER BY sequence")
        lapsed = pair.town.store.fetch("SELECT count(*) FROM unratified WHERE state = ?", (LAPSED,))
        assert [row for row in rows if row[1] != Outcome.POSTED] == [] and len(rows) == RIDES
        assert lapsed[0][0] > RIDES_MAX.bit_length(), "more than the stories that are kept"


def test_a_tariff_that_caps_the_day_may_come_in_the_middle_of_it(tmp_path: Path, rng: random.Random) -> None:
    """Rides under the one before carry no history, so the validator counts from the first ride under the new one."""
    with linked(tmp_path, rng) as pair:
        publish(pair)
        day = Day(pair, rng)
        held = day.phones[0]
        charged: list[int] = []
        for tariff, version in ((real.TARIFF, (1, 1)), *((TARIFF, VERSION),) * 4):
            day.next_trip()
            held.next(real.FARE_KGO)
            door = BusDoor(Trip("10", f"T{day.trips}", None), tariff, version, 120)
            outcome = day.acceptor.accept(held.code(day.now_s), door)
            assert outcome.voucher is not None, outcome
            day.acceptor.shown(outcome)
            charged.append(outcome.charge.kgo if outcome.charge is not None else -1)
            day.pass_s(4_000)
        day.settle()
        rows = pair.town.store.fetch("SELECT sequence, outcome, refusal FROM vouchers ORDER BY sequence")
        assert charged == [real.FARE_KGO] * 3 + [3_000, 0]
        assert [row for row in rows if row[1] != Outcome.POSTED] == [] and len(rows) == 5


def test_a_fare_that_a_card_was_asked_for_stands_when_the_ride_before_is_taken_back(
    tmp_path: Path, rng: random.Random
) -> None:
    """The transfer was promised and paid while its first ride still counted. The next goes by what was told."""
    with linked(tmp_path, rng) as pair:
        publish(pair)
        day = Day(pair, rng)
        card = day.cards[0]

        def rides(before_it_answers: Callable[[], object] = lambda: None) -> int:
            day.next_trip()
            step = day.acceptor.ask(card.offer, day.door)
            assert step.request is not None
            payment = card.pay(step.request)
            before_it_answers()
            outcome = day.acceptor.answer(card.offer, payment, day.door)
            assert outcome.voucher is not None and outcome.charge is not None, outcome
            day.acceptor.shown(outcome)
            day.pass_s(5)
            return outcome.charge.kgo

        charged = [rides(), rides(lambda: day.acceptor.annul(1)), rides(), rides()]
        day.settle()
        rows = pair.town.store.fetch("SELECT sequence, outcome, refusal FROM vouchers ORDER BY sequence")
        transfer_kgo = real.FARE_KGO - 4_000
        assert charged == [real.FARE_KGO, transfer_kgo, transfer_kgo, real.FARE_KGO]
        assert [row for row in rows if row[1] != Outcome.POSTED] == [] and len(rows) == 5


def test_what_a_validator_could_not_know_yet_rejects_nothing_when_held_vouchers_are_judged(
    tmp_path: Path, rng: random.Random
) -> None:
    """All of them are there at once, the annulment of the first ride too: it came after the transfer."""
    with linked(tmp_path, rng) as pair:
        publish(pair)
        day = Day(pair, rng)
        held = day.phones[0]
        for _ in range(2):
            day.next_trip()
            day.tick()
            held.next(real.FARE_KGO)
            day.acceptor.shown(day.acceptor.accept(held.code(day.now_s), day.door))
            day.pass_s(5)
        day.acceptor.annul(1)
        store = pair.town.store
        with store.transaction():
            equivocation.block_device(store, DEVICE, "looked at")
        day.settle()
        release_held(store, pair.town.reader, pair.town.limits, DEVICE, day.now_s)
        rows = store.fetch("SELECT sequence, kgo, outcome, refusal FROM vouchers WHERE kind = 1 ORDER BY sequence")
        assert rows == [(1, real.FARE_KGO, Outcome.POSTED, 0), (2, 1_000, Outcome.POSTED, 0)]
