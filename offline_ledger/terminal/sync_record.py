"""What sync must remember over a restart, in one small value of the journal. DESIGN §7.

The event chain's heads at the last two acks (the value is written before the ack, so one of them always fits), when
an exchange was last complete (as the city signed it), what the city did not simply post, and whether it came back from
a backup. Never decides what follows from it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from offline_ledger.errors import JournalDamaged, Refusal
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.fields import Field, Layout, boolean, fixed, items, row, time_s, uint
from offline_ledger.protocol.kinds import HASH_BYTES, ZERO_HASH
from offline_ledger.terminal.ports import MetaPort

META_KEY = "sync.record"
RECORD_BYTES_MAX = 131_072
EXCEPTIONS_KEPT_MAX = 1_000
"""Rejected, suspended and held vouchers listed for the operator; the newest stay, all are counted."""


class SyncRecord(NamedTuple):
    """`exceptions`: (sequence, outcome, refusal number), by sequence. `is_restored`: the ledger was found behind the
    newest ack, or beside it. `acks_from` … `acks_end` − 1: numbers of the acks of this log that are kept
    (`sync_leaves`). `lost_log`: root of the lost log that the trust list named when the newest ack was taken."""

    event_heads: tuple[tuple[int, bytes], ...] = ()
    complete_at_s: int = 0
    exceptions: tuple[tuple[int, int, int], ...] = ()
    exceptions_dropped: int = 0
    first_held: int = 0
    is_restored: bool = False
    acks_from: int = 0
    acks_end: int = 0
    lost_log: bytes | None = None

    def event_head_at(self, number: int) -> bytes:
        """The event chain's head at the newest ack. Raises JournalDamaged: nothing may be sent from a guess."""
        if number == 0:
            return ZERO_HASH
        for at, head in self.event_heads:
            if at == number:
                return head
        raise JournalDamaged(f"no event head for event {number}")

    def rejected(self) -> tuple[tuple[int, int], ...]:
        """(sequence, refusal number) of what the city rejected; the operator sees it, nothing waits for it."""
        return tuple((at, refusal) for at, outcome, refusal in self.exceptions if outcome == Outcome.REJECTED)


_RECORD = Layout(
    SyncRecord,
    Field(1, "event_heads", items(row(uint(1 << 48), fixed(HASH_BYTES)), 2)),
    Field(2, "complete_at_s", time_s()),
    Field(3, "exceptions", items(row(uint(1 << 48, 1), uint(15, 1), uint(65_535)), EXCEPTIONS_KEPT_MAX)),
    Field(4, "exceptions_dropped", uint()),
    Field(5, "first_held", uint(1 << 48)),
    Field(6, "is_restored", boolean()),
    Field(8, "acks_from", uint()),
    Field(9, "acks_end", uint()),
    Field(10, "lost_log", fixed(HASH_BYTES), optional=True),
)


def load_record(meta: MetaPort) -> SyncRecord:
    """The record, or an empty one at the first start. Raises JournalDamaged."""
    stored = meta.meta_get(META_KEY)
    if stored is None:
        return SyncRecord()
    try:
        return _RECORD.decode(stored, RECORD_BYTES_MAX)
    except Refusal as refusal:
        raise JournalDamaged(f"sync record: {refusal}") from refusal


def store_record(meta: MetaPort, record: SyncRecord) -> None:
    """Durable when it returns. Raises StorageFull, StorageFailed."""
    meta.meta_put(META_KEY, _RECORD.encode(record))


def apply_ack(
    record: SyncRecord, acked: tuple[int, bytes], now: tuple[int, bytes], outcomes: Iterable[tuple[int, int, int]]
) -> SyncRecord:
    """Before an ack is recorded: `acked` and `now` are (event number, head) of the ack held and of this one.

    The same ack twice changes nothing. A voucher once listed and posted since (after review) leaves the list.
    """
    listed = {sequence: (sequence, outcome, refusal) for sequence, outcome, refusal in record.exceptions}
    held = {record.first_held} - {0}
    for sequence, outcome, refusal in outcomes:
        if outcome == Outcome.POSTED:
            listed.pop(sequence, None)
        else:
            listed[sequence] = (sequence, outcome, refusal)
        if outcome == Outcome.HELD:
            held.add(sequence)
        else:
            held.discard(sequence)
    held |= {sequence for sequence, outcome, _refusal in listed.values() if outcome == Outcome.HELD}
    ordered = [listed[sequence] for sequence in sorted(listed)]
    kept = ordered[-EXCEPTIONS_KEPT_MAX:]
    heads = (acked, now) if acked[0] != now[0] else (now,)
    return record._replace(
        event_heads=tuple(head for head in heads if head[0]),
        exceptions=tuple(kept),
        exceptions_dropped=record.exceptions_dropped + len(ordered) - len(kept),
        first_held=min(held, default=0),
    )
