"""`catalogue_search`: what a cashier types, among 20,000 goods with Thai names. Budget: p95 < 50 ms. DESIGN §10."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import perf_counter_ns

from pos_app.store.catalogue import Catalogue
from pos_app.store.goods import Item, check_digit
from pos_app.store.shop_file import ShopFile
from tests.bench.measure import Row, row_of

ITEMS = 20_000
ROUNDS = 200
PAGE = 40
FIRST = ("กาแฟ", "ชา", "น้ำ", "ข้าว", "ก๋วยเตี๋ยว", "บะหมี่", "ขนม", "นม", "โยเกิร์ต", "สบู่", "แชมพู", "ยาสีฟัน", "น้ำปลา")
THEN = ("เย็น", "ร้อน", "ปั่น", "รสหมู", "รสไก่", "สูตรเข้มข้น", "กลิ่นมะลิ", "ตราช้างน้อย", "ตราใบไผ่", "แพ็คคู่")
TYPED = (
    "ก",
    "น",
    "กา",
    "กาแ",
    "กาแฟ",
    "กาแฟเย็น",
    "เย็น",
    "เตี๋ยว รสไก่",
    "กรัม",
    "coffee",
    "s0",
    "885",
    "8850000123",
    "ไม่มี",
)
"""From the first letter on, a word that is in every name, and one that is in none."""


def write_goods(folder: Path, seed: int = 1) -> Catalogue:
    """A catalogue of 20,000 items in `folder`."""
    random = Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    goods = Catalogue(ShopFile(folder / "shop.db"))
    items: list[Item] = []
    for number in range(ITEMS):
        digits = f"885{number:09}"
        name = f"{random.choice(FIRST)}{random.choice(THEN)}{random.choice(THEN)} {random.randrange(10, 1000)} กรัม"
        items.append(
            Item(
                f"S{number:05}",
                name,
                f"{random.choice(('Coffee', 'Tea', 'Rice'))} {number}",
                (digits + check_digit(digits),),
                f"หมวด {number % 20}",
                random.randrange(100, 50_000),
            )
        )
    goods.put_all(items)
    return goods


def rows(folder: Path) -> Iterator[Row]:
    """Search in the file and in memory, as a till has it after its start, and a barcode; in ms."""
    goods = write_goods(folder)
    yield row_of("catalogue_search_file", "ms", _searches(goods))
    goods.keep()
    yield row_of("catalogue_search", "ms", _searches(goods))
    scans: list[float] = []
    for number in range(ROUNDS):
        digits = f"885{number * 97:09}"
        begun_ns = perf_counter_ns()
        found = goods.by_barcode(digits + check_digit(digits))
        scans.append((perf_counter_ns() - begun_ns) / 1_000_000)
        assert found is not None and found.sku == f"S{number * 97:05}"
    yield row_of("catalogue_barcode", "ms", scans)


def _searches(goods: Catalogue) -> list[float]:
    each: list[float] = []
    for number in range(ROUNDS):
        begun_ns = perf_counter_ns()
        found = goods.search(TYPED[number % len(TYPED)], PAGE)
        each.append((perf_counter_ns() - begun_ns) / 1_000_000)
        assert len(found) <= PAGE
    return each
