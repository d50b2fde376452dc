"""The crash images themselves: each way to lose power is among them; what was synced is in all. DESIGN §6, §11."""

import random
from collections.abc import Iterator

import apsw
import pytest

from simulators.storage.memory import SECTOR_BYTES, Action, MemoryDisk, MemoryVfs, Operation
from simulators.storage.power_cut import CrashImage, crash_images

INODE = 1
NAME = "file"
CREATE = [Operation(Action.CREATE, INODE, name=NAME), Operation(Action.SYNC_FOLDER, INODE)]
CHANCES = 3_000


def write(offset: int, data: bytes) -> Operation:
    return Operation(Action.WRITE, INODE, offset=offset, data=data)


SYNC = Operation(Action.SYNC, INODE)


def after_last(record: list[Operation], rng: random.Random) -> list[CrashImage]:
    """The images of a cut behind the last step."""
    return [image for image in crash_images(record, rng, CHANCES) if image.after == len(record)]


def contents(images: list[CrashImage]) -> set[bytes]:
    return {image.files[NAME] for image in images}


def test_unsynced_writes_are_kept_or_dropped(rng: random.Random) -> None:
    images = after_last([*CREATE, write(0, b"old"), SYNC, write(0, b"new")], rng)
    assert {image.how: image.files[NAME] for image in images[:2]} == {"kept": b"new", "dropped": b"old"}
    assert contents(images) == {b"old", b"new"}


def test_a_later_write_may_be_there_without_the_one_before_it(rng: random.Random) -> None:
    record = [*CREATE, write(0, bytes(2)), SYNC, write(0, b"a"), write(1, b"b")]
    assert contents(after_last(record, rng)) == {b"\0\0", b"a\0", b"\0b", b"ab"}


def test_of_two_writes_to_one_place_the_earlier_may_win(rng: random.Random) -> None:
    record = [*CREATE, write(0, b"0"), SYNC, write(0, b"1"), write(0, b"2")]
    assert contents(after_last(record, rng)) == {b"0", b"1", b"2"}


def test_a_write_may_be_torn_at_sectors_and_only_there(rng: random.Random) -> None:
    sectors = 4
    old, new = b"o" * SECTOR_BYTES * sectors, b"n" * SECTOR_BYTES * sectors
    found = contents(after_last([*CREATE, write(0, old), SYNC, write(0, new)], rng))
    patterns = {tuple(data[at * SECTOR_BYTES] for at in range(sectors)) for data in found}
    for data in found:
        for at in range(sectors):
            assert len(set(data[at * SECTOR_BYTES : (at + 1) * SECTOR_BYTES])) == 1
    o, n = ord("o"), ord("n")
    assert {(n, o, o, o), (n, n, n, o), (o, o, o, n), (o, n, n, n)} <= patterns, "beginning or end alone"
    assert (n, o, n, o) in patterns or (o, n, o, n) in patterns, "any sectors"


def test_a_truncation_may_be_lost_too(rng: random.Random) -> None:
    cut = Operation(Action.TRUNCATE, INODE, offset=1)
    assert contents(after_last([*CREATE, write(0, b"abc"), SYNC, cut], rng)) == {b"abc", b"a"}


def test_what_was_synced_is_in_every_image(rng: random.Random) -> None:
    record = [*CREATE, write(0, b"first"), SYNC, write(5, b"x"), write(6, b"y"), SYNC, write(0, b"zzzzz")]
    for image in crash_images(record, rng, CHANCES):
        data = image.files.get(NAME, b"")
        if image.after >= 4:
            assert data[:5] in (b"first", b"zzzzz")
        if image.after >= 7:
            assert data[5:7] == b"xy"


def test_names_may_come_without_data_and_data_without_names(rng: random.Random) -> None:
    record = [Operation(Action.CREATE, INODE, name=NAME), write(0, b"data")]
    found = {image.how: image.files for image in after_last(record, rng)}
    assert found["kept"] == {NAME: b"data"}
    assert found["dropped"] == found["data without names"] == {}
    assert found["names without data"] == {NAME: b""}


def test_a_deletion_without_a_folder_sync_may_come_back(rng: random.Random) -> None:
    record = [*CREATE, write(0, b"d"), SYNC, Operation(Action.DELETE, INODE, name=NAME)]
    assert {tuple(image.files) for image in after_last(record, rng)} == {(), (NAME,)}
    done = [*record, Operation(Action.SYNC_FOLDER, INODE)]
    assert {tuple(image.files) for image in after_last(done, rng)} == {()}


def test_there_is_an_image_behind_every_step_and_before_the_first(rng: random.Random) -> None:
    record = [*CREATE, write(0, b"a"), SYNC]
    assert {image.after for image in crash_images(record, rng, 1)} == {0, 1, 2, 3, 4}


@pytest.fixture
def vfs() -> Iterator[MemoryVfs]:
    made = MemoryVfs("crash-images", MemoryDisk())
    yield made
    made.unregister()


def test_the_record_is_of_what_sqlite_really_does(vfs: MemoryVfs, rng: random.Random) -> None:
    """Replaying the whole record gives the very files; every kind of step occurs."""
    base = apsw.Connection("real.db", vfs=vfs.name)
    base.execute("PRAGMA journal_mode=DELETE").fetchall()
    for number in range(3):
        base.execute(f"CREATE TABLE t{number}(x)")
    base.execute("PRAGMA journal_mode=TRUNCATE").fetchall()
    base.execute("INSERT INTO t0 VALUES(1)")
    base.close()
    record = vfs.disk.record
    assert {step.action for step in record} >= {
        Action.CREATE,
        Action.WRITE,
        Action.SYNC,
        Action.DELETE,
        Action.TRUNCATE,
    }
    last = [image for image in crash_images(record, rng, 1) if image.after == len(record) and image.how == "kept"]
    assert last[0].files == {name: bytes(inode.data) for name, inode in vfs.disk.names.items()}
