"""The audit of who is who: whose key an account is, and that every account and terminal has its owner. DESIGN §8.

A key came with the registering grant, and its hash stands in that posting's note, which is linked (posting_links). So a
key that was exchanged in the database is found like any other change of a posting. Reads only, one row at a time.
"""

from offline_ledger.city.accounts import AccountKind, Reason
from offline_ledger.city.audit_findings import Findings, Place
from offline_ledger.city.posting_links import REGISTERING, note_of_key
from offline_ledger.city.store import Store

_OWNED = (AccountKind.MERCHANT, AccountKind.OPERATOR, AccountKind.SUSPENSE)
_PERSONAL = (AccountKind.WALLET, AccountKind.DEPOSIT)


def check_people(store: Store, findings: Findings) -> None:
    """Within one snapshot."""
    for name, note, point in store.stream(
        "SELECT a.name, p.note, w.account_point FROM postings p JOIN entries e USING(posting_id)"
        " JOIN accounts a USING(account_id) LEFT JOIN wallets w ON w.wallet_id = CAST(a.name AS INTEGER)"
        " WHERE p.reason = ? AND p.note LIKE ? AND a.kind = ?",
        (Reason.GRANT, f"{REGISTERING} %", AccountKind.WALLET),
    ):
        if point is not None and note_of_key(point) != note:
            findings.add("wallet_key_changed", Place("wallet", name))
    for (name,) in store.stream(
        "SELECT a.name FROM accounts a WHERE a.kind IN (?, ?) AND NOT EXISTS"
        "(SELECT 1 FROM wallets w WHERE w.wallet_id = CAST(a.name AS INTEGER))",
        _PERSONAL,
    ):
        findings.add("wallet_missing", Place("wallet", name))
    for (owner,) in store.stream(
        "SELECT name FROM accounts a WHERE a.kind IN (?, ?, ?) AND NOT EXISTS"
        "(SELECT 1 FROM owners o WHERE o.owner = a.name)",
        _OWNED,
    ):
        findings.add("owner_missing", Place("account", owner))
    for device, owner in store.stream(
        "SELECT device, owner FROM devices d WHERE NOT EXISTS(SELECT 1 FROM owners o WHERE o.owner = d.owner)"
    ):
        findings.add("device_owner_missing", Place("device", device), owner=owner)
