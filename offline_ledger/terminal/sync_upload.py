"""The upload side of an exchange: which batch comes next, and what an answer changes for good. DESIGN §7.

Owns the durable record and the newest ack. A power cut between two writes repeats both, with the same result. After a
restore of the city it begins again where the city ends, and takes another log only on the roots' word. Opens no socket,
reads no clock; the phases and the pace are the machine's (`sync`).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from offline_ledger.errors import AnswerInvalid, JournalLost, LedgerRestored
from offline_ledger.terminal.ports import SignedTime, SyncJournal
from offline_ledger.terminal.sync_batches import (
    Acknowledged,
    HeldAck,
    Place,
    Sender,
    SentBatch,
    after_lost_events,
    build_batch,
    check_answer,
    leads_to,
    read_held_ack,
)
from offline_ledger.terminal.sync_leaves import is_moved, keep_ack, leaves_held, places_held
from offline_ledger.terminal.sync_record import SyncRecord, apply_ack, load_record, store_record
from offline_ledger.terminal.trust import TrustStore

HELD_RECHECK_MS = 900_000
"""Vouchers that the city holds for review are sent again this often, to learn what became of them."""


class Taken(NamedTuple):
    """What an answer brought: something new acknowledged, whether more is to be sent now, a newer certificate."""

    is_progress: bool
    is_more: bool
    certificate: bytes | None


class Upload:
    """One terminal's uploads. Not thread-safe: the machine drives it."""

    def __init__(
        self,
        journal: SyncJournal,
        sender: Sender,
        trust: TrustStore,
        time: SignedTime,
        mono_ms: int,
        told_end: Callable[[int], None],
    ) -> None:
        """`told_end`: as in `SyncParts`. Raises JournalDamaged when the journal does not fit what sync remembers."""
        self._told_end = told_end
        self._journal = journal
        self._sender = sender
        self._trust = trust
        self._time = time
        self._record = load_record(journal)
        self._held = read_held_ack(journal.newest_ack(), sender.city)
        self._sent: SentBatch | None = None
        self._wanted: tuple[bytes, ...] = ()
        self._resume: Place | None = None
        self._events_lost_after: int | None = None
        self._recheck_ms = mono_ms
        self._own_place()  # a journal that does not fit is found at start, not in the night

    @property
    def record(self) -> SyncRecord:
        """What the city said about our vouchers."""
        return self._record

    @property
    def held(self) -> HeldAck | None:
        """The newest ack."""
        return self._held

    @property
    def sent(self) -> SentBatch | None:
        """The batch under way."""
        return self._sent

    def recheck(self, mono_ms: int) -> None:
        """Somebody asks: what the city holds is shown to it again with the next batch."""
        self._recheck_ms = mono_ms

    def prunable_through(self) -> int:
        """Vouchers up to here are acknowledged and proven in the log; 0 while the ledger must be recovered from us."""
        if self._record.is_restored:
            return 0
        acked = self._journal.tail.acked_sequence
        return min(acked, self._record.first_held - 1) if self._record.first_held else acked

    def leaves_held(self) -> dict[int, bytes]:
        """The city's log as far as we can give it back after a restore: leaf data by index."""
        return leaves_held(self._journal, self._sender.device, self._places_held())

    # --- out

    def build(self, vouchers_max: int, state: Mapping[int, object], mono_ms: int) -> bytes:
        """The next batch; it may be empty: then it only says that we are here. Raises JournalDamaged."""
        self._sent = build_batch(
            self._journal,
            self._sender,
            self._place(mono_ms),
            vouchers_max,
            self._time.time(),
            self._held,
            state,
            self._wanted,
            self._events_lost_after,
        )
        return self._sent.body

    def _own_place(self) -> Place:
        tail = self._journal.tail
        return Place(tail.acked_sequence, tail.acked_event, self._record.event_head_at(tail.acked_event))

    def _place(self, mono_ms: int) -> Place:
        """After the newest ack; or where a restored city asked us to begin; or, rarely, at what it still holds."""
        own = self._own_place()
        if self._resume is not None:
            return self._resume
        first_held = self._record.first_held
        if first_held and mono_ms >= self._recheck_ms:
            self._recheck_ms = mono_ms + HELD_RECHECK_MS
            return Place(first_held - 1, own.event_number, own.event_head)
        return own

    # --- back

    def read(self, body: bytes) -> Taken:
        """Verify the answer to the batch under way and make it durable.

        Raises AnswerInvalid, UnknownIssuer, IssuerRoleWrong, IssuerKeyExpired, LedgerRestored, JournalLost,
        StorageFull, StorageFailed; then nothing counts as acknowledged.
        """
        sent = self._sent
        assert sent is not None
        # Alarm first; then the roots' word, in their trust list, that a new log has begun: good for one log only.
        named = self._named_lost_log()
        may_be_new_log = self._record.is_restored and named is not None and named != self._record.lost_log
        taken = check_answer(body, sent, self._sender, self._trust.held, self._held, may_be_new_log=may_be_new_log)
        end = taken.end_beyond(sent)
        if end is not None:
            self._told_end(end)
            raise JournalLost(f"it ends at {sent.last_sequence}, the city has vouchers to {end}")
        is_new_log = self._is_new_log(sent, taken, may_be_new_log)
        self._events_lost_after = None
        self._wanted = tuple(digest for digest in taken.wanted if digest not in sent.wanted)
        after = Place(taken.ack.through_sequence, taken.ack.through_event, b"")
        is_progress = not _is_at_least(sent.after, after)
        if not is_progress and not self._wanted and not sent.is_empty:
            raise AnswerInvalid("nothing acknowledged and nothing asked")
        self._time.heard_issued_at(taken.ack.issued_at_s)
        self._take(sent, taken, is_new_log)
        return Taken(is_progress, self._is_left() or bool(self._wanted), taken.certificate)

    def _named_lost_log(self) -> bytes | None:
        begun_after = self._trust.held.trust_list.log_begun_after
        return begun_after[1] if begun_after is not None else None

    def _is_left(self) -> bool:
        tail = self._journal.tail
        return tail.sequence > tail.acked_sequence or tail.event_number > tail.acked_event

    def _is_new_log(self, sent: SentBatch, taken: Acknowledged, may_be_new_log: bool) -> bool:
        """Vouchers that were proven once must stand where they stood, unless the roots have announced a new log."""
        is_repeat = sent.after.sequence < self._own_place().sequence
        if is_repeat and is_moved(taken.ack, self._places_held()):
            if not may_be_new_log:
                raise LedgerRestored("the log has our vouchers elsewhere than it proved before")
            return True
        held = self._held
        return may_be_new_log and not is_repeat and held is not None and taken.ack.log_size < held.ack.log_size

    def _take(self, sent: SentBatch, taken: Acknowledged, is_new_log: bool) -> None:
        """Durable in this order: what the city said of our vouchers, then the ack; a power cut between repeats both."""
        ack, journal = taken.ack, self._journal
        own, tail = self._own_place(), journal.tail
        place = Place(ack.through_sequence, ack.through_event, sent.event_head_at(ack.through_event))
        is_newest = _is_at_least(place, own)
        now = (place.event_number, place.event_head) if is_newest else (own.event_number, own.event_head)
        record = apply_ack(self._record, (own.event_number, own.event_head), now, taken.outcomes())
        if is_newest:
            record = record._replace(is_restored=False, lost_log=self._named_lost_log())
        if is_newest and (place.sequence, place.event_number) == (tail.sequence, tail.event_number):
            record = record._replace(complete_at_s=ack.issued_at_s)
        if ack.outcomes:
            kept_from = record.acks_end if is_new_log else record.acks_from
            keep_ack(journal, record.acks_end, taken.raw)
            record = record._replace(acks_from=kept_from, acks_end=record.acks_end + 1)
        if record != self._record:
            store_record(journal, record)
            self._record = record
        if is_newest:
            journal.record_ack(taken.raw, ack.through_sequence, ack.through_event)
            self._held = HeldAck(taken.raw, ack)
        if self._resume is not None:
            self._resume = None if is_newest else place

    def _places_held(self) -> dict[int, tuple[int, int, int]]:
        return places_held(self._journal, self._sender.city, self._record.acks_from, self._record.acks_end)

    # --- a restored city

    def resume_at(self, place: Place) -> bool:
        """Where the next batch begins, as the city asks. False: we cannot. Events no longer here are given up, but not
        one that is."""
        lost_after, own = place.event_number, self._own_place()
        is_first = self._events_lost_after is None
        self._events_lost_after = None
        begins = after_lost_events(self._journal, place, own)
        if begins is None:
            return self._resume_from(place)
        place = begins._replace(sequence=min(place.sequence, own.sequence))
        if not is_first or not leads_to(self._journal, place, own):
            return False
        self._resume, self._events_lost_after = place, lost_after
        return True

    def _resume_from(self, place: Place) -> bool:
        """The city has our vouchers up to here only: begin again from there, forward only. False: we cannot.

        It may know more of one chain than its newest ack to us said, when an answer was lost: then that chain begins
        again at our own place.
        """
        own = self._own_place()
        event = place if place.event_number < own.event_number else own
        place = Place(min(place.sequence, own.sequence), event.event_number, event.event_head)
        is_forward = self._resume is None or not _is_at_least(self._resume, place)
        if is_forward and leads_to(self._journal, place, own):
            self._resume = place
            return True
        return False

    def note_restored(self) -> None:
        """Remember over any restart that the city is behind what it acknowledged. Raises StorageFull, StorageFailed."""
        if not self._record.is_restored:
            self._record = self._record._replace(is_restored=True)
            store_record(self._journal, self._record)


def _is_at_least(place: Place, other: Place) -> bool:
    return place.sequence >= other.sequence and place.event_number >= other.event_number
