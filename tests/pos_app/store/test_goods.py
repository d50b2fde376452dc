"""What an item may be: names, codes, check digits, prices, on both sides of each edge."""

import pytest

from pos_app.store.goods import (
    BARCODES_MAX,
    NAME_CHARACTERS_MAX,
    PRICE_SATANG_MAX,
    SORT_MAX,
    Item,
    check_digit,
    folded,
    same_for_all,
    tidied,
    tidied_item,
    wrong_in_barcode,
    wrong_in_item,
)

GOOD = Item("N1", "ก๋วยเตี๋ยวน้ำใส", "Noodle soup", (), "เส้น", 5_000)


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("8851959132012", None),  # EAN-13
        ("8851959132013", ("check_digit", "2")),
        ("96385074", None),  # EAN-8
        ("96385075", ("check_digit", "4")),
        ("036000291452", None),  # UPC-A
        ("036000291453", ("check_digit", "2")),
        ("18851959132019", None),  # GTIN-14, a carton
        ("18851959132010", ("check_digit", "9")),
        ("2001234005005", None),  # a price inside, or not: a code like any other
        ("1234567", None),  # a shop's own: another length
        ("123456789", None),
        ("A-17", None),
        ("9638507A", None),  # a letter: no trade body's
        ("x" * 32, None),
        ("x" * 33, ("not_barcode", "32")),
        ("", ("not_barcode", "32")),
        ("ก1", ("not_barcode", "32")),
        ("a b", ("not_barcode", "32")),
        ("a|b", ("not_barcode", "32")),
        ("a\x00", ("not_barcode", "32")),
        ("๘๘๕๑๙๕๙๑๓๒๐๑๒", ("not_barcode", "32")),
    ],
)
def test_barcodes(code: str, wrong: tuple[str, str] | None) -> None:
    assert wrong_in_barcode(code) == wrong


@pytest.mark.parametrize(("digits", "expected"), [("885195913201", "2"), ("9638507", "4"), ("0" * 12, "0")])
def test_check_digits(digits: str, expected: str) -> None:
    assert check_digit(digits) == expected


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("036000291452", "0036000291452"),
        ("0036000291452", "0036000291452"),
        ("036000291453", "036000291453"),  # no UPC: its check digit is wrong
        ("96385074", "96385074"),
        ("A23456789012", "A23456789012"),
    ],
)
def test_a_upc_is_one_code_with_or_without_its_zero(code: str, kept: str) -> None:
    assert same_for_all(code) == kept


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, None),
        ({"sku": ""}, ("sku", "not_sku", "32")),
        ({"sku": "a b"}, ("sku", "not_sku", "32")),
        ({"sku": "ก" * 32}, None),
        ({"sku": "ก" * 33}, ("sku", "not_sku", "32")),
        ({"name_th": ""}, None),
        ({"name_en": ""}, None),
        ({"name_th": "", "name_en": ""}, ("name_th", "no_name", "")),
        ({"name_th": "ก" * NAME_CHARACTERS_MAX}, None),
        ({"name_th": "ก" * (NAME_CHARACTERS_MAX + 1)}, ("name_th", "too_long", "80")),
        ({"name_en": "x" * (NAME_CHARACTERS_MAX + 1)}, ("name_en", "too_long", "80")),
        ({"name_th": "ชานม 🧋"}, None),
        ({"name_th": "ครอบครัว 👨‍👩‍👧"}, None),
        ({"name_th": "a\u202eb"}, ("name_th", "hidden_sign", "U+202E")),
        ({"name_th": "\u200d"}, ("name_th", "hidden_sign", "U+200D")),
        ({"name_th": "a\u200db"}, ("name_th", "hidden_sign", "U+200D")),
        ({"name_en": "\u3164"}, ("name_en", "hidden_sign", "U+3164")),
        ({"name_en": "\u2800\u2800"}, ("name_en", "hidden_sign", "U+2800")),
        ({"name_th": "ก" + "\u0e48" * 60}, ("name_th", "too_many_marks", "3")),
        ({"name_th": "ก" + "\u0e34\u0e48\u0e4c\u0e48"}, ("name_th", "too_many_marks", "3")),
        ({"name_th": "น้ำ \u0e48"}, ("name_th", "too_many_marks", "3")),
        ({"name_en": "a\x07b"}, ("name_en", "hidden_sign", "U+0007")),
        ({"name_en": "a\ud800"}, ("name_en", "hidden_sign", "U+D800")),
        ({"category": "ก" * 40}, None),
        ({"category": "ก" * 41}, ("category", "too_long", "40")),
        ({"price_satang": None}, None),
        ({"price_satang": 0}, ("price", "price_range", "")),
        ({"price_satang": -1}, ("price", "price_range", "")),
        ({"price_satang": 1}, None),
        ({"price_satang": PRICE_SATANG_MAX}, None),
        ({"price_satang": PRICE_SATANG_MAX + 1}, ("price", "price_range", "")),
        ({"barcodes": tuple(f"A{n}" for n in range(BARCODES_MAX))}, None),
        ({"barcodes": tuple(f"A{n}" for n in range(BARCODES_MAX + 1))}, ("barcode", "too_many_barcodes", "8")),
        ({"barcodes": ("A1", "8851959132013")}, ("barcode", "check_digit", "2")),
        ({"sort": SORT_MAX}, None),
        ({"sort": SORT_MAX + 1}, ("order", "not_order", "999999")),
        ({"sort": -1}, ("order", "not_order", "999999")),
    ],
)
def test_items(changed: dict[str, object], wrong: tuple[str, str, str] | None) -> None:
    assert wrong_in_item(GOOD._replace(**changed)) == wrong


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  ข้าว \t ผัด\n", "ข้าว ผัด"),
        ("ข้าว\u200bผัด", "ข้าวผัด"),  # as Thai word processors separate words
        ("\ufeffก", "ก"),
        ("e\u0301", "é"),
        ("ＡＢＣ", "ＡＢＣ"),
    ],
)
def test_names_are_tidied(typed: str, kept: str) -> None:
    assert tidied(typed) == kept


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("น้ำ", "น\u0e49\u0e4d\u0e32"),  # SARA AM in two pieces
        ("น้ำ", "น\u0e4d\u0e49\u0e32"),  # and the tone typed after the ring
        ("แกง", "เเกง"),  # two SARA E instead of SARA AE
        ("ขนาด ๕๐๐", "ขนาด 500"),
        ("COCA Cola", "coca cola"),
        ("ＡＢＣ１", "abc1"),
        ("ข้าว\u200bผัด", "ข้าวผัด"),
        ("a\x00b", "a b"),
    ],
)
def test_what_looks_alike_is_searched_alike(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_an_item_has_a_name_in_either_language() -> None:
    assert (GOOD.name("th"), GOOD.name("en")) == ("ก๋วยเตี๋ยวน้ำใส", "Noodle soup")
    assert GOOD._replace(name_en="").name("en") == GOOD.name_th
    assert GOOD._replace(name_th="").name("th") == GOOD.name_en
    assert tidied_item(GOOD._replace(name_th=" ก  ข ", barcodes=("036000291452", "0036000291452"))) == GOOD._replace(
        name_th="ก ข", barcodes=("0036000291452",)
    )
