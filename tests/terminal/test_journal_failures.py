"""Fail-stop: failed syncs, full disks, damaged pages; and what is saved from them. DESIGN §6."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import cbor2
import pytest

from offline_ledger.errors import JournalDamaged, Refusal, StorageFailed, StorageFull
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_disk import DiskLimits
from offline_ledger.terminal.journal_export import export_damaged
from simulators.storage.disk import SimulatedDisk
from simulators.storage.vouchers import START_S, Taking, VoucherFeed
from tests.terminal.test_journal import DEVICE, opened, prune_all, take

SMALL = DiskLimits(laid_out_frames=96, checkpoint_idle_frames=8, checkpoint_flush_frames=40, reserve_frames=32)


# --- failed syncs


def test_a_failed_sync_stops_everything_until_reopened(path: Path, feed: VoucherFeed, disk: SimulatedDisk) -> None:
    with opened(path, disk.name) as made:
        before = take(made, feed, 10, is_ratified=False)
        made.ratify(10)
        disk.faults.sync_fails_at = 1
        unknown = feed.next()
        with pytest.raises(StorageFailed):
            unknown.append_to(made)
        for attempt in (
            lambda: unknown.append_to(made),
            lambda: made.append_event(3, b"", durable=True),
            made.flush,
            made.rest,
            lambda: made.meta_put("floor", b"1"),
            lambda: made.record_ack(b"ack", 5, 0),
            lambda: made.prune(5, START_S * 2),
        ):
            with pytest.raises(StorageFailed):
                attempt()
        assert isinstance(made.failure, StorageFailed)
        assert made.pending(99) == [taking.row for taking in before], "reading goes on"

        tail = made.reopen_and_verify()
        assert made.failure is None
        if tail.sequence == 11:
            assert made.voucher_at(11) == unknown.row and 11 in made.unratified_sequences()
        else:
            assert tail.sequence == 10
            unknown.append_to(made)
        assert 10 not in made.unratified_sequences(), "a green that was shown is not forgotten"
        take(made, feed, 5)
    with opened(path) as again:
        assert [row.sequence for row in again.pending(99)] == list(range(1, 17))
        assert 10 not in again.unratified_sequences()
        for _step in again.verify_background():
            pass


@pytest.mark.parametrize("failing_sync", range(1, 6))
def test_a_failed_checkpoint_stops_everything_and_loses_nothing(
    path: Path, feed: VoucherFeed, disk: SimulatedDisk, failing_sync: int
) -> None:
    with Journal.open(path, device_id=DEVICE, vfs=disk.name, limits=SMALL) as made:
        take(made, feed, 8)
        disk.faults.sync_fails_at = failing_sync
        try:
            made.rest()
            take(made, feed, 2)
        except StorageFailed:
            with pytest.raises(StorageFailed):
                made.flush()
            made.reopen_and_verify()
        disk.faults.sync_fails_at = None
        sequence = made.tail.sequence
        assert sequence >= 8
        feed.sequence, feed.previous = sequence, made.tail.identity
        take(made, feed, 3)
    with opened(path) as again:
        assert [row.sequence for row in again.pending(99)] == list(range(1, sequence + 4))


def test_a_disk_that_keeps_failing_keeps_the_journal_stopped(
    path: Path, feed: VoucherFeed, disk: SimulatedDisk
) -> None:
    with opened(path, disk.name) as made:
        take(made, feed, 3)
        disk.faults.sync_fails_at = 1
        with pytest.raises(StorageFailed):
            take(made, feed, 1)
        for _ in range(3):
            disk.faults.sync_fails_at = 1
            with pytest.raises(StorageFailed):
                made.reopen_and_verify()
            with pytest.raises(StorageFailed):
                made.flush()
        disk.faults.sync_fails_at = None
        assert made.reopen_and_verify().sequence in (3, 4)


CHILD = """
import random, sys
from offline_ledger.errors import Refusal
from tests.terminal.test_journal import opened, take
from simulators.storage.vouchers import VoucherFeed
from pathlib import Path
feed = VoucherFeed(random.Random(7))
with opened(Path(sys.argv[1])) as made:
    feed.sequence, feed.previous = made.tail.sequence, made.tail.identity
    for _ in range(40):
        try:
            take(made, feed, 1)
            print("durable", made.tail.sequence, flush=True)
        except Refusal as refusal:
            print("refused", refusal.number, flush=True)
            feed.sequence, feed.previous = made.tail.sequence, made.tail.identity
            if refusal.number == 2004:
                again = made.reopen_and_verify()
                feed.sequence, feed.previous = again.sequence, again.identity
                print("reopened", again.sequence, flush=True)
"""


@pytest.mark.parametrize(
    ("inject", "number"),
    [("fsync,fdatasync:error=EIO:when=25", 2004), ("pwrite64:error=ENOSPC:when=260..262", 2003)],
)
def test_errors_of_the_real_system_calls(path: Path, inject: str, number: int) -> None:
    opened(path).close()
    calls, child = inject.split(":")[0], (sys.executable, "-c", CHILD, str(path))
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={inject}", *child],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["refused", str(number)] in lines, done.stdout
    durable = [int(line[1]) for line in lines if line[0] == "durable"]
    assert len(durable) == 40 - sum(line[0] == "refused" for line in lines)
    assert len(set(durable)) == len(durable), "a number was used twice"
    with opened(path) as again:
        assert again.tail.sequence >= durable[-1]
        assert [row.sequence for row in again.pending(99)] == list(range(1, again.tail.sequence + 1))


# --- full disks


def test_a_full_disk_refuses_sales_and_recovers_by_itself(path: Path, feed: VoucherFeed, disk: SimulatedDisk) -> None:
    with Journal.open(path, device_id=DEVICE, vfs=disk.name, limits=SMALL) as made:
        take(made, feed, 30)
        made.rest()
        disk.faults.is_full = True
        refused = fill(made, feed)
        tail = made.tail
        with pytest.raises(StorageFull) as said:
            refused.append_to(made)
        assert made.reopen_and_verify() == tail
        assert said.value.waiting_helps and made.failure is None
        assert made.tail == tail and len(made.pending(1000)) == tail.sequence, "nothing half written, reading goes on"

        disk.faults.is_full = False
        refused.append_to(made)
        take(made, feed, 100)
    with opened(path) as again:
        assert [row.sequence for row in again.pending(1000)] == list(range(1, tail.sequence + 102))


def test_on_a_full_disk_acks_and_pruning_make_room(path: Path, feed: VoucherFeed, disk: SimulatedDisk) -> None:
    with Journal.open(path, device_id=DEVICE, vfs=disk.name, limits=SMALL) as made:
        take(made, feed, 60)
        made.rest()
        disk.faults.is_full = True
        refused = fill(made, feed)
        made.record_ack(b"ack", 60, made.tail.event_number)
        assert prune_all(made, 60, START_S * 2) == 60
        refused.append_to(made)
        take(made, feed, 10)
        sequence = made.tail.sequence
        made.rest()
    with opened(path, disk.name) as again:
        assert again.newest_ack() == b"ack"
        assert [row.sequence for row in again.pending(999)] == list(range(61, sequence + 1))


def test_opening_on_a_full_disk_reads_and_syncs(path: Path, feed: VoucherFeed, disk: SimulatedDisk) -> None:
    with Journal.open(path, device_id=DEVICE, vfs=disk.name, limits=SMALL) as made:
        take(made, feed, 20)
        made.rest()
        disk.faults.is_full = True
        fill(made, feed)
        sequence = made.tail.sequence
    with Journal.open(path, device_id=DEVICE, vfs=disk.name, limits=SMALL) as again:
        assert len(again.pending(999)) == sequence
        again.record_ack(b"ack", sequence, 0)


def fill(made: Journal, feed: VoucherFeed) -> Taking:
    """Appends until the disk is full; the taking that was refused."""
    for _ in range(500):
        made.ratify(made.tail.sequence)
        taking = feed.next()
        try:
            taking.append_to(made)
        except StorageFull:
            return taking
    raise AssertionError("the disk never became full")


# --- damage


def damage(file: Path, content: bytes) -> None:
    """Flips one bit in the middle of `content`, wherever it lies in the file."""
    data = bytearray(file.read_bytes())
    at = data.rindex(content) + len(content) // 2
    data[at] ^= 0x10
    file.write_bytes(data)


def settled(path: Path, feed: VoucherFeed, count: int) -> list[bytes]:
    """A closed journal whose rows all lie in the database itself; their vouchers."""
    with Journal.open(path, device_id=DEVICE, limits=SMALL) as made:
        vouchers = [taking.row.voucher for taking in take(made, feed, count)]
        made.rest()
        return vouchers


def test_damage_is_found_in_the_background_and_stops_everything(path: Path, feed: VoucherFeed, tmp_path: Path) -> None:
    vouchers = settled(path, feed, 200)
    damage(path, vouchers[99])
    with opened(path) as made:
        assert made.tail.sequence == 200
        with pytest.raises(JournalDamaged, match="sequence 100"):
            for _step in made.verify_background(50):
                pass
        for attempt in (lambda: take(made, feed, 1), lambda: made.pending(5), lambda: made.events_after(0, 5)):
            with pytest.raises(JournalDamaged):
                attempt()
        with pytest.raises(JournalDamaged):
            made.reopen_and_verify()
        assert isinstance(made.failure, JournalDamaged), "opening again does not undo damage"
        result = made.export_sound_rows(tmp_path / "sound")
        assert result.vouchers == 199 and result.damaged == ((100, 100),)
    exported = read_export(tmp_path / "sound")
    assert {row[1] for row in exported if row[0] == "v"} == set(range(1, 201)) - {100}
    assert all(row[4] == vouchers[row[1] - 1] for row in exported if row[0] == "v")


def test_damage_is_found_before_an_upload_without_any_background(path: Path, feed: VoucherFeed) -> None:
    vouchers = settled(path, feed, 60)
    damage(path, vouchers[30])
    with opened(path) as made:
        assert len(made.pending(20)) == 20
        with pytest.raises(JournalDamaged):
            made.pending(60)
        with pytest.raises(JournalDamaged):
            take(made, feed, 1)


def test_a_page_of_rubbish_costs_only_its_own_rows(path: Path, feed: VoucherFeed, tmp_path: Path) -> None:
    vouchers = settled(path, feed, 120)
    data = bytearray(path.read_bytes())
    page = data.index(vouchers[60]) // 2048 * 2048
    data[page : page + 2048] = random.Random(3).randbytes(2048)
    path.write_bytes(data)
    with opened(path) as made:
        with pytest.raises(JournalDamaged):
            for _step in made.verify_background():
                pass
        result = made.export_sound_rows(tmp_path / "sound")
    assert 110 <= result.vouchers < 120
    assert all(first <= 62 and last >= 60 for first, last in result.damaged)


def test_a_damaged_tail_refuses_to_open_and_can_be_exported(path: Path, feed: VoucherFeed, tmp_path: Path) -> None:
    vouchers = settled(path, feed, 50)
    damage(path, vouchers[-1])
    with pytest.raises(JournalDamaged):
        opened(path)
    assert export_damaged(str(path), tmp_path / "sound").vouchers == 49


@pytest.mark.parametrize("back", [2, 3, 10, 25])
def test_a_log_cut_short_by_damage_is_not_taken_for_the_end(path: Path, feed: VoucherFeed, back: int) -> None:
    with opened(path) as made:
        vouchers = [taking.row.voucher for taking in take(made, feed, 30)]
        made.flush()
    log = path.with_name(path.name + "-wal")
    data = bytearray(log.read_bytes())
    at = data.index(vouchers[-back])  # the first frame that held it
    data[at] ^= 1
    log.write_bytes(data)
    with pytest.raises(JournalDamaged, match="commits lie behind"):
        opened(path)


def test_a_damaged_log_header_is_not_taken_for_an_empty_log(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        take(made, feed, 5)
    log = path.with_name(path.name + "-wal")
    data = bytearray(log.read_bytes())
    data[17] ^= 1
    log.write_bytes(data)
    with pytest.raises(JournalDamaged, match="header"):
        opened(path)


def test_a_damaged_state_is_refused_not_believed(path: Path, feed: VoucherFeed) -> None:
    with Journal.open(path, device_id=DEVICE, limits=SMALL) as made:
        takings = take(made, feed, 20)
        made.rest()
    state = next(taking.state for taking in reversed(takings) if taking.state is not None)
    data = bytearray(path.read_bytes())
    hits = [
        at
        for at in range(len(data))
        if data[at : at + 8] == state.pass_id and state.last_identity in data[at : at + 60]
    ]
    assert hits
    data[hits[-1] + 12] ^= 1
    path.write_bytes(data)
    with opened(path) as again, pytest.raises(JournalDamaged):
        again.state_of(state.pass_id)


@pytest.mark.parametrize("seed_off", range(8))
def test_random_damage_never_passes_for_sound(path: Path, feed: VoucherFeed, rng: random.Random, seed_off: int) -> None:
    vouchers = settled(path, feed, 80)
    data = bytearray(path.read_bytes())
    for _ in range(3):
        at = rng.randrange(2048, len(data))
        data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    try:
        with opened(path) as made:
            for row in made.pending(99):
                assert row.voucher == vouchers[row.sequence - 1]
    except Refusal as refusal:
        assert refusal.number in (JournalDamaged.number, StorageFailed.number)


def read_export(path: Path) -> list[list[Any]]:
    rows: list[list[Any]] = []
    with path.open("rb") as file:
        assert cbor2.load(file) == ["kgo-journal-export", 1]
        while file.peek(1):
            rows.append(cbor2.load(file))
    return rows
