"""The bench's record: two records side by side, many threads, and a number for everything that can be wrong with it."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import apsw
import pytest

from firmware.flash.record import APPLICATION_ID, DONE, FAILED, SCHEMA_VERSION, VALUE_CHARACTERS_MAX, Record
from firmware.flash.record_reading import INTERRUPTED, facts_about, jobs, jobs_about, made_good
from firmware.flash.record_upkeep import copy_to, look_over
from offline_ledger.errors import (
    FileTaken,
    FileUnusable,
    RecordDamaged,
    RecordFailed,
    RecordForeign,
    RecordFull,
    RecordInUse,
    RecordNothing,
    RecordReadOnly,
    RecordTooNew,
    RecordUnavailable,
    Refusal,
)
from offline_ledger.terminal import one_writer_file
from offline_ledger.terminal.journal_sql import connect
from simulators.storage.disk import SimulatedDisk, simulated_disk
from simulators.storage.memory import MemoryDisk, MemoryVfs
from tests.sticks import KINDS, mounted_stick
from tests.weak_disk import Weak

ROOT = Path(__file__).parents[2]
NOW_S = 1_795_312_345
BOARD = "E6614103E7452D2F"
WRITER = """
import sys
from pathlib import Path
from firmware.flash.record import Record
record = Record.open(Path(sys.argv[1]))
for number in range(1, 100_000):
    job = record.begin("flash-head", f"board-{number}", {"serial": f"board-{number}"}, "som", number)
    print(job, 0, flush=True)
    record.step(job, "base", number)
    print(job, 1, flush=True)
    record.step(job, "files", number)
    print(job, 2, flush=True)
"""
OPENER = """
import sys
from pathlib import Path
from firmware.flash import record
record.Record.open(Path(sys.argv[1]))
"""
NOBODY = """
import os, sys
from pathlib import Path
from firmware.flash.record import Record
from offline_ledger.errors import Refusal
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    Record.open(Path(sys.argv[1])).begin("flash-head", "x", {}, "som", 1)
except Refusal as refusal:
    print(type(refusal).__name__, refusal.number)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bench.db"


@pytest.fixture
def record(path: Path) -> Iterator[Record]:
    made = Record.open(path)
    yield made
    made.close()


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[SimulatedDisk]:
    with simulated_disk(f"record-{request.node.name}") as made:
        yield made


def flashed(record: Record, board: str, outcome: str = DONE, **verified: str) -> int:
    """A head, from the first byte to the last."""
    job = record.begin("flash-head", board, {"serial": board, "firmware_version": "0.3.0"}, "som", NOW_S)
    record.step(job, "base", NOW_S + 1)
    record.end(job, outcome, {"serial": board, "firmware_version": "0.3.0"} | verified, NOW_S + 2)
    return job


def provisioned(record: Record, device: str, **verified: str) -> int:
    job = record.begin("provision", device, {"device_id": device}, "som", NOW_S)
    record.end(job, DONE, {"device_id": device} | verified, NOW_S)
    return job


# --- two records


def test_intended_and_verified_stand_side_by_side_and_a_difference_is_named(record: Record) -> None:
    flashed(record, BOARD, firmware_version="0.2.9", mac="28:cd:c1:00:11:22")
    (job,) = jobs(record)
    assert [(pair.key, pair.intended, pair.verified, pair.differs) for pair in job.pairs] == [
        ("firmware_version", "0.3.0", "0.2.9", True),
        ("mac", None, "28:cd:c1:00:11:22", False),
        ("serial", BOARD, BOARD, False),
    ]
    assert [pair.key for pair in job.differences] == ["firmware_version"] and not job.unverified
    assert (job.outcome, job.ended_s, job.who, [step.name for step in job.steps]) == (DONE, NOW_S + 2, "som", ["base"])


def test_what_never_ended_is_interrupted_at_its_last_step(record: Record) -> None:
    job = record.begin("prepare-card", "BUS-0012", {"settings_sha256": "ab"}, "som", NOW_S)
    record.step(job, "wheels", NOW_S)
    record.step(job, "keys", NOW_S)
    (found,) = jobs(record)
    assert found.outcome == INTERRUPTED and found.steps[-1].name == "keys" and found.ended_s is None
    assert [pair.key for pair in found.unverified] == ["settings_sha256"]


def test_a_job_ends_once(record: Record) -> None:
    job = flashed(record, BOARD)
    with pytest.raises(apsw.ConstraintError):
        record.end(job, FAILED, {}, NOW_S)
    assert jobs(record)[0].outcome == DONE


@pytest.mark.parametrize("table", ["job", "intended", "step", "ending", "verified"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET job = job + 1"])
def test_what_was_recorded_is_never_changed(record: Record, table: str, change: str) -> None:
    flashed(record, BOARD)
    before = jobs(record)
    with pytest.raises(apsw.ConstraintError, match="only added to"):
        record.write([(change.format(table), ())])
    assert jobs(record) == before


def test_what_a_hostile_board_says_can_be_shown_and_is_bounded(record: Record) -> None:
    record.end(
        record.begin("flash-head", "\x1b]0;x\x07" + "A" * 500, {"serial": "é\udc80\n"}, "ส" * 500, NOW_S),
        FAILED,
        {"serial": "B" * 100_000},
        NOW_S,
    )
    (job,) = jobs(record)
    assert job.subject.startswith("�]0;x�A") and job.subject.endswith("…") and len(job.subject) == 120
    assert job.pairs[0].intended == "é��" and len(job.pairs[0].verified or "") == VALUE_CHARACTERS_MAX
    assert job.who == "ส" * 119 + "…"


# --- what is known of a device


def test_a_device_is_found_by_each_of_its_names(record: Record) -> None:
    flashed(record, BOARD, mac="28:cd:c1:00:11:22")
    provisioned(record, "BUS-0012", serial=BOARD)
    flashed(record, "E6614103E7459999")
    for name in (BOARD, "BUS-0012"):
        assert [job.number for job in jobs_about(record, name)] == [1, 2], name
        assert facts_about(record, name)["device_id"] == "BUS-0012"
    with pytest.raises(RecordNothing):
        jobs_about(record, "BUS-9999")


def test_a_board_that_became_another_device_says_nothing_of_the_first(record: Record) -> None:
    flashed(record, "OLD", mac="mac-old")
    provisioned(record, "BUS-0012", serial="OLD", key_fingerprint="k1")
    provisioned(record, "BUS-0012", serial="NEW", key_fingerprint="k2")
    provisioned(record, "BUS-0099", serial="OLD", key_fingerprint="k3")
    flashed(record, "OLD", firmware_version="9")
    assert [job.number for job in jobs_about(record, "BUS-0012")] == [2, 3]
    assert facts_about(record, "BUS-0012") == {"device_id": "BUS-0012", "serial": "NEW", "key_fingerprint": "k2"}
    assert facts_about(record, "BUS-0099")["key_fingerprint"] == "k3"
    assert [job.number for job in jobs_about(record, "OLD")] == [1, 2, 4, 5]


def test_what_the_board_was_before_is_another_devices(record: Record) -> None:
    flashed(record, BOARD)
    provisioned(record, "BUS-0050", serial=BOARD, key_fingerprint="k1", trust_list_version="9")
    provisioned(record, "BUS-0012", serial=BOARD, key_fingerprint="k2")
    record.end(record.begin("self-test", "BUS-0050", {}, "som", NOW_S), DONE, {"mac": "of the other"}, NOW_S)
    assert [job.number for job in jobs_about(record, "BUS-0012")] == [1, 3]
    assert "trust_list_version" not in facts_about(record, "BUS-0012")


def test_facts_are_what_was_read_back_in_jobs_that_were_done(record: Record) -> None:
    flashed(record, BOARD)
    flashed(record, BOARD, outcome=FAILED, firmware_version="0.9.9")
    record.begin("flash-head", BOARD, {"firmware_version": "1.0.0"}, "som", NOW_S)
    assert facts_about(record, BOARD) == {"serial": BOARD, "firmware_version": "0.3.0"}


# --- durable, and whose it is


def test_a_test_in_parts_makes_no_whole_one_good(record: Record) -> None:
    def tested(result: str, outcome: str) -> int:
        job = record.begin("self-test", "e6614", {"result": result}, "som", NOW_S)
        record.end(job, outcome, {"result": result}, NOW_S)
        return job

    failed, failed_in_parts = tested("passed", FAILED), tested("parts: passed", FAILED)
    in_parts = tested("parts: passed", DONE)
    assert made_good(jobs(record)) == {failed_in_parts: in_parts}
    whole = tested("passed", DONE)
    assert made_good(jobs(record)) == {failed: whole, failed_in_parts: whole}


def test_twenty_heads_side_by_side_use_one_record(record: Record) -> None:
    threads = [Thread(target=flashed, args=(record, f"board-{number}")) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job.subject for job in jobs(record)) == sorted(f"board-{number}" for number in range(20))
    assert all(job.outcome == DONE and not job.differences for job in jobs(record))
    assert look_over(record).problems == ()


def test_a_program_that_is_killed_leaves_everything_it_was_told(path: Path) -> None:
    told: list[tuple[int, int]] = []
    with subprocess.Popen([sys.executable, "-c", WRITER, path], cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            job, steps = line.split()
            told.append((int(job), int(steps)))
            if len(told) == 40:
                writer.send_signal(signal.SIGKILL)
                break
    record = Record.open(path)
    found = {job.number: len(job.steps) for job in jobs(record)}
    assert all(found[job] >= steps for job, steps in told)
    assert look_over(record).problems == ()
    record.close()


def test_a_second_program_is_refused_and_the_first_goes_on(path: Path, record: Record) -> None:
    opener = [sys.executable, "-c", OPENER, path]
    other = subprocess.run(opener, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert other.returncode == 1 and "RecordInUse: 7300" in other.stderr
    flashed(record, BOARD)
    record.close()
    subprocess.run(opener, cwd=ROOT, check=True, timeout=30)


def test_another_programs_database_is_refused_and_stays_as_it_is(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(RecordForeign):
        Record.open(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_stays_as_it_is(path: Path) -> None:
    path.write_text("ลายมือของช่าง" * 200)
    before = path.read_bytes()
    with pytest.raises(RecordForeign):
        Record.open(path)
    assert path.read_bytes() == before


def test_a_newer_record_is_refused(path: Path, record: Record) -> None:
    record.close()
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    other.close()
    with pytest.raises(RecordTooNew, match=f"version {SCHEMA_VERSION + 1}"):
        Record.open(path)


def test_a_damaged_page_is_found(path: Path, record: Record) -> None:
    for number in range(60):
        flashed(record, f"board-{number:04d}")
    record.close()
    raw = bytearray(path.read_bytes())
    for page in range(2, len(raw) // 4096):
        raw[page * 4096 : page * 4096 + 64] = bytes(64)
    path.write_bytes(raw)
    damaged = Record.open(path)  # its first page says what it is
    with pytest.raises(RecordDamaged):
        look_over(damaged)
    with pytest.raises(RecordDamaged):
        jobs(damaged)
    damaged.close()


def test_a_record_without_its_tables_is_damaged(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA application_id={APPLICATION_ID}")
        other.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    other.close()
    empty = Record.open(path)
    with pytest.raises(RecordDamaged, match="no such table"):
        jobs(empty)
    empty.close()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("INSERT INTO ending VALUES (9, 'done', 1, 0)", "ending of job 9, which is not there"),
        ("INSERT INTO job VALUES (9, 'x', 'y', 'z', 1)", "2 jobs, and the last is number 9"),
        ("INSERT INTO step VALUES (1, 7, 'x', 1)", "job 1 has 2 steps, and the last is number 7"),
        ("INSERT INTO ending VALUES (1, 'perhaps', 1, 0)", "job 1 ended in no known way"),
    ],
)
def test_rows_that_fit_nowhere_are_found(record: Record, statement: str, problem: str) -> None:
    job = record.begin("flash-head", BOARD, {}, "som", NOW_S)
    record.step(job, "base", NOW_S)
    assert look_over(record).problems == ()
    record.write([(statement, ())])
    assert look_over(record).problems == (problem,)


# --- the disk


def test_a_full_disk_stops_the_job_before_the_device_is_touched_and_goes_on_later(
    path: Path, disk: SimulatedDisk
) -> None:
    record = Record(path, disk.name)
    flashed(record, BOARD)
    disk.faults.is_full = True
    with pytest.raises(RecordFull):
        for number in range(1_000):
            record.begin("flash-head", f"board-{number}", {"serial": "x" * 4_000}, "som", NOW_S)
    told = len(jobs(record))
    disk.faults.is_full = False
    assert record.begin("flash-head", "later", {}, "som", NOW_S) == told + 1
    record.close()


@pytest.mark.parametrize("fault", ["sync_fails_at", "writes_fail"])
def test_after_a_disk_error_the_record_is_read_afresh(path: Path, disk: SimulatedDisk, fault: str) -> None:
    record = Record(path, disk.name)
    job = record.begin("flash-head", BOARD, {}, "som", NOW_S)
    setattr(disk.faults, fault, 1)
    with pytest.raises(RecordFailed):
        record.step(job, "base", NOW_S)
    setattr(disk.faults, fault, None)
    record.step(job, "files", NOW_S)
    assert jobs(record)[0].steps[-1].name == "files" and look_over(record).problems == ()
    record.close()


@pytest.mark.parametrize("place", ["file", "folder", "way"])
def test_a_record_that_cannot_be_written_stops_the_bench_before_anything_is_done(place: str) -> None:
    """A real user without the right, as on a card that is write-protected."""
    with tempfile.TemporaryDirectory() as top:
        path = Path(top, "way", "folder", "bench.db")
        path.parent.mkdir(parents=True)
        Record.open(path).close()
        os.chmod(top, 0o755)
        os.chmod(path, 0o444 if place == "file" else 0o666)
        os.chmod(path.parent, 0o555 if place == "folder" else 0o777)
        os.chmod(path.parent.parent, 0o700 if place == "way" and os.geteuid() == 0 else 0o755)
        if place == "way" and os.geteuid():
            os.chmod(path.parent.parent, 0o000)
        done = subprocess.run(
            [sys.executable, "-c", NOBODY, path], cwd=ROOT, capture_output=True, text=True, timeout=30
        )
        os.chmod(path.parent.parent, 0o755)
        os.chmod(path.parent, 0o755)
        assert done.stdout == "RecordReadOnly 7304\n", done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_stick_holds_a_record_too(tmp_path: Path, kind: str) -> None:
    """FAT and exFAT keep no permissions; write-ahead log and lock work on them all the same."""
    with mounted_stick(kind, tmp_path) as stick:
        record = Record.open(stick / "bench.db")
        flashed(record, BOARD)
        assert copy_to(record, stick / "copy.db") == 1
        record.close()
        again = Record.open(stick / "bench.db")
        assert jobs(again)[0].subject == BOARD and look_over(again).problems == ()
        again.close()


def test_where_no_write_ahead_log_can_be_there_is_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without shared memory, on which the lock is not kept: SQLite stays with its old journal."""
    vfs = MemoryVfs("record-no-wal", MemoryDisk())

    def unlocked(statement: str) -> tuple[str, ...]:
        return (statement.replace("EXCLUSIVE", "NORMAL"),)

    monkeypatch.setattr(one_writer_file, "connect", lambda path, vfs: Weak(connect(path, vfs), unlocked))
    with pytest.raises(RecordUnavailable, match="journal mode delete, not wal"):
        Record(Path("bench.db"), vfs.name)
    vfs.unregister()


class _NoLocks(apsw.VFSFile):
    def xLock(self, level: int) -> None:
        error = apsw.IOError("simulated: no locks available")
        setattr(error, "extendedresult", apsw.SQLITE_IOERR_LOCK)  # noqa: B010 - apsw reads it, its types omit it
        raise error


class _NoLocksDisk(apsw.VFS):
    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _NoLocks("", name, flags)


def test_where_no_file_can_be_locked_there_is_no_record(path: Path) -> None:
    vfs = _NoLocksDisk("record-no-locks")
    with pytest.raises(RecordUnavailable, match="no locks"):
        Record(path, vfs.name)
    vfs.unregister()


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [_folder, _pipe])
def test_what_is_no_plain_file_is_refused_at_once(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    with pytest.raises(RecordUnavailable, match="not a plain file"):
        Record.open(path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordUnavailable):
        Record.open(tmp_path / "nowhere" / "bench.db")


# --- the copy


def test_a_copy_is_a_whole_record_of_its_own(record: Record, tmp_path: Path) -> None:
    for number in range(5):
        flashed(record, f"board-{number}")
    to = tmp_path / "copy.db"
    assert copy_to(record, to) == 5
    flashed(record, "later")
    copy = Record.open(to)
    assert jobs(copy) == jobs(record)[:5] and look_over(copy).problems == ()
    copy.close()
    assert sorted(one.name for one in tmp_path.iterdir() if "new" in one.name) == []


def test_a_copy_takes_nobodys_place(record: Record, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("old")
    for to, refusal in ((tmp_path / "copy.db", FileTaken), (tmp_path / "nowhere/copy.db", FileUnusable)):
        with pytest.raises(refusal):
            copy_to(record, to)
    assert (tmp_path / "copy.db").read_text() == "old"


def test_every_refusal_of_the_disk_is_the_benchs_own() -> None:
    kinds = [RecordInUse, RecordDamaged, RecordForeign, RecordTooNew, RecordReadOnly, RecordUnavailable, RecordFull]
    assert [kind.number for kind in kinds] == list(range(7300, 7307)) and all(issubclass(one, Refusal) for one in kinds)
