"""Keys of the desk: every refusal at its edge, the parts of a payment, and hostile fields that end no thread."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import (
    AmountTooLong,
    BarcodeUnknown,
    BasketEmpty,
    CashNotInDrawer,
    FieldWrong,
    GoodsGone,
    GoodsNotHere,
    HeldFull,
    KgoAboveBillShare,
    KgoPaidAlready,
    NeedsApproval,
    NoPromptPay,
    NotNow,
    PriceNeeded,
    Refusal,
    SaleNotSettled,
    ShiftOpen,
    StaleScreen,
    TenderTooLarge,
    TooManyParts,
)
from offline_ledger.terminal.outcome import Light
from pos_app.counter import tender as tenders
from pos_app.counter.flow import WHERE, Screen
from pos_app.counter.permissions import Role
from pos_app.counter.sale_record import TENDERS_MAX
from pos_app.counter.tender import TenderKind
from pos_app.desk.ports import Person
from pos_app.store.goods import Item
from pos_app.store.sales import HELD_MAX
from tests.pos_app.desk.desks import Desk

OPEN_PRICE = Item("fish", "ปลา", "Fish")
SOUP = Item("soup", "ต้มยำ", "Soup", ("8850999320014",), price_satang=8_000)
GONE = Item("old", "เก่า", "Old", price_satang=100, is_active=False)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, Random(7))
    made.parts.catalogue.put(OPEN_PRICE)
    made.parts.catalogue.put(SOUP)
    made.parts.catalogue.put(GONE)
    yield made.begin()
    made.check()
    made.close()


def notice(desk: Desk) -> Refusal | None:
    return desk.core.state.notice


def test_goods_by_key_and_by_barcode(desk: Desk) -> None:
    desk.press("add_item", sku="soup", quantity="2")
    desk.press("add_item", sku="fish", price="120")
    assert desk.desk is not None and desk.desk.takes("8850999320014")
    assert desk.core.state.sale.basket.bill_satang == 36_000
    assert not desk.desk.takes("KGO1P:what a customer shows")


@pytest.mark.parametrize("text", ["4711", "", "\x00", "\ud800", "x" * 9_999], ids=range(5))
def test_a_barcode_that_is_none_stands_on_the_screen(desk: Desk, text: str) -> None:
    assert desk.desk is not None and desk.desk.takes(text)
    assert isinstance(notice(desk), BarcodeUnknown)


def test_a_barcode_in_the_middle_of_a_payment_changes_no_bill(desk: Desk) -> None:
    desk.put("10")
    assert desk.desk is not None and desk.desk.takes("8850999320014")
    assert isinstance(notice(desk), SaleNotSettled) and desk.core.state.sale.basket.bill_satang == 1_000


def test_a_barcode_where_no_sale_is_says_where_goods_are_scanned(desk: Desk) -> None:
    assert desk.desk is not None
    for action in ("receipts", "shift"):
        desk.press(action)
        for text in ("8850999320014", "https://example.org/"):
            assert desk.desk.takes(text) and isinstance(notice(desk), GoodsNotHere), (action, text)
        desk.press("back")
    desk.press("lock")
    assert desk.desk.takes("8850999320014") and isinstance(notice(desk), GoodsNotHere)
    assert not desk.core.state.sale.basket.lines


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"sku": "none"}, GoodsGone),
        ({"sku": "old"}, GoodsGone),
        ({"sku": ""}, GoodsGone),
        ({"sku": "fish"}, PriceNeeded),
        ({"sku": "\ud800"}, FieldWrong),
        ({"sku": "fish", "price": "99999999999"}, AmountTooLong),
    ],
)
def test_goods_that_cannot_be_had(desk: Desk, fields: dict[str, str], refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        desk.press("add_item", **fields)
    assert not desk.core.state.sale.basket.lines


@pytest.mark.parametrize("action", sorted(WHERE))
@pytest.mark.parametrize("hostile", ["\ud800", "9" * 40, "-1", "\x00", "x" * 5_000], ids=range(5))
def test_hostile_fields_are_refused_or_mean_nothing(desk: Desk, action: str, hostile: str) -> None:
    """On the screen where the key is; whatever comes is a refusal, or a press."""
    desk.press("add_amount", amount="50")
    names = ("amount", "quantity", "line", "index", "sku", "sale", "query", "number", "lines", "given", "id", "label",
             "reason", "percent", "language", "price", "name", "float", "code", "pin")  # fmt: skip
    for screen in WHERE[action]:
        if screen in (Screen.SALE, Screen.RECEIPTS, Screen.HELD, Screen.SHIFT, Screen.PAY):
            desk.core.put(desk.core.state._replace(screen=screen))
            try:
                desk.press(action, **dict.fromkeys(names, hostile))
            except Refusal:
                continue
            finally:
                desk.core.put(desk.core.state._replace(pending=None))


def test_two_taps_on_one_picture_are_one(desk: Desk) -> None:
    assert desk.desk is not None
    desk.put("120")
    seen = desk.core.revision
    desk.desk.act("cash", {"given": "100"}, seen)
    with pytest.raises(StaleScreen):
        desk.desk.act("cash", {"given": "100"}, seen)
    assert desk.core.state.sale.due_satang == 2_000


def test_every_mix_comes_to_the_bill_and_change_is_cash(desk: Desk) -> None:
    desk.put("120")
    desk.press("kgo", amount="20")
    with pytest.raises(NotNow):
        desk.press("cash")
    assert desk.show_code(2_000).light is Light.ACCEPTED
    with pytest.raises(KgoPaidAlready):
        desk.press("kgo", amount="1")
    desk.press("promptpay", amount="30")
    desk.press("promptpay_confirm")
    with pytest.raises(SaleNotSettled):
        desk.press("drop_tender", index="0")
    with pytest.raises(TenderTooLarge):
        desk.press("promptpay", amount="70.01")
    desk.press("cash", given="100")
    done = desk.core.state.done
    assert done is not None and tenders.change_satang(done.record.tenders) == 3_000
    totals = desk.shifts.totals
    assert (totals.kgo_satang, totals.promptpay_satang, totals.cash_satang) == (2_000, 3_000, 7_000)
    assert [part.satang for part in done.record.tenders] == [2_000, 3_000, 7_000]


def test_kgo_come_before_money_and_no_more_than_the_bill_allows(desk: Desk) -> None:
    desk.put("120")
    with pytest.raises(KgoAboveBillShare):
        desk.press("kgo", amount="60.01")
    desk.press("cash", given="10")
    with pytest.raises(SaleNotSettled):
        desk.press("kgo", amount="20")
    with pytest.raises(NotNow):
        desk.press("back")
    desk.press("drop_tender", index="0")
    with pytest.raises(TenderTooLarge):
        desk.press("drop_tender", index="0")


def test_a_sale_is_paid_in_so_many_parts_and_then_all_of_the_rest(desk: Desk) -> None:
    """A record with more would be one that nobody reads, and the till would not start."""
    desk.put("120")
    for _ in range(TENDERS_MAX - 1):
        desk.press("cash", given="1")
    with pytest.raises(TooManyParts):
        desk.press("cash", given="1")
    desk.settle()
    assert desk.sales.get(desk.core.state.sale.sale) == desk.core.state.sale
    desk.press("cash", given="500")
    assert desk.screen is Screen.DONE


def test_so_many_sales_are_put_aside_and_all_of_them_are_listed(desk: Desk) -> None:
    for _ in range(HELD_MAX):
        desk.press("add_amount", amount="10")
        desk.press("hold", label="x")
    desk.press("add_amount", amount="10")
    with pytest.raises(HeldFull):
        desk.press("hold")
    desk.press("clear")
    desk.press("held")
    assert len(desk.core.state.held) == HELD_MAX
    desk.press("recall", sale=desk.core.state.held[-1].sale)
    desk.press("held")
    with pytest.raises(SaleNotSettled):
        desk.press("recall", sale=desk.core.state.held[0].sale)
    desk.press("back")
    desk.press("hold")
    with pytest.raises(BasketEmpty):
        desk.press("hold")


@pytest.mark.parametrize("sale", ["", "none", "\ud800"])
def test_what_is_not_aside_is_not_called_back(desk: Desk, sale: str) -> None:
    desk.press("held")
    with pytest.raises((GoodsGone, FieldWrong)):
        desk.press("recall", sale=sale)


def test_a_shop_without_an_account_asks_for_no_transfer(desk: Desk) -> None:
    words = desk.parts.words._replace(promptpay="")
    desk.core.parts = desk.parts._replace(words=words)
    desk.put("10")
    with pytest.raises(NoPromptPay):
        desk.press("promptpay")


def test_a_shift_and_its_drawer(desk: Desk) -> None:
    with pytest.raises(NotNow):
        desk.press("open_shift", float="1")
    desk.press("shift")
    desk.press("cash_in", amount="20", reason="")
    with pytest.raises(CashNotInDrawer):
        desk.press("cash_out", amount="520.01")
    desk.press("cash_out", amount="520")
    desk.press("count", amount="0")
    assert desk.shifts.totals.counted_satang == desk.shifts.totals.expected_satang == 0
    with pytest.raises(ShiftOpen):
        desk.shifts.open("01", 0)


def test_who_may_not_do_it_alone_calls_somebody(desk: Desk) -> None:
    cashier = Person("02", "ใหม่", Role.CASHIER)
    desk.press("add_amount", amount="50")
    desk.core.put(desk.core.state._replace(cashier=cashier))
    desk.press("bill_discount", amount="5")
    assert desk.core.state.pending is not None and desk.core.state.sale.basket.bill_satang == 5_000
    with pytest.raises(NeedsApproval):
        desk.press("pay")
    desk.press("approve", code="01", pin="1")
    assert desk.core.state.pending is None and desk.core.state.sale.basket.bill_satang == 4_500
    assert ("02", "approve") in desk.notes.rows and ("02", "bill_discount") in desk.notes.rows


def test_coupons_and_kgo_are_signed_for() -> None:
    assert {kind for kind in TenderKind if kind in tenders.SIGNED} == {TenderKind.KGO, TenderKind.COUPON}


def test_a_request_that_can_no_longer_be_answered_leaves_the_display(desk: Desk) -> None:
    desk.put("300")
    desk.press("kgo", amount="80")
    first = desk.core.state.request_qr
    desk.look()
    assert first and desk.core.state.request_qr == first
    desk.conditions.now = desk.conditions.now._replace(at_s=desk.core.state.request_ends_s)
    desk.look()
    assert desk.core.state.request_qr == first, "its last second is inclusive"
    desk.conditions.now = desk.conditions.now._replace(at_s=desk.core.state.request_ends_s + 1)
    desk.look()
    assert desk.core.state.request_qr == "" and desk.screen is Screen.WAIT_KGO
    desk.press("kgo_request")
    assert desk.core.state.request_qr not in ("", first)
    desk.press("kgo_cancel")
    desk.press("cancel_sale")
