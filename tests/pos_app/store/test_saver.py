"""Baskets written behind the cashier's back: none is lost to a disk that refuses, none comes late. DESIGN §10."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from offline_ledger.errors import Refusal, StorageFailed, StorageFull, WorkFailed
from pos_app.counter.sale_record import SaleRecord, SaleState
from pos_app.store import saver as saver_module
from pos_app.store.sales import Sales
from pos_app.store.saver import Saver
from pos_app.store.shop_file import ShopFile

WAIT_S = 5.0


class Disk:
    """Keeps what is saved; refuses or hangs when told."""

    def __init__(self) -> None:
        self.refuses: Refusal | None = None
        self.goes_on = Event()
        self.goes_on.set()
        self.has_begun = Event()
        self.kept: dict[str, SaleRecord] = {}
        self.writes: list[list[str]] = []
        self.tries = 0

    def save(self, *records: SaleRecord) -> None:
        self.tries += 1
        self.has_begun.set()
        assert self.goes_on.wait(WAIT_S)
        if self.refuses is not None:
            raise self.refuses
        self.kept |= {record.sale: record for record in records}
        self.writes.append([record.sale for record in records])


class Told:
    """What was heard of each write."""

    def __init__(self) -> None:
        self.said: list[Refusal | None] = []
        self.any = Event()

    def __call__(self, refusal: Refusal | None) -> None:
        self.said.append(refusal)
        self.any.set()


Parts = tuple[Saver, Disk, Told]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    monkeypatch.setattr(saver_module, "RETRY_S", 0.01)
    disk, told = Disk(), Told()
    made = Saver(disk.save, told)
    yield made, disk, told
    disk.refuses = None
    disk.goes_on.set()
    made.close()


def until(is_so: Callable[[], bool], told: Told) -> None:
    while not is_so():
        assert told.any.wait(WAIT_S)
        told.any.clear()


A, B = SaleRecord("a", at_s=1), SaleRecord("b", at_s=2)


def test_what_comes_later_is_written_and_the_newest_state_wins(parts: Parts) -> None:
    saver, disk, told = parts
    disk.goes_on.clear()
    saver.later(A)
    assert disk.has_begun.wait(WAIT_S)
    for at_s in range(10):
        saver.later(B._replace(at_s=at_s))  # the disk is slow, and nobody waits
    disk.goes_on.set()
    until(lambda: "b" in disk.kept, told)
    assert disk.writes == [["a"], ["b"]] and disk.kept["b"].at_s == 9


def test_now_is_durable_with_all_that_waited_in_one_write(parts: Parts) -> None:
    saver, disk, _told = parts
    disk.goes_on.clear()
    saver.later(SaleRecord("first"))
    assert disk.has_begun.wait(WAIT_S)
    saver.later(A)
    saver.later(B)
    disk.goes_on.set()
    saver.now(B._replace(at_s=3))
    assert disk.kept["a"] == A and disk.kept["b"].at_s == 3
    assert set(disk.writes[-1]) in ({"a", "b"}, {"b"}), "unless the saver was there before"


def test_now_without_records_writes_what_waited_or_nothing(parts: Parts) -> None:
    saver, disk, _told = parts
    saver.now()
    assert disk.tries == 0
    saver.later(A)
    saver.now()
    assert disk.kept == {"a": A}


@pytest.mark.parametrize("refusal", [StorageFull("full"), StorageFailed("broken")])
def test_a_disk_that_refuses_loses_nothing(parts: Parts, refusal: Refusal) -> None:
    saver, disk, told = parts
    disk.refuses = refusal
    saver.later(A._replace(state=SaleState.CLOSED))
    until(lambda: refusal in told.said, told)
    with pytest.raises(type(refusal)):
        saver.now(B)
    assert not disk.kept
    disk.refuses = None
    until(lambda: "a" in disk.kept, told)
    assert disk.kept == {"a": A._replace(state=SaleState.CLOSED)}, "what was refused to its caller is the caller's"
    until(lambda: told.said[-1] is None, told)


def test_the_newest_state_wins_over_one_that_was_put_back(parts: Parts) -> None:
    saver, disk, told = parts
    disk.refuses = StorageFailed("broken")
    saver.later(A)
    until(lambda: bool(told.said), told)
    saver.later(A._replace(at_s=9))
    disk.refuses = None
    saver.now(B)
    assert disk.kept["a"].at_s == 9


def test_closing_writes_what_waits(parts: Parts) -> None:
    saver, disk, _told = parts
    saver.later(A)
    saver.close()
    assert disk.kept == {"a": A}


def test_closing_ends_on_a_disk_that_refuses(parts: Parts) -> None:
    saver, disk, told = parts
    disk.refuses = StorageFailed("broken")
    saver.later(A)
    saver.close()
    assert told.said and not disk.kept
    assert disk.tries < 1_000


# --- a basket that cannot be written, on a real file

POISON = SaleRecord("half of a pair \ud800")
"""SQLite cannot hold it: no refusal of the disk's, but a ValueError."""


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Saver, Sales, Told]]:
    monkeypatch.setattr(saver_module, "RETRY_S", 0.01)
    file, told = ShopFile(tmp_path / "shop.db"), Told()
    sales = Sales(file)
    made = Saver(sales.save, told)
    yield made, sales, told
    made.close()
    file.close()


def held(sale: str) -> SaleRecord:
    return SaleRecord(sale, state=SaleState.HELD, at_s=1)


def test_a_basket_that_cannot_be_written_keeps_no_other_from_the_disk(real: tuple[Saver, Sales, Told]) -> None:
    saver, sales, told = real
    saver.later(POISON)
    until(lambda: bool(told.said), told)
    fault = told.said[0]
    assert isinstance(fault, WorkFailed) and "UnicodeEncodeError" in fault.detail
    saver.later(held("a"))
    until(lambda: len(sales.held()) == 1, told)
    assert saver.left_out == 1 and told.said[-1] is fault, "it stands"


def test_sales_are_paid_beside_baskets_that_cannot_be_written(real: tuple[Saver, Sales, Told]) -> None:
    """Whether the thread or the sale that is paid comes upon it first: many times, both."""
    saver, sales, told = real
    for number in range(40):
        saver.later(POISON._replace(sale=f"{number} {POISON.sale}"))
        saver.later(held(f"waits {number}"))
        saver.now(held(f"paid {number}"))
        assert f"paid {number}" in {sale.sale for sale in sales.held()}, "durable when it returns"
    until(lambda: len(sales.held()) == 80 and saver.left_out == 40, told)


def test_one_that_is_to_be_durable_and_cannot_be_written_is_refused(real: tuple[Saver, Sales, Told]) -> None:
    saver, sales, _told = real
    for records in ((POISON,), (held("a"), POISON)):
        with pytest.raises(WorkFailed, match="1973"):
            saver.now(*records)
    assert not sales.held(), "all of it or nothing"
    saver.now(held("b"))
    assert [sale.sale for sale in sales.held()] == ["b"]
