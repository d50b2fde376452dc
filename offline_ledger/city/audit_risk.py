"""The audit of the risk fund: what it paid on which day, and that nothing from the future was paid. DESIGN §8.

Days are the city's own, by when it posted; what a voucher claims moves no ceiling. Sums are taken again from entries in
order of posting, and only the newest days stand in memory. Reads only.
"""

from offline_ledger.city.accounts import AccountKind, Currency, Reason
from offline_ledger.city.audit_findings import Findings, Place, voucher_at
from offline_ledger.city.store import Store
from offline_ledger.rules.civil import civil_day

AHEAD_S_MAX = 30
"""No city's clocks may differ by more: skew is below the time that a code is fresh."""
DAYS_KEPT = 3
"""The city's clock may be set back: a day is held against its row when it is this old."""
_OWNERS = (AccountKind.MERCHANT, AccountKind.OPERATOR)


def check_risk(store: Store, findings: Findings) -> None:
    """Within one snapshot."""
    _check_days(store, findings)
    for device, sequence in store.stream(
        "SELECT p.device, p.sequence FROM postings p JOIN vouchers v USING(device, sequence)"
        " WHERE p.reason = ? AND v.at_s > p.posted_at_s + ? AND EXISTS(SELECT 1 FROM entries e"
        " JOIN accounts a USING(account_id) WHERE e.posting_id = p.posting_id AND e.amount > 0 AND a.currency = ?"
        " AND a.kind IN (?, ?))",
        (Reason.SPEND, AHEAD_S_MAX, Currency.KGO, *_OWNERS),
    ):
        findings.add("posted_ahead", voucher_at(device, sequence))


def _check_days(store: Store, findings: Findings) -> None:
    kept: dict[int, dict[str, int]] = {}
    days = 0
    for posted_at_s, kgo, owner in store.stream(
        "SELECT p.posted_at_s, -e.amount, (SELECT y.name FROM entries x JOIN accounts y USING(account_id)"
        " WHERE x.posting_id = p.posting_id AND y.kind IN (?, ?, ?) AND y.currency = ? LIMIT 1)"
        " FROM entries e INDEXED BY entries_by_account JOIN postings p USING(posting_id) WHERE e.account_id ="
        " (SELECT account_id FROM accounts WHERE kind = ? AND name = '' AND currency = ?) AND p.reason = ?"
        " ORDER BY e.posting_id",
        (*_OWNERS, AccountKind.SUSPENSE, Currency.KGO, AccountKind.RISK, Currency.KGO, Reason.SPEND),
    ):
        day = civil_day(posted_at_s)
        paid = kept.setdefault(day, {})
        paid[owner] = paid.get(owner, 0) + kgo
        for past in [past for past in kept if past <= day - DAYS_KEPT]:
            days += _check_day(store, findings, past, kept.pop(past))
    for day, paid in kept.items():
        days += _check_day(store, findings, day, paid)
    noted = store.one("SELECT count(*) FROM risk_days")
    if noted is not None and noted[0] != days:
        findings.add("risk_day_wrong", Place("account", f"{AccountKind.RISK}"))


def _check_day(store: Store, findings: Findings, day: int, paid: dict[str, int]) -> int:
    for owner, kgo in paid.items():
        if store.one("SELECT kgo FROM risk_days WHERE owner = ? AND day = ?", (owner, day)) != (kgo,):
            findings.add("risk_day_wrong", Place("account", f"{AccountKind.RISK} {owner}"))
    return len(paid)
