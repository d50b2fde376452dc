"""One file under two names in a settings file: whatever is written under one would be the end of the other. DESIGN §3.

Compared by where the files really lie, over links too. Looks at names and never into a file. `own_names` of the
terminal and of the city say which settings take which names.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from offline_ledger.settings_file import Together


def check_same_file(taking: Iterable[tuple[str, set[object]]], settings_file: Path) -> Iterator[Together]:
    """What is wrong between settings, each with all places that it takes; the settings file is taken itself."""
    taken = {place: "" for place in places(settings_file)}
    for name, own in taking:
        others = [taken[place] for place in own if place in taken]
        if others:
            yield Together(name, "same_file", others[0]) if others[0] else Together(name, "same_as_itself")
        taken |= {place: name for place in own if place not in taken}


def places_of_files(
    files: Mapping[str, tuple[str, ...]], values: Mapping[str, object], folder: Path
) -> Iterator[tuple[str, set[object]]]:
    """`files`: what is kept beside a setting's name or in it, as endings; `values`: the good settings."""
    for name, endings in files.items():
        given = values.get(name)
        if isinstance(given, str) and given:
            yield name, {place for ending in endings for place in places(folder / (given + ending))}


def places(path: Path) -> Iterator[object]:
    """Where it lies: its name without links, and what it is on the disk, if it is there."""
    try:
        yield path.resolve()
        found = os.stat(path)
    except (OSError, RuntimeError):  # not there yet, or a link to itself: its name alone
        return
    yield (found.st_dev, found.st_ino)
