"""The audit of the risk fund: what it paid on which day, and that nothing from the future was paid. DESIGN §8.

Days are the city's own, by when it posted; what a voucher claims moves no ceiling. Sums are taken again from entries,
voucher by voucher; one number for each owner and day stands in memory. Reads only.
"""

from itertools import groupby

from offline_ledger.city.accounts import AccountKind, Currency, Reason
from offline_ledger.city.audit_findings import Findings, Place, voucher_at
from offline_ledger.city.store import Store
from offline_ledger.rules.civil import civil_day

AHEAD_S_MAX = 30
"""No city's clocks may differ by more: skew is below the time that a code is fresh."""
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
    """What the fund gave counts on the day it gave it, and no longer once a charge was taken back or the wallet pays
    after all; what a refund or day close brings back counts on."""
    paid: dict[tuple[str, int], int] = {}
    rows = store.stream(
        "SELECT p.device, p.sequence, p.reason, p.posted_at_s, e.amount, (SELECT d.owner FROM devices d"
        " WHERE d.device = substr(p.device, 1, instr(p.device || '~', '~') - 1))"
        " FROM postings p INDEXED BY postings_by_voucher CROSS JOIN entries e ON e.posting_id = p.posting_id"
        " AND e.account_id = (SELECT account_id FROM accounts WHERE kind = ? AND name = '' AND currency = ?)"
        " WHERE p.device IS NOT NULL ORDER BY p.device, p.sequence, p.posting_id",
        (AccountKind.RISK, Currency.KGO),
    )
    for _voucher, moves in groupby(rows, key=lambda row: row[:2]):
        given_kgo, day = 0, 0
        for _device, _sequence, reason, posted_at_s, kgo, owner in moves:
            if reason in (Reason.YIELD, Reason.PAYER) and given_kgo:
                paid[owner, day] -= given_kgo
            given_kgo -= kgo
            if reason in (Reason.SPEND, Reason.PAYER) and given_kgo > 0:
                day = civil_day(posted_at_s)
                paid[owner, day] = paid.get((owner, day), 0) + given_kgo
    for (owner, day), kgo in paid.items():
        if store.one("SELECT kgo FROM risk_days WHERE owner = ? AND day = ?", (owner, day)) != (kgo,):
            findings.add("risk_day_wrong", Place("account", f"{AccountKind.RISK} {owner}"))
    noted = store.one("SELECT count(*) FROM risk_days")
    if noted is not None and noted[0] != len(paid):
        findings.add("risk_day_wrong", Place("account", f"{AccountKind.RISK}"))
