"""A real till after a power cut: the cashier's list, each sale of it opened, cancelled, put aside or waited out.

DESIGN §5 "unratified". The cut is made to fall between voucher and light: the till's own parts take the code, and
nobody shows anything.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import CodeCancelled, NoSuchSale, SaleStillOpen
from offline_ledger.money import KGO
from offline_ledger.protocol import cbor
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.campaign import decode_campaigns
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.outcome import Light
from offline_ledger.terminal.program import MachineClock, Place, Program, read_terminal_settings
from offline_ledger.terminal.station import Station
from offline_ledger.terminal.unratified import POWERED_META
from pos_app.sale import Till, open_sale
from simulators.demo.desk import Desk
from simulators.demo.processes import Said
from simulators.demo.town import Person, Town
from tests.processes.tills import DEVICE, MERCHANT, check_books, shop_town, show

SALES = (("aaaa", 40, 5), ("bbbb", 60, 6), ("cccc", 80, 7))
"""Name, baht, KGO."""


@pytest.fixture
def town(tmp_path: Path, seed: int) -> Iterator[Town]:
    with shop_town(tmp_path, seed, [f"person-{at}" for at in range(len(SALES) + 1)]) as made:
        yield made


def station_of(shop: Desk) -> Station:
    """The parts of the till, while its program does not run."""
    program = Program("kgo-pos", "help.pos", DeviceRole.SHOP, lambda _opened: 0)
    place = Place(program, read_terminal_settings(program, shop.settings_file), shop.settings_file)
    station = place.station(MachineClock())
    station.keeper.heard_rtc(int(time.time()))
    return station


def interrupt(shop: Desk, people: list[Person]) -> Said:
    """Power goes after each voucher and before its light; what the till says when it is back."""
    assert shop.stop() == 0
    for (name, baht, kgo), person in zip(SALES, people, strict=False):
        station = station_of(shop)
        campaigns = station.bulletin(BulletinKind.CAMPAIGN)
        assert campaigns is not None
        person.wants(Audience.SHOP, kgo * KGO)
        sale = open_sale(name, baht * 100, kgo * KGO)
        till = Till(sale, decode_campaigns(campaigns.body), campaigns.version, MERCHANT)
        assert station.acceptor.accept(person.code(), till).light is Light.ACCEPTED
        station.close()
    assert shop.start()["unratified"] == [1, 2, 3]
    return shop.program.wait_for(lambda said: "waiting_sales" in said, 0, "the list")


def nearly_waited_out(shop: Desk) -> None:
    """All that waits has waited for all but a second of W when the till starts again."""
    assert shop.stop() == 0
    station = station_of(shop)
    waited_ms = Limits().unratified_s * 1000 - 1_000
    waiting = [[sequence, waited_ms] for sequence in station.acceptor.unratified.sequences()]
    station.journal.meta_put(POWERED_META, cbor.encode(waiting))
    station.close()
    shop.start()


@pytest.mark.parametrize("is_sent_at_once", [False, True])
def test_every_interrupted_sale_is_listed_and_ends_as_its_cashier_says(town: Town, is_sent_at_once: bool) -> None:
    """`is_sent_at_once`: the city posts each sale before it hears what became of it."""
    shop, (first, second, third, other) = town.desks[DEVICE], town.people
    listed = interrupt(shop, town.people)["waiting_sales"]
    assert [(one["sale"], one["sequence"], one["bill_satang"], one["kgo"], one["open"]) for one in listed] == [
        ("aaaa", 1, 4_000, 500, False), ("bbbb", 2, 6_000, 600, False), ("cccc", 3, 8_000, 700, True),
    ]  # fmt: skip
    # another customer is served meanwhile: the newest sale is open again until the cashier puts it aside
    said = shop.tell("sale 10.00 1.00", "sale_open")
    assert (said["refusal"], said["sale_open"]) == (SaleStillOpen.number, "cccc") and "`aside`" in said["line_th"]
    shop.tell("aside", "light")
    shop.tell("sale 10.00 1.00", "sale")
    assert shop.tell("open aaaa", "sale_open")["open_bill_satang"] == 1_000, "a new sale is not put aside"
    assert shop.tell("aside", "sale_open")["refusal"] == SaleStillOpen.number
    other.wants(Audience.SHOP, KGO)
    assert (light := show(shop, other))["light"] == "accepted" and light["sequence"] == 4
    if is_sent_at_once:
        town.wait_synced()
    # the first customer comes back with a new code, the cashier opens that sale
    assert shop.tell("open nope", "no_such_sale")["no_such_sale"] == "nope"
    assert shop.tell("open aaaa", "sale")["chosen_kgo"] == 500
    first.wants(Audience.SHOP, 5 * KGO)
    back = show(shop, first)
    assert (back["light"], back["sequence"], back["uncharged"]) == ("accepted", 1, True)
    # the second paid cash in the dark: cancelled, not charged, and the code says so
    cancelled = shop.tell("cancel bbbb", "cancelled_sale")
    assert cancelled["cancelled_sale"] == "bbbb" and "60.00" in cancelled["line_th"] and cancelled["line_en"]
    refused = show(shop, second)
    assert (refused["light"], refused["refusal"]) == ("refused", CodeCancelled.number)
    gone = shop.tell("cancel bbbb", "no_such_sale")
    assert gone["refusal"] == NoSuchSale.number and gone["title_th"] and gone["remedy_en"]
    assert [one["sale"] for one in shop.tell("sales", "waiting_sales")["waiting_sales"]] == ["cccc"]
    if is_sent_at_once:
        town.wait_synced()
    # the third has left with the goods: when the wait is over the sale is charged and no longer open
    nearly_waited_out(shop)
    over = shop.program.wait_for(lambda said: said.get("lapsed") is True, 0, "the end of the wait")
    assert (over["paid_sale"], over["paid_kgo"]) == ("cccc", 700) and "cccc" in over["line_en"]
    again = show(shop, third)
    assert again["light"] == "already_accepted" and again["paid_sale"] == "cccc" and "refusal" not in again
    assert shop.tell("sale 20.00 1.00", "sale")["bill_satang"] == 2_000
    check_books(town, 4)  # one of them taken back
