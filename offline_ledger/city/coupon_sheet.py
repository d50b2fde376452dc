"""Coupons on A4 paper: what each one says, its code, lines to cut along. DESIGN §2, §4.

Thai first, English below, whatever language the operator's screen has. Eight on a page, black and white at 600 dots an
inch, so that an office copier keeps the modules apart. Never signs, never decides what a coupon is worth.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features
from PIL.ImageFont import FreeTypeFont

from offline_ledger.city.coupons import Departure, Device, Order, Printed, departure_of, serial
from offline_ledger.errors import PrintImpossible
from offline_ledger.money import format_minor
from offline_ledger.protocol import qr
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.qr_picture import code_picture
from offline_ledger.rules.civil import format_buddhist
from offline_ledger.rules.tariff import Product
from offline_ledger.texts import Texts

DPI = 600
"""A module is at least a dozen dots wide and every module edge lies on a dot; 1 bit a dot keeps the file small."""
COLUMNS, ROWS = 2, 4
MODULE_PX_MIN = 12
"""0.5 mm: what a scanner at arm's length reads from paper that was folded."""
QR_VERSION_MAX = 15
FONTS = Path(__file__).parents[1] / "texts" / "fonts"
FONT_FILES = {
    "Sarabun-Bold.ttf": "d38308ca27d067b9a1b79006337c1f9a66c29aa016d96a9d88d3801da7fa83b9",
    "Sarabun-Medium.ttf": "cc7c3016daab3321674fdf6e2ef59850dc0c07503de1cbdb8b90fe8080ada2b4",
}
"""With their SHA-256: another font under the name has other widths."""
_MM_10 = 254
SHRUNK_PERCENT_MIN = 55
NAME_CHARACTERS_MAX = 60


def px(mm_10: int) -> int:
    """Tenths of a millimetre in dots."""
    return mm_10 * DPI // _MM_10


PAGE_PX = (px(2_100), px(2_970))
MARGIN = 100
CELL = ((2_100 - 2 * MARGIN) // COLUMNS, (2_970 - 2 * MARGIN) // ROWS)
QR_BOX = 460
PAD = 20
TEXT_DOWN = 12
"""Marks of Thai stand above their line: with this they stay clear of the cut. The last line gives up its gap."""
TEXT_AT = PAD + QR_BOX + 15
TEXT_WIDTH = CELL[0] - TEXT_AT - PAD


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a coupon; sizes in tenths of a millimetre."""

    text: str
    size: int
    is_bold: bool = False
    gap: int = 16


@dataclass(frozen=True, slots=True)
class Face:
    """What every coupon of a sheet says, and the line above each page. `serial_name`: the word before the number."""

    city: str
    sheet: int
    lines: tuple[Line, ...]
    foot: tuple[Line, ...]
    serial_name: str
    page_head: str


class Pens:
    """The fonts. Raises PrintImpossible: no Thai shaping here, or a font is missing or another one."""

    def __init__(self, folder: Path = FONTS) -> None:
        if not features.check("raqm"):  # without it, tone marks stand beside their vowels
            raise PrintImpossible("raqm")
        for name, digest in FONT_FILES.items():
            try:
                is_right = sha256((folder / name).read_bytes()).hexdigest() == digest
            except OSError as error:
                raise PrintImpossible(f"{folder / name}: {error.strerror}") from error
            if not is_right:
                raise PrintImpossible(f"{folder / name}: another font")
        self._folder = folder
        self._made: dict[tuple[int, bool], FreeTypeFont] = {}

    def pen(self, size_px: int, *, is_bold: bool) -> FreeTypeFont:
        """A font at a size in dots."""
        made = self._made.get((size_px, is_bold))
        if made is None:
            name = "Sarabun-Bold.ttf" if is_bold else "Sarabun-Medium.ttf"
            made = ImageFont.truetype(str(self._folder / name), size_px, layout_engine=ImageFont.Layout.RAQM)
            self._made[size_px, is_bold] = made
        return made

    def fitted(self, line: Line, width_px: int) -> tuple[FreeTypeFont, str]:
        """The line as it fits: smaller first, then cut."""
        full = px(line.size)
        for percent in range(100, SHRUNK_PERCENT_MIN - 1, -5):
            pen = self.pen(full * percent // 100, is_bold=line.is_bold)
            if pen.getlength(line.text) <= width_px:
                return pen, line.text
        pen = self.pen(full * SHRUNK_PERCENT_MIN // 100, is_bold=line.is_bold)
        text = line.text
        while text and pen.getlength(f"{text}…") > width_px:
            text = text[:-1]
        return pen, f"{text}…"


def face_of(city: str, sheet: int, order: Order, device: Device, product: Product | None, page_head: str) -> Face:
    """The words of a sheet. `product` is the fare of ride coupons; None in a shop."""
    thai, english = Texts("th"), Texts("en")

    def pair(key: str, size: int, *, is_bold: bool = False, **values: object) -> tuple[Line, Line]:
        upper = Line(thai.get(f"city.coupon.{key}", **values), size, is_bold)
        return upper, Line(english.get(f"city.coupon.{key}", **values), size * 6 // 10, gap=18)

    kind = "ride" if device.role is DeviceRole.VALIDATOR else "shop"
    lines = [*pair(kind, 44, is_bold=True), Line(f"{format_minor(order.value_kgo)} KGO", 58, is_bold=True, gap=18)]
    if product is not None and product.thb_satang:
        lines += pair("cash", 30, thb=format_minor(product.thb_satang))
    lines += pair(f"at_{kind}", 34, is_bold=True, device=order.device, owner=_shown(device.owner))
    if order.trip is not None:
        departure = departure_of(order.trip)
        if departure is None:
            lines += pair("trip", 34, is_bold=True, trip=order.trip)
        else:
            lines += (_departing(thai, departure, 34), replace(_departing(english, departure, 21), gap=18))
            lines.append(Line(order.trip, 21))
    foot = (
        Line(thai.get("city.coupon.until", day=_day(thai, order.last_day)), 34, is_bold=True),
        Line(english.get("city.coupon.until", day=_day(english, order.last_day)), 21, gap=18),
        *pair("once", 30),
    )
    return Face(city, sheet, tuple(lines), foot, thai.get("city.coupon.serial"), page_head)


def _departing(texts: Texts, departure: Departure, size: int) -> Line:
    """Day and time, which is how people know a trip."""
    time = f"{departure.hour:02d}:{departure.minute:02d}"
    said = texts.get("city.coupon.departure", day=_day(texts, departure.day), time=time)
    return Line(said, size, is_bold=texts.language == "th")


def _day(texts: Texts, day: int) -> str:
    """`21 พ.ย. 2569`, `21 Nov 2026`."""
    date, month, year = format_buddhist(day).split("/")
    shown = int(year) if texts.language == "th" else int(year) - 543
    return f"{int(date)} {texts.get(f'city.coupon.month.{int(month)}')} {shown}"


def _shown(name: str) -> str:
    return "".join(char if char.isprintable() else " " for char in name)[:NAME_CHARACTERS_MAX]


def pages_of(face: Face, coupons: Sequence[Printed], pens: Pens) -> Iterator[Image.Image]:
    """Page after page, in mode "1"."""
    per_page = COLUMNS * ROWS
    pages = -(-len(coupons) // per_page)
    for at in range(pages):
        page = Image.new("1", PAGE_PX, 1)
        draw = ImageDraw.Draw(page)
        head = Line(f"{face.page_head} · {at + 1}/{pages}", 25)
        pen, text = pens.fitted(head, PAGE_PX[0] - 2 * px(MARGIN))
        draw.text((px(MARGIN), px(55)), text, 0, pen)
        for place, coupon in enumerate(coupons[at * per_page : (at + 1) * per_page]):
            row, column = divmod(place, COLUMNS)
            corner = (px(MARGIN + column * CELL[0]), px(MARGIN + row * CELL[1]))
            _draw_coupon(page, draw, corner, face, coupon, pens)
        _draw_cuts(draw)
        yield page


def _draw_coupon(
    page: Image.Image, draw: ImageDraw.ImageDraw, corner: tuple[int, int], face: Face, coupon: Printed, pens: Pens
) -> None:
    left, top = corner
    text = qr.encode(qr.QrType.COUPON, coupon.signed.raw)
    picture = code_picture(text, px(QR_BOX), version_max=QR_VERSION_MAX, module_px_min=MODULE_PX_MIN)
    middle = (px(QR_BOX) - picture.width) // 2
    page.paste(picture, (left + px(PAD) + middle, top + px(PAD) + middle))
    number = Line(f"{face.serial_name} {serial(face.sheet, coupon.number)} · {face.city}", 30)
    pen, text = pens.fitted(number, px(QR_BOX))
    draw.text((left + px(PAD) + px(QR_BOX) // 2, top + px(CELL[1] - PAD)), text, 0, pen, anchor="md")
    down = top + px(PAD + TEXT_DOWN)
    for line in face.lines:
        down = _draw_line(draw, left + px(TEXT_AT), down, line, pens)
    up = top + px(CELL[1] - PAD + TEXT_DOWN) - sum(_height(line) for line in face.foot)
    for line in face.foot:
        up = _draw_line(draw, left + px(TEXT_AT), up, line, pens)


def _draw_line(draw: ImageDraw.ImageDraw, left: int, top: int, line: Line, pens: Pens) -> int:
    """Where the next line begins. Its own ascent, whatever the text shrank to: neighbours stay in line."""
    pen, text = pens.fitted(line, px(TEXT_WIDTH))
    draw.text((left, top + px(line.size)), text, 0, pen, anchor="ls")
    return top + _height(line)


def _height(line: Line) -> int:
    return px(line.size + line.gap)


def _draw_cuts(draw: ImageDraw.ImageDraw) -> None:
    """Dashes between and around the coupons; they end before the codes' quiet zones begin."""
    long, step, thick = px(20), px(40), max(2, px(2))
    right, bottom = px(MARGIN + COLUMNS * CELL[0]), px(MARGIN + ROWS * CELL[1])
    for column in range(COLUMNS + 1):
        x = px(MARGIN + column * CELL[0])
        for y in range(px(MARGIN), bottom, step):
            draw.line((x, y, x, min(y + long, bottom)), 0, thick)
    for row in range(ROWS + 1):
        y = px(MARGIN + row * CELL[1])
        for x in range(px(MARGIN), right, step):
            draw.line((x, y, min(x + long, right), y), 0, thick)
