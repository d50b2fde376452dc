"""The clocks of the box: the chip runs and agrees with the city's signed time, and so does the system. DESIGN §5.

Without the city the chip is held against the system's clock, and both against the certificate's beginning, before which
it cannot be. Sets no clock.
"""

import time
from collections.abc import Callable

from offline_ledger.errors import ClockChipStopped, ClockChipWrong, SystemClockWrong
from offline_ledger.terminal.drivers.clocks import RtcChip, network_time
from offline_ledger.terminal.ports import Clock
from offline_ledger.terminal.selftest.plan import Step
from offline_ledger.terminal.selftest.runner import Check, Facts, Part
from offline_ledger.terminal.selftest.turn import Turn

CHIP_OFF_S_MAX = 20
"""A code is good for 30 s; a chip that is further off than this refuses honest ones after a power cut."""
SYSTEM_OFF_S_MAX = 20
PACE_S = 2.2
"""Longer than two of its seconds, so that it must have counted two or three."""


class ClockPart:
    """One terminal's clocks."""

    def __init__(self, chip_path: str, clock: Clock, city_now_s: Callable[[], int | None], not_before_s: int) -> None:
        """`not_before_s`: a time that has certainly passed; 0 where none is known."""
        self._chip, self._clock = RtcChip(chip_path), clock
        self._city_now_s, self._not_before_s = city_now_s, not_before_s

    def part(self) -> Part:
        """Its checks."""
        checks = (
            Check(Step("clock", "chip_runs"), self._runs),
            Check(Step("clock", "chip_time", needs=("clock.chip_runs",)), self._chip_time),
            Check(Step("clock", "system"), self._system),
        )
        return Part("clock", checks)

    def _runs(self, turn: Turn) -> Facts:
        """Raises ClockSourceLost, ClockChipStopped."""
        begun_s = time.monotonic()
        before_s = self._chip.read_s()
        turn.rest(PACE_S)
        counted_s = self._chip.read_s() - before_s
        passed_s = time.monotonic() - begun_s
        if not passed_s - 1.5 <= counted_s <= passed_s + 1.5 or counted_s <= 0:
            raise ClockChipStopped(f"{counted_s} s on the chip in {round(passed_s * 1_000)} ms")
        return {"counted_s": counted_s}

    def _chip_time(self, _turn: Turn) -> Facts:
        said_s, system_s, city_s = self._chip.read_s(), self._clock.wall_s(), self._city_now_s()
        if said_s < self._not_before_s:
            raise ClockChipWrong(f"{said_s}, and it is certainly after {self._not_before_s}")
        right_s = system_s if city_s is None else city_s
        if abs(said_s - right_s) > CHIP_OFF_S_MAX:
            raise ClockChipWrong(f"{said_s - right_s} s off {'the system clock' if city_s is None else 'the city'}")
        return {"chip_s": said_s, "off_s": said_s - right_s, "held_against": "system" if city_s is None else "city"}

    def _system(self, _turn: Turn) -> Facts:
        system_s, city_s = self._clock.wall_s(), self._city_now_s()
        network = network_time()
        facts: dict[str, object] = {"system_s": system_s, "is_disciplined": network is not None}
        if system_s < self._not_before_s:
            raise SystemClockWrong(f"{system_s}, and it is certainly after {self._not_before_s}")
        if city_s is None:
            return facts
        if abs(system_s - city_s) > SYSTEM_OFF_S_MAX:
            raise SystemClockWrong(f"{system_s - city_s} s off the city")
        return facts | {"off_s": system_s - city_s}
