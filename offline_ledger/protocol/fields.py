"""Payload layouts: integer-keyed CBOR maps to frozen dataclasses and back, by table. Pure. DESIGN §4.

A layout names every key, its field and its check. Unknown keys, missing keys, wrong types and values out of range
are numbered refusals; nothing is coerced (True is no 1).
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar, cast

from offline_ledger.errors import Malformed, UnknownKey, ValueOutOfRange
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol import cbor
from offline_ledger.values import frozen

T = TypeVar("T")
Check = Callable[[object], object]
UINT64_MAX = (1 << 64) - 1
TIME_S_MAX = (1 << 40) - 1
ITEMS_MAX = 10_000


def uint(maximum: int = UINT64_MAX, minimum: int = 0) -> Check:
    """An integer from `minimum` to `maximum`."""

    def check(value: object) -> object:
        if type(value) is not int:
            raise Malformed("integer expected")
        if not minimum <= value <= maximum:
            raise ValueOutOfRange(str(value))
        return value

    return check


def amount() -> Check:
    """Money ≥ 0 in minor units."""
    return uint(AMOUNT_MINOR_MAX)


def time_s() -> Check:
    """Unix seconds, UTC."""
    return uint(TIME_S_MAX)


def fixed(size: int) -> Check:
    """A byte string of exactly `size` bytes."""

    def check(value: object) -> object:
        if type(value) is not bytes:
            raise Malformed("bytes expected")
        if len(value) != size:
            raise ValueOutOfRange(f"{len(value)} bytes, not {size}")
        return value

    return check


def blob(bytes_max: int) -> Check:
    """A byte string of 1 to `bytes_max` bytes."""

    def check(value: object) -> object:
        if type(value) is not bytes:
            raise Malformed("bytes expected")
        if not 1 <= len(value) <= bytes_max:
            raise ValueOutOfRange(f"{len(value)} bytes")
        return value

    return check


def text(characters_max: int, characters_min: int = 1) -> Check:
    """Text of 1 to `characters_max` printable characters."""

    def check(value: object) -> object:
        if type(value) is not str:
            raise Malformed("text expected")
        if not characters_min <= len(value) <= characters_max or not value.isprintable():
            raise ValueOutOfRange(f"{len(value)} characters")
        return value

    return check


def boolean() -> Check:
    """True or false."""

    def check(value: object) -> object:
        if type(value) is not bool:
            raise Malformed("true or false expected")
        return value

    return check


def mapping() -> Check:
    """A map with unsigned integer keys; its body is judged by the rule that reads it."""

    def check(value: object) -> object:
        if type(value) is not dict:
            raise Malformed("map expected")
        for key in cast(dict[object, object], value):
            if type(key) is not int or not 0 <= key < 24:
                raise Malformed("map key")
        return cast(object, value)

    return check


def items(item: Check, items_max: int = ITEMS_MAX, items_min: int = 0) -> Check:
    """A list of `item`, as a tuple."""

    def check(value: object) -> object:
        if type(value) is not list:
            raise Malformed("list expected")
        members = cast(list[object], value)
        if not items_min <= len(members) <= items_max:
            raise ValueOutOfRange(f"{len(members)} items")
        return tuple(item(member) for member in members)

    return check


def row(*columns: Check) -> Check:
    """A list with one check per column, as a tuple."""

    def check(value: object) -> object:
        if type(value) is not list or len(cast(list[object], value)) != len(columns):
            raise Malformed(f"row of {len(columns)} expected")
        return tuple(column(member) for column, member in zip(columns, cast(list[object], value), strict=True))

    return check


@frozen
class Field:
    """One map key: its number, the attribute it fills, its check; optional ones are None when absent."""

    key: int
    name: str
    check: Check
    optional: bool = False


def _plain(value: object) -> object:
    """The value as it would be read back: lists for tuples, numbers for enum members."""
    kind = type(value)
    if kind is bytes or kind is int or kind is str:
        return value
    if isinstance(value, tuple | list):
        return [_plain(member) for member in cast(tuple[object, ...], value)]
    if isinstance(value, dict):
        return {_plain(key): _plain(member) for key, member in cast(dict[object, object], value).items()}
    return int(value) if isinstance(value, int) and kind is not bool else value


class Layout(Generic[T]):
    """The table of one object kind: `decode` payload bytes to a `T`, `encode` a `T` to payload bytes."""

    def __init__(self, build: Callable[..., T], *fields: Field) -> None:
        self._build = build
        self._fields = fields
        self._keys = frozenset(field.key for field in fields)
        assert len(self._keys) == len(fields)

    def from_map(self, value: object) -> T:
        """The object of a decoded map."""
        if type(value) is not dict:
            raise Malformed("map expected")
        found = cast(dict[object, object], value)
        values: list[object] = []
        present = 0
        for field in self._fields:
            member = found.get(field.key)
            if member is None:
                if not field.optional or field.key in found:
                    raise Malformed(f"key {field.key} is missing")
                values.append(None)
            else:
                present += 1
                values.append(field.check(member))
        if present != len(found):
            raise UnknownKey(repr([key for key in found if key not in self._keys])[:80])
        return self._build(*values)

    def decode(self, payload: bytes, bytes_max: int) -> T:
        """The object of a signed payload, or a numbered refusal."""
        return self.from_map(cbor.decode(payload, bytes_max))

    def to_map(self, value: T) -> Mapping[int, object]:
        """The map of an object; optional fields that are None are left out."""
        return {
            field.key: _plain(member)
            for field in self._fields
            if (member := cast(object, getattr(value, field.name))) is not None
        }

    def encode(self, value: T) -> bytes:
        """The deterministic payload bytes; the same checks apply, so nothing unreadable is ever signed."""
        made: dict[int, object] = {}
        for field in self._fields:
            member = cast(object, getattr(value, field.name))
            if member is None:
                if not field.optional:
                    raise Malformed(f"key {field.key} is missing")
                continue
            made[field.key] = plain = _plain(member)
            field.check(plain)
        return cbor.encode(made)
