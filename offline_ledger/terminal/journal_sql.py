"""The few calls the journal makes on apsw, with exact types. DESIGN §6.

apsw's own annotations name types that this Python does not have. Never opens anything itself.
"""

from collections.abc import Callable
from typing import Protocol, cast

import apsw

SqlValue = int | bytes | str | None
Row = tuple[object, ...]
Statement = tuple[str, tuple[SqlValue, ...]]


class SqlCursor(Protocol):
    """A cursor that is used over and over; statements are kept prepared."""

    def execute(self, statements: str, bindings: tuple[SqlValue, ...] | None = None) -> "SqlCursor": ...
    def fetchall(self) -> list[Row]: ...


class SqlConnection(Protocol):
    """One connection."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, statements: str, bindings: tuple[SqlValue, ...] | None = None) -> SqlCursor: ...
    def pragma(self, name: str, value: str | int | None = None) -> object: ...
    def cursor(self) -> SqlCursor: ...
    def close(self) -> None: ...
    def file_control(self, dbname: str, op: int, pointer: int) -> bool: ...
    def config(self, op: int, *values: int) -> int: ...
    def set_wal_hook(self, callable: Callable[[object, str, int], int] | None) -> None: ...
    def wal_checkpoint(self, dbname: str | None = None, mode: int = 0) -> tuple[int, int]: ...


class SqlFile(Protocol):
    """A file seen through a VFS."""

    def xFileSize(self) -> int: ...
    def xRead(self, amount: int, offset: int) -> bytes: ...
    def xWrite(self, data: bytes, offset: int) -> None: ...
    def xSync(self, flags: int) -> None: ...
    def xClose(self) -> None: ...


def connect(path: str, vfs: str | None) -> SqlConnection:
    """Opens or makes the database file. Raises apsw.Error."""
    return cast(SqlConnection, cast(object, apsw.Connection(path, vfs=vfs, statementcachesize=64)))


def open_file(path: str, vfs: str | None, flags: int) -> SqlFile:
    """Opens a file through the VFS. Raises apsw.Error."""
    return cast(SqlFile, cast(object, apsw.VFSFile(vfs or "", path, [flags, 0])))
