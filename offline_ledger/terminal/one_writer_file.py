"""A program's own SQLite file beside the journal: one exclusive connection, one sync per write. DESIGN §6.

What kind of file it is stands in its header, and another's file is never changed. `synchronous=EXTRA` comes before the
switch to WAL: with less, the switch itself can be lost with everything after it. Never guesses after a disk error: the
next call opens the file anew. Knows no table but those that its owner names.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import NamedTuple

import apsw

from offline_ledger.errors import Refusal
from offline_ledger.terminal.journal_sql import Row, SqlConnection, SqlValue, Statement, connect

_ADD_COLUMN = re.compile(r"ALTER TABLE (\w+) ADD COLUMN (\w+) ")


class FileKind(NamedTuple):
    """What tells one kind of file from another, and what its owner says when something is wrong with it.

    `tables` are made together with the file. `not_ours` and `too_new` get a detail; `meaning` gets SQLite's error and
    the path; `not_wal` the path and the journal mode that the file system allowed instead.
    """

    application_id: int
    schema_version: int
    tables: tuple[str, ...]
    cache_kib: int
    not_ours: Callable[[str], Refusal]
    too_new: Callable[[str], Refusal]
    damaged: Callable[[str], Refusal]
    not_wal: Callable[[str], Refusal]
    meaning: Callable[[apsw.Error, str], Refusal]
    busy_ms: int = 0


class OneWriterFile:
    """One open file. Every method may be called from any thread; they take turns."""

    def __init__(self, path: str | Path, kind: FileKind, vfs: str | None = None) -> None:
        """Opens it, or makes it. Raises what `kind` says. `vfs`: another disk than the system's, for proofs."""
        self._path, self._kind, self._vfs = str(path), kind, vfs
        self._lock = RLock()
        self._open: SqlConnection | None = None
        self._tables: list[str] = []
        with self._lock:
            self._connection()

    def write(self, statements: Sequence[Statement]) -> None:
        """All of it or nothing, durable when it returns. Raises what `kind` says of a full, broken or damaged disk."""
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
        """All rows. Ask for a bounded number of them. Raises what `kind` says of a broken or damaged disk."""
        with self._lock:
            try:
                return self._connection().execute(statement, values).fetchall()
            except apsw.Error as error:
                raise self._given_up(error) from error
            except UnicodeDecodeError as error:
                raise self._kind.damaged(f"{self._path}: a text that is none") from error

    def has_column(self, statement: str) -> bool:
        """Would this statement add a column that is there? Of every other statement: no."""
        with self._lock:
            return _has_column(self._connection(), statement)

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
                raise self._kind.meaning(error, self._path) from error
            except Refusal:
                if opened is not None:
                    opened.close()
                raise
            self._open = opened
        return self._open

    def _set_up(self, opened: SqlConnection) -> None:
        kind = self._kind
        opened.execute(f"PRAGMA busy_timeout={kind.busy_ms}").fetchall()
        opened.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        found = (opened.pragma("application_id"), opened.pragma("user_version"))
        is_new = found == (0, 0) and not opened.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        if not is_new and found[0] != kind.application_id:  # nothing of another's file was changed
            raise kind.not_ours(self._path)
        if int(str(found[1])) > kind.schema_version:
            raise kind.too_new(f"version {found[1]}, this program knows {kind.schema_version}")
        for pragma in (
            "synchronous=EXTRA",  # before WAL: see the module's docstring
            "journal_mode=WAL",
            f"cache_size=-{kind.cache_kib}",
            "temp_store=MEMORY",
            "trusted_schema=OFF",
        ):
            opened.execute(f"PRAGMA {pragma}").fetchall()
        if (mode := opened.pragma("journal_mode")) not in ("wal", "memory"):  # `:memory:` has no log
            raise kind.not_wal(f"{self._path}: the file system gives journal mode {mode}, not wal")
        if is_new:
            opened.execute("BEGIN IMMEDIATE").fetchall()
            for statement in kind.tables:
                opened.execute(statement).fetchall()
            opened.pragma("application_id", kind.application_id)
            opened.pragma("user_version", kind.schema_version)
            opened.execute("COMMIT").fetchall()
        for statement in self._tables:
            if not _has_column(opened, statement):
                opened.execute(statement).fetchall()

    def _given_up(self, error: apsw.Error) -> Refusal:
        """After an error nobody knows what the disk has: the next call reads it afresh."""
        opened, self._open = self._open, None
        if opened is not None:
            with suppress(apsw.Error):  # closing tidies up the log, and the disk may refuse that too
                opened.close()
        return self._kind.meaning(error, self._path)


def _has_column(opened: SqlConnection, statement: str) -> bool:
    found = _ADD_COLUMN.match(statement)
    return found is not None and found[2] in {
        row[1] for row in opened.execute(f"PRAGMA table_info({found[1]})").fetchall()
    }
