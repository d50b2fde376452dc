"""Small writes behind the cashier's back: in order, none dropped, and an end that comes. DESIGN §10."""

from pathlib import Path
from threading import Event, Thread

from offline_ledger.errors import Refusal, StorageFailed, WorkFailed
from offline_ledger.protocol.device import ClockTrust
from pos_app.behind import WAITING_MAX, Behind, BehindHealth, work_failed
from pos_app.store.audit_log import AuditLog, Entry
from pos_app.store.shop_file import ShopFile

WAIT_S = 5.0


def test_jobs_are_done_in_their_order_and_each_is_told() -> None:
    said: list[Refusal | None] = []
    done: list[int] = []
    failure = StorageFailed("broken")

    def fail() -> None:
        raise failure

    behind = Behind(said.append)
    for number in range(5):
        behind.do(lambda number=number: done.append(number))
    behind.do(fail)
    behind.do(lambda: done.append(5))
    behind.close()
    assert done == [0, 1, 2, 3, 4, 5]
    assert said == [None] * 5 + [failure, None]


def test_who_adds_to_a_full_queue_waits_and_nothing_is_dropped() -> None:
    done: list[int] = []
    begun, goes_on, all_in = Event(), Event(), Event()
    behind = Behind(lambda _refusal: None)

    def slow() -> None:
        begun.set()
        assert goes_on.wait(WAIT_S)

    behind.do(slow)
    assert begun.wait(WAIT_S)

    def add() -> None:
        for number in range(WAITING_MAX + 2):
            behind.do(lambda number=number: done.append(number))
        all_in.set()

    adder = Thread(target=add)
    adder.start()
    assert not all_in.wait(0.05) and not done
    goes_on.set()
    adder.join(WAIT_S)
    behind.close()
    assert done == list(range(WAITING_MAX + 2))


def test_a_disk_that_hangs_with_a_full_queue_keeps_nobody_from_ending() -> None:
    goes_on, begun = Event(), Event()
    behind = Behind(lambda _refusal: None, close_s=0.05)

    def hang() -> None:
        begun.set()
        assert goes_on.wait(WAIT_S)

    behind.do(hang)
    assert begun.wait(WAIT_S)
    for _ in range(WAITING_MAX):
        behind.do(lambda: None)
    behind.close()  # comes back, though nothing was taken
    goes_on.set()


def test_a_fault_that_nobody_foresaw_is_told_by_number_and_the_next_job_is_done(tmp_path: Path) -> None:
    """The real log on a real file that somebody has changed by hand: its end says that rows which are there are not."""
    file = ShopFile(tmp_path / "shop.db")
    log = AuditLog(file)
    said: list[Refusal | None] = []
    behind = Behind(said.append)
    behind.do(lambda: log.add(Entry(1, ClockTrust.SYNCED, "01", "first")))
    behind.do(lambda: file.write([("UPDATE audit_ends SET last_number = 0, last_link = zeroblob(32)", ())]))
    behind.do(lambda: log.add(Entry(2, ClockTrust.SYNCED, "01", "lost")))
    behind.do(lambda: file.write([("DELETE FROM audit", ())]))
    behind.do(lambda: log.add(Entry(3, ClockTrust.SYNCED, "01", "after")))
    behind.close()
    assert [row.entry.action for row in log.rows()] == ["after"]
    assert said[:2] == [None, None]
    fault = said[2]
    assert isinstance(fault, WorkFailed) and fault.number == 1973
    assert "ConstraintError" in fault.detail and "one_writer_file.py:" in fault.detail, "what, and where in the program"
    assert said[3:] == [fault, fault], "it stands: a row is lost, and no later one brings it back"
    assert behind.health() == BehindHealth(waiting=0, done=4, refused=0, failed=1)
    file.close()


def test_one_that_cannot_be_told_stops_nothing() -> None:
    done: list[int] = []

    def tell(_refusal: Refusal | None) -> None:
        raise OSError("nobody reads standard output")

    behind = Behind(tell)
    for number in range(3):
        behind.do(lambda number=number: done.append(number))
    behind.close()
    assert done == [0, 1, 2] and behind.health().failed == 3


def test_the_word_of_a_fault_is_short_and_on_one_line() -> None:
    try:
        raise ValueError("a\nb\ud800" + "x" * 10_000)
    except ValueError as error:
        detail = work_failed(error).detail
    assert detail.startswith("ValueError: a b") and len(detail) < 300 and detail.isprintable()
