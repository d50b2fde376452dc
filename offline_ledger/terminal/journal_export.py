"""Saving what is sound from a damaged journal: signed rows to a file that the city can take by hand. DESIGN §6.

Reads row by row, so that one bad page costs only the rows on it. Never changes the journal. The file is a sequence of
CBOR arrays: ["kgo-journal-export", 1], then ["v", sequence, previous, identity, voucher, wallet object, allowance hash,
allowance, pass id] and ["e", number, kind, body, head].
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import cbor2

from offline_ledger.errors import JournalDamaged, StorageFailed
from offline_ledger.files import sync_folder
from offline_ledger.terminal.journal_disk import DiskLimits, JournalDisk
from offline_ledger.terminal.journal_reading import JournalReader, as_int
from offline_ledger.terminal.journal_rows import ExportResult
from offline_ledger.terminal.journal_schema import EVENT_BITS, Entry

BEYOND_LAST_KNOWN_MAX = 10_000
"""How far past the last known sequence the export looks when the end of the table cannot be read."""


def export_damaged(path: str, to: Path, vfs: str | None = None) -> ExportResult:
    """Exports from a journal that refuses to open as one. Raises JournalInUse, JournalUnavailable, StorageFull."""
    disk = JournalDisk(path, vfs, DiskLimits())
    try:
        return export_rows(disk, to)
    finally:
        disk.close()


def export_rows(disk: JournalDisk, to: Path) -> ExportResult:
    """Writes every sound row to `to`, a new file: OSError when one is there, and no file when it cannot be written."""
    to.open("xb").close()  # its name is ours from here on; what is put there in the end is whole
    try:
        return _export_to(disk, to)
    except BaseException:
        to.unlink()
        raise


def _export_to(disk: JournalDisk, to: Path) -> ExportResult:
    part = to.with_name(to.name + ".part")
    with part.open("xb") as file:
        try:
            done = _write_rows(disk, file)
        except BaseException:
            part.unlink()
            raise
    part.replace(to)
    sync_folder(to.parent)
    return done


def _write_rows(disk: JournalDisk, file: BinaryIO) -> ExportResult:
    reader = JournalReader(disk)
    vouchers = events = 0
    damaged: list[tuple[int, int]] = []
    file.write(cbor2.dumps(["kgo-journal-export", 1]))
    for found in _sound_entries(disk, reader):
        if isinstance(found, int):
            if damaged and damaged[-1][1] >= found - 1:
                damaged[-1] = (damaged[-1][0], found)
            else:
                damaged.append((found, found))
        elif found.is_voucher:
            vouchers += 1
            file.write(_voucher_bytes(found, reader))
        else:
            events += 1
            file.write(cbor2.dumps(["e", found.event_number, found.kind, found.body, found.identity]))
    file.flush()
    os.fsync(file.fileno())
    return ExportResult(vouchers, events, tuple(damaged))


def _voucher_bytes(entry: Entry, reader: JournalReader) -> bytes:
    allowance = entry.allowance
    if allowance is None and entry.allowance_hash is not None:
        try:
            allowance = reader.allowance_bytes(entry.allowance_hash)
        except (JournalDamaged, StorageFailed):
            allowance = None  # the voucher still stands on its own signature
    return cbor2.dumps(
        [
            "v",
            entry.sequence,
            entry.previous,
            entry.identity,
            entry.body,
            entry.wallet_object,
            entry.allowance_hash,
            allowance,
            entry.pass_id,
        ]
    )


def _sound_entries(disk: JournalDisk, reader: JournalReader) -> Iterator[Entry | int]:
    """Sound rows in order; an int is a sequence where something could not be read."""
    first, last, is_last_sure = _bounds(disk)
    for sequence in range(first, last + (0 if is_last_sure else BEYOND_LAST_KNOWN_MAX) + 1):
        row_id = sequence << EVENT_BITS
        while True:
            try:
                entry = reader.entry_of(row_id)
            except (JournalDamaged, StorageFailed):
                yield sequence
                break
            if entry is None and row_id & ((1 << EVENT_BITS) - 1):
                break
            if entry is not None:
                yield entry
            elif sequence and sequence <= last:
                yield sequence
            row_id += 1


def _bounds(disk: JournalDisk) -> tuple[int, int, bool]:
    first, last = 0, 0
    is_last_sure = True
    for sql in (
        "SELECT max(id) FROM entries",
        f"SELECT max(last_sequence) << {EVENT_BITS} FROM pass_state",
        f"SELECT sequence << {EVENT_BITS} FROM acks",
    ):
        try:
            rows = disk.fetch(sql)
            last = max(last, as_int(rows[0][0] or 0) >> EVENT_BITS if rows else 0)
        except (JournalDamaged, StorageFailed):
            is_last_sure = False
    try:
        rows = disk.fetch("SELECT min(id) FROM entries")
        first = as_int(rows[0][0] or 0) >> EVENT_BITS
    except (JournalDamaged, StorageFailed):
        first = 0
    return first, last, is_last_sure
