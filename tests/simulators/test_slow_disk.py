"""The slow disk waits at every sync, counts them, fails on demand, and serves programs that know nothing of it."""

import subprocess
import sys
import time
from pathlib import Path

import apsw
import pytest

from simulators.slow_disk import SlowDisk, slow_disk

PROGRAM = """
import sys, time, apsw
base = apsw.Connection(sys.argv[1])
base.pragma("synchronous", "full")
base.execute("create table t(x)")
started = time.monotonic()
base.execute("insert into t values(1)")
print(int((time.monotonic() - started) * 1000), sys.argv[2:])
base.close()
"""


def journal_like(path: Path, disk: SlowDisk) -> apsw.Connection:
    base = apsw.Connection(str(path), vfs=disk.name)
    for pragma in ("locking_mode=EXCLUSIVE", "synchronous=EXTRA", "journal_mode=WAL", "wal_autocheckpoint=0"):
        base.execute(f"pragma {pragma}").fetchall()
    base.execute("create table t(x)")
    return base


@pytest.mark.parametrize("sync_ms", [20, 100])
def test_each_commit_waits_for_one_sync(tmp_path: Path, sync_ms: int) -> None:
    with slow_disk() as disk:
        base = journal_like(tmp_path / "journal", disk)
        disk.sync_ms = sync_ms
        for value in range(3):
            syncs, started_s = disk.syncs, time.monotonic()
            base.execute("insert into t values(?)", (value,))
            assert time.monotonic() - started_s >= sync_ms / 1000
            assert disk.syncs == syncs + 1
        disk.sync_ms = 0
        base.close()


def test_a_failing_sync_fails_the_commit(tmp_path: Path) -> None:
    with slow_disk() as disk:
        base = journal_like(tmp_path / "journal", disk)
        disk.failing = True
        with pytest.raises(apsw.IOError):
            base.execute("insert into t values(1)")
        disk.failing = False
        base.close()
        again = apsw.Connection(str(tmp_path / "journal"))
        assert again.execute("select count(*) from t").fetchall() == [(0,)]
        again.close()


def test_a_program_that_knows_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "simulators.slow_disk",
            "--sync-ms",
            "60",
            "-m",
            "program",
            str(tmp_path / "base"),
            "-x",
        ],
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    took_ms, rest = done.stdout.split(" ", 1)
    assert int(took_ms) >= 60
    assert rest.strip() == "['-x']"
