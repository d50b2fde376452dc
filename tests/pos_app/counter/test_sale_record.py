"""A sale as the shop's file keeps it: read back whole, and hostile bytes are a damaged file. DESIGN §2."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import ShopFileDamaged
from pos_app.counter.basket import LINES_MAX, QUANTITY_MAX, Basket, Line
from pos_app.counter.giving_back import Back, Paid
from pos_app.counter.sale_record import (
    BODY_BYTES_MAX,
    RETURNS_MAX,
    TENDERS_MAX,
    WHOLE_MAX,
    Return,
    SaleRecord,
    SaleState,
    decode_record,
    encode_record,
)
from pos_app.counter.tender import Tender, TenderKind
from pos_app.store.goods import CODE_CHARACTERS_MAX, NAME_CHARACTERS_MAX

LINES = (
    Line(1, "n1", "ก๋วยเตี๋ยว", "Noodles", 4_500, 2, 500),
    Line(3, "", "คีย์เอง", "Keyed in", 3_000, 1, is_vat_exempt=True),
)
SALE = SaleRecord(
    "0a1b2c3d4e5f", SaleState.CLOSED, 42, 1_795_000_000, "01", 7, "โต๊ะ 3 🍜", Basket(LINES, 1_500, 4),
    (
        Tender(TenderKind.COUPON, 500, 500, sequence=40),
        Tender(TenderKind.KGO, 2_500, 2_500, sequence=42),
        Tender(TenderKind.CASH, 5_000, given_satang=10_000),
        Tender(TenderKind.PROMPTPAY, 2_000),
    ),
    0, 100, 458,
    (Return(44, 1_795_000_100, "02", False, 4_000, 1_000, 2_800, ((1, 1),)), Return(45, 1, "02", True, 1, 2, 3)),
)  # fmt: skip


def body_of(sale: SaleRecord) -> dict[str, object]:
    return json.loads(encode_record(sale))


def read(body: object) -> SaleRecord:
    return decode_record(SALE.sale, 3, json.dumps(body).encode())


def test_what_is_kept_is_read_back() -> None:
    assert decode_record(SALE.sale, 3, encode_record(SALE)) == SALE
    assert decode_record("s", 1, encode_record(SaleRecord("s"))) == SaleRecord("s")


def test_what_it_comes_to() -> None:
    assert (SALE.basket.bill_satang, SALE.due_satang) == (10_000, 0)
    assert SALE.paid == Paid(10_000, 2_500, 7_000, 500), "a coupon is a bearer's"
    assert SALE.back == Back(4_001, 1_002, 2_803)
    assert SALE.is_void and not SALE._replace(returns=SALE.returns[:1]).is_void


def test_the_largest_sale_that_a_till_can_make_fits() -> None:
    name, sku = "🍜" * NAME_CHARACTERS_MAX, "ก" * CODE_CHARACTERS_MAX
    lines = tuple(Line(one, sku, name, name, 49_999, QUANTITY_MAX) for one in range(1, LINES_MAX + 1))
    pairs = tuple((one, QUANTITY_MAX) for one in range(1, LINES_MAX + 1))
    back = Return(2**32, 2**32, "x" * 32, False, 10**8, 0, 10**8, pairs)
    tenders = (Tender(TenderKind.PROMPTPAY, 10**9),) * TENDERS_MAX
    largest = SALE._replace(basket=Basket(lines, 0, LINES_MAX + 1), returns=(back,) * RETURNS_MAX, tenders=tenders)
    assert decode_record(SALE.sale, 3, encode_record(largest)) == largest


Change = Callable[[dict[str, object]], object]
HOSTILE: list[Change] = [
    lambda body: body | {"number": -1},
    lambda body: body | {"number": WHOLE_MAX + 1},
    lambda body: body | {"number": 10**400},
    lambda body: body | {"number": True},
    lambda body: body | {"number": 1.0},
    lambda body: body | {"number": float("nan")},
    lambda body: body | {"number": "1"},
    lambda body: body | {"number": None},
    lambda body: body | {"cashier": 1},
    lambda body: body | {"label": "\ud800"},
    lambda body: body | {"lines": {}},
    lambda body: body | {"lines": [[1]]},
    lambda body: body | {"lines": [1]},
    lambda body: body | {"lines": [[*LINES[0], 0]]},
    lambda body: body | {"lines": [[-1, *LINES[0][1:]]]},
    lambda body: body | {"lines": [list(LINES[0])] * (LINES_MAX + 1)},
    lambda body: body | {"tenders": [["gold", 1, 0, 0, 0]]},
    lambda body: body | {"tenders": [[]]},
    lambda body: body | {"tenders": [["cash", 1, 0, 0]]},
    lambda body: body | {"tenders": [["cash", 1, 0, 0, 0]] * (TENDERS_MAX + 1)},
    lambda body: body | {"returns": [[1, 1, "01", False, 1, 1, 1, [[1]]]]},
    lambda body: body | {"returns": [[1, 1, "01", False, 1, 1, 1, [[1, 2, 3]]]]},
    lambda body: body | {"returns": [[1, 1, "01", False, 1, 1, 1, []]] * (RETURNS_MAX + 1)},
    lambda body: body | {"discount_satang": -1},
    lambda body: body | {"discount_satang": 11_501},
    lambda body: body | {"discount_satang": 1_501},
    lambda body: body | {"lines": [[*LINES[0][:5], 0, *LINES[0][6:]], list(LINES[1])]},
    lambda body: body | {"lines": [[*LINES[0][:6], 9_001, False], list(LINES[1])], "discount_satang": 0},
    lambda body: body | {"returns": [[1, 1, "01", False, 10_001, 0, 0, []]]},
    lambda body: body | {"returns": [[1, 1, "01", False, 1, 2_501, 0, []]]},
    lambda body: body | {"returns": [[1, 1, "01", False, 1, 0, 7_001, []]]},
    lambda body: {},
    lambda body: [],
    lambda body: "text",
    lambda body: None,
    lambda body: 7,
]


@pytest.mark.parametrize("change", HOSTILE, ids=range(len(HOSTILE)))
def test_a_body_that_nobody_wrote_is_a_damaged_file(change: Change) -> None:
    assert read(body_of(SALE)) == SALE
    with pytest.raises(ShopFileDamaged):
        read(change(body_of(SALE)))


@pytest.mark.parametrize("name", sorted(body_of(SALE)))
def test_a_member_that_is_gone_is_a_damaged_file(name: str) -> None:
    body = body_of(SALE)
    del body[name]
    with pytest.raises(ShopFileDamaged):
        read(body)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff\xfe", b"[" * 200_000, b'{"lines":' * 50_000, b"1" * 5_000, b"{}" + b" " * BODY_BYTES_MAX],
    ids=["nothing", "no text", "deep", "deep by name", "digits", "long"],
)
def test_bytes_that_are_no_body_are_a_damaged_file(raw: bytes) -> None:
    with pytest.raises(ShopFileDamaged):
        decode_record(SALE.sale, 3, raw)


@pytest.mark.parametrize("state", [0, 5, -1])
def test_a_state_that_is_none_is_a_damaged_file(state: int) -> None:
    with pytest.raises(ShopFileDamaged):
        decode_record(SALE.sale, state, encode_record(SALE))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=2), inner, max_size=3)),
    max_leaves=6,
)


@given(st.sampled_from(sorted(body_of(SALE))), JSON)
def test_whatever_one_member_is_no_other_error_comes_of_it(name: str, value: object) -> None:
    body = body_of(SALE) | {name: value}
    try:
        found = decode_record(SALE.sale, 3, json.dumps(body).encode())
    except ShopFileDamaged:
        return
    assert decode_record(SALE.sale, 3, encode_record(found)) == found


@given(st.binary(max_size=80), st.integers(-2, 8))
def test_whatever_the_bytes_no_other_error_comes_of_them(raw: bytes, state: int) -> None:
    with pytest.raises(ShopFileDamaged):
        decode_record("s", state, raw)
