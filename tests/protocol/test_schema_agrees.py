"""The reader's tables and wire.cddl say the same: both judge every member of every object at each of its edges.

`pycddl` lets another type pass where a size or range fits it (text for bytes, bytes for a number), so values of another
type are put to our reader alone; and it lets a list pass when one row of several fits, so lists of rows have one here.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from tests.crosscheck.ask import ask, cddl_job
from tests.vectors.objects import EXAMPLES

EDGES = [
    0,
    1,
    2,
    3,
    15,
    16,
    23,
    24,
    30,
    31,
    255,
    256,
    8_784,
    65_535,
    10**12,
    1 << 32,
    (1 << 40) - 1,
    1 << 48,
    (1 << 64) - 1,
]
INTEGERS = sorted({edge + step for edge in EDGES for step in (-1, 0, 1) if edge + step < 1 << 64})
OPEN_MAPS = {Kind.VOUCHER: 12, Kind.BATCH_HEAD: 11, Kind.BULLETIN: 7}
"""Judged by the rules that read them."""
SIZES = [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 34, 64, 65]


def near(member: object) -> list[Any]:
    """Values of the same type near the edges. How long text may be only our reader judges: CDDL counts bytes."""
    if type(member) is int:
        return INTEGERS
    if isinstance(member, bytes):
        return [bytes(size) for size in SIZES]
    return ["", "x", "x" * 16] if isinstance(member, str) else []


def of_other_types(member: object) -> list[Any]:
    """Values that no reader may take for `member`."""
    values: list[Any] = [1, True, b"1", "1", "a" * 32, bytes(32), [], {}, None]
    return [value for value in values if type(value) is not type(member)]


def variants(value: Any, change: Callable[[object], list[Any]]) -> Iterator[Any]:
    """The value with one member, or a member of its first row, changed in turn."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from ({**value, key: other} for other in [*change(member), *variants(member, change)])
    elif isinstance(value, list):
        for at, member in enumerate(value):
            for other in [*change(member), *variants(member, change)]:
                yield [*value[:at], other, *value[at + 1 :]]


def of_other_shape(value: Any) -> Iterator[Any]:
    """The map with a member gone or one too many; its rows likewise."""
    for key, member in value.items():
        rest = {other: found for other, found in value.items() if other != key}
        yield rest
        if isinstance(member, list) and member and isinstance(member[0], list):
            yield {**value, key: [[*member[0], 0], *member[1:]]}
            yield {**value, key: [member[0][:-1], *member[1:]]}
    yield from ({**value, key: True} for key in range(24) if key not in value)


def is_read(kind: Kind, data: bytes) -> bool:
    try:
        EXAMPLES[kind].layout.decode(data, CITY_OBJECT_BYTES_MAX)
    except Refusal:
        return False
    return True


def decoded(kind: Kind) -> Any:
    payload = EXAMPLES[kind].layout.encode(EXAMPLES[kind].value)
    value: Any = cbor.decode(payload, len(payload))
    value |= {OPEN_MAPS[kind]: {}} if kind in OPEN_MAPS else {}
    return {key: member[:1] if is_rows(member) else member for key, member in value.items()}


def is_rows(member: Any) -> bool:
    return isinstance(member, list) and bool(member) and isinstance(member[0], list)


def test_reader_and_schema_give_the_same_verdict() -> None:
    asked: list[tuple[Kind, bytes]] = []
    for kind in EXAMPLES:
        value = decoded(kind)
        asked += [(kind, cbor.encode(one)) for one in [*variants(value, near), *of_other_shape(value)]]
    answers = ask([cddl_job(f"{kind.name.lower().replace('_', '-')}-payload", data) for kind, data in asked])
    read = [is_read(kind, data) for kind, data in asked]
    differ = [
        (kind.name, cbor.decode(data, len(data)), is_ours)
        for (kind, data), answer, is_ours in zip(asked, answers, read, strict=True)
        if is_ours is ("error" in answer)
    ]
    assert differ == []
    assert min(sum(read), len(read) - sum(read)) > 800


@pytest.mark.parametrize("kind", EXAMPLES)
def test_no_member_takes_another_type(kind: Kind) -> None:
    for one in variants(decoded(kind), of_other_types):
        assert not is_read(kind, cbor.encode(one)), one
