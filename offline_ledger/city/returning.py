"""Rewards, refunds and clawbacks of one device's vouchers. DESIGN §8.

A refund names a posted original of the same terminal and never gives more than is left of it; what day close gave back
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
from offline_ledger.city.branches import stored_voucher
from offline_ledger.city.ingest_reading import Read
from offline_ledger.city.posting import Payee
from offline_ledger.city.posting_links import note_of_refund
from offline_ledger.city.pricing import RewardRule
from offline_ledger.city.store import Store
from offline_ledger.errors import RefundInvalid, RewardLimited
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import Voucher, VoucherKind
from offline_ledger.rules.civil import civil_day

SPENDING = frozenset({VoucherKind.BOARDING, VoucherKind.SALE})
RETURNING = frozenset({VoucherKind.REFUND, VoucherKind.VOID, VoucherKind.ANNUL})


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


def give_back(bench: Bench, read: Read, payee: Payee, record: str | None) -> Verdict:
    """Refund, void, annulment: of a posted original of the same terminal, never more than is left of it.

    `record`: the name that the original was posted under; None: the terminal had made no such voucher.
    """
    voucher = read.voucher
    sequence = voucher.refers_to
    if record is None or sequence is None:
        raise RefundInvalid("no posted original")
    original = stored_voucher(bench.store, record, sequence)
    if (
        original is None
        or original.voucher.kind not in SPENDING
        or original.outcome not in (Outcome.POSTED, Outcome.SUSPENSE)
    ):
        raise RefundInvalid("no posted original")
    net = bench.books.entries_of(record, sequence)
    left_kgo = posting.credited_kgo(net)
    left_satang = sum(amount for account, amount in net if account.currency is Currency.THB and amount > 0)
    rebated = rebated_kgo(bench.store, record, sequence)
    if voucher.kgo > max(left_kgo, 0) + rebated or voucher.satang > left_satang:
        raise RefundInvalid(f"{voucher.kgo}+{voucher.satang} of {left_kgo}+{left_satang}")
    back_kgo = min(voucher.kgo, max(left_kgo, 0))  # the rest came back at day close already
    row = bench.store.one("SELECT hash FROM spends WHERE device = ? AND sequence = ?", (record, sequence))
    wallet_id = bench.issued_at(row[0]).wallet_id if row is not None else None
    entries = posting.refund_entries(net, wallet_id, back_kgo, voucher.satang, payee)
    bench.books.post(
        Posting(Reason.REFUND, entries, record, sequence, note_of_refund(voucher.sequence, read.signed.raw))
    )
    claw_back(bench, voucher, (record, sequence), left_kgo + left_satang)
    return Verdict(Outcome.POSTED)


def rebated_kgo(store: Store, record: str, sequence: int) -> int:
    """What day close gave back of a boarding."""
    row = store.one("SELECT kgo FROM rebates WHERE device = ? AND sequence = ?", (record, sequence))
    return row[0] if row else 0


def given_back(store: Store, device_id: str, sequence: int) -> tuple[int, int]:
    """(KGO, satang) that refunds, voids and annulments on the device's own chain gave back of a voucher."""
    row = store.one(
        "SELECT coalesce(sum(kgo), 0), coalesce(sum(satang), 0) FROM vouchers"
        " WHERE device = ? AND refers_to = ? AND outcome = ?",
        (device_id, sequence, Outcome.POSTED),
    )
    return (row[0], row[1]) if row else (0, 0)


def claw_back(bench: Bench, voucher: Voucher, original: tuple[str, int], left_minor: int) -> None:
    """Rewards go back with the sale; a wallet that spent them goes below zero."""
    granted = bench.books.entries_of(*original, rewards=True)
    reward_kgo = sum(amount for account, amount in granted if account.kind is AccountKind.WALLET)
    back_kgo = posting.clawback_kgo(reward_kgo, voucher.kgo + voucher.satang, left_minor)
    if back_kgo:
        entries = tuple((account, -back_kgo if amount > 0 else back_kgo) for account, amount in granted)
        bench.books.post(Posting(Reason.REWARD, entries, *original, f"by {voucher.sequence}"))
