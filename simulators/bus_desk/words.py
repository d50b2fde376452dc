"""What hands can do at the bus on the desk, in words that page and scenario share; and what is wrong with others. Pure.

An action is a line: `ride Mali`, `card_torn Kaew after_write`, `driver sign-on D-01 274905`. DESIGN §11.
"""

from collections.abc import Mapping
from typing import NamedTuple

from simulators.bus_desk.town import CARDS, PEOPLE
from simulators.card.foreign import ForeignSort
from simulators.card.virtual import Where

NEW = "New"
"""A passenger who registers for this very ride; after it, the last one who did."""
WHO = (*PEOPLE, NEW)
TORN = tuple(where.value for where in Where)
DRIVER_WORDS = (
    *("sign-on", "route", "stop", "companion", "annul", "end-trip", "lock", "sign-off", "driver-status", "waybill"),
)
LINE_CHARACTERS_MAX = 120


class Action(NamedTuple):
    """`choices`: what may follow, word by word. `presents`: a customer waits for a light. `free`: any words follow."""

    group: str
    thai: str
    english: str
    choices: tuple[tuple[str, ...], ...] = ()
    presents: bool = False
    free: bool = False


GROUPS: Mapping[str, tuple[str, str]] = {
    "phone": ("โทรศัพท์", "Phone"),
    "card": ("บัตร", "Card"),
    "coupon": ("คูปองกระดาษ", "Paper coupon"),
    "stranger": ("โค้ดและบัตรอื่น", "Other codes, cards"),
    "cheat": ("คนโกง", "Cheats"),
    "driver": ("คนขับ", "Driver"),
    "bus": ("รถและอุปกรณ์", "Bus and devices"),
}
_CHEATS = ("clone", "same_counter", "understated", "foreign_signature", "flipped")
ACTIONS: Mapping[str, Action] = {
    "ride": Action("phone", "ขึ้นรถ", "new ride", (WHO,), presents=True),
    "again": Action("phone", "โค้ดเดิม (รีเฟรช)", "same code, refreshed", (WHO,), presents=True),
    "screenshot": Action("phone", "ภาพถ่ายหน้าจอเก่า", "old screenshot", (WHO,), presents=True),
    "shop_code": Action("phone", "โค้ดสำหรับร้านค้า", "a code for a shop", (WHO,), presents=True),
    "little": Action("phone", "โค้ด 10 KGO", "a code for 10 KGO only", (WHO,), presents=True),
    "glare": Action("phone", "แสงสะท้อนเต็มจอ", "screen under glare", (WHO,), presents=True),
    "torn_text": Action("phone", "โค้ดขาดครึ่ง", "half a code", (WHO,), presents=True),
    "renew": Action("phone", "รับวงเงินใหม่", "renew the allowance", (WHO,)),
    "card": Action("card", "แตะ", "tap", (CARDS,), presents=True),
    "card_second": Action("card", "แตะที่เครื่องอ่านที่สอง", "tap the second reader", (CARDS,), presents=True),
    "card_hold": Action("card", "วางค้างไว้", "hold", (CARDS,), presents=True),
    "card_lift": Action("card", "ยกออก", "lift", (CARDS,)),
    "card_torn": Action("card", "ยกเร็วเกินไป", "torn away", (CARDS, TORN), presents=True),
    "card_slow": Action("card", "บัตรช้า", "slow card", (CARDS,), presents=True),
    "card_silent": Action("card", "บัตรไม่ตอบ", "silent card", (CARDS,), presents=True),
    "two_cards": Action("card", "สองใบพร้อมกัน", "two at once", presents=True),
    "coupon": Action(
        "coupon",
        "แสดงคูปอง",
        "show a coupon",
        (("good", "used", "yesterday", "other_vehicle", "other_trip"),),
        presents=True,
    ),
    "foreign": Action(
        "stranger", "บัตรอื่น", "a foreign card", (tuple(sort.value for sort in ForeignSort),), presents=True
    ),
    "other_city": Action("stranger", "โค้ดของเมืองอื่น", "another city's code", presents=True),
    "promptpay": Action("stranger", "โค้ดพร้อมเพย์", "a PromptPay code", presents=True),
    "cheat": Action("cheat", "แอปดัดแปลง", "a modified app", (_CHEATS, tuple(PEOPLE)), presents=True),
    "driver": Action("driver", "คำสั่งคนขับ", "driver's command", free=True),
    "button": Action("driver", "ปุ่มที่หัวอ่าน", "button of the head", (("left", "right"), ("short", "long"))),
    "drive": Action("bus", "ขับไปป้ายถัดไป", "drive to the next stop"),
    "head": Action(
        "bus",
        "หัวอ่าน",
        "reader head",
        (("unplug", "plug", "freeze", "restart", "noise", "quiet", "open_cover", "close_cover"),),
    ),
    "gps": Action("bus", "จีพีเอส", "GPS", (("unplug", "plug", "no_fix", "fix"),)),
    "clock": Action("bus", "ชิปนาฬิกา (อ่านตอนเปิดเครื่อง)", "clock chip, read at start", (("reset", "gone", "well"),)),
    "card_service": Action("bus", "บริการเครื่องอ่านบัตร", "card service", (("stop", "start"),)),
    "network": Action("bus", "เครือข่าย", "network", (("cut", "lose", "slow", "restore"),)),
    "sync": Action("bus", "ส่งให้หมด", "send everything"),
    "unplug_mid_tap": Action("bus", "ดึงสายหัวอ่านกลางการแตะ", "head unplugged mid-tap", (WHO,)),
    "kill_mid_tap": Action("bus", "ไฟดับกลางการแตะ (โทรศัพท์)", "SIGKILL mid-tap, phone", (WHO,)),
    "kill_mid_card": Action("bus", "ไฟดับกลางการแตะ (บัตร)", "SIGKILL mid-tap, card", (CARDS,)),
    "kill": Action("bus", "ไฟดับ", "SIGKILL the validator"),
    "start": Action("bus", "เปิดเครื่อง", "start the validator"),
}
CHOICES: Mapping[str, str] = {
    "Mali": "มะลิ",
    "Somchai": "สมชาย",
    "Nok": "นก (นักเรียน)",
    "Boonmi": "บุญมี (ผู้สูงอายุ)",
    NEW: "คนใหม่",
    "Kaew": "แก้ว",
    "Lek": "เล็ก",
    "Dao": "ดาว",
    "in_command": "ระหว่างส่งคำสั่ง",
    "before_write": "ก่อนบัตรบันทึก",
    "aside_written": "บันทึกได้ครึ่งเดียว",
    "after_write": "หลังบัตรบันทึก",
    "in_answer": "ระหว่างตอบ",
    "good": "ใช้ได้",
    "used": "ใช้แล้ว",
    "yesterday": "ของเมื่อวาน",
    "other_vehicle": "ของรถคันอื่น",
    "other_trip": "ของเที่ยวอื่น",
    "bank": "บัตรธนาคาร",
    "storage": "บัตรหน่วยความจำ",
    "felica": "เฟลิกา",
    "desfire": "เดสไฟร์",
    "calypso": "คาลิปโซ",
    "identity": "บัตรประชาชน",
    "passport": "หนังสือเดินทาง",
    "unknown": "บัตรไม่รู้จัก",
    "clone": "โทรศัพท์โคลน",
    "same_counter": "เลขครั้งซ้ำ",
    "understated": "บอกยอดต่ำกว่าจริง",
    "foreign_signature": "ลายเซ็นคนอื่น",
    "flipped": "กลับลายเซ็น",
    "left": "ซ้าย",
    "right": "ขวา",
    "short": "กดสั้น",
    "long": "กดค้าง",
    "unplug": "ถอดสาย",
    "plug": "เสียบสาย",
    "freeze": "ค้าง",
    "restart": "เริ่มใหม่",
    "noise": "สายถูกรบกวน",
    "quiet": "สายปกติ",
    "reset": "ถ่านหมด (ปี 1970)",
    "gone": "ไม่พบ",
    "well": "ปกติ",
    "open_cover": "เปิดฝา",
    "close_cover": "ปิดฝา",
    "no_fix": "ไม่เห็นดาวเทียม",
    "fix": "เห็นดาวเทียม",
    "stop": "หยุด",
    "start": "เริ่ม",
    "cut": "ตัดขาด",
    "lose": "เงียบหาย",
    "slow": "ช้า",
    "restore": "คืน",
}
"""What may follow an action, in Thai, for the page."""


def mistake_in(line: str) -> str | None:
    """What is wrong with an action's line, in words; None: nothing."""
    words = line.split()
    if not words:
        return "no action"
    if len(line) > LINE_CHARACTERS_MAX or not line.isprintable():
        return f"an action is one line of at most {LINE_CHARACTERS_MAX} characters"
    action = ACTIONS.get(words[0])
    if action is None:
        return f"unknown action {words[0]!r}; there are: {', '.join(ACTIONS)}"
    if action.free:
        good = len(words) > 1 and words[1] in DRIVER_WORDS
        return None if good else f"{words[0]!r} wants one of: {', '.join(DRIVER_WORDS)}"
    if len(words) - 1 != len(action.choices):
        return f"{words[0]!r} wants {len(action.choices)} more words, not {len(words) - 1}"
    for word, choices in zip(words[1:], action.choices, strict=True):
        if word not in choices:
            return f"{word!r} is none of: {', '.join(choices)}"
    return None
