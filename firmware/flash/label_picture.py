"""A device's label as dots: its id large, its role, its code, its numbers, and who misses it. FIELD_LESSONS 35.

Thai first, English below, whatever language the bench speaks: whoever finds a device knows neither. Ids, serials and
addresses are never cut: a label that does not hold them is refused. Never prints, never reads a record.
"""

import re
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from firmware.flash.label_facts import LabelFacts
from offline_ledger.errors import LabelNotReadBack, LabelSizeWrong, ScreenFontWrong
from offline_ledger.protocol.label import VERSION_MAX, level_of
from offline_ledger.qr_picture import code_in_box, code_modules
from offline_ledger.rules.civil import BUDDHIST_AHEAD, civil_day, format_buddhist
from offline_ledger.texts import Texts
from offline_ledger.texts.breaking import pieces
from offline_ledger.texts.typeface import BOLD, FOLDER, MEDIUM, check_fonts, check_shaping

DPIS = (203, 300)
"""Of the heads of label and receipt printers."""
RECEIPTS_MM_10 = {"58mm": 480, "80mm": 720}
"""What these printers print of their paper; as long as it takes."""
SIDE_MM_MIN, SIDE_MM_MAX = (30, 20), (120, 120)
"""Width and height of a label."""
MODULE_MM_100_MIN = 24
"""A quarter of a millimetre: two dots of a 203-dpi head, read by a phone from a hand's width."""
MARGIN_MM_10 = 15
GAP_MM_10 = 8
TEXT_MM_10, TEXT_MM_10_MIN = 26, 20
"""Size of the small lines: 2 mm of Sarabun is what a person still reads on thermal paper."""
IDS_MM_10, SMALL_IDS_MM_10 = (90, 70, 50), (40, 30, 25)
"""The small ones only where no other layout fits."""
CODE_PERCENTS = (48, 40, 33)
"""The code's part of the width; the rest is for the words beside it. The first that fits is taken."""
CODE_MM_10_RECEIPT = 220
BETWEEN_MM_10 = 2
"""From the lowest ink of a row to the highest of the next."""
EVEN_ABOVE_PERCENT, EVEN_BELOW_PERCENT = 74, 20
"""Rows of Latin letters and digits stand evenly: each has this much of its size above and below its line."""
INK_FROM = 150
"""A dot is printed when it is at least this dark: thin strokes stay whole."""
BETWEEN = " · "
"""Two things that may stand on one row."""
_MM_10_INCH = 254


class Size(NamedTuple):
    """`height_mm_10` 0: a roll of receipt paper."""

    name: str
    width_mm_10: int
    height_mm_10: int


def parse_size(text: str) -> Size:
    """`50x30` (millimetres), `58mm` or `80mm`. Raises LabelSizeWrong."""
    if text in RECEIPTS_MM_10:
        return Size(text, RECEIPTS_MM_10[text], 0)
    width, _, height = text.partition("x")
    if all(part.isascii() and part.isdigit() and len(part) <= 3 for part in (width, height)):
        both = (int(width), int(height))
        if all(low <= one <= high for low, one, high in zip(SIDE_MM_MIN, both, SIDE_MM_MAX, strict=True)):
            return Size(text, both[0] * 10, both[1] * 10)
    raise LabelSizeWrong(text)


class Line(NamedTuple):
    """`rows_max`: over how many rows it may be broken; a number that stands whole on one has 1. `is_spare`: left out
    before anything is refused."""

    text: str
    size_mm_10: int
    is_bold: bool = False
    rows_max: int = 1
    is_spare: bool = False


class Row(NamedTuple):
    """One row as it is drawn: ink from `top` (above the base line, so negative) to `bottom`."""

    font: ImageFont.FreeTypeFont
    text: str
    top: int
    bottom: int


class LabelPainter:
    """Draws labels at one resolution."""

    def __init__(self, dpi: int) -> None:
        """Raises ThaiShapingMissing, ScreenFontWrong."""
        check_shaping()
        check_fonts()
        self.dpi = dpi
        self._fonts: dict[tuple[int, bool], ImageFont.FreeTypeFont] = {}
        self._modules: dict[str, Image.Image] = {}
        self.set_before: dict[tuple[Line, int], list[Row]] = {}
        """Lines as they were set for a width: many layouts are tried with the same ones."""

    def draw(self, facts: LabelFacts, size: Size, found: str) -> Image.Image:
        """In mode "1", 0 = ink; `found`: whom to call. Read back before it is handed over. Raises LabelSizeWrong,
        LabelNotReadBack."""
        self.set_before.clear()
        if size.height_mm_10:
            picture = self._on_label(facts, size, found)
        else:
            picture = self._on_receipt(facts, size, found)
        inked = picture.point([0 if level < INK_FROM else 255 for level in range(256)], "1")
        if (read := codes_in(inked)) != [facts.text]:
            raise LabelNotReadBack(f"{facts.text} reads {read}")
        return inked

    def px(self, mm_10: int) -> int:
        """Tenths of a millimetre in dots, to the nearest."""
        return (mm_10 * self.dpi * 2 + _MM_10_INCH) // (2 * _MM_10_INCH)

    def font(self, size_px: int, *, is_bold: bool) -> ImageFont.FreeTypeFont:
        """Opened once. Raises ScreenFontWrong."""
        if (made := self._fonts.get((size_px, is_bold))) is None:
            name = BOLD if is_bold else MEDIUM
            try:
                made = ImageFont.truetype(FOLDER / name, size_px, layout_engine=ImageFont.Layout.RAQM)
            except OSError as error:
                raise ScreenFontWrong(str(error)) from error
            self._fonts[size_px, is_bold] = made
        return made

    def modules(self, text: str) -> Image.Image:
        """The code, a dot a module; drawn once."""
        if text not in self._modules:
            self._modules = {text: code_modules(text, VERSION_MAX, level_of(text))}
        return self._modules[text]

    # --- inside

    def _on_label(self, facts: LabelFacts, size: Size, found: str) -> Image.Image:
        """The code on the left, words beside it, whom to call below both. Words shrink, then the spare lines go, then a
        call that names nobody, before anything is refused."""
        wrong = LabelSizeWrong(size.name)
        texts_mm_10 = range(TEXT_MM_10, TEXT_MM_10_MIN - 1, -2)
        feet = (True,) if found else (True, False)  # whom the bench names is never left out
        layouts = [
            layout
            for ids in (IDS_MM_10, SMALL_IDS_MM_10)
            for layout in product(feet, (True, False), CODE_PERCENTS, texts_mm_10, ids)
        ]
        for has_foot, has_spare, percent, text_mm_10, id_mm_10 in layouts:
            page = _Page(self, size.width_mm_10, size.height_mm_10)
            try:
                foot = page.foot(_foot(facts, found, text_mm_10) if has_foot else [])
                code = page.code(facts.text, foot, percent)
                lines = _beside(facts, text_mm_10, id_mm_10)
                page.beside([line for line in lines if has_spare or not line.is_spare], code, foot)
            except LabelSizeWrong as too_small:
                wrong = too_small
                continue
            return page.image
        raise wrong

    def _on_receipt(self, facts: LabelFacts, size: Size, found: str) -> Image.Image:
        page = _Page(self, size.width_mm_10, 0)
        page.roll(_beside(facts, TEXT_MM_10 + 4, IDS_MM_10[0]))
        page.code_below(facts.text)
        page.roll(_foot(facts, found, TEXT_MM_10 + 2))
        return page.finished_roll()


def codes_in(picture: Image.Image) -> list[str]:
    """The texts of all QR codes in a picture, as a scanner reads them."""
    import zxingcpp

    formats = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    return [found.text for found in zxingcpp.read_barcodes(picture.convert("L"), formats=formats)]


# --- inside: what is said


def _beside(facts: LabelFacts, text_mm_10: int, id_mm_10: int) -> list[Line]:
    """The id, the role, the numbers."""
    thai, english = _both(f"role.{facts.role}")
    lines = [
        Line(facts.label.device, id_mm_10, is_bold=True, rows_max=3),
        Line(thai, text_mm_10 + 4, is_bold=True),
        Line(english, text_mm_10),
    ]
    if facts.serial and facts.serial != facts.label.device:
        lines.append(Line(f"S/N {facts.serial}", text_mm_10))
    if facts.mac:
        lines.append(Line(f"MAC {facts.mac}", text_mm_10))
    if facts.label.key_id:
        lines.append(Line(f"KEY {facts.label.key_id.hex()}", text_mm_10, is_spare=True))
    return [*lines, Line(f"{facts.label.city}{BETWEEN}{_day(facts.at_s)}", text_mm_10, rows_max=2)]


def _foot(facts: LabelFacts, found: str, text_mm_10: int) -> list[Line]:
    """Whom to call."""
    asked = BETWEEN.join(_both("found" if found else "found_city"))
    return [
        Line(asked, text_mm_10, rows_max=2),
        Line(found or facts.label.city, text_mm_10 + 2, is_bold=True, rows_max=2),
    ]


def _both(key: str) -> tuple[str, str]:
    return Texts("th").get(f"flash.label.{key}"), Texts("en").get(f"flash.label.{key}")


def _day(at_s: int) -> str:
    """`22/11/2569 (2026)`."""
    thai = format_buddhist(civil_day(at_s))
    return f"{thai} ({int(thai[-4:]) - BUDDHIST_AHEAD})"


# --- inside: where it stands


class _Page:
    """One label as it is filled."""

    def __init__(self, painter: LabelPainter, width_mm_10: int, height_mm_10: int) -> None:
        self._painter, px = painter, painter.px
        self._width = (px(width_mm_10) + 4) // 8 * 8  # whole bytes, as printers want them
        self._margin, self._gap = px(MARGIN_MM_10), px(GAP_MM_10)
        self.image = Image.new("L", (self._width, px(height_mm_10) or 1), 255)
        self._draw = ImageDraw.Draw(self.image)
        self._low = self._margin

    def foot(self, lines: list[Line]) -> int:
        """From the bottom up; where it begins."""
        rows = [row for line in lines for row in self._rows(line, self._width - 2 * self._margin)]
        top = self.image.height - self._margin - self._height(rows)
        self._put(rows, self._margin, top)
        return top - self._gap

    def code(self, text: str, bottom: int, percent: int) -> Image.Image:
        """In the upper left corner; its quiet zone is its margin."""
        code = self._code(text, min(self._width * percent // 100, bottom))
        self.image.paste(code, (0, max(0, (bottom - code.height) // 2)))
        return code

    def beside(self, lines: list[Line], code: Image.Image, bottom: int) -> None:
        """The words right of the code. Raises LabelSizeWrong."""
        rows = [row for line in lines for row in self._rows(line, self._width - self._margin - code.width)]
        free = bottom - self._margin - self._height(rows)
        if free < 0:
            raise LabelSizeWrong(f"{-free} dots too low")
        self._put(rows, code.width, self._margin + free // 2)

    def roll(self, lines: list[Line]) -> None:
        """Under what is there, centred."""
        for row in (row for line in lines for row in self._rows(line, self._width - 2 * self._margin)):
            height = self._height([row])
            self._grow(self._low + height)
            self._put([row], (self._width - int(row.font.getlength(row.text))) // 2, self._low)
            self._low += height

    def code_below(self, text: str) -> None:
        """The same."""
        code = self._code(text, min(self._width, self._painter.px(CODE_MM_10_RECEIPT)))
        self._grow(self._low + code.height)
        self.image.paste(code, ((self._width - code.width) // 2, self._low))
        self._low += code.height

    def finished_roll(self) -> Image.Image:
        """With its lower margin."""
        self._grow(self._low + self._margin)
        return self.image

    # --- inside

    def _code(self, text: str, box_px: int) -> Image.Image:
        least = -(-MODULE_MM_100_MIN * self._painter.dpi // (_MM_10_INCH * 10))
        try:
            return code_in_box(self._painter.modules(text), box_px, least)
        except ValueError as error:
            raise LabelSizeWrong(str(error)) from error

    def _rows(self, line: Line, width: int) -> list[Row]:
        """On as few rows, then as large as fits. Raises LabelSizeWrong: it fits at no size that can be read."""
        known = self._painter.set_before
        if (line, width) not in known:
            known[line, width] = self._set(line, width)
        if not known[line, width]:
            raise LabelSizeWrong(f"{line.text}: wider than {width} dots")
        return known[line, width]

    def _set(self, line: Line, width: int) -> list[Row]:
        for rows_max in range(1, line.rows_max + 1):
            least = TEXT_MM_10_MIN if rows_max == line.rows_max or not line.is_bold else line.size_mm_10 * 4 // 10
            for size_mm_10 in range(line.size_mm_10, least - 1, -1):
                font = self._painter.font(self._painter.px(size_mm_10), is_bold=line.is_bold)
                broken = _broken(line.text, font, width)
                if broken and len(broken) <= rows_max:
                    return [_row(font, text) for text in broken]
        return []

    def _height(self, rows: list[Row]) -> int:
        return sum(row.bottom - row.top for row in rows) + self._between() * len(rows)

    def _between(self) -> int:
        return max(2, self._painter.px(BETWEEN_MM_10))

    def _put(self, rows: list[Row], left: int, top: int) -> None:
        """Each as far below the one above as their ink demands: marks never meet."""
        for row in rows:
            self._draw.text((left, top - row.top), row.text, 0, row.font, anchor="ls")
            top += row.bottom - row.top + self._between()

    def _grow(self, height: int) -> None:
        if height > self.image.height:
            longer = Image.new("L", (self._width, height), 255)
            longer.paste(self.image, (0, 0))
            self.image, self._draw = longer, ImageDraw.Draw(longer)


def _row(font: ImageFont.FreeTypeFont, text: str) -> Row:
    _left, top, _right, bottom = font.getbbox(text, anchor="ls")
    even_top, even_bottom = -int(font.size) * EVEN_ABOVE_PERCENT // 100, int(font.size) * EVEN_BELOW_PERCENT // 100
    return Row(font, text, min(int(top), even_top), max(int(bottom), even_bottom))


def _broken(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """In lines that end between two things that were said, else where Thai, English and ids may; empty: some part is
    wider than the line."""
    if font.getlength(text) <= width:
        return [text]
    first, between, rest = text.partition(BETWEEN)
    if between:
        both = [_broken(part, font, width) for part in (first, rest)]
        return both[0] + both[1] if all(both) else []
    lines = [""]
    for part, space in _parts(text):
        joined = lines[-1] + (space if lines[-1] else "") + part
        if lines[-1] and font.getlength(joined) > width:
            lines.append(part)
        else:
            lines[-1] = joined
    return [] if any(font.getlength(line) > width for line in lines) else lines


@lru_cache(64)
def _parts(text: str) -> list[tuple[str, str]]:
    """Each with the space before it. An id breaks behind its hyphens."""
    found: list[tuple[str, str]] = []
    for piece in pieces(text):
        first, *rest = re.split(r"(?<=-)(?=[^-])", piece.text)
        found += [(first, " " if piece.spaced else ""), *((part, "") for part in rest)]
    return found
