"""A shift in sums: the fold of its events is what a clerk adds up, and is kept as it is. DESIGN §5."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import AmountNotPositive, CashNotInDrawer, Malformed, ShiftOpen, ShiftShut
from offline_ledger.protocol.shop_event import SaleSums, ShopEvent, ShopEventKind
from pos_app.counter.shift_book import (
    ShiftTotals,
    applied,
    check_cash_out,
    check_open,
    check_shut,
    from_kept,
    kept,
)
from tests.pos_app.counter.shop_events import EVENTS, event_of

K = ShopEventKind
OPENED = event_of(K.SHIFT_OPENED, (50_000,), 11)
SALE = SaleSums(12_000, 2_000, 2_000, 500, 4_500, 5_000, 785, 3, 100)


def folded(*events: ShopEvent) -> ShiftTotals:
    return [*accumulate((OPENED, *events), applied, initial=ShiftTotals())][-1]


def test_a_shift_begins_with_its_float_and_nothing_else() -> None:
    assert folded() == ShiftTotals(3, True, OPENED.at_s, 50_000, first_sequence=12)
    before = folded(event_of(K.SALE_CLOSED, tuple(SALE), 12), event_of(K.SHIFT_CLOSED, (), 12))
    assert not before.is_open and before.sales == 1 and before.last_sequence == 12
    assert applied(before, OPENED) == folded()


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (event_of(K.CASH_IN, (700,), 12), {"in_satang": 700}),
        (event_of(K.CASH_OUT, (700,), 12), {"out_satang": 700}),
        (event_of(K.COUNTED, (700, 50_000), 12), {"counted_satang": 700}),
        (event_of(K.COUNTED, (0, 50_000), 12), {"counted_satang": 0}),
        (event_of(K.HANDED_OVER, (800, 50_000), 12), {"counted_satang": 800}),
        (event_of(K.DRAWER_OPENED, (), 12), {}),
        (event_of(K.SHIFT_CLOSED, (), 12), {"is_open": False, "last_sequence": 12}),
    ],
)
def test_each_event_changes_what_it_says_and_no_more(event: ShopEvent, changes: dict[str, int]) -> None:
    assert folded(event) == folded()._replace(**changes)


@pytest.mark.parametrize("what", [K.SALE_CLOSED, K.RETURNED, K.CASH_IN, K.CASH_OUT])
def test_what_moves_money_makes_a_count_stale(what: ShopEventKind) -> None:
    sums = tuple(SALE) if what in (K.SALE_CLOSED, K.RETURNED) else (700,)
    counted = event_of(K.COUNTED, (50_000, 50_000), 12)
    assert folded(counted).counted_satang == 50_000
    assert folded(counted, event_of(what, sums, 12)).counted_satang == -1


@pytest.mark.parametrize(
    "event",
    [
        event_of(26, (), 12),
        event_of(31, (1,), 12),
        *(event_of(one, (), 12) for one in (K.SHIFT_OPENED, K.CASH_IN, K.CASH_OUT, K.COUNTED, K.HANDED_OVER)),
        *(event_of(one, (1,) * 9, 12) for one in (K.SALE_CLOSED, K.RETURNED)),
    ],
    ids=range(9),
)
def test_an_event_that_no_till_writes_is_refused(event: ShopEvent) -> None:
    with pytest.raises(Malformed):
        folded(event)


@given(EVENTS)
def test_the_fold_is_what_a_clerk_adds_up(events: list[ShopEvent]) -> None:
    made = folded(*events)
    sold = [SaleSums(*one.sums) for one in events if one.what == K.SALE_CLOSED]
    back = [SaleSums(*one.sums) for one in events if one.what == K.RETURNED]
    for name in ("bill_satang", "kgo", "kgo_satang", "coupon_satang", "cash_satang", "promptpay_satang", "vat_satang"):
        assert getattr(made, name) == sum(getattr(one, name) for one in sold), name
    assert (made.sales, made.pieces) == (len(sold), sum(one.pieces for one in sold))
    assert made.goods_discount_satang == sum(one.goods_discount_satang for one in sold)
    assert made.kgo_sales == sum(one.kgo > 0 for one in sold)
    assert (made.refunds + made.voids, made.voids) == (len(back), sum(one.is_void for one in back))
    assert made.back_satang == sum(one.bill_satang for one in back)
    assert made.back_kgo == sum(one.kgo for one in back)
    moved = {kind: sum(one.sums[0] for one in events if one.what == kind) for kind in (K.CASH_IN, K.CASH_OUT)}
    drawer = 50_000 + sum(one.cash_satang for one in sold) - sum(one.cash_satang for one in back)
    assert made.expected_satang == drawer + moved[K.CASH_IN] - moved[K.CASH_OUT]
    tendered = made.kgo_satang + made.coupon_satang + made.cash_satang + made.promptpay_satang
    assert made.bill_satang == tendered
    assert from_kept(list[object](kept(made))) == made


BAD = st.lists(st.one_of(st.integers(), st.booleans(), st.text(max_size=2), st.none(), st.floats()), max_size=27)


@given(BAD)
def test_what_was_kept_by_nobody_is_no_shift(values: list[object]) -> None:
    fits = len(values) == len(ShiftTotals._fields) and all(type(one) is int for one in values)
    assert (from_kept(values) is not None) is fits


def test_one_member_more_or_less_or_of_another_type_is_no_shift() -> None:
    good = list[object](kept(folded()))
    assert from_kept(good) == folded()
    assert all(from_kept(bad) is None for bad in (good[1:], [*good, 0], [*good[1:], "0"], [*good[1:], True]))


def test_a_shift_is_open_or_shut() -> None:
    check_open(folded())
    check_shut(ShiftTotals())
    with pytest.raises(ShiftShut):
        check_open(ShiftTotals())
    with pytest.raises(ShiftOpen):
        check_shut(folded())


def test_nobody_takes_out_what_is_not_there() -> None:
    made = folded(event_of(K.SALE_CLOSED, tuple(SALE), 12))
    check_cash_out(made, 1)
    check_cash_out(made, 54_500)
    with pytest.raises(CashNotInDrawer):
        check_cash_out(made, 54_501)
    for satang in (0, -1):
        with pytest.raises(AmountNotPositive):
            check_cash_out(made, satang)
