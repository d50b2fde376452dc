"""Was the write-ahead log cut short by damage? DESIGN §6; https://sqlite.org/fileformat.html#walformat.

A bad frame makes SQLite forget everything behind it, without a word. A power cut leaves at most one unsynced commit
there; a second commit was written only after the first was synced, so finding one means that an acknowledged voucher
was dropped. Never writes.
"""

from collections.abc import Iterator
from struct import Struct, unpack
from typing import NamedTuple

import apsw

from offline_ledger.errors import JournalDamaged
from offline_ledger.terminal.journal_disk import FRAME_BYTES, FRAME_HEADER_BYTES, WAL_HEADER_BYTES, JournalDisk
from offline_ledger.terminal.journal_sql import SqlFile

SECTOR_BYTES = 512
FRAMES_READ = 64
_MAGIC = 0x377F0682  # the last bit says that words are big-endian
_HEADER = Struct(">I12x8s2I")
_FRAME = Struct(">4xI8s2I")


class _Frame(NamedTuple):
    start: int
    head: bytes  # what its checksum covers, before the page
    is_commit: bool
    salts: bytes
    sums: tuple[int, int]


def check_log_is_whole(disk: JournalDisk) -> None:
    """Raises JournalDamaged if acknowledged commits lie behind the end that SQLite sees. Call it before writing."""
    frames = disk.log_frames()
    try:
        file = disk.open_log_file()
    except apsw.CantOpenError:
        return  # a new journal
    try:
        size_bytes = file.xFileSize()
        if size_bytes < WAL_HEADER_BYTES + FRAME_BYTES:
            return
        header = file.xRead(WAL_HEADER_BYTES, 0)
        if not any(header):
            return
        magic, salts, *sums = _HEADER.unpack(header)
        is_big = magic & 1
        if magic & ~1 != _MAGIC or _sums((0, 0), header[:24], is_big) != tuple(sums):
            raise JournalDamaged("the log's header does not give its checksum")
        _check_behind(file, frames, size_bytes, salts, is_big)
    finally:
        file.xClose()


def _check_behind(file: SqlFile, frames: int, size_bytes: int, salts: bytes, is_big: int) -> None:
    commits = 0
    before: _Frame | None = None
    for frame in _frames_behind(file, frames, size_bytes):
        if frame.salts != salts:
            before, commits = None, 0
            continue
        if before is None:
            # Not checked by one before it; believed if its header cannot be a mixture of two.
            is_one_sector = frame.start // SECTOR_BYTES == (frame.start + FRAME_HEADER_BYTES - 1) // SECTOR_BYTES
            commits = int(frame.is_commit and is_one_sector)
        elif _follows(file, before, frame, is_big):
            commits += frame.is_commit
        else:
            commits = 0
        if commits > 1:
            raise JournalDamaged(f"the log can be read for {frames} frames, but commits lie behind them")
        before = frame


def _frames_behind(file: SqlFile, frames: int, size_bytes: int) -> Iterator[_Frame]:
    start = WAL_HEADER_BYTES + frames * FRAME_BYTES
    while count := min(FRAMES_READ, (size_bytes - start) // FRAME_BYTES):
        part = file.xRead(count * FRAME_BYTES, start)
        for at in range(0, len(part), FRAME_BYTES):
            pages_after, salts, first, second = _FRAME.unpack_from(part, at)
            yield _Frame(start + at, part[at : at + 8], pages_after > 0, salts, (first, second))
        start += count * FRAME_BYTES


def _follows(file: SqlFile, before: _Frame, frame: _Frame, is_big: int) -> bool:
    """Was this frame written behind exactly that one?"""
    page = file.xRead(FRAME_BYTES - FRAME_HEADER_BYTES, frame.start + FRAME_HEADER_BYTES)
    return _sums(before.sums, frame.head + page, is_big) == frame.sums


def _sums(seed: tuple[int, int], data: bytes, is_big: int) -> tuple[int, int]:
    """The format's running checksum over 32-bit words, two at a time."""
    first, second = seed
    words = unpack(f"{'>' if is_big else '<'}{len(data) // 4}I", data)
    for at in range(0, len(words), 2):
        first = (first + words[at] + second) & 0xFFFFFFFF
        second = (second + words[at + 1] + first) & 0xFFFFFFFF
    return first, second
