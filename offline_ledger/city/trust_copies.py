"""Trust lists as files beside the checkpoint, outside the database and its backups. DESIGN §7 "restored".

A ledger restored from an older backup lacks its last lists. New ones under their versions would part it from every
terminal for good, and a revoked terminal or leaked key would count again. So what the roots signed is taken back from
here. Never signs, and believes no file: each list is verified as the next of the chain.
"""

from pathlib import Path

from offline_ledger.city import trust
from offline_ledger.city.store import Store
from offline_ledger.errors import StorageFailed, TrustChainBroken
from offline_ledger.files import read_bounded, write_atomically
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX

FOLDER_NAME = "trust-lists"


def folder_beside(checkpoint: Path) -> Path:
    """Where the copies are kept."""
    return checkpoint.parent / FOLDER_NAME


def agree(store: Store, folder: Path) -> int:
    """Takes back the lists that the ledger lacks, then copies those that the folder lacks; how many were taken back.

    Raises TrustChainBroken for a copy that does not follow, StorageFull, StorageFailed.
    """
    taken = 0
    while (raw := read_copy(folder, version := _newest(store) + 1)) is not None:
        try:
            trust.add_list(store, raw)
        except TrustChainBroken as broken:
            if _newest(store) >= version:  # the command that made it was still writing when we looked
                continue
            raise TrustChainBroken(f"{_file(folder, version)}: {broken.detail}") from broken
        taken += 1
    for version, raw in store.fetch("SELECT version, raw FROM trust_lists ORDER BY version"):
        write_copy(folder, version, raw)
    return taken


def read_copy(folder: Path, version: int) -> bytes | None:
    """The copy of one version, believed by nobody yet; None: there is none. Raises StorageFailed."""
    return read_bounded(_file(folder, version), CITY_OBJECT_BYTES_MAX)


def write_copy(folder: Path, version: int, raw: bytes) -> None:
    """Durable when it returns; a copy that is there stays."""
    path = _file(folder, version)
    if path.exists():
        return
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"{folder}: {error.strerror}") from error
    write_atomically(path, raw)


def _newest(store: Store) -> int:
    row = store.one("SELECT coalesce(max(version), 0) FROM trust_lists")
    return 0 if row is None else row[0]


def _file(folder: Path, version: int) -> Path:
    return folder / f"{version}.list"
