""" "Another passenger": good for one green within its time; every edge of it."""

import pytest

from bus_validator.companion import ARMED_MS, Companion

START_MS = 70_000


def test_nobody_pressed_it() -> None:
    companion = Companion()
    assert not companion.is_armed(START_MS) and not companion.look(START_MS)


@pytest.mark.parametrize(("later_ms", "is_armed"), [(0, True), (ARMED_MS - 1, True), (ARMED_MS, False), (10**9, False)])
def test_it_counts_for_its_time_and_the_look_says_once_that_it_is_over(later_ms: int, is_armed: bool) -> None:
    companion = Companion()
    companion.arm(START_MS)
    assert companion.is_armed(START_MS + later_ms) is is_armed
    assert companion.look(START_MS + later_ms) is not is_armed
    assert not companion.look(START_MS + later_ms), "told once"
    assert companion.is_armed(START_MS + later_ms) is is_armed, "a look takes nothing away"


def test_used_it_is_gone_and_nothing_is_told() -> None:
    companion = Companion()
    companion.arm(START_MS)
    companion.used()
    assert not companion.is_armed(START_MS + 1) and not companion.look(START_MS + ARMED_MS)


def test_pressed_again_its_time_begins_anew() -> None:
    companion = Companion()
    companion.arm(START_MS)
    companion.arm(START_MS + ARMED_MS - 1)
    assert not companion.look(START_MS + ARMED_MS)
    assert companion.is_armed(START_MS + 2 * ARMED_MS - 2)
    assert not companion.is_armed(START_MS + 2 * ARMED_MS - 1)


def test_pressed_after_its_time_was_told_it_counts_again() -> None:
    companion = Companion()
    companion.arm(START_MS)
    assert companion.look(START_MS + ARMED_MS)
    companion.arm(START_MS + ARMED_MS)
    assert companion.is_armed(START_MS + ARMED_MS)
    companion.used()
    companion.used()
    assert not companion.is_armed(START_MS + ARMED_MS)
