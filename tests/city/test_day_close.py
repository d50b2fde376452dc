"""Day close: fares that depended on another terminal are reckoned again, only in the wallet's favour, once."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offline_ledger import errors
from offline_ledger.city import allowances, day_close
from offline_ledger.city.accounts import (
    RISK,
    OwnerKind,
    owner_account,
    reserved_account,
    wallet_account,
)
from offline_ledger.city.audit import audit
from offline_ledger.city.day_close import Given, close_day
from offline_ledger.protocol import city, wallet
from offline_ledger.protocol.city import Bulletin, BulletinKind, Outcome
from offline_ledger.protocol.device import ClockTrust, DeviceRole, EventKind, PlaceKey, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import DAY_S, HOUR_S
from offline_ledger.rules.tariff import DailyCap, Tariff, Transfer, encode_tariff
from tests.city.town import (
    ACK_TEST_ONLY,
    BULLETIN_TEST_ONLY,
    CITY,
    FARE_KGO,
    FARE_SATANG,
    NOW_S,
    TARIFF,
    Town,
    TownTerminal,
    TownWallet,
    signed_by,
)

POSTED = (Outcome.POSTED, 0)
OPERATOR = owner_account(OwnerKind.OPERATOR, "transit")
DAY = civil_day(NOW_S) + 1
BEGIN_S = day_start_s(DAY)
AFTER_S = BEGIN_S + DAY_S
WINDOW_S = HOUR_S
CAP_KGO = 12_000


def publish(town: Town, *, cap_kgo: int | None = None, transfer: bool = True) -> None:
    """Version 1.2: a free transfer within an hour, and perhaps a daily cap."""
    made = Tariff(
        TARIFF.products,
        (),
        Transfer(WINDOW_S, 0, 1) if transfer else None,
        DailyCap(cap_kgo, 100_000) if cap_kgo is not None else None,
    )
    body = encode_tariff(made)
    bulletin = Bulletin(CITY, BulletinKind.TARIFF, (1, 2), NOW_S - 9, NOW_S - 9, NOW_S + 10**8, body)
    raw = signed_by(BULLETIN_TEST_ONLY, Kind.BULLETIN, city.BULLETIN.encode(bulletin)).raw
    with town.store.transaction():
        row = (BulletinKind.TARIFF, 1, 2, raw, NOW_S - 9, NOW_S - 9, NOW_S + 10**8)
        town.store.execute("INSERT INTO bulletins VALUES(?, ?, ?, ?, ?, ?, ?)", row)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    made = Town(tmp_path)
    publish(made)
    return made


def buses(town: Town, count: int = 2) -> list[TownTerminal]:
    return [town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in range(count)]


def ride(bus: TownTerminal, rider: TownWallet, at_s: int, **changes: object) -> None:
    """The full fare of version 1.2, as a bus charges that saw nothing before. Each bus is one trip."""
    place = {int(PlaceKey.ROUTE): "10", int(PlaceKey.TRIP): bus.name}
    bus.boarding(rider.ride_code(at_s), at_s, **({"bulletin": (1, 2), "place": place} | changes))


def closed(town: Town, day: int = DAY, now_s: int = AFTER_S) -> list[Given]:
    return list(close_day(town.store, day, now_s))


def paid_kgo(town: Town, rider: TownWallet, start_kgo: int = 50_000) -> int:
    return start_kgo - sum(allowances.balances(town.store, rider.wallet_id))


def assert_whole(town: Town) -> None:
    town.assert_sound()
    report = audit(town.store)
    assert report.findings == (), report.findings


@pytest.mark.parametrize(("apart_s", "back_kgo"), [(WINDOW_S, FARE_KGO), (WINDOW_S + 1, 0), (0, FARE_KGO)])
def test_a_transfer_from_another_bus_comes_back(town: Town, apart_s: int, back_kgo: int) -> None:
    first, second = buses(town)
    rider = town.wallet()
    ride(first, rider, BEGIN_S)
    ride(second, rider, BEGIN_S + apart_s)
    for bus in (second, first):
        town.send(bus, AFTER_S)
    found = closed(town)
    assert [(one.rebate.ride.record, one.rebate.kgo) for one in found] == ([("bus-1", back_kgo)] if back_kgo else [])
    if back_kgo:
        (one,) = found
        assert (one.wallet_id, one.day, one.is_late) == (rider.wallet_id, DAY, False)
        assert one.rebate.explanation.key == "fare.transfer"
    assert paid_kgo(town, rider) == 2 * FARE_KGO - back_kgo
    assert town.balance(OPERATOR) == 2 * FARE_KGO - back_kgo
    assert town.balance(wallet_account(rider.wallet_id)) == back_kgo
    assert town.balance(reserved_account(rider.allowance.identity)) == 50_000 - 2 * FARE_KGO
    assert closed(town) == []
    assert_whole(town)


def test_what_one_bus_saw_is_not_given_twice(town: Town) -> None:
    (bus,) = buses(town, 1)
    rider = town.wallet()
    ride(bus, rider, BEGIN_S)
    place = {int(PlaceKey.ROUTE): "10", int(PlaceKey.TRIP): "back"}
    ride(bus, rider, BEGIN_S + 60, place=place, product="base+transfer", kgo=0, satang=0)
    ride(bus, rider, BEGIN_S + 120)  # a companion on the first trip, who pays
    assert town.send(bus, AFTER_S).outcomes == [POSTED] * 3
    assert closed(town) == []
    assert paid_kgo(town, rider) == 2 * FARE_KGO


def test_a_daily_cap_over_all_buses(tmp_path: Path) -> None:
    town = Town(tmp_path)
    publish(town, cap_kgo=CAP_KGO, transfer=False)
    rider = town.wallet()
    for at, bus in enumerate(buses(town, 4)):
        ride(bus, rider, BEGIN_S + at)
        town.send(bus, AFTER_S)
    found = closed(town)
    assert [(one.rebate.ride.record, one.rebate.kgo, one.rebate.fair_kgo) for one in found] == [
        ("bus-2", 3_000, 2_000),
        ("bus-3", 5_000, 0),
    ]
    assert {one.rebate.explanation.key for one in found} == {"fare.daily_cap"}
    assert paid_kgo(town, rider) == CAP_KGO
    assert_whole(town)


@pytest.mark.parametrize(("second_s", "back_kgo"), [(-1, 0), (0, FARE_KGO)])
def test_days_are_civil_days_and_a_transfer_may_cross_midnight(town: Town, second_s: int, back_kgo: int) -> None:
    """The day gives back for its own boardings only, knowing those of the evening before."""
    first, second = buses(town)
    rider = town.wallet()
    ride(first, rider, BEGIN_S - 600)
    ride(second, rider, BEGIN_S + second_s)
    for bus in (first, second):
        town.send(bus, AFTER_S)
    assert sum(one.rebate.kgo for one in closed(town)) == back_kgo
    assert sum(one.rebate.kgo for one in closed(town, DAY - 1)) == FARE_KGO - back_kgo
    assert paid_kgo(town, rider) == FARE_KGO
    assert_whole(town)


def test_closing_a_day_leaves_the_day_before_to_its_own_run(town: Town) -> None:
    """Both rides lie in the evening before: they are read for what may follow, and not settled."""
    first, second = buses(town)
    rider = town.wallet()
    ride(first, rider, BEGIN_S - 600)
    ride(second, rider, BEGIN_S - 540)
    later = town.wallet()
    ride(first, later, BEGIN_S + 60)
    ride(second, rider, BEGIN_S + 9_000)
    for bus in (first, second):
        town.send(bus, AFTER_S)
    assert closed(town) == []
    assert [one.day for one in closed(town, DAY - 1)] == [DAY - 1]


def test_a_late_ride_of_the_evening_reaches_the_next_day_that_was_closed(town: Town) -> None:
    first, second = buses(town)
    rider = town.wallet()
    ride(second, rider, BEGIN_S + 60)
    ride(first, rider, BEGIN_S - 600)
    town.send(second, AFTER_S)
    assert closed(town) == closed(town, DAY + 5, AFTER_S + 9 * DAY_S) == []
    town.send(first, AFTER_S + 60)
    (one,) = closed(town, DAY + 5, AFTER_S + 9 * DAY_S)
    assert (one.day, one.rebate.ride.record, one.rebate.kgo) == (DAY, "bus-1", FARE_KGO)
    assert_whole(town)


def test_a_clock_at_floor_charges_in_full_and_the_day_gives_back(town: Town) -> None:
    first, second = buses(town)
    rider = town.wallet()
    ride(first, rider, BEGIN_S, trust=ClockTrust.FLOOR)
    ride(second, rider, BEGIN_S + 60, trust=ClockTrust.FLOOR)
    for bus in (first, second):
        town.send(bus, AFTER_S)
    assert [one.rebate.kgo for one in closed(town)] == [FARE_KGO]


def test_only_in_the_wallets_favour(town: Town) -> None:
    """Known together, the ride that was given free would have cost and the other been free: nobody owes anything."""
    first, second = buses(town)
    rider = town.wallet()
    place = {int(PlaceKey.ROUTE): "10", int(PlaceKey.TRIP): "T9"}
    ride(second, rider, BEGIN_S)
    ride(first, rider, BEGIN_S + 60)
    ride(first, rider, BEGIN_S + 120, place=place, product="base+transfer", kgo=0, satang=0)
    for bus in (first, second):
        town.send(bus, AFTER_S)
    assert closed(town) == []
    assert paid_kgo(town, rider) == 2 * FARE_KGO
    assert_whole(town)


@pytest.mark.parametrize("next_day", [DAY, DAY + 1])
def test_a_late_voucher_gets_its_rebate_at_the_next_run(town: Town, next_day: int) -> None:
    first, second = buses(town)
    rider = town.wallet()
    ride(first, rider, BEGIN_S)
    ride(second, rider, BEGIN_S + 60)
    town.send(first, AFTER_S)
    assert closed(town) == [] and day_close.is_closed(town.store, DAY)
    town.send(second, AFTER_S + HOUR_S)
    (one,) = closed(town, next_day, AFTER_S + 2 * DAY_S)
    assert (one.day, one.is_late, one.rebate.kgo) == (DAY, True, FARE_KGO)
    assert closed(town, next_day, AFTER_S + 2 * DAY_S) == []
    assert paid_kgo(town, rider) == FARE_KGO
    assert_whole(town)


def test_a_late_voucher_that_makes_it_dearer_takes_nothing_back(town: Town) -> None:
    """b was a transfer after a; then c turns out to lie between, and takes the one transfer."""
    a, b, c = buses(town, 3)
    rider = town.wallet()
    ride(a, rider, BEGIN_S)
    ride(c, rider, BEGIN_S + 60)
    ride(b, rider, BEGIN_S + 120)
    for bus in (a, b):
        town.send(bus, AFTER_S)
    assert [one.rebate.kgo for one in closed(town)] == [FARE_KGO]
    town.send(c, AFTER_S + 60)
    assert closed(town) == []
    assert paid_kgo(town, rider) == 2 * FARE_KGO
    assert_whole(town)


@pytest.mark.parametrize("later_s", [0, 1])
def test_a_day_can_be_closed_when_it_is_past(town: Town, later_s: int) -> None:
    now_s = AFTER_S - 1 + later_s
    if later_s:
        assert closed(town, DAY, now_s) == [] and day_close.is_closed(town.store, DAY)
        return
    with pytest.raises(errors.DayNotOver):
        closed(town, DAY, now_s)
    assert not day_close.is_closed(town.store, DAY)


def test_a_run_that_was_cut_goes_on(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_close, "WALLETS_PER_TRANSACTION", 1)
    first, second = buses(town)
    riders = [town.wallet() for _ in range(3)]
    for rider in riders:
        ride(first, rider, BEGIN_S)
        ride(second, rider, BEGIN_S + 60)
    for bus in (first, second):
        town.send(bus, AFTER_S)
    run = close_day(town.store, DAY, AFTER_S)
    next(run)
    run.close()
    assert not day_close.is_closed(town.store, DAY)
    assert len(closed(town)) == 2
    assert [paid_kgo(town, rider) for rider in riders] == [FARE_KGO] * 3
    assert_whole(town)


def test_an_annulled_ride_gives_no_transfer_and_an_annulment_after_the_rebate_gives_the_rest(town: Town) -> None:
    first, second = buses(town)
    rider, other = town.wallet(), town.wallet()
    ride(first, rider, BEGIN_S)
    first.voucher(VoucherKind.ANNUL, BEGIN_S + 5, kgo=FARE_KGO, satang=FARE_SATANG, refers_to=1)
    ride(second, rider, BEGIN_S + 60)
    ride(first, other, BEGIN_S)
    ride(second, other, BEGIN_S + 60)
    for bus in (first, second):
        town.send(bus, AFTER_S)
    assert [(one.wallet_id, one.rebate.kgo) for one in closed(town)] == [(other.wallet_id, FARE_KGO)]
    # the ride that came back whole is annulled: the coin goes back, no KGO twice
    second.voucher(VoucherKind.ANNUL, BEGIN_S + 70, kgo=FARE_KGO, satang=FARE_SATANG, refers_to=2)
    second.voucher(VoucherKind.ANNUL, BEGIN_S + 71, kgo=1, satang=0, refers_to=1)
    assert town.send(second, AFTER_S).outcomes == [POSTED] * 4
    assert (paid_kgo(town, rider), paid_kgo(town, other)) == (FARE_KGO - 1, FARE_KGO)
    assert town.balance(OPERATOR) == 2 * FARE_KGO - 1
    assert closed(town) == []
    assert_whole(town)


def test_an_annulled_ride_that_had_come_back_whole_holds_no_transfer_open(town: Town) -> None:
    """b was the free transfer after a, and is annulled later: c, of the same hour, takes its place at the next run."""
    a, b, c = buses(town, 3)
    rider = town.wallet()
    for at, bus in enumerate((a, b, c)):
        ride(bus, rider, BEGIN_S + 60 * at)
        town.send(bus, AFTER_S)
    assert [one.rebate.ride.record for one in closed(town)] == ["bus-1"]
    b.voucher(VoucherKind.ANNUL, BEGIN_S + 70, kgo=FARE_KGO, satang=FARE_SATANG, refers_to=1)
    town.send(b, AFTER_S + 60)
    assert [(one.rebate.ride.record, one.rebate.kgo) for one in closed(town)] == [("bus-2", FARE_KGO)]
    assert paid_kgo(town, rider) == FARE_KGO
    assert_whole(town)


def test_a_refund_after_the_rebate_never_exceeds_what_is_left(tmp_path: Path) -> None:
    town = Town(tmp_path)
    publish(town, cap_kgo=CAP_KGO, transfer=False)
    rider = town.wallet()
    found = buses(town, 3)
    for at, bus in enumerate(found):
        ride(bus, rider, BEGIN_S + at)
        town.send(bus, AFTER_S)
    assert [one.rebate.kgo for one in closed(town)] == [3_000]
    bus = found[2]
    bus.voucher(VoucherKind.ANNUL, BEGIN_S + 70, kgo=FARE_KGO + 1, refers_to=1)
    bus.voucher(VoucherKind.ANNUL, BEGIN_S + 70, kgo=FARE_KGO, refers_to=1)
    assert town.send(bus, AFTER_S).outcomes[1:] == [(Outcome.REJECTED, errors.RefundInvalid.number), POSTED]
    assert paid_kgo(town, rider) == 2 * FARE_KGO
    assert closed(town) == []
    assert_whole(town)


def test_a_green_that_nobody_saw_takes_its_rebate_with_it(town: Town) -> None:
    first, second = buses(town)
    rider = town.wallet()
    ride(first, rider, BEGIN_S)
    ride(second, rider, BEGIN_S + 60)
    second.event(EventKind.RATIFIED, 1, [1], [])
    for bus in (first, second):
        town.send(bus, AFTER_S)
    assert [one.rebate.kgo for one in closed(town)] == [FARE_KGO]
    second.event(EventKind.LAPSED, 1, BEGIN_S + 700, False)
    town.send(second, AFTER_S + 60, first=2, first_event=2)
    assert paid_kgo(town, rider) == FARE_KGO
    assert town.balance(OPERATOR) == FARE_KGO
    assert closed(town) == []
    assert_whole(town)


def test_a_charge_taken_back_after_its_reserve_was_released_goes_to_available(town: Town) -> None:
    (bus,) = buses(town, 1)
    rider = town.wallet()
    ride(bus, rider, BEGIN_S)
    bus.event(EventKind.RATIFIED, 1, [1], [])
    town.send(bus, AFTER_S)
    late_s = rider.says.expires_at_s + town.limits.reserve_grace_s + 1
    assert allowances.release_due(town.store, town.limits, late_s) == 1
    bus.event(EventKind.LAPSED, 1, BEGIN_S + 700, False)
    town.send(bus, late_s + 60, first=2, first_event=2)
    assert town.balance(wallet_account(rider.wallet_id)) == 50_000
    assert town.balance(reserved_account(rider.allowance.identity)) == 0
    assert_whole(town)


def test_the_other_one_of_a_duplicate_is_no_ride_of_its_own(town: Town) -> None:
    """The same intent at two buses at once is charged once: the day owes nothing for the one that the fund paid."""
    first, second = buses(town)
    rider = town.wallet()
    code = rider.ride_code(BEGIN_S)
    for bus in (first, second):
        place = {int(PlaceKey.ROUTE): "10", int(PlaceKey.TRIP): bus.name}
        bus.boarding(code, BEGIN_S, bulletin=(1, 2), place=place)
        town.send(bus, AFTER_S)
    assert closed(town) == []
    assert town.balance(RISK) == -FARE_KGO
    assert paid_kgo(town, rider) == FARE_KGO


def test_the_risk_fund_gets_its_part_back_first(tmp_path: Path) -> None:
    town = Town(tmp_path)
    publish(town)
    first, second = buses(town)
    rider = town.wallet(balance_kgo=7_000)
    ride(first, rider, BEGIN_S)
    rider.n, rider.sum_kgo, rider.last_kgo = 1, 0, 0
    ride(second, rider, BEGIN_S + 60)
    for bus in (first, second):
        town.send(bus, AFTER_S)
    assert town.balance(RISK) == -3_000
    assert [one.rebate.kgo for one in closed(town)] == [FARE_KGO]
    assert town.balance(RISK) == 0
    assert paid_kgo(town, rider, 7_000) == FARE_KGO
    assert_whole(town)


def test_the_statement_names_the_charge_less_the_rebate(town: Town) -> None:
    first, second = buses(town)
    rider = town.wallet()
    ride(first, rider, BEGIN_S)
    ride(second, rider, BEGIN_S + 60)
    for bus in (first, second):
        town.send(bus, AFTER_S)
    closed(town)
    signed = allowances.statement(town.store, ACK_TEST_ONLY, rider.allowance.identity, AFTER_S)
    assert wallet.STATEMENT.decode(signed.payload, 10_000).charges == ((1, FARE_KGO), (2, 0))


# --- any day at all


def plain_fares(taps: list[tuple[int, int]]) -> int:
    """What a day of (seconds, bus) costs, reckoned apart from the rules: free transfer to another bus within the hour
    of a paid ride, one each, and the cap."""
    total_kgo, paid_at_s, paid_on, is_open = 0, -(10**9), -1, False
    for at_s, on in sorted(taps):
        if is_open and on != paid_on and at_s - paid_at_s <= WINDOW_S:
            is_open = False
            continue
        total_kgo += min(FARE_KGO, CAP_KGO - total_kgo)
        paid_at_s, paid_on, is_open = at_s, on, True
    return total_kgo


TAPS = st.lists(st.tuples(st.integers(0, 4 * HOUR_S), st.integers(0, 2)), max_size=5, unique_by=lambda tap: tap[0])


@settings(deadline=None)
@given(st.lists(TAPS, min_size=1, max_size=3), st.lists(st.integers(0, 2), max_size=4), st.booleans())
def test_after_the_last_run_nobody_paid_more_than_the_fare(
    days: list[list[tuple[int, int]]], early: list[int], annul: bool
) -> None:
    """Any rides in any order of syncing, days closed between: Σ = 0, never dearer than the plain fare, and exactly that
    fare when everything was there at the first run."""
    with TemporaryDirectory() as folder:
        town = Town(Path(folder))
        publish(town, cap_kgo=CAP_KGO)
        found = buses(town, 3)
        riders = [town.wallet() for _ in days]
        taps = sorted((at_s, on, rider) for rider, day in enumerate(days) for at_s, on in day)
        for at_s, on, rider in taps:
            ride(found[on], riders[rider], BEGIN_S + at_s)
        for on in early:
            town.send(found[on], AFTER_S)
            closed(town)
        for bus in found:
            assert all(outcome == POSTED for outcome in town.send(bus, AFTER_S + 60).outcomes)
        closed(town)
        assert closed(town) == []
        for rider, day in zip(riders, days, strict=True):
            paid = paid_kgo(town, rider)
            assert 0 <= paid <= plain_fares(day)
            assert early or paid == plain_fares(day)
        if annul and found[0].vouchers:
            found[0].voucher(VoucherKind.ANNUL, AFTER_S, kgo=FARE_KGO, satang=FARE_SATANG, refers_to=1)
            town.send(found[0], AFTER_S + 120)
            closed(town)
        assert_whole(town)
        assert min(town.balance(OPERATOR), *(paid_kgo(town, rider) for rider in riders)) >= 0
