"""Files that a person names on a command line: new, whole and durable, or a refusal that speaks of the name. DESIGN §3.

Never overwrites.
"""

import errno
import os
from pathlib import Path

from offline_ledger.errors import FileTaken, FileUnusable, StorageFailed
from offline_ledger.files import PUBLIC_MODE, write_atomically


def check_named(path: Path) -> None:
    """Before anything else is done for it: a new file can be made there, as far as can be told. Raises FileTaken,
    FileUnusable."""
    if os.path.lexists(path):
        raise FileTaken(str(path))
    if not path.parent.is_dir():
        raise FileUnusable(f"{path}: no such folder")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise FileUnusable(f"{path}: {os.strerror(errno.EACCES)}")


def read_named(path: Path, bytes_max: int) -> bytes:
    """All of a file. Raises FileUnusable when it cannot be read or is too long: wrong usage."""
    try:
        with path.open("rb") as stream:
            data = stream.read(bytes_max + 1)
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    if len(data) > bytes_max:
        raise FileUnusable(f"{path}: > {bytes_max} bytes")
    return data


def write_named(path: Path, data: bytes, mode: int = PUBLIC_MODE) -> None:
    """A new file that somebody named, whole and durable when it returns. Raises FileTaken, StorageFull; FileUnusable:
    what is wrong is the name, its folder or what it lies on, not the program's own disk."""
    try:
        write_atomically(path, data, mode, may_replace=False)
    except FileExistsError as error:
        raise FileTaken(str(path)) from error
    except StorageFailed as error:
        raise FileUnusable(error.detail) from error
