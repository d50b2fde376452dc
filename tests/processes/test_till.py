"""A real till with a real city: what the cashier hears of a code that does not pay the open sale. DESIGN §5."""

import json
from collections.abc import Iterator

import pytest

from offline_ledger.errors import (
    AmountMismatch,
    AmountTooLong,
    CommandIncomplete,
    CommandTooLong,
    KgoAboveBillShare,
    KgoAboveDailyCap,
    NoSaleOpen,
    NoSuchSale,
    NotAnAmount,
    NothingToCancel,
    PaidOtherSale,
    SaleStillOpen,
)
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience, Concession
from offline_ledger.terminal.control_commands import tell
from simulators.demo.desk import Desk
from simulators.demo.town import Person, Town
from simulators.fault_link import Plan
from tests.processes.tills import clear_till, shop_town, show

WORDS = ("title_th", "title_en", "remedy_th", "remedy_en", "line_th", "line_en")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Town]:
    with shop_town(tmp_path_factory.mktemp("town"), seed) as made:
        yield made


@pytest.fixture
def shop(town: Town) -> Desk:
    desk = town.desks["shop-of-test"]
    clear_till(desk)
    return desk


@pytest.fixture
def person(town: Town) -> Person:
    return town.add_people([(f"person-{len(town.people)}", Concession.ADULT)])[0]


def pay(desk: Desk, person: Person, baht: str, kgo: int) -> str:
    """A sale that is accepted; its name."""
    sale = desk.tell(f"sale {baht} {kgo}.00", "sale")["sale"]
    person.wants(Audience.SHOP, kgo * KGO)
    assert show(desk, person)["light"] == "accepted"
    return sale


def test_what_wallets_signed_is_for_the_programs_own_user_only(shop: Desk, person: Person) -> None:
    pay(shop, person, "40.00", 5)
    kept = sorted(shop.journal.parent.glob(shop.journal.name + "*"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in kept if not path.name.endswith(".mark")}
    assert len(modes) >= 2 and set(modes.values()) == {0o600}, modes


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


def test_cancel_a_moment_after_the_green_cancels_nothing_and_says_so(shop: Desk, person: Person) -> None:
    sale = shop.tell("sale 40.00 5.00", "sale")["sale"]
    person.wants(Audience.SHOP, 5 * KGO)
    mark = shop.begin_show(person.code())
    shop.program.wait_for(lambda line: line.get("light") == "accepted", mark, "the green")
    said = shop.tell("cancel", "refusal")
    assert (said["refusal"], said["last_paid_sale"]) == (NothingToCancel.number, sale)
    assert all(said[word] for word in WORDS) and sale in said["line_th"] and "40.00" in said["line_en"]
    assert "waiting" in shop.tell("status", "waiting")
    lights = [line["light"] for line in shop.program.said_since(mark) if "light" in line]
    since = lights[lights.index("accepted") :]  # the sale's own "wait" may still be on its way
    assert since in (["accepted"], ["accepted", "wait"]), "the green stands its time, and goes once"


def test_sync_is_answered_also_when_nothing_waits(town: Town, shop: Desk) -> None:
    town.wait_synced()
    for _again in range(2):
        assert shop.tell("sync", "waiting")["status"] == "synced"


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


def test_the_light_of_a_refused_sale_goes_back_to_wait_by_itself(shop: Desk) -> None:
    mark = shop.program.mark()
    assert shop.tell("sale 100.00 80.00", "refusal")["light"] == "refused"
    shop.program.wait_for(lambda said: said.get("light") == "wait", mark, "ready for the next")


def test_a_till_without_its_scanner_never_says_that_it_is_ready(shop: Desk) -> None:
    mark = shop.program.mark()
    shop.scanner.unplug()
    shop.program.wait_for(lambda said: said.get("light") == "out_of_service", mark, "the loss")
    assert shop.tell("cancel", "light")["light"] == "out_of_service"
    shop.tell("sale 100.00 80.00", "refusal")
    after = shop.program.mark()
    shop.program.wait_for(lambda said: said.get("light") == "out_of_service", after, "what stands")
    assert shop.tell("aside", "light")["light"] == "out_of_service"
    after = shop.program.mark()
    lights = [said["light"] for said in shop.program.said_since(mark) if "light" in said]
    shop.scanner.plug()
    shop.program.wait_for(lambda said: said.get("light") == "wait", after, "ready again")
    assert "wait" not in lights[lights.index("out_of_service") :], "a light of before may end until the loss is told"


@pytest.mark.parametrize("words", ["99999999999 1", "100 8850123456789", "8850123456789 0"])
def test_a_barcode_in_the_amount_is_too_long(shop: Desk, words: str) -> None:
    assert shop.tell(f"sale {words}", "refusal")["refusal"] == AmountTooLong.number


def test_without_a_sale_the_cashier_is_asked_for_one(shop: Desk, person: Person) -> None:
    person.wants(Audience.SHOP, 5 * KGO)
    said = show(shop, person)
    assert (said["light"], said["refusal"]) == ("refused", NoSaleOpen.number)


@pytest.mark.parametrize("words", ["120,50 30", "6000 3,0", "1,,2 0", ",5 0", "1,000,00 0", "-5 1", "100 1e1", "١٢ 0"])
def test_an_amount_that_could_be_misread_opens_no_sale(shop: Desk, words: str) -> None:
    said = shop.tell(f"sale {words}", "not_an_amount")
    assert said["not_an_amount"] == words and said["refusal"] == NotAnAmount.number
    assert "1,234.50" in str(said["remedy_th"]) and "1,234.50" in str(said["remedy_en"])
    assert shop.tell("sale 40 0", "bill_satang")["bill_satang"] == 4_000, "none was open"


def test_who_commands_it_by_do_hears_of_a_refusal_by_the_exit_code(
    shop: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    def ends(line: str) -> tuple[int, int | None]:
        code = tell(shop.folder / "control.sock", line.split())
        return code, json.loads(capsys.readouterr().out.splitlines()[0]).get("refusal")

    assert ends("sale -5 3") == (1, NotAnAmount.number)
    assert ends("sale 100 120") == (1, KgoAboveBillShare.number)
    assert ends("sale 8850123456789 0") == (1, AmountTooLong.number)
    assert ends("cancel") == (1, NothingToCancel.number)
    assert ends("open nope") == (1, NoSuchSale.number)
    assert ends("sale 100 10") == (0, None)
    assert ends("sale 100 10") == (1, SaleStillOpen.number)
    assert ends("cancel")[0] == 0


@pytest.mark.parametrize("words", ["1,234.50 30", "๑,๒๓๔.๕๐ ๓๐", "1234.5 30.0"])
def test_thousands_grouped_and_thai_digits_are_the_same_amount(shop: Desk, words: str) -> None:
    said = shop.tell(f"sale {words}", "sale")
    assert (said["bill_satang"], said["chosen_kgo"]) == (123_450, 30 * KGO)


@pytest.mark.parametrize(
    ("line", "in_thai", "in_english"),
    [
        ("sale", "ขาดยอดบิล", "The bill in baht and the KGO"),
        ("sale 120", "ขาดจำนวน KGO", "The KGO are missing"),
        ("sale 120 30 5", "คำเกิน", "A word too many"),
        ("open", "ขาดชื่อการขาย", "sale's name is missing"),
        ("cancel a b", "คำเกิน", "A word too many"),
        ("aside now", "aside ใช้คำเดียว", "aside stands alone"),
        ("quit x", "quit ใช้คำเดียว", "quit stands alone"),
    ],
)
def test_what_is_missing_is_said_to_the_cashier(shop: Desk, line: str, in_thai: str, in_english: str) -> None:
    said = shop.tell(line, "command_refused")
    assert said["refusal"] == CommandIncomplete.number and said["remedy_th"] and said["remedy_en"]
    assert in_thai in said["line_th"] and in_english in said["line_en"]


@pytest.mark.parametrize(
    "line", ["sale 120 30" + " " * 300 + "junk", "sale 120 3" + "0" * 300, " " * 191 + "sale 120 30"]
)
def test_a_line_that_is_too_long_opens_no_sale(shop: Desk, line: str) -> None:
    assert shop.tell(line, "command_refused")["refusal"] == CommandTooLong.number
    assert shop.tell("sale 40 0", "bill_satang")["bill_satang"] == 4_000, "none was open"


def test_over_the_days_cap_the_light_says_how_many_would_do(shop: Desk, person: Person) -> None:
    """Only the customer's own code tells what this customer has used today."""
    first = shop.tell("sale 4000.00 2000.00", "refusal")
    most_kgo = first["usable_kgo"]
    assert first["refusal"] == KgoAboveDailyCap.number and most_kgo % KGO == 0
    used = pay(shop, person, "4000.00", 30)
    left_kgo = most_kgo - 30 * KGO
    assert used and left_kgo < 100 * KGO
    asked_kgo = left_kgo + KGO
    shop.tell(f"sale 4000.00 {asked_kgo // KGO}", "sale")
    person.wants(Audience.SHOP, asked_kgo)
    said = show(shop, person)
    assert (said["light"], said["refusal"]) == ("refused", KgoAboveDailyCap.number)
    assert (said["usable_kgo"], said["suggested_kgo"]) == (left_kgo, left_kgo)


def test_the_badge_tells_each_of_its_changes_unasked(town: Town, shop: Desk, person: Person) -> None:
    """Who watches the lines must not believe `synced` while a sale waits to be sent."""
    shop.wait_synced()
    shop.network.apply(Plan(delay_ms=1_000))
    mark = shop.program.mark()
    pay(shop, person, "40.00", 5)
    shop.program.wait_for(lambda said: said.get("status") == "synced" and not said["waiting"], mark, "synced again")
    shop.network.apply(Plan())
    badges = [said for said in shop.program.said_since(mark) if "status" in said]
    assert [(badges[0]["status"], badges[0]["waiting"]), badges[-1]["status"]] == [("sending", 1), "synced"]
