"""Goods as spreadsheets write them: every row judged, all or nothing, and what goes out comes back the same."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import BarcodeTaken, GoodsFileWrong, StorageFull
from offline_ledger.texts import LANGUAGES, Texts
from pos_app.store import catalogue_csv
from pos_app.store.audit_log import AuditLog
from pos_app.store.catalogue import Catalogue
from pos_app.store.catalogue_csv import (
    COLUMNS,
    FILE_BYTES_MAX,
    GoodsMistakes,
    Judged,
    RowProblem,
    exported,
    import_goods,
    judge_goods,
)
from pos_app.store.goods import (
    CATEGORIES_MAX,
    PRICE_SATANG_MAX,
    Category,
    Item,
    tidied,
    wrong_in_barcode,
    wrong_in_item,
)
from pos_app.store.shop_file import ShopFile
from simulators.storage.disk import simulated_disk

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "pos_app/sample_goods.csv"
HEAD = "sku,barcode,name_th,name_en,category,price,vat,active,order\n"


@pytest.fixture
def goods(tmp_path: Path) -> Iterator[Catalogue]:
    file = ShopFile(tmp_path / "shop.db")
    yield Catalogue(file)
    file.close()


def fresh() -> Catalogue:
    return Catalogue(ShopFile(":memory:"))


def written(goods: Catalogue) -> bytes:
    return b"".join(exported(goods))


def problems(goods: Catalogue, data: str | bytes) -> list[RowProblem]:
    """What is wrong with the file; nothing of it was taken."""
    before = written(goods)
    with pytest.raises(GoodsMistakes) as raised:
        import_goods(goods, data.encode() if isinstance(data, str) else data)
    assert written(goods) == before and GoodsFileWrong.number == 1943
    for language in LANGUAGES:
        told = raised.value.told(Texts(language))
        assert len(told) >= len(raised.value.problems) and all("{" not in line for line in told)
    return list(raised.value.problems)


# --- good files


@pytest.mark.parametrize(
    "data",
    [
        "sku,name,price\nN1,ก๋วยเตี๋ยว,45\n".encode(),
        "\ufeffsku,name,price\r\nN1,ก๋วยเตี๋ยว,45.00\r\n".encode(),
        "รหัส;ชื่อสินค้า;ราคา\nN1;ก๋วยเตี๋ยว;45\n".encode(),
        "ราคา (บาท)\tชื่อ\tรหัสสินค้า\n๔๕\tก๋วยเตี๋ยว\tN1".encode(),
        "sep=;\nSKU;Name_TH;Price\nN1;ก๋วยเตี๋ยว;45.-\n".encode(),
        "sku,name,price\nN1,ก๋วยเตี๋ยว,45 บาท\n".encode("utf-16"),
        "รหัส,ชื่อ,ราคา\r\nN1,ก๋วยเตี๋ยว,฿45\r\n".encode("cp874"),
        "sku,ชื่อ,ราคา\rN1,ก๋วยเตี๋ยว,45\r".encode("tis_620"),
        'sku, "name" ,price\n"N1","ก๋วยเตี๋ยว","45.00"\n\n,,\n'.encode(),
        "sku,name,price,stock\nN1,  ก๋วย\u200bเตี๋ยว ,45,,\n".encode(),
    ],
)
def test_one_file_however_it_was_saved(goods: Catalogue, data: bytes) -> None:
    done = import_goods(goods, data)
    assert (done.new, done.changed, done.same) == (1, 0, 0)
    assert list(goods.everything()) == [Item("N1", "ก๋วยเตี๋ยว", price_satang=4_500)]


def test_a_short_thai_word_in_the_old_encoding_is_not_taken_for_utf8(goods: Catalogue) -> None:
    """`เกด` in CP874 happens to be sound UTF-8; the other lines say what the file is."""
    assert "เกด".encode("cp874").decode("utf-8")
    import_goods(goods, "รหัส,ชื่อ,ราคา\n1,เกด,5\n2,ผัดไทย,40\n".encode("cp874"))
    assert [item.name_th for item in goods.everything()] == ["เกด", "ผัดไทย"]


def test_all_columns(goods: Catalogue) -> None:
    row = 'D1,8851959132012 | A-1,กาแฟ,Coffee,น้ำ,"1,250.50",exempt,no,7\n'
    import_goods(goods, (HEAD + row).encode())
    coffee = Item("D1", "กาแฟ", "Coffee", ("8851959132012", "A-1"), "น้ำ", 125_050, True, False, 7)
    assert goods.get("D1") == coffee


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("price", "", None),
        ("price", "0.01", 1),
        ("price", f"{PRICE_SATANG_MAX // 100}.99", PRICE_SATANG_MAX),
        ("vat", "", False),
        ("vat", "ยกเว้น", True),
        ("vat", "7%", False),
        ("active", "", True),
        ("active", "เลิกขาย", False),
        ("active", "๑", True),
        ("order", "", 0),
        ("order", "๑๒", 12),
    ],
)
def test_cells(goods: Catalogue, column: str, cell: str, expected: object) -> None:
    more = {"price": "1", "vat": "", "active": "", "order": ""} | {column: cell}
    import_goods(goods, f"sku,name,{','.join(more)}\nN1,ก,{','.join(more.values())}\n".encode())
    field = {"price": "price_satang", "vat": "is_vat_exempt", "active": "is_active", "order": "sort"}[column]
    assert getattr(goods.get("N1"), field) == expected


def test_a_column_that_is_not_there_leaves_what_is_known(goods: Catalogue) -> None:
    import_goods(goods, (HEAD + "D1,A-1,กาแฟ,Coffee,น้ำ,40,exempt,no,7\n").encode())
    done = import_goods(goods, b"sku,price\nD1,45\n")
    assert goods.get("D1") == Item("D1", "กาแฟ", "Coffee", ("A-1",), "น้ำ", 4_500, True, False, 7)
    assert (done.new, done.changed, done.same) == (0, 1, 0)
    assert import_goods(goods, b"sku,price,cost\nD1,45,30\n")[2:] == (0, 0, 1, 0, ("cost",))


def test_without_a_sku_the_barcode_is_one(goods: Catalogue) -> None:
    import_goods(goods, "barcode,name,price\n8851959132012,น้ำ,10\n".encode())
    assert goods.get("8851959132012") == goods.by_barcode("8851959132012") is not None


def test_open_prices_are_counted(goods: Catalogue) -> None:
    assert import_goods(goods, "sku,name,price\n1,ปลา,\n2,กุ้ง,\n3,ข้าว,10\n".encode()).open_price == 2


def test_categories_are_made_in_the_files_order_and_keep_it(goods: Catalogue) -> None:
    head = "sku,name,price,category,category_en\n"
    import_goods(goods, (head + "1,ก,1,เส้น,Noodles\n2,ข,1,น้ำ,\n3,ค,1,เส้น,\n4,ง,1,,\n").encode())
    assert goods.categories() == [Category("เส้น", "Noodles", 1), Category("น้ำ", "", 2)]
    import_goods(goods, (head + "5,จ,1,ขนม,Sweets\n2,ข,1,น้ำ,Drinks\n").encode())
    assert goods.categories() == [
        Category("เส้น", "Noodles", 1),
        Category("น้ำ", "Drinks", 2),
        Category("ขนม", "Sweets", 3),
    ]


def test_a_barcode_may_move_within_one_file(goods: Catalogue) -> None:
    import_goods(goods, "sku,name,price,barcode\n1,ก,1,A\n2,ข,1,B\n".encode())
    import_goods(goods, b"sku,barcode\n1,B\n2,A\n")
    assert [item.barcodes for item in goods.everything()] == [("B",), ("A",)]


# --- broken files


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", [(1, "", "empty")]),
        ("\n\n", [(1, "", "empty")]),
        ("name,price\nก,1\n", [(1, "", "no_heading")]),
        ("N1,ก๋วยเตี๋ยว,45\n", [(1, "", "no_heading")]),
        ('"sku,name\nN1,ก\n', [(1, "", "open_quote")]),
        ("sku,รหัส,price\n1,2,3\n", [(1, "sku", "column_twice"), (2, "name_th", "no_name")]),
        ("sku,name,price\n1,ก\n", [(2, "", "cells")]),
        ("sku,name,price\n1,ก,1,250\n", [(2, "", "cells")]),
        ('sku,name,price\n1,"ก,5\n2,ข",5\n', [(2, "", "open_quote"), (3, "", "stray_quote")]),
        (b"sku,name,price\n1,\xe0\xb8\x81,1\n2,\xe0\xb8\x82,1\n3,\xff,1\n", [(4, "", "not_utf8")]),
        ("sku,name,price\n,ก,1\n", [(2, "sku", "no_code")]),
        ("barcode,name,price\n,ก,1\n", [(2, "barcode", "no_code")]),
        ("sku,name\n1,ก\n", [(2, "sku", "no_price_column")]),
        ("sku,name,price\n1,ก,1\n2,ข,1\n1,ค,1\n", [(4, "sku", "sku_twice")]),
        ("sku,name,price\n1,,1\n", [(2, "name_th", "no_name")]),
        ("sku,name,price\na b,ก,1\n", [(2, "sku", "not_sku")]),
        (f"sku,name,price\n1,{'ก' * 81},1\n", [(2, "name_th", "too_long")]),
        (f"sku,name,price,category\n1,ก,1,{'ก' * 41}\n", [(2, "category", "too_long")]),
        (f"sku,name,price,category,category_en\n1,ก,1,ข,{'x' * 81}\n", [(2, "category_en", "too_long")]),
        ("sku,name,price\n1,a\u202eb,1\n", [(2, "name_th", "hidden_sign")]),
        ("sku,name,price\n1,\u3164,1\n", [(2, "name_th", "hidden_sign")]),
        (f"sku,name,price\n1,ก{'้' * 60},1\n", [(2, "name_th", "too_many_marks")]),
        ("sku,name,price\n1,ก,0\n2,ข,0.00\n3,ค,๐\n", [(n, "price", "price_zero") for n in (2, 3, 4)]),
        ("sku,name,price\n1,ก,-5\n2,ข,−5.50\n3,ค,(5)\n", [(n, "price", "price_negative") for n in (2, 3, 4)]),
        ("sku,name,price\n1,ก,1234567890\n", [(2, "price", "price_high")]),
        ("sku,name,price\n1,ก,1000000\n", [(2, "price", "price_high")]),
        ("sku,name,price\n1,ก,8851959132012\n", [(2, "price", "price_high")]),
        ('sku,name,price\n1,ก,"1,5"\n2,ข,1.234\n3,ค,1e3\n4,ง,THB\n', [(n, "price", "not_price") for n in (2, 3, 4, 5)]),
        ("sku,name,price,vat\n1,ก,1,maybe\n", [(2, "vat", "not_vat")]),
        ("sku,name,price,active\n1,ก,1,maybe\n", [(2, "active", "not_active")]),
        ("sku,name,price,order\n1,ก,1,-1\n2,ข,1,1000000\n", [(2, "order", "not_order"), (3, "order", "not_order")]),
        ("sku,name,price,barcode\n1,ก,1,8851959132013\n", [(2, "barcode", "check_digit")]),
        ("sku,name,price,barcode\n1,ก,1,ก\n", [(2, "barcode", "not_barcode")]),
        ("sku,name,price,barcode\n1,ก,1,8.85196E+12\n", [(2, "barcode", "spoilt")]),
        ("sku,name,price\n8.85196E+12,ก,1\n", [(2, "sku", "spoilt")]),
        ("sku,name,price,barcode\n1,ก,1,A\n2,ข,1,A\n", [(3, "barcode", "barcode_twice")]),
        ("sku,name,price,barcode\n1,ก,1,036000291452\n2,ข,1,0036000291452\n", [(3, "barcode", "barcode_twice")]),
        ("sku,name,price,barcode\n1,ก,1,A B C D E F G H I\n", [(2, "barcode", "too_many_barcodes")]),
        ("sku,name,price,barcode\n9,ก,1,TAKEN\n", [(2, "barcode", "barcode_taken")]),
    ],
)  # fmt: skip
def test_each_mistake_is_told_and_nothing_is_taken(
    goods: Catalogue, data: str | bytes, expected: list[tuple[int, str, str]]
) -> None:
    goods.put(Item("OLD", "เดิม", barcodes=("TAKEN",), price_satang=1))
    assert [(one.line, one.column, one.key) for one in problems(goods, data)] == expected


def test_all_mistakes_at_once_each_with_its_line_and_remedy(goods: Catalogue) -> None:
    rows = "1,ก,0,,\n2,,5,8851959132013,\n3,ค,5,,เส้น\n"
    found = problems(goods, "sku,name,price,barcode,category\n" + rows)
    assert [(one.line, one.key) for one in found] == [(2, "price_zero"), (3, "no_name"), (3, "check_digit")]
    assert goods.all_categories() == []
    price = found[0].told(Texts("en"))
    assert price.startswith("line 2, price: the price is zero") and "leave the cell empty" in price
    assert found[0].told(Texts("th")).startswith("บรรทัด 2 ช่องราคา: ราคาเป็นศูนย์")


def test_many_mistakes_are_counted(goods: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_csv, "PROBLEMS_MAX", 3)
    with pytest.raises(GoodsMistakes) as raised:
        import_goods(goods, ("sku,name,price\n" + "".join(f"{n},ก,0\n" for n in range(9))).encode())
    assert len(raised.value.problems) == 3 and raised.value.more == 6
    assert raised.value.told(Texts("en"))[-1].startswith("and 6 more mistakes")


def test_the_file_has_an_end(goods: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.key for one in problems(goods, b"x" * (FILE_BYTES_MAX + 1))] == ["file_too_long"]
    monkeypatch.setattr(catalogue_csv, "ITEMS_MAX", 3)
    data = "sku,name,price\n" + "".join(f"{n},ก,1\n" for n in range(4))
    assert (5, "too_many_rows") in [(one.line, one.key) for one in problems(goods, data)]
    import_goods(goods, data.rpartition("3,")[0].encode())
    assert [one.key for one in problems(goods, "sku,name,price\n9,ก,1\n")] == ["too_many_items"]
    assert import_goods(goods, "sku,category\n0,ใหม่\n".encode()).changed == 1


def test_a_shop_has_so_many_categories(goods: Catalogue) -> None:
    rows = [f"{n},ก,1,c{n}\n" for n in range(CATEGORIES_MAX + 1)]
    head = "sku,name,price,category\n"
    assert [one.key for one in problems(goods, head + "".join(rows))] == ["too_many_categories"]
    assert import_goods(goods, (head + "".join(rows[:-1])).encode()).new == CATEGORIES_MAX


def test_a_full_disk_in_the_middle_takes_nothing(tmp_path: Path) -> None:
    with simulated_disk("goods-full") as disk:
        goods = Catalogue(ShopFile(tmp_path / "shop.db", disk.name))
        import_goods(goods, "sku,name,price\n1,ก,1\n".encode())
        disk.faults.is_full = True
        data = ("sku,name,price\n" + "".join(f"{n},{'ข' * 60},2\n" for n in range(1, 400))).encode()
        with pytest.raises(StorageFull):
            import_goods(goods, data)
        assert list(goods.everything()) == [Item("1", "ก", price_satang=100)]
        disk.faults.is_full = False
        assert import_goods(goods, data).new == 398


def test_who_writes_between_judging_and_writing_is_not_overrun(goods: Catalogue) -> None:
    judged = judge_goods(goods, "sku,name,price,barcode\n1,ก,1,A\n".encode())
    goods.put(Item("2", "ข", barcodes=("A",), price_satang=1))
    with pytest.raises(BarcodeTaken):
        goods.put_all(judged.items, judged.categories)
    assert goods.get("1") is None


def test_the_import_and_its_row_in_the_audit_log_are_one_write(tmp_path: Path) -> None:
    file = ShopFile(tmp_path / "shop.db")
    goods, audit = Catalogue(file), AuditLog(file)
    seen: list[Judged] = []

    def wrong(judged: Judged) -> list[tuple[str, tuple[int | bytes | str | None, ...]]]:
        seen.append(judged)
        return [("INSERT INTO audit (number) VALUES (1)", ())]

    with pytest.raises(Exception, match="NOT NULL"):
        import_goods(goods, "sku,name,price\n1,ก,1\n".encode(), wrong)
    assert goods.count_all() == 0 and audit.head()[0] == 0 and seen[0].new == 1


# --- out and in again


def safe_in_a_spreadsheet(data: bytes) -> bool:
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    return all(
        not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")) for row in rows for cell in row
    )


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+66 น้ำ", "'+66 น้ำ"),
        ("-ไม่ใส่ผัก", "'-ไม่ใส่ผัก"),
        ("@home", "'@home"),
        ("＝1", "'＝1"),
        ('=HYPERLINK("http://x","ก")', '"\'=HYPERLINK(""http://x"",""ก"")"'),
        ("'=1", "''=1"),
        ("''@", "'''@"),
        ("'90s", "'90s"),
        ("it's", "it's"),
        ("a=b", "a=b"),
        ('5" ถาด', '"5"" ถาด"'),
        ("a,b;c", '"a,b;c"'),
        ("🍜", "🍜"),
    ],
)
def test_a_name_is_no_formula_and_comes_back(goods: Catalogue, name: str, cell: str) -> None:
    goods.put(Item("1", name, price_satang=100))
    out = written(goods)
    assert f"1,,{cell},,,,1.00".encode() in out and safe_in_a_spreadsheet(out)
    again = fresh()
    import_goods(again, out)
    assert again.get("1") == goods.get("1") and written(again) == out


TEXT = st.text(st.sampled_from("กขเแ้ำ =+-@'\",;\t|%abc🍜１0"), max_size=12)
CODES = st.text(st.sampled_from("0123456789ABab-=+@'\""), min_size=1, max_size=14)


@st.composite
def catalogues(draw: st.DrawFn) -> list[Item]:
    taken: set[str] = set()
    items: list[Item] = []
    for sku in draw(st.lists(CODES.filter(lambda code: " " not in code), unique=True, max_size=8)):
        codes = [code for code in draw(st.lists(CODES, max_size=3, unique=True)) if wrong_in_barcode(code) is None]
        codes = [code for code in codes if code not in taken]
        taken.update(codes)
        item = Item(
            sku,
            tidied(draw(TEXT)),
            tidied(draw(TEXT)),
            tuple(codes),
            tidied(draw(TEXT)),
            draw(st.none() | st.integers(1, PRICE_SATANG_MAX)),
            draw(st.booleans()),
            draw(st.booleans()),
            draw(st.integers(0, 20)),
        )
        if wrong_in_item(item) is None:
            items.append(item)
    return items


@given(catalogues())
def test_any_catalogue_goes_out_and_comes_back_byte_for_byte(items: list[Item]) -> None:
    goods, again = fresh(), fresh()
    try:
        goods.put_all(items)
    except BarcodeTaken:  # 12 digits, with and without their zero
        return
    out = written(goods)
    assert safe_in_a_spreadsheet(out)
    done = import_goods(again, out)
    assert written(again) == out and done.new == len(items) and done.unused == ()
    assert import_goods(again, out).same == len(items)
    assert {item.sku: item for item in again.everything()} == {item.sku: item for item in goods.everything()}


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_or_told(data: bytes) -> None:
    for head in (b"", b"sku,name,price,barcode\n"):
        try:
            import_goods(fresh(), head + data)
        except GoodsMistakes as mistakes:
            assert mistakes.problems and mistakes.told(Texts("th"))


def test_the_sample_is_a_good_file_that_goes_out_as_it_came(goods: Catalogue) -> None:
    data = SAMPLE.read_bytes()
    done = import_goods(goods, data)
    assert 60 <= done.new <= 200 and done.unused == () and len(goods.categories()) >= 6
    assert written(goods) == data
    assert all(item.name_th and item.name_en for item in goods.everything())
    assert all(category.name_en for category in goods.categories())
    assert any(item.price_satang is None for item in goods.everything())
    assert data.decode("utf-8-sig").splitlines()[0] == ",".join(COLUMNS)


@pytest.mark.parametrize("word", ["café", "voilà", "mañana", "Éclair", "São", "menü"])
def test_a_western_file_is_not_taken_for_thai(goods: Catalogue, word: str) -> None:
    """Its bytes are Thai letters to an older Thai spreadsheet; the row is told, and nothing is guessed."""
    with pytest.raises(GoodsMistakes) as told:
        judge_goods(goods, f"sku,name,price\n1,tea,1\n2,{word},1\n".encode("latin-1"))
    assert [(one.line, one.key) for one in told.value.problems] in ([(3, "not_thai")], [(3, "not_utf8")])


@pytest.mark.parametrize("word", ["กาแฟLatte", "นำ้ปลา", "น้ำ A ๑", "เเป้ง", "ก", "ชา ขวด 1L", "เบียร์ Leo"])
def test_an_older_thai_file_is_thai_however_it_was_typed(goods: Catalogue, word: str) -> None:
    judged = judge_goods(goods, f"sku,name,price\n1,กขค,1\n2,{word},1\n".encode("cp874"))
    assert judged.items[1].name_th == word


def test_a_mistake_is_told_without_what_steers_a_terminal(goods: Catalogue) -> None:
    with pytest.raises(GoodsMistakes) as told:
        judge_goods(goods, b"sku,name,price\n1,a\x1b[31mb,1\n")
    (line,) = told.value.told(Texts("en"))
    assert "a\\x1b[31mb" in line and line.isprintable()
