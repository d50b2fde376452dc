""" "Another passenger": pressed on purpose, good for the next green, and not for long. Pure. DESIGN §2, §5.

A phone says so itself (n + 1); a card cannot, so the button at the door or in the driver's menu says it for the card.
"""

ARMED_MS = 15_000
"""Somebody who pressed it holds the card up within this; later it was pressed by mistake."""


class Companion:
    """Whether the next tap is somebody else's ride. Times are monotonic milliseconds."""

    def __init__(self) -> None:
        self._until_ms: int | None = None

    def arm(self, mono_ms: int) -> None:
        """The button."""
        self._until_ms = mono_ms + ARMED_MS

    def is_armed(self, mono_ms: int) -> bool:
        """Does the next tap pay for a companion?"""
        return self._until_ms is not None and mono_ms < self._until_ms

    def used(self) -> None:
        """A ride was paid."""
        self._until_ms = None

    def look(self, mono_ms: int) -> bool:
        """True once when it was not used in time."""
        if self._until_ms is None or mono_ms < self._until_ms:
            return False
        self._until_ms = None
        return True
