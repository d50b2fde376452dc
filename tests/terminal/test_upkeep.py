"""Idle work: damage is found before anyone asks, and no sale has to empty the log. DESIGN §6."""

import random
from pathlib import Path

import pytest

from offline_ledger.errors import JournalDamaged, StorageFailed
from offline_ledger.terminal.deny_list import LIST_NAME, DenyList
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_disk import DiskLimits
from offline_ledger.terminal.upkeep import Upkeep
from simulators.storage.disk import simulated_disk
from simulators.storage.vouchers import VoucherFeed
from tests.terminal.test_deny_list import send, some_ids
from tests.terminal.test_journal import DEVICE, opened, take

STEPS_MAX = 1000


def run(upkeep: Upkeep) -> None:
    for _ in range(STEPS_MAX):
        if upkeep.has_checked_all:
            return
        upkeep.step()
    raise AssertionError("never done")


def test_sound_files_pass(tmp_path: Path, rng: random.Random) -> None:
    deny = DenyList.open(tmp_path)
    send(deny, 1, some_ids(rng, 50_000))
    with opened(tmp_path / "journal.db") as journal:
        feed = VoucherFeed(rng)
        take(journal, feed, 1200)
        run(Upkeep(journal, deny))
        assert journal.failure is None and deny.damage is None and deny.counter == 1
        take(journal, feed, 1)


def test_resting_keeps_the_log_out_of_the_sales_way(tmp_path: Path, rng: random.Random) -> None:
    limits = DiskLimits(laid_out_frames=96, checkpoint_idle_frames=16, checkpoint_flush_frames=60, reserve_frames=16)
    with Journal.open(tmp_path / "journal.db", device_id=DEVICE, limits=limits) as journal:
        upkeep, feed = Upkeep(journal, DenyList.open(tmp_path)), VoucherFeed(rng)
        for _ in range(200):
            take(journal, feed, 1)
            upkeep.step()
        assert journal.checkpoints_in_append == 0


def test_a_damaged_journal_stops_itself(tmp_path: Path, rng: random.Random) -> None:
    path, feed = tmp_path / "journal.db", VoucherFeed(rng)
    limits = DiskLimits(checkpoint_idle_frames=1)
    with Journal.open(path, device_id=DEVICE, limits=limits) as journal:
        voucher = take(journal, feed, 50)[20].row.voucher
        journal.rest()
    data = bytearray(path.read_bytes())
    data[data.index(voucher)] ^= 1
    path.write_bytes(data)
    with opened(path) as journal:
        run(Upkeep(journal, DenyList.open(tmp_path)))
        assert isinstance(journal.failure, JournalDamaged)
        with pytest.raises(JournalDamaged):
            take(journal, feed, 1)


def test_a_damaged_deny_list_goes_out_of_use(tmp_path: Path, rng: random.Random) -> None:
    ids = some_ids(rng, 100)
    send(DenyList.open(tmp_path), 5, ids)
    file = tmp_path / LIST_NAME
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    deny = DenyList.open(tmp_path)
    assert deny.counter == 5
    with opened(tmp_path / "journal.db") as journal:
        run(Upkeep(journal, deny))
        assert deny.counter == 0 and deny.damage is not None and journal.failure is None
        send(deny, 6, ids)
        assert deny.counter == 6 and deny.damage is None


def test_a_failing_disk_is_met_and_survived(tmp_path: Path, rng: random.Random) -> None:
    with simulated_disk("upkeep") as disk, opened(tmp_path / "journal.db", disk.name) as journal:
        upkeep = Upkeep(journal, DenyList.open(tmp_path))
        take(journal, VoucherFeed(rng), 3)
        disk.faults.sync_fails_at = 1
        upkeep.step()
        assert isinstance(journal.failure, StorageFailed)
        upkeep.step()
        journal.reopen_and_verify()
        upkeep.step()
        assert journal.failure is None
