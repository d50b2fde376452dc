"""A real validator whose disk syncs take their time: the light waits for the sync, nothing else does. DESIGN §10."""

import sys
import time
from pathlib import Path

import pytest

from tests.processes.lone_bus import LoneBus, lone_bus, rider

TAPS = 3


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
