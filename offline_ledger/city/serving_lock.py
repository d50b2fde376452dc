"""One `serve` on one ledger, whatever its port; a restore counts as one. DESIGN §6, §8.

The system lets go of the lock when its program ends, however that ends; the file stays and says nothing.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from offline_ledger.errors import LedgerInUse, StorageFailed
from offline_ledger.files import PRIVATE_MODE


@contextmanager
def only_service(database: Path) -> Generator[None]:
    """Raises LedgerInUse: another program holds it; StorageFailed: the file beside the ledger cannot be made."""
    path = database.with_name(f".{database.name}.serve")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_MODE)
    except OSError as error:
        raise StorageFailed(f"{path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LedgerInUse(str(database)) from error
        yield
    finally:
        os.close(descriptor)
