"""Closings end an allowance once: whatever is said afterwards returns nothing more. DESIGN §8."""

import pytest

from offline_ledger.city import allowances
from offline_ledger.city.accounts import reserved_account, wallet_account
from offline_ledger.errors import ClosingInvalid, UnknownAllowance
from offline_ledger.protocol.wallet import Closing
from tests.city.town import NOW_S, Town, TownWallet

RESERVE_KGO = 50_000


def close(town: Town, payer: TownWallet, last_n: int, final_sum_kgo: int, now_s: int = NOW_S + 1) -> int:
    said = Closing(payer.allowance.identity, last_n, final_sum_kgo)
    return allowances.close(town.store, payer.sign(said).raw, now_s)


@pytest.mark.parametrize(("last_n", "final_sum_kgo"), [(3, 20_000), (2, 10_000), (9, 20_000), (0, 0)])
def test_a_second_other_closing_returns_nothing(town: Town, last_n: int, final_sum_kgo: int) -> None:
    payer = town.wallet()
    assert close(town, payer, 2, 20_000) == RESERVE_KGO - 20_000
    with pytest.raises(ClosingInvalid):
        close(town, payer, last_n, final_sum_kgo)
    assert town.balance(wallet_account(payer.wallet_id)) == RESERVE_KGO - 20_000
    assert town.balance(reserved_account(payer.allowance.identity)) == 20_000
    town.assert_sound()


def test_a_closing_after_the_release_returns_nothing(town: Town) -> None:
    payer = town.wallet()
    after_s = NOW_S + town.limits.allowance_life_s + town.limits.reserve_grace_s + 1
    allowances.release_due(town.store, town.limits, after_s)
    assert town.balance(wallet_account(payer.wallet_id)) == RESERVE_KGO
    with pytest.raises(ClosingInvalid):
        close(town, payer, 0, 0, after_s)
    assert town.balance(wallet_account(payer.wallet_id)) == RESERVE_KGO
    town.assert_sound()


def test_a_closing_of_an_allowance_that_is_not_here(town: Town) -> None:
    payer = town.wallet()
    with pytest.raises(UnknownAllowance):
        allowances.close(town.store, payer.sign(Closing(bytes(32), 0, 0)).raw, NOW_S + 1)


def test_a_closing_by_another_key(town: Town) -> None:
    payer = town.wallet()
    forged = payer.sign(Closing(payer.allowance.identity, 0, 0), town.new_key())
    with pytest.raises(ClosingInvalid, match="signature"):
        allowances.close(town.store, forged.raw, NOW_S + 1)
    assert town.balance(reserved_account(payer.allowance.identity)) == RESERVE_KGO


def test_a_closing_above_the_reserve_takes_nothing(town: Town) -> None:
    payer = town.wallet()
    try:
        assert close(town, payer, 9, RESERVE_KGO + 1) == 0
    except ClosingInvalid:
        assert town.balance(reserved_account(payer.allowance.identity)) == RESERVE_KGO
    assert town.balance(wallet_account(payer.wallet_id)) == 0
    town.assert_sound()
