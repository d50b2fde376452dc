"""A till asks the city to give back the KGO of another till's sale: signed object 16, in an event of its own. Pure.
DESIGN §4, §5.

It asks and promises nothing: a person at the city's desk decides. Never money: only the KGO leg of the sale is named.
"""

from typing import NamedTuple

from offline_ledger.errors import Malformed, Refusal
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import EVENT_BYTES_MAX, Voucher, event_values
from offline_ledger.protocol.fields import Field, Layout, fixed, text, time_s, uint
from offline_ledger.protocol.kinds import HASH_BYTES, OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX

NOTE_CHARACTERS_MAX = 80
NUMBER_HEX = 8
"""So much of the identity is the number that people read, type and print."""


class RefundRequest(NamedTuple):
    """`device` asks for `kgo` (1/100 KGO, from 1) of the voucher of `original_device`. `shift` 0, `cashier` and `note`
    empty where there is nothing to say."""

    device: str
    original_device: str
    original_sequence: int
    original: bytes
    kgo: int
    at_s: int
    trust: int
    shift: int
    cashier: str
    note: str


REFUND_REQUEST = Layout(
    RefundRequest,
    Field(1, "device", text(ID_CHARACTERS_MAX)),
    Field(2, "original_device", text(ID_CHARACTERS_MAX)),
    Field(3, "original_sequence", uint(1 << 48, 1)),
    Field(4, "original", fixed(HASH_BYTES)),
    Field(5, "kgo", uint(AMOUNT_MINOR_MAX, 1)),
    Field(6, "at_s", time_s()),
    Field(7, "trust", uint(2)),
    Field(8, "shift", uint(1 << 48)),
    Field(9, "cashier", text(ID_CHARACTERS_MAX, 0)),
    Field(10, "note", text(NOTE_CHARACTERS_MAX, 0)),
)


class Shown(NamedTuple):
    """A receipt as its code says it. `is_own`: of the very terminal that reads it, and its signature is good."""

    voucher: Voucher
    identity: bytes
    is_own: bool


class Asked(NamedTuple):
    """What a terminal asked for a receipt, and when. `number` is for people."""

    number: str
    kgo: int
    at_s: int


def number_of(identity: bytes) -> str:
    """What stands on the slip and what the operator types."""
    return identity.hex()[:NUMBER_HEX].upper()


def encode_event(raw: bytes) -> bytes:
    """The body of its event."""
    body = cbor.encode([raw])
    assert len(body) <= EVENT_BYTES_MAX
    return body


def read_event(body: bytes, city: str) -> tuple[Signed, RefundRequest]:
    """The request in an event; its signature is not looked at. Raises the reading refusals."""
    match event_values(body):
        case [bytes(raw)]:
            signed = cose.parse_sign1(raw, cose.external_aad(Kind.REFUND_REQUEST, city))
            return signed, REFUND_REQUEST.decode(signed.payload, OBJECT_BYTES_MAX)
        case _:
            raise Malformed("no refund request in the event")


def request_in(body: bytes, city: str) -> tuple[Signed, RefundRequest] | None:
    """The same for a reader of other devices' words; None for one that does not fit."""
    try:
        return read_event(body, city)
    except Refusal:
        return None
