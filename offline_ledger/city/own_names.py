"""City settings that are good one by one and not together: one file under two names. DESIGN §3.

A checkpoint written over the ledger would be the end of it, and one that is read from it cannot be read: the city would
sign nothing, and say for good that it was restored. Compared by where the files really lie, over links too. Looks at
names and never into a file.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from offline_ledger.city.keys import ROLE_FILES
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
    folder = settings_file.resolve().parent
    taken = {place: "" for place in _places(settings_file)}
    for name, endings in FILES.items():
        given = values.get(name)
        if not isinstance(given, str):
            continue
        own = {place for ending in endings for place in _places(folder / (given + ending))}
        others = [taken[place] for place in own if place in taken]
        if others:
            yield Together(name, "same_file", others[0]) if others[0] else Together(name, "same_as_itself")
        taken |= {place: name for place in own if place not in taken}


def _places(path: Path) -> Iterator[object]:
    """Where it lies: its name without links, and what it is on the disk, if it is there."""
    try:
        yield path.resolve()
        found = os.stat(path)
    except (OSError, RuntimeError):  # not there yet, or a link to itself: its name alone
        return
    yield (found.st_dev, found.st_ino)
