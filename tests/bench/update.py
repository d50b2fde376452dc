"""`update_switch`: from the end of the running program to the readiness of the new one, a real bus in two slots.

Its service is the test's, with the pause between runs that the unit says (`RestartSec`); launcher, program, journal and
state are real. The new version runs its self-test afterwards, with customers at the door; that is not in the figure.
"""

from collections.abc import Iterator
from pathlib import Path

from offline_ledger.terminal.updates.start import GOOD, STAGED, State
from simulators.demo.processes import wait_until
from tests.bench.measure import Row, row_of
from tests.processes.slotted_bus import SlottedBus, slotted_bus
from tests.terminal.updates.slot_desk import ROOT

SWITCHES = 9


def rows(folder: Path) -> Iterator[Row]:
    """The goal is two seconds."""
    folder.mkdir()
    with slotted_bus(folder.resolve()) as bus:
        bus.fill("b", "0.2.0", ROOT)
        bus.stage()
        bus.start()
        bus.service.tell("end-trip")
        yield row_of("update_switch", "ms", [1_000 * switch_s(bus) for _ in range(SWITCHES)])


def switch_s(bus: SlottedBus) -> float:
    """One switch; afterwards the version has proved itself, and the other one is ready to be switched to."""
    mark, ended = bus.service.mark(), len(bus.service.lives)
    wait_until(lambda: bus.ask("update", "switch").get("update") == "switch", "the switch", step_s=0.05)
    bus.service.wait_ready(mark)
    life = bus.service.lives[ended]
    wait_until(lambda: bus.service.ready_s > life.ended_s, "word of it")
    took_s = bus.service.ready_s - life.ended_s
    bus.wait_mark(bus.active(), GOOD)
    bus.slots.disk.changed(_stage_other)
    return took_s


def _stage_other(state: State) -> State:
    return state.put(state.other, state.slot(state.other)._replace(mark=STAGED))
