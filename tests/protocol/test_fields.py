"""Layouts: unknown, missing, null, mistyped and out-of-range members of every object, each with its refusal."""

import dataclasses
from enum import IntEnum
from typing import Any

import pytest

from offline_ledger.errors import (
    DuplicateKey,
    Malformed,
    NotCanonical,
    TooLarge,
    TrailingBytes,
    UnknownKey,
    ValueOutOfRange,
)
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol import cbor, city, device, wallet
from offline_ledger.protocol.fields import TIME_S_MAX, Layout
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from tests.vectors.objects import EXAMPLES, Example

MAX = CITY_OBJECT_BYTES_MAX


OPTIONAL = {"chain_end", "object_hash", "trip", "begun_after", "log_begun_after", "earlier", "closing"}


def map_of(example: Example) -> dict[int, Any]:
    return dict(example.layout.to_map(example.value))


def altered(value: Any, **changes: Any) -> Any:
    """A copy of a named tuple or of a frozen dataclass."""
    return value._replace(**changes) if hasattr(value, "_replace") else dataclasses.replace(value, **changes)


def names_of(value: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else value._fields


def read(example: Example, value: object) -> object:
    return example.layout.decode(cbor.encode(value), MAX)


@pytest.mark.parametrize("spelling", ["f5", "f93c00", "1801", "c101"], ids=["true", "1.0", "longer", "tagged"])
@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_key_in_another_spelling_is_refused(kind: Kind, spelling: str) -> None:
    """True and 1.0 equal 1 in Python; on the wire they are other keys."""
    payload = EXAMPLES[kind].layout.encode(EXAMPLES[kind].value)
    assert payload[1] == 1, "the first key"
    with pytest.raises((Malformed, NotCanonical, UnknownKey)):
        EXAMPLES[kind].layout.decode(payload[:1] + bytes.fromhex(spelling) + payload[2:], MAX)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_unknown_key_is_refused(kind: Kind) -> None:
    for key in (0, 15, 23, 24, 1 << 40):
        with pytest.raises(UnknownKey):
            read(EXAMPLES[kind], {**map_of(EXAMPLES[kind]), key: 0})


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_missing_or_null_member_is_refused(kind: Kind) -> None:
    whole = map_of(EXAMPLES[kind])
    names = {key: names_of(EXAMPLES[kind].value)[key - 1] for key in whole}
    optional = set(names.values()) & OPTIONAL
    for key in whole:
        with pytest.raises(Malformed):
            read(EXAMPLES[kind], {**whole, key: None})
        without = {other: member for other, member in whole.items() if other != key}
        if names[key] in optional:
            assert getattr(read(EXAMPLES[kind], without), names[key]) is None
        else:
            with pytest.raises(Malformed):
                read(EXAMPLES[kind], without)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_nothing_is_coerced(kind: Kind) -> None:
    whole = map_of(EXAMPLES[kind])
    for key, member in whole.items():
        for other in (True, 1, "1", b"1", [], {}, [[]], [None], [1, "a"]):
            if type(other) is type(member) and not isinstance(member, list | dict):
                continue
            if type(other) is int and isinstance(member, IntEnum):
                continue
            if (type(other) is list and isinstance(member, list)) or (type(other) is dict and isinstance(member, dict)):
                continue
            with pytest.raises(Malformed):
                read(EXAMPLES[kind], {**whole, key: other})
        if isinstance(member, list):
            for other in ([[None]], [True], [{}]):
                with pytest.raises((Malformed, ValueOutOfRange)):
                    read(EXAMPLES[kind], {**whole, key: other})


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_payload_rules_are_those_of_the_reader(kind: Kind) -> None:
    example = EXAMPLES[kind]
    payload = example.layout.encode(example.value)
    assert payload[0] >> 5 == 5 and payload[1] == 1
    with pytest.raises(TooLarge):
        example.layout.decode(payload, len(payload) - 1)
    with pytest.raises(TrailingBytes):
        example.layout.decode(payload + b"\x00", MAX)
    with pytest.raises(NotCanonical):
        example.layout.decode(payload[:1] + b"\x18" + payload[1:], MAX)
    with pytest.raises(DuplicateKey):
        first = cbor.encode({1: map_of(example)[1]})[1:]
        example.layout.decode(bytes((payload[0] + 1,)) + first + payload[1:], MAX)
    for other in (b"\x80", b"\x00", b"\xf6", b"\x40", cbor.encode([payload])):
        with pytest.raises(Malformed):
            example.layout.decode(other, MAX)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_what_is_written_is_read(kind: Kind) -> None:
    example = EXAMPLES[kind]
    assert example.layout.decode(example.layout.encode(example.value), MAX) == example.value


AMOUNT = [(0, True), (AMOUNT_MINOR_MAX, True), (-1, False), (AMOUNT_MINOR_MAX + 1, False)]
TIME = [(0, True), (TIME_S_MAX, True), (-1, False), (TIME_S_MAX + 1, False)]
COUNTER = [(1, True), (1 << 32, True), (0, False), ((1 << 32) + 1, False)]
HASH = [(bytes(32), True), (bytes(31), False), (bytes(33), False), (b"", False)]
ID = [("ก" * 32, True), ("x", True), ("", False), ("x" * 33, False), ("a\nb", False), ("\u202eabc", False)]
CITY = [("X" * 16, True), ("X" * 17, False), ("", False)]
EDGES: list[tuple[Kind, str, list[tuple[Any, bool]]]] = [
    (Kind.ALLOWANCE, "city", CITY),
    (Kind.ALLOWANCE, "pass_id", [(bytes(8), True), (bytes(7), False), (bytes(9), False)]),
    (Kind.ALLOWANCE, "wallet_point", [(bytes(33), True), (bytes(32), False), (bytes(65), False)]),
    (Kind.ALLOWANCE, "reserve_kgo", AMOUNT),
    (Kind.ALLOWANCE, "concession", [(15, True), (16, False)]),
    (Kind.ALLOWANCE, "medium", [(3, True), (4, False)]),
    (Kind.ALLOWANCE, "expires_at_s", TIME),
    (Kind.PRESENTMENT, "allowance_hash", HASH),
    (Kind.PRESENTMENT, "n", COUNTER),
    (Kind.PRESENTMENT, "sum_kgo", AMOUNT),
    (Kind.PRESENTMENT, "audience", [(1, True), (2, True), (0, False), (3, False)]),
    (Kind.PRESENTMENT, "valid_s", [(1, True), (30, True), (0, False), (31, False)]),
    (Kind.PAYMENT_REQUEST, "what_for", ID),
    (Kind.PAYMENT_REQUEST, "nonce", [(bytes(16), True), (bytes(15), False)]),
    (Kind.PAYMENT, "request_hash", HASH),
    (Kind.PAYMENT, "amount_kgo", AMOUNT),
    (Kind.COUPON, "trip", [*ID, (None, True)]),
    (Kind.VOUCHER, "sequence", [(1, True), (1 << 48, True), (0, False), ((1 << 48) + 1, False)]),
    (Kind.VOUCHER, "trust", [(0, True), (2, True), (3, False)]),
    (Kind.VOUCHER, "kind", [(1, True), (23, True), (0, False), (24, False)]),
    (Kind.VOUCHER, "previous", HASH),
    (Kind.VOUCHER, "satang", AMOUNT),
    (Kind.BATCH_HEAD, "newest_ack", [((0, bytes(32)), True), (None, True), ((-1, bytes(32)), False)]),
    (Kind.ENROLMENT, "versions", [((1,), True), ((), False), ((0,), False), ((256,), False), ((1,) * 65, False)]),
    (Kind.TRUST_LIST, "threshold", [(1, True), (16, True), (0, False), (17, False)]),
    (Kind.TRUST_LIST, "roots", [((bytes(33),) * 16, True), ((), False), ((bytes(33),) * 17, False)]),
    (Kind.ACK, "outcomes", [((), True), (((1, 65_535, 0),), True), (((0, 0, 0),), False), (((1, 65_536, 0),), False)]),
    (Kind.ACK, "outcomes", [(((1, 0, 0),) * 500, True), (((1, 0, 0),) * 501, False)]),
    (Kind.ACK, "chain_end", [((0, bytes(32)), True), (None, True), ((-1, bytes(32)), False), ((1, bytes(31)), False)]),
    (Kind.STATEMENT, "charges", [((), True), (((1, 0),), True), (((0, 0),), False), (((1, -1),), False)]),
    (Kind.BULLETIN, "version", [((1, 1), True), ((0, 1), False), ((1, 0), False)]),
    (Kind.WALLET_REQUEST, "body", [*HASH, (None, True)]),
    (Kind.TRUST_LIST, "log_begun_after", [((0, bytes(32)), True), (None, True), ((1, bytes(31)), False)]),
    (Kind.LOG_CHECKPOINT, "root", HASH),
    (Kind.CARD_CHALLENGE, "pass_id", [(bytes(8), True), (bytes(7), False), (bytes(9), False)]),
    (Kind.SELF_TEST, "report_sha256", HASH),
    (Kind.SELF_TEST, "verdict", [(1, True), (255, True), (0, False), (256, False)]),
    (Kind.CARD_CHALLENGE, "nonce", [(bytes(16), True), (bytes(15), False), (bytes(17), False)]),
    (Kind.LOG_CHECKPOINT, "begun_after", [((0, bytes(32)), True), (None, True), ((-1, bytes(32)), False)]),
]


@pytest.mark.parametrize(("kind", "name", "edges"), EDGES)
def test_both_sides_of_each_edge(kind: Kind, name: str, edges: list[tuple[Any, bool]]) -> None:
    example = EXAMPLES[kind]
    for value, is_good in edges:
        changed = altered(example.value, **{name: value})
        if is_good:
            assert example.layout.decode(example.layout.encode(changed), MAX) == changed
        else:
            with pytest.raises(ValueOutOfRange):
                example.layout.encode(changed)
            with pytest.raises(ValueOutOfRange):
                example.layout.decode(cbor.encode(example.layout.to_map(changed)), MAX)


@pytest.mark.parametrize("row", [(1,), (1, bytes(32), 1), ()])
def test_rows_have_their_columns(row: tuple[Any, ...]) -> None:
    example = EXAMPLES[Kind.BATCH_HEAD]
    with pytest.raises(Malformed):
        example.layout.encode(altered(example.value, newest_ack=row))


@pytest.mark.parametrize("body", [{24: 1}, {-1: 1}, {"a": 1}, {1: 1.5}, {1: {"a": 1}}])
def test_open_maps_have_small_integer_keys_and_no_floats(body: dict[Any, object]) -> None:
    example = EXAMPLES[Kind.BULLETIN]
    with pytest.raises((Malformed, ValueError)):
        example.layout.encode(altered(example.value, body=body))


def test_enums_are_written_as_their_numbers() -> None:
    example = EXAMPLES[Kind.VOUCHER]
    changed = altered(example.value, place={device.PlaceKey.ROUTE: "R"}, trust=device.ClockTrust.FLOOR)
    read_back = example.layout.decode(example.layout.encode(changed), MAX)
    assert type(next(iter(read_back.place))) is int and type(read_back.trust) is int


def test_wrapper_caps() -> None:
    voucher = (b"\x01", ())
    assert device.BATCH.encode(device.Batch(b"\x01", (voucher,) * 500, (), ()))
    bad: list[device.Batch] = [
        device.Batch(b"", (), (), ()),
        device.Batch(bytes(1_025), (), (), ()),
        device.Batch(b"\x01", (voucher,) * 501, (), ()),
        device.Batch(b"\x01", ((b"\x01", (b"\x01",) * 3),), (), ()),
        device.Batch(b"\x01", (), ((1, bytes(4_097)),), ()),
        device.Batch(b"\x01", (), ((1, b"\x01"),) * 5_001, ()),
    ]
    for batch in bad:
        with pytest.raises(ValueOutOfRange):
            device.BATCH.encode(batch)
    layout: Layout[city.SignedTrustList] = city.SIGNED_TRUST_LIST
    with pytest.raises(ValueOutOfRange):
        layout.encode(city.SignedTrustList(()))


def test_one_intent_differs_in_its_time_alone() -> None:
    shown: wallet.Presentment = EXAMPLES[Kind.PRESENTMENT].value
    paid: wallet.Payment = EXAMPLES[Kind.PAYMENT].value
    fields = wallet.intent_digest_fields
    assert fields(shown) == fields(shown._replace(at_s=shown.at_s + 9, valid_s=5))
    assert fields(paid) == fields(paid._replace(at_s=paid.at_s + 9))
    for name in ("n", "sum_kgo", "cap_kgo", "audience"):
        assert fields(shown) != fields(shown._replace(**{name: getattr(shown, name) + 1}))
    for name in ("n", "sum_kgo", "amount_kgo"):
        assert fields(paid) != fields(paid._replace(**{name: getattr(paid, name) + 1}))
    assert fields(paid) != fields(paid._replace(request_hash=bytes(32)))
    assert (wallet.authorised_kgo(shown), wallet.authorised_kgo(paid)) == (shown.cap_kgo, paid.amount_kgo)


def test_the_event_chain_binds_kind_body_and_order() -> None:
    start = bytes(32)
    assert len({device.event_link(start, kind, body) for kind in (1, 2) for body in (b"", b"\x01", b"\x02")}) == 6
    one, two = device.event_link(start, 1, b"a"), device.event_link(start, 1, b"b")
    assert device.event_link(one, 1, b"b") != device.event_link(two, 1, b"a")
