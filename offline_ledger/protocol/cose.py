"""COSE_Sign1 (RFC 9052 §4) with ES256, framed by hand over `cbor` and cryptography. Pure. DESIGN §4.

Identity is SHA-256 of the Sig_structure, never of signature bytes: ECDSA signatures are malleable. Verification
runs over the bytes received, never over a re-encoding. Never decides whether a key is trusted.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Protocol, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from offline_ledger.errors import (
    CodeDamaged,
    Malformed,
    NotCanonical,
    TooLarge,
    TrailingBytes,
    UnknownAlgorithm,
    UnprotectedHeader,
    ValueOutOfRange,
)
from offline_ledger.protocol import cbor
from offline_ledger.protocol.kinds import KEY_ID_BYTES, OBJECT_BYTES_MAX, POINT_BYTES, SIGNATURE_BYTES, VERSION, Kind
from offline_ledger.values import frozen

_ES256 = ec.ECDSA(hashes.SHA256())
_CURVE = ec.SECP256R1()
_SIGN1_START = b"\xd2\x84\x4d"  # tag 18, array(4), bstr(13)
_PROTECTED_START = b"\xa2\x01\x26\x04\x48"  # {1: -7, 4: bstr(8)}
_PROTECTED_BYTES = len(_PROTECTED_START) + KEY_ID_BYTES
_EMPTY_MAP = b"\xa0"
_SIGNATURE_START = b"\x58\x40"  # bstr(64)
_SPKI_START = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")  # RFC 5480, then 04‖x‖y


class Signer(Protocol):
    """A private P-256 key somewhere safe: a file, a TPM, a secure element, a phone."""

    @property
    def point(self) -> bytes:
        """The public key as a compressed point, 33 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """ES256 over `message`: raw r‖s, 64 bytes; RFC 6979 where the hardware can."""
        ...


@frozen
class VerifyKey:
    """A public P-256 key ready to verify."""

    point: bytes
    key: ec.EllipticCurvePublicKey

    @property
    def key_id(self) -> bytes:
        """First 8 bytes of SHA-256 of the SubjectPublicKeyInfo; reckoned when asked for, a wallet's is not needed."""
        numbers = self.key.public_numbers()
        spki = _SPKI_START + b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        return sha256(spki).digest()[:KEY_ID_BYTES]


@frozen
class Signed:
    """A parsed, not yet verified COSE_Sign1: `to_be_signed` is its Sig_structure, `identity` the SHA-256 of that."""

    raw: bytes
    key_id: bytes
    payload: bytes
    signature: bytes
    to_be_signed: bytes
    identity: bytes


def verify_key(point: bytes) -> VerifyKey:
    """The key of a compressed point; ValueOutOfRange for bytes that are no point on P-256."""
    if len(point) != POINT_BYTES or point[0] not in (2, 3):
        raise ValueOutOfRange("not a compressed P-256 point")
    try:
        return VerifyKey(point, ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point))
    except ValueError as error:
        raise ValueOutOfRange("not a point on P-256") from error


def key_id_of(point: bytes) -> bytes:
    """First 8 bytes of SHA-256 of the SubjectPublicKeyInfo."""
    return verify_key(point).key_id


def external_aad(kind: Kind, city: str) -> bytes:
    """Deterministic CBOR of [type, version, city id]."""
    return cbor.encode([int(kind), VERSION, city])


def _bstr(data: bytes) -> bytes:
    size = len(data)
    if size < 24:
        return bytes((0x40 + size,)) + data
    if size < 256:
        return bytes((0x58, size)) + data
    if size < 65536:
        return b"\x59" + size.to_bytes(2, "big") + data
    return b"\x5a" + size.to_bytes(4, "big") + data


def _sig_structure(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    return b"\x84\x6aSignature1" + _bstr(protected) + _bstr(aad) + _bstr(payload)


def parse_sign1(raw: bytes, aad: bytes, bytes_max: int = OBJECT_BYTES_MAX) -> Signed:
    """Split a COSE_Sign1 without trusting it. Refusals: TooLarge, CodeDamaged, Malformed, NotCanonical,
    UnknownAlgorithm, UnprotectedHeader, TrailingBytes. `aad` comes from `external_aad` of the kind expected here."""
    if len(raw) > bytes_max:
        raise TooLarge(f"{len(raw)} > {bytes_max}")
    head_bytes = len(_SIGN1_START) + _PROTECTED_BYTES
    if not raw.startswith(_SIGN1_START) or raw[3 : 3 + len(_PROTECTED_START)] != _PROTECTED_START:
        raise _why_not_sign1(raw, bytes_max)
    protected = raw[len(_SIGN1_START) : head_bytes]
    if raw[head_bytes : head_bytes + 1] != _EMPTY_MAP:
        raise _why_not_sign1(raw, bytes_max)
    payload, rest_at = _read_bstr(raw, head_bytes + 1)
    signature_at = rest_at + len(_SIGNATURE_START)
    end_at = signature_at + SIGNATURE_BYTES
    if raw[rest_at:signature_at] != _SIGNATURE_START or len(raw) != end_at:
        raise _why_not_sign1(raw, bytes_max)
    to_be_signed = _sig_structure(protected, aad, payload)
    identity = sha256(to_be_signed).digest()
    return Signed(raw, protected[-KEY_ID_BYTES:], payload, raw[signature_at:end_at], to_be_signed, identity)


def _read_bstr(raw: bytes, at: int) -> tuple[bytes, int]:
    """The byte string at `at` in its shortest form, and where it ends."""
    if at >= len(raw):
        raise CodeDamaged("ends early")
    first = raw[at]
    if 0x40 <= first < 0x58:
        size, start = first - 0x40, at + 1
    elif 0x58 <= first <= 0x5A:
        length_bytes = 1 << (first - 0x58)
        start = at + 1 + length_bytes
        if start > len(raw):
            raise CodeDamaged("ends early")
        size = int.from_bytes(raw[at + 1 : start], "big")
        if size < (24, 256, 65536)[first - 0x58]:
            raise NotCanonical("length is not in its shortest form")
    elif first in (0x5B, 0x5F):
        raise NotCanonical("length is not in its shortest form")
    else:
        raise Malformed("a byte string was expected")
    if start + size > len(raw):
        raise CodeDamaged("ends early")
    return raw[start : start + size], start + size


def _why_not_sign1(raw: bytes, bytes_max: int) -> Exception:
    """Slow path: name the first thing wrong with bytes that are not our COSE_Sign1."""
    if raw[:2] != _SIGN1_START[:2]:
        if _SIGN1_START.startswith(raw):
            return CodeDamaged("ends early")
        if raw.startswith((b"\xd8\x12", b"\xd2\x98", b"\xd2\x9f")):
            return NotCanonical("not in its shortest form")
        return Malformed("not a COSE_Sign1")
    protected, at = _read_bstr(raw, 2)
    if at >= len(raw):
        return CodeDamaged("ends early")
    if raw[at] != _EMPTY_MAP[0]:
        return UnprotectedHeader() if raw[at] >> 5 == 5 else Malformed("an empty map was expected")
    header = cbor.decode(protected or _EMPTY_MAP, bytes_max)
    algorithm = cast(dict[int, object], header).get(1) if isinstance(header, dict) else None
    if algorithm != -7:
        return UnknownAlgorithm(repr(algorithm)[:40])
    _payload, at = _read_bstr(raw, at + 1)
    signature, at = _read_bstr(raw, at)
    if at != len(raw):
        return TrailingBytes(f"{len(raw) - at} extra")
    return Malformed(f"not our header, or a signature of {len(signature)} bytes")


def is_signature_of(signed: Signed, key: VerifyKey) -> bool:
    """Whether `key` signed these bytes. r or s of zero or above the order simply do not verify."""
    signature = signed.signature
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    try:
        key.key.verify(der, signed.to_be_signed, _ES256)
    except InvalidSignature:
        return False
    return True


def sign1(payload: bytes, aad: bytes, key_id: bytes, sign: Callable[[bytes], bytes]) -> Signed:
    """Frame and sign `payload`. `key_id` belongs to the key behind `sign`."""
    protected = _PROTECTED_START + key_id
    to_be_signed = _sig_structure(protected, aad, payload)
    signature = sign(to_be_signed)
    if len(protected) != _PROTECTED_BYTES or len(signature) != SIGNATURE_BYTES:
        raise ValueError("a key id of 8 bytes and a signature of 64 were expected")
    raw = _SIGN1_START[:2] + _bstr(protected) + _EMPTY_MAP + _bstr(payload) + _SIGNATURE_START + signature
    return Signed(raw, key_id, payload, signature, to_be_signed, sha256(to_be_signed).digest())
