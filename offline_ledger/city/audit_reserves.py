"""The audit of allowances' reserves: what was promised, from which wallet, and what went back to it. DESIGN §8.

An allowance does not name its account; the posting that reserved it does, and that posting is linked. The amount is
what the issuer signed: `audit_papers` has held the row against it. One allowance at a time.
"""

from itertools import groupby

from offline_ledger.city.accounts import AccountKind, Reason
from offline_ledger.city.audit_findings import Findings, Place
from offline_ledger.city.audit_parts import is_own
from offline_ledger.city.store import Row, Store
from offline_ledger.money import format_minor

LIVE, CLOSED, RELEASED = 1, 2, 3
_MOVES = (
    "SELECT l.hash, l.wallet_id, l.reserve_kgo, l.state, l.returned_kgo, l.issued_at_s, l.closing IS NOT NULL, r.kind,"
    " r.name, p.reason, p.posted_at_s, e.amount, (SELECT a.name FROM entries x JOIN accounts a USING(account_id)"
    " WHERE x.posting_id = e.posting_id AND a.kind = ?) FROM allowances l"
    " LEFT JOIN accounts r ON r.account_id = l.reserved_id"
    " LEFT JOIN entries e INDEXED BY entries_by_account ON e.account_id = l.reserved_id"
    " LEFT JOIN postings p USING(posting_id) ORDER BY l.hash"
)


def check_reserves(store: Store, findings: Findings) -> None:
    """Within one snapshot."""
    for head, rows in groupby(store.stream(_MOVES, (AccountKind.WALLET,)), key=lambda row: row[:9]):
        where = Place("allowance", head[0].hex()[:16] if isinstance(head[0], bytes) else str(head[0]))
        moves = [row[9:] for row in rows if row[9] is not None]
        with findings.unharmed(where):
            _check_reserve(store, findings, where, head, moves)
    for (name,) in store.stream(
        "SELECT a.name FROM accounts a WHERE a.kind = ? AND NOT EXISTS"
        "(SELECT 1 FROM allowances l WHERE l.hash = unhex(a.name))",
        (AccountKind.RESERVED,),
    ):
        findings.add("allowance_gone", Place("allowance", str(name)[:16]))


def _check_reserve(store: Store, findings: Findings, where: Place, head: Row, moves: list[Row]) -> None:
    identity, wallet_id, reserve_kgo, state, returned_kgo, issued_at_s, is_closed, kind, name = head
    reserved = [(amount, wallet, at_s) for reason, at_s, amount, wallet in moves if reason == Reason.RESERVE]
    went_back = [
        (-amount, wallet) for reason, _at_s, amount, wallet in moves if reason in (Reason.RELEASE, Reason.CLOSING)
    ]
    if (kind, name) != (AccountKind.RESERVED, identity.hex()) or [one[0] for one in reserved] != [reserve_kgo]:
        got = format_minor(sum(one[0] for one in reserved))
        findings.add("reserve_wrong", where, reserved=got, expected=format_minor(reserve_kgo))
        return
    if not is_own(store, reserved[0][1], wallet_id):
        findings.add("allowance_elsewhere", where, wallet=wallet_id, expected=reserved[0][1])
    for kgo, wallet in went_back:
        if not is_own(store, wallet, wallet_id) and wallet != reserved[0][1]:
            findings.add("reserve_went_elsewhere", where, kgo=format_minor(kgo), wallet=wallet, expected=wallet_id)
    back_kgo = sum(kgo for kgo, _wallet in went_back)
    if back_kgo != returned_kgo or reserved[0][2] != issued_at_s:
        findings.add("allowance_noted_wrong", where, noted=format_minor(returned_kgo), expected=format_minor(back_kgo))
    is_released = any(reason == Reason.RELEASE for reason, *_rest in moves)
    left_kgo = sum(amount for _reason, _at_s, amount, _wallet in moves)
    may_be = {RELEASED} if is_released else {CLOSED} if is_closed else {LIVE}
    if state not in (may_be | {RELEASED} if not left_kgo else may_be):
        findings.add("allowance_state_wrong", where, state=state)
