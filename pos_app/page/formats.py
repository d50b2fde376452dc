"""Amounts, dates and ages as the pages write them. Pure. DESIGN §2, §9.

Dates are of Bangkok: Buddhist years in Thai, common era in English. Never a float.
"""

from datetime import date

from offline_ledger.money import format_minor
from offline_ledger.rules.civil import BANGKOK_AHEAD_S, EPOCH_ORDINAL, civil_day, format_buddhist
from offline_ledger.rules.limits import DAY_S, HOUR_S, MINUTE_S

NONE = "–"
"""Where there is no value."""
LAST_DAY = date.max.toordinal() - EPOCH_ORDINAL


def baht(satang: object) -> str:
    """`123450` → `฿1,234.50`; `-500` → `−฿5.00`."""
    if not isinstance(satang, int):
        return NONE
    return f"{'−' if satang < 0 else ''}฿{format_minor(abs(satang))}"


def kgo(minor: object) -> str:
    """`2000` → `KGO 20`, `2050` → `KGO 20.50`."""
    if not isinstance(minor, int):
        return NONE
    return f"{'−' if minor < 0 else ''}KGO {format_minor(abs(minor)).removesuffix('.00')}"


def plain(minor: object) -> str:
    """As it is typed into a field: `123450` → `1234.50`, `2000` → `20`."""
    return format_minor(minor).replace(",", "").removesuffix(".00") if isinstance(minor, int) else ""


def day(at_s: object, language: str) -> str:
    """`22/11/2569` in Thai, `22/11/2026` in English. A time may be a stranger's, of a year that no calendar has."""
    if not isinstance(at_s, int) or civil_day(at_s) > LAST_DAY:
        return NONE
    number = civil_day(at_s)
    if language == "th":
        return format_buddhist(number)
    return date.fromordinal(number + EPOCH_ORDINAL).strftime("%d/%m/%Y")


def clock(at_s: object) -> str:
    """`09:15`."""
    if not isinstance(at_s, int):
        return "--:--"
    minutes = (at_s + BANGKOK_AHEAD_S) % DAY_S // MINUTE_S
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def moment(at_s: object, language: str) -> str:
    """`22/11/2569 09:15`."""
    return f"{day(at_s, language)} {clock(at_s)}" if isinstance(at_s, int) else NONE


def age(seconds: int) -> tuple[str, int]:
    """The unit (`minutes`, `hours`, `days`) and how many of it, rounded down; under a minute it is 0 minutes."""
    if seconds < HOUR_S:
        return "minutes", max(0, seconds) // MINUTE_S
    return ("hours", seconds // HOUR_S) if seconds < 2 * DAY_S else ("days", seconds // DAY_S)


def notes_for(due_satang: int) -> list[int]:
    """What a customer is likely to hand over: exact, then the next whole notes up; at most five."""
    if due_satang <= 0:
        return []
    found = [due_satang]
    for note_satang in (2_000, 5_000, 10_000, 50_000, 100_000):
        rounded = -(-due_satang // note_satang) * note_satang
        if rounded not in found:
            found.append(rounded)
    return sorted(found)[:5]
