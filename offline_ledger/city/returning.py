"""Rewards, refunds and clawbacks of one device's vouchers. DESIGN §8.

A refund names a posted original of the same terminal and never gives more than is left of it; what day close gave back
before counts as given. Works inside one transaction, through `Books`; never judges a spend.
"""

from dataclasses import replace
from enum import IntEnum
from typing import NamedTuple

from offline_ledger.city import posting
from offline_ledger.city.accounts import (
    Account,
    AccountKind,
    Currency,
    Entry,
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


class RequestState(IntEnum):
    """What became of a refund request."""

    WAITING = 0
    APPROVED = 1
    DECLINED = 2


class Left(NamedTuple):
    """What stands of a voucher: its postings together, and what the owner and the drawer have of it."""

    net: tuple[Entry, ...]
    kgo: int
    satang: int


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

    `record`: the name that the original was posted under; None: the terminal had made no such voucher. What came back
    by another way, of which the terminal cannot know (day close, another till's request), does not come back again, and
    makes no honest voucher wrong.
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
    left = left_of(bench, record, sequence)
    elsewhere_kgo = rebated_kgo(bench.store, record, sequence) + asked_kgo(bench.store, record, sequence)
    by_own_kgo = given_by_own(bench.store, record, sequence)[0] + voucher.kgo
    is_too_much = voucher.kgo > max(left.kgo, 0) + elsewhere_kgo or by_own_kgo > original.voucher.kgo
    if is_too_much or voucher.satang > left.satang:
        raise RefundInvalid(f"{voucher.kgo}+{voucher.satang} of {left.kgo}+{left.satang}")
    back_kgo = min(voucher.kgo, max(left.kgo, 0))
    note = note_of_refund(voucher.sequence, read.signed.raw)
    post_back(bench, (record, sequence), left, (back_kgo, voucher.satang), payee, note)
    claw_back(bench, back_kgo + voucher.satang, f"by {voucher.sequence}", (record, sequence), left)
    return Verdict(Outcome.POSTED)


def left_of(bench: Bench, record: str, sequence: int) -> Left:
    """What a voucher's postings still come to."""
    net = bench.books.entries_of(record, sequence)
    satang = sum(amount for account, amount in net if account.currency is Currency.THB and amount > 0)
    return Left(net, posting.credited_kgo(net), satang)


def post_back(
    bench: Bench, original: tuple[str, int], left: Left, back: tuple[int, int], payee: Payee, note: str
) -> None:
    """Gives back (KGO, satang) of what is left, the last source first, to the wallet that paid."""
    row = bench.store.one("SELECT hash FROM spends WHERE device = ? AND sequence = ?", original)
    wallet_id = bench.issued_at(row[0]).wallet_id if row is not None else None
    entries = posting.refund_entries(left.net, wallet_id, *back, payee)
    bench.books.post(Posting(Reason.REFUND, entries, *original, note))


def rebated_kgo(store: Store, record: str, sequence: int) -> int:
    """What day close gave back of a boarding."""
    row = store.one("SELECT kgo FROM rebates WHERE device = ? AND sequence = ?", (record, sequence))
    return row[0] if row else 0


def given_back(store: Store, device_id: str, sequence: int) -> tuple[int, int]:
    """(KGO, satang) that went back of a voucher: by its own device, and by other tills' requests, of which
    its device may not know: together they may say more than it took."""
    kgo, satang = given_by_own(store, device_id, sequence)
    return kgo + asked_kgo(store, device_id, sequence), satang


def given_by_own(store: Store, device_id: str, sequence: int) -> tuple[int, int]:
    """(KGO, satang) that refunds, voids and annulments on the device's own chain say of a voucher."""
    row = store.one(
        "SELECT coalesce(sum(kgo), 0), coalesce(sum(satang), 0) FROM vouchers"
        " WHERE device = ? AND refers_to = ? AND outcome = ?",
        (device_id, sequence, Outcome.POSTED),
    )
    assert row is not None
    return row[0], row[1]


def asked_kgo(store: Store, device_id: str, sequence: int) -> int:
    """What went back of a voucher because other tills asked for it."""
    row = store.one(
        "SELECT coalesce(sum(kgo), 0) FROM refund_requests"
        " WHERE original_device = ? AND original_sequence = ? AND state = ?",
        (device_id, sequence, RequestState.APPROVED),
    )
    assert row is not None
    return row[0]


def claw_back(bench: Bench, back_minor: int, note: str, original: tuple[str, int], left: Left) -> None:
    """Rewards go back with the sale; a wallet that spent them goes below zero."""
    granted = bench.books.entries_of(*original, rewards=True)
    reward_kgo = sum(amount for account, amount in granted if account.kind is AccountKind.WALLET)
    back_kgo = posting.clawback_kgo(reward_kgo, back_minor, left.kgo + left.satang)
    if back_kgo:
        entries = tuple((account, -back_kgo if amount > 0 else back_kgo) for account, amount in granted)
        bench.books.post(Posting(Reason.REWARD, entries, *original, note))
