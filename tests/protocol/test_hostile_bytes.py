"""Hostile input at every decoder: only numbered refusals come out, and memory stays small. DESIGN §4."""

import gc
import tracemalloc
from collections.abc import Callable
from time import process_time_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import DenyListTooLarge, Refusal
from offline_ledger.protocol import base45, cbor, city, cose, deny_list, device, qr
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from tests.vectors.generate import QR_OBJECTS
from tests.vectors.objects import CITY, EXAMPLES

PEAK_BYTES_MAX = 1_000_000
CPU_NS_MAX = 10_000_000
"""For three readers; a good code takes a hundredth of it. Processor time, so that a busy machine does not count."""
ROUNDS = 5
AAD = cose.external_aad(Kind.PRESENTMENT, CITY)
RAW = [example.signed().raw for example in EXAMPLES.values()]
PAYLOADS = [example.signed().payload for example in EXAMPLES.values()]
TEXTS = [qr.encode(kind, *(EXAMPLES[one].signed().raw for one in held)) for kind, held in QR_OBJECTS.items()]
LAYOUTS = [*(example.layout for example in EXAMPLES.values()), city.ANSWER, city.SIGNED_TRUST_LIST, device.BATCH]
POINT = cose.verify_key(EXAMPLES[Kind.PRESENTMENT].key.point)


def ends_in_a_value_or_a_refusal(decode: Callable[[], object]) -> bool:
    """Whether it ended in a value; anything raised but a numbered refusal fails the test."""
    try:
        decode()
    except Refusal as refusal:
        assert type(refusal).number > 0
        return False
    return True


@st.composite
def damaged(draw: st.DrawFn, sources: list[bytes]) -> bytes:
    """One of `sources` with a few bytes changed, put in, cut out or doubled."""
    data = bytearray(draw(st.sampled_from(sources)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 9))
        data[at : at + size] = draw(st.binary(max_size=9) | st.just(bytes(data[at : at + size] * 2)))
    return bytes(data)


@given(st.binary(max_size=1_100) | damaged(RAW))
def test_sign1(raw: bytes) -> None:
    if ends_in_a_value_or_a_refusal(lambda: cose.parse_sign1(raw, AAD)):
        assert not cose.is_signature_of(cose.parse_sign1(raw, AAD), POINT) or raw[:-64] == RAW[3][:-64]


@given(st.binary(max_size=1_100) | damaged(PAYLOADS))
def test_every_layout(payload: bytes) -> None:
    for layout in LAYOUTS:
        if ends_in_a_value_or_a_refusal(lambda layout=layout: layout.decode(payload, OBJECT_BYTES_MAX)):
            assert layout.encode(layout.decode(payload, OBJECT_BYTES_MAX)) == payload


@given(st.binary(max_size=1_100) | damaged(PAYLOADS + RAW))
def test_cbor(data: bytes) -> None:
    if ends_in_a_value_or_a_refusal(lambda: cbor.decode(data, OBJECT_BYTES_MAX)):
        assert cbor.encode(cbor.decode(data, OBJECT_BYTES_MAX)) == data


def as_text(data: bytes) -> str:
    return data.decode("latin-1")


@given(
    st.text(max_size=700)
    | st.text(base45.ALPHABET, max_size=620).map("KGO1P:".__add__)
    | st.binary(max_size=410).map(lambda data: "KGO1P:" + base45.encode(data))
    | damaged([text.encode() for text in TEXTS]).map(as_text)
)
def test_qr(text: str) -> None:
    if ends_in_a_value_or_a_refusal(lambda: qr.decode(text)):
        code = qr.decode(text)
        assert qr.encode(code.type, *code.objects) == text


@given(st.text(max_size=700) | st.text(base45.ALPHABET, max_size=700))
def test_base45(text: str) -> None:
    if ends_in_a_value_or_a_refusal(lambda: base45.decode(text)):
        assert base45.encode(base45.decode(text)) == text


@given(st.binary(max_size=70))
def test_points(point: bytes) -> None:
    for candidate in (point, b"\x02" + point[:32], b"\x03" + point[:32].rjust(32, b"\x00")):
        ends_in_a_value_or_a_refusal(lambda candidate=candidate: cose.verify_key(candidate))


WORST = [
    b"\x80" * OBJECT_BYTES_MAX,
    b"\x81" * OBJECT_BYTES_MAX,
    b"\x99\x03\xfd" + b"\x80" * (OBJECT_BYTES_MAX - 3),
    b"\x99\x03\xfd" + b"\xa0" * (OBJECT_BYTES_MAX - 3),
    b"\x9a\xff\xff\xff\xff" + b"\x00" * (OBJECT_BYTES_MAX - 5),
    b"\xbb" + b"\xff" * 8 + bytes(range(24)) * 42,
    b"\x5b" + b"\x7f" * (OBJECT_BYTES_MAX - 1),
    b"\xc2\x59\x03\xfc" + b"\xff" * 1_020,
    b"\xc4\x82\x1b" + b"\x7f" * 8 + b"\x01" * 1_013,
    b"\xd8\x1c" * (OBJECT_BYTES_MAX >> 1),
    b"\xff" * OBJECT_BYTES_MAX,
    b"\x8d" + b"".join(b"\xd8\x1c\x8a" + (b"\xd8\x1d" + bytes([at]) if at else b"\x00") * 10 for at in range(13)),
]


def read_all(data: bytes, text: str) -> None:
    ends_in_a_value_or_a_refusal(lambda: cbor.decode(data, OBJECT_BYTES_MAX))
    ends_in_a_value_or_a_refusal(lambda: cose.parse_sign1(data, AAD))
    ends_in_a_value_or_a_refusal(lambda: qr.decode(text))


@pytest.mark.parametrize("number", range(len(WORST)))
def test_the_worst_kilobyte_takes_little_memory_and_time(number: int) -> None:
    data = WORST[number]
    assert len(data) <= OBJECT_BYTES_MAX
    text = "KGO1P:" + base45.encode(data[:396])
    assert len(text) == qr.QR_CHARACTERS_MAX
    gc.collect()
    gc.freeze()  # what other tests of this process have left is no cost of a reader
    try:
        began_ns = process_time_ns()
        for _ in range(ROUNDS):
            read_all(data, text)
        took_ns = process_time_ns() - began_ns
    finally:
        gc.unfreeze()
    assert took_ns < ROUNDS * CPU_NS_MAX
    tracemalloc.start()
    try:
        read_all(data, text)
        assert tracemalloc.get_traced_memory()[1] < PEAK_BYTES_MAX
    finally:
        tracemalloc.stop()


def test_text_far_above_the_cap_is_not_taken_apart() -> None:
    text = "KGO1P:" + "0" * 1_000_000
    tracemalloc.start()
    try:
        assert not ends_in_a_value_or_a_refusal(lambda: qr.decode(text))
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("filler", [b"\x80", b"\xff", b"\x00"])
def test_a_deny_list_of_the_largest_size_takes_time_in_step_with_it(filler: bytes) -> None:
    """Continuation bytes without end would make one number of millions of bits."""
    data = filler * 1_000_000
    began_ns = process_time_ns()
    ends_in_a_value_or_a_refusal(lambda: sum(1 for _ in deny_list.decode_ids(data, 3)))
    assert process_time_ns() - began_ns < 3_000_000_000


def test_a_deny_list_above_its_cap_is_not_taken_apart() -> None:
    with pytest.raises(DenyListTooLarge):
        next(deny_list.decode_ids(b"\x00" * (deny_list.LIST_BYTES_MAX + 1)))
    with pytest.raises(DenyListTooLarge):
        next(deny_list.decode_ids(b"\x00", deny_list.IDS_MAX + 1))
