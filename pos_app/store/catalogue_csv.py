"""Goods from a spreadsheet's CSV file, and to one: every row judged, all of them taken or none. DESIGN §3, §11.

Columns stand in any order under Thai or English headings; a column that the file has not leaves what the catalogue has.
UTF-8, UTF-16 and the CP874 that Thai spreadsheets write. What `exported` writes comes back the same, byte for byte,
and no cell of it is a formula (decision 0175). Never retires what a file does not name.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from offline_ledger.csv_lines import Record, csv_line, each_record
from offline_ledger.errors import GoodsFileWrong
from offline_ledger.money import ARABIC, parse_minor
from offline_ledger.seen_text import shown
from offline_ledger.terminal.journal_sql import Statement
from offline_ledger.texts import Texts
from pos_app.store.catalogue import Catalogue
from pos_app.store.goods import (
    BARCODES_MAX,
    CATEGORIES_MAX,
    ITEMS_MAX,
    PRICE_SATANG_MAX,
    SORT_MAX,
    Category,
    Item,
    folded,
    same_for_all,
    tidied,
    wrong_in_name,
    wrongs_in_item,
)

FILE_BYTES_MAX = 16 << 20
"""100,000 rows of 160 bytes, in Thai some fifty letters."""
PROBLEMS_MAX = 200
"""More mistakes than this are one mistake made everywhere; the rest is counted."""
SHOWN_MAX = 40
"""Letters of a wrong cell that are shown again."""
OLDER = "cp874"
"""What Thai Windows writes where it is not asked for UTF-8; TIS-620 is a part of it."""
COLUMNS = ("sku", "barcode", "name_th", "name_en", "category", "category_en", "price", "vat", "active", "order")
_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "sku": ("sku", "code", "item code", "รหัส", "รหัสสินค้า"),
    "barcode": ("barcode", "barcodes", "บาร์โค้ด", "บาร์โค๊ด", "บาร์โคด"),
    "name_th": ("name_th", "name", "thai name", "ชื่อ", "ชื่อไทย", "ชื่อสินค้า", "ชื่อภาษาไทย", "สินค้า"),
    "name_en": ("name_en", "english name", "ชื่ออังกฤษ", "ชื่อภาษาอังกฤษ"),
    "category": ("category", "category_th", "หมวด", "หมวดหมู่", "ประเภท"),
    "category_en": ("category_en", "หมวดอังกฤษ", "หมวดภาษาอังกฤษ", "หมวดหมู่ภาษาอังกฤษ"),
    "price": ("price", "price_baht", "price (baht)", "ราคา", "ราคาขาย", "ราคา (บาท)", "ราคาบาท"),
    "vat": ("vat", "ภาษี", "ภาษีมูลค่าเพิ่ม"),
    "active": ("active", "sold", "ขายอยู่", "ใช้งาน", "สถานะ"),
    "order": ("order", "sort", "ลำดับ"),
}
_NAMES = {folded(heading).replace(" ", "_"): name for name, headings in _HEADINGS.items() for heading in headings}
_YES = ("yes", "y", "1", "true", "ใช่", "ขาย", "ขายอยู่", "✓")
_NO = ("no", "n", "0", "false", "ไม่", "ไม่ใช่", "ไม่ขาย", "เลิกขาย")
_VAT = ("included", "yes", "vat", "7", "7%", "รวม", "มี", "รวมแล้ว")
_EXEMPT = ("exempt", "no", "none", "0", "0%", "ยกเว้น", "ไม่มี")
_BAHT = re.compile(r"^฿\s*|\s*(บาท|baht|thb|฿|[.,]-)$", re.IGNORECASE)
_NEGATIVE = re.compile(r"[-−–]\s*฿?\s*[0-9,.]+|\([0-9,.]+\)")
_SPOILT = re.compile(r"[0-9][.,]?[0-9]*[eE]\+?[0-9]+")
"""What a spreadsheet makes of thirteen digits that it takes for a number: the last of them are gone."""
_MARKED = re.compile(r"'+[=+\-@＝＋－＠]")


class RowProblem(NamedTuple):
    """One mistake: line (1 is the first of the file), column or empty, key of `goods.csv.KEY`, what stood there, and
    another line, limit or word that it is about."""

    line: int
    column: str
    key: str
    value: str = ""
    other: str = ""

    def told(self, texts: Texts) -> str:
        """One line: where, what is wrong, what to do."""
        what = texts.get(f"goods.csv.{self.key}", value=shown(self.value[:SHOWN_MAX]), other=self.other)
        if not self.column:
            return texts.get("goods.csv.at_line", line=self.line, what=what)
        return texts.get(
            "goods.csv.at_cell", line=self.line, column=texts.get(f"goods.column.{self.column}"), what=what
        )


class GoodsMistakes(GoodsFileWrong):
    """All mistakes of a file, in the order of lines; `more` beyond PROBLEMS_MAX are only counted."""

    def __init__(self, problems: Sequence[RowProblem]) -> None:
        super().__init__()
        ordered = sorted(problems, key=lambda problem: problem.line)
        self.problems = tuple(ordered[:PROBLEMS_MAX])
        self.more = len(ordered) - len(self.problems)

    def told(self, texts: Texts) -> list[str]:
        """For a person, a line each."""
        lines = [problem.told(texts) for problem in self.problems]
        return [*lines, texts.get("goods.csv.more", count=self.more)] if self.more else lines


class Judged(NamedTuple):
    """A sound file: what is to be written, and what there is to say about it."""

    items: tuple[Item, ...]
    """New or changed."""
    categories: tuple[Category, ...]
    """New, or with a new English name."""
    new: int
    changed: int
    same: int
    open_price: int
    """Rows without a price: the cashier keys it in."""
    unused: tuple[str, ...]
    """Headings that mean nothing here."""


def import_goods(
    catalogue: Catalogue, data: bytes, also: Callable[[Judged], Sequence[Statement]] = lambda _judged: ()
) -> Judged:
    """The whole file, or nothing of it. `also`: what is written with it (the audit log's row). Raises GoodsMistakes;
    BarcodeTaken when somebody wrote meanwhile."""
    judged = judge_goods(catalogue, data)
    catalogue.put_all(judged.items, judged.categories, also(judged))
    return judged


def judge_goods(catalogue: Catalogue, data: bytes) -> Judged:
    """Reads the file against the catalogue and writes nothing: this is the long part. Raises GoodsMistakes."""
    if len(data) > FILE_BYTES_MAX:
        raise GoodsMistakes([RowProblem(1, "", "file_too_long", str(len(data)), str(FILE_BYTES_MAX >> 20))])
    rows = each_record(data, OLDER)
    heading = next(rows, None)
    if heading is None:
        raise GoodsMistakes([RowProblem(1, "", "empty")])
    if heading.wrong:
        raise GoodsMistakes([RowProblem(heading.line, "", heading.wrong)])
    return _Judge(catalogue, heading).judged(rows)


class _Judge:
    """One reading of one file."""

    def __init__(self, catalogue: Catalogue, heading: Record) -> None:
        self._catalogue = catalogue
        self._problems: list[RowProblem] = []
        self._columns: list[str] = []
        self._unused: list[str] = []
        self._skus: dict[str, int] = {}
        self._barcodes: dict[str, tuple[int, str]] = {}
        self._items: list[Item] = []
        self._counts = {"new": 0, "changed": 0, "same": 0, "open": 0}
        self._known = {one.name_th: one for one in catalogue.all_categories()}
        self._made: dict[str, Category] = {}
        self._read_heading(heading)

    def judged(self, rows: Iterator[Record]) -> Judged:
        last = 1
        for count, record in enumerate(rows, 1):
            last = record.line
            if count > ITEMS_MAX:
                self._wrong(record.line, "", "too_many_rows", other=str(ITEMS_MAX))
                break
            self._read(record)
        self._check_barcodes()
        full = self._catalogue.count_all() + self._counts["new"]
        if full > ITEMS_MAX:
            self._wrong(last, "", "too_many_items", str(full), str(ITEMS_MAX))
        if len(self._known) > CATEGORIES_MAX:
            self._wrong(last, "category", "too_many_categories", str(len(self._known)), str(CATEGORIES_MAX))
        if self._problems:
            raise GoodsMistakes(self._problems)
        counts = self._counts
        return Judged(
            tuple(self._items),
            tuple(self._made.values()),
            counts["new"],
            counts["changed"],
            counts["same"],
            counts["open"],
            tuple(self._unused),
        )

    # --- inside

    def _wrong(self, line: int, column: str, key: str, value: str = "", other: str = "") -> None:
        self._problems.append(RowProblem(line, column, key, value, other))

    def _read_heading(self, heading: Record) -> None:
        for cell in heading.cells:
            name = _NAMES.get(folded(_unmarked(cell)).replace(" ", "_"), "")
            if name and name in self._columns:
                self._wrong(heading.line, name, "column_twice", cell.strip())
            if not name and cell.strip():
                self._unused.append(shown(cell.strip()[:SHOWN_MAX]))
            self._columns.append(name)
        if not {"sku", "barcode"} & set(self._columns):
            self._wrong(heading.line, "", "no_heading", other=", ".join(COLUMNS))
            raise GoodsMistakes(self._problems)

    def _read(self, record: Record) -> None:
        line = record.line
        if record.wrong:
            self._wrong(line, "", record.wrong)
            return
        if len(record.cells) != len(self._columns):
            if len(record.cells) < len(self._columns) or any(one.strip() for one in record.cells[len(self._columns) :]):
                self._wrong(line, "", "cells", str(len(record.cells)), str(len(self._columns)))
                return
        cells = {name: tidied(_unmarked(cell)) for name, cell in zip(self._columns, record.cells, strict=False) if name}
        before = len(self._problems)
        item = self._item(line, cells)
        if item is None or len(self._problems) > before:
            return
        self._count(item, self._catalogue.get(item.sku))
        self._category(line, cells, item)

    def _item(self, line: int, cells: Mapping[str, str]) -> Item | None:
        before = len(self._problems)
        codes = self._codes(line, cells.get("barcode", ""))
        sku = cells.get("sku", "") or (codes[0] if codes else "")
        if not sku:
            self._wrong(line, "sku" if "sku" in self._columns else "barcode", "no_code")
            return None
        if _SPOILT.fullmatch(sku):
            self._wrong(line, "sku", "spoilt", sku)
            return None
        if (first := self._skus.setdefault(sku, line)) != line:
            self._wrong(line, "sku", "sku_twice", sku, str(first))
        found = self._catalogue.get(sku)
        if found is None and "price" not in self._columns:
            self._wrong(line, "sku", "no_price_column", sku)
        item = (found or Item(sku))._replace(**self._fields(line, cells))
        if "barcode" in self._columns:
            item = item._replace(barcodes=codes)
        for code in item.barcodes:
            taken_at, _sku = self._barcodes.setdefault(code, (line, sku))
            if taken_at != line:
                self._wrong(line, "barcode", "barcode_twice", code, str(taken_at))
        told = {one.column for one in self._problems[before:]}
        for column, key, other in wrongs_in_item(item):
            if column not in told:
                self._wrong(line, column, key, cells.get(column, ""), other)
        return item

    def _codes(self, line: int, cell: str) -> tuple[str, ...]:
        codes = re.split(r"[\s|]+", cell) if cell else []
        for code in codes:
            if _SPOILT.fullmatch(code):
                self._wrong(line, "barcode", "spoilt", code)
        return tuple(dict.fromkeys(same_for_all(code.translate(ARABIC)) for code in codes if code))[: BARCODES_MAX + 1]

    def _fields(self, line: int, cells: Mapping[str, str]) -> dict[str, object]:
        fields: dict[str, object] = {name: cells[name] for name in ("name_th", "name_en", "category") if name in cells}
        for column, field, read in _READERS:
            if column in cells:
                try:
                    fields[field] = read(cells[column])
                except _Wrong as wrong:
                    self._wrong(line, column, wrong.key, cells[column], wrong.other)
        return fields

    def _count(self, item: Item, found: Item | None) -> None:
        self._counts["open"] += item.price_satang is None
        if found == item:
            self._counts["same"] += 1
            return
        self._counts["new" if found is None else "changed"] += 1
        self._items.append(item)

    def _category(self, line: int, cells: Mapping[str, str], item: Item) -> None:
        name, name_en = item.category, cells.get("category_en", "")
        known = self._known.get(name)
        if not name or (known is not None and (not name_en or known.name_en == name_en)):
            return
        if (wrong := wrong_in_name(name_en)) is not None:
            self._wrong(line, "category_en", wrong[0], name_en, wrong[1])
            return
        after = max((one.sort for one in self._known.values()), default=0) if known is None else 0
        made = Category(name, name_en, after + 1) if known is None else known._replace(name_en=name_en)
        self._known[name] = self._made[name] = made

    def _check_barcodes(self) -> None:
        """A code of an item that the file does not give another: it stays that item's."""
        for code, (line, sku) in self._barcodes.items():
            owner = self._catalogue.by_barcode(code)
            if owner is None or owner.sku == sku:
                continue
            if owner.sku not in self._skus or "barcode" not in self._columns:
                self._wrong(line, "barcode", "barcode_taken", code, owner.sku)


# --- cells


class _Wrong(Exception):
    """Why a cell is not what its column needs: key of the text, and a word in it."""

    def __init__(self, key: str, other: str = "") -> None:
        super().__init__(key)
        self.key, self.other = key, other


def _price(cell: str) -> int | None:
    if not cell:
        return None
    plain = _BAHT.sub("", cell.translate(ARABIC)).strip()
    if _NEGATIVE.fullmatch(plain):
        raise _Wrong("price_negative")
    if plain.isdigit() and len(plain) > 10:  # a barcode in the wrong column, or a key that was held
        raise _Wrong("price_high", f"{PRICE_SATANG_MAX // 100:,}")
    try:
        satang = parse_minor(plain)
    except ValueError:
        raise _Wrong("not_price") from None
    if satang == 0:
        raise _Wrong("price_zero")
    if satang > PRICE_SATANG_MAX:
        raise _Wrong("price_high", f"{PRICE_SATANG_MAX // 100:,}")
    return satang


def _order(cell: str) -> int:
    plain = cell.translate(ARABIC)
    if not plain:
        return 0
    if not (plain.isascii() and plain.isdigit() and len(plain) <= 6):
        raise _Wrong("not_order", str(SORT_MAX))
    return int(plain)


def _flag(true: tuple[str, ...], false: tuple[str, ...], default: bool, key: str) -> Callable[[str], bool]:
    def read(cell: str) -> bool:
        word = cell.translate(ARABIC).casefold()
        if not word:
            return default
        if word not in true and word not in false:
            raise _Wrong(key)
        return word in true

    return read


_READERS: tuple[tuple[str, str, Callable[[str], object]], ...] = (
    ("price", "price_satang", _price),
    ("vat", "is_vat_exempt", _flag(_EXEMPT, _VAT, False, "not_vat")),
    ("active", "is_active", _flag(_YES, _NO, True, "not_active")),
    ("order", "sort", _order),
)


def _unmarked(cell: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from taking a name for a formula."""
    text = cell.strip()
    return text[1:] if _MARKED.match(text) else text


# --- writing


def exported(catalogue: Catalogue) -> Iterator[bytes]:
    """The whole catalogue, piece by piece: UTF-8 with the mark that Thai spreadsheets need, lines ending in CR LF."""
    yield BOM_UTF8 + csv_line(COLUMNS)
    english = {one.name_th: one.name_en for one in catalogue.all_categories()}
    for item in catalogue.everything():
        yield csv_line(
            (
                item.sku,
                " ".join(item.barcodes),
                item.name_th,
                item.name_en,
                item.category,
                english.get(item.category, ""),
                "" if item.price_satang is None else plain_baht(item.price_satang),
                "exempt" if item.is_vat_exempt else "included",
                "yes" if item.is_active else "no",
                str(item.sort),
            )
        )


def plain_baht(satang: int) -> str:
    """`1250.00`: without the commas that would end a cell."""
    whole, rest = divmod(satang, 100)
    return f"{whole}.{rest:02d}"
