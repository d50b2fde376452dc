"""What a shop sells: one item, its category, and which words, codes and prices it may have. Pure. DESIGN §2.

A code with digits that a trade body hands out (8, 12, 13 or 14 of them) must have its check digit right; a shop's own
codes are of another length or have a letter. Never looks into a price or weight inside a code (decision 0176).
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from offline_ledger.money import ARABIC
from offline_ledger.seen_text import wrong_sign

ITEMS_MAX = 100_000
"""A small supermarket has a fifth of that."""
CATEGORIES_MAX = 200
"""More buttons than a cashier can look through."""
CODE_CHARACTERS_MAX = 32
NAME_CHARACTERS_MAX = 80
"""Two lines of a receipt of 58 mm."""
CATEGORY_CHARACTERS_MAX = 40
BARCODES_MAX = 8
"""The piece, the pack, the carton, and what is left from before a relaunch."""
PRICE_SATANG_MAX = 99_999_999
"""999,999.99 baht: 9,999 pieces of it stay below the largest amount of the system."""
SORT_MAX = 999_999

GTIN_DIGITS = (8, 12, 13, 14)
_DIGITS = re.compile(r"[0-9]+")
_INVISIBLE: dict[int, None] = dict.fromkeys((0x200B, 0x2060, 0xFEFF, 0x00AD))
"""Thai word processors leave zero-width spaces between words; nobody sees, searches or means them."""
_MARK_THEN_TONE = re.compile("\u0e4d([\u0e48-\u0e4b])")
_TWO_E = "\u0e40\u0e40"
_AE = "\u0e41"


class Category(NamedTuple):
    """A shelf of the page; its Thai name is its key. `sort`: smaller comes first."""

    name_th: str
    name_en: str = ""
    sort: int = 0


class Item(NamedTuple):
    """One thing for sale. `price_satang` None: the cashier keys the price in. `category` is the Thai name of one, or
    empty. At least one of both names is there."""

    sku: str
    name_th: str = ""
    name_en: str = ""
    barcodes: tuple[str, ...] = ()
    category: str = ""
    price_satang: int | None = None
    is_vat_exempt: bool = False
    is_active: bool = True
    sort: int = 0

    def name(self, language: str) -> str:
        """In that language, or in the one that it has."""
        return (self.name_en or self.name_th) if language == "en" else (self.name_th or self.name_en)


def tidied(text: str) -> str:
    """As it is kept: composed, without what nobody sees, one space where there were more."""
    return " ".join(unicodedata.normalize("NFC", text.translate(_INVISIBLE)).split())


def folded(text: str) -> str:
    """As it is searched: no case, no full width, Thai digits as Arabic ones, and two ways of typing one Thai letter
    alike. What cannot be printed is a space."""
    plain = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).casefold().translate(ARABIC)
    plain = _MARK_THEN_TONE.sub("\\1\u0e4d", plain).replace(_TWO_E, _AE)
    return " ".join("".join(one if one.isprintable() else " " for one in plain).split())


def wrong_in_name(name: str, characters_max: int = NAME_CHARACTERS_MAX) -> tuple[str, str] | None:
    """Key and value of what is wrong with a tidied name, or None. An emoji is a name like any other."""
    if len(name) > characters_max:
        return "too_long", str(characters_max)
    return wrong_sign(name)


def is_code(code: str) -> bool:
    """A sku: 1 to 32 signs that can be seen, no space."""
    return 1 <= len(code) <= CODE_CHARACTERS_MAX and " " not in code and wrong_sign(code) is None


def check_digit(digits: str) -> str:
    """The last digit of a GS1 code, of those before it."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def wrong_in_barcode(code: str) -> tuple[str, str] | None:
    """Key and value of what is wrong with it, or None."""
    if not (is_code(code) and code.isascii() and "|" not in code):
        return "not_barcode", str(CODE_CHARACTERS_MAX)
    if len(code) in GTIN_DIGITS and _DIGITS.fullmatch(code) and check_digit(code[:-1]) != code[-1]:
        return "check_digit", check_digit(code[:-1])
    return None


def same_for_all(code: str) -> str:
    """A code as it is kept and looked up: scanners send the 12 digits of a UPC as they are, or with a zero before."""
    is_upc = len(code) == 12 and _DIGITS.fullmatch(code) and wrong_in_barcode(code) is None
    return f"0{code}" if is_upc else code


def tidied_item(item: Item) -> Item:
    """As it is kept: what a file brings back is then the same."""
    return item._replace(
        name_th=tidied(item.name_th),
        name_en=tidied(item.name_en),
        category=tidied(item.category),
        barcodes=tuple(dict.fromkeys(map(same_for_all, item.barcodes))),
    )


def wrongs_in_item(item: Item) -> Iterator[tuple[str, str, str]]:
    """Column, key and value of all that is wrong with a tidied item."""
    if not is_code(item.sku):
        yield "sku", "not_sku", str(CODE_CHARACTERS_MAX)
    if not item.name_th and not item.name_en:
        yield "name_th", "no_name", ""
    for column, name, most in (
        ("name_th", item.name_th, NAME_CHARACTERS_MAX),
        ("name_en", item.name_en, NAME_CHARACTERS_MAX),
        ("category", item.category, CATEGORY_CHARACTERS_MAX),
    ):
        if (wrong := wrong_in_name(name, most)) is not None:
            yield column, *wrong
    if len(item.barcodes) > BARCODES_MAX:
        yield "barcode", "too_many_barcodes", str(BARCODES_MAX)
    for code in item.barcodes[:BARCODES_MAX]:
        if (wrong := wrong_in_barcode(code)) is not None:
            yield "barcode", *wrong
    if item.price_satang is not None and not 1 <= item.price_satang <= PRICE_SATANG_MAX:
        yield "price", "price_range", ""
    if not 0 <= item.sort <= SORT_MAX:
        yield "order", "not_order", str(SORT_MAX)


def wrong_in_item(item: Item) -> tuple[str, str, str] | None:
    """The first of it, or None."""
    return next(wrongs_in_item(item), None)
