"""Lessons 11 and 18: clocks that are days off or of 1970, and a newer program that finds a full queue."""

import time
from collections.abc import Callable
from contextlib import closing

import apsw
import pytest

from offline_ledger.errors import ClockStepped
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.limits import DAY_S
from simulators.clock import RtcFault
from simulators.demo.processes import wait_until
from simulators.fault_link import Mode, Plan
from simulators.shop_desk.hands import Seen
from tests.counter_lessons.street import TROUBLE, Street, number_on

MINUTE_S = 60
QUEUE = 25
OLDER = ("print_jobs", "audit", "audit_ends")
"""Tables that a till of before the printer and the audit log had not."""


def warns(seen: Seen) -> bool:
    """Beside the time, and in words with a number."""
    return 'class="when doubt"' in seen.html and TROUBLE.search(seen.html) is not None


@pytest.mark.parametrize("said", ["three days ahead", "three days behind", "1970"])
def test_lesson_11_a_clock_that_is_wrong_warns_the_cashier_and_orders_by_number(street: Street, said: str) -> None:
    street.till.stop()
    street.till.cut(Mode.REFUSE)
    offset_s = {"three days ahead": 3 * DAY_S, "three days behind": -3 * DAY_S, "1970": 0}[said]
    street.till.rtc.step_s(offset_s)
    if said == "1970":
        street.till.rtc.fail(RtcFault.RESET)
    try:
        street.restart()
        wait_until(lambda: warns(street.hands.look()), "the page to say so")
        numbers = [street.sell("20"), street.sell("25")]
    finally:
        street.till.rtc.fail(RtcFault.NONE)
        street.till.rtc.step_s(-offset_s)
    street.till.reconnect()
    street.till.wait_synced()
    numbers.append(street.sell("30"))
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    now = street.check()
    made = {one.sequence: one for _identity, one in now.vouchers}
    assert made[numbers[0]].trust == ClockTrust.FLOOR and made[numbers[2]].trust == ClockTrust.SYNCED
    for number in numbers:  # both times: when it was sold by the till's clock, and when the city had it by its own
        taken = now.city_vouchers[number]
        assert taken.at_s == made[number].at_s and abs(taken.received_at_s - time.time()) < MINUTE_S
    street.done("receipts")
    shown = street.hands.seen.html
    places = [shown.index(f"{number:06d}") for number in numbers]
    assert places == sorted(places, reverse=True), "the newest receipt stands first, whatever its time"


def test_lesson_11_a_clock_set_right_in_mid_sale_warns_and_the_sale_goes_on(street: Street) -> None:
    street.till.wait_synced()
    street.till.stop()
    street.till.cut(Mode.REFUSE)
    street.till.rtc.step_s(2 * DAY_S)
    street.restart()
    first = street.sell("20")
    street.to_pay("45")
    mark = street.till.program.mark()
    street.till.rtc.step_s(-2 * DAY_S)
    street.till.reconnect()
    street.till.program.wait_for(lambda one: one.get("refusal") == ClockStepped.number, mark, "the step to be told")
    wait_until(lambda: str(ClockStepped.number) in street.hands.look().html, "the cashier to be told")
    number = number_on(street.done("cash"))
    assert number == first + 1
    before, after = (next(one for _i, one in street.books().vouchers if one.sequence == n) for n in (first, number))
    assert before.at_s - after.at_s > DAY_S, "an order by time would be another one"
    street.done("receipts")
    assert street.hands.seen.html.index(f"{number:06d}") < street.hands.seen.html.index(f"{first:06d}")


def test_lesson_18_a_newer_program_finds_a_full_queue_and_an_older_file_and_loses_nothing(
    street: Street, slice_of: Callable[[int, int], int]
) -> None:
    """The shop's file as a release before the printer left it: its tables come, and every sale is sent once."""
    street.till.cut(Mode.REFUSE)
    numbers = [street.sell("20") for _ in range(slice_of(150, QUEUE))]
    street.to_pay("77")
    street.till.stop()
    with closing(apsw.Connection(str(street.till.folder / "shop.db"))) as file:
        for table in OLDER:
            file.execute(f"DROP TABLE {table}")
    street.till.network.apply(Plan(mode=Mode.REFUSE))
    seen = street.restart()
    assert seen.screen in ("sale", "pay") and "77.00" in seen.html, "the sale on the counter is gone"
    if seen.screen == "sale":
        street.done("pay")
    numbers.append(number_on(street.done("cash")))
    assert street.till.tell("status", "troubles")["waiting"] >= len(numbers)
    street.till.reconnect()
    now = street.check()
    assert [now.city_vouchers[number].outcome for number in numbers] == [1] * len(numbers)
    street.done("receipts")
    street.done("receipt", number=str(numbers[0]))
