"""Which batch heads the ledger keeps: of a run of uploads that brought nothing, the newest two. DESIGN §7, §8.

An idle terminal says every few minutes, signed, that both its chains are where they were. The newest of these proves
all that the ones before it did: it signs the same ends of both chains. F and H are judged by when the device was last
heard of before a voucher, which may be made while a slow upload is on its way: so the one before the newest stays too.
A head that brought a voucher or an event, or says what the device no longer has, is kept for ever. Writes within the
caller's transaction.
"""

from contextlib import suppress

from offline_ledger.city.store import Store
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.device import BatchHead, StateKey
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind

LOOKED_AT_MAX = 8
"""Newest heads of a device that one upload looks at: its last one, and some of a clone that takes turns with it."""
_TESTIMONY = frozenset({StateKey.LACKING, StateKey.EVENTS_LOST_AFTER})
"""What the device signs that it does not have: the ledger went on without it, so the signature stays."""


def forget_older(store: Store, newest: BatchHead, identity: bytes) -> None:
    """Deletes what `newest`, an upload of nothing stored under `identity`, and the one before it repeat."""
    aad = cose.external_aad(Kind.BATCH_HEAD, store.city)
    rows = store.fetch(
        "SELECT identity, head FROM batches WHERE device = ? AND identity <> ? ORDER BY received_at_s DESC LIMIT ?",
        (newest.device, identity, LOOKED_AT_MAX),
    )
    alike: list[bytes] = []
    for older, raw in rows:
        with suppress(Refusal):  # a damaged row is for the audit to find
            found = device.BATCH_HEAD.decode(cose.parse_sign1(raw, aad).payload, OBJECT_BYTES_MAX)
            if _place(found) == _place(newest) and not _TESTIMONY & set(found.state):
                alike.append(older)
    for older in alike[1:]:
        store.execute("DELETE FROM batches WHERE identity = ?", (older,))


def _place(head: BatchHead) -> tuple[int, int, bytes, int, int, bytes]:
    """Where both chains end, and that nothing stands between first and last."""
    return (
        head.first_sequence,
        head.last_sequence,
        head.chain_head,
        head.first_event,
        head.last_event,
        head.event_head,
    )
