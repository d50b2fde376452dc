"""Plain files in a folder that somebody else filled: a USB stick, a folder that is served; or named. DESIGN §7.

Names in a folder are checked one by one and opened without following links, so nothing outside it is ever read, and a
pipe or a device never waits for anybody. Never lists, never writes.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,199}")
PARTS_MAX = 4
CHUNK_BYTES = 1 << 20


def open_plain(folder: Path, name: str) -> int:
    """Descriptor of `folder/name`, for reading; `name` may have folders in it. Raises FileNotFoundError for what is
    not there and for what is no such name, OSError for what cannot be read or is no plain file."""
    parts = name.split("/")
    if len(parts) > PARTS_MAX or not all(_PART.fullmatch(part) for part in parts):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name[:200])
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            close_read(at)
            at = below
        found = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    finally:
        close_read(at)
    _check_plain(found, name)
    return found


def open_named(path: Path) -> BinaryIO:
    """A file that somebody named, links and all, for reading. Raises OSError for what cannot be read or is no plain
    file: a pipe would make everybody wait, and a device never ends."""
    found = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    _check_plain(found, str(path))
    return os.fdopen(found, "rb")


def plain_bytes(path: Path) -> int:
    """Size of a file that somebody named. Raises what `open_named` raises."""
    with open_named(path) as stream:
        return os.fstat(stream.fileno()).st_size


def _check_plain(descriptor: int, name: str) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        close_read(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", name)


def close_read(descriptor: int) -> None:
    """Of a file that was only read: where a stick was pulled out even this fails, and loses nothing."""
    with suppress(OSError):
        os.close(descriptor)


def read_chunks(descriptor: int, offset: int, count: int, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """`count` bytes from `offset` on, or fewer where the file ends. Never closes it. Raises OSError."""
    while count > 0:
        chunk = os.pread(descriptor, min(chunk_bytes, count), offset)
        if not chunk:
            return
        yield chunk
        offset, count = offset + len(chunk), count - len(chunk)
