"""The record that a command of the bench reads: one that is there. DESIGN §6.

Looking makes no record; a command that does something to a device opens its own.
"""

from collections.abc import Generator
from contextlib import contextmanager

from firmware.flash.bench import Bench
from firmware.flash.record import Record
from offline_ledger.errors import FileUnusable, RecordDamaged


@contextmanager
def opened_record(bench: Bench) -> Generator[Record]:
    """Closed at the end. Raises FileUnusable: there is none yet; RecordDamaged: nothing is left of it; and what
    `Record.open` does."""
    path = bench.settings.path("bench.record")
    try:
        size_bytes = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileUnusable(f"{path}: no such file") from error
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    if not size_bytes and path.is_file():
        raise RecordDamaged(f"{path}: 0 bytes")  # SQLite would take it for a new one
    record = Record.open(path)
    try:
        yield record
    finally:
        record.close()
