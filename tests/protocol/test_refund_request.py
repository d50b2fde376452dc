"""The refund request in its event: written and read back, the largest fits, hostile bytes are refused. DESIGN §4."""

import pytest

from offline_ledger.errors import Malformed, Refusal
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.refund_request import (
    NOTE_CHARACTERS_MAX,
    REFUND_REQUEST,
    RefundRequest,
    encode_event,
    number_of,
    read_event,
    request_in,
)
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX
from tests.vectors import keys
from tests.vectors.objects import AT_S, CITY, EXAMPLES

EXAMPLE: RefundRequest = EXAMPLES[Kind.REFUND_REQUEST].value
LONGEST = "ก" * ID_CHARACTERS_MAX


def signed(request: RefundRequest, city: str = CITY) -> cose.Signed:
    aad = cose.external_aad(Kind.REFUND_REQUEST, city)
    return cose.sign1(REFUND_REQUEST.encode(request), aad, keys.DEVICE.key_id, keys.DEVICE.sign)


def test_it_goes_into_its_event_and_comes_back() -> None:
    made = signed(EXAMPLE)
    found, request = read_event(encode_event(made.raw), CITY)
    assert (found.identity, request) == (made.identity, EXAMPLE)
    assert number_of(made.identity) == made.identity.hex()[:8].upper()


def test_the_largest_fits_an_object() -> None:
    note, count = "ท" * NOTE_CHARACTERS_MAX, 1 << 48
    largest = RefundRequest(
        LONGEST, LONGEST, count, bytes(32), AMOUNT_MINOR_MAX, (1 << 40) - 1, 2, count, LONGEST, note
    )
    made = signed(largest)
    assert len(made.raw) <= OBJECT_BYTES_MAX and request_in(encode_event(made.raw), CITY) is not None


@pytest.mark.parametrize(
    "unfit",
    [{"kgo": 0}, {"kgo": AMOUNT_MINOR_MAX + 1}, {"trust": 3}, {"note": "x" * 81}, {"original": bytes(31)}, {"at_s": -1},
     {"original_sequence": 0}, {"device": ""}, {"cashier": "x" * 33}],
)  # fmt: skip
def test_what_does_not_fit_is_never_signed(unfit: dict[str, object]) -> None:
    with pytest.raises(Refusal):
        signed(EXAMPLE._replace(**unfit))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("body", [b"", b"\x80", cbor.encode([b"\x01"]), cbor.encode(["x"]), cbor.encode([b"x", b"x"])])
def test_other_bodies_are_no_request(body: bytes) -> None:
    assert request_in(body, CITY) is None
    with pytest.raises(Refusal):
        read_event(body, CITY)


def test_another_citys_is_read_but_never_verified() -> None:
    found, _request = read_event(encode_event(signed(EXAMPLE, "TH-40-TRAINING").raw), CITY)
    assert not cose.is_signature_of(found, cose.verify_key(keys.DEVICE.point))
    with pytest.raises(Malformed):
        read_event(cbor.encode([AT_S]), CITY)
