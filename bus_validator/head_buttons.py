"""The head's two buttons as the driver's four words: short and long, left and right. Pure."""

from enum import StrEnum


class Button(StrEnum):
    """What the two buttons of the head can say."""

    NEXT = "next"
    OK = "ok"
    BACK = "back"
    """Long right; opens the menu when it is shut."""
    CANCEL = "cancel"
    """Long left."""


LEFT, RIGHT = 1, 2
PRESSED, RELEASED, LONG = 1, 2, 3
"""As the head numbers them (docs/head.md)."""
SHORT_OF = {LEFT: Button.NEXT, RIGHT: Button.OK}
LONG_OF = {LEFT: Button.CANCEL, RIGHT: Button.BACK}


class HeadButtons:
    """What fingers did."""

    def __init__(self) -> None:
        self._down: set[int] = set()

    def word(self, button: int, kind: int) -> Button | None:
        """A short press counts when it ends, a long one when it is long; its release says nothing more."""
        if kind == PRESSED:
            self._down.add(button)
        elif kind == LONG:
            self._down.discard(button)
            return LONG_OF.get(button)
        elif kind == RELEASED and button in self._down:
            self._down.discard(button)
            return SHORT_OF.get(button)
        return None
