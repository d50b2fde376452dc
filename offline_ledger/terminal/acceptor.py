"""One call from QR text to a durable outcome: rules + journal + signer. DESIGN §5, §6.

The order is part of the contract: evidence → repeat or unratified? → own standing → audience → freshness → deny list
→ amount → counter → reserve → caps → voucher → durable in the journal → the caller may show green → `shown`. Nothing
is green before the journal has it. Never waits for network, screen or log; every method takes its turn under one lock.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from threading import RLock
from typing import NamedTuple, Protocol

from offline_ledger.errors import (
    AllowanceNotYetValid,
    ClockBehind,
    CodeCancelled,
    Conflict,
    Denied,
    DeviceBlocked,
    DeviceCertificateInvalid,
    JournalDamaged,
    JournalLost,
    Refusal,
    StorageFailed,
    StorageFull,
    SumUnderstated,
    TerminalRevoked,
)
from offline_ledger.protocol import cbor, cose, device
from offline_ledger.protocol.cose import Signed, Signer
from offline_ledger.protocol.device import ClockTrust, EventKind, Voucher, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, PASS_ID_BYTES, Kind
from offline_ledger.protocol.wallet import Presentment, authorised_kgo
from offline_ledger.rules import acceptance, freshness, staleness
from offline_ledger.rules.acceptance import Seen
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.evidence import Evidence, EvidenceReader
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_rows import PassState, Tail, VoucherRow
from offline_ledger.terminal.outcome import (
    Charge,
    Counter,
    LastVoucher,
    Light,
    Outcome,
    charge_of,
    light_of,
    occasion_of,
)
from offline_ledger.terminal.unratified import UnratifiedVouchers

NO_MORE_PAID = (TerminalRevoked, DeviceBlocked, JournalLost, DeviceCertificateInvalid)
"""The terminal's own standing, not the code's: out of service."""
PROVEN_MAX = 4096
"""Allowances whose proof is in the journal since this start; who has more than these was issued them by the city."""


class Conditions(Protocol):
    """What else this terminal knows at this moment: the time, the deny list, the caps that age has left. The clock is
    read once for each decision: `at` is that reading."""

    def time(self) -> TimeNow:
        """Now, and how far it is trusted."""
        ...

    def is_denied(self, pass_id: bytes) -> bool:
        """Whether the newest deny list names this pass."""
        ...

    def check_standing(self, sequence: int, at: TimeNow) -> None:
        """Whether the city still pays this terminal's next voucher. Raises TerminalRevoked, DeviceBlocked,
        JournalLost, DeviceCertificateInvalid."""
        ...

    def check_amount(
        self, evidence: Evidence, charge_kgo: int, spent_here_kgo: int, unacked_kgo: int, at: TimeNow
    ) -> None:
        """One-way cap, a, F, H and staleness. Raises one refusal each."""
        ...

    def floor_meta(self, evidence: Evidence, at: TimeNow) -> Mapping[str, bytes]:
        """The one-way count under `floor`, to be made durable with the voucher. Raises FloorCountUsedUp."""
        ...

    def was_accepted(self, evidence: Evidence, at: TimeNow) -> None:
        """The voucher is durable: what `floor_meta` promised is now so."""
        ...


class Identity(NamedTuple):
    """Who this terminal is."""

    city: str
    device: str
    key_id: bytes


class Acceptor:
    """The heart of a terminal; `reader`, `journal` and `signer` are its own."""

    def __init__(
        self,
        identity: Identity,
        journal: Journal,
        signer: Signer,
        reader: EvidenceReader,
        conditions: Conditions,
        limits: Limits,
    ) -> None:
        self._identity = identity
        self._journal = journal
        self._signer = signer
        self._reader = reader
        self._conditions = conditions
        self._limits = limits
        self._aad = cose.external_aad(Kind.VOUCHER, identity.city)
        self._lock = RLock()
        self._proven: OrderedDict[bytes, None] = OrderedDict()
        self.unratified = UnratifiedVouchers(journal, limits.unratified_s)

    def accept(self, text: str, counter: Counter) -> Outcome:
        """Decide one scanned text at this counter. Never raises a refusal: it is in the outcome."""
        with self._lock:
            at = self._conditions.time()
            evidence: Evidence | None = None
            try:
                evidence = self._reader.read(text, at.at_s, self._limits.skew_s)
                return self._decide(evidence, counter, at)
            except (StorageFailed, StorageFull, JournalDamaged) as failure:
                return Outcome(Light.OUT_OF_SERVICE, refusal=failure)
            except Refusal as refusal:
                return self._refused(_by_what_we_know(refusal, at), text, evidence, at)

    def shown(self, outcome: Outcome) -> None:
        """The green was really shown: it is recorded within a second, with the next append or `tick`."""
        if outcome.voucher is not None and outcome.sequence is not None:
            self._journal.ratify(outcome.sequence)

    def tick(self, mono_ms: int) -> None:
        """Call at least once a second: flushes ratifications, counts powered time of unratified vouchers.

        Raises StorageFull, StorageFailed.
        """
        with self._lock:
            self._journal.flush()
            self.unratified.tick(mono_ms, self._conditions.time())

    def void(self, sequence: int) -> bool:
        """The cashier voids a sale that waits for its green: it is not charged. False: it waits no more.

        Raises StorageFull, StorageFailed.
        """
        with self._lock:
            return self.unratified.void(sequence, self._conditions.time())

    # --- inside, in the order of DESIGN §5

    def _decide(self, evidence: Evidence, counter: Counter, at: TimeNow) -> Outcome:
        shown = evidence.wallet_object
        state = self._journal.state_of(pass_key(evidence.allowance_signed))
        seen = _seen(state)
        tail = self._journal.tail
        if state is not None and acceptance.is_same_intent(shown, seen):
            return self._repeated(evidence, counter, state, at)
        self._conditions.check_standing(tail.sequence + 1, at)
        if isinstance(shown, Presentment):
            acceptance.check_audience(shown, counter.audience)
            freshness.check_fresh(at, shown.at_s, shown.valid_s, self._limits)
        if self._conditions.is_denied(evidence.allowance.pass_id):
            raise Denied()
        last = cache(lambda: self._last_voucher(state))
        charge = counter.charge(evidence.allowance, shown, last, at)
        acceptance.check_charge(shown, charge.kgo)
        acceptance.check_counter(shown, seen)
        if state is not None and self.unratified.is_waiting(state.last_sequence):
            if _is_same_occasion(last, charge):
                return self._uncharged_green(evidence, state, at)
        elif state is not None and charge.kind is VoucherKind.SALE and _is_same_occasion(last, charge):
            return Outcome(Light.ALREADY_ACCEPTED, state.last_sequence)  # one sale is charged once, whatever the n
        staleness.check_reserve(shown.sum_kgo, charge.kgo, evidence.allowance.reserve_kgo)
        spent_here_kgo = state.spent_here_kgo if state is not None else 0
        self._conditions.check_amount(evidence, charge.kgo, spent_here_kgo, tail.accepted_value_kgo_unacked, at)
        return self._write(evidence, charge, spent_here_kgo, at, tail)

    def _write(self, evidence: Evidence, charge: Charge, spent_here_kgo: int, at: TimeNow, tail: Tail) -> Outcome:
        meta = self._conditions.floor_meta(evidence, at)
        signed = self._sign(
            Voucher(
                device=self._identity.device,
                sequence=tail.sequence + 1,
                previous=tail.identity,
                at_s=at.at_s,
                trust=int(at.trust),
                kind=int(charge.kind),
                kgo=charge.kgo,
                satang=charge.satang,
                object_hash=evidence.wallet_signed.identity,
                product=charge.product,
                bulletin=charge.bulletin,
                place=charge.place,
                reward_kgo=charge.reward_kgo,
                refers_to=None,
            )
        )
        key = pass_key(evidence.allowance_signed)
        shown = evidence.wallet_object
        row = VoucherRow(
            sequence=tail.sequence + 1,
            previous=tail.identity,
            identity=signed.identity,
            voucher=signed.raw,
            wallet_object=evidence.wallet_signed.raw,
            allowance_hash=evidence.allowance_signed.identity,
            pass_id=key,
            kgo=charge.kgo,
            thb_satang=charge.satang,
            at_s=at.at_s,
            kind=charge.kind,
        )
        state = _state_after(evidence, key, spent_here_kgo + charge.kgo, row.sequence, at.at_s)
        self._journal.append(row, state=state, allowance=evidence.allowance_signed.raw, meta=meta)
        # From here on the wallet has paid, whatever happens to this process: a power cut leaves it unratified.
        self._conditions.was_accepted(evidence, at)
        assert shown.n == state.last_n
        return Outcome(light_of(charge), row.sequence, charge, signed)

    def _sign(self, voucher: Voucher) -> Signed:
        return cose.sign1(device.VOUCHER.encode(voucher), self._aad, self._identity.key_id, self._signer.sign)

    def _repeated(self, evidence: Evidence, counter: Counter, state: PassState, at: TimeNow) -> Outcome:
        """The same intent again: one uncharged green while its voucher is unratified, else already accepted. It keeps
        its green while another sale is open. Raises CodeCancelled when the cashier voided what it paid."""
        if self.unratified.is_waiting(state.last_sequence):
            made = self._last_voucher(state)
            if made is not None and counter.is_busy_with_other(made):
                return Outcome(Light.ALREADY_ACCEPTED, state.last_sequence)
            return self._uncharged_green(evidence, state, at)
        if self._journal.is_uncharged(state.last_sequence):
            row = self._journal.voucher_at(state.last_sequence)
            if row is not None and row.kind == VoucherKind.SALE:
                raise CodeCancelled(str(state.last_sequence))
        return Outcome(Light.ALREADY_ACCEPTED, state.last_sequence)

    def _uncharged_green(self, evidence: Evidence, state: PassState, at: TimeNow) -> Outcome:
        """Journaled first, then green: the rider who was charged in the crash gets what was paid for, once."""
        shown = evidence.wallet_object
        body = cbor.encode([state.last_sequence, at.at_s, shown.n, evidence.wallet_signed.raw])
        after = _state_after(
            evidence, pass_key(evidence.allowance_signed), state.spent_here_kgo, state.last_sequence, at.at_s
        )
        self._journal.settle_unratified(state.last_sequence, EventKind.UNCHARGED_GREEN, body, state=after)
        self.unratified.settled(state.last_sequence)
        last = self._last_voucher(state)
        if last is None:  # cannot be: no row is pruned while it waits; who paid gets the green all the same
            return Outcome(Light.ACCEPTED, state.last_sequence, is_uncharged_green=True)
        charge = charge_of(last)
        return Outcome(light_of(charge), state.last_sequence, charge, is_uncharged_green=True)

    def _last_voucher(self, state: PassState | None) -> Voucher | None:
        row = self._journal.voucher_at(state.last_sequence) if state is not None else None
        if row is None:
            return None
        signed = cose.parse_sign1(row.voucher, self._aad)
        return device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)

    def _refused(self, refusal: Refusal, text: str, evidence: Evidence | None, at: TimeNow) -> Outcome:
        """Refusals are journaled too, bounded; a proof of equivocation durably, with both payloads, once per allowance:
        one is enough to freeze the account."""
        try:
            if (
                isinstance(refusal, Conflict | SumUnderstated)
                and evidence is not None
                and not self._is_proven(evidence)
            ):
                self._keep_proof(evidence, refusal, at)
            else:
                digest = sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]
                body = cbor.encode([refusal.number, at.at_s, digest])
                self._journal.append_event(EventKind.REFUSAL, body, durable=False, day=civil_day(at.at_s))
        except (StorageFailed, StorageFull, JournalDamaged) as failure:
            return Outcome(Light.OUT_OF_SERVICE, refusal=failure)
        if isinstance(refusal, NO_MORE_PAID):
            return Outcome(Light.OUT_OF_SERVICE, refusal=refusal)
        light = Light.TRY_AGAIN if refusal.waiting_helps and evidence is None else Light.REFUSED
        return Outcome(light, refusal=refusal)

    def _keep_proof(self, evidence: Evidence, refusal: Refusal, at: TimeNow) -> None:
        state = self._journal.state_of(pass_key(evidence.allowance_signed))
        row = self._journal.voucher_at(state.last_sequence) if state is not None else None
        earlier = row.wallet_object if row is not None and row.wallet_object is not None else b""
        body = cbor.encode(
            [refusal.number, at.at_s, evidence.allowance_signed.raw, earlier, evidence.wallet_signed.raw]
        )
        self._journal.append_event(EventKind.CONFLICT, body, durable=True)
        self._proven[evidence.allowance_signed.identity] = None
        if len(self._proven) > PROVEN_MAX:
            self._proven.popitem(last=False)

    def _is_proven(self, evidence: Evidence) -> bool:
        return evidence.allowance_signed.identity in self._proven


def _is_same_occasion(last: LastVoucher, charge: Charge) -> bool:
    """Is this what the last voucher of the allowance was made for: the same sale, or the same trip and amount?"""
    made = last()
    return made is not None and occasion_of(made.place, made.kgo) == occasion_of(charge.place, charge.kgo)


def _by_what_we_know(refusal: Refusal, at: TimeNow) -> Refusal:
    """An allowance from after the earliest possible time is our clock's fault, not the customer's."""
    is_ours = isinstance(refusal, AllowanceNotYetValid) and at.trust is ClockTrust.FLOOR
    return ClockBehind(refusal.detail) if is_ours else refusal


def pass_key(allowance: Signed) -> bytes:
    """What last-seen state is kept by: n and S are per allowance, and a card's pass id spans several of those."""
    return allowance.identity[:PASS_ID_BYTES]


def _seen(state: PassState | None) -> Seen | None:
    if state is None:
        return None
    return Seen(state.last_n, state.last_s_kgo, state.last_authorised_kgo, state.last_identity)


def _state_after(evidence: Evidence, key: bytes, spent_here_kgo: int, sequence: int, at_s: int) -> PassState:
    shown = evidence.wallet_object
    return PassState(
        pass_id=key,
        last_n=shown.n,
        last_s_kgo=shown.sum_kgo,
        last_authorised_kgo=authorised_kgo(shown),
        spent_here_kgo=spent_here_kgo,
        last_sequence=sequence,
        last_identity=evidence.intent,
        last_at_s=at_s,
        expiry_s=evidence.allowance.expires_at_s,
    )
