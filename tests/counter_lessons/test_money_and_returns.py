"""Lessons 10 (change, a short drawer), 12, 13 and 19: KGO as chosen, refunds that cannot be farmed, PromptPay."""

import time
from collections.abc import Callable
from random import Random

import pytest

from offline_ledger.errors import (
    AmountMismatch,
    NothingLeftToReturn,
    NotNow,
    NotToBeReturned,
    ReturnTooLarge,
    StaleScreen,
)
from offline_ledger.money import KGO
from offline_ledger.protocol.device import PlaceKey
from offline_ledger.protocol.shop_event import ShopEventKind, sale_sums_of
from offline_ledger.protocol.wallet import Audience
from simulators.cheats import flipped_signatures, foreign_signature
from simulators.demo.city import CITY
from simulators.demo.processes import wait_until
from simulators.demo.town import Person
from simulators.shop_desk.books import CLOSED, HELD, Books
from simulators.shop_desk.hands import UNTOLD, Hands
from simulators.wallet import CityLink
from tests.counter_lessons.street import Street, light_of, number_on, race

DONE_BEFORE = {StaleScreen.number, NotNow.number, UNTOLD}


def balance(street: Street, person: Person) -> int:
    """What the wallet can spend or has reserved, at the city; 1/100 KGO."""
    return sum(person.wallet.balance(CityLink(street.town.city.url, street.town.city.ca_file), int(time.time())))


def cash_in(books: Books, shift: int) -> int:
    """What the sales of a shift put into the drawer, by its events; satang."""
    return sum(sale_sums_of(one).cash_satang for one in books.events_of(ShopEventKind.SALE_CLOSED, shift))


def to_receipt(street: Street, number: int) -> None:
    """That receipt on the screen."""
    street.done("receipts")
    street.done("receipt", number=str(number))


def test_lesson_10_change_counts_as_cash_and_a_short_drawer_closes(street: Street) -> None:
    shift = street.books().events[-1].shift
    cash = cash_in(street.books(), shift)
    street.to_pay("120.50")
    paid = street.done("cash", typed="1000")
    assert "879.50" in paid.html
    assert cash_in(street.books(), shift) == cash + 12_050, "the drawer has what was kept, not what was handed over"
    street.done("shift")
    street.done("count", typed="1")
    (counted,) = [one for one in street.books().events if one.what == ShopEventKind.COUNTED][-1:]
    assert counted.sums[0] == 100 and counted.sums[1] > 12_050
    assert street.done("close_shift").screen == "report"
    street.till.stop()
    assert street.restart().screen == "no_shift"


def test_lesson_12_kgo_are_taken_only_as_far_as_the_holder_chose_once_and_only_with_the_holders_proof(
    street: Street, slice_of: Callable[[int, int], int]
) -> None:
    mali, somchai = street.customer(0), street.customer(1)
    vouchers = street.books().vouchers
    street.to_pay("60")
    street.done("kgo", typed="5")
    mali.wants(Audience.SHOP, 7 * KGO)  # the phone says seven, the till five: neither is guessed
    assert street.scan(mali.code()).screen == "wait_kgo" and light_of(street)["refusal"] == AmountMismatch.number
    mali.wants(Audience.SHOP, 5 * KGO)
    good = mali.code()
    forged = foreign_signature(good, CITY, somchai.wallet)
    assert street.scan(forged).screen == "wait_kgo", "somebody else's proof"
    assert light_of(street)["light"] in ("refused", "try_again")
    assert street.books().vouchers == vouchers
    assert street.scan(good).screen == "pay"
    again = flipped_signatures(good, CITY)  # a valid signature written in its other way is no second payment
    assert street.scan(again).screen == "pay" and light_of(street)["light"] == "already_accepted"
    for _retry in range(slice_of(20, 3)):
        assert street.scan(mali.code()).screen == "pay", "the same intent again"
        assert light_of(street)["light"] == "already_accepted"
    street.till.program.kill()
    assert street.restart().screen in ("pay", "wait_kgo"), "its green may not have been recorded as seen yet"
    assert street.scan(mali.code()).screen == "pay"
    number = number_on(street.done("cash"))
    sold = next(one for one in street.check().closed if one.number == number)
    assert (sold.kgo, sold.by("kgo"), sold.by("cash")) == (5 * KGO, 500, 5_500)


def test_lesson_13_a_refund_takes_the_reward_back_and_buying_to_return_earns_nothing(
    street: Street, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    """With KGO, at the city: round after round the wallet has what it had before."""
    nok = street.customer(2, is_new=True)
    before = balance(street, nok)
    rounds = slice_of(20, 3)
    for at in range(rounds):
        number = street.sell_with_kgo("120", 2, nok)
        made = next(one for _identity, one in street.books().vouchers if one.sequence == number)
        if not at:
            assert made.reward_kgo, "nothing was earned, so nothing is shown"
            street.till.wait_synced()
            wait_until(lambda: balance(street, nok) != before - 2 * KGO, "the reward to be posted", step_s=0.1)
        to_receipt(street, number)
        if at % 2:
            street.done("void", number=str(number))
        else:
            for part in ("50", str(rng.randrange(1, 70)), ""):
                street.done("refund_start", number=str(number))
                amount = part or rest_of(street, number)
                assert street.done("refund", number=str(number), typed=amount).screen == "receipt"
        assert street.press("refund_start", number=str(number)).refusal == NothingLeftToReturn.number
        street.done("back")
        street.done("back")
    street.till.wait_synced()
    wait_until(lambda: balance(street, nok) == before, "everything to go back", step_s=0.1)
    for sold in street.check().closed[-rounds:]:
        assert (sum(one.kgo for one in sold.back), sum(one.money_satang for one in sold.back)) == (2 * KGO, 11_800)
    report(f"bought and returned: {rounds} rounds, nothing earned and nothing lost")


def rest_of(street: Street, number: int) -> str:
    """What of a receipt is left to be returned, as it is typed."""
    sold = next(one for one in street.books().closed if one.number == number)
    left = sold.bill_satang - sum(one.goods_satang for one in sold.back)
    return f"{left // 100}.{left % 100:02d}"


def test_lesson_13_two_refund_drafts_cannot_give_back_more_than_was_paid(
    street: Street, slice_of: Callable[[int, int], int]
) -> None:
    """In two windows, one after the other and at the same moment; then against what is left."""
    for at in range(slice_of(30, 4)):
        number = street.sell("100")
        to_receipt(street, number)
        street.done("refund_start", number=str(number))
        windows = (street.hands, Hands(street.till.url))
        fields = {"number": str(number), "typed": "70"}
        if at % 2:
            answers = race(street, "refund", windows, **fields)
        else:
            answers = [street.press("refund", one, **fields) for one in windows]
        refused = [one.refusal for one in answers if one.refusal]
        assert len(refused) == 1 and set(refused) <= DONE_BEFORE, refused
        street.hands.look()
        street.done("refund_start", number=str(number))
        assert street.press("refund", number=str(number), typed="30.01").refusal == ReturnTooLarge.number
        street.hands.look()
        street.done("back")
        assert street.press("void", number=str(number)).refusal == NotToBeReturned.number
        for _ in range(2):
            street.done("back")
        sold = next(one for one in street.books().closed if one.number == number)
        assert [one.goods_satang for one in sold.back] == [7_000]


@pytest.mark.parametrize("way", ["whole", "part"])
def test_lesson_19_promptpay_is_no_payment_until_the_cashier_says_so_and_stays_unverified(
    street: Street, way: str
) -> None:
    before = len(street.books().vouchers)
    street.to_pay("90")
    street.done("promptpay", typed="" if way == "whole" else "40")
    assert street.hands.seen.screen == "promptpay" and "<svg" in street.hands.look_at_display()
    assert len(street.books().vouchers) == before, "a code on a display is no payment"
    street.till.program.kill()
    seen = street.restart()
    assert seen.screen in ("sale", "pay") and len(street.books().vouchers) == before, "nor does a start make it one"
    if seen.screen == "sale":
        street.done("pay")
    street.done("promptpay", typed="" if way == "whole" else "40")
    seen = street.done("promptpay_confirm")
    number = number_on(seen if way == "whole" else street.done("cash"))
    assert "ไม่ได้ตรวจ" in street.hands.seen.html or "unverified" in street.hands.seen.html.lower()
    now = street.books()
    made = next(one for _identity, one in now.vouchers if one.sequence == number)
    assert (made.satang, made.place[PlaceKey.VERIFIED_SATANG]) == (9_000, 0)
    wait_until(lambda: any(one.number == f"{number:06d}" for one in street.books().papers), "a paper", step_s=0.05)
    (paper,) = [one for one in street.books().papers if one.number == f"{number:06d}"]
    assert [one["is_unverified"] for one in paper.printed["tenders"] if one["kind"] == "promptpay"] == [True]
    assert now.sold and all(one.state == CLOSED for one in now.sold.values() if one.number == number)


def test_lesson_06_a_sale_put_aside_over_the_end_of_a_shift_counts_in_the_one_that_closes_it(street: Street) -> None:
    """Part of it was paid in the shift before; it can be voided in the shift whose Z has it, as any other."""
    street.to_pay("45")
    street.done("cash", typed="20")
    before = {one.sale for one in street.books().sold.values() if one.state == HELD}
    street.done("hold", typed="", label="โต๊ะ ๓")
    street.done("shift")
    street.done("close_shift")
    street.ready()
    street.done("held")
    (aside,) = {one.sale for one in street.books().sold.values() if one.state == HELD} - before
    street.done("recall", sale=aside)
    number = number_on(street.done("cash"))
    sold = street.check().sold[aside]
    assert (sold.number, sold.shift) == (number, street.books().events[-1].shift)
    street.done("receipts")
    street.done("receipt", number=str(number))
    street.done("void", number=str(number))
