"""Lessons 1, 2, 3 and 14: a plug pulled, an answer lost, two windows, two taps. One sale each, with its number."""

import subprocess
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from offline_ledger.errors import JournalInUse, NotNow, StaleScreen
from offline_ledger.money import KGO
from offline_ledger.protocol.device import PlaceKey
from offline_ledger.protocol.shop_event import ShopEventKind
from offline_ledger.protocol.wallet import Audience
from simulators.demo.processes import PYTHON, wait_until
from simulators.shop_desk.books import CLOSED, Books, Sold
from simulators.shop_desk.hands import UNTOLD, Hands, Seen
from simulators.shop_desk.till import PIN_TEST_ONLY
from tests.counter_lessons.street import SLOW_S, Street, number_on, pause, race

SYNC_MS = 30
"""A slow disk spreads the writes of a closing, so that a kill falls between any two of them."""
MOMENTS = (3, 1, 5, 2, 4, 0, 6)
"""Which of the writes, in the order of a slice."""
RUN_S_MAX = 30
PRESSES_MAX = 8
LATER = 75


def only_one(answers: list[Seen]) -> bool:
    """One press was done; of the other nothing, and its window was told so (or shows already what the first did)."""
    refused = [one.refusal for one in answers if one.refusal]
    return len(refused) == len(answers) - 1 and set(refused) <= {StaleScreen.number, NotNow.number, UNTOLD}


def settle(street: Street, code: str = "", disk_sync_ms: int = 0) -> int:
    """What the cashier does after a power cut: sign in, look, press what is still to be pressed, and have the customer
    show the same code again. Presses made."""
    street.till.start(disk_sync_ms)
    seen = street.done("sign_in", code="01", pin=PIN_TEST_ONLY)
    for pressed in range(PRESSES_MAX):
        is_begun = '<ul class="tenders">\n<li>' in seen.html
        match seen.screen:
            case "sale" if 'data-count="0"' in seen.html:
                return pressed
            case "done":
                return pressed
            case "sale":
                seen = street.done("pay")
            case "pay" if code and not is_begun:
                seen = street.done("kgo", typed="1")
            case "wait_kgo" if code:
                seen = street.scan(code)
            case "wait_kgo":
                seen = street.done("kgo_cancel")
            case _:
                seen = street.done("cash")
    raise AssertionError(f"not settled: {street.hands.seen.screen}")


def reached(books: Books, sale: Sold) -> str:
    """How far its closing had come."""
    made = [one for _identity, one in books.vouchers if one.place.get(PlaceKey.SALE) == sale.sale]
    if sale.state == CLOSED:
        return "4 receipt"
    if any(one.refers in {voucher.sequence for voucher in made} for one in books.events_of(ShopEventKind.SALE_CLOSED)):
        return "3 event"
    return "2 voucher" if made else "1 tender" if sale.paid else "0 nothing"


def of_sale(street: Street, before: set[str]) -> list[int]:
    """Numbers of the receipts of sales that were not there before."""
    return [one.number for one in street.books().closed if one.sale not in before]


def test_lesson_01_power_pulled_after_paid_the_sale_is_there_once_with_its_number(
    street: Street, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    """0–5 s after "paid" stood on the page; cash and KGO in turn."""
    rounds = slice_of(60, 3)
    for at in range(rounds):
        before = {one.sale for one in street.books().closed}
        number = street.sell("45", "100") if at % 2 else street.sell_with_kgo("45", 2, street.customer(0))
        pause(rng.choice((0.0, 0.0, rng.uniform(0, 0.4), rng.uniform(0, slice_of(5, 1)))))
        street.till.program.kill()
        assert settle(street) == 0, "a sale that was paid asked to be paid again"
        assert of_sale_soon(street, before) == [number]
        street.ready()
    report(f"kills after paid at the counter: {rounds}, each sale once under its number")


@pytest.mark.parametrize("way", ["cash", "kgo", "scan"])
def test_lesson_01_power_pulled_between_the_writes_of_a_closing_the_sale_is_there_once(
    street: Street, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None], way: str
) -> None:
    """On a slow disk, from the first write to the last; whatever was not there is there after the next presses. `kgo`:
    the rest of a sale that a code paid in part; `scan`: while that code is taken."""
    counts: Counter[str] = Counter()
    rounds = slice_of(70, 2 if way == "scan" else 3)
    street.till.stop()
    street.till.start(SYNC_MS)
    for at in range(rounds):
        street.ready()
        before = set(street.books().sold)
        delay_s = SYNC_MS / 1000 * (MOMENTS[at % len(MOMENTS)] + rng.uniform(0.1, 0.9))
        code = ""
        street.to_pay("45")
        if way != "cash":
            street.done("kgo", typed="1")
            customer = street.customer(1)
            customer.wants(Audience.SHOP, KGO)
            code = customer.code()
        if way == "kgo":
            street.scan(code)
        answer = street.kill_after(delay_s, "cash") if way != "scan" else kill_in_scan(street, code, delay_s)
        now = street.books()
        (new,) = [one for one in now.sold.values() if one.sale not in before]
        counts[reached(now, new)] += 1
        pressed = settle(street, code, SYNC_MS)
        numbers = of_sale_soon(street, before)
        assert len(numbers) == 1, numbers
        if answer is not None and not answer.refusal:
            assert pressed == 0 and numbers == [number_on(answer)], "it was said to be paid"
        paid = street.books().sold[new.sale]
        assert (paid.bill_satang, paid.kgo) == (4_500, 0 if way == "cash" else KGO)
    street.ready()
    street.till.stop()
    report(f"kills between the writes of a closing, {way}: {dict(sorted(counts.items()))}")


def kill_in_scan(street: Street, code: str, delay_s: float) -> None:
    """The plug is pulled while a code is read, judged, signed and written."""
    since_ns = street.till.journal_touched_ns()
    street.till.begin_show(code)
    street.till.kill_at(delay_s, since_ns, give_up_s=0.3)


def test_lesson_01_power_pulled_while_a_shift_is_closed_it_closes_once_and_its_report_is_there_once(
    street: Street, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    """Whoever signs in next sees the Z report that nobody saw, and it is on its way to the printer."""
    counts: Counter[str] = Counter()
    rounds = slice_of(40, 2)
    street.till.stop()
    street.till.start(SYNC_MS)
    for at in range(rounds):
        street.ready()
        shift = street.books().events_of(ShopEventKind.SHIFT_OPENED)[-1].shift
        street.sell("45")
        street.done("next")
        street.done("shift")
        answer = street.kill_after(SYNC_MS / 1000 * ((at % 3 or 0.3) + rng.uniform(0, 0.9)), "close_shift")
        is_closed, is_on_paper = z_of(street, shift)
        counts["2 report" if is_on_paper else "1 event" if is_closed else "0 nothing"] += 1
        assert is_closed or answer is None, "it was said to be closed"
        street.till.start(SYNC_MS)
        street.done("sign_in", code="01", pin=PIN_TEST_ONLY)
        if is_closed and not is_on_paper:
            wait_until(lambda: street.hands.look().screen == "report", "the report on the screen")
            assert street.done("back").screen == "no_shift"
        elif not is_closed:
            street.done("shift")
            street.done("close_shift")
        assert z_of(street, shift) == (1, 1)
    street.ready()
    street.till.stop()
    report(f"kills while a shift is closed: {dict(sorted(counts.items()))}")


def z_of(street: Street, shift: int) -> tuple[int, int]:
    """How often a shift was closed, and how often its report was made."""
    now = street.books()
    closed = [one.shift for one in now.events_of(ShopEventKind.SHIFT_CLOSED)]
    made = [one.number.removeprefix("z_report ") for one in now.papers if one.kind == "z_report"]
    return closed.count(shift), made.count(f"{shift:06d}")


def test_lesson_02_the_answer_is_lost_and_the_key_pressed_again_one_sale(
    street: Street, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    rounds = slice_of(100, 8)
    for at in range(rounds):
        before = {one.sale for one in street.books().closed}
        street.to_pay("45")
        old = street.hands.seen
        pause(2 * SLOW_S)
        street.hands.press_unheard("cash", waits=at % 4 != 3, typed="100")
        again = street.press("cash", typed="100")  # on the picture that was there before
        if again.refusal:
            assert again.refusal in (StaleScreen.number, NotNow.number) and again.screen == "done", again.refusal
        assert street.hands.look().screen == "done" and street.hands.seen.revision > old.revision
        assert of_sale_soon(street, before) == [number_on(street.hands.seen)]
        street.done("next")
    report(f"answers lost at the counter: {rounds}, one sale each")


def of_sale_soon(street: Street, before: set[str]) -> list[int]:
    """The same, once what is written behind the cashier's back is there."""
    for _ in range(100):
        if found := of_sale(street, before):
            return found
        pause(0.05)
    raise AssertionError("no new receipt")


def test_lesson_03_two_tabs_and_a_second_program_make_no_second_sale_and_repeat_no_number(
    street: Street, slice_of: Callable[[int, int], int]
) -> None:
    numbers: list[int] = []
    for at in range(slice_of(60, 6)):
        first, second = street.hands, Hands(street.till.url)
        street.to_pay("45")
        second.look()
        if at % 2:
            answers = race(street, "cash", (first, second), typed="50")
        else:
            answers = [street.press("cash", one, typed="50") for one in (first, second)]
        assert only_one(answers), answers
        shown = [one.look().html.partition("<main")[2] for one in (first, second)]
        assert shown[0] and shown[0] == shown[1], "two windows show the same till; each its own refusal above it"
        numbers.append(number_on(first.seen))
        street.done("next")
    assert numbers == sorted(set(numbers))
    command = (*PYTHON, "pos_app", "--settings", str(street.till.settings_file))
    second_program = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False, input="")
    assert second_program.returncode == LATER and second_program.stderr.startswith(f"{JournalInUse.number} ")
    assert street.sell("20") == numbers[-1] + 1


def test_lesson_14_a_double_tap_on_pay_and_on_cash_is_one_tap(
    street: Street, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    """The guard is the till's, not the page's: both taps arrive."""
    rounds = slice_of(60, 6)
    for _ in range(rounds):
        before = {one.sale for one in street.books().closed}
        street.done("add_amount", typed="45")
        for action in ("pay", "cash"):
            answers = race(street, action, [Hands(street.till.url) for _ in range(2)])
            assert only_one(answers), answers
        street.hands.look()
        assert of_sale_soon(street, before) == [number_on(street.hands.seen)]
        street.done("next")
    report(f"double taps on pay and cash: {2 * rounds}, none of them twice")


def test_lesson_14_a_double_tap_on_a_part_of_the_bill_takes_it_once(
    street: Street, slice_of: Callable[[int, int], int]
) -> None:
    """The screen is the same one after the first tap: only the picture that was pressed tells the two apart."""
    for at in range(slice_of(40, 4)):
        street.to_pay("45")
        if at % 2:
            answers = race(street, "cash", [Hands(street.till.url) for _ in range(2)], typed="20")
            assert only_one(answers), answers
        else:
            pause(2 * SLOW_S)  # nobody hears of a press that came too fast
            street.hands.press_unheard("cash", typed="20")  # the answer is lost, and the key pressed again
            assert street.press("cash", typed="20").refusal == StaleScreen.number
        street.hands.look()
        number = number_on(street.done("cash"))
        street.done("next")
        wait_until(
            lambda number=number: number in {one.number for one in street.books().closed}, "a receipt", step_s=0.05
        )
        (sold,) = [one for one in street.books().closed if one.number == number]
        assert [satang for _kind, satang, *_rest in sold.paid] == [2_000, 2_500]
