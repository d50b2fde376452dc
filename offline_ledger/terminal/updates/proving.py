"""Has a new version proved itself? Judged from what the running program sees of itself. Pure. DESIGN §3.

Well enough: for a while its deciding thread kept turning, its journal takes rows, its devices are there as they were
before the switch, and it has spoken with the city, or nobody could. In doubt it is not, and after six times as long the
former version comes back.
"""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

DEADLINE_TIMES = 6
STILL_MS_MAX = 5_000
"""A deciding thread that did not turn for so long has hung: the time before it proves nothing."""
OF_THE_PLACE = frozenset(
    {
        "sync",
        "trip",
        "routes",
        "crew",
        "clock",
        "deny_list_in_use",
        "deny_list",
        "deny_list_changes",
        "people",
        "update",
    }
)
"""Troubles that no version brings: no trip is chosen, the city's lists are late. The link is judged for itself."""


class Verdict(Enum):
    """What is known by now."""

    WAIT = "wait"
    GOOD = "good"
    FAILED = "failed"


class Seen(NamedTuple):
    """At one moment. `link`: None while nothing was heard; else whether a whole exchange was made or could not be;
    `has_fallback`: another version would start instead."""

    alive_ms: int
    since_start_ms: int
    troubles: frozenset[str]
    link_is_well: bool
    has_fallback: bool


class Life:
    """How long the deciding thread has turned without hanging."""

    def __init__(self, mono_ms: int) -> None:
        self.began_ms = self._since_ms = self._last_ms = mono_ms

    def turn(self, mono_ms: int) -> int:
        """It turns; for how long now, in ms."""
        if mono_ms - self._last_ms > STILL_MS_MAX:
            self._since_ms = mono_ms
        self._last_ms = mono_ms
        return mono_ms - self._since_ms


def judged_troubles(standing: Iterable[str]) -> frozenset[str]:
    """Those that a version could have brought."""
    return frozenset(standing) - OF_THE_PLACE


def judge(seen: Seen, before: Iterable[str], prove_ms: int) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict, and what is lacking. `before`: the troubles that stood before the switch. Without another version
    to fall back to a technician is there, and missing devices are his business."""
    new = seen.troubles - frozenset(before)
    lacks = sorted(new if seen.has_fallback else new & {"journal"})
    if not seen.link_is_well and seen.has_fallback:
        lacks.append("sync")
    if seen.alive_ms >= prove_ms and not lacks:
        return Verdict.GOOD, ()
    if seen.since_start_ms >= prove_ms * DEADLINE_TIMES and seen.has_fallback:
        return Verdict.FAILED, tuple(lacks or ["still"])
    return Verdict.WAIT, tuple(lacks)
