"""The audit log: whatever is changed, taken out or put in is found and named; old months go, the chain stays."""

import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import apsw
import pytest

from offline_ledger.errors import AuditLogBroken, ShopFileDamaged, StorageFull
from offline_ledger.protocol.device import ClockTrust
from pos_app.store import audit_log as audit_module
from pos_app.store.audit_log import KEPT_DAYS, START, AuditLog, Entry, month_start_s
from pos_app.store.shop_file import ShopFile
from simulators.storage.disk import simulated_disk

NOW_S = 1_795_000_000
DAY_S = 86_400


def entry(number: int, at_s: int = NOW_S, **values: int | str) -> Entry:
    return Entry(at_s + number, ClockTrust.SYNCED, str(number % 3), "sale.void", {"sale": f"s{number}", **values})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def file(path: Path) -> Iterator[ShopFile]:
    made = ShopFile(path)
    yield made
    made.close()


@pytest.fixture
def log(file: ShopFile) -> AuditLog:
    made = AuditLog(file)
    for number in range(1, 21):
        made.add(entry(number))
    return made


def test_rows_are_kept_in_order(file: ShopFile) -> None:
    log = AuditLog(file)
    assert log.head() == (0, START) and log.verify() == 0 and list(log.rows()) == []
    log.add(entry(1, thai="ก๋วยเตี๋ยว", count=-5))
    log.write_with((), entry(2), entry(3))
    found = list(log.rows())
    assert [row.number for row in found] == [1, 2, 3] and found[0].entry == entry(1, thai="ก๋วยเตี๋ยว", count=-5)
    assert [row.number for row in log.newest(2)] == [3, 2] and log.head() == (3, found[-1].link)
    assert log.verify() == 3


def test_the_log_outlives_the_program(path: Path) -> None:
    file = ShopFile(path)
    AuditLog(file).add(entry(1))
    file.close()
    again = AuditLog(ShopFile(path))
    again.add(entry(2))
    assert again.verify() == 2


def test_what_was_done_and_its_row_are_there_together_or_not_at_all(file: ShopFile, log: AuditLog) -> None:
    file.has_tables("CREATE TABLE IF NOT EXISTS done (x INTEGER PRIMARY KEY) STRICT")
    log.write_with([("INSERT INTO done VALUES (1)", ())], entry(21))
    assert file.fetch("SELECT x FROM done") == [(1,)] and log.head()[0] == 21
    with pytest.raises(apsw.ConstraintError):
        log.write_with([("INSERT INTO done VALUES (2)", ()), ("INSERT INTO done VALUES (1)", ())], entry(22))
    assert file.fetch("SELECT x FROM done") == [(1,)] and log.head()[0] == 21 and log.verify() == 21


def test_statements_of_an_older_head_are_refused_and_write_nothing(file: ShopFile, log: AuditLog) -> None:
    late = log.statements_for(entry(21))
    log.add(entry(22))
    with pytest.raises(apsw.ConstraintError):
        file.write(late)
    assert log.verify() == 21


def test_who_holds_the_turn_has_nobody_between(file: ShopFile, log: AuditLog) -> None:
    with log.turn:
        mine = log.statements_for(entry(21))
        other = Thread(target=log.add, args=(entry(22),))
        other.start()
        file.write(mine)
    other.join()
    assert [row.entry for row in log.newest(2)] == [entry(22), entry(21)] and log.verify() == 22


def test_threads_share_one_chain(log: AuditLog) -> None:
    def add(first: int) -> None:
        for number in range(10):
            log.add(entry(first + number))

    threads = [Thread(target=add, args=(first,)) for first in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.verify() == 50


def test_a_full_disk_adds_nothing_and_the_chain_goes_on(path: Path) -> None:
    with simulated_disk("audit-full") as disk:
        file = ShopFile(path, disk.name)
        log = AuditLog(file)
        log.add(entry(1))
        disk.faults.is_full = True
        with pytest.raises(StorageFull):
            log.write_with((), *(entry(number, text="x" * 200) for number in range(2, 60)))
        disk.faults.is_full = False
        log.add(entry(2))
        assert log.verify() == 2
        file.close()


# --- what was changed is found


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE audit SET who = '2' WHERE number = 7", "row 7 is not"),
        ("UPDATE audit SET at_s = at_s + 1 WHERE number = 1", "row 1 is not"),
        ("UPDATE audit SET trust = 1 WHERE number = 20", "row 20 is not"),
        ("UPDATE audit SET action = 'sale.paid' WHERE number = 2", "row 2 is not"),
        ("UPDATE audit SET given = replace(given, 's9', 's8') WHERE number = 9", "row 9 is not"),
        ("UPDATE audit SET link = zeroblob(32) WHERE number = 3", "row 3 is not"),
        ("DELETE FROM audit WHERE number = 7", "row 7 is missing"),
        ("DELETE FROM audit WHERE number = 1", "row 1 is missing"),
        ("DELETE FROM audit WHERE number = 20", "row 20 is missing"),
        ("DELETE FROM audit WHERE number > 15", "row 16 is missing"),
        ("DELETE FROM audit", "row 1 is missing"),
        ("UPDATE audit SET number = number + 100 WHERE number > 10", "row 11 is missing"),
        ("UPDATE audit SET number = -1 WHERE number = 5", "row 5 is missing"),
        ("INSERT INTO audit SELECT 21, at_s, trust, who, action, given, link FROM audit WHERE number = 20", "row 21"),
        ("INSERT INTO audit SELECT 40, at_s, trust, who, action, given, link FROM audit WHERE number = 20", "row 40"),
        ("UPDATE audit_ends SET last_link = zeroblob(32)", "row 20 is not"),
        ("UPDATE audit_ends SET first_link = last_link", "row 1 is not"),
    ],
)
def test_each_way_of_changing_it_is_named(file: ShopFile, log: AuditLog, tampering: str, told: str) -> None:
    file.write([(tampering, ())])
    with pytest.raises(AuditLogBroken, match=told):
        log.verify()
    assert len(list(log.rows())) >= 0 and log.newest(5) is not None, "it can still be read"


def test_two_rows_exchanged_are_named(file: ShopFile, log: AuditLog) -> None:
    for old, new in ((4, -4), (5, 4), (-4, 5)):
        file.write([("UPDATE audit SET number = ? WHERE number = ?", (new, old))])
    with pytest.raises(AuditLogBroken, match="row 4 is not"):
        log.verify()


def test_lost_ends_are_damage(file: ShopFile, log: AuditLog) -> None:
    file.write([("DELETE FROM audit_ends", ())])
    for call in (log.verify, log.head, lambda: log.add(entry(1))):
        with pytest.raises(ShopFileDamaged):
            call()


def test_any_byte_of_any_row_that_changes_is_found(
    path: Path, log: AuditLog, file: ShopFile, rng: random.Random
) -> None:
    """Bytes of the rows are changed in the file itself, as a disk or an editor would."""
    file.close()
    sound = path.read_bytes()
    places = [at for number in range(1, 21) for at in _places(sound, f'"s{number}"'.encode())]
    places += [at for row in _links(path) for at in _places(sound, row)]
    assert len(places) >= 40 * 4
    for at in rng.sample(places, 40):
        changed = bytearray(sound)
        changed[at] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        damaged = ShopFile(path)
        with pytest.raises((AuditLogBroken, ShopFileDamaged)):
            AuditLog(damaged).verify()
        damaged.close()


def _places(data: bytes, needle: bytes) -> list[int]:
    at = data.find(needle)
    assert at > 0
    return list(range(at, at + len(needle)))


def _links(path: Path) -> list[bytes]:
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [row[0] for row in reader.execute("SELECT link FROM audit")]
    finally:
        reader.close()


# --- bounds


def test_what_is_too_long_is_cut_and_stops_nothing(file: ShopFile) -> None:
    log = AuditLog(file)
    values = {f"k{n}": "x" * 500 for n in range(40)} | {"n" * 100: 1}
    log.add(Entry(NOW_S, ClockTrust.FLOOR, "9" * 100, "a" * 100, values))
    log.add(Entry(NOW_S, ClockTrust.FLOOR, "\ud800", "a", {"half": "\udfff", "big": 2**80, "none": None, "yes": True}))
    first, second = (row.entry for row in log.rows())
    assert len(first.values) == 16 and set(map(len, map(str, first.values.values()))) == {200}
    assert (len(first.who), len(first.action)) == (40, 40)
    assert second.values == {"half": "?", "big": str(2**80), "none": None, "yes": True} and log.verify() == 2
    assert json.dumps(second.values)


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [
        (1_793_465_999, "2026-09"),  # the last second of October 2569 in Bangkok is still UTC's 31st
        (1_793_466_000, "2026-10"),
        (1_793_466_001, "2026-10"),
    ],
)
def test_months_begin_at_midnight_in_bangkok(at_s: int, expected: str) -> None:
    begin = month_start_s(at_s)
    assert begin <= at_s < begin + 32 * DAY_S and (begin + 7 * 3600) % DAY_S == 0
    assert (month_start_s(at_s) == 1_793_466_000) is (expected == "2026-10")


def test_old_months_go_and_the_chain_stays(file: ShopFile) -> None:
    log = AuditLog(file)
    for number in range(1, 11):
        log.add(entry(number, NOW_S - 500 * DAY_S))
    for number in range(11, 16):
        log.add(entry(number, NOW_S))
    assert log.prune(NOW_S - 200 * DAY_S, ClockTrust.SYNCED) == 0, "none is old enough"
    assert log.prune(NOW_S, ClockTrust.FLOOR) == 0, "the clock may be anywhere"
    assert log.prune(NOW_S, ClockTrust.HOLDOVER) == 10 and log.prune(NOW_S, ClockTrust.SYNCED) == 0
    assert [row.number for row in log.rows()] == [11, 12, 13, 14, 15] and log.verify() == 5
    log.add(entry(16))
    assert log.verify() == 6
    file.write([("UPDATE audit SET who = 'x' WHERE number = 11", ())])
    with pytest.raises(AuditLogBroken, match="row 11"):
        log.verify()


def test_a_newer_row_before_older_ones_holds_them(file: ShopFile) -> None:
    """A clock that jumped ahead for one row: nothing behind it is taken before its time."""
    log = AuditLog(file)
    log.add(entry(1, NOW_S - 500 * DAY_S))
    log.add(entry(2, NOW_S))
    log.add(entry(3, NOW_S - 500 * DAY_S))
    assert log.prune(NOW_S, ClockTrust.SYNCED) == 1 and log.verify() == 2


def test_everything_may_go_and_the_numbers_go_on(file: ShopFile) -> None:
    log = AuditLog(file)
    log.add(entry(1, NOW_S - 500 * DAY_S))
    assert log.prune(NOW_S, ClockTrust.SYNCED) == 1 and log.verify() == 0
    log.add(entry(2))
    assert [row.number for row in log.rows()] == [2] and log.verify() == 1
    file.write([("DELETE FROM audit", ())])
    with pytest.raises(AuditLogBroken, match="row 2 is missing"):
        log.verify()


def test_too_many_rows_go_whatever_the_clock_says(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "ROWS_MAX", 15)
    monkeypatch.setattr(audit_module, "PRUNED_AT_ONCE_MAX", 3)
    monkeypatch.setattr(audit_module, "CHUNK", 4)
    assert [log.prune(0, ClockTrust.FLOOR) for _ in range(3)] == [3, 2, 0]
    assert log.verify() == 15 and next(log.rows()).number == 6
    assert KEPT_DAYS > 366
