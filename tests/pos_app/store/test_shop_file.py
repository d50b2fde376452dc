"""The shop's file: nothing that returned is lost, nothing half-written is there, and each trouble has its number."""

import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import apsw
import pytest

from offline_ledger.errors import (
    FileUnusable,
    ShopFileDamaged,
    ShopFileInUse,
    ShopFileTooNew,
    StorageFailed,
    StorageFull,
)
from pos_app.store.shop_file import APPLICATION_ID, SCHEMA_VERSION, ShopFile
from simulators.storage.disk import SimulatedDisk, simulated_disk
from simulators.storage.memory import MemoryDisk, MemoryVfs
from simulators.storage.power_cut import crash_images

ROOT = Path(__file__).parents[3]
TABLE = "CREATE TABLE IF NOT EXISTS note (number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT"
PUT = "INSERT INTO note VALUES (?, ?)"
WRITER = f"""
import sys
from pos_app.store.shop_file import ShopFile
file = ShopFile(sys.argv[1])
file.has_tables({TABLE!r})
number = 0
while True:
    number += 1
    file.write([({PUT!r}, (number, f"a{{number}}")), ({PUT!r}, (-number, f"b{{number}}"))])
    print(number, flush=True)
"""


def notes(file: ShopFile) -> list[tuple[object, ...]]:
    return file.fetch("SELECT number, text FROM note ORDER BY number")


def opened(path: Path, vfs: str | None = None) -> ShopFile:
    file = ShopFile(path, vfs)
    file.has_tables(TABLE)
    return file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[SimulatedDisk]:
    with simulated_disk(f"shop-{request.node.name}") as made:
        yield made


def test_what_was_written_is_there_after_closing_and_opening(path: Path) -> None:
    file = opened(path)
    file.write([(PUT, (1, "ก")), (PUT, (2, "ข"))])
    file.close()
    assert notes(opened(path)) == [(1, "ก"), (2, "ข")]


def test_a_closed_file_opens_itself_again(path: Path) -> None:
    file = opened(path)
    file.write([(PUT, (1, "ก"))])
    file.close()
    assert notes(file) == [(1, "ก")]


def test_all_of_a_write_or_nothing(path: Path) -> None:
    file = opened(path)
    file.write([(PUT, (1, "ก"))])
    with pytest.raises(apsw.ConstraintError):
        file.write([(PUT, (2, "ข")), (PUT, (3, "ก"))])
    assert notes(file) == [(1, "ก")]


@pytest.mark.parametrize("bad", ["\ud800", 2**64, object()])
def test_a_value_that_sqlite_cannot_hold_leaves_no_write_open(path: Path, bad: str) -> None:
    file = opened(path)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        file.write([(PUT, (1, "ก")), (PUT, (2, bad))])
    file.write([(PUT, (3, "ค"))])
    assert notes(file) == [(3, "ค")]


def test_many_threads_take_turns(path: Path) -> None:
    file = opened(path)

    def write(first: int) -> None:
        for number in range(first, first + 20):
            file.write([(PUT, (number, str(number)))])
            assert notes(file)

    threads = [Thread(target=write, args=(first,)) for first in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notes(file)) == 60


# --- whose file it is


def test_a_second_program_is_refused_and_the_first_goes_on(path: Path) -> None:
    file = opened(path)
    other = subprocess.run(
        [sys.executable, "-c", "import sys; from pos_app.store.shop_file import ShopFile; ShopFile(sys.argv[1])", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert other.returncode == 1 and "ShopFileInUse: 2012" in other.stderr
    file.write([(PUT, (1, "ก"))])
    file.close()
    opened(path).close()


def test_a_second_opening_in_one_program_is_refused_too(path: Path) -> None:
    file = opened(path)
    with pytest.raises(ShopFileInUse):
        ShopFile(path)
    file.close()


def test_another_programs_database_is_refused_and_stays_as_it_is(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ShopFileDamaged, match="not a shop's file"):
        ShopFile(path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("text", [b"this is a list of goods\n" * 100, b"x" * 4096])
def test_a_file_that_is_no_database_is_refused_and_stays(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(ShopFileDamaged):
        ShopFile(path)
    assert path.read_bytes() == text


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable):
        ShopFile(tmp_path)


@pytest.mark.parametrize(("version", "is_good"), [(SCHEMA_VERSION, True), (SCHEMA_VERSION + 1, False)])
def test_a_newer_programs_file_is_refused(path: Path, version: int, is_good: bool) -> None:
    file = opened(path)
    file.write([(f"PRAGMA user_version = {version}", ())])
    file.close()
    if is_good:
        ShopFile(path).close()
    else:
        with pytest.raises(ShopFileTooNew):
            ShopFile(path)
    assert ShopFileTooNew.number == 2013 and APPLICATION_ID == int.from_bytes(b"KGOS", "big")


def test_a_damaged_page_is_a_refusal_and_no_guess(path: Path) -> None:
    file = opened(path)
    file.write([(PUT, (number, f"{number:0500}")) for number in range(200)])
    file.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 20] = b"\xa5" * (4096 * 17)
    path.write_bytes(data)
    file = opened(path)
    with pytest.raises(ShopFileDamaged):
        notes(file)


def test_a_text_that_is_none_is_a_refusal_and_the_rest_is_read(path: Path) -> None:
    file = opened(path)
    file.write([(PUT, (1, "ข้าว")), (PUT, (2, "ชา"))])
    file.write([("UPDATE note SET text = CAST(x'a2ff' AS TEXT) WHERE number = 1", ())])
    with pytest.raises(ShopFileDamaged):
        notes(file)
    assert file.fetch("SELECT text FROM note WHERE number = 2") == [("ชา",)]
    file.close()


# --- the disk


def test_a_full_disk_refuses_the_write_and_is_forgotten_when_there_is_room(path: Path, disk: SimulatedDisk) -> None:
    file = opened(path, disk.name)
    file.write([(PUT, (1, "ก"))])
    disk.faults.is_full = True
    with pytest.raises(StorageFull):
        file.write([(PUT, (number, "x" * 8000 + str(number))) for number in range(2, 40)])
    assert notes(file) == [(1, "ก")], "reading goes on"
    disk.faults.is_full = False
    file.write([(PUT, (2, "ข"))])
    file.close()
    assert notes(opened(path)) == [(1, "ก"), (2, "ข")]


def test_after_a_failed_sync_the_file_is_read_anew(path: Path, disk: SimulatedDisk) -> None:
    file = opened(path, disk.name)
    file.write([(PUT, (1, "ก"))])
    disk.faults.sync_fails_at = 1
    with pytest.raises(StorageFailed):
        file.write([(PUT, (2, "ข"))])
    assert notes(file) in ([(1, "ก")], [(1, "ก"), (2, "ข")]), "unknown, and one of both"
    file.write([(PUT, (3, "ค"))])
    assert (3, "ค") in notes(file)


def test_each_write_is_synced_before_it_returns(path: Path, disk: SimulatedDisk) -> None:
    file = opened(path, disk.name)
    for number in range(5):
        before = disk.faults.syncs
        file.write([(PUT, (number, str(number)))])
        assert disk.faults.syncs > before


def test_a_cut_at_every_step_loses_nothing_that_returned(
    rng: random.Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    vfs = MemoryVfs("shop-cut", MemoryDisk())
    try:
        file = opened(Path("/shop.db"), vfs.name)
        done = [len(vfs.disk.record)]
        writes = 12
        for number in range(1, writes + 1):
            file.write([(PUT, (number, f"a{number}")), (PUT, (-number, f"b{number}"))])
            done.append(len(vfs.disk.record))
        record = list(vfs.disk.record)
        file.close()
        images = 0
        for image in crash_images(record, rng, slice_of(12, 2)):
            if image.after < done[0]:
                continue
            images += 1
            vfs.disk = image.disk()
            again = opened(Path("/shop.db"), vfs.name)
            found = [number for number, _text in notes(again)]
            again.close()
            returned = sum(image.after >= at for at in done) - 1
            assert found in [[*range(-n, 0), *range(1, n + 1)] for n in (returned, returned + 1)], image.how
        report(f"shop file: {images} crash images of {len(record)} steps, 0 lost")
        assert images > len(record) - done[0]
    finally:
        vfs.unregister()


def test_a_killed_program_loses_no_write_that_returned(path: Path, rng: random.Random) -> None:
    """Three kills in the middle of writing, each after what the one before left."""
    for _kill in range(3):
        command = [sys.executable, "-c", WRITER, str(path)]
        path.unlink(missing_ok=True)
        path.with_name("shop.db-wal").unlink(missing_ok=True)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            until, last = rng.randrange(3, 60), 0
            for line in process.stdout:
                last = int(line)
                if last == until:
                    process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        found = [number for number, _text in notes(opened(path))]
        count = len(found) // 2
        assert found == [*range(-count, 0), *range(1, count + 1)], "a write is there whole"
        assert count in (last, last + 1)
