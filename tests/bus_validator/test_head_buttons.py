"""What two buttons say: short when it ends, long when it is long; whatever order a bouncing cable brings."""

import random

import pytest

from bus_validator.head_buttons import LEFT, LONG, PRESSED, RELEASED, RIGHT, Button, HeadButtons
from firmware.link import messages


def words(*events: tuple[int, int]) -> list[Button | None]:
    buttons = HeadButtons()
    return [buttons.word(*event) for event in events]


def said(*events: tuple[int, int]) -> list[Button]:
    return [word for word in words(*events) if word is not None]


def test_the_numbers_are_the_cables_own() -> None:
    assert (PRESSED, RELEASED, LONG) == (messages.BUTTON_PRESSED, messages.BUTTON_RELEASED, messages.BUTTON_LONG)


@pytest.mark.parametrize(
    ("button", "short", "long"), [(LEFT, Button.NEXT, Button.CANCEL), (RIGHT, Button.OK, Button.BACK)]
)
def test_each_button_has_a_short_and_a_long_word(button: int, short: Button, long: Button) -> None:
    assert words((button, PRESSED), (button, RELEASED)) == [None, short], "when it ends"
    assert words((button, PRESSED), (button, LONG), (button, RELEASED)) == [None, long, None], "when it is long"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([(LEFT, RELEASED)], []),
        ([(LEFT, PRESSED), (LEFT, PRESSED), (LEFT, RELEASED), (LEFT, RELEASED)], [Button.NEXT]),
        ([(LEFT, PRESSED), (RIGHT, PRESSED), (LEFT, RELEASED), (RIGHT, RELEASED)], [Button.NEXT, Button.OK]),
        ([(LEFT, PRESSED), (RIGHT, RELEASED)], []),
        ([(LEFT, PRESSED), (RIGHT, LONG), (LEFT, RELEASED)], [Button.BACK, Button.NEXT]),
        ([(LEFT, LONG), (LEFT, RELEASED)], [Button.CANCEL]),
        ([(LEFT, PRESSED), (LEFT, LONG), (LEFT, PRESSED), (LEFT, RELEASED)], [Button.CANCEL, Button.NEXT]),
        ([(3, PRESSED), (3, RELEASED), (0, LONG), (255, PRESSED), (255, LONG)], []),
        ([(LEFT, 0), (LEFT, 4), (LEFT, 255)], []),
    ],
    ids=["lost press", "bounce", "both", "other", "long beside", "no press", "twice", "no such button", "no such kind"],
)
def test_odd_orders(events: list[tuple[int, int]], expected: list[Button]) -> None:
    assert said(*events) == expected


def test_never_more_words_than_fingers(rng: random.Random) -> None:
    """Any bytes: a word needs a press of its own, or is long."""
    events = [(rng.randrange(256), rng.randrange(8)) for _ in range(2_000)]
    events += [(rng.choice((LEFT, RIGHT)), rng.choice((PRESSED, RELEASED, LONG))) for _ in range(2_000)]
    fingers = sum(kind in (PRESSED, LONG) for button, kind in events if button in (LEFT, RIGHT))
    assert 0 < len(said(*events)) <= fingers
