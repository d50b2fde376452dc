"""A disk whose every sync takes long, as a worn SD card's does, or fails. DESIGN §10, §11.

An SQLite VFS (through apsw) over the real one: data and locks are real, only `xSync` waits or refuses first. Syncs
are counted, so a test can ask for exactly one a commit. A program in its own process gets it without knowing:

    python -m simulators.slow_disk --sync-ms 100 -m bus_validator --settings bus.toml
"""

import argparse
import runpy
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw

NAME = "kgo-slow-disk"
SYNC_MS_MAX = 10_000


class SlowDisk(apsw.VFS):
    """Named VFS; `sync_ms` and `failing` may change while files are open."""

    def __init__(self, name: str = NAME, *, sync_ms: int = 0, is_default: bool = False) -> None:
        self.sync_ms = sync_ms
        self.failing = False
        self.syncs = 0
        self.name = name
        self.base = apsw.vfs_names()[0]  # by name: the default is about to be ourselves
        super().__init__(name, self.base, makedefault=is_default)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """Open a file of the base VFS with our `xSync`."""
        return _SlowFile(self, name, flags)

    def before_sync(self) -> None:
        """Count, wait, and fail if told to."""
        self.syncs += 1
        time.sleep(self.sync_ms / 1000)
        if self.failing:
            raise apsw.IOError("simulated: fsync failed")


class _SlowFile(apsw.VFSFile):
    def __init__(self, disk: SlowDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__(disk.base, name, flags)

    def xSync(self, flags: int) -> None:
        self._disk.before_sync()
        super().xSync(flags)


@contextmanager
def slow_disk(name: str = NAME, *, sync_ms: int = 0, is_default: bool = False) -> Iterator[SlowDisk]:
    """The VFS while the block runs; open the journal with `vfs=disk.name`, or any if it is the default, and close it
    inside."""
    disk = SlowDisk(name, sync_ms=sync_ms, is_default=is_default)
    try:
        yield disk
    finally:
        disk.unregister()


def main(arguments: list[str]) -> Any:
    """Run a Python module on a slow disk."""
    parser = argparse.ArgumentParser(prog="simulators.slow_disk", description="run a program on a slow disk")
    parser.add_argument("--sync-ms", type=int, required=True, help=f"milliseconds a sync, at most {SYNC_MS_MAX}")
    parser.add_argument("-m", dest="program", nargs=argparse.REMAINDER, required=True, help="module and its arguments")
    options = parser.parse_args(arguments)
    if not 0 <= options.sync_ms <= SYNC_MS_MAX:
        parser.error(f"--sync-ms is 0 to {SYNC_MS_MAX}")
    if not options.program:
        parser.error("-m needs a module")
    _disk = SlowDisk(sync_ms=options.sync_ms, is_default=True)
    sys.argv = options.program
    return runpy.run_module(options.program[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
