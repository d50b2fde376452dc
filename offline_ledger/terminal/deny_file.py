"""The deny list's two files: the list itself, looked up in place, and the changes since it was written. DESIGN §10.

List: magic, counter, number of ids, their SHA-256, 65,537 positions by the first two bytes, the sorted ids of 6 bytes.
Changes: magic, counter, the list they change, numbers, ids, a checksum. Each is written whole or not at all. Nothing is
read at loading but the header, so a million ids load at once.
"""

import mmap
from array import array
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from struct import Struct, error
from sys import byteorder
from typing import NamedTuple

from offline_ledger.errors import DenyListDamaged
from offline_ledger.files import write_atomically
from offline_ledger.protocol.deny_list import DENIED_ID_BYTES, IDS_MAX

LIST_MAGIC = b"KGODENY1"
CHANGES_MAGIC = b"KGODENYD"
CHANGES_MAX = 20_000
"""More changes than this are worked into the list."""
PREFIXES = 1 << 16
VERIFY_STEP_BYTES = 1 << 18
_HEADER = Struct(">8sQI32s")
_CHANGES = Struct(">8sQ32sII")
_POSITIONS_AT = _HEADER.size
_IDS_AT = _POSITIONS_AT + 4 * (PREFIXES + 1)
_RANGE = Struct(">II")


class ListFile:
    """The list in place; its pages come from the disk as they are asked for."""

    def __init__(self, counter: int, count: int, list_sha256: bytes, view: mmap.mmap) -> None:
        self.counter = counter
        self.count = count
        self.list_sha256 = list_sha256
        self.view = view

    def __contains__(self, denied: bytes) -> bool:
        view = self.view
        low, high = _RANGE.unpack_from(view, _POSITIONS_AT + 4 * (denied[0] << 8 | denied[1]))
        end = _IDS_AT + DENIED_ID_BYTES * high
        at = view.find(denied, _IDS_AT + DENIED_ID_BYTES * low, end)
        while at >= 0 and (at - _IDS_AT) % DENIED_ID_BYTES:
            at = view.find(denied, at + 1, end)  # it lay across two neighbours
        return at >= 0

    def ids(self, start: int, stop: int) -> bytes:
        """The ids from position `start` to `stop`, one after the other."""
        return self.view[_IDS_AT + DENIED_ID_BYTES * start : _IDS_AT + DENIED_ID_BYTES * stop]

    def position(self, denied: bytes) -> int:
        """Where the id is, or would be."""
        low, high = _RANGE.unpack_from(self.view, _POSITIONS_AT + 4 * (denied[0] << 8 | denied[1]))
        while low < high:
            middle = (low + high) // 2
            if self.ids(middle, middle + 1) < denied:
                low = middle + 1
            else:
                high = middle
        return low

    def positions(self) -> list[int]:
        """For every two-byte beginning, how many ids come before it; and the number of all."""
        return self._table().tolist()

    def _table(self) -> "array[int]":
        """The same in a ninth of the memory."""
        found = array("I", self.view[_POSITIONS_AT:_IDS_AT])
        if byteorder == "little":
            found.byteswap()
        return found

    def verify(self) -> Iterator[None]:
        """Checks sum and positions, a piece at a time. Raises DenyListDamaged."""
        running = sha256()
        step = VERIFY_STEP_BYTES // DENIED_ID_BYTES
        for start in range(0, self.count, step):
            running.update(self.ids(start, min(start + step, self.count)))
            self.view.madvise(mmap.MADV_DONTNEED)  # what was only read to be checked need not stay in memory
            yield
        if running.digest() != self.list_sha256:
            raise DenyListDamaged("the list in use is not the one that was sent")
        for prefix, at in enumerate(self._table()):
            if at > self.count or not self._is_edge(prefix, at):
                raise DenyListDamaged(f"position of {prefix:04x}")
            if not prefix % 4096:
                self.view.madvise(mmap.MADV_DONTNEED)
                yield
        self.view.madvise(mmap.MADV_DONTNEED)

    def _is_edge(self, prefix: int, at: int) -> bool:
        """Is everything before `at` smaller than this beginning, and everything from there on not?"""
        start = prefix.to_bytes(3, "big")
        before = b"\0" + self.ids(at - 1, at) if at else b""
        return before < start and (at == self.count or start <= b"\0" + self.ids(at, at + 1))


# Positions of no ids are zeros, and no more of it is ever read. Mapped and not made: it takes no memory.
EMPTY = ListFile(0, 0, sha256().digest(), mmap.mmap(-1, _IDS_AT, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def map_list(path: Path) -> ListFile:
    """The list in this file; EMPTY when there is none. Raises DenyListDamaged when its parts do not fit together."""
    try:
        with path.open("rb") as file:
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        return EMPTY
    except (OSError, ValueError) as cause:  # ValueError: an empty file
        raise DenyListDamaged(str(cause)) from cause
    try:
        magic, counter, count, list_sha256 = _HEADER.unpack_from(view, 0)
        (last,) = Struct(">I").unpack_from(view, _IDS_AT - 4)
    except error as cause:
        raise DenyListDamaged("shorter than its header") from cause
    if magic != LIST_MAGIC or count > IDS_MAX or last != count or len(view) != _IDS_AT + DENIED_ID_BYTES * count:
        raise DenyListDamaged(f"{len(view)} bytes for {count} ids")
    return ListFile(counter, count, list_sha256, view)


def write_list(path: Path, counter: int, list_sha256: bytes, ids: bytes, positions: Iterable[int]) -> None:
    """Puts a whole new list in place; the one in use stays mapped for whoever reads it. Raises StorageFull."""
    table = array("I", positions)
    if byteorder == "little":
        table.byteswap()
    header = _HEADER.pack(LIST_MAGIC, counter, len(ids) // DENIED_ID_BYTES, list_sha256)
    write_atomically(path, header + table.tobytes() + ids)


def positions_of(ids: bytes) -> list[int]:
    """`ListFile.positions` for sorted ids."""
    counts = [0] * (PREFIXES + 1)
    for at in range(0, len(ids), DENIED_ID_BYTES):
        counts[(ids[at] << 8 | ids[at + 1]) + 1] += 1
    return list(accumulate(counts))


class Changes(NamedTuple):
    """What to add to and remove from the list with this sum, and the counter it is then."""

    counter: int
    list_sha256: bytes
    added: frozenset[bytes] = frozenset()
    removed: frozenset[bytes] = frozenset()


def write_changes(path: Path, changes: Changes) -> None:
    """Durable when it returns. Raises StorageFull."""
    added, removed = b"".join(sorted(changes.added)), b"".join(sorted(changes.removed))
    head = _CHANGES.pack(CHANGES_MAGIC, changes.counter, changes.list_sha256, len(changes.added), len(changes.removed))
    body = head + added + removed
    write_atomically(path, body + sha256(body).digest())


def read_changes(path: Path) -> Changes | None:
    """The changes kept; None when there are none. Raises DenyListDamaged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    body, digest = data[:-32], data[-32:]
    if len(data) < _CHANGES.size + 32 or sha256(body).digest() != digest or not body.startswith(CHANGES_MAGIC):
        raise DenyListDamaged("the changes to the list are not what was written")
    _magic, counter, list_sha256, added_count, removed_count = _CHANGES.unpack_from(body, 0)
    ids = body[_CHANGES.size :]
    cut = DENIED_ID_BYTES * added_count
    if len(ids) != cut + DENIED_ID_BYTES * removed_count:
        raise DenyListDamaged("the changes to the list have another length")
    return Changes(counter, list_sha256, _set(ids[:cut]), _set(ids[cut:]))


def _set(ids: bytes) -> frozenset[bytes]:
    return frozenset(ids[at : at + DENIED_ID_BYTES] for at in range(0, len(ids), DENIED_ID_BYTES))
