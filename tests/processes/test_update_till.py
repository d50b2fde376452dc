"""A real headless till, asked for an update while a sale is open, and after it. FIELD_LESSONS 37."""

from pathlib import Path

import pytest

from offline_ledger.errors import TerminalBusy
from offline_ledger.terminal.control import ask
from offline_ledger.terminal.updates.start import GOOD, HERE, ROOT_HERE, STAGED, STATE_HERE, Slot, State
from simulators.demo.desk import SHOP
from simulators.demo.processes import wait_until
from simulators.demo.town import Town
from tests.processes.quick_city import QuickCity
from tests.processes.tills import DEVICE, MERCHANT
from tests.terminal.updates.slot_desk import SlotDesk, says


def test_not_while_a_sale_is_open(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    slots = SlotDesk(tmp_path / "machine")
    slots.fill("b", "0.2.0", says("b"))
    slots.put(State("a", Slot(GOOD, "0.1.0"), Slot(STAGED, "0.2.0")))
    for name, value in ((HERE, "a"), (STATE_HERE, slots.state), (ROOT_HERE, slots.root)):
        monkeypatch.setenv(name, str(value))  # as the launcher says it
    with Town(tmp_path / "town", seed, QuickCity) as town:
        town.found()
        till = town.add_desk(SHOP, DEVICE, MERCHANT, has_camera=False)
        town.wait_synced()
        socket = till.folder / "control.sock"
        wait_until(socket.exists, "the till's door")
        till.tell("sale 10.00 1.00", "sale")
        for _ in range(3):
            (said,) = ask(socket, ["update", "switch"])
            assert (said["refusal"], said["detail"]) == (TerminalBusy.number, "a sale is open")
        assert slots.now().active == "a" and till.program.is_running
        till.tell("cancel", "light")
        wait_until(lambda: ask(socket, ["update", "switch"])[0].get("update") == "switch", "the switch")
        wait_until(lambda: not till.program.is_running, "its end")
        assert till.program.exit_code == 0 and slots.now().active == "b"
