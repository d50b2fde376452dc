"""How many columns a text takes on a screen of fixed columns, and breaking it into lines. DESIGN §9. Pure.

Thai vowels and tone marks stand above and below their consonant and take no column; a line never begins with one.
"""

from unicodedata import category, east_asian_width

_NO_WIDTH = ("Mn", "Me", "Cf")


def width_of(text: str) -> int:
    """Columns of the text."""
    return sum(_width(char) for char in text)


def wrapped(text: str, columns_max: int) -> list[str]:
    """Lines of at most `columns_max` (≥ 2) columns, broken at spaces; a longer word is broken where it must."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if width_of(longer) <= columns_max:
            line = longer
            continue
        if line:
            lines.append(line)
        *full, line = _pieces(word, columns_max)
        lines += full
    return [*lines, line] if line else lines


def _pieces(word: str, columns_max: int) -> list[str]:
    pieces = [""]
    for char in word:
        if width_of(pieces[-1]) + _width(char) > columns_max:
            pieces.append("")
        pieces[-1] += char
    return pieces


def _width(char: str) -> int:
    if category(char) in _NO_WIDTH:
        return 0
    return 2 if east_asian_width(char) in "WF" else 1
