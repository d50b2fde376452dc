"""The exchange with the city as a pure machine: answers in, requests out. DESIGN §7.

Trust lists, time, uploads in order, bulletins, deny list; then rest. It opens no socket, reads no clock, starts no
thread: the shell (`sync_loop`) carries requests and says when. A lost or wrong answer is UNKNOWN: what it was about is
sent again. Nothing here ever waits for a decision or holds one up, and nothing the city rejects stops the next.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from offline_ledger.errors import (
    AnswerInvalid,
    JournalDamaged,
    LedgerRestored,
    Refusal,
    StorageFailed,
    StorageFull,
)
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import StateKey
from offline_ledger.protocol.kinds import VERSION
from offline_ledger.protocol.wallet import NONCE_BYTES
from offline_ledger.terminal import sync_pace, sync_wire
from offline_ledger.terminal.bulletins import BulletinStore, HeldBulletin, apply_deny_list
from offline_ledger.terminal.ports import CityAnswer, CityRequest, DenyListPort, Entropy, SignedTime, SyncJournal
from offline_ledger.terminal.status import Connection, SyncStatus
from offline_ledger.terminal.sync_batches import (
    Acknowledged,
    Place,
    Sender,
    SentBatch,
    build_batch,
    check_answer,
    leads_to,
)
from offline_ledger.terminal.sync_batches import read_held_ack as read_ack
from offline_ledger.terminal.sync_leaves import is_moved, keep_ack, leaves_held, places_held
from offline_ledger.terminal.sync_pace import PaceSettings
from offline_ledger.terminal.sync_phases import NEXT, Heard, Phase
from offline_ledger.terminal.sync_record import SyncRecord, apply_ack, load_record, store_record
from offline_ledger.terminal.trust import TrustStore

HELD_RECHECK_MS = 3_600_000
"""Vouchers that the city holds for review are sent again this often, to learn what became of them."""


@dataclass(frozen=True, slots=True)
class SyncParts:
    """What the machine works on; all of it is the terminal's own."""

    sender: Sender
    journal: SyncJournal
    trust: TrustStore
    bulletins: BulletinStore
    deny: DenyListPort
    time: SignedTime
    entropy: Entropy
    program_version: str


class SyncMachine:
    """One terminal's exchange. Not thread-safe: one shell drives it; `status` may be read from anywhere."""

    def __init__(self, parts: SyncParts, mono_ms: int, settings: PaceSettings | None = None) -> None:
        """Raises JournalDamaged when the journal does not fit what sync remembers of it."""
        self._parts = parts
        self._settings = settings or PaceSettings()
        self._record = load_record(parts.journal)
        self._held = read_ack(parts.journal.newest_ack(), parts.sender.city)
        self._pace = sync_pace.pace_at_start(mono_ms, self._settings)
        self._phase = Phase.REST
        self._request: CityRequest | None = None
        self._trouble: Refusal | None = None
        self._connection = Connection()
        self._sent: SentBatch | None = None
        self._nonce = b""
        self._wanted: tuple[bytes, ...] = ()
        self._resume: Place | None = None
        self._recheck_ms = mono_ms
        self._news: HeldBulletin | None = None
        self._own_place()  # a journal that does not fit is found at start, not in the night

    # --- what the shell asks

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def sent(self) -> SentBatch | None:
        """The batch under way."""
        return self._sent

    @property
    def record(self) -> SyncRecord:
        """What the city said about our vouchers, for the operator and the staleness rules."""
        return self._record

    def due_in_ms(self, mono_ms: int) -> int:
        """How long the shell may rest; 0: ask `next_request`."""
        return max(0, self._pace.due_ms - mono_ms) if self._phase is Phase.REST else 0

    def wake(self, mono_ms: int) -> None:
        """A voucher was accepted: send soon, unless the link is in back-off."""
        self._pace = sync_pace.apply_wake(self._pace, mono_ms, self._settings)

    def hurry(self, mono_ms: int) -> None:
        """Somebody pressed "sync now", or the network came up: no waiting."""
        self._pace = replace(self._pace, due_ms=mono_ms, wait_ms=self._settings.back_off_first_ms)

    def next_request(self, mono_ms: int) -> CityRequest | None:
        """The request to carry now; None: nothing is due. The same one again until it is heard or lost."""
        if self._phase is Phase.REST:
            if self.due_in_ms(mono_ms):
                return None
            self._trouble = None
            self._phase = Phase.TRUST
        while self._request is None and self.phase is not Phase.REST:
            self._make(mono_ms)
        return self._request

    def hear(self, answer: CityAnswer, sent_mono_ms: int, received_mono_ms: int) -> None:
        """A complete answer came to the request under way."""
        if self._request is None:
            return  # nobody asked: an answer that comes twice changes nothing
        self._request = None
        try:
            if answer.status != sync_wire.HTTP_OK:
                heard = self._refused(answer)
            else:
                heard = self._read(answer.body, sent_mono_ms, received_mono_ms)
        except (StorageFailed, StorageFull, JournalDamaged) as refusal:
            self._trouble, heard = refusal, Heard.LOST  # not recorded, so not acknowledged: it is sent again
        except Refusal as refusal:
            heard = self._bad(refusal)
        self._go(heard, received_mono_ms)

    def lose(self, refusal: Refusal, mono_ms: int) -> None:
        """No complete answer came: whether the city has it is UNKNOWN, so it is sent again after a while."""
        if self._request is None:
            return
        self._request = None
        if self._phase is Phase.UPLOAD:
            self._pace = sync_pace.apply_batch_lost(self._pace)
        self._trouble = refusal
        self._go(Heard.LOST, mono_ms)

    def status(self) -> SyncStatus:
        """For screens, lamps and `diagnose`."""
        pending = self._parts.journal.pending_summary()
        tail = self._parts.journal.tail
        return SyncStatus(
            pending_count=pending.count,
            oldest_pending_at_s=pending.oldest_at_s,
            events_waiting=tail.event_number - tail.acked_event,
            last_ack_at_s=self._held.ack.issued_at_s if self._held is not None else None,
            complete_at_s=self._record.complete_at_s or None,
            is_connected=self._connection.is_up,
            failures=self._pace.failures,
            trouble=self._connection.trouble,
            rejected=self._record.rejected(),
            is_restored=self._record.is_restored,
        )

    def prunable_through(self) -> int:
        """Vouchers up to here are acknowledged and proven in the log; 0 while the ledger must be recovered from us."""
        if self._record.is_restored:
            return 0
        acked = self._parts.journal.tail.acked_sequence
        return min(acked, self._record.first_held - 1) if self._record.first_held else acked

    def leaves_held(self) -> dict[int, bytes]:
        """The city's log as far as we can give it back after a restore: leaf data by index."""
        return leaves_held(self._parts.journal, self._parts.sender.device, self._places_held())

    def _places_held(self) -> dict[int, tuple[int, int, int]]:
        record = self._record
        return places_held(self._parts.journal, self._parts.sender.city, record.acks_from, record.acks_end)

    def deny_list_at_s(self) -> int | None:
        """When the deny list in use was drawn up; None: there is none, or it was damaged and must be fetched again."""
        return self._parts.bulletins.deny_list_as_of_s(self._parts.deny.counter)

    # --- making requests

    def _make(self, mono_ms: int) -> None:
        parts = self._parts
        try:
            match self._phase:
                case Phase.TRUST:
                    self._request = sync_wire.ask_trust_lists(parts.trust.version)
                case Phase.TIME:
                    self._nonce = parts.entropy(NONCE_BYTES)
                    self._request = sync_wire.ask_time(parts.sender.device, self._nonce)
                case Phase.UPLOAD:
                    self._sent = self._build(mono_ms)
                    self._request = sync_wire.send_batch(self._sent.body)
                case Phase.BULLETINS:
                    self._request = sync_wire.ask_bulletins(parts.bulletins.have_query(parts.deny.counter))
                case Phase.DENY_LIST:
                    assert self._news is not None
                    self._request = sync_wire.ask_deny_list(self._news.bulletin.version[1])
                case Phase.REST:
                    pass
        except Refusal as refusal:  # a damaged journal sends nothing, but fares and deny list still come
            self._go(self._bad(refusal), mono_ms)

    def _build(self, mono_ms: int) -> SentBatch:
        journal = self._parts.journal
        try:
            journal.flush()
        except (StorageFull, StorageFailed) as refusal:
            self._trouble = refusal  # what is durable goes out all the same
        return build_batch(
            journal,
            self._parts.sender,
            self._place(mono_ms),
            self._pace.batch_vouchers,
            self._parts.time.time(),
            self._held,
            self._state(),
            self._wanted,
        )

    def _own_place(self) -> Place:
        tail = self._parts.journal.tail
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

    def _state(self) -> dict[int, object]:
        parts = self._parts
        pending = parts.journal.pending_summary()
        return {
            StateKey.PENDING: pending.count,
            StateKey.OLDEST_PENDING_AT_S: pending.oldest_at_s or 0,
            StateKey.DENY_LIST_AT_S: self.deny_list_at_s() or 0,
            StateKey.TRUST_LIST_VERSION: parts.trust.version,
            StateKey.BULLETIN_COUNTERS: parts.bulletins.versions(),
            StateKey.PROGRAM_VERSION: parts.program_version,
            StateKey.OBJECT_VERSIONS: [VERSION],
        }

    # --- hearing answers

    def _read(self, body: bytes, sent_mono_ms: int, received_mono_ms: int) -> Heard:
        readers: dict[Phase, Callable[[], Heard]] = {
            Phase.TRUST: lambda: self._read_trust(body),
            Phase.TIME: lambda: self._read_time(body, sent_mono_ms, received_mono_ms),
            Phase.UPLOAD: lambda: self._read_answer(body),
            Phase.BULLETINS: lambda: self._read_bulletins(body),
            Phase.DENY_LIST: lambda: self._read_deny_list(body),
        }
        return readers[self._phase]()

    def _read_trust(self, body: bytes) -> Heard:
        lists = sync_wire.read_trust_lists(body)
        self._parts.trust.accept(lists)
        return Heard.MORE if lists else Heard.DONE

    def _read_time(self, body: bytes, sent_mono_ms: int, received_mono_ms: int) -> Heard:
        parts = self._parts
        sender = parts.sender
        answer = sync_wire.read_time_answer(body, sender.city, sender.device, self._nonce, parts.trust.held)
        parts.time.heard_time_answer(answer.issued_at_s, sent_mono_ms, received_mono_ms)
        return Heard.DONE

    def _read_answer(self, body: bytes) -> Heard:
        sent = self._sent
        assert sent is not None
        # Alarm first; then the roots' raised list is their word that a new log has begun.
        may_be_new_log = self._record.is_restored and self._record.ack_trust_version < self._parts.trust.version
        taken = check_answer(
            body, sent, self._parts.sender, self._parts.trust.held, self._held, may_be_new_log=may_be_new_log
        )
        is_new_log = self._is_new_log(sent, taken, may_be_new_log)
        is_progress = taken.ack.through_sequence > sent.after.sequence or taken.ack.through_event > (
            sent.after.event_number
        )
        self._take_ack(sent, taken, is_new_log)
        wanted = tuple(digest for digest in taken.wanted if digest not in sent.wanted)
        self._wanted = wanted
        is_empty = sent.last_sequence == sent.after.sequence and sent.last_event == sent.after.event_number
        if is_progress:
            self._pace = sync_pace.apply_batch_taken(self._pace, self._settings)
        elif not is_empty and not wanted:
            raise AnswerInvalid("nothing acknowledged and nothing asked")
        tail = self._parts.journal.tail
        is_left = tail.sequence > tail.acked_sequence or tail.event_number > tail.acked_event
        return Heard.MORE if is_left or wanted else Heard.DONE

    def _is_new_log(self, sent: SentBatch, taken: Acknowledged, may_be_new_log: bool) -> bool:
        """Vouchers that were proven once must stand where they stood, unless the roots have announced a new log."""
        is_repeat = sent.after.sequence < self._own_place().sequence
        if is_repeat and is_moved(taken.ack, self._places_held()):
            if not may_be_new_log:
                raise LedgerRestored("the log has our vouchers elsewhere than it proved before")
            return True
        held = self._held
        return may_be_new_log and not is_repeat and held is not None and taken.ack.log_size < held.ack.log_size

    def _take_ack(self, sent: SentBatch, taken: Acknowledged, is_new_log: bool) -> None:
        """Durable in this order: what the city said of our vouchers, then the ack; a power cut between repeats both."""
        ack, journal = taken.ack, self._parts.journal
        own = self._own_place()
        place = Place(ack.through_sequence, ack.through_event, sent.event_head_at(ack.through_event))
        is_newest = _is_at_least(place, own)
        now = (place.event_number, place.event_head) if is_newest else (own.event_number, own.event_head)
        record = apply_ack(self._record, (own.event_number, own.event_head), now, taken.outcomes())
        if is_newest:
            record = replace(record, is_restored=False, ack_trust_version=self._parts.trust.version)
        if ack.outcomes:
            kept_from = record.acks_end if is_new_log else record.acks_from
            keep_ack(journal, record.acks_end, taken.raw)
            record = replace(record, acks_from=kept_from, acks_end=record.acks_end + 1)
        if record != self._record:
            store_record(journal, record)
            self._record = record
        if is_newest:
            journal.record_ack(taken.raw, ack.through_sequence, ack.through_event)
            self._held = read_ack(taken.raw, self._parts.sender.city)
        if self._resume is not None:
            self._resume = None if is_newest else place
        self._parts.time.heard_issued_at(ack.issued_at_s)

    def _read_bulletins(self, body: bytes) -> Heard:
        """Each bulletin is judged alone: a bad one keeps no other back."""
        parts, heard = self._parts, Heard.DONE
        for raw in sync_wire.read_bulletins(body):
            try:
                news = parts.bulletins.check(raw)
                if news is None:
                    continue
                is_list = news.bulletin.kind == BulletinKind.DENY_LIST
                if is_list and not apply_deny_list(news, parts.deny, None):
                    self._news, heard = news, Heard.MORE
                    continue
                parts.bulletins.take(news)
            except (StorageFailed, StorageFull):
                raise
            except Refusal as refusal:
                self._bad(refusal)
        if self._news is None and parts.bulletins.is_deny_list_lost(parts.deny.counter):
            self._news, heard = parts.bulletins.newest_held(BulletinKind.DENY_LIST), Heard.MORE
        return heard

    def _read_deny_list(self, body: bytes) -> Heard:
        news, bulletins = self._news, self._parts.bulletins
        assert news is not None
        apply_deny_list(news, self._parts.deny, body)
        if news is not bulletins.newest_held(BulletinKind.DENY_LIST):
            bulletins.take(news)
        return Heard.DONE

    # --- trouble

    def _refused(self, answer: CityAnswer) -> Heard:
        error = sync_wire.read_error(answer)
        if self._phase is Phase.UPLOAD and error.resume_at is not None and self._resumes_at(Place(*error.resume_at)):
            self._bad(error.refusal)
            return Heard.MORE
        return self._bad(error.refusal)

    def _resumes_at(self, place: Place) -> bool:
        """A restored city has our vouchers up to here only: begin again from there, forward only."""
        own = self._own_place()
        is_forward = self._resume is None or not _is_at_least(self._resume, place)
        if is_forward and leads_to(self._parts.journal, place, own):
            self._resume = place
            return True
        return False

    def _bad(self, refusal: Refusal) -> Heard:
        """Note what was wrong; the worst is kept for the screen, and a restored ledger over any restart."""
        if isinstance(refusal, LedgerRestored) and not self._record.is_restored:
            self._record = replace(self._record, is_restored=True)
            try:
                store_record(self._parts.journal, self._record)
            except (StorageFull, StorageFailed) as failure:
                self._trouble = failure  # known until the power goes; the next answer will say it again
        if self._phase is Phase.UPLOAD:  # a smaller batch finds its way around what the city stumbles over
            self._pace = sync_pace.apply_batch_lost(self._pace)
        self._trouble = self._trouble or refusal
        return Heard.BAD

    def _go(self, heard: Heard, mono_ms: int) -> None:
        self._phase = NEXT[self._phase, heard]
        if self._phase is not Phase.REST:
            return
        self._sent, self._news = None, None
        chance = int.from_bytes(self._parts.entropy(2), "big")
        if self._trouble is not None:
            self._pace = sync_pace.apply_failed(self._pace, mono_ms, chance, self._settings)
            self._connection = self._connection.after_failure(self._trouble, was_lost=heard is Heard.LOST)
            return
        self._pace = sync_pace.apply_complete(self._pace, mono_ms, chance, self._settings)
        self._connection = self._connection.after_complete()
        self._record = replace(self._record, complete_at_s=self._parts.time.time().at_s)
        try:
            store_record(self._parts.journal, self._record)
        except (StorageFull, StorageFailed) as refusal:
            self._connection = self._connection.after_failure(refusal, was_lost=False)


def _is_at_least(place: Place, other: Place) -> bool:
    return place.sequence >= other.sequence and place.event_number >= other.event_number
