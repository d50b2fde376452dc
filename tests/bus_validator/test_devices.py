"""Satellites as a device of the running program: where the bus is, and what time it is, soon after the power comes."""

from pathlib import Path
from typing import cast

import pytest

from bus_validator.devices import CLOCK_MS, GpsSource
from bus_validator.drivers.nmea import SETTLED_FIXES
from bus_validator.stops import Position
from offline_ledger.terminal.program import MachineClock, Opened
from offline_ledger.terminal.running import Running
from offline_ledger.terminal.uplink import HttpsUplink
from simulators.clock import FakeClock
from simulators.demo.processes import wait_until
from simulators.gps import START_UTC_S, SimulatedGps, path_of
from tests.bus_validator.crewed import open_station, provision
from tests.bus_validator.driven_desk import Said


class Counter(FakeClock):
    """It goes on a little whenever it is read, so that a poll ends."""

    def mono_ms(self) -> int:
        self.advance(ms=1)
        return super().mono_ms()


def test_the_clock_hears_satellites_within_a_minute_of_power_and_then_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bus computer whose clock chip is dead counts from 0 when it gets power; it shall not wait another minute."""
    provision(tmp_path)
    clock, said, heard = Counter(START_UTC_S), Said(), list[Position]()
    values: dict[str, object] = {"gps.port": "gps", "gps.baud": 9_600}
    with SimulatedGps(tmp_path / "gps", path_of("8", 0)) as gps, open_station(tmp_path, clock) as station:
        opened = Opened(station, cast(HttpsUplink, None), cast(MachineClock, clock), values, tmp_path / "bus.toml")
        source = GpsSource(opened, cast(Running, said), heard.append)
        source.load()
        told_ms: list[int] = []
        monkeypatch.setattr(station.keeper, "heard_gps", lambda _said, _error, mono_ms: told_ms.append(mono_ms))
        source.poll(0.01)  # finds its port

        def second() -> None:
            """One more, until its position is heard."""
            before = len(heard)
            clock.advance(s=1)
            gps.tick(1)

            def is_heard() -> bool:
                source.poll(0.01)
                while said.jobs:
                    said.jobs.popleft()()
                return len(heard) > before

            wait_until(is_heard, "a position", step_s=0.001)

        for _ in range(SETTLED_FIXES + 2):
            second()
        assert len(told_ms) == 1 and told_ms[0] < CLOCK_MS
        for _ in range(CLOCK_MS // 1_000):
            second()
        assert len(told_ms) == 2 and told_ms[1] - told_ms[0] >= CLOCK_MS
        source.close()
