"""Real tills, with a page and without, asked for an update while a sale is open, and after it. FIELD_LESSONS 37."""

from pathlib import Path

import pytest

from offline_ledger.errors import TerminalBusy
from offline_ledger.terminal.control import ask
from offline_ledger.terminal.updates.start import GOOD, HERE, ROOT_HERE, STAGED, STATE_HERE, Slot, State
from simulators.demo.desk import SHOP, DeskSettings
from simulators.demo.processes import wait_until
from simulators.demo.town import CITY, Town
from simulators.shop_desk.till import PIN_TEST_ONLY, Shop, TillDesk
from tests.processes.quick_city import QuickCity
from tests.processes.tills import DEVICE, MERCHANT
from tests.terminal.updates.slot_desk import SlotDesk, says

GOODS = Path("pos_app/sample_goods.csv")
AT_THE_SCREEN = "somebody works at the screen"


def in_slot_a(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SlotDesk:
    """What is started from here on hears that it is slot a, as the launcher says it; a new version waits in b."""
    slots = SlotDesk(folder)
    slots.fill("b", "0.2.0", says("b"))
    slots.put(State("a", Slot(GOOD, "0.1.0"), Slot(STAGED, "0.2.0")))
    for name, value in ((HERE, "a"), (STATE_HERE, slots.state), (ROOT_HERE, slots.root)):
        monkeypatch.setenv(name, str(value))
    return slots


def wait_refused(socket: Path, why: str) -> None:
    """For this; what passes by itself, as a press on its way, may be named before. Never is it allowed."""

    def is_named() -> bool:
        (said,) = ask(socket, ["update", "switch"])
        assert said.get("refusal") == TerminalBusy.number, said
        return said["detail"] == why

    wait_until(is_named, why)


def test_not_while_a_sale_is_open(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    slots = in_slot_a(tmp_path / "machine", monkeypatch)
    with Town(tmp_path / "town", seed, QuickCity) as town:
        town.found()
        till = town.add_desk(SHOP, DEVICE, MERCHANT, has_camera=False)
        town.wait_synced()
        socket = till.folder / "control.sock"
        wait_until(socket.exists, "the till's door")
        till.tell("sale 10.00 1.00", "sale")
        for _ in range(3):
            wait_refused(socket, "a sale is open")
        assert slots.now().active == "a" and till.program.is_running
        till.tell("cancel", "light")
        wait_until(lambda: ask(socket, ["update", "switch"])[0].get("update") == "switch", "the switch")
        wait_until(lambda: not till.program.is_running, "its end")
        assert till.program.exit_code == 0 and slots.now().active == "b"


def test_not_from_the_first_line_until_the_report_of_the_closed_shift_is_seen(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The till with its page."""
    slots = in_slot_a(tmp_path / "machine", monkeypatch)
    with Town(tmp_path / "town", seed, QuickCity) as town:
        town.found()
        where = (tmp_path / "till-1", seed)
        who = DeskSettings(SHOP, "till-1", CITY, town.city.ca_file, town.city.port, *where, has_camera=False)
        with TillDesk(who, Shop(goods=GOODS.resolve())) as till:
            till.enrol(town.city.token("till-1", "shop", "coffee-1"))
            till.start()
            till.wait_synced()
            socket, hands = till.folder / "control.sock", till.hands

            hands.sign_in("01", PIN_TEST_ONLY)
            hands.press("open_shift", typed="1000")
            hands.press("add_amount", typed="20")
            wait_refused(socket, "a sale is open")
            hands.press("pay")
            wait_refused(socket, "a sale is open")
            hands.press("cash", typed="100")
            assert hands.seen.screen == "done"
            wait_refused(socket, AT_THE_SCREEN)
            hands.press("next")
            hands.press("shift")
            wait_refused(socket, AT_THE_SCREEN)
            hands.press("close_shift")
            assert hands.seen.screen == "report"
            wait_refused(socket, AT_THE_SCREEN)
            assert slots.now().active == "a" and till.program.is_running
            hands.press("back")
            wait_until(lambda: ask(socket, ["update", "switch"])[0].get("update") == "switch", "the switch")
            wait_until(lambda: not till.program.is_running, "its end")
            assert till.program.exit_code == 0 and slots.now().active == "b"
