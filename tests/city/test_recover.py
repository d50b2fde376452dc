"""Crashes and restores: between commit and ack, from an older backup; a restored ledger signs no second history."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from offline_ledger import errors
from offline_ledger.city import allowances, decisions, recover
from offline_ledger.city.audit import audit
from offline_ledger.city.log import Checkpoint, Log, read_checkpoint, write_checkpoint
from offline_ledger.city.store import Store
from offline_ledger.protocol import city
from offline_ledger.protocol.city import Ack, Outcome
from offline_ledger.protocol.device import LACKING_BYTES, DeviceRole, StateKey
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.tree import EMPTY_ROOT
from simulators.keys import SimulatedKey
from tests.city.town import ACK_TEST_ONLY, CITY, LEAKED_ACK_TEST_ONLY, NOW_S, Town, TownTerminal, read_answer, signed_by

POSTED = (Outcome.POSTED, 0)
KILL_AT_COMMIT = """
import os, signal, sys
from pathlib import Path
from tests.city.town import Town, NOW_S
town = Town(Path(sys.argv[1]), committed=lambda: os.kill(os.getpid(), signal.SIGKILL))
town.ingest.ingest(Path(sys.argv[2]).read_bytes(), NOW_S + 60)
"""


def _bus(town: Town, riders: int = 3) -> TownTerminal:
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    _board(town, bus, riders)
    return bus


def _board(town: Town, bus: TownTerminal, riders: int) -> None:
    for _ in range(riders):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)


def _backup(town: Town, to: Path) -> None:
    """SQLite's own online backup, as an operator would make it."""
    source, target = apsw.Connection(str(town.path)), apsw.Connection(str(to))
    with target.backup("main", source, "main") as step:
        while not step.done:
            step.step(100)
    source.close()
    target.close()


def _restore(town: Town, backup: Path) -> None:
    town.store.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{town.path}{suffix}").unlink(missing_ok=True)
    shutil.copy(backup, town.path)
    town.store = Store.open(town.path)
    town.ingest = town.new_ingest()


def _fallen_behind(folder: Path) -> tuple[Town, TownTerminal]:
    """A ledger put back to before the last two vouchers that it acknowledged."""
    town = Town(folder)
    bus = _bus(town)
    town.send(bus)
    _backup(town, folder / "backup")
    _board(town, bus, 2)
    town.send(bus, first=4)
    _restore(town, folder / "backup")
    return town, bus


def test_killed_between_commit_and_ack_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    town = Town(tmp_path)
    bus = _bus(town)
    body = tmp_path / "batch"
    body.write_bytes(bus.batch())
    done = subprocess.run(
        [sys.executable, "-c", KILL_AT_COMMIT, str(tmp_path), str(body)], cwd=os.getcwd(), check=False
    )
    assert done.returncode == -signal.SIGKILL
    town.reopen()
    assert read_checkpoint(town.checkpoint) == Checkpoint(0, EMPTY_ROOT)
    entries = town.store.fetch("SELECT * FROM entries")
    assert town.store.one("SELECT count(*) FROM vouchers") == (3,)
    assert town.send(bus).outcomes == [POSTED] * 3
    assert town.store.fetch("SELECT * FROM entries") == entries
    assert audit(town.store).findings == ()


def test_an_error_before_commit_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path)
    bus = _bus(town)
    before = town.store.fetch("SELECT count(*) FROM entries")

    def fails(_self: Log, _leaves: list[bytes]) -> int:
        raise errors.StorageFailed("injected")

    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", fails)
        with pytest.raises(errors.StorageFailed):
            town.send(bus)
    assert town.store.fetch("SELECT count(*) FROM entries") == before
    assert town.store.fetch("SELECT * FROM vouchers") == []
    assert town.send(bus).outcomes == [POSTED] * 3


def test_a_ledger_behind_its_checkpoint_file_signs_nothing(tmp_path: Path) -> None:
    town, bus = _fallen_behind(tmp_path)
    for first in (1, 4):
        with pytest.raises(errors.RecoveryNeeded):
            town.send(bus, first=first)
    assert Log(town.store).head().size == 3


def test_a_ledger_behind_a_devices_ack_signs_nothing_for_anyone(tmp_path: Path) -> None:
    town, bus = _fallen_behind(tmp_path)
    write_checkpoint(town.checkpoint, Log(town.store).head())  # it was in the backup, as it must not be
    with pytest.raises(errors.RecoveryNeeded):
        town.send(bus, first=4)
    other = town.terminal("bus-2", DeviceRole.VALIDATOR)
    _board(town, other, 1)
    with pytest.raises(errors.RecoveryNeeded):
        town.send(other)
    town.reopen()
    with pytest.raises(errors.RecoveryNeeded):
        town.send(other)


def test_another_history_of_the_same_length_is_refused_too(tmp_path: Path) -> None:
    town = Town(tmp_path)
    bus = _bus(town)
    acked = town.send(bus)
    _hold(bus, acked.ack._replace(log_root=bytes(32)), ACK_TEST_ONLY)
    with pytest.raises(errors.RecoveryNeeded):
        town.send(bus)
    other = town.terminal("bus-2", DeviceRole.VALIDATOR)
    _board(town, other, 1)
    with pytest.raises(errors.RecoveryNeeded):
        town.send(other)


def _hold(bus: TownTerminal, ack: Ack, key: SimulatedKey) -> None:
    """The terminal claims this ack and shows it, signed by `key`."""
    bus.newest_ack = (ack.log_size, ack.log_root)
    bus.held_ack = signed_by(key, Kind.ACK, city.ACK.encode(ack)).raw


@pytest.mark.parametrize("shown", ["nothing", "forged", "leaked", "of another device", "of another log", "garbage"])
def test_a_mere_word_about_a_longer_log_stops_nobody_else(tmp_path: Path, shown: str) -> None:
    town = Town(tmp_path)
    bus = _bus(town)
    acked = town.send(bus).ack
    longer = acked._replace(log_size=99, log_root=bytes(32))
    _hold(bus, longer._replace(device="bus-9") if shown == "of another device" else longer, ACK_TEST_ONLY)
    if shown == "nothing":
        bus.held_ack = None
    elif shown == "forged":
        _hold(bus, longer, bus.key)
    elif shown == "leaked":
        _hold(bus, longer, LEAKED_ACK_TEST_ONLY)
    elif shown == "of another log":
        _hold(bus, acked, ACK_TEST_ONLY)
        bus.newest_ack = (99, bytes(32))
    elif shown == "garbage":
        bus.held_ack = b"garbage"
    with pytest.raises(errors.RecoveryNeeded):
        town.send(bus)
    other = town.terminal("bus-2", DeviceRole.VALIDATOR)
    _board(town, other, 1)
    assert town.send(other).outcomes == [POSTED]


def test_recover_with_all_leaves_goes_on_with_the_old_log(tmp_path: Path) -> None:
    town = Town(tmp_path)
    bus = _bus(town)
    town.send(bus)
    _backup(town, tmp_path / "backup")
    riders = [town.wallet() for _ in range(2)]
    for rider in riders:
        bus.boarding(rider.ride_code(NOW_S), NOW_S)
    acked = town.send(bus, first=4)
    leaves = dict(town.store.fetch("SELECT leaf, data FROM leaves"))
    _restore(town, tmp_path / "backup")
    assert not recover.recover(town.store, tmp_path / "no-such-file", {}).lost
    done = recover.recover(town.store, town.checkpoint, leaves)
    assert (done.is_whole, done.refilled) == (True, 2)
    assert Log(town.store).head() == Checkpoint(acked.ack.log_size, acked.ack.log_root)
    # the allowances of the lost days are asked for once, then the same vouchers stand at the same leaves
    asked = town.send(bus, first=4)
    assert asked.ack.through_sequence == 3 and set(asked.wanted) == {rider.allowance.identity for rider in riders}
    again = town.send(bus, first=4, allowance=[rider.allowance.raw for rider in riders])
    assert again.ack.outcomes == acked.ack.outcomes
    assert again.ack.log_size == acked.ack.log_size
    # the account behind one of them opens again, and the operator joins the stand-in to it
    opened = allowances.register(town.store, riders[0].account.point, 0, 0, 50_000, NOW_S)
    stand_in = allowances.wallet_of(town.store, riders[0].key.point)
    assert allowances.balances(town.store, stand_in.wallet_id) == (-50_000, 45_000)
    for _twice in range(2):
        moved_kgo = decisions.rebuilt_wallet_joins(
            town.store, stand_in.wallet_id, opened.wallet_id, "card in hand", NOW_S
        )
        assert moved_kgo == -50_000
    assert allowances.balances(town.store, opened.wallet_id) == (0, 45_000)
    assert allowances.balances(town.store, stand_in.wallet_id) == (0, 0)
    assert audit(town.store).is_ok
    town.assert_sound()


def test_a_leaf_whose_voucher_nobody_sends_again_is_named(tmp_path: Path) -> None:
    """A released fork's leaf is in no terminal, but in the ledger that was put aside; its voucher is the clone's."""
    town = Town(tmp_path)
    bus = _bus(town)
    town.send(bus)
    riders = [town.wallet(), town.wallet()]
    _backup(town, tmp_path / "backup")
    clone = bus.copy()
    for terminal, rider in zip((bus, clone), riders, strict=True):
        terminal.boarding(rider.ride_code(NOW_S), NOW_S)
        town.send(terminal, first=4)
    assert decisions.release_held(town.store, town.reader, town.limits, bus.name, NOW_S + 100) == 1
    decisions.unblock(town.store, bus.name)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    town.send(bus, first=5)
    aside = dict(town.store.fetch("SELECT leaf, data FROM leaves"))
    _restore(town, tmp_path / "backup")
    assert recover.recover(town.store, town.checkpoint, {at: aside[at] for at in (3, 5)}).absent == ((4, 4),)
    assert recover.recover(town.store, town.checkpoint, aside).is_whole
    assert [leaf for leaf, *_voucher in recover.without_vouchers(town.store)] == [3, 4, 5]
    town.send(bus, first=4, last=4)
    assert recover.without_vouchers(town.store) == [(4, bus.name, 4), (5, bus.name, 5)]
    town.send(clone, first=4)
    decisions.release_held(town.store, town.reader, town.limits, bus.name, NOW_S + 200)
    assert recover.without_vouchers(town.store) == [(5, bus.name, 5)]


def test_recover_without_leaves_begins_a_log_that_names_the_gap(tmp_path: Path) -> None:
    town = Town(tmp_path)
    bus = _bus(town)
    town.send(bus)
    _backup(town, tmp_path / "backup")
    rider = town.wallet()
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    lost = town.send(bus, first=4).ack
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    _restore(town, tmp_path / "backup")
    wrong = {3: b"another leaf"}
    for some in ({}, wrong):
        kept = recover.recover(town.store, town.checkpoint, some)
        assert (kept.is_whole, kept.missing) == (False, (3, 4, 0 if some else 1))
        assert Log(town.store).head().size == 3 and Log(town.store).begun_after() is None
        with pytest.raises(errors.RecoveryNeeded):
            town.send(bus, first=4)
    done = recover.recover(town.store, town.checkpoint, wrong, may_begin=True)
    assert not done.is_whole and done.lost == Checkpoint(lost.log_size, lost.log_root)
    name = town.store.one("SELECT start_name FROM log")
    assert name is not None and lost.log_root.hex() in name[0]
    # the device, which has pruned nothing, is told where to begin again
    with pytest.raises(errors.RecoveryNeeded) as told:
        town.send(bus, first=5)
    assert told.value.resume_at == (3, 0, bytes(32))
    town.send(bus, first=4)
    town.send(bus, first=4, allowance=[rider.allowance.raw])
    assert read_answer(town.ingest.ingest(bus.batch(), NOW_S), bus).outcomes[:4] == [POSTED] * 4
    assert audit(town.store).is_ok
    town.assert_sound()


def test_an_unknown_allowance_is_asked_for_until_the_device_signs_that_it_lacks_it(tmp_path: Path) -> None:
    town = Town(tmp_path)
    bus = _bus(town, 1)
    stranger = town.wallet()
    with town.store.transaction():
        town.store.execute("DELETE FROM allowances WHERE hash = ?", (stranger.allowance.identity,))
    bus.boarding(stranger.ride_code(NOW_S), NOW_S)
    _board(town, bus, 1)
    first = town.send(bus)
    assert first.outcomes == [POSTED] and first.wanted == (stranger.allowance.identity,)
    for _answer_dropped in range(20):
        again = town.send(bus, first=2)
        assert again.outcomes == [] and again.wanted == first.wanted
    lacks = {int(StateKey.LACKING): [stranger.allowance.identity[:LACKING_BYTES]]}
    second = town.send(bus, first=2, change=lambda head: head._replace(state=lacks))
    assert second.outcomes == [(Outcome.REJECTED, errors.UnknownAllowance.number), POSTED]
    assert second.wanted == ()


def test_the_store_says_what_is_wrong_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(errors.StoreInvalid):
        Store.open(tmp_path / "absent")
    store = Store.create(tmp_path / "city.db", CITY, NOW_S)
    with pytest.raises(errors.StoreInvalid):
        Store.create(tmp_path / "city.db", CITY, NOW_S)
    store.execute("PRAGMA user_version=99")
    store.close()
    with pytest.raises(errors.StoreInvalid):
        Store.open(tmp_path / "city.db")
    (tmp_path / "text").write_text("this is no database, whatever its name says" * 50)
    with pytest.raises(errors.Refusal):
        Store.open(tmp_path / "text")


def test_a_reader_beside_the_writer(tmp_path: Path) -> None:
    town = Town(tmp_path)
    beside = Store.open(town.path)
    with town.store.transaction():
        town.store.put_setting("x", b"1")
        assert beside.setting("x") is None
    assert beside.setting("x") == b"1"
    with pytest.raises(RuntimeError), town.store.transaction():
        town.store.put_setting("x", b"2")
        raise RuntimeError
    assert beside.setting("x") == b"1"
    beside.close()
