"""Receipts of each kind as a noodle shop prints them: for tests, the bench and the pictures in `docs/receipts`.

Their QR codes have the shape and size of a voucher's and are none.
"""

import random
from pathlib import Path

from offline_ledger.protocol.qr import QrType, encode
from pos_app.paper.raster import ReceiptPainter
from pos_app.paper.receipt import Item, Language, Receipt, ReceiptKind, Shop, Tender

AT_S = 1_795_312_345
VOUCHER_BYTES = 260
SHOP = Shop(
    "ก๋วยเตี๋ยวเรือป้าน้อย",
    "สาขาบึงแก่นนคร",
    "123/45 ถนนศรีจันทร์ ตำบลในเมือง อำเภอเมืองขอนแก่น ขอนแก่น 40000",
    "0405559001234",
)
ITEMS = (
    Item("ก๋วยเตี๋ยวเรือน้ำตกหมู เส้นเล็ก พิเศษ", 2, 6_000, 12_000),
    Item("ข้าวผัดกะเพราหมูสับไข่ดาว", 1, 5_500, 5_500),
    Item("น้ำแข็งเปล่า", 3, 200, 600),
    Item("ปลาดุกฟูผัดพริกขิง ฎฐญู ปู่ กุ้ง ชุดใหญ่สำหรับครอบครัวพร้อมข้าวสวย", 1, 35_000, 33_000, 2_000),
    Item("Iced Thai tea, less sweet", 2, 3_000, 6_000),
)
REPORT_ROWS = (
    ("ยอดขาย / Sales", ""),
    ("จำนวนบิล / Receipts", "128"),
    ("ขายรวม / Gross", "45,210.00"),
    ("คืนเงิน / Refunds", "-320.00"),
    ("", ""),
    ("วิธีชำระ / Tenders", ""),
    ("เงินสด / Cash", "29,790.00"),
    ("พร้อมเพย์ / PromptPay", "9,980.00"),
    ("ในนี้ยังไม่ยืนยัน\x1fOf these unverified", "2"),
    ("KGO", "5,120.00"),
    ("", ""),
    ("เงินในลิ้นชัก / Drawer", ""),
    ("เงินทอนตั้งต้น\x1fOpening float", "2,000.00"),
    ("ควรมี / Expected", "31,790.00"),
    ("นับได้ / Counted", "31,770.00"),
    ("ขาดเกิน / Difference", "-20.00"),
)


def voucher_text(seed: int = 1) -> str:
    """A QR text of type V as long as a voucher's."""
    return encode(QrType.RECEIPT, random.Random(seed).randbytes(VOUCHER_BYTES))


def sale(language: Language = Language.BOTH) -> Receipt:
    """Four dishes and a drink, 50 KGO, cash and PromptPay."""
    return Receipt(
        ReceiptKind.SALE,
        SHOP,
        "A1-000123",
        AT_S,
        "สมหญิง ใจดี",
        ITEMS,
        subtotal_satang=57_100,
        discount_satang=1_000,
        kgo=5_000,
        kgo_discount_satang=5_000,
        campaign="ร้านที่ร่วมรายการ: 1 KGO ลดได้ 1 บาท ไม่เกินครึ่งของบิล",
        total_satang=51_100,
        tenders=(Tender("cash", 50_000), Tender("promptpay", 2_000, is_unverified=True)),
        change_satang=900,
        vat_satang=3_343,
        reward_kgo=1_200,
        voucher=voucher_text(),
        language=language,
    )


def names(language: Language = Language.BOTH) -> Receipt:
    """Goods as a shop keys them in on a phone: emoji, flags and other scripts among the Thai."""
    keyed = ("🍜 ก๋วยเตี๋ยวเรือ 🌶️🌶️", "ชุดครอบครัว 👨\u200d👩\u200d👧\u200d👦", "เบียร์ลาว 🇱🇦", "北京烤鸭 เป็ดปักกิ่ง", "★ Menu ① ✓")
    items = tuple(item._replace(name=name) for item, name in zip(ITEMS, keyed, strict=True))
    return sale(language)._replace(items=items)


def refund(language: Language = Language.BOTH) -> Receipt:
    """One dish back: its KGO to the wallet, the rest in cash, the reward taken back."""
    return Receipt(
        ReceiptKind.REFUND,
        SHOP,
        "A1-000130",
        AT_S,
        "สมหญิง ใจดี",
        ITEMS[1:2],
        subtotal_satang=5_500,
        kgo=2_000,
        kgo_discount_satang=2_000,
        total_satang=3_500,
        tenders=(Tender("cash", 3_500),),
        reward_kgo=100,
        original="A1-000123",
        note="อาหารหมด",
        voucher=voucher_text(2),
        language=language,
    )


def void(language: Language = Language.BOTH) -> Receipt:
    """The same sale as if it had not been."""
    return refund(language)._replace(kind=ReceiptKind.VOID, number="A1-000131", note="")


def z_report(language: Language = Language.BOTH) -> Receipt:
    """A day's end."""
    return Receipt(ReceiptKind.Z_REPORT, SHOP, "Z-0042", AT_S, "สมหญิง ใจดี", rows=REPORT_ROWS, language=language)


def x_report(language: Language = Language.BOTH) -> Receipt:
    """A look in between."""
    return z_report(language)._replace(kind=ReceiptKind.X_REPORT, number="X-0107")


def cash_out(language: Language = Language.BOTH) -> Receipt:
    """Money for ice."""
    return Receipt(
        ReceiptKind.CASH_OUT, SHOP, "C-7", AT_S, "สมหญิง", total_satang=50_000, note="ซื้อน้ำแข็ง", language=language
    )


def cash_in(language: Language = Language.BOTH) -> Receipt:
    """Small change from the bank."""
    return cash_out(language)._replace(kind=ReceiptKind.CASH_IN, number="C-8", note="เงินทอนจากธนาคาร")


def printer_test(language: Language = Language.BOTH) -> Receipt:
    """What a technician prints first."""
    return Receipt(ReceiptKind.TEST, SHOP, "T-1", AT_S, language=language)


def of_every_kind(language: Language) -> dict[str, Receipt]:
    """By name."""
    return {
        "sale": sale(language),
        "names": names(language),
        "refund": refund(language),
        "void": void(language),
        "x_report": x_report(language),
        "z_report": z_report(language),
        "cash_in": cash_in(language),
        "cash_out": cash_out(language),
        "test": printer_test(language),
        "copy": sale(language)._replace(is_copy=True),
        "doubtful": sale(language)._replace(is_doubtful=True),
        "training": sale(language)._replace(is_training=True),
    }


def long_sale(lines: int = 60, language: Language = Language.TH) -> Receipt:
    """So many lines, each another."""
    items = tuple(
        ITEMS[at % len(ITEMS)]._replace(name=f"{at + 1}. {ITEMS[at % len(ITEMS)].name}") for at in range(lines)
    )
    total = sum(item.total_satang for item in items)
    return sale(language)._replace(items=items, subtotal_satang=total, total_satang=total - 6_000)


def draw_samples(folder: Path, paper_mm: int = 80) -> list[Path]:
    """The pictures of `docs/receipts`."""
    folder.mkdir(parents=True, exist_ok=True)
    painter = ReceiptPainter(paper_mm)
    drawn: list[Path] = []
    for name, receipt in of_every_kind(Language.BOTH).items():
        if name in ("sale", "names", "refund", "z_report", "copy", "training"):
            drawn.append(folder / f"{name}.png")
            painter.draw(receipt).save(drawn[-1], optimize=True)
    return drawn
