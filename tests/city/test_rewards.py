"""A reward stands as long as its sale: what is taken back, or never stood, earns none."""

import pytest

from offline_ledger.city import allowances, decisions
from offline_ledger.city.accounts import CUSTOMER_CASH, OwnerKind, campaign_account, owner_account
from offline_ledger.city.audit import audit
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import DeviceRole, EventKind
from offline_ledger.protocol.wallet import Audience
from tests.city.town import NOW_S, Town, TownTerminal, TownWallet

POSTED = (Outcome.POSTED, 0)
MERCHANT = owner_account(OwnerKind.MERCHANT, "noodles")
HELD_KGO, SPENT_KGO, REWARD_KGO = 50_000, 1_000, 400
BILL_SATANG = 50_000


def held_kgo(town: Town, buyer: TownWallet) -> int:
    return sum(allowances.balances(town.store, buyer.wallet_id))


def code(buyer: TownWallet, at_s: int, kgo: int = SPENT_KGO) -> Signed:
    buyer.last_kgo = kgo
    return buyer.sign(buyer.presentment(Audience.SHOP, at_s))


def sale(till: TownTerminal, buyer: TownWallet, at_s: int = NOW_S, kgo: int = SPENT_KGO) -> None:
    """A sale of the wallet's first intent that claims its reward."""
    buyer.n = 1
    till.sale(code(buyer, at_s, kgo), at_s, BILL_SATANG, kgo, reward_kgo=REWARD_KGO)


def assert_honest(town: Town) -> None:
    assert audit(town.store).findings == ()
    town.assert_sound()


@pytest.mark.parametrize("kgo", [SPENT_KGO, 0])
def test_a_sale_voided_after_a_crash_gives_its_reward_back(town: Town, kgo: int) -> None:
    """With KGO or without: the cash leg goes too, and the day's ceiling is as if nothing had been sold."""
    till, buyer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet(HELD_KGO)
    sale(till, buyer, kgo=kgo)
    assert town.send(till).outcomes == [POSTED]
    assert held_kgo(town, buyer) == HELD_KGO - kgo + REWARD_KGO
    till.event(EventKind.LAPSED, 1, NOW_S + 700, False)
    town.send(till, NOW_S + 800)
    assert held_kgo(town, buyer) == HELD_KGO
    assert town.balance(MERCHANT) == town.balance(CUSTOMER_CASH) == 0
    assert town.balance(campaign_account("all")) == 100_000
    assert town.store.fetch("SELECT kgo FROM rewards") == [(0,)]
    assert_honest(town)


def test_a_sale_that_was_voided_before_it_came_earns_nothing(town: Town) -> None:
    till, buyer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet(HELD_KGO)
    sale(till, buyer)
    till.event(EventKind.LAPSED, 1, NOW_S + 700, False)
    assert town.send(till, NOW_S + 800).outcomes == [POSTED]
    assert held_kgo(town, buyer) == HELD_KGO
    assert_honest(town)


def test_what_yields_to_a_duplicate_leaves_one_reward(town: Town) -> None:
    """The first till crashed before its green and was believed; then the second till's sale arrives."""
    dead, alive = (town.terminal(f"pos-{at}", DeviceRole.SHOP) for at in range(2))
    buyer = town.wallet(HELD_KGO)
    sale(dead, buyer)
    dead.event(EventKind.RATIFIED, 1, [1], [])
    assert town.send(dead).outcomes == [POSTED]
    sale(alive, buyer, NOW_S + 20)
    assert town.send(alive).outcomes == [POSTED]
    assert held_kgo(town, buyer) == HELD_KGO - SPENT_KGO + REWARD_KGO
    assert town.store.fetch("SELECT kgo FROM rewards") == [(REWARD_KGO,)]
    assert_honest(town)


def test_what_was_shown_after_all_earns_its_reward_again(town: Town) -> None:
    """The first yields to the second; the second is voided; the first's green was shown when the buyer came back."""
    dead, alive = (town.terminal(f"pos-{at}", DeviceRole.SHOP) for at in range(2))
    buyer = town.wallet(HELD_KGO)
    sale(dead, buyer)
    dead.event(EventKind.RATIFIED, 1, [1], [])
    town.send(dead)
    sale(alive, buyer, NOW_S + 20)
    town.send(alive)
    alive.event(EventKind.LAPSED, 1, NOW_S + 700, False)
    town.send(alive, NOW_S + 800)
    assert held_kgo(town, buyer) == HELD_KGO
    dead.event(EventKind.RATIFIED, 1, [], [1])
    town.send(dead, NOW_S + 900)
    assert held_kgo(town, buyer) == HELD_KGO - SPENT_KGO + REWARD_KGO
    assert town.balance(campaign_account("all")) == 100_000 - REWARD_KGO
    assert_honest(town)


def test_a_shop_that_was_not_named_gives_the_reward_back_and_frees_the_day(town: Town) -> None:
    first, second = (town.terminal(f"pos-{at}", DeviceRole.SHOP) for at in range(2))
    buyer = town.wallet(HELD_KGO)
    for till in (first, second):
        sale(till, buyer)
        town.send(till)
    decisions.reconsider(town.store, "pos-0", 1, "", NOW_S)
    decisions.decide_suspense(town.store, "pos-0", 1, pay=False, from_risk=False, note="", now_s=NOW_S)
    assert town.store.fetch("SELECT kgo FROM rewards") == [(0,)]
    assert held_kgo(town, buyer) == HELD_KGO
    assert_honest(town)
