"""Civil days in Bangkok: both sides of midnight, dates that are none, Buddhist years on paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.rules.civil import Explanation, civil_day, day_of, day_start_s, format_buddhist, is_within

MIDNIGHT_S = 1_654_707_600
"""2022-06-08T17:00:00Z, the first second of 9 June 2022 in Bangkok."""


def test_midnight_is_seven_hours_before_utc() -> None:
    assert civil_day(MIDNIGHT_S) == day_of(20220609)
    assert civil_day(MIDNIGHT_S - 1) == day_of(20220608)
    assert day_start_s(day_of(20220609)) == MIDNIGHT_S


@pytest.mark.parametrize("wrong", [25650609, 20220631, 20220229, 20221301, 20220600, 19991231, 22000101, 0, -20220609])
def test_dates_that_are_none(wrong: int) -> None:
    with pytest.raises(ValueError, match=r"year|day|month"):
        day_of(wrong)


@pytest.mark.parametrize(
    ("yyyymmdd", "paper"),
    [
        (20220609, "09/06/2565"),
        (20220831, "31/08/2565"),
        (20240229, "29/02/2567"),
        (20000101, "01/01/2543"),
        (21991231, "31/12/2742"),
    ],
)
def test_buddhist_years_are_only_shown(yyyymmdd: int, paper: str) -> None:
    assert format_buddhist(day_of(yyyymmdd)) == paper


@given(st.integers(0, 10**10))
def test_every_second_belongs_to_one_day(at_s: int) -> None:
    day = civil_day(at_s)
    assert day_start_s(day) <= at_s < day_start_s(day + 1)


@pytest.mark.parametrize(("day", "expected"), [(4, False), (5, True), (9, True), (10, False)])
def test_windows_include_both_ends(day: int, expected: bool) -> None:
    assert is_within(day, 5, 9) is expected
    assert is_within(day, None, None)


def test_an_explanation_picks_its_language() -> None:
    explanation = Explanation("fare.flat", (("name", ("รถเมล์", "Bus")), ("kgo", "50.00")))
    assert explanation.in_language("th") == {"name": "รถเมล์", "kgo": "50.00"}
    assert explanation.in_language("en") == {"name": "Bus", "kgo": "50.00"}
    with pytest.raises(KeyError):
        explanation.in_language("de")
