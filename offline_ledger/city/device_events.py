"""A device's event chain at the ledger: joined to what is known, or kept as a fork; then its effects. DESIGN §2, §7.

RATIFIED, LAPSED and UNCHARGED_GREEN decide whether a green counts; CONFLICT may hold a wallet's proof; REFUND_REQUEST
waits for the operator. Nothing that a device sent is dropped. Never trusts a body: one that does not parse is kept and
changes nothing. What a restore lost for good is a gap with a name.
"""

from dataclasses import dataclass
from typing import TypeGuard, cast

from offline_ledger.city import equivocation, refund_requests
from offline_ledger.city.bench import LAPSED, SHOWN_LATER, UNRATIFIED, Bench, find_contradiction
from offline_ledger.city.branches import Branches
from offline_ledger.city.charging import Charging
from offline_ledger.city.equivocation import Contradiction, ProofKind
from offline_ledger.city.ingest_reading import ReadBatch
from offline_ledger.city.store import Store
from offline_ledger.errors import BatchInvalid, BatchOutOfOrder, RecoveryNeeded, Refusal
from offline_ledger.protocol import cbor, cose, device, wallet
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import EventKind, StateKey, event_link, event_values
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, ZERO_HASH, Kind
from offline_ledger.protocol.wallet import Payment, Presentment

SEQUENCE_MAX = 1 << 48
EventRow = tuple[int, int, bytes, bytes]
"""(number, kind, body, head after it)"""


@dataclass(frozen=True, slots=True)
class JoinedEvents:
    """`new` extend the known chain; `forked` contradict it, from the number `fork_at` on (None: they continue a fork
    that is known). `lost`: the first and last event that nobody has any more, and the head after them."""

    new: tuple[EventRow, ...]
    forked: tuple[EventRow, ...]
    fork_at: int | None
    lost: tuple[int, int, bytes] | None = None


def join(store: Store, batch: ReadBatch) -> JoinedEvents:
    """Where this batch's events belong. Raises BatchOutOfOrder for a gap, RecoveryNeeded for one that a restore made
    (it says where to begin again), BatchInvalid when the head does not fit."""
    head = batch.head
    before = head.first_event - 1
    bases = _bases(store, head.device, before)
    if not bases:
        return _given_up(store, batch, before)
    for base, is_main in bases:
        rows = _linked(base, head.first_event, batch.events)
        if (rows[-1][3] if rows else base) == head.event_head:
            return _split(store, head.device, rows, is_main)
    raise BatchInvalid("event chain does not end in the head")


def _given_up(store: Store, batch: ReadBatch, before: int) -> JoinedEvents:
    """A gap that the city's own ack proves to be its loss: events never hold vouchers back. The device sends them
    again, or signs that it no longer has them; then the gap is noted. Raises BatchOutOfOrder, RecoveryNeeded."""
    head = batch.head
    row = store.one("SELECT through_sequence, event_number, event_head FROM devices WHERE device = ?", (head.device,))
    assert row is not None  # the reader found it
    _through, number, _head = row
    if batch.shown_ack is None or not number < before <= batch.shown_ack.through_event:
        raise BatchOutOfOrder(f"events from {head.first_event}")
    if head.state.get(StateKey.EVENTS_LOST_AFTER) != number or batch.events:
        gap = RecoveryNeeded(f"{head.device} begins at {head.first_event}, known through {number}")
        gap.resume_at = row
        raise gap
    return JoinedEvents((), (), None, (number + 1, before, head.event_head))


def _bases(store: Store, device_id: str, number: int) -> list[tuple[bytes, bool]]:
    """Heads known after event `number`: the main chain's first, then forks'."""
    if number == 0:
        return [(ZERO_HASH, True)]
    found: list[tuple[bytes, bool]] = []
    row = store.one("SELECT head FROM events WHERE device = ? AND number = ?", (device_id, number))
    if row is not None:
        found.append((row[0], True))
    gaps = store.fetch("SELECT head FROM event_gaps WHERE device = ? AND last = ?", (device_id, number))
    found += [(gap[0], True) for gap in gaps]
    forks = store.fetch("SELECT head FROM fork_events WHERE device = ? AND number = ?", (device_id, number))
    return found + [(row[0], False) for row in forks]


def _linked(base: bytes, first: int, events: tuple[tuple[int, bytes], ...]) -> list[EventRow]:
    rows: list[EventRow] = []
    head = base
    for number, (kind, body) in enumerate(events, first):
        if not 0 <= kind <= 255:
            raise BatchInvalid(f"event kind {kind}")
        head = event_link(head, kind, body)
        rows.append((number, kind, body, head))
    return rows


def _split(store: Store, device_id: str, rows: list[EventRow], is_main: bool) -> JoinedEvents:
    if not is_main:
        return JoinedEvents((), tuple(rows), None)
    known: dict[int, bytes] = {}
    row = store.one("SELECT event_number FROM devices WHERE device = ?", (device_id,))
    last = row[0] if row else 0
    if rows:
        found = store.fetch(
            "SELECT number, head FROM events WHERE device = ? AND number BETWEEN ? AND ?",
            (device_id, rows[0][0], rows[-1][0]),
        )
        known = {row[0]: row[1] for row in found}
    for at, (number, _kind, _body, head) in enumerate(rows):
        if number not in known:
            if number <= last:
                raise BatchOutOfOrder(f"events from {number}")
            return JoinedEvents(tuple(rows[at:]), (), None)
        if known[number] != head:
            return JoinedEvents((), tuple(rows[at:]), number)
    return JoinedEvents((), (), None)


def keep(store: Store, batch: ReadBatch, joined: JoinedEvents, now_s: int) -> None:
    """Stores new events, and a fork with its proof; a fork blocks the device."""
    device_id = batch.head.device
    store.execute_many(
        "INSERT INTO events VALUES(?, ?, ?, ?, ?, ?)",
        [(device_id, number, kind, body, head, now_s) for number, kind, body, head in joined.new],
    )
    if joined.lost is not None:
        store.execute("INSERT INTO event_gaps VALUES(?, ?, ?, ?, ?)", (device_id, *joined.lost, now_s))
        _first, number, head = joined.lost
        store.execute("UPDATE devices SET event_number = ?, event_head = ? WHERE device = ?", (number, head, device_id))
    if joined.new:
        number, _kind, _body, head = joined.new[-1]
        store.execute("UPDATE devices SET event_number = ?, event_head = ? WHERE device = ?", (number, head, device_id))
    if not joined.forked:
        return
    store.execute_many(
        "INSERT OR IGNORE INTO fork_events VALUES(?, ?, ?, ?, ?, ?)",
        [(head, device_id, number, kind, body, now_s) for number, kind, body, head in joined.forked],
    )
    proof = _fork_proof(store, batch, joined)
    if proof is not None:
        equivocation.store_proof(store, proof, now_s, device_id=device_id)
    equivocation.block_device(store, device_id, "two event chains")


def _fork_proof(store: Store, batch: ReadBatch, joined: JoinedEvents) -> Contradiction | None:
    """Two signed heads and the events that lead from one common head to each. None: the first proof stands already."""
    device_id, fork_at = batch.head.device, joined.fork_at
    if fork_at is None:
        return None
    base = _bases(store, device_id, fork_at - 1)
    found = _main_head(store, device_id, fork_at)
    if found is None or not base or not base[0][1]:
        return None
    first, through = found
    known = store.fetch(
        "SELECT kind, body FROM events WHERE device = ? AND number BETWEEN ? AND ? ORDER BY number",
        (device_id, fork_at, through),
    )
    tails = [[list(row) for row in known], [[kind, body] for _number, kind, body, _head in joined.forked]]
    context = cbor.encode([batch.terminal.certificate, base[0][0], *tails])
    second = batch.head_signed
    return Contradiction(ProofKind.DEVICE_EVENT, first.raw, first.identity, second.raw, second.identity, context)


def _main_head(store: Store, device_id: str, fork_at: int) -> tuple[Signed, int] | None:
    """The shortest signed head of the main chain that covers `fork_at`, and its last event; heads of forks lie beside
    it in the same table."""
    rows = store.fetch(
        "SELECT batches.head, events.number, events.head FROM batches JOIN events"
        " ON events.device = batches.device AND events.number = batches.last_event"
        " WHERE batches.device = ? AND last_event >= ? ORDER BY last_event",
        (device_id, fork_at),
    )
    for raw, number, event_head in rows:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.BATCH_HEAD, store.city))
        if device.BATCH_HEAD.decode(signed.payload, OBJECT_BYTES_MAX).event_head == event_head:
            return signed, number
    return None


def apply_before(store: Store, device_id: str, joined: JoinedEvents) -> None:
    """What must be known before the vouchers are judged: which greens nobody recorded as shown."""
    for _number, kind, body, _head in joined.new:
        if kind == EventKind.RATIFIED:
            _apply_ratified(store, device_id, body)
        elif kind in (EventKind.UNCHARGED_GREEN, EventKind.LAPSED):
            found = event_values(body)
            if len(found) >= 3 and _is_sequence(found[0]):
                state = LAPSED if _is_lapse(kind, found) else SHOWN_LATER
                store.execute("REPLACE INTO unratified VALUES(?, ?, ?)", (device_id, found[0], state))


def _is_lapse(kind: int, said: list[object]) -> bool:
    """A boarding that is not charged; a sale that nobody voided in time is charged, and says so by the same event."""
    return kind == EventKind.LAPSED and said[2] is False


def _apply_ratified(store: Store, device_id: str, body: bytes) -> None:
    exceptions, late = _exceptions(event_values(body))
    store.execute_many(
        "INSERT OR IGNORE INTO unratified VALUES(?, ?, ?)", [(device_id, number, UNRATIFIED) for number in exceptions]
    )
    store.execute_many(
        "DELETE FROM unratified WHERE device = ? AND sequence = ?", [(device_id, number) for number in late]
    )


def _exceptions(said: list[object]) -> tuple[list[int], list[int]]:
    """Of a ratification: greens that it does not cover, and those of an earlier one that were shown after all."""
    if len(said) != 3 or not isinstance(said[1], list) or not isinstance(said[2], list):
        return [], []
    exceptions = [number for number in cast(list[object], said[1]) if _is_sequence(number)]
    return exceptions, [number for number in cast(list[object], said[2]) if _is_sequence(number)]


def apply_after(bench: Bench, device_id: str, joined: JoinedEvents) -> None:
    """What changes vouchers already posted, in the order of the events; a conflict may be a proof."""
    charging = Charging(bench, Branches(bench.store))
    for number, kind, body, _head in joined.new:
        found = event_values(body)
        if kind == EventKind.REFUND_REQUEST:
            refund_requests.take(bench, device_id, number, body)
        elif kind == EventKind.RATIFIED:
            _settle_ratified(bench.store, charging, device_id, found)
        elif kind in (EventKind.UNCHARGED_GREEN, EventKind.LAPSED) and len(found) >= 3 and _is_sequence(found[0]):
            if _is_lapse(kind, found):
                charging.lapse(device_id, found[0])
            else:
                charging.after_all(device_id, found[0])
        if kind == EventKind.CONFLICT and len(found) == 5:
            for raw in found[3:]:
                _consider(bench, raw)
        elif kind == EventKind.UNCHARGED_GREEN and len(found) == 4:
            _consider(bench, found[3])


def _settle_ratified(store: Store, charging: Charging, device_id: str, said: list[object]) -> None:
    """What is not covered gives way to another of its intent; what is covered late is charged after all."""
    exceptions, late = _exceptions(said)
    shared = store.fetch_in(
        "SELECT DISTINCT s.sequence FROM spends s JOIN spends o ON o.hash = s.hash AND o.n = s.n AND o.counts = 1"
        " AND o.intent = s.intent AND (o.device <> s.device OR o.sequence <> s.sequence)"
        " WHERE s.device = ? AND s.counts = 1 AND s.paid_by <> 0 AND o.paid_by <> 0 AND s.sequence IN (?*)",
        exceptions,
        first=(device_id,),
    )
    fallen = store.fetch_in(
        "SELECT sequence FROM spends WHERE device = ? AND counts = 1 AND paid_by = 0 AND sequence IN (?*)",
        late,
        first=(device_id,),
    )
    for (sequence,) in sorted(shared):
        charging.give_way(device_id, sequence)
    for (sequence,) in sorted(fallen):
        charging.after_all(device_id, sequence)


def _consider(bench: Bench, raw: object) -> None:
    """A wallet object from a terminal's word only counts if the wallet's own key signed it."""
    if not isinstance(raw, bytes):
        return
    for kind in (Kind.PRESENTMENT, Kind.PAYMENT):
        try:
            signed = cose.parse_sign1(raw, cose.external_aad(kind, bench.store.city))
            layout = wallet.PRESENTMENT if kind is Kind.PRESENTMENT else wallet.PAYMENT
            shown: Presentment | Payment = layout.decode(signed.payload, OBJECT_BYTES_MAX)
        except Refusal:
            continue
        bench.prefetch([shown.allowance_hash])
        issued = bench.issued.get(shown.allowance_hash)
        if issued is not None and cose.is_signature_of(signed, cose.verify_key(issued.wallet_point)):
            find_contradiction(bench, shown, kind, raw)


def _is_sequence(value: object) -> TypeGuard[int]:
    """A number that a voucher can have; a hostile device may send any, and the database holds 64 bits."""
    return type(value) is int and 0 < value <= SEQUENCE_MAX
