"""Another thread has the deciding one do something and waits for what it gives: for a card, for a caller at the door.

It waits no longer than anybody would hold a card there, and not at all once the program ends.
"""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

TURN_S_MAX = 10.0
"""A disk that takes longer is a failing one; the tap is over for its customer, and the next one finds what it left."""
STOPPED_S = 0.25
"""How soon one who waits for a turn finds out that the program ends."""
T = TypeVar("T")


class Turns:
    """One terminal's."""

    def __init__(self, do: Callable[[Callable[[], None]], None], is_over: Callable[[], bool]) -> None:
        """`do`: have the deciding thread do something. `is_over`: nobody has a turn any more."""
        self._do, self._is_over = do, is_over

    def take(self, job: Callable[[], T]) -> T | None:
        """What the job gave; None when its turn did not come: the program ends, or hangs on a disk."""
        given: list[T] = []
        done = Event()

        def turn() -> None:
            try:
                given.append(job())
            finally:
                done.set()

        self._do(turn)
        until_s = monotonic() + TURN_S_MAX
        while not done.wait(STOPPED_S) and not self._is_over() and monotonic() < until_s:
            pass
        return given[0] if given else None
