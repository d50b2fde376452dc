"""What a person who adds up finds: on the till, on the customer's display and on paper, lines less discounts are the
total, and the display says what is still due."""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import AmountTooLong, KgoAboveBillShare, Refusal, TenderTooLarge
from offline_ledger.money import parse_minor
from offline_ledger.texts import Texts
from pos_app.page.render import Renderer
from tests.pos_app.desk.desks import Desk

PAGES = Renderer(is_strict=True)
BAHT = r"(−?)฿([\d,]+\.\d\d)"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, Random(7)).begin()
    yield made
    made.close()


def html_of(desk: Desk, kind: str) -> str:
    assert desk.desk is not None
    view = desk.desk.view() if kind == "till" else desk.desk.customer_view()
    return PAGES.screen(kind, {**view, "boot": "b", "assets": "a"})


def amounts(html: str) -> list[int]:
    return [(-1 if sign else 1) * parse_minor(said) for sign, said in re.findall(BAHT, html)]


def shown(desk: Desk, kind: str) -> tuple[int, int]:
    """(lines and discounts added up, the total below them), each the boldest number of its row."""
    html = html_of(desk, kind)
    rows = re.findall(r"<li.*?<b>(.*?)</b>", html.partition('<ul class="tenders"')[0].partition("</ol>")[0], re.DOTALL)
    less = re.findall(r"<dt>ส่วนลดท้ายบิล</dt><dd>(.*?)</dd>", html)
    total = re.search(r'id="bill">(.*?)<', html) or re.search(r'class="total"><dt>[^<]*</dt><dd[^>]*>(.*?)<', html)
    assert rows and total is not None, html
    return sum(amounts(" ".join([*rows, *less]))), amounts(total[1])[0]


def discounted(desk: Desk, lines: int = 2) -> int:
    for number in range(lines):
        desk.press("add_amount", amount=f"{145 + 25 * number}", name=f"ของ {number}")
    desk.press("discount", line="1", amount="10")
    desk.press("bill_discount", amount="30.50")
    return desk.core.state.sale.basket.bill_satang


@pytest.mark.parametrize("lines", [2, 6, 7, 9])
def test_lines_less_discounts_are_the_total_everywhere(desk: Desk, lines: int) -> None:
    bill_satang = discounted(desk, lines)
    for kind in ("till", "customer"):
        assert shown(desk, kind) == (bill_satang, bill_satang), kind
    desk.press("pay")
    for kind in ("till", "customer"):
        assert shown(desk, kind) == (bill_satang, bill_satang), kind
    desk.press("cash")
    paper = desk.tray.receipts[-1]
    assert sum(item.total_satang for item in paper.items) - paper.discount_satang == paper.total_satang == bill_satang
    desk.press("next")
    desk.press("receipts")
    desk.press("receipt", number="1")
    assert shown(desk, "till") == (bill_satang, bill_satang)


def test_the_display_says_what_is_due_and_what_was_paid(desk: Desk) -> None:
    bill_satang = discounted(desk)
    desk.press("pay")
    desk.press("kgo", amount="20")
    desk.show_code(2_000)
    desk.press("promptpay", amount="50")
    desk.press("promptpay_confirm")
    assert desk.desk is not None
    view, html = desk.desk.customer_view(), html_of(desk, "customer")
    assert view["screen"] == "basket"
    assert shown(desk, "customer") == (bill_satang, bill_satang)
    huge = re.search(r'class="huge">(.*?)<', html)
    assert huge is not None and amounts(huge[1]) == [bill_satang - 7_000]
    paid = html.partition('<ul class="tenders"')[2].partition("</ul>")[0]
    assert amounts(paid) == [2_000, 5_000] and "KGO 20" in paid


@pytest.mark.parametrize(
    ("action", "fields", "refusal", "detail"),
    [
        ("kgo", {"amount": "50"}, KgoAboveBillShare, r"50\.00 จาก \d+\.\d\d"),
        ("cash", {"given": "123456789012"}, AmountTooLong, "12 หลัก ได้ไม่เกิน 10 หลัก"),
        ("cash", {"given": "123456789"}, AmountTooLong, r"123,456,789\.00 ได้ไม่เกิน 99,999,999\.99"),
        ("promptpay", {"amount": "500"}, TenderTooLarge, r"500\.00 จาก 60\.00"),
    ],
)
def test_a_refusal_speaks_in_baht_and_kgo(
    desk: Desk, action: str, fields: dict[str, str], refusal: type[Refusal], detail: str
) -> None:
    desk.press("add_amount", amount="60")
    desk.press("pay")
    with pytest.raises(refusal) as refused:
        desk.press(action, **fields)
    assert re.fullmatch(detail, Texts("th").detail(refused.value)), Texts("th").detail(refused.value)
