"""The table of the door: whole, no green for a repeat, back by itself within 2 s, at once on the next tap."""

import pytest

from bus_validator.door_states import (
    FACES,
    READING_MS_MAX,
    SHOWN_MS,
    TABLE,
    Door,
    DoorEvent,
    DoorState,
    Effect,
    event_of,
)
from bus_validator.face import FaceState
from offline_ledger import errors
from offline_ledger.terminal.outcome import Light, Outcome

GREENS = (DoorEvent.GREEN, DoorEvent.GREEN_CASH_DUE)
ANSWERS = {
    DoorEvent.GREEN: DoorState.ACCEPTED,
    DoorEvent.GREEN_CASH_DUE: DoorState.CASH_DUE,
    DoorEvent.GREEN_TRAINING: DoorState.TRAINED,
    DoorEvent.REPEATED: DoorState.ALREADY,
    DoorEvent.REFUSED: DoorState.REFUSED,
    DoorEvent.PRESENT_AGAIN: DoorState.AGAIN,
    DoorEvent.OUR_FAULT: DoorState.OUR_FAULT,
}


def test_every_event_has_an_entry_in_every_state() -> None:
    assert set(TABLE) == {(state, event) for state in DoorState for event in DoorEvent}
    assert set(FACES) == set(DoorState)
    boarding = set(FaceState) - {FaceState.LIST, FaceState.PIN, FaceState.REPORT}
    assert set(FACES.values()) == boarding


@pytest.mark.parametrize("event", ANSWERS)
@pytest.mark.parametrize("before", DoorState)
def test_the_next_tap_is_answered_at_once_whatever_stands(before: DoorState, event: DoorEvent) -> None:
    door, effects = Door(before, 900, is_closed=before is DoorState.CLOSED).after(event, 1_000)
    assert door.state is ANSWERS[event]
    assert effects == (Effect.DRAW, Effect.HOLD)
    assert door.until_ms == 1_000 + SHOWN_MS <= 1_000 + 2_000


@pytest.mark.parametrize("event", ANSWERS)
def test_an_answer_goes_by_itself_to_where_the_door_rests(event: DoorEvent) -> None:
    for is_closed, rest in ((False, DoorState.WAIT), (True, DoorState.CLOSED)):
        door, _ = Door(is_closed=is_closed).after(event, 0)
        assert (door.left_ms(0), door.left_ms(SHOWN_MS - 1), door.left_ms(SHOWN_MS)) == (SHOWN_MS, 1, 0)
        rested, effects = door.after(DoorEvent.TIME_UP, SHOWN_MS)
        assert rested == Door(rest, None, is_closed)
        assert effects == (Effect.DRAW,)
        assert rested.left_ms(10**9) is None


def test_only_greens_look_green() -> None:
    green = {FaceState.ACCEPTED, FaceState.ACCEPTED_CASH_DUE}
    assert {event for (_, event), step in TABLE.items() if step.effects and FACES[step.state] in green} == set(GREENS)


def test_closing_lets_a_green_be_seen_out_and_nothing_else() -> None:
    for event, state in ANSWERS.items():
        door, _ = Door().after(event, 0)
        closed, effects = door.after(DoorEvent.CLOSED, 500)
        assert closed.is_closed
        if event in (*GREENS, DoorEvent.GREEN_TRAINING):
            assert (closed.state, closed.until_ms, effects) == (state, SHOWN_MS, ())
        else:
            assert (closed.state, closed.until_ms) == (DoorState.CLOSED, None)
        assert closed.after(DoorEvent.TIME_UP, SHOWN_MS)[0].state is DoorState.CLOSED


def test_opening_waits_for_the_answer_that_stands() -> None:
    assert Door(DoorState.CLOSED, None, True).after(DoorEvent.OPENED, 5)[0] == Door()
    shown = Door(DoorState.OUR_FAULT, 2_000, True)
    opened, effects = shown.after(DoorEvent.OPENED, 500)
    assert (opened, effects) == (Door(DoorState.OUR_FAULT, 2_000, False), ())
    assert opened.after(DoorEvent.TIME_UP, 2_000)[0] == Door()


def test_a_light_that_never_comes_is_not_waited_for_for_ever() -> None:
    reading, _ = Door().after(DoorEvent.READ_LATE, 100)
    assert (reading.state, reading.until_ms) == (DoorState.READING, 100 + READING_MS_MAX)
    assert reading.after(DoorEvent.TIME_UP, 100 + READING_MS_MAX)[0] == Door()
    closed = Door(DoorState.CLOSED, None, True)
    assert closed.after(DoorEvent.READ_LATE, 1) == (closed, ())


def test_a_late_time_up_changes_nothing_that_rests() -> None:
    for door in (Door(), Door(DoorState.CLOSED, None, True)):
        assert door.after(DoorEvent.TIME_UP, 1) == (door, ())


@pytest.mark.parametrize(
    ("outcome", "is_training", "event"),
    [
        (Outcome(Light.ACCEPTED), False, DoorEvent.GREEN),
        (Outcome(Light.ACCEPTED_CASH_DUE), False, DoorEvent.GREEN_CASH_DUE),
        (Outcome(Light.ACCEPTED, is_uncharged_green=True), False, DoorEvent.GREEN),
        (Outcome(Light.ACCEPTED_CASH_DUE, is_uncharged_green=True), False, DoorEvent.GREEN_CASH_DUE),
        (Outcome(Light.ACCEPTED), True, DoorEvent.GREEN_TRAINING),
        (Outcome(Light.ACCEPTED_CASH_DUE, is_uncharged_green=True), True, DoorEvent.GREEN_TRAINING),
        (Outcome(Light.ALREADY_ACCEPTED), False, DoorEvent.REPEATED),
        (Outcome(Light.ALREADY_ACCEPTED), True, DoorEvent.REPEATED),
        (Outcome(Light.REFUSED, refusal=errors.AllowanceExpired()), False, DoorEvent.REFUSED),
        (Outcome(Light.REFUSED, refusal=errors.AllowanceForged()), False, DoorEvent.REFUSED),
        (Outcome(Light.TRY_AGAIN, refusal=errors.CodeDamaged()), False, DoorEvent.PRESENT_AGAIN),
        (Outcome(Light.TRY_AGAIN, refusal=errors.MustReconnect()), False, DoorEvent.OUR_FAULT),
        (Outcome(Light.TRY_AGAIN, refusal=errors.UnknownIssuer()), False, DoorEvent.OUR_FAULT),
        (Outcome(Light.REFUSED, refusal=errors.NoFareForBoarding()), False, DoorEvent.OUR_FAULT),
        (Outcome(Light.REFUSED), False, DoorEvent.REFUSED),
        (Outcome(Light.OUT_OF_SERVICE, refusal=errors.StorageFailed()), False, DoorEvent.CLOSED),
        (Outcome(Light.WAIT), False, DoorEvent.OPENED),
    ],
)
def test_whose_fault_it_is_tells_the_faces_apart(outcome: Outcome, is_training: bool, event: DoorEvent) -> None:
    assert event_of(outcome, is_training=is_training) is event


def test_a_training_device_never_shows_green() -> None:
    for light in Light:
        state = TABLE[DoorState.WAIT, event_of(Outcome(light), is_training=True)].state
        assert FACES[state] not in (FaceState.ACCEPTED, FaceState.ACCEPTED_CASH_DUE)
