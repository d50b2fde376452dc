"""Files on a card: written whole, made durable, read back. FAT keeps no modes, no links, no journal. Decision 0225.

A file that lies there already, byte for byte, is not written again: a card wears, and a repeated run is quick. Every
way in which a card fails becomes one refusal.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from offline_ledger.errors import CardFailed, CardFull, CardGone, CardReadOnly, CardVerifyFailed, StorageFailed
from offline_ledger.files import PUBLIC_MODE, sync_folder, write_atomically

CHUNK_BYTES = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_GONE = (errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ENOTCONN, errno.ESTALE, errno.ENOMEDIUM)

Told = Callable[[int], None]


@contextmanager
def card_errors(place: Path) -> Iterator[None]:
    """What the disk's errors mean on a card. Raises CardFull, CardReadOnly, CardGone, CardFailed."""
    try:
        yield
    except StorageFailed as failed:
        cause = failed.__cause__
        raise refusal_of(cause if isinstance(cause, OSError) else OSError(errno.EIO, failed.detail), place) from failed
    except OSError as error:
        raise refusal_of(error, place) from error


def refusal_of(error: OSError, place: Path) -> CardFull | CardReadOnly | CardGone | CardFailed:
    """An error of the disk, as the technician has to hear it."""
    said = f"{place}: {error.strerror or error}"
    if error.errno in _FULL or (error.errno in _READ_ONLY and _is_full(place.parent)):  # some drivers say so
        return CardFull(said)
    if error.errno in _READ_ONLY:
        return CardReadOnly(said)
    if error.errno in _GONE or not place.parent.exists():
        return CardGone(said)
    return CardFailed(said)


def _is_full(folder: Path) -> bool:
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < CHUNK_BYTES


def sha256_of(file: Path, told: Told | None = None) -> str:
    """Hex digest of a file of any size; empty when it is not there. Raises OSError."""
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            # What was just written would come from memory, not from the card.
            with suppress(OSError):
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while piece := stream.read(CHUNK_BYTES):
                digest.update(piece)
                if told is not None:
                    told(len(piece))
    except FileNotFoundError:
        return ""
    return digest.hexdigest()


def put(place: Path, data: bytes, mode: int = PUBLIC_MODE) -> str:
    """A small file, whole and durable and read back; its digest. `mode` for an image's folder: FAT keeps none. Raises
    what `card_errors` raises, CardVerifyFailed."""
    wanted = hashlib.sha256(data).hexdigest()
    with card_errors(place):
        if sha256_of(place) != wanted:
            write_atomically(place, data, mode)
        check_sha256(place, wanted)
    return wanted


def copy(source: Path, place: Path, wanted: str, told: Told) -> None:
    """A large file, as `put`; `told` hears of every piece. The name appears when all of it is durable."""
    waiting = place.with_name(place.name + ".part")
    with card_errors(place):
        if sha256_of(place) == wanted:
            told(source.stat().st_size)
            return
        waiting.unlink(missing_ok=True)  # left by a cut; not every driver of FAT makes it short again
        try:
            _write_through(source, waiting, told)
        except OSError as error:
            full = refusal_of(error, place)  # while its half is still there
            with suppress(OSError):
                waiting.unlink(missing_ok=True)
            raise full from error
        os.replace(waiting, place)
        sync_folder(place.parent)
        check_sha256(place, wanted)


def _write_through(source: Path, waiting: Path, told: Told) -> None:
    with source.open("rb") as given, waiting.open("xb") as taken:
        while piece := given.read(CHUNK_BYTES):
            taken.write(piece)
            told(len(piece))
        taken.flush()
        os.fsync(taken.fileno())


def check_sha256(place: Path, wanted: str) -> None:
    """Raises CardVerifyFailed, OSError: a file that was written and is not there is a card that is not there."""
    found = sha256_of(place)
    if not found:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
    if found != wanted:
        raise CardVerifyFailed(f"{place}: {found[:16]}, not {wanted[:16]}")


def remove(place: Path) -> None:
    """No such file any more, durably."""
    with card_errors(place):
        if not place.exists():
            return
        place.unlink()
        sync_folder(place.parent)


def tidy(folder: Path, keep: set[str]) -> None:
    """Only these names are left in the folder: what an older preparation or a cut left goes."""
    with card_errors(folder):
        for entry in sorted(folder.rglob("*"), reverse=True):
            name = entry.relative_to(folder).as_posix()
            if entry.is_dir():
                if not any(kept.startswith(f"{name}/") for kept in keep):
                    entry.rmdir()
            elif name not in keep:
                entry.unlink()
        sync_folder(folder)
