"""Both sides of each edge of what the risk fund covers in a shop: two-way, within H of a sync, the day's ceiling."""

from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.city import allowances, decisions, equivocation
from offline_ledger.city.accounts import RISK, UNFUNDED, OwnerKind, owner_account, reserved_account, suspense_account
from offline_ledger.city.audit import audit
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import ClockTrust, DeviceRole
from offline_ledger.protocol.wallet import Audience, Closing
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import HOUR_S, Limits
from tests.city.town import NOW_S, Town, TownWallet, pay_two_way

POSTED = (Outcome.POSTED, 0)
OVERSPENT = (Outcome.SUSPENSE, errors.Overspent.number)
MERCHANT = owner_account(OwnerKind.MERCHANT, "noodles")
SKEW_S = Limits().skew_s
H_S = Limits().offline_s_max
FLOOR_H_S = Limits().sync_age_steps[-2].age_s_max
SMALL = Limits(
    reserve_kgo=5_000, allowance_terminal_kgo_max=5_000, one_way_transit_kgo_max=5_000, one_way_shop_kgo_max=3_000
)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, SMALL)


def emptied(town: Town, at_s: int = NOW_S) -> TownWallet:
    """A wallet whose reserve another till has taken whole."""
    buyer = town.wallet(balance_kgo=5_000)
    till = town.terminal(f"other-{buyer.wallet_id}", DeviceRole.SHOP)
    town.send(till, at_s)
    pay_two_way(till, buyer, 5_000, at_s)
    assert town.send(till, at_s + 1).outcomes == [POSTED]
    buyer.n, buyer.sum_kgo, buyer.last_kgo = 1, 0, 0
    return buyer


@pytest.mark.parametrize(
    ("age_s", "outcome"), [(0, POSTED), (H_S + SKEW_S, POSTED), (H_S + SKEW_S + 1, OVERSPENT), (None, OVERSPENT)]
)
def test_a_shop_is_covered_within_h_of_its_last_sync(
    town: Town, age_s: int | None, outcome: tuple[Outcome, int]
) -> None:
    till, sold_at_s = town.terminal("pos-1", DeviceRole.SHOP), NOW_S + H_S + 100
    if age_s is not None:
        town.send(till, sold_at_s - age_s)
    buyer = emptied(town)
    pay_two_way(till, buyer, 3_000, sold_at_s)
    assert town.send(till, sold_at_s + 60).outcomes == [outcome]
    assert town.balance(RISK) == (-3_000 if outcome == POSTED else 0)
    assert town.balance(MERCHANT) == 5_000 + (3_000 if outcome == POSTED else 0)
    assert town.balance(suspense_account("noodles")) == -town.balance(UNFUNDED) == (0 if outcome == POSTED else 3_000)
    assert audit(town.store).findings == ()
    town.assert_sound()


@pytest.mark.parametrize(("past_s", "outcome"), [(0, POSTED), (1, OVERSPENT)])
def test_the_certificates_own_hours_count_when_they_are_shorter(
    town: Town, past_s: int, outcome: tuple[Outcome, int]
) -> None:
    till = town.terminal("pos-1", DeviceRole.SHOP)
    town.store.execute("UPDATE devices SET offline_hours = 2 WHERE device = 'pos-1'")
    town.send(till, NOW_S)
    buyer = emptied(town)
    sold_at_s = NOW_S + 2 * HOUR_S + SKEW_S + past_s
    pay_two_way(till, buyer, 3_000, sold_at_s)
    assert town.send(till, sold_at_s + 60).outcomes == [outcome]


@pytest.mark.parametrize(("past_s", "outcome"), [(0, POSTED), (1, OVERSPENT)])
def test_under_floor_the_age_counts_one_step_staler(town: Town, past_s: int, outcome: tuple[Outcome, int]) -> None:
    till = town.terminal("pos-1", DeviceRole.SHOP)
    town.send(till, NOW_S)
    buyer = emptied(town)
    sold_at_s = NOW_S + FLOOR_H_S + SKEW_S + past_s
    pay_two_way(till, buyer, 3_000, sold_at_s, trust=ClockTrust.FLOOR)
    assert town.send(till, sold_at_s + 60).outcomes == [outcome]


def test_a_sync_after_the_sale_covers_nothing(town: Town) -> None:
    till, sold_at_s = town.terminal("pos-1", DeviceRole.SHOP), NOW_S + H_S + SKEW_S + 1
    town.send(till, NOW_S)
    buyer = emptied(town)
    pay_two_way(till, buyer, 3_000, sold_at_s)
    town.send(till, sold_at_s + 60, last=0)
    assert town.send(till, sold_at_s + 61).outcomes == [OVERSPENT]


def test_a_one_way_code_is_never_covered(town: Town) -> None:
    till = town.terminal("pos-1", DeviceRole.SHOP)
    town.send(till, NOW_S)
    buyer = emptied(town)
    buyer.next(3_000)
    till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 3_000)
    assert town.send(till).outcomes == [OVERSPENT]
    assert town.balance(RISK) == 0


@pytest.mark.parametrize(("ceiling_kgo", "outcome"), [(3_000, POSTED), (2_999, OVERSPENT)])
def test_the_ceiling_is_per_merchant(town: Town, ceiling_kgo: int, outcome: tuple[Outcome, int]) -> None:
    with town.store.transaction():
        town.store.execute("UPDATE owners SET risk_day_kgo_max = ?", (ceiling_kgo,))
    till = town.terminal("pos-1", DeviceRole.SHOP)
    town.send(till, NOW_S)
    pay_two_way(till, emptied(town), 3_000, NOW_S)
    assert town.send(till).outcomes == [outcome]
    assert town.balance(RISK) == -min(3_000, ceiling_kgo)
    town.assert_sound()


@pytest.mark.parametrize(("before_midnight_s", "outcome"), [(2, OVERSPENT), (1, POSTED), (0, OVERSPENT)])
def test_the_ceiling_is_per_civil_day_in_bangkok(
    town: Town, before_midnight_s: int, outcome: tuple[Outcome, int]
) -> None:
    """Two uploads a second apart: only when midnight lies between them has the second a ceiling of its own."""
    with town.store.transaction():
        town.store.execute("UPDATE owners SET risk_day_kgo_max = 3000")
    till, first_s = town.terminal("pos-1", DeviceRole.SHOP), day_start_s(civil_day(NOW_S) + 1) - before_midnight_s
    town.send(till, NOW_S)
    for at in range(2):
        pay_two_way(till, emptied(town), 3_000, first_s + at, nonce=at + 1)
        outcomes = town.send(till, first_s + at, first=at + 1).outcomes
        assert outcomes == [POSTED if at == 0 else outcome]
    assert audit(town.store).findings == ()


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_the_ceilings_day_is_the_citys_own_whatever_vouchers_claim(town: Town, days: int) -> None:
    """All of it arrives within a minute; half of it claims another day."""
    with town.store.transaction():
        town.store.execute("UPDATE owners SET risk_day_kgo_max = 3000")
    till, now_s = town.terminal("pos-1", DeviceRole.SHOP), NOW_S + 26 * HOUR_S
    for synced_s in (NOW_S, now_s - 60):
        town.send(till, synced_s)
    for at, claimed_s in enumerate((now_s, now_s + days * 24 * HOUR_S)):
        pay_two_way(till, emptied(town), 3_000, claimed_s, nonce=at + 1)
    town.send(till, now_s + 1)
    assert town.balance(RISK) == -3_000
    assert town.store.fetch("SELECT owner, day, kgo FROM risk_days") == [("noodles", civil_day(now_s), 3_000)]
    assert audit(town.store).findings == ()
    town.assert_sound()


@pytest.mark.parametrize(
    ("ahead_s", "outcome"), [(SKEW_S, POSTED), (SKEW_S + 1, (Outcome.SUSPENSE, errors.TimeAhead.number))]
)
def test_what_comes_from_the_future_waits_and_nothing_of_it_is_lost(
    town: Town, ahead_s: int, outcome: tuple[Outcome, int]
) -> None:
    """An honest till whose clock ran fast is paid by the operator's word; the wallet is charged as ever."""
    till, buyer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet(balance_kgo=5_000)
    pay_two_way(till, buyer, 3_000, NOW_S + 60 + ahead_s)
    assert town.send(till, NOW_S + 60).outcomes == [outcome]
    assert town.balance(reserved_account(buyer.allowance.identity)) == 2_000
    waiting = outcome != POSTED
    assert town.balance(suspense_account("noodles")) == (3_000 if waiting else 0)
    if waiting:
        kgo = decisions.decide_suspense(town.store, "pos-1", 1, pay=True, from_risk=False, note="", now_s=NOW_S + 90)
        assert kgo == 3_000
    assert town.balance(MERCHANT) == 3_000
    assert audit(town.store).findings == ()
    town.assert_sound()


@pytest.mark.parametrize(("late_s", "outcome"), [(0, POSTED), (1, (Outcome.REJECTED, errors.RequestExpired.number))])
def test_a_payment_to_a_request_past_its_end_is_rejected(town: Town, late_s: int, outcome: tuple[Outcome, int]) -> None:
    till, buyer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet(balance_kgo=5_000)
    sold_at_s = NOW_S + Limits().request_life_s + SKEW_S + late_s
    pay_two_way(till, buyer, 3_000, sold_at_s, asked_at_s=NOW_S)
    assert town.send(till, sold_at_s + 60).outcomes == [outcome]
    assert town.balance(MERCHANT) == (0 if late_s else 3_000)
    assert audit(town.store).findings == ()


@pytest.mark.parametrize("gap_s", [60, 25 * HOUR_S])
def test_held_vouchers_that_are_released_are_judged_by_their_own_time(town: Town, gap_s: int) -> None:
    """F counts what was unsynced when they were made, not all that the device ever accepted."""
    till = town.terminal("pos-1", DeviceRole.SHOP, value_kgo=4_000)
    pay_two_way(till, town.wallet(balance_kgo=5_000), 3_000, NOW_S)
    assert town.send(till, NOW_S + 10).outcomes == [POSTED]
    with town.store.transaction():
        town.store.execute("UPDATE devices SET blocked = 1")
    sold_at_s = NOW_S + 20
    pay_two_way(till, town.wallet(balance_kgo=5_000), 3_000, sold_at_s, nonce=2)
    assert town.send(till, sold_at_s + gap_s).outcomes == [POSTED, (Outcome.HELD, errors.DeviceBlocked.number)]
    decisions.unblock(town.store, "pos-1")
    assert decisions.release_held(town.store, town.reader, SMALL, "pos-1", sold_at_s + gap_s + 1) == 1
    assert town.store.one("SELECT outcome FROM vouchers WHERE sequence = 2") == (Outcome.POSTED,)
    assert audit(town.store).findings == ()


def test_what_goes_beyond_a_closing_is_named_so_credited_and_proven(town: Town) -> None:
    """The wallet closed, took its money along in a new allowance, and spent under the old one all the same."""
    till, buyer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet(balance_kgo=8_000)
    closing = buyer.sign(Closing(buyer.allowance.identity, 0, 0))
    assert allowances.close(town.store, closing.raw, NOW_S) == 5_000
    town.issue(buyer.account, town.new_key(), NOW_S + 1)
    for _ in range(2):
        buyer.next(2_000)
        till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000)
    # 3,000 had stayed available
    closed = errors.AllowanceClosed.number
    assert town.send(till).outcomes == [(Outcome.POSTED, closed), (Outcome.SUSPENSE, closed)]
    assert town.balance(MERCHANT) == 3_000
    assert town.balance(suspense_account("noodles")) == -town.balance(UNFUNDED) == 1_000
    assert {proof.kind for proof in equivocation.proofs(town.store)} == {equivocation.ProofKind.BEYOND_CLOSING}
    assert audit(town.store).findings == ()
    town.assert_sound()
