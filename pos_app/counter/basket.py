"""What a customer is about to buy: lines, quantities, discounts, and what it comes to. Pure. DESIGN §2.

Money is satang; a discount is an amount, also when the cashier said per cent: what is shown is what is charged. A
basket never comes to less than one satang: a sale of nothing is none. Never knows how it is paid.
"""

from collections.abc import Callable
from typing import NamedTuple

from offline_ledger.errors import (
    AmountNotPositive,
    AmountTooLong,
    BasketEmpty,
    BasketFull,
    DiscountTooLarge,
    LineGone,
    QuantityWrong,
)
from offline_ledger.money import format_minor, share_down, share_nearest
from offline_ledger.rules.sale import BILL_SATANG_MAX

LINES_MAX = 200
QUANTITY_MAX = 9_999
PER_CENT_MAX = 100
VAT_WHOLE_PER_MILLE = 1_000


class Line(NamedTuple):
    """One kind of goods. `line` is its own number in this basket, never given twice; `sku` is empty for what was keyed
    in by its price alone."""

    line: int
    sku: str
    name_th: str
    name_en: str
    unit_satang: int
    quantity: int
    discount_satang: int = 0
    is_vat_exempt: bool = False

    @property
    def full_satang(self) -> int:
        """Before its discount."""
        return self.unit_satang * self.quantity

    @property
    def total_satang(self) -> int:
        """After its discount."""
        return self.full_satang - self.discount_satang


class Goods(NamedTuple):
    """What is put into a basket."""

    sku: str
    name_th: str
    name_en: str
    unit_satang: int
    is_vat_exempt: bool = False


class Basket(NamedTuple):
    """All lines, in the order they came."""

    lines: tuple[Line, ...] = ()
    discount_satang: int = 0
    """On the whole of it, beside the lines' own."""
    next_line: int = 1

    @property
    def goods_satang(self) -> int:
        """The lines after their own discounts."""
        return sum(line.total_satang for line in self.lines)

    @property
    def bill_satang(self) -> int:
        """What is to be paid."""
        return self.goods_satang - self.discount_satang

    @property
    def pieces(self) -> int:
        """All quantities together."""
        return sum(line.quantity for line in self.lines)

    @property
    def discounts_satang(self) -> int:
        """Every discount in it."""
        return self.discount_satang + sum(line.discount_satang for line in self.lines)

    def find(self, number: int) -> Line:
        """Raises LineGone."""
        for line in self.lines:
            if line.line == number:
                return line
        raise LineGone(str(number))


def with_goods(basket: Basket, goods: Goods, quantity: int = 1) -> Basket:
    """One line more; the same goods at the same price, without a discount, are counted up instead.

    Raises QuantityWrong, AmountNotPositive, AmountTooLong, BasketFull.
    """
    _check_quantity(quantity)
    if goods.unit_satang <= 0:
        raise AmountNotPositive(str(goods.unit_satang))
    for line in basket.lines:
        if goods.sku and (line.sku, line.unit_satang, line.discount_satang) == (goods.sku, goods.unit_satang, 0):
            return with_quantity(basket, line.line, line.quantity + quantity)
    if len(basket.lines) >= LINES_MAX:
        raise BasketFull(f"{LINES_MAX} lines")
    new = Line(
        basket.next_line,
        goods.sku,
        goods.name_th,
        goods.name_en,
        goods.unit_satang,
        quantity,
        is_vat_exempt=goods.is_vat_exempt,
    )
    return _checked(basket._replace(lines=(*basket.lines, new), next_line=basket.next_line + 1))


def with_quantity(basket: Basket, number: int, quantity: int) -> Basket:
    """Another quantity of one line; none of it takes the line away. A discount that was given stays, if it still fits.

    Raises LineGone, QuantityWrong, AmountTooLong, DiscountTooLarge.
    """
    line = basket.find(number)
    if quantity == 0:
        return without(basket, number)
    _check_quantity(quantity)
    return _checked(_changed(basket, line.line, lambda one: one._replace(quantity=quantity)))


def with_line_discount(basket: Basket, number: int, discount_satang: int) -> Basket:
    """So much off one line, in place of what was off before. Raises LineGone, DiscountTooLarge."""
    line = basket.find(number)
    if not 0 <= discount_satang <= line.full_satang:
        raise DiscountTooLarge(f"{format_minor(discount_satang)} of {format_minor(line.full_satang)}")
    return _checked(_changed(basket, line.line, lambda one: one._replace(discount_satang=discount_satang)))


def with_bill_discount(basket: Basket, discount_satang: int) -> Basket:
    """So much off the whole, in place of what was off before. Raises BasketEmpty, DiscountTooLarge."""
    if not basket.lines:
        raise BasketEmpty()
    if not 0 <= discount_satang < basket.goods_satang:
        raise DiscountTooLarge(f"{format_minor(discount_satang)} of {format_minor(basket.goods_satang)}")
    return basket._replace(discount_satang=discount_satang)


def per_cent_satang(of_satang: int, per_cent: int) -> int:
    """A discount in per cent as an amount, rounded for the merchant. Raises DiscountTooLarge."""
    if not 0 <= per_cent <= PER_CENT_MAX:
        raise DiscountTooLarge(f"{per_cent} %")
    return share_down(of_satang, per_cent, PER_CENT_MAX)


def without(basket: Basket, number: int) -> Basket:
    """One line less; a discount on the whole that no longer fits goes with it. Raises LineGone."""
    gone = basket.find(number)
    left = basket._replace(lines=tuple(line for line in basket.lines if line.line != gone.line))
    return left if left.discount_satang < max(left.goods_satang, 1) else left._replace(discount_satang=0)


def check_payable(basket: Basket) -> None:
    """Raises BasketEmpty, AmountNotPositive."""
    if not basket.lines:
        raise BasketEmpty()
    if basket.bill_satang <= 0:
        raise AmountNotPositive(str(basket.bill_satang))


def vat_satang(basket: Basket, vat_per_mille: int) -> int:
    """The tax that is in the bill, to the nearest satang. A discount on the whole lowers taxed and exempt alike."""
    taxed_satang = sum(line.total_satang for line in basket.lines if not line.is_vat_exempt)
    if not taxed_satang or not vat_per_mille:
        return 0
    whole = basket.goods_satang * (VAT_WHOLE_PER_MILLE + vat_per_mille)
    return share_nearest(basket.bill_satang, taxed_satang * vat_per_mille, whole)


def _changed(basket: Basket, number: int, change: Callable[[Line], Line]) -> Basket:
    return basket._replace(lines=tuple(change(line) if line.line == number else line for line in basket.lines))


def _check_quantity(quantity: int) -> None:
    if not 1 <= quantity <= QUANTITY_MAX:
        raise QuantityWrong(str(quantity))


def _checked(basket: Basket) -> Basket:
    full_satang = sum(line.full_satang for line in basket.lines)  # discounts are sums of the day's report, too
    if full_satang > BILL_SATANG_MAX:
        raise AmountTooLong(f"{format_minor(full_satang)}, at most {format_minor(BILL_SATANG_MAX)}")
    if any(line.total_satang < 0 for line in basket.lines) or basket.discount_satang > basket.goods_satang:
        raise DiscountTooLarge(format_minor(basket.discounts_satang))
    return basket
