"""What time is it, and how sure are we. Pure: readings are arguments, states are values. DESIGN §5 "Clock".

A Pi has no clock of its own. Wall time is `base_ms` plus what the monotonic counter has run since `base_mono_ms`; how
far it may be off grows with a known rate, and the error decides the trust. Evidence comes as `apply_…` calls; each gives
the next state and the events to journal. Never reads a clock, never believes a wallet's time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from offline_ledger.errors import FloorCountUsedUp
from offline_ledger.rules.limits import Limits

RTC_YEAR_2020_S = 1_577_836_800
"""An RTC that lost its battery starts in 1970 or 2000; nothing of this system is older than 2020."""


class TimeTrust(IntEnum):
    """Trust in a time, also its number on the wire; higher is better, so 0 (an absent sync) is the weakest."""

    FLOOR = 0
    HOLDOVER = 1
    SYNCED = 2


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


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """For the journal: `before_s` is what we believed, `said_s` what the source said, `after_s` what we believe now."""

    kind: ClockEventKind
    source: TimeSource
    before_s: int
    said_s: int
    after_s: int


@dataclass(frozen=True, slots=True)
class ClockState:
    """All that the clock knows.

    `floor_s`, `floor_one_way_count`, `synced_at_s` and `synced_error_ms` outlive a restart (`durable`); the rest is of
    this boot. `is_wall_known` is False while nothing better than the floor was heard since boot.
    """

    floor_s: int
    base_ms: int
    base_mono_ms: int
    error_ms: int
    is_wall_known: bool
    is_from_rtc: bool
    synced_at_s: int
    synced_error_ms: int
    floor_one_way_count: int


@dataclass(frozen=True, slots=True)
class TimeNow:
    """One reading: the estimate, how far it is trusted, and how far it may be off (meaningless under `floor`)."""

    at_s: int
    trust: TimeTrust
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
        is_wall_known=False,
        is_from_rtc=False,
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
    at_s = (state.base_ms + elapsed_ms) // 1000
    if not state.is_wall_known:
        return TimeNow(at_s, TimeTrust.FLOOR, 0)
    error_ms = state.error_ms + elapsed_ms * limits.oscillator_error_ppm // 1_000_000
    if error_ms > limits.holdover_error_ms_max:
        return TimeNow(max(at_s, state.floor_s), TimeTrust.FLOOR, error_ms)
    if state.is_from_rtc or error_ms > limits.synced_error_ms_max:
        return TimeNow(at_s, TimeTrust.HOLDOVER, error_ms)
    return TimeNow(at_s, TimeTrust.SYNCED, error_ms)
