"""Overspending, duplicates, greens that nobody saw: who funds what was accepted."""

import pytest

from offline_ledger import errors
from offline_ledger.city.accounts import (
    RISK,
    UNFUNDED,
    OwnerKind,
    owner_account,
    reserved_account,
    suspense_account,
    wallet_account,
)
from offline_ledger.city.audit import audit
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, EventKind
from offline_ledger.protocol.wallet import Audience
from tests.city.town import FARE_KGO, NOW_S, Town, TownTerminal

POSTED = (Outcome.POSTED, 0)
OPERATOR = owner_account(OwnerKind.OPERATOR, "transit")
MERCHANT = owner_account(OwnerKind.MERCHANT, "noodles")


@pytest.fixture
def bus(town: Town) -> TownTerminal:
    return town.terminal("bus-1", DeviceRole.VALIDATOR)


@pytest.fixture
def shop(town: Town) -> TownTerminal:
    return town.terminal("pos-1", DeviceRole.SHOP)


def rejected(refusal: type[errors.Refusal]) -> tuple[Outcome, int]:
    return (Outcome.REJECTED, refusal.number)


def _clone(town: Town, count: int, role: DeviceRole) -> list[TownTerminal]:
    return [town.terminal(f"clone-{at}", role) for at in range(count)]


def test_overspend_takes_reserve_then_available_then_the_risk_fund(town: Town) -> None:
    town.limits = Limits_small_reserve()
    town.ingest = town.new_ingest()
    rider = town.wallet(balance_kgo=7_000)
    assert rider.says.reserve_kgo == 5_000
    for bus in _clone(town, 3, DeviceRole.VALIDATOR):
        rider.n = rider.sum_kgo = rider.last_kgo = 0
        rider.n = ord(bus.name[-1])
        bus.boarding(rider.ride_code(NOW_S), NOW_S)
        assert town.send(bus).outcomes == [POSTED]
    assert town.balance(reserved_account(rider.allowance.identity)) == 0
    assert town.balance(wallet_account(rider.wallet_id)) == 0
    assert town.balance(RISK) == -8_000
    assert town.balance(OPERATOR) == 15_000
    row = town.store.one("SELECT frozen FROM wallets WHERE wallet_id = ?", (rider.wallet_id,))
    assert row == (1,)
    town.assert_sound()


def Limits_small_reserve():
    from offline_ledger.rules.limits import Limits

    return Limits(reserve_kgo=5_000, allowance_terminal_kgo_max=5_000, one_way_transit_kgo_max=5_000)


def test_beyond_the_risk_ceiling_waits_in_suspense_in_the_owners_name(town: Town) -> None:
    town.limits = Limits_small_reserve()
    town.ingest = town.new_ingest()
    with town.store.transaction():
        town.store.execute("UPDATE owners SET risk_day_kgo_max = 2000")
    rider = town.wallet(balance_kgo=5_000)
    first, second = _clone(town, 2, DeviceRole.VALIDATOR)
    for at, bus in enumerate((first, second)):
        rider.n, rider.sum_kgo, rider.last_kgo = at, 0, 0
        bus.boarding(rider.ride_code(NOW_S), NOW_S)
    assert town.send(first).outcomes == [POSTED]
    assert town.send(second).outcomes == [(Outcome.SUSPENSE, errors.Overspent.number)]
    assert town.balance(OPERATOR) == 5_000 + 2_000
    assert town.balance(suspense_account("transit")) == 3_000
    assert town.balance(UNFUNDED) == -3_000
    town.assert_sound()


@pytest.mark.parametrize(("apart_s", "risk_kgo"), [(0, -FARE_KGO), (40, -FARE_KGO), (41, 0)])
def test_transit_duplicate_is_charged_once_within_the_window(town: Town, apart_s: int, risk_kgo: int) -> None:
    rider = town.wallet()
    first, second = _clone(town, 2, DeviceRole.VALIDATOR)
    first.boarding(rider.ride_code(NOW_S), NOW_S)
    again = rider.sign(rider.presentment(Audience.TRANSIT, NOW_S + apart_s))
    second.boarding(again, NOW_S + apart_s)
    town.send(second)
    town.send(first)
    assert town.balance(RISK) == risk_kgo
    assert town.balance(OPERATOR) == 2 * FARE_KGO
    assert not town.store.fetch("SELECT * FROM equivocations")
    town.assert_sound()


def test_shop_duplicate_waits_until_the_operator_names_the_shop(town: Town) -> None:
    buyer = town.wallet()
    first, second = _clone(town, 2, DeviceRole.SHOP)
    buyer.next(2_000)
    for till in (first, second):
        till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000)
    assert town.send(first).outcomes == [POSTED]
    assert town.send(second).outcomes == [(Outcome.SUSPENSE, errors.DuplicateIntent.number)]
    assert town.balance(MERCHANT) == 2_000
    assert town.balance(suspense_account("noodles")) == 2_000
    assert town.balance(reserved_account(buyer.allowance.identity)) == 48_000
    town.assert_sound()


def test_more_than_d_duplicates_deny_without_freezing(town: Town) -> None:
    rider = town.wallet()
    code = rider.ride_code(NOW_S)
    for at, bus in enumerate(_clone(town, 5, DeviceRole.VALIDATOR)):
        bus.boarding(code, NOW_S)
        town.send(bus)
        denied = town.store.fetch("SELECT pass_id FROM denied")
        assert denied == ([(rider.says.pass_id,)] if at > 3 else [])
    assert town.store.one("SELECT frozen FROM wallets WHERE wallet_id = ?", (rider.wallet_id,)) == (0,)


def test_an_unratified_green_yields_to_the_one_that_was_seen(town: Town) -> None:
    rider = town.wallet()
    dead, alive = _clone(town, 2, DeviceRole.VALIDATOR)
    code = rider.ride_code(NOW_S)
    dead.boarding(code, NOW_S)
    dead.event(EventKind.RATIFIED, 1, [1], [])
    alive.boarding(code, NOW_S + 5)
    town.send(dead)
    assert town.balance(OPERATOR) == FARE_KGO
    assert town.send(alive).outcomes == [POSTED]
    assert town.balance(OPERATOR) == FARE_KGO
    assert town.balance(RISK) == 0
    assert town.balance(reserved_account(rider.allowance.identity)) == 50_000 - FARE_KGO
    town.assert_sound()


@pytest.mark.parametrize("uncharged_green", [True, False])
def test_a_yielded_green_that_was_shown_after_all_is_paid(town: Town, uncharged_green: bool) -> None:
    rider = town.wallet()
    dead, alive = _clone(town, 2, DeviceRole.VALIDATOR)
    code = rider.ride_code(NOW_S)
    dead.boarding(code, NOW_S)
    dead.event(EventKind.RATIFIED, 1, [1], [])
    alive.boarding(code, NOW_S + 5)
    town.send(dead)
    town.send(alive)
    if uncharged_green:
        dead.event(EventKind.UNCHARGED_GREEN, 1, NOW_S + 50, 1, code.raw)
    else:
        dead.event(EventKind.RATIFIED, 1, [], [1])
    town.send(dead, first=2, first_event=2)
    assert town.balance(OPERATOR) == 2 * FARE_KGO
    assert town.balance(RISK) == -FARE_KGO
    town.send(dead)
    assert town.balance(OPERATOR) == 2 * FARE_KGO
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_a_snapshot_refuses_to_write(town: Town) -> None:
    with town.store.snapshot(), pytest.raises(errors.StoreInvalid):
        town.store.put_setting("x", b"1")
    town.store.put_setting("x", b"1")


def test_a_lapsed_boarding_is_given_back(town: Town, bus: TownTerminal) -> None:
    rider = town.wallet()
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    bus.event(EventKind.RATIFIED, 1, [1], [])
    town.send(bus)
    bus.event(EventKind.LAPSED, 1, NOW_S + 700, False)
    town.send(bus, first=2, first_event=2)
    assert town.balance(OPERATOR) == 0
    assert town.balance(reserved_account(rider.allowance.identity)) == 50_000
    town.assert_sound()
