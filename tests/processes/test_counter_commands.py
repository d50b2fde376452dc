"""What a technician asks of a till that sells: how its parts are, and new goods without closing it. DESIGN §3."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import CommandUnknown, FileUnusable
from offline_ledger.texts import Texts
from simulators.demo.desk import SHOP, DeskSettings
from simulators.demo.processes import PYTHON, run_tool, wait_until
from simulators.demo.town import CITY, Town
from simulators.printer.device import Fault, SimulatedPrinter
from simulators.printer.lines import NetworkPrinter
from simulators.shop_desk.till import PIN_TEST_ONLY, Shop, TillDesk
from tests.processes.quick_city import QuickCity

NEW_GOODS = "sku,name_th,name_en,price\nNEW1,ข้าวเหนียวมะม่วง,Mango sticky rice,60\n"
BROKEN = "sku,name_th,name_en,price\nNEW1,ข้าวเหนียวมะม่วง,Mango,60\nNEW2,ลอดช่อง,Lod chong,-5\n"


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TillDesk]:
    folder = tmp_path_factory.mktemp("town")
    with Town(folder, 5, QuickCity) as town:
        town.found()
        place = (folder / "till-1", 5)
        who = DeskSettings(SHOP, "till-1", CITY, town.city.ca_file, town.city.port, *place, has_camera=False)
        with TillDesk(who, Shop(people=(("01", "มาลี", "manager"),))) as made:
            made.enrol(town.city.token("till-1", "shop", "coffee-1"))
            made.start()
            made.wait_synced()
            made.hands.sign_in("01", PIN_TEST_ONLY)
            made.hands.press("open_shift", typed="500")
            yield made


def told(till: TillDesk, *words: str) -> tuple[int, list[dict[str, object]]]:
    command = (*PYTHON, SHOP.module, "--settings", str(till.settings_file), *words)
    done = run_tool("kgo-pos", command, till.folder / "commands.log", may_fail=True)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_parts_of_a_till_are_diagnosed(till: TillDesk) -> None:
    _code, parts = told(till, "diagnose", "--json")
    found = {str(part["part"]): part for part in parts}
    assert {"page", "shift", "shop_file", "audit_log", "journal", "link"} <= set(found)
    assert found["shift"]["facts"] == {"number": 1, "is_open": True, "sales": 0}
    assert found["page"]["facts"] == {"url": till.url}
    log = found["audit_log"]["facts"]
    assert isinstance(log, dict) and (log["refused"], log["failed"]) == (0, 0) and log["done"]


def test_a_till_is_found_among_others(till: TillDesk) -> None:
    assert told(till, "do", "identify") == (0, [{"identify": True}])
    assert 'id="called"' in till.hands.look().html
    assert told(till, "do", "sale", "100", "0")[1][0]["refusal"] == CommandUnknown.number


def test_new_goods_are_sold_at_once_and_a_broken_file_changes_nothing(till: TillDesk, tmp_path: Path) -> None:
    goods = tmp_path / "goods.csv"
    goods.write_text(NEW_GOODS, encoding="utf-8")
    code, said = told(till, "do", "catalogue-import", str(goods))
    assert (code, said) == (0, [{"done": "catalogue-import", "goods": 1, "new": 1, "changed": 0, "same": 0}])
    seen = till.hands.press("add_item", sku="NEW1")
    assert "ข้าวเหนียวมะม่วง" in seen.html and "60.00" in seen.html

    goods.write_text(BROKEN, encoding="utf-8")
    code, said = told(till, "do", "catalogue-import", str(goods))
    assert code == 1 and said[0]["refusal"] == 1943
    assert len(said) == 2 and "3" in str(said[1]["mistake"])
    assert till.hands.press("add_item", sku="NEW2").refusal == 1923, "nothing half-imported"

    code, said = told(till, "do", "catalogue-import", str(tmp_path / "not-there.csv"))
    assert code == 1 and said[0]["refusal"] == FileUnusable.number
    till.hands.press("clear")


def test_the_bundle_of_a_till_that_sells_names_nobody_and_no_goods(till: TillDesk) -> None:
    out, goods = till.folder / "bundle.zip", till.folder / "planted.csv"
    goods.write_text(NEW_GOODS, "utf-8")
    assert told(till, "do", "catalogue-import", str(goods))[0] == 0
    till.command("diagnose", "--bundle", str(out), "--log", str(till.folder / "commands.log"))
    with zipfile.ZipFile(out) as archive:
        whole = "".join(archive.read(name).decode() for name in archive.namelist())
    held = (till.folder / "shop.db").read_bytes() + (till.folder / "shop.db-wal").read_bytes()
    assert "มาลี".encode() in held and b"Mango sticky" in held and '"shift"' in whole
    key = [line for line in (till.folder / "device.key").read_text().splitlines() if len(line) > 40]
    planted = ["NEW1", "ข้าวเหนียว", "Mango sticky", "มาลี", *key]
    assert key and [one for one in planted if one in whole] == []
    assert PIN_TEST_ONLY not in re.findall(r"\w+", whole)


def test_a_till_whose_printer_never_answers_sells_and_says_no_more_than_it_knows(till: TillDesk) -> None:
    """As its settings name it: the paper comes out, the drawer on pin 5 opens, the page says *sent*, not *printed*."""
    with NetworkPrinter(SimulatedPrinter(drawer_pin=5)) as desk:
        desk.fault(Fault.SILENT)
        till.program.kill()
        till.shop = till.shop._replace(printer=desk.address, devices="answers = false\n[drawer]\npin = 5")
        till.write_settings()
        till.start()
        till.hands.sign_in("01", PIN_TEST_ONLY)
        till.hands.press("add_amount", typed="45")
        till.hands.press("pay")
        sold = till.hands.press("cash", typed="50")
        assert sold.screen == "done" and sold.refusal == 0, (sold.screen, sold.refusal)
        wait_until(lambda: desk.printer.sheets_cut == 1 and desk.printer.is_drawer_open, "paper and drawer")
        assert {pulse.pin for pulse in desk.printer.pulses} == {5}
        sent = Texts("th").get("till.page.printed.sent")
        wait_until(lambda: sent in till.hands.look().html, "what the page says", step_s=0.1)
        assert "printed-yes" not in till.hands.look().html
        _code, parts = told(till, "diagnose", "--json")
        (printer,) = [part for part in parts if part["part"] == "printer"]
        facts = printer["facts"]
        assert isinstance(facts, dict) and (facts["is_asked"], facts["trouble"], facts["printed"]) == (False, None, 1)
