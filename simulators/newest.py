"""The newest reading of files that others write: read anew at most once a second, and only when they were written.

Whoever reads works on copies; one made while a file is written may be torn: then the last good reading stands.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

import apsw

from offline_ledger.errors import Refusal
from simulators.demo.reader_files import COPY_SUFFIXES

REST_S = 1.0
SETTLED_NS = 1_000_000_000
Read = TypeVar("Read")


class Newest(Generic[Read]):
    """Of these databases, by `read`; `first` until one succeeded. From any thread."""

    def __init__(self, files: Sequence[Path], read: Callable[[], Read], first: Read) -> None:
        self._files, self._read = files, read
        self._lock = Lock()
        self._held = first
        self._read_s = -REST_S
        self._read_stamps: tuple[int, ...] = ()

    def reading(self) -> Read:
        """The newest one."""
        with self._lock:
            if time.monotonic() - self._read_s >= REST_S:
                with contextlib.suppress(apsw.Error, OSError, Refusal):
                    stamps = self._stamps()  # before the copies: what is written meanwhile is read the next time
                    if stamps != self._read_stamps:
                        self._held = self._read()
                        # files bear the time of the clock's last tick: one that is so new may be written again under it
                        self._read_stamps = stamps if max(stamps) < time.time_ns() - SETTLED_NS else ()
                self._read_s = time.monotonic()
            return self._held

    def _stamps(self) -> tuple[int, ...]:
        files = (file.with_name(file.name + suffix) for file in self._files for suffix in COPY_SUFFIXES)
        return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
