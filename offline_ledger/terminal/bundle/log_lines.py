"""A terminal's log without its customers: of each line only what says how the machine is. Pure. DESIGN §1.

By a list of what may stay, never of what must go: a new field of a line stays out until somebody names it here.
Amounts, sales, vouchers, trips, drivers and codes stay at the terminal (docs/privacy.md).
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from offline_ledger.protocol.device import ClockTrust
from offline_ledger.terminal.outcome import Light
from offline_ledger.terminal.status import Badge


class Known(NamedTuple):
    """What this release writes of refusals: lines `number title`, titles, numbers and keys."""

    lines: frozenset[str]
    titles: frozenset[str]
    numbers: frozenset[int]
    keys: frozenset[str]


PARTS = frozenset(
    "program journal link clock city_data deny_list deny_list_in_use trust_list readers device head second_head"
    " card gps screen trip routes crew settings key key_pin certificate ca_file deny_list_changes control page"
    " shift shop_file audit_log printer drawer wedge sales people update sync start reader_0 reader_1".split()
)
"""What a diagnosis and a trouble are of."""
COUNT_MAX = 10**11
"""Counts, seconds and Unix times are below it; identity, telephone and pass numbers of 13 and more digits are not."""
_LIGHTS = frozenset((*(light.value for light in Light), "training"))
_BADGES = frozenset(badge.value for badge in Badge)
_TRUSTS = frozenset(trust.name.lower() for trust in ClockTrust)
_CITY_SAID = re.compile(r"HTTP \d{3}, (\d{1,5}) '([a-z_]{0,40})'")
Fits = Callable[[object, Known], bool]


def _is_count(value: object, _known: Known) -> bool:
    return isinstance(value, int) and abs(value) < COUNT_MAX


def _is_key(value: object, known: Known) -> bool:
    return value in known.keys


def _is_title(value: object, known: Known) -> bool:
    return value in known.titles


def _is_number(value: object, known: Known) -> bool:
    return type(value) is int and value in known.numbers


def _is_of_city(value: object, known: Known) -> bool:
    said = _CITY_SAID.fullmatch(value) if isinstance(value, str) else None
    return said is not None and int(said[1]) in known.numbers | {0} and said[2] in known.keys | {""}


def _among(words: frozenset[str]) -> Fits:
    return lambda value, _known: value in words


KEPT: Mapping[str, Fits] = {
    **dict.fromkeys(("light", "would_be"), _among(_LIGHTS)),
    **dict.fromkeys(("trouble", "trouble_over", "part"), _among(PARTS)),
    **dict.fromkeys(("key", "command_refused"), _is_key),
    **dict.fromkeys(("title_th", "title_en"), _is_title),
    "refusal": _is_number,
    "status": _among(_BADGES),
    "clock": _among(_TRUSTS),
    "city_said": _is_of_city,
    **dict.fromkeys(
        "waiting oldest_age_s synced_age_s rejected clock_changed ready working one_way_left before_s after_s"
        " cover_open unseen troubles at_s is_well".split(),
        _is_count,
    ),
}
"""Fields of a line of standard output that say nothing of a customer, a cashier or a driver, and what they may hold."""
_FRAME = re.compile(r'\s*File "[^"\n]{1,300}", line \d+, in [\w<>]+')
_EXCEPTION = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*(?:Error|Exception|Refusal|Interrupt|Exit))(?::.*)?")
_UNIT = r"(kgo-pos|kgo-bus|kgo-pos-kiosk|kgo-update@(pos|bus)|pcscd)\.(service|socket|timer)"
_SYSTEM = re.compile(
    rf"{_UNIT}: (Main process exited|Failed with result|Scheduled restart job|Watchdog timeout|Deactivated|Consumed) ?"
    r"[A-Za-z0-9=,'./() -]{0,80}|"
    rf"(Started|Starting|Stopping|Stopped|Failed to start) {_UNIT}( - [A-Za-z/ -]{{1,40}})?\.{{0,3}}"
)
LEFT_OUT = "…"


def without_customers(message: str, known: Known) -> str:
    """One message of the log, shortened; `LEFT_OUT` when nothing of it may go out."""
    text = message.strip()
    if text.startswith("{"):
        return _object(text, known)
    if text in known.lines:  # its detail, on a line of its own, stays here
        return text
    if _FRAME.fullmatch(message):
        return text
    if (named := _EXCEPTION.fullmatch(text)) is not None:
        return named[1]
    return text if _SYSTEM.fullmatch(text) else LEFT_OUT


def _object(text: str, known: Known) -> str:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return LEFT_OUT
    if not isinstance(found, dict):
        return LEFT_OUT
    line = cast(dict[str, object], found)
    kept = {
        name: value
        for name, value in line.items()
        if name in KEPT and isinstance(value, int | str) and KEPT[name](value, known)
    }
    return json.dumps(kept, ensure_ascii=False) if kept else LEFT_OUT
