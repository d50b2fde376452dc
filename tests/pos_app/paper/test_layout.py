"""What stands on each receipt, in both languages; names that would do harm are made plain."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from offline_ledger.rules.civil import BANGKOK_AHEAD_S
from pos_app.paper.layout import (
    EITHER,
    NAME_CHARACTERS_MAX,
    Banner,
    Code,
    Pair,
    Part,
    Size,
    Words,
    lay_out,
    plain,
    when,
)
from pos_app.paper.raster import speaker
from pos_app.paper.receipt import TENDER_KINDS, Language, Receipt, ReceiptKind, Shop, Tender
from simulators.printer.samples import cash_out, of_every_kind, refund, sale, z_report

TH, EN = speaker(Language.TH), speaker(Language.EN)


def texts(parts: Iterable[Part]) -> list[str]:
    """Every line as it can be read."""
    found: list[str] = []
    for part in parts:
        match part:
            case Pair(left, right):
                found.append(f"{left} | {right}")
            case Words(text) | Banner(text) | Code(text):
                found.append(text)
            case _:
                pass
    return found


def lines(receipt: Receipt) -> list[str]:
    return texts(lay_out(receipt, speaker(receipt.language)).parts)


def test_a_sale_in_english() -> None:
    said = lines(sale(Language.EN))
    assert said[said.index("No. | A1-000123") : said.index("Cashier | สมหญิง ใจดี") + 1][1] == "Date | 22/11/2026 08:52"
    sums = said[said.index("Subtotal | 571.00") :]
    assert sums[:9] == [
        "Subtotal | 571.00",
        "Discount | -10.00",
        "50.00 KGO used | -50.00",
        "ร้านที่ร่วมรายการ: 1 KGO ลดได้ 1 บาท ไม่เกินครึ่งของบิล",
        "Total (baht) | 511.00",
        "Cash | 500.00",
        "PromptPay | 20.00",
        "Not yet confirmed",
        "Change | 9.00",
    ]
    assert "12.00 KGO to come, when posted" in sums and sale().voucher in sums
    at = said.index("ปลาดุกฟูผัดพริกขิง ฎฐญู ปู่ กุ้ง ชุดใหญ่สำหรับครอบครัวพร้อมข้าวสวย | 330.00")
    assert said[at + 1 : at + 3] == ["1 × 350.00", "Discount -20.00"]
    assert said[said.index("ข้าวผัดกะเพราหมูสับไข่ดาว | 55.00") + 1].startswith("น้ำแข็งเปล่า")  # one of it: no sum


def test_a_sale_in_thai_has_the_buddhist_year() -> None:
    said = lines(sale(Language.TH))
    assert "วันที่ | 22/11/2569 08:52" in said
    assert "ยอดสุทธิ (บาท) | 511.00" in said and "ยังไม่ยืนยันว่าเงินเข้า" in said
    assert "จะได้รับ 12.00 KGO เมื่อส่งข้อมูลแล้ว" in said


def test_a_refund_names_what_it_gives_back() -> None:
    said = lines(refund(Language.EN))
    assert "REFUND" in said and "Original no. | A1-000123" in said
    assert "20.00 KGO to the wallet | -20.00" in said and "Refund (baht) | 35.00" in said
    assert "1.00 KGO earned are taken back" in said and not any("to come" in line for line in said)


def test_a_report_has_its_rows_and_no_total() -> None:
    parts = lay_out(z_report(Language.EN), EN).parts
    said = texts(parts)
    assert "Z REPORT" in said and "KGO | 5,120.00" in said and "ยอดขาย / Sales" in said
    assert not any("Total" in line for line in said)
    assert not any(isinstance(part, Code) for part in parts)


def test_a_slip_has_its_amount_and_a_place_to_sign() -> None:
    said = lines(cash_out(Language.EN))
    assert "CASH OUT" in said and "Amount (baht) | 500.00" in said and "ซื้อน้ำแข็ง" in said
    assert any(line.startswith("Signed | ..") for line in said)


def test_a_slip_without_a_number_has_no_line_for_it() -> None:
    assert not any(line.startswith("No.") for line in lines(cash_out(Language.EN)._replace(number="")))


def test_only_a_shop_with_a_tax_number_prints_a_tax_invoice() -> None:
    receipt = sale(Language.EN)
    assert "Receipt (tax invoice, abridged)" in lines(receipt)
    assert "Receipt" in lines(receipt._replace(vat_satang=None))
    assert "Receipt" in lines(receipt._replace(shop=Shop("x")))


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("is_copy", ("สำเนา", "COPY")),
        ("is_training", ("ฝึกหัด ไม่ใช่ใบเสร็จ", "TRAINING – NOT A RECEIPT")),
        ("is_doubtful", ("อาจพิมพ์ซ้ำ", "MAY BE A REPRINT")),
    ],
)
def test_what_is_no_first_receipt_says_so_at_both_ends(field: str, said: tuple[str, str]) -> None:
    for language, word in zip((Language.TH, Language.EN), said, strict=True):
        sheet = lay_out(sale(language)._replace(**{field: True}), speaker(language))
        assert sheet.parts[0] == sheet.parts[-1] == Banner(word)
        assert sheet.behind == (word if field == "is_training" else "")
        plain_sheet = lay_out(sale(language), speaker(language))
        assert not any(isinstance(part, Banner) for part in plain_sheet.parts)


@pytest.mark.parametrize("language", [Language.TH, Language.EN])
@pytest.mark.parametrize("kind", list(ReceiptKind))
def test_each_kind_has_a_title_of_its_own(kind: ReceiptKind, language: Language) -> None:
    say = speaker(language)
    titles = [say(f"receipt.title.{one.value}") for one in ReceiptKind]
    assert len(set(titles)) == len(titles)
    parts = lay_out(Receipt(kind, Shop("x"), "1", 0, language=language), say).parts
    title = next(part for part in parts if isinstance(part, Words) and part.text == say(f"receipt.title.{kind.value}"))
    assert title.size is (Size.NORMAL if kind is ReceiptKind.SALE else Size.LARGE)


def test_every_tender_has_a_name() -> None:
    receipt = sale(Language.TH)._replace(tenders=tuple(Tender(kind, 1) for kind in TENDER_KINDS))
    assert {"เงินสด | 0.01", "พร้อมเพย์ | 0.01", "คูปอง | 0.01", "อื่น ๆ | 0.01"} <= set(lines(receipt))


def test_both_languages_stand_beside_each_other() -> None:
    assert f"ยอดสุทธิ (บาท){EITHER}Total (baht) | 511.00" in lines(sale(Language.BOTH))
    assert f"วันที่{EITHER}Date | 22/11/2569 (2026) 08:52" in lines(sale(Language.BOTH))


@pytest.mark.parametrize(
    ("at", "thai", "english"),
    [
        (datetime(2026, 12, 31, 16, 59, 59, tzinfo=UTC), "31/12/2569 23:59", "31/12/2026 23:59"),
        (datetime(2026, 12, 31, 17, 0, 0, tzinfo=UTC), "01/01/2570 00:00", "01/01/2027 00:00"),
        (datetime(1970, 1, 1, tzinfo=UTC), "01/01/2513 07:00", "01/01/1970 07:00"),
    ],
)
def test_civil_time_of_bangkok(at: datetime, thai: str, english: str) -> None:
    at_s = int(at.timestamp())
    assert (when(at_s, Language.TH), when(at_s, Language.EN)) == (thai, english)
    assert BANGKOK_AHEAD_S == 25_200


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("  ข้าวผัด  ", "ข้าวผัด"),
        ("two\nlines\ttabs", "two lines tabs"),
        ("a\x00\x1b@b", "a@b"),
        ("\u202e00.001\u202c", "00.001"),  # turned round it would read 100.00
        (f"no{EITHER}stroke", "nostroke"),
        ("เ\u200bก", "เ\u200bก"),
        ("ก\u0e35\u0e49\u0e48\u0e4c\u0e47", "ก\u0e35\u0e49\u0e48"),  # the fourth mark and all after it are no word
        ("\u2764\ufe0f", "\u2764\ufe0f"),  # an emoji is whole
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
        ("\U0001f1f9\U0001f1ed\U0001f1f1", "\U0001f1f9\U0001f1ed\U0001f1f1"),
        ("1\ufe0f\u20e3", "1\ufe0f\u20e3"),
        ("ก\u200dข\u200d", "กข"),  # nothing is joined
        ("x\ufe0f\U000e0067\u202e", "x"),
        ("\U0001fae9", "\U0001fae9"),  # of Unicode 16, which this Python may not know
        ("\U0001f600" * NAME_CHARACTERS_MAX, "\U0001f600" * NAME_CHARACTERS_MAX),
        ("\U0001f44d\U0001f3ff" * 200, "\U0001f44d\U0001f3ff" * (NAME_CHARACTERS_MAX - 1) + "…"),
        ("\ud800x", "x"),
        ("x" * NAME_CHARACTERS_MAX, "x" * NAME_CHARACTERS_MAX),
        ("x" * (NAME_CHARACTERS_MAX + 1), "x" * (NAME_CHARACTERS_MAX - 1) + "…"),
        ("", ""),
    ],
)
def test_names_are_made_plain(name: str, shown: str) -> None:
    assert plain(name) == shown


def test_an_item_without_a_name_has_a_line_all_the_same() -> None:
    receipt = sale(Language.EN)
    item = receipt.items[0]._replace(name="\u200e", quantity=1)
    assert "– | 120.00" in lines(receipt._replace(items=(item,)))


def test_no_text_of_a_receipt_is_missing() -> None:
    for language in Language:
        for receipt in of_every_kind(language).values():
            assert lines(receipt)
