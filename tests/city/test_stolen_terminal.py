"""A stolen terminal alone mints nothing: forged allowances, coupons and requests under its good key. DESIGN §8."""

from collections.abc import Callable

import pytest

from offline_ledger import errors
from offline_ledger.city.accounts import RISK, UNFUNDED, OwnerKind, owner_account
from offline_ledger.city.audit import audit
from offline_ledger.protocol import cose, device, wallet
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import LACKING_BYTES, DeviceRole, PlaceKey, StateKey, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Allowance, Audience, Coupon, Payment
from simulators.keys import SimulatedKey
from tests.city.town import (
    ACK_TEST_ONLY,
    CITY,
    FARE_KGO,
    ISSUER_TEST_ONLY,
    NOW_S,
    Town,
    TownTerminal,
    TownWallet,
    request_for,
    signed_by,
)

THIEF_TEST_ONLY = SimulatedKey(0xBAD1)
OPERATOR = owner_account(OwnerKind.OPERATOR, "transit")


@pytest.fixture
def bus(town: Town) -> TownTerminal:
    return town.terminal("bus-1", DeviceRole.VALIDATOR)


def rejected(refusal: type[errors.Refusal]) -> tuple[Outcome, int]:
    return (Outcome.REJECTED, refusal.number)


def assert_nothing_minted(town: Town) -> None:
    assert (town.balance(OPERATOR), town.balance(RISK), town.balance(UNFUNDED)) == (0, 0, 0)
    town.assert_sound()
    assert audit(town.store).findings == ()


def said(**changes: object) -> bytes:
    """An allowance for a key of the thief's own."""
    made = Allowance(CITY, bytes(8), THIEF_TEST_ONLY.point, 50_000, 10_000, 3_000, 0, 0, NOW_S - 60, NOW_S + 10**5)
    return wallet.ALLOWANCE.encode(made._replace(**changes))


def of_another_city() -> Signed:
    aad = cose.external_aad(Kind.ALLOWANCE, "TH-10")
    return cose.sign1(said(city="TH-10"), aad, ISSUER_TEST_ONLY.key_id, ISSUER_TEST_ONLY.sign)


def under_the_issuers_key_id() -> Signed:
    aad = cose.external_aad(Kind.ALLOWANCE, CITY)
    return cose.sign1(said(), aad, ISSUER_TEST_ONLY.key_id, THIEF_TEST_ONLY.sign)


FORGED: dict[str, Callable[[], Signed]] = {
    "its own key": lambda: signed_by(THIEF_TEST_ONLY, Kind.ALLOWANCE, said()),
    "its own key under the issuer's key id": under_the_issuers_key_id,
    "a city key of another role": lambda: signed_by(ACK_TEST_ONLY, Kind.ALLOWANCE, said()),
    "before the issuer's key was valid": lambda: signed_by(ISSUER_TEST_ONLY, Kind.ALLOWANCE, said(not_before_s=1)),
    "another city": of_another_city,
    "another type of object": lambda: signed_by(ISSUER_TEST_ONLY, Kind.COUPON, said()),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_allowance_pays_nothing_however_often_it_is_sent(town: Town, bus: TownTerminal, name: str) -> None:
    allowance = FORGED[name]()
    thief = TownWallet(THIEF_TEST_ONLY, 0, THIEF_TEST_ONLY, allowance)
    bus.boarding(thief.ride_code(NOW_S), NOW_S)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S, kgo=0)
    first = town.send(bus, last=1, allowance=[allowance.raw])
    assert first.outcomes in ([], [rejected(errors.UnknownAllowance)])
    again = town.send(bus, last=1, allowance=[allowance.raw])
    assert again.outcomes == first.outcomes
    lacks = {int(StateKey.LACKING): [allowance.identity[:LACKING_BYTES]]}
    last = town.send(bus, last=1, change=lambda head: head._replace(state=lacks))
    assert last.outcomes == [rejected(errors.UnknownAllowance)]
    assert not town.store.fetch("SELECT 1 FROM allowances WHERE hash = ?", (allowance.identity,))
    assert_nothing_minted(town)


def test_an_object_that_the_voucher_does_not_name(town: Town, bus: TownTerminal) -> None:
    code = town.wallet().ride_code(NOW_S)
    bus.boarding(code, NOW_S, object_hash=None)
    assert town.send(bus).outcomes == [rejected(errors.ObjectMismatch)]
    assert_nothing_minted(town)


def test_a_voucher_that_names_an_object_and_brings_none(town: Town, bus: TownTerminal) -> None:
    named = town.wallet().ride_code(NOW_S).identity
    bus.voucher(VoucherKind.BOARDING, NOW_S, kgo=FARE_KGO, satang=100, object_hash=named)
    assert town.send(bus).outcomes == [rejected(errors.ObjectMismatch)]
    assert_nothing_minted(town)


def test_a_voucher_that_names_another_object_than_it_brings(town: Town, bus: TownTerminal) -> None:
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S, object_hash=town.wallet().ride_code(NOW_S).identity)
    assert town.send(bus).outcomes == [rejected(errors.ObjectMismatch)]
    assert_nothing_minted(town)


def test_a_coupon_that_no_issuer_signed(town: Town, bus: TownTerminal) -> None:
    made = wallet.COUPON.encode(Coupon(CITY, bytes(8), "base", bus.name, None, FARE_KGO, NOW_S + 1_000))
    aad = cose.external_aad(Kind.COUPON, CITY)
    forged = (
        signed_by(THIEF_TEST_ONLY, Kind.COUPON, made),
        cose.sign1(made, aad, ISSUER_TEST_ONLY.key_id, THIEF_TEST_ONLY.sign),
        signed_by(ACK_TEST_ONLY, Kind.COUPON, made),
    )
    for coupon in forged:
        bus.voucher(VoucherKind.COUPON, NOW_S, [coupon], kgo=FARE_KGO, satang=100)
    assert town.send(bus).outcomes == [rejected(errors.CouponInvalid)] * len(forged)
    assert_nothing_minted(town)


@pytest.mark.parametrize("whose", ["another terminal's", "nobody's"])
def test_a_payment_for_a_request_that_is_not_this_terminals(town: Town, whose: str) -> None:
    shop, other = town.terminal("pos-1", DeviceRole.SHOP), town.terminal("pos-2", DeviceRole.SHOP)
    payer = town.wallet()
    request = request_for(other, 2_000, 8_000, NOW_S)
    if whose == "nobody's":
        request = signed_by(THIEF_TEST_ONLY, Kind.PAYMENT_REQUEST, request_for(shop, 2_000, 8_000, NOW_S).payload)
    payer.next(2_000)
    paid = payer.sign(Payment(payer.allowance.identity, payer.n, 0, request.identity, 2_000, NOW_S))
    shop.voucher(VoucherKind.SALE, NOW_S, [paid, request], kgo=2_000, satang=8_000, product="plain", bulletin=(0, 0))
    assert town.send(shop).outcomes == [rejected(errors.RequestMismatch)]
    assert_nothing_minted(town)


def test_the_wallets_signature_is_no_other_keys(town: Town, bus: TownTerminal) -> None:
    rider = town.wallet()
    rider.next(FARE_KGO)
    bus.boarding(rider.sign(rider.presentment(Audience.TRANSIT, NOW_S), THIEF_TEST_ONLY), NOW_S)
    assert town.send(bus).outcomes == [rejected(errors.WalletSignatureWrong)]
    assert_nothing_minted(town)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, (Outcome.POSTED, 0)),
        ({"satang": 9_999}, rejected(errors.TariffMismatch)),
        ({"reward_kgo": 100}, rejected(errors.ObjectMismatch)),
    ],
)
def test_a_sale_without_a_wallet_moves_cash_alone(
    town: Town, changes: dict[str, object], outcome: tuple[Outcome, int]
) -> None:
    shop = town.terminal("pos-1", DeviceRole.SHOP)
    shop.sale(None, NOW_S, 10_000, 0, **changes)
    assert town.send(shop).outcomes == [outcome]
    town.assert_sound()


def test_kgo_need_a_wallet(town: Town) -> None:
    shop = town.terminal("pos-1", DeviceRole.SHOP)
    shop.sale(None, NOW_S, 10_000, 1)
    assert town.send(shop).outcomes == [rejected(errors.ObjectMismatch)]
    assert_nothing_minted(town)


def test_a_boarding_without_a_wallet_is_none(town: Town, bus: TownTerminal) -> None:
    bus.voucher(VoucherKind.BOARDING, NOW_S, satang=100)
    assert town.send(bus).outcomes == [rejected(errors.ObjectMismatch)]
    assert_nothing_minted(town)


def test_a_sale_brings_no_object_that_it_does_not_name(town: Town) -> None:
    shop, payer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet()
    payer.next(2_000)
    code = payer.sign(payer.presentment(Audience.SHOP, NOW_S))
    shop.sale(code, NOW_S, 10_000, 0, object_hash=None)
    assert town.send(shop).outcomes == [rejected(errors.ObjectMismatch)]


def test_a_training_terminal_posts_nothing(town: Town) -> None:
    school, payer = town.terminal("school-1", DeviceRole.TRAINING), town.wallet()
    payer.next(2_000)
    school.sale(payer.sign(payer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000)
    school.sale(None, NOW_S, 10_000, 0)
    school.voucher(VoucherKind.VOID, NOW_S, satang=10_000, refers_to=2)
    assert town.send(school).outcomes == [rejected(errors.DeviceCertificateInvalid)] * 3
    assert_nothing_minted(town)


@pytest.mark.parametrize("role", [DeviceRole.SHOP, DeviceRole.VALIDATOR])
def test_a_terminal_posts_only_what_is_its_role(town: Town, role: DeviceRole) -> None:
    terminal, payer = town.terminal("device-1", role), town.wallet()
    if role is DeviceRole.SHOP:
        terminal.boarding(payer.ride_code(NOW_S), NOW_S)
    else:
        payer.next(2_000)
        terminal.sale(payer.sign(payer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000)
    assert town.send(terminal).outcomes == [rejected(errors.DeviceCertificateInvalid)]
    assert_nothing_minted(town)


def paid_for(
    town: Town, shop: TownTerminal, payer: TownWallet, named: Signed, brought: Signed
) -> list[tuple[Outcome, int]]:
    """The outcome of a payment that names one request beside another."""
    payer.next(2_000)
    paid = payer.sign(Payment(payer.allowance.identity, payer.n, payer.sum_kgo, named.identity, 2_000, NOW_S))
    place: dict[int, object] = {int(PlaceKey.SALE): "S1", int(PlaceKey.BILL_SATANG): 10_000}
    shop.voucher(VoucherKind.SALE, NOW_S, [paid, brought], kgo=2_000, satang=8_000, product="all", place=place)
    return town.send(shop).outcomes


def test_a_payment_names_the_request_beside_it(town: Town) -> None:
    shop, payer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet()
    one, other = (request_for(shop, 2_000, 8_000, NOW_S, nonce) for nonce in (1, 2))
    assert paid_for(town, shop, payer, one, other) == [rejected(errors.RequestMismatch)]
    assert paid_for(town, shop, payer, one, one)[-1] == (Outcome.POSTED, 0)


def test_a_request_bound_to_a_card_is_paid_by_that_card_alone(town: Town) -> None:
    shop, payer, other = town.terminal("pos-1", DeviceRole.SHOP), town.wallet(), town.wallet()
    plain = device.PAYMENT_REQUEST.decode(request_for(shop, 2_000, 8_000, NOW_S).payload, 1_024)
    bound = signed_by(
        shop.key, Kind.PAYMENT_REQUEST, device.PAYMENT_REQUEST.encode(plain._replace(pass_id=payer.says.pass_id))
    )
    assert paid_for(town, shop, other, bound, bound) == [rejected(errors.AllowanceMismatch)]
    assert paid_for(town, shop, payer, bound, bound)[-1] == (Outcome.POSTED, 0)


@pytest.mark.parametrize(
    ("kgo", "outcome"), [(3_000, (Outcome.POSTED, 0)), (3_001, rejected(errors.OneWayCapExceeded))]
)
def test_a_one_way_code_pays_no_more_than_its_cap(town: Town, kgo: int, outcome: tuple[Outcome, int]) -> None:
    shop, payer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet()
    payer.next(kgo)
    shop.sale(payer.sign(payer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, kgo)
    assert town.send(shop).outcomes == [outcome]


def test_only_its_own_request_is_cancelled_and_moves_nothing(town: Town) -> None:
    shop, other = town.terminal("pos-1", DeviceRole.SHOP), town.terminal("pos-2", DeviceRole.SHOP)
    theirs, own = request_for(other, 2_000, 8_000, NOW_S), request_for(shop, 2_000, 8_000, NOW_S)
    shop.voucher(VoucherKind.CANCELLED_REQUEST, NOW_S, [theirs])
    shop.voucher(VoucherKind.CANCELLED_REQUEST, NOW_S, [own], kgo=1)
    shop.voucher(VoucherKind.CANCELLED_REQUEST, NOW_S, [own], satang=1)
    shop.voucher(VoucherKind.CANCELLED_REQUEST, NOW_S, [own])
    assert town.send(shop).outcomes == [*[rejected(errors.RequestMismatch)] * 3, (Outcome.POSTED, 0)]
    assert_nothing_minted(town)
