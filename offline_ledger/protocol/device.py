"""What terminals sign and carry: certificate, enrolment, payment request, voucher, batch head. Pure. DESIGN §4."""

from collections.abc import Mapping
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple, cast

from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor
from offline_ledger.protocol.fields import (
    TIME_S_MAX,
    Field,
    Layout,
    amount,
    blob,
    fixed,
    items,
    mapping,
    row,
    text,
    time_s,
    uint,
)
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, HASH_BYTES, POINT_BYTES
from offline_ledger.protocol.wallet import CITY_CHARACTERS_MAX, ID_CHARACTERS_MAX, NONCE_BYTES

BATCH_VOUCHERS_MAX = 500
BATCH_EVENTS_MAX = 5_000
EVENT_BYTES_MAX = 4_096


class DeviceRole(IntEnum):
    """What a device may accept."""

    SHOP = 1
    VALIDATOR = 2
    TRAINING = 3


_ROLE_WORDS = {
    DeviceRole.SHOP: "shop till",
    DeviceRole.VALIDATOR: "bus validator",
    DeviceRole.TRAINING: "training device",
}


def role_word(role: int) -> str:
    """The role in words, for the detail of a refusal; `details.po` has their Thai."""
    return _ROLE_WORDS[DeviceRole(role)] if role in _ROLE_WORDS else f"unknown role {role}"


class DeviceCertificate(NamedTuple):
    """The device CA's word on a terminal: whose it is, its key, its offline value F and hours H."""

    city: str
    device: str
    role: int
    owner: str
    point: bytes
    not_before_s: int
    expires_at_s: int
    offline_value_kgo: int
    offline_hours: int


DEVICE_CERTIFICATE = Layout(
    DeviceCertificate,
    Field(1, "city", text(CITY_CHARACTERS_MAX)),
    Field(2, "device", text(ID_CHARACTERS_MAX)),
    Field(3, "role", uint(15, 1)),
    Field(4, "owner", text(ID_CHARACTERS_MAX)),
    Field(5, "point", fixed(POINT_BYTES)),
    Field(6, "not_before_s", time_s()),
    Field(7, "expires_at_s", time_s()),
    Field(8, "offline_value_kgo", amount()),
    Field(9, "offline_hours", uint(24 * 366)),
)


class Enrolment(NamedTuple):
    """A device's own request: proves that it holds the key; the operator decides role and owner."""

    device: str
    role: int
    point: bytes
    at_s: int
    versions: tuple[int, ...]


ENROLMENT = Layout(
    Enrolment,
    Field(1, "device", text(ID_CHARACTERS_MAX)),
    Field(2, "role", uint(15, 1)),
    Field(3, "point", fixed(POINT_BYTES)),
    Field(4, "at_s", time_s()),
    Field(5, "versions", items(uint(255, 1), 64, 1)),
)


class SelfTest(NamedTuple):
    """A device's word for its own self-test: `report_sha256` of the report's canonical JSON; `verdict` 1 passed, 2
    failed, 3 incomplete."""

    device: str
    at_s: int
    report_sha256: bytes
    verdict: int


SELF_TEST = Layout(
    SelfTest,
    Field(1, "device", text(ID_CHARACTERS_MAX)),
    Field(2, "at_s", time_s()),
    Field(3, "report_sha256", fixed(HASH_BYTES)),
    Field(4, "verdict", uint(255, 1)),
)


class PaymentRequest(NamedTuple):
    """What a terminal asks a wallet to pay; journaled before it is shown."""

    device: str
    owner: str
    amount_kgo: int
    amount_satang: int
    what_for: str
    nonce: bytes
    at_s: int
    expires_at_s: int
    pass_id: bytes | None


PAYMENT_REQUEST = Layout(
    PaymentRequest,
    Field(1, "device", text(ID_CHARACTERS_MAX)),
    Field(2, "owner", text(ID_CHARACTERS_MAX)),
    Field(3, "amount_kgo", amount()),
    Field(4, "amount_satang", amount()),
    Field(5, "what_for", text(ID_CHARACTERS_MAX)),
    Field(6, "nonce", fixed(NONCE_BYTES)),
    Field(7, "at_s", time_s()),
    Field(8, "expires_at_s", time_s()),
    Field(9, "pass_id", fixed(8), optional=True),
)


class ClockTrust(IntEnum):
    """How far a terminal's clock is to be trusted, worst first."""

    FLOOR = 0
    HOLDOVER = 1
    SYNCED = 2


class VoucherKind(IntEnum):
    """What a voucher says happened."""

    BOARDING = 1
    SALE = 2
    REFUND = 3
    VOID = 4
    ANNUL = 5
    CANCELLED_REQUEST = 6
    COUPON = 7


class PlaceKey(IntEnum):
    """Keys of a voucher's place map."""

    SALE = 1
    ROUTE = 2
    STOP = 3
    TRIP = 4
    BILL_SATANG = 5
    CASHIER = 6
    HISTORY = 7
    """What later charges depend on: sums of this allowance as this terminal saw them."""
    VERIFIED_SATANG = 8
    """How much of the money due was verified tender; the rest is declared."""


class Voucher(NamedTuple):
    """What a terminal signs when it has accepted, refunded, voided or rewarded."""

    device: str
    sequence: int
    previous: bytes
    at_s: int
    trust: int
    kind: int
    kgo: int
    satang: int
    object_hash: bytes | None
    product: str
    bulletin: tuple[int, int]
    place: Mapping[int, object]
    reward_kgo: int | None
    refers_to: int | None


VOUCHER = Layout(
    Voucher,
    Field(1, "device", text(ID_CHARACTERS_MAX)),
    Field(2, "sequence", uint(1 << 48, 1)),
    Field(3, "previous", fixed(HASH_BYTES)),
    Field(4, "at_s", time_s()),
    Field(5, "trust", uint(2)),
    Field(6, "kind", uint(23, 1)),
    Field(7, "kgo", amount()),
    Field(8, "satang", amount()),
    Field(9, "object_hash", fixed(HASH_BYTES), optional=True),
    Field(10, "product", text(ID_CHARACTERS_MAX)),
    Field(11, "bulletin", row(uint(1 << 32), uint(1 << 32))),
    Field(12, "place", mapping()),
    Field(13, "reward_kgo", amount(), optional=True),
    Field(14, "refers_to", uint(1 << 48, 1), optional=True),
)


class BatchHead(NamedTuple):
    """The terminal's signature over both its chains as far as this batch goes, and the newest ack it holds."""

    device: str
    first_sequence: int
    last_sequence: int
    chain_head: bytes
    first_event: int
    last_event: int
    event_head: bytes
    at_s: int
    trust: int
    newest_ack: tuple[int, bytes] | None
    state: Mapping[int, object]


BATCH_HEAD = Layout(
    BatchHead,
    Field(1, "device", text(ID_CHARACTERS_MAX)),
    Field(2, "first_sequence", uint(1 << 48, 1)),
    Field(3, "last_sequence", uint(1 << 48)),
    Field(4, "chain_head", fixed(HASH_BYTES)),
    Field(5, "first_event", uint(1 << 48, 1)),
    Field(6, "last_event", uint(1 << 48)),
    Field(7, "event_head", fixed(HASH_BYTES)),
    Field(8, "at_s", time_s()),
    Field(9, "trust", uint(2)),
    Field(10, "newest_ack", row(uint(1 << 48), fixed(HASH_BYTES)), optional=True),
    Field(11, "state", mapping()),
)


LACKING_BYTES = 8
LACKING_MAX = 16


class StateKey(IntEnum):
    """Keys of a batch head's device state: what the operator's fleet list shows.

    LACKING: beginnings (LACKING_BYTES) of hashes of allowances that the city asked for and the device does not have.
    EVENTS_LOST_AFTER: the city's last event of ours, when we no longer have those that follow it. CERTIFICATE_FROM_S:
    when the device certificate in use begins.
    """

    PENDING = 1
    OLDEST_PENDING_AT_S = 2
    DENY_LIST_AT_S = 3
    TRUST_LIST_VERSION = 4
    BULLETIN_COUNTERS = 5
    PROGRAM_VERSION = 6
    OBJECT_VERSIONS = 7
    LACKING = 8
    EVENTS_LOST_AFTER = 9
    CERTIFICATE_FROM_S = 10


class Batch(NamedTuple):
    """One upload: the signed head; vouchers each with what it accepted (presentment, or payment and request, or
    nothing); events as (kind, body); allowances that the city asked for by hash."""

    head: bytes
    vouchers: tuple[tuple[bytes, tuple[bytes, ...]], ...]
    events: tuple[tuple[int, bytes], ...]
    allowances: tuple[bytes, ...]
    held_ack: bytes | None = None
    """The signed ack that the head names: a claim that the ledger forgot something is heard only with its proof."""


BATCH = Layout(
    Batch,
    Field(1, "head", blob(1_024)),
    Field(2, "vouchers", items(row(blob(1_024), items(blob(1_024), 2)), BATCH_VOUCHERS_MAX)),
    Field(3, "events", items(row(uint(TIME_S_MAX), blob(EVENT_BYTES_MAX)), BATCH_EVENTS_MAX)),
    Field(4, "allowances", items(blob(1_024), BATCH_VOUCHERS_MAX)),
    Field(5, "held_ack", blob(CITY_OBJECT_BYTES_MAX), optional=True),
)


class EventKind(IntEnum):
    """Journaled events that travel under the batch head; bodies are CBOR maps or lists of small values."""

    RATIFIED = 1
    REFUSAL = 2
    CONFLICT = 3
    CLOCK = 4
    UNCHARGED_GREEN = 5
    LAPSED = 6
    REQUEST = 7
    STARTED = 8
    SHIFT = 9
    REFUND_REQUEST = 10


def event_link(head: bytes, kind: int, body: bytes) -> bytes:
    """The event chain's next head: SHA-256 of head ‖ kind (1 byte) ‖ body."""
    return sha256(head + bytes((kind,)) + body).digest()


def event_values(body: bytes) -> list[object]:
    """What a list in an event says; nothing where it is none. The values are hostile still."""
    try:
        found = cbor.decode(body, EVENT_BYTES_MAX)
    except Refusal:
        return []
    return cast(list[object], found) if isinstance(found, list) else []
