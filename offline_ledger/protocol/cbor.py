"""Deterministic CBOR: one encoding per value, and a reader that takes no other. RFC 8949 §4.2, DESIGN §4.

The values are integers of 64 bits, byte strings, text, true, false, null (never for a key of an object: absent keys
are left out), lists, and maps whose keys are unsigned integers in rising order (so RFC 7049's and RFC 8949's key
orders agree). Everything else (floats, tags, indefinite lengths, longer spellings) is refused while reading and never
written. The reader is small and its own, because a library that builds dates, big numbers, patterns or shared
references from hostile bytes does too much.
Never recurses deeper than DEPTH_MAX; work and memory grow with the bytes received alone.
"""

from typing import cast

from offline_ledger.errors import CodeDamaged, DuplicateKey, Malformed, NotCanonical, TooLarge, TrailingBytes

DEPTH_MAX = 12
UINT_MAX = (1 << 64) - 1
_SHORTEST_MIN = (24, 1 << 8, 1 << 16, 1 << 32)
"""The smallest argument that needs 1, 2, 4, 8 bytes."""
_SIMPLE = {0xF4: False, 0xF5: True, 0xF6: None}
_HEADS = tuple(bytes((first,)) for first in range(256))


def encode(value: object) -> bytes:
    """The one deterministic encoding; ValueError for a value that has none here (float, tag, text key)."""
    return _written(value, DEPTH_MAX)


def _head(major: int, argument: int) -> bytes:
    """Initial byte and argument in the shortest form; `major` is the type already shifted to the top bits."""
    if argument < 24:
        return _HEADS[major | argument]
    if argument < 1 << 8:
        return bytes((major | 24, argument))
    if argument < 1 << 16:
        return bytes((major | 25,)) + argument.to_bytes(2, "big")
    if argument < 1 << 32:
        return bytes((major | 26,)) + argument.to_bytes(4, "big")
    if argument > UINT_MAX:
        raise ValueError("an integer of more than 64 bits")
    return bytes((major | 27,)) + argument.to_bytes(8, "big")


def _written(value: object, depth: int) -> bytes:
    if isinstance(value, int):
        if value is True or value is False:
            return b"\xf5" if value else b"\xf4"
        if 0 <= value < 24:
            return _HEADS[value]
        return _head(0x00, value) if value >= 0 else _head(0x20, -1 - value)
    if isinstance(value, bytes):
        return _head(0x40, len(value)) + value
    if isinstance(value, str):
        data = value.encode()
        return _head(0x60, len(data)) + data
    if value is None:
        return b"\xf6"
    if depth == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return _written_map(cast(dict[object, object], value), depth)
    if isinstance(value, list | tuple):
        members = cast(list[object], value)
        return _head(0x80, len(members)) + b"".join([_written(member, depth - 1) for member in members])
    raise ValueError(f"{type(value).__name__} has no encoding here")


def _written_map(pairs: dict[object, object], depth: int) -> bytes:
    for key in pairs:
        if not isinstance(key, int) or key < 0 or isinstance(key, bool):
            raise ValueError("a map key that is no unsigned integer")
    parts = [_head(0xA0, len(pairs))]
    for key in sorted(cast(dict[int, object], pairs)):
        parts.append(_HEADS[key] if key < 24 else _head(0x00, key))
        parts.append(_written(pairs[key], depth - 1))
    return b"".join(parts)


def decode(data: bytes, bytes_max: int) -> object:
    """The value of `data`. Refusals: TooLarge (before any parsing), CodeDamaged (ends early), Malformed (a type that
    we never use), NotCanonical, DuplicateKey, TrailingBytes."""
    if len(data) > bytes_max:
        raise TooLarge(f"{len(data)} > {bytes_max}")
    try:
        value, end_at = _read(data, 0, DEPTH_MAX)
    except IndexError as error:
        raise CodeDamaged("ends early") from error
    if end_at != len(data):
        raise TrailingBytes(f"{len(data) - end_at} extra")
    return value


def _read(data: bytes, at: int, depth: int) -> tuple[object, int]:
    """The value at `at`, and where it ends. IndexError when the bytes end inside it."""
    first = data[at]
    if first < 24:
        return first, at + 1
    argument, at = _argument(data, at)
    major = first >> 5
    if major == 2:
        return _string(data, at, argument), at + argument
    if major < 2:
        return (-1 - argument if major else argument), at
    if major == 3:
        try:
            return _string(data, at, argument).decode(), at + argument
        except UnicodeDecodeError as error:
            raise Malformed("text is not UTF-8") from error
    if first in _SIMPLE:
        return _SIMPLE[first], at
    if major > 5:
        raise Malformed("a tag" if major == 6 else "a float or simple value")
    if depth == 0:
        raise Malformed("nested too deeply")
    return _members(data, at, argument, depth) if major == 4 else _pairs(data, at, argument, depth)


def _argument(data: bytes, at: int) -> tuple[int, int]:
    """The argument of the head at `at`, and where it ends."""
    info = data[at] & 0x1F
    if info < 24:
        return info, at + 1
    if info > 27:
        raise NotCanonical("indefinite length") if info == 31 else Malformed("a reserved head")
    end_at = at + 1 + (1 << (info - 24))
    argument = int.from_bytes(_string(data, at + 1, end_at - at - 1), "big")
    if argument < _SHORTEST_MIN[info - 24] and data[at] < 0xE0:
        raise NotCanonical("not in its shortest form")
    return argument, end_at


def _string(data: bytes, at: int, size: int) -> bytes:
    end_at = at + size
    if end_at > len(data):
        raise IndexError
    return data[at:end_at]


def _members(data: bytes, at: int, size: int, depth: int) -> tuple[list[object], int]:
    members: list[object] = []
    for _ in range(size):  # a false size ends at the end of the bytes: each member takes at least one
        member, at = _read(data, at, depth - 1)
        members.append(member)
    return members, at


def _pairs(data: bytes, at: int, size: int, depth: int) -> tuple[dict[int, object], int]:
    pairs: dict[int, object] = {}
    before = -1
    for _ in range(size):
        key, at = data[at], at + 1
        if key >= 24:
            key, at = _long_key(data, at - 1)
        if key <= before:
            raise DuplicateKey(str(key)) if key in pairs else NotCanonical("keys are not in order")
        pairs[key], at = _read(data, at, depth - 1)
        before = key
    return pairs, at


def _long_key(data: bytes, at: int) -> tuple[int, int]:
    if data[at] >= 0x20:
        raise Malformed("a map key that is no unsigned integer")
    return _argument(data, at)
