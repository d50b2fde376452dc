"""A shift in sums: what its events come to, for X and Z reports and the drawer. Pure. DESIGN §2, §5.

Folded event by event, and kept beside the newest event in one transaction: the sums are never another thing than the
journal. Sums only grow; what goes back has sums of its own. A drawer that is short still closes.
"""

from typing import NamedTuple, cast

from offline_ledger.errors import AmountNotPositive, CashNotInDrawer, Malformed, ShiftOpen, ShiftShut
from offline_ledger.money import format_minor
from offline_ledger.protocol.shop_event import SaleSums, ShopEvent, ShopEventKind, sale_sums_of


class ShiftTotals(NamedTuple):
    """One shift. Counts and minor units; `number` is also its Z report's."""

    number: int = 0
    is_open: bool = False
    opened_at_s: int = 0
    float_satang: int = 0
    sales: int = 0
    bill_satang: int = 0
    goods_discount_satang: int = 0
    kgo: int = 0
    kgo_satang: int = 0
    coupon_satang: int = 0
    cash_satang: int = 0
    promptpay_satang: int = 0
    vat_satang: int = 0
    pieces: int = 0
    refunds: int = 0
    voids: int = 0
    back_satang: int = 0
    back_kgo: int = 0
    back_cash_satang: int = 0
    in_satang: int = 0
    out_satang: int = 0
    kgo_sales: int = 0
    counted_satang: int = -1
    """-1: not counted since something last changed it"""
    first_sequence: int = 0
    last_sequence: int = 0

    @property
    def expected_satang(self) -> int:
        """What the drawer should hold."""
        held_satang = self.float_satang + self.cash_satang + self.in_satang
        return held_satang - self.out_satang - self.back_cash_satang


def applied(totals: ShiftTotals, event: ShopEvent) -> ShiftTotals:
    """The sums after one more event. Raises Malformed for one that no till writes."""
    match _kind_of(event):
        case ShopEventKind.SHIFT_OPENED:
            first = event.after + 1
            return ShiftTotals(event.shift, True, event.at_s, _sum_of(event), first_sequence=first)
        case ShopEventKind.SALE_CLOSED:
            return _with_sale(totals, event, sale_sums_of(event))
        case ShopEventKind.RETURNED:
            return _with_return(totals, event, sale_sums_of(event))
        case ShopEventKind.CASH_IN:
            return totals._replace(in_satang=totals.in_satang + _sum_of(event), counted_satang=-1)
        case ShopEventKind.CASH_OUT:
            return totals._replace(out_satang=totals.out_satang + _sum_of(event), counted_satang=-1)
        case ShopEventKind.COUNTED | ShopEventKind.HANDED_OVER:
            return totals._replace(counted_satang=_sum_of(event))
        case ShopEventKind.SHIFT_CLOSED:
            return totals._replace(is_open=False, last_sequence=event.after)
        case ShopEventKind.DRAWER_OPENED | ShopEventKind.AUDIT_HEAD:
            return totals


def check_open(totals: ShiftTotals) -> None:
    """Raises ShiftShut."""
    if not totals.is_open:
        raise ShiftShut()


def check_shut(totals: ShiftTotals) -> None:
    """Raises ShiftOpen."""
    if totals.is_open:
        raise ShiftOpen(str(totals.number))


def check_cash_out(totals: ShiftTotals, satang: int) -> None:
    """Nobody takes out what is not there. Raises AmountNotPositive, CashNotInDrawer."""
    if satang <= 0:
        raise AmountNotPositive(str(satang))
    if satang > totals.expected_satang:
        raise CashNotInDrawer(f"{format_minor(satang)} of {format_minor(totals.expected_satang)}")


def kept(totals: ShiftTotals) -> list[int]:
    """As a list of whole numbers, for the journal's small values."""
    return [int(member) for member in totals]


def from_kept(values: list[object]) -> ShiftTotals | None:
    """What `kept` gave; None for anything else."""
    if len(values) != len(ShiftTotals._fields) or any(type(value) is not int for value in values):
        return None
    number, is_open, *rest = cast(list[int], values)
    return ShiftTotals(number, bool(is_open), *rest)


def _kind_of(event: ShopEvent) -> ShopEventKind:
    try:
        return ShopEventKind(event.what)
    except ValueError as error:
        raise Malformed(f"shop event {event.what}") from error


def _sum_of(event: ShopEvent) -> int:
    if not event.sums:
        raise Malformed("no sum")
    return event.sums[0]


def _with_sale(totals: ShiftTotals, event: ShopEvent, sums: SaleSums) -> ShiftTotals:
    return totals._replace(
        sales=totals.sales + 1,
        bill_satang=totals.bill_satang + sums.bill_satang,
        goods_discount_satang=totals.goods_discount_satang + sums.goods_discount_satang,
        kgo=totals.kgo + sums.kgo,
        kgo_sales=totals.kgo_sales + bool(sums.kgo),
        kgo_satang=totals.kgo_satang + sums.kgo_satang,
        coupon_satang=totals.coupon_satang + sums.coupon_satang,
        cash_satang=totals.cash_satang + sums.cash_satang,
        promptpay_satang=totals.promptpay_satang + sums.promptpay_satang,
        vat_satang=totals.vat_satang + sums.vat_satang,
        pieces=totals.pieces + sums.pieces,
        counted_satang=-1,
        last_sequence=event.after,
    )


def _with_return(totals: ShiftTotals, event: ShopEvent, sums: SaleSums) -> ShiftTotals:
    return totals._replace(
        refunds=totals.refunds + (not sums.is_void),
        voids=totals.voids + bool(sums.is_void),
        back_satang=totals.back_satang + sums.bill_satang,
        back_kgo=totals.back_kgo + sums.kgo,
        back_cash_satang=totals.back_cash_satang + sums.cash_satang,
        counted_satang=-1,
        last_sequence=event.after,
    )
