"""Reading the journal back: vouchers, events, states, allowances. DESIGN §6.

Every row is checked against its checksum and its link to the row before it, so damage is found before any upload.
Never writes.
"""

from collections import OrderedDict
from itertools import pairwise

from offline_ledger.errors import JournalDamaged
from offline_ledger.terminal.journal_disk import JournalDisk
from offline_ledger.terminal.journal_rows import EventRow, PassState, VoucherRow
from offline_ledger.terminal.journal_schema import (
    ENTRY_COLUMNS,
    EVENT_BITS,
    EVENT_MASK,
    GET_STATE,
    Entry,
    checked_entry,
    checked_state,
)
from offline_ledger.terminal.journal_sql import Row

ALLOWANCES_REMEMBERED_MAX = 4096

_ONE = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE id = ?"
_VOUCHERS = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE id >= ? AND (id & {EVENT_MASK}) = 0 ORDER BY id LIMIT ?"
_EVENTS = (
    f"SELECT {ENTRY_COLUMNS} FROM entries WHERE id > ? AND (id & {EVENT_MASK}) != 0 AND event_number > ?"
    " ORDER BY id LIMIT ?"
)
_OF_KIND = (
    f"SELECT {ENTRY_COLUMNS} FROM entries WHERE id >= ? AND id < ? AND (id & {EVENT_MASK}) != 0 AND kind = ?"
    " ORDER BY id DESC LIMIT ?"
)
_BY_ALLOWANCE = (
    "SELECT allowance FROM entries WHERE allowance_hash = ? AND allowance IS NOT NULL ORDER BY id DESC LIMIT 1"
)


class JournalReader:
    """Checked reads over one connection."""

    def __init__(self, disk: JournalDisk) -> None:
        self._disk = disk
        self._stored_at: OrderedDict[bytes, tuple[bytes, int]] = OrderedDict()  # allowance hash -> pass id, sequence
        self._last_state: tuple[bytes, tuple[PassState, int] | None] | None = None  # what `state_of` read last
        self._event_place = (0, 0)  # event number and row id where the last reading of events ended

    def entry_of(self, row_id: int) -> Entry | None:
        rows = self._disk.fetch(_ONE, (row_id,))
        return checked_entry(rows[0]) if rows else None

    def voucher_entry(self, sequence: int) -> Entry | None:
        return self.entry_of(sequence << EVENT_BITS)

    def vouchers_from(self, sequence: int, limit: int) -> list[VoucherRow]:
        """At most `limit` vouchers from `sequence` on. Raises JournalDamaged where the chain breaks."""
        found = [checked_entry(row) for row in self._disk.fetch(_VOUCHERS, (sequence << EVENT_BITS, limit))]
        before = self.voucher_entry(sequence - 1) if found else None
        for at, entry in enumerate(found):
            if entry.sequence != sequence + at:
                raise JournalDamaged(f"sequence {sequence + at} is missing")
            if before is not None and before.identity != entry.previous:
                raise JournalDamaged(f"chain breaks before sequence {entry.sequence}")
            if entry.allowance_hash is not None and entry.pass_id is not None:
                self.remember_allowance(entry.allowance_hash, entry.pass_id, entry.allowance_at)
            before = entry
        return [entry.as_voucher() for entry in found]

    def events_after(
        self, number: int, limit: int, acked: tuple[int, int], not_before_sequence: int = 0
    ) -> list[EventRow]:
        """At most `limit` events above `number`; `acked` = number and row id of the newest acknowledged event. Without
        a place known to be near, rows are looked through from `not_before_sequence` on."""
        start = max((place for place in (acked, self._event_place) if place[0] <= number), default=(0, 0))
        start_id = max(start[1], not_before_sequence << EVENT_BITS)
        found = [checked_entry(row) for row in self._disk.fetch(_EVENTS, (start_id, number, limit))]
        for before, entry in pairwise(found):
            if entry.previous != before.identity or entry.event_number != before.event_number + 1:
                raise JournalDamaged(f"event chain breaks before event {entry.event_number}")
        if found:
            self._event_place = (found[-1].event_number, found[-1].id)
        return [entry.as_event() for entry in found]

    def events_of(self, kind: int, first: int, last: int, limit: int) -> list[tuple[int, EventRow]]:
        """At most `limit` events of one kind, newest first, from while vouchers `first` to `last` were the newest; each
        with that voucher's sequence."""
        rows = self._disk.fetch(_OF_KIND, (first << EVENT_BITS, (last + 1) << EVENT_BITS, kind, limit))
        found = [checked_entry(row) for row in rows]
        return [(entry.sequence, entry.as_event()) for entry in found]

    def event_entry(self, number: int, acked: tuple[int, int]) -> Entry | None:
        """The row of one event."""
        start = max((place for place in (acked, self._event_place) if place[0] < number), default=(0, 0))
        rows = self._disk.fetch(_EVENTS, (start[1], number - 1, 1))
        entry = checked_entry(rows[0]) if rows else None
        return entry if entry is not None and entry.event_number == number else None

    def state_of(self, pass_id: bytes) -> tuple[PassState, int] | None:
        """Last seen of this pass, and the sequence of the voucher that its newest allowance is stored with."""
        last = self._last_state
        if last is not None and last[0] == pass_id:
            return last[1]
        rows = self._disk.fetch(GET_STATE, (pass_id,))
        held = checked_state(rows[0]) if rows else None
        self._last_state = (pass_id, held)
        return held

    def forget_last_state(self) -> None:
        """States are about to change."""
        self._last_state = None

    # --- allowances: the bytes lie in the first voucher row that used them

    def remember_allowance(self, allowance_hash: bytes, pass_id: bytes, sequence: int) -> None:
        self._stored_at[allowance_hash] = (pass_id, sequence)
        self._stored_at.move_to_end(allowance_hash)
        if len(self._stored_at) > ALLOWANCES_REMEMBERED_MAX:
            self._stored_at.popitem(last=False)

    def allowance_sequence(self, allowance_hash: bytes, pass_id: bytes) -> int:
        """Where this allowance is stored already; 0 if nowhere."""
        known = self._stored_at.get(allowance_hash)
        if known is not None:
            return known[1]
        held = self.state_of(pass_id)
        if held is None or not held[1]:
            return 0
        entry = self.voucher_entry(held[1])
        if entry is not None:
            stored_hash = entry.allowance_hash
        else:
            rows = self._disk.fetch(
                "SELECT hash FROM kept_allowances WHERE pass_id = ? AND sequence = ?", (pass_id, held[1])
            )
            stored_hash = rows[0][0] if rows else None
        if stored_hash != allowance_hash:
            return 0
        self.remember_allowance(allowance_hash, pass_id, held[1])
        return held[1]

    def allowance_bytes(self, allowance_hash: bytes) -> bytes | None:
        """The allowance; quick for every row read or appended lately, else a search through the journal."""
        known = self._stored_at.get(allowance_hash)
        if known is not None:
            pass_id, sequence = known
            entry = self.voucher_entry(sequence)
            if entry is not None and entry.allowance is not None:
                return entry.allowance
            rows = self._disk.fetch(
                "SELECT allowance FROM kept_allowances WHERE pass_id = ? AND sequence = ?", (pass_id, sequence)
            )
            if rows:
                return _first_bytes(rows)
        rows = self._disk.fetch(_BY_ALLOWANCE, (allowance_hash,)) or self._disk.fetch(
            "SELECT allowance FROM kept_allowances WHERE hash = ?", (allowance_hash,)
        )
        return _first_bytes(rows)

    # --- small tables

    def coupon_sequence(self, coupon_id: bytes) -> int | None:
        rows = self._disk.fetch("SELECT sequence FROM coupons WHERE coupon_id = ?", (coupon_id,))
        return as_int(rows[0][0]) if rows else None

    def meta(self, key: str) -> bytes | None:
        return _first_bytes(self._disk.fetch("SELECT value FROM meta WHERE key = ?", (key,)))

    def settled(self, sequence: int) -> int:
        """How the wait of this unratified voucher ended; 0: it waits, or was ratified."""
        rows = self._disk.fetch("SELECT settled FROM unratified WHERE sequence = ?", (sequence,))
        return as_int(rows[0][0]) if rows else 0

    def left_unratified(self) -> dict[int, bool]:
        """Sequences that a ratification passed over; True: settled by an event."""
        rows = self._disk.fetch("SELECT sequence, settled FROM unratified ORDER BY sequence")
        return {as_int(sequence): bool(settled) for sequence, settled in rows}


def as_int(value: object) -> int:
    """The integer in a column. Raises JournalDamaged if something else is there."""
    if not isinstance(value, int):
        raise JournalDamaged(f"{type(value).__name__} where an integer belongs")
    return value


def as_bytes(value: object) -> bytes:
    """The bytes in a column. Raises JournalDamaged if something else is there."""
    if not isinstance(value, bytes):
        raise JournalDamaged(f"{type(value).__name__} where bytes belong")
    return value


def _first_bytes(rows: list[Row]) -> bytes | None:
    return as_bytes(rows[0][0]) if rows else None
