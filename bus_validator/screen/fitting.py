"""Fits a text into a box: the largest size whose lines go in, with the best breaks there are. Pure: handed a ruler.

Shrinks first, then takes poorer breaks, then shrinks to the smallest size. What fits at no size ends in an ellipsis
that can be seen; no refusal of ours does (a test holds that).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from bus_validator.screen.breaking import ELLIPSIS, ZERO_WIDTH_SPACE, Break, Piece, pieces

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
    """Measures a line of text as it will be drawn."""

    def ink(self, text: str, size_px: int, *, is_bold: bool) -> Ink: ...


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


STEP_PERCENT = 93


def ladder(sizes: Sizes) -> list[int]:
    """Sizes to try: each a bit smaller than the one before, so that few fonts are ever opened."""
    found = [sizes.largest_px]
    while found[-1] > sizes.smallest_px:
        found.append(max(sizes.smallest_px, min(found[-1] - 1, found[-1] * STEP_PERCENT // 100)))
    return found


def fit(text: str, width_px: int, height_px: int, sizes: Sizes, ruler: Ruler, *, is_bold: bool) -> Fitted:
    """The text in that box. Its ink stays inside."""
    parts = pieces(text)
    good = [size for size in ladder(sizes) if size >= sizes.comfortable_px]
    poor = [size for size in ladder(sizes) if size <= sizes.comfortable_px]
    for tried, worst in ((good, Break.WORD), (poor[:2], Break.WORD), (poor, Break.CLUSTER), (poor, Break.INSIDE)):
        found = _largest(parts, width_px, height_px, tried, worst, ruler, is_bold=is_bold)
        if found is not None:
            return _balanced(parts, found, worst, ruler)
    return _shortened(parts, width_px, height_px, sizes.smallest_px, ruler, is_bold=is_bold)


def _largest(
    parts: Sequence[Piece],
    width_px: int,
    height_px: int,
    falling_px: Sequence[int],
    worst: Break,
    ruler: Ruler,
    *,
    is_bold: bool,
) -> Fitted | None:
    """By halves: what fits at one size fits at a smaller one."""
    best = None
    low, high = 0, len(falling_px)
    while low < high:
        middle = (low + high) // 2
        tried = _set(parts, width_px, falling_px[middle], worst, ruler, is_bold=is_bold)
        if tried is not None and tried.height_px <= height_px:
            best, high = tried, middle
        else:
            low = middle + 1
    return best


def _set(
    parts: Sequence[Piece], width_px: int, size_px: int, worst: Break, ruler: Ruler, *, is_bold: bool
) -> Fitted | None:
    """Lines of at most that width, or None when a part that may not be divided is wider."""
    lines: list[str] = []
    line = ""
    for word in _words(parts, worst):
        joined = word.text if not line else f"{line}{' ' if word.spaced else ''}{word.text}"
        if _width(joined, size_px, ruler, is_bold=is_bold) <= width_px:
            line = joined
            continue
        if not line or _width(word.text, size_px, ruler, is_bold=is_bold) > width_px:
            return None
        lines.append(line)
        line = word.text
    return _block([*lines, line] if line else lines, size_px, ruler, is_bold=is_bold)


def _words(parts: Sequence[Piece], worst: Break) -> list[Piece]:
    """Parts joined where the break between them is worse than allowed."""
    words: list[Piece] = []
    for part in parts:
        if words and part.before > worst:
            words[-1] = words[-1]._replace(text=f"{words[-1].text}{' ' if part.spaced else ''}{part.text}")
        else:
            words.append(part)
    return words


def _balanced(parts: Sequence[Piece], found: Fitted, worst: Break, ruler: Ruler) -> Fitted:
    """The same number of lines, as even as they get: no single word is left over on the last."""
    if len(found.lines) < 2:
        return found
    low, high = found.width_px // 2, found.width_px
    while low < high:
        middle = (low + high) // 2
        tried = _set(parts, middle, found.size_px, worst, ruler, is_bold=found.is_bold)
        if tried is not None and len(tried.lines) == len(found.lines) and tried.height_px <= found.height_px:
            found, high = tried, middle
        else:
            low = middle + 1
    return found


def _shortened(
    parts: Sequence[Piece], width_px: int, height_px: int, size_px: int, ruler: Ruler, *, is_bold: bool
) -> Fitted:
    """As much as fits at the smallest size, and an ellipsis; by single characters where one part alone is too wide."""
    narrow: list[Piece] = []
    for part in parts:
        if _width(part.text, size_px, ruler, is_bold=is_bold) <= width_px:
            narrow.append(part)
        else:
            narrow += [Piece(one, Break.INSIDE, part.spaced and not at) for at, one in enumerate(part.text)]
    low, high = 0, len(narrow)
    best = _block([ELLIPSIS], size_px, ruler, is_bold=is_bold)
    while low < high:
        middle = (low + high + 1) // 2
        kept = narrow[:middle] if middle == len(narrow) else [*narrow[:middle], Piece(ELLIPSIS, Break.INSIDE, False)]
        tried = _set(kept, width_px, size_px, Break.INSIDE, ruler, is_bold=is_bold)
        if tried is not None and tried.height_px <= height_px:
            best, low = tried, middle
        else:
            high = middle - 1
    return best._replace(is_shortened=True)


def _width(text: str, size_px: int, ruler: Ruler, *, is_bold: bool) -> int:
    ink = ruler.ink(text, size_px, is_bold=is_bold)
    return ink.right - min(0, ink.left)


def _block(lines: Iterable[str], size_px: int, ruler: Ruler, *, is_bold: bool) -> Fitted:
    kept = tuple(line.replace(ZERO_WIDTH_SPACE, "") for line in lines)
    inks = tuple(ruler.ink(line, size_px, is_bold=is_bold) for line in kept)
    pitch = size_px * PITCH_PERCENT // 100
    for above, below in pairwise(inks):
        pitch = max(pitch, above.bottom - below.top + size_px * GAP_PERCENT // 100)
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
