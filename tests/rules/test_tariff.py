"""The tariff body: round trip through the wire, and each thing that is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import TariffMalformed, UnknownProductKind
from offline_ledger.protocol import cbor
from offline_ledger.rules.tariff import Concession, DailyCap, Product, Tariff, Transfer, decode_tariff, encode_tariff
from tests.rules.sample_tariffs import BASE, CITY_BUS, ONE_BAHT, PLAIN

Body = dict[int, Any]


def through_wire(body: Body) -> Body:
    """What a terminal gets to see of this body."""
    found = cbor.decode(cbor.encode(body), 100_000)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "tariff",
    [
        CITY_BUS,
        PLAIN,
        PLAIN._replace(pass_back_s=300),
        PLAIN._replace(products=(ONE_BAHT._replace(routes=("8",)), BASE)),
    ],
)
def test_round_trip(tariff: Tariff) -> None:
    assert decode_tariff(through_wire(encode_tariff(tariff))) == tariff


def _set(*path: int) -> Callable[[Body, Any], None]:
    def change(body: Body, value: Any) -> None:
        place: Any = body
        for key in path[:-1]:
            place = place[key]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (_set(1), None),
        (_set(1), []),
        (_set(1), {}),
        (_set(2), None),
        (_set(9), 1),
        (_set(1, 0, 1), ""),
        (_set(1, 0, 1), "x" * 21),
        (_set(1, 0, 1), "a+transfer"),
        (_set(1, 0, 1), "base"),
        (_set(1, 0, 3), None),
        (_set(1, 0, 5), -1),
        (_set(1, 0, 5), 10**12 + 1),
        (_set(1, 0, 5), True),
        (_set(1, 0, 5), "50"),
        (_set(1, 0, 6), None),
        (_set(1, 0, 7), 25650609),
        (_set(1, 0, 7), 20220631),
        (_set(1, 0, 7), 20220901),
        (_set(1, 0, 9), []),
        (_set(1, 0, 10), 1),
        (_set(1, 1, 7), 20220101),
        (_set(1, 1, 9), ["8"]),
        (_set(2, 0, 1), 0),
        (_set(2, 0, 1), 2),
        (_set(2, 0, 4), 1001),
        (_set(2, 0, 4), None),
        (_set(2, 0, 5), 1),
        (_set(2, 1, 5), None),
        (_set(2, 1, 4), 500),
        (_set(3, 1), 0),
        (_set(3, 1), 21_601),
        (_set(3, 2), 1001),
        (_set(3, 3), 0),
        (_set(3, 3), 10),
        (_set(4, 1), -1),
        (_set(4, 2), None),
        (_set(5), 0),  # off is written in one way alone: not at all
        (_set(5), 3_601),
        (_set(5), -1),
        (_set(5), True),
        (_set(5), "300"),
    ],
)
def test_each_mistake_is_refused(change: Callable[[Body, Any], None], value: Any) -> None:
    body = through_wire(encode_tariff(CITY_BUS))
    change(body, value)
    with pytest.raises(TariffMalformed):
        decode_tariff(body)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (_set(1, 0, 5), 0),
        (_set(1, 0, 5), 10**12),
        (_set(1, 0, 7), 20220831),
        (_set(1, 1, 6), 0),
        (_set(1, 0, 7), None),
        (_set(2), []),
        (_set(2, 0, 4), 1000),
        (_set(3), None),
        (_set(3, 1), 21_600),
        (_set(4), None),
        (_set(5), 1),
        (_set(5), 3_600),
    ],
)
def test_the_edges_themselves_are_read(change: Callable[[Body, Any], None], value: Any) -> None:
    body = through_wire(encode_tariff(CITY_BUS))
    change(body, value)
    decode_tariff(body)


@pytest.mark.parametrize("kind", [2, 3, 255])
def test_products_of_later_kinds_are_named_not_guessed(kind: int) -> None:
    body = through_wire(encode_tariff(CITY_BUS))
    body[1][0][2] = kind
    with pytest.raises(UnknownProductKind, match=str(kind)):
        decode_tariff(body)


def test_a_tariff_of_before_says_nothing_of_pass_back_and_keeps_its_bytes() -> None:
    assert decode_tariff(through_wire(encode_tariff(PLAIN))).pass_back_s == 0
    assert encode_tariff(PLAIN._replace(pass_back_s=0)) == encode_tariff(PLAIN) and 5 not in encode_tariff(PLAIN)
    assert encode_tariff(PLAIN._replace(pass_back_s=300))[5] == 300


@pytest.mark.parametrize("pass_back_s", [-1, 3_601])
def test_no_pass_back_out_of_its_range_is_encoded(pass_back_s: int) -> None:
    with pytest.raises(TariffMalformed):
        encode_tariff(PLAIN._replace(pass_back_s=pass_back_s))


def test_nothing_unreadable_is_encoded() -> None:
    with pytest.raises(TariffMalformed, match="base fare"):
        encode_tariff(CITY_BUS._replace(products=(ONE_BAHT,)))


def test_several_problems_are_named_together() -> None:
    broken = PLAIN._replace(products=(ONE_BAHT._replace(last_day=20220101), ONE_BAHT))
    with pytest.raises(TariffMalformed) as refused:
        encode_tariff(broken)
    assert all(part in refused.value.detail for part in ("one id", "ends before", "base fare"))


AMOUNTS = st.integers(0, 10**12)
NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=20)
TARIFFS = st.builds(
    Tariff,
    st.lists(
        st.builds(
            Product,
            NAMES,
            st.just(1),
            NAMES,
            NAMES,
            AMOUNTS,
            AMOUNTS,
            st.none() | st.just(20220609),
            st.none() | st.just(20260101),
            st.none() | st.lists(NAMES, min_size=1, max_size=3).map(tuple),
        ),
        max_size=4,
        unique_by=lambda product: product.product_id,
    ).map(lambda found: (*(product for product in found if product.product_id != "base"), BASE)),
    st.lists(
        st.builds(Concession, st.integers(1, 15), NAMES, NAMES, st.integers(0, 1000), st.none(), st.none()),
        max_size=4,
        unique_by=lambda rule: rule.concession,
    ).map(tuple),
    st.none() | st.builds(Transfer, st.integers(1, 21_600), st.integers(0, 1000), st.integers(1, 9)),
    st.none() | st.builds(DailyCap, AMOUNTS, AMOUNTS),
    st.integers(0, 3_600),
)


@given(TARIFFS)
def test_any_tariff_comes_back_from_the_wire(tariff: Tariff) -> None:
    assert decode_tariff(through_wire(encode_tariff(tariff))) == tariff


JUNK = st.recursive(
    st.integers(-(2**63), 2**63) | st.binary(max_size=8) | st.text(max_size=8) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 12), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.integers(0, 12), JUNK, max_size=5))
def test_junk_meets_a_numbered_refusal(body: Body) -> None:
    try:
        decode_tariff(body)
    except (TariffMalformed, UnknownProductKind):
        return
    raise AssertionError(f"junk was taken for a tariff: {body!r}")
