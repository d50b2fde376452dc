"""The terminal's durable, hash-chained, append-only store of vouchers and events. DESIGN §6.

One append is one transaction and one sync. It stores opaque bytes and knows no signatures. It never renumbers, never
repairs, never acknowledges what the disk has not, and after a disk error writes nothing until reopened and verified.
Every method may be called from any thread; they take turns.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import RLock
from typing import TypeVar

import apsw

from offline_ledger.errors import (
    JournalDamaged,
    JournalOfOtherDevice,
    JournalTooNew,
    OutOfOrder,
    Refusal,
    StorageFailed,
    StorageFull,
)
from offline_ledger.terminal import journal_pruning, journal_recovery
from offline_ledger.terminal.journal_disk import DiskLimits, JournalDisk, meaning_of, opening
from offline_ledger.terminal.journal_events import EVENTS_BUFFERED_MAX, EventBuffer
from offline_ledger.terminal.journal_export import export_rows
from offline_ledger.terminal.journal_reading import JournalReader
from offline_ledger.terminal.journal_rows import (
    EVENT_REFUSAL,
    CouponUse,
    EventRow,
    ExportResult,
    PassState,
    PendingSummary,
    Tail,
    VerifyStep,
    VoucherRow,
)
from offline_ledger.terminal.journal_schema import (
    CREATE,
    EVENT_BITS,
    INSERT_VOUCHER,
    PUT_STATE,
    SCHEMA_VERSION,
    Running,
    SqlValue,
    state_bindings,
    voucher_bindings,
)

REFUSALS_UNSENT_MAX = 2000
"""Refusals kept for the city; the oldest stay, later ones are only counted."""
UNRATIFIED_SHOWN_MAX = 100

T = TypeVar("T")

_PUT_META = "REPLACE INTO meta VALUES(?, ?)"


class Journal:
    """One open journal; made by `Journal.open`."""

    def __init__(self, disk: JournalDisk, device_id: str) -> None:
        self._lock = RLock()
        self._device_id = device_id
        self._events = EventBuffer()
        self._failure: Refusal | None = None
        self.checkpoints_in_append = 0
        self._attach(disk)

    @classmethod
    def open(
        cls, path: str | Path, *, device_id: str, vfs: str | None = None, limits: DiskLimits | None = None
    ) -> "Journal":
        """Opens the journal of this device, or makes it; checks the tail at once.

        Raises JournalInUse, JournalOfOtherDevice, JournalDamaged, JournalTooNew, JournalUnavailable, StorageFull,
        StorageFailed.
        """
        disk = JournalDisk(str(path), vfs, limits or DiskLimits())
        try:
            with opening(disk.path):
                _make_or_match(disk, device_id)
            return cls(disk, device_id)
        except BaseException:
            disk.close()
            raise

    def _attach(self, disk: JournalDisk) -> None:
        with opening(disk.path):
            journal_recovery.check_log_is_whole(disk)
            self._disk = disk
            self._read = JournalReader(disk)
            self._now = journal_recovery.running_at_tail(disk)
            self._acked = journal_pruning.acked_place(disk)
            disk.wal_frames = disk.log_frames()
            disk.lay_out_log()
            self._touch_log()

    def close(self) -> None:
        """Makes waiting events durable and lets go. May raise StorageFull or StorageFailed; it is closed anyway."""
        with self._lock:
            try:
                if self._failure is None:
                    self.flush()
            finally:
                self._disk.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # --- where we are

    @property
    def tail(self) -> Tail:
        """The durable end of both chains."""
        now, acked = self._now, self._acked
        return Tail(
            now.sequence,
            now.identity,
            now.event_number,
            now.event_head,
            now.at_s,
            now.kgo_sum - acked.kgo_sum,
            acked.sequence,
            acked.event_number,
        )

    @property
    def failure(self) -> Refusal | None:
        """Why nothing is accepted now; None when the journal takes appends."""
        return self._failure

    @property
    def refusals_dropped(self) -> int:
        """Refusals not kept because too many wait for the city; counted since the program started."""
        return self._events.refusals_dropped

    # --- writing

    def append(
        self,
        row: VoucherRow,
        *,
        state: PassState | None,
        allowance: bytes | None,
        coupon: CouponUse | None = None,
        meta: Mapping[str, bytes] | None = None,
    ) -> None:
        """Makes a voucher durable, with all that goes with it, in one transaction and one sync.

        `allowance` is stored once per allowance hash. Raises OutOfOrder, StorageFull (certainly not written) or
        StorageFailed (UNKNOWN until `reopen_and_verify`).
        """
        with self._lock:
            self._check_writable()
            before = self._now
            if row.sequence != before.sequence + 1 or row.previous != before.identity:
                raise OutOfOrder(f"sequence {row.sequence} after {before.sequence}")
            self._make_room()
            now, statements = self._events.plan(before)
            now = Running(
                row.sequence << EVENT_BITS,
                row.sequence,
                row.identity,
                row.at_s,
                now.event_number,
                now.event_id,
                now.event_head,
                now.kgo_sum + max(row.kgo, 0),
                now.refusals,
                now.ratified_through,
            )
            stored_at = 0
            if row.allowance_hash is not None and row.pass_id is not None:
                stored_at = self._read.allowance_sequence(row.allowance_hash, row.pass_id)
                if stored_at:
                    allowance = None
                elif allowance is not None:
                    stored_at = row.sequence
            statements.append((INSERT_VOUCHER, voucher_bindings(row, now, allowance, stored_at)))
            if state is not None:
                statements.append((PUT_STATE, state_bindings(state, stored_at)))
            if coupon is not None:
                values = (coupon.coupon_id, row.sequence, coupon.expiry_s)
                statements.append(("INSERT INTO coupons VALUES(?, ?, ?)", values))
            if meta:
                statements.extend((_PUT_META, item) for item in meta.items())
            self._commit(statements)
            self._events.written()
            self._now = now
            if stored_at == row.sequence and row.allowance_hash is not None and row.pass_id is not None:
                self._read.remember_allowance(row.allowance_hash, row.pass_id, stored_at)

    def ratify(self, sequence: int) -> None:
        """The green of this voucher was shown. Durable with the next append or `flush`."""
        with self._lock:
            if not 0 < sequence <= self._now.sequence:
                raise OutOfOrder(f"ratified {sequence} of {self._now.sequence}")
            self._events.ratified.add(sequence)

    def append_event(self, kind: int, body: bytes, *, durable: bool) -> int:
        """Adds an event; returns its number, or 0 for a refusal too many. Else durable with the next append."""
        with self._lock:
            self._check_writable()
            events = self._events
            if kind == EVENT_REFUSAL:
                unsent = self._now.refusals - self._acked.refusals + events.refusals_waiting
                if unsent >= REFUSALS_UNSENT_MAX:
                    events.refusals_dropped += 1
                    return 0
            if len(events.waiting) >= EVENTS_BUFFERED_MAX:
                self._write_events()
            number = self._now.event_number + len(events.waiting) + 1
            events.waiting.append((kind, body))
            if durable:
                try:
                    self._write_events()
                except StorageFull:
                    events.waiting.pop()
                    raise
            return number

    def settle_unratified(self, sequence: int, kind: int, body: bytes, *, state: PassState | None = None) -> int:
        """An event that ends the waiting of an unratified voucher (charged or not, and why), durable; its number.

        `state` replaces the pass's last seen in the same transaction: a next n that got the green uncharged.
        """
        with self._lock:
            self._check_writable()
            number = self._now.event_number + len(self._events.waiting) + 1
            self._events.waiting.append((kind, body))
            more: list[tuple[str, tuple[SqlValue, ...]]] = [("REPLACE INTO unratified VALUES(?, 1)", (sequence,))]
            if state is not None:
                held = self._read.state_of(state.pass_id)
                more.append((PUT_STATE, state_bindings(state, held[1] if held else 0)))
            try:
                self._write_events(tuple(more))
            except StorageFull:
                self._events.waiting.pop()
                raise
            return number

    def flush(self) -> None:
        """Makes waiting events durable (at most one sync) and, if the log has grown large, empties it."""
        with self._lock:
            self._check_writable()
            if not self._events.is_empty:
                self._write_events()
            if self._disk.wal_frames >= self._disk.limits.checkpoint_flush_frames:
                self._checkpoint()

    def rest(self) -> None:
        """For an idle moment: flushes, and empties the log early so that no later moment has to."""
        with self._lock:
            self.flush()
            if self._disk.wal_frames >= self._disk.limits.checkpoint_idle_frames or self._disk.checkpoint_failed_full:
                self._checkpoint()

    def meta_put(self, key: str, value: bytes) -> None:
        """A small durable value, at once. Raises StorageFull or StorageFailed."""
        with self._lock:
            self._check_writable()
            self._commit([(_PUT_META, (key, value))])

    def record_ack(self, ack: bytes, through_sequence: int, through_event: int) -> None:
        """Keeps the newest acknowledgement; an older one changes nothing. Raises OutOfOrder beyond our own tail."""
        with self._lock:
            self._check_writable()
            now, acked = self._now, self._acked
            if through_sequence > now.sequence or through_event > now.event_number:
                raise OutOfOrder(f"ack through {through_sequence}/{through_event}, journal ends before")
            if through_sequence < acked.sequence or through_event < acked.event_number:
                return
            place = journal_pruning.place_of(self._read, acked, through_sequence, through_event)
            self._commit([journal_pruning.ack_statement(ack, place)])
            self._acked = place

    def prune(self, through_sequence: int, keep_after_s: int) -> int:
        """Removes acknowledged vouchers up to `through_sequence` older than `keep_after_s`; how many, 0: no more.

        A step at a time, so that a sale waits little. Only after a verified ack; states and coupons stay.
        """
        with self._lock:
            self._check_writable()
            cut = journal_pruning.plan_cut(
                self._disk, self._now, self._acked, min(self.unratified_sequences(), default=None), through_sequence,
                keep_after_s,
            )  # fmt: skip
            if cut is None:
                return 0
            self._commit(cut.statements)
            return cut.vouchers

    def forget_expired(self, certain_now_s: int, rows_max: int = 500) -> int:
        """Removes states and coupons whose expiry is certainly past: `certain_now_s` is from a synced clock."""
        with self._lock:
            self._check_writable()
            statements, count = journal_pruning.plan_forget(self._disk, certain_now_s, rows_max)
            if statements:
                self._commit(statements)
            return count

    # --- reading

    def state_of(self, pass_id: bytes) -> PassState | None:
        with self._lock:
            held = self._read.state_of(pass_id)
            return held[0] if held else None

    def voucher_at(self, sequence: int) -> VoucherRow | None:
        """The voucher, or None when it is pruned or not yet there."""
        with self._lock:
            entry = self._read.voucher_entry(sequence)
            return entry.as_voucher() if entry else None

    def pending(self, limit: int, after_sequence: int | None = None) -> list[VoucherRow]:
        """Vouchers after the newest ack (or `after_sequence`), checked row by row. Raises JournalDamaged."""
        with self._lock:
            self._check_sound()
            start = self._acked.sequence if after_sequence is None else after_sequence
            return self._noting_damage(lambda: self._read.vouchers_from(start + 1, limit))

    def events_after(self, number: int, limit: int) -> list[EventRow]:
        """Durable events above `number`, checked. Raises JournalDamaged."""
        with self._lock:
            self._check_sound()
            if number >= self._now.event_number:
                return []
            place = (self._acked.event_number, self._acked.event_id)
            return self._noting_damage(lambda: self._read.events_after(number, limit, place))

    def allowance_bytes(self, allowance_hash: bytes) -> bytes | None:
        with self._lock:
            return self._read.allowance_bytes(allowance_hash)

    def coupon_used(self, coupon_id: bytes) -> int | None:
        """The sequence that spent this coupon here; outlives pruning."""
        with self._lock:
            return self._read.coupon_sequence(coupon_id)

    def meta_get(self, key: str) -> bytes | None:
        with self._lock:
            return self._read.meta(key)

    def newest_ack(self) -> bytes | None:
        with self._lock:
            return journal_pruning.newest_ack(self._disk)

    def pending_summary(self) -> PendingSummary:
        with self._lock:
            count = self._now.sequence - self._acked.sequence
            oldest = self._read.voucher_entry(self._acked.sequence + 1) if count else None
            return PendingSummary(count, oldest.at_s if oldest else None)

    def unratified_sequences(self) -> list[int]:
        """Vouchers whose green is not recorded as shown and that no event has settled; oldest first, bounded."""
        with self._lock:
            left = self._read.left_unratified()
            waiting = [sequence for sequence, is_settled in left.items() if not is_settled]
            for sequence in range(self._now.ratified_through + 1, self._now.sequence + 1):
                if len(waiting) >= UNRATIFIED_SHOWN_MAX:
                    break
                if sequence not in left:
                    waiting.append(sequence)
            return sorted(sequence for sequence in waiting if sequence not in self._events.ratified)

    def unratified(self) -> list[VoucherRow]:
        """The rows of `unratified_sequences`."""
        found = (self.voucher_at(sequence) for sequence in self.unratified_sequences())
        return [row for row in found if row is not None]

    # --- checking

    def verify_background(self, step_rows: int = journal_recovery.STEP_ROWS) -> Iterator[VerifyStep]:
        """Checks everything, a step per iteration. Raises JournalDamaged, after which nothing is appended or sent."""
        steps = journal_recovery.verify_in_steps(self._disk, step_rows)
        while True:
            with self._lock:
                step = self._noting_damage(lambda: next(steps, None))
            if step is None:
                return
            yield step

    def export_sound_rows(self, to: Path) -> ExportResult:
        """Writes what is sound to a file; works on a damaged journal."""
        with self._lock:
            return export_rows(self._disk, to)

    def reopen_and_verify(self) -> Tail:
        """After StorageFailed: opens again, makes what is there durable, and finds out what became of the last write.

        Compare `tail.sequence` with the voucher whose fate was unknown. Raises StorageFailed again if the disk still
        fails, JournalDamaged if anything acknowledged is gone.
        """
        with self._lock:
            before = self._now
            self._disk.close()
            self._failure = StorageFailed("not reopened")
            try:
                disk = JournalDisk(self._disk.path, self._disk.vfs, self._disk.limits)
                try:
                    with opening(disk.path):
                        _make_or_match(disk, self._device_id)
                    self._attach(disk)
                    journal_recovery.check_nothing_lost(disk, before, self._now)
                    # A sync that failed may have dropped what the cache still shows: write all of it anew.
                    with opening(disk.path):
                        disk.checkpoint()
                        self._touch_log()
                except BaseException:
                    disk.close()
                    raise
            except Refusal as refusal:
                self._failure = refusal
                raise
            self._events.keep_unwritten(self._now.event_number, before.event_number)
            self._failure = None
            return self.tail

    # --- inside

    def _check_writable(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(self._failure.detail)

    def _check_sound(self) -> None:
        if isinstance(self._failure, JournalDamaged):
            raise JournalDamaged(self._failure.detail)

    def _noting_damage(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except JournalDamaged as damage:
            self._failure = damage
            raise

    def _write_events(self, more: tuple[tuple[str, tuple[SqlValue, ...]], ...] = ()) -> None:
        now, statements = self._events.plan(self._now)
        self._commit([*statements, *more])
        self._events.written()
        self._now = now

    def _commit(self, statements: list[tuple[str, tuple[SqlValue, ...]]]) -> None:
        execute = self._disk.cursor.execute
        try:
            execute("BEGIN IMMEDIATE")
            for sql, bindings in statements:
                execute(sql, bindings)
            execute("COMMIT")
        except apsw.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: apsw.Error) -> Refusal:
        """Undoes the transaction. Anything but a full disk stops all writing: the disk's word is no longer good."""
        self._disk.rollback()
        refusal = meaning_of(error)
        if not isinstance(refusal, StorageFull):
            self._failure = refusal
        return refusal

    def _make_room(self) -> None:
        """The last resort: a log that no flush emptied is emptied before the sale."""
        if self._disk.wal_frames >= self._disk.limits.checkpoint_append_frames:
            self.checkpoints_in_append += 1
            self._checkpoint()
            if self._disk.is_out_of_room:
                raise StorageFull("the log cannot be emptied into the database")

    def _checkpoint(self) -> None:
        try:
            if self._disk.checkpoint():
                self._touch_log()
        except apsw.Error as error:
            raise self._failed(error) from error

    def _touch_log(self) -> None:
        """One small commit, so that the log's own header is written and synced here and not in the next sale."""
        try:
            self._disk.connection.execute("BEGIN IMMEDIATE")
            self._disk.connection.execute(_PUT_META, ("journal.log_starts", self._now.last_id.to_bytes(8, "big")))
            self._disk.connection.execute("COMMIT")
        except apsw.FullError:
            self._disk.rollback()  # only a later sale pays a second sync; reading and syncing go on


def _make_or_match(disk: JournalDisk, device_id: str) -> None:
    connection = disk.connection
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'entries'").fetchall():
        connection.execute("BEGIN IMMEDIATE")
        for statement in CREATE:
            connection.execute(statement)
        connection.execute(_PUT_META, ("journal.device", device_id.encode()))
        connection.execute(_PUT_META, ("journal.version", bytes([SCHEMA_VERSION])))
        connection.execute("COMMIT")
        return
    reader = JournalReader(disk)
    version = reader.meta("journal.version")
    if version is None:
        raise JournalDamaged("no version")
    if version[0] > SCHEMA_VERSION:
        raise JournalTooNew(f"version {version[0]}")
    device = reader.meta("journal.device")
    if device != device_id.encode():
        raise JournalOfOtherDevice(f"of {(device or b'').decode(errors='replace')}, not {device_id}")
