"""How long a light stands. Pure: the time is an argument. DESIGN §5.

A light goes back to wait within two seconds, and at once when the next code comes. Decides nothing about a code.
"""

STANDS_MS = 1_500
"""With the tick of a quarter of a second, well inside two seconds."""


class LightTime:
    """The last light, as far as time goes."""

    def __init__(self) -> None:
        self._shown_mono_ms: int | None = None

    def shown(self, mono_ms: int) -> None:
        """A light is on."""
        self._shown_mono_ms = mono_ms

    def gone(self) -> None:
        """It was put out before its time."""
        self._shown_mono_ms = None

    @property
    def stands(self) -> bool:
        """A light is on, and its time is not over."""
        return self._shown_mono_ms is not None

    def take_over(self, mono_ms: int) -> bool:
        """Has it stood long enough? True once."""
        if self._shown_mono_ms is None or mono_ms - self._shown_mono_ms < STANDS_MS:
            return False
        self._shown_mono_ms = None
        return True
