"""A card's package out of the city's releases, signed by the root that goes onto the card. Decision 0224.

The same judge as a terminal's (`updates.tuf_client`), with a memory of its own for each root: an older copy of the
releases than this bench has seen is refused. Writes nothing to the card.
"""

import hashlib
from pathlib import Path

from offline_ledger.errors import (
    CardReleaseRefused,
    Refusal,
    ReleasePlatformMissing,
    StorageFailed,
    StorageFull,
)

ANY_VERSION = "0.0.0"
SEEN_NAME = "releases-seen"
"""Beside the record: what this bench knows of releases, and the newest package that it took out of them."""


def signed_package(folder: Path, root: bytes, channel: str, platform: str, seen: Path, now_s: int) -> Path:
    """The newest package of this channel for this kind of machine, every byte as it is signed. `seen`: where the bench
    keeps what it knows. Raises CardReleaseRefused with the number that a terminal would say, StorageFull."""
    from offline_ledger.files import write_atomically
    from offline_ledger.terminal.updates.fetching import FolderSource
    from offline_ledger.terminal.updates.tuf_client import Asked, fetch, find_update

    own = seen / hashlib.sha256(root).hexdigest()[:16]
    root_file = own / "root.json"
    try:
        own.mkdir(parents=True, exist_ok=True)
        write_atomically(root_file, root)
        found = find_update(Asked(FolderSource(folder), root_file, own, channel, platform, ANY_VERSION, now_s))
        if found is None:
            raise ReleasePlatformMissing(f"{channel}: {platform}")
        return fetch(found)
    except StorageFull:
        raise
    except Refusal as refusal:
        raise CardReleaseRefused(str(refusal)) from refusal
    except OSError as error:
        raise CardReleaseRefused(str(StorageFailed(f"{own}: {error.strerror}"))) from error
