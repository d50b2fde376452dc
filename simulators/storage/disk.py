"""A real disk seen through an apsw VFS that counts, and fails on request. DESIGN §6, §11.

Each fault is named: `sync_fails_at`, `is_full`. The files are real ones. Never changes what is written and never waits:
the slow disk is `simulators.slow_disk`.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import apsw


@dataclass(slots=True)
class DiskFaults:
    """What the disk does wrong, and what it has counted."""

    sync_fails_at: int | None = None
    """This many syncs from now the sync fails with EIO; 1 is the next."""
    writes_fail: bool = False
    """Every write fails with EIO."""
    is_full: bool = False
    """Writes that make a file longer fail, as on a full disk; writing over what is there works."""
    syncs: int = 0
    writes: int = 0
    bytes_written: int = 0


def _failed(code: int, what: str) -> apsw.Error:
    error = apsw.IOError(f"simulated: input/output error while {what}")
    setattr(error, "extendedresult", code)  # noqa: B010 - apsw reads it, its types omit it
    return error


class _File(apsw.VFSFile):
    def __init__(self, faults: DiskFaults, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._faults = faults

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._faults.writes_fail:
            raise _failed(apsw.SQLITE_IOERR_WRITE, "writing")
        if self._faults.is_full and offset + len(data) > self.xFileSize():
            raise apsw.FullError("simulated: no space left on device")
        super().xWrite(data, offset)
        self._faults.writes += 1
        self._faults.bytes_written += len(data)

    def xFileControl(self, op: int, ptr: int) -> bool:
        if op == apsw.SQLITE_FCNTL_SIZE_HINT and self._faults.is_full:
            if ctypes.c_int64.from_address(ptr).value > self.xFileSize():
                raise apsw.FullError("simulated: no space left on device")
        return super().xFileControl(op, ptr)

    def xSync(self, flags: int) -> None:
        faults = self._faults
        faults.syncs += 1
        if faults.sync_fails_at is not None:
            faults.sync_fails_at -= 1
            if faults.sync_fails_at == 0:
                faults.sync_fails_at = None
                raise _failed(apsw.SQLITE_IOERR_FSYNC, "syncing")
        super().xSync(flags)


class SimulatedDisk(apsw.VFS):
    """Registered under `name` until closed; `faults` may be changed at any time."""

    def __init__(self, name: str, faults: DiskFaults | None = None) -> None:
        super().__init__(name, "")
        self.name = name
        self.faults = faults or DiskFaults()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:
        return _File(self.faults, name, flags)


@contextmanager
def simulated_disk(name: str, faults: DiskFaults | None = None) -> Iterator[SimulatedDisk]:
    """A disk for the length of a `with`; hand its `name` to `Journal.open(vfs=...)`."""
    disk = SimulatedDisk(name, faults)
    try:
        yield disk
    finally:
        disk.unregister()
