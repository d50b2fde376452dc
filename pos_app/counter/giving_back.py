"""How much of each way to pay goes back when part of a sale is returned. Pure. DESIGN §5, §8.

Every part of the payment goes back in the proportion in which it was paid, reckoned on all that was returned so far, so
that many small returns come to exactly what one would, and the last one leaves nothing behind. KGO go back to the
wallet; money goes back as cash. A coupon is a bearer's: what it paid is not given back.
"""

from typing import NamedTuple

from offline_ledger.errors import AmountNotPositive, NothingLeftToReturn, ReturnTooLarge
from offline_ledger.money import share_down


class Paid(NamedTuple):
    """What a sale came to: the goods, and the two legs of its voucher. Satang, 1/100 KGO."""

    goods_satang: int
    kgo: int
    money_satang: int


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
        raise ReturnTooLarge(f"{goods_satang} of {left_satang}")
    through_satang = before.goods_satang + goods_satang
    return Back(
        goods_satang,
        share_down(paid.kgo, through_satang, paid.goods_satang) - before.kgo,
        share_down(paid.money_satang, through_satang, paid.goods_satang) - before.money_satang,
    )


def rest(paid: Paid, before: Back) -> Back:
    """All that is left. Raises NothingLeftToReturn."""
    return give_back(paid, before, paid.goods_satang - before.goods_satang)


def added(before: Back, back: Back) -> Back:
    """Both together."""
    return Back(*(one + other for one, other in zip(before, back, strict=True)))
