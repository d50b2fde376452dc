"""A journal that vanished or lost its end is noticed before a number is used twice; a revoked terminal stops."""

import json
import subprocess
import sys
from pathlib import Path
from time import time

import pytest

from offline_ledger import errors
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.journal_mark import JournalMark, mark_new_key
from offline_ledger.terminal.own_identity import DeviceFiles
from offline_ledger.terminal.station import Station, StationSettings
from offline_ledger.terminal.sync_record import load_record, store_record
from simulators.clock import FakeClock
from tests.terminal.city_in_test import CITY, DEVICE, NOW_S, trust_list
from tests.terminal.provisioned import provision_bus

KEY_ID_TEST_ONLY = b"\x01" * 8


def mark_in(folder: Path, key_id: bytes = KEY_ID_TEST_ONLY) -> JournalMark:
    return JournalMark(folder / "journal.db", folder / "device.cert", key_id)


def open_station(folder: Path) -> Station:
    files = DeviceFiles(folder / "device.key", folder / "device.cert", folder / "trust.list")
    settings = StationSettings(
        CITY, DEVICE, DeviceRole.VALIDATOR, files, folder / "journal.db", folder / "deny", "kgo-bus test"
    )
    return Station(settings, FakeClock(NOW_S), Limits())


def test_a_terminal_that_had_a_journal_makes_no_other(tmp_path: Path) -> None:
    provision_bus(tmp_path, NOW_S, tmp_path / "port")
    open_station(tmp_path).close()
    for file in tmp_path.glob("journal.db*"):
        if not file.name.endswith(".mark"):
            file.unlink()
    with pytest.raises(errors.JournalLost):
        open_station(tmp_path)
    assert not (tmp_path / "journal.db").exists()


def test_a_card_that_kept_key_and_certificate_alone_is_known_by_the_mark_beside_them(tmp_path: Path) -> None:
    """Journal and its own mark are gone together: no sequence 1 a second time, with or without a network."""
    provision_bus(tmp_path, NOW_S, tmp_path / "port")
    open_station(tmp_path).close()
    kept = (tmp_path / "device.cert.used").read_bytes()
    for file in tmp_path.glob("journal.db*"):
        file.unlink()
    with pytest.raises(errors.JournalLost):
        open_station(tmp_path)
    assert not (tmp_path / "journal.db").exists() and (tmp_path / "device.cert.used").read_bytes() == kept


def test_the_mark_beside_the_certificate_is_of_one_key(tmp_path: Path) -> None:
    mark = mark_in(tmp_path)
    (tmp_path / "journal.db").touch()
    mark.check_reached(7)
    for file in tmp_path.glob("journal.db*"):
        file.unlink()
    with pytest.raises(errors.JournalLost):
        mark_in(tmp_path).check_there()
    mark_in(tmp_path, b"\x02" * 8).check_there()  # enrolled anew, with a key of its own: nothing was used up


def test_a_mark_of_an_older_program_gets_its_second_one(tmp_path: Path) -> None:
    (tmp_path / "journal.db.mark").write_bytes(b"7\n")
    (tmp_path / "journal.db").touch()
    mark_in(tmp_path).check_reached(7)
    (tmp_path / "journal.db.mark").unlink()
    with pytest.raises(errors.JournalLost):
        mark_in(tmp_path).check_reached(6)


def test_a_journal_that_lost_its_end_is_not_written_on(tmp_path: Path) -> None:
    mark = mark_in(tmp_path)
    mark.check_there()
    (tmp_path / "journal.db").touch()
    mark.check_reached(0)
    mark.move(7)
    mark.move(5)  # never goes back
    again = mark_in(tmp_path)
    again.check_there()
    with pytest.raises(errors.JournalLost):
        again.check_reached(6)
    again.check_reached(7)


def test_a_new_key_is_new_until_the_first_voucher_was_exchanged(tmp_path: Path) -> None:
    mark_new_key(tmp_path / "device.cert")
    mark = mark_in(tmp_path)
    mark.move(0)
    assert mark.is_key_new
    mark.move(1)
    mark.key_is_used()  # twice is once
    assert not mark.is_key_new and not mark_in(tmp_path).is_key_new


@pytest.mark.parametrize("content", [b"", b"seven", b"-1", b"9" * 30])
def test_a_mark_that_is_none_is_refused_by_number(tmp_path: Path, content: bytes) -> None:
    name = "journal.db.mark"
    (tmp_path / name).write_bytes(content)
    with pytest.raises((errors.JournalLost, errors.StorageFailed)):
        mark_in(tmp_path)


def test_a_revoked_terminal_is_told_by_its_trust_list(tmp_path: Path) -> None:
    provision_bus(tmp_path, NOW_S, tmp_path / "port")
    station = open_station(tmp_path)
    station.conditions.check_standing(1, station.keeper.time())
    _first, first_hash = trust_list()
    second, _hash = trust_list(2, first_hash, revocations=((DEVICE, 3),))
    station.trust.accept([second])
    station.conditions.check_standing(3, station.keeper.time())
    with pytest.raises(errors.TerminalRevoked):
        station.conditions.check_standing(4, station.keeper.time())
    station.close()


def test_a_blocked_terminal_is_told_by_what_the_city_holds(tmp_path: Path) -> None:
    provision_bus(tmp_path, NOW_S, tmp_path / "port")
    station = open_station(tmp_path)
    store_record(station.journal, load_record(station.journal)._replace(first_held=1))
    station.close()
    station = open_station(tmp_path)
    with pytest.raises(errors.DeviceBlocked):
        station.conditions.check_standing(9, station.keeper.time())
    station.close()


def test_a_journal_removed_or_replaced_under_a_running_program_is_noticed(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    journal.touch()
    mark = mark_in(tmp_path)
    mark.check_reached(0)
    mark.check_same_file()
    journal.rename(tmp_path / "kept")  # keeps the inode from being given to the next file
    with pytest.raises(errors.JournalLost):
        mark.check_same_file()
    journal.touch()
    with pytest.raises(errors.JournalLost):
        mark.check_same_file()


def test_the_program_goes_out_of_service_when_its_journal_is_removed(tmp_path: Path) -> None:
    settings = provision_bus(tmp_path, int(time()), tmp_path / "port")
    command = [sys.executable, "-m", "bus_validator", "--settings", str(settings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as bus:
        assert bus.stdout is not None and bus.stdin is not None
        lines = (json.loads(line) for line in bus.stdout)
        assert next(line for line in lines if line.get("ready"))
        (tmp_path / "journal.db").unlink()
        said = next(line for line in lines if line.get("light") == "out_of_service")
        assert said["refusal"] == errors.JournalLost.number
        bus.stdin.close()
        assert bus.wait(20) == 0
