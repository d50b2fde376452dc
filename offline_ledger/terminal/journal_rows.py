"""Values that go into and come out of the journal. DESIGN §6.

It never touches a disk. The journal stores opaque bytes: who signed them and what they say is the acceptor's business.
"""

from typing import NamedTuple

IDENTITY_BYTES = 32
PASS_ID_BYTES = 8
NO_IDENTITY = bytes(IDENTITY_BYTES)
"""`previous` of the first voucher and the event head before the first event."""

EVENT_RATIFIED = 1
"""The journal writes this kind itself, from `ratify`."""
EVENT_REFUSAL = 2
"""The kind that is bounded: what hostile or broken wallets can cause without end."""


class PassState(NamedTuple):
    """Last seen of one allowance at this terminal; outlives pruning until its expiry is certain."""

    pass_id: bytes
    last_n: int
    last_s_kgo: int
    last_authorised_kgo: int
    spent_here_kgo: int
    last_sequence: int
    last_identity: bytes  # digest of the last accepted intent: opaque 32 bytes here
    last_at_s: int  # when its last light was decided
    expiry_s: int


class VoucherRow(NamedTuple):
    """One signed voucher and what goes to the city beside it (`journal_objects`). `kgo` in 1/100 KGO is what counts
    against F; what a voucher gives back counts nothing."""

    sequence: int
    previous: bytes
    identity: bytes
    voucher: bytes
    wallet_object: bytes | None
    allowance_hash: bytes | None
    pass_id: bytes | None
    kgo: int
    thb_satang: int
    at_s: int
    kind: int


class EventRow(NamedTuple):
    """One event of the device's own hash chain: head = `protocol.device.event_link(previous, kind, body)`."""

    number: int
    kind: int
    body: bytes
    previous: bytes


class CouponUse(NamedTuple):
    """A paper coupon spent by the voucher it is appended with; remembered until `expiry_s` is certainly past."""

    coupon_id: bytes
    expiry_s: int


class Tail(NamedTuple):
    """Where the journal ends, durably. `accepted_value_kgo_unacked` is what offline value F is measured against."""

    sequence: int
    identity: bytes
    event_number: int
    event_head: bytes
    latest_at_s: int
    accepted_value_kgo_unacked: int
    acked_sequence: int
    acked_event: int


class PendingSummary(NamedTuple):
    """What the city has not acknowledged: how many vouchers, and when the oldest was taken (None: none)."""

    vouchers: int
    oldest_at_s: int | None


class VerifyStep(NamedTuple):
    """How far the background check has come."""

    rows_checked: int
    finished: bool


class ExportResult(NamedTuple):
    """Rows that were sound and rows that were not (first and last sequence of each damaged stretch)."""

    vouchers: int
    events: int
    damaged: tuple[tuple[int, int], ...]
