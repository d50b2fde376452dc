"""Keys and screens: the whole table, pressed on every screen, and pictures that are old. DESIGN §2."""

import pytest

from offline_ledger.errors import NotNow, StaleScreen
from pos_app.counter.flow import BACK, FREE, WHERE, Screen, check_fresh, check_here
from pos_app.desk.desk import ACTIONS


@pytest.mark.parametrize("screen", Screen)
def test_a_key_works_on_its_screens_and_on_no_other(screen: Screen) -> None:
    for action, screens in WHERE.items():
        if screen in screens:
            check_here(action, screen)
        else:
            with pytest.raises(NotNow):
                check_here(action, screen)
    with pytest.raises(NotNow):
        check_here("no_such_key", screen)


@pytest.mark.parametrize("action", sorted(WHERE))
def test_an_old_picture_is_refused_but_for_free_keys(action: str) -> None:
    check_fresh(action, 7, 7)
    check_fresh(action, 8, 7)
    if action in FREE:
        check_fresh(action, 0, 7)
    else:
        with pytest.raises(StaleScreen):
            check_fresh(action, 6, 7)


def test_nothing_that_takes_money_is_free_of_its_picture() -> None:
    money = {"cash", "promptpay_confirm", "kgo", "refund", "void", "cash_in", "cash_out", "cancel_sale", "drop_tender"}
    assert not FREE & money
    assert set(WHERE) >= FREE


def test_every_action_of_the_desk_has_its_screens_and_the_other_way_round() -> None:
    named = {name for names in ACTIONS.values() for name in names}
    own = {"language", "lock", "approve", "approve_cancel", "first_manager", "sign_in", "back", "print"}
    assert named | own == set(WHERE)
    assert set(BACK) == WHERE["back"]


def test_nobody_sells_or_looks_at_money_before_signing_in() -> None:
    for screen in (Screen.LOCKED, Screen.FIRST_MANAGER):
        assert {action for action, screens in WHERE.items() if screen in screens} <= {
            "language",
            "sign_in",
            "first_manager",
        }
