"""The reader head's checks: cable, memory, buttons, cover, each state of its ring, brightness, buzzer. docs/head.md.

The buttons come first: they may answer the questions that follow. Between its checks the head shows *training*, never
*wait*: nobody shall hold a phone to it. A green is shown only after the technician has said that nobody boards, for as
long as it takes to look, between two *training* pictures, and where there is a screen with TEST on it; never when a
trip or sale may be open. Decision 0241.
"""

from collections.abc import Callable, Iterator

from firmware.link import messages
from offline_ledger.errors import (
    ButtonSilent,
    ButtonStuck,
    BuzzerWrong,
    CoverSilent,
    HeadLost,
    HeadMemoryLow,
    HeadWasStuck,
    Refusal,
    RingWrong,
)
from offline_ledger.terminal.selftest.head_cable import PINGS, ping_cable
from offline_ledger.terminal.selftest.head_watch import LINK_S_MAX, WatchedHead
from offline_ledger.terminal.selftest.plan import Step
from offline_ledger.terminal.selftest.runner import Check, Facts, Part
from offline_ledger.terminal.selftest.turn import Answer, Asked, Stopped, Turn, Withheld

FREE_BYTES_MIN = 40_000
"""The firmware keeps over 100 kB of its 192 free; a leak or another firmware shows long before it stops."""
WATCHDOG = 3
"""`machine.reset_cause()` of an RP2040."""
BLINK_MS = 60_000
STUCK_S = 0.3
"""Longer than the firmware needs to tell of a button that is held."""
REST = messages.TRAINING
RING = {
    "ring_wait": messages.WAIT,
    "ring_reading": messages.READING,
    "ring_already": messages.ALREADY_ACCEPTED,
    "ring_refused": messages.REFUSED,
    "ring_try_again": messages.TRY_AGAIN,
    "ring_out_of_service": messages.OUT_OF_SERVICE,
    "ring_training": messages.TRAINING,
    "ring_locked": messages.LOCKED,
}
GREEN = {"ring_accepted": messages.ACCEPTED, "ring_cash_due": messages.ACCEPTED_CASH_DUE}


class HeadPart:
    """One head; `head` is there while its part is open. Built with `ring_is_free`: why no green may be shown, or
    None."""

    def __init__(
        self, path: str, *, suffix: bool, is_free: Callable[[], Refusal | None], on_head: Callable[[WatchedHead], None]
    ) -> None:
        """`on_head`: the head was opened; its buttons may answer from then on."""
        self._path, self._suffix, self._is_free, self._on_head = path, suffix, is_free, on_head
        self._head: WatchedHead | None = None
        self._is_nobody_there = False

    def part(self) -> Part:
        """All its checks; none is fitted without a port."""
        return Part("head", tuple(self._checks()), self.close)

    def close(self) -> None:
        """*Out of service*, and the port is free."""
        head, self._head = self._head, None
        if head is not None:
            head.close()

    def head(self) -> WatchedHead:
        """Opens it when it is asked for first."""
        if self._head is None:
            self._head = WatchedHead(self._path, suffix=self._suffix)
            self._on_head(self._head)
        return self._head

    def linked(self, turn: Turn) -> WatchedHead:
        """One that understands us. Raises HeadLost, or why it does not, LeftOut, Stopped."""
        head = self.head()
        if not turn.wait(lambda: head.is_linked, LINK_S_MAX):
            raise head.gone() or HeadLost(self._path)
        return head

    # --- inside

    def _checks(self) -> Iterator[Check]:
        yield self._check("cable", lambda _turn: ping_cable(self._path, PINGS)._asdict())
        yield self._check("link", self._link, needs=("head.cable",))
        yield self._check("state", self._state)
        for button in (1, 2):
            yield self._hands(f"button_{button}", lambda turn, button=button: self._button(turn, button))
        yield self._hands("cover", self._cover)
        yield self._shown("ring_all", self._all_white)
        for name, state in RING.items():
            yield self._shown(name, lambda turn, state=state: self._state_shown(turn, state))
        for name, state in GREEN.items():
            yield self._shown(name, lambda turn, state=state: self._green(turn, state))
        yield self._shown("brightness", self._brightness)
        yield self._shown("buzzer", self._buzzer, BuzzerWrong)

    def _check(self, name: str, do: Callable[[Turn], Facts], needs: tuple[str, ...] = ("head.link",)) -> Check:
        return Check(Step("head", name, needs=needs, is_fitted=bool(self._path)), do)

    def _hands(self, name: str, do: Callable[[Turn], Facts]) -> Check:
        check = self._check(name, do)
        return check._replace(step=check.step._replace(needs_hands=True))

    def _shown(self, name: str, do: Callable[[Turn], Facts], wrong: type[Refusal] = RingWrong) -> Check:
        check = self._check(name, do)
        step = check.step._replace(is_asked=True, needs_hands=True)
        return check._replace(step=step, wrong=wrong, gone=lambda: self.head().gone())

    def _link(self, turn: Turn) -> Facts:
        head = self.linked(turn)
        head.set_theme(night=False)
        head.show(REST, turn)
        health = head.health()
        return {"firmware": health.firmware, "board": health.board, "path": health.path}

    def _state(self, turn: Turn) -> Facts:
        head = self.head()
        head.ask()
        if not turn.wait(lambda: head.health().status is not None, turn.times.light_s):
            raise head.gone() or HeadLost(f"{self._path}: no state")
        status = head.health().status
        assert status is not None
        if status.free_bytes_least < FREE_BYTES_MIN:
            raise HeadMemoryLow(f"{status.free_bytes_least} bytes free at the least, {FREE_BYTES_MIN} are needed")
        if status.reset_cause == WATCHDOG:
            raise HeadWasStuck(f"reset cause {status.reset_cause}")
        return status._asdict()

    def _state_shown(self, turn: Turn, state: int) -> Facts:
        head = self.head()
        head.show(REST, turn)
        head.show(state, turn)
        turn.rest(turn.times.look_s)
        return {"state": state}

    def _all_white(self, turn: Turn) -> Facts:
        self.head().identify(BLINK_MS)
        turn.rest(turn.times.look_s)
        return {}

    def _green(self, turn: Turn, state: int) -> Facts:
        """A passenger must never take it for a ride."""
        if self._is_nobody_there or self._is_free() is not None:
            raise Withheld  # a late answer to the last question, for one, is no yes to this one
        head = self.head()
        head.show(REST, turn)
        turn.show(Asked("head.green", "selftest.ask.head.green", is_question=True))
        answer = turn.answer(turn.times.ask_s, lambda: head.gone() is not None)
        self._is_nobody_there = answer is None
        if answer is Answer.STOP:
            raise Stopped
        if answer is not Answer.YES:
            raise Withheld
        turn.show(Asked("head.green", "selftest.step.head.green", is_wish=True))
        try:
            head.show(state, turn)
            turn.rest(turn.times.look_s)
        finally:
            head.rest(REST)
        return {"state": state}

    def _brightness(self, turn: Turn) -> Facts:
        head = self.head()
        head.show(messages.WAIT, turn)
        try:
            for night in (True, False, True):
                head.set_theme(night=night)
                turn.rest(turn.times.look_s)
        finally:
            head.set_theme(night=False)
            head.rest(REST)
        return {}

    def _buzzer(self, turn: Turn) -> Facts:
        head = self.head()
        head.show(messages.REFUSED, turn)
        turn.rest(turn.times.look_s)
        head.show(messages.TRAINING, turn)
        turn.rest(turn.times.look_s)
        return {}

    def _button(self, turn: Turn, button: int) -> Facts:
        """Pressed and let go, and no other one with it."""
        head = self.head()
        head.show(REST, turn)
        head.presses()
        turn.rest(STUCK_S)
        if pressed := {press.button for press in head.presses()} | set(head.held_down()):
            raise ButtonStuck(f"button {', '.join(map(str, sorted(pressed)))} before anybody was asked")
        seen: list[tuple[int, int]] = []

        def is_done() -> bool:
            seen.extend(head.presses())
            is_whole = {(button, messages.BUTTON_PRESSED), (button, messages.BUTTON_RELEASED)} <= set(seen)
            return is_whole or any(one != button for one, _kind in seen)

        turn.show(Asked(f"head.button_{button}", f"selftest.now.head.button_{button}", is_wish=True))
        is_in_time = turn.wait(is_done, turn.times.hand_s)
        if others := {one for one, _kind in seen if one != button}:
            raise ButtonStuck(f"button {', '.join(map(str, sorted(others)))} instead of {button}")
        if not is_in_time:
            raise head.gone() or (ButtonStuck if seen else ButtonSilent)(f"button {button}")
        return {"button": button}

    def _cover(self, turn: Turn) -> Facts:
        """Opened and closed again; it begins closed, or is closed first."""
        head = self.head()
        head.show(REST, turn)
        changes: list[bool] = []

        def has_seen(*wanted: bool) -> Callable[[], bool]:
            def is_so() -> bool:
                changes.extend(head.covers())
                return tuple(changes[-len(wanted) :]) == wanted

            return is_so

        is_open = head.health().is_cover_open
        head.covers()
        turn.show(Asked("head.cover", "selftest.now.head.cover", is_wish=True))
        wanted = (False, True, False) if is_open else (True, False)
        if not turn.wait(has_seen(*wanted), turn.times.hand_s):
            raise head.gone() or CoverSilent(f"{len(changes)} changes")
        return {"changes": len(changes)}
