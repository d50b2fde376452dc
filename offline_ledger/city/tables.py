"""Tables and times for a person at a terminal: Thai widths, Buddhist years on Thai screens. DESIGN §9. Pure."""

from collections.abc import Sequence
from datetime import date

from offline_ledger.rules.civil import BANGKOK_AHEAD_S, EPOCH_ORDINAL, civil_day, format_buddhist
from offline_ledger.rules.limits import DAY_S
from offline_ledger.texts.widths import width_of

Cell = str | int
_DAY_MAX = date.max.toordinal() - EPOCH_ORDINAL
"""The last one of any calendar here; what a device says of its time may be later."""


def table(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Columns padded to their widest cell; numbers to the right. Control characters never reach the screen."""
    shown = [[_clean(str(cell)) for cell in row] for row in rows]
    numeric = [bool(rows) and all(_is_number(row[at]) for row in shown) for at in range(len(headings))]
    widths = [max([width_of(heading), *(width_of(row[at]) for row in shown)]) for at, heading in enumerate(headings)]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            _padded(cell, width, right=right) for cell, width, right in zip(cells, widths, numeric, strict=True)
        ).rstrip()

    return "\n".join([line(headings), line(["-" * width for width in widths]), *(line(row) for row in shown)])


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() else "·" for char in text)


def _is_number(text: str) -> bool:
    plain = text.replace(",", "").replace(".", "").replace("-", "").replace("+", "")
    return plain.isascii() and (plain.isdigit() or not plain)


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - width_of(text))
    return space + text if right else text + space


def date_text(day: int, language: str) -> str:
    """`21/11/2569` on Thai screens, `2026-11-21` on English ones."""
    buddhist = format_buddhist(day)
    if language == "th":
        return buddhist
    of_month, month, year = buddhist.split("/")
    return f"{int(year) - 543:04d}-{month}-{of_month}"


def time_text(at_s: int | None, language: str) -> str:
    """Date and minute in Bangkok; `-` for never, `> ` and the last day there is for what comes after it."""
    if not at_s:
        return "-"
    if civil_day(at_s) > _DAY_MAX:
        return f"> {date_text(_DAY_MAX, language)}"
    minute = (at_s + BANGKOK_AHEAD_S) % DAY_S // 60
    return f"{date_text(civil_day(at_s), language)} {minute // 60:02d}:{minute % 60:02d}"


def age_of(at_s: int, now_s: int) -> tuple[int, str]:
    """How long ago, in one unit: (45, "s"), (12, "m"), (3, "h"), (2, "d")."""
    age_s = max(0, now_s - at_s)
    for unit, size_s in (("d", DAY_S), ("h", 3600), ("m", 60)):
        if age_s >= 2 * size_s or (unit == "m" and age_s >= 60):
            return age_s // size_s, unit
    return age_s, "s"
