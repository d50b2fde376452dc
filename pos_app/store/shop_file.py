"""The shop's own file, `shop.db`: one exclusive SQLite connection, one sync per write. DESIGN §6.

The journal stays the truth about money; here is what it does not say: which goods a sale was made of, who may sign in,
what is still to be printed. Each table belongs to one module, which names it when it is opened.
"""

from pathlib import Path

import apsw

from offline_ledger.errors import (
    FileUnusable,
    Refusal,
    ShopFileDamaged,
    ShopFileInUse,
    ShopFileTooNew,
    StorageFailed,
    StorageFull,
)
from offline_ledger.terminal.one_writer_file import FileKind, OneWriterFile

APPLICATION_ID = 0x4B474F53
"""`KGOS`: what kind of file this is, in its header."""
SCHEMA_VERSION = 1
CACHE_KIB = 2_048


class ShopFile(OneWriterFile):
    """One open file. Its calls raise ShopFileDamaged, StorageFull, StorageFailed."""

    def __init__(self, path: str | Path, vfs: str | None = None) -> None:
        """Opens it, or makes it. Raises ShopFileDamaged, ShopFileInUse, ShopFileTooNew, StorageFull, StorageFailed;
        FileUnusable: what the settings name is a folder, or lies in none."""
        super().__init__(path, _KIND, vfs)

    def has_tables(self, *statements: str) -> None:
        """Makes tables (CREATE … IF NOT EXISTS) that a module needs, at once and after each reopening; columns that a
        later version added (ALTER TABLE … ADD COLUMN …) where they are not there yet."""
        with self._lock:
            self._tables.extend(statements)
            self.write([(statement, ()) for statement in statements if not self.has_column(statement)])


def refusal_of(error: apsw.Error, path: str) -> Refusal:
    """What an error of SQLite means for the one at the till."""
    if isinstance(error, apsw.FullError):
        return StorageFull(str(error))
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return ShopFileDamaged(f"{path}: {error}")
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return ShopFileInUse(path)
    if isinstance(error, apsw.CantOpenError) and (Path(path).is_dir() or not Path(path).parent.is_dir()):
        return FileUnusable(f"{path}: not a plain file" if Path(path).is_dir() else f"{path}: no such folder")
    return StorageFailed(f"{path}: {error}")


_KIND = FileKind(
    application_id=APPLICATION_ID,
    schema_version=SCHEMA_VERSION,
    tables=(),
    cache_kib=CACHE_KIB,
    not_ours=lambda path: ShopFileDamaged(f"{path}: not a shop's file"),
    too_new=ShopFileTooNew,
    damaged=ShopFileDamaged,
    not_wal=StorageFailed,
    meaning=refusal_of,
)
