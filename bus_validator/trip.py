"""Driver and trip as one state: a table of state × event, and what must be journaled and kept. Pure. DESIGN §2, §5.

A trip runs from its first stop until the driver ends it; drivers may change on the way, and a driver who leaves locks.
The state is kept in the journal and comes back after a power cut as it was: nobody signs on again for a pulled plug.
Never asks who somebody is (`crew`), never looks at satellites (`stops`), never counts money (`waybill`).
"""

from datetime import date
from enum import IntEnum
from typing import NamedTuple, cast

from offline_ledger.errors import JournalDamaged, NotAtThisMoment, NotSignedOn, Refusal, TripNotSet, ValidatorLocked
from offline_ledger.protocol import cbor
from offline_ledger.protocol.fields import row, text, time_s, uint
from offline_ledger.protocol.shift_event import COUNT_MAX, ShiftEvent, ShiftEventKind
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX
from offline_ledger.rules.civil import EPOCH_ORDINAL, civil_day, day_start_s
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import MINUTE_S

SHIFT_META = "bus.shift"
"""Its name among the journal's small values."""
SHIFT_BYTES_MAX = 1_024
DAY_MINUTES = 24 * 60
DEPARTURES_SHOWN = 8
"""The nearest ones; a driver who is further off than that takes "now"."""
UNSCHEDULED = "x"
STOPS_MAX = 1 << 16


class TripPhase(IntEnum):
    """Where the driver's day stands; numbers are kept in the journal."""

    SIGNED_OFF = 0
    SIGNED_ON = 1
    RUNNING = 2
    LOCKED = 3
    """Without a trip."""
    LOCKED_RUNNING = 4


class Run(NamedTuple):
    """One run of a trip by this vehicle. `trip`: its id in vouchers. `pattern`: place among the route file's patterns,
    None without a route file. `stop_at`: place in the pattern; `stop`: its id, empty when unknown. `first_sequence`,
    `first_event`: the first numbers that can belong to it."""

    route: str
    direction: int
    trip: str
    pattern: int | None
    stop_at: int
    stop: str
    started_at_s: int
    first_sequence: int
    first_event: int
    routes_counter: int


class ShiftState(NamedTuple):
    """All of it. `driver`: signed on now, empty for nobody. `shift` counts turns, `trips` the trips without a
    timetable; neither ever goes back. `last_run`: the trip that ended last, so that its waybill can be shown again."""

    phase: TripPhase = TripPhase.SIGNED_OFF
    driver: str = ""
    shift: int = 0
    trips: int = 0
    run: Run | None = None
    last_run: Run | None = None


class Effect(IntEnum):
    """What the shell does after a change, in this order."""

    KEEP = 1
    """Put `encode_shift` under SHIFT_META; durable before anything is shown."""
    JOURNAL = 2
    """Append `event` as EventKind.SHIFT, durable; best in the same transaction as KEEP."""
    DOOR = 3
    """Another trip, stop or none: build the door anew, or close it."""
    WAYBILL = 4
    """Show the waybill of `last_run`."""


class Moment(NamedTuple):
    """When and where in the journal something happens: `sequence` and `event` are the last ones there."""

    at: TimeNow
    sequence: int
    event: int


class Changed(NamedTuple):
    """What follows from one event. `event`: for the journal, None when there is nothing to journal."""

    state: ShiftState
    event: ShiftEvent | None
    effects: tuple[Effect, ...]


_NEXT: dict[tuple[TripPhase, ShiftEventKind], TripPhase] = {
    (TripPhase.SIGNED_OFF, ShiftEventKind.SIGNED_ON): TripPhase.SIGNED_ON,
    (TripPhase.SIGNED_ON, ShiftEventKind.TRIP_STARTED): TripPhase.RUNNING,
    (TripPhase.SIGNED_ON, ShiftEventKind.DRIVER_CHANGED): TripPhase.SIGNED_ON,
    (TripPhase.SIGNED_ON, ShiftEventKind.LOCKED): TripPhase.LOCKED,
    (TripPhase.SIGNED_ON, ShiftEventKind.SIGNED_OFF): TripPhase.SIGNED_OFF,
    (TripPhase.RUNNING, ShiftEventKind.TRIP_ENDED): TripPhase.SIGNED_ON,
    (TripPhase.RUNNING, ShiftEventKind.DRIVER_CHANGED): TripPhase.RUNNING,
    (TripPhase.RUNNING, ShiftEventKind.LOCKED): TripPhase.LOCKED_RUNNING,
    (TripPhase.LOCKED, ShiftEventKind.UNLOCKED): TripPhase.SIGNED_ON,
    (TripPhase.LOCKED, ShiftEventKind.DRIVER_CHANGED): TripPhase.SIGNED_ON,
    (TripPhase.LOCKED_RUNNING, ShiftEventKind.UNLOCKED): TripPhase.RUNNING,
    (TripPhase.LOCKED_RUNNING, ShiftEventKind.DRIVER_CHANGED): TripPhase.RUNNING,
}
_EFFECTS: dict[ShiftEventKind, tuple[Effect, ...]] = {
    ShiftEventKind.SIGNED_ON: (Effect.KEEP, Effect.JOURNAL, Effect.DOOR),
    ShiftEventKind.SIGNED_OFF: (Effect.KEEP, Effect.JOURNAL, Effect.DOOR),
    ShiftEventKind.DRIVER_CHANGED: (Effect.KEEP, Effect.JOURNAL, Effect.DOOR),
    ShiftEventKind.TRIP_STARTED: (Effect.KEEP, Effect.JOURNAL, Effect.DOOR),
    ShiftEventKind.TRIP_ENDED: (Effect.KEEP, Effect.JOURNAL, Effect.DOOR, Effect.WAYBILL),
    ShiftEventKind.LOCKED: (Effect.KEEP, Effect.JOURNAL, Effect.DOOR),
    ShiftEventKind.UNLOCKED: (Effect.KEEP, Effect.JOURNAL, Effect.DOOR),
}
_LOCKED = (TripPhase.LOCKED, TripPhase.LOCKED_RUNNING)


# --- changes


def sign_on(state: ShiftState, driver: str, moment: Moment) -> Changed:
    """This driver has shown a PIN or card: signs on, unlocks, or takes over from another. Raises NotAtThisMoment when
    the same driver is signed on already."""
    if state.phase is TripPhase.SIGNED_OFF:
        what = ShiftEventKind.SIGNED_ON
    elif state.driver != driver:
        what = ShiftEventKind.DRIVER_CHANGED
    elif state.phase in _LOCKED:
        return _changed(state, ShiftEventKind.UNLOCKED, state, moment)
    else:
        raise NotAtThisMoment("this driver is signed on already")
    return _changed(state, what, state._replace(driver=driver, shift=state.shift + 1), moment)


def start_trip(state: ShiftState, run: Run, moment: Moment) -> Changed:
    """A trip begins; `run` is from `trip_choice`. Raises NotSignedOn, ValidatorLocked, NotAtThisMoment."""
    run = run._replace(started_at_s=moment.at.at_s, first_sequence=moment.sequence + 1, first_event=moment.event + 1)
    unscheduled = int(f".{UNSCHEDULED}" in run.trip)
    return _changed(
        state, ShiftEventKind.TRIP_STARTED, state._replace(run=run, trips=state.trips + unscheduled), moment
    )


def end_trip(state: ShiftState, moment: Moment) -> Changed:
    """The trip is over. Raises NotSignedOn, ValidatorLocked, NotAtThisMoment."""
    return _changed(state, ShiftEventKind.TRIP_ENDED, state._replace(run=None, last_run=state.run), moment)


def sign_off(state: ShiftState, moment: Moment) -> Changed:
    """The driver leaves; a running trip is ended first. Raises NotSignedOn, ValidatorLocked, NotAtThisMoment."""
    return _changed(state, ShiftEventKind.SIGNED_OFF, state._replace(driver=""), moment)


def lock(state: ShiftState, moment: Moment) -> Changed:
    """The driver leaves for a while. Raises NotSignedOn, ValidatorLocked."""
    return _changed(state, ShiftEventKind.LOCKED, state, moment)


def move_stop(state: ShiftState, stop_at: int, stop: str) -> Changed:
    """The bus is at another stop of its trip. Kept, not journaled: each voucher carries its stop. Raises NotSignedOn,
    ValidatorLocked, NotAtThisMoment."""
    _check_open(state)
    if state.run is None:
        raise NotAtThisMoment("no trip runs")
    if (state.run.stop_at, state.run.stop) == (stop_at, stop):
        return Changed(state, None, ())
    moved = state._replace(run=state.run._replace(stop_at=stop_at, stop=stop))
    return Changed(moved, None, (Effect.KEEP, Effect.DOOR))


def _changed(state: ShiftState, what: ShiftEventKind, after: ShiftState, moment: Moment) -> Changed:
    """By the table; what is not in it does not happen."""
    phase = _NEXT.get((state.phase, what))
    if phase is None:
        _check_open(state)
        raise NotAtThisMoment(f"{what.name.lower()} while {state.phase.name.lower()}")
    after = after._replace(phase=phase)
    run = after.run or state.run
    event = ShiftEvent(
        what=int(what),
        at_s=moment.at.at_s,
        trust=int(moment.at.trust),
        shift=after.shift,
        driver=after.driver or state.driver,
        after=moment.sequence,
        route="" if run is None else run.route,
        direction=0 if run is None else run.direction,
        trip="" if run is None else run.trip,
        stop="" if run is None else run.stop,
        routes_counter=0 if run is None else run.routes_counter,
    )
    return Changed(after, event, _EFFECTS[what])


def _check_open(state: ShiftState) -> None:
    if state.phase is TripPhase.SIGNED_OFF:
        raise NotSignedOn()
    if state.phase in _LOCKED:
        raise ValidatorLocked()


def why_closed(state: ShiftState) -> Refusal | None:
    """Why nobody may board now; None: boarding is open."""
    if state.phase is TripPhase.SIGNED_OFF:
        return NotSignedOn()
    if state.phase in _LOCKED:
        return ValidatorLocked()
    return TripNotSet() if state.run is None else None


# --- trips and their ids


def trip_id(direction: int, day: int, minute: int) -> str:
    """The id of a departure in the timetable: direction, day (number since 1970, Bangkok) and time, `0.20261121.0730`.
    Whoever knows the timetable knows it beforehand, so a coupon can be pinned to it."""
    return f"{direction}.{_date(day)}.{minute // 60:02d}{minute % 60:02d}"


def unscheduled_id(direction: int, at_s: int, trips: int) -> str:
    """The id of a trip that no timetable has: the device's own count makes it another one, whatever its clock says."""
    return f"{direction}.{_date(civil_day(at_s))}.{UNSCHEDULED}{trips + 1}"


def _date(day: int) -> str:
    return date.fromordinal(day + EPOCH_ORDINAL).strftime("%Y%m%d")


class Departure(NamedTuple):
    """One departure on one service day (day number); `minute` may be beyond midnight."""

    day: int
    minute: int

    @property
    def at_s(self) -> int:
        """When it leaves, Unix time."""
        return day_start_s(self.day) + self.minute * MINUTE_S

    @property
    def clock(self) -> str:
        """As a driver reads it: `07:30`."""
        return f"{self.minute // 60 % 24:02d}:{self.minute % 60:02d}"


def departures_near(starts: tuple[int, ...], at_s: int, shown_max: int = DEPARTURES_SHOWN) -> tuple[Departure, ...]:
    """The departures nearest to now, nearest first; yesterday's late runs are among them after midnight."""
    today = civil_day(at_s)
    every = [Departure(day, minute) for day in (today - 1, today, today + 1) for minute in starts]
    return tuple(sorted(every, key=lambda one: (abs(one.at_s - at_s), one.at_s))[:shown_max])


# --- kept in the journal

_RUN = row(
    text(ID_CHARACTERS_MAX),
    uint(1),
    text(ID_CHARACTERS_MAX),
    uint(STOPS_MAX, -1),
    uint(STOPS_MAX),
    text(ID_CHARACTERS_MAX, 0),
    time_s(),
    uint(COUNT_MAX),
    uint(COUNT_MAX),
    uint(1 << 32),
)
_STATE = row(uint(max(TripPhase)), text(ID_CHARACTERS_MAX, 0), uint(COUNT_MAX), uint(COUNT_MAX))


def encode_shift(state: ShiftState) -> bytes:
    """For the journal's small values: [phase, driver, shift, trips, run or [], last run or []]."""
    return cbor.encode([int(state.phase), *state[1:4], _run_list(state.run), _run_list(state.last_run)])


def decode_shift(kept: bytes | None) -> ShiftState:
    """What `encode_shift` gave; the beginning, for nothing. Raises JournalDamaged."""
    if kept is None:
        return ShiftState()
    try:
        found = cbor.decode(kept, SHIFT_BYTES_MAX)
        if not isinstance(found, list) or len(members := cast(list[object], found)) != 6:
            raise JournalDamaged("the kept shift is none")
        phase, driver, shift, trips = cast(tuple[int, str, int, int], _STATE(members[:4]))
        state = ShiftState(TripPhase(phase), driver, shift, trips, _run_in(members[4]), _run_in(members[5]))
    except JournalDamaged:
        raise
    except Refusal as refusal:
        raise JournalDamaged("the kept shift is none") from refusal
    is_running = state.phase in (TripPhase.RUNNING, TripPhase.LOCKED_RUNNING)
    if is_running is not (state.run is not None) or (state.phase is TripPhase.SIGNED_OFF) is not (not state.driver):
        raise JournalDamaged("the kept shift contradicts itself")
    return state


def _run_list(run: Run | None) -> list[object]:
    return [] if run is None else [*run[:3], -1 if run.pattern is None else run.pattern, *run[4:]]


def _run_in(value: object) -> Run | None:
    if value == []:
        return None
    found = Run(*cast(tuple[str, int, str, int, int, str, int, int, int, int], _RUN(value)))
    return found._replace(pattern=None) if found.pattern == -1 else found
