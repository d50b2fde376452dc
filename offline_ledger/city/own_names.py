"""City settings that are good one by one and not together: one file under two names. DESIGN §3.

A checkpoint written over the ledger would be the end of it, and one that is read from it cannot be read: the city would
sign nothing, and say for good that it was restored.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from offline_ledger.city.keys import ROLE_FILES
from offline_ledger.same_file import check_same_file, places_of_files
from offline_ledger.settings_file import Together

FILES: Mapping[str, tuple[str, ...]] = {
    "files.database": ("", "-wal", "-shm", "-journal"),
    "files.checkpoint": ("",),
    "files.keys": ("", *(f"/{name}" for name in (*ROLE_FILES.values(), "ca.key"))),
    "files.ca_certificate": ("",),
    "files.server_certificate": ("",),
    "files.server_key": ("",),
}
"""What each setting takes: its own name, and what is kept beside it or in it."""


def check_together(values: Mapping[str, object], settings_file: Path) -> Iterator[Together]:
    """What is wrong between settings. `values` holds those that are good by themselves; unnamed ones by default."""
    yield from check_same_file(places_of_files(FILES, values, settings_file.resolve().parent), settings_file)
