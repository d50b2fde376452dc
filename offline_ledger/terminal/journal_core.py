"""One open journal file: its place in both chains, its one way to commit, and what happens after a disk error.

Anything but a full disk stops all writing until `reopen` has found out what the disk really holds. Never decides what
to write. DESIGN §6.
"""

from collections.abc import Callable
from typing import TypeVar

import apsw

from offline_ledger.errors import (
    JournalDamaged,
    JournalOfOtherDevice,
    JournalTooNew,
    Refusal,
    StorageFailed,
    StorageFull,
)
from offline_ledger.terminal import journal_pruning, journal_recovery
from offline_ledger.terminal.journal_disk import DiskLimits, JournalDisk, meaning_of, opening
from offline_ledger.terminal.journal_events import REFUSALS_META, EventBuffer
from offline_ledger.terminal.journal_log import check_log_is_whole
from offline_ledger.terminal.journal_reading import JournalReader
from offline_ledger.terminal.journal_schema import CREATE, PUT_META, REVISIONS, SCHEMA_VERSION
from offline_ledger.terminal.journal_sql import Statement

T = TypeVar("T")
REVISION_META = "journal.revision"


class JournalCore:
    """State shared by all of the journal's methods; the caller holds the lock."""

    def __init__(self, path: str, device_id: str, vfs: str | None, limits: DiskLimits) -> None:
        self.device_id = device_id
        self.events = EventBuffer()
        self.failure: Refusal | None = None
        self.checkpoints_in_append = 0
        self.reopened = 0
        self._attach(path, vfs, limits)
        self.events.load_day(self.read.meta(REFUSALS_META))

    def _attach(self, path: str, vfs: str | None, limits: DiskLimits) -> None:
        disk = JournalDisk(path, vfs, limits)
        try:
            with opening(path):
                check_log_is_whole(disk)  # before anything is written over what it looks for
                _make_or_match(disk, self.device_id)
                self.read = JournalReader(disk)
                self.now = journal_recovery.running_at_tail(disk)
                self.acked = journal_pruning.acked_place(disk)
                disk.wal_frames = disk.log_frames()
                self.disk = disk
                self._ready_log()
        except BaseException:
            disk.close()
            raise

    def _ready_log(self) -> None:
        try:
            self.disk.lay_out_log()
        except apsw.FullError:
            pass  # reading and syncing go on in the room there is; `reserve_room` refuses the sales
        self.touch_log()
        self.disk.reserve_room()

    def reopen(self) -> None:
        """Closes, opens again, makes durable what is there, checks that nothing acknowledged is gone.

        Nothing to do without a failure; damage that was found is not undone by opening again.
        """
        self.check_sound()
        if self.failure is None:
            return
        before = self.now
        self.disk.close()
        self.failure = StorageFailed("not reopened")
        try:
            self._attach(self.disk.path, self.disk.vfs, self.disk.limits)
            journal_recovery.check_nothing_lost(self.disk, before, self.now)
            # A sync that failed may have dropped what the cache still shows: write all of it anew.
            with opening(self.disk.path):
                self.disk.checkpoint()
                self.touch_log()
        except Refusal as refusal:
            self.failure = refusal
            raise
        self.events.keep_unwritten(self.now, before, self.read.left_unratified())
        self.reopened += 1
        self.failure = None

    def check_writable(self) -> None:
        if self.failure is not None:
            raise type(self.failure)(self.failure.detail)

    def check_sound(self) -> None:
        if isinstance(self.failure, JournalDamaged):
            raise JournalDamaged(self.failure.detail)

    def noting_damage(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except JournalDamaged as damage:
            self.failure = damage
            raise

    def write_events(self, more: tuple[Statement, ...] = ()) -> None:
        now, statements = self.events.plan(self.now)
        self.commit([*statements, *more])
        self.events.written()
        self.now = now

    def commit(self, statements: list[Statement]) -> None:
        self.read.forget_last_state()
        execute = self.disk.cursor.execute
        try:
            execute("BEGIN IMMEDIATE")
            for sql, bindings in statements:
                execute(sql, bindings)
            execute("COMMIT")
        except apsw.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: apsw.Error) -> Refusal:
        """Undoes the transaction. Anything but a full disk stops all writing: the disk's word is no longer good."""
        self.disk.rollback()
        refusal = meaning_of(error)
        if not isinstance(refusal, StorageFull):
            self.failure = refusal
        return refusal

    def make_room(self) -> None:
        """Before a sale: there is room for all that the log can hold, and the log is not full. Raises StorageFull.

        Emptying the log here is the last resort, when neither `flush` nor `rest` came in time; it is counted.
        """
        if self.disk.has_room and self.disk.wal_frames < self.disk.limits.checkpoint_append_frames:
            return
        if self.disk.wal_frames >= self.disk.limits.checkpoint_append_frames:
            self.checkpoints_in_append += 1
            self.checkpoint()
        else:
            self.disk.reserve_room()
        if not self.disk.has_room or self.disk.wal_frames >= self.disk.limits.checkpoint_append_frames:
            raise StorageFull("no room for what the log may still have to move into the database")

    def keep_log_short(self) -> None:
        """After a commit that is no sale: the log stays within what is laid out, even on a full disk."""
        if self.disk.wal_frames >= self.disk.limits.checkpoint_flush_frames:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Empties the log into the database if the disk lets it, and sees to the room for the next."""
        try:
            if self.disk.checkpoint():
                self.touch_log()
            self.disk.reserve_room()
        except apsw.Error as error:
            raise self._failed(error) from error

    def touch_log(self) -> None:
        """One small commit, so that the log's own header is written and synced here and not in the next sale."""
        try:
            self.disk.connection.execute("BEGIN IMMEDIATE")
            self.disk.connection.execute(PUT_META, ("journal.log_starts", self.now.last_id.to_bytes(8, "big")))
            self.disk.connection.execute("COMMIT")
        except apsw.FullError:
            self.disk.rollback()  # only a later sale pays a second sync; reading and syncing go on


def _make_or_match(disk: JournalDisk, device_id: str) -> None:
    connection = disk.connection
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'entries'").fetchall():
        connection.execute("BEGIN IMMEDIATE")
        for statement in CREATE:
            connection.execute(statement)
        connection.execute(PUT_META, ("journal.device", device_id.encode()))
        connection.execute(PUT_META, ("journal.version", bytes([SCHEMA_VERSION])))
        connection.execute("COMMIT")
        _revise(disk, 0)  # after a power cut before this, the next start does it
        return
    reader = JournalReader(disk)
    version = reader.meta("journal.version")
    if version is None:
        raise JournalDamaged("no version")
    if version[0] > SCHEMA_VERSION:
        raise JournalTooNew(f"version {version[0]}")
    device = reader.meta("journal.device")
    if device != device_id.encode():
        raise JournalOfOtherDevice(f"of {(device or b'').decode(errors='replace')}, not {device_id}")
    _revise(disk, int.from_bytes(reader.meta(REVISION_META) or b"", "big"))


def _revise(disk: JournalDisk, revision: int) -> None:
    """Adds what is new, all of it or nothing. A journal that is ahead of this program stays as it is."""
    if revision >= len(REVISIONS):
        return
    connection = disk.connection
    connection.execute("BEGIN IMMEDIATE")
    for statement in (added for one in REVISIONS[revision:] for added in one):
        connection.execute(statement)
    connection.execute(PUT_META, (REVISION_META, len(REVISIONS).to_bytes(2, "big")))
    connection.execute("COMMIT")
