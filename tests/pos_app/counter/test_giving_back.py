"""Returns in part: in whatever steps, they come to exactly what one return of all would give. DESIGN §5, §8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import AmountNotPositive, NothingLeftToReturn, ReturnTooLarge
from offline_ledger.money import KGO, share_down
from pos_app.counter import giving_back
from pos_app.counter.giving_back import Back, Paid, added, give_back, rest

PAID = Paid(10_000, 3_333, 6_667)
NONE = Back(0, 0, 0)
ALL = Back(*PAID[:3])


def test_both_sides_of_what_is_left() -> None:
    assert give_back(PAID, NONE, 1) == Back(1, 1, 0)
    assert give_back(PAID, NONE, 10_000) == rest(PAID, NONE) == ALL
    assert give_back(PAID, Back(9_999, 3_333, 6_666), 1) == Back(1, 0, 1)
    with pytest.raises(ReturnTooLarge):
        give_back(PAID, NONE, 10_001)
    with pytest.raises(ReturnTooLarge):
        give_back(PAID, Back(1, 0, 0), 10_000)


@pytest.mark.parametrize("satang", [0, -1])
def test_nothing_is_not_returned(satang: int) -> None:
    with pytest.raises(AmountNotPositive):
        give_back(PAID, NONE, satang)


@pytest.mark.parametrize("before", [ALL, Back(10_001, 0, 0)])
def test_what_is_back_is_not_returned_again(before: Back) -> None:
    for refused in (lambda: give_back(PAID, before, 1), lambda: rest(PAID, before)):
        with pytest.raises(NothingLeftToReturn):
            refused()


def test_a_refund_of_40_50_comes_to_40_50() -> None:
    """As a cashier adds it up, where one KGO is one baht."""
    assert give_back(Paid(27_450, 2_000, 25_450), NONE, 4_050) == Back(4_050, 296, 3_754)


@given(
    st.integers(0, 10**7),
    st.integers(0, 10**7),
    st.integers(0, 10**6),
    st.sampled_from([1, 33, 50, 99, 100, 101, 150, 400, 10_000]),
    st.lists(st.integers(1, 10**7), max_size=40),
)
def test_no_satang_is_lost_in_any_order_of_returns(
    kgo: int, money_satang: int, coupon_satang: int, rate_satang: int, steps: list[int]
) -> None:
    """What the KGO are worth at the sale's rate, the money and what a coupon had paid come to the goods."""
    worth_satang = share_down(kgo, rate_satang, KGO)
    goods_satang = worth_satang + money_satang + coupon_satang
    if not goods_satang:
        return
    paid, back = Paid(goods_satang, kgo, money_satang, coupon_satang), NONE
    for step in [*steps, goods_satang]:
        left = goods_satang - back.goods_satang
        if not left:
            break
        one = give_back(paid, back, min(step, left))
        assert all(member >= 0 for member in one)
        gone, back = giving_back.coupon_satang(paid, back), added(back, one)
        assert all(gone <= whole for gone, whole in zip(back, paid[:3], strict=True)), "never more than was paid"
        assert giving_back.coupon_satang(paid, back) >= gone
        owed_satang = back.goods_satang - back.money_satang - giving_back.coupon_satang(paid, back)
        assert 0 <= owed_satang <= worth_satang
        worth_back_satang = share_down(back.kgo, rate_satang, KGO)
        if worth_satang:
            assert worth_back_satang >= owed_satang, "nothing vanishes on the way"
            assert share_down(max(0, back.kgo - 1), rate_satang, KGO) <= owed_satang, "nor does a hundredth appear"
        if rate_satang == KGO:
            assert back.kgo + back.money_satang + giving_back.coupon_satang(paid, back) == back.goods_satang
    assert back == Back(*paid[:3]) and giving_back.coupon_satang(paid, back) == coupon_satang
