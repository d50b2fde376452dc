"""Rows of a receipt as dots: one bit each, as wide as the paper, as long as it takes. DESIGN §1, §11.

Thai needs its marks placed (raqm), which no printer's own letters do alike, so everything goes as a picture. A line
stands as far below the one above as their ink demands: marks never meet and are never cut. Loaded by the printing
thread alone; Pillow and the fonts cost a till's start nothing.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast
from unicodedata import category

from PIL import Image, ImageChops, ImageDraw, ImageFont
from zxingcpp import BarcodeFormat, create_barcode

from offline_ledger.errors import ReceiptUnreadable, ScreenFontWrong
from offline_ledger.terminal.drivers.printer_commands import defused
from offline_ledger.texts import Texts
from offline_ledger.texts.breaking import TEXT_CHARACTERS_MAX, ZERO_WIDTH_SPACE, Break, Piece, pieces
from offline_ledger.texts.typeface import BOLD, EMOJI, FOLDER, MEDIUM, check_fonts, check_shaping
from pos_app.paper.layout import EITHER, Banner, Code, Pair, Part, Rule, Say, Side, Size, Space, Words, lay_out
from pos_app.paper.letters import FIRST_EMOJI, LAST_EMOJI, Letters
from pos_app.paper.receipt import Language, Receipt

DOTS_OF_MM = {58: 384, 80: 576}
"""Paper width to printable dots at 203 dpi (8 dots per mm): what nearly all receipt printers have."""
HEIGHT_DOTS_MAX = 40_000
"""Five metres: 300 lines with long names. Something longer is no receipt."""
SIZE_DOTS = {Size.SMALL: 22, Size.NORMAL: 26, Size.LARGE: 34, Size.HUGE: 48}
"""At 203 dpi: a Thai consonant of NORMAL is 1.9 mm high, a printer's own letters are 2."""
PITCH_PERCENT = 122
GAP_DOTS = 2
"""Between the lowest ink of a line and the highest of the next: marks of a cheap head grow by a dot."""
MARGIN_DOTS = 4
"""Heads are not mounted to the dot; the outermost ones are left out."""
COLUMN_GAP_DOTS = 12
INDENT_DOTS = 22
RULE_DOTS, HEAVY_RULE_DOTS, RULE_GAP_DOTS = 2, 4, 8
BANNER_PADDING_DOTS = 8
TOP_DOTS, BOTTOM_DOTS = 8, 24
"""The cutter stands above the head; the driver feeds the rest."""
MODULE_DOTS_MAX = 6
QUIET_MODULES = 4
INK_FROM = 150
"""A dot is printed when it is at least this dark (0 black to 255 white): thin strokes stay whole."""
BEHIND_TILE_DOTS = 44
BEHIND_DEGREES = 24
BEHIND_STEP = 3
"""Of the words behind, one dot in nine: readable through, and not to be overlooked."""
STROKE = " / "
BOXES_MAX = 1_024
"""Of each size: 0.3 MB."""
Box = tuple[int, int, int, int]
ONE_EMOJI = "😀"
_EMOJI = re.compile(f"([{FIRST_EMOJI}-{LAST_EMOJI}])")
GROW_DOTS = 2_000


class Font:
    """One size, and where the ink of what was measured is: a shop's goods and our own words come again and again."""

    def __init__(self, face: ImageFont.FreeTypeFont, emoji: Callable[[], ImageFont.FreeTypeFont], of: Letters) -> None:
        """`emoji`: the emoji's font at this size, opened when the first one comes."""
        self._face, self._emoji, self._letters = face, emoji, of
        self._boxes: dict[str, Box] = {}
        self._emoji_boxes: dict[str, Box] = {}

    def box(self, text: str) -> Box:
        """Left, top, right and bottom of a line's ink and of the pen's way, from its origin on the baseline."""
        if (found := self._boxes.get(text)) is None:
            if len(self._boxes) >= BOXES_MAX:
                self._boxes.clear()
            found = self._boxes[text] = self._measured(text)
        return found

    def draw(self, draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, fill: int) -> None:
        """From the origin of a line on its baseline."""
        left, baseline = at
        for pen, face, run, _box in self._runs(text):
            draw.text((left + pen, baseline), run, fill=fill, font=face, anchor="ls")

    def width(self, text: str) -> int:
        """From the leftmost ink or the pen's start to the rightmost of either."""
        left, _top, right, _bottom = self.box(text)
        return right - min(0, left)

    def _measured(self, text: str) -> Box:
        if not _EMOJI.search(text):
            return _box_of(self._face, text)
        lefts, tops, rights, bottoms = zip(
            *((pen + box[0], box[1], pen + box[2], box[3]) for pen, _face, _run, box in self._runs(text)), strict=True
        )
        return min(lefts), min(tops), max(rights), max(bottoms)

    def _runs(self, text: str) -> Iterator[tuple[int, ImageFont.FreeTypeFont, str, Box]]:
        """Where the pen stands, the font, the text and the box of each run; every emoji is one of its own."""
        if not _EMOJI.search(text):
            yield 0, self._face, text, self.box(text)
            return
        pen = 0
        for run in filter(None, _EMOJI.split(text)):
            if _EMOJI.match(run):
                face, said = self._emoji(), self._letters.emoji(run)
                if (box := self._emoji_boxes.get(run)) is None:
                    box = self._emoji_boxes[run] = _box_of(face, said)
            else:
                face, said = self._face, run
                box = self.box(run)
            yield pen, face, said, box
            pen += box[2]


class ReceiptPainter:
    """Draws receipts for one width of paper. Not thread-safe."""

    def __init__(self, paper_mm: int = 80, folder: Path = FOLDER) -> None:
        """Raises ThaiShapingMissing, ScreenFontWrong; KeyError for paper other than 58 and 80 mm."""
        self.width_dots = DOTS_OF_MM[paper_mm]
        check_shaping()
        check_fonts(folder, (MEDIUM, BOLD, EMOJI))
        self._folder = folder
        self._fonts: dict[tuple[Size, bool], Font] = {}
        self._emoji_faces: dict[Size, ImageFont.FreeTypeFont] = {}
        self._says: dict[Language, Say] = {}
        self._letters = Letters(folder, self._emoji_width)
        self._names_scripts = self._say(Language.TH)

    def draw(self, receipt: Receipt) -> Image.Image:
        """A picture of mode `1`, 0 = ink. Raises ReceiptUnreadable when it would not end, ScreenFontWrong."""
        sheet = lay_out(receipt, self._say(receipt.language))
        self._names_scripts = self._say(Language.EN if receipt.language is Language.EN else Language.TH)
        page = _Page(self, sheet.behind)
        for part in sheet.parts:
            page.add(part)
        return page.finished()

    def font(self, size: Size, *, is_bold: bool) -> Font:
        """Opened once. Raises ScreenFontWrong when the file is gone by now."""
        if (found := self._fonts.get((size, is_bold))) is None:
            face = self._face(BOLD if is_bold else MEDIUM, size)
            found = self._fonts[size, is_bold] = Font(face, lambda: self._emoji_face(size), self._letters)
        return found

    def drawn(self, text: str) -> str:
        """The text in signs that `font` can draw."""
        return self._letters.drawn(text, self._names_scripts)

    def _face(self, name: str, size: Size) -> ImageFont.FreeTypeFont:
        try:
            return ImageFont.truetype(self._folder / name, SIZE_DOTS[size], layout_engine=ImageFont.Layout.RAQM)
        except OSError as error:
            raise ScreenFontWrong(f"{name}: {error}") from error

    def _emoji_face(self, size: Size) -> ImageFont.FreeTypeFont:
        if (found := self._emoji_faces.get(size)) is None:
            found = self._emoji_faces[size] = self._face(EMOJI, size)
        return found

    def _emoji_width(self, text: str) -> int:
        face = self._emoji_face(Size.NORMAL)
        return int(1_000 * face.getlength(text) // face.getlength(ONE_EMOJI))

    def lines(self, text: str, size: Size, width_dots: int, *, is_bold: bool) -> list[str]:
        """The text in lines that are no wider than that; at least one. Two languages have a line each where they do
        not fit on one."""
        font = self.font(size, is_bold=is_bold)
        both = text.split(EITHER)
        if len(both) == 1 or font.width(STROKE.join(both)) <= width_dots:
            return self._wrapped(STROKE.join(both), font, width_dots)
        return [line for one in both for line in self._wrapped(one, font, width_dots)]

    def _wrapped(self, text: str, font: Font, width_dots: int) -> list[str]:
        if len(text) <= TEXT_CHARACTERS_MAX and font.width(text.replace(ZERO_WIDTH_SPACE, "")) <= width_dots:
            return [text.replace(ZERO_WIDTH_SPACE, "")]
        lines = [""]
        for word in _words(pieces(text[:TEXT_CHARACTERS_MAX])):
            space = " " if word[0].spaced and lines[-1] else ""
            whole = _joined(word)
            if font.width(lines[-1] + space + whole) <= width_dots:
                lines[-1] += space + whole
                continue
            if lines[-1]:
                lines.append("")
            for piece in _narrow(word, font, width_dots):
                between = " " if piece.spaced and lines[-1] else ""
                if lines[-1] and font.width(lines[-1] + between + piece.text) > width_dots:
                    lines.append("")
                    between = ""
                lines[-1] += between + piece.text
        return [line.replace(ZERO_WIDTH_SPACE, "") for line in lines]

    def _say(self, language: Language) -> Say:
        if (found := self._says.get(language)) is None:
            found = self._says[language] = speaker(language)
        return found


def speaker(language: Language) -> Say:
    """The catalogue's words in one language or both."""
    if language is not Language.BOTH:
        return Texts(language.value).get
    thai, english = Texts("th"), Texts("en")
    return lambda key, **values: f"{thai.get(key, **values)}{EITHER}{english.get(key, **values)}"


class _Page:
    """One receipt as it grows downwards."""

    def __init__(self, painter: ReceiptPainter, behind: str) -> None:
        self._painter = painter
        self._width = painter.width_dots
        self._behind = behind
        self._image = Image.new("L", (self._width, GROW_DOTS), 255)
        self._draw = ImageDraw.Draw(self._image)
        self._clear: list[tuple[int, int, int, int]] = []
        self._low = TOP_DOTS  # nothing is drawn above; the lowest ink so far
        self._baseline: int | None = None

    def add(self, part: Part) -> None:
        """Below what is there."""
        drawn = self._painter.drawn
        match part:
            case Words(text, size, side, is_bold, is_indented):
                self._words(drawn(text), size, side, INDENT_DOTS if is_indented else 0, is_bold=is_bold)
            case Pair():
                self._pair(part._replace(left=drawn(part.left), right=drawn(part.right)))
            case Rule(is_heavy):
                self._rule(HEAVY_RULE_DOTS if is_heavy else RULE_DOTS)
            case Banner(text):
                self._banner(drawn(text))
            case Code(text):
                self._code(text)
            case Space():
                self._skip(SIZE_DOTS[Size.NORMAL] // 2)

    def finished(self) -> Image.Image:
        """One bit a dot, as high as it has become, and harmless to send."""
        grey = self._image.crop((0, 0, self._width, self._low + BOTTOM_DOTS))
        if self._behind:
            tiled = self._tiled(grey.size)
            for box in self._clear:
                tiled.paste(255, box)
            grey = ImageChops.darker(grey, tiled)
        return defused(grey.point([0 if level < INK_FROM else 255 for level in range(256)], "1"))

    def _words(self, text: str, size: Size, side: Side, indent: int, *, is_bold: bool) -> None:
        left, right = MARGIN_DOTS + indent, self._width - MARGIN_DOTS
        for line in self._painter.lines(text, size, right - left, is_bold=is_bold):
            font = self._painter.font(size, is_bold=is_bold)
            free = right - left - font.width(line)
            at = {Side.LEFT: left, Side.CENTRE: left + free // 2, Side.RIGHT: left + free}[side]
            self._line([(at, line)], size, is_bold=is_bold)

    def _pair(self, pair: Pair) -> None:
        left, right = MARGIN_DOTS + (INDENT_DOTS if pair.is_indented else 0), self._width - MARGIN_DOTS
        font = self._painter.font(pair.size, is_bold=pair.is_bold)
        wide = font.width(pair.right)
        free = right - left - wide - COLUMN_GAP_DOTS
        is_short = font.width(pair.left.replace(EITHER, STROKE)) <= free
        if not pair.right or (wide * 5 > (right - left) * 3 and not is_short):  # it needs lines of its own
            self._words(pair.left, pair.size, Side.LEFT, left - MARGIN_DOTS, is_bold=pair.is_bold)
            if pair.right:
                self._words(pair.right, pair.size, Side.RIGHT, left - MARGIN_DOTS, is_bold=pair.is_bold)
            return
        *above, last = self._painter.lines(pair.left, pair.size, free, is_bold=pair.is_bold)
        for line in above:
            self._line([(left, line)], pair.size, is_bold=pair.is_bold)
        self._line([(left, last), (right - wide, pair.right)], pair.size, is_bold=pair.is_bold)

    def _line(self, texts: list[tuple[int, str]], size: Size, *, is_bold: bool, fill: int = 0) -> None:
        """Texts on one baseline, each from its left edge."""
        font = self._painter.font(size, is_bold=is_bold)
        boxes = [font.box(text) for _left, text in texts if text]
        if not boxes:
            return
        top, bottom = min(box[1] for box in boxes), max(box[3] for box in boxes)
        baseline = self._low + GAP_DOTS - top
        if self._baseline is not None:
            baseline = max(baseline, self._baseline + SIZE_DOTS[size] * PITCH_PERCENT // 100)
        self._room(baseline + bottom)
        for left, text in texts:
            shift = max(0, -font.box(text)[0])
            font.draw(self._draw, (left + shift, baseline), text, fill)
        self._low, self._baseline = max(self._low, baseline + max(0, bottom)), baseline

    def _rule(self, dots: int) -> None:
        self._skip(RULE_GAP_DOTS)
        self._room(self._low + dots)
        self._draw.rectangle((MARGIN_DOTS, self._low, self._width - MARGIN_DOTS - 1, self._low + dots - 1), fill=0)
        self._low += dots
        self._skip(RULE_GAP_DOTS - GAP_DOTS)

    def _banner(self, text: str) -> None:
        size, lines = Size.LARGE, [""]
        for size in (Size.LARGE, Size.NORMAL):
            lines = self._painter.lines(text, size, self._width - 4 * MARGIN_DOTS, is_bold=True)
            if len(lines) <= 1 + text.count(EITHER):  # each language whole
                break
        font = self._painter.font(size, is_bold=True)
        self._skip(BANNER_PADDING_DOTS)
        top = self._low
        # Drawn twice: how high the words are is known when they stand.
        for fill in (0, 255):
            self._low, self._baseline = top + BANNER_PADDING_DOTS, None
            for line in lines:
                self._line([((self._width - font.width(line)) // 2, line)], size, is_bold=True, fill=fill)
            bottom = self._low + BANNER_PADDING_DOTS
            if not fill:
                self._room(bottom)
                self._draw.rectangle((0, top, self._width - 1, bottom - 1), fill=0)
        self._clear.append((0, top, self._width, bottom))
        self._low = bottom
        self._skip(BANNER_PADDING_DOTS)

    def _code(self, text: str) -> None:
        code = code_picture(text, self._width)
        self._skip(RULE_GAP_DOTS)
        left = (self._width - code.width) // 2
        box = (left, self._low, left + code.width, self._low + code.height)
        self._room(box[3])
        self._image.paste(code, box)
        self._clear.append(box)
        self._low = box[3]
        self._baseline = None

    def _skip(self, dots: int) -> None:
        self._low += dots
        self._baseline = None

    def _room(self, bottom: int) -> None:
        if bottom + BOTTOM_DOTS > HEIGHT_DOTS_MAX:
            raise ReceiptUnreadable(f"over {HEIGHT_DOTS_MAX} dots long")
        if bottom + BOTTOM_DOTS > self._image.height:
            longer = Image.new("L", (self._width, bottom + BOTTOM_DOTS + GROW_DOTS), 255)
            longer.paste(self._image, (0, 0))
            self._image, self._draw = longer, ImageDraw.Draw(longer)

    def _tiled(self, size: tuple[int, int]) -> Image.Image:
        """The words behind, slanting over the whole paper, in single dots."""
        width, height = size
        font = self._painter.font(Size.LARGE, is_bold=True)
        reach = width + height
        behind = self._behind.replace(EITHER, STROKE)
        slanted = Image.new("1", (reach, BEHIND_TILE_DOTS * 2), 1)
        draw = ImageDraw.Draw(slanted)
        step = font.width(behind) + BEHIND_TILE_DOTS
        for row in (0, 1):
            for left in range(-row * step // 2, reach, step):
                font.draw(draw, (left, BEHIND_TILE_DOTS * row + 36), behind, 0)
        sheet = Image.new("1", (reach, reach), 1)
        for top in range(0, reach, slanted.height):
            sheet.paste(slanted, (0, top))
        turned = sheet.rotate(BEHIND_DEGREES, fillcolor=1)
        left, top = (reach - width) // 2, (reach - height) // 2
        words = turned.crop((left, top, left + width, top + height)).convert("L")
        grid = Image.new("L", (BEHIND_STEP, BEHIND_STEP), 255)
        grid.putpixel((0, 0), 0)
        dots = Image.new("L", size, 255)
        row = Image.new("L", (width, BEHIND_STEP), 255)
        for left in range(0, width, BEHIND_STEP):
            row.paste(grid, (left, 0))
        for top in range(0, height, BEHIND_STEP):
            dots.paste(row, (0, top))
        return ImageChops.lighter(words, dots)


def code_picture(text: str, width_dots: int) -> Image.Image:
    """A QR code of level M with its quiet zone, of whole dots. Raises ReceiptUnreadable for a text that is none."""
    try:
        made = create_barcode(text, BarcodeFormat.QRCode, ec_level="M").to_image(scale=1, add_quiet_zones=False)
    except (ValueError, RuntimeError) as error:
        raise ReceiptUnreadable(f"no QR code: {error}") from error
    modules = made.shape[0]
    dots = min(MODULE_DOTS_MAX, width_dots // (modules + 2 * QUIET_MODULES))
    if dots < 2:
        raise ReceiptUnreadable("the QR code is wider than the paper")
    code = Image.frombytes("L", (modules, modules), _raw(made))
    side = (modules + 2 * QUIET_MODULES) * dots
    quiet = QUIET_MODULES * dots
    framed = Image.new("L", (side, side), 255)
    framed.paste(code.resize((modules * dots, modules * dots), Image.Resampling.NEAREST), (quiet, quiet))
    return framed


# --- inside: lines


def _box_of(face: ImageFont.FreeTypeFont, text: str) -> Box:
    left, top, right, bottom = face.getbbox(text, anchor="ls")
    return int(left), int(top), int(max(right, face.getlength(text))), int(bottom)


def _raw(made: object) -> bytes:
    """Of the library's own picture: it has a buffer, which its stubs do not say."""
    return memoryview(cast(bytes, made)).tobytes()


def _words(parts: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Parts that are only divided when a line of their own is too short for them."""
    word: list[Piece] = []
    for part in parts:
        if word and part.before <= Break.WORD:
            yield word
            word = []
        word.append(part)
    if word:
        yield word


def _joined(word: list[Piece]) -> str:
    return "".join(f" {part.text}" if part.spaced and at else part.text for at, part in enumerate(word))


def _narrow(word: list[Piece], font: Font, width_dots: int) -> Iterator[Piece]:
    """The parts of a word, a part that is too wide itself cut between two of its letters."""
    for part in word:
        rest, spaced = part.text, part.spaced
        while font.width(rest) > width_dots:
            at = _cut_at(rest, font, width_dots)
            yield Piece(rest[:at], Break.INSIDE, spaced)
            rest, spaced = rest[at:], False
        yield Piece(rest, part.before, spaced)


def _cut_at(text: str, font: Font, width_dots: int) -> int:
    low, high = 1, len(text)
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if font.width(text[:middle]) <= width_dots else (low, middle)
    while low > 1 and _is_mark(text[low]):
        low -= 1
    return low


def _is_mark(sign: str) -> bool:
    return category(sign) in ("Mn", "Me", "Mc")
