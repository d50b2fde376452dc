"""What the city has acknowledged, and what may be removed after that. DESIGN §6.

Plans statements; the journal commits them. Never removes what is not acknowledged, not ratified, or the last of its
chain; last n and S, repeat state, coupon ids and allowances still referred to outlive their vouchers.
"""

from typing import NamedTuple

from offline_ledger.errors import JournalDamaged
from offline_ledger.terminal.journal_disk import JournalDisk
from offline_ledger.terminal.journal_reading import JournalReader, as_bytes, as_int
from offline_ledger.terminal.journal_schema import ENTRY_COLUMNS, EVENT_BITS, EVENT_MASK, Running, checked_entry
from offline_ledger.terminal.journal_sql import SqlValue, Statement

PRUNE_ROWS_MAX = 200
"""Vouchers removed by one step."""

PUT_ACK = "REPLACE INTO acks(id, body, sequence, event_number, event_id, kgo_sum, refusals) VALUES(1, ?, ?, ?, ?, ?, ?)"
PUT_KEPT = "REPLACE INTO kept_allowances(pass_id, sequence, hash, allowance) VALUES(?, ?, ?, ?)"


class Place(NamedTuple):
    """A point in both chains, with the running totals there."""

    sequence: int = 0
    event_number: int = 0
    event_id: int = 0
    kgo_sum: int = 0
    refusals: int = 0


class Cut(NamedTuple):
    """One step of pruning."""

    vouchers: int
    statements: list[Statement]


def acked_place(disk: JournalDisk) -> Place:
    """What the newest kept ack covers."""
    rows = disk.fetch("SELECT sequence, event_number, event_id, kgo_sum, refusals FROM acks")
    return Place(*(as_int(value) for value in rows[0])) if rows else Place()


def newest_ack(disk: JournalDisk) -> bytes | None:
    rows = disk.fetch("SELECT body FROM acks")
    if not rows:
        return None
    return as_bytes(rows[0][0])


def place_of(reader: JournalReader, acked: Place, sequence: int, event_number: int) -> Place:
    """The place of an ack at or after `acked`. Raises JournalDamaged when its rows are gone."""
    kgo_sum, event_id, refusals = acked.kgo_sum, acked.event_id, acked.refusals
    if sequence > acked.sequence:
        voucher = reader.voucher_entry(sequence)
        if voucher is None:
            raise JournalDamaged(f"voucher {sequence} is missing")
        kgo_sum = voucher.kgo_sum
    if event_number > acked.event_number:
        event = reader.event_entry(event_number, (acked.event_number, acked.event_id))
        if event is None:
            raise JournalDamaged(f"event {event_number} is missing")
        event_id, refusals = event.id, event.refusals
    return Place(sequence, event_number, event_id, kgo_sum, refusals)


def ack_statement(ack: bytes, place: Place) -> Statement:
    values: tuple[SqlValue, ...] = (
        ack,
        place.sequence,
        place.event_number,
        place.event_id,
        place.kgo_sum,
        place.refusals,
    )
    return (PUT_ACK, values)


def plan_cut(
    disk: JournalDisk, now: Running, acked: Place, unratified: int | None, through_sequence: int, keep_after_s: int
) -> Cut | None:
    """The next step of pruning, or None when nothing more may go."""
    # The last voucher and the last event stay: the next ones name them.
    last = min(through_sequence, acked.sequence, now.sequence - 1)
    if unratified is not None:
        last = min(last, unratified - 1)
    end_id = min((last + 1) << EVENT_BITS, acked.event_id or 1 << EVENT_BITS if now.event_number else 1 << 62)
    rows = disk.fetch(
        f"SELECT {ENTRY_COLUMNS} FROM entries WHERE id < ? AND (id & {EVENT_MASK}) = 0 ORDER BY id LIMIT ?",
        (end_id, PRUNE_ROWS_MAX),
    )
    statements: list[Statement] = []
    count, cut_id = 0, 0
    for values in rows:
        entry = checked_entry(values)
        if entry.at_s >= keep_after_s:
            break
        count, cut_id = count + 1, min((entry.sequence + 1) << EVENT_BITS, end_id)
        if entry.allowance is not None and entry.pass_id is not None and entry.allowance_hash is not None:
            held = disk.fetch("SELECT last_sequence FROM pass_state WHERE pass_id = ?", (entry.pass_id,))
            if held:  # this pass may come again, or later vouchers of it are still here: its allowance stays
                kept = (entry.pass_id, entry.sequence, entry.allowance_hash, entry.allowance)
                statements.append((PUT_KEPT, kept))
    if not count:
        return None
    # Removed first: on a full disk the kept allowances go where the vouchers were.
    gone: list[Statement] = [
        ("DELETE FROM entries WHERE id < ?", (cut_id,)),
        ("DELETE FROM unratified WHERE sequence < ?", (cut_id >> EVENT_BITS,)),
    ]
    return Cut(count, gone + statements)


def plan_forget(disk: JournalDisk, certain_now_s: int, rows_max: int) -> tuple[list[Statement], int]:
    """Statements that remove expired states and coupons, and how many."""
    # Sequences still in the journal keep their state: a repeat of them must be known for what it is.
    rows = disk.fetch("SELECT min(id) FROM entries")
    first = as_int(rows[0][0] or 0) >> EVENT_BITS
    states = disk.fetch(
        "SELECT pass_id FROM pass_state WHERE expiry_s < ? AND last_sequence < ? LIMIT ?",
        (certain_now_s, first, rows_max),
    )
    coupons = disk.fetch("SELECT coupon_id FROM coupons WHERE expiry_s < ? LIMIT ?", (certain_now_s, rows_max))
    statements: list[Statement] = []
    for row in states:
        pass_id = as_bytes(row[0])
        statements.append(("DELETE FROM pass_state WHERE pass_id = ?", (pass_id,)))
        statements.append(("DELETE FROM kept_allowances WHERE pass_id = ?", (pass_id,)))
    statements.extend(("DELETE FROM coupons WHERE coupon_id = ?", (as_bytes(row[0]),)) for row in coupons)
    return statements, len(states) + len(coupons)
