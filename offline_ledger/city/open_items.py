"""What needs a person, and what was looked at: `kgo-city exceptions`, `reviewed`. DESIGN §7, §8.

A row is open until somebody did what closes it: held by `release`, suspense by `decide`, refund requests by
`refund-requests`; rejected, late and forked vouchers by `reviewed`, which changes no money and no outcome. Rows are
never deleted.
"""

from dataclasses import dataclass

from offline_ledger.city.branches import fork_record
from offline_ledger.city.returning import RequestState
from offline_ledger.city.store import Row, Store
from offline_ledger.errors import DeviceCertificateInvalid, LedgerRestored, NothingToReview, Refusal
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.refund_request import number_of
from offline_ledger.rules.training import is_practice, is_training_city

ROWS_MAX = 10_000
FORK = "fork"
LATE = "late"
SUSPENSE = "suspense"
HELD = "held"
REJECTED = "rejected"
EVENTS_LOST = "events_lost"
REFUND_REQUEST = "refund_request"
_WHAT = {Outcome.REJECTED: REJECTED, Outcome.SUSPENSE: SUSPENSE, Outcome.HELD: HELD}
_REVIEWABLE = (REJECTED, LATE, FORK, EVENTS_LOST)


@dataclass(frozen=True, slots=True)
class Item:
    """One voucher that a person should look at. `device` is what `decide` takes: a fork's has its own ending.

    `what`: rejected, suspense, held, late, fork (a second content under one number, judged since), events_lost (a
    restore lost a device's events from `sequence` on, and the device no longer had them; no money), or refund_request
    (another till asks for the KGO of this sale). `closed`: what was done about it, empty while it is open. `note`: why
    it was taken back to be decided again; a request's number. Times in Unix seconds, amounts in minor units.
    """

    what: str
    device: str
    sequence: int
    refusal: int
    kgo: int
    satang: int
    at_s: int
    received_at_s: int
    identity: bytes
    is_open: bool
    closed: str
    note: str = ""


def items(store: Store, *, closed_too: bool) -> list[Item]:
    """Open items, oldest first; at most ROWS_MAX. With `closed_too`, what was decided or reviewed as well."""
    found = [
        *_from_chain(store, closed_too),
        *_from_forks(store),
        *_from_gaps(store),
        *_from_requests(store, closed_too),
    ]
    chosen = [item for item in found if item.is_open or closed_too]
    return sorted(chosen, key=lambda item: (item.received_at_s, item.device, item.sequence))[:ROWS_MAX]


def _from_chain(store: Store, closed_too: bool) -> list[Item]:
    """Vouchers of the devices' own chains. What `reconsider` took back stands posted, and in suspense all the same."""
    rows = store.fetch(
        "SELECT v.outcome, v.device, v.sequence, v.refusal, v.kgo, v.satang, v.at_s, v.received_at_s, v.identity,"
        " v.late, s.device IS NOT NULL, s.decided_at_s, s.decision, s.refusal, s.kgo, r.note, r.at_s FROM vouchers v"
        " LEFT JOIN suspense s ON s.device = v.device AND s.sequence = v.sequence"
        " LEFT JOIN reviewed r ON r.identity = v.identity"
        " WHERE (v.outcome <> ?1 OR v.late = 1 OR s.device IS NOT NULL)"
        " AND (?2 OR NOT (?6 AND v.outcome = ?4 AND v.refusal = ?7))"
        " AND (?2 OR v.outcome = ?3 OR (s.device IS NOT NULL AND s.decided_at_s IS NULL)"
        "  OR (r.identity IS NULL AND s.device IS NULL AND (v.outcome = ?4 OR (v.outcome = ?1 AND v.late = 1))))"
        " ORDER BY v.received_at_s, v.device, v.sequence LIMIT ?5",
        (
            *(Outcome.POSTED, int(closed_too), Outcome.HELD, Outcome.REJECTED, ROWS_MAX),
            *(int(is_training_city(store.city)), DeviceCertificateInvalid.number),
        ),
    )
    return [item for row in rows for item in _chain_items(row, store.city)]


def _chain_items(row: Row, city: str) -> list[Item]:
    """At most one item: what is in suspense is told as that, whatever else it is."""
    outcome, device_id, sequence, refusal, kgo, satang, at_s, received_s, identity, is_late = row[:10]
    is_suspense, decided_at_s, decision, why, waiting_kgo, note, reviewed_at_s = row[10:]
    if is_suspense:
        values = (device_id, sequence, why, waiting_kgo, satang, at_s, received_s, identity)
        return [_suspense(values, decided_at_s, decision)]
    values = (device_id, sequence, refusal, kgo, satang, at_s, received_s, identity)
    if outcome != Outcome.POSTED:
        is_seen = reviewed_at_s is not None or is_practice(city, refusal)
        is_open = outcome == Outcome.HELD or (outcome == Outcome.REJECTED and not is_seen)
        return [Item(_WHAT[outcome], *values, is_open, note or "")]
    return [Item(LATE, *values, reviewed_at_s is None, note or "")] if is_late else []


def _suspense(values: tuple[str, int, int, int, int, int, int, bytes], decided_at_s: int | None, decision: str) -> Item:
    """`values`: device to identity."""
    is_open = decided_at_s is None
    return Item(SUSPENSE, *values, is_open, "" if is_open else decision, decision if is_open else "")


def _from_forks(store: Store) -> list[Item]:
    """Second contents under one number. Held until released; then in suspense, or to be looked at once."""
    rows = store.fetch(
        "SELECT f.device, f.sequence, f.refusal, f.received_at_s, f.identity, f.raw, f.outcome, r.note, r.at_s"
        " FROM fork_vouchers f LEFT JOIN reviewed r ON r.identity = f.identity ORDER BY f.received_at_s LIMIT ?",
        (ROWS_MAX,),
    )
    found: list[Item] = []
    for device_id, sequence, refusal, received_s, identity, raw, outcome, note, reviewed_at_s in rows:
        kgo, satang, at_s = charged(raw, store.city)
        record = fork_record(device_id, identity)
        waiting = store.one(
            "SELECT refusal, kgo, decided_at_s, decision FROM suspense WHERE device = ? AND sequence = ?",
            (record, sequence),
        )
        if waiting is not None:
            values = (record, sequence, waiting[0], waiting[1], satang, at_s, received_s, identity)
            found.append(_suspense(values, waiting[2], waiting[3]))
            continue
        is_held = outcome == Outcome.HELD
        values = (device_id, sequence, refusal, kgo, satang, at_s, received_s, identity)
        found.append(Item(HELD if is_held else FORK, *values, is_held or reviewed_at_s is None, note or ""))
    return found


def _from_gaps(store: Store) -> list[Item]:
    """Events that are gone for good: told until somebody has looked at it."""
    rows = store.fetch(
        "SELECT g.device, g.first, g.head, g.noted_at_s, r.note, r.at_s FROM event_gaps g"
        " LEFT JOIN reviewed r ON r.identity = g.head ORDER BY g.noted_at_s LIMIT ?",
        (ROWS_MAX,),
    )
    return [
        Item(EVENTS_LOST, device_id, first, LedgerRestored.number, 0, 0, at_s, at_s, head, seen_s is None, note or "")
        for device_id, first, head, at_s, note, seen_s in rows
    ]


def _from_requests(store: Store, closed_too: bool) -> list[Item]:
    """What tills ask for other tills' sales; device and sequence are the sale's. Closed by `refund-requests`."""
    rows = store.fetch(
        "SELECT original_device, original_sequence, refusal, kgo, at_s, received_at_s, identity, decided_at_s, state,"
        " note FROM refund_requests WHERE ? OR state = 0 ORDER BY received_at_s, identity LIMIT ?",
        (int(closed_too), ROWS_MAX),
    )
    return [
        Item(
            *(REFUND_REQUEST, device_id, sequence, refusal, kgo, 0, at_s, received_s, identity, decided_s is None),
            f"{RequestState(state).name.lower()}: {note}" if decided_s is not None else "",
            number_of(identity),
        )
        for device_id, sequence, refusal, kgo, at_s, received_s, identity, decided_s, state, note in rows
    ]


def charged(raw: bytes, city: str) -> tuple[int, int, int]:
    """KGO, satang and time of a stored voucher; zeros if it cannot be read."""
    try:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.VOUCHER, city))
        voucher = device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)
    except Refusal:
        return 0, 0, 0
    return voucher.kgo, voucher.satang, voucher.at_s


def mark_reviewed(store: Store, device_id: str, sequence: int | None, note: str, now_s: int) -> int:
    """A person looked at this device's open rejected, late and forked vouchers, or at those of one number; how many.

    Raises NothingToReview.
    """
    with store.transaction():
        mine = [
            item
            for item in items(store, closed_too=False)
            if item.device == device_id and item.what in _REVIEWABLE and sequence in (None, item.sequence)
        ]
        if not mine:
            raise NothingToReview(device_id if sequence is None else f"{device_id}/{sequence}")
        store.execute_many(
            "REPLACE INTO reviewed(identity, at_s, note) VALUES(?, ?, ?)",
            [(item.identity, now_s, note) for item in mine],
        )
    return len(mine)
