"""MicroPython onto a board in BOOTSEL: the technician's UF2, checked, copied to the boot drive. DESIGN §11.

Ships none, fetches none. Copies nothing whose SHA-256 is not the one that was named. Decision 0204.
"""

import errno
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from firmware.flash.board_ports import POLL_S, claimed
from firmware.flash.boards import Board, check_drive, is_drive_gone
from firmware.flash.uf2 import UF2_BYTES_MAX, check_uf2
from offline_ledger.errors import (
    BaseDamaged,
    BaseHashWrong,
    BaseNotNamed,
    BaseUnreadable,
    BootDriveFull,
    BootDriveGone,
    BootDriveReadOnly,
    BootDriveStays,
)

NAME = "FIRMWARE.UF2"
PIECE_BYTES = 16_384
LEAVES_S_MAX = 10.0
"""From the last byte until the drive must be gone."""
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)


class BaseFile(NamedTuple):
    """A checked base."""

    name: str
    data: bytes
    sha256: str


def read_base(file: str, sha256: str) -> BaseFile:
    """Raises BaseNotNamed, BaseUnreadable, BaseHashWrong, BaseDamaged, BaseForOtherChip."""
    if not file or not sha256:
        raise BaseNotNamed()
    path = Path(file)
    try:
        with path.open("rb") as stream:
            data = stream.read(UF2_BYTES_MAX + 1)
    except OSError as error:
        raise BaseUnreadable(f"{path}: {error}") from error
    if len(data) > UF2_BYTES_MAX:
        raise BaseDamaged(f"more than {UF2_BYTES_MAX} bytes")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.strip().lower():
        raise BaseHashWrong(f"{path}: {found}")
    check_uf2(data)
    return BaseFile(path.name, data, found)


def copy_base(board: Board, base: BaseFile, on_bytes: Callable[[int], None], leaves_s: float = LEAVES_S_MAX) -> None:
    """Returns when the drive is gone, as the chip then starts what it got. Raises BoardOfOtherChip, BoardPortInUse,
    BootDriveReadOnly, BootDriveFull, BootDriveGone, BootDriveStays."""
    check_drive(board)
    assert board.drive is not None
    with claimed(os.path.realpath(board.drive)):
        _copy_base(board, board.drive, base, on_bytes, leaves_s)


def _copy_base(board: Board, folder: Path, base: BaseFile, on_bytes: Callable[[int], None], leaves_s: float) -> None:
    handed = 0

    def hand(count: int) -> None:
        nonlocal handed
        handed += count
        on_bytes(count)

    lost: OSError | None = None
    try:
        _write(folder / NAME, base.data, hand)
    except OSError as error:
        if handed < len(base.data) and is_drive_gone(board):  # what is left of it may be read-only by then
            raise BootDriveGone(f"{folder}: {error}") from error
        if error.errno in _REFUSED:
            raise BootDriveReadOnly(f"{folder}: {error}") from error
        if error.errno == errno.ENOSPC:
            raise BootDriveFull(f"{folder}: {error}") from error
        if handed < len(base.data):
            raise BootDriveGone(f"{folder}: {error}") from error
        lost = error  # after the last byte: the chip may have taken it all, and waits for no file to be closed
    until_s = time.monotonic() + leaves_s
    while not is_drive_gone(board):
        if time.monotonic() > until_s:
            raise BootDriveGone(f"{folder}: {lost}") if lost is not None else BootDriveStays(str(folder))
        time.sleep(POLL_S)


def _write(target: Path, data: bytes, on_bytes: Callable[[int], None]) -> None:
    with target.open("wb", buffering=0) as file:
        at = 0
        while at < len(data):
            written = file.write(data[at : at + PIECE_BYTES])
            at += written
            on_bytes(written)
        os.fsync(file.fileno())
