"""A journal whose rows each are sound but do not hold together, or that is another one after a failure. DESIGN §6.

Rows have their own checksums; what a swapped card, a restored image or a lost row leaves behind is seen by the links.
"""

import random
import shutil
from pathlib import Path

import apsw
import pytest

from offline_ledger.errors import JournalDamaged, StorageFailed
from offline_ledger.terminal.journal import Journal
from simulators.storage.disk import SimulatedDisk
from simulators.storage.vouchers import VoucherFeed
from tests.terminal.test_journal import opened, take

EVENT_KIND = 4


def change(path: Path, statement: str, *bindings: object) -> None:
    """One change of one row with SQLite's own means: the file stays sound."""
    with apsw.Connection(str(path)) as connection:
        connection.execute(statement, bindings).fetchall()  # type: ignore[arg-type]
        assert connection.changes() == 1
    connection.close()


def row_id(sequence: int) -> int:
    return sequence << 24


def test_a_voucher_gone_before_its_events(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        take(made, feed, 3)
        made.append_event(EVENT_KIND, b"clock", durable=True)
    change(path, "DELETE FROM entries WHERE id = ?", row_id(3))
    with pytest.raises(JournalDamaged, match="voucher 3 is missing"):
        opened(path)


def test_the_last_event_gone(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        take(made, feed, 2, is_ratified=False)
        made.append_event(EVENT_KIND, b"clock", durable=True)
        take(made, feed, 1, is_ratified=False)
    change(path, "DELETE FROM entries WHERE id = (SELECT max(id) FROM entries WHERE id & 16777215 > 0)")
    with pytest.raises(JournalDamaged, match="event 1 is missing"):
        opened(path)


def test_a_row_of_another_journal_before_the_last(path: Path, feed: VoucherFeed, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    for file, made_by in ((path, feed), (other, VoucherFeed(random.Random(99), passes=8))):
        with opened(file) as made:
            take(made, made_by, 4, is_ratified=False)
    with apsw.Connection(str(path)) as connection:
        connection.execute("ATTACH ? AS other", (str(other),)).fetchall()
        connection.execute(
            "REPLACE INTO main.entries SELECT * FROM other.entries WHERE id = ?", (row_id(3),)
        ).fetchall()
    connection.close()
    with pytest.raises(JournalDamaged, match="chain breaks before the last voucher"):
        opened(path)


@pytest.mark.parametrize("sequence", [2, 5])
def test_a_row_gone_in_the_middle_is_found_in_the_background(path: Path, feed: VoucherFeed, sequence: int) -> None:
    with opened(path) as made:
        take(made, feed, 9, is_ratified=False)
    change(path, "DELETE FROM entries WHERE id = ?", row_id(sequence))
    with opened(path) as made:
        with pytest.raises(JournalDamaged, match=f"sequence {sequence} is missing"):
            for _step in made.verify_background():
                pass
        with pytest.raises(JournalDamaged):
            take(made, feed, 1)


def fail(made: Journal, feed: VoucherFeed, disk: SimulatedDisk) -> None:
    """The disk fails in the middle of a sale."""
    disk.faults.sync_fails_at = 1
    with pytest.raises(StorageFailed):
        take(made, feed, 1)


def replace_files(path: Path, source: Path) -> None:
    """The card is exchanged, or an image of it is put back, while the program waits for its disk."""
    for end in ("", "-wal"):
        path.with_name(path.name + end).unlink(missing_ok=True)
        if source.with_name(source.name + end).exists():
            shutil.copyfile(source.with_name(source.name + end), path.with_name(path.name + end))


def test_after_a_failure_an_older_image_is_not_gone_on_with(
    path: Path, feed: VoucherFeed, disk: SimulatedDisk, tmp_path: Path
) -> None:
    older = tmp_path / "older.db"
    with opened(path) as made:
        take(made, feed, 4)
    for end in ("", "-wal"):
        if path.with_name(path.name + end).exists():
            shutil.copyfile(path.with_name(path.name + end), older.with_name(older.name + end))
    with opened(path, disk.name) as made:
        take(made, feed, 3)
        fail(made, feed, disk)
        replace_files(path, older)
        with pytest.raises(JournalDamaged, match="ended at 7"):
            made.reopen_and_verify()
        with pytest.raises(JournalDamaged):
            take(made, feed, 1)


def test_after_a_failure_another_journal_of_the_same_length_is_not_taken_for_it(
    path: Path, feed: VoucherFeed, disk: SimulatedDisk, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    with opened(other) as made:
        take(made, VoucherFeed(random.Random(99), passes=8), 9)
    with opened(path, disk.name) as made:
        take(made, feed, 5)
        fail(made, feed, disk)
        replace_files(path, other)
        with pytest.raises(JournalDamaged, match="not the one that was written"):
            made.reopen_and_verify()


def test_a_row_of_another_journal_in_the_middle_is_found_in_the_background(
    path: Path, feed: VoucherFeed, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    for file, made_by in ((path, feed), (other, VoucherFeed(random.Random(99), passes=8))):
        with opened(file) as made:
            take(made, made_by, 9, is_ratified=False)
    with apsw.Connection(str(path)) as connection:
        connection.execute("ATTACH ? AS other", (str(other),)).fetchall()
        for sequence in (1, 2, 3):
            swap = "REPLACE INTO main.entries SELECT * FROM other.entries WHERE id = ?"
            connection.execute(swap, (row_id(sequence),)).fetchall()
    connection.close()
    with opened(path) as made, pytest.raises(JournalDamaged, match="chain breaks before sequence 4"):
        for _step in made.verify_background():
            pass


def test_an_event_gone_in_the_middle_is_found_in_the_background(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        for at in range(4):
            take(made, feed, 1, is_ratified=False)
            made.append_event(EVENT_KIND, b"clock %d" % at, durable=True)
    change(path, "DELETE FROM entries WHERE id = (SELECT id FROM entries WHERE id & 16777215 > 0 LIMIT 1 OFFSET 1)")
    with opened(path) as made, pytest.raises(JournalDamaged, match="event chain breaks before event 3"):
        for _step in made.verify_background():
            pass


def test_an_acknowledgement_of_a_row_that_is_gone_acknowledges_nothing(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        take(made, feed, 6, is_ratified=False)
        made.append_event(EVENT_KIND, b"one", durable=True)
        take(made, feed, 1, is_ratified=False)
        made.append_event(EVENT_KIND, b"two", durable=True)
    change(path, "DELETE FROM entries WHERE id = ?", row_id(3))
    change(path, "DELETE FROM entries WHERE id = (SELECT min(id) FROM entries WHERE id & 16777215 > 0)")
    with opened(path) as made:
        with pytest.raises(JournalDamaged, match="voucher 3 is missing"):
            made.record_ack(b"ack", 3, 0)
        assert made.newest_ack() is None and made.tail.acked_sequence == 0
    with opened(path) as made:
        with pytest.raises(JournalDamaged, match="event 1 is missing"):
            made.record_ack(b"ack", 2, 1)
        assert made.newest_ack() is None and made.tail.acked_event == 0
