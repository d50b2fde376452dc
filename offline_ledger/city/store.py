"""The city's SQLite store: opening it safely, one writer at a time, typed reads. DESIGN §8.

WAL with `synchronous=EXTRA` set before the switch, so a commit that returned survives a power cut; not exclusive, so
`kgo-city` reads beside the running service. Every change happens inside `transaction()`. After a commit that failed the
next one opens the store again first. Never holds state that the next transaction would need: another process may have
written in between.
"""

import logging
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

import apsw

from offline_ledger.city import schema
from offline_ledger.errors import LedgerDamaged, Refusal, StorageFailed, StorageFull, StorageLibraryUnsafe, StoreInvalid
from offline_ledger.protocol.tree import EMPTY_ROOT

SQLITE_VERSION_MIN = (3, 51, 3)
"""Earlier ones can corrupt a log when it is reset."""
BUSY_MS_MAX = 10_000
BINDINGS_MAX = 500
"""Most values in one IN (…) list."""

log = logging.getLogger("kgo.city.store")
SqlValue = int | bytes | str | None
Row = tuple[Any, ...]
"""Columns as SQLite gives them; the caller's dataclass names their types."""


class Store:
    """One connection, shared by the threads of one process; `transaction()` serialises them."""

    def __init__(self, connection: Any, path: str) -> None:
        self._connection = connection
        self._lock = RLock()
        self._depth = 0
        self._is_snapshot = False
        self._failed = False
        self.path = path

    @classmethod
    def create(cls, path: Path | str, city: str, now_s: int) -> "Store":
        """A new store for `city`. Raises StoreInvalid when the file exists."""
        if Path(path).exists():
            raise StoreInvalid(f"{path} exists")
        store = cls(_connect(str(path), create=True), str(path))
        with store.transaction():
            for statement in schema.CREATE:
                store.execute(statement)
            store.execute("INSERT INTO log(id, size, root) VALUES(1, 0, ?)", (EMPTY_ROOT,))
            store.put_setting("city", city.encode())
            store.put_setting("created_at_s", str(now_s).encode())
            store.execute(f"PRAGMA user_version={schema.SCHEMA_VERSION}")
        return store

    @classmethod
    def open(cls, path: Path | str) -> "Store":
        """The store at `path`, brought to this version if it is older. Raises StoreInvalid when there is none, or one
        of a version that this program does not know."""
        if not Path(path).exists():
            raise StoreInvalid(f"{path} does not exist")
        store = cls(_connect(str(path), create=False), str(path))
        try:
            version = store.one("PRAGMA user_version")
        except StorageFailed as error:
            store.close()
            raise StoreInvalid(str(error)) from error
        if version is None or version[0] not in (schema.SCHEMA_VERSION, *schema.UPGRADES):
            store.close()
            raise StoreInvalid(f"{path}: version {version and version[0]}, not {schema.SCHEMA_VERSION}")
        if version[0] != schema.SCHEMA_VERSION:
            store._upgrade()
        return store

    def _upgrade(self) -> None:
        """One transaction: a power cut leaves the old version whole. Two programs at once: the second finds it done."""
        with self.transaction():
            row = self.one("PRAGMA user_version")
            assert row is not None
            for version in range(row[0], schema.SCHEMA_VERSION):
                for statement in schema.UPGRADES[version]:
                    self.execute(statement)
            self.execute(f"PRAGMA user_version={schema.SCHEMA_VERSION}")

    def close(self) -> None:
        """Ends the connection; committed work is safe either way."""
        self._connection.close()

    def copy_to(self, path: Path) -> None:
        """All of this moment into an empty file, while others write. Raises StorageFull, StorageFailed."""
        with self._lock, meaning_of_errors():
            target: Any = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                with target.backup("main", self._connection, "main") as copying:
                    copying.step(-1)
            finally:
                target.close()

    @property
    def city(self) -> str:
        """The city that this ledger belongs to. Raises LedgerDamaged: it does not say."""
        value = self.setting("city")
        if value is None:
            raise LedgerDamaged("settings: city")
        return value.decode()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All or nothing, durable when it returns. A nested one joins the outer. Takes the write lock at once."""
        with self._lock:
            if self._is_snapshot:
                raise StoreInvalid("a snapshot is for reading: what is written in it would be gone")
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            if self._failed:
                self._reopen()
            self.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self._commit()
            finally:
                self._depth = 0
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK").fetchall()

    def _commit(self) -> None:
        """After an error here nobody knows what is on disk: no further write until the store was opened again."""
        try:
            self.execute("COMMIT")
        except Refusal as refusal:
            self._failed = True
            log.error("store stopped", extra={"fields": {"trouble": "store", "refusal": refusal.number}})
            raise

    def _reopen(self) -> None:
        """A connection that remembers nothing of the failed one. What the log has is moved into the database and synced
        before anything counts: what the failed commit left there is then either durable or gone. Until then the old one
        goes on reading. Raises StorageFull, StorageFailed."""
        opened = _connect(self.path, create=False)
        try:
            with meaning_of_errors():
                is_busy, _frames, _moved = opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0]
                found = opened.execute("PRAGMA quick_check(1)").fetchall()
            if is_busy:
                raise StorageFailed("a reader is in the way of opening the store again")
            if found != [("ok",)]:
                raise LedgerDamaged(str(found[0][0]))
        except Refusal:
            opened.close()
            raise
        failed, self._connection, self._failed = self._connection, opened, False
        with suppress(apsw.Error):
            failed.close()
        log.warning("store goes on", extra={"fields": {"trouble": "store", "refusal": 0}})

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Several reads of one state, beside a writer in another process."""
        with self._lock:
            if self._depth:
                yield
                return
            self.execute("BEGIN")
            self._depth, self._is_snapshot = 1, True
            try:
                yield
            finally:
                self._depth, self._is_snapshot = 0, False
                self._connection.execute("ROLLBACK").fetchall()

    @property
    def in_transaction(self) -> bool:
        """Is a transaction or snapshot open on this connection?"""
        return self._depth > 0

    def execute(self, sql: str, bindings: tuple[SqlValue, ...] = ()) -> None:
        """One statement. Raises StorageFull, StorageFailed."""
        with self._lock, meaning_of_errors():
            self._connection.execute(sql, bindings).fetchall()

    def execute_many(self, sql: str, rows: Iterable[tuple[SqlValue, ...]]) -> None:
        """One statement for each row."""
        with self._lock, meaning_of_errors():
            self._connection.executemany(sql, rows).fetchall()

    def insert(self, sql: str, bindings: tuple[SqlValue, ...] = ()) -> int:
        """One INSERT; the row id it got."""
        with self._lock, meaning_of_errors():
            self._connection.execute(sql, bindings).fetchall()
            return self._connection.last_insert_rowid()

    def changes(self) -> int:
        """Rows that the last statement changed."""
        return self._connection.changes()

    def fetch(self, sql: str, bindings: tuple[SqlValue, ...] = ()) -> list[Row]:
        """All rows of a query."""
        with self._lock, meaning_of_errors():
            return self._connection.execute(sql, bindings).fetchall()

    def stream(self, sql: str, bindings: tuple[SqlValue, ...] = ()) -> Generator[Row]:
        """Rows one by one, within a snapshot or transaction: what a whole ledger holds never stands in memory."""
        assert self.in_transaction
        with meaning_of_errors():
            yield from self._connection.execute(sql, bindings)

    def one(self, sql: str, bindings: tuple[SqlValue, ...] = ()) -> Row | None:
        """The first row of a query."""
        rows = self.fetch(sql, bindings)
        return rows[0] if rows else None

    def fetch_in(self, sql: str, values: Iterable[SqlValue], *, first: tuple[SqlValue, ...] = ()) -> list[Row]:
        """`sql` holds `IN (?*)` once, as its last binding; runs it in parts of BINDINGS_MAX distinct values."""
        distinct = list(dict.fromkeys(values))
        rows: list[Row] = []
        for at in range(0, len(distinct), BINDINGS_MAX):
            part = distinct[at : at + BINDINGS_MAX]
            rows += self.fetch(sql.replace("?*", ",".join("?" * len(part))), (*first, *part))
        return rows

    def setting(self, key: str) -> bytes | None:
        """A small named value."""
        row = self.one("SELECT value FROM settings WHERE key = ?", (key,))
        return None if row is None else row[0]

    def put_setting(self, key: str, value: bytes) -> None:
        """Sets a small named value, in its own transaction unless one is open."""
        with self.transaction():
            self.execute("REPLACE INTO settings VALUES(?, ?)", (key, value))


@contextmanager
def meaning_of_errors() -> Generator[None]:
    """apsw's errors as numbered refusals."""
    try:
        yield
    except apsw.FullError as error:
        raise StorageFull(_words(error)) from error
    except apsw.ConstraintError as error:
        if getattr(error, "extendedresult", 0) == apsw.SQLITE_CONSTRAINT_TRIGGER:
            raise LedgerDamaged(str(error)) from error  # no sound ledger ever asks for it
        raise  # a rule of the schema was broken: our mistake, never the disk's
    except apsw.Error as error:
        raise StorageFailed(f"{type(error).__name__}: {_words(error)}") from error
    except UnicodeDecodeError as error:
        raise LedgerDamaged("a text that is none") from error


def _words(error: apsw.Error) -> str:
    """What the error says; one of a copy has no words of its own."""
    said = str(error)
    return _BY_KIND.get(type(error).__name__, "") if said == "not an error" else said


_BY_KIND = {"FullError": "database or disk is full", "IOError": "disk I/O error"}


def _connect(path: str, *, create: bool) -> Any:
    if tuple(int(part) for part in apsw.sqlite_lib_version().split(".")) < SQLITE_VERSION_MIN:
        raise StorageLibraryUnsafe(apsw.sqlite_lib_version())
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    with meaning_of_errors():
        connection: Any = apsw.Connection(path, flags=flags, statementcachesize=128)
        connection.set_busy_timeout(BUSY_MS_MAX)
        for pragma in (
            "synchronous=EXTRA",  # before WAL: with less, the switch itself can be lost with everything after it
            "journal_mode=WAL",
            "foreign_keys=OFF",
            "trusted_schema=OFF",
            "temp_store=MEMORY",
            "cache_size=-16384",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection
