"""A reader head in the hands of a self-test: its driver on a thread of its own, and what came from it since. DESIGN §6.

The thread keeps the session alive while other parts are tried, so the ring shows what it was told and never falls to
*out of service* in the middle of a question. Its two buttons answer questions too: 1 is yes, 2 is no.
"""

from collections import deque
from threading import Event, Lock, Thread
from typing import NamedTuple, TypeVar

from firmware.link import messages
from offline_ledger.errors import HeadLost, LightUnconfirmed, Refusal
from offline_ledger.terminal.drivers.head import HeadHealth, HeadSettings, ReaderHead
from offline_ledger.terminal.selftest.turn import Answer, Turn

T = TypeVar("T")
POLL_S = 0.05
KEPT_MAX = 64
"""Presses and texts that nobody asked about yet; older ones are dropped."""
JOIN_S_MAX = 2.0
LINK_S_MAX = 4.0
"""A head that is there answers within 3 s (`head_session.TELL_MS`)."""


class Press(NamedTuple):
    """What a button did: BUTTON_PRESSED, _RELEASED or _LONG of `firmware.link.messages`."""

    button: int
    kind: int


ANSWERS = {1: Answer.YES, 2: Answer.NO}


class WatchedHead:
    """One head. Methods may come from any thread."""

    def __init__(self, path: str, *, suffix: bool = True) -> None:
        self._lock = Lock()
        self._presses: deque[Press] = deque(maxlen=KEPT_MAX)
        self._said: deque[Press] = deque(maxlen=KEPT_MAX)
        self._covers: deque[bool] = deque(maxlen=KEPT_MAX)
        self._texts: deque[str] = deque(maxlen=KEPT_MAX)
        self._down: set[int] = set()
        self._trouble: Refusal | None = None
        self._is_ending = Event()
        self._head = ReaderHead(HeadSettings(path, suffix=suffix), on_button=self._pressed, on_tamper=self._covered)
        self._thread = Thread(target=self._watch, name="self-test head", daemon=True)
        self._thread.start()

    # --- what it does

    def show(self, state: int, turn: Turn) -> None:
        """This state; returns when the head says that it is on. Raises HeadLost, LightUnconfirmed, LeftOut, Stopped."""
        lit = Event()
        if not self._head.show(state, lit.set):
            raise self.gone() or HeadLost()
        if not turn.wait(lit.is_set, turn.times.light_s):
            raise self.gone() or LightUnconfirmed(f"state {state}, {turn.times.light_s} s")

    def rest(self, state: int) -> None:
        """This state from now on, whoever sees it."""
        self._head.show(state)

    def identify(self, blink_ms: int) -> None:
        """All lamps white, blinking, with a beep. Raises HeadLost."""
        if not self._head.identify(blink_ms):
            raise self.gone() or HeadLost()

    def set_theme(self, *, night: bool) -> None:
        """The ring's brightness."""
        self._head.set_theme(night)

    def ask(self) -> None:
        """Has the head say its state anew."""
        self._head.ask()

    # --- what came from it

    @property
    def is_linked(self) -> bool:
        """Is a head there that understands us?"""
        return self._head.is_linked

    def health(self) -> HeadHealth:
        """The driver's."""
        return self._head.health()

    def gone(self) -> Refusal | None:
        """Why it is not there; None: it is."""
        if self._head.is_linked:
            return None
        with self._lock:
            return self._trouble or HeadLost()

    def presses(self) -> list[Press]:
        """Since the last call."""
        return self._taken(self._presses)

    def held_down(self) -> list[int]:
        """The buttons that are pressed now."""
        with self._lock:
            return sorted(self._down)

    def covers(self) -> list[bool]:
        """Each change of the cover since the last call: True is open."""
        return self._taken(self._covers)

    def texts(self) -> list[str]:
        """What its scanner read since the last call."""
        return self._taken(self._texts)

    def close(self, last: int = messages.OUT_OF_SERVICE) -> None:
        """Shows that nobody can board, and lets it go."""
        self._head.show(last)
        self._is_ending.set()
        self._head.wake()
        self._thread.join(JOIN_S_MAX)

    # --- its buttons as answers (`turn.AnswerSource`)

    def take(self) -> Answer | None:
        """A short press counts when it ends."""
        for press in self._taken(self._said):
            if press.kind == messages.BUTTON_RELEASED and press.button in ANSWERS:
                return ANSWERS[press.button]
        return None

    def forget(self) -> None:
        """Presses from before a question."""
        self._taken(self._said)

    # --- on its own thread

    def _watch(self) -> None:
        self._head.open()
        while not self._is_ending.is_set():
            self._poll()
        self._poll()  # the last light goes out
        self._head.close()

    def _poll(self) -> None:
        texts = self._head.poll(POLL_S)
        refusals = self._head.take_refusals()
        with self._lock:
            self._texts.extend(texts)
            self._trouble = refusals[-1] if refusals else self._trouble

    def _pressed(self, button: int, kind: int) -> None:
        with self._lock:
            self._presses.append(Press(button, kind))
            self._said.append(Press(button, kind))
            (self._down.discard if kind == messages.BUTTON_RELEASED else self._down.add)(button)

    def _covered(self, is_open: bool) -> None:
        with self._lock:
            self._covers.append(is_open)

    def _taken(self, kept: "deque[T]") -> "list[T]":
        with self._lock:
            found = list(kept)
            kept.clear()
            return found
