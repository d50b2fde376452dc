"""A stolen terminal alone mints nothing: forged allowances, coupons and requests under its good key. DESIGN §8."""

from collections.abc import Callable
from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.city.accounts import RISK, UNFUNDED, OwnerKind, owner_account
from offline_ledger.city.audit import audit
from offline_ledger.protocol import cose, wallet
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import DeviceRole, VoucherKind
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
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


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
    assert again.outcomes == [rejected(errors.UnknownAllowance)]
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
        bus.voucher(VoucherKind.COUPON, NOW_S, [coupon], kgo=FARE_KGO)
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
