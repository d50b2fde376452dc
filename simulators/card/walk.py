"""How the chip reads CBOR: along a fixed layout, byte by byte, with no tree and no dynamic memory. docs/card.md.

A JavaCard does the same over a byte array: each member is expected in its place, in its shortest form; numbers have at
most four bytes. Knows nothing of `protocol.cbor`: the tests hold the two against each other.
"""

from hashlib import sha256
from typing import NamedTuple

AMOUNT_MAX = 2**31 - 1
"""1/100 KGO: a chip reckons with 32 bits, signed."""
TIME_S_MAX = 2**32 - 1
ID_BYTES_MAX = 128
CITY_BYTES_MAX = 64
_HEADER = bytes.fromhex("d2844da201260448")
_SIG_STRUCTURE = b"\x84\x6aSignature1"


class WalkError(Exception):
    """The bytes are not of this layout."""


class Walk:
    """A place in a byte string that only goes forward."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > len(self._data) - self.at:
            raise WalkError("ends early")
        self.at += size
        return self._data[self.at - size : self.at]

    def expect(self, literal: bytes) -> None:
        """These very bytes."""
        if self.take(len(literal)) != literal:
            raise WalkError(f"at {self.at}")

    def head(self, major: int) -> int:
        """The number in a head of this major type, in its shortest form of at most four bytes."""
        first = self.take(1)[0]
        if first >> 5 != major:
            raise WalkError("another type")
        short = first & 0x1F
        if short < 24:
            return short
        if short > 26:
            raise WalkError("a longer number than a chip reckons with")
        size = 1 << (short - 24)
        value = int.from_bytes(self.take(size), "big")
        if value < (24, 1 << 8, 1 << 16)[short - 24]:
            raise WalkError("not in its shortest form")
        return value

    def uint(self, maximum: int) -> int:
        """An unsigned integer."""
        value = self.head(0)
        if value > maximum:
            raise WalkError("too large")
        return value

    def bstr(self, size: int | None = None) -> bytes:
        """A byte string, of this size if one is given."""
        found = self.take(self.head(2))
        if size is not None and len(found) != size:
            raise WalkError("another size")
        return found

    def tstr(self, bytes_max: int) -> bytes:
        """A text of 1 to that many bytes; which letters, the terminal's and the city's readers judge."""
        found = self.take(self.head(3))
        if not 0 < len(found) <= bytes_max:
            raise WalkError("text")
        return found

    def end(self) -> None:
        """Nothing more."""
        if self.at != len(self._data):
            raise WalkError("trailing bytes")


class Sign1(NamedTuple):
    """A COSE_Sign1 taken apart: what was signed, and its identity."""

    key_id: bytes
    payload: bytes
    signature: bytes
    to_be_signed: bytes
    identity: bytes


class Request(NamedTuple):
    """What the chip needs of a payment request."""

    identity: bytes
    amount_kgo: int
    at_s: int
    pass_id: bytes


class Held(NamedTuple):
    """What the chip needs of an allowance."""

    signed: Sign1
    city: bytes
    pass_id: bytes
    point: bytes
    reserve_kgo: int
    not_before_s: int
    expires_at_s: int


def head(major: int, value: int) -> bytes:
    """A CBOR head in its shortest form."""
    if value < 24:
        return bytes((major << 5 | value,))
    for short, size in ((24, 1), (25, 2), (26, 4)):
        if value < 1 << 8 * size:
            return bytes((major << 5 | short,)) + value.to_bytes(size, "big")
    raise WalkError("too large")


def aad_of(kind: int, city: bytes) -> bytes:
    """[type, version 1, city]."""
    return b"\x83" + head(0, kind) + b"\x01" + head(3, len(city)) + city


def read_sign1(raw: bytes, kind: int, city: bytes) -> Sign1:
    """The envelope; the signature is not yet judged."""
    walk = Walk(raw)
    walk.expect(_HEADER)
    key_id = walk.take(8)
    walk.expect(b"\xa0")
    payload = walk.bstr()
    signature = walk.bstr(64)
    walk.end()
    to_be_signed = structure(key_id, kind, city, payload)
    return Sign1(key_id, payload, signature, to_be_signed, sha256(to_be_signed).digest())


def structure(key_id: bytes, kind: int, city: bytes, payload: bytes) -> bytes:
    """The Sig_structure that is signed."""
    aad = aad_of(kind, city)
    return b"".join((_SIG_STRUCTURE, _HEADER[2:], key_id, head(2, len(aad)), aad, head(2, len(payload)), payload))


def sign1(key_id: bytes, payload: bytes, signature: bytes) -> bytes:
    """The envelope around what was signed."""
    return _HEADER + key_id + b"\xa0" + head(2, len(payload)) + payload + b"\x58\x40" + signature


def read_request(raw: bytes, city: bytes, kind: int) -> Request:
    """A payment request with a pass id; one without is none for a card."""
    signed = read_sign1(raw, kind, city)
    walk = Walk(signed.payload)
    walk.expect(b"\xa9\x01")
    walk.tstr(ID_BYTES_MAX)
    walk.expect(b"\x02")
    walk.tstr(ID_BYTES_MAX)
    walk.expect(b"\x03")
    amount_kgo = walk.uint(AMOUNT_MAX)
    walk.expect(b"\x04")
    walk.uint(AMOUNT_MAX)
    walk.expect(b"\x05")
    walk.tstr(ID_BYTES_MAX)
    walk.expect(b"\x06")
    walk.bstr(16)
    walk.expect(b"\x07")
    at_s = walk.uint(TIME_S_MAX)
    walk.expect(b"\x08")
    walk.uint(TIME_S_MAX)
    walk.expect(b"\x09")
    pass_id = walk.bstr(8)
    walk.end()
    return Request(signed.identity, amount_kgo, at_s, pass_id)


def read_allowance(raw: bytes, city: bytes, kind: int) -> Held:
    """An allowance."""
    signed = read_sign1(raw, kind, city)
    walk = Walk(signed.payload)
    walk.expect(b"\xaa\x01")
    said_city = walk.tstr(CITY_BYTES_MAX)
    walk.expect(b"\x02")
    pass_id = walk.bstr(8)
    walk.expect(b"\x03")
    point = walk.bstr(33)
    walk.expect(b"\x04")
    reserve_kgo = walk.uint(AMOUNT_MAX)
    for key, most in ((5, AMOUNT_MAX), (6, AMOUNT_MAX), (7, 15), (8, 3)):
        walk.expect(bytes((key,)))
        walk.uint(most)
    walk.expect(b"\x09")
    not_before_s = walk.uint(TIME_S_MAX)
    walk.expect(b"\x0a")
    expires_at_s = walk.uint(TIME_S_MAX)
    walk.end()
    return Held(signed, said_city, pass_id, point, reserve_kgo, not_before_s, expires_at_s)


def payment_payload(
    allowance_hash: bytes, n: int, sum_kgo: int, request_hash: bytes, amount_kgo: int, at_s: int
) -> bytes:
    """What the chip signs when it pays."""
    return b"".join(
        (
            b"\xa6\x01\x58\x20" + allowance_hash,
            b"\x02" + head(0, n),
            b"\x03" + head(0, sum_kgo),
            b"\x04\x58\x20" + request_hash,
            b"\x05" + head(0, amount_kgo),
            b"\x06" + head(0, at_s),
        )
    )


def closing_payload(allowance_hash: bytes, last_n: int, final_sum_kgo: int) -> bytes:
    """What the chip signs when it ends its allowance early."""
    return b"\xa3\x01\x58\x20" + allowance_hash + b"\x02" + head(0, last_n) + b"\x03" + head(0, final_sum_kgo)


def check_challenge(payload: bytes, pass_id: bytes) -> None:
    """A challenge that names this pass."""
    walk = Walk(payload)
    walk.expect(b"\xa3\x01\x48" + pass_id + b"\x02")
    walk.tstr(ID_BYTES_MAX)
    walk.expect(b"\x03")
    walk.bstr(16)
    walk.end()


def check_ask(payload: bytes, point: bytes) -> None:
    """A request to the city in this chip's own name: account and wallet are both its key."""
    walk = Walk(payload)
    members = walk.head(5)
    walk.expect(b"\x01")
    walk.uint(15)
    walk.expect(b"\x02\x58\x21" + point + b"\x03\x58\x21" + point + b"\x04")
    walk.bstr(16)
    walk.expect(b"\x05")
    walk.uint(TIME_S_MAX)
    if members == 6:
        walk.expect(b"\x07")
        walk.bstr()
    elif members != 5:
        raise WalkError("members")
    walk.end()
