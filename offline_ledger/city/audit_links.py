"""The audit of the chain of postings: each as it was written, none taken out, none put in. DESIGN §8.

The chain binds what no signed object says: gifts, decisions, deposits, notes and times. After a posting that does not
fit, the stored link goes on, so that one change is one finding. One row at a time.
"""

from itertools import groupby

from offline_ledger.city.audit_findings import Findings, Place
from offline_ledger.city.posting_links import Linked, Mark, link_of, linked_from
from offline_ledger.city.store import Row, Store
from offline_ledger.protocol.kinds import ZERO_HASH

_LINKED = (
    "SELECT l.posting_id, l.link, p.reason, p.device, p.sequence, p.posted_at_s, p.note, a.kind, a.name, a.currency,"
    " e.amount FROM posting_links l LEFT JOIN postings p USING(posting_id) LEFT JOIN entries e USING(posting_id)"
    " LEFT JOIN accounts a USING(account_id) ORDER BY l.posting_id"
)


class LinkAudit:
    """Within one snapshot. `mark`: the newest link as it should be, to be kept elsewhere."""

    def __init__(self, store: Store, findings: Findings) -> None:
        self._store = store
        self._findings = findings
        self.mark = Mark(0, ZERO_HASH)

    def run(self) -> None:
        """The chain, then postings that have no place in it."""
        first = linked_from(self._store)
        self.mark = Mark(first - 1, ZERO_HASH)
        for head, rows in groupby(self._store.stream(_LINKED), key=lambda row: row[:7]):
            with self._findings.unharmed(Place("posting", str(head[0]))):
                self._check(head, [row[7:] for row in rows])
        for (posting_id,) in self._store.stream(
            "SELECT posting_id FROM postings p WHERE posting_id >= ? AND NOT EXISTS"
            "(SELECT 1 FROM posting_links l WHERE l.posting_id = p.posting_id)",
            (first,),
        ):
            self._findings.add("posting_put_in", Place("posting", str(posting_id)))

    def _check(self, head: Row, entries: list[Row]) -> None:
        posting_id, link, reason, device, sequence, posted_at_s, note = head
        where = Place("posting", str(posting_id))
        before, self.mark = self.mark, Mark(posting_id, link)
        if reason is None:
            self._findings.add("posting_taken_out", where)
            return
        if posting_id != before.posting_id + 1:
            self._findings.add("link_missing", where, before=before.posting_id)
            return
        moved = [row for row in entries if row[3] is not None]
        said = Linked(posting_id, reason, device, sequence, posted_at_s, note)
        if link_of(before.link, said, [(row[0], row[1], row[2], row[3]) for row in moved]) != link:
            self._findings.add("posting_changed", where)


def check_kept_mark(store: Store, kept: Mark, findings: Findings) -> None:
    """The link that is kept outside the database is still the one of that posting."""
    row = store.one("SELECT link FROM posting_links WHERE posting_id = ?", (kept.posting_id,))
    if row is None or row[0] != kept.link:
        findings.add("mark_wrong", Place("posting", str(kept.posting_id)))
