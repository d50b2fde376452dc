"""The wallet page before a real till and a real city: what it shows is taken, posted and stated back. DESIGN §2, §5."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from simulators.demo.city import CITY
from simulators.demo.desk import SHOP, Desk
from simulators.demo.processes import Said
from simulators.demo.town import Town
from simulators.qr_picture import qr_picture
from simulators.wallet_page.serve import WalletPage
from tests.processes.quick_city import QuickCity
from tests.processes.tills import clear_till
from tests.simulators.wallet_page.phone import SIZE, Phone, presentment_of

KGO = 100


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town"), seed, QuickCity) as made:
        made.found()
        made.add_desk(SHOP, "shop-of-test", "coffee-1", has_camera=False)
        made.wait_synced()
        yield made


@pytest.fixture(scope="module")
def served(town: Town) -> Iterator[WalletPage]:
    with WalletPage(town.city.url, town.city.ca_file) as page:
        yield page


def scanned(desk: Desk, text: str) -> Said:
    """The light that the till gives for a picture with this text."""
    mark = desk.program.mark()
    desk.scanner.scan(qr_picture(text))
    return desk.program.wait_for(lambda said: said.get("light") not in (None, "wait"), mark, "a light")


def test_what_the_page_shows_pays_at_a_till_and_the_city_states_it(
    town: Town, served: WalletPage, chromium: Browser
) -> None:
    till = town.desks["shop-of-test"]
    clear_till(till)
    phone = Phone(chromium.new_context(viewport=SIZE), served.url).register()
    expect(phone.page.locator("#left")).to_have_text("100.00")
    till.tell("sale 40.00 12.50", "sale")
    text = phone.pay_shop("12.5")
    assert presentment_of(text, CITY)[1:5] == (1, 0, 1_250, 2)
    light = scanned(till, text)
    assert light["light"] == "accepted", json.dumps(light)
    town.wait_synced()
    phone.show("home")
    phone.page.locator(".row button").first.click()
    expect(phone.page.locator(".purse .small")).to_contain_text("87.50")
    phone.show("history")
    expect(phone.page.locator(".stated")).to_have_text("✓ ตัดจริง 12.50 KGO")
    assert phone.trouble == []
