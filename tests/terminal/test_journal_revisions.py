"""What a later version adds to the journal or the shop's file: done once or not at all, no hindrance to this one."""

import re
import sqlite3
from pathlib import Path

import pytest

from offline_ledger.errors import JournalTooNew, StorageFailed
from offline_ledger.terminal import journal_core, journal_schema
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_core import REVISION_META
from pos_app.store.shop_file import ShopFile
from simulators.storage.disk import DiskFaults, simulated_disk
from simulators.storage.vouchers import VoucherFeed
from tests.processes.test_update import REVISION
from tests.terminal.test_journal import DEVICE, opened, take

ADDS = re.compile(
    r"ALTER TABLE \w+ ADD COLUMN \w+ \w+( NOT NULL DEFAULT [^,]+)?"
    r"|CREATE TABLE \w+\(.*\)( WITHOUT ROWID)?|CREATE INDEX \w+ ON \w+\(.*\)( WHERE .*)?"
)
"""What an older program's rows can do without: no column that must be given, no index that forces anything."""


def columns(path: Path, table: str) -> list[str]:
    with sqlite3.connect(path) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def is_addition(statement: str) -> bool:
    return ADDS.fullmatch(statement) is not None


def test_revisions_only_add() -> None:
    assert all(is_addition(statement) for revision in journal_schema.REVISIONS for statement in revision)
    assert all(is_addition(statement) for statement in REVISION), "the made-up ones of the proof too"
    for forcing in (
        "ALTER TABLE entries ADD COLUMN lane INTEGER NOT NULL",
        "CREATE UNIQUE INDEX one ON entries(lane)",
        "ALTER TABLE entries DROP COLUMN crc",
        "ALTER TABLE entries RENAME TO rows",
        "CREATE TRIGGER stop BEFORE INSERT ON entries BEGIN SELECT RAISE(FAIL, 'no'); END",
        "DROP TABLE coupons",
    ):
        assert not is_addition(forcing)


def test_a_later_version_adds_to_a_journal_of_today_and_this_one_goes_on(
    path: Path, feed: VoucherFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path) as made:
        takings = take(made, feed, 5)
        assert made.meta_get(REVISION_META) is None
    with monkeypatch.context() as later:
        later.setattr(journal_core, "REVISIONS", (REVISION,))
        for _ in range(2):  # once is enough: the second start finds it done
            with opened(path) as migrated:
                assert migrated.meta_get(REVISION_META) == b"\0\1"
                takings += take(migrated, feed, 2, is_ratified=False)
                assert [row.sequence for row in migrated.pending(100)] == [one.row.sequence for one in takings]
        assert "lane" in columns(path, "entries") and "lane" in columns(path, "meta")
    with opened(path) as back:
        takings += take(back, feed, 5)
        assert [row.sequence for row in back.pending(100)] == list(range(1, len(takings) + 1))
        back.record_ack(b"ack", 6, back.tail.event_number)
        assert back.prune(3, 2**40) > 0 and back.meta_get(REVISION_META) == b"\0\1"
        back.reopen_and_verify()
        for step in back.verify_background():
            assert step.rows_checked >= 0
    assert "lane" in columns(path, "entries"), "what it does not know it leaves alone"


def test_a_new_journal_of_the_later_version_is_one_to_this_one(
    path: Path, feed: VoucherFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr(journal_core, "REVISIONS", (REVISION, ("CREATE TABLE more(id INTEGER PRIMARY KEY)",)))
        with opened(path) as made:
            assert made.meta_get(REVISION_META) == b"\0\2"
    with opened(path) as made:
        take(made, feed, 3)
        made.meta_put("journal.version", bytes([journal_schema.SCHEMA_VERSION + 1]))
    with pytest.raises(JournalTooNew):
        opened(path)


def test_a_revision_that_the_disk_did_not_take_is_done_at_the_next_start(
    tmp_path: Path, feed: VoucherFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, faults = tmp_path / "journal.db", DiskFaults()
    with simulated_disk(f"revised-{tmp_path.name}", faults) as disk:
        with opened(path, disk.name) as made:
            take(made, feed, 3)
        monkeypatch.setattr(journal_core, "REVISIONS", (REVISION,))
        faults.writes_fail = True
        with pytest.raises(StorageFailed):
            Journal.open(path, device_id=DEVICE, vfs=disk.name)
        faults.writes_fail = False
        with opened(path, disk.name) as made:
            assert made.meta_get(REVISION_META) == b"\0\1" and made.tail.sequence == 3


NOTE = "CREATE TABLE IF NOT EXISTS note(id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
COLOUR = "ALTER TABLE note ADD COLUMN colour TEXT NOT NULL DEFAULT 'white'"


def test_a_module_of_a_later_version_adds_a_column_to_the_shops_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    put = "INSERT INTO note(text) VALUES(?)"
    for number in range(3):
        file = ShopFile(path)
        statements = (NOTE,) if number == 0 else (NOTE, COLOUR)
        file.has_tables(*statements)
        file.has_tables(*statements)
        file.write([(put, (f"new {number}",))])
        file.close()
    old = ShopFile(path)
    old.has_tables(NOTE)
    old.write([(put, ("old again",))])
    assert old.fetch("SELECT text FROM note WHERE colour = 'white'") == [
        (text,) for text in ("new 0", "new 1", "new 2", "old again")
    ]
    old.close()
