"""The print queue in the shop's file: durable, bounded, marked when in doubt, found by number."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from offline_ledger.errors import PrinterHanging, PrintQueueFull, ReceiptNotKept, ReceiptUnreadable
from offline_ledger.rules.limits import DAY_S
from pos_app.paper.receipt import Receipt, ReceiptKind, Shop
from pos_app.store import print_queue
from pos_app.store.print_queue import KEPT_DAYS, TRIES_MAX, Counts, JobState, PrintQueue
from pos_app.store.shop_file import ShopFile

START_S = 1_795_312_345
EMPTY = Counts(0, 0, 0)


def receipt(number: str, **more: bool) -> Receipt:
    return Receipt(ReceiptKind.SALE, Shop("ร้าน"), number, START_S)._replace(**more)


class Kept:
    """The file and a clock that is told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.db"
        self.now_s = START_S
        self.open()

    def open(self) -> None:
        self.file = ShopFile(self.path)
        self.queue = PrintQueue(self.file, lambda: self.now_s)

    def reopen(self) -> PrintQueue:
        self.file.close()
        self.open()
        return self.queue

    def print_one(self) -> None:
        job = self.queue.next()
        assert job is not None and self.queue.begin(job)
        self.queue.printed(job)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.file.close()


def test_what_was_added_is_there_after_a_restart_in_order(kept: Kept) -> None:
    ids = [kept.queue.add(receipt(number)) for number in ("1", "2", "3")]
    queue = kept.reopen()
    assert [job.id for job in reversed(queue.jobs())] == ids and queue.counts() == Counts(3, 0, 0)
    job = queue.next()
    assert job is not None and (job.number, job.tries, job.is_doubtful) == ("1", 0, False)
    assert queue.receipt(job) == receipt("1")


def test_numbers_of_jobs_are_never_given_twice(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(print_queue, "KEPT_MIN", 0)
    first = kept.queue.add(receipt("1"))
    kept.print_one()
    kept.now_s += (KEPT_DAYS + 1) * DAY_S
    queue = kept.reopen()
    assert queue.jobs() == [] and queue.add(receipt("2")) == first + 1


@pytest.mark.parametrize("tries", range(1, TRIES_MAX + 1))
def test_a_job_under_way_at_a_power_cut_waits_again_in_doubt(kept: Kept, tries: int) -> None:
    kept.queue.add(receipt("1"))
    for _ in range(tries):
        job = kept.queue.next()
        assert job is not None and kept.queue.begin(job)
        assert kept.queue.counts() == Counts(0, 1, 0) and kept.queue.next() is None
        kept.reopen()
    if tries < TRIES_MAX:
        job = kept.queue.next()
        assert job is not None and job.is_doubtful and job.tries == tries
        assert kept.queue.receipt(job) == receipt("1", is_doubtful=True)
        assert kept.queue.find("1") == receipt("1"), "the doubt is the paper's, not the receipt's"
    else:
        assert kept.queue.next() is None and kept.queue.counts() == Counts(0, 0, 1)


@pytest.mark.parametrize("tries", range(1, TRIES_MAX + 1))
def test_a_print_that_broke_off_waits_again_in_doubt(kept: Kept, tries: int) -> None:
    kept.queue.add(receipt("1"))
    for _ in range(tries):
        job = kept.queue.next()
        assert job is not None and kept.queue.begin(job)
        kept.queue.put_back(job, PrinterHanging())
    (job,) = kept.queue.jobs()
    assert job.is_doubtful and job.refusal == 6099
    assert job.state is (JobState.FAILED if tries == TRIES_MAX else JobState.WAITING)


def test_each_state_is_kept_over_a_restart(kept: Kept) -> None:
    for number in ("printed", "failed", "dropped", "waiting"):
        kept.queue.add(receipt(number))
    kept.print_one()
    job = kept.queue.next()
    assert job is not None
    kept.queue.failed(job, ReceiptUnreadable())
    assert kept.queue.drop(job.id + 1) == 1
    kept.queue.add(receipt("kept"), is_kept_only=True)
    found = {job.number: job.state.value for job in kept.reopen().jobs()}
    assert found == {number: number for number in ("printed", "failed", "dropped", "waiting")} | {"kept": "dropped"}
    assert kept.queue.counts() == Counts(1, 0, 1)
    assert kept.queue.drop() == 2 and kept.queue.counts() == EMPTY


def test_a_job_that_was_dropped_is_not_begun(kept: Kept) -> None:
    kept.queue.add(receipt("1"))
    job = kept.queue.next()
    assert job is not None and kept.queue.drop() == 1
    assert not kept.queue.begin(job) and kept.queue.counts() == EMPTY
    assert kept.queue.drop() == 0 and kept.queue.drop(99) == 0


def test_one_under_way_cannot_be_dropped(kept: Kept) -> None:
    kept.queue.add(receipt("1"))
    job = kept.queue.next()
    assert job is not None and kept.queue.begin(job)
    assert kept.queue.drop() == 0 and not kept.queue.begin(job)
    kept.queue.printed(job)
    assert kept.queue.counts() == EMPTY


def test_the_queue_is_bounded(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(print_queue, "QUEUE_MAX", 3)
    for number in "123":
        kept.queue.add(receipt(number))
    with pytest.raises(PrintQueueFull, match="1970"):
        kept.queue.add(receipt("4"))
    kept.queue.add(receipt("5"), is_kept_only=True)
    kept.print_one()
    assert kept.queue.add(receipt("4")) == 5


def test_a_receipt_is_found_by_its_number_as_it_was_first(kept: Kept) -> None:
    kept.queue.add(receipt("7", is_copy=True))
    kept.queue.add(receipt("7"))
    kept.queue.add(receipt("7", is_copy=True))
    kept.queue.add(receipt(""))
    assert kept.queue.find("7") == receipt("7")
    for unknown in ("8", "", "%", "7 "):
        with pytest.raises(ReceiptNotKept, match="1971"):
            kept.queue.find(unknown)


def test_a_report_never_passes_for_the_sale_of_its_number(kept: Kept) -> None:
    z, x = (receipt("7")._replace(kind=kind) for kind in (ReceiptKind.Z_REPORT, ReceiptKind.X_REPORT))
    kept.queue.add(z)
    kept.queue.add(x)
    with pytest.raises(ReceiptNotKept):
        kept.queue.find("7")
    void = receipt("7")._replace(kind=ReceiptKind.VOID)
    kept.queue.add(void)
    assert kept.queue.find("7") == kept.queue.find("7", ReceiptKind.REFUND) == void
    assert kept.queue.find("7", ReceiptKind.Z_REPORT) == z and kept.queue.find("7", ReceiptKind.X_REPORT) == x
    with pytest.raises(ReceiptNotKept):
        kept.queue.find("z_report 7 ")


def test_a_damaged_row_is_refused(kept: Kept) -> None:
    kept.queue.add(receipt("1"))
    kept.file.write([("UPDATE print_jobs SET receipt = 'x'", ())])
    job = kept.queue.next()
    assert job is not None
    for read in (lambda: kept.queue.receipt(job), lambda: kept.queue.find("1")):
        with pytest.raises(ReceiptUnreadable, match="1972"):
            read()
    kept.file.write([("DELETE FROM print_jobs", ())])
    with pytest.raises(ReceiptUnreadable, match="it is gone"):
        kept.queue.receipt(job)
    assert not kept.queue.begin(job)


def test_what_cannot_be_read_again_is_not_added(kept: Kept) -> None:
    with pytest.raises(ReceiptUnreadable):
        kept.queue.add(receipt("x" * 2_000))
    assert kept.queue.counts() == EMPTY and kept.queue.add(receipt("1")) == 1


@pytest.mark.parametrize(("age_s", "stays"), [(KEPT_DAYS * DAY_S, True), (KEPT_DAYS * DAY_S + 1, False)])
def test_old_ones_are_forgotten(kept: Kept, monkeypatch: pytest.MonkeyPatch, age_s: int, stays: bool) -> None:
    monkeypatch.setattr(print_queue, "KEPT_MIN", 1)
    for number in ("old", "waits", "newest"):
        kept.queue.add(receipt(number))
    kept.print_one()
    kept.now_s += age_s
    kept.queue.prune()
    assert [job.number for job in kept.queue.jobs()] == ["newest", "waits"] + ["old"] * stays


def test_a_clock_that_jumped_forgets_neither_the_newest_nor_what_waits(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(print_queue, "KEPT_MIN", 2)
    for number in "12345":
        kept.queue.add(receipt(number))
    for _ in range(4):
        kept.print_one()
    kept.now_s += 3_650 * DAY_S
    kept.queue.prune()
    assert [job.number for job in kept.queue.jobs()] == ["5", "4"]
    kept.now_s = 0
    kept.queue.prune()
    assert len(kept.queue.jobs()) == 2


def test_never_more_are_kept_than_the_disk_can_bear(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(print_queue, "KEPT_MAX", 10)
    monkeypatch.setattr(print_queue, "PRUNE_EVERY", 5)
    for number in range(40):
        kept.queue.add(receipt(str(number)))
        kept.print_one()
    assert 10 <= len(kept.queue.jobs()) <= 15


def test_many_threads_may_add_at_once(kept: Kept) -> None:
    ids: list[int] = []

    def add_some(first: int) -> None:
        ids.extend(kept.queue.add(receipt(str(first + at))) for at in range(10))

    threads = [Thread(target=add_some, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == list(range(1, 31)) and kept.queue.counts().waiting == 30
