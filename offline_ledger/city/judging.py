"""Acceptance run again over one voucher, with all that the ledger knows: posted, suspense or rejected. DESIGN §5, §8.

Rejected is what is forged or breaks a rule that the terminal could see; what it accepted within its limits is
credited, and overspending, duplicates and lateness decide only who funds it. Works inside one transaction, through
`Books`; never writes the voucher itself, the log or the ack.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from offline_ledger.city import posting, returning
from offline_ledger.city.accounts import Entry, Posting, Reason
from offline_ledger.city.bench import (
    Bench,
    Claim,
    Verdict,
    find_contradiction,
    remember,
    remember_rejected,
)
from offline_ledger.city.branches import Branch, Branches, stored_voucher
from offline_ledger.city.charging import Charging
from offline_ledger.city.cover import Cover
from offline_ledger.city.histories import NO_RIDES, Rides, bought_with, possible, ridden_with
from offline_ledger.city.ingest_reading import Read, Terminal
from offline_ledger.city.posting_links import note_of_received
from offline_ledger.city.pricing import RewardRule
from offline_ledger.city.returning import RETURNING, SPENDING
from offline_ledger.city.spends import DeviceSpends, PaidBy, Spends, Spent
from offline_ledger.city.store import Store
from offline_ledger.errors import (
    AllowanceMismatch,
    AlreadyAccepted,
    AmountMismatch,
    AmountNotAuthorised,
    CounterUsed,
    CouponInvalid,
    DeviceCertificateInvalid,
    ExceedsAuthorisation,
    Malformed,
    ObjectMismatch,
    OneWayCapExceeded,
    Refusal,
    RequestCancelled,
    RequestExpired,
    RequestMismatch,
    ReserveExceeded,
    TerminalCapExceeded,
)
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import ClockTrust, DeviceRole, PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.wallet import Audience, Payment, Presentment
from offline_ledger.rules import acceptance, freshness
from offline_ledger.rules import coupon as coupon_rules
from offline_ledger.rules.clock import TimeNow, TimeTrust
from offline_ledger.rules.coupon import Here
from offline_ledger.rules.sale import ShopHistory

T = TypeVar("T")


class Judge:
    """Judges the vouchers of one device in order of sequence."""

    def __init__(self, bench: Bench, terminal: Terminal, total_kgo: int, first_at_s: int) -> None:
        self._bench = bench
        self._store = bench.store
        self._books = bench.books
        self._limits = bench.limits
        self._terminal = terminal
        self._cover = Cover(bench, terminal, total_kgo, first_at_s)
        self._payee = self._cover.payee
        self._branches = Branches(bench.store)
        self._charging = Charging(bench, self._branches)
        self._ridden: dict[bytes, tuple[int, Rides]] = {}
        self._bought: dict[bytes, tuple[int, ShopHistory]] = {}

    @property
    def total_kgo(self) -> int:
        """All that this device ever accepted."""
        return self._cover.total_kgo

    def judge(self, read: Read, record: str) -> Verdict:
        """One new voucher. `record`: the name it is remembered under, the device's own unless it is a fork."""
        is_proven = self._look_for_contradiction(read)
        try:
            return self._judge(read, record)
        except Refusal as refusal:
            if read.shown is not None and read.is_wallet_signed:
                spent = _spent(read, record, None)
                remember_rejected(self._bench, read.shown.allowance_hash, spent, is_proven=is_proven)
            return Verdict(Outcome.REJECTED, refusal.number)

    def _judge(self, read: Read, record: str) -> Verdict:
        voucher = read.voucher
        if read.refusal is not None:
            raise read.refusal
        if self._terminal.role not in (DeviceRole.SHOP, DeviceRole.VALIDATOR):
            raise DeviceCertificateInvalid(f"role {self._terminal.role} posts nothing")
        if voucher.kind in SPENDING:
            return self._spend(read, record)
        if voucher.kind in RETURNING:
            return self._give_back(read, record)
        if voucher.kind == VoucherKind.COUPON:
            return self._coupon(read, record)
        if voucher.kind == VoucherKind.CANCELLED_REQUEST:
            return self._cancel(read, record)
        raise Malformed(f"voucher kind {voucher.kind}")

    # --- spending

    def _spend(self, read: Read, record: str) -> Verdict:
        voucher, shown = read.voucher, read.shown
        self._check_role(voucher)
        if shown is None:
            return self._cash_sale(read, record)
        assert read.allowance is not None
        issued = self._bench.issued_at(shown.allowance_hash)
        claim, branch = Claim(record, voucher, shown, read.signed.raw), self._branches.before(record, voucher)
        history = self._bench.spent[issued.hash]
        here = _accepted_before(history.at(voucher.device), branch)
        self._check_wallet_rules(read, shown, branch)
        self._check_seen_here(claim, branch, history, here)
        self._check_caps(read, shown, here)
        rule = self._check_price(read, claim, here)
        if isinstance(shown, Payment):
            self._take_request(shown.request_hash, voucher.sequence, cancelled=False, record=record)
        self._cover.total_kgo += voucher.kgo
        late = self._bench.now_s > issued.expires_at_s + self._limits.reserve_grace_s
        verdict, paid_by = self._charging.charge(claim, self._cover)
        remember(self._bench, issued.hash, _spent(read, record, paid_by))
        if rule is not None and paid_by is PaidBy.WALLET and verdict.outcome is Outcome.POSTED and not verdict.refusal:
            verdict = returning.reward(self._bench, verdict, rule, voucher, record, issued.wallet_id, self._payee)
        return replace(verdict, is_late=late)

    def _post(self, reason: Reason, entries: tuple[Entry, ...], read: Read, record: str) -> None:
        note = note_of_received(read.signed.raw)
        self._books.post(Posting(reason, entries, record, read.voucher.sequence, note))

    def _give_back(self, read: Read, record: str) -> Verdict:
        """Once one of a duplicate was given back, the other may be the wallet's to pay."""
        sequence = read.voucher.refers_to
        original = self._branches.before(record, read.voucher).record_at(sequence) if sequence is not None else None
        verdict = returning.give_back(self._bench, read, self._payee, original)
        assert original is not None and sequence is not None
        self._charging.given_back(original, sequence)
        return verdict

    def _check_role(self, voucher: Voucher) -> None:
        role = DeviceRole.VALIDATOR if voucher.kind == VoucherKind.BOARDING else DeviceRole.SHOP
        if self._terminal.role != role:
            raise DeviceCertificateInvalid(f"role {self._terminal.role} for voucher kind {voucher.kind}")

    def _cash_sale(self, read: Read, record: str) -> Verdict:
        """No wallet: only the declared cash leg."""
        voucher = read.voucher
        if voucher.kgo or voucher.reward_kgo:
            raise ObjectMismatch("KGO without a wallet object")
        if voucher.kind == VoucherKind.SALE:
            self._bench.prices.check_sale(voucher, self._terminal.owner, ShopHistory)
        else:
            raise ObjectMismatch("a boarding without a wallet object")
        entries = posting.spend_entries(posting.fund(0, None, 0), None, self._payee, voucher.satang)
        self._post(Reason.SPEND, entries, read, record)
        return Verdict(Outcome.POSTED)

    def _check_wallet_rules(self, read: Read, shown: Presentment | Payment, branch: Branch) -> None:
        """Validity, audience and freshness at the voucher's time; the request; no more than was signed."""
        voucher, allowance = read.voucher, read.allowance
        assert allowance is not None
        acceptance.check_validity(allowance, voucher.at_s, self._limits.skew_s)
        if isinstance(shown, Presentment):
            is_bus = voucher.kind == VoucherKind.BOARDING
            acceptance.check_audience(shown, Audience.TRANSIT if is_bus else Audience.SHOP)
            at = TimeNow(voucher.at_s, TimeTrust(ClockTrust(voucher.trust)), 0)
            freshness.check_fresh(at, shown.at_s, shown.valid_s, self._limits)
        else:
            request = read.request
            if request is None or request.amount_kgo != voucher.kgo or request.amount_satang != voucher.satang:
                raise AmountMismatch("not what the request asked")
            if request.pass_id is not None and request.pass_id != allowance.pass_id:
                raise AllowanceMismatch("the request was bound to another pass")
            if voucher.at_s > request.expires_at_s + self._limits.skew_s:
                raise RequestExpired(f"{voucher.at_s - request.expires_at_s} s late")
            self._check_request(shown.request_hash, branch)
        try:
            acceptance.check_charge(shown, voucher.kgo)
        except AmountNotAuthorised as refusal:  # the customer's to mend at the terminal; here the device's fault
            raise ExceedsAuthorisation(refusal.detail) from refusal

    def _check_request(self, request_hash: bytes, branch: Branch) -> None:
        row = self._store.one(
            "SELECT cancelled, device, sequence FROM requests WHERE request_hash = ?", (request_hash,)
        )
        if row is not None and branch.has(row[1], row[2]):
            raise RequestCancelled() if row[0] else RequestMismatch("paid before")

    def _check_seen_here(self, claim: Claim, branch: Branch, history: Spends, here: DeviceSpends) -> None:
        """What this very terminal must have seen: no intent twice, n above the last, S grown."""
        for spent in history.by_intent.get(acceptance.intent_of(claim.shown), ()):
            if spent.device == claim.record or branch.has(spent.device, spent.sequence):
                raise AlreadyAccepted(f"as {spent.device}/{spent.sequence}")
        before = here.last_before(claim.voucher.sequence)
        if before is not None:
            last, n_max = before
            acceptance.check_counter(claim.shown, last.seen)
            if n_max >= claim.shown.n:
                raise CounterUsed()

    def _check_caps(self, read: Read, shown: Presentment | Payment, here: DeviceSpends) -> None:
        """R, the one-way cap, a."""
        voucher, allowance = read.voucher, read.allowance
        assert allowance is not None
        if shown.sum_kgo + voucher.kgo > allowance.reserve_kgo:
            raise ReserveExceeded(f"{shown.sum_kgo} + {voucher.kgo} > {allowance.reserve_kgo}")
        if isinstance(shown, Presentment):
            is_bus = voucher.kind == VoucherKind.BOARDING
            limits = self._limits
            cap_kgo = limits.one_way_transit_kgo_max if is_bus else limits.one_way_shop_kgo_max
            cap_kgo = min(cap_kgo, allowance.transit_cap_kgo if is_bus else allowance.shop_cap_kgo)
            if voucher.kgo > cap_kgo:
                raise OneWayCapExceeded(f"{voucher.kgo} > {cap_kgo}")
        if here.standing_kgo + voucher.kgo > self._limits.allowance_terminal_kgo_max:
            raise TerminalCapExceeded(f"{here.standing_kgo} + {voucher.kgo}")

    def _check_price(self, read: Read, claim: Claim, here: DeviceSpends) -> RewardRule | None:
        voucher, allowance = read.voucher, read.allowance
        assert allowance is not None
        if voucher.kind == VoucherKind.BOARDING:
            add = partial(ridden_with, before=voucher.sequence)
            seen = partial(self._seen_before, self._ridden, claim, here, NO_RIDES, add)
            is_asked = read.request is not None
            self._bench.prices.check_boarding(
                voucher, allowance.concession, lambda: possible(seen(), is_asked=is_asked)
            )
            return None
        bought = partial(self._seen_before, self._bought, claim, here, ShopHistory(), bought_with)
        return self._bench.prices.check_sale(voucher, self._terminal.owner, bought)

    def _seen_before(
        self,
        known: dict[bytes, tuple[int, T]],
        claim: Claim,
        here: DeviceSpends,
        nothing: T,
        add: Callable[[Store, T, str, Voucher], T],
    ) -> T:
        """What this terminal had seen of the allowance before this voucher; only what came since is read again."""
        own, sequence, is_fork = claim.shown.allowance_hash, claim.voucher.sequence, "~" in claim.record
        through, seen = known.get(own, (0, nothing))
        if is_fork or sequence <= through:
            through, seen = 0, nothing
        for spent in here.between(through, sequence):
            stored = stored_voucher(self._store, spent.device, spent.sequence)
            assert stored is not None
            seen = add(self._store, seen, spent.device, stored.voucher)
        if not is_fork:
            known[own] = (sequence - 1, seen)
        return seen

    # --- coupons, cancelled requests

    def _coupon(self, read: Read, record: str) -> Verdict:
        voucher, coupon = read.voucher, read.coupon
        if coupon is None or (coupon.value_kgo, coupon.product) != (voucher.kgo, voucher.product):
            raise CouponInvalid("another value or product")
        trip = voucher.place.get(PlaceKey.TRIP)
        coupon_rules.check_pinned(coupon, Here(voucher.device, trip if isinstance(trip, str) else None))
        coupon_rules.check_not_expired(coupon, voucher.at_s, self._limits.skew_s)
        if self._terminal.role == DeviceRole.VALIDATOR:
            self._bench.prices.check_coin(voucher, coupon)
        if self._store.one("SELECT 1 FROM coupons WHERE coupon_id = ?", (coupon.coupon_id,)) is not None:
            raise CouponInvalid("posted before")
        self._store.execute("INSERT INTO coupons VALUES(?, ?, ?)", (coupon.coupon_id, record, voucher.sequence))
        self._cover.total_kgo += voucher.kgo
        refusal = self._cover.suspense_reason(voucher)
        payee = replace(self._payee, to_suspense=refusal is not None)
        self._post(Reason.COUPON, posting.coupon_entries(payee, voucher.kgo, voucher.satang), read, record)
        if refusal is None:
            return Verdict(Outcome.POSTED)
        self._cover.wait(record, voucher.sequence, voucher.kgo, refusal.number)
        return Verdict(Outcome.SUSPENSE, refusal.number)

    def _cancel(self, read: Read, record: str) -> Verdict:
        voucher = read.voucher
        if read.request is None or read.request.device != voucher.device or voucher.kgo or voucher.satang:
            raise RequestMismatch("cancels nothing of its own")
        assert voucher.object_hash is not None
        self._check_request(voucher.object_hash, self._branches.before(record, voucher))
        self._take_request(voucher.object_hash, voucher.sequence, cancelled=True, record=record)
        return Verdict(Outcome.POSTED)

    def _take_request(self, request_hash: bytes, sequence: int, *, cancelled: bool, record: str) -> None:
        """The first answer stays; another can only stand on another branch of a fork."""
        self._store.execute(
            "INSERT OR IGNORE INTO requests VALUES(?, ?, ?, ?)", (request_hash, record, sequence, int(cancelled))
        )

    # --- proof

    def _look_for_contradiction(self, read: Read) -> bool:
        """Whatever becomes of the voucher. Whether there is one."""
        shown, signed = read.shown, read.shown_signed
        if shown is None or signed is None or not read.is_wallet_signed:
            return False
        return find_contradiction(self._bench, shown, read.shown_kind, signed.raw)


def _spent(read: Read, record: str, paid_by: PaidBy | None) -> Spent:
    """What is remembered of a voucher that a wallet authorised. `paid_by` None: it was rejected."""
    shown, signed = read.shown, read.shown_signed
    assert shown is not None and signed is not None
    seen = acceptance.seen_of(shown)
    return Spent(
        record,
        read.voucher.sequence,
        *seen,
        signed.raw,
        read.shown_kind,
        0 if paid_by is None else read.voucher.kgo,
        read.voucher.at_s,
        PaidBy.NOBODY if paid_by is None else paid_by,
    )


def _accepted_before(there: DeviceSpends, branch: Branch) -> DeviceSpends:
    """Of what a device took, what the terminal of this branch took itself."""
    if not there.has_forks and not branch.forked and branch.is_main:
        return there
    here = DeviceSpends()
    for spent in there.spents:
        if branch.has(spent.device, spent.sequence):
            here.add(spent)
    return here
