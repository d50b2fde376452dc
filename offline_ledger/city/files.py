"""Small files of the city that are there whole or not at all: keys, certificates, settings. DESIGN §4.

Never overwrites: each of these is made once.
"""

import os
from pathlib import Path

from offline_ledger.errors import CityExists, KeyFileUnsafe
from offline_ledger.files import PUBLIC_MODE, write_atomically


def write_new(path: Path, data: bytes, mode: int = PUBLIC_MODE) -> None:
    """Durable when it returns. Raises CityExists when there is such a file, StorageFull, StorageFailed."""
    try:
        write_atomically(path, data, mode, may_replace=False)
    except FileExistsError as error:
        raise CityExists(str(path)) from error


def read_private(path: Path, bytes_max: int) -> bytes:
    """A file that only this user can read. Raises KeyFileUnsafe: missing, a link, another owner, readable by others."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileUnsafe(f"{path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise KeyFileUnsafe(f"{path}: owner {status.st_uid}, mode {status.st_mode & 0o7777:04o}, must be 0600")
        data = os.read(descriptor, bytes_max + 1)
    except OSError as error:
        raise KeyFileUnsafe(f"{path}: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(data) > bytes_max:
        raise KeyFileUnsafe(f"{path}: not a key file")
    return data
