"""Payload layouts: integer-keyed CBOR maps to frozen values and back, by table. Pure. DESIGN §4.

A layout names every key, its field and its check. Unknown keys, missing keys, wrong types and values out of range
are numbered refusals; nothing is coerced (True is no 1). Reading tries the common case in few steps first; whatever
that does not take is read again closely, which names what is wrong. Every tap pays for these lines: see `make bench`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, cast

from offline_ledger.errors import Malformed, Refusal, UnknownKey, ValueOutOfRange
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol import cbor

T = TypeVar("T")
Check = Callable[[object], object]
UINT64_MAX = (1 << 64) - 1
TIME_S_MAX = (1 << 40) - 1
ITEMS_MAX = 10_000


class Bounded(NamedTuple):
    """The check of an integer's value, or of the length of bytes or printable text: exact type, both ends inclusive."""

    kind: type[int] | type[bytes] | type[str]
    low: int
    high: int

    def __call__(self, value: object) -> object:
        if type(value) is not self.kind:
            raise Malformed(f"{_KIND_NAMES[self.kind]} expected")
        if isinstance(value, int):
            if not self.low <= value <= self.high:
                raise ValueOutOfRange(str(value))
            return value
        sized = value
        if not self.low <= len(sized) <= self.high or (isinstance(sized, str) and not sized.isprintable()):
            raise ValueOutOfRange(f"{len(sized)} {'characters' if isinstance(sized, str) else 'bytes'}")
        return sized


_KIND_NAMES: dict[type, str] = {int: "integer", bytes: "bytes", str: "text"}


def uint(maximum: int = UINT64_MAX, minimum: int = 0) -> Check:
    """An integer from `minimum` to `maximum`."""
    return Bounded(int, minimum, maximum)


def amount() -> Check:
    """Money ≥ 0 in minor units."""
    return uint(AMOUNT_MINOR_MAX)


def time_s() -> Check:
    """Unix seconds, UTC."""
    return uint(TIME_S_MAX)


def fixed(size: int) -> Check:
    """A byte string of exactly `size` bytes."""
    return Bounded(bytes, size, size)


def blob(bytes_max: int) -> Check:
    """A byte string of 1 to `bytes_max` bytes."""
    return Bounded(bytes, 1, bytes_max)


def text(characters_max: int, characters_min: int = 1) -> Check:
    """Text of 1 to `characters_max` printable characters."""
    return Bounded(str, characters_min, characters_max)


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
        if not cbor.is_plain(cast(object, value)):
            raise Malformed("map of plain values with rising keys expected")
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


class Field(NamedTuple):
    """One map key: its number, the attribute it fills, its check; optional ones are None when absent."""

    key: int
    name: str
    check: Check
    optional: bool = False


def _plain(value: object) -> object:
    """The value as it would be read back: lists for tuples, numbers for enum members, maps with rising keys."""
    kind = type(value)
    if kind is bytes or kind is int or kind is str or kind is bool:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, tuple | list):
        return [_plain(member) for member in cast(tuple[object, ...], value)]
    if isinstance(value, dict):
        members = cast(dict[int, object], value)
        return {int(key): _plain(members[key]) for key in sorted(members)}
    return value


class _Row(NamedTuple):
    """A field with its bounds at hand, so that the common case needs no call."""

    key: int
    kind: type | None  # None: no `Bounded`, only `check` can tell
    low: int
    high: int
    check: Check
    optional: bool


def _row_of(field: Field) -> _Row:
    bounds = field.check if isinstance(field.check, Bounded) else None
    if bounds is None:
        return _Row(field.key, None, 0, 0, field.check, field.optional)
    return _Row(field.key, bounds.kind, bounds.low, bounds.high, field.check, field.optional)


class Layout(Generic[T]):
    """The table of one object kind: `decode` payload bytes to a `T`, `encode` a `T` to payload bytes.

    `build` is a named tuple (what every tap reads: made and taken apart at once) or a frozen dataclass; the fields come
    in its order, with rising keys.
    """

    def __init__(self, build: Callable[..., T], *fields: Field) -> None:
        self._build = build
        self._fields = fields
        self._keys = tuple(field.key for field in fields)
        self._rows = tuple(_row_of(field) for field in fields)
        assert list(self._keys) == sorted(set(self._keys))

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
        value = self._decode_common(payload) if len(payload) <= bytes_max else None
        return self.from_map(cbor.decode(payload, bytes_max)) if value is None else value

    def _decode_common(self, payload: bytes) -> T | None:
        """Our keys alone, every member in range, and the bytes are what `encode` would make of it; else None."""
        found = cbor.read_unchecked(payload)
        if found is None:
            return None
        values: list[Any] = []
        made: dict[int, Any] = {}
        for key, kind, low, high, check, optional in self._rows:
            member = found.get(key)
            if member is None:
                if not optional:
                    return None
                values.append(None)
                continue
            made[key] = member
            if kind is None:
                try:
                    values.append(check(member))
                except Refusal:
                    return None
                continue
            if type(member) is not kind:
                return None
            if not low <= (member if kind is int else len(member)) <= high:
                return None
            if kind is str and not member.isprintable():
                return None
            values.append(member)
        # With our keys in their order: a key that is not ours, or in another spelling or place, shows as other bytes.
        if cbor.encode_checked(made) != payload:
            return None
        return self._build(*values)

    def _members(self, value: T) -> Sequence[Any]:
        if isinstance(value, tuple):
            return cast(tuple[Any, ...], value)
        return [cast(object, getattr(value, field.name)) for field in self._fields]

    def to_map(self, value: T) -> Mapping[int, object]:
        """The map of an object; optional fields that are None are left out."""
        return {
            field.key: _plain(member)
            for field, member in zip(self._fields, self._members(value), strict=True)
            if member is not None
        }

    def encode(self, value: T) -> bytes:
        """The deterministic payload bytes; the same checks apply, so nothing unreadable is ever signed."""
        made: dict[int, object] = {}
        for (key, kind, low, high, check, optional), member in zip(self._rows, self._members(value), strict=True):
            if (
                type(member) is kind
                and low <= (member if kind is int else len(member)) <= high
                and (kind is not str or member.isprintable())
            ):
                made[key] = member
            elif member is not None:
                made[key] = plain = _plain(member)
                check(plain)
            elif not optional:
                raise Malformed(f"key {key} is missing")
        return cbor.encode_checked(made)
