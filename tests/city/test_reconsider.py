"""A payment that is decided again: for a true reason, back and forth, and never paid or taken twice. DESIGN §5, §8."""

import pytest

from offline_ledger import errors
from offline_ledger.city import accounts, decided, decisions
from offline_ledger.city.accounts import (
    RISK,
    UNFUNDED,
    AccountKind,
    OwnerKind,
    owner_account,
    suspense_account,
    wallet_account,
)
from offline_ledger.city.audit import audit
from offline_ledger.city.decided import Part
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.wallet import Audience
from tests.city.town import NOW_S, Town, TownWallet

SHOP = owner_account(OwnerKind.MERCHANT, "noodles")


def sold(town: Town, name: str = "pos-0", buyer: TownWallet | None = None) -> TownWallet:
    """One honest sale of 20 KGO."""
    buyer = buyer or town.wallet()
    till = town.terminal(name, DeviceRole.SHOP)
    buyer.next(2_000)
    till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000)
    town.send(till)
    return buyer


def decide(town: Town, pay: bool, from_risk: bool = False, name: str = "pos-0") -> decided.Decided:
    kgo = decisions.decide_suspense(town.store, name, 1, pay=pay, from_risk=from_risk, note="n", now_s=NOW_S)
    assert kgo == 2_000
    assert town.balance(suspense_account("noodles")) == town.balance(UNFUNDED) == 0
    assert audit(town.store).findings == ()
    town.assert_sound()
    return decided.last_decision(town.store, name, 1)


def test_the_reason_is_that_it_was_taken_back(town: Town) -> None:
    sold(town)
    assert decisions.reconsider(town.store, "pos-0", 1, "customer complained", NOW_S) == 2_000
    row = town.store.one("SELECT refusal, decision, decided_at_s, kgo FROM suspense")
    assert row == (errors.Reconsidered.number, "customer complained", None, 2_000)
    assert audit(town.store).findings == ()
    with pytest.raises(errors.RefundInvalid):
        decisions.reconsider(town.store, "pos-0", 1, "again", NOW_S)


def test_what_was_refused_can_be_paid_after_all(town: Town) -> None:
    buyer = sold(town)
    available, deposit = wallet_account(buyer.wallet_id), AccountKind.DEPOSIT
    before_kgo = town.balance(available)
    for from_risk in (False, True, False):
        decisions.reconsider(town.store, "pos-0", 1, "who is right?", NOW_S)
        refused = decide(town, pay=False)
        assert town.balance(SHOP) == 0 and refused.owner_kgo == 0 and refused.unpaid == ()
        assert town.balance(available) == before_kgo + 2_000 and town.balance(RISK) == 0
        assert decisions.reconsider(town.store, "pos-0", 1, "the shop is", NOW_S) == 2_000
        assert audit(town.store).findings == ()
        paid = decide(town, pay=True, from_risk=from_risk)
        assert paid.owner == "noodles" and paid.owner_kgo == town.balance(SHOP) == 2_000
        payer = Part(AccountKind.RISK, "", -2_000)
        if not from_risk:
            payer = Part(AccountKind.WALLET, str(buyer.wallet_id), -2_000)
        assert paid.parts == (payer,) and deposit not in [part.kind for part in paid.parts]


def test_refused_again_takes_nothing_more_from_anybody(town: Town) -> None:
    buyer = sold(town)
    for parts in ((Part(AccountKind.WALLET, str(buyer.wallet_id), 2_000),), ()):
        decisions.reconsider(town.store, "pos-0", 1, "n", NOW_S)
        assert decide(town, pay=False).parts == parts
    assert town.balance(SHOP) == 0
    assert town.balance(wallet_account(buyer.wallet_id)) == 2_000


@pytest.mark.parametrize("second_pays", [True, False])
def test_a_duplicate_that_nobody_is_paid_for_is_told(town: Town, second_pays: bool) -> None:
    buyer = sold(town)
    till = town.terminal("pos-1", DeviceRole.SHOP)
    till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000)
    town.send(till)
    decisions.reconsider(town.store, "pos-0", 1, "was at the other", NOW_S)
    kgo = decisions.decide_suspense(town.store, "pos-0", 1, pay=False, from_risk=False, note="", now_s=NOW_S)
    assert kgo == 2_000 and decided.last_decision(town.store, "pos-0", 1).unpaid == (), "the second waits"
    last = decide(town, pay=second_pays, name="pos-1")
    assert last.unpaid == (() if second_pays else (("pos-0", 1),))


@pytest.mark.parametrize("available_kgo", [0, 500, 2_000, 9_000])
def test_what_the_wallet_does_not_have_is_told_as_a_debt(town: Town, available_kgo: int) -> None:
    buyer = sold(town)
    decisions.reconsider(town.store, "pos-0", 1, "n", NOW_S)
    decide(town, pay=False)
    spare_kgo = town.balance(wallet_account(buyer.wallet_id))
    accounts.grant(town.store, buyer.wallet_id, available_kgo - spare_kgo, NOW_S, "so that this is left")
    decisions.reconsider(town.store, "pos-0", 1, "n", NOW_S)
    paid = decide(town, pay=True)
    had_kgo = min(2_000, available_kgo)
    kind, name = AccountKind.WALLET, str(buyer.wallet_id)
    expected = [Part(kind, name, -had_kgo), Part(kind, name, had_kgo - 2_000, is_debt=True)]
    assert list(paid.parts) == [part for part in expected if part.kgo] and paid.before == ()


def test_paid_again_is_told_who_had_given_it(town: Town) -> None:
    buyer = sold(town)
    decisions.reconsider(town.store, "pos-0", 1, "n", NOW_S)
    paid = decide(town, pay=True)
    reserve = Part(AccountKind.RESERVED, buyer.allowance.identity.hex(), -2_000)
    assert paid.parts == () and paid.before == (reserve,)
