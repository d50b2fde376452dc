"""Every light of a terminal, in its order: the head that the customer looks at, the line that says it, then who draws.

A green counts as shown when the head has said that it is on; without a head, when its line is out. It is drawn only
while it is the newest light: what the head shows by then is the next customer's. Decides nothing.
DESIGN §5 "green → ratified".
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic

from offline_ledger.terminal.headless import LineLamp
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.ports import HeadLamp

GREEN = (Light.ACCEPTED, Light.ACCEPTED_CASH_DUE)
SETTLE_S_MAX = 0.25
"""So long the end of the program waits for the head's word: it answers in 1 ms, and is asked six times in this."""
Lit = Callable[[Outcome], None]
Drawn = Callable[[Light | None, Outcome | None], None]
"""Hears of a light: which one, and what it is about. No light: a code is read and its light is late; that one may come
from another thread."""


def nobody_draws(_light: Light | None, _outcome: Outcome | None) -> None:
    """A terminal without a screen."""


class Lights:
    """The lamp of lines, and the head and screen that a program may have beside it. Thread-safe."""

    def __init__(self, lamp: LineLamp, do: Callable[[Callable[[], None]], None]) -> None:
        """`do`: have the deciding thread do something."""
        self._lamp, self._do = lamp, do
        self._head: HeadLamp | None = None
        self._on_screen: Drawn = nobody_draws
        self._stands: tuple[Light | None, Outcome | None] | None = None  # what a screen would show, if it were there
        self._newest = 0
        self._unlit = 0
        self._confirmed: SimpleQueue[tuple[int, Outcome, Lit]] = SimpleQueue()  # a head has few lights on their way
        self._lock = Lock()

    def with_head(self, head: HeadLamp) -> None:
        """From now on it is what customers look at."""
        self._head = head

    def with_screen(self, drawn: Drawn) -> bool:
        """It hears of each light; of a green only when it is on. One that is on already it hears of now: the first
        passenger does not wait for a screen. False: there is none. On the deciding thread."""
        with self._lock:
            self._on_screen = drawn
            if self._stands is not None:
                drawn(*self._stands)
            return self._stands is not None

    @property
    def is_lighting(self) -> bool:
        """A green is on its way to the head: what is drawn now would only stand before its picture."""
        return self._unlit > 0 and self._unlit == self._newest

    def show(self, outcome: Outcome, lit: Lit, **more: object) -> None:
        """One decision, durable already. `lit` is called on the deciding thread once the light is really on; never for
        one that nobody could see. Not before this returns, if there is a head."""
        with self._lock:
            self._newest = number = self._newest + 1
            if self._head is not None:
                is_seen = self._head.show(outcome.light, lambda: self._has_lit(number, outcome, lit))
                more = more if is_seen else {**more, "unseen": True}
                self._unlit = number if is_seen and outcome.light in GREEN else self._unlit
            self._lamp.show(outcome, **more)
        if self._head is None:
            self._is_lit(number, outcome, lit)
        elif outcome.light not in GREEN:
            self._drawn(outcome.light, outcome)

    def wait(self) -> None:
        """Ready for the next code."""
        with self._lock:
            self._newest += 1
            if self._head is not None:
                self._head.show(Light.WAIT, None)
            self._lamp.wait()
        self._drawn(Light.WAIT, None)

    def working(self, lights_before: int) -> None:
        """A code is read and its light is late; nothing if a light came meanwhile. Not for the deciding thread."""
        with self._lock:
            if self._lamp.lights == lights_before:
                self._newest += 1
                if self._head is not None:
                    self._head.reading()
                self._drawn(None, None)
        self._lamp.working(lights_before)

    def settle(self) -> None:
        """At the end, on the deciding thread, while the head is still heard: a green on its way is lit, or is not."""
        until_s = monotonic() + SETTLE_S_MAX
        self._take_lit()
        while self.is_lighting and (left_s := until_s - monotonic()) > 0:
            self._take_lit(left_s)

    def _has_lit(self, number: int, outcome: Outcome, lit: Lit) -> None:
        """On the head's thread."""
        self._confirmed.put((number, outcome, lit))
        self._do(self._take_lit)

    def _take_lit(self, wait_s: float = 0.0) -> None:
        """All that the head has confirmed by now, or within this time."""
        try:
            self._is_lit(*self._confirmed.get(timeout=wait_s))
            while True:
                self._is_lit(*self._confirmed.get_nowait())
        except Empty:
            pass

    def _drawn(self, light: Light | None, outcome: Outcome | None) -> None:
        self._stands = light, outcome
        self._on_screen(light, outcome)

    def _is_lit(self, number: int, outcome: Outcome, lit: Lit) -> None:
        lit(outcome)
        with self._lock:
            self._unlit = 0 if number == self._unlit else self._unlit
            if self._head is None or (outcome.light in GREEN and number == self._newest):
                self._drawn(outcome.light, outcome)
