"""Small files of the city that are there whole or not at all: keys, certificates, settings. DESIGN §4.

Never overwrites: each of these is made once. Also the files that a person named on the command line.
"""

import errno
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from offline_ledger.errors import CityExists, FileTaken, FileUnusable, StorageFailed
from offline_ledger.files import PUBLIC_MODE, write_atomically
from offline_ledger.key_files import write_key


def write_new(path: Path, data: bytes, mode: int = PUBLIC_MODE) -> None:
    """Durable when it returns. Raises CityExists when there is such a file, StorageFull, StorageFailed."""
    try:
        write_atomically(path, data, mode, may_replace=False)
    except FileExistsError as error:
        raise CityExists(str(path)) from error


def write_new_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Durable when it returns. Raises CityExists, KeyFileUnsafe: the disk keeps no permissions; StorageFull,
    StorageFailed."""
    try:
        write_key(path, key)
    except FileExistsError as error:
        raise CityExists(str(path)) from error


def check_named(path: Path) -> None:
    """Before anything else is done for it: a new file can be made there, as far as can be told. Raises FileTaken,
    FileUnusable."""
    if os.path.lexists(path):
        raise FileTaken(str(path))
    if not path.parent.is_dir():
        raise FileUnusable(f"{path}: no such folder")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise FileUnusable(f"{path}: {os.strerror(errno.EACCES)}")


def write_named(path: Path, data: bytes, mode: int = PUBLIC_MODE) -> None:
    """A new file that somebody named, whole and durable when it returns. Raises FileTaken, StorageFull; FileUnusable:
    what is wrong is the name, its folder or what it lies on, not the city's own disk."""
    try:
        write_atomically(path, data, mode, may_replace=False)
    except FileExistsError as error:
        raise FileTaken(str(path)) from error
    except StorageFailed as error:
        raise FileUnusable(error.detail) from error
