"""A paper coupon at a terminal: each hostile one is refused by its own number, and none becomes evidence. DESIGN §5."""

from collections.abc import Callable, Sequence

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor, cose, qr, wallet
from offline_ledger.protocol.city import REVOKED, KeyRole, TrustedKey
from offline_ledger.protocol.cose import Signed, VerifyKey
from offline_ledger.protocol.device import ClockTrust, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Coupon
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.coupon import LIFE_S_MAX, Here, ride_cash_satang
from offline_ledger.rules.limits import Limits
from offline_ledger.rules.staleness import full_caps
from offline_ledger.rules.tariff import Product, Tariff
from offline_ledger.terminal.coupon_reading import (
    CouponReader,
    check_coupon,
    check_value,
    coupon_charge,
    is_coupon,
)
from simulators.keys import SimulatedKey

CITY = "TH-40"
NOW_S = 1_795_000_000
SKEW_S = 5
ISSUER_TEST_ONLY = SimulatedKey(0x155)
THIEF_TEST_ONLY = SimulatedKey(0x7EF)
PAPER = Coupon(CITY, b"coupon-1", "base", "bus-1", "T1", 5_000, NOW_S + 3_600)
HERE = Here("bus-1", "T1")


def signed(coupon: Coupon = PAPER, key: SimulatedKey = ISSUER_TEST_ONLY, kind: Kind = Kind.COUPON) -> Signed:
    aad = cose.external_aad(kind, CITY)
    return cose.sign1(wallet.COUPON.encode(coupon), aad, key.key_id, key.sign)


def code(coupon: Coupon = PAPER) -> str:
    return qr.encode(qr.QrType.COUPON, signed(coupon).raw)


class Ring:
    """Rows that the trust list has of the issuer's key; `key` may be another with the same id."""

    version = 1

    def __init__(self, *rows: TrustedKey, key: SimulatedKey = ISSUER_TEST_ONLY) -> None:
        self._rows = rows or (row(),)
        self._key = cose.verify_key(key.point)

    def candidates(self, key_id: bytes) -> Sequence[tuple[TrustedKey, VerifyKey]]:
        return [(one, self._key) for one in self._rows] if key_id == ISSUER_TEST_ONLY.key_id else []


def row(role: KeyRole = KeyRole.ALLOWANCE_ISSUER, from_s: int = NOW_S - 100, until_s: int = NOW_S + 100) -> TrustedKey:
    return TrustedKey(role, ISSUER_TEST_ONLY.point, from_s, until_s)


def reader(*rows: TrustedKey) -> CouponReader:
    return CouponReader(CITY, Ring(*rows))


def test_a_coupon_of_the_city_is_evidence() -> None:
    made = signed()
    found = reader().read(code())
    assert (found.coupon, found.signed.identity, found.signed.raw) == (PAPER, made.identity, made.raw)
    assert found.use == (PAPER.coupon_id, PAPER.expires_at_s)
    assert reader().read_object(made.raw) == found
    check_coupon(found.coupon, HERE, at(), SKEW_S, used_sequence=None, is_denied=False)
    assert is_coupon(code()) and not is_coupon("KGO1P:" + code()[6:])


def test_every_flipped_bit_of_a_coupon_is_refused() -> None:
    """Of the signed bytes; and of the signature itself, which proves nothing then."""
    raw = signed().raw
    for place in range(len(raw)):
        for bit in range(8):
            hostile = bytearray(raw)
            hostile[place] ^= 1 << bit
            with pytest.raises(Refusal) as refused:
                reader().read_object(bytes(hostile))
            assert refused.value.number, (place, bit)


def test_every_changed_letter_and_every_cut_of_the_printed_code_is_refused() -> None:
    text = code()
    for place in range(len(text)):
        for hostile in (text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :], text[:place]):
            with pytest.raises(Refusal):
                reader().read(hostile)


def padded(coupon: Coupon) -> bytes:
    """A coupon with a key that nobody knows."""
    known = cbor.decode(wallet.COUPON.encode(coupon), OBJECT_BYTES_MAX)
    assert isinstance(known, dict)
    payload = cbor.encode(known | {9: b"x" * 900})
    aad = cose.external_aad(Kind.COUPON, CITY)
    return cose.sign1(payload, aad, ISSUER_TEST_ONLY.key_id, ISSUER_TEST_ONLY.sign).raw


HOSTILE: dict[str, tuple[Callable[[], bytes], type[Refusal]]] = {
    "another key under the issuer's id": (
        lambda: (
            cose.sign1(
                wallet.COUPON.encode(PAPER),
                cose.external_aad(Kind.COUPON, CITY),
                ISSUER_TEST_ONLY.key_id,
                THIEF_TEST_ONLY.sign,
            ).raw
        ),
        errors.CouponForged,
    ),
    "a key that is in no list": (lambda: signed(key=THIEF_TEST_ONLY).raw, errors.UnknownIssuer),
    "signed as an allowance": (lambda: signed(kind=Kind.ALLOWANCE).raw, errors.CouponForged),
    "of another city": (lambda: signed(PAPER._replace(city="TH-10")).raw, errors.UnknownCity),
    "of another city, signed for it": (
        lambda: (
            cose.sign1(
                wallet.COUPON.encode(PAPER),
                cose.external_aad(Kind.COUPON, "TH-10"),
                ISSUER_TEST_ONLY.key_id,
                ISSUER_TEST_ONLY.sign,
            ).raw
        ),
        errors.CouponForged,
    ),
    "over-long": (lambda: padded(PAPER), errors.TooLarge),
    "bytes after it": (lambda: signed().raw + b"\0", errors.TrailingBytes),
    "nothing": (lambda: b"", errors.CodeDamaged),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_coupon_is_refused_by_its_own_number(name: str) -> None:
    make, refusal = HOSTILE[name]
    with pytest.raises(refusal):
        reader().read_object(make())


@pytest.mark.parametrize("letter", ["P", "A", "Q", "V"])
def test_another_kind_of_code_is_no_coupon(letter: str) -> None:
    members = (signed().raw,) * (1 if letter == "V" else 2)
    with pytest.raises(errors.WrongCodeType):
        reader().read(qr.encode(qr.QrType(letter), *members))


def test_a_text_over_the_size_cap_is_not_parsed() -> None:
    with pytest.raises(errors.TooLarge):
        reader().read("KGO1C:" + "A" * 600)


LATEST_S = NOW_S + 100 + LIFE_S_MAX
KEYS: dict[str, tuple[tuple[TrustedKey, ...], int, type[Refusal] | None]] = {
    "in force": ((row(),), NOW_S, None),
    "another role": ((row(KeyRole.ACK),), NOW_S, errors.CouponForged),
    "another role and the issuer's": ((row(KeyRole.ACK), row()), NOW_S, None),
    "revoked": ((row(until_s=REVOKED),), NOW_S, errors.CouponCancelled),
    "revoked and in force": ((row(until_s=REVOKED), row()), NOW_S, None),
    "the last coupon of a retired key": ((row(),), LATEST_S, None),
    "beyond the life of what a retired key signed": ((row(),), LATEST_S + 1, errors.CouponFromAfterKey),
    "over as the key begins": ((row(),), NOW_S - 100, None),
    "over before the key begins": ((row(),), NOW_S - 101, errors.CouponFromAfterKey),
}


@pytest.mark.parametrize("name", KEYS)
def test_who_may_have_signed_it(name: str) -> None:
    rows, expires_at_s, refusal = KEYS[name]
    text = code(PAPER._replace(expires_at_s=expires_at_s))
    if refusal is None:
        assert reader(*rows).read(text).coupon.expires_at_s == expires_at_s
    else:
        with pytest.raises(refusal):
            reader(*rows).read(text)


def at(at_s: int = NOW_S, trust: ClockTrust = ClockTrust.SYNCED) -> TimeNow:
    return TimeNow(at_s, trust, 0)


END_S = PAPER.expires_at_s
FREE = PAPER._replace(trip=None)
JUDGED: dict[str, tuple[Coupon, Here, TimeNow, int | None, bool, type[Refusal] | None]] = {
    "good": (PAPER, HERE, at(), None, False, None),
    "its last second, a skew wide": (PAPER, HERE, at(END_S + SKEW_S), None, False, None),
    "yesterday's": (PAPER, HERE, at(END_S + SKEW_S + 1), None, False, errors.CouponExpired),
    "by the battery clock": (
        PAPER,
        HERE,
        at(END_S + SKEW_S + 1, ClockTrust.HOLDOVER),
        None,
        False,
        errors.CouponExpired,
    ),
    "floor before its end": (PAPER, HERE, at(END_S + SKEW_S, ClockTrust.FLOOR), None, False, None),
    "floor past its end": (PAPER, HERE, at(END_S + SKEW_S + 1, ClockTrust.FLOOR), None, False, errors.CouponExpired),
    "of another vehicle": (PAPER, Here("bus-2", "T1"), at(), None, False, errors.CouponOfOtherTerminal),
    "of another trip": (PAPER, Here("bus-1", "T2"), at(), None, False, errors.CouponOfOtherTrip),
    "before any trip": (PAPER, Here("bus-1", None), at(), None, False, errors.CouponOfOtherTrip),
    "any trip": (FREE, Here("bus-1", "T2"), at(), None, False, None),
    "no trip needed": (FREE, Here("bus-1", None), at(), None, False, None),
    "used": (PAPER, HERE, at(), 7, False, errors.CouponUsed),
    "used, and expired since": (PAPER, HERE, at(END_S * 2), 7, False, errors.CouponUsed),
    "cancelled": (PAPER, HERE, at(), None, True, errors.CouponCancelled),
    "cancelled, of another vehicle": (PAPER, Here("bus-2", "T1"), at(), None, True, errors.CouponOfOtherTerminal),
}


@pytest.mark.parametrize("name", JUDGED)
def test_where_and_until_when_it_is_good(name: str) -> None:
    coupon, here, now, used_sequence, is_denied, refusal = JUDGED[name]
    if refusal is None:
        check_coupon(coupon, here, now, SKEW_S, used_sequence=used_sequence, is_denied=is_denied)
        return
    with pytest.raises(refusal) as refused:
        check_coupon(coupon, here, now, SKEW_S, used_sequence=used_sequence, is_denied=is_denied)
    named = {errors.CouponUsed: "7", errors.CouponOfOtherTerminal: "bus-1", errors.CouponOfOtherTrip: "T1"}
    assert refused.value.detail == named.get(refusal, refused.value.detail)


def test_a_coupon_counts_against_what_the_terminal_may_lose() -> None:
    caps = full_caps(Limits())
    room_kgo = caps.offline_value_kgo_max - PAPER.value_kgo
    check_value(PAPER, room_kgo, caps)
    with pytest.raises(errors.TerminalValueUsedUp):
        check_value(PAPER, room_kgo + 1, caps)
    check_value(PAPER._replace(value_kgo=0), caps.offline_value_kgo_max, caps)


def test_a_ride_coupon_is_its_kgo_and_the_coin_is_the_tariffs() -> None:
    flat = Product("base", 1, "ก", "a", 5_000, 100, None, None, None)
    tariff = Tariff((flat._replace(product_id="night", thb_satang=300), flat), (), None, None)
    assert ride_cash_satang(PAPER, tariff) == 100
    assert ride_cash_satang(PAPER._replace(product="gone"), tariff) == 0
    charge = coupon_charge(PAPER, 100, (1, 2), {4: "T1"})
    assert charge == (5_000, 100, VoucherKind.COUPON, "base", (1, 2), {4: "T1"}, None)
