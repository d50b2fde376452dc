"""What time is it, and how sure are we. Pure: readings are arguments, states are values. DESIGN §5 "Clock".

A Pi has no clock of its own. Wall time is `base_ms` plus what the monotonic counter has run since `base_mono_ms`; how
far it may be off grows with a known rate, and the error decides the trust. Evidence comes as `apply_…` calls; each
gives the next state and the events to journal. Never reads a clock, never believes a wallet's time.
"""

from enum import IntEnum
from typing import NamedTuple

from offline_ledger.errors import FloorCountUsedUp
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.limits import Limits

YEAR_2020_S = 1_577_836_800
"""An RTC that lost its battery starts in 1970 or 2000; nothing of this system is older than 2020."""


TimeTrust = ClockTrust
"""Trust in a time is the number that vouchers carry; higher is better, so 0 (an absent sync) is the weakest."""


class TimeSource(IntEnum):
    """Who said the time; also its number in a journaled clock event."""

    CITY = 0
    NTP = 1
    GPS = 2
    RTC = 3
    ISSUED_AT = 4


class ClockEventKind(IntEnum):
    """What happened to the clock; numbers are journaled."""

    STEPPED = 1
    """The estimate moved by more than skew; both times are kept, and the cashier is warned."""
    FLOOR_STEPPED_BACK = 2
    """The city's answer to our nonce is below the floor; the floor follows it."""
    SOURCE_IGNORED = 3
    """NTP, GPS or RTC said something impossible (1970, before the floor, far ahead); it was not used."""
    BEHIND_SIGNED_TIME = 4
    """A signed *issued at* is ahead of our clock: the clock was wrong and is now only a floor."""
    TRUST_CHANGED = 5


class ClockEvent(NamedTuple):
    """For the journal: `before_s` is what we believed, `said_s` what the source said, `after_s` what we believe now."""

    kind: ClockEventKind
    source: TimeSource
    before_s: int
    said_s: int
    after_s: int


class ClockState(NamedTuple):
    """All that the clock knows.

    `floor_s`, `floor_one_way_count`, `synced_at_s` and `synced_error_ms` outlive a restart (`durable`); the rest is of
    this boot. `base_trust` is the best trust that `base_source` can give; the growing error lowers it.
    """

    floor_s: int
    base_ms: int
    base_mono_ms: int
    error_ms: int
    base_source: TimeSource
    base_trust: ClockTrust
    synced_at_s: int
    synced_error_ms: int
    floor_one_way_count: int


class TimeNow(NamedTuple):
    """One reading: the estimate, how far it is trusted, and how far it may be off (meaningless under `floor`)."""

    at_s: int
    trust: ClockTrust
    error_ms: int


Applied = tuple[ClockState, tuple[ClockEvent, ...]]


def clock_at_boot(
    floor_s: int, mono_ms: int, *, synced_at_s: int = 0, synced_error_ms: int = 0, floor_one_way_count: int = 0
) -> ClockState:
    """State of a terminal that has just started: nothing but the floor is known. 0 = never synced."""
    return ClockState(
        floor_s=floor_s,
        base_ms=floor_s * 1000,
        base_mono_ms=mono_ms,
        error_ms=0,
        base_source=TimeSource.ISSUED_AT,
        base_trust=ClockTrust.FLOOR,
        synced_at_s=synced_at_s,
        synced_error_ms=synced_error_ms,
        floor_one_way_count=floor_one_way_count,
    )


def durable(state: ClockState) -> dict[int, int]:
    """What must be on disk before it matters: CBOR-able, for the journal's meta store."""
    return {1: state.floor_s, 2: state.synced_at_s, 3: state.synced_error_ms, 4: state.floor_one_way_count}


def clock_from_durable(stored: dict[int, int], mono_ms: int) -> ClockState:
    """The state after a restart, from what `durable` gave."""
    return clock_at_boot(
        stored[1], mono_ms, synced_at_s=stored[2], synced_error_ms=stored[3], floor_one_way_count=stored[4]
    )


def now(state: ClockState, mono_ms: int, limits: Limits) -> TimeNow:
    """The estimate at a monotonic reading of the same boot. Under `floor` it is a proven "not before"."""
    elapsed_ms = max(0, mono_ms - state.base_mono_ms)
    estimate_ms = state.base_ms + elapsed_ms
    error_ms = state.error_ms + elapsed_ms * limits.oscillator_error_ppm // 1_000_000
    if state.base_trust is ClockTrust.FLOOR or error_ms > limits.holdover_error_ms_max:
        return TimeNow(max(state.floor_s, (estimate_ms - error_ms) // 1000), ClockTrust.FLOOR, error_ms)
    if state.base_trust is ClockTrust.HOLDOVER or error_ms > limits.synced_error_ms_max:
        return TimeNow(estimate_ms // 1000, ClockTrust.HOLDOVER, error_ms)
    return TimeNow(estimate_ms // 1000, ClockTrust.SYNCED, error_ms)


def age_s(at: TimeNow, issued_at_s: int) -> int:
    """Age of something signed; never negative, for a list signed a moment ahead of our clock is simply new."""
    return max(0, at.at_s - issued_at_s)


def _settle(
    state: ClockState,
    after: ClockState,
    mono_ms: int,
    limits: Limits,
    source: TimeSource,
    said_s: int,
    *events: ClockEventKind,
) -> Applied:
    """Name what changed between two states at one instant; leaving `floor` gives the one-way count back."""
    was, is_now = now(state, mono_ms, limits), now(after, mono_ms, limits)
    kinds = list(events)
    if was.trust > ClockTrust.FLOOR and abs(is_now.at_s - was.at_s) > limits.skew_s:
        kinds.append(ClockEventKind.STEPPED)
    if was.trust != is_now.trust:
        kinds.append(ClockEventKind.TRUST_CHANGED)
    if is_now.trust > ClockTrust.FLOOR and after.floor_one_way_count:
        after = after._replace(floor_one_way_count=0)
    return after, tuple(ClockEvent(kind, source, was.at_s, said_s, is_now.at_s) for kind in kinds)


def _ignore(state: ClockState, mono_ms: int, limits: Limits, source: TimeSource, said_s: int) -> Applied:
    at_s = now(state, mono_ms, limits).at_s
    return state, (ClockEvent(ClockEventKind.SOURCE_IGNORED, source, at_s, said_s, at_s),)


def apply_issued_at(state: ClockState, issued_at_s: int, mono_ms: int, limits: Limits) -> Applied:
    """A verified ack, bulletin or time answer was signed at this time, so it is now at least that late.

    Give *issued at* only, never *valid from*: a tariff is signed before it begins.
    """
    at = now(state, mono_ms, limits)
    after = state._replace(floor_s=max(state.floor_s, issued_at_s))
    events: tuple[ClockEventKind, ...] = ()
    if at.trust > ClockTrust.FLOOR:
        if issued_at_s - at.at_s <= limits.skew_s:
            return after, ()
        events = (ClockEventKind.BEHIND_SIGNED_TIME,)
    lowest_ms = max(at.at_s, issued_at_s) * 1000
    after = after._replace(
        base_ms=lowest_ms,
        base_mono_ms=mono_ms,
        error_ms=0,
        base_source=TimeSource.ISSUED_AT,
        base_trust=ClockTrust.FLOOR,
    )
    return _settle(state, after, mono_ms, limits, TimeSource.ISSUED_AT, issued_at_s, *events)


def apply_journal_time(state: ClockState, at_s: int, trust: ClockTrust, mono_ms: int, limits: Limits) -> Applied:
    """A time that this terminal journaled earlier; it proves something only if the clock was synced then."""
    if trust is not ClockTrust.SYNCED:
        return state, ()
    return apply_issued_at(state, at_s, mono_ms, limits)


def apply_time_answer(
    state: ClockState, said_s: int, sent_mono_ms: int, received_mono_ms: int, limits: Limits
) -> Applied:
    """The city's signed time answering our own fresh nonce (checked by the caller): the only thing that may step back.

    A slow answer is no clock, but still proves "not before".
    """
    trip_ms = received_mono_ms - sent_mono_ms
    if trip_ms < 0:
        raise ValueError("an answer arrives after its question")
    if trip_ms > limits.time_round_trip_ms_max:
        return apply_issued_at(state, said_s, received_mono_ms, limits)
    # the city names whole seconds, so half of one is unknown beside half of the trip
    half_ms = trip_ms // 2 + 500
    events: tuple[ClockEventKind, ...] = ()
    floor_s = max(state.floor_s, said_s)
    if said_s + limits.skew_s < state.floor_s:
        floor_s, events = said_s, (ClockEventKind.FLOOR_STEPPED_BACK,)
    after = state._replace(floor_s=floor_s)
    after = _synced(after, TimeSource.CITY, said_s * 1000 + half_ms, half_ms, received_mono_ms)
    return _settle(state, after, received_mono_ms, limits, TimeSource.CITY, said_s, *events)


def _synced(state: ClockState, source: TimeSource, at_ms: int, error_ms: int, mono_ms: int) -> ClockState:
    return state._replace(
        base_ms=at_ms,
        base_mono_ms=mono_ms,
        error_ms=error_ms,
        base_source=source,
        base_trust=ClockTrust.SYNCED,
        synced_at_s=at_ms // 1000,
        synced_error_ms=error_ms,
    )


def _is_possible(state: ClockState, said_s: int, limits: Limits) -> bool:
    return said_s >= YEAR_2020_S and said_s + limits.skew_s >= state.floor_s


def apply_ntp(state: ClockState, said_ms: int, error_ms: int, mono_ms: int, limits: Limits) -> Applied:
    """Network time, unsigned: corrects the estimate either way, but never goes below the floor."""
    said_s = said_ms // 1000
    if not _is_possible(state, said_s, limits) or not 0 <= error_ms <= limits.synced_error_ms_max:
        return _ignore(state, mono_ms, limits, TimeSource.NTP, said_s)
    after = _synced(state, TimeSource.NTP, max(said_ms, state.floor_s * 1000), error_ms, mono_ms)
    return _settle(state, after, mono_ms, limits, TimeSource.NTP, said_s)


def apply_gps(state: ClockState, said_ms: int, error_ms: int, mono_ms: int, limits: Limits) -> Applied:
    """Satellite time, unsigned and easily spoofed: it counts as synced within the holdover error of our estimate.

    Alone (from `floor`) it gives `holdover` only, so it never raises the floor; a week rollover falls below the floor.
    """
    said_s = said_ms // 1000
    if not _is_possible(state, said_s, limits) or not 0 <= error_ms <= limits.synced_error_ms_max:
        return _ignore(state, mono_ms, limits, TimeSource.GPS, said_s)
    at = now(state, mono_ms, limits)
    at_ms = max(said_ms, state.floor_s * 1000)
    if at.trust is ClockTrust.FLOOR or state.base_source is TimeSource.GPS:
        after = state._replace(
            base_ms=at_ms,
            base_mono_ms=mono_ms,
            error_ms=error_ms,
            base_source=TimeSource.GPS,
            base_trust=ClockTrust.HOLDOVER,
        )
        return _settle(state, after, mono_ms, limits, TimeSource.GPS, said_s)
    estimate_ms = state.base_ms + max(0, mono_ms - state.base_mono_ms)
    if abs(said_ms - estimate_ms) > at.error_ms + error_ms:
        return _ignore(state, mono_ms, limits, TimeSource.GPS, said_s)
    # two independent clocks agree: what was the RTC's or drifting is known again
    after = _synced(state, state.base_source, at_ms, error_ms, mono_ms)
    return _settle(state, after, mono_ms, limits, TimeSource.GPS, said_s)


def apply_rtc(state: ClockState, rtc_s: int, mono_ms: int, limits: Limits) -> Applied:
    """The battery clock, read at boot. It is believed from the last sync on, while its drift stays below skew.

    1970, a time before the floor, one too long after the last sync (or far ahead), or one that nothing ever set
    is ignored: the trust stays `floor`. Once anything better is known, the RTC has nothing to add.
    """
    if now(state, mono_ms, limits).trust > ClockTrust.FLOOR:
        return state, ()
    # never synced is a last sync in 1970: its drift is out of all bounds
    drift_ms = max(0, rtc_s - state.synced_at_s) * limits.rtc_error_ppm // 1000
    error_ms = state.synced_error_ms + limits.rtc_reading_error_ms + drift_ms
    if not _is_possible(state, rtc_s, limits) or error_ms > limits.holdover_error_ms_max:
        return _ignore(state, mono_ms, limits, TimeSource.RTC, rtc_s)
    after = state._replace(
        base_ms=max(rtc_s, state.floor_s) * 1000,
        base_mono_ms=mono_ms,
        error_ms=error_ms,
        base_source=TimeSource.RTC,
        base_trust=ClockTrust.HOLDOVER,
    )
    return _settle(state, after, mono_ms, limits, TimeSource.RTC, rtc_s)


def count_floor_one_way(state: ClockState, mono_ms: int, limits: Limits) -> ClockState:
    """One one-way code more was accepted under `floor`; unchanged when the clock is better. Make it durable with it.

    Raises FloorCountUsedUp at N.
    """
    if now(state, mono_ms, limits).trust > ClockTrust.FLOOR:
        return state
    check_floor_count(state.floor_one_way_count, limits)
    return state._replace(floor_one_way_count=state.floor_one_way_count + 1)


def check_floor_count(floor_one_way_count: int, limits: Limits) -> None:
    """May one more one-way code be taken under `floor`? Raises FloorCountUsedUp at N."""
    if floor_one_way_count >= limits.floor_one_way_count_max:
        raise FloorCountUsedUp(f"{floor_one_way_count} of {limits.floor_one_way_count_max}")
