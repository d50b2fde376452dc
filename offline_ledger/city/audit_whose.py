"""The audit of whose accounts a voucher's postings touch: its owner's, its wallet's, and nobody else's. DESIGN §8.

Who is credited is what the device's certificate says, who is charged what the wallet's signed object says, and what a
reward may be is what the voucher claims; `audit_devices` and `audit_papers` have held the rows against those bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from offline_ledger.city import audit_batches
from offline_ledger.city.accounts import AccountKind, Reason
from offline_ledger.city.audit_findings import Findings, Place, voucher_at
from offline_ledger.city.audit_parts import CREDITED, Moved, Part, Said, is_own
from offline_ledger.city.audit_refund_requests import APPROVED
from offline_ledger.city.store import Store
from offline_ledger.errors import RewardLimited
from offline_ledger.money import format_minor
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, VoucherKind
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.limits import HOUR_S

_OWNER = frozenset({AccountKind.MERCHANT, AccountKind.OPERATOR, AccountKind.SUSPENSE, AccountKind.CUSTOMER_CASH})
_OWN = frozenset({AccountKind.WALLET, AccountKind.DEPOSIT})
_FUNDS = frozenset({AccountKind.RISK, AccountKind.UNFUNDED})
_RETURNED = _OWNER | _OWN | _FUNDS | {AccountKind.ISSUANCE}
TOUCHED: dict[int, frozenset[AccountKind]] = {
    Reason.SPEND: _OWNER | _OWN | _FUNDS | {AccountKind.RESERVED},
    Reason.YIELD: _OWNER | _OWN | _FUNDS | {AccountKind.RESERVED},
    Reason.COUPON: _OWNER | {AccountKind.ISSUANCE},
    Reason.REFUND: _RETURNED,
    Reason.REBATE: _RETURNED,
    Reason.DECISION: _RETURNED,
    Reason.PAYER: _OWNER | _OWN | _FUNDS | {AccountKind.RESERVED},
    Reason.REWARD: frozenset({AccountKind.WALLET, AccountKind.CAMPAIGN, AccountKind.MERCHANT, AccountKind.OPERATOR}),
}
"""What a posting for a voucher may touch, by its reason."""
_MADE_BY = {Reason.SPEND: (VoucherKind.BOARDING, VoucherKind.SALE), Reason.COUPON: (VoucherKind.COUPON,)}


NOBODY, OTHERS = 0, 2
"""In the column `paid_by`: what gave way or lapsed; the other one of a duplicate."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Whom a voucher names: its device's owner, and its wallet's allowance, if it has one."""

    owner: str
    owner_kind: AccountKind
    allowance: str
    wallet_id: int | None
    paid_by: int | None
    expires_at_s: int | None


def check_whose(store: Store, findings: Findings, key: tuple[str, int], parts: Sequence[Part], said: Said) -> None:
    """All postings of one voucher, in their order."""
    where = voucher_at(*key)
    whose = _whose(store, key)
    if whose is None:
        findings.add("device_unknown", where)
        return
    for part in parts:
        may_touch = TOUCHED.get(part.reason, frozenset())
        if said.kind not in _MADE_BY.get(Reason(part.reason), (said.kind,)) if part.reason in TOUCHED else True:
            findings.add("posting_shape", where, posting=part.posting_id, reason=part.reason)
            continue
        for one in part.moved:
            if one.kind not in may_touch:
                findings.add("posting_shape", where, posting=part.posting_id, reason=part.reason)
            else:
                _check_account(store, findings, where, whose, part, one, said)
        if part.posted_at_s < said.received_at_s - HOUR_S:  # a clock may be set back a little
            findings.add("posted_early", where, posting=part.posting_id)
    _check_charged(findings, where, whose, parts, said)
    _check_taken_back(store, findings, where, key, parts, said)
    _check_refunds(store, findings, where, key, parts, said.kgo)
    _check_reward(store, findings, where, key, whose, parts, said)
    _check_suspense(store, findings, where, key, whose, parts)


def _whose(store: Store, key: tuple[str, int]) -> Whose | None:
    row = store.one(
        "SELECT d.owner, d.role, s.hash, l.wallet_id, s.paid_by, l.expires_at_s FROM devices d"
        " LEFT JOIN spends s ON s.device = ? AND s.sequence = ? LEFT JOIN allowances l USING(hash) WHERE d.device = ?",
        (*key, key[0].partition("~")[0]),
    )
    if row is None:
        return None
    owner, role, allowance, wallet_id, paid_by, expires_at_s = row
    kind = AccountKind.OPERATOR if role == DeviceRole.VALIDATOR else AccountKind.MERCHANT
    return Whose(owner, kind, allowance.hex() if allowance is not None else "", wallet_id, paid_by, expires_at_s)


def _check_account(
    store: Store, findings: Findings, where: Place, whose: Whose, part: Part, one: Moved, said: Said
) -> None:
    """One entry's account against the one that signed objects name."""
    amount = format_minor(one.amount)
    if one.kind in CREDITED:
        kind = one.kind if one.kind == AccountKind.SUSPENSE else whose.owner_kind
        if (one.kind, one.name) != (kind, whose.owner):
            account, expected = f"{one.kind} {one.name}", f"{kind:d} {whose.owner}"
            findings.add(
                "credited_elsewhere", where, posting=part.posting_id, kgo=amount, account=account, expected=expected
            )
    elif one.kind == AccountKind.RESERVED:
        if one.name != whose.allowance:
            account, expected = one.name[:16], whose.allowance[:16] or "-"
            findings.add(
                "reserve_elsewhere", where, posting=part.posting_id, kgo=amount, account=account, expected=expected
            )
    elif one.kind in _OWN:
        if not is_own(store, one.name, whose.wallet_id):
            expected = "-" if whose.wallet_id is None else whose.wallet_id
            findings.add(
                "wallet_elsewhere", where, posting=part.posting_id, kgo=amount, account=one.name, expected=expected
            )
    elif one.kind == AccountKind.CAMPAIGN and one.name != said.product:
        findings.add(
            "campaign_elsewhere", where, posting=part.posting_id, kgo=amount, account=one.name, expected=said.product
        )


def standing_of(parts: Sequence[Part]) -> int:
    """How many charges stand: 1 for what was charged, 0 for what was taken back."""
    charged = sum(part.reason in (Reason.SPEND, Reason.COUPON) for part in parts)
    return charged - sum(part.reason == Reason.YIELD for part in parts)


def _check_charged(findings: Findings, where: Place, whose: Whose, parts: Sequence[Part], said: Said) -> None:
    """Who is noted to pay is who paid: nobody for what was taken back, never the wallet for the other one of a
    duplicate unless the operator said so; late decides who funds. What was taken back took the decisions with it."""
    last_yield = max((part.posting_id for part in parts if part.reason == Reason.YIELD), default=0)
    kept = [part for part in parts if part.posting_id > last_yield]
    net = [part for part in kept if part.reason not in (Reason.REWARD, Reason.DECISION)]
    given_kgo = sum(part.given_kgo for part in net)
    is_undone = standing_of(parts) < 1 or not any(part.credited_kgo or part.credited_satang for part in net)
    if whose.paid_by is not None and (
        (whose.paid_by == NOBODY and not is_undone and _left(parts))
        or (whose.paid_by == OTHERS and given_kgo > 0)
        or (whose.paid_by != NOBODY and standing_of(parts) < 1 and said.kgo)
    ):
        findings.add("payer_noted_wrong", where, noted=whose.paid_by, given=format_minor(given_kgo))
    if said.is_late and whose.expires_at_s is not None and said.received_at_s <= whose.expires_at_s:
        findings.add("late_wrong", where)


def _check_taken_back(
    store: Store, findings: Findings, where: Place, key: tuple[str, int], parts: Sequence[Part], said: Said
) -> None:
    """A charge is taken back only where the device's own events say that its green was not seen."""
    is_taken = any(part.reason == Reason.YIELD for part in parts) and standing_of(parts) < 1
    if is_taken and said.kgo and said.outcome == Outcome.POSTED and not _was_unratified(store, key):
        findings.add("yield_wrong", where, kgo=format_minor(said.kgo))


def _check_refunds(
    store: Store, findings: Findings, where: Place, key: tuple[str, int], parts: Sequence[Part], charged_kgo: int
) -> None:
    """What the device's own vouchers and approved requests gave back of this one; what day close gave before counts. A
    voucher may say more than was left, if a request of which its device cannot know came before."""
    last = max((part.posting_id for part in parts if part.reason in (Reason.SPEND, Reason.COUPON)), default=0)
    refunded = [part for part in parts if part.reason == Reason.REFUND and part.posting_id > last]
    back_kgo, back_satang = (
        -sum(part.credited_kgo for part in refunded),
        -sum(part.credited_satang for part in refunded),
    )
    row = store.one(
        "SELECT coalesce(sum(kgo), 0), coalesce(sum(satang), 0) FROM vouchers INDEXED BY vouchers_referring"
        " WHERE device = ? AND refers_to = ? AND outcome = ? AND kind IN (?, ?, ?)",
        (*key, Outcome.POSTED, VoucherKind.REFUND, VoucherKind.VOID, VoucherKind.ANNUL),
    )
    asked = store.one(
        "SELECT coalesce(sum(kgo), 0) FROM refund_requests"
        " WHERE original_device = ? AND original_sequence = ? AND state = ?",
        (*key, APPROVED),
    )  # each held against its own posting: `audit_refund_requests`
    kgo, satang = (row[0] + asked[0], row[1]) if row and asked else (0, 0)
    rebated_kgo = -sum(part.credited_kgo for part in parts if part.reason == Reason.REBATE)
    if back_satang != satang or not min(kgo, charged_kgo) - rebated_kgo <= back_kgo <= kgo:
        forked = "SELECT 1 FROM fork_vouchers WHERE device = ? AND outcome = ?"
        if store.one(forked, (key[0].partition("~")[0], Outcome.POSTED)) is None:  # a released fork may have refunded
            findings.add("refund_wrong", where, given=format_minor(back_kgo), kgo=format_minor(kgo))


def _is_counted(store: Store, whose: Whose, said: Said) -> bool:
    """`audit_rewards` goes by the rows that are there; this one must be."""
    row = store.one("SELECT 1 FROM rewards WHERE wallet_id = ? AND day = ?", (whose.wallet_id, civil_day(said.at_s)))
    return row is not None


def _left(parts: Sequence[Part]) -> bool:
    """Does anybody still have something of it?"""
    kept = [part for part in parts if part.reason != Reason.REWARD]
    return any((sum(part.credited_kgo for part in kept), sum(part.credited_satang for part in kept)))


def _check_reward(
    store: Store,
    findings: Findings,
    where: Place,
    key: tuple[str, int],
    whose: Whose,
    parts: Sequence[Part],
    said: Said,
) -> None:
    """Never more than the voucher claims; all of it, unless the log says that a limit was reached. A sale that was
    given back whole keeps nothing of it."""
    granted = [-part.given_kgo for part in parts if part.reason == Reason.REWARD]
    largest_kgo, net_kgo = max(granted, default=0), sum(granted)
    is_whole = said.outcome == Outcome.POSTED and not said.refusal and standing_of(parts) > 0
    first_kgo = next((kgo for kgo in granted if kgo > 0), 0)
    if is_whole and first_kgo < said.reward_kgo and not _was_unratified(store, key):
        given, kgo = format_minor(first_kgo), format_minor(said.reward_kgo)
        findings.add("reward_missing", where, given=given, kgo=kgo)
    is_limited = said.refusal == RewardLimited.number
    if max(largest_kgo, net_kgo) > said.reward_kgo or (is_limited and largest_kgo >= said.reward_kgo):
        given, kgo = format_minor(max(largest_kgo, net_kgo)), format_minor(said.reward_kgo)
        findings.add("reward_wrong", where, given=given, kgo=kgo)
    if net_kgo > 0 and not _is_counted(store, whose, said):
        findings.add("reward_not_counted", where, given=format_minor(net_kgo))
    left = [part for part in parts if part.reason != Reason.REWARD]
    is_returned = not sum(part.credited_kgo for part in left) and not sum(part.credited_satang for part in left)
    if net_kgo > 0 and is_returned:
        findings.add("reward_alone", where, given=format_minor(net_kgo))


def _was_unratified(store: Store, key: tuple[str, int]) -> bool:
    """Charged later than the log was written, after its green had been shown in the end; a late ratification leaves no
    row of it, only the device's earlier event."""
    if store.one("SELECT 1 FROM unratified WHERE device = ? AND sequence = ?", key) is not None:
        return True
    return audit_batches.was_excepted(store, *key)


def _check_suspense(
    store: Store, findings: Findings, where: Place, key: tuple[str, int], whose: Whose, parts: Sequence[Part]
) -> None:
    """What the books hold in suspense must wait in the list of what the operator decides, in the owner's name."""
    waiting_kgo = sum(part.sum_of(frozenset({AccountKind.SUSPENSE})) for part in parts)
    row = store.one("SELECT owner, kgo, decided_at_s FROM suspense WHERE device = ? AND sequence = ?", key)
    kgo = format_minor(waiting_kgo)
    if waiting_kgo and (row is None or row[2] is not None or row[1] < waiting_kgo):
        findings.add("suspense_wrong", where, kgo=kgo)
    if row is not None and row[1] != _put_in_suspense(parts):
        noted, expected = format_minor(row[1]), format_minor(_put_in_suspense(parts))
        findings.add("suspense_amount", where, noted=noted, expected=expected)
    if row is not None and row[0] != whose.owner:
        findings.add("suspense_elsewhere", where, kgo=kgo, owner=row[0], expected=whose.owner)


def _put_in_suspense(parts: Sequence[Part]) -> int:
    """What stood in suspense when it was put there last, or funded anew there; refunds since are not noted."""
    stood_kgo, put_kgo = 0, 0
    for part in parts:
        moved_kgo = part.sum_of(frozenset({AccountKind.SUSPENSE}))
        stood_kgo += moved_kgo
        if moved_kgo > 0 or part.reason == Reason.PAYER:
            put_kgo = stood_kgo
    return put_kgo
