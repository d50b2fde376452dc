"""Outcomes of ingest, one table row or test each."""

import pytest

from offline_ledger import errors
from offline_ledger.city.accounts import (
    CUSTOMER_CASH,
    ISSUANCE,
    Currency,
    OwnerKind,
    campaign_account,
    owner_account,
    reserved_account,
    wallet_account,
)
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, VoucherKind
from offline_ledger.protocol.kinds import ZERO_HASH
from offline_ledger.protocol.wallet import Audience, Payment
from tests.city.town import FARE_KGO, FARE_SATANG, NOW_S, Town, TownTerminal, TownWallet, request_for

POSTED = (Outcome.POSTED, 0)
OPERATOR = owner_account(OwnerKind.OPERATOR, "transit")
MERCHANT = owner_account(OwnerKind.MERCHANT, "noodles")


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


def wrong_fare(rider: TownWallet, bus: TownTerminal) -> None:
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
    (wrong_fare, errors.TariffMismatch),
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


def test_where_nothing_is_sent_the_ack_names_the_chains_end(town: Town, bus: TownTerminal) -> None:
    """So a device that lost its journal is told before it shows a light; a late answer can never look like that."""
    assert town.send(bus).ack.chain_end == (0, ZERO_HASH)
    for _ in range(3):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    assert town.send(bus).ack.chain_end is None
    end = (3, bus.identities[2])
    assert town.send(bus, first=4).ack.chain_end == end
    bare = TownTerminal(bus.name, bus.key, bus.owner, bus.role)
    assert town.send(bare).ack.chain_end == end, "a bare journal, the same key"
    older = TownTerminal(
        bus.name, bus.key, bus.owner, bus.role, vouchers=bus.vouchers[:2], identities=bus.identities[:2]
    )
    assert town.send(older, first=3).ack.chain_end == end, "an image of the day before"


def test_on_the_branch_of_a_fork_no_end_is_named(town: Town, bus: TownTerminal) -> None:
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    town.send(bus)
    clone = TownTerminal(bus.name, bus.key, bus.owner, bus.role)
    clone.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    assert town.send(clone).outcomes == [(Outcome.HELD, errors.DeviceBlocked.number)]
    assert town.send(clone, first=2).ack.chain_end is None, "it hears of what is held"
    assert town.send(bus, first=2).ack.chain_end == (1, bus.identities[0])
