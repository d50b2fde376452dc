"""Who may do what alone: rising roles, and nothing leaves without a sale by a cashier's hand alone. DESIGN §5."""

import pytest

from pos_app.counter.flow import WHERE
from pos_app.counter.permissions import NEEDS, Role, may_alone, needed_for

GUARDED = {
    *("discount", "bill_discount", "void", "refund", "ask_back", "cancel_sale", "drawer", "cash_out", "close_shift"),
}


def test_what_makes_goods_or_money_leave_without_a_sale_needs_a_supervisor() -> None:
    assert set(NEEDS) == GUARDED
    assert {needed_for(action) for action in GUARDED} == {Role.SUPERVISOR}


@pytest.mark.parametrize("action", sorted(WHERE))
def test_each_role_may_do_what_those_below_it_may(action: str) -> None:
    may = [may_alone(role, action) for role in Role]
    assert may == ([False, True, True] if action in GUARDED else [True, True, True])


def test_every_guarded_action_is_one_of_a_screen() -> None:
    assert set(NEEDS) <= set(WHERE)
