"""One call from QR text, or two for a card's tap, to a durable outcome: rules + journal + signer. DESIGN §5, §6.

The order is part of the contract: evidence → repeat or unratified? → own standing → audience → freshness → deny list
→ amount → counter → reserve → caps → voucher → durable in the journal → the caller may show green → `shown`. Nothing
is green before the journal has it. A card is asked first (`ask`): its payment comes back bound to a durable request.
Never waits for network, screen, card or log; every method takes its turn under one lock.
"""

from contextlib import suppress
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from offline_ledger.errors import (
    AllowanceNotYetValid,
    ClockBehind,
    CodeCancelled,
    Denied,
    JournalDamaged,
    NothingToAnnul,
    Refusal,
    RequestMismatch,
    StorageFailed,
    StorageFull,
)
from offline_ledger.protocol import cbor
from offline_ledger.protocol.cose import Signed, Signer
from offline_ledger.protocol.device import ClockTrust, EventKind, PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.kinds import PASS_ID_BYTES, Kind
from offline_ledger.protocol.wallet import Payment, Presentment, authorised_kgo
from offline_ledger.rules import acceptance, freshness, staleness
from offline_ledger.rules.acceptance import Seen
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.coupon import Here
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal import coupon_reading
from offline_ledger.terminal.annulled import AnnulledVouchers
from offline_ledger.terminal.card_desk import CardOffer
from offline_ledger.terminal.coupon_reading import CouponEvidence, CouponReader
from offline_ledger.terminal.evidence import Evidence, EvidenceReader, Issued
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_rows import PassState
from offline_ledger.terminal.outcome import (
    Charge,
    Counter,
    Last,
    LastVoucher,
    Light,
    Outcome,
    charge_of,
    light_of,
    occasion_of,
)
from offline_ledger.terminal.payment_requests import Asked, PaymentRequests, Requester
from offline_ledger.terminal.ports import KEY_SAYS_NO, Conditions, Entropy
from offline_ledger.terminal.refusal_log import NO_MORE_PAID, RefusalLog
from offline_ledger.terminal.till_vouchers import TillParts, TillVouchers
from offline_ledger.terminal.unratified import UnratifiedVouchers
from offline_ledger.terminal.voucher_writer import Accepted, Identity, VoucherWriter

if TYPE_CHECKING:
    from offline_ledger.terminal.refund_asking import RefundAsking

__all__ = ["Acceptor", "CardStep", "Identity", "pass_key"]

WHERE = frozenset({PlaceKey.ROUTE, PlaceKey.TRIP, PlaceKey.STOP})
"""Of a boarding's place, what an annulment repeats."""
DISK_SAYS_NO = (StorageFailed, StorageFull, JournalDamaged, *KEY_SAYS_NO)
"""Nothing can be made durable, or nothing signed: out of service, whatever was shown."""


class CardStep(NamedTuple):
    """What a card's offer leads to: a request to put to it, or an outcome that stands already."""

    request: bytes | None
    outcome: Outcome | None


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
        entropy: Entropy,
    ) -> None:
        """Raises JournalDamaged when what the journal keeps beside its vouchers is not ours."""
        self._journal = journal
        self._reader = reader
        self._conditions = conditions
        self._limits = limits
        self._lock = RLock()
        self._vouchers = VoucherWriter(identity, journal, signer)
        self._refusals = RefusalLog(journal)
        who = Requester(identity.city, identity.device, identity.owner, identity.key_id, signer)
        self._requests = PaymentRequests(journal, who, limits, entropy)
        self._annulled = AnnulledVouchers(journal)
        self._coupons = CouponReader(identity.city, reader.keys)
        self._device = identity.device
        self.unratified = UnratifiedVouchers(journal, limits.unratified_s)
        mine = (self._lock, journal, self._vouchers, self._requests, self.unratified, conditions)
        self.till = TillVouchers(TillParts(*mine, self._cancel, self._has_no_light))
        self._asking = (self._lock, journal, signer, identity.key_id, identity.city, identity.device, conditions)

    def refunds(self) -> "RefundAsking":
        """What a till asks of the city for other tills' sales; a bus never does, and loads nothing of it."""
        from offline_ledger.terminal.refund_asking import AskingParts, RefundAsking

        return RefundAsking(AskingParts(*self._asking))

    def accept(self, text: str, counter: Counter) -> Outcome:
        """Decide one scanned text at this counter. Never raises a refusal: it is in the outcome."""
        with self._lock:
            at = self._conditions.time()
            evidence: Evidence | None = None
            shown: CouponEvidence | None = None
            try:
                if coupon_reading.is_coupon(text):
                    shown = self._coupons.read(text)
                    return self._noting_repeat(self._decide_coupon(shown, counter, at), shown.signed.raw, at)
                evidence = self._reader.read(text, at.at_s, self._limits.skew_s)
                return self._noting_repeat(self._decide_shown(evidence, counter, at), evidence.wallet_signed.raw, at)
            except DISK_SAYS_NO as failure:
                return Outcome(Light.OUT_OF_SERVICE, refusal=failure)
            except Refusal as refusal:
                said = text.encode("utf-8", "surrogatepass")
                refusal = _by_what_we_know(refusal, at)
                return self._refusals.refused(refusal, said, evidence, at, is_read=shown is not None)

    def ask(self, offer: CardOffer, counter: Counter) -> CardStep:
        """Decide what to ask of a card, whose last payment may be one that we lost. Never raises a refusal."""
        with self._lock:
            at = self._conditions.time()
            issued: Issued | None = None
            evidence: Evidence | None = None
            try:
                issued = self._reader.read_allowance(offer.allowance, at.at_s, self._limits.skew_s)
                if offer.last_payment is not None:
                    evidence = self._payment(offer.allowance, offer.last_payment, at)
                step = self._ask(issued, evidence, counter, at)
                if step.outcome is not None:
                    self._noting_repeat(step.outcome, offer.allowance, at)
                return step
            except DISK_SAYS_NO as failure:
                return CardStep(None, Outcome(Light.OUT_OF_SERVICE, refusal=failure))
            except Refusal as refusal:
                refusal, is_read = _by_what_we_know(refusal, at), issued is not None
                return CardStep(None, self._refusals.refused(refusal, offer.allowance, evidence, at, is_read=is_read))

    def answer(self, offer: CardOffer, payment: bytes, counter: Counter) -> Outcome:
        """Decide a card's payment for the request that `ask` gave. Never raises a refusal."""
        with self._lock:
            at = self._conditions.time()
            evidence: Evidence | None = None
            try:
                evidence = self._payment(offer.allowance, payment, at)
                return self._decide_shown(evidence, counter, at)
            except DISK_SAYS_NO as failure:
                return Outcome(Light.OUT_OF_SERVICE, refusal=failure)
            except Refusal as refusal:
                return self._refusals.refused(_by_what_we_know(refusal, at), payment, evidence, at)

    def holder(self, offer: CardOffer) -> Issued:
        """Whose card it says to be, by an allowance that the city signed and that is good now. Raises its refusals."""
        with self._lock:
            return self._reader.read_allowance(offer.allowance, self._conditions.time().at_s, self._limits.skew_s)

    def not_paid(self, offer: CardOffer, refusal: Refusal) -> Outcome:
        """The card said no to the request: its refusal, journaled. The request stays open for the next tap."""
        with self._lock:
            try:
                return self._refusals.refused(refusal, offer.allowance, None, self._conditions.time())
            except DISK_SAYS_NO as failure:
                return Outcome(Light.OUT_OF_SERVICE, refusal=failure)

    def annul(self, sequence: int) -> Signed:
        """The driver takes back this boarding of ours: all that it took returns. Raises NothingToAnnul (not for one
        whose green nobody saw: it is not charged), StorageFull, StorageFailed, JournalDamaged."""
        with self._lock:
            at = self._conditions.time()
            made = self._vouchers.read(sequence)
            if made is None or made.kind != VoucherKind.BOARDING or self._annulled.has(sequence):
                raise NothingToAnnul(str(sequence))
            if self.unratified.is_waiting(sequence) or self._journal.is_uncharged(sequence):
                raise NothingToAnnul("the last boarding was not completed")
            tail = self._journal.tail
            self._conditions.check_standing(tail.sequence + 1, at)
            place = {key: made.place[key] for key in sorted(made.place) if key in WHERE}
            back = charge_of(made)._replace(kind=VoucherKind.ANNUL, place=place, reward_kgo=None)
            signed = self._vouchers.write(
                tail.sequence + 1,
                Accepted(back, refers_to=sequence, meta=self._annulled.meta_with(sequence)),
                at,
            )
            self._annulled.add(sequence)
            self._has_no_light(tail.sequence + 1)
            return signed

    def shown(self, outcome: Outcome) -> None:
        """The green was really shown: it is recorded within a second, with the next append or `tick`. Not when its wait
        has ended uncharged: the city was told."""
        sequence = outcome.sequence
        if outcome.voucher is not None and sequence is not None and not self.unratified.has_lapsed(sequence):
            self._journal.ratify(sequence)
            self.unratified.settled(sequence)

    def not_shown_yet(self, outcome: Outcome) -> None:
        """The green goes to a lamp that will say when it is on. Until `shown`, its wallet has a green to come."""
        if outcome.voucher is not None and outcome.sequence is not None:
            self.unratified.unseen(outcome.sequence)

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

    def made(self, sequence: int) -> Voucher | None:
        """One of ours as it was signed; None when it is pruned or not there."""
        with self._lock:
            return self._vouchers.read(sequence)

    # --- inside, in the order of DESIGN §5

    def _noting_repeat(self, outcome: Outcome, said: bytes, at: TimeNow) -> Outcome:
        if outcome.light is Light.ALREADY_ACCEPTED:
            self._refusals.repeated(said, at)
        return outcome

    def _payment(self, allowance: bytes, payment: bytes, at: TimeNow) -> Evidence:
        return self._reader.read_objects(allowance, payment, Kind.PAYMENT, at.at_s, self._limits.skew_s)

    def _ask(self, issued: Issued, paid: Evidence | None, counter: Counter, at: TimeNow) -> CardStep:
        """`paid`: what the card paid last, here or elsewhere."""
        if paid is not None and isinstance(paid.wallet_object, Payment):
            if self._requests.find(paid.wallet_object.request_hash) is not None:  # torn: it paid, and we never heard
                return CardStep(None, self._decide_shown(paid, counter, at))
        state = self._journal.state_of(pass_key(issued.signed))
        last = cache(lambda: self._last(state))
        if state is not None and paid is not None and acceptance.is_same_intent(paid.wallet_object, _seen(state)):
            made = last()
            if self.unratified.is_waiting(state.last_sequence):
                return CardStep(None, self._repeated(paid, counter, state, at))
            is_held_again = made is not None and counter.is_repeat(made.voucher, at.at_s - state.last_at_s)
            if made is not None and is_held_again and not made.is_taken_back:
                return CardStep(None, Outcome(Light.ALREADY_ACCEPTED, state.last_sequence))
        tail = self._journal.tail
        self._conditions.check_standing(tail.sequence + 1, at)
        if self._conditions.is_denied(issued.allowance.pass_id):
            raise Denied()
        self._check_pass_back(counter, state, at)
        charge = counter.charge(issued.allowance, None, last, at)
        spent_kgo = _spent_kgo(paid)
        staleness.check_reserve(spent_kgo, charge.kgo, issued.allowance.reserve_kgo)
        spent_here_kgo = state.spent_here_kgo if state is not None else 0
        unacked_kgo = tail.accepted_value_kgo_unacked
        self._conditions.check_amount(issued.allowance, None, charge.kgo, spent_here_kgo, unacked_kgo, at)
        return CardStep(self._requests.ask(issued.allowance.pass_id, charge, at).signed.raw, None)

    def _decide_shown(self, evidence: Evidence, counter: Counter, at: TimeNow) -> Outcome:
        """A payment that is refused although we asked for it, or that is answered by what an earlier one paid: its
        request is cancelled, so that the amount returns; not by a terminal whose words count no more, nor for another
        pass than was asked."""
        shown = evidence.wallet_object
        asked = self._requests.find(shown.request_hash) if isinstance(shown, Payment) else None
        cancelled = asked if asked is not None and asked.is_put_to(evidence.allowance) else None
        try:
            outcome = self._decide(evidence, asked, counter, at)
        except (*DISK_SAYS_NO, *NO_MORE_PAID):
            raise
        except Refusal:
            if cancelled is not None:
                self._cancel(cancelled, at)
            raise
        if cancelled is not None and outcome.voucher is None:
            with suppress(*DISK_SAYS_NO):  # its light is decided; `tick` hears it, and the next tap finds it open
                self._cancel(cancelled, at)
        return outcome

    def _decide(self, evidence: Evidence, asked: Asked | None, counter: Counter, at: TimeNow) -> Outcome:
        shown = evidence.wallet_object
        state = self._journal.state_of(pass_key(evidence.allowance_signed))
        seen, tail, now = _seen(state), self._journal.tail, at
        if state is not None and acceptance.is_same_intent(shown, seen):
            return self._repeated(evidence, counter, state, at)
        self._conditions.check_standing(tail.sequence + 1, at)
        if isinstance(shown, Presentment):
            acceptance.check_audience(shown, counter.audience)
            freshness.check_fresh(at, shown.at_s, shown.valid_s, self._limits)
        else:
            asked = self._requests.check(asked, evidence.allowance, at)
            at = asked.at or at  # the tap began when the card was asked, and its fare is of that moment
        if self._conditions.is_denied(evidence.allowance.pass_id):
            raise Denied()
        last = cache(lambda: self._last(state))
        charge = asked.charge if asked is not None else None
        if charge is None:
            charge = counter.charge(evidence.allowance, shown, last, at)
        if asked is not None:
            self._requests.check_charge(asked, charge)
            if not counter.wants(asked.occasion):
                raise RequestMismatch("asked for something that is over")
        acceptance.check_charge(shown, charge.kgo)
        acceptance.check_counter(shown, seen)
        if asked is None:
            self._check_pass_back(counter, state, at)
        if state is not None and self.unratified.is_waiting(state.last_sequence):
            if _is_same_occasion(last, charge):
                return self._uncharged_green(evidence, state, at)
        elif state is not None and charge.kind is VoucherKind.SALE and _is_same_occasion(last, charge):
            return Outcome(Light.ALREADY_ACCEPTED, state.last_sequence)  # one sale is charged once, whatever the n
        allowance = evidence.allowance
        staleness.check_reserve(shown.sum_kgo, charge.kgo, allowance.reserve_kgo)
        spent_here_kgo = state.spent_here_kgo if state is not None else 0
        unacked_kgo = tail.accepted_value_kgo_unacked
        self._conditions.check_amount(allowance, shown, charge.kgo, spent_here_kgo, unacked_kgo, at)
        sequence = tail.sequence + 1
        state = _state_after(evidence, spent_here_kgo + charge.kgo, sequence, now.at_s)
        return self._write(evidence, asked, charge, state, at)

    def _write(self, evidence: Evidence, asked: Asked | None, charge: Charge, state: PassState, at: TimeNow) -> Outcome:
        sequence, request = state.last_sequence, () if asked is None else (asked.signed.raw,)
        accepted = Accepted(
            charge,
            object_hash=evidence.wallet_signed.identity,
            objects=(evidence.wallet_signed.raw, *request),
            allowance=evidence.allowance_signed,
            pass_key=state.pass_id,
            state=state,
            meta=self._conditions.floor_meta(evidence.wallet_object, at),
            closes_request=asked.signed.identity if asked is not None else None,
        )
        signed = self._vouchers.write(sequence, accepted, at)
        # From here on the wallet has paid, whatever happens to this process: a power cut leaves it unratified.
        if asked is not None:
            self._requests.closed(asked.signed.identity)
        self._conditions.was_accepted(evidence.wallet_object, at)
        assert evidence.wallet_object.n == state.last_n
        return Outcome(light_of(charge), sequence, charge, signed)

    def _decide_coupon(self, shown: CouponEvidence, counter: Counter, at: TimeNow) -> Outcome:
        """A used one is owed its green for as long as nobody is known to have seen it."""
        coupon, tail = shown.coupon, self._journal.tail
        used = self._journal.coupon_used(coupon.coupon_id)
        if used is not None and self.unratified.is_waiting(used):
            body = cbor.encode([used, at.at_s, 0, shown.signed.raw])
            self._journal.settle_unratified(used, EventKind.UNCHARGED_GREEN, body)
            return self._lit_again(used, self._vouchers.read(used))
        if used is not None and not self._annulled.has(used):
            return Outcome(Light.ALREADY_ACCEPTED, used)
        self._conditions.check_standing(tail.sequence + 1, at)
        here = Here(self._device, counter.trip)
        is_denied = self._conditions.is_denied(coupon.coupon_id)
        skew_s = self._limits.skew_s
        coupon_reading.check_coupon(coupon, here, at, skew_s, used_sequence=used, is_denied=is_denied)
        charge = counter.coupon_charge(coupon, at)
        self._conditions.check_coupon_value(coupon, tail.accepted_value_kgo_unacked, at)
        accepted = Accepted(
            charge,
            object_hash=shown.signed.identity,
            objects=(shown.signed.raw,),
            coupon=shown.use,
            meta=self._conditions.floor_meta(coupon, at),
        )
        signed = self._vouchers.write(tail.sequence + 1, accepted, at)
        self._conditions.was_accepted(coupon, at)
        return Outcome(light_of(charge), tail.sequence + 1, charge, signed)

    def _check_pass_back(self, counter: Counter, state: PassState | None, at: TimeNow) -> None:
        """Not after a green that nobody saw, nor after one that was taken back. Raises PassBack."""
        if not counter.pass_back_s or state is None or self._is_taken_back(state):
            return
        if not self.unratified.is_waiting(state.last_sequence):
            acceptance.check_pass_back(at.at_s - state.last_at_s, counter.pass_back_s)

    def _is_taken_back(self, state: PassState) -> bool:
        return self._annulled.has(state.last_sequence) or self._journal.is_uncharged(state.last_sequence)

    def _cancel(self, asked: Asked, at: TimeNow) -> None:
        """A voucher that says so: what the wallet signed for it returns with its next statement."""
        sequence = self._journal.tail.sequence + 1
        nothing = Charge(0, 0, VoucherKind.CANCELLED_REQUEST, asked.request.what_for, (0, 0), {}, None)
        request = asked.signed
        accepted = Accepted(
            nothing, object_hash=request.identity, objects=(request.raw,), closes_request=request.identity
        )
        self._vouchers.write(sequence, accepted, at)
        self._requests.closed(request.identity)
        self._has_no_light(sequence)

    def _has_no_light(self, sequence: int) -> None:
        """No customer waits for it, now or after a restart. It is written, whatever the disk says next; `tick` hears
        that too."""
        self._journal.ratify(sequence)
        with suppress(*DISK_SAYS_NO):
            self._journal.flush()

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
        if self._annulled.has(state.last_sequence):
            raise CodeCancelled(str(state.last_sequence))
        return Outcome(Light.ALREADY_ACCEPTED, state.last_sequence)

    def _uncharged_green(self, evidence: Evidence, state: PassState, at: TimeNow) -> Outcome:
        """Journaled first, then green: the rider who was charged in the crash gets what was paid for, once."""
        shown = evidence.wallet_object
        body = cbor.encode([state.last_sequence, at.at_s, shown.n, evidence.wallet_signed.raw])
        after = _state_after(evidence, state.spent_here_kgo, state.last_sequence, at.at_s)
        self._journal.settle_unratified(state.last_sequence, EventKind.UNCHARGED_GREEN, body, state=after)
        return self._lit_again(state.last_sequence, self._last_voucher(state))

    def _lit_again(self, sequence: int, made: Voucher | None) -> Outcome:
        self.unratified.settled(sequence)
        if made is None:  # cannot be: no row is pruned while it waits; who paid gets the green all the same
            return Outcome(Light.ACCEPTED, sequence, is_uncharged_green=True)
        charge = charge_of(made)
        return Outcome(light_of(charge), sequence, charge, is_uncharged_green=True)

    def _last(self, state: PassState | None) -> Last | None:
        made = self._last_voucher(state)
        return Last(made, self._is_taken_back(state)) if state is not None and made is not None else None

    def _last_voucher(self, state: PassState | None) -> Voucher | None:
        return self._vouchers.read(state.last_sequence) if state is not None else None


def _is_same_occasion(last: LastVoucher, charge: Charge) -> bool:
    """Is this what the last voucher of the allowance was made for: the same sale, or the same trip and amount?"""
    made = last()
    if made is None:
        return False
    return occasion_of(made.voucher.place, made.voucher.kgo) == occasion_of(charge.place, charge.kgo)


def _by_what_we_know(refusal: Refusal, at: TimeNow) -> Refusal:
    """An allowance from after the earliest possible time is our clock's fault, not the customer's."""
    is_ours = isinstance(refusal, AllowanceNotYetValid) and at.trust is ClockTrust.FLOOR
    return ClockBehind(refusal.detail) if is_ours else refusal


def _spent_kgo(paid: Evidence | None) -> int:
    """All that the card has authorised under this allowance: what it signed last says so."""
    return 0 if paid is None else paid.wallet_object.sum_kgo + authorised_kgo(paid.wallet_object)


def pass_key(allowance: Signed) -> bytes:
    """What last-seen state is kept by: n and S are per allowance, and a card's pass id spans several of those."""
    return allowance.identity[:PASS_ID_BYTES]


def _seen(state: PassState | None) -> Seen | None:
    if state is None:
        return None
    return Seen(state.last_n, state.last_s_kgo, state.last_authorised_kgo, state.last_identity)


def _state_after(evidence: Evidence, spent_here_kgo: int, sequence: int, at_s: int) -> PassState:
    shown = evidence.wallet_object
    return PassState(
        pass_id=pass_key(evidence.allowance_signed),
        last_n=shown.n,
        last_s_kgo=shown.sum_kgo,
        last_authorised_kgo=authorised_kgo(shown),
        spent_here_kgo=spent_here_kgo,
        last_sequence=sequence,
        last_identity=evidence.intent,
        last_at_s=at_s,
        expiry_s=evidence.allowance.expires_at_s,
    )
