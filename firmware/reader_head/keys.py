"""Buttons and the cover's switch, freed of bounce. Looked at by the loop, so no interrupt handler exists. DESIGN §3."""

from firmware.link.const import const
from firmware.link.messages import BUTTON_LONG, BUTTON_PRESSED, BUTTON_RELEASED
from firmware.link.window import elapsed_ms

BOUNCE_MS = const(20)  # contacts are still after 10
LONG_MS = const(800)


class Switch:
    # A level that counts once it has stood for BOUNCE_MS.
    def __init__(self, level: int) -> None:
        self.level = level
        self._seen = level
        self._seen_ms = 0

    def look(self, level: int, now_ms: int) -> bool:
        # True once for each change.
        if level != self._seen:
            self._seen = level
            self._seen_ms = now_ms
        if level == self.level or elapsed_ms(now_ms, self._seen_ms) < BOUNCE_MS:
            return False
        self.level = level
        return True


class Button:
    # Low while pressed. LONG comes while it is still held.
    def __init__(self) -> None:
        self._switch = Switch(1)
        self._pressed_ms = 0
        self._told_long = True

    def look(self, level: int, now_ms: int) -> int:
        # A kind of BUTTON message, or 0.
        if self._switch.look(level, now_ms):
            self._pressed_ms = now_ms
            self._told_long = level == 1
            return BUTTON_RELEASED if level else BUTTON_PRESSED
        if not self._told_long and elapsed_ms(now_ms, self._pressed_ms) >= LONG_MS:
            self._told_long = True
            return BUTTON_LONG
        return 0
