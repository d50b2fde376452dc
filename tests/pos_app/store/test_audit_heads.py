"""The audit log against the heads in the signed journal: whoever writes shop.db anew is found out, a power cut is not.

Both files are real ones; the power goes at every step that either of them takes. DESIGN §6, §11; decision 0199.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from offline_ledger.errors import AuditLogBroken, AuditLogRewritten, Refusal, StorageFull
from offline_ledger.protocol.device import ClockTrust, EventKind
from offline_ledger.protocol.shop_event import ShopEvent, ShopEventKind, encode_shop_event
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_disk import DiskLimits
from pos_app.behind import Behind
from pos_app.desk_parts import TillLog
from pos_app.store.audit_heads import Head, check_heads, heads_in
from pos_app.store.audit_log import KEPT_DAYS, ROWS_MAX, START, AuditLog, Entry, link_of
from pos_app.store.shop_file import ShopFile
from simulators.storage.disk import simulated_disk
from simulators.storage.memory import MemoryDisk, MemoryVfs
from simulators.storage.power_cut import crash_images
from tests.pos_app.store.test_audit_log import DAY_S, NOW_S, entry

LIMITS = DiskLimits(laid_out_frames=48, checkpoint_idle_frames=6, checkpoint_flush_frames=20, reserve_frames=12)


class Two(NamedTuple):
    """A till's shop.db and its journal."""

    file: ShopFile
    log: AuditLog
    journal: Journal

    @classmethod
    def opened(cls, folder: str, vfs: str | None = None) -> "Two":
        file = ShopFile(f"{folder}shop.db", vfs)
        return cls(file, AuditLog(file), Journal.open(f"{folder}journal.db", device_id="till", vfs=vfs, limits=LIMITS))

    def close(self) -> None:
        self.file.close()
        self.journal.close()

    def seal(self, at_s: int = NOW_S) -> None:
        """As the till does it: what is durable in the one goes into the other."""
        rows, link = self.log.head()
        event = ShopEvent(ShopEventKind.AUDIT_HEAD, at_s, 2, 1, "01", 0, 0, (rows,), link.hex())
        self.journal.append_event(EventKind.SHIFT, encode_shop_event(event), durable=True)

    def check(self, now_s: int = NOW_S) -> int:
        self.log.verify()
        return check_heads(self.log, heads_in(self.journal), now_s)

    def write_anew(self, change: Callable[[list[list[object]]], list[list[object]]]) -> None:
        """What somebody does who knows how the log is made: rows, links and ends, all sound in themselves."""
        rows = self.file.fetch("SELECT number, at_s, trust, who, action, given FROM audit ORDER BY number")
        kept = change([list(row) for row in rows])
        link = START
        self.file.write([("DELETE FROM audit", ())])
        for number, row in enumerate(kept, 1):
            row[0] = number
            link = link_of(link, row)
            self.file.write([("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, link))])  # type: ignore[arg-type]
        self.file.write([("UPDATE audit_ends SET last_number = ?, last_link = ?", (len(kept), link))])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """Twenty rows in four shifts, and three rows since."""
    made = Two.opened(f"{tmp_path}/")
    for number in range(1, 21):
        made.log.add(entry(number))
        if number % 5 == 0:
            made.seal()
    for number in range(21, 24):
        made.log.add(entry(number))
    yield made
    made.close()


def test_an_untouched_log_agrees_at_every_head(two: Two) -> None:
    assert [head.rows for head in heads_in(two.journal)] == [5, 10, 15, 20]
    assert two.check() == 4


def changed(rows: list[list[object]]) -> list[list[object]]:
    rows[11][5] = json.dumps({"sale": "s0"})
    return rows


REWRITTEN = [
    ("one row changed", changed, "not all of rows 11 to 15 are those that were written"),
    (
        "one row out",
        lambda rows: rows[:6] + rows[7:],
        "not all of rows 6 to 10 are those that were written",
    ),
    (
        "one row more",
        lambda rows: [*rows[:2], list(rows[0]), *rows[2:]],
        "not all of rows 1 to 5 are those that were written",
    ),
    ("the end cut off", lambda rows: rows[:17], "rows 18 to 20 are missing"),
    ("all but the beginning cut off", lambda rows: rows[:6], "rows 7 to 20 are missing"),
    ("nothing left", lambda _rows: [], "rows 1 to 20 are missing"),
    (
        "one row changed, and the end cut off",
        lambda rows: changed(rows)[:17],
        "not all of rows 11 to 15 are those that were written, and rows 18 to 20 are missing",
    ),
]


@pytest.mark.parametrize(("_name", "change", "told"), REWRITTEN, ids=[one[0] for one in REWRITTEN])
def test_a_log_that_is_written_anew_is_found_and_the_place_named(
    two: Two, _name: str, change: Callable[[list[list[object]]], list[list[object]]], told: str
) -> None:
    two.write_anew(change)
    assert two.log.verify() >= 0, "sound in itself"
    with pytest.raises(AuditLogRewritten) as refused:
        two.check()
    assert refused.value.detail == told


def test_an_empty_file_in_its_place_is_found(two: Two, tmp_path: Path) -> None:
    two.file.close()
    for path in tmp_path.glob("shop.db*"):
        path.unlink()
    file = ShopFile(tmp_path / "shop.db")
    log = AuditLog(file)
    assert log.verify() == 0
    with pytest.raises(AuditLogRewritten):
        check_heads(log, heads_in(two.journal), NOW_S)
    log.add(entry(1))
    file.close()


def test_what_was_never_told_to_the_journal_may_still_be_changed(two: Two) -> None:
    """The stated limit: rows since the newest head."""
    two.write_anew(lambda rows: rows[:22])
    assert two.check() == 4
    two.write_anew(lambda rows: rows[:20])
    assert two.check() == 4


def test_a_row_changed_without_its_links_is_named_as_ever(two: Two) -> None:
    two.file.write([("UPDATE audit SET who = 'x' WHERE number = 3", ())])
    with pytest.raises(AuditLogBroken):
        two.check()


def test_old_rows_may_go_and_young_ones_may_not(two: Two) -> None:
    later_s = NOW_S + (KEPT_DAYS + 62) * DAY_S
    two.log.add(Entry(later_s, ClockTrust.SYNCED, "1", "sign_in"))
    two.seal(later_s)
    while two.log.prune(later_s, ClockTrust.SYNCED):
        pass
    assert two.log.ends().first_number == 23
    assert two.check(now_s=0) == 5, "whatever the clock says at the moment"
    rows, link = two.log.head()
    two.file.write(
        [
            ("DELETE FROM audit", ()),
            ("UPDATE audit_ends SET first_number = ?, first_link = ?, last_number = ?", (rows + 1, link, rows + 1)),
            ("UPDATE audit_ends SET last_link = first_link", ()),
        ]
    )
    assert two.log.verify() == 0
    with pytest.raises(AuditLogRewritten) as refused:
        two.check(later_s)
    assert refused.value.detail == f"rows up to {rows} are gone too early"


def test_a_log_that_is_full_may_let_young_rows_go(two: Two) -> None:
    heads = [Head(1, b"x" * 32, NOW_S)]
    two.file.write(
        [
            ("DELETE FROM audit", ()),
            ("UPDATE audit_ends SET first_number = 3, last_number = ?, first_link = last_link", (ROWS_MAX + 1,)),
        ]
    )
    assert check_heads(two.log, heads, NOW_S) == 1


def test_the_till_tells_a_head_only_of_rows_that_its_disk_has(path: Path) -> None:
    """The disk refuses the second row: the head that is told next is the first one's."""
    told: list[tuple[str, int, bytes]] = []
    refused: list[Refusal | None] = []
    with simulated_disk("seals") as disk:
        file = ShopFile(path, disk.name)
        log, behind = AuditLog(file), Behind(refused.append)
        till = TillLog(log, behind, lambda: TimeNow(NOW_S, ClockTrust.SYNCED, 0), lambda *head: told.append(head))
        till.add("1", "sale", {"number": 1})
        till.seal("1")
        behind.do(lambda: setattr(disk.faults, "is_full", True))
        till.add("1", "sale", {"number": 2, "why": "x" * 200})
        till.seal("1")
        behind.do(lambda: setattr(disk.faults, "is_full", False))
        till.add("1", "close_shift", {})
        till.seal("1")
        behind.close()
        rows = list(log.rows())
        file.close()
    assert [type(one) for one in refused if one is not None] == [StorageFull]
    assert [row.entry.action for row in rows] == ["sale", "close_shift"]
    assert told == [("1", 1, rows[0].link), ("1", 1, rows[0].link), ("1", 2, rows[1].link)]


def test_a_power_cut_at_any_step_is_no_false_alarm(
    rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    """The link is told only when its row is durable; the two files are cut at the same moment, wherever that is."""
    vfs = MemoryVfs("audit-heads", MemoryDisk())
    try:
        disk = vfs.disk
        two = Two.opened("", vfs.name)
        for number in range(1, slice_of(120, 24)):
            two.log.add(entry(number))
            if number % 3 == 0:
                two.seal()
            if number % 10 == 0:
                two.close()
                two = Two.opened("", vfs.name)
        two.close()
        images = sealed = 0
        for image in crash_images(disk.record, rng, slice_of(8, 2)):
            vfs.disk = image.disk()
            found = Two.opened("", vfs.name)
            sealed = max(sealed, found.check())
            found.close()
            images += 1
    finally:
        vfs.unregister()
    report(f"audit log and journal: {images} crash images, no false alarm")
    assert images > 200 and sealed >= 7
