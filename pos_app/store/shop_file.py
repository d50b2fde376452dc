"""The shop's own file, `shop.db`: one exclusive SQLite connection, one sync per write. DESIGN §6.

The journal stays the truth about money; here is what it does not say: which goods a sale was made of, who may sign in,
what is still to be printed. Each table belongs to one module, which names it when it is opened. Never guesses after a
disk error: the next call opens the file anew.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock

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
from offline_ledger.terminal.journal_sql import Row, SqlConnection, SqlValue, Statement, connect

APPLICATION_ID = 0x4B474F53
"""`KGOS`: what kind of file this is, in its header."""
SCHEMA_VERSION = 1
CACHE_KIB = 2_048
_PRAGMAS = (
    "synchronous=EXTRA",  # before WAL, as the journal has it: the switch itself must not be lost
    "journal_mode=WAL",
    f"cache_size=-{CACHE_KIB}",
    "temp_store=MEMORY",
    "trusted_schema=OFF",
)


class ShopFile:
    """One open file. Every method may be called from any thread; they take turns."""

    def __init__(self, path: str | Path, vfs: str | None = None) -> None:
        """Opens it, or makes it. Raises ShopFileDamaged, ShopFileInUse, ShopFileTooNew, StorageFull, StorageFailed;
        FileUnusable: what the settings name is a folder, or lies in none."""
        self._path, self._vfs = str(path), vfs
        self._lock = RLock()
        self._open: SqlConnection | None = None
        self._tables: list[str] = []
        with self._lock:
            self._connection()

    def has_tables(self, *statements: str) -> None:
        """Makes tables (CREATE … IF NOT EXISTS) that a module needs, at once and after each reopening."""
        with self._lock:
            self._tables.extend(statements)
            self.write([(statement, ()) for statement in statements])

    def write(self, statements: Sequence[Statement]) -> None:
        """All of it or nothing, durable when it returns. Raises StorageFull, StorageFailed, ShopFileDamaged."""
        with self._lock:
            connection = self._connection()
            try:
                connection.execute("BEGIN IMMEDIATE").fetchall()
                for statement, values in statements:
                    connection.execute(statement, values).fetchall()
                connection.execute("COMMIT").fetchall()
            except apsw.ConstraintError:
                connection.execute("ROLLBACK").fetchall()
                raise
            except apsw.Error as error:
                raise self._given_up(error) from error
            except (ValueError, TypeError, OverflowError):  # a value that SQLite cannot hold: half of a pair, 2 ** 64
                connection.execute("ROLLBACK").fetchall()
                raise

    def fetch(self, statement: str, values: tuple[SqlValue, ...] = ()) -> list[Row]:
        """All rows. Ask for a bounded number of them. Raises ShopFileDamaged, StorageFailed."""
        with self._lock:
            try:
                return self._connection().execute(statement, values).fetchall()
            except apsw.Error as error:
                raise self._given_up(error) from error
            except UnicodeDecodeError as error:
                raise ShopFileDamaged(f"{self._path}: a text that is none") from error

    def close(self) -> None:
        """Lets go of the file."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    # --- inside

    def _connection(self) -> SqlConnection:
        if self._open is None:
            opened: SqlConnection | None = None
            try:
                opened = connect(self._path, self._vfs)
                self._set_up(opened)
            except apsw.Error as error:
                if opened is not None:
                    opened.close()
                raise refusal_of(error, self._path) from error
            except Refusal:
                if opened is not None:
                    opened.close()
                raise
            self._open = opened
        return self._open

    def _set_up(self, opened: SqlConnection) -> None:
        opened.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        found = (opened.pragma("application_id"), opened.pragma("user_version"))
        is_new = found == (0, 0) and not opened.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        if not is_new and found[0] != APPLICATION_ID:  # nothing of another's file was changed
            raise ShopFileDamaged(f"{self._path}: not a shop's file")
        if int(str(found[1])) > SCHEMA_VERSION:
            raise ShopFileTooNew(f"version {found[1]}, this program knows {SCHEMA_VERSION}")
        for pragma in _PRAGMAS:
            opened.execute(f"PRAGMA {pragma}").fetchall()
        if is_new:
            opened.pragma("application_id", APPLICATION_ID)
            opened.pragma("user_version", SCHEMA_VERSION)
        for statement in self._tables:
            opened.execute(statement).fetchall()

    def _given_up(self, error: apsw.Error) -> Refusal:
        """After an error nobody knows what the disk has: the next call reads it afresh."""
        opened, self._open = self._open, None
        if opened is not None:
            with suppress(apsw.Error):  # closing tidies up the log, and the disk may refuse that too
                opened.close()
        return refusal_of(error, self._path)


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
