"""Deterministic CBOR over cbor2: one encoding per value, and a reader that takes no other. RFC 8949 §4.2, DESIGN §4.

The values are integers of 64 bits, byte strings, text, true, false, null (never for a key of an object: absent keys
are left out), lists, and maps whose keys are unsigned integers in rising order (so RFC 7049's and RFC 8949's key
orders agree). Everything else that cbor2 would build (floats, tags, dates) is refused. No tag is followed: a hundred
bytes of shared references are a million members, to be walked and written before they are refused.

A plain value whose keys rise has one encoding, so bytes that differ from it are refused: longer spellings, indefinite
lengths, doubled keys, tags that vanish in reading, bytes after the end. The comparison judges; what is verified is
always the bytes received.
"""

import re
from typing import Any, Never, cast

import cbor2

from offline_ledger.errors import CodeDamaged, DuplicateKey, Malformed, NotCanonical, Refusal, TooLarge, TrailingBytes

DEPTH_MAX = 12
UINT_MAX = (1 << 64) - 1
_SCALARS = frozenset({bytes, str, bool, type(None)})
_SHORT_MAX = 23  # lengths up to here stand in the first byte itself


def _refuse_tag(*_: object) -> Never:
    raise ValueError("a tag")


_NO_TAG = dict.fromkeys(
    (*range(6), 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse_tag
)
"""All that cbor2 reads by itself; any other tag is a `CBORTag`, which is not plain."""
_TAG = re.compile(r"tag (\d+)")
"""As cbor2 names one. Its other words are for who writes programs, and end in `__cause__`."""


def encode(value: object) -> bytes:
    """The one deterministic encoding; ValueError for a value that has none here (float, tag, text key)."""
    is_rising = _check_plain(value, DEPTH_MAX)
    return cbor2.dumps(value) if is_rising else cbor2.dumps(value, canonical=True)


def decode(data: bytes, bytes_max: int) -> object:
    """The value of `data`. Refusals: TooLarge (before any parsing), CodeDamaged (ends early), Malformed (a type that
    we never use), NotCanonical, DuplicateKey, TrailingBytes."""
    if len(data) > bytes_max:
        raise TooLarge(f"{len(data)} > {bytes_max}")
    try:
        value: object = cbor2.loads(data, max_depth=DEPTH_MAX, semantic_decoders=_NO_TAG)
        is_rising = _check_plain(value, DEPTH_MAX)
        canonical = cbor2.dumps(value)
    except cbor2.CBORDecodeEOF as error:
        raise CodeDamaged("ends early") from error
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        tag = _TAG.search(str(error))
        raise Malformed(f"tag {tag[1]} is not used here" if tag else "a form that is not used here") from error
    if canonical != data or not is_rising:
        raise _why_not_canonical(data, canonical)
    return value


def check_count(data: bytes, values_max: int) -> None:
    """TooLarge for more values than that, counted along the lengths before any is built; what else is wrong, `decode`
    says. Members of lists and maps count one each, and so do they themselves."""
    at, count, size = 0, 0, len(data)
    while at < size:
        count += 1
        if count > values_max:
            raise TooLarge(f"more than {values_max} values")
        first = data[at]
        length = first & 31
        at += 1
        if length > _SHORT_MAX:
            width = 1 << (length - _SHORT_MAX - 1) if length < 28 else 0
            length = int.from_bytes(data[at : at + width], "big")
            at += width
        if first >> 5 in (2, 3):
            at += length


def encode_checked(value: object) -> bytes:
    """`encode` of a value whose types and order of keys the caller has checked; else it may be another encoding."""
    return cbor2.dumps(value)


def read_unchecked(data: bytes) -> dict[Any, Any] | None:
    """The map that cbor2 reads in `data`, None if it reads none. The caller compares `encode_checked` with `data`
    before it believes any of it, and leaves to `decode` to say what is wrong."""
    try:
        value: Any = cbor2.loads(data, max_depth=DEPTH_MAX, semantic_decoders=_NO_TAG)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError):
        return None
    return value if type(value) is dict else None  # pyright: ignore[reportUnknownVariableType]


def is_plain(value: object) -> bool:
    """Whether the value has an encoding here and all map keys rise."""
    try:
        return _check_plain(value, DEPTH_MAX)
    except ValueError:
        return False


def _check_plain(value: object, depth: int) -> bool:
    """ValueError for a value that has no encoding here; whether all map keys rise."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if isinstance(value, int):
        if not -UINT_MAX - 1 <= value <= UINT_MAX:
            raise ValueError("an integer of more than 64 bits")
        return True
    if depth == 0:
        raise ValueError("nested too deeply")
    is_rising = True
    if kind is dict:
        before = -1
        for key, member in cast(dict[object, object], value).items():
            if not isinstance(key, int) or isinstance(key, bool) or not 0 <= key <= UINT_MAX:
                raise ValueError("a map key that is no unsigned integer")
            is_rising = is_rising and key > before
            before = key
            is_rising = _check_plain(member, depth - 1) and is_rising
    elif kind is list or kind is tuple:
        for member in cast(list[object], value):
            is_rising = _check_plain(member, depth - 1) and is_rising
    else:
        raise ValueError(f"{kind.__name__} has no encoding here")
    return is_rising


def _why_not_canonical(data: bytes, canonical: bytes) -> Refusal:
    """Name what is wrong with bytes that parse but are not the deterministic encoding."""
    try:
        cbor2.loads(data, max_depth=DEPTH_MAX, semantic_decoders=_NO_TAG, allow_duplicate_keys=False)
    except (cbor2.CBORError, ValueError, TypeError):
        return DuplicateKey()  # the one thing that this reading refuses and the first took
    extra_bytes = len(data) - len(canonical)
    is_longer = extra_bytes > 0 and data.startswith(canonical)
    return TrailingBytes(f"{extra_bytes} extra") if is_longer else NotCanonical()
