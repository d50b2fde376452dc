"""Outcomes of ingest, one table row or test each; batches lost, doubled, reordered, cut, changed."""

import zlib
from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.city.accounts import (
    CUSTOMER_CASH,
    ISSUANCE,
    RISK,
    UNFUNDED,
    Currency,
    OwnerKind,
    campaign_account,
    owner_account,
    reserved_account,
    suspense_account,
    wallet_account,
)
from offline_ledger.city.audit import audit
from offline_ledger.city.ingest_reading import BATCH_BYTES_MAX, inflate
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, EventKind, VoucherKind
from offline_ledger.protocol.wallet import Audience, Payment
from simulators.keys import flipped
from tests.city.town import FARE_KGO, FARE_SATANG, NOW_S, Town, TownTerminal, TownWallet, request_for

POSTED = (Outcome.POSTED, 0)
OPERATOR = owner_account(OwnerKind.OPERATOR, "transit")
MERCHANT = owner_account(OwnerKind.MERCHANT, "noodles")


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture
def bus(town: Town) -> TownTerminal:
    return town.terminal("bus-1", DeviceRole.VALIDATOR)


@pytest.fixture
def shop(town: Town) -> TownTerminal:
    return town.terminal("pos-1", DeviceRole.SHOP)


def rejected(refusal: type[errors.Refusal]) -> tuple[Outcome, int]:
    return (Outcome.REJECTED, refusal.number)


def test_boarding_moves_reserve_to_operator_and_declares_cash(town: Town, bus: TownTerminal) -> None:
    rider = town.wallet()
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    assert town.send(bus).outcomes == [POSTED]
    assert town.balance(OPERATOR) == FARE_KGO
    assert town.balance(reserved_account(rider.allowance.identity)) == 50_000 - FARE_KGO
    assert town.balance(wallet_account(rider.wallet_id)) == 0
    assert town.balance(owner_account(OwnerKind.OPERATOR, "transit", Currency.THB)) == FARE_SATANG
    assert town.balance(CUSTOMER_CASH) == -FARE_SATANG
    assert town.balance(ISSUANCE) == -150_000
    town.assert_sound()


def test_sale_posts_reward_from_the_campaign_fund(town: Town, shop: TownTerminal) -> None:
    buyer = town.wallet()
    buyer.next(2_000)
    shop.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000, reward_kgo=200)
    assert town.send(shop).outcomes == [POSTED]
    assert town.balance(MERCHANT) == 2_000
    assert town.balance(wallet_account(buyer.wallet_id)) == 200
    assert town.balance(campaign_account("all")) == 100_000 - 200
    town.assert_sound()


def test_reward_is_cut_to_the_wallets_day(town: Town, shop: TownTerminal) -> None:
    other = town.terminal("pos-2", DeviceRole.SHOP)
    buyer = town.wallet()
    for till in (shop, other):
        buyer.next(0)
        till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 20_000, 0, reward_kgo=400)
    assert town.send(shop).outcomes == [POSTED]
    assert town.send(other).outcomes == [(Outcome.POSTED, errors.RewardLimited.number)]
    assert town.balance(wallet_account(buyer.wallet_id)) == 500
    town.assert_sound()


def test_reward_stops_at_the_budget(town: Town, shop: TownTerminal) -> None:
    from offline_ledger.city.accounts import fund_campaign

    fund_campaign(town.store, "all", -99_900, NOW_S, "budget cut")
    buyer = town.wallet()
    buyer.next(0)
    shop.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 20_000, 0, reward_kgo=400)
    assert town.send(shop).outcomes == [(Outcome.POSTED, errors.RewardLimited.number)]
    assert town.balance(campaign_account("all")) == 0
    assert town.balance(wallet_account(buyer.wallet_id)) == 100


def _wrong_fare(rider: TownWallet, bus: TownTerminal) -> None:
    bus.boarding(rider.ride_code(NOW_S), NOW_S, kgo=FARE_KGO - 1)


def _wrong_cash(rider: TownWallet, bus: TownTerminal) -> None:
    bus.boarding(rider.ride_code(NOW_S), NOW_S, satang=FARE_SATANG - 1)


def _unknown_tariff(rider: TownWallet, bus: TownTerminal) -> None:
    bus.boarding(rider.ride_code(NOW_S), NOW_S, bulletin=(1, 99))


def _over_authorised(rider: TownWallet, bus: TownTerminal) -> None:
    rider.next(FARE_KGO - 1)
    bus.boarding(rider.sign(rider.presentment(Audience.TRANSIT, NOW_S)), NOW_S)


def _wrong_audience(rider: TownWallet, bus: TownTerminal) -> None:
    rider.next(FARE_KGO)
    bus.boarding(rider.sign(rider.presentment(Audience.SHOP, NOW_S)), NOW_S)


def _stale(rider: TownWallet, bus: TownTerminal) -> None:
    bus.boarding(rider.ride_code(NOW_S - 36), NOW_S)


def _future(rider: TownWallet, bus: TownTerminal) -> None:
    bus.boarding(rider.ride_code(NOW_S + 6), NOW_S)


def _forged(rider: TownWallet, bus: TownTerminal) -> None:
    rider.next(FARE_KGO)
    bus.boarding(rider.sign(rider.presentment(Audience.TRANSIT, NOW_S), bus.key), NOW_S)


def _expired(rider: TownWallet, bus: TownTerminal) -> None:
    late_s = rider.says.expires_at_s + 6
    bus.boarding(rider.ride_code(late_s), late_s)


def _early(rider: TownWallet, bus: TownTerminal) -> None:
    bus.boarding(rider.ride_code(NOW_S - 6), NOW_S - 6)


def _above_reserve(rider: TownWallet, bus: TownTerminal) -> None:
    rider.n, rider.sum_kgo, rider.last_kgo = 9, 45_000, 1
    bus.boarding(rider.ride_code(NOW_S), NOW_S)


def _no_object(_rider: TownWallet, bus: TownTerminal) -> None:
    bus.voucher(VoucherKind.BOARDING, NOW_S, kgo=FARE_KGO, satang=FARE_SATANG)


def _sale_on_the_bus(rider: TownWallet, bus: TownTerminal) -> None:
    rider.next(0)
    bus.sale(rider.sign(rider.presentment(Audience.SHOP, NOW_S)), NOW_S, 1_000, 0)


def _unknown_kind(_rider: TownWallet, bus: TownTerminal) -> None:
    bus.voucher(19, NOW_S)  # type: ignore[arg-type]


def _refund_of_nothing(_rider: TownWallet, bus: TownTerminal) -> None:
    bus.voucher(VoucherKind.REFUND, NOW_S, kgo=1, refers_to=77)


BROKEN = [
    (_wrong_fare, errors.TariffMismatch),
    (_wrong_cash, errors.TariffMismatch),
    (_unknown_tariff, errors.TariffMismatch),
    (_over_authorised, errors.ExceedsAuthorisation),
    (_wrong_audience, errors.WrongAudience),
    (_stale, errors.CodeTooOld),
    (_future, errors.CodeFromFuture),
    (_forged, errors.WalletSignatureWrong),
    (_expired, errors.AllowanceExpired),
    (_early, errors.AllowanceNotYetValid),
    (_above_reserve, errors.ReserveExceeded),
    (_no_object, errors.ObjectMismatch),
    (_sale_on_the_bus, errors.DeviceCertificateInvalid),
    (_unknown_kind, errors.Malformed),
    (_refund_of_nothing, errors.RefundInvalid),
]


@pytest.mark.parametrize(("break_it", "refusal"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_rejected_voucher_posts_nothing_and_never_blocks_the_next(
    town: Town, bus: TownTerminal, break_it, refusal: type[errors.Refusal]
) -> None:
    rider, next_rider = town.wallet(), town.wallet()
    break_it(rider, bus)
    bus.boarding(next_rider.ride_code(NOW_S), NOW_S)
    assert town.send(bus).outcomes == [rejected(refusal), POSTED]
    assert town.balance(reserved_account(rider.allowance.identity)) == 50_000
    assert town.balance(OPERATOR) == FARE_KGO
    town.assert_sound()


def test_the_edges_of_the_broken_rules_are_posted(town: Town, bus: TownTerminal) -> None:
    """The other side of each edge above."""
    for at_s, shown_s in ((NOW_S, NOW_S - 35), (NOW_S, NOW_S + 5), (NOW_S - 5, NOW_S - 5)):
        bus.boarding(town.wallet().ride_code(shown_s), at_s)
    rider = town.wallet()
    rider.n, rider.sum_kgo, rider.last_kgo = 9, 45_000, 0
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    last = town.wallet()
    end_s = last.says.expires_at_s + 5
    bus.boarding(last.ride_code(end_s), end_s)
    assert town.send(bus, now_s=end_s + 60).outcomes == [POSTED] * 5


def test_cap_per_terminal_for_life(town: Town, bus: TownTerminal) -> None:
    rider = town.wallet()
    for _ in range(6):
        bus.boarding(rider.ride_code(NOW_S), NOW_S)
    assert town.send(bus).outcomes == [POSTED] * 5 + [rejected(errors.TerminalCapExceeded)]


def test_the_same_intent_twice_at_one_terminal_is_charged_once(town: Town, bus: TownTerminal) -> None:
    rider = town.wallet()
    code = rider.ride_code(NOW_S)
    bus.boarding(code, NOW_S)
    bus.boarding(rider.sign(rider.presentment(Audience.TRANSIT, NOW_S + 1)), NOW_S + 1)
    assert town.send(bus).outcomes == [POSTED, rejected(errors.AlreadyAccepted)]
    assert town.balance(OPERATOR) == FARE_KGO


def test_two_way_payment_its_request_and_its_cancelling(town: Town, shop: TownTerminal) -> None:
    buyer = town.wallet()
    request, cancelled = request_for(shop, 2_000, 6_000, NOW_S, 1), request_for(shop, 2_000, 6_000, NOW_S, 2)

    def pay(asked) -> list:
        buyer.next(2_000)
        said = Payment(buyer.allowance.identity, buyer.n, buyer.sum_kgo, asked.identity, 2_000, NOW_S)
        return [buyer.sign(said), asked]

    def two_way(objects, **changes) -> None:
        shop.sale(None, NOW_S, 8_000, 2_000, object_hash=objects[0].identity, **changes)
        shop.vouchers[-1] = (shop.vouchers[-1][0], tuple(one.raw for one in objects))

    two_way(pay(request))
    two_way(pay(request))
    shop.voucher(VoucherKind.CANCELLED_REQUEST, NOW_S, [cancelled])
    two_way(pay(cancelled))
    two_way(pay(request_for(shop, 1_999, 6_000, NOW_S, 3)))
    assert town.send(shop).outcomes == [
        POSTED,
        rejected(errors.RequestMismatch),
        POSTED,
        rejected(errors.RequestCancelled),
        rejected(errors.AmountMismatch),
    ]
    assert town.balance(MERCHANT) == 2_000


def test_refund_goes_to_available_and_never_exceeds_the_original(town: Town, shop: TownTerminal) -> None:
    buyer = town.wallet()
    buyer.next(2_000)
    shop.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000, reward_kgo=200)
    shop.voucher(VoucherKind.REFUND, NOW_S, kgo=500, satang=2_500, refers_to=1)
    shop.voucher(VoucherKind.REFUND, NOW_S, kgo=1_501, satang=0, refers_to=1)
    shop.voucher(VoucherKind.VOID, NOW_S, kgo=1_500, satang=7_500, refers_to=1)
    shop.voucher(VoucherKind.REFUND, NOW_S, kgo=1, satang=0, refers_to=1)
    invalid = rejected(errors.RefundInvalid)
    assert town.send(shop).outcomes == [POSTED, POSTED, invalid, POSTED, invalid]
    assert town.balance(MERCHANT) == 0
    assert town.balance(wallet_account(buyer.wallet_id)) == 2_000
    assert town.balance(owner_account(OwnerKind.MERCHANT, "noodles", Currency.THB)) == 0
    assert town.balance(campaign_account("all")) == 100_000
    town.assert_sound()


# --- overspending, duplicates, equivocation


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


# --- batches


def test_a_batch_sent_again_or_cut_otherwise_gets_the_same_outcomes(town: Town, bus: TownTerminal) -> None:
    for at in range(7):
        if at == 3:
            _wrong_fare(town.wallet(), bus)
        else:
            bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    parts = [town.send(bus, first=1, last=3), town.send(bus, first=4, last=7)]
    before = town.store.fetch("SELECT * FROM entries")
    whole = town.send(bus)
    middle = town.send(bus, first=2, last=5)
    assert whole.ack.outcomes == parts[0].ack.outcomes + parts[1].ack.outcomes
    assert middle.ack.outcomes == whole.ack.outcomes[1:5]
    assert town.store.fetch("SELECT * FROM entries") == before


def test_a_later_batch_first_is_refused_and_both_post_in_order(town: Town, bus: TownTerminal) -> None:
    for _ in range(4):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    with pytest.raises(errors.BatchOutOfOrder):
        town.send(bus, first=3)
    bus.event(EventKind.STARTED, 1)
    bus.event(EventKind.STARTED, 2)
    with pytest.raises(errors.BatchOutOfOrder):
        town.send(bus, first_event=2)
    assert town.store.fetch("SELECT * FROM vouchers") == []
    assert town.send(bus, last=2, last_event=1).outcomes == [POSTED] * 2
    assert town.send(bus, first=3, first_event=2).outcomes == [POSTED] * 2


def test_truncated_and_changed_batches_post_nothing(town: Town, bus: TownTerminal) -> None:
    for _ in range(3):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    body = bus.batch()
    plain = zlib.decompress(body)
    for damaged in (body[:-9], body + b"x", b"", b"\x00" * 40, zlib.compress(plain[:-1]), zlib.compress(plain + b"x")):
        with pytest.raises(errors.Refusal):
            town.ingest.ingest(damaged, NOW_S)
    for at in range(0, len(plain), 7):
        changed = bytearray(plain)
        changed[at] ^= 0x20
        try:
            town.ingest.ingest(zlib.compress(bytes(changed)), NOW_S)
        except errors.Refusal:
            continue
        # what still posts differs only in signature bytes, which name nothing
        rows = town.store.fetch("SELECT identity FROM vouchers ORDER BY sequence")
        assert [row[0] for row in rows] == bus.identities
    town.assert_sound()


@pytest.mark.parametrize(
    "change",
    [
        {"key": "other"},
        {"last_sequence": 4},
        {"chain_head": bytes(32)},
        {"event_head": b"\x01" * 32},
        {"last_event": 1},
        {"device": "bus-2"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_head_that_does_not_fit_is_refused(town: Town, bus: TownTerminal, change: dict) -> None:
    from dataclasses import replace

    for _ in range(3):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    if "key" in change:
        body = bus.batch(key=town.new_key())
    else:
        body = bus.batch(change=lambda head: replace(head, **change))
    with pytest.raises((errors.BatchInvalid, errors.UnknownDevice)):
        town.ingest.ingest(body, NOW_S)
    assert town.store.fetch("SELECT * FROM vouchers") == []


def test_a_bomb_is_refused_while_inflating() -> None:
    bomb = zlib.compress(bytes(BATCH_BYTES_MAX * 50), 9)
    with pytest.raises(errors.TooLarge):
        inflate(bomb)
    assert inflate(zlib.compress(bytes(BATCH_BYTES_MAX))) == bytes(BATCH_BYTES_MAX)


def test_flipped_signatures_double_nothing_and_prove_nothing(town: Town, bus: TownTerminal) -> None:
    rider = town.wallet()
    code = rider.ride_code(NOW_S)
    bus.boarding(code, NOW_S)
    town.send(bus)
    twin = bus.copy()
    raw, objects = twin.vouchers[0]
    twin.vouchers[0] = (raw[:-64] + flipped(raw[-64:]), tuple(one[:-64] + flipped(one[-64:]) for one in objects))
    assert town.send(twin).outcomes == [POSTED]
    assert town.store.one("SELECT count(*) FROM vouchers") == (1,)
    other = town.terminal("bus-2", DeviceRole.VALIDATOR)
    signed = bus.vouchers[0][1][0]
    other.boarding(code, NOW_S + 1)
    other.vouchers[0] = (other.vouchers[0][0], (signed[:-64] + flipped(signed[-64:]),))
    town.send(other)
    assert town.store.fetch("SELECT * FROM equivocations") == []
    assert town.balance(reserved_account(rider.allowance.identity)) == 50_000 - FARE_KGO


def test_beyond_f_waits_in_suspense(town: Town) -> None:
    bus = town.terminal("bus-9", DeviceRole.VALIDATOR, value_kgo=2 * FARE_KGO)
    for _ in range(3):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    used_up = (Outcome.SUSPENSE, errors.TerminalValueUsedUp.number)
    assert town.send(bus).outcomes == [POSTED, POSTED, used_up]
    for _ in range(2):
        bus.boarding(town.wallet().ride_code(NOW_S + 100), NOW_S + 100)
    assert town.send(bus, first=4, now_s=NOW_S + 160).outcomes == [POSTED, POSTED]
    town.assert_sound()


def test_after_a_revocation_money_waits(town: Town, bus: TownTerminal) -> None:
    with town.store.transaction():
        town.store.execute("UPDATE devices SET revoked_after = 1")
    for _ in range(2):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    assert town.send(bus).outcomes == [POSTED, (Outcome.SUSPENSE, errors.DeviceRevoked.number)]


def test_late_is_credited_all_the_same(town: Town, bus: TownTerminal) -> None:
    from offline_ledger.city import allowances

    rider = town.wallet()
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    late_s = rider.says.expires_at_s + town.limits.reserve_grace_s + 1
    assert allowances.release_due(town.store, town.limits, late_s) == 1
    assert town.send(bus, now_s=late_s).outcomes == [POSTED]
    assert town.balance(wallet_account(rider.wallet_id)) == 50_000 - FARE_KGO
    assert town.store.one("SELECT late FROM vouchers") == (1,)
    town.assert_sound()
