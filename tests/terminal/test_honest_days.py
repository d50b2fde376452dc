"""What an honest validator took, the city pays: days of rides drawn by chance, judged by the real ingest. DESIGN §8.

Transfers, a daily cap, phones and cards; greens that nobody saw, power cuts, boardings that the driver takes back, a
link that comes late. Whatever the acceptor made a voucher of must be posted, and nothing of it rejected.
"""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

from bus_validator.boarding import BusDoor, Trip
from offline_ledger.errors import NothingToAnnul
from offline_ledger.protocol import city
from offline_ledger.protocol.city import Bulletin, BulletinKind, Outcome
from offline_ledger.protocol.device import ClockTrust, DeviceCertificate, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Allowance, Payment, Presentment
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.rules.tariff import DailyCap, Tariff, Transfer, encode_tariff
from offline_ledger.terminal import outcome as said
from offline_ledger.terminal.acceptor import Acceptor, Identity
from offline_ledger.terminal.clock_keeper import ClockKeeper
from offline_ledger.terminal.conditions import Freshest, TerminalConditions
from offline_ledger.terminal.evidence import EvidenceReader
from tests.city import town as real
from tests.terminal.city_in_test import CITY, DEVICE, DEVICE_TEST_ONLY
from tests.terminal.desk import DeskConditions, DeskWallet
from tests.terminal.desk_card import DeskCard
from tests.terminal.sync_pair import Pair, linked

STEPS = 150
PHONES = 6
TARIFF = Tariff(real.TARIFF.products, (), Transfer(3_600, 200, 2), DailyCap(2 * real.FARE_KGO + 3_000, 350))
VERSION = (1, 2)
VALUE_KGO = 2_000_000


class Fresh(DeskConditions):
    """A terminal that is never stale, with the caps that the city counts by."""

    def check_amount(
        self,
        allowance: Allowance,
        shown: Presentment | Payment | None,
        charge_kgo: int,
        spent_here_kgo: int,
        unacked_kgo: int,
        at: TimeNow,
    ) -> None:
        certificate = DeviceCertificate(CITY, DEVICE, 2, "", b"", 0, 0, VALUE_KGO, 24)
        freshest = Freshest(at.at_s, at.at_s)
        keeper = cast(ClockKeeper, self)  # it is asked for the time alone
        real_one = TerminalConditions(
            keeper, Limits(), lambda: certificate, self.is_denied, lambda: freshest, self.check_standing
        )
        real_one.check_amount(allowance, shown, charge_kgo, spent_here_kgo, unacked_kgo, at)


class Day:
    """One validator, its passengers and its city."""

    def __init__(self, pair: Pair, rng: random.Random) -> None:
        self.pair, self.rng = pair, rng
        self.conditions = Fresh(TimeNow(real.NOW_S, ClockTrust.SYNCED, 0))
        self.phones = pair.desk.wallets[:PHONES]
        self.cards = [DeskCard(held) for held in pair.desk.wallets[PHONES : 2 * PHONES]]
        self.trips = 0
        self.done: Counter[str] = Counter()
        self.acceptor = self.made()

    def made(self) -> Acceptor:
        desk = self.pair.desk
        identity = Identity(CITY, DEVICE, "transit", DEVICE_TEST_ONLY.key_id)
        reader = EvidenceReader(CITY, real.CityKeys())
        return Acceptor(identity, desk.journal, DEVICE_TEST_ONLY, reader, self.conditions, Limits(), desk.rng.randbytes)

    @property
    def door(self) -> BusDoor:
        return BusDoor(Trip("10", f"T{self.trips}", None), TARIFF, VERSION, 120)

    @property
    def now_s(self) -> int:
        return self.conditions.now.at_s

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

    def restart(self) -> None:
        self.pair.desk.restart()
        self.acceptor = self.made()

    def pass_time(self) -> None:
        seconds = self.rng.choice((5, 130, 700, 700, 1_900, 4_000))
        self.conditions.now = TimeNow(self.now_s + seconds, ClockTrust.SYNCED, 0)
        self.pair.desk.clock.advance(ms=seconds * 1_000)
        self.acceptor.tick(self.pair.desk.clock.mono_ms())

    def exchange(self) -> None:
        self.pair.exchange()

    def live(self) -> None:
        steps: list[tuple[Callable[[], None], int]] = [
            (self.ride_by_phone, 40), (self.ride_by_card, 25), (self.annul, 12), (self.next_trip, 12),
            (self.pass_time, 14), (self.restart, 3), (self.exchange, 4),
        ]  # fmt: skip
        for step in self.rng.choices([one for one, _ in steps], [weight for _, weight in steps], k=STEPS):
            self.done[step.__name__] += 1
            self.acceptor.tick(self.pair.desk.clock.mono_ms())
            step()
        self.pair.desk.clock.advance(ms=Limits().unratified_s * 1_000)
        self.acceptor.tick(self.pair.desk.clock.mono_ms())
        self.pair.exchange(4)


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
