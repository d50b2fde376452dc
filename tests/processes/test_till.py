"""A real till with a real city: what the cashier hears of a code that does not pay the open sale. DESIGN §5."""

from collections.abc import Iterator

import pytest

from offline_ledger.errors import (
    AmountMismatch,
    AmountTooLong,
    KgoAboveBillShare,
    NoSaleOpen,
    PaidOtherSale,
    SaleStillOpen,
)
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience, Concession
from simulators.demo.desk import SHOP, Desk, Reader
from simulators.demo.processes import Said
from simulators.demo.town import Person, Town

WORDS = ("title_th", "title_en", "remedy_th", "remedy_en", "line_th", "line_en")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town"), seed) as made:
        made.found()
        made.add_desk(SHOP, "shop-of-test", "coffee-1", has_camera=False)
        made.wait_synced()
        yield made


@pytest.fixture
def shop(town: Town) -> Desk:
    desk = town.desks["shop-of-test"]
    desk.tell("cancel", "light")
    return desk


@pytest.fixture
def person(town: Town) -> Person:
    return town.add_people([(f"person-{len(town.people)}", Concession.ADULT)])[0]


def show(desk: Desk, person: Person) -> Said:
    return desk.show(person.code, Reader.SERIAL)


def pay(desk: Desk, person: Person, baht: str, kgo: int) -> str:
    """A sale that is accepted; its name."""
    sale = desk.tell(f"sale {baht} {kgo}.00", "sale")["sale"]
    person.wants(Audience.SHOP, kgo * KGO)
    assert show(desk, person)["light"] == "accepted"
    return sale


def test_a_code_that_paid_before_does_not_pay_the_open_sale_and_names_its_own(shop: Desk, person: Person) -> None:
    first = pay(shop, person, "40.00", 5)
    second = shop.tell("sale 60.00 7.00", "sale")["sale"]
    said = show(shop, person)
    assert (said["light"], said["refusal"]) == ("already_accepted", PaidOtherSale.number)
    assert (said["paid_sale"], said["paid_bill_satang"], said["paid_kgo"]) == (first, 4_000, 5 * KGO)
    assert (said["open_sale"], said["open_bill_satang"], said["open_kgo"]) == (second, 6_000, 7 * KGO)
    assert all(said[word] for word in WORDS)
    assert "60.00" in said["line_th"] and "7.00" in said["line_th"] and first in said["line_th"]
    assert "is not paid" in said["line_en"] and "ยังไม่ได้ชำระ" in said["line_th"]
    # the sale is still open and is paid by its own code, once
    person.wants(Audience.SHOP, 7 * KGO)
    mark = shop.program.mark()
    assert show(shop, person)["light"] == "accepted"
    assert shop.program.wait_for(lambda line: "paid_sale" in line, mark, "the paid sale")["paid_sale"] == second
    assert show(shop, person)["paid_sale"] == second


def test_a_repeat_without_an_open_sale_names_what_it_paid_and_blames_nobody(shop: Desk, person: Person) -> None:
    sale = pay(shop, person, "40.00", 5)
    said = show(shop, person)
    assert said["light"] == "already_accepted" and said["paid_sale"] == sale and sale in said["line_en"]
    assert "refusal" not in said and "open_sale" not in said


def test_a_code_for_another_amount_gives_both(shop: Desk, person: Person) -> None:
    sale = shop.tell("sale 40.00 5.00", "sale")["sale"]
    person.wants(Audience.SHOP, 6 * KGO)
    said = show(shop, person)
    assert (said["light"], said["refusal"]) == ("refused", AmountMismatch.number)
    assert (said["confirmed_kgo"], said["asked_kgo"], said["open_sale"]) == (6 * KGO, 5 * KGO, sale)
    assert all(said[word] for word in WORDS)
    assert "6.00" in said["line_th"] and "5.00" in said["line_th"] and "6.00" in said["line_en"]
    person.wants(Audience.SHOP, 5 * KGO)
    assert show(shop, person)["light"] == "accepted"


def test_a_second_sale_names_the_open_one_and_leaves_it_as_it_is(shop: Desk, person: Person) -> None:
    first = shop.tell("sale 40.00 5.00", "sale")["sale"]
    said = shop.tell("sale 90.00 9.00", "sale_open")
    assert said["refusal"] == SaleStillOpen.number and said["sale_open"] == first
    assert (said["open_bill_satang"], said["open_kgo"]) == (4_000, 5 * KGO)
    assert all(said[word] for word in WORDS) and "40.00" in said["line_th"] and "5.00" in said["line_th"]
    person.wants(Audience.SHOP, 5 * KGO)
    mark = shop.program.mark()
    assert show(shop, person)["light"] == "accepted"
    assert shop.program.wait_for(lambda line: "paid_sale" in line, mark, "the paid sale")["paid_sale"] == first


def test_more_kgo_than_the_bill_allows_are_refused_before_the_customer_confirms(shop: Desk) -> None:
    said = shop.tell("sale 100.00 80.00", "refusal")
    assert (said["light"], said["refusal"]) == ("refused", KgoAboveBillShare.number)
    assert 0 < said["suggested_kgo"] <= said["usable_kgo"] < 80 * KGO
    most = said["usable_kgo"]
    assert shop.tell(f"sale 100.00 {most // KGO}.{most % KGO:02}", "sale")["chosen_kgo"] == most


@pytest.mark.parametrize("words", ["99999999999 1", "100 8850123456789", "8850123456789 0"])
def test_a_barcode_in_the_amount_is_too_long(shop: Desk, words: str) -> None:
    assert shop.tell(f"sale {words}", "refusal")["refusal"] == AmountTooLong.number


def test_without_a_sale_the_cashier_is_asked_for_one(shop: Desk, person: Person) -> None:
    person.wants(Audience.SHOP, 5 * KGO)
    said = show(shop, person)
    assert (said["light"], said["refusal"]) == ("refused", NoSaleOpen.number)
