"""A till's own vouchers at the real ingest: cash sales, returns in parts, voids, answered and cancelled requests.

The acceptor, the journal and the upload are the terminal's; what goes back is reckoned as the desk does it.
DESIGN §4, §5, §8.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offline_ledger.city.accounts import AccountKind, Currency
from offline_ledger.protocol import qr
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, VoucherKind
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.campaign import Campaigns
from offline_ledger.terminal.outcome import Charge, Light
from offline_ledger.terminal.till_vouchers import TillVouchers
from pos_app.counter.giving_back import Back, Paid, added, give_back, rest
from pos_app.sale import OpenSale, Till, charge_without_wallet, place_of
from tests.city import town as real
from tests.terminal.desk_card import DeskCard
from tests.terminal.honest import HonestTerminal
from tests.terminal.sync_pair import Pair, linked

CAMPAIGNS = Campaigns((real.CAMPAIGN,))
BILL_SATANG = 8_000
K = VoucherKind


class Shop(HonestTerminal):
    """One till, its customers and its city."""

    def __init__(self, pair: Pair, rng: random.Random) -> None:
        super().__init__(pair, rng, "noodles", 6)
        self.sale: OpenSale | None = None

    @property
    def till(self) -> TillVouchers:
        return self.acceptor.till

    def charge(self, sale: OpenSale) -> Charge:
        return charge_without_wallet(sale, CAMPAIGNS, (1, 1), "noodles", self.now_s)

    def sell(self, name: str, bill_satang: int = BILL_SATANG) -> int:
        return self.till.sell(self.charge(OpenSale(name, bill_satang, 0, 0, "01")))

    def open(self, name: str, kgo: int) -> Till:
        self.sale = OpenSale(name, BILL_SATANG, kgo, 0, "01")
        return Till(self.sale, CAMPAIGNS, (1, 1), "noodles")

    def pay(self, name: str, kgo: int, phone: int = 0) -> int:
        held = self.phones[phone]
        held.next(kgo)
        outcome = self.acceptor.accept(held.code(self.now_s, Audience.SHOP), self.open(name, kgo))
        assert outcome.sequence is not None and outcome.light is Light.ACCEPTED, outcome
        self.acceptor.shown(outcome)
        return outcome.sequence

    def request_text(self, name: str, kgo: int, card: DeskCard) -> str:
        """What a wallet shows after it read the request on the customer's display."""
        counter = self.open(name, kgo)
        assert self.sale is not None and counter.audience is Audience.SHOP
        asked = self.till.ask(self.charge(self.sale))
        return qr.encode(QrType.PAYMENT, card.held.allowance.raw, card.pay(asked.signed.raw))

    def back(self, sequence: int, name: str, back: Back, kind: VoucherKind = K.REFUND) -> int:
        place = place_of(OpenSale(name, back.goods_satang, 0, 0, "02"))
        return self.till.give_back(sequence, back.kgo, back.money_satang, kind, place)

    def said(self) -> list[tuple[VoucherKind, Outcome]]:
        self.exchange()
        self.exchange()
        self.pair.town.assert_sound()
        rows = self.pair.town.store.fetch("SELECT kind, outcome, refusal FROM vouchers ORDER BY sequence")
        assert [row[2] for row in rows if row[2]] == [], "a refusal of the city's"
        return [(VoucherKind(row[0]), Outcome(row[1])) for row in rows]

    def merchant(self, currency: Currency) -> int:
        found = self.pair.town.store.one(
            "SELECT coalesce(sum(balance), 0) FROM accounts WHERE kind = ? AND currency = ?",
            (AccountKind.MERCHANT, currency),
        )
        assert found is not None
        return found[0]


@pytest.fixture
def shop(tmp_path: Path, rng: random.Random) -> Iterator[Shop]:
    with linked(tmp_path, rng, DeviceRole.SHOP) as pair:
        yield Shop(pair, rng)


def posted(*kinds: VoucherKind) -> list[tuple[VoucherKind, Outcome]]:
    return [(kind, Outcome.POSTED) for kind in kinds]


def test_cash_sales_and_their_returns_are_posted_and_move_no_kgo(shop: Shop) -> None:
    first, second = shop.sell("s1"), shop.sell("s2", 9_999_999_999)
    paid = Paid(BILL_SATANG, 0, BILL_SATANG)
    part = give_back(paid, Back(0, 0, 0), 3_001)
    shop.back(first, "s1", part)
    shop.back(first, "s1", rest(paid, part))
    shop.back(second, "s2", Back(9_999_999_999, 0, 9_999_999_999), K.VOID)
    assert shop.said() == posted(K.SALE, K.SALE, K.REFUND, K.REFUND, K.VOID)
    assert shop.merchant(Currency.KGO) == 0


def test_kgo_go_back_in_parts_to_exactly_what_came(shop: Shop) -> None:
    sequence = shop.pay("s1", 2_777)
    paid, back = Paid(BILL_SATANG, 2_777, BILL_SATANG - 2_777), Back(0, 0, 0)
    assert shop.said() == posted(K.SALE) and shop.merchant(Currency.KGO) == 2_777
    for goods_satang in (1_234, 999, 3_000):
        one = give_back(paid, back, goods_satang)
        shop.back(sequence, "s1", one)
        back = added(back, one)
        assert shop.said()[-1] == (K.REFUND, Outcome.POSTED)
        assert shop.merchant(Currency.KGO) == 2_777 - back.kgo
    shop.back(sequence, "s1", rest(paid, back))
    assert shop.said() == posted(K.SALE, *(K.REFUND,) * 4) and shop.merchant(Currency.KGO) == 0


def test_a_void_gives_all_of_it_back_and_what_was_never_acknowledged_too(shop: Shop) -> None:
    paid = Paid(BILL_SATANG, 2_000, BILL_SATANG - 2_000)
    shop.back(shop.pay("s1", 2_000), "s1", rest(paid, Back(0, 0, 0)), K.VOID)
    shop.till.void(shop.pay("s2", 1_000, phone=1), place_of(OpenSale("s2", BILL_SATANG, 0, 0, "01")))
    assert shop.said() == posted(K.SALE, K.VOID, K.SALE, K.VOID)
    assert shop.merchant(Currency.KGO) == 0


def test_any_wallet_answers_a_request_by_qr_and_is_posted(shop: Shop) -> None:
    text = shop.request_text("s1", 4_000, shop.cards[0])
    outcome = shop.acceptor.accept(text, shop.open("s1", 4_000))
    shop.acceptor.shown(outcome)
    assert outcome.light is Light.ACCEPTED and shop.said() == posted(K.SALE)
    assert shop.merchant(Currency.KGO) == 4_000


def test_a_request_that_is_cancelled_and_then_paid_is_refused_and_its_amount_returns(shop: Shop) -> None:
    text = shop.request_text("s1", 4_000, shop.cards[0])
    assert shop.till.take_back_requests("s1") == 1
    assert shop.acceptor.accept(text, shop.open("s1", 4_000)).light is Light.REFUSED
    assert shop.said() == posted(K.CANCELLED_REQUEST) and shop.merchant(Currency.KGO) == 0
    shop.sell("s1")
    assert shop.said() == posted(K.CANCELLED_REQUEST, K.SALE)


def test_a_sale_that_changed_after_a_disk_error_stands_once(shop: Shop) -> None:
    shop.sell("s1")
    shop.sell("s1", 9_000)
    assert shop.said() == posted(K.SALE, K.VOID, K.SALE)


def test_a_revoked_till_goes_on_for_cash_and_the_city_owes_it_nothing_new(shop: Shop) -> None:
    paid = shop.pay("s1", 2_000)
    assert shop.said() == posted(K.SALE)
    with shop.pair.town.store.transaction():
        shop.pair.town.store.execute("UPDATE devices SET revoked_after = ?", (paid,))
    shop.sell("s2")
    assert shop.said()[:1] == posted(K.SALE) and shop.said()[1][1] is not Outcome.REJECTED
    assert shop.merchant(Currency.KGO) == 2_000


def test_days_of_mixed_sales_and_returns_are_posted_to_the_last_satang(
    shop: Shop, rng: random.Random, slice_of: Callable[[int, int], int]
) -> None:
    """Chance returns parts of earlier sales, across restarts and uploads; the merchant has what was not given back."""
    sales: dict[int, tuple[str, Paid, Back]] = {}
    for number in range(slice_of(300, 60)):
        name = f"s{number}"
        match rng.randrange(6):
            case 0 | 1:
                bill = rng.randrange(1, 20_000)
                sales[shop.sell(name, bill)] = (name, Paid(bill, 0, bill), Back(0, 0, 0))
            case 2 if number < 40:
                kgo = rng.choice((1, 250, 777))
                sequence = shop.pay(name, kgo, rng.randrange(6))
                sales[sequence] = (name, Paid(BILL_SATANG, kgo, BILL_SATANG - kgo), Back(0, 0, 0))
            case 3 | 4 if sales:
                sequence = rng.choice(list(sales))
                named, paid, back = sales[sequence]
                left = paid.goods_satang - back.goods_satang
                one = give_back(paid, back, min(left, rng.randrange(1, 9_000))) if left else Back(0, 0, 0)
                if one.kgo or one.money_satang:
                    shop.back(sequence, named, one)
                    sales[sequence] = (named, paid, added(back, one))
            case _:
                rng.choice((shop.restart, shop.exchange, lambda: shop.pass_s(700)))()
    said = shop.said()
    assert {outcome for _kind, outcome in said} == {Outcome.POSTED}
    assert sum(kind is K.REFUND for kind, _outcome in said) > 5
    assert shop.merchant(Currency.KGO) == sum(paid.kgo - back.kgo for _name, paid, back in sales.values())
