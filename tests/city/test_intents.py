"""Who pays for an intent that two terminals accepted: the same whatever order uploads arrive in. DESIGN §2, §5."""

import pytest

from offline_ledger import errors
from offline_ledger.city import allowances, decisions
from offline_ledger.city.accounts import RISK, OwnerKind, owner_account, suspense_account
from offline_ledger.city.audit import audit
from offline_ledger.protocol import wallet as wallet_objects
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import DeviceRole, EventKind, PlaceKey, VoucherKind
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX
from offline_ledger.protocol.wallet import Audience
from tests.city.town import (
    FARE_KGO,
    FARE_SATANG,
    ISSUER_TEST_ONLY,
    NOW_S,
    ZERO_HASH,
    Town,
    TownTerminal,
    TownWallet,
    pay_two_way,
)

HELD_KGO = 50_000
SALE_KGO = 1_000
BILL_SATANG = 50_000
REWARD_KGO = 400
OPERATOR = owner_account(OwnerKind.OPERATOR, "transit")
SHOP = owner_account(OwnerKind.MERCHANT, "noodles")


def held_kgo(town: Town, who: TownWallet) -> int:
    return sum(allowances.balances(town.store, who.wallet_id))


def charges(town: Town, who: TownWallet) -> tuple[tuple[int, int], ...]:
    """What the ledger signs to the wallet."""
    signed = allowances.statement(town.store, ISSUER_TEST_ONLY, who.allowance.identity, NOW_S + 5_000)
    return wallet_objects.STATEMENT.decode(signed.payload, CITY_OBJECT_BYTES_MAX).charges


def assert_honest(town: Town) -> None:
    town.assert_sound()
    assert audit(town.store).findings == ()


def pair(town: Town, role: DeviceRole) -> tuple[TownTerminal, TownTerminal]:
    dead, alive = (town.terminal(name, role) for name in ("dead", "alive"))
    return dead, alive


def code_of(who: TownWallet, role: DeviceRole, at_s: int) -> Signed:
    audience = Audience.TRANSIT if role is DeviceRole.VALIDATOR else Audience.SHOP
    return who.sign(who.presentment(audience, at_s))


def accept(terminal: TownTerminal, who: TownWallet, at_s: int) -> None:
    """The wallet's present intent, once more."""
    code = code_of(who, terminal.role, at_s)
    if terminal.role is DeviceRole.VALIDATOR:
        terminal.boarding(code, at_s)
    else:
        terminal.sale(code, at_s, BILL_SATANG, SALE_KGO, reward_kgo=REWARD_KGO)


# what becomes of the green that nobody saw: its last event, then what owner, wallet, risk fund and suspense have
ENDS = {
    "the boarding lapses": (DeviceRole.VALIDATOR, (EventKind.LAPSED, 1, NOW_S + 700, False), (1, 1, 0, 0)),
    "its rider came back": (DeviceRole.VALIDATOR, (EventKind.UNCHARGED_GREEN, 1, NOW_S + 50, 1, b""), (2, 1, 1, 0)),
    "it is ratified late": (DeviceRole.VALIDATOR, (EventKind.RATIFIED, 1, [], [1]), (2, 1, 1, 0)),
    "the sale is charged": (DeviceRole.SHOP, (EventKind.LAPSED, 1, NOW_S + 700, True), (1, 1, 0, 1)),
    "the sale is ratified late": (DeviceRole.SHOP, (EventKind.RATIFIED, 1, [], [1]), (1, 1, 0, 1)),
}


@pytest.mark.parametrize("arrives_at", range(4))
@pytest.mark.parametrize("end", ENDS)
def test_the_order_of_uploads_decides_nothing(town: Town, end: str, arrives_at: int) -> None:
    """One terminal dies before its green and uploads in three steps; the other's upload falls between any two."""
    role, (kind, *body), (to_owner, by_wallet, by_risk, waits) = ENDS[end]
    dead, alive = pair(town, role)
    who = town.wallet(HELD_KGO)
    who.next(FARE_KGO if role is DeviceRole.VALIDATOR else SALE_KGO)
    accept(dead, who, NOW_S)
    accept(alive, who, NOW_S + 20)
    alive.event(EventKind.RATIFIED, 1, [], [])
    dead.event(EventKind.RATIFIED, 1, [1], [])
    dead.event(kind, *body)
    for step in range(4):
        if step == arrives_at:
            town.send(alive, NOW_S + 800)
        if step < 3:
            town.send(dead, NOW_S + 900, first=1 if not step else 2, last=1, first_event=max(step, 1), last_event=step)
    amount = FARE_KGO if role is DeviceRole.VALIDATOR else SALE_KGO
    owner = OPERATOR if role is DeviceRole.VALIDATOR else SHOP
    reward_kgo = 0 if role is DeviceRole.VALIDATOR else REWARD_KGO
    assert town.balance(owner) == to_owner * amount
    assert held_kgo(town, who) == HELD_KGO - by_wallet * amount + reward_kgo
    assert town.balance(RISK) == -by_risk * amount
    assert town.balance(suspense_account("noodles")) == waits * amount
    assert charges(town, who) == ((1, by_wallet * amount),)
    assert town.store.fetch("SELECT sum(kgo) FROM risk_days") in ([(by_risk * amount,)], [(None,)])
    assert_honest(town)


def test_a_lapsed_ride_is_no_ride_to_be_a_duplicate_of(town: Town) -> None:
    dead, alive = pair(town, DeviceRole.VALIDATOR)
    who = town.wallet(HELD_KGO)
    who.next(FARE_KGO)
    accept(dead, who, NOW_S)
    dead.event(EventKind.LAPSED, 1, NOW_S + 700, False)
    town.send(dead, NOW_S + 800)
    accept(alive, who, NOW_S + 20)
    assert town.send(alive, NOW_S + 900).outcomes == [(Outcome.POSTED, 0)]
    assert (held_kgo(town, who), town.balance(RISK)) == (HELD_KGO - FARE_KGO, 0)
    assert_honest(town)


def test_what_waited_for_want_of_a_payer_leaves_suspense_and_its_list(town: Town) -> None:
    dead, alive = pair(town, DeviceRole.SHOP)
    who = town.wallet(HELD_KGO)
    who.next(SALE_KGO)
    accept(dead, who, NOW_S)
    accept(alive, who, NOW_S + 20)
    town.send(dead)
    assert town.send(alive).outcomes == [(Outcome.SUSPENSE, errors.DuplicateIntent.number)]
    dead.event(EventKind.RATIFIED, 1, [1], [])
    town.send(dead, first=2, last=1, first_event=1)
    assert town.store.fetch("SELECT * FROM suspense") == []
    assert held_kgo(town, who) == HELD_KGO - SALE_KGO + REWARD_KGO
    assert_honest(town)


def test_a_green_that_falls_away_takes_its_row_of_suspense_with_it(town: Town) -> None:
    dead, alive = pair(town, DeviceRole.SHOP)
    who = town.wallet(HELD_KGO)
    who.next(SALE_KGO)
    accept(alive, who, NOW_S)
    accept(dead, who, NOW_S + 20)
    town.send(alive)
    assert town.send(dead).outcomes == [(Outcome.SUSPENSE, errors.DuplicateIntent.number)]
    dead.event(EventKind.RATIFIED, 1, [1], [])
    town.send(dead, first=2, last=1, first_event=1)
    assert town.store.fetch("SELECT * FROM suspense") == []
    assert town.balance(suspense_account("noodles")) == 0
    with pytest.raises(errors.RefundInvalid):
        decisions.decide_suspense(town.store, "dead", 1, pay=True, from_risk=False, note="", now_s=NOW_S)
    assert_honest(town)


@pytest.mark.parametrize(("apart_s", "by_wallet"), [((35, 70), 2), ((35, 40), 1), ((41, 82), 3), ((20, 60), 2)])
def test_a_boarding_that_the_fund_paid_makes_no_window_of_its_own(
    town: Town, apart_s: tuple[int, int], by_wallet: int
) -> None:
    """Once within the window of one that is paid for itself; a chain of repeats is no free ride for the evening."""
    who = town.wallet(HELD_KGO)
    who.next(FARE_KGO)
    for at, later_s in enumerate((0, *apart_s)):
        bus = town.terminal(f"bus-{at}", DeviceRole.VALIDATOR)
        accept(bus, who, NOW_S + later_s)
        town.send(bus, NOW_S + 200)
    assert held_kgo(town, who) == HELD_KGO - by_wallet * FARE_KGO
    assert town.balance(RISK) == -(3 - by_wallet) * FARE_KGO
    assert_honest(town)


def test_an_annulled_boarding_leaves_the_other_one_to_the_wallet(town: Town) -> None:
    first, second = pair(town, DeviceRole.VALIDATOR)
    who = town.wallet(HELD_KGO)
    who.next(FARE_KGO)
    for bus, at_s in ((first, NOW_S), (second, NOW_S + 20)):
        accept(bus, who, at_s)
        town.send(bus)
    assert town.balance(RISK) == -FARE_KGO
    first.voucher(VoucherKind.ANNUL, NOW_S + 30, kgo=FARE_KGO, satang=FARE_SATANG, refers_to=1)
    assert town.send(first).outcomes == [(Outcome.POSTED, 0)] * 2
    assert (held_kgo(town, who), town.balance(RISK)) == (HELD_KGO - FARE_KGO, 0)
    assert charges(town, who) == ((1, FARE_KGO),)
    assert_honest(town)


def test_what_the_fund_has_back_counts_no_longer_against_its_day(town: Town) -> None:
    dead, alive = pair(town, DeviceRole.VALIDATOR)
    who = town.wallet(HELD_KGO)
    who.next(FARE_KGO)
    for bus, at_s in ((alive, NOW_S), (dead, NOW_S + 20)):
        accept(bus, who, at_s)
        town.send(bus)
    assert town.store.fetch("SELECT kgo FROM risk_days") == [(FARE_KGO,)]
    dead.event(EventKind.LAPSED, 1, NOW_S + 700, False)
    town.send(dead, NOW_S + 800, first=2, last=1)
    assert town.store.fetch("SELECT kgo FROM risk_days") == [(0,)]
    assert (held_kgo(town, who), town.balance(RISK)) == (HELD_KGO - FARE_KGO, 0)
    assert_honest(town)


def test_the_statement_says_what_the_wallet_paid_in_the_end(town: Town) -> None:
    """A ride that was annulled, and one beyond what the wallet has: what the risk fund gave is not its own charge."""
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    who = town.wallet(FARE_KGO + 100)
    for _ in range(2):
        bus.boarding(who.ride_code(NOW_S), NOW_S)
    bus.voucher(VoucherKind.ANNUL, NOW_S + 20, kgo=FARE_KGO, satang=FARE_SATANG, refers_to=1)
    town.send(bus)
    assert charges(town, who)[0] == (1, 0)
    assert sum(kgo for _n, kgo in charges(town, who)) == FARE_KGO + 100 - held_kgo(town, who)
    assert_honest(town)


def restored(bus: TownTerminal) -> TownTerminal:
    """The same device from an image of before its first voucher."""
    twin = bus.copy()
    twin.vouchers.clear()
    twin.identities.clear()
    twin.head = ZERO_HASH
    return twin


def released(town: Town, fork: TownTerminal) -> list[tuple[int, int]]:
    """(outcome, refusal) of what a fork sent, in its order, once the operator has released it."""
    assert {outcome for outcome, _ in town.send(fork, NOW_S + 300).outcomes} == {Outcome.HELD}
    assert decisions.release_held(town.store, town.reader, town.limits, fork.name, NOW_S + 400) == len(fork.vouchers)
    rows = town.store.fetch("SELECT identity, outcome, refusal FROM fork_vouchers")
    told = {identity: (outcome, refusal) for identity, outcome, refusal in rows}
    return [told[identity] for identity in fork.identities]


def test_a_released_fork_is_judged_by_its_own_branch(town: Town) -> None:
    """The old card's rides are older than the new one's, and arrive later: the wallets are honest and pay for both."""
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    old = restored(bus)
    who, other = town.wallet(HELD_KGO), town.wallet(HELD_KGO)
    first = who.ride_code(NOW_S)
    old.boarding(other.ride_code(NOW_S), NOW_S)
    old.boarding(first, NOW_S)
    bus.boarding(who.ride_code(NOW_S + 100), NOW_S + 100)
    town.send(bus, NOW_S + 200)
    assert released(town, old) == [(Outcome.POSTED, 0)] * 2
    assert held_kgo(town, who) == HELD_KGO - 2 * FARE_KGO
    assert town.balance(OPERATOR) == 3 * FARE_KGO
    assert_honest(town)


@pytest.mark.parametrize(("later_s", "by_wallet"), [(0, 1), (100, 2)])
def test_an_intent_on_both_branches_is_a_duplicate(town: Town, later_s: int, by_wallet: int) -> None:
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    old, who = restored(bus), town.wallet(HELD_KGO)
    who.next(FARE_KGO)
    old.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    accept(bus, who, NOW_S)
    accept(old, who, NOW_S + later_s)
    town.send(bus, NOW_S + 200)
    assert [outcome for outcome, _ in released(town, old)] == [Outcome.POSTED] * 2
    assert held_kgo(town, who) == HELD_KGO - by_wallet * FARE_KGO
    assert town.balance(RISK) == -(2 - by_wallet) * FARE_KGO
    assert_honest(town)


def test_twice_on_one_branch_is_still_rejected(town: Town) -> None:
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    old, who = restored(bus), town.wallet(HELD_KGO)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    town.send(bus)
    who.next(FARE_KGO)
    for _ in range(2):
        accept(old, who, NOW_S)
    assert released(town, old) == [(Outcome.POSTED, 0), (Outcome.REJECTED, errors.AlreadyAccepted.number)]
    assert_honest(town)


def test_a_payment_on_both_branches_waits_for_the_operator(town: Town) -> None:
    """The image was made after the request: the till asked its customer again, and got the same payment."""
    till = town.terminal("pos-1", DeviceRole.SHOP)
    old, who = restored(till), town.wallet(HELD_KGO)
    pay_two_way(till, who, SALE_KGO, NOW_S)
    who.n, who.sum_kgo, who.last_kgo = 0, 0, 0
    again = {int(PlaceKey.SALE): "again", int(PlaceKey.BILL_SATANG): 4 * SALE_KGO}
    pay_two_way(old, who, SALE_KGO, NOW_S, place=again)
    assert town.send(till).outcomes == [(Outcome.POSTED, 0)]
    assert released(town, old) == [(Outcome.SUSPENSE, errors.DuplicateIntent.number)]
    assert held_kgo(town, who) == HELD_KGO - SALE_KGO
    assert_honest(town)


def test_a_forks_refund_gives_back_its_own_sale(town: Town) -> None:
    """Both branches have a sale of number 1; the fork's void is of the fork's."""
    till = town.terminal("pos-1", DeviceRole.SHOP)
    old, who, other = restored(till), town.wallet(HELD_KGO), town.wallet(HELD_KGO)
    for terminal, buyer in ((till, other), (old, who)):
        buyer.next(SALE_KGO)
        terminal.sale(code_of(buyer, DeviceRole.SHOP, NOW_S), NOW_S, BILL_SATANG, SALE_KGO)
    old.voucher(VoucherKind.VOID, NOW_S + 60, kgo=SALE_KGO, satang=BILL_SATANG - SALE_KGO, refers_to=1)
    town.send(till)
    assert released(town, old) == [(Outcome.POSTED, 0)] * 2
    assert (held_kgo(town, who), held_kgo(town, other)) == (HELD_KGO, HELD_KGO - SALE_KGO)
    assert_honest(town)
