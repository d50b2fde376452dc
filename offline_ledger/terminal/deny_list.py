"""Is this pass denied? A mapped list of up to two million ids with the changes since. DESIGN §5, §10.

A new list is checked, written and synced before it is used; until then, and if anything about it is wrong, the one in
use stays. Never grows without bound, never denies everyone because a file was bad. One thread changes it, any may ask.
"""

from collections.abc import Iterator
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from offline_ledger.errors import DenyListDamaged, DenyListGap, DenyListTooLarge
from offline_ledger.files import write_atomically
from offline_ledger.protocol.deny_list import DENIED_ID_BYTES, IDS_MAX, decode_ids
from offline_ledger.terminal.deny_file import (
    CHANGES_MAX,
    EMPTY,
    PREFIXES,
    Changes,
    ListFile,
    map_list,
    positions_of,
    read_changes,
    write_changes,
    write_list,
)

LIST_NAME = "deny_list"
CHANGES_NAME = "deny_list_changes"


class _InUse(NamedTuple):
    """One list with its changes; exchanged as a whole, so that nobody sees half of a change."""

    base: ListFile
    changes: Changes
    touched: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, base: ListFile, changes: Changes) -> "_InUse":
        return cls(base, changes, changes.added | changes.removed)

    @property
    def ids_count(self) -> int:
        return self.base.count + len(self.changes.added) - len(self.changes.removed)


class DenyList:
    """The list in use; `DenyList.open` takes up what the folder holds."""

    def __init__(self, folder: Path, in_use: _InUse, damage: DenyListDamaged | None) -> None:
        self._list_path, self._changes_path = folder / LIST_NAME, folder / CHANGES_NAME
        self._in_use = in_use
        self.damage = damage

    @classmethod
    def open(cls, folder: Path) -> "DenyList":
        """A damaged list is not used: `counter` is then 0, so the next exchange fetches it whole; `damage` says why."""
        nothing = _InUse(EMPTY, Changes(0, EMPTY.list_sha256))
        try:
            base = map_list(folder / LIST_NAME)
            changes = read_changes(folder / CHANGES_NAME)
        except DenyListDamaged as damage:
            return cls(folder, nothing, damage)
        except OSError as error:  # the changes are there and cannot be read
            return cls(folder, nothing, DenyListDamaged(str(error)))
        if changes is None or changes.list_sha256 != base.list_sha256 or changes.counter < base.counter:
            changes = Changes(base.counter, base.list_sha256)  # of an earlier list, which was then written anew
        return cls(folder, _InUse.of(base, changes), None)

    @property
    def counter(self) -> int:
        """Bulletin counter of the list in use; 0: none."""
        return self._in_use.changes.counter

    @property
    def ids_count(self) -> int:
        """How many passes are denied."""
        return self._in_use.ids_count

    @property
    def has_list_file(self) -> bool:
        """Does the list in use come from the file of the list?"""
        return self._in_use.base is not EMPTY

    @property
    def has_changes_file(self) -> bool:
        """Are there changes since, kept in the other file?"""
        return self._in_use.changes.counter != self._in_use.base.counter

    def is_denied(self, pass_id: bytes) -> bool:
        """Is the pass with this id (8 bytes, or its first 6) on the list?"""
        denied = pass_id[:DENIED_ID_BYTES]
        in_use = self._in_use
        if denied in in_use.touched:
            return denied in in_use.changes.added
        return denied in in_use.base

    def replace(self, counter: int, full_list: bytes, list_sha256: bytes, ids_count: int) -> None:
        """Takes the whole list as sent. Raises DenyListDamaged, DenyListTooLarge, StorageFull; then nothing changes."""
        ids = b"".join(decode_ids(full_list, ids_count))
        if sha256(ids).digest() != list_sha256:
            raise DenyListDamaged("the list does not give the signed sum")
        self._put_list(counter, list_sha256, ids, positions_of(ids))

    def apply_delta(
        self, base_counter: int, counter: int, adds: bytes, removes: bytes, list_sha256: bytes, ids_count: int
    ) -> None:
        """Adds and removes ids, encoded as in `protocol.deny_list`.

        Raises DenyListGap when it does not follow the list in use, DenyListDamaged when the result is not the signed
        one, DenyListTooLarge, StorageFull; then nothing changes.
        """
        in_use = self._in_use
        if base_counter != self.counter:
            raise DenyListGap(f"changes {base_counter}, in use is {self.counter}")
        if ids_count > IDS_MAX:
            raise DenyListTooLarge(f"{ids_count} ids")
        added, removed = set(in_use.changes.added), set(in_use.changes.removed)
        for denied in decode_ids(removes):
            if not self.is_denied(denied):
                raise DenyListGap(f"{denied.hex()} is not denied")
            if denied in added:
                added.remove(denied)
            else:
                removed.add(denied)
        for denied in decode_ids(adds):
            if self.is_denied(denied) and denied not in removed:
                raise DenyListGap(f"{denied.hex()} is denied already")
            if denied in removed:
                removed.remove(denied)
            else:
                added.add(denied)
        changes = Changes(counter, in_use.base.list_sha256, frozenset(added), frozenset(removed))
        after = _InUse.of(in_use.base, changes)
        running = sha256()
        for part in _parts(after):
            running.update(part)
        if after.ids_count != ids_count or running.digest() != list_sha256:
            raise DenyListDamaged("the changed list does not give the signed sum")
        if len(added) + len(removed) > CHANGES_MAX:
            self._put_list(counter, list_sha256, b"".join(_parts(after)), _moved_positions(after))
        else:
            write_changes(self._changes_path, changes)
            self._in_use = after

    def keep_files(self) -> None:
        """Writes the list in use again if somebody took a file of it away: what is mapped is still whole.

        By the thread that changes the list. Raises StorageFull, StorageFailed.
        """
        in_use = self._in_use
        if self.has_list_file and not self._list_path.is_file():
            self._list_path.parent.mkdir(exist_ok=True)
            write_atomically(self._list_path, in_use.base.view[:])
        if self.has_changes_file and not self._changes_path.is_file():
            self._changes_path.parent.mkdir(exist_ok=True)
            write_changes(self._changes_path, in_use.changes)

    def verify_background(self) -> Iterator[None]:
        """Checks the list in use, a piece per iteration. Damaged, it is no longer used. Raises DenyListDamaged."""
        in_use = self._in_use
        try:
            yield from in_use.base.verify()
        except DenyListDamaged as damage:
            if self._in_use.base is in_use.base:
                self._in_use = _InUse(EMPTY, Changes(0, EMPTY.list_sha256))
                self.damage = damage
            raise

    def _put_list(self, counter: int, list_sha256: bytes, ids: bytes, positions: list[int]) -> None:
        write_list(self._list_path, counter, list_sha256, ids, positions)
        base = map_list(self._list_path)
        self._in_use = _InUse(base, Changes(counter, base.list_sha256))
        self.damage = None
        # A power cut before this leaves changes to a list that is gone; opening passes over them.
        self._changes_path.unlink(missing_ok=True)


def _parts(in_use: _InUse) -> Iterator[bytes]:
    """All ids in order, in pieces: the list between the changes, and what was added."""
    base, changes = in_use.base, in_use.changes
    done = 0
    for denied in sorted(in_use.touched):
        at = base.position(denied)
        yield base.ids(done, at)
        done = at
        if denied in changes.added:
            yield denied
        else:
            done += 1
    yield base.ids(done, base.count)


def _moved_positions(in_use: _InUse) -> list[int]:
    """The positions after the changes, without going through all ids."""
    moves = [0] * (PREFIXES + 1)
    for ids, by in ((in_use.changes.added, 1), (in_use.changes.removed, -1)):
        for denied in ids:
            moves[(denied[0] << 8 | denied[1]) + 1] += by
    return [was + move for was, move in zip(in_use.base.positions(), accumulate(moves), strict=True)]
