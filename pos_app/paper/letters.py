"""What is drawn for each sign of a name: Sarabun's letter, an emoji, or words for what no font here has. Decision 0200.

Never draws. An emoji of several signs (a flag, a family, a hand with its colour) is one sign from here on, so no line
ends inside it. A sign that no font has would be a box that says nothing: its like in Sarabun stands for it, else what
it is, in brackets.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from offline_ledger.texts.font_letters import letters_of
from offline_ledger.texts.typeface import BOLD, EMOJI, MEDIUM
from pos_app.paper.layout import EITHER, EMOJI_SEQUENCE, ZERO_WIDTH_SPACE

FIRST_EMOJI, LAST_EMOJI = "\U000f0000", "\U000ffffd"
"""Signs of private use, which no name may have: each stands for one emoji, for as long as the program runs."""
EMOJI_MAX = ord(LAST_EMOJI) - ord(FIRST_EMOJI)
NAME_CHARACTERS_MAX = 24
SCRIPTS = frozenset(
    "arabic bengali cjk cyrillic devanagari greek hangul hebrew hiragana katakana khmer lao myanmar tamil".split()
)
"""Scripts that have a name in the catalogue (`receipt.script.…`); others go by Unicode's name for them."""
LIKE = {"★": "⭐", "☆": "⭐", "✓": "✔", "✗": "❌", "✘": "❌", "♡": "♥", "●": "•", "■": "•", "►": "→", "▶": "→"}
_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3") | frozenset(map(chr, range(0xE0020, 0xE0080)))
"""In the emoji's font as parts of an emoji; alone they are nothing."""
_OURS = frozenset((EITHER, ZERO_WIDTH_SPACE))
_MARKS = ("Mn", "Me", "Mc", "Cc", "Cf", "Cs", "Co", "Zl", "Zp")

Say = Callable[[str], str]
Width = Callable[[str], int]


class Letters:
    """The signs of the receipt's fonts. Not thread-safe."""

    def __init__(self, folder: Path, emoji_width: Width) -> None:
        """`emoji_width`: of a text in the emoji's font, in thousandths of one emoji. Raises ScreenFontWrong."""
        self._emoji_width = emoji_width
        text = letters_of(folder / MEDIUM) & letters_of(folder / BOLD)
        self._text = frozenset(sign for sign in text if unicodedata.category(sign) != "Co") | _OURS
        self._pictures = letters_of(folder / EMOJI) - self._text - _JOINERS
        self._parts = self._pictures | _JOINERS | frozenset("0123456789#*")
        self._usual = re.compile(f"{_class_of(self._text)}*")
        self._sequence = re.compile(EMOJI_SEQUENCE)
        self._signs: dict[str, str] = {}
        self._emoji: dict[str, str] = {}

    def drawn(self, text: str, say: Say) -> str:
        """The text of signs that are drawn: Sarabun's, and one of private use for each emoji. `say` names scripts."""
        if self._usual.fullmatch(text):
            return text
        text = "".join(sign for sign in text if not FIRST_EMOJI <= sign <= LAST_EMOJI)
        found: list[str] = []
        at = 0
        while at < len(text):
            if emoji := self._emoji_at(text, at):
                found += map(self._sign_of, self._divided(emoji))
                at += len(emoji)
            elif text[at] in self._text:
                found.append(text[at])
                at += 1
            else:
                at = self._spell(text, at, found, say)
        return "".join(found)

    def emoji(self, sign: str) -> str:
        """The emoji that a sign of private use stands for."""
        return self._emoji[sign]

    # --- inside

    def _emoji_at(self, text: str, at: int) -> str:
        """The longest emoji that begins here, of parts that its font has; empty: none does."""
        found = self._sequence.match(text, at)
        if found is None:
            return text[at] if text[at] in self._pictures else ""
        whole = found[0]
        if len(whole) > 1 and all(sign in self._parts for sign in whole):
            return whole
        return whole[0] if whole[0] in self._pictures else ""

    def _divided(self, emoji: str) -> Iterable[str]:
        """Each emoji whole that its font draws as one; of others the parts, so that each part is drawn."""
        if len(emoji) == 1 or emoji in self._signs or self._emoji_width(emoji) <= 1_000:
            return (emoji,)
        return (sign for sign in emoji if sign in self._pictures)

    def _sign_of(self, emoji: str) -> str:
        if (found := self._signs.get(emoji)) is None:
            if len(self._signs) >= EMOJI_MAX:
                return "•"
            found = self._signs[emoji] = chr(ord(FIRST_EMOJI) + len(self._signs))
            self._emoji[found] = emoji
        return found

    def _spell(self, text: str, at: int, found: list[str], say: Say) -> int:
        """Puts what stands for the unknown sign at this place; the place after it."""
        sign = text[at]
        if unicodedata.category(sign) in _MARKS:
            return at + 1
        if like := self._like(sign):
            found.append(like)
            return at + 1
        script = _script_of(sign)
        if not script:
            found.append(f"[{_name_of(sign)}]")
            return at + 1
        end = letters_end = at
        while end < len(text) and text[end] not in self._pictures:
            if self._is_of(text[end], script):
                letters_end = end + 1
            elif text[end] not in (" ", ZERO_WIDTH_SPACE):
                break
            end += 1
        count = sum(unicodedata.category(one)[0] == "L" for one in text[at:letters_end])
        found.append(f"[{say(f'receipt.script.{script}') if script in SCRIPTS else script} {count}]")
        return letters_end

    def _is_of(self, sign: str, script: str) -> bool:
        return sign not in self._text and (
            _script_of(sign) == script or (unicodedata.category(sign) in _MARKS and sign not in _JOINERS)
        )

    def _like(self, sign: str) -> str:
        """The same in letters that are here: a full-width letter, a digit of another script, another star."""
        digit = unicodedata.digit(sign, None)
        for tried in (LIKE.get(sign, ""), unicodedata.normalize("NFKC", sign), "" if digit is None else str(digit)):
            if tried and all(one in self._text for one in tried):
                return tried
            if tried in self._pictures:
                return self._sign_of(tried)
        return ""


def _script_of(sign: str) -> str:
    """First word of a letter's name in Unicode; empty for what is no letter."""
    sign = unicodedata.normalize("NFKC", sign)[0]
    if unicodedata.category(sign)[0] != "L":
        return ""
    return unicodedata.name(sign, "").split(" ")[0].split("-")[0].lower()


def _name_of(sign: str) -> str:
    name = unicodedata.name(sign, "").lower()
    if not name:
        return f"U+{ord(sign):04X}"
    return name if len(name) <= NAME_CHARACTERS_MAX else f"{name[: NAME_CHARACTERS_MAX - 1].rstrip()}…"


def _class_of(signs: frozenset[str]) -> str:
    return f"[{''.join(re.escape(sign) for sign in sorted(signs))}]"
