"""A real validator whose disk syncs take their time: the light waits for the sync, nothing else does. DESIGN §10."""

import sys
import time
from pathlib import Path

import pytest

from tests.processes.lone_bus import LoneBus, lone_bus, rider

TAPS = 3
REPEATS = 4
SLOW_MS, SLOWER_MS = 500, 1_000


def start_on_slow_disk(bus: LoneBus, sync_ms: int) -> None:
    """The same program, its disk slowed down from outside."""
    slow = (sys.executable, "-m", "simulators.slow_disk", "--sync-ms", str(sync_ms))
    bus.start((*slow, "-m", "bus_validator", "--settings", str(bus.settings)))


@pytest.mark.parametrize("sync_ms", [20, 100, 500])
def test_the_light_of_a_charge_comes_after_its_sync(tmp_path: Path, sync_ms: int) -> None:
    with lone_bus(tmp_path) as bus:
        start_on_slow_disk(bus, sync_ms)
        for number in range(TAPS):
            held = rider(0x510 + number)
            began_s = time.monotonic()
            said = bus.tap(held)
            assert said["light"] == "accepted_cash_due" and said["sequence"] == number + 1
            assert time.monotonic() - began_s >= sync_ms / 1000, "an early green"
        bus.program.kill()
        vouchers, _events = bus.journal()
    assert [row.sequence for row in vouchers] == [1, 2, 3]


def test_a_late_light_is_announced_and_never_overtaken(tmp_path: Path) -> None:
    """A sync of half a second: the screen says that it works, then the light, and nothing after it."""
    with lone_bus(tmp_path) as bus:
        start_on_slow_disk(bus, SLOW_MS)
        mark = 0
        for number in range(TAPS):
            mark = bus.program.mark()
            assert bus.tap(rider(0x530 + number))["light"] == "accepted_cash_due"
            said = [one for one in bus.program.said_since(mark) if "light" in one or "working" in one]
            kinds = ["working" if "working" in one else one["light"] for one in said]
            assert kinds in (["working", "accepted_cash_due"], ["wait", "working", "accepted_cash_due"]), kinds
        bus.program.wait_for(lambda one: one.get("light") == "wait", bus.program.mark(), "the light to go out")
        after = [one for one in bus.program.said_since(mark) if "working" in one]
        assert len(after) == 1, "said again though no code waits"


def test_a_repeat_waits_for_one_sync_at_most(tmp_path: Path) -> None:
    """The record of the last green may be on its way to the disk just then: the repeat waits for that one sync, and the
    screen says so meanwhile."""
    with lone_bus(tmp_path) as bus:
        start_on_slow_disk(bus, SLOWER_MS)
        waited_s: list[float] = []
        for number in range(REPEATS):
            held = rider(0x540 + number)
            bus.tap(held)
            until_s = time.monotonic() + number * 0.15  # at another moment of the housekeeping each time
            while time.monotonic() < until_s:
                pass
            mark, began_s = bus.program.mark(), time.monotonic()
            assert bus.tap(held)["light"] == "already_accepted"
            waited_s.append(time.monotonic() - began_s)
            said = bus.program.said_since(mark)
            assert waited_s[-1] < 0.5 or any("working" in one for one in said), (waited_s, said)
    assert max(waited_s) < 1.8 * SLOWER_MS / 1000, waited_s


def test_what_writes_nothing_waits_for_no_disk(tmp_path: Path) -> None:
    """A disk of half a second per sync freezes neither refusals nor repeats nor questions."""
    with lone_bus(tmp_path) as bus:
        start_on_slow_disk(bus, 500)
        held = rider(0x520)
        bus.tap(held)
        fast_s: list[float] = []
        for _ in range(5):
            began_s = time.monotonic()
            assert bus.tap(held)["light"] == "already_accepted"
            assert bus.scan("https://example.org")["light"] in ("refused", "try_again")
            bus.status()
            fast_s.append(time.monotonic() - began_s)
        assert min(fast_s) < 0.5, fast_s
