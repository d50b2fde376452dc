"""The boarding states as one table: state × event → state and effects. Pure. FIELD_LESSONS 21–25; DESIGN §5.

The acceptor has decided and made durable before an event comes here; this says what the door then shows, for how long,
and what the shell does about it. Never decides about money, never reads a clock: `mono_ms` is an argument. Another kind
of tap (out of a zone) is one more event and one more state: a row in `_DECIDED` and one in `FACES`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from bus_validator.face import FaceState
from offline_ledger.errors import Blame
from offline_ledger.terminal.outcome import Light, Outcome

SHOWN_MS = 2_000
"""So long an answer stands: FIELD_LESSONS 21 asks for no longer, and a queue boards one passenger a second or two."""
READING_MS_MAX = 10_000
"""A decision that has not come by then never will (a disk sync of half a second is the worst we test): wait again."""


class DoorState(StrEnum):
    """What the door is doing. `CLOSED` stands until it is opened; answers go by themselves."""

    WAIT = "wait"
    READING = "reading"
    ACCEPTED = "accepted"
    CASH_DUE = "cash_due"
    ALREADY = "already"
    REFUSED = "refused"
    AGAIN = "again"
    OUR_FAULT = "our_fault"
    """This tap failed by this terminal's fault (must reconnect, unknown issuer): nothing is wrong with the code."""
    TRAINED = "trained"
    CLOSED = "closed"


class DoorEvent(StrEnum):
    """What happens at the door."""

    READ_LATE = "read_late"
    """A code or card was read, and its light takes longer than a person would wait without a sign."""
    GREEN = "green"
    GREEN_CASH_DUE = "green_cash_due"
    GREEN_TRAINING = "green_training"
    REPEATED = "repeated"
    REFUSED = "refused"
    PRESENT_AGAIN = "present_again"
    """Torn, glare, too short, a passing reason: the same person shall try again."""
    OUR_FAULT = "our_fault"
    CLOSED = "closed"
    OPENED = "opened"
    TIME_UP = "time_up"


class Effect(StrEnum):
    """What the shell does, in this order. The lamp is lit already, and boardings are counted from the journal alone."""

    DRAW = "draw"
    HOLD = "hold"
    """The state goes by itself when its time is up."""


class Step(NamedTuple):
    """One entry of the table."""

    state: DoorState
    effects: tuple[Effect, ...]


_TELL = (Effect.DRAW,)
_TELL_A_WHILE = (*_TELL, Effect.HOLD)

_DECIDED: Mapping[DoorEvent, Step] = {
    DoorEvent.READ_LATE: Step(DoorState.READING, _TELL_A_WHILE),
    DoorEvent.GREEN: Step(DoorState.ACCEPTED, _TELL_A_WHILE),
    DoorEvent.GREEN_CASH_DUE: Step(DoorState.CASH_DUE, _TELL_A_WHILE),
    DoorEvent.GREEN_TRAINING: Step(DoorState.TRAINED, _TELL_A_WHILE),
    DoorEvent.REPEATED: Step(DoorState.ALREADY, _TELL_A_WHILE),
    DoorEvent.REFUSED: Step(DoorState.REFUSED, _TELL_A_WHILE),
    DoorEvent.PRESENT_AGAIN: Step(DoorState.AGAIN, _TELL_A_WHILE),
    DoorEvent.OUR_FAULT: Step(DoorState.OUR_FAULT, _TELL_A_WHILE),
    DoorEvent.CLOSED: Step(DoorState.CLOSED, _TELL),
}
"""From every open state, so that the next passenger never waits for the answer of the one before."""
_GREENS = (DoorState.ACCEPTED, DoorState.CASH_DUE, DoorState.TRAINED)
_STAYS = ()


def _table() -> Mapping[tuple[DoorState, DoorEvent], Step]:
    table = {(state, event): step for state in DoorState for event, step in _DECIDED.items()}
    for state in DoorState:
        is_resting = state in (DoorState.WAIT, DoorState.CLOSED)
        table[state, DoorEvent.TIME_UP] = Step(state, _STAYS) if is_resting else Step(DoorState.WAIT, _TELL)
        table[state, DoorEvent.OPENED] = Step(state, _STAYS)  # what is shown stays its time
    table[DoorState.CLOSED, DoorEvent.OPENED] = Step(DoorState.WAIT, _TELL)
    table[DoorState.CLOSED, DoorEvent.READ_LATE] = Step(DoorState.CLOSED, _STAYS)
    for state in _GREENS:  # a green that was given is seen out before the door says that it closed
        table[state, DoorEvent.CLOSED] = Step(state, _STAYS)
    return table


TABLE = _table()
FACES: Mapping[DoorState, FaceState] = {
    DoorState.WAIT: FaceState.WAIT,
    DoorState.READING: FaceState.READING,
    DoorState.ACCEPTED: FaceState.ACCEPTED,
    DoorState.CASH_DUE: FaceState.ACCEPTED_CASH_DUE,
    DoorState.ALREADY: FaceState.ALREADY_ACCEPTED,
    DoorState.REFUSED: FaceState.REFUSED,
    DoorState.AGAIN: FaceState.PRESENT_AGAIN,
    DoorState.OUR_FAULT: FaceState.OUT_OF_SERVICE,
    DoorState.TRAINED: FaceState.TRAINING,
    DoorState.CLOSED: FaceState.OUT_OF_SERVICE,
}
"""The face of each state: its shape, light and sound."""


class Door(NamedTuple):
    """Where the door is. `until_ms`: when an answer's time is up; `is_closed`: what it rests in afterwards."""

    state: DoorState = DoorState.WAIT
    until_ms: int | None = None
    is_closed: bool = False

    @property
    def face(self) -> FaceState:
        """What the screen, the lamp and the sound are about."""
        return FACES[self.state]

    def after(self, event: DoorEvent, mono_ms: int) -> tuple["Door", tuple[Effect, ...]]:
        """The door after the event, and what to do."""
        is_closed = (self.is_closed or event is DoorEvent.CLOSED) and event is not DoorEvent.OPENED
        state, effects = TABLE[self.state, event]
        if state is DoorState.WAIT and is_closed:
            state, effects = TABLE[DoorState.WAIT, DoorEvent.CLOSED]
        until_ms = self.until_ms if state is self.state else None
        if Effect.HOLD in effects:
            until_ms = mono_ms + (READING_MS_MAX if state is DoorState.READING else SHOWN_MS)
        return Door(state, until_ms, is_closed), effects

    def left_ms(self, mono_ms: int) -> int | None:
        """Until `TIME_UP` is due: 0 = now, None = never."""
        return None if self.until_ms is None else max(0, self.until_ms - mono_ms)


def event_of(outcome: Outcome, *, is_training: bool = False) -> DoorEvent:
    """What a decision is at the door. Whose fault a refusal is tells "your code" from "this terminal"."""
    match outcome.light:
        case Light.ACCEPTED | Light.ACCEPTED_CASH_DUE:
            if is_training:
                return DoorEvent.GREEN_TRAINING
            return DoorEvent.GREEN_CASH_DUE if outcome.light is Light.ACCEPTED_CASH_DUE else DoorEvent.GREEN
        case Light.ALREADY_ACCEPTED:
            return DoorEvent.REPEATED
        case Light.OUT_OF_SERVICE:
            return DoorEvent.CLOSED
        case Light.WAIT:
            return DoorEvent.OPENED
        case Light.TRY_AGAIN | Light.REFUSED:
            if outcome.refusal is not None and outcome.refusal.blame in (Blame.SETUP, Blame.DEVICE):
                return DoorEvent.OUR_FAULT
            return DoorEvent.PRESENT_AGAIN if outcome.light is Light.TRY_AGAIN else DoorEvent.REFUSED
