"""What an honest till took, the city pays: shifts of sales drawn by chance, judged by the real ingest. DESIGN §8, §9.

A campaign with a day's cap and rewards; phones and cards, greens that nobody saw, power cuts, sales that the cashier
voids or that wait too long. Whatever the acceptor made a voucher of must be posted, and nothing of it rejected.
"""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, VoucherKind
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.campaign import Campaigns
from offline_ledger.terminal import outcome as said
from pos_app.sale import Till, open_sale
from tests.city import town as real
from tests.terminal.desk import DeskWallet
from tests.terminal.honest import HonestTerminal
from tests.terminal.sync_pair import Pair, linked

STEPS = 120
PHONES = 4
VERSION = (1, 1)
OWNER = "noodles"


class Shift(HonestTerminal):
    """One till, its customers and its city."""

    def __init__(self, pair: Pair, rng: random.Random) -> None:
        super().__init__(pair, rng, OWNER, PHONES)
        self.sales = 0
        self.voided: set[int] = set()

    def till(self, bill_satang: int, kgo: int) -> Till:
        self.sales += 1
        return Till(open_sale(f"s{self.sales}", bill_satang, kgo), Campaigns((real.CAMPAIGN,)), VERSION, OWNER)

    def see(self, outcome: said.Outcome) -> None:
        """Most greens are seen. Of the others the cashier voids some, and some wait until they are charged."""
        if outcome.voucher is None or outcome.sequence is None or self.rng.random() < 0.7:
            self.acceptor.shown(outcome)
            return
        self.restart()
        if self.rng.random() < 0.8:
            assert self.acceptor.void(outcome.sequence)
            self.voided.add(outcome.sequence)

    def pay_by_phone(self) -> None:
        held: DeskWallet = self.rng.choice(self.phones)
        kgo = self.rng.choice((0, 500, 2_500, 2_500, 4_000))
        held.next(kgo)
        till = self.till(self.rng.choice((6_000, 8_000, 10_050)), kgo)
        self.see(self.acceptor.accept(held.code(self.now_s, Audience.SHOP), till))

    def pay_by_card(self) -> None:
        card = self.rng.choice(self.cards)
        till = self.till(8_000, self.rng.choice((1_000, 2_500, 4_000)))
        step = self.acceptor.ask(card.offer, till)
        if step.request is None:
            assert step.outcome is not None
            self.see(step.outcome)
        elif self.rng.random() < 0.8:
            payment = card.pay(step.request)
            if self.rng.random() < 0.9:  # else torn after it paid, and the next sale is another one
                self.see(self.acceptor.answer(card.offer, payment, till))

    def pass_time(self) -> None:
        self.pass_s(self.rng.choice((5, 130, 700, 4_000)))

    def live(self) -> None:
        steps: list[tuple[Callable[[], None], int]] = [
            (self.pay_by_phone, 40), (self.pay_by_card, 25), (self.pass_time, 10), (self.restart, 3), (self.exchange, 4)
        ]  # fmt: skip
        for step in self.rng.choices([one for one, _ in steps], [weight for _, weight in steps], k=STEPS):
            self.tick()
            step()
        self.settle()


def test_whatever_an_honest_till_took_is_posted(
    tmp_path: Path, rng: random.Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    kinds: Counter[str] = Counter()
    voided, shifts = 0, slice_of(200, 4)
    for number in range(shifts):
        own = random.Random(f"{rng.random()}:{number}")
        with linked(tmp_path / str(number), own, DeviceRole.SHOP) as pair:
            shift = Shift(pair, own)
            shift.live()
            pair.town.assert_sound()
            rows = pair.town.store.fetch("SELECT sequence, kind, outcome, refusal, kgo FROM vouchers ORDER BY sequence")
            wrong = [row for row in rows if row[2] != Outcome.POSTED]
            assert not wrong, (number, wrong, sorted(shift.voided))
            assert len(rows) == pair.desk.journal.tail.sequence, "everything was sent"
            kinds.update(VoucherKind(row[1]).name for row in rows)
            voided += len(shift.voided)
    assert kinds["SALE"] > 15 * shifts and voided > 2 * shifts, (kinds, voided)
    report(f"honest shifts: {shifts} shifts, {dict(sorted(kinds.items()))}, {voided} voided, all posted")
