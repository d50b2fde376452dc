"""Is there room again for sales after the disk was full? DESIGN §6 "recover by itself".

An estimate for the light alone: the room that a journal may ask for before a sale. The journal itself decides at each
sale, so a wrong guess shows a wrong wait, never a wrong green. Never writes.
"""

import os
from pathlib import Path

from offline_ledger.errors import StorageFull
from offline_ledger.terminal.journal_disk import CHUNK_BYTES, DiskLimits
from offline_ledger.terminal.journal_schema import PAGE_BYTES

ROOM_BYTES_MIN = DiskLimits().laid_out_frames * PAGE_BYTES + CHUNK_BYTES
"""All that the log can hold, and one step by which the database grows."""


def check_room(journal: Path) -> None:
    """Raises StorageFull while the journal's disk has less free than it may need."""
    disk = os.statvfs(journal.parent)
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < ROOM_BYTES_MIN:
        raise StorageFull(f"{free_bytes} bytes free, {ROOM_BYTES_MIN} may be needed")
