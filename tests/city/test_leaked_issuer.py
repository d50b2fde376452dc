"""A leaked issuer key: wallets holding two of its allowances get a new one at once, and no KGO is doubled."""

from pathlib import Path

import pytest

from offline_ledger.city import accounts, allowances, trust
from offline_ledger.city.accounts import OwnerKind, owner_account, reserved_account, wallet_account
from offline_ledger.city.audit import audit
from offline_ledger.city.trust import Changes
from offline_ledger.errors import AllowancesAtMost, BalanceTooLow
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import DeviceRole
from simulators.keys import SimulatedKey
from tests.city.test_audit import ROOT_TEST_ONLY, sign_lists
from tests.city.town import FARE_KGO, ISSUER_TEST_ONLY, NOW_S, Town, TownWallet

NEXT_ISSUER_TEST_ONLY = SimulatedKey(0x1112)
RESERVE_KGO = 50_000


@pytest.fixture
def town(tmp_path: Path) -> Town:
    made = Town(tmp_path)
    sign_lists(made)
    return made


def leave_the_key(town: Town) -> None:
    """As `kgo-city rotate issuer --compromised` does."""
    held = trust.newest(town.store)
    assert held is not None
    added = ((KeyRole.ALLOWANCE_ISSUER, NEXT_ISSUER_TEST_ONLY.point),)
    changes = Changes(added=added, compromised=frozenset({ISSUER_TEST_ONLY.point}))
    trust.add_list(town.store, trust.sign_list(trust.next_list(held, changes, NOW_S), [ROOT_TEST_ONLY]))


def issue(town: Town, rider: TownWallet, key: SimulatedKey, number: int, now_s: int = NOW_S + 10) -> Signed:
    pass_id = number.to_bytes(8, "big")
    return allowances.issue(
        town.store, NEXT_ISSUER_TEST_ONLY, rider.account.point, key.point, pass_id, town.limits, now_s
    )


def test_two_allowances_of_a_leaked_key_do_not_stand_in_the_way(town: Town) -> None:
    rider = town.wallet(200_000)
    town.issue(rider.account, town.new_key(), NOW_S)
    key = town.new_key()
    with pytest.raises(AllowancesAtMost):
        issue(town, rider, key, 1)
    leave_the_key(town)
    fresh = issue(town, rider, key, 2)
    assert fresh.key_id == cose.key_id_of(NEXT_ISSUER_TEST_ONLY.point)
    assert issue(town, rider, key, 3).raw == fresh.raw, "a lost answer brings the same one"
    assert allowances.balances(town.store, rider.wallet_id) == (50_000, 3 * RESERVE_KGO)
    with pytest.raises(BalanceTooLow):  # the account's limit counts what terminals may still bring
        issue(town, rider, town.new_key(), 4)
    assert audit(town.store).count == 0
    town.assert_sound()


def test_the_same_wallet_key_does_not_get_the_dead_allowance_again(town: Town) -> None:
    rider = town.wallet(200_000)
    leave_the_key(town)
    fresh = issue(town, rider, rider.key, 5)
    assert fresh.identity != rider.allowance.identity and fresh.key_id == cose.key_id_of(NEXT_ISSUER_TEST_ONLY.point)


def test_what_was_accepted_before_is_paid_once_from_its_own_reserve_and_the_rest_returns(town: Town) -> None:
    rider, bus = town.wallet(200_000), town.terminal("bus-1", DeviceRole.VALIDATOR)
    town.issue(rider.account, town.new_key(), NOW_S)
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    leave_the_key(town)
    fresh = issue(town, rider, town.new_key(), 6)
    town.send(bus)
    town.send(bus)
    assert town.balance(reserved_account(rider.allowance.identity)) == RESERVE_KGO - FARE_KGO
    assert town.balance(reserved_account(fresh.identity)) == RESERVE_KGO
    assert town.balance(owner_account(OwnerKind.OPERATOR, "transit")) == FARE_KGO
    after_s = NOW_S + 10 + town.limits.allowance_life_s + town.limits.reserve_grace_s + 1
    assert allowances.release_due(town.store, town.limits, after_s, rider.wallet_id) == 3
    assert allowances.release_due(town.store, town.limits, after_s, rider.wallet_id) == 0
    assert town.balance(wallet_account(rider.wallet_id)) == 200_000 - FARE_KGO
    assert not any(accounts.sums(town.store).values()) and audit(town.store).count == 0
    town.assert_sound()
