"""The body of a till's shift event: what is written is read back, and hostile bytes are refused. DESIGN §2, §5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import Malformed, Refusal
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol import cbor
from offline_ledger.protocol.shop_event import (
    COUNT_MAX,
    NOTE_CHARACTERS_MAX,
    SUMS_MAX,
    SaleSums,
    ShopEvent,
    ShopEventKind,
    decode_shop_event,
    encode_shop_event,
    sale_sums_of,
    shop_event_in,
)
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX
from tests.crosscheck.ask import ask, cddl_job

AT_S = 1_795_000_000
SUMS = SaleSums(12_000, 2_000, 2_000, 500, 4_500, 5_000, 785, 3, 100)
SOLD = ShopEvent(ShopEventKind.SALE_CLOSED, AT_S, 2, 7, "01", 41, 41, tuple(SUMS), "")
FITS = (
    SOLD,
    SOLD._replace(what=16),
    SOLD._replace(what=31),
    SOLD._replace(trust=0),
    SOLD._replace(shift=0, after=0, refers=0),
    SOLD._replace(shift=COUNT_MAX, after=COUNT_MAX, refers=COUNT_MAX),
    SOLD._replace(cashier=""),
    SOLD._replace(cashier="x" * ID_CHARACTERS_MAX),
    SOLD._replace(note="ท" * NOTE_CHARACTERS_MAX),
    SOLD._replace(sums=()),
    SOLD._replace(sums=(0,)),
    SOLD._replace(sums=(AMOUNT_MINOR_MAX,) * SUMS_MAX),
)
UNFIT = (
    SOLD._replace(what=15),
    SOLD._replace(what=32),
    SOLD._replace(trust=3),
    SOLD._replace(trust=-1),
    SOLD._replace(at_s=-1),
    SOLD._replace(shift=COUNT_MAX + 1),
    SOLD._replace(after=COUNT_MAX + 1),
    SOLD._replace(refers=COUNT_MAX + 1),
    SOLD._replace(cashier="x" * (ID_CHARACTERS_MAX + 1)),
    SOLD._replace(note="ท" * (NOTE_CHARACTERS_MAX + 1)),
    SOLD._replace(sums=(0,) * (SUMS_MAX + 1)),
    SOLD._replace(sums=(AMOUNT_MINOR_MAX + 1,)),
    SOLD._replace(sums=(-1,)),
)


def body_of(event: ShopEvent) -> bytes:
    """Its bytes, whether anybody could read them or not."""
    return cbor.encode([*event[:7], list(event.sums), event.note])


@pytest.mark.parametrize("event", FITS)
def test_what_is_written_is_read_back(event: ShopEvent) -> None:
    assert decode_shop_event(encode_shop_event(event)) == event == shop_event_in(encode_shop_event(event))


@pytest.mark.parametrize("event", UNFIT)
def test_what_nobody_could_read_is_never_written(event: ShopEvent) -> None:
    with pytest.raises(Refusal):
        encode_shop_event(event)
    assert shop_event_in(body_of(event)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        cbor.encode([]),
        cbor.encode({1: 2}),
        cbor.encode([*SOLD[:7], list(SOLD.sums)]),
        cbor.encode([*SOLD[:7], list(SOLD.sums), "", 0]),
        cbor.encode([*SOLD[:4], b"01", *SOLD[5:7], list(SOLD.sums), ""]),
        cbor.encode([True, *SOLD[1:7], list(SOLD.sums), ""]),
        cbor.encode([*SOLD[:7], [True], ""]),
        body_of(SOLD) + b"\x00",
        bytes(70_000),
    ],
    ids=range(11),
)
def test_hostile_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(Refusal):
        decode_shop_event(body)
    assert shop_event_in(body) is None


@given(st.binary(max_size=200))
def test_a_reader_of_other_devices_words_never_fails(body: bytes) -> None:
    shop_event_in(body)


@pytest.mark.parametrize("count", [0, len(SaleSums._fields) - 1, len(SaleSums._fields) + 1])
def test_a_sale_has_all_its_sums_and_no_more(count: int) -> None:
    assert sale_sums_of(SOLD) == SUMS
    with pytest.raises(Malformed):
        sale_sums_of(SOLD._replace(sums=(1,) * count))


def test_the_schema_gives_the_same_verdict() -> None:
    """But for text, of which CDDL counts bytes."""
    said = ask([cddl_job("shop-event", body_of(event)) for event in (*FITS, *UNFIT)])
    judged = [event for event, answer in zip((*FITS, *UNFIT), said, strict=True) if "error" not in answer]
    long_text = [event for event in UNFIT if len(event.cashier) > ID_CHARACTERS_MAX or len(event.note) > 80]
    assert [event for event in judged if event not in long_text] == list(FITS)


def test_every_kind_has_a_number_of_its_own_apart_from_a_bus() -> None:
    assert sorted(ShopEventKind) == list(range(16, 26))
