"""The shop's goods in `shop.db`: looked up by code, category and words; written all or nothing. DESIGN §3.

Never deletes an item, for baskets and receipts name it: one that is no longer sold is retired. What an item may be is
`goods`; files are `catalogue_csv`; the order of what is found is `catalogue_search`.
"""

from collections.abc import Iterable, Iterator, Sequence
from threading import RLock
from typing import cast

import apsw

from offline_ledger.errors import BarcodeTaken, CatalogueFull, ItemUnknown, ItemWrong, Refusal
from offline_ledger.terminal.journal_sql import Row, SqlValue, Statement
from pos_app.store.catalogue_kept import KEPT_ITEMS_MAX, KeptGoods, kept_row
from pos_app.store.catalogue_search import SEARCH_TABLES, asked_of, search_statement, searched_of
from pos_app.store.goods import (
    CATEGORIES_MAX,
    ITEMS_MAX,
    Category,
    Item,
    same_for_all,
    tidied_item,
    wrong_in_item,
    wrong_in_name,
)
from pos_app.store.shop_file import ShopFile

PAGE_MAX = 500
"""Rows of one answer: more than a page can show."""
CHUNK = 500
"""Rows of one reading of all."""

_TABLES = (
    "CREATE TABLE IF NOT EXISTS category ("
    "name_th TEXT PRIMARY KEY, name_en TEXT NOT NULL, sort INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS item ("
    "id INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, name_th TEXT NOT NULL, name_en TEXT NOT NULL,"
    " barcodes TEXT NOT NULL, category TEXT NOT NULL, price_satang INTEGER, is_vat_exempt INTEGER NOT NULL,"
    " is_active INTEGER NOT NULL, sort INTEGER NOT NULL, searched TEXT NOT NULL) STRICT",
    "CREATE INDEX IF NOT EXISTS item_by_category ON item (category, is_active, sort, name_th)",
    "CREATE TABLE IF NOT EXISTS item_barcode (barcode TEXT PRIMARY KEY, item INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS barcode_by_item ON item_barcode (item)",
)
_COLUMNS = (
    "item.sku, item.name_th, item.name_en, item.barcodes, item.category, item.price_satang, item.is_vat_exempt,"
    " item.is_active, item.sort"
)
_PUT = (
    "INSERT INTO item (sku, name_th, name_en, barcodes, category, price_satang, is_vat_exempt, is_active, sort,"
    " searched) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sku) DO UPDATE SET"
    " name_th = excluded.name_th, name_en = excluded.name_en, barcodes = excluded.barcodes,"
    " category = excluded.category, price_satang = excluded.price_satang, is_vat_exempt = excluded.is_vat_exempt,"
    " is_active = excluded.is_active, sort = excluded.sort, searched = excluded.searched"
)
_FORGET_BARCODES = "DELETE FROM item_barcode WHERE item = (SELECT id FROM item WHERE sku = ?)"
_PUT_BARCODE = "INSERT INTO item_barcode (barcode, item) SELECT ?, id FROM item WHERE sku = ?"
_PUT_CATEGORY = (
    "INSERT INTO category (name_th, name_en, sort) VALUES (?, ?, ?) ON CONFLICT (name_th) DO UPDATE SET"
    " name_en = excluded.name_en, sort = excluded.sort"
)
_AFTER = "WHERE item.category = ? AND (item.sort, item.sku) > (?, ?) ORDER BY item.sort, item.sku LIMIT ?"


class Catalogue:
    """Goods and categories. Every method may be called from any thread."""

    def __init__(self, file: ShopFile) -> None:
        """Makes its tables where there are none."""
        self._file = file
        self._kept: KeptGoods | None = None
        self._writing = RLock()
        file.has_tables(*_TABLES, *SEARCH_TABLES)

    def keep(self) -> None:
        """From here on what is looked up comes from memory: no scan waits for a disk that is busy with a basket. Takes
        as long as reading all of them: not on the deciding thread. With more than 30,000 items it does nothing."""
        with self._writing:
            if self.count_all() <= KEPT_ITEMS_MAX:
                self._kept = KeptGoods({item.sku: kept_row(item) for item in self.everything()}, self.all_categories())

    # --- looking

    def get(self, sku: str) -> Item | None:
        """The item, retired or not."""
        if (kept := self._kept) is not None:
            return kept.get(sku)
        return self._one("WHERE item.sku = ?", _plain(sku))

    def by_barcode(self, text: str) -> Item | None:
        """The item that has this code, retired or not: the caller says which it is."""
        code = same_for_all(_plain(text.strip()))
        if (kept := self._kept) is not None:
            return kept.by_barcode(code)
        return self._one("JOIN item_barcode ON item_barcode.item = item.id WHERE item_barcode.barcode = ?", code)

    def in_category(self, name_th: str, limit: int = PAGE_MAX) -> list[Item]:
        """What is sold in it, in its order; of no category: the empty name."""
        if (kept := self._kept) is not None:
            return kept.in_category(name_th)[: _page(limit)]
        where = "WHERE item.category = ? AND item.is_active ORDER BY item.sort, item.name_th, item.sku LIMIT ?"
        return self._items(where, (_plain(name_th), _page(limit)))

    def categories(self) -> list[Category]:
        """Those in which something is sold, in their order."""
        if (kept := self._kept) is not None:
            return list(kept.categories)
        return self._categories(
            "WHERE EXISTS (SELECT 1 FROM item WHERE item.category = category.name_th AND item.is_active)"
        )

    def all_categories(self) -> list[Category]:
        """Those with nothing in them too."""
        return self._categories("")

    def search(self, text: str, limit: int = 50) -> list[Item]:
        """What is sold and has every word of `text` in its names or codes, the likeliest first."""
        asked = asked_of(text)
        if asked is None:
            return []
        if (kept := self._kept) is not None:
            return kept.search(asked, _page(limit))
        return [_item_of(row) for row in self._file.fetch(*search_statement(asked, _COLUMNS, _page(limit)))]

    def count(self) -> int:
        """How many are sold."""
        return cast(int, self._file.fetch("SELECT count(*) FROM item WHERE is_active")[0][0])

    def count_all(self) -> int:
        """With those that are retired."""
        return cast(int, self._file.fetch("SELECT count(*) FROM item")[0][0])

    def everything(self) -> Iterator[Item]:
        """Every item, by category, order and sku; read in pieces, so that a sale goes on meanwhile."""
        orders = {category.name_th: place for place, category in enumerate(self.all_categories())}
        for name in sorted({"", *orders}, key=lambda one: orders.get(one, len(orders))):
            after: tuple[int, str] = (-1, "")
            while True:
                where = (
                    "WHERE item.category = ? AND (item.sort, item.sku) > (?, ?) ORDER BY item.sort, item.sku LIMIT ?"
                )
                found = self._items(where, (name, *after, CHUNK))
                yield from found
                if len(found) < CHUNK:
                    break
                after = found[-1].sort, found[-1].sku

    # --- writing

    def put(self, item: Item) -> None:
        """New, or instead of the one with its sku; a category that is none yet is made. Raises ItemWrong, BarcodeTaken,
        CatalogueFull."""
        self.put_all([item])

    def retire(self, sku: str) -> Item:
        """No longer sold; its codes still find it. Raises ItemUnknown."""
        found = self.get(sku)
        if found is None:
            raise ItemUnknown(sku[:40])
        retired = found._replace(is_active=False)
        self.put(retired)
        return retired

    def put_all(
        self, items: Sequence[Item], categories: Iterable[Category] = (), also: Sequence[Statement] = ()
    ) -> None:
        """All of them or none, in one write. `categories`: those with an English name or order of their own. `also`:
        what is written with them. Raises ItemWrong, BarcodeTaken, CatalogueFull."""
        with self._writing:
            self._file_write(items, [*self._statements_for(items, categories), *also])

    # --- inside

    def _statements_for(self, items: Sequence[Item], categories: Iterable[Category]) -> list[Statement]:
        """Raises ItemWrong, CatalogueFull."""
        items = [tidied_item(item) for item in items]
        for item in items:
            if (wrong := wrong_in_item(item)) is not None:
                raise ItemWrong(f"{item.sku[:40]}: {' '.join(wrong).strip()}")
        fresh = sum(self.get(item.sku) is None for item in items) if self.count_all() + len(items) > ITEMS_MAX else 0
        if fresh and self.count_all() + fresh > ITEMS_MAX:
            raise CatalogueFull(f"{ITEMS_MAX}")
        made = self._categories_for(items, list(categories))
        put = [(_PUT_CATEGORY, (one.name_th, one.name_en, one.sort)) for one in made]
        # Codes may move from one item to another: all are let go of first.
        return [
            *put,
            *((_PUT, _values_of(item)) for item in items),
            *((_FORGET_BARCODES, (item.sku,)) for item in items),
            *((_PUT_BARCODE, (code, item.sku)) for item in items for code in item.barcodes),
        ]

    def _categories_for(self, items: Sequence[Item], named: list[Category]) -> list[Category]:
        """Those to write: the named ones, and the items' own that are none yet, after all others."""
        known = {one.name_th for one in self.all_categories()} | {one.name_th for one in named}
        last = cast(int, self._file.fetch("SELECT coalesce(max(sort), 0) FROM category")[0][0])
        last = max([last, *(one.sort for one in named)])
        for name in dict.fromkeys(item.category for item in items if item.category):
            if name not in known:
                last += 1
                known.add(name)
                named.append(Category(name, "", last))
        if len(known) > CATEGORIES_MAX:
            raise CatalogueFull(f"{CATEGORIES_MAX} categories")
        for one in named:
            if not one.name_th or any(wrong_in_name(name) for name in (one.name_th, one.name_en)):
                raise ItemWrong(f"category {one.name_th[:40]}")
        return named

    def _file_write(self, items: Sequence[Item], statements: Sequence[Statement]) -> None:
        try:
            self._file.write(statements)  # what is in memory stays until it is durable
        except apsw.ConstraintError as error:
            if "item_barcode" not in str(error):  # of `also`
                raise
            raise BarcodeTaken() from error
        except Refusal:
            self._kept = None  # what a failing disk has nobody knows: it is asked again
            raise
        if self._kept is not None:
            made = self._kept.with_items(map(tidied_item, items), self.all_categories())
            self._kept = made if len(made) <= KEPT_ITEMS_MAX else None

    def _one(self, where: str, value: str) -> Item | None:
        found = self._items(where, (value,))
        return found[0] if found else None

    def _items(self, where: str, values: tuple[SqlValue, ...]) -> list[Item]:
        return [_item_of(row) for row in self._file.fetch(f"SELECT {_COLUMNS} FROM item {where}", values)]

    def _categories(self, where: str) -> list[Category]:
        found = self._file.fetch(
            f"SELECT name_th, name_en, sort FROM category {where} ORDER BY sort, name_th LIMIT 500"
        )
        return [Category(str(row[0]), str(row[1]), cast(int, row[2])) for row in found]


def _page(limit: int) -> int:
    return max(0, min(limit, PAGE_MAX))


def _plain(text: str) -> str:
    """What a scanner or a page may send and SQLite cannot take (half a surrogate pair) is in no row."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _values_of(item: Item) -> tuple[SqlValue, ...]:
    flags = int(item.is_vat_exempt), int(item.is_active), item.sort
    words = searched_of(item)
    return (
        item.sku,
        item.name_th,
        item.name_en,
        " ".join(item.barcodes),
        item.category,
        item.price_satang,
        *flags,
        words,
    )


def _item_of(row: Row) -> Item:
    sku, name_th, name_en, barcodes, category, price_satang, is_vat_exempt, is_active, sort = row
    return Item(
        sku=str(sku),
        name_th=str(name_th),
        name_en=str(name_en),
        barcodes=tuple(str(barcodes).split()),
        category=str(category),
        price_satang=cast("int | None", price_satang),
        is_vat_exempt=bool(is_vat_exempt),
        is_active=bool(is_active),
        sort=cast(int, sort),
    )
