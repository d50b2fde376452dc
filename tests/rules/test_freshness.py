"""Freshness: both sides of each second, per trust; the presentment's own validity; windows."""

import pytest

from offline_ledger.errors import CodeFromFuture, CodeTooOld, Refusal, ValidityTooLong
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.freshness import check_fresh, is_within_window
from offline_ledger.rules.limits import Limits

LIMITS = Limits()
T = 1_790_000_000


def verdict(trust: ClockTrust, age_s: int, valid_s: int) -> type[Refusal] | None:
    """What a code of this age meets."""
    try:
        check_fresh(TimeNow(T, trust, 0), T - age_s, valid_s, LIMITS)
    except Refusal as refusal:
        return type(refusal)
    return None


@pytest.mark.parametrize("trust", [ClockTrust.SYNCED, ClockTrust.HOLDOVER])
@pytest.mark.parametrize(
    ("age_s", "valid_s", "expected"),
    [
        (-6, 30, CodeFromFuture),
        (-5, 30, None),
        (0, 30, None),
        (35, 30, None),
        (36, 30, CodeTooOld),
        (15, 10, None),
        (16, 10, CodeTooOld),
        (6, 1, None),
        (7, 1, CodeTooOld),
        (0, 0, ValidityTooLong),
        (0, 31, ValidityTooLong),
        (0, -1, ValidityTooLong),
    ],
)
def test_known_time(trust: ClockTrust, age_s: int, valid_s: int, expected: type[Refusal] | None) -> None:
    assert verdict(trust, age_s, valid_s) is expected


@pytest.mark.parametrize(
    ("age_s", "valid_s", "expected"),
    [
        (36, 30, CodeTooOld),
        (35, 30, None),
        (35, 1, None),  # the floor says nothing finer than 30 s + skew
        (-6, 30, None),
        (-10_000_000, 30, None),
        (0, 31, ValidityTooLong),
    ],
)
def test_under_floor(age_s: int, valid_s: int, expected: type[Refusal] | None) -> None:
    assert verdict(ClockTrust.FLOOR, age_s, valid_s) is expected


def test_every_refusal_of_time_is_its_own() -> None:
    assert len({CodeTooOld.number, CodeFromFuture.number, ValidityTooLong.number}) == 3


@pytest.mark.parametrize(("apart_s", "expected"), [(0, True), (40, True), (41, False), (-40, True), (-41, False)])
def test_window_is_thirty_and_two_skews(apart_s: int, expected: bool) -> None:
    assert is_within_window(T, T + apart_s, LIMITS) is expected
