"""Civil dates in Asia/Bangkok (UTC+7, no summer time), and how an explanation is carried. Pure. DESIGN §9.

A date is an integer: `yyyymmdd` of the common era in bulletins, a day number in arithmetic. Buddhist years are only
shown, never stored.
"""

from datetime import date
from typing import NamedTuple

from offline_ledger.rules.limits import DAY_S, HOUR_S, MINUTE_S

BANGKOK_AHEAD_S = 7 * HOUR_S
BUDDHIST_AHEAD = 543
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class Explanation(NamedTuple):
    """One line that a cashier can read out: a key of the text catalogue and what fills its places.

    A value is ready to show, or one pair (Thai, English) for names that the city wrote itself.
    """

    key: str
    values: tuple[tuple[str, str | tuple[str, str]], ...]

    def in_language(self, language: str) -> dict[str, str]:
        """The values for `Texts.get(key, **values)`; `language` is `th` or `en`."""
        which = {"th": 0, "en": 1}[language]
        return {name: value if isinstance(value, str) else value[which] for name, value in self.values}


def civil_day(at_s: int) -> int:
    """Day number in Bangkok (0 = 1 January 1970) of a Unix time."""
    return (at_s + BANGKOK_AHEAD_S) // DAY_S


def day_of(yyyymmdd: int) -> int:
    """Day number of `20220609`; ValueError for a date that is none, or a Buddhist year given by mistake."""
    year, month, day = yyyymmdd // 10_000, yyyymmdd // 100 % 100, yyyymmdd % 100
    if not 2000 <= year <= 2199:
        raise ValueError(f"year {year} is not of the common era, 2000 to 2199")
    return date(year, month, day).toordinal() - EPOCH_ORDINAL


def day_start_s(day: int) -> int:
    """Unix time of the first second of a day in Bangkok."""
    return day * DAY_S - BANGKOK_AHEAD_S


def format_buddhist(day: int) -> str:
    """`31/08/2565`, as Thai receipts print it."""
    civil = date.fromordinal(day + EPOCH_ORDINAL)
    return f"{civil.day:02d}/{civil.month:02d}/{civil.year + BUDDHIST_AHEAD}"


def format_moment(at_s: int, language: str) -> str:
    """Civil time in Bangkok: `22/11/2569 21:37` for Thai readers, `2026-11-22 21:37` for others."""
    day, second = civil_day(at_s), (at_s + BANGKOK_AHEAD_S) % DAY_S
    shown = format_buddhist(day) if language == "th" else date.fromordinal(day + EPOCH_ORDINAL).isoformat()
    return f"{shown} {second // HOUR_S:02d}:{second % HOUR_S // MINUTE_S:02d}"


def is_within(day: int, first_day: int | None, last_day: int | None) -> bool:
    """Both ends inclusive; None is open."""
    return (first_day is None or day >= first_day) and (last_day is None or day <= last_day)
