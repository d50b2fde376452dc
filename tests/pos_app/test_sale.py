"""The till: what a code pays of the open sale, and the day's sums that travel in the last voucher."""

import pytest

from offline_ledger.errors import (
    AmountMismatch,
    AmountNotPositive,
    AmountTooLong,
    KgoAboveBillShare,
    KgoAboveDailyCap,
    NoCampaign,
    NoSaleOpen,
    Refusal,
    TenderTooLarge,
    WrongCodeType,
)
from offline_ledger.protocol.device import ClockTrust, PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.wallet import Allowance, Audience, Coupon, Presentment
from offline_ledger.rules.campaign import Campaign, Campaigns, Discount, Funding, Reward
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.outcome import Charge, Last, occasion_of
from pos_app.sale import OpenBill, OpenSale, Till, open_sale, sale_of, shop_history_of

NOON_S = 1_795_064_400
ALLOWANCE = Allowance("TH-40", bytes(8), b"\x02" + bytes(32), 50_000, 10_000, 3_000, 0, 0, 0, 2**39)
CAMPAIGN = Campaign(
    "noodles", "ก๋วยเตี๋ยว", "Noodles", None, None, None, Discount(100, 500, 5_000, 1_000),
    Reward(100, 5_000, 300, int(Funding.MERCHANT)),
)  # fmt: skip


def shown(cap_kgo: int) -> Presentment:
    return Presentment(bytes(32), 1, 0, cap_kgo, Audience.SHOP, NOON_S, 30)


def charge(
    sale: OpenSale | None,
    cap_kgo: int,
    last: Voucher | None = None,
    campaign: Campaign | None = CAMPAIGN,
    at_s: int = NOON_S,
) -> Charge:
    till = Till(sale, None if campaign is None else Campaigns((campaign,)), (1, 2), "m1")
    found = Last(last, is_taken_back=False) if last is not None else None
    return till.charge(ALLOWANCE, shown(cap_kgo), lambda: found, TimeNow(at_s, ClockTrust.SYNCED, 0))


def taken(made: Charge) -> Voucher:
    return Voucher(
        "pos-1", 1, bytes(32), NOON_S, ClockTrust.SYNCED, made.kind, made.kgo, made.satang, None, made.product,
        made.bulletin, made.place, made.reward_kgo, None,
    )  # fmt: skip


def test_a_sale_is_split_into_kgo_and_baht_and_nothing_is_lost() -> None:
    made = charge(open_sale("s1", 12_000, 2_000), 2_000)
    assert (made.kgo, made.satang, made.reward_kgo) == (2_000, 10_000, 200)
    assert made.kgo * 100 // 100 + made.satang == 12_000
    assert made.kind is VoucherKind.SALE and made.product == "noodles" and made.bulletin == (1, 2)
    assert made.place[PlaceKey.SALE] == "s1" and made.place[PlaceKey.BILL_SATANG] == 12_000


@pytest.mark.parametrize("cap_kgo", [1_999, 2_001])
def test_the_code_must_be_for_exactly_what_was_agreed(cap_kgo: int) -> None:
    with pytest.raises(AmountMismatch):
        charge(open_sale("s1", 12_000, 2_000), cap_kgo)


def test_without_a_sale_no_code_pays() -> None:
    with pytest.raises(NoSaleOpen):
        charge(None, 2_000)


def test_a_card_is_asked_for_what_the_customer_chose() -> None:
    till = Till(open_sale("s1", 12_000, 2_000), Campaigns((CAMPAIGN,)), (1, 2), "m1")
    charge = till.charge(ALLOWANCE, None, lambda: None, TimeNow(NOON_S, ClockTrust.SYNCED, 0))
    assert (charge.kgo, charge.satang) == (2_000, 10_000)


@pytest.mark.parametrize(("open_now", "is_wanted"), [("s1", True), ("s2", False), (None, False)])
def test_a_payment_is_wanted_while_its_sale_is_the_open_one(open_now: str | None, is_wanted: bool) -> None:
    asked = occasion_of({int(PlaceKey.SALE): "s1"}, 2_000)
    sale = open_sale(open_now, 12_000, 2_000) if open_now is not None else None
    assert Till(sale, None, (1, 2), "m1").wants(asked) is is_wanted


@pytest.mark.parametrize(
    ("bill_satang", "expected"),
    [(0, AmountNotPositive), (-1, AmountNotPositive), (10_000_000_000, AmountTooLong), (9_999_999_999, None)],
)
def test_bills_that_are_none(bill_satang: int, expected: type[Refusal] | None) -> None:
    if expected is None:
        assert open_sale("s1", bill_satang, 0).bill_satang == bill_satang
    else:
        with pytest.raises(expected):
            open_sale("s1", bill_satang, 0)


def test_share_of_the_bill_and_the_days_cap_hold_across_sales() -> None:
    assert charge(open_sale("s1", 8_000, 4_000), 4_000).kgo == 4_000
    with pytest.raises(KgoAboveBillShare):
        charge(open_sale("s1", 8_000, 4_001), 4_001)
    first = taken(charge(open_sale("s1", 8_000, 4_000), 4_000))
    assert charge(open_sale("s2", 8_000, 1_000), 1_000, first).kgo == 1_000
    with pytest.raises(KgoAboveDailyCap):
        charge(open_sale("s2", 8_000, 1_001), 1_001, first)


def test_without_a_campaign_kgo_buys_nothing_but_money_still_does() -> None:
    with pytest.raises(NoCampaign):
        charge(open_sale("s1", 8_000, 1), 1, campaign=None)
    assert charge(open_sale("s1", 8_000, 0), 0, campaign=None).satang == 8_000


def test_the_days_sums_are_read_back_from_the_voucher() -> None:
    history = shop_history_of(Last(taken(charge(open_sale("s1", 8_000, 4_000), 4_000)), is_taken_back=False))
    assert (history.kgo, history.reward_kgo) == (4_000, 0)
    assert shop_history_of(None).kgo == 0


def test_an_interrupted_sale_is_opened_again_as_it_was() -> None:
    sale = open_sale("s1", 8_000, 4_000)
    voucher = taken(charge(sale, 4_000))
    assert sale_of(voucher) == sale
    again = charge(sale_of(voucher), 4_000, voucher)
    assert again == charge(sale, 4_000), "its own KGO are not yet another part of the day's cap"


def test_the_campaign_is_the_one_of_the_vouchers_second() -> None:
    midnight_s = day_start_s(civil_day(NOON_S) + 1)
    ends = CAMPAIGN._replace(last_day=20261119)
    sale = open_sale("s1", 8_000, 1_000)
    assert charge(sale, 1_000, campaign=ends, at_s=midnight_s - 1).product == "noodles"
    with pytest.raises(NoCampaign):
        charge(sale, 1_000, campaign=ends, at_s=midnight_s)


def test_an_interrupted_sale_costs_the_same_when_its_campaign_has_ended_meanwhile() -> None:
    sale = open_sale("s1", 8_000, 1_000)
    made = charge(sale, 1_000)
    assert charge(sale, 1_000, taken(made), campaign=None) == made


def test_what_was_not_charged_takes_nothing_of_the_day() -> None:
    """Cancelled after a power cut: the customer may use it all again, at this till too."""
    sale = open_sale("s2", 12_000, 4_000)
    first = taken(charge(open_sale("s0", 12_000, 1_000), 1_000))
    voided = taken(charge(open_sale("s1", 12_000, 2_000), 2_000, first))
    before = shop_history_of(Last(first, is_taken_back=False))
    assert shop_history_of(Last(voided, is_taken_back=True)) == before, "what came before it stays"

    def made_after(last: Last) -> Charge:
        till = Till(sale, Campaigns((CAMPAIGN,)), (1, 2), "m1")
        return till.charge(ALLOWANCE, shown(4_000), lambda: last, TimeNow(NOON_S, ClockTrust.SYNCED, 0))

    with pytest.raises(KgoAboveDailyCap):
        made_after(Last(voided, is_taken_back=False))
    made = made_after(Last(voided, is_taken_back=True))
    assert made.place[PlaceKey.HISTORY] == charge(sale, 4_000, first).place[PlaceKey.HISTORY]


@pytest.mark.parametrize(("open_now", "is_busy"), [(None, False), ("s1", False), ("s2", True)])
def test_a_green_of_another_sale_waits_while_one_is_open(open_now: str | None, is_busy: bool) -> None:
    made = taken(charge(open_sale("s1", 12_000, 2_000), 2_000))
    till = Till(None if open_now is None else open_sale(open_now, 12_000, 2_000), None, (1, 2), "m1")
    assert till.is_busy_with_other(made) is is_busy


@pytest.mark.parametrize(
    ("value_kgo", "due_satang", "campaign", "refused"),
    [
        (2_000, 2_000, CAMPAIGN, None),
        (2_000, 1_999, CAMPAIGN, TenderTooLarge),
        (2_000, 12_000, None, NoCampaign),
        (2_000, 12_000, CAMPAIGN._replace(discount=None), NoCampaign),
    ],
)
def test_a_coupon_pays_its_kgo_at_the_campaigns_rate_and_gives_no_change(
    value_kgo: int, due_satang: int, campaign: Campaign | None, refused: type[Refusal] | None
) -> None:
    due = OpenBill(OpenSale("s1", 12_000, 0, 0, "01"), due_satang)
    campaigns = None if campaign is None else Campaigns((campaign,))
    till = Till(None, campaigns, (1, 2), "m1", open_bill=due)
    coupon = Coupon("TH-40", bytes(8), "coupon", "pos-1", None, value_kgo, 2**39)
    at = TimeNow(NOON_S, ClockTrust.SYNCED, 0)
    if refused is not None:
        with pytest.raises(refused):
            till.coupon_charge(coupon, at)
        return
    made = till.coupon_charge(coupon, at)
    assert (made.kind, made.kgo, made.satang, made.bulletin) == (VoucherKind.COUPON, 2_000, 0, (1, 2))
    assert made.place == {PlaceKey.SALE: "s1", PlaceKey.BILL_SATANG: 2_000, PlaceKey.CASHIER: "01"}


@pytest.mark.parametrize(("sale", "refused"), [(None, NoSaleOpen), (open_sale("s1", 12_000, 0), WrongCodeType)])
def test_no_bill_is_taken_while_none_may_pay(sale: OpenSale | None, refused: type[Refusal]) -> None:
    coupon = Coupon("TH-40", bytes(8), "coupon", "pos-1", None, 2_000, 2**39)
    with pytest.raises(refused):
        Till(sale, Campaigns((CAMPAIGN,)), (1, 2), "m1").coupon_charge(coupon, TimeNow(NOON_S, ClockTrust.SYNCED, 0))
