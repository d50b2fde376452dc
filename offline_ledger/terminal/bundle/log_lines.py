"""A terminal's log without its customers: of each line only what says how the machine is. Pure. DESIGN §1.

By a list of what may stay, never of what must go: a new field of a line stays out until somebody names it here.
Amounts, sales, vouchers, trips, drivers and codes stay at the terminal (docs/privacy.md).
"""

import json
import re
from collections.abc import Collection
from typing import cast

KEPT = frozenset(
    "light trouble trouble_over refusal key status waiting oldest_age_s synced_age_s rejected clock clock_changed ready"
    " working one_way_left before_s after_s cover_open unseen command_refused city_said troubles at_s would_be part"
    " is_well".split()
)
"""Fields of a line of standard output that say nothing of a customer, a cashier or a driver."""
TITLES = frozenset(("title_th", "title_en"))
_FRAME = re.compile(r'\s*File "[^"\n]{1,300}", line \d+, in [\w<>]+')
_EXCEPTION = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*(?:Error|Exception|Refusal|Interrupt|Exit))(?::.*)?")
_UNIT = r"(kgo-pos|kgo-bus|kgo-pos-kiosk|kgo-update@(pos|bus)|pcscd)\.(service|socket|timer)"
_SYSTEM = re.compile(
    rf"{_UNIT}: (Main process exited|Failed with result|Scheduled restart job|Watchdog timeout|Deactivated|Consumed) ?"
    r"[A-Za-z0-9=,'./() -]{0,80}|"
    rf"(Started|Starting|Stopping|Stopped|Failed to start) {_UNIT}( - [A-Za-z/ -]{{1,40}})?\.{{0,3}}"
)
LEFT_OUT = "…"


def without_customers(message: str, titles: Collection[str]) -> str:
    """One message of the log, shortened; `LEFT_OUT` when nothing of it may go out. `titles`: every refusal's number and
    title, as programs write them."""
    text = message.strip()
    if text.startswith("{"):
        return _object(text)
    if text in titles:  # its detail, on a line of its own, stays here
        return text
    if _FRAME.fullmatch(message):
        return text
    if (named := _EXCEPTION.fullmatch(text)) is not None:
        return named[1]
    return text if _SYSTEM.fullmatch(text) else LEFT_OUT


def _object(text: str) -> str:
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
        if (name in KEPT and isinstance(value, bool | int | str)) or name in TITLES
    }
    return json.dumps(kept, ensure_ascii=False) if kept else LEFT_OUT
