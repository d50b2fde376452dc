"""A real till killed right after its green: what its sale may cost whom, with a real city. DESIGN §5 "unratified".

The first customer saw the green and may be gone; the till cannot know. Who stands there next must not pay that sale.
"""

import time
from collections.abc import Iterator

import pytest

from offline_ledger.errors import CodeCancelled, PaidWaitingSale, SaleWaits
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience
from simulators.demo.desk import Desk, Reader
from simulators.demo.processes import Said
from simulators.demo.town import Person, Town
from simulators.wallet import CityLink
from tests.processes.tills import DEVICE, check_books, clear_till, shop_town, show

TRIES_MAX = 8
USED_KGO = 5


@pytest.fixture
def town(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Town]:
    with shop_town(tmp_path_factory.mktemp("town"), seed, ("Mali", "Somchai")) as made:
        yield made


def cut(shop: Desk, person: Person) -> tuple[Said, Said]:
    """A sale of 40 baht and 5 KGO whose green was shown and not recorded: that light, and the list at the restart."""
    for _ in range(TRIES_MAX):
        clear_till(shop)
        sale = shop.tell("sale 40 5", "sale")["sale"]
        person.wants(Audience.SHOP, USED_KGO * KGO)
        mark = shop.begin_show(person.code())
        light = shop.program.wait_for(lambda said: said.get("light") == "accepted", mark, "the green")
        shop.program.kill()
        if shop.start()["unratified"] == [light["sequence"]]:
            listed = shop.program.wait_for(lambda said: "waiting_sales" in said, 0, "the list")
            assert [one["sale"] for one in listed["waiting_sales"]] == [sale]
            return light, listed
    pytest.fail(f"no kill in {TRIES_MAX} fell between the light and its record")


def test_another_wallet_does_not_pay_the_sale_and_its_own_gets_the_light_of_before(town: Town) -> None:
    shop, (first, second) = town.desks[DEVICE], town.people
    light, listed = cut(shop, first)
    sale = listed["waiting_sales"][0]["sale"]
    assert sale in listed["line_th"] and sale in listed["line_en"] and "charged already" in listed["line_en"]
    second.wants(Audience.SHOP, USED_KGO * KGO)
    refused = show(shop, second)
    assert (refused["light"], refused["refusal"]) == ("refused", SaleWaits.number)
    assert (
        refused["open_sale"] == sale and refused["line_th"] and "`aside`" in refused["remedy_en"] + refused["line_en"]
    )
    back = show(shop, first)
    assert (back["light"], back["sequence"], back["uncharged"]) == ("accepted", light["sequence"], True)
    assert (back["kgo"], back["satang"]) == (light["kgo"], light["satang"])
    assert back["cash"] == "unknown" and "ไม่ทราบ" in back["line_th"] and "not known" in back["line_en"]
    shop.tell("sale 40 5", "sale")  # the second customer's own sale, and the same code as before
    assert show(shop, second)["sequence"] == light["sequence"] + 1
    check_books(town, light["sequence"] + 1)


def test_while_another_sale_is_open_no_green_is_shown_for_the_one_that_waits(town: Town) -> None:
    """The same amounts, so nobody could tell the two sales apart by the light."""
    shop, (first, _second) = town.desks[DEVICE], town.people
    light, listed = cut(shop, first)
    sale = listed["waiting_sales"][0]["sale"]
    shop.tell("aside", "light")
    opened = shop.tell("sale 40 5", "sale")["sale"]
    for _again in range(2):
        seen = show(shop, first)
        assert (seen["light"], seen["refusal"]) == ("already_accepted", PaidWaitingSale.number)
        assert (seen["open_sale"], seen["paid_sale"]) == (opened, sale)
        assert f"open {sale}" in seen["line_th"] and f"open {sale}" in seen["line_en"]
    shop.tell("cancel", "light")
    shop.tell(f"open {sale}", "sale")
    back = show(shop, first)
    assert (back["light"], back["sequence"], back["uncharged"]) == ("accepted", light["sequence"], True)
    assert back["paid_sale"] == sale and sale in back["line_th"] and sale in back["line_en"]
    check_books(town, light["sequence"])


def test_a_late_green_without_an_open_sale_names_its_sale(town: Town) -> None:
    shop, (first, _second) = town.desks[DEVICE], town.people
    light, listed = cut(shop, first)
    shop.tell("aside", "light")
    back = show(shop, first)
    assert (back["light"], back["paid_sale"]) == ("accepted", listed["waiting_sales"][0]["sale"])
    check_books(town, light["sequence"])


def test_what_was_cancelled_stays_so_over_a_restart(town: Town) -> None:
    shop, (first, _second) = town.desks[DEVICE], town.people
    light, listed = cut(shop, first)
    assert shop.tell("cancel", "cancelled_sale")["cancelled_sale"] == listed["waiting_sales"][0]["sale"]
    assert shop.stop() == 0
    assert shop.start()["unratified"] == []
    shop.tell("sale 100 5", "sale")
    again = show(shop, first)
    assert (again["light"], again["refusal"]) == ("refused", CodeCancelled.number)
    first.wants(Audience.SHOP, USED_KGO * KGO)
    assert show(shop, first)["sequence"] == light["sequence"] + 1
    check_books(town, light["sequence"] + 1)


def test_the_same_person_under_a_new_allowance_is_not_charged_a_second_time(town: Town) -> None:
    """The phone renewed itself while the till was dark: its new code is another wallet's to the till."""
    shop, (first, _second) = town.desks[DEVICE], town.people
    light, _listed = cut(shop, first)
    old = first.code()
    first.wallet.renew(CityLink(town.city.url, town.city.ca_file), int(time.time()))
    first.wants(Audience.SHOP, USED_KGO * KGO)
    assert show(shop, first)["refusal"] == SaleWaits.number
    back = shop.show(lambda: old, Reader.SERIAL)
    assert (back["light"], back["sequence"], back["uncharged"]) == ("accepted", light["sequence"], True)
    check_books(town, light["sequence"])
