"""The door's lights as pictures: each light becomes a face, and the screen's thread draws it. FIELD_LESSONS 21–25.

Hears of every light from `terminal.lights` (of a green only once it is on), so nothing green is drawn before its lamp.
What stands beside (trip, clock, link) is handed in by `strip`, and drawn anew when it has changed. Decides nothing.
"""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple, Protocol

from bus_validator.door_states import Door, DoorEvent, DoorState, Effect, event_of
from bus_validator.face import Face
from bus_validator.faces import Faces, Paid, Sentence, Strip
from offline_ledger.rules.civil import Explanation
from offline_ledger.terminal.outcome import Light, Outcome


class Told(NamedTuple):
    """What a face may say beside the outcome: the fare's line, when a repeat was paid, the amounts of a refusal."""

    fare: Explanation | None = None
    paid: Paid | None = None
    more: Sentence | None = None


class ShowsFaces(Protocol):
    """A screen (`drivers.screen.Screen`)."""

    def show(self, face: Face) -> None: ...


class DoorScreen:
    """One door's. `drawn` may come from two threads; the rest is for the deciding one."""

    def __init__(
        self,
        screen: ShowsFaces,
        faces: Faces,
        strip: Callable[[], Strip],
        told: Callable[[Outcome], Told],
        mono_ms: Callable[[], int],
        *,
        is_training: bool,
    ) -> None:
        """`told`: asked once for each decision, on the deciding thread."""
        self._screen, self._faces, self._strip, self._told, self._mono_ms = screen, faces, strip, told, mono_ms
        self._is_training = is_training
        self._door = Door()
        self._answer: Callable[[Strip], Face] = faces.wait
        self._closed: Outcome | None = None
        self._over: Face | None = None
        self._is_companion = False
        self._lock = Lock()

    @property
    def state(self) -> DoorState:
        """What the door is doing."""
        return self._door.state

    def drawn(self, light: Light | None, outcome: Outcome | None) -> None:
        """A light is on (None: a code is read and its light is late)."""
        with self._lock:
            if light is None:
                self._door, _ = self._door.after(DoorEvent.READ_LATE, self._mono_ms())
                self._answer = self._faces.reading
            elif outcome is None:
                self._wait()
            else:
                self._decided(outcome)
            self._draw()

    def look(self, *, is_companion: bool = False) -> None:
        """Time has passed: clock, link or stop may have changed; the next card may be for another passenger."""
        with self._lock:
            self._is_companion = is_companion
            if self._door.left_ms(self._mono_ms()) == 0:
                self._door, _ = self._door.after(DoorEvent.TIME_UP, self._mono_ms())
            self._draw()

    def put_over(self, face: Face | None) -> None:
        """The driver's menu, instead of the waiting face; None: no more. An answer at the door goes before it."""
        with self._lock:
            self._over = face
            self._draw()

    def _wait(self) -> None:
        for event in (DoorEvent.OPENED, DoorEvent.TIME_UP):
            self._door, _ = self._door.after(event, self._mono_ms())
        self._closed = None

    def _decided(self, outcome: Outcome) -> None:
        event = event_of(outcome, is_training=self._is_training)
        self._is_companion = False
        if event is DoorEvent.CLOSED:
            self._closed = outcome
        self._door, effects = self._door.after(event, self._mono_ms())
        if Effect.DRAW not in effects:
            return  # a green is seen out before the door says that it closed
        told = self._told(outcome)
        self._answer = lambda strip: self._faces.decided(
            outcome, strip, is_training=self._is_training, fare=told.fare, paid=told.paid, more=told.more
        )

    def _draw(self) -> None:
        strip = self._strip()
        state = self._door.state
        if state in (DoorState.WAIT, DoorState.CLOSED) and self._over is not None:
            self._screen.show(self._over._replace(header=strip.header, clock=strip.clock, badge=strip.badge))
        elif state is DoorState.WAIT:
            self._screen.show(self._faces.companion(strip) if self._is_companion else self._faces.wait(strip))
        elif state is DoorState.CLOSED:
            self._screen.show(self._faces.closed(None if self._closed is None else self._closed.refusal, strip))
        else:
            self._screen.show(self._answer(strip))
