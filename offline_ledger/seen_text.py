"""Can a person see what this text says? Names that look empty, marks heaped on one letter, signs that steer a screen.
Pure. DESIGN §3.

`wrong_sign` judges what somebody gives a name to; `shown` is for what is told to a terminal or a log as it came: it
changes nothing that can be seen. Neither knows a length or a language's grammar.
"""

from unicodedata import category

MARKS_MAX = 3
"""On one letter: Thai has a vowel and a tone, and sometimes a third sign; an emoji of a key has two."""
_JOINER, _AS_PICTURE = "\u200d", "\ufe0f"
"""Hold the parts of one emoji together, and make a sign one."""
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159" + "".join(map(chr, range(0x180B, 0x1810)))
)
"""Letters, marks and pictures to Unicode, and nothing to the eye."""
_VARIANTS = range(0xE0100, 0xE01F0)
_MARKS = ("Mn", "Me")
_PICTURES = ("So", "Sk")


def wrong_sign(text: str) -> tuple[str, str] | None:
    """Key and value of what keeps a text from being read, or None: `hidden_sign` and which, or `too_many_marks` and how
    many one letter may have. An empty text is fine; spaces are."""
    marks, before = MARKS_MAX, " "
    for at, one in enumerate(text):
        kind = category(one)
        if one == _JOINER:
            is_good = (before == _AS_PICTURE or category(before) in _PICTURES) and at + 1 < len(text)
        else:
            is_good = one.isprintable() and one not in _BLANK and ord(one) not in _VARIANTS
        if not is_good:
            return "hidden_sign", f"U+{ord(one):04X}"
        if kind in _MARKS:
            marks += 1
            if marks > MARKS_MAX:  # one at the very beginning, or after a space, has no letter to stand on
                return "too_many_marks", str(MARKS_MAX)
        elif one != _JOINER:
            marks = MARKS_MAX if one == " " else 0
        before = one
    return None


def shown(text: str) -> str:
    """As a terminal or a log may have it: what would steer it, or cannot be seen, stands there as its number (`\\x1b`);
    ends of lines are kept."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\u200d" else _number(one) for one in text)


def _number(one: str) -> str:
    return ascii(one)[1:-1]
