"""The record that a command of the bench reads: one that is there. DESIGN §6.

Looking makes no record; a command that does something to a device opens its own.
"""

from collections.abc import Generator
from contextlib import contextmanager

from firmware.flash.bench import Bench
from firmware.flash.record import Record
from offline_ledger.errors import FileUnusable


@contextmanager
def opened_record(bench: Bench) -> Generator[Record]:
    """Closed at the end. Raises FileUnusable: there is none yet; and what `Record.open` does."""
    path = bench.settings.path("bench.record")
    if not path.exists():
        raise FileUnusable(f"{path}: no such file")
    record = Record.open(path)
    try:
        yield record
    finally:
        record.close()
