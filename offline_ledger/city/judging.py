"""Acceptance run again over one voucher, with all that the ledger knows: posted, suspense or rejected. DESIGN §5, §8.

Rejected is what is forged or breaks a rule that the terminal could see; what it accepted within its limits is
credited, and overspending, duplicates and lateness decide only who funds it. Works inside one transaction, through
`Books`; never writes the voucher itself, the log or the ack.
"""

from bisect import bisect_right
from dataclasses import replace

from offline_ledger.city import equivocation, posting
from offline_ledger.city.accounts import (
    Account,
    AccountKind,
    OwnerKind,
    Posting,
    Reason,
    campaign_account,
    owner_account,
    reserved_account,
    wallet_account,
)
from offline_ledger.city.allowances import Issued
from offline_ledger.city.bench import LAPSED, UNRATIFIED, Bench, Spent, Verdict, find_contradiction, take_back
from offline_ledger.city.ingest_reading import Read, Terminal
from offline_ledger.city.posting import Payee, Payer
from offline_ledger.city.pricing import RewardRule
from offline_ledger.errors import (
    AllowanceMismatch,
    AlreadyAccepted,
    AmountMismatch,
    AmountNotAuthorised,
    CounterUsed,
    CouponInvalid,
    DeviceCertificateInvalid,
    DeviceRevoked,
    DuplicateIntent,
    ExceedsAuthorisation,
    Malformed,
    ObjectMismatch,
    OneWayCapExceeded,
    Overspent,
    RefundInvalid,
    Refusal,
    RequestCancelled,
    RequestMismatch,
    ReserveExceeded,
    RewardLimited,
    TerminalCapExceeded,
    TerminalValueUsedUp,
)
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import ClockTrust, DeviceRole, Voucher, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Audience, Payment, Presentment, authorised_kgo
from offline_ledger.rules import acceptance, freshness
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.clock import TimeNow, TimeTrust

SPENDING = frozenset({VoucherKind.BOARDING, VoucherKind.SALE})
RETURNING = frozenset({VoucherKind.REFUND, VoucherKind.VOID, VoucherKind.ANNUL})


class Judge:
    """Judges the vouchers of one device in order of sequence."""

    def __init__(self, bench: Bench, terminal: Terminal, total_kgo: int, first_at_s: int) -> None:
        self._bench = bench
        self._store = bench.store
        self._books = bench.books
        self._limits = bench.limits
        self._terminal = terminal
        self._payee, self._risk_day_kgo_max = self._owner(terminal)
        row = self._store.one("SELECT revoked_after FROM devices WHERE device = ?", (terminal.device,))
        self._revoked_after: int | None = row[0] if row else None
        self._unratified: dict[tuple[str, int], int] = {}
        self.total_kgo = total_kgo
        self._received, self._totals = self._earlier_batches(first_at_s)

    def _owner(self, terminal: Terminal) -> tuple[Payee, int]:
        row = self._store.one("SELECT kind, risk_day_kgo_max FROM owners WHERE owner = ?", (terminal.owner,))
        if row is not None:
            return Payee(OwnerKind(row[0]), terminal.owner), row[1]
        kind = OwnerKind.OPERATOR if terminal.role == DeviceRole.VALIDATOR else OwnerKind.MERCHANT
        return Payee(kind, terminal.owner), 0

    def _earlier_batches(self, first_at_s: int) -> tuple[list[int], list[int]]:
        """When batches arrived and what had been accepted up to them: what was not yet synced at a given time."""
        before = self._store.fetch(
            "SELECT received_at_s, total_kgo FROM batches WHERE device = ? AND received_at_s <= ?"
            " ORDER BY received_at_s DESC, total_kgo DESC LIMIT 1",
            (self._terminal.device, first_at_s),
        )
        since = self._store.fetch(
            "SELECT received_at_s, total_kgo FROM batches WHERE device = ? AND received_at_s > ?"
            " ORDER BY received_at_s, total_kgo",
            (self._terminal.device, first_at_s),
        )
        rows = [*before, *since]
        return [row[0] for row in rows], [row[1] for row in rows]

    def judge(self, read: Read, record: str) -> Verdict:
        """One new voucher. `record`: the name it is remembered under, the device's own unless it is a fork."""
        try:
            return self._judge(read, record)
        except Refusal as refusal:
            self._remember(read, record, 0, counts=False)
            return Verdict(Outcome.REJECTED, refusal.number)

    def _judge(self, read: Read, record: str) -> Verdict:
        voucher = read.voucher
        if read.shown is not None and read.is_wallet_signed:
            self._look_for_contradiction(read)
        if read.refusal is not None:
            raise read.refusal
        if self._terminal.role not in (DeviceRole.SHOP, DeviceRole.VALIDATOR):
            raise DeviceCertificateInvalid(f"role {self._terminal.role} posts nothing")
        if voucher.kind in SPENDING:
            return self._spend(read, record)
        if voucher.kind in RETURNING:
            return self._give_back(voucher, record)
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
        self.total_kgo += voucher.kgo
        late = self._bench.now_s > issued.expires_at_s + self._limits.reserve_grace_s
        verdict, charged_kgo = self._fund(read, record, issued, history)
        self._remember(read, record, charged_kgo, counts=True)
        if reward is not None and verdict.outcome is Outcome.POSTED and not verdict.refusal:
            verdict = self._reward(verdict, reward, voucher, record, issued.wallet_id)
        return replace(verdict, is_late=late)

    def shown_after_all(self, read: Read) -> None:
        """A voucher that had yielded, and whose green was shown in the end: it is charged as any other."""
        shown, voucher = read.shown, read.voucher
        assert shown is not None
        issued = self._bench.issued_at(shown.allowance_hash)
        _verdict, charged_kgo = self._fund(read, voucher.device, issued, self._bench.spent[issued.hash])
        self._store.execute(
            "UPDATE spends SET charged_kgo = ? WHERE device = ? AND sequence = ?",
            (charged_kgo, voucher.device, voucher.sequence),
        )

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
            self._bench.prices.check_sale(voucher, self._terminal.owner, lambda: ())
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
            self._check_request(shown.request_hash)
        try:
            acceptance.check_charge(shown, voucher.kgo)
        except AmountNotAuthorised as refusal:  # the customer's to mend at the terminal; here the device's fault
            raise ExceedsAuthorisation(refusal.detail) from refusal

    def _check_request(self, request_hash: bytes) -> None:
        row = self._store.one("SELECT cancelled FROM requests WHERE request_hash = ?", (request_hash,))
        if row is not None:
            raise RequestCancelled() if row[0] else RequestMismatch("paid before")

    def _check_seen_here(self, shown: Presentment | Payment, voucher: Voucher, history: list[Spent]) -> None:
        """What this very terminal must have seen: no intent twice, n above the last, S grown. Clones apart."""
        here = [spent for spent in history if spent.base_device == voucher.device and spent.counts]
        if not here:
            return
        intent = acceptance.intent_of(shown)
        for spent in here:
            if spent.intent == intent:
                raise AlreadyAccepted(f"as {spent.device}/{spent.sequence}")
        before = [spent for spent in here if spent.sequence < voucher.sequence]
        if before:
            last = max(before, key=lambda spent: spent.sequence)
            seen = acceptance.Seen(last.n, last.sum_kgo, last.authorised_kgo, last.intent)
            acceptance.check_counter(shown, seen)
        if any(spent.n >= shown.n for spent in before):
            raise CounterUsed()

    def _check_caps(self, read: Read, shown: Presentment | Payment, history: list[Spent]) -> None:
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
        here_kgo = sum(spent.charged_kgo for spent in history if spent.counts and spent.base_device == voucher.device)
        if here_kgo + voucher.kgo > self._limits.allowance_terminal_kgo_max:
            raise TerminalCapExceeded(f"{here_kgo} + {voucher.kgo}")

    def _check_price(self, read: Read, history: list[Spent]) -> RewardRule | None:
        voucher, allowance = read.voucher, read.allowance
        assert allowance is not None

        def earlier() -> list[Voucher]:
            sequences = [spent.sequence for spent in history if spent.device == voucher.device and spent.counts]
            return [self._stored(voucher.device, sequence) for sequence in sorted(sequences)]

        if voucher.kind == VoucherKind.BOARDING:
            self._bench.prices.check_boarding(voucher, allowance.concession, earlier)
            return None
        return self._bench.prices.check_sale(voucher, self._terminal.owner, earlier)

    def _stored(self, device_id: str, sequence: int) -> Voucher:
        row = self._store.one("SELECT raw FROM vouchers WHERE device = ? AND sequence = ?", (device_id, sequence))
        assert row is not None
        signed = cose.parse_sign1(row[0], cose.external_aad(Kind.VOUCHER, self._store.city))
        return device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)

    # --- funding

    def _fund(self, read: Read, record: str, issued: Issued, history: list[Spent]) -> tuple[Verdict, int]:
        """Who pays, and where it is credited. Returns what the wallet was charged for."""
        voucher, shown = read.voucher, read.shown
        assert shown is not None
        state = self._unratified_state(voucher.device, voucher.sequence)
        intent = acceptance.intent_of(shown)
        others = [
            spent
            for spent in history
            if spent.intent == intent and spent.counts and spent.base_device != voucher.device and spent.charged_kgo
        ]
        if state == LAPSED or (others and state == UNRATIFIED):
            return Verdict(Outcome.POSTED), 0  # nobody saw this green, so nobody rode on it
        if others:
            self._count_duplicate(issued)
        standing = [spent for spent in others if not self._yields(spent, issued)]
        payer: Payer | None = Payer(
            issued.wallet_id,
            issued.hash,
            self._books.balance(reserved_account(issued.hash)),
            self._books.balance(wallet_account(issued.wallet_id)),
        )
        refusal = self._suspense_reason(voucher)
        risk_left_kgo = self._risk_left_kgo(read)
        if standing and voucher.kind == VoucherKind.SALE:
            payer, risk_left_kgo, refusal = None, 0, DuplicateIntent()
        elif any(abs(spent.at_s - voucher.at_s) <= self._limits.window_s for spent in standing):
            payer = None
        funding = posting.fund(voucher.kgo, payer, risk_left_kgo)
        if funding.unfunded_kgo and refusal is None:
            refusal = Overspent() if payer is not None else DuplicateIntent()
        to_suspense = refusal is not None and not isinstance(refusal, Overspent)
        payee = replace(self._payee, to_suspense=to_suspense)
        entries = posting.spend_entries(funding, payer, payee, voucher.satang)
        self._books.post(Posting(Reason.SPEND, entries, record, voucher.sequence))
        self._count_risk(voucher, funding.risk_kgo)
        if refusal is None:
            note = DuplicateIntent.number if standing and payer is None else 0
            return Verdict(Outcome.POSTED, note), voucher.kgo
        self._store.execute(
            "REPLACE INTO suspense(device, sequence, owner, kgo, refusal) VALUES(?, ?, ?, ?, ?)",
            (record, voucher.sequence, self._payee.owner, posting.suspense_kgo(entries), refusal.number),
        )
        return Verdict(Outcome.SUSPENSE, refusal.number), voucher.kgo

    def _suspense_reason(self, voucher: Voucher) -> Refusal | None:
        """Accepted outside what this device was allowed: the money waits, in the owner's name."""
        if self._revoked_after is not None and voucher.sequence > self._revoked_after:
            return DeviceRevoked(f"after {self._revoked_after}")
        if voucher.at_s > self._terminal.expires_at_s + self._limits.skew_s:
            return DeviceCertificateInvalid("expired")
        if self._unsynced_kgo(voucher) > self._terminal.offline_value_kgo:
            return TerminalValueUsedUp()
        return None

    def _unsynced_kgo(self, voucher: Voucher) -> int:
        """What this device had accepted but not synced when it made this voucher, itself included."""
        at = bisect_right(self._received, voucher.at_s + self._limits.skew_s)
        return self.total_kgo - (self._totals[at - 1] if at else 0)

    def _risk_left_kgo(self, read: Read) -> int:
        """The risk fund covers transit, and a shop only for two-way payments; up to a ceiling per owner and day."""
        voucher = read.voucher
        if voucher.kind == VoucherKind.SALE and not isinstance(read.shown, Payment):
            return 0
        row = self._store.one(
            "SELECT kgo FROM risk_days WHERE owner = ? AND day = ?", (self._payee.owner, civil_day(voucher.at_s))
        )
        return max(0, self._risk_day_kgo_max - (row[0] if row else 0))

    def _count_risk(self, voucher: Voucher, kgo: int) -> None:
        if kgo:
            self._store.execute(
                "INSERT INTO risk_days VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET kgo = kgo + excluded.kgo",
                (self._payee.owner, civil_day(voucher.at_s), kgo),
            )

    def _count_duplicate(self, issued: Issued) -> None:
        count = self._bench.issued[issued.hash].duplicates + 1
        self._bench.issued[issued.hash] = replace(issued, duplicates=count)
        self._store.execute("UPDATE allowances SET duplicates = ? WHERE hash = ?", (count, issued.hash))
        if count > self._limits.duplicates_max:
            equivocation.deny_wallet(self._store, issued.wallet_id, "duplicates", self._bench.now_s)

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
        history = self._bench.spent[issued.hash]
        history[history.index(spent)] = replace(spent, charged_kgo=0)
        return True

    # --- rewards, refunds, coupons, cancelled requests

    def _reward(self, verdict: Verdict, rule: RewardRule, voucher: Voucher, record: str, wallet_id: int) -> Verdict:
        day = civil_day(voucher.at_s)
        row = self._store.one("SELECT kgo FROM rewards WHERE wallet_id = ? AND day = ?", (wallet_id, day))
        fund: Account = campaign_account(rule.campaign_id)
        if rule.is_merchant_funded:
            fund = owner_account(self._payee.kind, self._payee.owner)
        budget_kgo = rule.claim_kgo if rule.is_merchant_funded else self._books.balance(fund)
        day_left_kgo = rule.wallet_day_kgo_max - (row[0] if row else 0)
        kgo = posting.reward_granted_kgo(rule.claim_kgo, day_left_kgo, budget_kgo)
        if kgo:
            entries = ((fund, -kgo), (wallet_account(wallet_id), kgo))
            self._books.post(Posting(Reason.REWARD, entries, record, voucher.sequence))
            self._store.execute(
                "INSERT INTO rewards VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET kgo = kgo + excluded.kgo",
                (wallet_id, day, kgo),
            )
        return verdict if kgo == rule.claim_kgo else replace(verdict, refusal=RewardLimited.number)

    def _give_back(self, voucher: Voucher, record: str) -> Verdict:
        """Refund, void, annulment: of a posted original of this device, never more than is left of it."""
        original = self._store.one(
            "SELECT v.outcome, v.kind, s.hash FROM vouchers v LEFT JOIN spends s"
            " ON s.device = v.device AND s.sequence = v.sequence WHERE v.device = ? AND v.sequence = ?",
            (voucher.device, voucher.refers_to),
        )
        if original is None or original[1] not in SPENDING or original[0] not in (Outcome.POSTED, Outcome.SUSPENSE):
            raise RefundInvalid("no posted original")
        sequence = voucher.refers_to
        assert sequence is not None
        net = self._books.entries_of(voucher.device, sequence)
        left_kgo = sum(
            amount
            for account, amount in net
            if account.kind in (AccountKind.SUSPENSE, AccountKind.MERCHANT, AccountKind.OPERATOR)
            and account.currency == 1
        )
        left_satang = sum(amount for account, amount in net if account.currency == 2 and amount > 0)
        if voucher.kgo > max(left_kgo, 0) or voucher.satang > left_satang:
            raise RefundInvalid(f"{voucher.kgo}+{voucher.satang} of {left_kgo}+{left_satang}")
        issued = self._bench.issued_at(original[2]) if original[2] is not None else None
        wallet_id = issued.wallet_id if issued else None
        entries = posting.refund_entries(net, wallet_id, voucher.kgo, voucher.satang, self._payee)
        self._books.post(Posting(Reason.REFUND, entries, voucher.device, sequence, f"by {voucher.sequence}"))
        self._claw_back(voucher, sequence, left_kgo + left_satang)
        return Verdict(Outcome.POSTED)

    def _claw_back(self, voucher: Voucher, sequence: int, left_minor: int) -> None:
        """Rewards go back with the sale; a wallet that spent them goes below zero."""
        granted = self._books.entries_of(voucher.device, sequence, rewards=True)
        reward_kgo = sum(amount for account, amount in granted if account.kind is AccountKind.WALLET)
        back_kgo = posting.clawback_kgo(reward_kgo, voucher.kgo + voucher.satang, left_minor)
        if back_kgo:
            entries = tuple((account, -back_kgo if amount > 0 else back_kgo) for account, amount in granted)
            self._books.post(Posting(Reason.REWARD, entries, voucher.device, sequence, f"by {voucher.sequence}"))

    def _coupon(self, read: Read, record: str) -> Verdict:
        voucher, coupon = read.voucher, read.coupon
        if coupon is None or coupon.device != voucher.device or coupon.value_kgo != voucher.kgo:
            raise CouponInvalid("pinned elsewhere, or another value")
        if voucher.at_s > coupon.expires_at_s + self._limits.skew_s:
            raise CouponInvalid("expired")
        if self._store.one("SELECT 1 FROM coupons WHERE coupon_id = ?", (coupon.coupon_id,)) is not None:
            raise CouponInvalid("posted before")
        self._store.execute("INSERT INTO coupons VALUES(?, ?, ?)", (coupon.coupon_id, record, voucher.sequence))
        self.total_kgo += voucher.kgo
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

    # --- memory and proof

    def _remember(self, read: Read, record: str, charged_kgo: int, *, counts: bool) -> None:
        """What a wallet authorised stays known, rejected or not: it may be half of a proof."""
        shown, signed = read.shown, read.shown_signed
        if shown is None or signed is None or not read.is_wallet_signed:
            return
        spent = Spent(
            record,
            read.voucher.sequence,
            shown.n,
            shown.sum_kgo,
            authorised_kgo(shown),
            acceptance.intent_of(shown),
            signed.raw,
            read.shown_kind,
            charged_kgo,
            counts,
            read.voucher.at_s,
        )
        self._bench.prefetch([shown.allowance_hash])
        self._bench.spent[shown.allowance_hash].append(spent)
        self._store.execute(
            "INSERT INTO spends VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record,
                spent.sequence,
                shown.allowance_hash,
                spent.n,
                spent.sum_kgo,
                spent.authorised_kgo,
                spent.intent,
                spent.object,
                spent.kind,
                charged_kgo,
                int(counts),
                spent.at_s,
            ),
        )

    def _look_for_contradiction(self, read: Read) -> None:
        shown, signed = read.shown, read.shown_signed
        assert shown is not None and signed is not None
        find_contradiction(self._bench, shown, read.shown_kind, signed.raw)
