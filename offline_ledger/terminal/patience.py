"""Says that a code is being worked on when its light is late, so that no screen stands still. DESIGN §10.

A light waits for the disk: a charge for its own sync, and any code for one that has begun already (the record of the
last green, an ack), for the journal is one connection that everybody takes in turn. A thread of its own looks now and
then, so a decision pays nothing for it. Never says a light, and never says it after the light came.
"""

from collections.abc import Callable
from threading import Event, Lock, Thread
from time import monotonic
from typing import NamedTuple

WORKING_S = 0.2
"""So long a code is silent; a light comes well within it on a sound disk."""
LOOK_S = 0.05


class _Waiting(NamedTuple):
    since_s: float
    lights_before: int


class Patience:
    """One lamp's. `offered` from any thread, `begins` and `ends` from the deciding one."""

    def __init__(self, lights: Callable[[], int], say_working: Callable[[int], None]) -> None:
        """`lights`: how many were shown; `say_working`: says it if no light came since there were so many."""
        self._lights, self._say_working = lights, say_working
        self._waiting: _Waiting | None = None
        self._next_since_s: float | None = None  # a code that was read before the light of the one before it was over
        self._lock = Lock()
        self._stopping = Event()
        self._thread = Thread(target=self._look, name="patience", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._stopping.set()

    def offered(self) -> None:
        """A code was read and is about to be queued; it may have to wait for its turn."""
        with self._lock:
            if self._waiting is None:
                self._waiting = _Waiting(monotonic(), self._lights())
            elif self._next_since_s is None:
                self._next_since_s = monotonic()

    def begins(self) -> None:
        """The next code has its turn; the next light is its own."""
        with self._lock:
            waiting = self._waiting
            self._waiting = _Waiting(monotonic() if waiting is None else waiting.since_s, self._lights())

    def ends(self) -> None:
        """Its light was shown; who came meanwhile is the one that waits."""
        with self._lock:
            since_s, self._next_since_s = self._next_since_s, None
            self._waiting = None if since_s is None else _Waiting(since_s, self._lights())

    def _look(self) -> None:
        told_s = 0.0
        while not self._stopping.wait(LOOK_S):
            waiting = self._waiting
            if waiting is None or waiting.since_s == told_s or monotonic() - waiting.since_s < WORKING_S:
                continue
            told_s = waiting.since_s
            self._say_working(waiting.lights_before)
