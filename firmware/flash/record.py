"""The bench's record: what was intended, how far it came, and what was verified, in one SQLite file. FIELD_LESSONS 35.

`begin`, `step` and `end` are durable when they return: after a power cut the record says which jobs never ended, and at
which step. Rows are only ever added; the file itself refuses all else. Never guesses after a disk error: the next call
opens the file anew. DESIGN §6.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

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
from offline_ledger.terminal.journal_sql import SqlValue, Statement
from offline_ledger.terminal.one_writer_file import FileKind, OneWriterFile

APPLICATION_ID = 0x4B474F42
"""`KGOB`: what kind of file this is, in its header."""
SCHEMA_VERSION = 1
IN_USE_WAIT_MS = 3_000
"""Another command may be about to end."""
CACHE_KIB = 1_024
_NO_LOCKS = (apsw.SQLITE_IOERR_LOCK, apsw.SQLITE_IOERR_RDLOCK, apsw.SQLITE_IOERR_CHECKRESERVEDLOCK)
NAME_CHARACTERS_MAX = 120
VALUE_CHARACTERS_MAX = 4_096
DONE, FAILED = "done", "failed"

_TABLES = (
    "CREATE TABLE job (job INTEGER PRIMARY KEY, what TEXT NOT NULL, subject TEXT NOT NULL, who TEXT NOT NULL,"
    " at_s INTEGER NOT NULL) STRICT",
    "CREATE TABLE intended (job INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (job, key)) STRICT, WITHOUT ROWID",
    "CREATE TABLE step (job INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,"
    " at_s INTEGER NOT NULL, PRIMARY KEY (job, number)) STRICT, WITHOUT ROWID",
    "CREATE TABLE ending (job INTEGER PRIMARY KEY, outcome TEXT NOT NULL, at_s INTEGER NOT NULL,"
    " refusal_number INTEGER NOT NULL) STRICT",
    "CREATE TABLE verified (job INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (job, key)) STRICT, WITHOUT ROWID",
    "CREATE INDEX job_subject ON job (subject)",
    *(
        f"CREATE TRIGGER {table}_{change} BEFORE {change} ON {table} BEGIN SELECT raise(ABORT, 'only added to'); END"
        for table in ("job", "intended", "step", "ending", "verified")
        for change in ("UPDATE", "DELETE")
    ),
)


class Record(OneWriterFile):
    """One open record. Every method may be called from any thread; they take turns."""

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        """`Record.open` is the usual way; `vfs`: another disk, for the power-cut proof."""
        super().__init__(path, KIND, vfs)

    @classmethod
    def open(cls, path: Path) -> "Record":
        """Opens it, or makes it. Raises RecordInUse, RecordDamaged, RecordForeign, RecordTooNew, RecordReadOnly,
        RecordUnavailable, RecordFull, RecordFailed."""
        try:
            is_there = path.exists()
        except OSError as error:  # a folder on the way that this user may not enter
            raise RecordReadOnly(f"{path}: {error.strerror}") from error
        if is_there and not path.is_file():
            raise RecordUnavailable(f"{path}: not a plain file")
        for place in (path, path.parent):
            if place.exists() and not os.access(place, os.W_OK):  # without it SQLite speaks of locks
                raise RecordReadOnly(f"{place}: {os.strerror(errno.EACCES)}")
        return cls(path)

    def begin(self, what: str, subject: str, intended: Mapping[str, str], who: str, at_s: int) -> int:
        """A job's number; durable before the first byte goes to a device."""
        with self._lock:
            job = 1 + self._last("SELECT coalesce(max(job), 0) FROM job")
            self.write(
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
            self.write([("INSERT INTO step VALUES (?, ?, ?, ?)", (job, number, _name(name), at_s))])

    def end(self, job: int, outcome: str, verified: Mapping[str, str], at_s: int, refusal_number: int = 0) -> None:
        """The job is over: `outcome` is "done" or "failed"; `verified` is what was read back, as far as it was."""
        assert outcome in (DONE, FAILED), outcome
        with self._lock:
            ending = ("INSERT INTO ending VALUES (?, ?, ?, ?)", (job, outcome, at_s, refusal_number))
            self.write([ending, *_pairs("verified", job, verified)])

    # --- inside

    def _last(self, statement: str, *values: SqlValue) -> int:
        found = self.fetch(statement, values)[0][0]
        assert isinstance(found, int)
        return found


def refusal_of(error: apsw.Error, path: str) -> Refusal:
    """What an error of SQLite means for the technician."""
    said = f"{path}: {error}"
    if isinstance(error, apsw.FullError):
        return RecordFull(said)
    if isinstance(error, apsw.NotADBError):
        return RecordForeign(said)
    if isinstance(error, (apsw.CorruptError, apsw.SQLError)):
        return RecordDamaged(said)
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return RecordInUse(path)
    if isinstance(error, (apsw.ReadOnlyError, apsw.PermissionsError, apsw.AuthError)):
        return RecordReadOnly(said)
    if isinstance(error, (apsw.CantOpenError, apsw.NoLFSError, apsw.ProtocolError)):
        return RecordUnavailable(said)
    if getattr(error, "extendedresult", 0) in _NO_LOCKS:
        return RecordUnavailable(f"{path}: the file system keeps no locks")
    return RecordFailed(said)


KIND = FileKind(
    application_id=APPLICATION_ID,
    schema_version=SCHEMA_VERSION,
    tables=_TABLES,
    cache_kib=CACHE_KIB,
    not_ours=RecordForeign,
    too_new=RecordTooNew,
    damaged=RecordDamaged,
    not_wal=RecordUnavailable,
    meaning=refusal_of,
    busy_ms=IN_USE_WAIT_MS,
)


def _pairs(table: str, job: int, values: Mapping[str, str]) -> list[Statement]:
    return [
        (f"INSERT INTO {table} VALUES (?, ?, ?)", (job, _name(key), cleaned(value)))
        for key, value in sorted(values.items())
    ]


def _name(text: str) -> str:
    return cleaned(text, NAME_CHARACTERS_MAX)


def cleaned(text: str, characters_max: int = VALUE_CHARACTERS_MAX) -> str:
    """What a device says of itself may hold anything: kept is what can be shown, and a bounded part of it."""
    seen = "".join(character if character.isprintable() else "\ufffd" for character in text[: characters_max + 1])
    return seen if len(seen) <= characters_max else seen[: characters_max - 1] + "…"
