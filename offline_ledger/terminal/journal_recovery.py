"""What is checked when the journal opens, and what is checked afterwards in the background. DESIGN §6.

At once: the last row and the last event (and the log, see `journal_log`). Later, in steps: every
row's checksum and link, every page. Never repairs: a damaged journal is exported and replaced.
"""

from collections.abc import Iterator

import apsw

from offline_ledger.errors import JournalDamaged
from offline_ledger.protocol.device import event_link
from offline_ledger.terminal.journal_disk import JournalDisk, meaning_of
from offline_ledger.terminal.journal_rows import NO_IDENTITY, VerifyStep
from offline_ledger.terminal.journal_schema import (
    ENTRY_COLUMNS,
    EVENT_MASK,
    SMALL_TABLES,
    STATE_COLUMNS,
    Entry,
    Running,
    checked_entry,
    checked_state,
)

STEP_ROWS = 500
WHOLE_CHECK_PAGES_MAX = 5_000
"""Up to here (10 MB) the last step runs SQLite's own check over the whole file; a larger one would hold up a sale."""


def running_at_tail(disk: JournalDisk) -> Running:
    """Reads the last row and the last event. Raises JournalDamaged when they do not hold together."""
    rows = disk.fetch(f"SELECT {ENTRY_COLUMNS} FROM entries ORDER BY id DESC LIMIT 1")
    if not rows:
        return Running()
    last = checked_entry(rows[0])
    voucher = last if last.is_voucher else _entry(disk, last.id & ~EVENT_MASK)
    if voucher is not None and voucher.sequence > 1:
        before = _entry(disk, (voucher.sequence - 1) << EVENT_MASK.bit_length())
        if before is not None and before.identity != voucher.previous:
            raise JournalDamaged(f"chain breaks before the last voucher, {voucher.sequence}")
    if voucher is None and last.sequence:
        raise JournalDamaged(f"voucher {last.sequence} is missing before its events")
    event = _entry(disk, last.event_id) if last.event_id else None
    if last.event_id and event is None:
        raise JournalDamaged(f"event {last.event_number} is missing")
    if event is not None:
        _check_event(event)
    return Running(
        last_id=last.id,
        sequence=last.sequence,
        identity=voucher.identity if voucher is not None else NO_IDENTITY,
        at_s=voucher.at_s if voucher is not None else 0,
        event_number=last.event_number,
        event_id=last.event_id,
        event_head=event.identity if event is not None else NO_IDENTITY,
        kgo_sum=last.kgo_sum,
        refusals=last.refusals,
        ratified_through=last.ratified_through,
    )


def check_nothing_lost(disk: JournalDisk, before: Running, after: Running) -> None:
    """After reopening: everything that was durable before is still there, and its pending rows are whole."""
    if after.sequence < before.sequence or after.event_number < before.event_number:
        raise JournalDamaged(f"ends at {after.sequence}/{after.event_number}, ended at {before.sequence}")
    voucher = _entry(disk, before.sequence << EVENT_MASK.bit_length()) if before.sequence else None
    if before.sequence and (voucher is None or voucher.identity != before.identity):
        raise JournalDamaged(f"voucher {before.sequence} is not the one that was written")


def _entry(disk: JournalDisk, row_id: int) -> Entry | None:
    rows = disk.fetch(f"SELECT {ENTRY_COLUMNS} FROM entries WHERE id = ?", (row_id,))
    return checked_entry(rows[0]) if rows else None


def _check_event(event: Entry) -> None:
    if event_link(event.previous, event.kind, event.body) != event.identity:
        raise JournalDamaged(f"event {event.event_number} does not give its chain head")


def verify_in_steps(disk: JournalDisk, step_rows: int) -> Iterator[VerifyStep]:
    """Checks every row and page, `step_rows` at a time; between steps others may write. Raises JournalDamaged."""
    checked = 0
    disk.fetch("PRAGMA cell_size_check=ON")
    voucher: Entry | None = None
    event: Entry | None = None
    after = -1
    while rows := disk.fetch(
        f"SELECT {ENTRY_COLUMNS} FROM entries WHERE id > ? ORDER BY id LIMIT ?", (after, step_rows)
    ):
        for values in rows:
            entry = checked_entry(values)
            if entry.is_voucher:
                _check_follows(entry, voucher)
                voucher = entry
            else:
                _check_event(entry)
                if event is not None and (
                    entry.previous != event.identity or entry.event_number != event.event_number + 1
                ):
                    raise JournalDamaged(f"event chain breaks before event {entry.event_number}")
                event = entry
            after = entry.id
        checked += len(rows)
        yield VerifyStep(checked, finished=False)
    pass_id = b""
    while rows := disk.fetch(
        f"SELECT {STATE_COLUMNS} FROM pass_state WHERE pass_id > ? ORDER BY pass_id LIMIT ?", (pass_id, step_rows)
    ):
        for values in rows:
            pass_id = checked_state(values)[0].pass_id
        checked += len(rows)
        yield VerifyStep(checked, finished=False)
    _check_pages(disk)
    yield VerifyStep(checked, finished=True)


def _check_follows(entry: Entry, before: Entry | None) -> None:
    if before is None:
        if entry.sequence == 1 and entry.previous != NO_IDENTITY:
            raise JournalDamaged("the first voucher names one before it")
        return
    if entry.sequence != before.sequence + 1:
        raise JournalDamaged(f"sequence {before.sequence + 1} is missing")
    if entry.previous != before.identity:
        raise JournalDamaged(f"chain breaks before sequence {entry.sequence}")


def _check_pages(disk: JournalDisk) -> None:
    pages = disk.connection.pragma("page_count")
    assert isinstance(pages, int)
    for table in (None,) if pages <= WHOLE_CHECK_PAGES_MAX else SMALL_TABLES:
        try:
            found = (
                disk.connection.pragma("integrity_check", table) if table else disk.connection.pragma("integrity_check")
            )
        except apsw.Error as error:
            raise meaning_of(error) from error
        if found != "ok":
            raise JournalDamaged(f"pages: {found}")
