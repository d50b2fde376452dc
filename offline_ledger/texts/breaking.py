"""Where a line of Thai or English may end. Pure. DESIGN §1.

Thai has no spaces between words. Best is a space or U+200B; then the edge of a word of `thai_words`; then between two
clusters; last inside a known word. Never inside a cluster: a leading vowel, its consonant, the marks above and below
and the vowel after it stay together, and so do digits, Latin words, and a number with its unit.
"""

import re
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from offline_ledger.texts.thai_words import WORD_CHARACTERS_MAX, WORDS

ZERO_WIDTH_SPACE = "\u200b"
TEXT_CHARACTERS_MAX = 600
"""The longest remedy has 200; what is longer ends in an ellipsis that can be seen."""
ELLIPSIS = "…"
TEXTS_KEPT_MAX = 64
"""A text is tried in boxes and sizes, and a screen shows the same few again and again."""


class Break(IntEnum):
    """How good a place is; a smaller one is better."""

    SPACE = 0
    WORD = 1
    CLUSTER = 2
    INSIDE = 3


class Piece(NamedTuple):
    """A part that is never divided, how good the break before it is, and whether a space stands there."""

    text: str
    before: Break
    spaced: bool


_CLUSTER = re.compile(
    r"[เแโใไ]?[ก-ฮ][\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]*(?:[ะาำๅ][\u0e48-\u0e4b]*)?(?:[ก-ฮ]์)?[ๆฯ]*"
    r"|[^\u0e00-\u0e7f\s\u200b]+"
    r"|[\u0e00-\u0e7f]"
)
_NUMBER = re.compile(r"[(“]?[0-9][0-9.,×]*")
_REPEATS = "ๆฯ"
_BINDS_NEXT = ("ไม่", "ให้", "ที่")
"""A line that ends with one of these reads wrong for a moment."""
_BELONGS_BEFORE = ("นี้", "นั้น", "ได้", "ไว้", "แล้ว", "อยู่", "เอง")
"""And one that begins with one of these, when no space stands before it."""
_ENDS_THOUGHT = (":", "·", ",", ";", ".", "→")


@lru_cache(TEXTS_KEPT_MAX)
def pieces(text: str) -> tuple[Piece, ...]:
    """The text in parts, at most TEXT_CHARACTERS_MAX of it. The first part's break means nothing."""
    if len(text) > TEXT_CHARACTERS_MAX:
        text = text[: TEXT_CHARACTERS_MAX - 1] + ELLIPSIS
    found: list[Piece] = []
    before_run = ""
    for spaced, run in _runs(text):
        inside = _inside_words(run)
        for match in _CLUSTER.finditer(run):
            at = match.start()
            if at and not _may_end(run, at):
                found[-1] = found[-1]._replace(text=found[-1].text + match[0])
            elif found and match[0][0] in _REPEATS:  # "ช้า ๆ": the sign of repetition stays with its word
                found[-1] = found[-1]._replace(text=f"{found[-1].text}{' ' if spaced else ''}{match[0]}")
            elif at:
                is_bound = found[-1].text in _BINDS_NEXT or run.startswith(_BELONGS_BEFORE, at)
                found.append(Piece(match[0], Break.INSIDE if is_bound else inside.get(at, Break.CLUSTER), False))
            else:
                found.append(Piece(match[0], _at_space(before_run, run) if spaced else Break.WORD, spaced))
        before_run = run
    return tuple(found)


def _runs(text: str) -> list[tuple[bool, str]]:
    """What stands between spaces, each with whether a visible space came before it."""
    parts = re.split(r"(\s+|\u200b)", text.strip())
    return [
        (number > 0 and parts[number - 1] != ZERO_WIDTH_SPACE, part)
        for number, part in enumerate(parts)
        if number % 2 == 0 and part
    ]


def _at_space(before: str, after: str) -> Break:
    """A number stays with the unit behind it and the word before it: "เก็บ 1 บาท" is one thing."""
    is_bound = _NUMBER.fullmatch(before) or (_NUMBER.fullmatch(after) and not before.endswith(_ENDS_THOUGHT))
    return Break.INSIDE if is_bound or after in _ENDS_THOUGHT else Break.SPACE


def _inside_words(run: str) -> dict[int, Break]:
    """The edges of known words (longest first, from the left) and the places inside them."""
    found: dict[int, Break] = {}
    at = 0
    while at < len(run):
        length = next(
            (n for n in range(min(WORD_CHARACTERS_MAX, len(run) - at), 1, -1) if run[at : at + n] in WORDS), 0
        )
        if length:
            found[at] = Break.WORD
            found[at + length] = Break.WORD
            found |= {inner: Break.INSIDE for inner in range(at + 1, at + length)}
        at += max(1, length)
    return found


def _may_end(run: str, at: int) -> bool:
    """Not before a closing sign, nor between a Thai letter and a sign, digit or Latin letter that touches it."""
    is_thai_here, is_thai_before = "\u0e00" <= run[at] <= "\u0e7f", "\u0e00" <= run[at - 1] <= "\u0e7f"
    return is_thai_here and is_thai_before and run[at] not in "ๆฯะาำๅ"
