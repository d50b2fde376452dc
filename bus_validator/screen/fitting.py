"""Fits a text into a box: the largest size whose lines go in, with the best breaks there are. Pure: handed a ruler.

Tries are reckoned from the advances of the parts, which are the same at each size; what would be chosen is measured by
its ink. Shrinks first, then takes poorer breaks, then shrinks to the smallest size. What fits at no size ends in an
ellipsis that can be seen; no refusal of ours does (a test holds that).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from offline_ledger.texts.breaking import ELLIPSIS, ZERO_WIDTH_SPACE, Break, Piece, pieces

GAP_PERCENT = 6
"""Between the lowest ink of a line and the highest of the next, of the size."""
PITCH_PERCENT = 128
"""Lines stand at least so far apart, of the size, so that lines without marks look like one text."""


class Ink(NamedTuple):
    """Where the ink of a line is, from its origin on the baseline: right and down are positive."""

    left: int
    top: int
    right: int
    bottom: int


class Ruler(Protocol):
    """Measures text as it will be drawn."""

    def ink(self, text: str, size_px: int, *, is_bold: bool) -> Ink:
        """Of a whole line, at that size."""
        ...

    def advance(self, text: str, *, is_bold: bool) -> int:
        """How far a part takes the pen, in thousandths of the size: good enough to try, and kept for all sizes."""
        ...


class Sizes(NamedTuple):
    """From the largest down to the smallest that can be read; below `comfortable_px` only when nothing else helps."""

    largest_px: int
    comfortable_px: int
    smallest_px: int


class Fitted(NamedTuple):
    """Lines with their baselines from the top of the block, in a block so wide and high."""

    size_px: int
    is_bold: bool
    lines: tuple[str, ...]
    baselines: tuple[int, ...]
    inks: tuple[Ink, ...]
    width_px: int
    height_px: int
    is_shortened: bool = False


WORDS_BEFORE_SIZE_PERCENT = 70
"""So far below a comfortable size whole words are worth more than size."""
_SMALL_PX = (10, 11, 12, 13, 14, 16, 18, 20, 22, 24, 27, 30, 33, 36, 40, 44, 48)
_LARGE_PX = (53, 58, 64, 70, 77, 85, 93, 102, 112, 123, 135, 149, 164, 180, 198, 218, 240, 264, 290)
GRID_PX = _SMALL_PX + _LARGE_PX
"""All sizes there are, each a tenth above the one before: every open font costs 0.2 MB, so all boxes share few."""
EM = 1_000
"""Advances are in thousandths of the size."""


def ladder(sizes: Sizes) -> list[int]:
    """Sizes to try, falling; the smallest is always among them."""
    between = [size for size in GRID_PX if sizes.smallest_px < size <= sizes.largest_px]
    return [*reversed(between), sizes.smallest_px]


def fit(text: str, width_px: int, height_px: int, sizes: Sizes, ruler: Ruler, *, is_bold: bool) -> Fitted:
    """The text in that box. Its ink stays inside."""
    parts = pieces(text)
    good = [size for size in ladder(sizes) if size >= sizes.comfortable_px]
    poor = [size for size in ladder(sizes) if size <= sizes.comfortable_px]
    still_good = [size for size in poor if size * 100 >= sizes.comfortable_px * WORDS_BEFORE_SIZE_PERCENT]
    for falling_px, worst in (
        (good, Break.WORD),
        (still_good, Break.WORD),
        (poor, Break.CLUSTER),
        (poor, Break.INSIDE),
    ):
        words = _Words(_joined(parts, worst), ruler, is_bold=is_bold)
        if (found := words.largest(width_px, height_px, falling_px)) is not None:
            return found
    return _shortened(parts, width_px, height_px, sizes.smallest_px, ruler, is_bold=is_bold)


class _Words:
    """What may be put on lines, with its advances."""

    def __init__(self, parts: Sequence[Piece], ruler: Ruler, *, is_bold: bool) -> None:
        self._parts = parts
        self._ruler = ruler
        self._is_bold = is_bold
        self._advances = [ruler.advance(part.text, is_bold=is_bold) for part in parts]
        self._space = ruler.advance(" ", is_bold=is_bold)

    def largest(self, width_px: int, height_px: int, falling_px: Sequence[int]) -> Fitted | None:
        """By halves: what fits at one size fits at a smaller one."""
        best = None
        low, high = 0, len(falling_px)
        while low < high:
            middle = (low + high) // 2
            if (tried := self.at(width_px, height_px, falling_px[middle])) is not None:
                best, high = tried, middle
            else:
                low = middle + 1
        return None if best is None else self._balanced(best, width_px, height_px)

    def at(self, width_px: int, height_px: int, size_px: int) -> Fitted | None:
        """At that size, or None when it does not go in."""
        lines = self._lines(width_px * EM // size_px)
        if lines is None or (len(lines) - 1) * _pitch(size_px) > height_px:
            return None
        return _checked(_block(lines, size_px, self._ruler, is_bold=self._is_bold), width_px, height_px)

    def _balanced(self, found: Fitted, width_px: int, height_px: int) -> Fitted:
        """The same number of lines, as even as they get: no single word is left over on the last."""
        count = len(found.lines)
        if count < 2:
            return found
        high = width_px * EM // found.size_px
        low = high // 3
        evener: list[list[str]] = []
        while low < high:
            middle = (low + high) // 2
            lines = self._lines(middle)
            if lines is not None and len(lines) == count:
                evener.append(lines)
                high = middle
            else:
                low = middle + 1
        for lines in reversed(evener):  # the evenest first; marks of other lines may meet and need more height
            even = _checked(_block(lines, found.size_px, self._ruler, is_bold=self._is_bold), width_px, height_px)
            if even is not None:
                return even
        return found

    def _lines(self, advance_max: int) -> list[str] | None:
        """Lines that go no further than that, or None when a part that may not be divided does."""
        lines: list[str] = []
        line, at = "", 0
        for part, advance in zip(self._parts, self._advances, strict=True):
            space = self._space if part.spaced and line else 0
            if line and at + space + advance > advance_max:
                lines.append(line)
                line, at, space = "", 0, 0
            if advance > advance_max:
                return None
            line += f" {part.text}" if space else part.text
            at += space + advance
        return [*lines, line] if line else lines


def _checked(block: Fitted, width_px: int, height_px: int) -> Fitted | None:
    return block if block.width_px <= width_px and block.height_px <= height_px else None


def _joined(parts: Sequence[Piece], worst: Break) -> list[Piece]:
    """Parts joined where the break between them is worse than allowed."""
    words: list[Piece] = []
    for part in parts:
        if words and part.before > worst:
            words[-1] = words[-1]._replace(text=f"{words[-1].text}{' ' if part.spaced else ''}{part.text}")
        else:
            words.append(part)
    return words


def _shortened(
    parts: Sequence[Piece], width_px: int, height_px: int, size_px: int, ruler: Ruler, *, is_bold: bool
) -> Fitted:
    """As much as fits at the smallest size, and an ellipsis; by single characters where one part alone is too wide."""
    narrow: list[Piece] = []
    for part in parts:
        if ruler.advance(part.text, is_bold=is_bold) * size_px <= width_px * EM:
            narrow.append(part)
        else:
            narrow += [Piece(one, Break.INSIDE, part.spaced and not at) for at, one in enumerate(part.text)]
    low, high = 0, len(narrow)
    best = _block([ELLIPSIS], size_px, ruler, is_bold=is_bold)
    while low < high:
        middle = (low + high + 1) // 2
        kept = narrow[:middle] if middle == len(narrow) else [*narrow[:middle], Piece(ELLIPSIS, Break.INSIDE, False)]
        tried = _Words(kept, ruler, is_bold=is_bold).at(width_px, height_px, size_px)
        if tried is not None:
            best, low = tried, middle
        else:
            high = middle - 1
    return best._replace(is_shortened=True)


def _pitch(size_px: int) -> int:
    return size_px * PITCH_PERCENT // 100


def _block(lines: Iterable[str], size_px: int, ruler: Ruler, *, is_bold: bool) -> Fitted:
    kept = tuple(line.replace(ZERO_WIDTH_SPACE, "") for line in lines)
    inks = tuple(ruler.ink(line, size_px, is_bold=is_bold) for line in kept)
    pitch = _pitch(size_px)
    for above, below in pairwise(inks):
        pitch = max(pitch, above.bottom - below.top + max(1, size_px * GAP_PERCENT // 100))
    first = -inks[0].top if inks else 0
    baselines = tuple(first + number * pitch for number in range(len(kept)))
    return Fitted(
        size_px=size_px,
        is_bold=is_bold,
        lines=kept,
        baselines=baselines,
        inks=inks,
        width_px=max((ink.right - min(0, ink.left) for ink in inks), default=0),
        height_px=baselines[-1] + max(0, inks[-1].bottom) if inks else 0,
    )
