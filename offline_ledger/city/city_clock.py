"""The city's wall clock, held against one that nobody sets: after a step nothing is signed or posted. DESIGN §5, §8.

By the wall clock reserves are released for good, and what is signed raises the clocks of terminals. So a step within a
running process, or a start before what the ledger itself has posted, stops all that until the clock is right again or
the service is started anew. A start after a long pause is normal, but what cannot be undone waits a while. Reads no
clock by itself: both are handed in.
"""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from offline_ledger.city.store import Store
from offline_ledger.errors import CityClockWrong
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.rules.limits import DAY_S

STEP_S_MAX = 300
"""NTP slews, or steps by seconds; a wrong zone, year or battery is more. Far less than any reserve's grace of days."""
PAUSE_S_MAX = DAY_S
"""A city posts and dates its deny list daily: a longer silence may be a holiday, or a clock that is ahead."""
SETTLE_S = 600
"""Long enough to read what `serve` said and to stop it."""


class Readings(NamedTuple):
    """Both clocks at one moment: Unix seconds, and seconds since the machine started, sleep included."""

    wall_s: int
    steady_s: int


def is_behind(wall_s: int, newest_s: int, skew_s: int) -> bool:
    """Before what the ledger has posted or signed already."""
    return wall_s + skew_s < newest_s


def step_s(began: Readings, now: Readings) -> int:
    """By how much the wall clock was set meanwhile; below zero: back."""
    return (now.wall_s - began.wall_s) - (now.steady_s - began.steady_s)


def settles_until_s(began: Readings, newest_s: int) -> int:
    """Until when, by the steady clock, what cannot be undone waits. An empty ledger has nothing to undo."""
    is_long = 0 < newest_s < began.wall_s - PAUSE_S_MAX
    return began.steady_s + SETTLE_S if is_long else began.steady_s


def newest_known_s(store: Store) -> int:
    """When the ledger last posted, or dated a deny list; 0: never."""
    row = store.one(
        "SELECT max(coalesce((SELECT posted_at_s FROM postings ORDER BY posting_id DESC LIMIT 1), 0), coalesce((SELECT"
        " issued_at_s FROM bulletins WHERE kind = ? ORDER BY trust_version DESC, counter DESC LIMIT 1), 0))",
        (BulletinKind.DENY_LIST,),
    )
    return row[0] if row is not None else 0


class CityClock:
    """Of one running service; several threads ask it. `said` hears each change: why it is wrong, or an empty text."""

    def __init__(
        self,
        wall_s: Callable[[], int],
        steady_s: Callable[[], int],
        newest_s: int,
        skew_s: int,
        said: Callable[[str], None] = lambda _why: None,
    ) -> None:
        """`newest_s`: of the ledger at the start; 0 also when a person has checked the clock."""
        self._wall_s, self._steady_s = wall_s, steady_s
        self._newest_s, self._skew_s = newest_s, skew_s
        self._said = said
        self._is_wrong = False
        self._began: Readings | None = None
        self._lock = Lock()

    def now_s(self) -> int:
        """What may be signed and posted by. Raises CityClockWrong."""
        with self._lock:
            now = Readings(self._wall_s(), self._steady_s())
            why = self._judge(now)
            if bool(why) != self._is_wrong:  # by how much changes with each second
                self._is_wrong = bool(why)
                self._said(why)
        if why:
            raise CityClockWrong(why)
        return now.wall_s

    def read_s(self) -> int:
        """For what is only looked up: goes on as if nobody had set the clock."""
        with self._lock:
            began, wall_s = self._began, self._wall_s()
        return max(wall_s, self._newest_s) if began is None else began.wall_s + self._steady_s() - began.steady_s

    def is_sure(self) -> bool:
        """Right as far as anybody can tell, and nothing waits: what cannot be undone may be done."""
        try:
            self.now_s()
        except CityClockWrong:
            return False
        return not self.is_settling()

    def is_settling(self) -> bool:
        """Must what cannot be undone wait still?"""
        began = self._began
        return began is not None and self._steady_s() < settles_until_s(began, self._newest_s)

    def _judge(self, now: Readings) -> str:
        if self._began is None:
            if is_behind(now.wall_s, self._newest_s, self._skew_s):
                return f"{self._newest_s - now.wall_s} s before what the ledger has posted or dated"
            self._began = now
        stepped_s = step_s(self._began, now)
        return f"set by {stepped_s:+d} s while serve runs" if abs(stepped_s) > STEP_S_MAX else ""
