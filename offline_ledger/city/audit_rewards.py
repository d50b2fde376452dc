"""The audit of what a wallet got in rewards on one day, by which the day's cap is judged. DESIGN §8.

Sums are taken again from postings: never less is noted than what stands, nor more than what was ever granted. One
wallet at a time.
"""

from itertools import groupby

from offline_ledger.city.accounts import AccountKind, Reason
from offline_ledger.city.audit_findings import Findings, Place
from offline_ledger.city.store import Store
from offline_ledger.money import format_minor
from offline_ledger.rules.civil import civil_day

_GRANTED = (
    "SELECT s.at_s, e.amount FROM allowances l CROSS JOIN spends s USING(hash) CROSS JOIN postings p"
    " ON p.device = s.device AND p.sequence = s.sequence CROSS JOIN entries e USING(posting_id)"
    " CROSS JOIN accounts a USING(account_id) WHERE l.wallet_id = ? AND p.reason = ? AND a.kind = ?"
)


def check_rewards(store: Store, findings: Findings) -> None:
    """Within one snapshot."""
    rows = store.stream("SELECT wallet_id, day, kgo FROM rewards ORDER BY wallet_id, day")
    for wallet_id, days in groupby(rows, key=lambda row: row[0]):
        noted = {day: kgo for _wallet_id, day, kgo in days}
        with findings.unharmed(Place("wallet", str(wallet_id))):
            _check_wallet(store, findings, wallet_id, noted)


def _check_wallet(store: Store, findings: Findings, wallet_id: int, noted: dict[int, int]) -> None:
    net: dict[int, int] = {}
    gross: dict[int, int] = {}
    for at_s, kgo in store.stream(_GRANTED, (wallet_id, Reason.REWARD, AccountKind.WALLET)):
        day = civil_day(at_s)
        net[day] = net.get(day, 0) + kgo
        gross[day] = gross.get(day, 0) + max(0, kgo)
    for day in sorted(noted.keys() | net.keys()):
        if not net.get(day, 0) <= noted.get(day, 0) <= gross.get(day, 0):
            kgo, expected = format_minor(noted.get(day, 0)), format_minor(net.get(day, 0))
            findings.add("reward_day_wrong", Place("wallet", str(wallet_id)), day=day, kgo=kgo, expected=expected)
