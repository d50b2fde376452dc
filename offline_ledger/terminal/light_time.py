"""How long a light stands, and when a code is only the same scan once more. Pure: the time is an argument. DESIGN §5.

A light goes back to wait within two seconds, at once when the next code comes. A trigger that bounces sends one text
twice within a moment; the second must not put "already accepted" over the green. Decides nothing about a code.
"""

STANDS_MS = 1_500
"""With the tick of a quarter of a second, well inside two seconds."""
BOUNCE_MS = 300
"""A bouncing trigger repeats at once; nobody hands a phone to a friend in this time."""


class LightTime:
    """The last light, as far as time goes."""

    def __init__(self) -> None:
        self._text = ""
        self._shown_mono_ms: int | None = None

    def is_bounce(self, text: str, mono_ms: int) -> bool:
        """Is this the text whose light came on this moment?"""
        return self._shown_mono_ms is not None and text == self._text and mono_ms - self._shown_mono_ms < BOUNCE_MS

    def shown(self, text: str, mono_ms: int) -> None:
        """A light for this text is on."""
        self._text, self._shown_mono_ms = text, mono_ms

    def take_over(self, mono_ms: int) -> bool:
        """Has it stood long enough? True once."""
        if self._shown_mono_ms is None or mono_ms - self._shown_mono_ms < STANDS_MS:
            return False
        self._shown_mono_ms = None
        return True
