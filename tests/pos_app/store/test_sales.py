"""Sales in the shop's file: found by name, number and state, newest first, and never without end. DESIGN §2, §6."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import ShopFileDamaged
from pos_app.counter.basket import Basket, Goods, with_goods
from pos_app.counter.sale_record import SaleRecord, SaleState
from pos_app.store.sales import LISTED_MAX, PRUNE_ROWS_MAX, Sales
from pos_app.store.shop_file import ShopFile

BASKET = with_goods(Basket(), Goods("n1", "ก๋วยเตี๋ยว", "Noodles", 4_500))


def sale(name: str, state: SaleState = SaleState.CLOSED, number: int = 0, at_s: int = 100) -> SaleRecord:
    return SaleRecord(name, state, number, at_s, basket=BASKET)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ShopFile]:
    made = ShopFile(tmp_path / "shop.db")
    yield made
    made.close()


def names(found: list[SaleRecord]) -> list[str]:
    return [one.sale for one in found]


def test_a_sale_is_found_by_its_name_and_its_receipt(file: ShopFile) -> None:
    sales, one = Sales(file), sale("a", number=7)
    sales.save(one, sale("b"))
    assert sales.get("a") == one == sales.by_number(7)
    assert sales.get("c") is None and sales.by_number(8) is None
    assert sales.by_number(0) is None, "no number is no receipt"
    sales.save(one._replace(label="x"))
    assert sales.get("a") == one._replace(label="x")


def test_all_of_one_save_is_there_after_a_restart(file: ShopFile, tmp_path: Path) -> None:
    Sales(file).save(sale("a", SaleState.OPEN), sale("b", SaleState.HELD))
    file.close()
    again = ShopFile(tmp_path / "shop.db")
    assert Sales(again).on_counter() == [sale("a", SaleState.OPEN)]
    assert names(Sales(again).held()) == ["b"]
    again.close()


def test_each_state_is_in_its_own_list(file: ShopFile) -> None:
    sales = Sales(file)
    sales.save(*(sale(state.name, state, number=int(state)) for state in SaleState))
    assert names(sales.on_counter()) == ["OPEN"]
    assert names(sales.held()) == ["HELD"]
    assert names(sales.receipts()) == ["CLOSED"]


def test_those_put_aside_are_listed_oldest_first(file: ShopFile) -> None:
    sales = Sales(file)
    sales.save(*(sale(f"h{at_s}", SaleState.HELD, at_s=at_s) for at_s in (30, 10, 20)))
    assert names(sales.held()) == ["h10", "h20", "h30"]


def test_receipts_come_newest_first_in_pages(file: ShopFile) -> None:
    sales = Sales(file)
    sales.save(*(sale(f"s{number}", number=number) for number in range(1, LISTED_MAX + 11)))
    newest = sales.receipts()
    assert [one.number for one in newest] == list(range(LISTED_MAX + 10, 10, -1))
    assert [one.number for one in sales.receipts(before=11)] == list(range(10, 0, -1))
    assert [one.number for one in sales.receipts(before=3, limit=1)] == [2]
    assert len(sales.receipts(limit=LISTED_MAX + 5)) == LISTED_MAX


def test_only_what_is_closed_and_old_is_forgotten_step_by_step(file: ShopFile) -> None:
    sales = Sales(file)
    sales.save(*(sale(state.name, state, number=int(state), at_s=99) for state in SaleState), sale("new", at_s=100))
    sales.forget_before(100)
    left = [one for one in (*SaleState.__members__, "new") if sales.get(one) is not None]
    assert left == ["OPEN", "HELD", "new"]
    sales.save(*(sale(f"s{number}", number=number) for number in range(1, PRUNE_ROWS_MAX + 3)))
    sales.forget_before(101)
    assert len(sales.receipts()) in (2, 3) and sales.get("OPEN") is not None


def test_a_row_that_was_spoiled_is_a_damaged_file(file: ShopFile) -> None:
    sales = Sales(file)
    sales.save(sale("a", number=1))
    file.write([("UPDATE sales SET body = ?", (b"{",))])
    for look in (lambda: sales.get("a"), lambda: sales.by_number(1)):
        with pytest.raises(ShopFileDamaged):
            look()


def test_a_record_that_cannot_be_read_is_left_out_and_told(file: ShopFile) -> None:
    sales = Sales(file)
    sales.save(sale("a", SaleState.HELD, at_s=1), sale("b", SaleState.HELD, at_s=2))
    assert sales.damage is None
    file.write([("UPDATE sales SET body = ? WHERE sale = 'a'", (b"{",))])
    assert names(sales.held()) == ["b"]
    assert sales.damage is not None and "a" in sales.damage.detail
    with pytest.raises(ShopFileDamaged):
        sales.get("a")
