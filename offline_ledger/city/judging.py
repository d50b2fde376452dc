"""Acceptance run again over one voucher, with all that the ledger knows: posted, suspense or rejected. DESIGN §5, §8.

Rejected is what is forged or breaks a rule that the terminal could see; what it accepted within its limits is
credited, and overspending, duplicates and lateness decide only who funds it. Works inside one transaction, through
`Books`; never writes the voucher itself, the log or the ack.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from offline_ledger.city import equivocation, posting, returning
from offline_ledger.city.accounts import Posting, Reason, deposit_account, reserved_account, wallet_account
from offline_ledger.city.allowances import Issued
from offline_ledger.city.bench import (
    LAPSED,
    UNRATIFIED,
    Bench,
    Verdict,
    find_contradiction,
    remember,
    remember_rejected,
    take_back,
)
from offline_ledger.city.cover import Cover
from offline_ledger.city.ingest_reading import Read, Terminal
from offline_ledger.city.posting import Payer
from offline_ledger.city.pricing import RewardRule, bought_with, ridden_with
from offline_ledger.city.returning import RETURNING, SPENDING
from offline_ledger.city.spends import Spends, Spent
from offline_ledger.errors import (
    AllowanceClosed,
    AllowanceMismatch,
    AlreadyAccepted,
    AmountMismatch,
    AmountNotAuthorised,
    CounterUsed,
    CouponInvalid,
    DeviceCertificateInvalid,
    DuplicateIntent,
    ExceedsAuthorisation,
    Malformed,
    ObjectMismatch,
    OneWayCapExceeded,
    Overspent,
    Refusal,
    RequestCancelled,
    RequestExpired,
    RequestMismatch,
    ReserveExceeded,
    TerminalCapExceeded,
)
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import ClockTrust, DeviceRole, Voucher, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Audience, Payment, Presentment, authorised_kgo
from offline_ledger.rules import acceptance, freshness
from offline_ledger.rules.clock import TimeNow, TimeTrust
from offline_ledger.rules.fare import RideHistory
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
        self._unratified: dict[tuple[str, int], int] = {}
        self._ridden: dict[bytes, tuple[int, RideHistory]] = {}
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
                spent = _spent(read, record, 0)
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
            return returning.give_back(self._bench, voucher, self._payee)
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
        history = self._bench.spent[issued.hash]
        self._check_wallet_rules(read, shown)
        self._check_seen_here(shown, voucher, history)
        self._check_caps(read, shown, history)
        reward = self._check_price(read, history)
        if isinstance(shown, Payment):
            self._take_request(shown.request_hash, voucher.sequence, cancelled=False, record=record)
        self._cover.total_kgo += voucher.kgo
        late = self._bench.now_s > issued.expires_at_s + self._limits.reserve_grace_s
        verdict, charged_kgo = self._fund(read, record, issued, history)
        remember(self._bench, issued.hash, _spent(read, record, charged_kgo or 0))
        if charged_kgo is not None:
            verdict = self._reward(verdict, reward, voucher, record, issued)
        return replace(verdict, is_late=late)

    def _reward(
        self, verdict: Verdict, rule: RewardRule | None, voucher: Voucher, record: str, issued: Issued
    ) -> Verdict:
        """Only what stands earns a reward: not what waits, nor what yielded to a duplicate."""
        if rule is None or verdict.outcome is not Outcome.POSTED or verdict.refusal:
            return verdict
        return returning.reward(self._bench, verdict, rule, voucher, record, issued.wallet_id, self._payee)

    def shown_after_all(self, read: Read) -> None:
        """A voucher that had yielded, and whose green was shown in the end: it is charged as any other."""
        shown, voucher = read.shown, read.voucher
        assert shown is not None
        issued = self._bench.issued_at(shown.allowance_hash)
        history = self._bench.spent[issued.hash]
        verdict, charged_kgo = self._fund(read, voucher.device, issued, history)
        self._store.execute(
            "UPDATE spends SET charged_kgo = ? WHERE device = ? AND sequence = ?",
            (charged_kgo or 0, voucher.device, voucher.sequence),
        )
        if charged_kgo is not None and voucher.reward_kgo:
            self._reward(verdict, self._check_price(read, history), voucher, voucher.device, issued)

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
        self._books.post(Posting(Reason.SPEND, entries, record, voucher.sequence))
        return Verdict(Outcome.POSTED)

    def _check_wallet_rules(self, read: Read, shown: Presentment | Payment) -> None:
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
            self._check_request(shown.request_hash)
        try:
            acceptance.check_charge(shown, voucher.kgo)
        except AmountNotAuthorised as refusal:  # the customer's to mend at the terminal; here the device's fault
            raise ExceedsAuthorisation(refusal.detail) from refusal

    def _check_request(self, request_hash: bytes) -> None:
        row = self._store.one("SELECT cancelled FROM requests WHERE request_hash = ?", (request_hash,))
        if row is not None:
            raise RequestCancelled() if row[0] else RequestMismatch("paid before")

    def _check_seen_here(self, shown: Presentment | Payment, voucher: Voucher, history: Spends) -> None:
        """What this very terminal must have seen: no intent twice, n above the last, S grown. Clones apart."""
        for spent in history.by_intent.get(acceptance.intent_of(shown), ()):
            if spent.base_device == voucher.device:
                raise AlreadyAccepted(f"as {spent.device}/{spent.sequence}")
        before = history.at(voucher.device).last_before(voucher.sequence)
        if before is not None:
            last, n_max = before
            acceptance.check_counter(shown, last.seen)
            if n_max >= shown.n:
                raise CounterUsed()

    def _check_caps(self, read: Read, shown: Presentment | Payment, history: Spends) -> None:
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
        here_kgo = history.at(voucher.device).charged_kgo
        if here_kgo + voucher.kgo > self._limits.allowance_terminal_kgo_max:
            raise TerminalCapExceeded(f"{here_kgo} + {voucher.kgo}")

    def _check_price(self, read: Read, history: Spends) -> RewardRule | None:
        voucher, allowance = read.voucher, read.allowance
        assert allowance is not None and read.shown is not None
        own = read.shown.allowance_hash
        if voucher.kind == VoucherKind.BOARDING:
            ridden = partial(self._seen_before, self._ridden, own, voucher, history, RideHistory(), ridden_with)
            self._bench.prices.check_boarding(voucher, allowance.concession, ridden)
            return None
        bought = partial(self._seen_before, self._bought, own, voucher, history, ShopHistory(), bought_with)
        return self._bench.prices.check_sale(voucher, self._terminal.owner, bought)

    def _seen_before(
        self,
        known: dict[bytes, tuple[int, T]],
        allowance_hash: bytes,
        voucher: Voucher,
        history: Spends,
        nothing: T,
        add: Callable[[T, Voucher], T],
    ) -> T:
        """What this terminal had seen of the allowance before this voucher; only what came since is read again."""
        through, seen = known.get(allowance_hash, (0, nothing))
        if voucher.sequence <= through:
            through, seen = 0, nothing
        for spent in history.at(voucher.device).between(through, voucher.sequence):
            if spent.device == voucher.device:
                seen = add(seen, self._stored(spent.device, spent.sequence))
        known[allowance_hash] = (voucher.sequence - 1, seen)
        return seen

    def _stored(self, device_id: str, sequence: int) -> Voucher:
        row = self._store.one("SELECT raw FROM vouchers WHERE device = ? AND sequence = ?", (device_id, sequence))
        assert row is not None
        signed = cose.parse_sign1(row[0], cose.external_aad(Kind.VOUCHER, self._store.city))
        return device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)

    # --- funding

    def _fund(self, read: Read, record: str, issued: Issued, history: Spends) -> tuple[Verdict, int | None]:
        """Who pays, and where it is credited. Returns what the wallet was charged for; None: nothing was posted."""
        voucher, shown = read.voucher, read.shown
        assert shown is not None
        state = self._unratified_state(voucher.device, voucher.sequence)
        intent = acceptance.intent_of(shown)
        others = [
            spent
            for spent in history.by_intent.get(intent, ())
            if spent.base_device != voucher.device and spent.charged_kgo
        ]
        if state == LAPSED or (others and state == UNRATIFIED):
            return Verdict(Outcome.POSTED), None  # nobody saw this green, so nobody rode on it
        if others:
            self._count_duplicate(issued)
        standing = [spent for spent in others if not self._yields(spent, issued)]
        payer: Payer | None = Payer(
            issued.wallet_id,
            issued.hash,
            self._books.balance(reserved_account(issued.hash)),
            self._books.balance(wallet_account(issued.wallet_id)),
            self._books.balance(deposit_account(issued.wallet_id)),
        )
        refusal = self._cover.suspense_reason(voucher)
        risk_left_kgo = self._cover.risk_left_kgo(read)
        if standing and voucher.kind == VoucherKind.SALE:
            payer, risk_left_kgo, refusal = None, 0, DuplicateIntent()
        elif any(abs(spent.at_s - voucher.at_s) <= self._limits.window_s for spent in standing):
            payer = None
        funding = posting.fund(voucher.kgo, payer, risk_left_kgo)
        is_closed = _is_beyond_closing(issued, shown)
        if funding.unfunded_kgo and refusal is None:
            refusal = DuplicateIntent() if payer is None else AllowanceClosed() if is_closed else Overspent()
        to_suspense = refusal is not None and not isinstance(refusal, Overspent | AllowanceClosed)
        payee = replace(self._payee, to_suspense=to_suspense)
        entries = posting.spend_entries(funding, payer, payee, voucher.satang)
        self._books.post(Posting(Reason.SPEND, entries, record, voucher.sequence))
        self._cover.count_risk(funding.risk_kgo)
        if refusal is None:
            note = AllowanceClosed.number if is_closed else 0
            return Verdict(Outcome.POSTED, DuplicateIntent.number if standing and payer is None else note), voucher.kgo
        self._store.execute(
            "REPLACE INTO suspense(device, sequence, owner, kgo, refusal) VALUES(?, ?, ?, ?, ?)",
            (record, voucher.sequence, self._payee.owner, posting.suspense_kgo(entries), refusal.number),
        )
        return Verdict(Outcome.SUSPENSE, refusal.number), voucher.kgo

    def _count_duplicate(self, issued: Issued) -> None:
        count = self._bench.issued[issued.hash].duplicates + 1
        self._bench.issued[issued.hash] = replace(issued, duplicates=count)
        self._store.execute("UPDATE allowances SET duplicates = ? WHERE hash = ?", (count, issued.hash))
        if count > self._limits.duplicates_max:
            equivocation.deny_wallet(self._store, issued.wallet_id, equivocation.DUPLICATES, self._bench.now_s)

    def _unratified_state(self, device_id: str, sequence: int) -> int:
        key = (device_id, sequence)
        if key not in self._unratified:
            row = self._store.one("SELECT state FROM unratified WHERE device = ? AND sequence = ?", key)
            self._unratified[key] = row[0] if row else 0
        return self._unratified[key]

    def _yields(self, spent: Spent, issued: Issued) -> bool:
        """An earlier one whose green nobody saw gives its charge back."""
        if self._unratified_state(spent.device, spent.sequence) != UNRATIFIED:
            return False
        take_back(self._bench, spent.device, spent.sequence)
        self._bench.spent[issued.hash].give_back(spent)
        return True

    # --- coupons, cancelled requests

    def _coupon(self, read: Read, record: str) -> Verdict:
        voucher, coupon = read.voucher, read.coupon
        if coupon is None or coupon.device != voucher.device or coupon.value_kgo != voucher.kgo:
            raise CouponInvalid("pinned elsewhere, or another value")
        if voucher.at_s > coupon.expires_at_s + self._limits.skew_s:
            raise CouponInvalid("expired")
        if self._store.one("SELECT 1 FROM coupons WHERE coupon_id = ?", (coupon.coupon_id,)) is not None:
            raise CouponInvalid("posted before")
        self._store.execute("INSERT INTO coupons VALUES(?, ?, ?)", (coupon.coupon_id, record, voucher.sequence))
        self._cover.total_kgo += voucher.kgo
        entries = posting.coupon_entries(self._payee, voucher.kgo, voucher.satang)
        self._books.post(Posting(Reason.COUPON, entries, record, voucher.sequence))
        return Verdict(Outcome.POSTED)

    def _cancel(self, read: Read, record: str) -> Verdict:
        voucher = read.voucher
        if read.request is None or read.request.device != voucher.device or voucher.kgo or voucher.satang:
            raise RequestMismatch("cancels nothing of its own")
        assert voucher.object_hash is not None
        self._check_request(voucher.object_hash)
        self._take_request(voucher.object_hash, voucher.sequence, cancelled=True, record=record)
        return Verdict(Outcome.POSTED)

    def _take_request(self, request_hash: bytes, sequence: int, *, cancelled: bool, record: str) -> None:
        self._store.execute("INSERT INTO requests VALUES(?, ?, ?, ?)", (request_hash, record, sequence, int(cancelled)))

    # --- proof

    def _look_for_contradiction(self, read: Read) -> bool:
        """Whatever becomes of the voucher. Whether there is one."""
        shown, signed = read.shown, read.shown_signed
        if shown is None or signed is None or not read.is_wallet_signed:
            return False
        return find_contradiction(self._bench, shown, read.shown_kind, signed.raw)


def _spent(read: Read, record: str, charged_kgo: int) -> Spent:
    """What is remembered of a voucher that a wallet authorised."""
    shown, signed = read.shown, read.shown_signed
    assert shown is not None and signed is not None
    seen = acceptance.seen_of(shown)
    return Spent(
        record,
        read.voucher.sequence,
        *seen,
        signed.raw,
        read.shown_kind,
        charged_kgo,
        read.voucher.at_s,
    )


def _is_beyond_closing(issued: Issued, shown: Presentment | Payment) -> bool:
    """The wallet had said that nothing more would come. Its proof is kept apart; here it decides only who funds."""
    if issued.closed_n is None or issued.closed_sum_kgo is None:
        return False
    return shown.n > issued.closed_n or shown.sum_kgo + authorised_kgo(shown) > issued.closed_sum_kgo
