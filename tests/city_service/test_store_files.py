"""Backup and restore, a mixed file, a missing checkpoint, one `serve` per ledger: the operator's commands. DESIGN §7.

Real commands on real files; the ledger is filled by the town's own terminals through `Ingest`.
"""

import os
import shutil
import stat
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import apsw
import pytest

from offline_ledger.city import recover, store_files, wallet_numbers
from offline_ledger.city.audit import audit
from offline_ledger.city.log import Log, read_checkpoint, write_checkpoint
from offline_ledger.city.store import Store
from offline_ledger.city.store_check import check_whole
from offline_ledger.errors import CopyUnusable, FileTaken, FileUnusable, LedgerDamaged, LedgerInUse, RecoveryNeeded
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.texts import Texts
from tests.city.town import CITY, NOW_S, Town, TownTerminal
from tests.city_service.desk import found, found_anew, run, serving


def board(town: Town, bus: TownTerminal, riders: int) -> None:
    for _ in range(riders):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    town.send(bus)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- backup and restore


def test_a_backup_is_one_private_file_and_nothing_is_overwritten(tmp_path: Path) -> None:
    town = Town(tmp_path)
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    board(town, bus, 3)
    before = os.umask(0)
    try:
        store_files.back_up(town.store, tmp_path / "copy.db")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "copy.db") == 0o600
    assert sorted(path.name for path in tmp_path.glob("*copy.db*")) == ["copy.db"]
    with pytest.raises(FileTaken):
        store_files.back_up(town.store, tmp_path / "copy.db")
    with pytest.raises(FileUnusable, match="none"):
        store_files.back_up(town.store, tmp_path / "none" / "copy.db")
    copy = Store.open(tmp_path / "copy.db")
    assert audit(copy).findings == () and Log(copy).head() == Log(town.store).head()
    copy.close()


def test_a_restore_keeps_what_was_there_aside_and_its_log_away(tmp_path: Path) -> None:
    """The ledger died with a write-ahead log: SQLite would replay it into any copy that is put beside it."""
    town = Town(tmp_path)
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    board(town, bus, 3)
    store_files.back_up(town.store, tmp_path / "copy.db")
    board(town, bus, 2)
    dead = killed(town, tmp_path / "dead")
    accounts = len(town.store.fetch("SELECT 1 FROM wallets"))
    done = store_files.restore(dead, tmp_path / "copy.db", CITY, NOW_S, tmp_path / "trust-lists")
    assert done.aside is not None
    assert sorted(path.name for path in done.aside.iterdir()) == ["city.db", "city.db-shm", "city.db-wal"]
    assert sorted(path.name for path in dead.parent.glob("city.db*")) == ["city.db", done.aside.name]
    assert mode_of(dead) == 0o600 and mode_of(done.aside) == 0o700
    store = Store.open(dead)
    check_whole(store)
    assert (Log(store).head().size, done.leaves) == (3, 3)
    assert audit(store).findings == ()
    with pytest.raises(RecoveryNeeded):
        recover.check_may_sign(store, town.checkpoint)
    assert done.missing_from == accounts - 1 and done.first_new == 200_001
    store.close()


def killed(town: Town, folder: Path) -> Path:
    """The files of a ledger whose program was killed: the database with its log."""
    folder.mkdir()
    for suffix in ("", "-wal", "-shm"):
        shutil.copy(f"{town.path}{suffix}", folder / f"city.db{suffix}")
    return folder / "city.db"


NO_COPIES = {
    "of another city": "belongs to TH-99, the settings say TH-40",
    "of no ledger": "not a database",
    "of a later version": "version 99, not",
    "cut short": "malformed",
    "damaged": ".",
}


@pytest.mark.parametrize("copy", NO_COPIES)
def test_a_copy_that_is_none_changes_nothing(tmp_path: Path, copy: str) -> None:
    town = Town(tmp_path)
    board(town, town.terminal("bus-1", DeviceRole.VALIDATOR), 2)
    town.store.close()
    before = town.path.read_bytes()
    other = tmp_path / "copy.db"
    if copy == "of another city":
        Store.create(other, "TH-99", NOW_S).close()
    elif copy == "of no ledger":
        other.write_text("no ledger" * 500)
    elif copy == "of a later version":
        shutil.copy(town.path, other)
        connection = apsw.Connection(str(other))
        connection.execute("PRAGMA user_version=99")
        connection.close()
    elif copy == "cut short":
        other.write_bytes(before[: len(before) // 2])
    else:
        shutil.copy(town.path, other)
        connection = apsw.Connection(str(other))
        connection.execute("DELETE FROM leaves WHERE leaf = 1")
        connection.close()
    with pytest.raises(LedgerDamaged if copy == "damaged" else CopyUnusable, match=NO_COPIES[copy]) as refused:
        store_files.restore(town.path, other, CITY, NOW_S, tmp_path / "trust-lists")
    if copy != "damaged":
        assert refused.value.detail.startswith(str(other)) and ".new" not in refused.value.detail
        assert "init" not in Texts("en").remedy(refused.value)
    assert town.path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("*city.db*")) == [".city.db.serve", "city.db"]


def test_the_ledger_of_another_founding_is_not_this_city(tmp_path: Path) -> None:
    """Of the same name, and with other roots and keys: nothing that this city's terminals would take."""
    for name in ("ours", "other"):
        found_anew(tmp_path / name)
        settings = ("--settings", str(tmp_path / name / "city.toml"), "--language", "en")
        assert run("keys", *settings).returncode == 0
        assert run("backup", str(tmp_path / f"{name}.db"), *settings).returncode == 0
    ours = ("--settings", str(tmp_path / "ours" / "city.toml"), "--language", "en")
    before = (tmp_path / "ours" / "ledger.db").read_bytes()
    refused = run("restore", str(tmp_path / "other.db"), *ours)
    assert refused.returncode == 1 and "4101" in refused.stderr and "founded" in refused.stderr
    assert f"{tmp_path}/other.db" in refused.stderr and "init" not in refused.stderr
    assert (tmp_path / "ours" / "ledger.db").read_bytes() == before
    told = run("restore", str(tmp_path / "other.db"), *ours[:2], "--language", "th").stderr
    assert "4101" in told and "founding" not in told
    assert run("restore", str(tmp_path / "ours.db"), *ours).returncode == 0


def test_a_backup_on_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    town = Town(tmp_path)
    with town.store.transaction():
        for number in range(300):
            town.store.put_setting(f"filler.{number}", bytes(1_000))
    town.store.close()
    before = sorted(tmp_path.iterdir())
    limited = (
        "import resource, signal, sys; from pathlib import Path; from offline_ledger.city import store, store_files\n"
        "from offline_ledger.errors import Refusal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); opened = store.Store.open(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try: store_files.back_up(opened, Path(sys.argv[2]))\n"
        "except Refusal as refusal: print(refusal.number, refusal.detail)"
    )
    command = [sys.executable, "-c", limited, str(town.path), str(tmp_path / "copy.db")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == "2004 IOError: disk I/O error\n"
    assert sorted(path for path in tmp_path.iterdir() if path.suffix not in (".db-wal", ".db-shm")) == before


def test_what_has_no_end_is_not_copied_and_what_a_killed_restore_left_goes(tmp_path: Path) -> None:
    town = Town(tmp_path)
    board(town, town.terminal("bus-1", DeviceRole.VALIDATOR), 2)
    store_files.back_up(town.store, tmp_path / "copy.db")
    town.store.close()
    left = [tmp_path / f".{town.path.name}.1.new{suffix}" for suffix in ("", "-wal")]
    for path in left:
        path.write_bytes(b"half a ledger")
    for endless in (Path("/dev/zero"), tmp_path):
        with pytest.raises(FileUnusable, match="plain file"):
            store_files.restore(town.path, endless, CITY, NOW_S, tmp_path / "trust-lists")
    store_files.restore(town.path, tmp_path / "copy.db", CITY, NOW_S, tmp_path / "trust-lists")
    assert [path for path in left if path.exists()] == []


# --- one piece

MIXTURES = {
    "UPDATE log SET size = size - 1": "the log says 2 leaves and has 3",
    "UPDATE log SET root = x'" + "00" * 32 + "'": "the log's 3 leaves do not give its root",
    "DELETE FROM nodes WHERE level = 1": "log node",
    "UPDATE devices SET through_sequence = 1": "bus-1 1 is not where its device ends",
    "UPDATE devices SET chain_head = x'00'": "bus-1 3 is not where its device ends",
    "DELETE FROM vouchers WHERE sequence = 2": "bus-1 2 is posted without its voucher",
    "UPDATE vouchers SET leaf = 3 WHERE sequence = 2": "bus-1 2 is at a place",
    "DELETE FROM postings WHERE sequence = 2": "entries of",
    "DELETE FROM entries WHERE posting_id = 2": "a posting of - 2 without entries",
    "INSERT INTO postings SELECT 900, reason, device, 2, 0, '' FROM postings WHERE sequence = 2": "more than once",
    "UPDATE accounts SET balance = balance + 1 WHERE kind = 4 AND currency = 1": "currency 1",
}


@pytest.mark.parametrize("change", MIXTURES)
def test_a_ledger_of_two_pieces_is_known_by_its_contradictions(tmp_path: Path, change: str) -> None:
    town = Town(tmp_path)
    board(town, town.terminal("bus-1", DeviceRole.VALIDATOR), 3)
    check_whole(town.store)
    town.store.execute("DROP TRIGGER one_charge")
    town.store.execute(change)
    with pytest.raises(LedgerDamaged) as refused:
        check_whole(town.store)
    assert MIXTURES[change] in refused.value.detail


# --- one charge

CHARGES = "INSERT INTO postings(reason, device, sequence, posted_at_s) VALUES"
"""What any program may try in the database itself: reasons 5 and 8 charge, 10 takes one back, 6 and 7 are neither."""


@pytest.mark.parametrize(
    ("rows", "is_refused"),
    [
        ("(5, 'bus-1', 2, 0)", True),
        ("(8, 'bus-1', 2, 0)", True),
        ("(5, 'bus-1', 9, 0), (5, 'bus-1', 9, 0)", True),
        ("(8, 'bus-1', 9, 0), (5, 'bus-1', 9, 0)", True),
        ("(10, 'bus-1', 2, 0), (5, 'bus-1', 2, 0), (5, 'bus-1', 2, 0)", True),
        ("(10, 'bus-1', 2, 0), (5, 'bus-1', 2, 0)", False),
        ("(5, 'bus-2', 2, 0)", False),
        ("(6, 'bus-1', 2, 0), (7, 'bus-1', 2, 0)", False),
        ("(1, NULL, NULL, 0), (1, NULL, NULL, 0)", False),
    ],
)
def test_the_database_itself_takes_one_charge_of_a_voucher(tmp_path: Path, rows: str, is_refused: bool) -> None:
    town = Town(tmp_path)
    board(town, town.terminal("bus-1", DeviceRole.VALIDATOR), 3)
    before = town.store.fetch("SELECT * FROM postings")
    another: Any = apsw.Connection(town.store.path)
    with pytest.raises(apsw.ConstraintError, match="posted already") if is_refused else nullcontext():
        another.execute(CHARGES + rows).fetchall()
    another.close()
    assert (town.store.fetch("SELECT * FROM postings") == before) == is_refused


def test_a_second_charge_is_said_as_damage_and_changes_nothing(tmp_path: Path) -> None:
    town = Town(tmp_path)
    board(town, town.terminal("bus-1", DeviceRole.VALIDATOR), 3)
    before = town.store.fetch("SELECT * FROM postings")
    with pytest.raises(LedgerDamaged, match="posted already"), town.store.transaction():
        town.store.put_setting("within", b"it")
        town.store.execute(f"{CHARGES}(5, 'bus-1', 2, 0)")
    assert town.store.fetch("SELECT * FROM postings") == before and town.store.setting("within") is None


@pytest.mark.parametrize("riders", [1, 5, 40])
def test_the_log_of_the_dead_ledger_under_an_older_copy_is_refused(tmp_path: Path, riders: int) -> None:
    """What an operator does who copies the backup over the ledger and leaves the -wal of the killed program."""
    town = Town(tmp_path)
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    board(town, bus, 3)
    store_files.back_up(town.store, tmp_path / "copy.db")
    board(town, bus, riders)
    town.store.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # from here on the log lacks what came before
    board(town, bus, 3)
    dead = killed(town, tmp_path / "dead")
    (dead.parent / "city.db-shm").unlink()
    shutil.copy(tmp_path / "copy.db", dead)
    store = Store.open(dead)
    is_whole = True
    try:
        check_whole(store)
    except LedgerDamaged:
        is_whole = False
    # few sales touch so few pages that the log has all of them: then it is the newest ledger, and sound
    assert is_whole == audit(store).is_ok and (riders < 40 or not is_whole)
    store.close()


# --- the commands


def city_in(tmp_path: Path) -> Path:
    folder = tmp_path / "city"
    found(folder)
    return folder


def command(folder: Path, *words: str) -> tuple[int, str]:
    done = run(*words, "--settings", str(folder / "city.toml"), "--language", "en")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_one_serve_for_one_ledger_and_no_restore_beside_it(tmp_path: Path) -> None:
    folder = city_in(tmp_path)
    assert read_checkpoint(folder / "checkpoint") is not None
    with serving(folder) as city:
        copied = city.command("backup", str(tmp_path / "copy.db"))
        assert copied.returncode == 0 and mode_of(tmp_path / "copy.db") == 0o600, copied.stderr
        for words in (("serve",), ("restore", str(tmp_path / "copy.db"))):
            code, said = command(folder, *words)
            assert (code, str(LedgerInUse.number) in said) == (75, True), said
    code, said = command(folder, "restore", str(tmp_path / "copy.db"))
    assert code == 0 and "is the ledger now" in said and "200001" in said, said
    with serving(folder) as city:
        assert city.ask("GET", "/v1/checkpoint").status == 200


def test_serve_and_recover_refuse_a_ledger_of_two_pieces(tmp_path: Path) -> None:
    folder = city_in(tmp_path)
    store = Store.open(folder / "ledger.db")
    store.execute("UPDATE log SET size = 3")
    store.close()
    for words in (("serve",), ("recover",), ("backup", str(tmp_path / "copy.db"))):
        code, said = command(folder, *words)
        assert (code, str(LedgerDamaged.number) in said) == (1, True), said
    assert not list(tmp_path.glob("*copy.db*"))


def with_leaves(folder: Path, count: int) -> Store:
    store = Store.open(folder / "ledger.db")
    with store.transaction():
        Log(store).append([b"leaf %d" % at for at in range(count)])
    return store


def test_a_missing_checkpoint_is_said_at_once_until_a_person_says_that_it_is_lost(tmp_path: Path) -> None:
    folder = city_in(tmp_path)
    with_leaves(folder, 3).close()
    (folder / "checkpoint").unlink()
    with serving(folder) as city:
        answer = city.ask("GET", "/v1/checkpoint")
        assert (answer.status, answer.value[1]) == (503, RecoveryNeeded.number)
    assert "checkpoint is missing" in (tmp_path / "city.log").read_text()
    assert not (folder / "checkpoint").exists()
    code, said = command(folder, "audit")
    assert code == 1 and "checkpoint is missing" in said, said
    code, said = command(folder, "recover")
    assert code == 1 and "--checkpoint-lost" in said and not (folder / "checkpoint").exists(), said
    assert command(folder, "recover", "--checkpoint-lost")[0] == 0
    assert command(folder, "recover", "--checkpoint-lost")[0] == 2
    with serving(folder) as city:
        assert city.ask("GET", "/v1/checkpoint").status == 200


def test_what_is_published_after_a_restore_is_newer_than_what_was_lost(tmp_path: Path) -> None:
    """No leaf is lost, but terminals hold a tariff that the ledger forgot: under its number they take no other."""
    folder = city_in(tmp_path)
    (tmp_path / "fares.json").write_text(
        '{"products": [{"product_id": "city-bus", "kind": 1, "name_th": "b", "name_en": "b", "kgo": "40.00",'
        ' "thb": "1.00"}]}'
    )
    fares = ("publish", "tariff", str(tmp_path / "fares.json"))
    assert command(folder, "backup", str(tmp_path / "copy.db"))[0] == 0
    assert "version 1.2" in command(folder, *fares)[1]
    assert command(folder, "restore", str(tmp_path / "copy.db"))[0] == 0
    assert "version 1." in (said := command(folder, *fares)[1]) and "version 1.2," not in said, said


# --- recover changes nothing before everything is checked


def lists_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "trust-lists"))


def test_a_new_log_needs_its_roots_before_anything_is_begun(tmp_path: Path) -> None:
    folder = city_in(tmp_path)
    store = with_leaves(folder, 5)
    write_checkpoint(folder / "checkpoint", Log(store).head())
    leaves = dict(store.fetch("SELECT leaf, data FROM leaves"))
    for table in ("leaves", "nodes"):
        store.execute(f"DELETE FROM {table}")
    with store.transaction():
        store.execute("UPDATE log SET size = 0, root = (SELECT root FROM log)")
        Log(store).append([leaves[at] for at in range(2)])
    store.close()
    kept = (folder / "checkpoint").read_bytes()
    command(folder, "keys")
    lists = lists_in(folder)
    root = [word for number in (1, 2) for word in ("--root", str(folder / "keys" / f"root-{number}.key"))]
    for words, code in ((root[:2], 1), ((), 2), (("--root", str(folder / "keys" / "ack.key")), 1)):
        assert command(folder, "recover", "--new-log", *words)[0] == code
        assert (folder / "checkpoint").read_bytes() == kept and lists_in(folder) == lists
        store = Store.open(folder / "ledger.db")
        assert Log(store).head().size == 2 and Log(store).begun_after() is None
        store.close()
    file = tmp_path / "all.leaves"
    file.write_text("".join(f"{at} {data.hex()}\n" for at, data in leaves.items()))
    code, said = command(folder, "recover", "--leaves", str(file))
    assert code == 0 and "All 3 lost leaves" in said and "from number 1 on" in said and "200001" in said, said


def test_a_log_that_terminals_cannot_follow_yet_is_not_called_whole(tmp_path: Path) -> None:
    """As an earlier version left it: begun anew, and no trust list that says so."""
    folder = city_in(tmp_path)
    store = with_leaves(folder, 2)
    store.execute("UPDATE log SET start_name = ?", (f"after 9 {'00' * 32}",))
    write_checkpoint(folder / "checkpoint", Log(store).head())
    store.close()
    code, said = command(folder, "recover")
    assert code == 1 and "whole" not in said and "trust list" in said, said
    root = [word for number in (1, 2) for word in ("--root", str(folder / "keys" / f"root-{number}.key"))]
    code, said = command(folder, "recover", "--new-log", *root)
    assert code == 0 and "Trust list 2" in said, said
    code, said = command(folder, "recover")
    assert code == 0 and "whole" in said, said


# --- numbers of accounts


def test_no_number_names_two_people_after_a_restore(tmp_path: Path) -> None:
    town = Town(tmp_path)
    town.wallet()
    store = town.store
    last = store.fetch("SELECT max(wallet_id) FROM wallets")[0][0]
    for _again in range(2):
        assert wallet_numbers.skip(store) == (last + 1, 200_001)
    assert town.wallet().wallet_id == 200_001
    assert town.wallet().wallet_id == 200_002
    assert wallet_numbers.skip(store) == (200_003, 400_001)
    assert town.wallet().wallet_id == 400_001


def test_a_ledger_that_no_longer_says_whose_it_is_is_refused_by_number(tmp_path: Path) -> None:
    folder = city_in(tmp_path)
    store = Store.open(folder / "ledger.db")
    store.execute("DELETE FROM settings WHERE key = 'city'")
    store.close()
    for words in (("audit",), ("fleet",), ("serve",), ("recover",)):
        code, said = command(folder, *words)
        assert code != 0 and str(LedgerDamaged.number) in said, (words, said)


def test_a_name_that_is_no_text_any_more_is_refused_by_number(tmp_path: Path) -> None:
    folder = city_in(tmp_path)
    store = Store.open(folder / "ledger.db")
    store.execute("UPDATE owners SET name = CAST(x'a2ff' AS TEXT)")
    store.close()
    code, said = command(folder, "statement", "coffee-1")
    assert code == 1 and str(LedgerDamaged.number) in said, said
