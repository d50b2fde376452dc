"""Driver and trip: every state × event of the table, what is kept and journaled, ids, departures. DESIGN §2, §5."""

from collections.abc import Callable
from itertools import product

import pytest

from bus_validator.trip import (
    SHIFT_BYTES_MAX,
    Changed,
    Departure,
    Effect,
    Moment,
    Run,
    ShiftState,
    TripPhase,
    decode_shift,
    departures_near,
    encode_shift,
    end_trip,
    lock,
    move_stop,
    sign_off,
    sign_on,
    start_trip,
    trip_id,
    unscheduled_id,
    why_closed,
)
from bus_validator.trip_choice import pattern_named, pattern_of, run_of, stop_named, stop_near
from offline_ledger.errors import (
    JournalDamaged,
    NotAtThisMoment,
    NotSignedOn,
    Refusal,
    RouteUnknown,
    TripNotSet,
    ValidatorLocked,
)
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.protocol.shift_event import (
    ShiftEvent,
    ShiftEventKind,
    check_kind,
    decode_shift_event,
    encode_shift_event,
    shift_event_in,
)
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX
from offline_ledger.rules.civil import day_of, day_start_s
from offline_ledger.rules.clock import TimeNow
from tests.bus_validator.crewed import typed_run
from tests.protocol.test_route_file import TOWN

DAY = day_of(20261121)
NOW_S = day_start_s(DAY) + 5 * 3600 + 20 * 60  # 05:20 in Bangkok
MOMENT = Moment(TimeNow(NOW_S, ClockTrust.SYNCED, 0), 40, 90)
RUN = run_of(TOWN, 7, 0, Departure(DAY, 330), NOW_S, 0)

STATES: dict[TripPhase, ShiftState] = {
    TripPhase.SIGNED_OFF: ShiftState(shift=3),
    TripPhase.SIGNED_ON: ShiftState(TripPhase.SIGNED_ON, "D-01", 3),
    TripPhase.RUNNING: ShiftState(TripPhase.RUNNING, "D-01", 3, run=RUN),
    TripPhase.LOCKED: ShiftState(TripPhase.LOCKED, "D-01", 3),
    TripPhase.LOCKED_RUNNING: ShiftState(TripPhase.LOCKED_RUNNING, "D-01", 3, run=RUN),
}
EVENTS: dict[str, Callable[[ShiftState], Changed]] = {
    "same driver": lambda state: sign_on(state, "D-01", MOMENT),
    "other driver": lambda state: sign_on(state, "D-02", MOMENT),
    "start": lambda state: start_trip(state, RUN, MOMENT),
    "end": lambda state: end_trip(state, MOMENT),
    "off": lambda state: sign_off(state, MOMENT),
    "lock": lambda state: lock(state, MOMENT),
    "stop": lambda state: move_stop(state, 2, "S2"),
}
OFF, ON, RUNS, LOCKED, LOCKED_RUNS = TripPhase
TABLE: dict[tuple[TripPhase, str], TripPhase | type[Refusal]] = {
    (OFF, "same driver"): ON,
    (OFF, "other driver"): ON,
    (OFF, "start"): NotSignedOn,
    (OFF, "end"): NotSignedOn,
    (OFF, "off"): NotSignedOn,
    (OFF, "lock"): NotSignedOn,
    (OFF, "stop"): NotSignedOn,
    (ON, "same driver"): NotAtThisMoment,
    (ON, "other driver"): ON,
    (ON, "start"): RUNS,
    (ON, "end"): NotAtThisMoment,
    (ON, "off"): OFF,
    (ON, "lock"): LOCKED,
    (ON, "stop"): NotAtThisMoment,
    (RUNS, "same driver"): NotAtThisMoment,
    (RUNS, "other driver"): RUNS,
    (RUNS, "start"): NotAtThisMoment,
    (RUNS, "end"): ON,
    (RUNS, "off"): NotAtThisMoment,
    (RUNS, "lock"): LOCKED_RUNS,
    (RUNS, "stop"): RUNS,
    (LOCKED, "same driver"): ON,
    (LOCKED, "other driver"): ON,
    (LOCKED, "start"): ValidatorLocked,
    (LOCKED, "end"): ValidatorLocked,
    (LOCKED, "off"): ValidatorLocked,
    (LOCKED, "lock"): ValidatorLocked,
    (LOCKED, "stop"): ValidatorLocked,
    (LOCKED_RUNS, "same driver"): RUNS,
    (LOCKED_RUNS, "other driver"): RUNS,
    (LOCKED_RUNS, "start"): ValidatorLocked,
    (LOCKED_RUNS, "end"): ValidatorLocked,
    (LOCKED_RUNS, "off"): ValidatorLocked,
    (LOCKED_RUNS, "lock"): ValidatorLocked,
    (LOCKED_RUNS, "stop"): ValidatorLocked,
}


def test_the_table_has_every_state_and_event() -> None:
    assert set(TABLE) == set(product(TripPhase, EVENTS)) and set(STATES) == set(TripPhase)


@pytest.mark.parametrize(("place", "expected"), TABLE.items(), ids=lambda one: str(one))
def test_each_state_and_event(place: tuple[TripPhase, str], expected: TripPhase | type[Refusal]) -> None:
    state, event = STATES[place[0]], EVENTS[place[1]]
    if not isinstance(expected, TripPhase):
        with pytest.raises(expected):
            event(state)
        return
    changed = event(state)
    assert changed.state.phase is expected
    assert decode_shift(encode_shift(changed.state)) == changed.state, "it comes back after a power cut"
    if place[1] == "stop":
        assert changed.event is None and changed.effects == (Effect.KEEP, Effect.DOOR)
    else:
        assert changed.effects[:3] == (Effect.KEEP, Effect.JOURNAL, Effect.DOOR) and changed.event is not None
        assert decode_shift_event(encode_shift_event(changed.event)) == changed.event
        assert changed.event.after == MOMENT.sequence


@pytest.mark.parametrize("phase", TripPhase)
def test_boarding_is_open_in_one_state_alone(phase: TripPhase) -> None:
    found = why_closed(STATES[phase])
    closed: dict[TripPhase, type[Refusal] | None] = {
        OFF: NotSignedOn, ON: TripNotSet, RUNS: None, LOCKED: ValidatorLocked, LOCKED_RUNS: ValidatorLocked
    }  # fmt: skip
    assert (type(found) if found else None) is closed[phase]


def test_no_state_is_a_trap() -> None:
    """From each state the driver comes to an end of the shift, and another driver can take over."""
    for state in STATES.values():
        if state.phase in (LOCKED, LOCKED_RUNS, OFF):
            state = sign_on(state, "D-02", MOMENT).state
        if state.run is not None:
            state = end_trip(state, MOMENT).state
        assert sign_off(state, MOMENT).state.phase is OFF


def test_a_day_of_two_drivers() -> None:
    signed = sign_on(ShiftState(), "D-01", MOMENT)
    assert signed.event is not None and signed.event.what == ShiftEventKind.SIGNED_ON and signed.event.driver == "D-01"
    started = start_trip(signed.state, RUN, MOMENT)
    run = started.state.run
    assert run is not None and (run.first_sequence, run.first_event, run.started_at_s) == (41, 91, NOW_S)
    assert started.event is not None and (started.event.trip, started.event.routes_counter) == (RUN.trip, 7)
    taken = sign_on(started.state, "D-02", MOMENT)
    assert taken.event is not None and check_kind(taken.event) is ShiftEventKind.DRIVER_CHANGED
    assert (taken.state.driver, taken.state.shift, taken.state.run) == ("D-02", 2, run)
    ended = end_trip(taken.state, MOMENT)
    assert ended.effects[-1] is Effect.WAYBILL and ended.state.run is None and ended.state.last_run == run
    assert ended.event is not None and ended.event.trip == RUN.trip
    left = sign_off(ended.state, MOMENT)
    assert left.event is not None and left.event.driver == "D-02" and left.state.driver == ""
    assert left.state.last_run == run, "its waybill can still be shown"


def test_the_same_stop_again_writes_nothing() -> None:
    moved = move_stop(STATES[RUNS], 1, "S1").state
    assert move_stop(moved, 1, "S1") == Changed(moved, None, ())
    assert move_stop(moved, 0, "S0").effects, "also back, by hand"


# --- kept bytes


@pytest.mark.parametrize("driver", ["D-01", "D" * ID_CHARACTERS_MAX])
def test_the_longest_state_fits(driver: str) -> None:
    long = "x" * ID_CHARACTERS_MAX
    run = Run(long, 1, long, 399, 149, "ป" * ID_CHARACTERS_MAX, NOW_S, 1 << 48, 1 << 48, 1 << 32)
    state = ShiftState(TripPhase.RUNNING, driver, 1 << 48, 1 << 48, run, run)
    assert len(encode_shift(state)) < SHIFT_BYTES_MAX and decode_shift(encode_shift(state)) == state
    typed = ShiftState(TripPhase.RUNNING, driver, 1, 0, typed_run("8", "morning", None))
    assert decode_shift(encode_shift(typed)) == typed


def test_nothing_kept_is_the_beginning() -> None:
    assert decode_shift(None) == ShiftState()


KEPT = cbor.decode(encode_shift(STATES[RUNS]), SHIFT_BYTES_MAX)
assert isinstance(KEPT, list)


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        cbor.encode([]),
        cbor.encode({1: 2}),
        encode_shift(STATES[RUNS])[:-1],
        cbor.encode([9, *KEPT[1:]]),
        cbor.encode([0, *KEPT[1:]]),
        cbor.encode([1, *KEPT[1:]]),
        cbor.encode([2, "", *KEPT[2:]]),
        cbor.encode([*KEPT[:4], [], []]),
        cbor.encode([*KEPT[:4], [1, 2], []]),
        cbor.encode([*KEPT[:4], KEPT[4], [["x"]]]),
        bytes(SHIFT_BYTES_MAX + 1),
    ],
)
def test_what_is_no_state_is_damage(kept: bytes) -> None:
    with pytest.raises(JournalDamaged):
        decode_shift(kept)


def test_event_bodies_are_judged() -> None:
    event = ShiftEvent(1, NOW_S, 2, 1, "D-01", 0, "", 0, "", "", 0)
    assert shift_event_in(encode_shift_event(event)) == event and shift_event_in(b"\x80") is None
    for change in ({"driver": ""}, {"trust": 3}, {"direction": 2}, {"route": "x" * 33}, {"what": 16}):
        with pytest.raises(Refusal):
            encode_shift_event(event._replace(**change))  # type: ignore[arg-type]
    with pytest.raises(Refusal):
        check_kind(event._replace(what=15))


# --- trip ids, departures, choices


def test_a_departure_has_an_id_that_is_known_beforehand() -> None:
    assert RUN.trip == trip_id(0, DAY, 330) == "0.20261121.0530"
    assert trip_id(1, DAY, 25 * 60 + 10) == "1.20261121.2510"
    assert (RUN.route, RUN.stop, RUN.stop_at, RUN.pattern) == ("8", "S0", 0, 0)


def test_trips_outside_the_timetable_differ_even_under_one_clock() -> None:
    state = STATES[ON]
    trips: list[str] = []
    for _ in range(3):
        started = start_trip(state, run_of(TOWN, 7, 2, None, NOW_S, state.trips), MOMENT).state
        assert started.run is not None
        trips.append(started.run.trip)
        state = end_trip(started, MOMENT).state
    assert trips == ["1.20261121.x1", "1.20261121.x2", "1.20261121.x3"]
    assert len(unscheduled_id(1, NOW_S, 1 << 48)) <= ID_CHARACTERS_MAX


@pytest.mark.parametrize(
    ("clock_minute", "nearest"),
    [(5 * 60 + 20, (0, 330)), (5 * 60 + 14, (0, 300)), (5 * 60 + 15, (0, 300)), (0, (-1, 1_430)), (20, (0, 45))],
)
def test_the_nearest_departure_comes_first(clock_minute: int, nearest: tuple[int, int]) -> None:
    found = departures_near((45, 300, 330, 1_430), day_start_s(DAY) + clock_minute * 60)
    assert (found[0].day - DAY, found[0].minute) == nearest and len(found) == 8
    assert departures_near((), NOW_S) == ()


def test_a_run_after_midnight_belongs_to_the_day_before() -> None:
    found = departures_near((25 * 60 + 10,), day_start_s(DAY) + 70 * 60)[0]
    assert found == Departure(DAY - 1, 25 * 60 + 10) and found.clock == "01:10"


def test_choices_by_the_route_file() -> None:
    assert pattern_named(TOWN, "8", 1) == 2 and pattern_named(TOWN, "10", 0) == 3
    assert stop_named(TOWN, TOWN.patterns[0], "S3") == 3
    assert [stop_near(TOWN.patterns[0], at, step) for at, step in ((0, -1), (0, 1), (3, 1), (1, 2))] == [0, 1, 3, 3]
    for wrong in (
        lambda: pattern_named(TOWN, "10", 1),
        lambda: pattern_named(TOWN, "9", 0),
        lambda: stop_named(TOWN, TOWN.patterns[1], "S3"),
        lambda: run_of(TOWN, 7, 4, None, NOW_S, 0),
        lambda: run_of(TOWN, 7, -1, None, NOW_S, 0),
        lambda: run_of(TOWN, 7, 0, Departure(DAY, 331), NOW_S, 0),
    ):
        with pytest.raises(RouteUnknown):
            wrong()


def test_a_kept_run_finds_its_pattern_under_a_newer_file_too() -> None:
    assert pattern_of(TOWN, 7, RUN) == TOWN.patterns[0]
    short = RUN._replace(pattern=1)
    assert pattern_of(TOWN, 7, short) == TOWN.patterns[1] and pattern_of(TOWN, 8, short) == TOWN.patterns[0]
    assert pattern_of(TOWN, 8, RUN._replace(route="gone")) is None
    assert pattern_of(TOWN, 7, typed_run("8", "morning", "S1")) is None
