"""Files in memory behind an apsw VFS, with a record of every write, sync, truncation and directory change. DESIGN §11.

The record is what a power cut is made from (see `power_cut`). A file is an inode; a name points at one. Never sleeps,
never touches a real disk.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import apsw

SECTOR_BYTES = 512


class Action(Enum):
    """What happened to the disk."""

    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    CREATE = "create"
    DELETE = "delete"
    SYNC_FOLDER = "sync_folder"


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of the record; `inode` of a folder sync: the only file whose name it makes durable, -1 for all."""

    action: Action
    inode: int = -1
    name: str = ""
    offset: int = 0
    data: bytes = b""


@dataclass(slots=True)
class Inode:
    """A file's present content."""

    number: int
    data: bytearray = field(default_factory=bytearray)
    is_entry_synced: bool = True


class MemoryDisk:
    """The files, and the record since it was made."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.names = {name: Inode(number, bytearray(data)) for number, (name, data) in enumerate((files or {}).items())}
        self.record: list[Operation] = []
        self._next = len(self.names)

    def open(self, name: str, flags: int) -> Inode:
        """The file's inode, made if `flags` allow. Raises apsw.CantOpenError."""
        if name in self.names:
            return self.names[name]
        if not flags & apsw.SQLITE_OPEN_CREATE:
            raise apsw.CantOpenError(name)
        inode = self.names[name] = Inode(self._next)
        self._next += 1
        # SQLite syncs the folder with the first sync of a new journal or log.
        inode.is_entry_synced = not flags & (apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL)
        self.record.append(Operation(Action.CREATE, inode.number, name))
        return inode

    def delete(self, name: str, sync_folder: bool) -> None:
        inode = self.names.pop(name, None)
        if inode is None:
            raise apsw.IOError(name)
        self.record.append(Operation(Action.DELETE, inode.number, name))
        if sync_folder:
            self.record.append(Operation(Action.SYNC_FOLDER))

    def write(self, inode: Inode, offset: int, data: bytes) -> None:
        apply_write(inode.data, offset, data)
        self.record.append(Operation(Action.WRITE, inode.number, offset=offset, data=data))

    def truncate(self, inode: Inode, size: int) -> None:
        apply_truncate(inode.data, size)
        self.record.append(Operation(Action.TRUNCATE, inode.number, offset=size))

    def sync(self, inode: Inode) -> None:
        self.record.append(Operation(Action.SYNC, inode.number))
        if not inode.is_entry_synced:
            inode.is_entry_synced = True
            # Of this one name: a disk may hold back what nobody asked for, the removal of another file for example.
            self.record.append(Operation(Action.SYNC_FOLDER, inode.number))


def apply_write(data: bytearray, offset: int, part: bytes) -> None:
    """Writes as a file does: a gap before `offset` becomes zeros."""
    if offset > len(data):
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(part)] = part


def apply_truncate(data: bytearray, size: int) -> None:
    """Cuts, or lengthens with zeros."""
    if size < len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))


class _MemoryFile:
    """What SQLite needs of a file under an exclusive lock; there is one process, so locks always succeed."""

    def __init__(self, disk: MemoryDisk, inode: Inode) -> None:
        self._disk, self._inode = disk, inode

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._inode.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.write(self._inode, offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        self._disk.truncate(self._inode, size)

    def xSync(self, flags: int) -> None:
        self._disk.sync(self._inode)

    def xFileSize(self) -> int:
        return len(self._inode.data)

    def xClose(self) -> None: ...

    def xLock(self, level: int) -> None: ...

    def xUnlock(self, level: int) -> None: ...

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE  # as SQLite's own VFS for Linux says of every disk


class MemoryVfs(apsw.VFS):
    """Registered under `name`; `disk` may be exchanged between two openings."""

    def __init__(self, name: str, disk: MemoryDisk) -> None:
        super().__init__(name, "")
        self.name = name
        self.disk = disk

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        flags[1] = flags[0]
        return _MemoryFile(self.disk, self.disk.open(path, flags[0]))

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.disk.delete(filename, bool(syncdir))

    def xAccess(self, pathname: str, flags: int) -> bool:
        return pathname in self.disk.names

    def xFullPathname(self, name: str) -> str:
        return name
