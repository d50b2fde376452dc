"""What a driver can ask for, and the words that ask for it on a command line. Pure. DESIGN §5; FIELD_LESSONS 27.

Menu and command line give the same actions, so that a desk without buttons is driven like a bus. A PIN is part of an
action: whoever logs actions leaves `SignOn` out. Never does anything itself.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from bus_validator.trip import DAY_MINUTES, Departure
from bus_validator.trip_choice import pattern_named, stop_named
from offline_ledger.errors import CommandIncomplete, Refusal, RouteUnknown
from offline_ledger.protocol.route_file import Pattern, RouteFile
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX


class SignOn(NamedTuple):
    """Sign on, unlock or take over: `trip.sign_on` knows which. Never to be logged."""

    driver: str
    pin: str


class StartTrip(NamedTuple):
    """A pattern by its place in the route file; no departure: now, outside the timetable."""

    pattern_at: int
    departure: Departure | None


class StepStop(NamedTuple):
    """So many stops on, or back."""

    step: int


class GoToStop(NamedTuple):
    """A stop by its place in the pattern."""

    stop_at: int


class Plain(StrEnum):
    """What needs no more said."""

    COMPANION = "companion"
    """The next card pays for a companion."""
    ANNUL = "annul"
    END_TRIP = "end-trip"
    LOCK = "lock"
    SIGN_OFF = "sign-off"
    STATUS = "driver-status"
    WAYBILL = "waybill"
    """Of the running trip, or of the one that ended last."""


Action = SignOn | StartTrip | StepStop | GoToStop | Plain


class Near(NamedTuple):
    """What the words are judged by: the route file, the running trip's pattern, and the departures near now that the
    caller reckoned for a pattern's place."""

    routes: RouteFile | None
    pattern: Pattern | None


class Asked(NamedTuple):
    """An action and, of a trip at a time, the minute after midnight that was asked for; or why not, and the sentence
    that says what to write."""

    action: Action | None = None
    minute: int | None = None
    refusal: Refusal | None = None
    sentence: str = ""


WORDS = ("sign-on", "route", "stop", *Plain)
"""First words that are ours."""
_CLOCK = re.compile(r"([0-2]?[0-9]):([0-5][0-9])")


def action_of(words: Sequence[str], near: Near) -> Asked | None:
    """What a line asks for; None when its first word is none of ours.

    `sign-on ID PIN`, `route ROUTE DIRECTION [HH:MM]`, `stop next|back|STOP`, and each `Plain` word alone. A trip at a
    time comes with `minute`: the caller finds the departure (`departures_near`) and puts it into the action.
    """
    if not words or words[0] not in WORDS:
        return None
    try:
        return _asked(words, near)
    except Refusal as refusal:
        return Asked(refusal=refusal)


def _asked(words: Sequence[str], near: Near) -> Asked:
    match words:
        case ["sign-on", driver, pin] if len(driver) <= ID_CHARACTERS_MAX:
            return Asked(SignOn(driver, pin))
        case ["route", route, ("0" | "1") as direction, *clock] if len(clock) <= 1:
            return _route(route, int(direction), clock, near)
        case ["stop", "next"]:
            return Asked(StepStop(1))
        case ["stop", "back"]:
            return Asked(StepStop(-1))
        case ["stop", stop]:
            if near.routes is None or near.pattern is None:
                raise RouteUnknown(f"stop {stop[:ID_CHARACTERS_MAX]}")
            return Asked(GoToStop(stop_named(near.routes, near.pattern, stop)))
        case [word] if word in tuple(Plain):
            return Asked(Plain(word))
        case _:
            key = words[0] if words[0] in ("sign-on", "route", "stop") else "plain"
            return Asked(refusal=CommandIncomplete(), sentence=f"bus.command.{key.replace('-', '_')}")


def _route(route: str, direction: int, clock: list[str], near: Near) -> Asked:
    if near.routes is None:
        raise RouteUnknown("no route file")
    pattern_at = pattern_named(near.routes, route, direction)
    if not clock:
        return Asked(StartTrip(pattern_at, None))
    found = _CLOCK.fullmatch(clock[0])
    minute = int(found[1]) * 60 + int(found[2]) if found else -1
    for at, pattern in enumerate(near.routes.patterns):
        same = pattern.route == near.routes.patterns[pattern_at].route and pattern.direction == direction
        if same and any(start % DAY_MINUTES == minute for start in pattern.starts):
            return Asked(StartTrip(at, None), minute)
    raise RouteUnknown(f"no departure at {clock[0][:5]}")
