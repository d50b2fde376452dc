"""Small files of the city that are there whole or not at all: keys, certificates, settings. DESIGN §4.

Never overwrites: each of these is made once.
"""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from offline_ledger.errors import CityExists
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
