"""A deposit pays after *available* and before the risk fund, and goes back only when nothing leans on it."""

import re
from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.city import accounts, allowances, decisions, deposits, equivocation, schema
from offline_ledger.city.accounts import (
    RISK,
    UNFUNDED,
    OwnerKind,
    deposit_account,
    owner_account,
    reserved_account,
    suspense_account,
    wallet_account,
)
from offline_ledger.city.audit import audit
from offline_ledger.city.store import Store
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, VoucherKind
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import Limits, loss_bound_kgo
from tests.city.town import FARE_KGO, NOW_S, Town, TownTerminal, TownWallet, pay_two_way

POSTED = (Outcome.POSTED, 0)
SMALL = Limits(
    reserve_kgo=5_000, allowance_terminal_kgo_max=5_000, one_way_transit_kgo_max=5_000, one_way_shop_kgo_max=3_000
)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, SMALL)


def _overspent(town: Town, rider: TownWallet, buses: int) -> list[TownTerminal]:
    """The same allowance in full at each of so many buses."""
    found = [town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in range(buses)]
    for at, bus in enumerate(found):
        rider.n, rider.sum_kgo, rider.last_kgo = at, 0, 0
        bus.boarding(rider.ride_code(NOW_S), NOW_S)
        assert town.send(bus).outcomes == [POSTED]
    return found


def test_reserve_available_deposit_risk_in_this_order(town: Town) -> None:
    rider = town.wallet(balance_kgo=13_000)
    assert deposits.put_down(town.store, rider.wallet_id, 6_000, "by hand", NOW_S).available_kgo == 2_000
    _overspent(town, rider, 3)
    assert town.balance(reserved_account(rider.allowance.identity)) == 0
    assert town.balance(wallet_account(rider.wallet_id)) == 0
    assert town.balance(deposit_account(rider.wallet_id)) == 0
    assert town.balance(RISK) == 13_000 - 3 * FARE_KGO
    assert audit(town.store).findings == ()
    town.assert_sound()


@pytest.mark.parametrize(("deposit_kgo", "risk_kgo"), [(4_999, -1), (5_000, 0), (5_001, 0)])
def test_the_loss_bound_falls_by_the_deposit(town: Town, deposit_kgo: int, risk_kgo: int) -> None:
    rider = town.wallet(balance_kgo=5_000 + deposit_kgo)
    deposits.put_down(town.store, rider.wallet_id, deposit_kgo, "", NOW_S)
    _overspent(town, rider, 2)
    assert town.balance(RISK) == risk_kgo == -loss_bound_kgo(SMALL, 2, deposit_kgo)


def test_a_refund_gives_back_to_the_deposit_before_available(town: Town) -> None:
    rider = town.wallet(balance_kgo=10_000)
    deposits.put_down(town.store, rider.wallet_id, 3_000, "", NOW_S)
    _first, second = _overspent(town, rider, 2)
    assert town.balance(deposit_account(rider.wallet_id)) == 0
    second.voucher(VoucherKind.ANNUL, NOW_S, kgo=2_000, refers_to=1)
    second.voucher(VoucherKind.ANNUL, NOW_S, kgo=3_000, refers_to=1)
    assert town.send(second).outcomes == [POSTED] * 3
    # 2,000 of available and 3,000 of the deposit had paid: the deposit is whole again first
    assert town.balance(deposit_account(rider.wallet_id)) == 3_000
    assert town.balance(wallet_account(rider.wallet_id)) == 2_000
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_put_down_takes_only_what_is_available(town: Town) -> None:
    rider = town.wallet(balance_kgo=8_000)
    with pytest.raises(errors.BalanceTooLow):
        deposits.put_down(town.store, rider.wallet_id, 3_001, "", NOW_S)
    assert deposits.put_down(town.store, rider.wallet_id, 3_000, "", NOW_S).deposit_kgo == 3_000
    with pytest.raises(errors.WalletUnknown):
        deposits.put_down(town.store, 99, 1, "", NOW_S)
    town.assert_sound()


@pytest.mark.parametrize(("past_s", "is_bound"), [(0, True), (1, False)])
def test_it_goes_back_after_the_last_release(town: Town, past_s: int, is_bound: bool) -> None:
    rider = town.wallet(balance_kgo=8_000)
    deposits.put_down(town.store, rider.wallet_id, 3_000, "", NOW_S)
    at_s = rider.says.expires_at_s + SMALL.reserve_grace_s + past_s
    if is_bound:
        with pytest.raises(errors.DepositBound):
            deposits.take_back(town.store, SMALL, rider.wallet_id, 1, "", at_s)
        assert town.balance(deposit_account(rider.wallet_id)) == 3_000
        return
    with pytest.raises(errors.BalanceTooLow):
        deposits.take_back(town.store, SMALL, rider.wallet_id, 3_001, "", at_s)
    assert deposits.take_back(town.store, SMALL, rider.wallet_id, 3_000, "", at_s).available_kgo == 8_000
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_a_frozen_account_keeps_its_deposit_down(town: Town) -> None:
    rider = town.wallet(balance_kgo=13_000)
    deposits.put_down(town.store, rider.wallet_id, 8_000, "", NOW_S)
    _overspent(town, rider, 2)
    at_s = rider.says.expires_at_s + SMALL.reserve_grace_s + 1
    allowances.release_due(town.store, SMALL, at_s)
    assert deposits.held(town.store, rider.wallet_id).unreleased == 0
    with pytest.raises(errors.DepositBound):
        deposits.take_back(town.store, SMALL, rider.wallet_id, 1, "", at_s)


def test_suspense_keeps_it_down_and_paying_it_takes_the_deposit_before_a_debt(town: Town) -> None:
    """A till that synced too long ago: nobody funds what the wallet cannot pay."""
    buyer = town.wallet(balance_kgo=6_500)
    tills = [town.terminal(f"pos-{at}", DeviceRole.SHOP) for at in range(2)]
    deposits.put_down(town.store, buyer.wallet_id, 500, "", NOW_S)
    for till in tills:
        buyer.n, buyer.sum_kgo, buyer.last_kgo = 0, 0, 0
        pay_two_way(till, buyer, 5_000, NOW_S)
    assert town.send(tills[0]).outcomes == [POSTED]
    assert town.send(tills[1]).outcomes == [(Outcome.SUSPENSE, errors.Overspent.number)]
    assert town.balance(suspense_account("noodles")) == 3_500
    assert town.balance(deposit_account(buyer.wallet_id)) == 0
    (proof,) = equivocation.proofs(town.store)
    equivocation.review(town.store, proof.equivocation_id, False, "explained", NOW_S)  # a gift came, part is put down
    accounts.grant(town.store, buyer.wallet_id, 3_400, NOW_S, "gift")
    deposits.put_down(town.store, buyer.wallet_id, 600, "", NOW_S)
    at_s = buyer.says.expires_at_s + SMALL.reserve_grace_s + 1
    with pytest.raises(errors.DepositBound):
        deposits.take_back(town.store, SMALL, buyer.wallet_id, 600, "", at_s)
    decisions.decide_suspense(town.store, "pos-1", 1, pay=True, from_risk=False, note="", now_s=NOW_S)
    assert town.balance(wallet_account(buyer.wallet_id)) == -100
    assert town.balance(deposit_account(buyer.wallet_id)) == 0
    assert town.balance(owner_account(OwnerKind.MERCHANT, "noodles")) == 10_000
    assert town.balance(UNFUNDED) == town.balance(RISK) == 0
    assert audit(town.store).findings == ()
    town.assert_sound()


BEFORE_PAID_BY = (
    "ALTER TABLE spends DROP COLUMN paid_by",
    "ALTER TABLE spends RENAME COLUMN accepted_kgo TO charged_kgo",
)
BEFORE_5 = (
    *BEFORE_PAID_BY,
    "DROP TABLE denied",
    "CREATE TABLE denied(pass_id BLOB PRIMARY KEY, wallet_id INTEGER NOT NULL, reason TEXT NOT NULL,"
    " since_s INTEGER NOT NULL, expires_at_s INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO denied VALUES(x'01', 1, 'duplicates', 5, 6)",
    "DROP INDEX spends_by_allowance",
    "CREATE INDEX spends_by_allowance ON spends(hash, n)",
    "UPDATE spends SET counts = 0 WHERE counts = 2",
    "UPDATE risk_days SET day = day + 1",
)


def test_an_older_store_is_upgraded_when_it_is_opened(tmp_path: Path) -> None:
    """It was of version 1. Two rejected codes contradict each other, a third does not; the risk fund paid once."""
    town = Town(tmp_path, SMALL)
    rider, liar, honest = town.wallet(5_000), town.wallet(), town.wallet()
    buses = [town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in range(2)]
    for bus in buses:
        rider.n, rider.sum_kgo, rider.last_kgo = int(bus.name[-1]), 0, 0
        bus.boarding(rider.ride_code(NOW_S), NOW_S)
        bus.boarding(honest.ride_code(NOW_S - 60), NOW_S)
        bus.boarding(liar.ride_code(NOW_S - 60), NOW_S)
        liar.sum_kgo = liar.last_kgo = 0
        town.send(bus)
    days = town.store.fetch("SELECT * FROM risk_days")
    standing = town.store.fetch("SELECT device, sequence, counts FROM spends ORDER BY 1, 2")
    assert len(days) == 1 and [row[2] for row in standing] == [1, 0, 0, 1, 0, 2]
    made = re.findall(r"CREATE (TABLE|INDEX|TRIGGER) (\w+)", "".join(sum(schema.UPGRADES.values(), ())))
    for what, name in reversed(made):
        if name not in ("denied", "spends_by_allowance"):
            town.store.execute(f"DROP {what} {name}")
    to_the_second = (
        f"UPDATE wallets SET name = 'rebuilt from an allowance', registered_at_s = {NOW_S} WHERE wallet_id = 1"
    )
    for statement in (*BEFORE_5, to_the_second):
        town.store.execute(statement)
    town.store.execute("PRAGMA user_version=1")
    town.store.close()
    for _twice in range(2):
        store = Store.open(town.path)
        assert store.one("PRAGMA user_version") == (schema.SCHEMA_VERSION,)
        assert store.fetch("SELECT wallet_id, joined_id FROM stand_ins") == [(rider.wallet_id, None)]
        assert store.one("SELECT min(registered_at_s) FROM wallets") == (day_start_s(civil_day(NOW_S)),)
        assert store.fetch("SELECT * FROM rebates") == []
        assert store.fetch("SELECT * FROM denied") == [(b"\x01", 1, "duplicates", 5, 6)]
        assert store.fetch("SELECT * FROM risk_days") == days
        # both halves: each is against the other
        told = store.fetch("SELECT device, sequence, counts FROM spends ORDER BY 1, 2")
        assert [row[2] for row in told] == [1, 0, 2, 1, 0, 2]
        store.close()
