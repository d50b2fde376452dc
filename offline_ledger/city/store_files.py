"""The ledger's file as a whole: an online backup, and a backup put in its place. DESIGN §7, §8.

A backup is one file that was looked at before it got its name. A restore never throws away what is there: the present
file with its write-ahead log is moved aside first, because SQLite would replay that log into the older copy. Never
touches the checkpoint.
"""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from offline_ledger.city import bulletins, trust, trust_copies, wallet_numbers
from offline_ledger.city.log import Log
from offline_ledger.city.serving_lock import only_service
from offline_ledger.city.store import Store
from offline_ledger.city.store_check import check_whole
from offline_ledger.errors import (
    CopyUnusable,
    FileTaken,
    FileUnusable,
    Refusal,
    StorageFailed,
    StorageFull,
    StoreInvalid,
)
from offline_ledger.files import PRIVATE_MODE, name_new, sync_folder

_LOGS = ("-wal", "-shm", "-journal")
_NO_ROOM = (28, 122)


@dataclass(frozen=True, slots=True)
class Restored:
    """`aside`: the folder with what was there before, None when there was nothing. Accounts from `missing_from` on may
    be lost; new ones begin at `first_new`."""

    aside: Path | None
    leaves: int
    missing_from: int
    first_new: int


def back_up(store: Store, to: Path) -> None:
    """Beside the running service, readable by the owner only where the disk keeps permissions. Raises FileTaken,
    FileUnusable, LedgerDamaged, StorageFull, StorageFailed."""
    if to.exists():
        raise FileTaken(str(to))
    with _unfinished(to, other=FileUnusable) as copy:
        store.copy_to(copy)
        _look_at(copy, store.city)
        name_new(copy, to)
    sync_folder(to.parent)


def restore(database: Path, copy: Path, city: str, now_s: int, lists: Path) -> Restored:
    """Puts `copy` in the place of the ledger. `lists`: the folder of `trust_copies`. Raises LedgerInUse, FileUnusable,
    CopyUnusable, LedgerDamaged, StorageFull, StorageFailed; then nothing is changed."""
    if copy.exists() and not copy.is_file():  # a device may have no end
        raise FileUnusable(f"{copy}: not a plain file")
    with only_service(database), _unfinished(database, is_only_one=True) as new:
        for suffix in ("", *_LOGS[:1]):  # a copy made beside its writer may have its own log: that one belongs to it
            source = Path(f"{copy}{suffix}")
            if suffix == "" or source.exists():
                _copied(source, Path(f"{new}{suffix}"))
        try:
            leaves, missing_from, first_new = _look_at(new, city, now_s, lists)
        except (StoreInvalid, StorageFailed) as error:
            said = error.detail.replace(str(new), str(copy))  # the name that the operator knows
            raise CopyUnusable(said if said.startswith(str(copy)) else f"{copy}: {said}") from error
        with _own_errors(database):
            aside = _moved_aside(database, now_s)
            os.replace(new, database)  # a power cut before this leaves no ledger, and its files in the folder aside
            sync_folder(database.parent)
    return Restored(aside, leaves, missing_from, first_new)


def _look_at(
    path: Path, city: str, restored_at_s: int | None = None, lists: Path | None = None
) -> tuple[int, int, int]:
    """Opened once: of this city, of one piece, in one file. Its number of leaves, and the numbers of accounts. One that
    is restored gives no number of a bulletin again: terminals may hold others under it. `lists`: what the roots of this
    city signed, as copied out."""
    try:
        store = Store.open(path)
    except StorageFailed as error:  # no database at all
        raise StoreInvalid(error.detail) from error
    try:
        if store.city != city:
            raise StoreInvalid(f"{path} belongs to {store.city}, the settings say {city}")
        check_whole(store)
        if lists is not None and not _is_of_founding(store, trust_copies.read_copy(lists, 1)):
            raise StoreInvalid(f"{path}: founded with other root keys")
        if restored_at_s is not None:
            bulletins.skip_lost_counters(store, restored_at_s)
        return Log(store).head().size, *wallet_numbers.skip(store)
    finally:
        store.close()


def _is_of_founding(store: Store, first: bytes | None) -> bool:
    """A name may be given twice; the first trust list names the roots and keys of the city that terminals know. None:
    no copy of it was kept, so nobody can say."""
    if first is None:
        return True
    row = store.one("SELECT raw FROM trust_lists WHERE version = 1")
    wanted = trust.read_list(first, store.city).payload_hash
    return row is not None and trust.read_list(row[0], store.city).payload_hash == wanted


@contextmanager
def _unfinished(beside: Path, *, is_only_one: bool = False, other: type[Refusal] = StorageFailed) -> Generator[Path]:
    """A new private file beside another; whatever is left of it is thrown away. `is_only_one`: no other program makes
    one now, so what a killed one left, as long as a ledger, goes too. `other`: as for `_own_errors`."""
    path = beside.with_name(f".{beside.name}.{os.getpid()}.new")
    with _own_errors(path, other):
        left = beside.parent.glob(f".{escape(beside.name)}.*.new*") if is_only_one else ()
        for one in (path, *(Path(f"{path}{suffix}") for suffix in _LOGS), *left):
            one.unlink(missing_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_MODE))
    try:
        with _own_errors(path, other):
            yield path
    finally:
        for one in (path, *(Path(f"{path}{suffix}") for suffix in _LOGS)):
            one.unlink(missing_ok=True)


def _copied(source: Path, to: Path) -> None:
    try:
        stream = source.open("rb")
    except OSError as error:
        raise FileUnusable(f"{source}: {error.strerror}") from error
    with stream, open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_MODE), "wb") as target:
        shutil.copyfileobj(stream, target)
        target.flush()
        os.fsync(target.fileno())


def _moved_aside(database: Path, now_s: int) -> Path | None:
    """The ledger first: a log alone, without it, is replayed into nothing."""
    present = [path for path in (database, *(Path(f"{database}{suffix}") for suffix in _LOGS)) if path.exists()]
    if not present:
        return None
    aside = database.with_name(f"{database.name}-before-{now_s}")
    aside.mkdir(mode=0o700)
    for path in present:
        os.rename(path, aside / path.name)
    sync_folder(aside)
    sync_folder(database.parent)
    return aside


@contextmanager
def _own_errors(path: Path, other: type[Refusal] = StorageFailed) -> Generator[None]:
    """`other`: what is said of all but a full disk and a name that is taken."""
    try:
        yield
    except FileExistsError as error:
        raise FileTaken(str(path)) from error
    except OSError as error:
        kind = StorageFull if error.errno in _NO_ROOM else other
        raise kind(f"{path}: {error.strerror}") from error
