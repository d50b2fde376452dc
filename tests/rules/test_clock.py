"""The clock: every source on both sides of each edge; the floor, steps, drift and the one-way count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import FloorCountUsedUp
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import (
    ClockEventKind,
    ClockState,
    TimeNow,
    TimeSource,
    age_s,
    apply_gps,
    apply_issued_at,
    apply_journal_time,
    apply_ntp,
    apply_rtc,
    apply_time_answer,
    check_floor_count,
    clock_at_boot,
    clock_from_durable,
    count_floor_one_way,
    durable,
    now,
)
from offline_ledger.rules.limits import DAY_S, HOUR_S, Limits

LIMITS = Limits()
T = 1_790_000_000
FLOOR, HOLDOVER, SYNCED = ClockTrust.FLOOR, ClockTrust.HOLDOVER, ClockTrust.SYNCED


def synced(at_s: int = T, mono_ms: int = 0) -> ClockState:
    """A clock that the city has just set, in an answer that took no time."""
    return apply_time_answer(clock_at_boot(T - 100, mono_ms), at_s, mono_ms, mono_ms, LIMITS)[0]


def held(at_s: int = T, synced_at_s: int = T - HOUR_S) -> ClockState:
    """A clock that was read from the RTC at boot."""
    state = clock_at_boot(synced_at_s, 0, synced_at_s=synced_at_s, synced_error_ms=0)
    return apply_rtc(state, at_s, 0, LIMITS)[0]


def test_boot_knows_the_floor_only_and_runs_on() -> None:
    state = clock_at_boot(T, 7_000)
    assert now(state, 7_000, LIMITS) == TimeNow(T, FLOOR, 0)
    assert now(state, 7_000 + 59_999, LIMITS).at_s == T + 59
    assert now(state, 0, LIMITS).at_s == T  # a counter that runs back moves nothing


def test_time_under_floor_never_claims_more_than_is_proven() -> None:
    state = clock_at_boot(T, 0)
    day_ms = DAY_S * 1000
    assert now(state, day_ms, LIMITS).at_s == T + DAY_S - 5  # 50 ppm of a day is 4.32 s


@pytest.mark.parametrize(
    ("elapsed_ms", "trust"),
    [
        (0, SYNCED),
        (30_000_000 - 1, SYNCED),  # 500 ms + 50 ppm · 30,000 s = 2,000 ms
        (30_000_000 + 19_999, SYNCED),
        (30_000_000 + 20_000, HOLDOVER),
        (90_000_000 + 19_999, HOLDOVER),
        (90_000_000 + 20_000, FLOOR),
    ],
)
def test_trust_falls_as_the_error_grows(elapsed_ms: int, trust: ClockTrust) -> None:
    assert now(synced(), elapsed_ms, LIMITS).trust is trust


def test_a_drifted_clock_falls_back_to_what_is_certain() -> None:
    reading = now(synced(), 100_000_000, LIMITS)
    assert reading.trust is FLOOR
    assert reading.at_s == T + 100_000 - 5  # estimate T + 100,000.5 less 5.5 s of error


# --- the city's answer


def test_answer_halves_the_trip() -> None:
    state, events = apply_time_answer(clock_at_boot(T - 100, 0), T, 1_000, 4_000, LIMITS)
    assert now(state, 4_000, LIMITS) == TimeNow(T + 2, SYNCED, 2_000)
    assert [event.kind for event in events] == [ClockEventKind.TRUST_CHANGED]
    assert (state.floor_s, state.synced_at_s, state.synced_error_ms) == (T, T + 2, 2_000)


@pytest.mark.parametrize(("trip_ms", "trust"), [(3_000, SYNCED), (3_002, HOLDOVER), (4_000, HOLDOVER), (4_001, FLOOR)])
def test_slow_answers_are_worth_less(trip_ms: int, trust: ClockTrust) -> None:
    state, _ = apply_time_answer(clock_at_boot(T - 100, 0), T, 0, trip_ms, LIMITS)
    assert now(state, trip_ms, LIMITS).trust is trust
    assert state.floor_s == T


def test_answer_before_its_question_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="question"):
        apply_time_answer(clock_at_boot(T, 0), T, 5, 4, LIMITS)


@pytest.mark.parametrize(("said_s", "floor_s", "stepped"), [(T - 5, T, False), (T - 6, T - 6, True)])
def test_only_the_citys_answer_steps_the_floor_back(said_s: int, floor_s: int, stepped: bool) -> None:
    state, events = apply_time_answer(clock_at_boot(T, 0), said_s, 0, 0, LIMITS)
    assert state.floor_s == floor_s
    assert (ClockEventKind.FLOOR_STEPPED_BACK in {event.kind for event in events}) is stepped
    assert now(state, 0, LIMITS).trust is SYNCED


def test_step_of_three_days_keeps_both_times() -> None:
    state, events = apply_time_answer(held(T + 3 * DAY_S, T + 3 * DAY_S - HOUR_S), T, 0, 0, LIMITS)
    stepped = next(event for event in events if event.kind is ClockEventKind.STEPPED)
    assert (stepped.source, stepped.before_s, stepped.said_s, stepped.after_s) == (
        TimeSource.CITY,
        T + 3 * DAY_S,
        T,
        T,
    )
    assert state.floor_s == T


# --- issued at


@pytest.mark.parametrize(("issued_at_s", "floor_s"), [(T - 1, T), (T, T), (T + 1, T + 1)])
def test_issued_at_raises_the_floor_and_never_lowers_it(issued_at_s: int, floor_s: int) -> None:
    state, _ = apply_issued_at(clock_at_boot(T, 0), issued_at_s, 0, LIMITS)
    assert state.floor_s == floor_s
    assert now(state, 0, LIMITS) == TimeNow(max(T, issued_at_s), FLOOR, 0)


@pytest.mark.parametrize("ahead_s", [1, 5, 6, DAY_S])
def test_a_floor_that_rises_was_not_wrong(ahead_s: int) -> None:
    assert apply_issued_at(clock_at_boot(T, 0), T + ahead_s, 0, LIMITS)[1] == ()


@pytest.mark.parametrize(("said_s", "trust"), [(1_577_836_799, FLOOR), (1_577_836_800, SYNCED)])
def test_nothing_of_ours_is_older_than_2020(said_s: int, trust: ClockTrust) -> None:
    state, _ = apply_ntp(clock_at_boot(0, 0), said_s * 1000, 0, 0, LIMITS)
    assert now(state, 0, LIMITS).trust is trust


def test_issued_at_keeps_the_seconds_that_have_run() -> None:
    state, _ = apply_issued_at(clock_at_boot(T, 0), T + 10, 60_000, LIMITS)
    assert now(state, 60_000, LIMITS).at_s == T + 59
    assert state.floor_s == T + 10


@pytest.mark.parametrize(("ahead_s", "trust"), [(5, SYNCED), (6, FLOOR)])
def test_a_clock_behind_signed_time_is_a_floor(ahead_s: int, trust: ClockTrust) -> None:
    state, events = apply_issued_at(synced(), T + ahead_s, 0, LIMITS)
    assert now(state, 0, LIMITS).trust is trust
    kinds = {event.kind for event in events}
    assert (ClockEventKind.BEHIND_SIGNED_TIME in kinds) is (trust is FLOOR)
    assert state.floor_s == T + ahead_s


@pytest.mark.parametrize(("trust", "floor_s"), [(SYNCED, T + 50), (HOLDOVER, T), (FLOOR, T)])
def test_only_synced_journal_times_raise_the_floor(trust: ClockTrust, floor_s: int) -> None:
    assert apply_journal_time(clock_at_boot(T, 0), T + 50, trust, 0, LIMITS)[0].floor_s == floor_s


# --- NTP


@pytest.mark.parametrize(("said_s", "is_taken"), [(T - 6, False), (T - 5, True), (T, True), (T + 10 * DAY_S, True)])
def test_ntp_never_goes_below_the_floor(said_s: int, is_taken: bool) -> None:
    state, events = apply_ntp(clock_at_boot(T, 0), said_s * 1000, 10, 0, LIMITS)
    assert (now(state, 0, LIMITS).trust is SYNCED) is is_taken
    assert (ClockEventKind.SOURCE_IGNORED in {event.kind for event in events}) is not is_taken
    assert state.floor_s == T
    assert now(state, 0, LIMITS).at_s >= T


@pytest.mark.parametrize(("error_ms", "trust"), [(0, SYNCED), (2_000, SYNCED), (2_001, FLOOR), (-1, FLOOR)])
def test_ntp_must_know_its_error(error_ms: int, trust: ClockTrust) -> None:
    assert now(apply_ntp(clock_at_boot(T, 0), T * 1000, error_ms, 0, LIMITS)[0], 0, LIMITS).trust is trust


def test_ntp_corrects_a_wrong_rtc_and_says_so() -> None:
    state, events = apply_ntp(held(T + 900), T * 1000, 10, 0, LIMITS)
    assert now(state, 0, LIMITS).at_s == T
    assert [event.kind for event in events] == [ClockEventKind.STEPPED, ClockEventKind.TRUST_CHANGED]


# --- GPS


def test_gps_alone_gives_holdover_and_stays_so() -> None:
    state, _ = apply_gps(clock_at_boot(T, 0), T * 1000, 100, 0, LIMITS)
    assert now(state, 0, LIMITS).trust is HOLDOVER
    state, _ = apply_gps(state, (T + 1) * 1000, 100, 1_000, LIMITS)
    assert now(state, 1_000, LIMITS).trust is HOLDOVER
    assert (state.floor_s, state.synced_at_s) == (T, 0)


def test_gps_that_agrees_with_the_rtc_makes_it_synced() -> None:
    state, events = apply_gps(held(), T * 1000, 100, 0, LIMITS)
    assert now(state, 0, LIMITS) == TimeNow(T, SYNCED, 100)
    assert [event.kind for event in events] == [ClockEventKind.TRUST_CHANGED]


@pytest.mark.parametrize(("off_ms", "is_taken"), [(600, True), (601, False), (-600, True), (-601, False)])
def test_gps_must_agree_within_both_errors(off_ms: int, is_taken: bool) -> None:
    state, events = apply_gps(synced(), T * 1000 + 500 + off_ms, 100, 0, LIMITS)
    assert (ClockEventKind.SOURCE_IGNORED in {event.kind for event in events}) is not is_taken
    assert (state.error_ms == 100) is is_taken


@pytest.mark.parametrize(("off_ms", "is_taken"), [(700, True), (701, False), (-700, True), (-701, False)])
def test_gps_is_compared_with_the_running_estimate(off_ms: int, is_taken: bool) -> None:
    """2,000 s on, the estimate has run along and its error has grown from 500 to 600 ms."""
    state = apply_time_answer(clock_at_boot(T - 100, 7_000), T, 7_000, 7_000, LIMITS)[0]
    mono_ms = 7_000 + 2_000_000
    state, events = apply_gps(state, (T + 2_000) * 1000 + 500 + off_ms, 100, mono_ms, LIMITS)
    assert (ClockEventKind.SOURCE_IGNORED in {event.kind for event in events}) is not is_taken
    assert (state.base_mono_ms == mono_ms) is is_taken


@pytest.mark.parametrize("said_s", [0, T - 6, T - 1024 * 7 * DAY_S])
def test_gps_before_the_floor_is_ignored(said_s: int) -> None:
    state, events = apply_gps(clock_at_boot(T, 0), said_s * 1000, 100, 0, LIMITS)
    assert now(state, 0, LIMITS).trust is FLOOR
    assert events[0].source is TimeSource.GPS


# --- RTC


@pytest.mark.parametrize(
    ("rtc_s", "trust"),
    [
        (0, FLOOR),  # 1970: the battery is dead
        (946_684_800, FLOOR),  # 2000: another common reset value
        (T - 6, FLOOR),
        (T - 5, HOLDOVER),
        (T, HOLDOVER),
        (T + HOUR_S, HOLDOVER),
        (T + 200_049, HOLDOVER),  # 1,000 ms + 20 ppm · 200,049 s = 5,000 ms
        (T + 200_050, FLOOR),
        (T + 400 * DAY_S, FLOOR),
    ],
)
def test_rtc_is_believed_while_its_drift_stays_below_skew(rtc_s: int, trust: ClockTrust) -> None:
    state, events = apply_rtc(clock_at_boot(T, 0, synced_at_s=T), rtc_s, 0, LIMITS)
    reading = now(state, 0, LIMITS)
    assert reading.trust is trust
    assert reading.at_s >= T
    expected = ClockEventKind.TRUST_CHANGED if trust is HOLDOVER else ClockEventKind.SOURCE_IGNORED
    assert [event.kind for event in events] == [expected]


def test_rtc_that_nothing_ever_set_is_ignored() -> None:
    assert now(apply_rtc(clock_at_boot(T, 0), T + 1, 0, LIMITS)[0], 0, LIMITS).trust is FLOOR


def test_rtc_adds_nothing_to_a_better_clock() -> None:
    state = synced()
    assert apply_rtc(state, T + 99, 0, LIMITS) == (state, ())


# --- the one-way count under floor


def test_count_is_bounded_and_survives_restarts() -> None:
    state = clock_at_boot(T, 0)
    for taken in range(LIMITS.floor_one_way_count_max):
        assert state.floor_one_way_count == taken
        state = clock_from_durable(durable(count_floor_one_way(state, 0, LIMITS)), 0)
    with pytest.raises(FloorCountUsedUp):
        count_floor_one_way(state, 0, LIMITS)


def test_count_is_given_back_by_leaving_floor_only() -> None:
    used = clock_at_boot(T, 0, synced_at_s=T)._replace(floor_one_way_count=20)
    assert apply_issued_at(used, T + 9, 0, LIMITS)[0].floor_one_way_count == 20
    assert apply_rtc(used, 0, 0, LIMITS)[0].floor_one_way_count == 20
    assert apply_rtc(used, T, 0, LIMITS)[0].floor_one_way_count == 0
    assert apply_time_answer(used, T, 0, 0, LIMITS)[0].floor_one_way_count == 0


def test_count_is_not_touched_by_a_good_clock() -> None:
    state = synced()
    assert count_floor_one_way(state, 0, LIMITS) is state


@pytest.mark.parametrize(("count", "is_allowed"), [(19, True), (20, False), (21, False)])
def test_floor_count_edge(count: int, is_allowed: bool) -> None:
    if is_allowed:
        check_floor_count(count, LIMITS)
        return
    with pytest.raises(FloorCountUsedUp):
        check_floor_count(count, LIMITS)


def test_durable_round_trip_keeps_what_must_outlive_power() -> None:
    state = synced()._replace(floor_one_way_count=3)
    back = clock_from_durable(durable(state), 5)
    assert durable(back) == durable(state)
    assert now(back, 5, LIMITS).trust is FLOOR


def test_age_is_never_negative() -> None:
    assert age_s(TimeNow(T, SYNCED, 0), T - 9) == 9
    assert age_s(TimeNow(T, SYNCED, 0), T + 9) == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["issued", "ntp", "gps", "rtc", "journal"]),
        st.integers(-(10**7), 10**7),
        st.integers(0, 10**8),
    ),
    max_size=12,
)


@given(STEPS)
def test_nothing_but_the_city_lowers_floor_or_time_below_it(steps: list[tuple[str, int, int]]) -> None:
    state, mono_ms = clock_at_boot(T, 0, synced_at_s=T), 0
    for source, off_s, wait_ms in steps:
        mono_ms += wait_ms
        said_s = T + off_s
        before = state
        if source == "issued":
            state, _ = apply_issued_at(state, said_s, mono_ms, LIMITS)
        elif source == "ntp":
            state, _ = apply_ntp(state, said_s * 1000, 10, mono_ms, LIMITS)
        elif source == "gps":
            state, _ = apply_gps(state, said_s * 1000, 10, mono_ms, LIMITS)
        elif source == "rtc":
            state, _ = apply_rtc(state, said_s, mono_ms, LIMITS)
        else:
            state, _ = apply_journal_time(state, said_s, SYNCED, mono_ms, LIMITS)
        assert state.floor_s >= before.floor_s
        assert now(state, mono_ms, LIMITS).at_s >= state.floor_s - LIMITS.skew_s
        if source in {"ntp", "gps", "rtc"}:
            assert state.floor_s == before.floor_s


@given(st.integers(0, 4_000), st.integers(0, 10**9), st.integers(0, 4_000))
def test_after_an_answer_the_error_covers_the_truth(trip_ms: int, elapsed_ms: int, out_ms: int) -> None:
    """Whatever way the trip was split, and with the crystal at its worst, the true time lies within the error."""
    out_ms = min(out_ms, trip_ms)
    truth_ms = T * 1000 + 250  # when the city wrote T
    state, _ = apply_time_answer(clock_at_boot(T - 10, 0), T, 0, trip_ms, LIMITS)
    true_now_ms = truth_ms + (trip_ms - out_ms) + elapsed_ms - elapsed_ms * 50 // 1_000_000
    reading = now(state, trip_ms + elapsed_ms, LIMITS)
    if reading.trust > FLOOR:
        assert abs(reading.at_s * 1000 - true_now_ms) <= reading.error_ms + 1_000
    else:
        assert reading.at_s * 1000 <= true_now_ms + 1
