"""The audit log held against the signed journal, which knows its head as it stood now and then. DESIGN §6.

A chain that somebody wrote anew is sound in itself; but a head that the journal knows is the link of a row that was
durable before it was told, so that row must be there, with that link. More rows than the newest head knows are what a
power cut explains, fewer are not. Changes nothing.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from offline_ledger.errors import AuditLogRewritten
from offline_ledger.protocol.device import EventKind
from offline_ledger.protocol.shop_event import audit_head_of, shop_event_in
from offline_ledger.rules.limits import DAY_S
from offline_ledger.terminal.journal import Journal
from pos_app.store.audit_log import KEPT_DAYS, ROWS_MAX, AuditLog, month_start_s

EVENTS_AT_ONCE = 1_000


class Head(NamedTuple):
    """The log had so many rows, and this was the link of the newest."""

    rows: int
    link: bytes
    at_s: int


def heads_in(journal: Journal, events_at_once: int = EVENTS_AT_ONCE) -> Iterator[Head]:
    """All that the journal still has, oldest first. Raises JournalDamaged."""
    number = 0
    while found := journal.events_after(number, events_at_once):
        for row in found:
            event = shop_event_in(row.body) if row.kind == EventKind.SHIFT else None
            head = audit_head_of(event) if event is not None else None
            if event is not None and head is not None:
                yield Head(head[0], bytes.fromhex(head[1]), event.at_s)
        number = found[-1].number


def check_heads(log: AuditLog, heads: Iterable[Head], now_s: int) -> int:
    """How many heads agree with this log, which `verify` has found sound. Raises AuditLogRewritten, naming what is
    sure: the rows that heads know and that are behind the log's end, and the stretch between the last head that agrees
    and the first that does not, in which at least one row is another."""
    wanted = list(heads)
    ends = log.ends()
    links = log.links({head.rows for head in wanted}) | {0: bytes(32), ends.first_number: ends.first_link}
    newest_s = max([now_s, *(row.entry.at_s for row in log.newest(1)), *(head.at_s for head in wanted)])
    oldest_s = month_start_s(newest_s - KEPT_DAYS * DAY_S)
    agreed = changed = 0
    for head in wanted:
        found = links.get(head.rows)
        if head.rows > ends.last_number or changed:
            continue
        if found is None and head.rows >= ends.first_number:
            raise AuditLogRewritten(f"row {head.rows} is missing")
        if found is None:
            if head.at_s >= oldest_s and ends.last_number - head.rows < ROWS_MAX:
                raise AuditLogRewritten(f"rows up to {head.rows} are gone too early")
        elif found == head.link:
            agreed = max(agreed, head.rows)
        else:
            changed = head.rows
    first, gone, last = min(agreed + 1, changed), ends.last_number + 1, max((head.rows for head in wanted), default=0)
    if changed and gone <= last:
        raise AuditLogRewritten(
            f"not all of rows {first} to {changed} are those that were written, and rows {gone} to {last} are missing"
        )
    if changed:
        raise AuditLogRewritten(f"not all of rows {first} to {changed} are those that were written")
    if gone <= last:
        raise AuditLogRewritten(f"rows {gone} to {last} are missing")
    return len(wanted)
