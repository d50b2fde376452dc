"""The exchange machine against the city's real ingest: posted once, restored, cloned. DESIGN §7."""

import random
import shutil
from pathlib import Path

from offline_ledger.city import recover
from offline_ledger.city.log import Checkpoint, Log, write_checkpoint
from offline_ledger.city.store import Store
from offline_ledger.errors import JournalLost, LedgerRestored, LogRewritten
from offline_ledger.protocol.city import ANSWER
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX
from offline_ledger.terminal.sync_phases import Phase
from offline_ledger.terminal.sync_wire import HTTP_OK
from tests.city import town as real
from tests.terminal.city_in_test import DEVICE
from tests.terminal.desk import DeskWallet
from tests.terminal.sync_desk import SyncDesk
from tests.terminal.sync_pair import CityWithLedger, Pair

RIDES_PER_WALLET = 5  # a: 250 KGO per allowance and terminal


def ride(desk: SyncDesk, count: int) -> None:
    """Rides by wallets that have rides left."""
    desk.sell(count, passes=0)


def test_ledger_and_terminal_agree_over_a_bad_link(pair: Pair, rng: random.Random) -> None:
    sold = pair.sell_over_a_bad_link(rng, 25, 60)
    status = pair.desk.machine.status()
    assert status.pending_count == 0 and status.trouble is None and status.events_waiting == 0
    assert [sequence for sequence, _times in pair.posted()] == list(range(1, sold + 1))
    assert {times for _sequence, times in pair.posted()} == {1}
    pair.town.assert_sound()


def backup(pair: Pair, to: Path) -> None:
    """A cold copy of the ledger's file."""
    pair.town.store.close()
    shutil.copyfile(pair.town.path, to)
    pair.town.store = Store.open(pair.town.path)
    pair.town.ingest = pair.town.new_ingest()


def restore(pair: Pair, source: Path) -> None:
    """The machine is lost with its checkpoint file; the backup is what is left, and the operator says so."""
    pair.town.store.close()
    for path in pair.town.path.parent.glob("city.db*"):
        path.unlink()
    shutil.copyfile(source, pair.town.path)
    pair.town.store = Store.open(pair.town.path)
    write_checkpoint(pair.town.checkpoint, Log(pair.town.store).head())
    pair.town.ingest = pair.town.new_ingest()


def check_all_posted(pair: Pair, through: int) -> None:
    """All numbers, each once; the terminal waits for nothing and has no trouble."""
    status = pair.desk.machine.status()
    assert status.trouble is None and status.pending_count == 0 and not status.is_restored
    assert pair.posted() == [(sequence, 1) for sequence in range(1, through + 1)]
    pair.town.assert_sound()


def test_restored_ledger_gets_all_back_from_the_terminal_and_the_old_log_goes_on(pair: Pair, tmp_path: Path) -> None:
    desk = pair.desk
    ride(desk, 6)
    pair.exchange()
    backup(pair, tmp_path / "backup.db")
    ride(desk, 5)
    pair.exchange()
    restore(pair, tmp_path / "backup.db")
    ride(desk, 2)
    pair.exchange()
    status = desk.machine.status()
    assert isinstance(status.trouble, LedgerRestored) and status.pending_count == 2
    assert desk.machine.prunable_through() == 0
    leaves = desk.machine.leaves_held()
    assert sorted(leaves) == list(range(11))
    done = recover.recover(pair.town.store, pair.town.checkpoint, leaves)
    assert done.is_whole and done.refilled == 5
    pair.exchange(4)
    check_all_posted(pair, 13)


def test_restored_ledger_with_lost_leaves_begins_a_new_log_under_a_raised_list(pair: Pair, tmp_path: Path) -> None:
    desk = pair.desk
    ride(desk, 6)
    pair.exchange()
    backup(pair, tmp_path / "backup.db")
    ride(desk, 9)
    pair.exchange()
    restore(pair, tmp_path / "backup.db")
    pair.exchange()
    done = recover.recover(pair.town.store, pair.town.checkpoint, {}, may_begin=True)
    assert not done.is_whole and done.lost is not None
    ride(desk, 1)
    pair.exchange(2)
    assert desk.machine.status().pending_count == 1 and desk.machine.status().is_restored
    assert isinstance(desk.city, CityWithLedger)
    desk.city.raise_list()
    pair.exchange(4)
    check_all_posted(pair, 16)


def test_cloned_journal_blocks_the_device_and_drops_nothing(pair: Pair, tmp_path: Path, rng: random.Random) -> None:
    desk = pair.desk
    ride(desk, 4)
    pair.exchange()
    desk.journal.close()
    shutil.copytree(desk.folder, tmp_path / "clone")
    desk.open()
    ride(desk, 3)
    pair.exchange()
    clone = SyncDesk(tmp_path / "clone", rng, new_city=lambda now_s: CityWithLedger(now_s, pair.town))
    try:
        clone.wallets = desk.wallets
        ride(clone, 2)
        clone.exchange()
        status = clone.machine.status()
        assert status.pending_count == 0, "it may still upload"
        assert clone.machine.record.first_held == 5 and clone.machine.prunable_through() == 4
    finally:
        clone.close()
    ride(desk, 1)
    pair.exchange()
    assert desk.machine.record.first_held == 8 and desk.machine.status().pending_count == 0
    assert desk.machine.phase is Phase.REST
    pair.town.assert_sound()


def journal_files(desk: SyncDesk) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in desk.folder.glob("journal.db*")}


def test_a_lost_journal_is_told_before_an_exchange_was_ever_complete(pair: Pair) -> None:
    desk = pair.desk
    ride(desk, 3)
    desk.refuse(1)
    pair.exchange()
    assert desk.machine.status().trouble is None and desk.ends_told == []
    desk.journal.close()
    for path in journal_files(desk):
        path.unlink()
    desk.open()
    desk.refuse(1)  # somebody showed a code: an event under a number that was used
    for times in (1, 2):
        pair.exchange()
        status = desk.machine.status()
        assert isinstance(status.trouble, JournalLost) and desk.ends_told == [3] * times
        assert status.complete_at_s is None, "so there was no moment at which it could have taken a code"
    assert [sequence for sequence, _times in pair.posted()] == [1, 2, 3]
    pair.town.assert_sound()


def test_an_image_of_the_day_before_is_told_at_its_first_exchange(pair: Pair) -> None:
    desk = pair.desk
    ride(desk, 2)
    pair.exchange()
    desk.journal.close()
    image = journal_files(desk)
    desk.open()
    ride(desk, 2)
    pair.exchange()
    desk.journal.close()
    for path in journal_files(desk):
        path.unlink()
    for path, data in image.items():
        path.write_bytes(data)
    desk.open()
    synced_at_s = desk.machine.status().complete_at_s
    pair.exchange()
    status = desk.machine.status()
    assert isinstance(status.trouble, JournalLost) and desk.ends_told == [4] and status.complete_at_s == synced_at_s
    assert [sequence for sequence, _times in pair.posted()] == [1, 2, 3, 4]
    pair.town.assert_sound()


def posts_of_others(pair: Pair, count: int) -> None:
    """Another bus syncs in the meantime."""
    bus = pair.town.terminal("bus-other", DeviceRole.VALIDATOR)
    for _ in range(count):
        bus.boarding(pair.town.wallet().ride_code(real.NOW_S), real.NOW_S + 1)
    pair.town.send(bus)


def test_a_ledger_rewritten_under_a_tampered_store_is_noticed_offline_selling_goes_on(pair: Pair) -> None:
    desk, store = pair.desk, pair.town.store
    ride(desk, 6)
    pair.exchange()
    with store.transaction():  # the ledger's keeper drops a voucher's leaf, and says that a recovery explains it
        size = store.one("SELECT size FROM log")
        assert size == (6,)
        leaves = [row[0] for row in store.fetch("SELECT data FROM leaves ORDER BY leaf")]
        for table in ("leaves", "nodes"):
            store.execute(f"DELETE FROM {table}")
        store.execute("UPDATE log SET size = 0")
        Log(store).append([b"another story", *leaves[1:]])
        store.put_setting(recover.EXPLAINED, b"6")
    write_checkpoint(pair.town.checkpoint, Log(store).head())
    posts_of_others(pair, 3)
    ride(desk, 2)
    pair.exchange(2)
    status = desk.machine.status()
    assert isinstance(status.trouble, LogRewritten) and status.pending_count == 2
    ride(desk, 1)
    assert desk.machine.status().pending_count == 3 and desk.machine.prunable_through() == 0


def test_a_device_that_missed_the_whole_recovery_asks_for_the_roots_word_first(pair: Pair, tmp_path: Path) -> None:
    desk = pair.desk
    ride(desk, 6)
    pair.exchange()
    backup(pair, tmp_path / "backup.db")
    ride(desk, 3)
    pair.exchange()
    restore(pair, tmp_path / "backup.db")
    with pair.town.store.transaction():  # another device showed its ack; ours slept through it all
        held = desk.machine.record
        assert held.acks_end
        recover.note_restored(pair.town.store, Checkpoint(9, bytes(32)), "shown by another")
    done = recover.recover(pair.town.store, pair.town.checkpoint, {}, may_begin=True)
    assert not done.is_whole
    posts_of_others(pair, 12)  # the new log is longer by now than the one that our device knows
    ride(desk, 1)
    pair.exchange(2)
    assert isinstance(desk.machine.status().trouble, LogRewritten) and desk.machine.status().pending_count == 1
    assert isinstance(desk.city, CityWithLedger)
    desk.city.raise_list()
    pair.exchange(4)
    check_all_posted(pair, 10)


def test_growth_is_proven_in_every_answer_of_the_real_ledger(pair: Pair) -> None:
    desk = pair.desk
    for _ in range(8):
        ride(desk, 3)
        desk.wait_due()
        request = desk.until(Phase.UPLOAD)
        answer = ANSWER.decode(desk.city.answer(request).body, CITY_OBJECT_BYTES_MAX)
        held = desk.machine.status().last_ack_at_s
        assert (answer.consistency is None) == (held is None)
        desk.exchange()
        assert desk.machine.status().trouble is None and desk.machine.status().pending_count == 0


def new_riders(pair: Pair, count: int = 24) -> None:
    """From now on others ride, who took their allowances after the backup."""
    pair.desk.wallets[:] = []
    for _ in range(count):
        rider = pair.town.wallet()
        pair.desk.wallets.append(DeskWallet(rider.key, rider.allowance))


def lose_an_upload_that_was_taken(desk: SyncDesk) -> None:
    """The city answers an upload with an ack, and the answer never arrives; then the power goes."""
    desk.wait_due()
    for _ in range(20):
        request = desk.step()
        assert request is not None
        answer = desk.city.answer(request)
        if desk.machine.phase is Phase.UPLOAD and answer.status == HTTP_OK:
            desk.lose()
            desk.restart()
            return
        desk.hear(answer)
    raise AssertionError("nothing was taken")


def test_an_answer_lost_after_the_recovery_leaves_nothing_stuck(pair: Pair, tmp_path: Path) -> None:
    desk = pair.desk
    ride(desk, 3)
    desk.refuse(2)
    pair.exchange()
    backup(pair, tmp_path / "backup.db")
    new_riders(pair)
    ride(desk, 2)
    pair.exchange()
    restore(pair, tmp_path / "backup.db")
    desk.refuse(3)
    pair.exchange()
    done = recover.recover(pair.town.store, pair.town.checkpoint, desk.machine.leaves_held())
    assert done.is_whole and done.refilled == 2
    lose_an_upload_that_was_taken(desk)
    row = pair.town.store.one("SELECT through_sequence, event_number FROM devices WHERE device = ?", (DEVICE,))
    assert row == (3, desk.journal.tail.event_number), "it kept the events, and waits for allowances"
    pair.exchange(4)
    status = desk.machine.status()
    assert status.trouble is None and status.pending_count == 0 and status.events_waiting == 0
    assert not status.is_restored
    assert [sequence for sequence, _times in pair.posted()] == list(range(1, 6))
    assert pair.town.store.fetch("SELECT sequence FROM vouchers WHERE outcome <> 1") == []
    pair.town.assert_sound()


def test_answers_dropped_before_the_roots_word_cost_no_rider_a_ride(pair: Pair, tmp_path: Path) -> None:
    desk = pair.desk
    ride(desk, 6)
    pair.exchange()
    backup(pair, tmp_path / "backup.db")
    new_riders(pair)
    ride(desk, 3)
    pair.exchange()
    restore(pair, tmp_path / "backup.db")
    pair.exchange()
    assert not recover.recover(pair.town.store, pair.town.checkpoint, {}, may_begin=True).is_whole
    posts_of_others(pair, 5)
    pair.exchange(6)  # the city asks for allowances, and the bus takes no answer of a log that nobody announced
    assert desk.machine.status().trouble is not None
    assert isinstance(desk.city, CityWithLedger)
    desk.city.raise_list()
    pair.exchange(4)
    status = desk.machine.status()
    assert status.trouble is None and status.rejected == () and not status.is_restored
    assert [sequence for sequence, _times in pair.posted()] == list(range(1, 10))
    assert pair.town.store.fetch("SELECT sequence FROM vouchers WHERE outcome <> 1") == []
    pair.town.assert_sound()
