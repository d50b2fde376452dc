"""Deterministic CBOR: one encoding per value, and a reader that takes no other. RFC 8949 §4.2, DESIGN §4.

Map keys are unsigned integers below 24 everywhere except inside COSE's own header, so RFC 7049's and RFC 8949's key
orders agree. Floats, tags, simple values other than true and false, and indefinite lengths are refused.
"""

import cbor2

from offline_ledger.errors import CodeDamaged, DuplicateKey, Malformed, NotCanonical, TooLarge, TrailingBytes

DEPTH_MAX = 12


def encode(value: object) -> bytes:
    """The one deterministic encoding of ints, bytes, text, booleans, lists and maps of these."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, bytes_max: int) -> object:
    """The value of `data`, or a numbered refusal: TooLarge, CodeDamaged, DuplicateKey, TrailingBytes, NotCanonical."""
    if len(data) > bytes_max:
        raise TooLarge(f"{len(data)} > {bytes_max}")
    try:
        value: object = cbor2.loads(data, max_depth=DEPTH_MAX, allow_duplicate_keys=True)
    except cbor2.CBORDecodeEOF as error:
        raise CodeDamaged("ends early") from error
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Malformed(type(error).__name__) from error
    try:
        canonical = cbor2.dumps(value, canonical=True)
    except (cbor2.CBOREncodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Malformed(type(error).__name__) from error
    if canonical != data:
        raise _why_not_canonical(data, canonical)
    return value


def _why_not_canonical(data: bytes, canonical: bytes) -> Exception:
    """Name what is wrong with bytes that parse but are not the deterministic encoding."""
    if data.startswith(canonical):
        return TrailingBytes(f"{len(data) - len(canonical)} extra")
    try:
        cbor2.loads(data, max_depth=DEPTH_MAX, allow_duplicate_keys=False)
    except (cbor2.CBORDecodeError, ValueError, TypeError) as error:
        if "duplicate" in str(error).lower():
            return DuplicateKey()
    return NotCanonical()
