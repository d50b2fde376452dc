"""The bench's record: what was intended, how far it came, and what was verified, in one SQLite file. FIELD_LESSONS 35.

`begin`, `step` and `end` are durable when they return: after a power cut the record says which jobs never ended, and at
which step. Rows are only ever added. Never guesses after a disk error: the next call opens the file anew. DESIGN §6.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock

import apsw

from offline_ledger.errors import (
    RecordDamaged,
    RecordFailed,
    RecordForeign,
    RecordFull,
    RecordInUse,
    RecordReadOnly,
    RecordTooNew,
    RecordUnavailable,
    Refusal,
)
from offline_ledger.terminal.journal_sql import Row, SqlConnection, SqlValue, Statement, connect

APPLICATION_ID = 0x4B474F42
"""`KGOB`: what kind of file this is, in its header."""
SCHEMA_VERSION = 1
IN_USE_WAIT_MS = 3_000
"""Another command may be about to end."""
NAME_CHARACTERS_MAX = 120
VALUE_CHARACTERS_MAX = 4_096
DONE, FAILED = "done", "failed"

_PRAGMAS = (
    "locking_mode=EXCLUSIVE",
    "synchronous=EXTRA",  # before WAL: with less, the switch itself can be lost with everything after it
    "journal_mode=WAL",
    "temp_store=MEMORY",
    "trusted_schema=OFF",
)
_TABLES = (
    "CREATE TABLE job (job INTEGER PRIMARY KEY, what TEXT NOT NULL, subject TEXT NOT NULL, who TEXT NOT NULL,"
    " at_s INTEGER NOT NULL) STRICT",
    "CREATE TABLE intended (job INTEGER NOT NULL REFERENCES job, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (job, key)) STRICT, WITHOUT ROWID",
    "CREATE TABLE step (job INTEGER NOT NULL REFERENCES job, number INTEGER NOT NULL, name TEXT NOT NULL,"
    " at_s INTEGER NOT NULL, PRIMARY KEY (job, number)) STRICT, WITHOUT ROWID",
    "CREATE TABLE ending (job INTEGER PRIMARY KEY REFERENCES job, outcome TEXT NOT NULL, at_s INTEGER NOT NULL,"
    " refusal_number INTEGER NOT NULL) STRICT",
    "CREATE TABLE verified (job INTEGER NOT NULL REFERENCES job, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (job, key)) STRICT, WITHOUT ROWID",
    "CREATE INDEX job_subject ON job (subject)",
)


class Record:
    """One open record. Every method may be called from any thread; they take turns."""

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        """`Record.open` is the usual way; `vfs`: another disk, for the power-cut proof."""
        self.path, self._vfs = path, vfs
        self._lock = RLock()
        self._open: SqlConnection | None = None
        with self._lock:
            self._connection()

    @classmethod
    def open(cls, path: Path) -> "Record":
        """Opens it, or makes it. Raises RecordInUse, RecordDamaged, RecordForeign, RecordTooNew, RecordReadOnly,
        RecordUnavailable, RecordFull, RecordFailed."""
        return cls(path)

    def begin(self, what: str, subject: str, intended: Mapping[str, str], who: str, at_s: int) -> int:
        """A job's number; durable before the first byte goes to a device."""
        with self._lock:
            job = 1 + self._last("SELECT coalesce(max(job), 0) FROM job")
            self._write(
                [
                    ("INSERT INTO job VALUES (?, ?, ?, ?, ?)", (job, _name(what), _name(subject), _name(who), at_s)),
                    *_pairs("intended", job, intended),
                ]
            )
            return job

    def step(self, job: int, name: str, at_s: int) -> None:
        """How far the job is: what `name` stands for was begun."""
        with self._lock:
            number = 1 + self._last("SELECT coalesce(max(number), 0) FROM step WHERE job = ?", job)
            self._write([("INSERT INTO step VALUES (?, ?, ?, ?)", (job, number, _name(name), at_s))])

    def end(self, job: int, outcome: str, verified: Mapping[str, str], at_s: int, refusal_number: int = 0) -> None:
        """The job is over: `outcome` is "done" or "failed"; `verified` is what was read back, as far as it was."""
        assert outcome in (DONE, FAILED), outcome
        with self._lock:
            ending = ("INSERT INTO ending VALUES (?, ?, ?, ?)", (job, outcome, at_s, refusal_number))
            self._write([ending, *_pairs("verified", job, verified)])

    def fetch(self, statement: str, values: tuple[SqlValue, ...] = ()) -> list[Row]:
        """All rows of a query. Raises RecordDamaged, RecordFailed."""
        with self._lock:
            try:
                return self._connection().execute(statement, values).fetchall()
            except apsw.Error as error:
                raise self._given_up(error) from error
            except UnicodeDecodeError as error:
                raise RecordDamaged(f"{self.path}: a text that is none") from error

    def close(self) -> None:
        """Lets go of the file."""
        with self._lock:
            opened, self._open = self._open, None
            if opened is not None:
                opened.close()

    # --- inside

    def _last(self, statement: str, *values: SqlValue) -> int:
        found = self.fetch(statement, values)[0][0]
        assert isinstance(found, int)
        return found

    def _write(self, statements: Sequence[Statement]) -> None:
        connection = self._connection()
        try:
            connection.execute("BEGIN IMMEDIATE").fetchall()
            for statement, values in statements:
                connection.execute(statement, values).fetchall()
            connection.execute("COMMIT").fetchall()
        except apsw.ConstraintError:  # a job that ended twice: a mistake of the caller
            connection.execute("ROLLBACK").fetchall()
            raise
        except apsw.Error as error:
            raise self._given_up(error) from error

    def _connection(self) -> SqlConnection:
        if self._open is None:
            opened: SqlConnection | None = None
            try:
                opened = connect(str(self.path), self._vfs)
                self._set_up(opened)
            except apsw.Error as error:
                if opened is not None:
                    opened.close()
                raise refusal_of(error, self.path) from error
            except Refusal:
                if opened is not None:
                    opened.close()
                raise
            self._open = opened
        return self._open

    def _set_up(self, opened: SqlConnection) -> None:
        opened.pragma("busy_timeout", IN_USE_WAIT_MS)
        opened.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        found = (opened.pragma("application_id"), opened.pragma("user_version"))
        is_new = found == (0, 0) and not opened.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        if not is_new and found[0] != APPLICATION_ID:  # nothing of another's file was changed
            raise RecordForeign(str(self.path))
        if int(str(found[1])) > SCHEMA_VERSION:
            raise RecordTooNew(f"version {found[1]}, this program knows {SCHEMA_VERSION}")
        for pragma in _PRAGMAS:
            opened.execute(f"PRAGMA {pragma}").fetchall()
        if (mode := opened.pragma("journal_mode")) != "wal":
            raise RecordUnavailable(f"the file system gives journal mode {mode}, not wal")
        opened.execute("PRAGMA foreign_keys=ON").fetchall()
        if is_new:
            opened.execute("BEGIN IMMEDIATE").fetchall()
            for statement in _TABLES:
                opened.execute(statement).fetchall()
            opened.pragma("application_id", APPLICATION_ID)
            opened.pragma("user_version", SCHEMA_VERSION)
            opened.execute("COMMIT").fetchall()

    def _given_up(self, error: apsw.Error) -> Refusal:
        """After an error nobody knows what the disk has: the next call reads it afresh."""
        opened, self._open = self._open, None
        if opened is not None:
            with suppress(apsw.Error):  # closing tidies up the log, and the disk may refuse that too
                opened.close()
        return refusal_of(error, self.path)


def refusal_of(error: apsw.Error, path: Path) -> Refusal:
    """What an error of SQLite means for the technician."""
    said = f"{path}: {error}"
    if isinstance(error, apsw.FullError):
        return RecordFull(said)
    if isinstance(error, apsw.NotADBError):
        return RecordForeign(said)
    if isinstance(error, apsw.CorruptError):
        return RecordDamaged(said)
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return RecordInUse(str(path))
    if isinstance(error, (apsw.ReadOnlyError, apsw.PermissionsError, apsw.AuthError)):
        return RecordReadOnly(said)
    if isinstance(error, (apsw.CantOpenError, apsw.NoLFSError)):
        return RecordUnavailable(said)
    return RecordFailed(said)


def _pairs(table: str, job: int, values: Mapping[str, str]) -> list[Statement]:
    return [
        (f"INSERT INTO {table} VALUES (?, ?, ?)", (job, _name(key), _clean(value, VALUE_CHARACTERS_MAX)))
        for key, value in sorted(values.items())
    ]


def _name(text: str) -> str:
    return _clean(text, NAME_CHARACTERS_MAX)


def _clean(text: str, characters_max: int) -> str:
    """What a device says of itself may hold anything: kept is what can be shown, and a bounded part of it."""
    seen = "".join(character if character.isprintable() else "\ufffd" for character in text[: characters_max + 1])
    return seen if len(seen) <= characters_max else seen[: characters_max - 1] + "…"
