"""The deterministic reader: one refusal per fault, nothing coerced; against cbor2 as the judge. DESIGN §4."""

import re
import tracemalloc

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import (
    CodeDamaged,
    DuplicateKey,
    Malformed,
    NotCanonical,
    Refusal,
    TooLarge,
    TrailingBytes,
)
from offline_ledger.protocol import cbor
from offline_ledger.texts import Texts
from tests.counted import calls_in

MAX = 1_024
NOT_SHORTEST = ["1817", "190017", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3817", "5801ff", "780161", "980101"]
NOT_SHORTEST += ["b8010101", "a1180101"]
INDEFINITE = ["9f01ff", "bf0101ff", "5f4101ff", "7f6161ff", "a1019f01ff"]
SPECIAL = {
    "date text": "c074323031332d30332d32315432303a30343a30305a",
    "date number": "c11a514b67b0",
    "big integer": "c249010000000000000000",
    "negative big integer": "c349010000000000000000",
    "small big integer": "c24101",
    "decimal": "c48221196ab3",
    "decimal with a giant exponent": "c4821b7fffffffffffffff01",
    "bigfloat": "c5822003",
    "bigfloat with a giant exponent": "c5821b7fffffffffffffff01",
    "encoded CBOR": "d818456449455446",
    "rational by zero": "d81e820100",
    "pattern": "d823642e2a2b2b",
    "catastrophic pattern": "d8236728612b292b2462",
    "message": "d8246161",
    "UUID": "d82550" + "00" * 16,
    "shared reference": "d81c81d81d00",
    "dangling reference": "d81d05",
    "string reference": "d9010081d81900",
    "set": "d9010282 0101".replace(" ", ""),
    "address": "d9010444c00a0a01",
    "self-described": "d9d9f700",
    "unknown tag": "dbffffffffffffffff00",
    "tag as a key": "a1c10000",
    "half float": "f93c00",
    "single float": "fa47c35000",
    "double float": "fb3ff199999999999a",
    "not a number": "f97e00",
    "undefined": "f7",
    "simple 16": "f0",
    "simple 255": "f8ff",
    "lone break": "ff",
    "reserved 28": "1c",
    "reserved 30": "5e",
}


@pytest.mark.parametrize("said", NOT_SHORTEST)
def test_a_longer_spelling_is_not_canonical(said: str) -> None:
    with pytest.raises(NotCanonical):
        cbor.decode(bytes.fromhex(said), MAX)


@pytest.mark.parametrize("said", INDEFINITE)
def test_indefinite_lengths_are_not_canonical(said: str) -> None:
    with pytest.raises(NotCanonical):
        cbor.decode(bytes.fromhex(said), MAX)


@pytest.mark.parametrize("said", ["a202000100", "a21818000100", "a1 07 a2 02 00 01 00".replace(" ", "")])
def test_keys_out_of_order_are_not_canonical(said: str) -> None:
    with pytest.raises(NotCanonical):
        cbor.decode(bytes.fromhex(said), MAX)


@pytest.mark.parametrize("said", ["a201000100", "a3010002000200", "a10aa20000 0000".replace(" ", "")])
def test_a_key_twice_is_refused(said: str) -> None:
    with pytest.raises(DuplicateKey):
        cbor.decode(bytes.fromhex(said), MAX)


@pytest.mark.parametrize("said", ["0000", "a0f6", "8000", "40ff"])
def test_bytes_after_the_end_are_refused(said: str) -> None:
    with pytest.raises(TrailingBytes):
        cbor.decode(bytes.fromhex(said), MAX)


@pytest.mark.parametrize("said", ["", "18", "1900", "41", "82 01".replace(" ", ""), "a1", "a101", "6261", "5affffffff"])
def test_an_early_end_is_damage(said: str) -> None:
    with pytest.raises(CodeDamaged):
        cbor.decode(bytes.fromhex(said), MAX)


@pytest.mark.parametrize("said", ["a16161 00".replace(" ", ""), "a1200a", "a1410000", "a1f500", "a1a00000"])
def test_map_keys_are_unsigned_integers(said: str) -> None:
    with pytest.raises(Malformed):
        cbor.decode(bytes.fromhex(said), MAX)


@pytest.mark.parametrize("name", SPECIAL)
def test_no_tag_float_or_simple_value_is_built(name: str) -> None:
    for around in ("", "81", "a101"):
        with pytest.raises((Malformed, NotCanonical)):
            cbor.decode(bytes.fromhex(around + SPECIAL[name]), MAX)


def test_text_is_utf8() -> None:
    with pytest.raises(Malformed):
        cbor.decode(b"\x62\xc3\x28", MAX)
    with pytest.raises(Malformed):
        cbor.decode(b"\x63\xed\xa0\x80", MAX)  # a lone surrogate


@pytest.mark.parametrize("said", ["62c328", "fb7ff8000000000000", "d8641903e8", "a16161f5", "1c", "81" * 40, "c074"])
def test_what_is_wrong_is_said_in_words_that_a_person_may_read(said: str) -> None:
    """A detail may stand before a cashier: no name of a library's class, and its Thai is in the catalogue."""
    with pytest.raises((Malformed, CodeDamaged)) as found:
        cbor.decode(bytes.fromhex(said), MAX)
    detail = found.value.detail
    assert detail and not re.search(r"CBOR|Error|decod|[a-z][A-Z]", detail), detail
    assert not re.search("[a-z]", Texts("th").detail(found.value)), "Thai too"


def test_the_cap_is_judged_before_any_parsing() -> None:
    class Untouchable(bytes):
        def __getitem__(self, _: object) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise AssertionError("parsed")

    with pytest.raises(TooLarge):
        cbor.decode(Untouchable(b"\x40" * 11), 10)
    assert cbor.decode(b"\x49" + bytes(9), 10) == bytes(9)


def test_depth_is_bounded_on_both_sides_of_the_edge() -> None:
    for head, tail in ((b"\x81", b"\x00"), (b"\xa1\x01", b"\x00")):
        assert cbor.decode(head * cbor.DEPTH_MAX + tail, MAX) is not None
        for depth in (cbor.DEPTH_MAX + 1, 400):
            with pytest.raises(Malformed):
                cbor.decode(head * depth + tail, MAX)
    deep: object = 0
    for _ in range(cbor.DEPTH_MAX + 1):
        deep = [deep]
    with pytest.raises(ValueError, match="deeply"):
        cbor.encode(deep)


@pytest.mark.parametrize(
    "head", ["9bffffffffffffffff", "bbffffffffffffffff", "5bffffffffffffffff", "7b7fffffffffffffff"]
)
def test_a_false_size_takes_no_memory(head: str) -> None:
    data = bytes.fromhex(head) + b"\x01\x00" * 500
    tracemalloc.start()
    try:
        with pytest.raises(Refusal):
            cbor.decode(data, 2_048)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def doubling(levels: int) -> bytes:
    """Lists that hold the one before ten times each, by shared references: 10 ** levels members."""
    lists = [b"\xd8\x1c\x8a" + b"\x00" * 10]
    lists += [b"\xd8\x1c\x8a" + (b"\xd8\x1d" + bytes([at])) * 10 for at in range(levels)]
    return bytes([0x80 + len(lists)]) + b"".join(lists)


@pytest.mark.parametrize("wrap", [b"", b"\xa1\x01"])
def test_shared_references_are_not_followed(wrap: bytes) -> None:
    def read() -> None:
        with pytest.raises(Malformed, match="tag 28"):
            cbor.decode(wrap + doubling(3), MAX)
        assert cbor.read_unchecked(wrap + doubling(3)) is None

    assert calls_in(read) < 200


def test_no_tag_is_followed_whatever_cbor2_knows() -> None:
    """Those that cbor2 would build something from are in the table; the rest stays a tag, which is not plain."""
    for tag in (*range(300), 1004, 43000, 55799, 65535, 1 << 40):
        for inner in (b"\x00", b"\x61a", b"\x41a", b"\x82\x01\x02", b"\xa0"):
            with pytest.raises(Malformed):
                cbor.decode(cbor2.dumps(cbor2.CBORTag(tag, 0))[:-1] + inner, MAX)


def test_values_are_counted_before_they_are_built() -> None:
    value = {1: b"x" * 300, 2: [[b"y" * 23, "z" * 70_000], -(1 << 40), None], 3: {4: True, 5: 1_000}}
    data = cbor.encode(value)
    cbor.check_count(data, 16)
    with pytest.raises(TooLarge, match="more than 15 values"):
        cbor.check_count(data, 15)
    many = b"\x9a\x00\x1e\x84\x80" + b"\x00" * 2_000_000
    with pytest.raises(TooLarge):
        cbor.check_count(many, 100)


@given(st.binary(max_size=200))
def test_counting_never_fails_otherwise(data: bytes) -> None:
    cbor.check_count(data, 200)


@pytest.mark.parametrize("value", [1.5, {1: 2.0}, {"a": 1}, {-1: 1}, {True: 1}, {1}, 1 << 64, -(1 << 64) - 1, object()])
def test_what_no_reader_takes_is_never_written(value: object) -> None:
    with pytest.raises(ValueError):
        cbor.encode(value)


VALUES = st.recursive(
    st.integers(-(1 << 64), (1 << 64) - 1)
    | st.binary(max_size=300)
    | st.text(max_size=300)
    | st.booleans()
    | st.none(),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.integers(0, (1 << 64) - 1), inner, max_size=30),
    max_leaves=30,
)


@given(VALUES)
def test_what_is_written_is_read_and_cbor2_writes_the_same(value: object) -> None:
    data = cbor.encode(value)
    assert data == cbor2.dumps(value, canonical=True)
    assert cbor.decode(data, len(data)) == value


def is_plain(value: object, depth: int = cbor.DEPTH_MAX) -> bool:
    """Only types of ours, no integer of more than 64 bits, and not nested too deeply."""
    if isinstance(value, dict | list):
        members = list(value.values()) if isinstance(value, dict) else value
        keys = list(value) if isinstance(value, dict) else []
        is_keyed = all(type(key) is int and 0 <= key < 1 << 64 for key in keys)
        return depth > 0 and is_keyed and all(is_plain(member, depth - 1) for member in members)
    if type(value) is int:
        return -(1 << 64) <= value < 1 << 64
    return value is None or type(value) in (bytes, str, bool)


def judged_by_cbor2(data: bytes) -> bool:
    """Whether cbor2 reads `data` as types of ours and writes the very same bytes."""
    try:
        value = cbor2.loads(data)
        return is_plain(value) and cbor2.dumps(value, canonical=True) == data
    except Exception:  # noqa: BLE001 - a foreign library on hostile bytes
        return False


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Valid bytes with a few changed, cut, doubled, or put in."""
    data = bytearray(cbor.encode(draw(VALUES)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


@given(damaged() | st.binary(max_size=120))
def test_ours_takes_exactly_what_cbor2_finds_canonical(data: bytes) -> None:
    try:
        value = cbor.decode(data, 100_000)
    except Refusal:
        assert not judged_by_cbor2(data)
    else:
        assert judged_by_cbor2(data)
        assert cbor.encode(value) == data
