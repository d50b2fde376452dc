"""Rewards, refunds and clawbacks of one device's vouchers. DESIGN §8.

A refund names a posted original of the same device and never gives more than is left of it; what day close gave back
before counts as given. Works inside one transaction, through `Books`; never judges a spend.
"""

from dataclasses import replace

from offline_ledger.city import posting
from offline_ledger.city.accounts import (
    Account,
    AccountKind,
    Currency,
    Posting,
    Reason,
    campaign_account,
    owner_account,
    wallet_account,
)
from offline_ledger.city.bench import Bench, Verdict
from offline_ledger.city.posting import Payee
from offline_ledger.city.pricing import RewardRule
from offline_ledger.errors import RefundInvalid, RewardLimited
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import Voucher, VoucherKind
from offline_ledger.rules.civil import civil_day

SPENDING = frozenset({VoucherKind.BOARDING, VoucherKind.SALE})
RETURNING = frozenset({VoucherKind.REFUND, VoucherKind.VOID, VoucherKind.ANNUL})
_CREDITED = (AccountKind.SUSPENSE, AccountKind.MERCHANT, AccountKind.OPERATOR)


def reward(
    bench: Bench, verdict: Verdict, rule: RewardRule, voucher: Voucher, record: str, wallet_id: int, payee: Payee
) -> Verdict:
    """Posts what the day and the budget still hold of a claim."""
    day = civil_day(voucher.at_s)
    row = bench.store.one("SELECT kgo FROM rewards WHERE wallet_id = ? AND day = ?", (wallet_id, day))
    fund: Account = campaign_account(rule.campaign_id)
    if rule.is_merchant_funded:
        fund = owner_account(payee.kind, payee.owner)
    budget_kgo = rule.claim_kgo if rule.is_merchant_funded else bench.books.balance(fund)
    day_left_kgo = rule.wallet_day_kgo_max - (row[0] if row else 0)
    kgo = posting.reward_granted_kgo(rule.claim_kgo, day_left_kgo, budget_kgo)
    if kgo:
        entries = ((fund, -kgo), (wallet_account(wallet_id), kgo))
        bench.books.post(Posting(Reason.REWARD, entries, record, voucher.sequence))
        bench.store.execute(
            "INSERT INTO rewards VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET kgo = kgo + excluded.kgo",
            (wallet_id, day, kgo),
        )
    return verdict if kgo == rule.claim_kgo else replace(verdict, refusal=RewardLimited.number)


def give_back(bench: Bench, voucher: Voucher, payee: Payee) -> Verdict:
    """Refund, void, annulment: of a posted original of this device, never more than is left of it."""
    original = bench.store.one(
        "SELECT v.outcome, v.kind, s.hash FROM vouchers v LEFT JOIN spends s"
        " ON s.device = v.device AND s.sequence = v.sequence WHERE v.device = ? AND v.sequence = ?",
        (voucher.device, voucher.refers_to),
    )
    if original is None or original[1] not in SPENDING or original[0] not in (Outcome.POSTED, Outcome.SUSPENSE):
        raise RefundInvalid("no posted original")
    sequence = voucher.refers_to
    assert sequence is not None
    net = bench.books.entries_of(voucher.device, sequence)
    left_kgo = sum(amount for account, amount in net if account.kind in _CREDITED and account.currency is Currency.KGO)
    left_satang = sum(amount for account, amount in net if account.currency is Currency.THB and amount > 0)
    rebated_kgo = _rebated_kgo(bench, voucher.device, sequence)
    if voucher.kgo > max(left_kgo, 0) + rebated_kgo or voucher.satang > left_satang:
        raise RefundInvalid(f"{voucher.kgo}+{voucher.satang} of {left_kgo}+{left_satang}")
    back_kgo = min(voucher.kgo, max(left_kgo, 0))  # the rest came back at day close already
    issued = bench.issued_at(original[2]) if original[2] is not None else None
    wallet_id = issued.wallet_id if issued else None
    entries = posting.refund_entries(net, wallet_id, back_kgo, voucher.satang, payee)
    bench.books.post(Posting(Reason.REFUND, entries, voucher.device, sequence, f"by {voucher.sequence}"))
    claw_back(bench, voucher, sequence, left_kgo + left_satang)
    return Verdict(Outcome.POSTED)


def _rebated_kgo(bench: Bench, device_id: str, sequence: int) -> int:
    row = bench.store.one("SELECT kgo FROM rebates WHERE device = ? AND sequence = ?", (device_id, sequence))
    return row[0] if row else 0


def claw_back(bench: Bench, voucher: Voucher, sequence: int, left_minor: int) -> None:
    """Rewards go back with the sale; a wallet that spent them goes below zero."""
    granted = bench.books.entries_of(voucher.device, sequence, rewards=True)
    reward_kgo = sum(amount for account, amount in granted if account.kind is AccountKind.WALLET)
    back_kgo = posting.clawback_kgo(reward_kgo, voucher.kgo + voucher.satang, left_minor)
    if back_kgo:
        entries = tuple((account, -back_kgo if amount > 0 else back_kgo) for account, amount in granted)
        bench.books.post(Posting(Reason.REWARD, entries, voucher.device, sequence, f"by {voucher.sequence}"))
