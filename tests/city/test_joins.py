"""After a restore a stand-in carries what was lost, until it turns out to be somebody's account: all of it moves."""

import pytest

from offline_ledger import errors
from offline_ledger.city import allowances, decisions, deposits, equivocation
from offline_ledger.city.accounts import wallet_account
from offline_ledger.city.audit import audit
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import DeviceRole, EventKind, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import ALLOWANCE, Audience
from offline_ledger.rules.limits import Limits
from tests.city.test_day_close import AFTER_S, DAY, buses, closed, publish, ride
from tests.city.town import FARE_KGO, ISSUER_TEST_ONLY, NOW_S, Town, TownTerminal, TownWallet, signed_by

POSTED = (Outcome.POSTED, 0)


def lost(town: Town, wallet: TownWallet, number: int) -> Signed:
    """Another allowance for the same wallet key, as a card has, that this ledger knows nothing of."""
    said = wallet.says._replace(pass_id=number.to_bytes(8, "big"), expires_at_s=wallet.says.expires_at_s + number)
    return signed_by(ISSUER_TEST_ONLY, Kind.ALLOWANCE, ALLOWANCE.encode(said))


def ridden(town: Town, bus: TownTerminal, wallet: TownWallet, allowance: Signed) -> TownWallet:
    """One ride under the lost allowance, which the bus uploads when it is asked."""
    holder = TownWallet(wallet.account, wallet.wallet_id, wallet.key, allowance)
    bus.boarding(holder.ride_code(NOW_S), NOW_S)
    first = len(bus.vouchers)
    assert town.send(bus, first=first).wanted == (allowance.identity,)
    assert town.send(bus, first=first, allowance=[allowance.raw]).outcomes == [POSTED]
    return holder


def stand_in_of(town: Town, wallet: TownWallet) -> int:
    return allowances.wallet_of(town.store, wallet.key.point).wallet_id


def test_all_of_it_moves_and_later_finds_of_the_key_follow(town: Town) -> None:
    owner = town.wallet(200_000)
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    ridden(town, bus, owner, lost(town, owner, 1))
    stand_in = stand_in_of(town, owner)
    assert allowances.balances(town.store, stand_in) == (-50_000, 50_000 - FARE_KGO)
    assert decisions.rebuilt_wallet_joins(town.store, stand_in, owner.wallet_id, "card in hand", NOW_S) == -50_000
    assert allowances.balances(town.store, stand_in) == (0, 0)
    ridden(town, bus, owner, lost(town, owner, 2))
    assert allowances.balances(town.store, stand_in) == (0, 0)
    assert allowances.balances(town.store, owner.wallet_id) == (50_000, 150_000 - 2 * FARE_KGO)
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_proofs_and_denials_move_and_the_account_is_frozen(town: Town) -> None:
    """Somebody cheated under the lost allowance: it is the account's cheat."""
    owner = town.wallet(200_000)
    first, second = (town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in range(2))
    holder = ridden(town, first, owner, lost(town, owner, 1))
    holder.n, holder.sum_kgo = holder.n, 7
    second.boarding(holder.sign(holder.presentment(Audience.TRANSIT, NOW_S, sum_kgo=7)), NOW_S)
    town.send(second)
    stand_in = stand_in_of(town, owner)
    assert [proof.wallet_id for proof in equivocation.proofs(town.store)] == [stand_in]
    decisions.rebuilt_wallet_joins(town.store, stand_in, owner.wallet_id, "", NOW_S)
    (proof,) = equivocation.proofs(town.store)
    assert proof.wallet_id == owner.wallet_id
    assert {row[0] for row in town.store.fetch("SELECT wallet_id FROM denied")} == {owner.wallet_id}
    denied = {row[0] for row in town.store.fetch("SELECT pass_id FROM denied")}
    assert denied == {holder.says.pass_id, owner.says.pass_id}, "the account's own live pass too"
    assert town.store.one("SELECT frozen FROM wallets WHERE wallet_id = ?", (owner.wallet_id,)) == (1,)
    equivocation.review(town.store, proof.equivocation_id, False, "explained", NOW_S)
    assert town.store.fetch("SELECT 1 FROM denied") == []
    assert town.store.one("SELECT frozen FROM wallets WHERE wallet_id = ?", (owner.wallet_id,)) == (0,)


@pytest.mark.parametrize("how", ["voided", "refunded"])
def test_what_is_undone_after_the_join_is_undone_at_the_account(town: Town, how: str) -> None:
    """A sale with its reward under a lost allowance; the stand-in that got it is somebody's by then."""
    owner, till = town.wallet(200_000), town.terminal("pos-1", DeviceRole.SHOP)
    allowance = lost(town, owner, 1)
    buyer = TownWallet(owner.account, owner.wallet_id, owner.key, allowance)
    buyer.next(1_000)
    till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 50_000, 1_000, reward_kgo=400)
    town.send(till)
    assert town.send(till, allowance=[allowance.raw]).outcomes == [POSTED]
    stand_in = stand_in_of(town, owner)
    assert sum(allowances.balances(town.store, stand_in)) == 400 - 1_000
    decisions.rebuilt_wallet_joins(town.store, stand_in, owner.wallet_id, "", NOW_S)
    if how == "voided":
        till.event(EventKind.LAPSED, 1, NOW_S + 700, False)
        town.send(till, NOW_S + 800, first=2)
    else:
        till.voucher(VoucherKind.REFUND, NOW_S + 700, kgo=1_000, satang=49_000, refers_to=1)
        assert town.send(till, NOW_S + 800, first=2).outcomes == [POSTED]
    assert allowances.balances(town.store, stand_in) == (0, 0)
    assert sum(allowances.balances(town.store, owner.wallet_id)) == 200_000
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_what_comes_to_a_frozen_account_later_is_denied_too(town: Town) -> None:
    """Joined to an account that a proof froze; then another of its lost allowances turns up."""
    owner = town.wallet(300_000)
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    first = ridden(town, bus, owner, lost(town, owner, 1))
    with town.store.transaction():
        equivocation.freeze_wallet(town.store, owner.wallet_id, equivocation.EQUIVOCATION, NOW_S)
    decisions.rebuilt_wallet_joins(town.store, stand_in_of(town, owner), owner.wallet_id, "", NOW_S)
    second = ridden(town, bus, owner, lost(town, owner, 2))
    denied = {row[0] for row in town.store.fetch("SELECT pass_id FROM denied")}
    assert denied == {owner.says.pass_id, first.says.pass_id, second.says.pass_id}


def test_rides_of_a_stand_in_and_of_its_account_are_one_day(town: Town) -> None:
    publish(town)
    owner = town.wallet(200_000)
    bus, other = buses(town)
    allowance = lost(town, owner, 1)
    holder = TownWallet(owner.account, owner.wallet_id, owner.key, allowance)
    ride(bus, holder, AFTER_S - 7_200)
    assert town.send(bus, AFTER_S).wanted == (allowance.identity,)
    assert town.send(bus, AFTER_S, allowance=[allowance.raw]).outcomes == [POSTED]
    ride(other, owner, AFTER_S - 7_100)
    assert town.send(other, AFTER_S).outcomes == [POSTED]
    decisions.rebuilt_wallet_joins(town.store, stand_in_of(town, owner), owner.wallet_id, "", AFTER_S)
    assert [(one.day, one.wallet_id, one.rebate.kgo) for one in closed(town)] == [(DAY, owner.wallet_id, FARE_KGO)]
    assert audit(town.store).findings == ()


def test_a_deposit_taken_back_before_the_join_is_no_finding(town: Town) -> None:
    """The reserve that it should have stood for was not known to be this account's then."""
    owner = town.wallet(60_000)
    deposits.put_down(town.store, owner.wallet_id, 5_000, "", NOW_S)
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    ridden(town, bus, owner, lost(town, owner, 1))
    with town.store.transaction():  # the account's own allowance is released
        late_s = owner.says.expires_at_s + Limits().reserve_grace_s + 1
        assert allowances.release_due(town.store, town.limits, late_s, owner.wallet_id) == 1
    deposits.take_back(town.store, town.limits, owner.wallet_id, 5_000, "", NOW_S)
    decisions.rebuilt_wallet_joins(town.store, stand_in_of(town, owner), owner.wallet_id, "", NOW_S)
    assert audit(town.store).findings == ()
    assert town.balance(wallet_account(owner.wallet_id)) == 60_000 - 50_000


def test_what_cannot_be_joined(town: Town) -> None:
    owner, other = town.wallet(200_000), town.wallet()
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    ridden(town, bus, owner, lost(town, owner, 1))
    ridden(town, bus, other, lost(town, other, 2))
    first, second = stand_in_of(town, owner), stand_in_of(town, other)
    for pair in ((owner.wallet_id, other.wallet_id), (first, second), (first, first)):
        with pytest.raises(errors.JoinInvalid):
            decisions.rebuilt_wallet_joins(town.store, *pair, "", NOW_S)
    for pair in ((99, owner.wallet_id), (first, 99)):
        with pytest.raises(errors.WalletUnknown):
            decisions.rebuilt_wallet_joins(town.store, *pair, "", NOW_S)
    decisions.rebuilt_wallet_joins(town.store, first, owner.wallet_id, "", NOW_S)
    with pytest.raises(errors.JoinInvalid):
        decisions.rebuilt_wallet_joins(town.store, first, other.wallet_id, "", NOW_S)
    town.assert_sound()
