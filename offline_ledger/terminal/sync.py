"""The exchange with the city as a pure machine: answers in, requests out. DESIGN §7.

Trust lists, time, uploads in order, bulletins, deny list; then rest. It opens no socket, reads no clock, starts no
thread: the shell (`sync_loop`) carries requests and says when. A lost or wrong answer is UNKNOWN: what it was about is
sent again. Nothing here ever waits for a decision or holds one up, and nothing the city rejects stops the next.
"""

from collections.abc import Callable
from typing import NamedTuple

from offline_ledger.errors import (
    DeviceBlocked,
    JournalDamaged,
    LedgerRestored,
    LogRewritten,
    Refusal,
    StorageFailed,
    StorageFull,
)
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import StateKey
from offline_ledger.protocol.kinds import VERSION
from offline_ledger.protocol.wallet import NONCE_BYTES
from offline_ledger.rules.training import told_rejected
from offline_ledger.terminal import sync_pace, sync_wire
from offline_ledger.terminal.bulletins import BulletinStore, HeldBulletin, apply_deny_list, take_news
from offline_ledger.terminal.ports import (
    CertificatePort,
    CityAnswer,
    CityRequest,
    DenyListPort,
    Entropy,
    SignedTime,
    SyncJournal,
)
from offline_ledger.terminal.status import Connection, SyncStatus
from offline_ledger.terminal.sync_batches import (
    Place,
    Sender,
    SentBatch,
)
from offline_ledger.terminal.sync_pace import PaceSettings
from offline_ledger.terminal.sync_phases import NEXT, Heard, Phase
from offline_ledger.terminal.sync_record import SyncRecord
from offline_ledger.terminal.sync_upload import Upload
from offline_ledger.terminal.trust import TrustStore


def nobody_asks(_sequence: int) -> None:
    """Without a mark to move: the refusal alone says it."""


class SyncParts(NamedTuple):
    """What the machine works on; all of it is the terminal's own."""

    sender: Sender
    journal: SyncJournal
    trust: TrustStore
    bulletins: BulletinStore
    deny: DenyListPort
    time: SignedTime
    entropy: Entropy
    program_version: str
    certificate: CertificatePort
    told_end: Callable[[int], None] = nobody_asks
    """The city has vouchers of ours up to here, and the journal ends before: to be kept before all else."""


class SyncMachine:
    """One terminal's exchange. Not thread-safe: one shell drives it; `status` may be read from anywhere."""

    def __init__(self, parts: SyncParts, mono_ms: int, settings: PaceSettings | None = None) -> None:
        """Raises JournalDamaged when the journal does not fit what sync remembers of it."""
        self._parts = parts
        self._settings = settings or PaceSettings()
        self._upload = Upload(parts.journal, parts.sender, parts.trust, parts.time, mono_ms, parts.told_end)
        self._pace = sync_pace.pace_at_start(mono_ms, self._settings)
        self._phase = Phase.REST
        self._request: CityRequest | None = None
        self._trouble: Refusal | None = None
        self._connection = Connection()
        self._nonce = b""
        self._news: HeldBulletin | None = None

    # --- what the shell asks

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def sent(self) -> SentBatch | None:
        """The batch under way."""
        return self._upload.sent

    @property
    def record(self) -> SyncRecord:
        """What the city said about our vouchers, for the operator and the staleness rules."""
        return self._upload.record

    def due_in_ms(self, mono_ms: int) -> int:
        """How long the shell may rest; 0: ask `next_request`."""
        return max(0, self._pace.due_ms - mono_ms) if self._phase is Phase.REST else 0

    def wake(self, mono_ms: int) -> None:
        """A voucher was accepted: send soon, unless the link is in back-off."""
        self._pace = sync_pace.apply_wake(self._pace, mono_ms, self._settings)

    def hurry(self, mono_ms: int) -> None:
        """Somebody pressed "sync now", or the network came up: no waiting, and what is held is asked about again."""
        self._upload.recheck(mono_ms)
        self._pace = self._pace._replace(due_ms=mono_ms, wait_ms=self._settings.back_off_first_ms)

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
        held, record = self._upload.held, self._upload.record
        return SyncStatus(
            pending_count=pending.vouchers,
            oldest_pending_at_s=pending.oldest_at_s,
            events_waiting=tail.event_number - tail.acked_event,
            last_ack_at_s=held.ack.issued_at_s if held is not None else None,
            complete_at_s=record.complete_at_s or None,
            is_connected=self._connection.is_up,
            failures=self._pace.failures,
            trouble=DeviceBlocked(f"held from {record.first_held}") if record.first_held else self._connection.trouble,
            rejected=told_rejected(self._parts.sender.city, record.rejected()),
            is_restored=record.is_restored,
        )

    def prunable_through(self) -> int:
        """Vouchers up to here are acknowledged and proven in the log; 0 while the ledger must be recovered from us."""
        return self._upload.prunable_through()

    def leaves_held(self) -> dict[int, bytes]:
        """The city's log as far as we can give it back after a restore: leaf data by index."""
        return self._upload.leaves_held()

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
                    self._request = sync_wire.send_batch(self._build(mono_ms))
                case Phase.BULLETINS:
                    self._request = sync_wire.ask_bulletins(parts.bulletins.have_query(parts.deny.counter))
                case Phase.DENY_LIST:
                    assert self._news is not None
                    self._request = sync_wire.ask_deny_list(self._news.bulletin.version[1])
                case Phase.REST:
                    pass
        except Refusal as refusal:  # a damaged journal sends nothing, but fares and deny list still come
            self._go(self._bad(refusal), mono_ms)

    def _build(self, mono_ms: int) -> bytes:
        try:
            self._parts.journal.flush()
        except (StorageFull, StorageFailed) as refusal:
            self._trouble = refusal  # what is durable goes out all the same
        return self._upload.build(self._pace.batch_vouchers, self._state(), mono_ms)

    def _state(self) -> dict[int, object]:
        parts = self._parts
        pending = parts.journal.pending_summary()
        state: dict[int, object] = {
            StateKey.PENDING: pending.vouchers,
            StateKey.OLDEST_PENDING_AT_S: pending.oldest_at_s,
            StateKey.DENY_LIST_AT_S: self.deny_list_at_s(),
            StateKey.TRUST_LIST_VERSION: parts.trust.version,
            StateKey.BULLETIN_COUNTERS: parts.bulletins.versions(),
            StateKey.PROGRAM_VERSION: parts.program_version,
            StateKey.OBJECT_VERSIONS: [VERSION],
            StateKey.CERTIFICATE_FROM_S: parts.certificate.from_s,
        }
        return {int(key): value for key, value in state.items() if value is not None}

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
        taken = self._upload.read(body)
        if taken.is_progress:
            self._pace = sync_pace.apply_batch_taken(self._pace, self._settings)
        if taken.certificate is not None:
            self._renew(taken.certificate)
        return Heard.MORE if taken.is_more else Heard.DONE

    def _renew(self, certificate: bytes) -> None:
        """A newer certificate that is not taken changes nothing about what was acknowledged beside it."""
        try:
            self._parts.certificate.renew(certificate)
        except Refusal as refusal:
            self._trouble = self._trouble or refusal

    def _read_bulletins(self, body: bytes) -> Heard:
        parts = self._parts
        found = take_news(sync_wire.read_bulletins(body), parts.bulletins, parts.deny)
        for refusal in found.refused:
            self._bad(refusal)
        self._news = found.lacking
        if self._news is None and parts.bulletins.is_deny_list_lost(parts.deny.counter):
            self._news = parts.bulletins.newest_held(BulletinKind.DENY_LIST)
        return Heard.DONE if self._news is None else Heard.MORE

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
        place = Place(*error.resume_at) if error.resume_at is not None else None
        can_resume = self._phase is Phase.UPLOAD and place is not None and self._upload.resume_at(place)
        self._bad(error.refusal)
        return Heard.MORE if can_resume else Heard.BAD

    def _bad(self, refusal: Refusal) -> Heard:
        """Note what was wrong; the first is kept for the screen, a ledger that forgot something over any restart."""
        if isinstance(refusal, LedgerRestored | LogRewritten):
            try:
                self._upload.note_restored()
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
        self._news = None
        chance = int.from_bytes(self._parts.entropy(2), "big")
        if self._trouble is not None:
            self._pace = sync_pace.apply_failed(self._pace, mono_ms, chance, self._settings)
            self._connection = self._connection.after_failure(self._trouble, was_lost=heard is Heard.LOST)
            return
        self._pace = sync_pace.apply_complete(self._pace, mono_ms, chance, self._settings)
        self._connection = self._connection.after_complete()
