"""Goods come back: by line or by amount, in whatever order, never more than the bill and all of it in the end."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import (
    AmountNotPositive,
    FieldWrong,
    LineGone,
    NoSuchReceipt,
    NotAnAmount,
    NothingLeftToReturn,
    NotNow,
    NotToBeReturned,
    Refusal,
    ReturnTooLarge,
    ShiftShut,
    TerminalRevoked,
    TooManyParts,
)
from offline_ledger.money import format_minor
from offline_ledger.protocol.device import VoucherKind
from pos_app.counter.basket import Basket, Line
from pos_app.counter.flow import Screen
from pos_app.counter.sale_record import RETURNS_MAX, Return, SaleRecord
from pos_app.counter.tender import Tender, TenderKind
from pos_app.desk.returning import goods_satang
from pos_app.page.actions import fields_of
from pos_app.page.render import Renderer
from tests.pos_app.desk.desks import Desk

LINES = st.lists(
    st.tuples(st.integers(1, 9_999), st.integers(1, 6), st.integers(0, 100)), min_size=1, max_size=4
).map(lambda rows: tuple(
    Line(number, "", "ข", "G", unit, quantity, unit * quantity * off // 100)
    for number, (unit, quantity, off) in enumerate(rows, 1)
))  # fmt: skip


@given(LINES, st.integers(0, 99), st.randoms(use_true_random=False))
def test_goods_that_come_back_in_any_order_come_to_the_bill(lines: tuple[Line, ...], off: int, rng: Random) -> None:
    goods = sum(line.total_satang for line in lines)
    if not goods:
        return
    basket = Basket(lines, goods * off // 100, 9)
    sale = SaleRecord("s", basket=basket, tenders=(Tender(TenderKind.CASH, basket.bill_satang),))
    pieces = [line.line for line in lines for _ in range(line.quantity)]
    rng.shuffle(pieces)
    gone = 0
    while pieces:
        taken, pieces = pieces[: (some := rng.randint(1, 3))], pieces[some:]
        counts = {one: taken.count(one) for one in taken}
        satang = goods_satang(sale, counts)
        assert satang >= 0
        gone += satang
        assert gone <= basket.bill_satang
        back = Return(1, 1, "", False, satang, 0, satang, tuple(counts.items()))
        sale = sale._replace(returns=(*sale.returns, back))
    assert gone == basket.bill_satang == sale.back.goods_satang
    for line in lines:
        with pytest.raises(NotToBeReturned):
            goods_satang(sale, {line.line: 1})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, Random(7)).begin()
    yield made
    made.check()
    made.close()


def sold(desk: Desk, *baht: str, kgo: int = 0) -> int:
    """Its number."""
    desk.put(*baht)
    if kgo:
        desk.press("kgo", amount=str(kgo))
        desk.show_code(kgo * 100)
    if desk.screen is Screen.PAY:
        desk.press("cash")
    done = desk.core.state.done
    assert desk.screen is Screen.DONE and done is not None
    desk.press("next")
    return done.record.number


def home(desk: Desk) -> None:
    while desk.screen not in (Screen.SALE, Screen.NO_SHIFT):
        desk.press("back")


def at_refund(desk: Desk, number: int) -> None:
    home(desk)
    desk.press("receipts")
    desk.press("receipt", number=str(number))
    desk.press("refund_start", number=str(number))


def refund(desk: Desk, number: int, **fields: str) -> None:
    at_refund(desk, number)
    desk.press("refund", number=str(number), **fields)


def test_a_refund_by_line_and_the_rest(desk: Desk) -> None:
    number = sold(desk, "50", "70", kgo=20)
    refund(desk, number, lines="1:1")
    record = desk.receipt(number)
    assert record.back == (5_000, 834, 4_166) and not record.is_void
    refund(desk, number, lines="2:1")
    assert desk.receipt(number).back == (12_000, 2_000, 10_000)
    with pytest.raises(NothingLeftToReturn):
        refund(desk, number, amount="1")
    assert [made.kind for made in desk.vouchers] == [VoucherKind.SALE, VoucherKind.REFUND, VoucherKind.REFUND]
    totals = desk.shifts.totals
    assert (totals.refunds, totals.voids, totals.back_satang, totals.back_kgo) == (2, 0, 12_000, 2_000)
    assert totals.expected_satang == 50_000 and desk.tray.kicks == 3


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"amount": "120.01"}, ReturnTooLarge),
        ({"amount": "0"}, AmountNotPositive),
        ({"amount": ""}, NotAnAmount),
        ({"lines": "1:0"}, NotAnAmount),
        ({"lines": "9:1"}, LineGone),
        ({"lines": "1:2"}, NotToBeReturned),
        ({"lines": "1"}, FieldWrong),
    ],
)
def test_a_refund_that_fits_nothing(desk: Desk, fields: dict[str, str], refusal: type[Refusal]) -> None:
    number = sold(desk, "50", "70")
    with pytest.raises(refusal):
        refund(desk, number, **fields)
    assert not desk.receipt(number).returns and desk.journal.tail.sequence == number


def test_a_void_is_for_the_whole_sale_in_its_own_shift(desk: Desk) -> None:
    first, second = sold(desk, "50", kgo=10), sold(desk, "70")
    refund(desk, second, amount="1")
    with pytest.raises(NotToBeReturned):
        desk.press("void", number=str(second))
    desk.press("back")
    desk.press("receipt", number=str(first))
    desk.press("void", number=str(first))
    record = desk.receipt(first)
    assert record.is_void and record.back == (5_000, 1_000, 4_000)
    assert desk.shifts.totals.voids == 1


def test_nothing_goes_back_while_no_shift_is_open_and_a_void_never_in_another(desk: Desk) -> None:
    number = sold(desk, "50", kgo=10)
    desk.press("shift")
    desk.press("close_shift")
    desk.press("back")
    assert desk.screen is Screen.NO_SHIFT
    with pytest.raises(ShiftShut):
        refund(desk, number, amount="10")
    desk.press("back")
    with pytest.raises(ShiftShut):
        desk.press("void", number=str(number))
    assert desk.journal.tail.sequence == number, "and no voucher says that it did"
    home(desk)
    desk.press("open_shift", float="0")
    desk.press("receipts")
    desk.press("receipt", number=str(number))
    with pytest.raises(NotToBeReturned):
        desk.press("void", number=str(number))
    refund(desk, number, amount="10")
    assert desk.shifts.totals.back_satang == 1_000


@pytest.mark.parametrize("query", ["2", "000000", "x", "-1", "99999999999999999999"])
def test_a_receipt_that_is_none(desk: Desk, query: str) -> None:
    sold(desk, "50")
    desk.press("receipts")
    with pytest.raises((NoSuchReceipt, FieldWrong)):
        desk.press("find", query=query)
    with pytest.raises((NoSuchReceipt, FieldWrong)):
        desk.press("receipt", number=query)


def test_a_receipt_is_found_by_the_number_on_its_paper(desk: Desk) -> None:
    numbers = [sold(desk, "50"), sold(desk, "60")]
    desk.press("receipts")
    assert [one.number for one in desk.core.state.receipts] == [*reversed(numbers)]
    desk.press("find", query="000001")
    assert [one.number for one in desk.core.state.receipts] == [1]
    desk.press("find", query="")
    assert len(desk.core.state.receipts) == 2


def test_so_many_refunds_of_one_sale_and_then_all_of_the_rest(desk: Desk) -> None:
    """A record with more would be one that nobody reads."""
    number = sold(desk, "100", kgo=30)
    for _ in range(RETURNS_MAX - 1):
        refund(desk, number, amount="1")
    with pytest.raises(TooManyParts):
        refund(desk, number, amount="1")
    desk.press("refund", number=str(number), amount=f"{100 - RETURNS_MAX + 1}")
    record = desk.receipt(number)
    assert len(record.returns) == RETURNS_MAX and record.back == (10_000, 3_000, 7_000)


def test_a_revoked_till_gives_back_money_and_no_kgo(desk: Desk) -> None:
    paid, plain = sold(desk, "50", kgo=10), sold(desk, "70")
    desk.conditions.standing_refusal = TerminalRevoked()
    refund(desk, plain, amount="70")
    with pytest.raises(TerminalRevoked):
        refund(desk, paid, amount="50")
    assert not desk.receipt(paid).returns
    home(desk)
    assert sold(desk, "80") == desk.journal.tail.sequence, "and goes on selling for cash"


def test_the_smallest_part_that_gives_nothing_back_writes_nothing(desk: Desk) -> None:
    number = sold(desk, "100", kgo=50)
    refund(desk, number, amount="0.03")
    assert desk.receipt(number).back == (3, 2, 1)
    refund(desk, number, amount="0.01")
    event = desk.events[-1]
    assert event.sums[0] == sum(event.sums[2:6]), "what went back is its parts"


def test_the_tax_of_all_returns_is_the_sales_tax_and_what_went_back_adds_up(desk: Desk) -> None:
    number = sold(desk, "274.50", kgo=20)
    for amount in ("40.50", "0.01", "99.99", "134"):
        refund(desk, number, amount=amount)
        assert sum(desk.events[-1].sums[2:6]) == desk.events[-1].sums[0]
    back, totals = desk.receipt(number).back, desk.shifts.totals
    assert back == (27_450, 2_000, 25_450)
    assert (totals.back_kgo, totals.back_cash_satang) == (2_000, 25_450)
    sale, *returns = [event.sums[6] for event in desk.events if event.sums and event.refers]
    assert sale == sum(returns) == desk.receipt(number).vat_satang


@pytest.mark.parametrize("asked", [{"amount": "40.50"}, {"lines": "1:1"}])
def test_what_goes_back_is_shown_before_it_is_confirmed_and_after(desk: Desk, asked: dict[str, str]) -> None:
    number = sold(desk, "40.50", "234", kgo=20)
    refund(desk, number, amount="100")
    at_refund(desk, number)
    desk.press("refund_sure", number=str(number), **asked)
    assert desk.screen is Screen.REFUND and len(desk.receipt(number).returns) == 1, "nothing has gone back yet"
    assert desk.desk is not None
    told = desk.desk.view()["sure"]
    html = Renderer(is_strict=True).screen("till", {**desk.desk.view(), "boot": "", "assets": ""})
    assert isinstance(told, dict) and told["satang"] == told["kgo"] + told["money_satang"] == 4_050
    assert f"KGO {format_minor(told['kgo'])}<" in html and f"฿{format_minor(told['money_satang'])}<" in html
    assert re.findall(r"<(\w+)[^>]*\bdata-home\b", html) == ["h1"], "Enter, pressed twice, gives nothing (0193)"
    form = {name: str(value) for name, value in json.loads(unescape(form_of(html))).items()}
    desk.press("back")
    assert desk.screen is Screen.REFUND and desk.desk.view()["sure"] is None, "back to what was typed"
    desk.press("refund_sure", number=str(number), **asked)
    desk.press("refund", **fields_of("refund", form))
    made = desk.receipt(number).returns[-1]
    assert (made.goods_satang, made.kgo, made.money_satang) == (4_050, told["kgo"], told["money_satang"])
    assert bool(made.lines) == ("lines" in asked)
    receipt = desk.desk.view()["receipt"]
    assert isinstance(receipt, dict) and desk.screen is Screen.RECEIPT
    assert receipt["last_gone"] == {name: told[name] for name in ("satang", "kgo", "money_satang")}
    assert receipt["gone"]["satang"] == receipt["gone"]["kgo"] + receipt["gone"]["money_satang"] == 14_050
    assert receipt["rest"]["kgo"] + receipt["rest"]["money_satang"] == 27_450 - 14_050


def form_of(html: str) -> str:
    found = re.search(r'hx-post="/act/refund" [^>]*?hx-vals="([^"]+)"', html)
    assert found is not None
    return found[1]


def test_what_a_screen_does_not_have_is_not_done(desk: Desk) -> None:
    number = sold(desk, "50")
    with pytest.raises(NotNow):
        desk.press("refund", number=str(number), amount="1")
