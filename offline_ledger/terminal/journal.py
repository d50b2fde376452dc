"""The terminal's durable, hash-chained, append-only store of vouchers and events. DESIGN §6.

One append is one transaction and one sync. It stores opaque bytes and knows no signatures. It never renumbers, never
repairs, never acknowledges what the disk has not, and after a disk error writes nothing until reopened and verified.
Every method may be called from any thread; they take turns.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import RLock

from offline_ledger.errors import OutOfOrder, Refusal, StorageFailed, StorageFull
from offline_ledger.protocol.device import EventKind
from offline_ledger.terminal import journal_pruning, journal_recovery, journal_requests
from offline_ledger.terminal.journal_core import JournalCore
from offline_ledger.terminal.journal_disk import DiskLimits
from offline_ledger.terminal.journal_events import EVENTS_BUFFERED_MAX
from offline_ledger.terminal.journal_export import export_rows
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
    EVENT_BITS,
    INSERT_VOUCHER,
    PUT_META,
    PUT_STATE,
    SETTLED_CHARGED,
    SETTLED_UNCHARGED,
    Running,
    state_bindings,
    voucher_bindings,
)
from offline_ledger.terminal.journal_sql import Statement

UNRATIFIED_SHOWN_MAX = 100


class Journal:
    """One open journal; made by `Journal.open`."""

    def __init__(self, core: JournalCore) -> None:
        self._lock = RLock()
        self._core = core

    @classmethod
    def open(
        cls, path: str | Path, *, device_id: str, vfs: str | None = None, limits: DiskLimits | None = None
    ) -> "Journal":
        """Opens the journal of this device, or makes it; checks the tail at once.

        Raises JournalInUse, JournalOfOtherDevice, JournalDamaged, JournalTooNew, JournalUnavailable, StorageFull,
        StorageFailed, StorageLibraryUnsafe.
        """
        return cls(JournalCore(str(path), device_id, vfs, limits or DiskLimits()))

    def close(self) -> None:
        """Makes waiting events durable and lets go. May raise StorageFull or StorageFailed; it is closed anyway."""
        with self._lock:
            try:
                if self._core.failure is None:
                    self.flush()
            finally:
                self._core.disk.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # --- where we are

    @property
    def tail(self) -> Tail:
        """The durable end of both chains."""
        now, acked = self._core.now, self._core.acked
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
        return self._core.failure

    @property
    def checkpoints_in_append(self) -> int:
        """How often an append had to empty the log first, because neither `flush` nor `rest` came in time."""
        return self._core.checkpoints_in_append

    @property
    def reopened(self) -> int:
        """How often `reopen_and_verify` has found out what a disk error left: what was unknown then is known now."""
        return self._core.reopened

    @property
    def refusals_dropped(self) -> int:
        """Refusals not kept because too many came this day or wait for the city; counted since the program started."""
        return self._core.events.refusals_dropped

    # --- writing

    def append(
        self,
        row: VoucherRow,
        *,
        state: PassState | None,
        allowance: bytes | None,
        coupon: CouponUse | None = None,
        meta: Mapping[str, bytes] | None = None,
        closes_request: bytes | None = None,
    ) -> None:
        """Makes a voucher durable, with all that goes with it, in one transaction and one sync.

        `allowance` is stored once per allowance hash. `closes_request`: the open request (by hash) that it answers.
        Raises OutOfOrder, StorageFull (certainly not written) or StorageFailed (UNKNOWN until `reopen_and_verify`).
        """
        with self._lock:
            self._core.check_writable()
            before = self._core.now
            if row.sequence != before.sequence + 1 or row.previous != before.identity:
                raise OutOfOrder(f"sequence {row.sequence} after {before.sequence}")
            self._core.make_room()
            now, statements = self._core.events.plan(before)
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
                stored_at = self._core.read.allowance_sequence(row.allowance_hash, row.pass_id)
                if stored_at:
                    allowance = None
                elif allowance is not None:
                    stored_at = row.sequence
            statements.append((INSERT_VOUCHER, voucher_bindings(row, now, allowance, stored_at)))
            if state is not None:
                statements.append((PUT_STATE, state_bindings(state, stored_at)))
            if coupon is not None:
                values = (coupon.coupon_id, row.sequence, coupon.expiry_s)
                statements.append(("INSERT INTO coupons(coupon_id, sequence, expiry_s) VALUES(?, ?, ?)", values))
            if meta:
                statements.extend((PUT_META, item) for item in meta.items())
            if closes_request is not None:
                statements.extend(journal_requests.closed([closes_request]))
            self._core.commit(statements)
            self._core.events.written()
            self._core.now = now
            if stored_at == row.sequence and row.allowance_hash is not None and row.pass_id is not None:
                self._core.read.remember_allowance(row.allowance_hash, row.pass_id, stored_at)

    def ratify(self, sequence: int) -> None:
        """The green of this voucher was shown. Durable with the next append or `flush`."""
        with self._lock:
            if not 0 < sequence <= self._core.now.sequence:
                raise OutOfOrder(f"ratified {sequence} of {self._core.now.sequence}")
            self._core.events.ratified.add(sequence)

    def append_event(
        self, kind: int, body: bytes, *, durable: bool, day: int = 0, meta: Mapping[str, bytes] | None = None
    ) -> int:
        """Adds an event; returns its number, or 0 for a refusal too many: for the city, or on this civil `day`. Not
        `durable`: with the next append. `meta`: small values that change with a durable one, in its transaction; after
        a disk error it is the whole of it or nothing, never the event alone later."""
        with self._lock:
            self._core.check_writable()
            events = self._core.events
            if kind == EVENT_REFUSAL:
                if not events.count_refusal(self._core.now.refusals - self._core.acked.refusals, day):
                    return 0
            if len(events.waiting) >= EVENTS_BUFFERED_MAX:
                self._core.write_events()
            number = self._core.now.event_number + len(events.waiting) + 1
            events.waiting.append((kind, body))
            if durable:
                try:
                    self._core.write_events(tuple((PUT_META, item) for item in (meta or {}).items()))
                except (StorageFull, StorageFailed) as refusal:
                    if meta or isinstance(refusal, StorageFull):
                        events.waiting.pop()
                    raise
            return number

    def settle_unratified(
        self, sequence: int, kind: int, body: bytes, *, state: PassState | None = None, is_charged: bool = True
    ) -> int:
        """An event that ends the waiting of an unratified voucher (charged or not, and why), durable; its number.

        `state` replaces the pass's last seen in the same transaction: a next n that got the green uncharged. After a
        disk error it is the whole of it or nothing, never the event alone later. Raises StorageFull, StorageFailed.
        """
        with self._lock:
            self._core.check_writable()
            number = self._core.now.event_number + len(self._core.events.waiting) + 1
            self._core.events.waiting.append((kind, body))
            settled = SETTLED_CHARGED if is_charged else SETTLED_UNCHARGED
            more: list[Statement] = [("REPLACE INTO unratified(sequence, settled) VALUES(?, ?)", (sequence, settled))]
            if state is not None:
                held = self._core.read.state_of(state.pass_id)
                more.append((PUT_STATE, state_bindings(state, held[1] if held else 0)))
            try:
                self._core.write_events(tuple(more))
            except (StorageFull, StorageFailed):
                self._core.events.waiting.pop()
                raise
            return number

    def open_request(self, request_hash: bytes, kept: bytes, body: bytes, forget: Sequence[bytes]) -> None:
        """A payment request, durable before a wallet sees it: what is `kept` of it, its event, and which requests no
        answer can come to any more. Raises StorageFull, StorageFailed."""
        with self._lock:
            self._core.check_writable()
            self._core.make_room()
            self._core.events.waiting.append((EventKind.REQUEST, body))
            more = (journal_requests.opened(request_hash, kept), *journal_requests.closed(forget))
            try:
                self._core.write_events(more)
            except (StorageFull, StorageFailed):
                self._core.events.waiting.pop()
                raise

    def open_requests(self) -> dict[bytes, bytes]:
        """What `open_request` kept of those that are still open, by hash."""
        with self._lock:
            return journal_requests.read_open(self._core.disk)

    def flush(self) -> None:
        """Makes waiting events durable (at most one sync) and, if the log has grown large, empties it."""
        with self._lock:
            self._core.check_writable()
            if not self._core.events.is_empty:
                self._core.write_events()
            if self._core.disk.wal_frames >= self._core.disk.limits.checkpoint_flush_frames:
                self._core.checkpoint()

    def rest(self) -> None:
        """For an idle moment: flushes, and empties the log early so that no later moment has to."""
        with self._lock:
            self.flush()
            if self._core.disk.wal_frames >= self._core.disk.limits.checkpoint_idle_frames:
                self._core.checkpoint()

    def meta_put(self, key: str, value: bytes) -> None:
        """A small durable value, at once. Raises StorageFull or StorageFailed."""
        with self._lock:
            self._core.check_writable()
            self._core.commit([(PUT_META, (key, value))])

    def record_ack(self, ack: bytes, through_sequence: int, through_event: int) -> None:
        """Keeps the newest acknowledgement; an older one changes nothing. Raises OutOfOrder beyond our own tail."""
        with self._lock:
            self._core.check_writable()
            now, acked = self._core.now, self._core.acked
            if through_sequence > now.sequence or through_event > now.event_number:
                raise OutOfOrder(f"ack through {through_sequence}/{through_event}, journal ends before")
            if through_sequence < acked.sequence or through_event < acked.event_number:
                return
            place = journal_pruning.place_of(self._core.read, acked, through_sequence, through_event)
            self._core.commit([journal_pruning.ack_statement(ack, place)])
            self._core.acked = place
            self._core.keep_log_short()

    def prune(self, through_sequence: int, keep_after_s: int) -> int:
        """Removes acknowledged vouchers up to `through_sequence` older than `keep_after_s`; how many, 0: no more.

        A step at a time, so that a sale waits little. Only after a verified ack; states and coupons stay.
        """
        with self._lock:
            self._core.check_writable()
            core, unratified = self._core, min(self.unratified_sequences(), default=None)
            cut = journal_pruning.plan_cut(core.disk, core.now, core.acked, unratified, through_sequence, keep_after_s)
            if cut is None:
                return 0
            self._core.commit(cut.statements)
            self._core.keep_log_short()
            return cut.vouchers

    def forget_expired(self, certain_now_s: int, rows_max: int = 500) -> int:
        """Removes states and coupons whose expiry is certainly past: `certain_now_s` is from a synced clock."""
        with self._lock:
            self._core.check_writable()
            statements, count = journal_pruning.plan_forget(self._core.disk, certain_now_s, rows_max)
            if statements:
                self._core.commit(statements)
                self._core.keep_log_short()
            return count

    # --- reading

    def state_of(self, pass_id: bytes) -> PassState | None:
        with self._lock:
            held = self._core.read.state_of(pass_id)
            return held[0] if held else None

    def voucher_at(self, sequence: int) -> VoucherRow | None:
        """The voucher, or None when it is pruned or not yet there."""
        with self._lock:
            entry = self._core.read.voucher_entry(sequence)
            return entry.as_voucher() if entry else None

    def pending(self, limit: int, after_sequence: int | None = None) -> list[VoucherRow]:
        """Vouchers after the newest ack (or `after_sequence`), checked row by row. Raises JournalDamaged."""
        with self._lock:
            self._core.check_sound()
            start = self._core.acked.sequence if after_sequence is None else after_sequence
            return self._core.noting_damage(lambda: self._core.read.vouchers_from(start + 1, limit))

    def events_after(self, number: int, limit: int, not_before_sequence: int = 0) -> list[EventRow]:
        """Durable events above `number`, checked. None of them may be from before voucher `not_before_sequence`: who
        knows that spares a walk through a whole journal. Raises JournalDamaged."""
        with self._lock:
            self._core.check_sound()
            if number >= self._core.now.event_number:
                return []
            place = (self._core.acked.event_number, self._core.acked.event_id)
            return self._core.noting_damage(
                lambda: self._core.read.events_after(number, limit, place, not_before_sequence)
            )

    def events_of(self, kind: int, first: int, last: int, limit: int) -> list[tuple[int, EventRow]]:
        """Durable events of one kind, newest first, from while vouchers `first` to `last` were the newest, each with
        that voucher's sequence. Keep the stretch short: a sale waits for it. Raises JournalDamaged."""
        with self._lock:
            self._core.check_sound()
            return self._core.noting_damage(lambda: self._core.read.events_of(kind, first, last, limit))

    def allowance_bytes(self, allowance_hash: bytes) -> bytes | None:
        with self._lock:
            return self._core.read.allowance_bytes(allowance_hash)

    def coupon_used(self, coupon_id: bytes) -> int | None:
        """The sequence that spent this coupon here; outlives pruning."""
        with self._lock:
            return self._core.read.coupon_sequence(coupon_id)

    def meta_get(self, key: str) -> bytes | None:
        with self._lock:
            return self._core.read.meta(key)

    def newest_ack(self) -> bytes | None:
        with self._lock:
            return journal_pruning.newest_ack(self._core.disk)

    def pending_summary(self) -> PendingSummary:
        with self._lock:
            count = self._core.now.sequence - self._core.acked.sequence
            oldest = self._core.read.voucher_entry(self._core.acked.sequence + 1) if count else None
            return PendingSummary(count, oldest.at_s if oldest else None)

    def unratified_sequences(self) -> list[int]:
        """Vouchers whose green is not recorded as shown and that no event has settled; oldest first, bounded."""
        with self._lock:
            left = self._core.read.left_unratified()
            waiting = [sequence for sequence, is_settled in left.items() if not is_settled]
            for sequence in range(self._core.now.ratified_through + 1, self._core.now.sequence + 1):
                if len(waiting) >= UNRATIFIED_SHOWN_MAX:
                    break
                if sequence not in left:
                    waiting.append(sequence)
            shown = sorted(sequence for sequence in waiting if sequence not in self._core.events.ratified)
            return shown[:UNRATIFIED_SHOWN_MAX]

    def is_uncharged(self, sequence: int) -> bool:
        """Did an event end this voucher's wait uncharged? Known until the voucher is pruned."""
        with self._lock:
            return self._core.read.settled(sequence) == SETTLED_UNCHARGED

    def unratified(self) -> list[VoucherRow]:
        """The rows of `unratified_sequences`."""
        found = (self.voucher_at(sequence) for sequence in self.unratified_sequences())
        return [row for row in found if row is not None]

    # --- checking

    def verify_background(self, step_rows: int = journal_recovery.STEP_ROWS) -> Iterator[VerifyStep]:
        """Checks everything, a step per iteration. Raises JournalDamaged, after which nothing is appended or sent."""
        steps = journal_recovery.verify_in_steps(self._core.disk, step_rows)
        while True:
            with self._lock:
                step = self._core.noting_damage(lambda: next(steps, None))
            if step is None:
                return
            yield step

    def export_sound_rows(self, to: Path) -> ExportResult:
        """Writes what is sound to a file; works on a damaged journal."""
        with self._lock:
            return export_rows(self._core.disk, to)

    def reopen_and_verify(self) -> Tail:
        """After StorageFailed: opens again, makes what is there durable, and finds out what became of the last write.

        Compare `tail.sequence` with the voucher whose fate was unknown. Raises StorageFailed again if the disk still
        fails, JournalDamaged if anything acknowledged is gone or damage was found before. Without a failure it does
        nothing.
        """
        with self._lock:
            self._core.reopen()
            return self.tail
