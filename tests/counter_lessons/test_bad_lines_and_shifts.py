"""Lessons 4, 5, 6, 7, 15, 16: the link flaps or is dead, a voucher is rejected; shifts open and close all the same."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Event, Thread

from offline_ledger.errors import ObjectMismatch
from offline_ledger.money import KGO
from offline_ledger.protocol.device import ClockTrust, PlaceKey, VoucherKind
from offline_ledger.protocol.shop_event import SaleSums, ShopEventKind
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Charge
from offline_ledger.terminal.own_identity import DeviceFiles, open_provisioned
from offline_ledger.terminal.voucher_writer import Accepted, Identity, VoucherWriter
from simulators.demo.city import CITY
from simulators.demo.processes import wait_until
from simulators.fault_link import Mode, Plan
from simulators.shop_desk.books import z_of
from simulators.shop_desk.hands import Hands, Seen
from tests.counter_lessons.street import DEVICE, MERCHANT, Street, badge_of, number_on, pause

PLANS = (
    Plan(), Plan(mode=Mode.REFUSE), Plan(mode=Mode.BLACK_HOLE), Plan(mode=Mode.LOSE_ANSWERS), Plan(cut_up_bytes=700),
    Plan(cut_down_bytes=900), Plan(delay_ms=150),
)  # fmt: skip


class Watch:
    """Looks at a window all the time, as a cashier's eye does: every badge that the page ever showed."""

    def __init__(self, street: Street) -> None:
        self.seen: list[Seen] = []
        self._is_over = Event()
        self._hands = Hands(street.till.url)
        self._thread = Thread(target=self._run, name="watches the badge")

    def _run(self) -> None:
        while not self._is_over.wait(0.1):
            self.seen.append(self._hands.look())

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def lies(self) -> list[Seen]:
        """A green badge beside a count of what waits."""
        return [one for one in self.seen if badge_of(one) == "synced" and waits(one)]


def waits(seen: Seen) -> bool:
    """Does the badge name a count of what waits?"""
    link = seen.html.partition('id="link"')[2].partition("</p>")[0]
    return "รอส่ง" in link


def test_lesson_04_and_15_a_link_that_flaps_posts_each_sale_once_and_the_badge_is_green_only_when_nothing_waits(
    street: Street, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    flaps = slice_of(120, 9)
    numbers: list[int] = []
    with Watch(street) as watch:
        for at in range(flaps):
            street.till.network.apply(rng.choice(PLANS))
            if rng.random() < 0.5:
                street.till.network.reset_links()
            if at % 3:
                numbers.append(street.sell("20"))
            else:
                numbers.append(street.sell_with_kgo("20", 1, street.customer(at % 2)))
            street.till.program.tell("sync")
            pause(rng.uniform(0.05, 0.35))
        street.till.reconnect()
        street.till.wait_synced()
        wait_until(lambda: badge_of(watch.seen[-1]) == "synced", "a green badge on the page")
    assert numbers == list(range(numbers[0], numbers[0] + flaps))
    assert watch.lies() == []
    assert {badge_of(one) for one in watch.seen} > {"synced"}, "it was never seen waiting"
    now = street.check()
    assert [number in now.city_vouchers for number in numbers] == [True] * flaps
    report(f"a link that flaps at the counter: {flaps} sales, {len(watch.seen)} looks at the badge")


def test_lesson_05_one_rejected_voucher_blocks_none_of_the_rest_and_the_operator_sees_it(
    tmp_path: Path, seed: int
) -> None:
    """A till with a defect signs KGO that no wallet gave, between two honest sales."""
    street = Street(tmp_path, seed)
    try:
        street.ready()
        street.till.network.apply(Plan(mode=Mode.REFUSE))
        first = street.sell("30")
        assert street.till.stop() == 0
        assert sign_wrongly(street) == first + 1
        street.restart()
        last = street.sell("30")
        street.till.reconnect()
        wait_until(lambda: street.till.tell("status", "troubles")["waiting"] == 0, "all to be sent", step_s=0.1)
        found = street.books().city_vouchers
        assert sorted(found) == [first, first + 1, last] == [1, 2, 3]
        code, said = street.town.city.ask("exceptions", "--json", may_fail=True)
        (shown,) = json.loads(said)["vouchers"]
        assert code == 1 and (shown["what"], shown["device"], shown["sequence"]) == ("rejected", DEVICE, 2)
        assert shown["refusal"] == ObjectMismatch.number
        _code, words = street.town.city.ask("exceptions", may_fail=True)
        assert DEVICE in words and f"{ObjectMismatch.number} " in words and "reviewed" in words, words
        assert street.sell("30") == 4
        street.till.program.tell("sync")
        wait_until(lambda: 4 in street.books().city_vouchers, "the next sale to be posted", step_s=0.1)
        wait_until(lambda: badge_of(street.hands.look()) == "synced", "a till that works on", step_s=0.1)
        hears_of_it(street)
    finally:
        street.close()


def hears_of_it(street: Street) -> None:
    """The shop too: on the shift's screen, in its report, in what the program says and in `diagnose`, after a restart
    as well; nothing of it holds a sale up."""
    for _start in range(2):
        said = street.till.tell("status", "troubles")
        assert said["rejected"] == 1 and "(ล่าสุด 2)" in said["line_th"] and "newest: 2" in said["line_en"], said
        parts = map(json.loads, street.till.command("diagnose", "--json").splitlines())
        (facts,) = [part["facts"] for part in parts if part["part"] == "link"]
        assert (facts["rejected"], facts["rejected_newest"]) == (1, [2])
        line = street.done("shift").html.partition('id="rejected"')[2].partition("</div>")[0]
        assert "000002" in line and "เมืองไม่รับ" in line and "<dd>1</dd>" in line, line
        street.done("back")
        assert street.till.stop() == 0
        street.restart()
        street.ready()
        street.till.wait_synced()
    street.done("shift")
    report = street.done("close_shift").html
    assert "เมืองไม่รับ (สอบถามเมือง)" in report and "000002" in report


def sign_wrongly(street: Street) -> int:
    """A voucher over 5 KGO without anything that a wallet signed; its sequence."""
    folder = street.till.folder
    files = DeviceFiles(folder / "device.key", folder / "device.cert", folder / "trust.list")
    who = open_provisioned(files, CITY, DEVICE)
    journal = Journal.open(street.till.journal, device_id=DEVICE)
    writer = VoucherWriter(Identity(CITY, DEVICE, MERCHANT, who.key_id), journal, who.signer)
    sequence = journal.tail.sequence + 1
    sale: dict[int, object] = {PlaceKey.SALE: "deadbeef0001", PlaceKey.BILL_SATANG: 4_000, PlaceKey.VERIFIED_SATANG: 0}
    charge = Charge(5 * KGO, 3_500, VoucherKind.SALE, "kgo-discount", (1, 1), sale, None)
    writer.write(sequence, Accepted(charge), TimeNow(int(time.time()), ClockTrust.SYNCED, 0))
    journal.close()
    return sequence


def test_lesson_06_and_16_a_shift_closes_with_unsent_sales_and_its_z_is_what_the_city_hears(street: Street) -> None:
    """Cash, KGO, PromptPay, a discount, goods with VAT, a refund; all of it with no network, then all of it sent."""
    shift = street.books().events[-1].shift
    street.till.cut(Mode.REFUSE)
    numbers = [street.sell("120", "500"), street.sell_with_kgo("80.50", 3, street.customer(2))]
    street.done("add_item", sku="K01", typed="3×")
    street.done("add_item", sku="K05")
    street.done("bill_discount", typed="5")
    street.done("pay")
    street.done("promptpay", typed="100")
    street.done("promptpay_confirm")
    numbers.append(number_on(street.done("cash")))
    street.done("receipts")
    street.done("receipt", number=str(numbers[1]))
    street.done("refund_start", number=str(numbers[1]))
    street.done("refund", number=str(numbers[1]), typed="40.25")
    for _ in range(2):
        street.done("back")
    street.done("shift")
    street.done("cash_in", typed="50")
    street.done("count", typed="10")  # far too little: that closes nobody's way home
    z = street.done("close_shift")
    assert z.screen == "report" and badge_of(street.hands.look()) in ("offline", "sending"), badge_of(z)
    waiting = street.till.tell("status", "troubles")["waiting"]
    assert waiting >= len(numbers)
    wait_until(lambda: f">{waiting}<" in street.hands.look().html, "the report to say how many wait", step_s=0.05)
    street.till.reconnect()
    now = street.check()
    (closed,) = [one for one in now.city_events if one.what == ShopEventKind.SHIFT_CLOSED and one.shift == shift]
    assert closed.sums[:12] == z_of(now, shift), "the city heard of another Z than its receipts come to"
    for number in numbers:
        sold = next(one for one in now.closed if one.number == number)
        (told,) = [one for one in now.city_events if one.refers == number and one.what == ShopEventKind.SALE_CLOSED]
        said = SaleSums(*told.sums)
        assert (said.pieces, said.vat_satang, said.bill_satang) == (sold.pieces, sold.vat_satang, sold.bill_satang)
        assert (said.cash_satang, said.promptpay_satang, said.kgo) == (sold.by("cash"), sold.by("promptpay"), sold.kgo)
    assert [one.pieces for one in now.closed if one.number == numbers[2]] == [4]


def test_lesson_07_a_shift_opens_with_the_cable_in_and_the_internet_dead_and_is_really_open(street: Street) -> None:
    street.done("shift")
    street.done("close_shift")
    street.till.stop()
    street.till.cut(Mode.BLACK_HOLE)
    seen = street.restart()
    assert seen.screen == "no_shift"
    began_s = time.monotonic()
    assert street.done("open_shift", typed="321").screen == "sale"
    assert time.monotonic() - began_s < 2, "the shift waited for somebody who does not answer"
    street.till.program.kill()
    assert street.restart().screen == "sale", "it was never really open"
    opened = street.books().events_of(ShopEventKind.SHIFT_OPENED)[-1]
    assert opened.sums == (32_100,)
    street.sell("20")
    assert street.books().events[-1].shift == opened.shift and badge_of(street.hands.look()) != "synced"
    street.till.reconnect()
