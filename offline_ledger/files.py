"""Small files that are there whole or not at all. DESIGN §4 "Nothing signed leaves a device before it is durable".

Writes beside the target, syncs, renames, syncs the folder: a power cut leaves the old file or the new one. Also
on a USB stick: FAT and exFAT keep no permissions and know no second name for a file (decision 0245).
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from offline_ledger.errors import StorageFailed, StorageFull

ENOSPC = (errno.ENOSPC, errno.EDQUOT)
"""A disk without room."""
_NOT_KNOWN_HERE = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)
"""What the drivers of FAT and exFAT answer to permissions and second names."""
PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644


def write_atomically(path: Path, data: bytes, mode: int = PUBLIC_MODE, *, may_replace: bool = True) -> None:
    """Durable when it returns. `mode` as far as the disk keeps permissions: whoever needs them looks afterwards. Raises
    FileExistsError if there is one and it may not be replaced, StorageFull, StorageFailed."""
    waiting = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        waiting.unlink(missing_ok=True)  # left by a power cut; never the target
        descriptor = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            _set_mode(descriptor, mode)
            written = 0
            while written < len(data):
                written += os.write(descriptor, data[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if may_replace:
            os.replace(waiting, path)
        else:
            name_new(waiting, path)
        sync_folder(path.parent)
    except FileExistsError:
        waiting.unlink(missing_ok=True)
        raise
    except OSError as error:
        with suppress(OSError):
            waiting.unlink(missing_ok=True)  # a full disk keeps no half of a file
        raise storage_refusal(error, path) from error


def storage_refusal(error: OSError, path: Path | None = None) -> StorageFull | StorageFailed:
    """The disk's word by our numbers; without a `path` the one that the system names."""
    refusal = StorageFull if error.errno in ENOSPC else StorageFailed
    return refusal(f"{path or error.filename}: {error.strerror}")


def name_new(waiting: Path, path: Path) -> None:
    """Gives the file this name, which nothing has. Raises FileExistsError, OSError."""
    try:
        os.link(waiting, path)  # fails where a file is, unlike a rename
    except OSError as error:
        if error.errno not in _NOT_KNOWN_HERE:
            raise
        if os.path.lexists(path):  # on a stick only one hand writes: nobody takes the name between here and the rename
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        os.replace(waiting, path)
    else:
        waiting.unlink()


def _set_mode(descriptor: int, mode: int) -> None:
    try:
        os.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno not in _NOT_KNOWN_HERE:
            raise


def sync_folder(folder: Path) -> None:
    """Makes names in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bounded(path: Path, bytes_max: int) -> bytes | None:
    """The file, or None when there is none. Raises StorageFailed when it is unreadable or larger than it may be."""
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageFailed(f"{path}: {error.strerror}") from error
    if len(data) > bytes_max:
        raise StorageFailed(f"{path}: over {bytes_max} bytes")
    return data
