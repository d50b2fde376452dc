"""The basket: each rule on both sides of its edge, and no mix of keys that makes a bill lie. DESIGN §2."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import (
    AmountNotPositive,
    AmountTooLong,
    BasketEmpty,
    BasketFull,
    DiscountTooLarge,
    LineGone,
    QuantityWrong,
    Refusal,
)
from offline_ledger.rules.sale import BILL_SATANG_MAX
from pos_app.counter import basket as baskets
from pos_app.counter.basket import LINES_MAX, QUANTITY_MAX, Basket, Goods

NOODLES = Goods("n1", "ก๋วยเตี๋ยว", "Noodles", 4_500)
TEA = Goods("t1", "ชา", "Tea", 2_000, is_vat_exempt=True)
KEYED = Goods("", "รายการคีย์เอง", "Keyed in", 999)


def of(*goods: Goods) -> Basket:
    made = Basket()
    for one in goods:
        made = baskets.with_goods(made, one)
    return made


def test_the_same_goods_are_counted_up_and_others_get_a_line() -> None:
    made = of(NOODLES, TEA, NOODLES)
    assert [(line.line, line.sku, line.quantity) for line in made.lines] == [(1, "n1", 2), (2, "t1", 1)]
    assert (made.goods_satang, made.bill_satang, made.pieces) == (11_000, 11_000, 3)


@pytest.mark.parametrize("other", [KEYED, NOODLES._replace(unit_satang=4_600)], ids=["keyed in", "another price"])
def test_what_is_keyed_in_or_has_another_price_is_a_line_of_its_own(other: Goods) -> None:
    assert len(baskets.with_goods(of(NOODLES, other), other).lines) == (3 if not other.sku else 2)


def test_goods_with_a_discount_are_not_counted_up() -> None:
    made = baskets.with_goods(baskets.with_line_discount(of(NOODLES), 1, 100), NOODLES)
    assert [line.total_satang for line in made.lines] == [4_400, 4_500]


def test_a_lines_number_is_never_given_twice() -> None:
    made = baskets.with_goods(baskets.without(of(NOODLES, TEA), 2), TEA)
    assert [line.line for line in made.lines] == [1, 3]


Made = Callable[[], object]
REFUSED: list[tuple[str, type[Refusal], Made]] = [
    ("no pieces", QuantityWrong, lambda: baskets.with_goods(Basket(), NOODLES, 0)),
    ("fewer", QuantityWrong, lambda: baskets.with_goods(Basket(), NOODLES, -1)),
    ("too many pieces", QuantityWrong, lambda: baskets.with_goods(Basket(), NOODLES, QUANTITY_MAX + 1)),
    ("too many in all", QuantityWrong, lambda: baskets.with_goods(of(NOODLES), NOODLES, QUANTITY_MAX)),
    ("price 0", AmountNotPositive, lambda: of(NOODLES._replace(unit_satang=0))),
    ("price below", AmountNotPositive, lambda: of(NOODLES._replace(unit_satang=-1))),
    ("too dear", AmountTooLong, lambda: of(NOODLES._replace(unit_satang=BILL_SATANG_MAX + 1))),
    ("too dear together", AmountTooLong, lambda: of(NOODLES, NOODLES._replace(unit_satang=BILL_SATANG_MAX))),
    (
        "too dear before its discount",
        AmountTooLong,
        lambda: baskets.with_quantity(
            baskets.with_line_discount(of(NOODLES._replace(unit_satang=BILL_SATANG_MAX)), 1, BILL_SATANG_MAX), 1, 2
        ),
    ),
    ("no such line", LineGone, lambda: baskets.with_quantity(of(NOODLES), 2, 1)),
    ("no such line 0", LineGone, lambda: baskets.with_quantity(of(NOODLES), 2, 0)),
    ("gone", LineGone, lambda: baskets.without(of(NOODLES), 2)),
    ("none left off", LineGone, lambda: baskets.with_line_discount(of(NOODLES), 2, 1)),
    ("quantity below", QuantityWrong, lambda: baskets.with_quantity(of(NOODLES), 1, -1)),
    ("off more than a line", DiscountTooLarge, lambda: baskets.with_line_discount(of(NOODLES), 1, 4_501)),
    ("off less than nothing", DiscountTooLarge, lambda: baskets.with_line_discount(of(NOODLES), 1, -1)),
    ("off all of a bill", DiscountTooLarge, lambda: baskets.with_bill_discount(of(NOODLES), 4_500)),
    ("off a bill, below", DiscountTooLarge, lambda: baskets.with_bill_discount(of(NOODLES), -1)),
    ("off nothing", BasketEmpty, lambda: baskets.with_bill_discount(Basket(), 0)),
    ("per cent above", DiscountTooLarge, lambda: baskets.per_cent_satang(100, 101)),
    ("per cent below", DiscountTooLarge, lambda: baskets.per_cent_satang(100, -1)),
    ("pay for nothing", BasketEmpty, lambda: baskets.check_payable(Basket())),
    ("all for free", AmountNotPositive, lambda: baskets.check_payable(baskets.with_line_discount(of(TEA), 1, 2_000))),
]


@pytest.mark.parametrize(("refusal", "make"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_each_rule_refuses_beyond_its_edge(refusal: type[Refusal], make: Made) -> None:
    with pytest.raises(refusal):
        make()


def test_each_rule_allows_up_to_its_edge() -> None:
    assert baskets.with_goods(Basket(), TEA, QUANTITY_MAX).pieces == QUANTITY_MAX
    assert of(NOODLES._replace(unit_satang=BILL_SATANG_MAX)).bill_satang == BILL_SATANG_MAX
    assert of(NOODLES._replace(unit_satang=1)).bill_satang == 1
    assert baskets.with_line_discount(of(NOODLES), 1, 4_500).bill_satang == 0
    assert baskets.with_bill_discount(of(NOODLES), 4_499).bill_satang == 1
    assert [baskets.per_cent_satang(999, one) for one in (0, 10, 100)] == [0, 99, 999]
    baskets.check_payable(baskets.with_bill_discount(of(NOODLES), 4_499))


def test_a_basket_has_so_many_lines() -> None:
    made = Basket()
    for _ in range(LINES_MAX):
        made = baskets.with_goods(made, KEYED)
    with pytest.raises(BasketFull):
        baskets.with_goods(made, KEYED)
    assert len(baskets.with_goods(baskets.without(made, 7), KEYED).lines) == LINES_MAX


def test_fewer_goods_never_leave_a_discount_that_is_more_than_they_are() -> None:
    made = baskets.with_bill_discount(of(NOODLES, TEA), 2_500)
    assert baskets.without(made, 2).discount_satang == 2_500
    assert baskets.without(made, 1).discount_satang == 0
    with pytest.raises(DiscountTooLarge):
        baskets.with_line_discount(made, 1, 4_500)
    off = baskets.with_line_discount(baskets.with_quantity(of(NOODLES), 1, 2), 1, 5_000)
    with pytest.raises(DiscountTooLarge):
        baskets.with_quantity(off, 1, 1)


@pytest.mark.parametrize(
    ("goods", "off", "vat"),
    [
        ((NOODLES,), 0, 294),
        ((TEA,), 0, 0),
        ((NOODLES, TEA), 0, 294),
        ((NOODLES, TEA), 650, 265),
        ((NOODLES,), 4_499, 0),
    ],
)
def test_vat_is_in_the_price_of_taxed_goods_alone(goods: tuple[Goods, ...], off: int, vat: int) -> None:
    made = baskets.with_bill_discount(of(*goods), off)
    assert baskets.vat_satang(made, 70) == vat
    assert baskets.vat_satang(made, 0) == 0


@pytest.mark.parametrize(("satang", "vat"), [(27_450, 1_796), (107, 7), (53, 3), (54, 4), (7, 0), (8, 1)])
def test_vat_is_rounded_to_the_nearest_satang_as_the_law_has_it(satang: int, vat: int) -> None:
    """274.50 x 7/107 is 17.958."""
    assert baskets.vat_satang(of(Goods("g", "ข", "G", satang)), 70) == vat


def test_a_basket_for_free_has_no_tax() -> None:
    assert baskets.vat_satang(baskets.with_line_discount(of(NOODLES), 1, 4_500), 70) == 0


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["goods", "quantity", "off", "bill", "without"]),
        st.integers(0, 6),
        st.one_of(st.integers(-1, 12_000), st.integers(0, 2 * BILL_SATANG_MAX)),
    ),
    max_size=25,
)


def stepped(made: Basket, step: Step) -> Basket:
    what, line, number = step
    match what:
        case "goods":
            return baskets.with_goods(made, Goods(f"g{line}" if line else "", "ข", "G", number), 1 + line)
        case "quantity":
            return baskets.with_quantity(made, line, number)
        case "off":
            return baskets.with_line_discount(made, line, number)
        case "bill":
            return baskets.with_bill_discount(made, number)
        case _:
            return baskets.without(made, line)


@given(STEPS)
def test_no_keys_make_a_bill_that_lies(steps: list[Step]) -> None:
    made = Basket()
    for step in steps:
        try:
            made = stepped(made, step)
        except Refusal:
            continue
        assert 0 <= made.bill_satang <= made.goods_satang <= BILL_SATANG_MAX
        assert made.bill_satang + made.discounts_satang == sum(line.full_satang for line in made.lines)
        assert all(0 <= line.discount_satang <= line.full_satang and line.quantity > 0 for line in made.lines)
        assert sum(line.full_satang for line in made.lines) <= BILL_SATANG_MAX
        assert len({line.line for line in made.lines} | {made.next_line}) == len(made.lines) + 1
        assert 0 <= baskets.vat_satang(made, 70) <= made.bill_satang
