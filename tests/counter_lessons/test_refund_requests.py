"""A sale of one till comes back at another: real tills, a real city, and what the wallet has. DESIGN §5."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

from offline_ledger import errors
from offline_ledger.protocol import qr
from offline_ledger.protocol.qr import QrType
from simulators.demo.city import CITY
from simulators.demo.desk import SHOP, DeskSettings
from simulators.demo.processes import wait_until
from simulators.demo.reader_files import EVENT_BITS, EVENT_MASK, open_copy, rows
from simulators.fault_link import Mode
from simulators.shop_desk.hands import Seen
from simulators.shop_desk.till import PIN_TEST_ONLY, TillDesk
from tests.counter_lessons.street import MERCHANT, Street
from tests.counter_lessons.test_money_and_returns import balance, to_receipt

BAHT, KGO = 100, 30


@contextmanager
def opened(street: Street, device: str, merchant: str) -> Iterator[TillDesk]:
    """Another till of the city, somebody signed in, a shift open."""
    city = street.town.city
    settings = DeskSettings(SHOP, device, CITY, city.ca_file, city.port, street.folder / device, 7, has_camera=False)
    with TillDesk(settings) as made:
        named = () if merchant == MERCHANT else ("--name", merchant)
        _code, token = city.ask("enrol", device, "--role", SHOP.role, "--owner", merchant, *named)
        made.enrol(token.split()[-1])
        made.start()
        made.wait_synced()
        assert not made.hands.sign_in("01", PIN_TEST_ONLY).refusal
        assert not made.hands.press("open_shift", typed="500").refusal
        yield made


def receipt_code(street: Street, number: int) -> str:
    """As it stands on the paper of the street's till."""
    with closing(open_copy(street.till.folder / "journal.db", street.folder / "scratch" / "code")) as file:
        found = dict(rows(file, f"SELECT id >> {EVENT_BITS}, body FROM entries WHERE id & {EVENT_MASK} = 0"))
    return qr.encode(QrType.RECEIPT, found[number])


def scanned(till: TillDesk, text: str) -> Seen:
    """On the receipts screen, by a scanner that types."""
    assert till.hands.press("receipts").screen == "receipts"
    till.hands.scan_by_keys(text)
    wait_until(lambda: till.hands.look().screen == "ask_back", "the receipt on the screen", 10.0)
    return till.hands.seen


def requests(street: Street, device: str) -> list[dict[str, object]]:
    """What this till has asked, as the operator sees it."""
    _code, said = street.town.city.ask("refund-requests", "--all", "--json")
    return [one for one in json.loads(said) if one["device"] == device]


def sent(street: Street, till: TillDesk, count: int = 1) -> dict[str, object]:
    """Its one request that waits, once the city has `count` of it."""
    found: list[dict[str, object]] = []

    def has_come() -> bool:
        till.program.tell("sync")
        found[:] = requests(street, till.device)
        return len(found) >= count

    wait_until(has_come, "the request at the city", 30.0, step_s=0.5)
    (request,) = [one for one in found if one["state"] == "waiting"] or found
    return request


def approve(street: Street, request: dict[str, object]) -> tuple[int, str]:
    number = str(request["number"])
    return street.town.city.ask("refund-requests", "--approve", number, "--note", "seen", may_fail=True)


def check_audit(street: Street) -> None:
    is_well, said = street.town.city.audit()
    assert is_well, said


def test_kgo_of_another_tills_sale_come_back_when_the_city_has_agreed(street: Street) -> None:
    """Asked without a network; sent later; nothing comes back before a person said so, and then once."""
    person = street.customer(0)
    before = balance(street, person)
    number = street.sell_with_kgo(str(BAHT), KGO, person)
    street.till.wait_synced()
    with opened(street, "till-2", MERCHANT) as sister:
        sister.cut(Mode.REFUSE)
        assert "till-1" in scanned(sister, receipt_code(street, number)).html
        asked = sister.hands.press("ask_back", typed="")
        assert not asked.refusal and asked.screen == "ask_back" and requests(street, "till-2") == []
        again = sister.hands.press("ask_back", typed="5")
        sister.reconnect()
        request = sent(street, sister)
        assert str(request["number"]) in asked.html and str(request["number"]) in again.html
        assert (request["kgo"], request["state"], request["refusal"]) == (KGO * 100, "waiting", 0)
        paid = balance(street, person)
        reward_kgo = paid - (before - KGO * 100)
        after = before + reward_kgo * (BAHT - KGO) // BAHT  # what was bought with money keeps its part
        assert 0 <= reward_kgo < KGO * 100
        code, said = street.town.city.ask("exceptions", may_fail=True)
        assert code == 1 and str(request["number"]) in said
        _code, said = street.town.city.ask("refund-requests")
        assert all(word in said for word in (str(request["number"]), f"till-1/{number}", "30.00", "till-2 01"))
        assert approve(street, request)[0] == 0 and balance(street, person) == after
        assert approve(street, request)[0] == 1 and balance(street, person) == after, "once"
        sister.program.kill()  # after a power cut it is still known
        sister.start()
        sister.hands.sign_in("01", PIN_TEST_ONLY)
        assert str(request["number"]) in scanned(sister, receipt_code(street, number)).html
    check_audit(street)


def test_the_till_that_sold_gives_it_back_meanwhile(street: Street) -> None:
    """Whoever comes later is refused by name; the customer has it back once."""
    person = street.customer(1)
    before = balance(street, person)
    number = street.sell_with_kgo(str(BAHT), KGO, person)
    street.till.wait_synced()
    with opened(street, "till-3", MERCHANT) as sister:
        scanned(sister, receipt_code(street, number))
        assert not sister.hands.press("ask_back", typed="10").refusal
        request = sent(street, sister)
        to_receipt(street, number)
        street.done("refund_start", number=str(number))
        street.done("refund", number=str(number), typed=str(BAHT))
        street.ready()
        street.till.wait_synced()
        wait_until(lambda: balance(street, person) == before, "the refund at the city", 20.0, step_s=0.3)
        code, _said = approve(street, request)
        assert code == 1 and balance(street, person) == before
        (listed,) = requests(street, "till-3")
        assert listed["refusal"] == errors.RefundAboveRest.number
        street.town.city.ask("refund-requests", "--decline", str(request["number"]), "--note", "back already")
        assert requests(street, "till-3")[0]["state"] == "declined"
    check_audit(street)


def test_what_is_left_can_be_asked_for_after_a_decline(street: Street) -> None:
    """As 4133 tells: the till that sold gave some back, and the other asked for all of it first."""
    person = street.customer(1)
    before = balance(street, person)
    number = street.sell_with_kgo(str(BAHT), KGO, person)
    to_receipt(street, number)
    street.done("refund_start", number=str(number))
    street.done("refund", number=str(number), typed=str(BAHT // 2))
    street.ready()
    street.till.wait_synced()
    with opened(street, "till-5", MERCHANT) as sister:
        scanned(sister, receipt_code(street, number))
        assert not sister.hands.press("ask_back", typed="").refusal
        first = sent(street, sister)
        assert approve(street, first)[0] == 1 and first["refusal"] == errors.RefundAboveRest.number
        street.town.city.ask("refund-requests", "--decline", str(first["number"]), "--note", "ask for the rest")
        sister.hands.press("back")
        sister.hands.press("back")
        again = scanned(sister, receipt_code(street, number)).html
        assert str(first["number"]) in again and 'id="amount-ask"' in again
        asked = sister.hands.press("ask_back", typed=str(KGO // 2))
        second = sent(street, sister, 2)
        assert not asked.refusal and str(second["number"]) in asked.html and second["number"] != first["number"]
        assert (second["kgo"], second["state"], second["refusal"]) == (KGO * 50, "waiting", 0)
        assert balance(street, person) < before
        assert approve(street, second)[0] == 0 and approve(street, second)[0] == 1
        reward_kgo = balance(street, person) - before
        assert 0 <= reward_kgo < KGO * 50, "once; what was bought with money keeps its reward"
    check_audit(street)


def test_another_merchants_till_asks_in_vain(street: Street) -> None:
    person = street.customer(2)
    number = street.sell_with_kgo(str(BAHT), KGO, person)
    street.till.wait_synced()
    left = balance(street, person)
    with opened(street, "till-4", "rice-1") as strange:
        scanned(strange, receipt_code(street, number))
        assert not strange.hands.press("ask_back", typed="").refusal
        request = sent(street, strange)
        assert (request["state"], request["refusal"]) == ("declined", errors.RefundOfOtherOwner.number)
        assert approve(street, request)[0] == 1 and balance(street, person) == left
    check_audit(street)
