"""Goods in the shop's file: found by code, category and any part of a word; written all or nothing."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import BarcodeTaken, CatalogueFull, FileUnusable, ItemUnknown, ItemWrong, StorageFull
from pos_app.store import catalogue as catalogue_module
from pos_app.store.catalogue import PAGE_MAX, Catalogue
from pos_app.store.goods import CATEGORIES_MAX, Category, Item, folded, tidied_item, wrong_in_item
from pos_app.store.shop_file import ShopFile
from simulators.slow_disk import slow_disk
from simulators.storage.disk import simulated_disk

SOUP = Item("N1", "ก๋วยเตี๋ยวน้ำใส", "Clear noodle soup", (), "เส้น", 5_000, sort=1)
DRY = Item("N2", "ก๋วยเตี๋ยวแห้ง", "Dry noodles", (), "เส้น", 5_500, sort=2)
COFFEE = Item("D1", "กาแฟเย็น", "Iced coffee", ("8851959132012",), "น้ำ", 4_000)
TEA = Item("D2", "ชาเย็น", "Thai iced tea", ("96385074", "T-2"), "น้ำ", 3_500, is_vat_exempt=True)
FISH = Item("F1", "ปลาเผา", "Grilled fish", (), "", None)
GOODS = (SOUP, DRY, COFFEE, TEA, FISH)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ShopFile]:
    made = ShopFile(tmp_path / "shop.db")
    yield made
    made.close()


@pytest.fixture(params=["file", "kept"])
def goods(request: pytest.FixtureRequest, file: ShopFile) -> Catalogue:
    """Asked of the file, and of memory: both find the same."""
    made = Catalogue(file)
    if request.param == "kept":
        made.keep()
    made.put_all(GOODS, [Category("น้ำ", "Drinks", 1), Category("เส้น", "Noodles", 2)])
    return made


def skus(items: list[Item]) -> list[str]:
    return [item.sku for item in items]


def test_what_was_put_comes_back_the_same(goods: Catalogue) -> None:
    assert [goods.get(item.sku) for item in GOODS] == list(GOODS)
    assert goods.get("none") is None and goods.count() == goods.count_all() == 5


def test_goods_outlive_the_program(tmp_path: Path) -> None:
    file = ShopFile(tmp_path / "shop.db")
    Catalogue(file).put(SOUP)
    file.close()
    again = Catalogue(ShopFile(tmp_path / "shop.db"))
    assert again.get("N1") == SOUP and skus(again.search("เตี๋ยว")) == ["N1"]


def test_an_item_is_changed_by_its_sku(goods: Catalogue) -> None:
    changed = COFFEE._replace(name_th="กาแฟร้อน", barcodes=("A1",), price_satang=4_500)
    goods.put(changed)
    assert goods.get("D1") == changed and goods.count() == 5
    assert goods.by_barcode("8851959132012") is None and goods.by_barcode("A1") == changed
    assert goods.search("กาแฟเย็น") == [] and skus(goods.search("กาแฟร้อน")) == ["D1"]


@pytest.mark.parametrize(
    ("code", "sku"),
    [
        ("8851959132012", "D1"),
        (" 8851959132012\r\n", "D1"),
        ("96385074", "D2"),
        ("T-2", "D2"),
        ("t-2", None),
        ("885195913201", None),
        ("", None),
        ("\ud800", None),
        ("' OR 1=1 --", None),
        ("9" * 5_000, None),
    ],
)
def test_barcodes_are_looked_up_whole(goods: Catalogue, code: str, sku: str | None) -> None:
    found = goods.by_barcode(code)
    assert (None if found is None else found.sku) == sku


@pytest.mark.parametrize("scanned", ["036000291452", "0036000291452"])
@pytest.mark.parametrize("written", ["036000291452", "0036000291452"])
def test_a_upc_is_found_as_scanners_send_it(goods: Catalogue, written: str, scanned: str) -> None:
    goods.put(Item("U1", "ชีส", barcodes=(written,), price_satang=100))
    found = goods.by_barcode(scanned)
    assert found is not None and found.sku == "U1" and skus(goods.search(scanned)) == ["U1"]


def test_a_retired_item_is_found_by_code_alone(goods: Catalogue) -> None:
    retired = goods.retire("D1")
    assert retired == COFFEE._replace(is_active=False) and goods.by_barcode("8851959132012") == retired
    assert goods.search("กาแฟ") == [] and skus(goods.in_category("น้ำ")) == ["D2"]
    assert (goods.count(), goods.count_all()) == (4, 5)
    with pytest.raises(ItemUnknown):
        goods.retire("D9")


def test_categories_with_something_in_them_stand_in_their_order(goods: Catalogue) -> None:
    assert goods.categories() == [Category("น้ำ", "Drinks", 1), Category("เส้น", "Noodles", 2)]
    goods.put(Item("S1", "ขนมครก", category="ขนม", price_satang=100))
    assert goods.categories()[-1] == Category("ขนม", "", 3), "one that is new comes last"
    goods.retire("S1")
    assert len(goods.categories()) == 2 and len(goods.all_categories()) == 3
    assert skus(goods.in_category("เส้น")) == ["N1", "N2"] and skus(goods.in_category("")) == ["F1"]
    assert skus(goods.in_category("เส้น", 1)) == ["N1"] and goods.in_category("เส้น", -1) == []


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ก๋วย", ["N1", "N2"]),
        ("เตี๋ยว", ["N1", "N2"]),  # inside a word: Thai has no spaces
        ("เตี๋ยว แห้ง", ["N2"]),
        ("แห้ง เตี๋ยว", ["N2"]),
        ("เเห้ง", ["N2"]),  # two letters that look like one
        ("น\u0e4d\u0e49\u0e32ใส", ["N1"]),
        ("เย็น", ["D1", "D2"]),
        ("ชา", ["D2"]),  # two letters
        ("เ", ["D1", "D2", "F1", "N1", "N2"]),
        ("iced", ["D1", "D2"]),
        ("ICED TEA", ["D2"]),
        ("noo", ["N2", "N1"]),
        ("D1", ["D1"]),
        ("8851959132012", ["D1"]),
        ("9132", ["D1"]),
        ("๙๑๓๒", ["D1"]),
        ("t-2", ["D2"]),
        ("ไม่มี", []),
        ("", []),
        ("   ", []),
        ("\u200b", []),
    ],
)
def test_search(goods: Catalogue, typed: str, found: list[str]) -> None:
    assert sorted(skus(goods.search(typed))) == sorted(found)


def test_exact_comes_before_beginning_before_inside(goods: Catalogue) -> None:
    goods.put_all(
        [
            Item("X1", "ต้มยำกุ้ง", price_satang=1),
            Item("X2", "กุ้งเผา", price_satang=1),
            Item("X3", "กุ้ง", price_satang=1),
            Item("X4", "ข้าวผัด กุ้งสด", price_satang=1),
        ]
    )
    assert skus(goods.search("กุ้ง")) == ["X3", "X2", "X4", "X1"]
    assert skus(goods.search("กุ้ง", 2)) == ["X3", "X2"]


@pytest.mark.parametrize(
    "typed",
    ['"', '""', "'", "*", "a*", "NEAR(", "a OR b", "AND", "col:x", "^a", "-a", "(", ")", "+", "%", "_%_", "\\", ";--",
     "\x00", "abc\x00def", "\ud83d", "{x y}:", '"; DROP TABLE item; --', "👨‍👩‍👧", "a" * 100_000, '"""' * 50]
)  # fmt: skip
def test_hostile_words_are_only_words(goods: Catalogue, typed: str) -> None:
    assert goods.search(typed) == goods.search(typed, PAGE_MAX)
    assert goods.count() == 5


@given(st.text(max_size=30), st.text(max_size=20))
def test_whatever_is_in_a_name_is_found_by_any_part_of_it(name: str, typed: str) -> None:
    goods = _shared()
    words = folded(name).split()[:1]
    item = Item("H1", "ก" + name[:60], price_satang=1)
    try:
        goods.put(item)
    except ItemWrong:
        return
    found = skus(goods.search(" ".join(words))) if words else ["H1"]
    assert "H1" in found
    is_within = bool(folded(typed)) and all(
        word in folded(item.name_th) or word in folded("H1") for word in folded(typed).split()
    )
    assert ("H1" in skus(goods.search(typed))) is is_within


_OPEN: dict[str, Catalogue] = {}


def _shared() -> Catalogue:
    if "file" not in _OPEN:
        _OPEN["file"] = Catalogue(ShopFile(":memory:"))
    return _OPEN["file"]


@pytest.mark.parametrize(
    "bad",
    [
        SOUP._replace(price_satang=0),
        SOUP._replace(name_th="", name_en=" "),
        SOUP._replace(barcodes=("8851959132013",)),
        SOUP._replace(category="x\u202e"),
    ],
)
def test_a_wrong_item_writes_nothing(goods: Catalogue, bad: Item) -> None:
    with pytest.raises(ItemWrong):
        goods.put_all([Item("Z1", "ใหม่", price_satang=1), bad])
    assert goods.get("Z1") is None and goods.get("N1") == SOUP


def test_a_barcode_belongs_to_one_item(goods: Catalogue) -> None:
    with pytest.raises(BarcodeTaken):
        goods.put_all([Item("Z1", "ใหม่", price_satang=1), Item("Z2", "อีก", barcodes=("T-2",), price_satang=1)])
    assert goods.get("Z1") is None and goods.by_barcode("T-2") == TEA
    goods.put_all([Item("Z2", "อีก", barcodes=("T-2",), price_satang=1), TEA._replace(barcodes=())])
    moved = goods.by_barcode("T-2")
    assert moved is not None and moved.sku == "Z2", "it may move in one write"


def test_the_catalogue_has_an_end(file: ShopFile, monkeypatch: pytest.MonkeyPatch) -> None:
    goods = Catalogue(file)
    monkeypatch.setattr(catalogue_module, "ITEMS_MAX", 3)
    goods.put_all([Item(f"I{n}", "ก", price_satang=1) for n in range(3)])
    goods.put(Item("I1", "ข", price_satang=1))
    with pytest.raises(CatalogueFull):
        goods.put(Item("I3", "ก", price_satang=1))
    goods.put_all([Item("I2", "ค", category=f"c{n}", price_satang=1) for n in range(CATEGORIES_MAX)])
    with pytest.raises(CatalogueFull):
        goods.put(Item("I2", "ค", category="one more", price_satang=1))


def test_everything_comes_in_order_across_pieces(file: ShopFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_module, "CHUNK", 4)
    goods = Catalogue(file)
    made = [Item(f"I{n:02}", "ก", category=("ข", "", "ก")[n % 3], price_satang=1, sort=n % 2) for n in range(30)]
    goods.put_all(made, [Category("ข", "", 1), Category("ก", "", 2)])
    found = list(goods.everything())
    order = {"ข": 1, "ก": 2, "": 3}
    assert found == sorted(made, key=lambda item: (order[item.category], item.sort, item.sku))


# --- in memory


def test_what_is_kept_asks_the_disk_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    file = ShopFile(path)
    goods = Catalogue(file)
    goods.put_all(GOODS, [Category("น้ำ", "Drinks", 1)])
    goods.keep()
    file.close()
    path.unlink()
    path.mkdir()  # whoever asks the file now is refused
    assert goods.get("D1") == goods.by_barcode("8851959132012") == COFFEE and skus(goods.search("เย็น")) == ["D1", "D2"]
    assert skus(goods.in_category("น้ำ")) == ["D1", "D2"] and [one.name_th for one in goods.categories()] == [
        "น้ำ",
        "เส้น",
    ]
    with pytest.raises(FileUnusable):
        goods.count()


def test_no_lookup_waits_for_a_disk_that_is_writing(tmp_path: Path) -> None:
    with slow_disk(sync_ms=0) as disk:
        file = ShopFile(tmp_path / "shop.db", disk.name)
        goods = Catalogue(file)
        goods.put(COFFEE)
        goods.keep()
        disk.sync_ms = 350
        writer = Thread(target=lambda: goods.put(TEA))
        writer.start()
        lookups = [_lookup_s(goods) for _ in iter(writer.is_alive, False)]
        assert max(lookups) < 0.25 and len(lookups) > 10
        disk.sync_ms = 0
        assert goods.by_barcode("T-2") == TEA
        file.close()


def _lookup_s(goods: Catalogue) -> float:
    begun = perf_counter()
    assert goods.by_barcode("8851959132012") == COFFEE and goods.search("กาแฟ") == [COFFEE]
    return perf_counter() - begun


def test_a_write_that_failed_leaves_nothing_in_memory_that_is_not_on_the_disk(tmp_path: Path) -> None:
    with simulated_disk("goods-kept") as disk:
        file = ShopFile(tmp_path / "shop.db", disk.name)
        goods = Catalogue(file)
        goods.put(SOUP)
        goods.keep()
        disk.faults.is_full = True
        with pytest.raises(StorageFull):
            goods.put_all([SOUP._replace(name_th="x" * 60 + str(n), sku=f"N{n}") for n in range(400)])
        assert goods.get("N1") == SOUP and goods.get("N7") is None
        disk.faults.is_full = False
        goods.put(DRY)
        assert goods.get("N2") == DRY
        file.close()


def test_more_than_memory_may_hold_is_asked_of_the_file(file: ShopFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_module, "KEPT_ITEMS_MAX", 5)
    goods = Catalogue(file)
    goods.put_all(GOODS)
    goods.keep()
    assert file.fetch("SELECT count(*) FROM item") == [(5,)] and skus(goods.search("เย็น")) == ["D1", "D2"]
    goods.put(Item("Z", "ชาเย็น", price_satang=1))
    assert skus(goods.search("ชาเย็น")) == ["D2", "Z"]
    goods.keep()
    assert skus(goods.search("ชาเย็น")) == ["D2", "Z"]


NAMES = st.lists(st.text(st.sampled_from("กขเแ้ำ abAB1๑-"), min_size=1, max_size=8), min_size=1, max_size=8)


@given(NAMES, st.text(st.sampled_from("กขเแ้ำ abAB1๑-"), max_size=4))
def test_memory_and_file_find_the_same_in_the_same_order(names: list[str], typed: str) -> None:
    asked, kept = Catalogue(ShopFile(":memory:")), Catalogue(ShopFile(":memory:"))
    kept.keep()
    for number, name in enumerate(names):
        item = Item(f"S{number}", name, category=name[:1].strip(), price_satang=1, sort=number % 2)
        if wrong_in_item(tidied_item(item)) is None:
            asked.put(item)
            kept.put(item)
    assert kept.search(typed) == asked.search(typed) and kept.categories() == asked.categories()
    assert [kept.in_category(one.name_th) for one in kept.categories()] == [
        asked.in_category(one.name_th) for one in asked.categories()
    ]
