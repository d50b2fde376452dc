"""The screen's thread: the newest face is drawn and pushed; a face that came too late is never drawn. DESIGN §10.

`show` returns at once, from any thread. Nothing that a screen does reaches the caller: a screen that is lost is opened
again with back-off, and the face that stands then is shown. Pillow, fonts and luma are loaded by this thread alone.
"""

import time
from collections.abc import Callable
from threading import Condition, Thread
from typing import TYPE_CHECKING, NamedTuple

from bus_validator.drivers.displays import Display, OpenDisplay, hardware_errors
from bus_validator.face import Theme
from bus_validator.self_test_page import Picture
from offline_ledger.errors import DeviceSupportMissing, Refusal, ScreenLost
from offline_ledger.terminal.backoff import BackOff

if TYPE_CHECKING:
    from bus_validator.screen.painter import Painter

REOPEN_FIRST_S, REOPEN_LAST_S = 0.5, 30.0
"""A plug that is put back shows its face soon; a screen that is gone costs a try every half minute."""
CLOSE_S_MAX = 2.0
STUCK_S_MAX = 5.0
"""A picture that takes so long to show hangs in its driver: an ILI9341 at its slowest takes half a second."""

Note = Callable[[Refusal | None], None]
"""A trouble of the screen, or None when it is over. Called by the screen's thread."""


class ScreenHealth(NamedTuple):
    """For `diagnose`. Times in microseconds; `late_us`: from `show` to the picture being on the glass."""

    is_lost: bool
    trouble: Refusal | None
    size: tuple[int, int] | None
    theme: Theme
    pictures: int
    drawn_us: int
    drawn_us_max: int
    pushed_us: int
    late_us: int


class Screen:
    """One screen. Start it after the validator is ready; close it at the end."""

    def __init__(
        self,
        open_display: OpenDisplay,
        theme: Theme = Theme.DAY,
        note: Note | None = None,
    ) -> None:
        self._open_display = open_display
        self._note = note
        self._changed = Condition()
        self._face: Picture | None = None
        self._shown_s = 0.0
        self._is_due = False
        self._is_closing = False
        self._last: Picture | None = None
        self._theme = theme
        self._display: Display | None = None
        self._painter: Painter | None = None
        self._again = BackOff(REOPEN_FIRST_S, REOPEN_LAST_S)
        self._health = ScreenHealth(True, None, None, theme, 0, 0, 0, 0, 0)
        self._busy_since_s: float | None = None
        self._thread = Thread(target=self._run, name="screen", daemon=True)

    def start(self) -> None:
        """Once."""
        self._thread.start()

    def show(self, face: Picture) -> None:
        """This face from now on. Returns at once; the same face again costs nothing."""
        with self._changed:
            if face == self._face:
                return
            self._face = face
            self._ask()

    def use(self, theme: Theme) -> None:
        """This theme from now on."""
        with self._changed:
            if theme is not self._theme:
                self._theme = theme
                if self._face is not None:
                    self._ask()

    @property
    def is_lost(self) -> bool:
        """No picture reaches the glass."""
        return self.health().is_lost

    def health(self) -> ScreenHealth:
        """As of now; a thread that hangs in its driver or has ended counts as a lost screen."""
        busy_s = self._busy_since_s
        if busy_s is not None and time.monotonic() - busy_s > STUCK_S_MAX:
            return self._health._replace(is_lost=True, trouble=ScreenLost("it hangs"))
        if self._thread.ident is not None and not self._thread.is_alive():
            return self._health._replace(is_lost=True, trouble=self._health.trouble or ScreenLost("it has ended"))
        return self._health

    def close(self, last: Picture | None = None) -> None:
        """Ends the thread, within CLOSE_S_MAX even if the screen hangs. `last`: what stays on the glass, which keeps
        its picture when the program has gone."""
        with self._changed:
            self._is_closing, self._last = True, last
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S_MAX)

    def _ask(self) -> None:
        if not self._is_due:
            self._shown_s = time.monotonic()
        self._is_due = True
        self._changed.notify()

    def _run(self) -> None:
        while (asked := self._next()) is not None:
            face, theme, shown_s = asked
            self._busy_since_s = time.monotonic()
            try:
                self._put(face, theme, shown_s)
            except Refusal as refusal:
                self._lost(refusal)
            except Exception as error:  # noqa: BLE001 - whatever it was: without this thread a green would stand for ever
                self._lost(ScreenLost(f"drawing: {error!r}"))
            self._busy_since_s = None
        self._let_go()

    def _next(self) -> tuple[Picture, Theme, float] | None:
        """What to draw now; nothing: the end."""
        with self._changed:
            while not self._is_closing:
                left_s = self._again.left_s(time.monotonic()) if self._is_due else None
                if self._is_due and not left_s:
                    assert self._face is not None
                    self._is_due = False
                    return self._face, self._theme, self._shown_s
                self._changed.wait(left_s)
            last, self._last = self._last, None
            return None if last is None or self._display is None else (last, self._theme, time.monotonic())

    def _put(self, face: Picture, theme: Theme, shown_s: float) -> None:
        """Raises what opening a display and a painter do, and ScreenLost."""
        display = self._display if self._display is not None else self._opened()
        painter = self._painter_for(display, theme)
        begun_s = time.monotonic()
        try:
            image = painter.draw(face)
        except (OSError, ValueError, MemoryError) as error:
            raise ScreenLost(f"drawing: {error}") from error
        drawn_s = time.monotonic()
        try:
            display.display(image)
        except hardware_errors() as error:
            raise ScreenLost(str(error)) from error
        pushed_s = time.monotonic()
        before = self._health
        drawn_us = _us(drawn_s - begun_s)
        self._health = ScreenHealth(
            is_lost=False,
            trouble=None,
            size=display.size,
            theme=theme,
            pictures=before.pictures + 1,
            drawn_us=drawn_us,
            drawn_us_max=max(before.drawn_us_max, drawn_us),
            pushed_us=_us(pushed_s - drawn_s),
            late_us=_us(pushed_s - shown_s),
        )
        self._again.worked()
        if before.trouble is not None and self._note is not None:
            self._note(None)

    def _opened(self) -> Display:
        try:
            self._display = self._open_display()
        except ImportError as error:
            raise DeviceSupportMissing(f"screen: {error.name}") from error
        except hardware_errors() as error:
            raise ScreenLost(str(error)) from error
        return self._display

    def _painter_for(self, display: Display, theme: Theme) -> "Painter":
        """The one in use, or a new one for another size."""
        try:
            from bus_validator.screen.painter import Painter
        except ImportError as error:
            raise DeviceSupportMissing(f"screen: {error.name}") from error
        if self._painter is None or self._painter.size != display.size:
            self._painter = Painter(*display.size, theme)
        if self._painter.theme is not theme:
            self._painter.theme = theme
        return self._painter

    def _lost(self, refusal: Refusal) -> None:
        self._let_go()
        is_new = self._health.trouble is None or self._health.trouble.number != refusal.number
        self._health = self._health._replace(is_lost=True, trouble=refusal)
        if is_new and self._note is not None:
            self._note(refusal)
        with self._changed:
            self._again.failed(time.monotonic())
            self._is_due = True  # what stands by then is shown

    def _let_go(self) -> None:
        display, self._display = self._display, None
        if display is not None:
            try:
                display.cleanup()
            except hardware_errors():
                pass  # it is gone already


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
