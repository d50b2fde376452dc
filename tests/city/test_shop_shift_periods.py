"""Shifts of a period, and of a busy till: what is read of a year, and that the answer is the same. DESIGN §8."""

import time
from collections.abc import Callable
from random import Random

import pytest

from offline_ledger.city.shop_shift_check import Wanted, shop_shifts
from offline_ledger.city.shop_shifts import Checked, Fold
from offline_ledger.protocol.device import DeviceRole, VoucherKind
from offline_ledger.protocol.shop_event import ShopEvent, encode_shop_event
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.limits import DAY_S
from tests.city.shop_counter import PLAIN_SALE, Counter, E
from tests.city.town import NOW_S, Town


@pytest.fixture
def counter(town: Town) -> Counter:
    return Counter(town, town.terminal("pos-1", DeviceRole.SHOP))


def test_a_period_says_what_the_whole_says_of_it(
    counter: Counter, rng: Random, slice_of: Callable[[int, int], int]
) -> None:
    """Sales put aside, cancelled ones and lies cross the edges of days; each event is sent on its own day."""
    town, day = counter.town, civil_day(NOW_S)
    sent, aside = 0, [0][:0]
    days = slice_of(60, 25)
    for at in range(days):
        counter.open()
        if at == 5:
            counter.voucher(7_777)  # of which nobody tells
        if at == 7:
            counter.sell(8_000, lies={"cash_satang": 7_000, "promptpay_satang": 900})
        for _ in range(rng.randrange(4)):
            match rng.randrange(9):
                case 0:
                    aside.append(counter.voucher(8_000))
                case 1 if aside:
                    counter.say(E.SALE_CLOSED, PLAIN_SALE, aside.pop())
                case 2 if aside:
                    plain = {"satang": 8_000, "product": "all", "place": {}, "refers_to": aside.pop()}
                    counter.terminal.voucher(VoucherKind.VOID, NOW_S, **plain)
                case 3 if sent:
                    counter.say(E.SALE_CLOSED, PLAIN_SALE, rng.randrange(1, sent + 1))
                case _:
                    counter.sell(rng.randrange(1, 9_000))
        counter.close()
        town.send(counter.terminal, counter.at_s + 60, first=sent + 1, first_event=len_of(town) + 1)
        sent = len(counter.terminal.vouchers)
        counter.at_s += DAY_S
    with town.store.snapshot():
        whole = shop_shifts(town.store, Wanted())
        for first in range(days):
            part = shop_shifts(town.store, Wanted(first_day=day + first, last_day=day + first + 2))
            assert part == [one for one in whole if day + first <= civil_day(one.at_s) <= day + first + 2], first
    assert {one.checked for one in whole} >= {Checked.EQUAL, Checked.DIFFERS}, "some of each"


def len_of(town: Town) -> int:
    """How many events the city has."""
    row = town.store.one("SELECT count(*) FROM events")
    assert row is not None
    return row[0]


def test_a_day_of_a_busy_year_reads_no_year(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came long before is neither decoded nor counted."""
    for _ in range(20):
        counter.open()
        counter.sell(8_000)
        counter.close()
        counter.shifts()
        counter.at_s += DAY_S
    town = counter.town
    with town.store.transaction():
        town.store.execute("UPDATE events SET received_at_s = ? + number / 3 * ?", (NOW_S, DAY_S))
    day, read, taken = civil_day(NOW_S), Fold.take, list[int]()

    def take(fold: Fold, number: int, body: bytes, received_at_s: int) -> None:
        taken.append(number)
        read(fold, number, body, received_at_s)

    monkeypatch.setattr(Fold, "take", take)
    [shift] = counter.shifts(first_day=day + 15, last_day=day + 15)
    assert (shift.number, shift.checked, shift.findings) == (16, Checked.EQUAL, [])
    assert 37 <= taken[0] < 46 and taken == list(range(taken[0], 61)), taken


def test_a_hundred_thousand_events_are_read_in_seconds(
    counter: Counter, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    """Sound sales of a busy year, each with a voucher of its own; written past the ingest, which has its own bench."""
    sales = slice_of(100_000, 10_000)
    counter.open()
    counter.sell(8_000)
    counter.shifts()
    store, event = counter.town.store, ShopEvent(17, NOW_S, 2, 1, "01", 1, 1, tuple(PLAIN_SALE), "")
    bodies = (encode_shop_event(event._replace(after=number, refers=number)) for number in range(2, sales + 1))
    with store.transaction():
        store.execute_many(
            "INSERT INTO vouchers SELECT device, ?, randomblob(32), raw, objects, outcome, refusal, leaf, kind, kgo,"
            " satang, at_s, received_at_s, late, refers_to FROM vouchers WHERE device = 'pos-1' AND sequence = 1",
            ((number,) for number in range(2, sales + 1)),
        )
        store.execute_many("INSERT INTO events VALUES('pos-1', ?, 9, ?, x'00', 1)", enumerate(bodies, 3))
    began_s = time.process_time()
    with store.snapshot():
        [shift] = shop_shifts(store, Wanted())
    spent_s = time.process_time() - began_s
    report(f"{sales} sales of one till in {spent_s:.1f} s")
    assert (shift.sales, shift.checked, shift.findings) == (sales, Checked.EQUAL, [])
    assert spent_s * 1_000_000 < 300 * sales
