"""How much of each way to pay goes back when part of a sale is returned. Pure. DESIGN §5, §8.

Every part of the payment goes back in the proportion in which it was paid, reckoned on all that was returned so far, so
that many small returns come to exactly what one would, and the last one leaves nothing behind. Money goes out as cash
and is rounded down to the satang; KGO, back to the wallet, are all the rest and rounded up to their hundredth, so that
what they are worth and the money come to the goods. A coupon is a bearer's: what it paid is not given back.
"""

from typing import NamedTuple

from offline_ledger.errors import AmountNotPositive, NothingLeftToReturn, ReturnTooLarge
from offline_ledger.money import format_minor, share_down, share_up


class Paid(NamedTuple):
    """What a sale came to: the goods, and the two legs of its voucher. Satang, 1/100 KGO. `coupon_satang`: what of the
    goods coupons paid; all that neither they nor money paid is what the KGO were worth."""

    goods_satang: int
    kgo: int
    money_satang: int
    coupon_satang: int = 0

    @property
    def other_satang(self) -> int:
        """What KGO and coupons paid."""
        return self.goods_satang - self.money_satang


class Back(NamedTuple):
    """What one return gives back."""

    goods_satang: int
    kgo: int
    money_satang: int


def give_back(paid: Paid, before: Back, goods_satang: int) -> Back:
    """The return of goods for so much, after others. Raises AmountNotPositive, NothingLeftToReturn, ReturnTooLarge."""
    left_satang = paid.goods_satang - before.goods_satang
    if left_satang <= 0:
        raise NothingLeftToReturn()
    if goods_satang <= 0:
        raise AmountNotPositive(str(goods_satang))
    if goods_satang > left_satang:
        raise ReturnTooLarge(f"{format_minor(goods_satang)} of {format_minor(left_satang)}")
    through = _through(paid, before.goods_satang + goods_satang)
    return Back(goods_satang, through.kgo - before.kgo, through.money_satang - before.money_satang)


def rest(paid: Paid, before: Back) -> Back:
    """All that is left. Raises NothingLeftToReturn."""
    return give_back(paid, before, paid.goods_satang - before.goods_satang)


def coupon_satang(paid: Paid, back: Back) -> int:
    """What of all these goods coupons had paid. It is not given back."""
    other_satang = back.goods_satang - back.money_satang
    return share_down(other_satang, paid.coupon_satang, paid.other_satang) if paid.coupon_satang else 0


def added(before: Back, back: Back) -> Back:
    """Both together."""
    return Back(*(one + other for one, other in zip(before, back, strict=True)))


def _through(paid: Paid, goods_satang: int) -> Back:
    """All that must be back when so much of the goods is."""
    money_satang = share_down(paid.money_satang, goods_satang, paid.goods_satang)
    back = Back(goods_satang, 0, money_satang)
    worth_satang = paid.other_satang - paid.coupon_satang
    if not worth_satang:  # so few KGO that they were worth no satang
        return back._replace(kgo=share_down(paid.kgo, goods_satang, paid.goods_satang))
    back_worth_satang = goods_satang - money_satang - coupon_satang(paid, back)
    return back._replace(kgo=share_up(paid.kgo, back_worth_satang, worth_satang))
