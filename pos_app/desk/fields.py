"""What came with an action, taken apart: an amount, a whole number, a name. Hostile until here. Pure."""

from collections.abc import Mapping

from offline_ledger.errors import AmountTooLong, FieldWrong, NotAnAmount
from offline_ledger.money import parse_minor
from offline_ledger.seen_text import wrong_sign
from pos_app.counter.basket import LINES_MAX

Fields = Mapping[str, str]
DIGITS_MAX = 10
"""On a keypad; a barcode typed into an amount has thirteen."""
WHOLE_DIGITS_MAX = 9
TEXT_CHARACTERS_MAX = 60


def check_text(*values: str) -> None:
    """Half of a pair is no text that a file takes. Raises FieldWrong."""
    try:
        "".join(values).encode()
    except UnicodeEncodeError as error:
        raise FieldWrong("half of a character") from error


def amount(fields: Fields, name: str) -> int:
    """Minor units ≥ 0. Raises NotAnAmount, AmountTooLong."""
    said = fields.get(name, "").strip()
    digits = said.replace(",", "").partition(".")[0]
    if digits.isdigit() and len(digits) > DIGITS_MAX:
        raise AmountTooLong(f"{len(digits)} digits, at most {DIGITS_MAX}")
    try:
        return parse_minor(said)
    except ValueError as error:
        raise NotAnAmount(said[:40]) from error


def whole(fields: Fields, name: str, default: int | None = None) -> int:
    """A whole number ≥ 0. Raises FieldWrong."""
    said = fields.get(name, "").strip()
    if not said and default is not None:
        return default
    if not said.isascii() or not said.isdigit() or len(said) > WHOLE_DIGITS_MAX:
        raise FieldWrong(f"{name}: {said[:20]}")
    return int(said)


def text(fields: Fields, name: str, *, is_needed: bool = False) -> str:
    """A short line that can be read. Raises FieldWrong."""
    said = " ".join(fields.get(name, "").split())
    if len(said) > TEXT_CHARACTERS_MAX or wrong_sign(said) is not None or (is_needed and not said):
        raise FieldWrong(name)
    return said


def pairs(fields: Fields, name: str) -> dict[int, int]:
    """`1:2,3:1` → two of line 1, one of line 3; each line once. Raises FieldWrong."""
    found: dict[int, int] = {}
    said = [one for one in fields.get(name, "").split(",") if one]
    if len(said) > LINES_MAX:
        raise FieldWrong(name)
    for one in said:
        line, _, count = one.partition(":")
        both = {"line": line, "count": count}
        number = whole(both, "line")
        if number in found:
            raise FieldWrong(name)
        found[number] = whole(both, "count")
    return found
