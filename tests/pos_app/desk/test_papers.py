"""What is printed and shown: its sums add up, and every screen can be told to a page."""

import json
from pathlib import Path
from random import Random

import pytest

from offline_ledger.terminal.status import SyncStatus
from offline_ledger.texts import Texts
from pos_app.counter.shift_book import ShiftTotals
from pos_app.desk.papers import number_text, receipt_of, report_rows, return_of, voucher_text
from pos_app.desk.view import found_goods
from tests.pos_app.desk.desks import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, Random(7)).begin()


def test_a_receipt_adds_up_and_carries_its_voucher(desk: Desk) -> None:
    desk.put("50", "70")
    desk.press("kgo", amount="20")
    desk.show_code(2_000)
    desk.press("promptpay", amount="30")
    desk.press("promptpay_confirm")
    desk.press("cash", given="100")
    paper = desk.tray.receipts[-1]
    assert paper == receipt_of(desk.core, desk.receipt(1))
    assert paper.subtotal_satang == sum(item.total_satang for item in paper.items) == 12_000
    assert paper.subtotal_satang is not None
    assert paper.total_satang == paper.subtotal_satang - paper.discount_satang - paper.kgo_discount_satang
    assert sum(part.satang for part in paper.tenders) - (paper.change_satang or 0) == paper.total_satang
    assert (paper.number, paper.voucher) == ("000001", voucher_text(desk.core, 1))
    assert paper.voucher is not None and paper.voucher.startswith("KGO1V:")
    assert voucher_text(desk.core, 2) is None
    desk.close()


@pytest.mark.parametrize("amount", ["0.03", "1", "119.99"])
def test_a_paper_of_what_went_back_adds_up(desk: Desk, amount: str) -> None:
    desk.put("120")
    desk.press("kgo", amount="20")
    desk.show_code(2_000)
    desk.press("cash")
    for press in ("receipts", "receipt", "refund_start"):
        desk.press(press, number="1")
    desk.press("refund", number="1", amount=amount)
    record = desk.receipt(1)
    paper = return_of(desk.core, record, record.returns[0])
    assert paper.subtotal_satang is not None
    assert paper.subtotal_satang - paper.kgo_discount_satang == paper.total_satang == record.back.money_satang
    assert paper.original == "000001" and paper.number == "000002"
    desk.close()


@pytest.mark.parametrize("language", ["th", "en"])
def test_a_report_names_what_is_short_and_hides_a_count_that_was_not_made(language: str) -> None:
    totals = ShiftTotals(3, True, 0, 50_000, cash_satang=1_000, back_cash_satang=60_000)
    texts = Texts(language)
    assert len(report_rows(totals, 2, texts)) == len(report_rows(totals._replace(counted_satang=0), 2, texts)) - 2
    values = dict(report_rows(totals._replace(counted_satang=5), 2, texts))
    assert values[texts.get("till.report.expected")] == "-90.00"
    assert values[texts.get("till.report.difference")] == "90.05"
    assert values[texts.get("till.report.waiting")] == "2"
    assert all(value for label, value in report_rows(totals, 0, texts) if label)


def test_a_report_names_what_the_city_rejected_and_says_nothing_where_it_took_all() -> None:
    totals, texts = ShiftTotals(3, True), Texts("th")
    link = SyncStatus(0, None, 0, None, None, True, 0, None, (), False)
    assert report_rows(totals, 0, texts, link) == report_rows(totals, 0, texts)
    many = link._replace(rejected=tuple((number, 3006) for number in range(1, 12)))
    assert report_rows(totals, 0, texts, many)[-2:] == [
        (texts.get("till.report.rejected"), "11"),
        (texts.get("till.report.rejected_newest"), "000007 000008 000009 000010 000011"),
    ]


@pytest.mark.parametrize("number", [1, 999_999, 1_000_000])
def test_a_number_is_never_cut(number: int) -> None:
    assert int(number_text(number)) == number and len(number_text(number)) >= 6


def test_every_screen_can_be_told_in_both_languages(desk: Desk) -> None:
    """Plain values alone, on the way of a whole day."""
    assert desk.desk is not None
    told: set[str] = set()

    def look() -> None:
        assert desk.desk is not None
        for language in ("en", "th"):
            desk.press("language", language=language)
            told.add(str(desk.desk.view()["screen"]))
            json.dumps([desk.desk.view(), desk.desk.customer_view(), found_goods(desk.core, "ก")])

    for action, fields in (
        *(
            ("add_amount", {"amount": "120"}),
            ("hold", {}),
            ("held", {}),
            ("back", {}),
            ("add_amount", {"amount": "50"}),
        ),
        *(("pay", {}), ("kgo", {"amount": "10"}), ("kgo_cancel", {}), ("promptpay", {}), ("promptpay_confirm", {})),
        *(("receipts", {}), ("receipt", {"number": "1"}), ("refund_start", {"number": "1"}), ("back", {})),
        *(("back", {}), ("back", {}), ("shift", {}), ("x_report", {}), ("back", {}), ("close_shift", {}), ("lock", {})),
    ):
        look()
        desk.press(action, **fields)
    look()
    assert told == {"sale", "held", "pay", "wait_kgo", "promptpay", "done", "receipts", "receipt", "refund", "shift",
                    "report", "locked"}  # fmt: skip
    desk.close()
