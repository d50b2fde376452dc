"""A believable view of every screen of the counter, as the desk's contract has them; for tests, axe and pictures."""

from typing import Any

from offline_ledger.terminal.status import SyncStatus
from offline_ledger.texts import Texts
from pos_app.counter.shift_book import ShiftTotals
from pos_app.desk.papers import report_rows
from pos_app.desk.signed_for import SignedFor

View = dict[str, Any]
_IN = {language: Texts(language) for language in ("th", "en")}
_ENGLISH: dict[str, str] = {}
"""Of each sentence that the program itself puts into a view: the Thai one → the English one."""


def said(key: str, **values: str) -> str:
    """A sentence of the program, in Thai; `spoken` gives it in the screen's language."""
    thai = _IN["th"].get(key, **values)
    _ENGLISH[thai] = _IN["en"].get(key, **values)
    return thai


def spoken(view: View, language: str) -> View:
    """The view as the program makes it for a screen in this language."""
    return {**(view if language == "th" else _english(view)), "language": language}


def _english(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _english(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_english(value) for value in found]
    return _ENGLISH.get(found, found) if isinstance(found, str) else found


AT_S = 1_795_313_700
"""22 November 2569 (2026), 09:15 in Bangkok."""
QR = "KGO1:" + "6BFOXN%TS3DH0YOJ58S.S-W5HDC *M0II5XHC9B5G2+$N IOP-IA%NFQGRJPC%OQHIZC4.OI1RM8ZA.A5:S9MKN4NN3F85" * 3
PROMPTPAY = "00020101021229370016A000000677010111011300668123456785802TH530376454048.505802TH6304A1B2"
VOUCHER = "KGO1:" + "NCFOXN*TS0BI$ZD4N9:9S6RCVN5+O30K3/XIV0W23NTDEMWK4MI6UOS03CR83KLBKAVN74" * 5
NAMES = (
    ("ก๋วยเตี๋ยวเรือหมูน้ำตก", "Boat noodles, pork"),
    ("เส้นเล็กต้มยำ พิเศษ", "Tom yum noodles, large"),
    ("ข้าวเปล่า", "Rice"),
    ("น้ำแข็งเปล่า", "Ice"),
    ("ชาดำเย็น", "Iced black tea"),
    ("ลูกชิ้นปิ้ง 5 ไม้", "Grilled meatballs, 5 sticks"),
)
PRICES = (5_000, 6_500, 1_000, 200, 2_500, None)
CATEGORIES = [
    {"id": "noodles", "name_th": "ก๋วยเตี๋ยว", "name_en": "Noodles"},
    {"id": "drinks", "name_th": "เครื่องดื่ม", "name_en": "Drinks"},
    {"id": "snacks", "name_th": "ของทานเล่น", "name_en": "Snacks"},
    {"id": "", "name_th": "", "name_en": ""},  # goods of no category
]
GOODS = [
    {"sku": f"{number + 1:03d}", "name_th": thai, "name_en": english, "price_satang": price, "category": "noodles"}
    for number, ((thai, english), price) in enumerate(zip(NAMES, PRICES, strict=True))
]


def line(number: int, name: int, quantity: int, unit_satang: int, discount_satang: int = 0) -> View:
    thai, english = NAMES[name] if name >= 0 else ("", "")
    return {
        "line": number,
        "name_th": thai,
        "name_en": english,
        "unit_satang": unit_satang,
        "quantity": quantity,
        "discount_satang": discount_satang,
        "total_satang": quantity * unit_satang - discount_satang,
        "is_open_price": name < 0,
    }


BASKET = [line(1, 0, 2, 5_000), line(2, 4, 3, 2_500, 500), line(3, -1, 3, 4_500), line(4, 5, 1, 123_450)]


def sale(basket: list[View], discount_satang: int = 0) -> View:
    bill = sum(one["total_satang"] for one in basket) - discount_satang
    return {
        "basket": basket,
        "count": len(basket),
        "discount_satang": discount_satang,
        "bill_satang": bill,
        "vat_satang": bill * 7 // 107,
    }


def refusal(number: int, key: str, detail: str = "") -> View:
    return {"number": number, "key": key, "detail": detail}


def light(name: str, line: str = "", why: View | None = None) -> View:
    more = {"usable_kgo": 1_500 if why else None, "kgo": None if why else 2_000, "is_uncharged": False}
    return {"light": name, "refusal": why, "line": line, **more}


def approve(action: str, **about: object) -> View:
    """Who may not do it alone calls somebody, who sees what it is."""
    return {"action": action, "needs_role": "supervisor", "about": SignedFor()._replace(**about)._asdict()}


def common(screen: str, **more: object) -> View:
    found: View = {
        "screen": screen,
        "language": "th",
        "shop": {"name": "ก๋วยเตี๋ยวเรือแม่มาลี", "branch": "ตลาดบางลำภู", "device": "KK-0007"},
        "is_training": False,
        "clock": {"at_s": AT_S, "trust": "synced"},
        "cashier": {"code": "01", "name": "มาลี ใจดี", "role": "cashier"},
        "shift": {"number": 12, "opened_at_s": AT_S - 7_000},
        "link": {"badge": "synced", "waiting": 0, "oldest_age_s": None, "synced_age_s": 180, "trouble": None},
        "troubles": [],
        "light": None,
        "called": None,
        "notice": None,
        "printer": {"waiting": 0, "trouble": None},
        "approve": None,
        "may": {
            "discount": "yes",
            "bill_discount": "approve",
            "void": "approve",
            "drawer": "approve",
            "x_report": "yes",
        },
    }
    return {**found, **more}


def selling(basket: list[View], **more: object) -> View:
    return common(
        "sale",
        **{
            "sale": sale(basket),
            "categories": CATEGORIES,
            "category": "noodles",
            "goods": GOODS,
            "held_count": 0,
            "held_oldest_age_s": None,
            "interrupted": [],
            **more,
        },
    )


def tender(kind: str, satang: int, kgo: int | None = None, *, is_verified: bool = True) -> View:
    return {"kind": kind, "satang": satang, "kgo": kgo, "is_verified": is_verified, "reference": ""}


def paying(**more: object) -> View:
    found = sale(BASKET, 1_000)
    return common(
        "pay",
        **{
            "sale": found,
            "tenders": [],
            "due_satang": found["bill_satang"],
            "kgo": {
                "max_kgo": 4_500,
                "suggested_kgo": 2_000,
                "reason": said("usable.bill_share", kgo="45.00"),
            },
            "can": {"kgo": True, "cash": True, "promptpay": True, "coupon": False, "back": True, "drop": True},
            **more,
        },
    )


RECEIPT: View = {
    "number": 123,
    "number_text": "000123",
    "at_s": AT_S - 600,
    "cashier": "มาลี ใจดี",
    "lines": BASKET,
    "discount_satang": 1_000,
    "rest": {"satang": 152_950, "kgo": 2_000, "money_satang": 144_950},
    "gone": {"satang": 0, "kgo": 0, "money_satang": 0},
    "last_gone": None,
    "tenders": [tender("kgo", 8_000, 2_000), tender("cash", 144_950)],
    "bill_satang": 152_950,
    "reward_kgo": 150,
    "state": "paid",
    "voucher_qr": VOUCHER,
    "left_satang": 152_950,
    "left_kgo": 2_000,
    "by_line": True,
    "can_void": True,
    "can_refund": True,
    "change_satang": 0,
}
OFFLINE = {"badge": "offline", "waiting": 148, "oldest_age_s": 7_500, "synced_age_s": 9_000, "trouble": None}
ATTENTION = {
    "badge": "attention",
    "waiting": 3,
    "oldest_age_s": 90_000,
    "synced_age_s": 60,
    "trouble": {"number": 3004, "title_key": ""},
}
RECEIPTS = [
    {
        "number": 123 - number,
        "number_text": f"{123 - number:06d}",
        "at_s": AT_S - 600 * number,
        "bill_satang": 8_500 + number,
        "kgo": kgo,
        "state": state,
    }
    for number, (state, kgo) in enumerate(
        (("paid", 2_000), ("part_refunded", None), ("refunded", 500), ("voided", None), ("paid", None))
    )
]
ASKING: View = {"device": "KK-0008", "number_text": "000041", "at_s": AT_S - 9_000, "kgo": 2_000, "request": None}
ASKED: View = {"number": "7F3A92C1", "kgo": 1_500, "at_s": AT_S - 60, "is_again": False}
TOTALS: View = {
    "number": 12,
    "sales": {"count": 212, "satang": 1_845_600},
    "discounts_satang": 12_500,
    "refunds": {"count": 2, "satang": 9_000, "kgo": 500},
    "voids": {"count": 1},
    "tenders": {
        "kgo": {"count": 88, "kgo": 176_000, "satang": 704_000},
        "cash": {"satang": 1_021_600},
        "promptpay": {"satang": 115_000},
        "coupon": {"satang": 5_000},
    },
    "cash": {
        "float_satang": 200_000,
        "in_satang": 50_000,
        "out_satang": 30_000,
        "back_satang": 9_000,
        "expected_satang": 1_232_600,
        "counted_satang": 1_232_500,
    },
    "waiting": 148,
    "rejected": {"count": 12, "numbers": ["000017", "000101", "000102", "000311", "012345"]},
    "held": 2,
}
PAID_OTHER = said("till.paid_other", sale="a1b2c3d4e5f6", bill="140.00", kgo="20.00")
REJECTED = SyncStatus(148, None, 0, None, None, True, 0, None, tuple((number, 1) for number in range(101, 106)), False)


def report() -> list[list[str]]:
    """The longest that a till makes: counted, and rejected by the city."""
    sums = ShiftTotals(
        *(12, False, AT_S, 200_000, 212, 1_845_600, 12_500, 176_000, 704_000, 5_000, 1_021_600, 115_000, 120_740),
        *(388, 2, 1, 9_000, 500, 9_000, 50_000, 30_000, 88, 1_232_500),
    )
    thai, english = (report_rows(sums, 148, texts, REJECTED) for texts in _IN.values())
    _ENGLISH.update((one, other) for (one, _value), (other, _same) in zip(thai, english, strict=True))
    return [list(row) for row in thai]


DONE: View = {
    "number": "000124",
    "bill_satang": 152_950,
    "tenders": [tender("kgo", 8_000, 2_000), tender("promptpay", 50_000, is_verified=False), tender("cash", 94_950)],
    "given_satang": 104_000,
    "change_satang": 9_050,
    "reward_kgo": 150,
    "printed": "yes",
}
PEOPLE = [
    {"code": "01", "name": "มาลี ใจดี"},
    {"code": "02", "name": "สมชาย วงศ์ใหญ่"},
    {"code": "09", "name": "ผู้จัดการ ปู่ตู้"},
]
WAITING = {"asked_kgo": 2_000, "is_charged": False}
REFUND = {
    "receipt": {**RECEIPT, "lines": [{**one, "quantity_left": one["quantity"]} for one in BASKET]},
    "amount_satang": None,
    "sure": None,
}
DENIED = refusal(2101, "denied")
EXPIRED = refusal(1101, "allowance_expired")
DAMAGED = refusal(1003, "code_damaged")


def tills() -> dict[str, View]:
    """Every state of the cashier's screen."""
    found = {
        "first-manager": common("first_manager", cashier=None, shift=None),
        "locked": common("locked", cashier=None, cashiers=PEOPLE, wait_s=0),
        "locked-wait": common(
            "locked", cashier=None, cashiers=PEOPLE, wait_s=28, notice={"refusal": refusal(5027, "page_form_unfit")}
        ),
        "no-shift": common("no_shift", shift=None, last_count_satang=198_500),
        "sale-empty": selling([]),
        "sale": selling(BASKET, held_count=2, light=light("already_accepted", PAID_OTHER)),
        "sale-refused": selling(BASKET, light=light("refused", "", DENIED), link=OFFLINE),
        "sale-try-again": selling(BASKET, light=light("try_again", "", DAMAGED), link=ATTENTION),
        "sale-out": selling(BASKET, light=light("out_of_service", "", refusal(2001, "storage_full"))),
        "sale-notice": selling(BASKET, notice={"refusal": refusal(1002, "not_our_code")}, light=light("accepted")),
        "sale-trouble": selling(
            BASKET,
            troubles=[{"what": "device", "refusal": refusal(6001, "scanner_lost")}] * 2,
            clock={"at_s": AT_S, "trust": "floor"},
        ),
        "sale-link-long": selling(
            BASKET,
            link={**ATTENTION, "waiting": 12_345, "oldest_age_s": 45 * 86_400},
            troubles=[{"what": "sync", "refusal": refusal(3004, "city_unreachable")}],
            clock={"at_s": AT_S, "trust": "floor"},
            cashier={"code": "01", "name": "วรรณวิสาข์ ศรีสุวรรณวัฒนา", "role": "cashier"},
        ),
        "sale-offline-long": selling(BASKET, link={**OFFLINE, "waiting": 12_345, "oldest_age_s": 47 * 3_600}),
        "sale-interrupted": selling([], interrupted=[{"sale": "KK0007-000125", "bill_satang": 8_500, "kgo": 2_000}]),
        "pay": paying(),
        "pay-part": paying(
            tenders=[
                tender("kgo", 8_000, 2_000),
                tender("cash", 50_000),
                tender("promptpay", 10_000, is_verified=False),
            ],
            due_satang=90_950,
            can={"kgo": False, "cash": True, "promptpay": True, "coupon": False, "back": False, "drop": True},
        ),
        "wait-scan": {**paying(), **WAITING, "screen": "wait_kgo", "request": None},
        "wait-charged": {**paying(), **WAITING, "screen": "wait_kgo", "request": None, "is_charged": True},
        "wait-working": {
            **paying(),
            **WAITING,
            "screen": "wait_kgo",
            "request": None,
            "light": light("working"),
        },
        "wait-request": {
            **paying(),
            **WAITING,
            "screen": "wait_kgo",
            "request": {"qr": QR, "expires_at_s": AT_S + 120},
        },
        "promptpay": {**paying(), "screen": "promptpay", "asked_satang": 144_950, "qr": PROMPTPAY},
        "done": common("done", **DONE, light=light("accepted")),
        "done-exact": common(
            "done", **{**DONE, "change_satang": 0, "printed": "failed"}, light=light("accepted_cash_due")
        ),
        "held": common(
            "held",
            held=[
                {
                    "sale": f"h{number}",
                    "label": label,
                    "bill_satang": 12_500,
                    "count": 3,
                    "at_s": AT_S - 900,
                    "cashier": "มาลี",
                }
                for number, label in enumerate(("โต๊ะ 4", "คุณปู่ใส่หมวก", ""))
            ],
        ),
        "receipts": common("receipts", receipts=RECEIPTS, query=""),
        "receipt": common("receipt", receipt=RECEIPT),
        "receipt-gone": common(
            "receipt",
            receipt={
                **RECEIPT,
                "state": "part_refunded",
                "gone": {"satang": 12_345, "kgo": 500, "money_satang": 10_345},
                "last_gone": {"satang": 4_050, "kgo": 250, "money_satang": 3_050},
            },
        ),
        "refund": common("refund", **REFUND),
        "refund-sure": common(
            "refund",
            **{**REFUND, "sure": {"satang": 4_050, "kgo": 250, "money_satang": 3_050, "lines": [[1, 2]]}},
        ),
        "ask-back": common("ask_back", asking=ASKING),
        "ask-back-done": common("ask_back", asking={**ASKING, "request": ASKED}),
        "ask-back-again": common("ask_back", asking={**ASKING, "request": {**ASKED, "is_again": True}}),
        "shift": common("shift", totals=TOTALS),
        "report": common("report", rows=report(), is_z=True, number=12),
        "approve": {
            **common("receipt", receipt=RECEIPT),
            "approve": approve("void", number="000123", satang=10_500, kgo=2_000),
        },
        "approve-discount": selling(
            BASKET,
            approve=approve(
                "discount", name_th="ก๋วยเตี๋ยวต้มยำน้ำข้นหมูเด้งไข่ยางมะตูมพิเศษใส่ถั่วป่น", name_en="", percent="15", satang=1_200
            ),
        ),
        "called": selling(BASKET, called="KK-0007"),
        "training": selling(BASKET, is_training=True, light=light("training", "KGO 20")),
        "training-done": common("done", **DONE, is_training=True, light=light("training")),
    }
    return found


LONG = {"earlier_satang": 1_234_500, "bill_satang": 1_404_450}


def customers() -> dict[str, View]:
    """Every state of the customer's display."""
    base: View = {
        "language": "th",
        "shop": {"name": "ก๋วยเตี๋ยวเรือแม่มาลี", "branch": "ตลาดบางลำภู", "device": "KK-0007"},
        "is_training": False,
        "lines": BASKET,
        "earlier_satang": 0,
        "discount_satang": 1_000,
        "tenders": [],
        "bill_satang": 152_950,
        "due_satang": 144_950,
        "asked_kgo": 2_000,
        "kgo": 0,
        "promptpay_satang": 144_950,
        "request_qr": None,
        "asked_by": {"owner": "R-0107", "device": "KK-0007"},
        "promptpay_qr": None,
        "reward_kgo": None,
        "change_satang": 0,
        "light": None,
        "called": None,
    }
    thanks = {"screen": "thanks", "reward_kgo": 150, "change_satang": 9_050, "light": light("accepted")}
    return {
        "idle": {**base, "screen": "idle"},
        "basket": {**base, "screen": "basket"},
        "basket-plain": {**base, "screen": "basket", "discount_satang": 0, "bill_satang": 153_950},
        "basket-long": {**base, "screen": "basket", "lines": (BASKET * 2)[:6], **LONG},
        "basket-part": {
            **base,
            "screen": "basket",
            "lines": (BASKET * 2)[:6],
            **LONG,
            "tenders": [tender("kgo", 8_000, 2_000), tender("promptpay", 10_000, is_verified=False)],
            "due_satang": 1_386_450,
        },
        "ask": {**base, "screen": "ask"},
        "ask-request": {**base, "screen": "ask", "request_qr": QR},
        "promptpay": {**base, "screen": "promptpay", "promptpay_qr": PROMPTPAY},
        "thanks": {**base, **thanks},
        "called": {**base, "screen": "idle", "called": "KK-0007"},
        "approved": {**base, "screen": "approved", "kgo": 2_000, "light": light("accepted")},
        "already": {**base, **thanks, "reward_kgo": None, "light": light("already_accepted")},
        "refused": {**base, "screen": "refused", "light": light("refused", "", EXPIRED)},
        "try-again": {**base, "screen": "refused", "light": light("try_again", "", DAMAGED)},
        "training": {**base, **thanks, "is_training": True, "light": light("training")},
    }
