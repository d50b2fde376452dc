"""The journal's file: opening it safely, what each disk error means, and the write-ahead log's size. DESIGN §6.

SQLite through apsw: exclusive lock, `synchronous=EXTRA` before the switch to WAL (with less, the switch itself can be
lost with everything after it), one sync per commit. The log is laid out with zeros once and then written over: growing
it would make the file system commit its own metadata at every sale. Never deletes or truncates a log by itself.
"""

import ctypes
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

import apsw

from offline_ledger.errors import (
    JournalDamaged,
    JournalInUse,
    JournalUnavailable,
    Refusal,
    StorageFailed,
    StorageFull,
    StorageLibraryUnsafe,
)
from offline_ledger.terminal.journal_schema import PAGE_BYTES
from offline_ledger.terminal.journal_sql import Row, SqlFile, SqlValue, connect, open_file

SQLITE_VERSION_MIN = (3, 51, 3)
"""Earlier ones can corrupt a log when it is reset."""
WAL_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
CHUNK_BYTES = 1 << 18
"""The database file grows in steps of this size."""
FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES


class DiskLimits(NamedTuple):
    """Sizes of the write-ahead log in frames (pages of 2 KB) and of the page cache."""

    laid_out_frames: int = 2048  # 4 MB written with zeros when the journal is made
    checkpoint_idle_frames: int = 128  # an idle moment empties a log of this size
    checkpoint_flush_frames: int = 1024  # `flush` does, if no idle moment came
    reserve_frames: int = 256  # on a full disk, sales leave this part of the laid-out log to acks and pruning
    cache_kib: int = 1024  # a decision is no quicker with more, at 300,000 rows; checking the journal would fill it

    @property
    def checkpoint_append_frames(self) -> int:
        """From here on the append itself empties the log: the last resort, counted."""
        return self.laid_out_frames - self.reserve_frames


class JournalDisk:
    """One exclusive connection. Never decides what to store."""

    def __init__(self, path: str, vfs: str | None, limits: DiskLimits) -> None:
        if tuple(int(part) for part in apsw.sqlite_lib_version().split(".")) < SQLITE_VERSION_MIN:
            raise StorageLibraryUnsafe(apsw.sqlite_lib_version())
        self.path = path
        self.vfs = vfs
        self.limits = limits
        self.wal_frames = 0
        self.has_room = True
        with opening(path):
            self.connection = connect(path, vfs)
        try:
            with opening(path):
                self._set_up()
        except BaseException:
            self.connection.close()
            raise
        self.connection.set_wal_hook(self._on_commit)
        self.cursor = self.connection.cursor()

    def _set_up(self) -> None:
        # A clean close must not checkpoint: after a failed sync that would write pages nobody vouches for.
        self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        for pragma in (
            f"page_size={PAGE_BYTES}",
            "locking_mode=EXCLUSIVE",
            "synchronous=EXTRA",  # before WAL: see the module's docstring
            "journal_mode=WAL",
            "wal_autocheckpoint=0",
            f"cache_size=-{self.limits.cache_kib}",
            "temp_store=MEMORY",
            "trusted_schema=OFF",
        ):
            self.connection.execute(f"PRAGMA {pragma}").fetchall()
        chunk_bytes = ctypes.c_int(CHUNK_BYTES)
        self.connection.file_control("main", apsw.SQLITE_FCNTL_CHUNK_SIZE, ctypes.addressof(chunk_bytes))
        mode = self.connection.pragma("journal_mode")
        if mode != "wal":
            raise JournalUnavailable(f"the file system gives journal mode {mode}, not wal")

    def _on_commit(self, _connection: object, _name: str, frames: int) -> int:
        self.wal_frames = frames
        return apsw.SQLITE_OK

    def rollback(self) -> None:
        """Leaves no transaction open, whatever state the disk is in."""
        if self.connection.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
            except apsw.Error:
                pass  # the connection is about to be closed or the error already ended the transaction

    def close(self) -> None:
        self.connection.close()

    # --- the write-ahead log

    def log_frames(self) -> int:
        """Frames in the log now; nothing is written."""
        frames, _done = self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        return max(frames, 0)

    def open_log_file(self) -> SqlFile:
        """A second handle on the log, through the same VFS. Closing it drops no lock: locks live on the database."""
        return open_file(f"{self.path}-wal", self.vfs, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_WAL)

    def lay_out_log(self) -> None:
        """Writes zeros behind the log's end, up to `laid_out_frames`, and syncs. Zeros are no valid frame."""
        size_bytes = WAL_HEADER_BYTES + self.limits.laid_out_frames * FRAME_BYTES
        file = self.open_log_file()
        try:
            at = file.xFileSize()
            if at >= size_bytes:
                return
            while at < size_bytes:
                part_bytes = min(1 << 16, size_bytes - at)  # SQLite writes at most 128 KB at a time
                file.xWrite(bytes(part_bytes), at)
                at += part_bytes
            file.xSync(apsw.SQLITE_SYNC_NORMAL)
        finally:
            file.xClose()

    def checkpoint(self) -> bool:
        """Moves the log into the database and lets it start over. False when the disk has no room for that."""
        try:
            frames, done = self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.FullError:
            return False
        return frames == done

    def reserve_room(self) -> None:
        """Makes the database file long enough for everything the log can hold, so that it can always be emptied.

        Sales go on only while this succeeds. What is left then is for acks and pruning, which make room inside.
        """
        pages, free = self._count("page_count"), self._count("freelist_count")
        size_bytes = ctypes.c_int64((pages + max(0, self.limits.laid_out_frames - free)) * PAGE_BYTES)
        try:
            self.connection.file_control("main", apsw.SQLITE_FCNTL_SIZE_HINT, ctypes.addressof(size_bytes))
        except apsw.Error:
            self.has_room = False
        else:
            self.has_room = True

    def _count(self, pragma: str) -> int:
        value = self.connection.pragma(pragma)
        assert isinstance(value, int)
        return value

    # --- reading

    def fetch(self, sql: str, bindings: tuple[SqlValue, ...] = ()) -> list[Row]:
        """All rows of a query. Raises StorageFailed or JournalDamaged."""
        try:
            return self.connection.execute(sql, bindings).fetchall()
        except apsw.Error as error:
            raise meaning_of(error) from error


@contextmanager
def opening(path: str) -> Generator[None]:
    """Says what a failure to open means."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise JournalInUse(path) from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise JournalDamaged(f"{path}: {error}") from error
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError, apsw.AuthError) as error:
        raise JournalUnavailable(f"{path}: {error}") from error
    except apsw.FullError as error:
        raise StorageFull(f"{path}: {error}") from error
    except apsw.Error as error:
        raise StorageFailed(f"{path}: {error}") from error


def meaning_of(error: apsw.Error) -> Refusal:
    """The refusal that a failed statement or commit stands for."""
    if isinstance(error, apsw.FullError):
        return StorageFull(str(error))
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return JournalDamaged(str(error))
    return StorageFailed(str(error))
