"""Pictures of every face in both sizes and all themes, as the validator draws them, for people to look at.

    python -m simulators.contact_sheet docs/screens

One sheet per size and theme; the faces are filled by the validator's own rules from sample outcomes, never by hand.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from bus_validator.face import Face, FaceState, Theme
from bus_validator.faces import Faces, Paid, Strip
from bus_validator.link_badge import LinkSign, badge_of, clock_text
from bus_validator.screen.fonts import Fonts
from bus_validator.screen.painter import Painter
from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.rules.civil import Explanation
from offline_ledger.rules.limits import HOUR_S, MINUTE_S
from offline_ledger.terminal.outcome import Charge, Light, Outcome
from offline_ledger.texts import Texts

SIZES = ((320, 240), (800, 480))
COLUMNS = 3
GAP_PX = 10
GROUND = (128, 128, 128)
AT_S = 1_661_929_500
"""31 August 2565, 14:05: the last day of the city's campaign."""
HEADERS = {"th": "สาย 8 → มข. · ป้ายตลาดบางลำภู", "en": "Route 8 → KKU · Bang Lamphu Market"}
STOPS = (
    *("ตลาดบางลำภู", "โรงพยาบาลศรีนครินทร์", "มหาวิทยาลัยขอนแก่น ประตูมอดินแดง", "บขส. 1"),
    *("เซ็นทรัล", "บึงแก่นนคร", "ศาลหลักเมือง", "สถานีรถไฟ"),
)
WAYBILL = (
    *("เก็บเหรียญได้ 42.00 บาท", "ขึ้นรถ 42 คน รวม 2,100.00 KGO", "คนแรก 13:10 คนสุดท้าย 14:03", "สาย 8 เที่ยว 13:05"),
    *("ยกเลิก 1 คน คืน 1.00 บาท", "City Bus 1 บาท ผู้สูงอายุ: 7 คน 175.00 KGO", "ไม่ผ่าน 3 ครั้ง", "แตะซ้ำ 2 ครั้ง (ไม่คิดเงิน)"),
)
KEYS = "ซ้าย: ถัดไป · ขวา: ตกลง · ขวาค้าง: กลับ"
KEYS_PIN = "ซ้าย: เปลี่ยนเลข · ขวา: ตกลง · ขวาค้าง: ลบ"


def _charge(satang: int) -> Charge:
    return Charge(5_000, satang, VoucherKind.BOARDING, "flat", (1, 1), {}, None)


def _fare(key: str, kgo: str, thb: str, **more: str | tuple[str, str]) -> Explanation:
    name = ("City Bus 1 บาท", "City Bus for one baht")
    return Explanation(key, (("name", name), ("kgo", kgo), ("thb", thb), *more.items()))


def faces(language: str) -> Iterator[Face]:
    """One of each, in the order of a shift."""
    texts, second = Texts(language), Texts("en" if language == "th" else "th")
    words = Faces(texts, second)
    linked = Strip(HEADERS[language], clock_text(AT_S), badge_of(LinkSign(False), 3 * MINUTE_S, 12, texts))
    away = linked._replace(badge=badge_of(LinkSign(True), 2 * HOUR_S, 148, texts))
    unknown = away._replace(clock=clock_text(None), badge=badge_of(LinkSign(True), None, 0, texts))
    green, due = Outcome(Light.ACCEPTED, 7, _charge(0)), Outcome(Light.ACCEPTED_CASH_DUE, 7, _charge(100))
    senior = _fare("fare.concession", "25.00", "0.00", concession=("ผู้สูงอายุ", "Senior"))

    def refused(refusal: Refusal) -> Outcome:
        return Outcome(Light.TRY_AGAIN if refusal.waiting_helps else Light.REFUSED, refusal=refusal)

    yield words.wait(linked)
    yield words.reading(linked)
    yield words.decided(green, linked, fare=_fare("fare.transfer", "0.00", "0.00", minutes="60"))
    yield words.decided(due, linked, fare=_fare("fare.flat", "50.00", "1.00"))
    yield words.decided(green, linked, fare=senior)
    yield words.decided(due._replace(is_uncharged_green=True), away)
    yield words.decided(Outcome(Light.ALREADY_ACCEPTED, 7), linked, paid=Paid(AT_S - 120, AT_S, STOPS[0]))
    yield words.decided(refused(errors.AllowanceExpired()), away)
    yield words.decided(refused(errors.AllowanceForged()), away)
    yield words.decided(refused(errors.WrongAudience()), away)
    yield words.decided(refused(errors.CodeDamaged()), away)
    yield words.again(errors.CodeUnreadable(), away)
    yield words.decided(refused(errors.MustReconnect()), away)
    yield words.closed(errors.TripNotSet(), unknown)
    yield words.closed(errors.StorageFull(), away)
    yield words.decided(due, linked, is_training=True)
    if language != "th":
        return
    yield _driver(FaceState.PIN, "PIN ของ สมชาย", "●●○○", linked, lines=("ตัวเลข 5", KEYS_PIN))
    yield _driver(FaceState.LIST, "ป้ายไหน?", KEYS, linked, lines=STOPS, selected=3)
    yield _driver(FaceState.REPORT, "ใบสรุปเที่ยว", "ซ้าย: เลื่อน · ขวา: ปิด", away, lines=WAYBILL)


def _driver(
    state: FaceState, title: str, line: str, strip: Strip, lines: tuple[str, ...], selected: int | None = None
) -> Face:
    return Face(state, title, line, lines, selected, strip.header, strip.clock, strip.badge)


def sheet(size: tuple[int, int], theme: Theme, language: str, fonts: Fonts) -> Image.Image:
    """All faces of one size and theme."""
    painter = Painter(*size, theme, fonts)
    return side_by_side([painter.draw(face) for face in faces(language)])


def side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """All of one size, row by row."""
    across, down = pictures[0].width + GAP_PX, pictures[0].height + GAP_PX
    rows = -(-len(pictures) // COLUMNS)
    made = Image.new("RGB", (COLUMNS * across + GAP_PX, rows * down + GAP_PX), GROUND)
    for number, picture in enumerate(pictures):
        made.paste(picture, (GAP_PX + number % COLUMNS * across, GAP_PX + number // COLUMNS * down))
    return made


def sheets() -> Iterator[tuple[str, Image.Image]]:
    """`320x240-day.png` and so on; English in day alone, as nothing but its words differ."""
    fonts = Fonts()
    for size in SIZES:
        for theme, language in (*((theme, "th") for theme in Theme), (Theme.DAY, "en")):
            name = f"{size[0]}x{size[1]}-{theme.value}{'' if language == 'th' else '-en'}.png"
            yield name, sheet(size, theme, language, fonts)


def write_sheets(folder: Path) -> list[Path]:
    """All of them, as small as they get."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, made in sheets():
        made.quantize(128, dither=Image.Dither.NONE).save(folder / name, optimize=True)
        written.append(folder / name)
    return written


def main() -> None:
    """Writes into the folder that is named, or `docs/screens`."""
    for path in write_sheets(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screens")):
        print(f"{path} {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
