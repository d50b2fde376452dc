"""Small files that say how far the journal certainly went, beside it and beside the certificate. DESIGN §6.

A journal that vanished, or lost its end, would begin again with numbers that were used: every green after that would be
one side of a fork. So a terminal that had a journal refuses to make another (decision 0053). The marks are made before
the first light and moved after exchanges, never in a tap, and hold no more than a sequence and whose key it was. A
third one says the opposite of a key that was made here and has no journal yet (decision 0246).
"""

from pathlib import Path

from offline_ledger.errors import JournalLost, StorageFull
from offline_ledger.files import read_bounded, storage_refusal, sync_folder, write_atomically

MARK_BYTES_MAX = 20
USED_BYTES_MAX = 64


def mark_new_key(certificate: Path) -> None:
    """Before a key is made: durable, so a power cut leaves a mark without a key and never a new key without its mark.
    Raises StorageFull, StorageFailed."""
    write_atomically(_new_key_mark(certificate), b"made here\n")


def _new_key_mark(certificate: Path) -> Path:
    return certificate.with_name(certificate.name + ".new-key")


class JournalMark:
    """The marks of one journal."""

    def __init__(self, journal: Path, certificate: Path, key_id: bytes) -> None:
        """The mark beside the certificate counts only for its own key: a machine enrolled anew begins anew there.

        Raises JournalLost for a mark that is none, StorageFailed.
        """
        self._journal = journal
        self._path = journal.with_name(journal.name + ".mark")
        self._used = certificate.with_name(certificate.name + ".used")
        self._new_key = _new_key_mark(certificate)
        self._key = key_id.hex()
        found = (self._read(), self._read_used())
        self._is_whole = None not in found
        self._sequence = max((one for one in found if one is not None), default=None)
        self._inode = 0

    @property
    def is_key_new(self) -> bool:
        """Was the key made on this machine, and nothing counted on since?"""
        return self._new_key.exists()

    def key_is_used(self) -> None:
        """From here on a journal that is missing is not taken for an empty one. Raises StorageFull, StorageFailed."""
        try:
            self._new_key.unlink()
            sync_folder(self._new_key.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_refusal(error, self._new_key) from error

    def check_there(self) -> None:
        """Before opening. Raises JournalLost when there was a journal and there is none."""
        if self._sequence is not None and not self._journal.exists():
            raise JournalLost(f"{self._journal} is gone; it went to {self._sequence} at least")

    def check_reached(self, sequence: int) -> None:
        """After opening. Raises JournalLost when the journal ends before the mark; else the mark is made or moved.

        On a full disk an older mark is left as it is: it says too little, never too much, and the next exchange moves
        it. Raises StorageFull only when there is none: a terminal without any mark does not begin.
        """
        if self._sequence is not None and sequence < self._sequence:
            raise JournalLost(f"{self._journal} ends at {sequence}, it went to {self._sequence} at least")
        self._inode = self._journal.stat().st_ino
        try:
            self.move(sequence)
        except StorageFull:
            if self._sequence is None:
                raise

    def check_same_file(self) -> None:
        """While running. Raises JournalLost when somebody removed or replaced the file under us: what is accepted from
        here on would be gone with this process."""
        try:
            is_same = self._journal.stat().st_ino == self._inode
        except FileNotFoundError:
            is_same = False
        if not is_same:
            raise JournalLost(f"{self._journal} was removed or replaced")

    def move(self, sequence: int) -> None:
        """The journal goes to `sequence`, durably. Raises StorageFull, StorageFailed."""
        if sequence:
            self.key_is_used()
        if self._sequence is None or sequence > self._sequence or not self._is_whole:
            further = max(sequence, self._sequence or 0)
            write_atomically(self._path, b"%d\n" % further)
            write_atomically(self._used, f"{further} {self._key}\n".encode())
            self._sequence, self._is_whole = further, True

    def _read(self) -> int | None:
        raw = read_bounded(self._path, MARK_BYTES_MAX)
        if raw is None:
            return None
        return _sequence_in(self._path, raw)

    def _read_used(self) -> int | None:
        raw = read_bounded(self._used, USED_BYTES_MAX)
        if raw is None:
            return None
        sequence, _, key = raw.partition(b" ")
        return _sequence_in(self._used, sequence) if key.strip() == self._key.encode() else None


def _sequence_in(path: Path, raw: bytes) -> int:
    if not raw.strip().isdigit():
        raise JournalLost(f"{path}: {raw!r} is no sequence")
    return int(raw)
