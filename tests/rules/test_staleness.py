"""Caps that shrink: both sides of each age, under each trust; every cap at, and one unit over, its edge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import (
    CapLoweredByAge,
    MustReconnect,
    OneWayCapExceeded,
    Refusal,
    ReserveExceeded,
    TerminalCapExceeded,
    TerminalValueUsedUp,
)
from offline_ledger.money import KGO
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.limits import HOUR_S, Limits
from offline_ledger.rules.staleness import (
    Caps,
    caps_for,
    check_one_way,
    check_reserve,
    check_terminal,
    full_caps,
)

LIMITS = Limits()
SYNCED, HOLDOVER, FLOOR = ClockTrust.SYNCED, ClockTrust.HOLDOVER, ClockTrust.FLOOR
H = HOUR_S


def per_mille(trust: ClockTrust, deny_age_s: int | None, sync_age_s: int | None) -> int | None:
    """The share left at these ages, None when the terminal must reconnect."""
    try:
        return caps_for(LIMITS, trust, deny_age_s, sync_age_s).caps_per_mille
    except MustReconnect:
        return None


@pytest.mark.parametrize("trust", [SYNCED, HOLDOVER])
@pytest.mark.parametrize(
    ("deny_age_s", "sync_age_s", "expected"),
    [
        (0, 0, 1000),
        (12 * H, 0, 1000),
        (12 * H + 1, 0, 750),
        (24 * H, 0, 750),
        (24 * H + 1, 0, 500),
        (48 * H, 0, 500),
        (48 * H + 1, 0, None),
        (0, 8 * H, 1000),
        (0, 8 * H + 1, 750),
        (0, 16 * H, 750),
        (0, 16 * H + 1, 500),
        (0, 24 * H, 500),
        (0, 24 * H + 1, None),
        (13 * H, 17 * H, 500),
        (25 * H, 1 * H, 500),
        (None, 0, None),
        (0, None, None),
    ],
)
def test_steps(trust: ClockTrust, deny_age_s: int | None, sync_age_s: int | None, expected: int | None) -> None:
    assert per_mille(trust, deny_age_s, sync_age_s) == expected


@pytest.mark.parametrize(
    ("deny_age_s", "sync_age_s", "expected"),
    [(0, 0, 750), (12 * H + 1, 0, 500), (24 * H + 1, 0, None), (0, 8 * H + 1, 500), (0, 16 * H + 1, None)],
)
def test_under_floor_ages_count_one_step_staler(deny_age_s: int, sync_age_s: int, expected: int | None) -> None:
    assert per_mille(FLOOR, deny_age_s, sync_age_s) == expected


def test_values_at_each_step() -> None:
    assert full_caps(LIMITS) == Caps(0, 1000, 100 * KGO, 30 * KGO, 250 * KGO, 20_000 * KGO)
    assert caps_for(LIMITS, SYNCED, 0, 20 * H) == Caps(2, 500, 50 * KGO, 15 * KGO, 125 * KGO, 20_000 * KGO)


def test_one_bus_fare_fits_until_the_last_hour() -> None:
    assert caps_for(LIMITS, SYNCED, 48 * H, 24 * H).one_way_transit_kgo_max >= 50 * KGO


@pytest.mark.parametrize(("hours", "age_s", "stops"), [(6, 6 * H, False), (6, 6 * H + 1, True), (48, 24 * H + 1, True)])
def test_certificate_may_shorten_h_never_lengthen_it(hours: int, age_s: int, stops: bool) -> None:
    if not stops:
        caps_for(LIMITS, SYNCED, 0, age_s, device_hours=hours)
        return
    with pytest.raises(MustReconnect):
        caps_for(LIMITS, SYNCED, 0, age_s, device_hours=hours)


@pytest.mark.parametrize(("device_kgo", "expected"), [(100, 100), (0, 0), (20_001, 20_000)])
def test_certificate_may_lower_f_never_raise_it(device_kgo: int, expected: int) -> None:
    caps = caps_for(LIMITS, SYNCED, 0, 0, device_value_kgo=device_kgo * KGO)
    assert caps.offline_value_kgo_max == expected * KGO


@given(st.integers(0, 60 * H), st.integers(0, 60 * H), st.integers(0, 20 * H), st.sampled_from(list(ClockTrust)))
def test_older_is_never_more_generous(deny_age_s: int, sync_age_s: int, more_s: int, trust: ClockTrust) -> None:
    fresher = per_mille(trust, deny_age_s, sync_age_s)
    for older in (per_mille(trust, deny_age_s + more_s, sync_age_s), per_mille(trust, deny_age_s, sync_age_s + more_s)):
        assert (older or 0) <= (fresher or 0)
    assert (per_mille(FLOOR, deny_age_s, sync_age_s) or 0) <= (fresher or 0)


@pytest.mark.parametrize(("charge", "is_allowed"), [(50, True), (51, False)])
def test_reserve(charge: int, is_allowed: bool) -> None:
    if is_allowed:
        check_reserve(450, charge, 500)
        return
    with pytest.raises(ReserveExceeded):
        check_reserve(450, charge, 500)


@pytest.mark.parametrize(
    ("charge", "allowance_cap", "cap", "full", "expected"),
    [
        (100, 100, 100, 100, None),
        (101, 200, 100, 100, OneWayCapExceeded),
        (81, 80, 100, 100, OneWayCapExceeded),
        (80, 80, 100, 100, None),
        (75, 100, 75, 100, None),
        (76, 100, 75, 100, CapLoweredByAge),
        (101, 100, 75, 100, OneWayCapExceeded),
        (0, 0, 0, 0, None),
    ],
)
def test_one_way(charge: int, allowance_cap: int, cap: int, full: int, expected: type[Refusal] | None) -> None:
    if expected is None:
        check_one_way(charge, allowance_cap, cap, full)
        return
    with pytest.raises(expected):
        check_one_way(charge, allowance_cap, cap, full)


@pytest.mark.parametrize(
    ("charge", "spent_here", "unacked", "expected"),
    [
        (25_000, 0, 0, None),
        (25_001, 0, 0, TerminalCapExceeded),
        (1, 25_000, 0, TerminalCapExceeded),
        (1, 24_999, 0, None),
        (10_000, 0, 1_990_000, None),
        (10_001, 0, 1_990_000, TerminalValueUsedUp),
        (0, 25_000, 2_000_000, None),
    ],
)
def test_terminal_fresh(charge: int, spent_here: int, unacked: int, expected: type[Refusal] | None) -> None:
    if expected is None:
        check_terminal(charge, spent_here, unacked, full_caps(LIMITS), LIMITS)
        return
    with pytest.raises(expected):
        check_terminal(charge, spent_here, unacked, full_caps(LIMITS), LIMITS)


def test_terminal_stale_is_told_apart_from_used_up() -> None:
    stale = caps_for(LIMITS, SYNCED, 0, 20 * H)
    check_terminal(12_500, 0, 0, stale, LIMITS)
    with pytest.raises(CapLoweredByAge):
        check_terminal(12_501, 0, 0, stale, LIMITS)
    with pytest.raises(TerminalCapExceeded):
        check_terminal(25_001, 0, 0, stale, LIMITS)
    check_terminal(0, 20_000, 0, stale, LIMITS)  # a free transfer costs nobody anything


def test_reconnecting_is_told_apart_from_a_bad_code() -> None:
    assert MustReconnect.waiting_helps
    assert MustReconnect.blame.value == "setup"
