"""A receipt as a value: what is to be printed, and the JSON in which the print queue keeps it. Pure. DESIGN §4, §11.

Nothing is reckoned here: the amounts are those of the voucher and of the sale. What was stored is read as carefully as
what a stranger sent, for a damaged row must cost one receipt and not the printer.
"""

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple, TypeVar

from offline_ledger.errors import ReceiptUnreadable

JSON_CHARACTERS_MAX = 400_000
"""300 lines of the longest names."""
LINES_MAX = 300
ROWS_MAX = 300
TENDERS_MAX = 20
TEXT_CHARACTERS_MAX = 1_000
"""Of one text as it is stored; what is printed of a name is shorter (`layout.NAME_CHARACTERS_MAX`)."""
VOUCHER_CHARACTERS_MAX = 600
NUMBER_MAX = 10**15
"""No amount, count or time on a receipt is larger."""
AT_S_MAX = 2**33
"""The year 2242; beyond it is no clock but damage."""


class ReceiptKind(StrEnum):
    """What the paper is; each has a title of its own."""

    SALE = "sale"
    REFUND = "refund"
    VOID = "void"
    X_REPORT = "x_report"
    Z_REPORT = "z_report"
    CASH_IN = "cash_in"
    CASH_OUT = "cash_out"
    REFUND_REQUEST = "refund_request"
    TEST = "test"


class Language(StrEnum):
    """Of the words that are ours; names stay as they were keyed in."""

    TH = "th"
    EN = "en"
    BOTH = "both"


class Shop(NamedTuple):
    """The head of each receipt. `tax_id`: as it is written on the shop's certificate; empty lines are left out."""

    name: str
    branch: str = ""
    address: str = ""
    tax_id: str = ""


class Item(NamedTuple):
    """One line of a sale; `discount_satang` ≥ 0 is in `total_satang` already."""

    name: str
    quantity: int
    unit_satang: int
    total_satang: int
    discount_satang: int = 0


class Tender(NamedTuple):
    """One way in which was paid. `kind`: the end of a text's key `receipt.tender.…` (`cash`, `promptpay`, `coupon`,
    `other`). `is_unverified`: nobody has confirmed that the money came."""

    kind: str
    satang: int
    is_unverified: bool = False


TENDER_KINDS = ("cash", "promptpay", "coupon", "other")


class Receipt(NamedTuple):
    """Everything that stands on one paper. Amounts in satang and 1/100 KGO, times in Unix seconds.

    A sale has `items`, its sums and `tenders`; a report or slip has `rows`: label and value as they are printed, a row
    without a value is a heading, an empty one a rule. `total_satang` None: no total is printed."""

    kind: ReceiptKind
    shop: Shop
    number: str
    at_s: int
    cashier: str = ""
    items: tuple[Item, ...] = ()
    subtotal_satang: int | None = None
    discount_satang: int = 0
    kgo: int = 0
    kgo_discount_satang: int = 0
    campaign: str = ""
    """One line that explains the KGO discount."""
    total_satang: int | None = None
    tenders: tuple[Tender, ...] = ()
    change_satang: int | None = None
    vat_satang: int | None = None
    """VAT that the total includes; None: the shop is not registered for it."""
    reward_kgo: int = 0
    """A claim: the customer has it when it is posted."""
    original: str = ""
    """Number of the receipt that this one gives back or voids."""
    note: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    voucher: str | None = None
    """QR text of type V: anyone can check it later."""
    language: Language = Language.BOTH
    is_copy: bool = False
    is_training: bool = False
    is_doubtful: bool = False
    """A paper with the same content may have come out before. The print queue says so, nobody else."""


def encode_receipt(receipt: Receipt) -> str:
    """As JSON. Raises ReceiptUnreadable for what `decode_receipt` would refuse: what is stored can be read."""
    fields = receipt._asdict()
    fields["shop"] = receipt.shop._asdict()
    fields["items"] = [item._asdict() for item in receipt.items]
    fields["tenders"] = [tender._asdict() for tender in receipt.tenders]
    said = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    decode_receipt(said)
    return said


def decode_receipt(said: str) -> Receipt:
    """Raises ReceiptUnreadable. A field that is missing has its default: an older program wrote it."""
    if len(said) > JSON_CHARACTERS_MAX:
        raise ReceiptUnreadable(f"{len(said)} characters")
    try:
        found = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise ReceiptUnreadable("no JSON") from error
    return _made(Receipt, found, _RECEIPT)


# --- inside: a check for each field

_Made = TypeVar("_Made")
_Check = Callable[[object], object]


def _made(kind: Callable[..., _Made], found: object, checks: Mapping[str, _Check]) -> _Made:
    if not isinstance(found, dict) or not found.keys() <= checks.keys():
        raise ReceiptUnreadable("unknown field")
    try:
        return kind(**{name: checks[name](value) for name, value in found.items()})
    except TypeError as error:  # one without a default is missing
        raise ReceiptUnreadable("missing field") from error


def _text(characters_max: int = TEXT_CHARACTERS_MAX) -> _Check:
    def check(value: object) -> str:
        if not isinstance(value, str) or len(value) > characters_max or any("\ud800" <= c <= "\udfff" for c in value):
            raise ReceiptUnreadable("text expected")
        return value

    return check


def _whole(least: int = -NUMBER_MAX, most: int = NUMBER_MAX) -> _Check:
    def check(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ReceiptUnreadable("whole number expected")
        return value

    return check


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ReceiptUnreadable("true or false expected")
    return value


def _or_none(check: _Check) -> _Check:
    return lambda value: None if value is None else check(value)


def _one_of(kind: type[StrEnum]) -> _Check:
    def check(value: object) -> StrEnum:
        try:
            return kind(str(value))
        except ValueError as error:
            raise ReceiptUnreadable("unknown word") from error

    return check


def _list(check: _Check, length_max: int) -> _Check:
    def checked(value: object) -> tuple[object, ...]:
        if not isinstance(value, list) or len(value) > length_max:
            raise ReceiptUnreadable("list expected")
        return tuple(check(member) for member in value)

    return checked


def _row(value: object) -> tuple[object, object]:
    if not isinstance(value, list) or len(value) != 2:
        raise ReceiptUnreadable("label and value expected")
    return _text()(value[0]), _text()(value[1])


def _tender_kind(value: object) -> object:
    if value not in TENDER_KINDS:
        raise ReceiptUnreadable("unknown tender")
    return value


_SHOP: Mapping[str, _Check] = {name: _text() for name in Shop._fields}
_ITEM: Mapping[str, _Check] = {
    "name": _text(),
    "quantity": _whole(),
    "unit_satang": _whole(),
    "total_satang": _whole(),
    "discount_satang": _whole(),
}
_TENDER: Mapping[str, _Check] = {"kind": _tender_kind, "satang": _whole(), "is_unverified": _flag}
_RECEIPT: Mapping[str, _Check] = {
    "kind": _one_of(ReceiptKind),
    "shop": lambda value: _made(Shop, value, _SHOP),
    "number": _text(),
    "at_s": _whole(0, AT_S_MAX),
    "cashier": _text(),
    "items": _list(lambda value: _made(Item, value, _ITEM), LINES_MAX),
    "subtotal_satang": _or_none(_whole()),
    "discount_satang": _whole(),
    "kgo": _whole(),
    "kgo_discount_satang": _whole(),
    "campaign": _text(),
    "total_satang": _or_none(_whole()),
    "tenders": _list(lambda value: _made(Tender, value, _TENDER), TENDERS_MAX),
    "change_satang": _or_none(_whole()),
    "vat_satang": _or_none(_whole()),
    "reward_kgo": _whole(),
    "original": _text(),
    "note": _text(),
    "rows": _list(_row, ROWS_MAX),
    "voucher": _or_none(_text(VOUCHER_CHARACTERS_MAX)),
    "language": _one_of(Language),
    "is_copy": _flag,
    "is_training": _flag,
    "is_doubtful": _flag,
}
