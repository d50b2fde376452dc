"""Limits: the defaults fit together, and each inconsistency is named, all at once."""

import pytest

from offline_ledger.money import KGO
from offline_ledger.rules.limits import (
    DAY_S,
    HOUR_S,
    Limits,
    StalenessStep,
    check_limits,
    loss_bound_kgo,
    relay_bound_kgo,
)

LIMITS = Limits()


def test_defaults_are_consistent() -> None:
    assert check_limits(LIMITS) == ()
    assert (LIMITS.freshness_s, LIMITS.skew_s, LIMITS.window_s) == (30, 5, 40)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"reserve_grace_s": 72 * HOUR_S - 1}, "reserve_grace_s"),
        ({"offline_s_max": DAY_S + 1}, "offline_s_max"),
        ({"repair_s": 49 * HOUR_S}, "repair_s"),
        ({"one_way_transit_kgo_max": 251 * KGO}, "one_way_transit_kgo_max"),
        ({"one_way_shop_kgo_max": 251 * KGO}, "one_way_shop_kgo_max"),
        ({"one_way_transit_kgo_max": 99 * KGO}, "one_way_transit_kgo_max"),
        ({"reserve_kgo": 500 * KGO - 1}, "reserve_kgo"),
        ({"reserve_kgo": 1500 * KGO + 1}, "reserved_account_kgo_max"),
        ({"offline_value_kgo_max": 250 * KGO - 1}, "offline_value_kgo_max"),
        ({"allowance_life_s": DAY_S - 1}, "allowance_life_s_min"),
        ({"allowance_life_s": 3 * DAY_S + 1}, "allowance_life_s_max"),
        ({"unratified_s": 599}, "unratified_s"),
        ({"intent_life_s": 29}, "intent_life_s"),
        ({"request_life_s": 601}, "request_life_s"),
        ({"request_life_s": 29}, "request_life_s"),
        ({"skew_s": 4}, "skew_s"),
        ({"skew_s": 30}, "skew_s"),
        ({"skew_s": -1}, "skew_s"),
        ({"freshness_s": 0}, "freshness_s"),
        ({"synced_error_ms_max": 5001}, "synced_error_ms_max"),
        ({"rtc_error_ppm": 47}, "rtc_error_ppm"),
        ({"deny_age_steps": ()}, "deny_age_steps"),
        ({"deny_age_steps": (StalenessStep(10, 500), StalenessStep(10, 500))}, "deny_age_steps"),
        ({"deny_age_steps": (StalenessStep(10, 500), StalenessStep(20, 501))}, "deny_age_steps"),
        ({"deny_age_steps": (StalenessStep(10, 1001),)}, "deny_age_steps"),
        ({"deny_age_steps": (StalenessStep(0, 1000),)}, "deny_age_steps"),
        ({"one_way_transit_kgo_min": 0, "deny_age_steps": (StalenessStep(10, 0),)}, "deny_age_steps"),
        ({"deny_age_steps": (StalenessStep(10, 499),)}, "one_way_transit_kgo_max"),
        ({"sync_age_steps": (StalenessStep(DAY_S - 1, 500),)}, "sync_age_steps"),
    ],
)
def test_each_inconsistency_is_named(changed: dict[str, int], named: str) -> None:
    problems = check_limits(LIMITS._replace(**changed))
    assert named in {name for problem in problems for name in problem.names}
    assert all(problem.problem and problem.remedy for problem in problems)


@pytest.mark.parametrize(
    "changed",
    [
        {"reserve_grace_s": 72 * HOUR_S},
        {"one_way_transit_kgo_max": 250 * KGO},
        {"offline_value_kgo_max": 250 * KGO},
        {"reserve_kgo": 1500 * KGO},
        {"allowance_life_s": DAY_S},
        {"allowance_life_s": 3 * DAY_S},
        {"request_life_s": 600},
        {"request_life_s": 30},
        {"rtc_error_ppm": 46},
        {"rtc_error_ppm": 20, "rtc_reading_error_ms": 3_272},  # with 1,728 ms of drift exactly the holdover error
        {"deny_age_steps": (StalenessStep(10, 500),)},
        {"floor_one_way_count_max": 0},
    ],
)
def test_the_edges_themselves_are_allowed(changed: dict[str, int]) -> None:
    assert check_limits(LIMITS._replace(**changed)) == ()


def test_three_mistakes_are_reported_together() -> None:
    problems = check_limits(LIMITS._replace(freshness_s=0, reserve_grace_s=1, sync_age_steps=()))
    names = {name for problem in problems for name in problem.names}
    assert {"freshness_s", "reserve_grace_s", "sync_age_steps"} <= names


def test_every_value_is_positive_or_may_be_zero() -> None:
    for name, value in LIMITS._asdict().items():
        if isinstance(value, int):
            problems = check_limits(LIMITS._replace(**{name: -1}))
            assert any(problem.names == (name,) for problem in problems), name


@pytest.mark.parametrize(
    ("groups", "deposit", "loss"),
    [(0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 250), (3, 250, 0), (3, 251, 0), (10, 0, 2000)],
)
def test_loss_bound(groups: int, deposit: int, loss: int) -> None:
    assert loss_bound_kgo(LIMITS, groups, deposit * KGO) == loss * KGO


def test_loss_bound_counts_no_more_than_r_per_group() -> None:
    assert loss_bound_kgo(LIMITS._replace(allowance_terminal_kgo_max=900 * KGO), 2) == 500 * KGO


@pytest.mark.parametrize(("groups", "loss"), [(0, 0), (1, 0), (2, 100), (5, 400)])
def test_relay_bound(groups: int, loss: int) -> None:
    assert relay_bound_kgo(LIMITS, groups) == loss * KGO


def test_bounds_take_no_negative_counts() -> None:
    with pytest.raises(ValueError, match="zero or more"):
        loss_bound_kgo(LIMITS, -1)
    with pytest.raises(ValueError, match="zero or more"):
        relay_bound_kgo(LIMITS, -1)
