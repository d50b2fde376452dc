"""Returns in part: in whatever steps, they come to exactly what one return of all would give. DESIGN §5, §8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import AmountNotPositive, NothingLeftToReturn, ReturnTooLarge
from pos_app.counter.giving_back import Back, Paid, added, give_back, rest

PAID = Paid(10_000, 3_333, 6_667)
NONE = Back(0, 0, 0)


def test_both_sides_of_what_is_left() -> None:
    assert give_back(PAID, NONE, 1) == Back(1, 0, 0)
    assert give_back(PAID, NONE, 10_000) == rest(PAID, NONE) == Back(*PAID)
    assert give_back(PAID, Back(9_999, 3_332, 6_666), 1) == Back(1, 1, 1)
    with pytest.raises(ReturnTooLarge):
        give_back(PAID, NONE, 10_001)
    with pytest.raises(ReturnTooLarge):
        give_back(PAID, Back(1, 0, 0), 10_000)


@pytest.mark.parametrize("satang", [0, -1])
def test_nothing_is_not_returned(satang: int) -> None:
    with pytest.raises(AmountNotPositive):
        give_back(PAID, NONE, satang)


@pytest.mark.parametrize("before", [Back(*PAID), Back(10_001, 0, 0)])
def test_what_is_back_is_not_returned_again(before: Back) -> None:
    for refused in (lambda: give_back(PAID, before, 1), lambda: rest(PAID, before)):
        with pytest.raises(NothingLeftToReturn):
            refused()


@given(
    st.integers(1, 10**7),
    st.integers(0, 10**7),
    st.integers(0, 10**7),
    st.lists(st.integers(1, 10**7), max_size=40),
)
def test_many_small_returns_give_what_one_full_return_gives(
    goods_satang: int, kgo: int, money_satang: int, steps: list[int]
) -> None:
    paid, back = Paid(goods_satang, kgo, min(money_satang, goods_satang)), NONE
    for step in steps:
        left = goods_satang - back.goods_satang
        if not left:
            break
        one = give_back(paid, back, min(step, left))
        assert all(member >= 0 for member in one)
        back = added(back, one)
        assert all(gone <= whole for gone, whole in zip(back, paid, strict=True)), "never more than was paid"
        assert back.goods_satang - back.money_satang >= 0
    if back.goods_satang < goods_satang:
        back = added(back, rest(paid, back))
    assert back == Back(*paid)
