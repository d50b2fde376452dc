"""A light goes back to wait inside two seconds; both sides of the edge."""

from offline_ledger.terminal.light_time import STANDS_MS, LightTime
from offline_ledger.terminal.scan_loop import TICK_S

START_MS = 70_000


def test_back_to_wait_once_and_inside_two_seconds() -> None:
    light = LightTime()
    assert not light.take_over(START_MS)  # nothing was shown yet
    light.shown(START_MS)
    assert not light.take_over(START_MS + STANDS_MS - 1)
    assert light.take_over(START_MS + STANDS_MS)
    assert not light.take_over(START_MS + STANDS_MS + 1)
    assert STANDS_MS + 1000 * TICK_S < 2_000


def test_the_next_code_begins_anew() -> None:
    light = LightTime()
    light.shown(START_MS)
    light.shown(START_MS + STANDS_MS - 1)
    assert not light.take_over(START_MS + STANDS_MS)
    assert light.take_over(START_MS + 2 * STANDS_MS - 1)
