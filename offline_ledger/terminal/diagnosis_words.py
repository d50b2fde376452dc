"""The figures of a part of `diagnose` as people read them, in their language; programs read the JSON. Pure. DESIGN §6.

What says nothing is left out. A moment is told as date and time in Bangkok, an age stays in seconds.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import cast

from offline_ledger.rules.civil import EPOCH_ORDINAL, civil_day, format_moment
from offline_ledger.texts import Texts

VERSIONS = ("version", "tariff")
"""Figures whose list of numbers is a version: trust list and counter."""
_PAST = "last_error"
"""Of a part that is well it is over, and would only worry."""
_MOMENTS = ("at_s", "until_s")
_DAY_MAX = date.max.toordinal() - EPOCH_ORDINAL - 1


def figures(facts: Mapping[str, object], texts: Texts, *, is_well: bool) -> str:
    """One line; empty when there is nothing to tell."""
    told = {key: value for key, value in facts.items() if not (is_well and key == _PAST)}
    return " · ".join(_pairs(told, texts))


def _pairs(facts: Mapping[str, object], texts: Texts) -> list[str]:
    worded = ((key, _worded(key, value, texts)) for key, value in facts.items())
    return [f"{key.removesuffix('_s') if _is_moment(key, facts[key]) else key} {text}" for key, text in worded if text]


def _worded(key: str, value: object, texts: Texts) -> str:
    if isinstance(value, bool):
        return texts.get("diagnose.yes" if value else "diagnose.no")
    if isinstance(value, dict):
        inner = ", ".join(_pairs(cast(Mapping[str, object], value), texts))
        return f"({inner})" if inner else ""
    if isinstance(value, list):
        row = cast(Sequence[object], value)
        return ("." if key in VERSIONS else ", ").join(_worded("", one, texts) for one in row)
    if _is_moment(key, value):
        return format_moment(cast(int, value), texts.language)
    return "" if value is None else str(value)


def _is_moment(key: str, value: object) -> bool:
    is_time = isinstance(value, int) and any(key == one or key.endswith(f"_{one}") for one in _MOMENTS)
    return is_time and 0 <= civil_day(cast(int, value)) <= _DAY_MAX
