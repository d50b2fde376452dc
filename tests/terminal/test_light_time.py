"""A light goes back to wait inside two seconds; a bounce of the trigger is no second code. Both sides of each edge."""

import pytest

from offline_ledger.terminal.light_time import BOUNCE_MS, STANDS_MS, LightTime
from offline_ledger.terminal.scan_loop import TICK_S

START_MS = 70_000


def test_back_to_wait_once_and_inside_two_seconds() -> None:
    light = LightTime()
    assert not light.take_over(START_MS)  # nothing was shown yet
    light.shown("a", START_MS)
    assert not light.take_over(START_MS + STANDS_MS - 1)
    assert light.take_over(START_MS + STANDS_MS)
    assert not light.take_over(START_MS + STANDS_MS + 1)
    assert STANDS_MS + 1000 * TICK_S < 2_000


def test_the_next_code_begins_anew() -> None:
    light = LightTime()
    light.shown("a", START_MS)
    light.shown("b", START_MS + STANDS_MS - 1)
    assert not light.take_over(START_MS + STANDS_MS)
    assert light.take_over(START_MS + 2 * STANDS_MS - 1)


@pytest.mark.parametrize(
    ("text", "later_ms", "is_bounce"),
    [("a", 0, True), ("a", BOUNCE_MS - 1, True), ("a", BOUNCE_MS, False), ("b", 0, False), ("", 0, False)],
)
def test_a_bounce_is_the_same_text_in_the_same_moment(text: str, later_ms: int, is_bounce: bool) -> None:
    light = LightTime()
    assert not light.is_bounce("a", START_MS)
    light.shown("a", START_MS)
    assert light.is_bounce(text, START_MS + later_ms) is is_bounce
