"""Who pays for a spend; and who pays for the others of its intent when it falls away. DESIGN §2, §5, §8.

An intent is charged once (in transit: once within the window). A green that nobody saw gives way to one that was seen,
a lapsed boarding falls away, and either may turn out to have been shown: each time the rest of the intent is settled
again, so that the order of uploads decides nothing. Works inside one transaction, through `Books`; never judges
whether a voucher is good.
"""

from dataclasses import replace

from offline_ledger.city import equivocation, posting, returning
from offline_ledger.city.accounts import (
    RISK,
    UNFUNDED,
    Posting,
    Reason,
    deposit_account,
    reserved_account,
    wallet_account,
)
from offline_ledger.city.allowances import AllowanceState, Issued
from offline_ledger.city.bench import LAPSED, UNRATIFIED, Bench, Claim, Verdict, take_back_reward
from offline_ledger.city.branches import Branches, stored_voucher
from offline_ledger.city.cover import Cover, give_back_risk
from offline_ledger.city.histories import bought_with
from offline_ledger.city.ingest_reading import terminal_of
from offline_ledger.city.posting import Payer
from offline_ledger.city.posting_links import note_of_received
from offline_ledger.city.spends import PaidBy, Spent
from offline_ledger.errors import AllowanceClosed, DuplicateIntent, Overspent, Refusal
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.protocol.wallet import Closing, Payment, Presentment, authorised_kgo
from offline_ledger.rules import acceptance
from offline_ledger.rules.sale import ShopHistory

NOT_SHOWN = "green not shown"


class Charging:
    """Within one transaction."""

    def __init__(self, bench: Bench, branches: Branches) -> None:
        self._bench = bench
        self._store = bench.store
        self._books = bench.books
        self._limits = bench.limits
        self._branches = branches
        self._states: dict[tuple[str, int], int] = {}

    def charge(self, claim: Claim, cover: Cover) -> tuple[Verdict, PaidBy]:
        """Posts one spend, unless nobody saw its green; the caller remembers who pays."""
        voucher = claim.voucher
        issued = self._bench.issued_at(claim.shown.allowance_hash)
        key, intent = (claim.record, voucher.sequence), acceptance.intent_of(claim.shown)
        others = self._standing(issued.hash, intent, but=key)
        state = self._state(*key)
        if state == LAPSED or (others and state == UNRATIFIED):
            return Verdict(Outcome.POSTED), PaidBy.NOBODY  # nobody saw this green, so nobody rode on it
        unseen = [one for one in others if self._state(one.device, one.sequence) == UNRATIFIED]
        unseen = [one for one in unseen if not self._is_paid_by_decision(one)]
        for spent in unseen:
            self._fall_away(issued, spent)
        if unseen:
            self._settle(issued, intent)
            others = self._standing(issued.hash, intent, but=key)
        if others:
            self._count_duplicate(issued)
        is_duplicate = self._is_paid_elsewhere(voucher.kind, voucher.at_s, others)
        return self._post(claim, issued, cover, is_duplicate=is_duplicate)

    def lapse(self, record: str, sequence: int) -> None:
        """The device says that this green was never shown: it falls away, and the others are settled again. What
        the operator decided to pay stays paid: that was a person's word."""
        found = self._spent_at(record, sequence)
        if found is not None and not self._is_paid_by_decision(found[1]):
            issued, spent = found
            self._fall_away(issued, spent)
            self._settle(issued, spent.intent)

    def give_way(self, record: str, sequence: int) -> None:
        """The device cannot say that this green was shown: where another of the intent stands, it falls away."""
        found = self._spent_at(record, sequence)
        if found is None or found[1].paid_by is PaidBy.NOBODY or self._state(record, sequence) != UNRATIFIED:
            return
        issued, spent = found
        if self._is_paid_by_decision(spent):
            return
        if self._standing(issued.hash, spent.intent, but=(record, sequence)):
            self._fall_away(issued, spent)
            self._settle(issued, spent.intent)

    def given_back(self, record: str, sequence: int) -> None:
        """Some of this was refunded: where nothing of it is left, the others of its intent are settled again."""
        found = self._spent_at(record, sequence)
        if found is not None:
            self._settle(found[0], found[1].intent)

    def after_all(self, record: str, sequence: int) -> None:
        """What had fallen away, and was shown in the end (or is charged as a sale that waited long enough): it is
        charged as any other, but for what was given back since. Not what the operator had refused."""
        found = self._spent_at(record, sequence)
        if found is None or found[1].paid_by is not PaidBy.NOBODY or self._is_decided(found[1]):
            return
        issued, spent = found
        claim = self._claim(spent)
        back_kgo, back_satang = returning.given_back(self._store, record, sequence)
        if back_kgo >= claim.voucher.kgo and back_satang >= claim.voucher.satang:
            return
        if returning.rebated_kgo(self._store, record, sequence):  # falling away had changed nothing in the books
            self._note(issued, spent, PaidBy.WALLET)
            return
        cover = self._cover_of(claim)
        verdict, paid_by = self.charge(claim, cover)
        self._note(issued, spent, paid_by)
        if paid_by is PaidBy.NOBODY:
            return
        back_kgo = min(back_kgo, claim.voucher.kgo)  # its device may have given again what another till had asked back
        if back_kgo or back_satang:
            net = self._books.entries_of(record, sequence)
            entries = posting.refund_entries(net, issued.wallet_id, back_kgo, back_satang, cover.payee)
            self._books.post(Posting(Reason.REFUND, entries, record, sequence, "as given back before"))
            return
        self._reward_later(verdict, claim, issued, cover)

    # --- one posting

    def _post(self, claim: Claim, issued: Issued, cover: Cover, *, is_duplicate: bool) -> tuple[Verdict, PaidBy]:
        voucher, record = claim.voucher, claim.record
        payer = None if is_duplicate else self._payer(issued)
        risk_left_kgo = cover.risk_left_kgo(claim)
        refusal = cover.suspense_reason(voucher)
        if is_duplicate and voucher.kind == VoucherKind.SALE:
            risk_left_kgo, refusal = 0, DuplicateIntent()
        funding = posting.fund(voucher.kgo, payer, risk_left_kgo)
        is_held = refusal is not None
        refusal = refusal or self._unfunded_reason(claim, issued, funding.unfunded_kgo, is_duplicate=is_duplicate)
        is_held = is_held or isinstance(refusal, DuplicateIntent)
        payee = replace(cover.payee, to_suspense=is_held)
        entries = posting.spend_entries(funding, payer, payee, voucher.satang)
        self._books.post(Posting(Reason.SPEND, entries, record, voucher.sequence, note_of_received(claim.raw)))
        cover.count_risk(funding.risk_kgo)
        paid_by = PaidBy.OTHERS if is_duplicate else PaidBy.WALLET
        if refusal is None:
            note = AllowanceClosed.number if _is_beyond_closing(issued, claim.shown) else 0
            return Verdict(Outcome.POSTED, DuplicateIntent.number if is_duplicate else note), paid_by
        cover.wait(claim.record, claim.voucher.sequence, posting.suspense_kgo(entries), refusal.number)
        return Verdict(Outcome.SUSPENSE, refusal.number), paid_by

    def _unfunded_reason(
        self, claim: Claim, issued: Issued, unfunded_kgo: int, *, is_duplicate: bool
    ) -> Refusal | None:
        if not unfunded_kgo:
            return None
        if is_duplicate:
            return DuplicateIntent()
        return AllowanceClosed() if _is_beyond_closing(issued, claim.shown) else Overspent()

    def _payer(self, issued: Issued) -> Payer:
        return Payer(
            issued.wallet_id,
            issued.hash,
            self._books.balance(reserved_account(issued.hash)),
            self._books.balance(wallet_account(issued.wallet_id)),
            self._books.balance(deposit_account(issued.wallet_id)),
        )

    # --- one intent

    def _settle(self, issued: Issued, intent: bytes) -> None:
        """The wallet pays what nobody else of the intent stands for any more, earliest first."""
        for spent in sorted(self._standing(issued.hash, intent), key=lambda one: (one.at_s, one.device, one.sequence)):
            if spent.paid_by is not PaidBy.OTHERS or self._is_decided(spent):
                continue
            claim, others = self._claim(spent), self._standing(issued.hash, intent, but=(spent.device, spent.sequence))
            if not self._is_paid_elsewhere(claim.voucher.kind, spent.at_s, others):
                self._let_wallet_pay(issued, claim)
                self._note(issued, spent, PaidBy.WALLET)

    def _let_wallet_pay(self, issued: Issued, claim: Claim) -> None:
        """Moves what the risk fund or nobody had paid to the wallet, in the order of every funding; what was given back
        meanwhile stays given back."""
        record, sequence = claim.record, claim.voucher.sequence
        cover = self._cover_of(claim)
        net = self._books.entries_of(record, sequence)
        had = dict(net)
        give_back_risk(self._store, cover.payee.owner, (record, sequence), -had.get(RISK, 0), self._bench.now_s)
        payer = self._payer(issued)
        risk_left_kgo = cover.risk_left_kgo(claim)
        funding = posting.fund(-had.get(RISK, 0) - had.get(UNFUNDED, 0), payer, risk_left_kgo)
        reason = cover.suspense_reason(claim.voucher)
        held = self._other_reason(record, sequence) or (reason.number if reason is not None else 0)
        payee = replace(cover.payee, to_suspense=bool(held))
        unfunded = self._unfunded_reason(claim, issued, funding.unfunded_kgo, is_duplicate=False)
        number = held or (unfunded.number if unfunded is not None else 0)
        entries = posting.funded_anew_entries(net, funding, payer, payee)
        self._books.post(Posting(Reason.PAYER, entries, record, sequence, "the other one fell away"))
        cover.count_risk(funding.risk_kgo)
        self._store.execute("DELETE FROM suspense WHERE device = ? AND sequence = ?", (record, sequence))
        waiting_kgo = posting.suspense_kgo((*net, *entries))
        if number and waiting_kgo:
            cover.wait(claim.record, claim.voucher.sequence, waiting_kgo, number)
        self._reward_later(Verdict(Outcome.POSTED, number), claim, issued, cover)

    def _other_reason(self, record: str, sequence: int) -> int:
        """What it waits for besides a payer, as the list of what the operator decides says."""
        row = self._store.one("SELECT refusal FROM suspense WHERE device = ? AND sequence = ?", (record, sequence))
        for_want_of_a_payer = (DuplicateIntent.number, Overspent.number, AllowanceClosed.number)
        return 0 if row is None or row[0] in for_want_of_a_payer else row[0]

    def _reward_later(self, verdict: Verdict, claim: Claim, issued: Issued, cover: Cover) -> None:
        """What now stands earns what it claimed, unless some of it was given back."""
        if verdict.outcome is not Outcome.POSTED or verdict.refusal or not claim.voucher.reward_kgo:
            return
        if posting.credited_kgo(self._books.entries_of(claim.record, claim.voucher.sequence)) < claim.voucher.kgo:
            return
        rule = self._bench.prices.check_sale(claim.voucher, cover.payee.owner, lambda: self._bought_before(claim))
        if rule is not None:
            returning.reward(self._bench, verdict, rule, claim.voucher, claim.record, issued.wallet_id, cover.payee)

    def _bought_before(self, claim: Claim) -> ShopHistory:
        """What the same terminal had accepted of the same allowance before, in order."""
        branch = self._branches.before(claim.record, claim.voucher)
        there = self._bench.spent[claim.shown.allowance_hash].at(claim.voucher.device)
        seen = ShopHistory()
        for spent in there.spents:
            stored = stored_voucher(self._store, spent.device, spent.sequence)
            if stored is not None and branch.has(spent.device, spent.sequence):
                seen = bought_with(self._store, seen, spent.device, stored.voucher)
        return seen

    def _fall_away(self, issued: Issued, spent: Spent) -> None:
        """Undoes a posted charge whose green nobody saw: the wallet and its reserve get it all back.

        A reserve that was released meanwhile takes nothing more: its part goes to the wallet's *available*. Of what day
        close gave back whole there is nothing to undo, so its charge and its rebate stay as they are.
        """
        record, sequence = spent.device, spent.sequence
        net = self._books.entries_of(record, sequence)
        entries = posting.reversal(net)
        if issued.state is AllowanceState.RELEASED:
            closed, available = reserved_account(issued.hash), wallet_account(issued.wallet_id)
            entries = tuple((available if account == closed else account, amount) for account, amount in entries)
        self._books.post(Posting(Reason.YIELD, entries, record, sequence, NOT_SHOWN))
        take_back_reward(self._store, self._books, record, sequence, NOT_SHOWN)
        risk_kgo = -dict(net).get(RISK, 0)
        if risk_kgo:
            owner = terminal_of(self._store, spent.base_device).owner
            give_back_risk(self._store, owner, (record, sequence), risk_kgo, self._bench.now_s)
        self._store.execute(
            "DELETE FROM suspense WHERE device = ? AND sequence = ? AND decided_at_s IS NULL", (record, sequence)
        )
        if entries:
            self._store.execute("DELETE FROM rebates WHERE device = ? AND sequence = ?", (record, sequence))
        self._note(issued, spent, PaidBy.NOBODY)

    def _is_paid_elsewhere(self, kind: int, at_s: int, others: list[Spent]) -> bool:
        """In a shop once whatever the times; in transit once within the window of one that is paid for itself."""
        payers = [spent for spent in others if self._is_decided(spent) or self._is_paid(spent)]
        if kind == VoucherKind.SALE:
            return bool(payers)
        return any(abs(spent.at_s - at_s) <= self._limits.window_s for spent in payers)

    def _is_paid(self, spent: Spent) -> bool:
        """The wallet's, and not given back whole."""
        if spent.paid_by is not PaidBy.WALLET:
            return False
        key = (spent.device, spent.sequence)
        is_rebated = returning.rebated_kgo(self._store, *key) and not any(returning.given_back(self._store, *key))
        return bool(is_rebated) or posting.credited_kgo(self._books.entries_of(*key)) > 0

    def _is_decided(self, spent: Spent) -> bool:
        """Has the operator spoken about this one?"""
        row = self._store.one(
            "SELECT decided_at_s FROM suspense WHERE device = ? AND sequence = ?", (spent.device, spent.sequence)
        )
        return row is not None and row[0] is not None

    def _is_paid_by_decision(self, spent: Spent) -> bool:
        """Does the owner have something of it because the operator said so?"""
        return (
            self._is_decided(spent) and posting.credited_kgo(self._books.entries_of(spent.device, spent.sequence)) > 0
        )

    def _standing(self, hash_: bytes, intent: bytes, *, but: tuple[str, int] | None = None) -> list[Spent]:
        """Spends of this intent whose green counts."""
        return [
            spent
            for spent in self._bench.spent[hash_].by_intent.get(intent, ())
            if spent.standing_kgo and (spent.device, spent.sequence) != but
        ]

    def _count_duplicate(self, issued: Issued) -> None:
        count = self._bench.issued[issued.hash].duplicates + 1
        self._bench.issued[issued.hash] = replace(issued, duplicates=count)
        self._store.execute("UPDATE allowances SET duplicates = ? WHERE hash = ?", (count, issued.hash))
        if count > self._limits.duplicates_max:
            equivocation.deny_wallet(self._store, issued.wallet_id, equivocation.DUPLICATES, self._bench.now_s)

    # --- what is remembered

    def _state(self, device_id: str, sequence: int) -> int:
        key = (device_id, sequence)
        if key not in self._states:
            row = self._store.one("SELECT state FROM unratified WHERE device = ? AND sequence = ?", key)
            self._states[key] = row[0] if row else 0
        return self._states[key]

    def _spent_at(self, record: str, sequence: int) -> tuple[Issued, Spent] | None:
        """A spend that counts, and its allowance."""
        row = self._store.one(
            "SELECT hash FROM spends WHERE device = ? AND sequence = ? AND counts = 1", (record, sequence)
        )
        if row is None:
            return None
        issued = self._bench.issued_at(row[0])
        return issued, self._bench.spent[issued.hash].find(record, sequence)

    def _claim(self, spent: Spent) -> Claim:
        """A spend that was judged before, read again."""
        stored = stored_voucher(self._store, spent.device, spent.sequence)
        signed = cose.parse_sign1(spent.object, cose.external_aad(spent.kind, self._store.city))
        shown = equivocation.read_wallet_object(spent.kind, signed)
        assert stored is not None and not isinstance(shown, Closing)
        return Claim(spent.device, stored.voucher, shown, stored.raw)

    def _cover_of(self, claim: Claim) -> Cover:
        """What the terminal was allowed when it made this voucher, not what it is now."""
        voucher = claim.voucher
        row = self._store.one(
            "SELECT coalesce(sum(kgo), 0) FROM vouchers WHERE device = ? AND sequence <= ? AND kind IN (?, ?, ?)"
            " AND outcome IN (?, ?)",
            (
                *(voucher.device, voucher.sequence, VoucherKind.BOARDING, VoucherKind.SALE, VoucherKind.COUPON),
                *(Outcome.POSTED, Outcome.SUSPENSE),
            ),
        )
        total_kgo = row[0] if row else 0
        return Cover(self._bench, terminal_of(self._store, voucher.device), total_kgo, voucher.at_s)

    def _note(self, issued: Issued, spent: Spent, paid_by: PaidBy) -> None:
        self._bench.spent[issued.hash].note(spent, paid_by)
        self._store.execute(
            "UPDATE spends SET paid_by = ? WHERE device = ? AND sequence = ?", (paid_by, spent.device, spent.sequence)
        )


def _is_beyond_closing(issued: Issued, shown: Presentment | Payment) -> bool:
    """The wallet had said that nothing more would come. Its proof is kept apart; here it decides only who funds."""
    if issued.closed_n is None or issued.closed_sum_kgo is None:
        return False
    return shown.n > issued.closed_n or shown.sum_kgo + authorised_kgo(shown) > issued.closed_sum_kgo
