"""One sale from its first line to its last refund, as the shop's file keeps it. Pure. DESIGN §2.

The journal has what was paid; this has what was bought, and joins the two by the sale's name and its voucher's number.
Read back as strictly as if a stranger had written it.
"""

import json
from enum import IntEnum
from typing import NamedTuple, cast

from offline_ledger.errors import ShopFileDamaged
from pos_app.counter.basket import LINES_MAX, Basket, Line
from pos_app.counter.giving_back import Back, Paid, added
from pos_app.counter.tender import Tender, TenderKind, due_satang

TENDERS_MAX = 16
RETURNS_MAX = 64
"""Of both, the last one must settle the rest: nobody pays or returns a bill in more parts."""
BODY_BYTES_MAX = 524_288
"""Every line with the longest names, and every return with every line: some 320 KB."""
WHOLE_MAX = 1 << 48


class SaleState(IntEnum):
    """Where a sale is."""

    OPEN = 1
    """on the counter"""
    HELD = 2
    """aside, to be called back"""
    CLOSED = 3
    """paid; it has a receipt"""
    DROPPED = 4
    """nothing was paid, or all was given back before it closed"""


class Return(NamedTuple):
    """What went back once. `sequence`: the voucher that says so; `lines`: (line, quantity) where goods were named."""

    sequence: int
    at_s: int
    cashier: str
    is_void: bool
    goods_satang: int
    kgo: int
    money_satang: int
    lines: tuple[tuple[int, int], ...] = ()


class SaleRecord(NamedTuple):
    """`sale` names it for good; `number`: of its voucher, and so of its receipt; 0: none yet. `asked_kgo`: what the
    customer chose to use, while that is under way. `bill_satang` of its voucher is what coupons left."""

    sale: str
    state: SaleState = SaleState.OPEN
    number: int = 0
    at_s: int = 0
    cashier: str = ""
    shift: int = 0
    label: str = ""
    basket: Basket = Basket()
    tenders: tuple[Tender, ...] = ()
    asked_kgo: int = 0
    reward_kgo: int = 0
    vat_satang: int = 0
    returns: tuple[Return, ...] = ()

    @property
    def due_satang(self) -> int:
        """What is still to be paid."""
        return due_satang(self.basket.bill_satang, self.tenders)

    @property
    def paid(self) -> Paid:
        """What it came to, for whoever returns goods."""
        kgo = sum(tender.kgo for tender in self.tenders if tender.kind is TenderKind.KGO)
        money = sum(tender.satang for tender in self.tenders if tender.kind in (TenderKind.CASH, TenderKind.PROMPTPAY))
        coupon = sum(tender.satang for tender in self.tenders if tender.kind is TenderKind.COUPON)
        return Paid(self.basket.bill_satang, kgo, money, coupon)

    @property
    def back(self) -> Back:
        """All that went back so far."""
        sums = Back(0, 0, 0)
        for one in self.returns:
            sums = added(sums, Back(one.goods_satang, one.kgo, one.money_satang))
        return sums

    @property
    def is_void(self) -> bool:
        """Was the whole of it taken back?"""
        return any(one.is_void for one in self.returns)


def encode_record(record: SaleRecord) -> bytes:
    """As the shop's file keeps it."""
    body = {
        "number": record.number,
        "at_s": record.at_s,
        "cashier": record.cashier,
        "shift": record.shift,
        "label": record.label,
        "lines": [list(line) for line in record.basket.lines],
        "discount_satang": record.basket.discount_satang,
        "next_line": record.basket.next_line,
        "tenders": [list(tender) for tender in record.tenders],
        "asked_kgo": record.asked_kgo,
        "reward_kgo": record.reward_kgo,
        "vat_satang": record.vat_satang,
        "returns": [list(one) for one in record.returns],
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def decode_record(sale: str, state: int, raw: bytes) -> SaleRecord:
    """What `encode_record` gave. Raises ShopFileDamaged."""
    try:
        if len(raw) > BODY_BYTES_MAX:
            raise ValueError("too long")
        body = cast(dict[str, object], json.loads(raw))
        lines = [_line(one) for one in _list(body["lines"], LINES_MAX)]
        found = SaleRecord(
            sale=sale,
            state=SaleState(state),
            number=_whole(body["number"]),
            at_s=_whole(body["at_s"]),
            cashier=_text(body["cashier"]),
            shift=_whole(body["shift"]),
            label=_text(body["label"]),
            basket=Basket(tuple(lines), _whole(body["discount_satang"]), _whole(body["next_line"])),
            tenders=tuple(_tender(one) for one in _list(body["tenders"], TENDERS_MAX)),
            asked_kgo=_whole(body["asked_kgo"]),
            reward_kgo=_whole(body["reward_kgo"]),
            vat_satang=_whole(body["vat_satang"]),
            returns=tuple(_return(one) for one in _list(body["returns"], RETURNS_MAX)),
        )
        if any(one.total_satang < 0 or not one.quantity for one in lines) or found.basket.bill_satang < 0:
            raise ValueError("a discount of more than there is")
        if found.due_satang < 0 or any(gone > paid for gone, paid in zip(found.back, found.paid[:3], strict=True)):
            raise ValueError("more than the bill")
        return found
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ShopFileDamaged(f"sale {sale}: {error}") from error


def _line(value: object) -> Line:
    line, sku, name_th, name_en, unit, quantity, discount, is_exempt = _list(value, len(Line._fields))
    return Line(
        _whole(line),
        _text(sku),
        _text(name_th),
        _text(name_en),
        _whole(unit),
        _whole(quantity),
        _whole(discount),
        is_exempt is True,
    )


def _tender(value: object) -> Tender:
    kind, satang, kgo, given, sequence = _list(value, len(Tender._fields))
    return Tender(TenderKind(_text(kind)), _whole(satang), _whole(kgo), _whole(given), _whole(sequence))


def _return(value: object) -> Return:
    sequence, at_s, cashier, is_void, goods, kgo, money, lines = _list(value, len(Return._fields))
    pairs = [_list(pair, 2) for pair in _list(lines, LINES_MAX)]
    return Return(
        _whole(sequence),
        _whole(at_s),
        _text(cashier),
        is_void is True,
        _whole(goods),
        _whole(kgo),
        _whole(money),
        tuple((_whole(line), _whole(quantity)) for line, quantity in pairs),
    )


def _list(value: object, members_max: int) -> list[object]:
    if not isinstance(value, list) or len(cast(list[object], value)) > members_max:
        raise ValueError("a list is not there, or too long")
    return cast(list[object], value)


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value <= WHOLE_MAX:
        raise ValueError("not a whole number, or too large")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    value.encode()  # half of a pair is a ValueError: no screen, paper or file takes it
    return value
