"""Another thread has the deciding one do something and waits for what it gives: for a card, for a caller at the door.

It waits no longer than anybody would hold a card there, and not at all once the program ends.
"""

from collections.abc import Callable
from threading import Event, Lock
from time import monotonic
from typing import TypeVar

from offline_ledger.errors import CommandTakenBack, CommandUnsettled

TURN_S_MAX = 10.0
"""A disk that takes longer is a failing one; the tap is over for its customer, and the next one finds what it left."""
STOPPED_S = 0.25
"""How soon one who waits for a turn finds out that the program ends."""
T = TypeVar("T")


class _Turn:
    """One job's: begun by the deciding thread, or taken back by who waits, never both."""

    def __init__(self) -> None:
        self.done = Event()
        self._lock = Lock()
        self._is_begun = self._is_back = False

    def begin(self) -> bool:
        """False: it was taken back."""
        with self._lock:
            self._is_begun = not self._is_back
            return self._is_begun

    def take_back(self) -> bool:
        """False: it has begun."""
        with self._lock:
            self._is_back = not self._is_begun
            return self._is_back


class Turns:
    """One terminal's."""

    def __init__(self, do: Callable[[Callable[[], None]], None], is_over: Callable[[], bool]) -> None:
        """`do`: have the deciding thread do something. `is_over`: nobody has a turn any more."""
        self._do, self._is_over = do, is_over

    def take(self, job: Callable[[], T]) -> T | None:
        """What the job gave; None when that did not come in time: the program ends, or hangs on a disk. The job is done
        all the same when the disk is back: a card has paid, say, and that must not be lost."""
        given, _turn = self._wait(job)
        return given[0] if given else None

    def take_or_refuse(self, job: Callable[[], T]) -> T:
        """What the job gave, for one who can ask again. Raises CommandTakenBack: nothing of it was done, and nothing
        will be; CommandUnsettled: it had begun, and may be done yet."""
        given, turn = self._wait(job)
        if not given and turn.take_back():
            raise CommandTakenBack()
        if not given:
            raise CommandUnsettled()
        return given[0]

    def _wait(self, job: Callable[[], T]) -> tuple[list[T], _Turn]:
        given: list[T] = []
        turn = _Turn()

        def act() -> None:
            if not turn.begin():
                return
            try:
                given.append(job())
            finally:
                turn.done.set()

        self._do(act)
        until_s = monotonic() + TURN_S_MAX
        while not turn.done.wait(STOPPED_S) and not self._is_over() and monotonic() < until_s:
            pass
        return given, turn
