"""Whoever types a PIN in another's place sees what it is for, as the action will reckon it. DESIGN §5."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import Refusal
from pos_app.counter.permissions import Role
from pos_app.desk.ports import Person
from pos_app.desk.signed_for import SignedFor, signed_for
from tests.pos_app.desk.desks import Desk

CASHIER = Person("02", "สมชาย", Role.CASHIER)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Something was sold in part for KGO, and a cashier is at the till."""
    made = Desk(tmp_path, Random(7)).begin()
    made.put("120")
    made.press("kgo", amount="20")
    made.show_code(2_000)
    made.press("cash", given="100")
    made.press("next")
    made.core.put(made.core.state._replace(cashier=CASHIER))
    yield made
    made.close()


def about(desk: Desk, action: str, **fields: str) -> SignedFor:
    desk.press(action, **fields)
    assert desk.core.state.pending is not None and desk.core.state.pending.action == action
    found = signed_for(desk.core)
    assert desk.desk is not None and desk.desk.view()["approve"] == {
        "action": action, "needs_role": "supervisor", "about": found._asdict(),
    }  # fmt: skip
    return found


def test_a_discount_names_the_goods_and_what_it_comes_to(desk: Desk) -> None:
    desk.press("add_amount", amount="80", name="ชาเย็น")
    (line,) = desk.core.state.sale.basket.lines
    assert about(desk, "discount", line=str(line.line), percent="10") == SignedFor(
        "", line.name_th, line.name_en, "10", 800
    )
    desk.press("approve_cancel")
    assert about(desk, "bill_discount", amount="12.50") == SignedFor(satang=1_250)
    desk.press("approve", code="01", pin="1")
    assert desk.core.state.sale.basket.discount_satang == 1_250


def test_a_return_names_the_receipt_and_what_goes_back(desk: Desk) -> None:
    desk.press("receipts")
    desk.press("receipt", number="1")
    assert about(desk, "void", number="1") == SignedFor("000001", satang=10_000, kgo=2_000)
    desk.press("approve_cancel")
    desk.press("refund_start", number="1")
    assert about(desk, "refund", number="1", amount="60") == SignedFor("000001", satang=5_000, kgo=1_000)
    desk.press("approve", code="01", pin="1")
    (back,) = desk.receipt(1).returns
    assert (back.money_satang, back.kgo) == (5_000, 1_000)


def test_a_return_by_line_names_what_its_goods_come_to(desk: Desk) -> None:
    desk.press("receipts")
    desk.press("receipt", number="1")
    desk.press("refund_start", number="1")
    line = desk.receipt(1).basket.lines[0].line
    assert about(desk, "refund", number="1", lines=f"{line}:1") == SignedFor("000001", satang=10_000, kgo=2_000)


def test_a_sale_that_is_cancelled_names_its_bill(desk: Desk) -> None:
    desk.press("add_amount", amount="80")
    desk.press("pay")
    assert about(desk, "cancel_sale") == SignedFor(satang=8_000)


def test_cash_out_names_the_amount_and_why(desk: Desk) -> None:
    desk.press("shift")
    assert about(desk, "cash_out", amount="200", reason="ซื้อน้ำแข็ง") == SignedFor(satang=20_000, reason="ซื้อน้ำแข็ง")


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("discount", {"line": "9", "amount": "1"}),
        ("discount", {"line": "1", "amount": "๑๒๓๔๕๖๗๘๙๐๑"}),
        ("discount", {"line": "x", "percent": "1000"}),
        ("bill_discount", {}),
    ],
)
def test_what_the_action_will_refuse_is_told_by_the_action(desk: Desk, action: str, fields: dict[str, str]) -> None:
    desk.press("add_amount", amount="80")
    assert about(desk, action, **fields) == SignedFor()
    with pytest.raises(Refusal):
        desk.press("approve", code="01", pin="1")
