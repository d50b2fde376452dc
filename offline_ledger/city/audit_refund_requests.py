"""The audit of refund requests: each as its till signed it, and posted once if a person approved it, else never. §8.

Read from the signed bytes; of what was decided only the postings are believed, which are linked to each other.
"""

from offline_ledger.city.accounts import AccountKind, Currency, Reason
from offline_ledger.city.audit_findings import Findings, Place
from offline_ledger.city.posting_links import HASH_HEX, REQUEST, note_of_request
from offline_ledger.city.store import Row, Store
from offline_ledger.money import format_minor
from offline_ledger.protocol import cose
from offline_ledger.protocol.device import EventKind
from offline_ledger.protocol.refund_request import number_of, request_in

APPROVED = 1
"""In the column `state`."""
_POSTED = (
    "SELECT p.device, p.sequence, p.note, -sum(CASE WHEN a.kind IN (?, ?, ?) AND a.currency = ? THEN e.amount"
    " ELSE 0 END) FROM postings p JOIN entries e USING(posting_id) JOIN accounts a USING(account_id)"
    " WHERE p.device = ? AND p.sequence = ? AND p.reason = ? AND substr(p.note, 1, ?) = ? GROUP BY p.posting_id"
)
"""Of one request, at the sale that it names; one that is elsewhere is found by `check_refund_requests`."""


def check_refund_requests(store: Store, findings: Findings) -> None:
    """Within one snapshot."""
    for row in store.stream(
        "SELECT q.identity, q.device, q.original_device, q.original_sequence, q.kgo, q.at_s, q.state, q.note, q.raw,"
        " e.body, d.point, d.owner, o.owner FROM refund_requests q LEFT JOIN events e ON e.device = q.device"
        f" AND e.number = q.number AND e.kind = {EventKind.REFUND_REQUEST:d} LEFT JOIN devices d"
        " ON d.device = q.device LEFT JOIN devices o ON o.device = q.original_device"
    ):
        where = Place("refund_request", number_of(row[0]) if isinstance(row[0], bytes) else "-")
        with findings.unharmed(where):
            if not _is_as_signed(store, row):
                findings.add("refund_request_unsigned", where)
            _check_posted(store, findings, where, row)
    for (posting_id,) in store.stream(
        "SELECT posting_id FROM postings p WHERE reason = ?1 AND note LIKE ?2 || '%' AND NOT EXISTS("
        "SELECT 1 FROM refund_requests q WHERE q.original_device = p.device AND q.original_sequence = p.sequence"
        " AND p.note LIKE ?2 || lower(substr(hex(q.identity), 1, ?3)) || '%')",
        (Reason.REFUND, REQUEST, HASH_HEX),
    ):
        findings.add("refund_unasked", Place("posting", str(posting_id)))


def _is_as_signed(store: Store, row: Row) -> bool:
    """The event that brought it says all of this, under its till's key, about a till of the same owner if approved."""
    identity, device_id, *noted, state, _note, raw, body, point, owner, other = row
    read = request_in(body, store.city) if body is not None else None
    if read is None or point is None:
        return False
    signed, said = read
    is_said = [said.original_device, said.original_sequence, said.kgo, said.at_s] == noted
    is_kept = (signed.identity, signed.raw) == (identity, raw)
    is_signed = cose.is_signature_of(signed, cose.verify_key(point))
    return is_said and is_kept and is_signed and said.device == device_id and (state != APPROVED or owner == other)


def _check_posted(store: Store, findings: Findings, where: Place, row: Row) -> None:
    """If approved, once what was asked, at the voucher that it names, with the reason that is noted; else nothing."""
    identity, original, kgo, state, note = row[0], (row[2], row[3]), row[4], row[6], row[7]
    kinds = (AccountKind.MERCHANT, AccountKind.OPERATOR, AccountKind.SUSPENSE, Currency.KGO)
    begins = note_of_request(identity)
    found = store.fetch(_POSTED, (*kinds, *original, Reason.REFUND, len(begins), begins))
    expected = [(*original, note_of_request(identity, note), kgo)] if state == APPROVED else []
    if found != expected:
        given = format_minor(sum(one[3] for one in found))
        findings.add("refund_request_wrong", where, given=given, kgo=format_minor(kgo if expected else 0))
