"""Goods in memory: what is scanned or typed is found without asking the disk. Pure. DESIGN §10 "no frozen screen".

The shop's file is one connection: who reads from it waits for who writes a basket to it, half a second on a bad SD
card. Finds the same in the same order as the file does; never changed: a write makes a new one.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from pos_app.store.catalogue_search import Asked, searched_of
from pos_app.store.goods import Category, Item

KEPT_ITEMS_MAX = 30_000
"""Some 30 MB; a till's program has 120."""


class KeptItem(NamedTuple):
    """An item and what is searched of it."""

    item: Item
    searched: str


def kept_row(item: Item) -> KeptItem:
    """The item with its folded text, which costs more than all else here."""
    return KeptItem(item, searched_of(item))


class KeptGoods:
    """All goods, as they are at one moment."""

    def __init__(self, rows: Mapping[str, KeptItem], categories: Iterable[Category]) -> None:
        """`rows` by sku; `categories`: all, in their order."""
        self._rows = rows
        self._codes = {code: row.item for row in rows.values() for code in row.item.barcodes}
        sold = (row for row in rows.values() if row.item.is_active)
        self._sold = sorted(sold, key=lambda row: (row.item.sort, row.item.name_th, row.item.sku))
        self._shelves: dict[str, list[Item]] = {}
        for row in self._sold:
            self._shelves.setdefault(row.item.category, []).append(row.item)
        self.categories = tuple(one for one in categories if one.name_th in self._shelves)

    def __len__(self) -> int:
        return len(self._rows)

    def with_items(self, items: Iterable[Item], categories: Iterable[Category]) -> "KeptGoods":
        """With these put, new or instead of those with their sku."""
        return KeptGoods({**self._rows, **{item.sku: kept_row(item) for item in items}}, categories)

    def get(self, sku: str) -> Item | None:
        """By sku."""
        row = self._rows.get(sku)
        return None if row is None else row.item

    def by_barcode(self, code: str) -> Item | None:
        """By one of its codes, as they are kept."""
        return self._codes.get(code)

    def in_category(self, name_th: str) -> list[Item]:
        """What is sold in it, in order."""
        return self._shelves.get(name_th, [])

    def search(self, asked: Asked, limit: int) -> list[Item]:
        """What is sold and has every word, the likeliest first."""
        rows = self._sold
        for word in sorted(asked.words, key=len, reverse=True):
            rows = [row for row in rows if word in row[1]]
        whole, begins, word = asked.ranks  # a whole field begins with it, too
        found = [row for row in rows if begins in row[1]]
        found = [row for row in found if whole in row[1]] + [row for row in found if whole not in row[1]]
        if len(found) < limit:
            found += [row for row in rows if word in row[1] and begins not in row[1]]
        if len(found) < limit:
            rest = (row for row in rows if begins not in row[1] and word not in row[1])
            found += islice(rest, limit - len(found))
        return [row.item for row in found[:limit]]
