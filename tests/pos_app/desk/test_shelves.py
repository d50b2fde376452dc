"""Which goods stand on the cashier's screen. DESIGN §3."""

from pathlib import Path
from random import Random

from pos_app.store.goods import Item
from tests.pos_app.desk.desks import Desk


def shown(desk: Desk) -> tuple[list[str], str, list[str]]:
    """Names of the shelves, which is chosen, and what lies on it."""
    shelves = desk.core.shelves
    return [one.name_th for one in shelves.categories], shelves.chosen, [one.sku for one in shelves.goods]


def test_the_first_goods_that_come_in_are_shown_from_the_first_shelf_on(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    assert desk.desk is not None and shown(desk) == ([], "", [])
    for item in (Item("D1", "ชาเย็น", category="น้ำ", price_satang=2_500), Item("F1", "น้ำปลา", price_satang=3_000)):
        desk.parts.catalogue.put(item)
    desk.desk.goods_changed()
    assert shown(desk) == (["น้ำ", ""], "น้ำ", ["D1"])
    desk.close()


def test_goods_of_no_category_have_a_shelf_behind_the_others(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    assert desk.desk is not None
    desk.parts.catalogue.put(Item("F1", "น้ำปลา", price_satang=3_000))
    desk.desk.goods_changed()
    assert shown(desk) == ([], "", ["F1"]), "without any category there is one shelf, which needs no name"
    desk.parts.catalogue.put(Item("D1", "ชาเย็น", category="น้ำ", price_satang=2_500))
    desk.desk.goods_changed()
    assert shown(desk) == (["น้ำ", ""], "", ["F1"]), "what is on the screen stays there"
    desk.press("category", id="น้ำ")
    assert shown(desk) == (["น้ำ", ""], "น้ำ", ["D1"])
    desk.press("category")
    assert shown(desk) == (["น้ำ", ""], "", ["F1"])
    desk.press("category", id="ไม่มีหมวดนี้")
    assert shown(desk) == (["น้ำ", ""], "น้ำ", ["D1"])
    again = desk.cut(tmp_path / "again")
    assert shown(again) == (["น้ำ", ""], "น้ำ", ["D1"]), "a start shows the first"
    for one in (desk, again):
        one.close()
