"""The shift in the journal: its sums are the fold of its events wherever the power goes, and each is counted once."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from hypothesis import HealthCheck, given, settings

from offline_ledger.errors import (
    AmountNotPositive,
    CashNotInDrawer,
    JournalDamaged,
    ShiftOpen,
    ShiftShut,
    StorageFailed,
    StorageFull,
)
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import EventKind
from offline_ledger.protocol.shop_event import SaleSums, ShopEvent, ShopEventKind, audit_head_of, decode_shop_event
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.station import Station
from pos_app.counter.shift_book import ShiftTotals, applied
from pos_app.shift_keeper import SHIFT_META, ShiftKeeper
from simulators.storage.disk import DiskFaults, simulated_disk
from simulators.storage.memory import MemoryDisk, MemoryVfs
from simulators.storage.power_cut import crash_images
from simulators.storage.vouchers import VoucherFeed
from tests.pos_app.counter.shop_events import EVENTS
from tests.terminal.desk import DeskConditions
from tests.terminal.journal_run import LIMITS

SUMS = SaleSums(12_000, 2_000, 2_000, 0, 10_000, 0, 785, 3, 0)
BACK = SaleSums(6_000, 1_000, 1_000, 0, 5_000, 0, 392, 1, 0)


class Clock:
    """The keeper of the time, as far as a shift asks it."""

    def time(self) -> TimeNow:
        return DeskConditions().now


class Parts(NamedTuple):
    """Of a station; the journal is real."""

    journal: Journal
    keeper: Clock = Clock()


def keeper_on(journal: Journal) -> ShiftKeeper:
    return ShiftKeeper(cast(Station, Parts(journal)))


def events_in(journal: Journal) -> list[ShopEvent]:
    found = journal.events_after(0, 1_000)
    return [decode_shop_event(one.body) for one in found if one.kind == EventKind.SHIFT]


def folded(events: list[ShopEvent]) -> ShiftTotals:
    made = ShiftTotals()
    for event in events:
        made = applied(made, event)
    return made


class Till:
    """A journal on a disk that the test can spoil, and its shift."""

    def __init__(self, journal: Journal, faults: DiskFaults, rng: random.Random) -> None:
        self.journal, self.faults = journal, faults
        self.feed = VoucherFeed(rng, passes=3)
        self.keeper = keeper_on(journal)

    def voucher(self) -> int:
        """Some voucher; its sequence."""
        taking = self.feed.next()
        self.journal.append(taking.row, state=taking.state, allowance=taking.allowance)
        return self.journal.tail.sequence

    def sell(self, sale: str, sums: SaleSums = SUMS) -> int:
        sequence = self.voucher()
        self.keeper.sale_closed("01", sale, sequence, sums)
        return sequence

    @property
    def kinds(self) -> list[int]:
        return [event.what for event in events_in(self.journal)]

    def again(self) -> ShiftKeeper:
        """What a start finds."""
        return keeper_on(self.journal)


@pytest.fixture
def till(tmp_path: Path, rng: random.Random) -> Iterator[Till]:
    faults = DiskFaults()
    with simulated_disk(f"shift-{tmp_path.name}", faults) as disk:
        made = Till(
            Journal.open(tmp_path / "journal.db", device_id="till-1", vfs=disk.name, limits=LIMITS), faults, rng
        )
        yield made
        faults.sync_fails_at, faults.writes_fail, faults.is_full = None, False, False
        made.journal.close()


K = ShopEventKind


def test_a_shift_from_its_float_to_its_report(till: Till) -> None:
    keeper = till.keeper
    assert keeper.totals == ShiftTotals()
    keeper.open("01", 50_000)
    sequence = till.sell("s1")
    keeper.cash_in("01", 1_000, "change")
    keeper.cash_out("01", 2_000, "ice")
    keeper.returned("01", till.voucher(), BACK)
    keeper.drawer_opened("01", "note")
    keeper.counted("01", 53_000)
    keeper.counted("01", 53_000, handed_to="02")
    closed = keeper.close("02")
    assert till.kinds == [*(K.SHIFT_OPENED, K.SALE_CLOSED, K.CASH_IN, K.CASH_OUT, K.RETURNED, K.DRAWER_OPENED),
                          *(K.COUNTED, K.HANDED_OVER, K.SHIFT_CLOSED)]  # fmt: skip
    assert closed == folded(events_in(till.journal)) == till.again().totals
    assert (closed.number, closed.is_open, closed.expected_satang, closed.counted_satang) == (1, False, 54_000, 53_000)
    assert (closed.first_sequence, closed.last_sequence) == (1, 2)
    sold = events_in(till.journal)[1]
    assert (sold.refers, sold.after, sold.shift, sold.cashier) == (sequence, sequence, 1, "01")
    said = (1, 12_000, 2_000, 2_000, 0, 10_000, 0, 6_000, 1_000, 5_000, 1_000, 2_000, 50_000, 54_000, 53_000)
    assert events_in(till.journal)[-1].sums == said
    keeper.open("03", 0)
    assert keeper.totals == ShiftTotals(2, True, closed.opened_at_s, 0, first_sequence=3)


def test_outside_of_a_shift_nothing_is_sold_and_no_shift_is_opened_twice(till: Till) -> None:
    keeper, sequence = till.keeper, till.voucher()
    shut: list[Callable[[], object]] = [
        lambda: keeper.sale_closed("01", "s1", sequence, SUMS),
        lambda: keeper.returned("01", sequence, BACK),
        lambda: keeper.cash_in("01", 1, ""),
        lambda: keeper.cash_out("01", 1, ""),
        lambda: keeper.counted("01", 1),
        lambda: keeper.close("01"),
    ]
    for refused in shut:
        with pytest.raises(ShiftShut):
            refused()
    keeper.open("01", 0)
    with pytest.raises(ShiftOpen):
        keeper.open("01", 0)
    assert till.kinds == [K.SHIFT_OPENED]


def test_cash_out_of_an_empty_drawer_is_refused(till: Till) -> None:
    till.keeper.open("01", 100)
    with pytest.raises(CashNotInDrawer):
        till.keeper.cash_out("01", 101, "")
    with pytest.raises(AmountNotPositive):
        till.keeper.cash_out("01", 0, "")
    till.keeper.cash_out("01", 100, "")
    assert till.keeper.totals.expected_satang == 0


def test_a_sale_and_a_return_are_counted_once_whenever_they_are_told_again(till: Till) -> None:
    till.keeper.open("01", 0)
    first = till.sell("s1")
    second = till.sell("s2")
    back = till.voucher()
    till.keeper.returned("01", back, BACK)
    for keeper in (till.keeper, till.again()):
        for sale, sequence in (("s1", first), ("s2", second)):
            keeper.sale_closed("01", sale, sequence, SUMS)
        keeper.returned("01", back, BACK)
        assert (keeper.totals.sales, keeper.totals.refunds) == (2, 1)
    assert folded(events_in(till.journal)) == till.keeper.totals


def test_a_drawer_that_gave_more_than_it_had_closes_all_the_same(till: Till) -> None:
    till.keeper.open("01", 0)
    till.keeper.returned("01", till.voucher(), BACK._replace(is_void=1))
    till.keeper.counted("01", 0)
    closed = till.keeper.close("01")
    assert (closed.expected_satang, closed.voids) == (-5_000, 1)
    assert till.again().totals == closed


def test_amounts_by_mistake_as_long_as_a_keypad_has_digits_never_keep_a_shift_open(till: Till) -> None:
    till.keeper.open("01", AMOUNT_MINOR_MAX)
    till.keeper.cash_in("01", AMOUNT_MINOR_MAX, "a barcode")
    till.keeper.counted("01", 1, handed_to="02")
    closed = till.keeper.close("02")
    assert closed.expected_satang == 2 * AMOUNT_MINOR_MAX and not till.again().totals.is_open
    assert folded(events_in(till.journal)) == closed


@pytest.mark.parametrize("is_full", [False, True])
def test_a_disk_that_refuses_leaves_sums_and_events_alike(till: Till, is_full: bool) -> None:
    till.keeper.open("01", 0)
    sequence, before = till.voucher(), till.keeper.totals
    till.faults.writes_fail, till.faults.is_full = not is_full, is_full
    with pytest.raises((StorageFailed, StorageFull)):
        for _ in range(2_000):  # a full disk still has what the journal keeps in reserve
            till.keeper.drawer_opened("01", "x" * 80)
    till.faults.writes_fail = till.faults.is_full = False
    till.journal.reopen_and_verify()
    assert till.keeper.totals == before
    till.keeper.sale_closed("01", "s1", sequence, SUMS)
    assert till.keeper.totals == folded(events_in(till.journal)) == till.again().totals
    assert till.keeper.totals.sales == 1


def test_an_event_whose_sync_failed_is_known_after_the_journal_is_read_again(till: Till) -> None:
    till.keeper.open("01", 0)
    sequence = till.voucher()
    till.faults.sync_fails_at = 1
    with pytest.raises(StorageFailed):
        till.keeper.sale_closed("01", "s1", sequence, SUMS)
    till.journal.reopen_and_verify()
    till.keeper.sale_closed("01", "s1", sequence, SUMS)  # pressed again
    assert till.keeper.totals.sales == 1 == [event.what for event in events_in(till.journal)].count(K.SALE_CLOSED)
    assert till.keeper.totals == till.again().totals == folded(events_in(till.journal))


@pytest.mark.parametrize(
    "kept",
    [b"", b"\xff", cbor.encode(7), cbor.encode([]), cbor.encode(["s1", 1]), cbor.encode([1] * 28), bytes(5_000)],
    ids=range(7),
)
def test_sums_that_no_till_kept_are_a_damaged_journal(till: Till, kept: bytes) -> None:
    till.journal.meta_put(SHIFT_META, kept)
    with pytest.raises(JournalDamaged):
        till.again()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(events=EVENTS)
def test_random_shifts_are_the_fold_of_their_events(events: list[ShopEvent], tmp_path: Path) -> None:
    vfs = MemoryVfs(f"fold-{tmp_path.name}", MemoryDisk())
    try:
        journal = Journal.open(Path("journal.db"), device_id="till-1", vfs=vfs.name)
        keeper = keeper_on(journal)
        keeper.open("01", 10**9)
        for number, event in enumerate(events):
            play(keeper, event, number)
        assert keeper.totals == folded(events_in(journal)) == keeper_on(journal).totals
        journal.close()
    finally:
        vfs.unregister()


def play(keeper: ShiftKeeper, event: ShopEvent, number: int) -> None:
    """The same as a cashier would do it; a shift that closes is followed by another."""
    match ShopEventKind(event.what):
        case K.SALE_CLOSED:
            keeper.sale_closed("01", f"s{number}", number + 1, SaleSums(*event.sums))
        case K.RETURNED:
            keeper.returned("01", number + 1, SaleSums(*event.sums))
        case K.CASH_IN:
            keeper.cash_in("01", event.sums[0], "")
        case K.CASH_OUT:
            if 0 < event.sums[0] <= keeper.totals.expected_satang:
                keeper.cash_out("01", event.sums[0], "")
        case K.SHIFT_CLOSED:
            keeper.close("01")
            keeper.open("02", 5)
        case _:
            keeper.counted("01", event.sums[0])


def test_a_power_cut_at_any_step_leaves_the_sums_of_the_events_that_are_there(
    rng: random.Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    vfs = MemoryVfs("shift-cut", MemoryDisk())
    promised: list[tuple[int, int]] = []
    try:
        journal = Journal.open(Path("journal.db"), device_id="till-1", vfs=vfs.name)
        till, keeper = Till(journal, DiskFaults(), rng), keeper_on(journal)
        keeper.open("01", 50_000)
        for number in range(2):
            keeper.sale_closed("01", f"s{number}", till.voucher(), SUMS)
            promised.append((len(vfs.disk.record), number + 1))
        keeper.returned("01", till.voucher(), BACK)
        keeper.close("01")
        record = list(vfs.disk.record)
        journal.close()
        images = 0
        for image in crash_images(record, rng, slice_of(12, 1)):
            images += 1
            vfs.disk = image.disk()
            found = Journal.open(Path("journal.db"), device_id="till-1", vfs=vfs.name)
            kept = keeper_on(found)
            assert kept.totals == folded(events_in(found)), f"cut after step {image.after} ({image.how})"
            sure = max((sales for since, sales in promised if since <= image.after), default=0)
            assert kept.totals.sales >= sure
            assert kept.last_closed == (f"s{kept.totals.sales - 1}" if kept.totals.sales else "")
            found.close()
    finally:
        vfs.unregister()
    report(f"power cut in a shift: {images} crash images, sums and events alike in all")
    assert images > len(record)


def test_the_audit_logs_head_stands_in_the_journal_and_changes_no_sum(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", device_id="till", limits=LIMITS)
    keeper = keeper_on(journal)
    keeper.audit_head("", 3, b"\x01" * 32)
    keeper.open("01", 50_000)
    before = keeper.totals
    keeper.audit_head("01", 4, b"\xab" * 32)
    assert keeper.totals == before == keeper_on(journal).totals
    told = [one for one in events_in(journal) if one.what == ShopEventKind.AUDIT_HEAD]
    assert [(one.shift, one.cashier, audit_head_of(one)) for one in told] == [
        (0, "", (3, "01" * 32)),
        (1, "01", (4, "ab" * 32)),
    ]
    journal.close()
