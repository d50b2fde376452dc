"""What a shop's shifts say, held against the vouchers that the city posted; and every lie that a till can tell there.

Vouchers and events are signed by hand and go through the real ingest. DESIGN §5, §7, §8.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offline_ledger.city.shop_shift_check import Wanted, shop_shifts
from offline_ledger.city.shop_shifts import FINDINGS_MAX, SHIFTS_MAX, Checked, Finding, Fold, Key, ShopShift
from offline_ledger.errors import OwnerUnknown, UnknownDevice
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol.device import DeviceRole, VoucherKind
from offline_ledger.protocol.shop_event import SaleSums, ShopEvent, encode_shop_event
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.limits import DAY_S
from tests.city.shop_counter import FLOAT_SATANG, PLAIN_SALE, Counter, E, put
from tests.city.town import NOW_S, Town


@pytest.fixture
def counter(town: Town) -> Counter:
    return Counter(town, town.terminal("pos-1", DeviceRole.SHOP))


def keys(shift: ShopShift) -> list[Key]:
    return [finding.key for finding in shift.findings]


def test_an_honest_shift_equals_its_vouchers(counter: Counter) -> None:
    counter.open()
    first = counter.sell(8_000, 2_000)
    counter.sell(5_000, promptpay_satang=3_000)
    third = counter.sell(1_000)
    counter.back(first, 4_000, 1_000)
    counter.back(third, 1_000, is_void=True)
    counter.say(E.CASH_IN, [700])
    counter.say(E.CASH_OUT, [200])
    counter.z[10], counter.z[11] = 700, 200
    counter.say(E.DRAWER_OPENED)
    counter.close(counted_satang=53_400)
    counter.open()
    [one, two] = counter.shifts()
    assert one.findings == [] and one.checked is Checked.EQUAL
    assert (one.device, one.owner, one.number, one.cashiers) == ("pos-1", "noodles", 1, ["01"])
    assert (one.sales, one.voids, one.refunds, one.bill_satang, one.kgo) == (3, 1, 1, 14_000, 2_000)
    assert (one.cash_satang, one.promptpay_satang, one.back_satang, one.back_kgo) == (9_000, 3_000, 5_000, 1_000)
    assert (one.expected_satang, one.counted_satang, one.difference_satang) == (55_500, 53_400, -2_100)
    assert (one.opened_at_s, one.closed_at_s, one.is_open) == (NOW_S, NOW_S, False)
    assert (two.number, two.is_open, two.checked, two.float_satang) == (2, True, Checked.EQUAL, FLOAT_SATANG)


@pytest.mark.parametrize(
    ("lies", "expected"),
    [
        ({"kgo": 2_001}, [("kgo", 2_001, 2_000)]),
        ({"bill_satang": 8_001, "cash_satang": 6_001}, [("money", 6_001, 6_000), ("bill", 8_001, 8_000)]),
        ({"cash_satang": 5_000, "promptpay_satang": 1_000}, []),
        ({"coupon_satang": 500, "cash_satang": 5_500}, [("coupon", 500, 0), ("money", 5_500, 6_000)]),
    ],
)
def test_a_sale_that_says_otherwise_than_its_voucher_is_named(
    counter: Counter, lies: dict[str, int], expected: list[tuple[str, int, int]]
) -> None:
    counter.open()
    counter.sell(8_000, 2_000, lies=lies)
    [shift] = counter.shifts()
    assert [(one.what, one.said, one.found) for one in shift.findings] == expected
    assert all((one.key, one.voucher) == (Key.LEG, 1) for one in shift.findings)
    assert shift.checked is (Checked.DIFFERS if expected else Checked.EQUAL)


def test_a_report_that_is_not_the_sum_of_its_sales_is_named(counter: Counter) -> None:
    counter.open()
    counter.sell(8_000)
    counter.z[1] -= 1_000
    counter.z[0] = 0
    counter.close()
    [shift] = counter.shifts()
    assert shift.findings == [
        Finding(Key.REPORT, 3, what="sales", said=0, found=1),
        Finding(Key.REPORT, 3, what="bill", said=7_000, found=8_000),
    ]


def test_a_drawer_that_should_hold_something_else_is_named(counter: Counter) -> None:
    counter.open()
    counter.sell(8_000)
    counter.say(E.COUNTED, [58_000, 57_000])
    [shift] = counter.shifts()
    assert shift.findings == [Finding(Key.EXPECTED, 3, what="expected", said=57_000, found=58_000)]


def test_what_is_not_here_yet_waits_and_then_is_equal(counter: Counter) -> None:
    counter.open()
    counter.sell(8_000)
    counter.sell(5_000)
    counter.town.send(counter.terminal, last=1)
    with counter.town.store.snapshot():
        [shift] = shop_shifts(counter.town.store, Wanted())
    assert (shift.findings, shift.checked) == ([Finding(Key.NOT_HERE, 3, 2, found=1)], Checked.WAITING)
    counter.town.send(counter.terminal, first=2, first_event=4)
    with counter.town.store.snapshot():
        [shift] = shop_shifts(counter.town.store, Wanted())
    assert (shift.findings, shift.checked) == ([], Checked.EQUAL)


def test_a_voucher_without_its_event_waits(counter: Counter) -> None:
    counter.open()
    counter.voucher(8_000)
    counter.close()
    counter.open()
    one, two = counter.shifts()
    assert (one.findings, one.checked) == ([Finding(Key.UNTOLD, voucher=1)], Checked.WAITING)
    assert two.checked is Checked.EQUAL


def test_a_sale_that_was_taken_back_before_it_was_closed_is_none(counter: Counter) -> None:
    counter.open()
    counter.voucher(8_000)
    counter.terminal.voucher(VoucherKind.VOID, NOW_S, satang=8_000, product="all", place={}, refers_to=1)
    counter.close()
    assert [one.checked for one in counter.shifts()] == [Checked.EQUAL]


def test_a_sale_put_aside_may_be_closed_in_the_next_shift(counter: Counter) -> None:
    counter.open()
    sequence = counter.voucher(8_000)
    counter.close()
    counter.open()
    counter.say(E.SALE_CLOSED, SaleSums(8_000, 0, 0, 0, 8_000, 0, 0, 1, 0), sequence)
    assert [one.checked for one in counter.shifts()] == [Checked.EQUAL, Checked.EQUAL]


def test_a_rejected_voucher_is_named_with_its_reason(counter: Counter) -> None:
    counter.open()
    counter.sell(8_000, 2_000)
    counter.terminal.vouchers[-1] = (counter.terminal.vouchers[-1][0], ())  # what the wallet signed is left out
    [shift] = counter.shifts()
    [finding] = shift.findings
    assert (finding.key, finding.voucher, shift.checked) == (Key.REJECTED, 1, Checked.DIFFERS) and finding.found


def test_what_is_held_waits(counter: Counter) -> None:
    with counter.town.store.transaction():
        counter.town.store.execute("UPDATE devices SET blocked = 1, blocked_reason = 'a fork'")
    counter.open()
    counter.sell(8_000)
    [shift] = counter.shifts()
    assert (keys(shift), shift.checked) == ([Key.HELD], Checked.WAITING)


LIES: list[tuple[str, Callable[[Counter], None], list[Key]]] = [
    ("no CBOR", lambda counter: put(counter.terminal, b"\xff\x00"), [Key.UNREADABLE]),
    ("too few sums", lambda counter: counter.say(E.SALE_CLOSED, [1, 2], 1), [Key.SUMS]),
    ("no sum", lambda counter: counter.say(E.CASH_IN), [Key.SUMS]),
    ("three sums", lambda counter: counter.say(E.COUNTED, [58_000, 58_000, 1]), [Key.SUMS]),
    ("a short report", lambda counter: counter.say(E.SHIFT_CLOSED, [1]), [Key.SUMS]),
    ("another shift", lambda counter: counter.say(E.CASH_IN, [1], shift=9), [Key.OTHER_SHIFT]),
    ("a kind of later", lambda counter: counter.say(31), [Key.UNKNOWN]),
    ("no link", lambda counter: counter.say(E.AUDIT_HEAD, [1], note="x"), [Key.SUMS]),
    ("the same again", lambda counter: counter.say(E.SALE_CLOSED, PLAIN_SALE, 1), [Key.TWICE]),
    ("nothing", lambda counter: counter.say(E.SALE_CLOSED, PLAIN_SALE, 0), [Key.REFERS]),
    ("the future", lambda counter: counter.say(E.SALE_CLOSED, PLAIN_SALE, 1 << 47), [Key.REFERS]),
    ("nowhere", lambda counter: counter.say(E.SALE_CLOSED, PLAIN_SALE, 9, after=9), [Key.NOT_HERE]),
    ("a sale that is none", lambda counter: _other_kind(counter), [Key.KIND]),
    ("a sum that is none", lambda counter: _sell_crooked(counter), [Key.ADDS_UP]),
]


def _other_kind(counter: Counter) -> None:
    counter.terminal.voucher(VoucherKind.REFUND, NOW_S, satang=100, product="all", place={}, refers_to=1)
    counter.say(E.SALE_CLOSED, PLAIN_SALE, 2)


def _sell_crooked(counter: Counter) -> None:
    counter.sell(8_000, lies={"kgo_satang": 1})


@pytest.mark.parametrize(("_name", "lie", "expected"), LIES, ids=[lie[0] for lie in LIES])
def test_each_lie_is_a_finding_and_the_shift_stays(
    counter: Counter, _name: str, lie: Callable[[Counter], None], expected: list[Key]
) -> None:
    counter.open()
    counter.sell(8_000)
    lie(counter)
    [shift] = counter.shifts()
    assert keys(shift) == expected
    waits = {Key.UNKNOWN, Key.NOT_HERE}
    assert shift.checked is (Checked.WAITING if set(expected) <= waits else Checked.DIFFERS)


def test_the_same_voucher_in_two_shifts_is_named_in_the_second(counter: Counter) -> None:
    counter.open()
    sequence = counter.sell(8_000)
    counter.close()
    counter.open()
    counter.say(E.SALE_CLOSED, PLAIN_SALE, sequence)
    one, two = counter.shifts()
    assert one.checked is Checked.EQUAL
    assert two.findings == [Finding(Key.TWICE, 4 + 1, sequence, said=2, found=1)]


def test_numbers_that_go_back_and_shifts_that_were_never_closed_are_named(counter: Counter) -> None:
    counter.open()
    counter.open()
    counter.shift = 0
    counter.open()
    counter.close()
    counter.say(E.CASH_OUT, [1])
    one, two, three, four = counter.shifts()
    assert keys(one) == [Key.NOT_CLOSED] and keys(two) == [Key.NOT_CLOSED]
    assert three.findings == [Finding(Key.NUMBER, 3, said=1, found=3)]
    assert keys(four) == [Key.NO_OPENING] and four.opened_at_s is None and four.is_open
    assert not one.is_open and one.closed_at_s is None


def test_events_that_a_restore_lost_make_a_shift_wait(counter: Counter) -> None:
    counter.open()
    counter.sell(8_000)
    counter.say(E.CASH_IN, [700])
    counter.z[10] = 700
    counter.close()
    counter.open()
    counter.shifts()
    with counter.town.store.transaction():
        store = counter.town.store
        store.execute("DELETE FROM events WHERE number = 3")
        store.execute("INSERT INTO event_gaps VALUES('pos-1', 3, 3, x'00', ?)", (NOW_S,))
    with counter.town.store.snapshot():
        one, two = shop_shifts(counter.town.store, Wanted())
    assert (keys(one), one.checked, one.in_satang) == ([Key.LOST], Checked.WAITING, 0)
    assert two.checked is Checked.EQUAL


def test_a_lost_opening_makes_the_next_shift_wait(counter: Counter) -> None:
    for _ in range(3):
        counter.open()
        counter.sell(8_000)
        counter.close()
    counter.shifts()
    with counter.town.store.transaction():
        store = counter.town.store
        store.execute("DELETE FROM events WHERE number BETWEEN 3 AND 4")
        store.execute("INSERT INTO event_gaps VALUES('pos-1', 3, 4, x'00', ?)", (NOW_S,))
    with counter.town.store.snapshot():
        found = shop_shifts(counter.town.store, Wanted())
    assert [one.number for one in found] == [1, 2, 3]
    assert [one.checked for one in found] == [Checked.WAITING, Checked.WAITING, Checked.EQUAL]
    assert found[1].opened_at_s is None and found[1].sales == 1


def test_after_a_lost_opening_the_audit_logs_head_is_known_as_that(counter: Counter) -> None:
    counter.open()
    counter.close()
    counter.open()
    counter.say(E.AUDIT_HEAD, [3], note="ab" * 32)
    counter.close()
    counter.shifts()
    with counter.town.store.transaction():
        store = counter.town.store
        store.execute("DELETE FROM events WHERE number BETWEEN 2 AND 3")
        store.execute("INSERT INTO event_gaps VALUES('pos-1', 2, 3, x'00', ?)", (NOW_S,))
    with counter.town.store.snapshot():
        one, two = shop_shifts(counter.town.store, Wanted())
    assert (keys(one), keys(two), two.number, two.head) == ([Key.LOST], [Key.LOST], 2, (3, "ab" * 32))


def test_days_devices_and_merchants_choose(counter: Counter) -> None:
    other = Counter(counter.town, counter.town.terminal("pos-2", DeviceRole.SHOP, owner="transit"))
    other.open()
    other.shifts()
    for _ in range(3):
        counter.open()
        counter.close()
        counter.at_s += DAY_S
    day = civil_day(NOW_S)
    assert len(counter.shifts()) == 4
    assert [one.number for one in counter.shifts(device="pos-1", first_day=day + 1, last_day=day + 1)] == [2]
    assert [one.device for one in counter.shifts(owner="transit")] == ["pos-2"]
    with pytest.raises(UnknownDevice):
        counter.shifts(device="pos-3")
    with pytest.raises(OwnerUnknown):
        counter.shifts(owner="nobody")


def test_the_audit_logs_head_is_shown_of_each_shift(counter: Counter) -> None:
    counter.say(E.AUDIT_HEAD, [1], note="ef" * 32)  # the till starts, and has no shift yet
    counter.open()
    counter.say(E.AUDIT_HEAD, [3], note="ab" * 32)
    counter.close()
    counter.say(E.AUDIT_HEAD, [7], note="cd" * 32)
    counter.open()
    one, two = counter.shifts()
    assert (one.head, one.findings, two.head) == ((7, "cd" * 32), [], None)


def test_more_shifts_than_anybody_works_are_one_and_findings_end(counter: Counter) -> None:
    fold = Fold()
    bodies = [
        encode_shop_event(ShopEvent(16, NOW_S, 2, number, "01", 0, 0, (0,), "")) for number in range(SHIFTS_MAX + 40)
    ]
    for number, body in enumerate(bodies, 1):
        fold.take(number, body, NOW_S)
    fold.end()
    assert len(fold.shifts) == SHIFTS_MAX
    last = fold.shifts[-1]
    assert last.found > FINDINGS_MAX == len(last.findings) and Key.TOO_MANY in keys(last)


EVENTS = st.builds(
    ShopEvent,
    st.integers(16, 31),
    st.sampled_from([NOW_S, 0, (1 << 40) - 1]),
    st.integers(0, 2),
    st.sampled_from([0, 1, 2, 3, 1 << 48]),
    st.sampled_from(["", "01", "=1+1", "\u0e01"]),
    st.sampled_from([0, 1, 2, 3, 1 << 48]),
    st.sampled_from([0, 1, 2, 3, 1 << 48]),
    st.lists(st.sampled_from([0, 1, 100, AMOUNT_MINOR_MAX]), max_size=16).map(tuple)
    | st.lists(st.sampled_from([0, 1, AMOUNT_MINOR_MAX]), min_size=10, max_size=10).map(tuple),
    st.sampled_from(["", "ab" * 32, "x"]),
)


@settings(deadline=None)
@given(
    st.lists(EVENTS.map(encode_shop_event) | st.binary(min_size=1, max_size=40), max_size=25),
    st.lists(st.sampled_from(["sale", "void", "refund", "coupon", "boarding"]), max_size=4),
)
def test_whatever_a_till_writes_is_a_report(bodies: list[bytes], vouchers: list[str]) -> None:
    with TemporaryDirectory() as folder:
        town = Town(Path(folder))
        honest = Counter(town, town.terminal("pos-2", DeviceRole.SHOP))
        honest.open()
        honest.sell(500)
        honest.close()
        honest.shifts()
        hostile = town.terminal("pos-1", DeviceRole.SHOP)
        for name in vouchers:
            kind = VoucherKind[name.upper()]
            hostile.voucher(kind, NOW_S, satang=100, product="all", place={1: "S1", 5: "x"}, refers_to=1)
        for body in bodies:
            put(hostile, body)
        town.send(hostile)
        with town.store.snapshot():
            found = shop_shifts(town.store, Wanted())
        assert [(one.checked, one.sales) for one in found if one.device == "pos-2"] == [(Checked.EQUAL, 1)]
        for shift in found:
            assert (shift.checked is Checked.EQUAL) == (not shift.findings)
