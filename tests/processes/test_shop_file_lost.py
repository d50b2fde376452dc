"""The shop's file is damaged, gone or not its own under a real till: told by number, and never an open door. DESIGN §6.

The journal is the truth: what it knows of shifts and of the audit log outlives shop.db.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, expect

from offline_ledger.errors import AuditLogRewritten, JournalLost, KeyLost, Refusal, ShopFileDamaged, ShopPeopleGone
from offline_ledger.texts import Texts
from simulators.demo.desk import SHOP, DeskSettings
from simulators.demo.processes import PYTHON, Child, Said, run_tool, wait_until
from simulators.demo.town import CITY, Town
from simulators.shop_desk.till import PIN_TEST_ONLY, Shop, TillDesk
from tests.processes.quick_city import QuickCity

FEW, GOODS = 20, 8_000
"""More than SQLite keeps of the file in memory: who counts them reads the disk."""
HEADER_BYTES = 4_096
PAGE_S_MAX = 5
LIVES_S = 1.5
"""A till that ends of a question has ended by then."""


@pytest.fixture
def till(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TillDesk]:
    """A shift is open, and something was sold. `param`: so many goods in the catalogue."""
    goods = tmp_path / "goods.csv"
    rows = [
        f"S{number:06},สินค้าลองชิ้นที่ {number},Goods to try {number},45" for number in range(getattr(request, "param", FEW))
    ]
    goods.write_text("\n".join(["sku,name_th,name_en,price", *rows]), encoding="utf-8")
    with Town(tmp_path / "town", 5, QuickCity) as town:
        town.found()
        place = (tmp_path / "town" / "till-1", 5)
        who = DeskSettings(SHOP, "till-1", CITY, town.city.ca_file, town.city.port, *place, has_camera=False)
        with TillDesk(who, Shop(people=(("01", "มาลี", "manager"), ("02", "สมชาย", "cashier")), goods=goods)) as made:
            made.enrol(town.city.token("till-1", "shop", "coffee-1"))
            made.start()
            made.hands.sign_in("01", PIN_TEST_ONLY)
            made.hands.press("open_shift", typed="500")
            sell(made)
            yield made


def sell(till: TillDesk) -> None:
    till.hands.press("add_amount", typed="45")
    till.hands.press("pay")
    sold = till.hands.press("cash", typed="50")
    assert (sold.screen, sold.refusal) == ("done", 0), sold.html
    till.hands.press("next")


def shop_file(till: TillDesk) -> Path:
    return till.folder / "shop.db"


def damage(path: Path, first: int) -> None:
    """From there to its end the file is another; its length stays."""
    with path.open("r+b") as file:
        file.seek(first)
        file.write(b"\xa5" * (path.stat().st_size - first))


def diagnosed(till: TillDesk) -> dict[str, Said]:
    """Every part by its name."""
    command = (*PYTHON, SHOP.module, "--settings", str(till.settings_file), "diagnose", "--json")
    done = run_tool("kgo-pos diagnose", command, till.folder / "commands.log", may_fail=True)
    parts = [json.loads(line) for line in done.stdout.splitlines()]
    return {str(part.get("part")): part for part in parts}


def numbers(part: Said) -> set[int]:
    return {trouble["refusal"] for trouble in part["troubles"]}


def until_told(till: TillDesk, what: str, refusal: type[Refusal]) -> Said:
    """The line of a trouble that stands."""
    return till.program.wait_for(
        lambda said: said.get("trouble") == what and said.get("refusal") == refusal.number,
        0,
        f"{what} {refusal.number}",
    )


def remove_shop_file(till: TillDesk) -> None:
    for path in till.folder.glob("shop.db*"):
        path.unlink()


@pytest.mark.parametrize("till", [GOODS], indirect=True)
def test_a_question_about_a_file_that_was_damaged_meanwhile_ends_no_till(till: TillDesk) -> None:
    damage(shop_file(till), HEADER_BYTES)
    parts = diagnosed(till)
    assert ShopFileDamaged.number in numbers(parts["shop_file"]), parts["shop_file"]
    assert not parts["shift"]["troubles"] and parts["shift"]["facts"]["sales"] == 1
    until_s = time.monotonic() + LIVES_S
    wait_until(lambda: time.monotonic() > until_s, "the end of a till that cannot bear the question")
    assert till.program.is_running and till.hands.look().screen == "sale"


def test_a_file_that_is_gone_makes_no_manager_of_whoever_is_at_the_page(till: TillDesk) -> None:
    till.program.kill()
    remove_shop_file(till)
    till.start()
    until_told(till, "people", ShopPeopleGone)
    told = until_told(till, "audit_log", AuditLogRewritten)
    assert told["remedy_th"] and told["remedy_en"]
    seen = till.hands.look()
    assert seen.screen == "locked" and str(ShopPeopleGone.number) in seen.html
    assert Texts("th").remedy(ShopPeopleGone()) in seen.html
    pressed = till.hands.press("first_manager", code="09", name="ใครก็ไม่รู้", pin=PIN_TEST_ONLY)
    assert pressed.refusal and pressed.screen == "locked"
    assert till.hands.sign_in("09", PIN_TEST_ONLY).refusal, "nobody was made"
    parts = diagnosed(till)
    assert (numbers(parts["people"]), numbers(parts["audit_log"])) == (
        {ShopPeopleGone.number},
        {AuditLogRewritten.number},
    )
    assert till.stop() == 0

    till.command("cashiers", "add", "09", "เจ้าของร้าน", typed=f"{PIN_TEST_ONLY}\n")
    till.start()
    assert till.hands.sign_in("09", PIN_TEST_ONLY).screen == "sale", "the journal's shift goes on"
    until_told(till, "audit_log", AuditLogRewritten)  # for as long as the journal has a head of the old log
    assert "people" not in diagnosed(till)
    sell(till)


def test_a_cashier_who_is_none_is_told_and_the_others_sign_in(till: TillDesk) -> None:
    assert till.stop() == 0
    write(till, "UPDATE cashier SET role = -7, failures = -100 WHERE code = '02'")
    till.start()
    until_told(till, "people", ShopFileDamaged)
    assert till.hands.sign_in("02", PIN_TEST_ONLY).refusal
    assert till.hands.sign_in("01", PIN_TEST_ONLY).screen == "sale"
    assert till.stop() == 0

    write(till, "UPDATE cashier SET role = 99")
    till.start()
    until_told(till, "people", ShopFileDamaged)
    assert till.hands.look().screen == "locked", "nobody can sign in, and nobody becomes the first manager"


def test_a_till_that_cannot_open_its_file_says_so_on_its_page_and_opens_when_it_is_mended(
    till: TillDesk, chromium: Browser
) -> None:
    assert till.stop() == 0
    kept = shop_file(till).read_bytes()
    damage(shop_file(till), 0)
    words = (*PYTHON, SHOP.module, "--settings", str(till.settings_file))
    with Child("closed", words, till.folder / "program.log") as closed:
        said = closed.wait_for(lambda one: one.get("refusal") == ShopFileDamaged.number, 0, "why it does not open")
        assert said["remedy_th"] and said["remedy_en"]
        for path in ("", "customer"):
            seen = first_of(f"{till.url}{path}")
            assert str(ShopFileDamaged.number) in seen and Texts("th").remedy(ShopFileDamaged()) in seen
        with urlopen(f"{till.url}static/page.css", timeout=PAGE_S_MAX) as sheet:
            assert sheet.headers["content-type"].startswith("text/css") and sheet.read()
        page = chromium.new_page()
        page.goto(till.url, wait_until="commit")
        expect(page.locator("main.alone")).to_contain_text(str(ShopFileDamaged.number))
        assert closed.is_running
        assert closed.stop() == 1
    assert f"{ShopFileDamaged.number} " in (till.folder / "program.log").read_text()
    shop_file(till).write_bytes(kept)
    for name, refusal in (("journal.db", JournalLost), ("device.key", KeyLost)):
        tells_what_it_lacks(till, till.folder / name, refusal)
    till.start()
    assert till.hands.sign_in("01", PIN_TEST_ONLY).screen == "sale"


def tells_what_it_lacks(till: TillDesk, file: Path, refusal: type[Refusal]) -> None:
    """The file is away while the till is off, and back afterwards."""
    away = file.rename(file.with_suffix(".away"))
    with Child("closed", (*PYTHON, SHOP.module, "--settings", str(till.settings_file)), till.folder / "log") as closed:
        closed.wait_for(lambda one: one.get("refusal") == refusal.number, 0, "why it does not open")
        seen = first_of(till.url)
        assert str(refusal.number) in seen and Texts("th").remedy(refusal()) in seen
        assert closed.stop() == 1
    away.rename(file)


def first_of(url: str) -> str:
    """What a page shows at once; its answer does not end."""
    found = b""

    def is_read() -> bool:
        nonlocal found
        found = b""
        try:
            with urlopen(url, timeout=PAGE_S_MAX) as page:
                while b"</html>" not in found and (more := page.read1(65_536)):
                    found += more
        except OSError:
            return False
        return b"</html>" in found

    wait_until(is_read, "the page")
    return found.decode()


def write(till: TillDesk, statement: str) -> None:
    link = sqlite3.connect(shop_file(till))
    with link:
        link.execute(statement)
    link.close()
