"""Small files of the city that are there whole or not at all: keys, certificates, settings. DESIGN §4.

Never overwrites: each of these is made once.
"""

import os
from pathlib import Path

from offline_ledger.errors import CityExists, KeyFileUnsafe, StorageFailed, StorageFull

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644
_NO_SPACE = (28, 122)


def write_new(path: Path, data: bytes, mode: int = PUBLIC_MODE) -> None:
    """Durable when it returns. Raises CityExists when there is such a file, StorageFull, StorageFailed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        aside.unlink(missing_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            os.fchmod(descriptor, mode)
            written = 0
            while written < len(data):
                written += os.write(descriptor, data[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(aside, path)  # fails where a file is, unlike a rename
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError as error:
        raise CityExists(str(path)) from error
    except OSError as error:
        refusal = StorageFull if error.errno in _NO_SPACE else StorageFailed
        raise refusal(f"{path}: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)


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
