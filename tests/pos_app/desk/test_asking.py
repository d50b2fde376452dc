"""Another till's receipt is scanned at the counter: asked of the city once, with a slip, and never any money. §5."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.protocol import base45, qr
from offline_ledger.protocol.device import EventKind, VoucherKind
from offline_ledger.protocol.fields import TIME_S_MAX
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.refund_request import RefundRequest, read_event
from pos_app.counter.flow import Screen
from pos_app.counter.permissions import Role
from pos_app.desk.papers import voucher_text
from pos_app.desk.ports import Person
from pos_app.desk.signed_for import signed_for
from pos_app.page.actions import fields_of
from pos_app.page.render import Renderer
from pos_app.paper.layout import EITHER, lay_out
from pos_app.paper.receipt import ReceiptKind, decode_receipt, encode_receipt
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.pos_app.desk.desks import DEVICE, Desk
from tests.pos_app.desk.test_adds_up import html_of
from tests.terminal.desk import CITY, DEVICE_TEST_ONLY
from tests.terminal.test_refund_asking import SOLD, code


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, Random(7)).begin()
    made.press("receipts")
    yield made
    made.check()
    made.close()


def scan(desk: Desk, text: str) -> bool:
    assert desk.desk is not None
    return desk.desk.takes(text)


def requests(desk: Desk) -> list[RefundRequest]:
    found = desk.journal.events_after(0, 1_000)
    return [read_event(one.body, CITY)[1] for one in found if one.kind == EventKind.REFUND_REQUEST]


def notice(desk: Desk) -> type[Refusal] | None:
    found = desk.core.state.notice
    return None if found is None else type(found)


def test_a_scanned_receipt_of_another_till_asks_and_prints_a_slip(desk: Desk) -> None:
    assert scan(desk, code()) and desk.screen is Screen.ASK_BACK
    before = desk.shifts.totals
    desk.press("ask_back", amount="15.50")
    (request,) = requests(desk)
    assert (request.original_device, request.original_sequence, request.kgo) == ("pos-2", 41, 1_550)
    assert (request.cashier, request.shift) == ("01", before.number)
    asking = desk.core.state.asking
    assert asking is not None and asking.asked is not None and not asking.is_again
    (slip,) = desk.tray.receipts
    assert slip.kind is ReceiptKind.REFUND_REQUEST and slip.number == asking.asked.number
    assert slip.original == "000041" and "No cash" in slip.note and slip.note.split(EITHER)[0].endswith("ไม่มีการคืนเงินสด")
    assert decode_receipt(encode_receipt(slip)) == slip and lay_out(slip, lambda key, **values: key).parts
    assert desk.tray.kicks == 0 and desk.vouchers == [] and desk.shifts.totals == before, (
        "no drawer, no voucher, no sum"
    )
    assert ("01", "ask_back") in desk.notes.rows


def test_without_an_amount_it_is_all_of_it(desk: Desk) -> None:
    scan(desk, code())
    desk.press("ask_back", **fields_of("ask_back", {"typed": ""}))
    assert [one.kgo for one in requests(desk)] == [SOLD.kgo]


@pytest.mark.parametrize(("typed", "refusal"), [("20.01", errors.ReturnTooLarge), ("0", errors.AmountNotPositive),
                                                ("ten", errors.NotAnAmount)])  # fmt: skip
def test_an_amount_that_does_not_fit_asks_nothing(desk: Desk, typed: str, refusal: type[Refusal]) -> None:
    scan(desk, code())
    with pytest.raises(refusal):
        desk.press("ask_back", **fields_of("ask_back", {"typed": typed}))
    assert requests(desk) == [] and desk.screen is Screen.ASK_BACK and desk.tray.receipts == []


def test_pressed_twice_or_scanned_again_it_is_asked_once(desk: Desk) -> None:
    assert desk.desk is not None
    scan(desk, code())
    seen = desk.core.revision
    desk.desk.act("ask_back", {}, seen)
    with pytest.raises(errors.StaleScreen):
        desk.desk.act("ask_back", {}, seen)
    desk.press("ask_back")
    desk.press("back")
    scan(desk, code())
    asking = desk.core.state.asking
    assert asking is not None and asking.asked is not None and asking.is_again
    view = desk.desk.view()["asking"]
    assert isinstance(view, dict) and view["request"]["is_again"] is True
    desk.press("print")
    assert len(requests(desk)) == 1 and [one.number for one in desk.tray.receipts] == [asking.asked.number] * 2


def test_another_amount_is_asked_once_it_was_scanned_again(desk: Desk) -> None:
    """The city declined all of it: less was left. Only a new look at the receipt makes a new request, and only of
    another amount."""
    assert desk.desk is not None
    scan(desk, code())
    desk.press("ask_back")
    assert 'id="amount-ask"' not in html_of(desk, "till")
    desk.press("ask_back", amount="5")
    assert [one.kgo for one in requests(desk)] == [SOLD.kgo], "this screen has asked"
    first = desk.core.state.asking
    assert first is not None and first.asked is not None and not first.is_again
    desk.press("back")
    scan(desk, code())
    html = html_of(desk, "till")
    assert 'id="amount-ask"' in html and first.asked.number in html and "ขอคืน KGO 20<" in html
    for typed in ("", "20"):
        desk.press("ask_back", **fields_of("ask_back", {"typed": typed}))
    assert len(requests(desk)) == 1, "the same amount, or none, is no new request"
    with pytest.raises(errors.ReturnTooLarge):
        desk.press("ask_back", amount="20.01")
    desk.press("ask_back", amount="13")
    desk.press("ask_back", amount="13")
    asking = desk.core.state.asking
    assert asking is not None and asking.asked is not None and not asking.is_again
    assert [one.kgo for one in requests(desk)] == [SOLD.kgo, 1_300]
    assert [one.number for one in desk.tray.receipts] == [first.asked.number, asking.asked.number]
    assert asking.asked.number != first.asked.number and asking.asked.number in html_of(desk, "till")


def test_a_cashier_alone_may_not_and_a_supervisor_signs(desk: Desk) -> None:
    scan(desk, code())
    state = desk.core.state
    desk.core.put(state._replace(cashier=Person("02", "สมชาย", Role.CASHIER)))
    desk.press("ask_back", amount="5")
    assert requests(desk) == [] and desk.core.state.pending is not None
    assert not scan(desk, code(SOLD._replace(sequence=42))), "nothing changes under an open question"
    desk.press("approve", code="01", pin="1")
    assert [one.kgo for one in requests(desk)] == [500] and ("02", "approve") in desk.notes.rows


WRONG = {
    "a refund": (code(SOLD._replace(kind=VoucherKind.REFUND, refers_to=1)), errors.ReceiptNotOfSale),
    "no KGO": (code(SOLD._replace(kgo=0)), errors.ReceiptWithoutKgo),
    "forged in our name": (code(SOLD._replace(device=DEVICE)), errors.ReceiptForged),
    "ours, and not here": (code(SOLD._replace(device=DEVICE), DEVICE_TEST_ONLY), errors.NoSuchReceipt),
    "damaged": (code()[:-7], errors.ReceiptCodeUnreadable),
    "no code at all": ("KGO1V:", errors.ReceiptCodeUnreadable),
    "a text that is none": ("KGO1V:" + base45.encode(b"\x81\x62\xc3\x28"), errors.ReceiptCodeUnreadable),
    "another object": (qr.encode(QrType.RECEIPT, b"a"), errors.ReceiptCodeUnreadable),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_asked_back_says_why_and_stays_where_it_was(desk: Desk, name: str) -> None:
    text, refusal = WRONG[name]
    assert scan(desk, text)
    assert (notice(desk), desk.screen) == (refusal, Screen.RECEIPTS) and requests(desk) == []


@pytest.mark.parametrize("at_s", [0, TIME_S_MAX])
@pytest.mark.parametrize("language", ["th", "en"])
def test_a_code_of_a_year_that_no_calendar_has_closes_no_screen(desk: Desk, at_s: int, language: str) -> None:
    """Anybody can print one: only the city knows who signed it."""
    assert desk.desk is not None and scan(desk, code(SOLD._replace(at_s=at_s))) and desk.screen is Screen.ASK_BACK
    view = {**desk.desk.view(), "language": language, "boot": "", "assets": ""}
    assert "pos-2" in Renderer(is_strict=True).screen("till", view)


def test_a_receipt_of_this_till_is_shown(desk: Desk) -> None:
    desk.press("back")
    desk.put("120")
    desk.press("cash")
    done = desk.core.state.done
    assert done is not None
    desk.press("next")
    desk.press("receipts")
    text = voucher_text(desk.core, done.record.number)
    assert text is not None and scan(desk, text)
    assert desk.screen is Screen.RECEIPT and desk.core.state.receipt == desk.receipt(done.record.number)


def test_a_receipt_is_opened_from_the_sale_and_the_sale_stays(desk: Desk) -> None:
    desk.press("back")
    desk.put("120")
    desk.press("cash")
    done = desk.core.state.done
    assert done is not None and desk.screen is Screen.DONE
    text = voucher_text(desk.core, done.record.number)
    assert text is not None and scan(desk, text) and desk.screen is Screen.RECEIPT
    desk.press("back")
    assert [one.number for one in desk.core.state.receipts] == [done.record.number], "the list is the newest"
    desk.press("back")
    desk.press("add_amount", amount="35")
    assert scan(desk, code()) and desk.screen is Screen.ASK_BACK and requests(desk) == []
    desk.press("back")
    desk.press("back")
    assert desk.screen is Screen.SALE and desk.core.state.sale.basket.bill_satang == 3_500
    assert scan(desk, code()[:-7]) and (notice(desk), desk.screen) == (errors.ReceiptCodeUnreadable, Screen.SALE)


def test_on_other_screens_a_receipt_is_a_code_like_any_other(desk: Desk) -> None:
    desk.press("back")
    desk.press("add_amount", amount="35")
    desk.press("pay")
    assert not scan(desk, code())
    desk.press("lock")
    assert not scan(desk, code())
    desk.sign_in()
    desk.press("back")
    desk.press("receipts")
    assert not scan(desk, qr.encode(QrType.COUPON, b"x"))


def test_a_power_cut_after_the_request_leaves_it_asked_and_the_slip_to_be_printed(desk: Desk, tmp_path: Path) -> None:
    scan(desk, code())
    desk.press("ask_back")
    after = desk.cut(tmp_path.with_name(tmp_path.name + "-cut"))
    after.sign_in()
    after.press("receipts")
    scan(after, code())
    asking = after.core.state.asking
    assert asking is not None and asking.asked is not None and asking.is_again and after.tray.receipts == []
    after.press("print")
    assert len(after.tray.receipts) == 1 and len(requests(after)) == 1
    after.check()
    after.close()


def test_a_disk_that_refuses_shows_no_number_and_prints_nothing(tmp_path: Path) -> None:
    faults = DiskFaults()
    with simulated_disk(f"ask-{tmp_path.name}", faults) as disk:
        desk = Desk(tmp_path, Random(7), (disk.name, None)).begin()
        desk.press("receipts")
        scan(desk, code())
        faults.sync_fails_at = 1
        with pytest.raises(errors.StorageFailed):
            desk.press("ask_back")
        asking = desk.core.state.asking
        assert asking is not None and asking.asked is None and desk.tray.receipts == []
        desk.mend(faults)
        desk.press("ask_back")
        assert len(requests(desk)) == 1
        desk.check()
        desk.close()


def test_it_needs_no_open_shift(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Random(7))
    desk.sign_in()
    desk.press("receipts")
    scan(desk, code())
    desk.press("ask_back")
    assert [one.shift for one in requests(desk)] == [0]
    desk.press("back")
    desk.press("back")
    assert desk.screen is Screen.NO_SHIFT
    desk.close()


@pytest.mark.parametrize(("first", "second"), [("", ""), ("5", ""), ("5", "7.50"), ("", "20")])
def test_whoever_signs_sees_how_much_is_asked_of_which_till(desk: Desk, first: str, second: str) -> None:
    """Also of a receipt that was asked for before: without an amount it is as much as then."""
    desk.core.put(desk.core.state._replace(cashier=Person("02", "สมชาย", Role.CASHIER)))
    for typed in (first, second):
        scan(desk, code())
        desk.press("ask_back", **fields_of("ask_back", {"typed": typed}))
        seen = signed_for(desk.core)
        desk.press("approve", code="01", pin="1")
        assert (seen.number, seen.kgo) == ("pos-2 000041", requests(desk)[-1].kgo)
