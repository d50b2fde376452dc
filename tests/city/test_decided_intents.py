"""What a terminal says of a green after the operator has decided, or after it was given back. DESIGN §2, §5, §8."""

import pytest

from offline_ledger import errors
from offline_ledger.city import decisions
from offline_ledger.city.accounts import RISK, suspense_account
from offline_ledger.protocol.device import DeviceRole, EventKind, VoucherKind
from tests.city.test_intents import (
    HELD_KGO,
    OPERATOR,
    REWARD_KGO,
    SALE_KGO,
    SHOP,
    accept,
    assert_honest,
    held_kgo,
    pair,
)
from tests.city.town import FARE_KGO, FARE_SATANG, NOW_S, Town, TownTerminal, TownWallet


def decide(town: Town, name: str, *, pay: bool) -> None:
    decisions.decide_suspense(town.store, name, 1, pay=pay, from_risk=False, note="looked", now_s=NOW_S + 100)
    assert_honest(town)


def says(town: Town, terminal: TownTerminal, kind: EventKind, *body: object) -> None:
    """One more event, uploaded by itself."""
    terminal.event(kind, *body)
    number = len(terminal.events)
    town.send(terminal, NOW_S + 900, first=2, last=1, first_event=number)
    assert_honest(town)


def at_both(town: Town, role: DeviceRole) -> tuple[TownTerminal, TownTerminal, TownWallet]:
    """One intent at two terminals, nothing uploaded yet."""
    dead, alive = pair(town, role)
    who = town.wallet(HELD_KGO)
    who.next(FARE_KGO if role is DeviceRole.VALIDATOR else SALE_KGO)
    accept(dead, who, NOW_S)
    accept(alive, who, NOW_S + 20)
    return dead, alive, who


def test_what_the_operator_paid_stays_paid(town: Town) -> None:
    """The second shop was paid from the wallet; then its till says that it cannot tell whether the green was seen."""
    dead, alive, who = at_both(town, DeviceRole.SHOP)
    town.send(alive)
    town.send(dead)
    decide(town, "dead", pay=True)
    assert town.balance(SHOP) == 2 * SALE_KGO
    says(town, dead, EventKind.RATIFIED, 1, [1], [])
    says(town, dead, EventKind.LAPSED, 1, NOW_S + 700, False)
    assert town.balance(SHOP) == 2 * SALE_KGO
    assert held_kgo(town, who) == HELD_KGO - 2 * SALE_KGO + REWARD_KGO


def test_what_was_paid_does_not_give_way_to_what_comes_later(town: Town) -> None:
    dead, alive, who = at_both(town, DeviceRole.SHOP)
    dead.event(EventKind.RATIFIED, 1, [1], [])
    town.send(dead)
    decisions.reconsider(town.store, "dead", 1, "complaint", NOW_S + 90)
    decide(town, "dead", pay=True)
    town.send(alive, NOW_S + 900)
    assert town.balance(SHOP) == SALE_KGO and town.balance(suspense_account("noodles")) == SALE_KGO
    assert held_kgo(town, who) == HELD_KGO - SALE_KGO + REWARD_KGO
    assert_honest(town)


def test_what_was_refused_makes_room_and_never_comes_back(town: Town) -> None:
    """Nobody is paid for it, so it must not make the other one a duplicate; nor is it charged again by itself."""
    dead, alive, who = at_both(town, DeviceRole.VALIDATOR)
    town.send(dead)
    decisions.reconsider(town.store, "dead", 1, "did not ride", NOW_S + 90)
    decide(town, "dead", pay=False)
    town.send(alive, NOW_S + 200)
    assert town.balance(RISK) == -FARE_KGO  # until it is known that nobody saw the refused one
    says(town, dead, EventKind.RATIFIED, 1, [1], [])
    assert (held_kgo(town, who), town.balance(OPERATOR), town.balance(RISK)) == (HELD_KGO - FARE_KGO, FARE_KGO, 0)
    says(town, dead, EventKind.RATIFIED, 1, [], [1])
    assert (held_kgo(town, who), town.balance(OPERATOR), town.balance(RISK)) == (HELD_KGO - FARE_KGO, FARE_KGO, 0)
    with pytest.raises(errors.RefundInvalid):
        decisions.decide_suspense(town.store, "dead", 1, pay=True, from_risk=True, note="", now_s=NOW_S + 1_000)
    assert decisions.reconsider(town.store, "dead", 1, "did ride", NOW_S + 1_000) == FARE_KGO
    decide(town, "dead", pay=True)
    assert (held_kgo(town, who), town.balance(OPERATOR)) == (HELD_KGO - 2 * FARE_KGO, 2 * FARE_KGO)


def test_a_question_that_is_open_goes_with_its_green_and_comes_back(town: Town) -> None:
    dead, alive, who = at_both(town, DeviceRole.SHOP)
    town.send(dead)
    decisions.reconsider(town.store, "dead", 1, "complaint", NOW_S + 80)
    decide(town, "dead", pay=False)
    decisions.reconsider(town.store, "dead", 1, "again", NOW_S + 120)
    town.send(alive, NOW_S + 200)
    says(town, dead, EventKind.RATIFIED, 1, [1], [])
    assert town.store.fetch("SELECT device FROM suspense WHERE decided_at_s IS NULL") == []
    says(town, dead, EventKind.LAPSED, 1, NOW_S + 700, True)
    assert town.store.fetch("SELECT device FROM suspense WHERE decided_at_s IS NULL") == [("dead",)]
    assert town.balance(SHOP) == SALE_KGO and held_kgo(town, who) == HELD_KGO - SALE_KGO + REWARD_KGO


def test_a_boarding_that_was_annulled_and_shown_after_all_is_not_charged(town: Town) -> None:
    dead, alive, who = at_both(town, DeviceRole.VALIDATOR)
    dead.voucher(VoucherKind.ANNUL, NOW_S + 30, kgo=FARE_KGO, satang=FARE_SATANG, refers_to=1)
    dead.event(EventKind.RATIFIED, 1, [1], [])
    town.send(dead)
    town.send(alive)
    assert_honest(town)
    dead.event(EventKind.RATIFIED, 2, [], [1])
    town.send(dead, NOW_S + 900, first=3, last=2, first_event=2)
    assert (held_kgo(town, who), town.balance(OPERATOR), town.balance(RISK)) == (HELD_KGO - FARE_KGO, FARE_KGO, 0)
    assert_honest(town)
