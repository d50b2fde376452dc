"""COSE_Sign1: every rejection rule of DESIGN §4, with bytes made by hand."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import (
    CodeDamaged,
    Malformed,
    NotCanonical,
    Refusal,
    TooLarge,
    TrailingBytes,
    UnknownAlgorithm,
    UnprotectedHeader,
    ValueOutOfRange,
)
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, VERSION, Kind
from simulators.keys import P256_ORDER
from tests.vectors import keys
from tests.vectors.objects import CITY, EXAMPLES

AAD = cose.external_aad(Kind.PRESENTMENT, CITY)
KEY = cose.verify_key(keys.WALLET.point)
GOOD = EXAMPLES[Kind.PRESENTMENT].signed()
PROTECTED, SIGNATURE = GOOD.raw[2:16], GOOD.raw[-66:]
PAYLOAD = GOOD.raw[17:-66]


def signed_over(protected: bytes, payload: bytes = GOOD.payload) -> bytes:
    """An honest signature over a header of another shape."""
    message = cbor.encode(["Signature1", protected, AAD, payload])
    parts = [cbor.encode(protected), b"\xa0", cbor.encode(payload), cbor.encode(keys.WALLET.sign(message))]
    return b"\xd2\x84" + b"".join(parts)


def is_good(raw: bytes, aad: bytes = AAD) -> bool:
    return cose.is_signature_of(cose.parse_sign1(raw, aad), KEY)


def test_the_good_one_is_good() -> None:
    assert is_good(GOOD.raw)
    assert GOOD.raw == b"\xd2\x84" + PROTECTED + b"\xa0" + PAYLOAD + SIGNATURE
    assert is_good(signed_over(PROTECTED[1:]))


def test_identity_is_the_hash_of_the_sig_structure() -> None:
    structure = cbor.encode(["Signature1", PROTECTED[1:], AAD, GOOD.payload])
    assert cose.parse_sign1(GOOD.raw, AAD).to_be_signed == structure
    assert GOOD.identity == sha256(structure).digest()


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 257, 900, 65_535, 65_536, 70_000])
def test_payloads_of_every_length_head(size: int) -> None:
    signed = cose.sign1(bytes(size), AAD, keys.WALLET.key_id, keys.WALLET.sign)
    parsed = cose.parse_sign1(signed.raw, AAD, 100_000)
    assert parsed == signed and cose.is_signature_of(parsed, KEY)


def test_the_cap_is_judged_before_any_parsing() -> None:
    class Untouchable(bytes):
        def startswith(self, *_: object) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise AssertionError("parsed")

        def __getitem__(self, _: object) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise AssertionError("parsed")

    with pytest.raises(TooLarge):
        cose.parse_sign1(Untouchable(bytes(OBJECT_BYTES_MAX + 1)), AAD)
    at_edge = cose.sign1(bytes(OBJECT_BYTES_MAX - 86), AAD, keys.WALLET.key_id, keys.WALLET.sign).raw
    assert len(at_edge) == OBJECT_BYTES_MAX and is_good(at_edge)


def test_what_is_verified_are_the_received_bytes_not_a_re_encoding() -> None:
    """A signature over {2: …, 1: …}: re-encoding would turn it into other bytes, which nobody signed."""
    odd = b"\xa2\x02\x00\x01\x00"
    raw = cose.sign1(odd, AAD, keys.WALLET.key_id, keys.WALLET.sign).raw
    parsed = cose.parse_sign1(raw, AAD)
    assert parsed.payload == odd and cose.is_signature_of(parsed, KEY)
    tidied = raw.replace(odd, b"\xa2\x01\x00\x02\x00")
    assert not is_good(tidied)
    with pytest.raises(NotCanonical):
        EXAMPLES[Kind.PRESENTMENT].layout.decode(parsed.payload, OBJECT_BYTES_MAX)


@pytest.mark.parametrize(
    "header",
    [
        {1: -35, 4: keys.WALLET.key_id},
        {1: -8, 4: keys.WALLET.key_id},
        {1: 0, 4: keys.WALLET.key_id},
        {1: "ES256", 4: keys.WALLET.key_id},
        {1: 5},
        {4: keys.WALLET.key_id},
        {},
    ],
)
def test_other_algorithms_are_refused_though_the_signature_is_good(header: dict[int, object]) -> None:
    with pytest.raises(UnknownAlgorithm):
        cose.parse_sign1(signed_over(cbor.encode(header)), AAD)


def test_no_header_at_all_names_no_algorithm() -> None:
    with pytest.raises(UnknownAlgorithm):
        cose.parse_sign1(signed_over(b""), AAD)


@pytest.mark.parametrize(
    "header",
    [
        {1: -7},
        {1: -7, 4: bytes(7)},
        {1: -7, 4: bytes(9)},
        {1: -7, 4: "12345678"},
        {1: -7, 2: [4], 4: bytes(8)},
        {1: -7, 3: 0, 4: bytes(8)},
        {1: -7, 4: bytes(8), 5: 0},
    ],
)
def test_headers_with_more_or_less_than_ours_are_malformed(header: dict[int, object]) -> None:
    with pytest.raises(Malformed):
        cose.parse_sign1(signed_over(cbor.encode(header)), AAD)


@pytest.mark.parametrize(
    ("header", "refusal"),
    [
        (b"\xa2\x04\x48" + bytes(8) + b"\x01\x26", NotCanonical),
        (b"\xbf\x01\x26\xff", NotCanonical),
        (b"\xa2\x18\x01\x26\x04\x48" + bytes(8), NotCanonical),
        (b"\xa1\x20\x26", Malformed),
        (b"\xa2\x01\x26", CodeDamaged),
        (b"\xa1\x01\x26\x00", TrailingBytes),
    ],
)
def test_headers_that_are_not_deterministic(header: bytes, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        cose.parse_sign1(signed_over(header), AAD)


@pytest.mark.parametrize(
    "there", ["a10126", "a10448" + "00" * 8, "a12000", "a1617800", "b80101 26".replace(" ", ""), "bfff"]
)
def test_anything_in_the_unprotected_header_is_refused(there: str) -> None:
    with pytest.raises(UnprotectedHeader):
        cose.parse_sign1(b"\xd2\x84" + PROTECTED + bytes.fromhex(there) + PAYLOAD + SIGNATURE, AAD)


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (GOOD.raw + b"\x00", TrailingBytes),
        (GOOD.raw + GOOD.raw, TrailingBytes),
        (b"", CodeDamaged),
        (b"\xd2", CodeDamaged),
        (b"\xd2\x84", CodeDamaged),
        (GOOD.raw[:-1], CodeDamaged),
        (GOOD.raw[:17], CodeDamaged),
        (GOOD.raw[:16], CodeDamaged),
        (GOOD.raw[:17] + b"\x58", CodeDamaged),
        (GOOD.raw[:17] + b"\x59\x01", CodeDamaged),
        (GOOD.raw[:17] + b"\x5a\x00\x00\x00", CodeDamaged),
        (GOOD.raw[1:], Malformed),
        (b"\xd1" + GOOD.raw[1:], Malformed),
        (b"\xd8\x62" + GOOD.raw[1:], Malformed),
        (b"\xd2" + GOOD.raw, Malformed),
        (b"\xd2\x85" + GOOD.raw[2:], Malformed),
        (b"\xd8\x12" + GOOD.raw[1:], NotCanonical),
        (b"\xd2\x98\x04" + GOOD.raw[2:], NotCanonical),
        (b"\xd2\x9f" + GOOD.raw[2:] + b"\xff", NotCanonical),
        (b"\xd2\x84\x58\x0d" + GOOD.raw[3:], NotCanonical),
        (b"\xd2\x84" + PROTECTED + b"\xa0\x59\x00" + PAYLOAD[1:] + SIGNATURE, NotCanonical),
        (b"\xd2\x84" + PROTECTED + b"\xa0" + PAYLOAD + b"\x59\x00\x40" + SIGNATURE[2:], NotCanonical),
        (b"\xd2\x84" + PROTECTED + b"\x80" + PAYLOAD + SIGNATURE, Malformed),
        (b"\xd2\x84" + PROTECTED + b"\xa0\xf6" + SIGNATURE, Malformed),
        (b"\xd2\x84" + PROTECTED + b"\xa0\x5f" + PAYLOAD + b"\xff" + SIGNATURE, NotCanonical),
        (b"https://example.org", Malformed),
    ],
)
def test_envelopes_that_are_not_ours(raw: bytes, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        cose.parse_sign1(raw, AAD)


@pytest.mark.parametrize(
    "signature", [b"", b"\xf6", b"\x40", b"\x58\x3f" + bytes(63), b"\x58\x41" + bytes(65), b"\x80"]
)
def test_a_missing_or_odd_signature_is_never_unsigned_is_fine(signature: bytes) -> None:
    for start in (b"\xd2\x84", b"\xd2\x83"):
        with pytest.raises((Malformed, CodeDamaged)):
            cose.parse_sign1(start + PROTECTED + b"\xa0" + PAYLOAD + signature, AAD)


def test_changing_any_one_bit_is_refused_or_does_not_verify() -> None:
    for at in range(len(GOOD.raw) * 8):
        raw = bytearray(GOOD.raw)
        raw[at >> 3] ^= 1 << (at & 7)
        try:
            assert not is_good(bytes(raw)), at
        except Refusal:
            pass


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("other", EXAMPLES)
def test_no_object_passes_for_another_kind(kind: Kind, other: Kind) -> None:
    example = EXAMPLES[kind]
    signed = cose.parse_sign1(example.signed().raw, cose.external_aad(other, CITY), 4_096)
    assert cose.is_signature_of(signed, cose.verify_key(example.key.point)) is (kind is other)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_another_city_or_version_does_not_verify(kind: Kind) -> None:
    example, raw = EXAMPLES[kind], EXAMPLES[kind].signed().raw
    for aad in (
        cose.external_aad(kind, "TH-41"),
        cose.external_aad(kind, ""),
        cbor.encode([int(kind), VERSION + 1, CITY]),
        b"",
    ):
        signed = cose.parse_sign1(raw, aad, 4_096)
        assert not cose.is_signature_of(signed, cose.verify_key(example.key.point))


def with_signature(r: int, s: int) -> cose.Signed:
    return cose.parse_sign1(GOOD.raw[:-64] + r.to_bytes(32, "big") + s.to_bytes(32, "big"), AAD)


R, S = int.from_bytes(GOOD.signature[:32], "big"), int.from_bytes(GOOD.signature[32:], "big")


def test_the_flipped_signature_verifies_and_is_the_same_object() -> None:
    flipped = with_signature(R, P256_ORDER - S)
    assert flipped.raw != GOOD.raw
    assert cose.is_signature_of(flipped, KEY)
    assert flipped.identity == GOOD.identity


OUT_OF_RANGE = [(0, 0), (0, S), (R, 0), (R, P256_ORDER), (P256_ORDER, S), (R, 2**256 - 1), (2**256 - 1, S)]


@pytest.mark.parametrize(("r", "s"), [*OUT_OF_RANGE, (1, 1), (S, R), (P256_ORDER - R, S)])
def test_r_and_s_out_of_range_do_not_verify(r: int, s: int) -> None:
    assert not cose.is_signature_of(with_signature(r, s), KEY)


def test_s_above_the_order_does_not_wrap_round() -> None:
    """A key chosen so that s = 1 is right for these bytes; s = 1 + n must still be wrong."""
    k = 0x1234567
    r = ec.derive_private_key(k, ec.SECP256R1()).public_key().public_numbers().x
    digest = int.from_bytes(sha256(GOOD.to_be_signed).digest(), "big")
    secret = (k - digest) * pow(r, -1, P256_ORDER) % P256_ORDER
    public = ec.derive_private_key(secret, ec.SECP256R1()).public_key()
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    assert cose.is_signature_of(with_signature(r, 1), cose.verify_key(point))
    assert cose.is_signature_of(with_signature(r, P256_ORDER - 1), cose.verify_key(point))
    assert not cose.is_signature_of(with_signature(r, P256_ORDER + 1), cose.verify_key(point))


UNCOMPRESSED = KEY.key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
"""The wallet's own good key, in a spelling that is not ours."""


@pytest.mark.parametrize(
    "point",
    [
        b"",
        b"\x00",
        bytes(33),
        b"\x02" + b"\xff" * 32,
        b"\x02" + bytes(31) + b"\x01",
        b"\x05" + keys.WALLET.point[1:],
        b"\x04" + keys.WALLET.point[1:],
        keys.WALLET.point[:-1],
        keys.WALLET.point + b"\x00",
        b"\x04" + bytes(64),
        UNCOMPRESSED,
        bytes((6 + (UNCOMPRESSED[-1] & 1),)) + UNCOMPRESSED[1:],
    ],
)
def test_bytes_that_are_no_point_are_refused(point: bytes) -> None:
    with pytest.raises(ValueOutOfRange):
        cose.verify_key(point)


def test_the_key_id_is_of_the_subject_public_key_info() -> None:
    spki = KEY.key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert KEY.key_id == sha256(spki).digest()[:8] == cose.key_id_of(keys.WALLET.point)


def test_a_signer_that_misbehaves_signs_nothing() -> None:
    with pytest.raises(ValueError):
        cose.sign1(b"\xa0", AAD, keys.WALLET.key_id, lambda _: bytes(70))
    with pytest.raises(ValueError):
        cose.sign1(b"\xa0", AAD, bytes(7), keys.WALLET.sign)


def test_two_keys_with_one_key_id_are_told_apart_by_the_signature() -> None:
    """Identity and verdict come from the signature; the key id only narrows the search."""
    stranger = cose.sign1(GOOD.payload, AAD, keys.WALLET.key_id, keys.ACCOUNT.sign)
    matches = [key for key in (KEY, cose.verify_key(keys.ACCOUNT.point)) if cose.is_signature_of(stranger, key)]
    assert [key.point for key in matches] == [keys.ACCOUNT.point]
    assert stranger._replace(raw=b"", signature=b"") == GOOD._replace(raw=b"", signature=b"")


@given(st.binary(max_size=300))
def test_any_payload_returns(payload: bytes) -> None:
    signed = cose.sign1(payload, AAD, keys.WALLET.key_id, keys.WALLET.sign)
    assert cose.parse_sign1(signed.raw, AAD) == signed
