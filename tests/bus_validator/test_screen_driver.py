"""The screen's thread: the newest face wins, a lost screen never reaches the caller, and comes
back by itself."""

import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from threading import Event
from time import monotonic

import pytest
from PIL import Image

from bus_validator.drivers import displays
from bus_validator.drivers import screen as driver
from bus_validator.drivers.displays import (
    FileDisplay,
    opener_of,
    parse_screen,
)
from bus_validator.drivers.screen import Screen, ScreenHealth
from bus_validator.face import Face, FaceState, Theme
from bus_validator.screen.painter import Painter
from offline_ledger.errors import ScreenLost, ScreenSizeUnknown
from tests.bus_validator.drawn import face_of
from tests.bus_validator.screen_bench import GREEN, REFUSED, WAIT, WAIT_S_MAX, Notes, picture, wait_for


class Panel:
    """A display in memory that behaves: it can be unplugged, and can hang in a push."""

    def __init__(self, width_px: int = 320, height_px: int = 240) -> None:
        self.size = width_px, height_px
        self.shown: list[bytes] = []
        self.opened = self.cleaned = 0
        self.is_plugged = True
        self.free = Event()
        self.free.set()
        self.is_pushing = Event()

    def open(self) -> "Panel":
        self.opened += 1
        if not self.is_plugged:
            raise OSError(19, "No such device")
        return self

    def display(self, image: Image.Image) -> None:
        self.is_pushing.set()
        self.free.wait(WAIT_S_MAX)
        if not self.is_plugged:
            raise OSError(5, "Input/output error")
        assert image.mode == "RGB" and image.size == self.size
        self.shown.append(image.tobytes())

    def cleanup(self) -> None:
        self.cleaned += 1
        if not self.is_plugged:
            raise OSError(5, "Input/output error")


@pytest.fixture
def panel() -> Panel:
    return Panel()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def screen(panel: Panel, notes: Notes) -> Iterator[Screen]:
    made = Screen(panel.open, Theme.DAY, notes)
    yield made
    panel.free.set()
    made.close()


def test_a_face_is_drawn_and_its_times_are_told(screen: Screen, panel: Panel) -> None:
    assert screen.health() == ScreenHealth(True, None, None, Theme.DAY, 0, 0, 0, 0, 0)
    screen.show(GREEN)
    screen.start()
    wait_for(lambda: screen.health().pictures == 1)
    health = screen.health()
    assert panel.shown == [picture(GREEN)]
    assert (health.is_lost, health.trouble, health.size) == (False, None, (320, 240))
    assert 0 < health.drawn_us <= health.drawn_us_max <= health.late_us
    screen.show(GREEN._replace())
    screen.show(WAIT)
    wait_for(lambda: screen.health().pictures == 2)
    assert panel.shown[-1] == picture(WAIT)


def test_the_newest_face_wins_and_no_caller_waits_for_a_hanging_screen(screen: Screen, panel: Panel) -> None:
    screen.start()
    panel.free.clear()
    screen.show(WAIT)
    assert panel.is_pushing.wait(WAIT_S_MAX)
    begun_s = monotonic()
    for number in range(500):
        screen.show(face_of(FaceState.REFUSED, str(number)))
    screen.show(GREEN)
    assert monotonic() - begun_s < 1.0
    panel.free.set()
    wait_for(lambda: screen.health().pictures == 2)
    assert panel.shown == [picture(WAIT), picture(GREEN)]


def test_a_lost_screen_is_said_once_and_comes_back_with_what_stands_then(
    screen: Screen, panel: Panel, notes: Notes
) -> None:
    screen.start()
    screen.show(WAIT)
    wait_for(lambda: screen.health().pictures == 1)
    panel.is_plugged = False
    screen.show(REFUSED)
    wait_for(lambda: screen.is_lost and panel.opened >= 3)
    assert [refusal.number for refusal in notes.said if refusal] == [ScreenLost.number] == [6081]
    assert "Input/output error" in (notes.said[0] or ScreenLost()).detail
    screen.show(GREEN)
    panel.is_plugged = True
    wait_for(lambda: not screen.is_lost)
    wait_for(lambda: notes.said[-1] is None)
    assert panel.shown == [picture(WAIT), picture(GREEN)]
    assert len(notes.said) == 2


def test_tries_get_rarer(screen: Screen, panel: Panel) -> None:
    panel.is_plugged = False
    screen.start()
    screen.show(WAIT)
    wait_for(lambda: panel.opened >= 2)
    for number in range(200):
        screen.show(face_of(FaceState.REFUSED, str(number)))
    assert panel.opened <= 3


def test_the_theme_changes_at_once(screen: Screen, panel: Panel) -> None:
    screen.start()
    screen.show(GREEN)
    wait_for(lambda: screen.health().pictures == 1)
    screen.use(Theme.NIGHT)
    wait_for(lambda: screen.health().pictures == 2)
    assert panel.shown[-1] == picture(GREEN, Theme.NIGHT)
    assert screen.health().theme is Theme.NIGHT


def test_a_screen_that_hangs_or_has_ended_is_lost(
    screen: Screen, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen.start()
    panel.free.clear()
    screen.show(WAIT)
    assert panel.is_pushing.wait(WAIT_S_MAX)
    monkeypatch.setattr(driver, "STUCK_S_MAX", 0.0)
    wait_for(lambda: screen.is_lost)
    assert "hangs" in str(screen.health().trouble)
    monkeypatch.undo()
    panel.free.set()
    wait_for(lambda: not screen.is_lost)
    assert screen.health().trouble is None
    screen.close()
    assert "ended" in str(screen.health().trouble)


def test_the_last_face_stays_when_it_ends(screen: Screen, panel: Panel) -> None:
    screen.start()
    screen.show(WAIT)
    wait_for(lambda: screen.health().pictures == 1)
    screen.show(GREEN)
    screen.close(REFUSED)
    assert panel.shown[-1] == picture(REFUSED) and panel.cleaned == 1


def test_a_screen_that_is_gone_is_not_waited_for_with_a_last_face(screen: Screen, panel: Panel) -> None:
    screen.start()
    screen.show(WAIT)
    wait_for(lambda: screen.health().pictures == 1)
    panel.is_plugged = False
    screen.show(GREEN)
    wait_for(lambda: screen.health().trouble is not None)
    begun_s = monotonic()
    screen.close(REFUSED)
    assert monotonic() - begun_s < 1 and panel.shown == [picture(WAIT)]
    panel.is_plugged = True


def test_closing_ends_soon_even_when_the_screen_hangs(screen: Screen, panel: Panel) -> None:
    screen.start()
    panel.free.clear()
    screen.show(WAIT)
    assert panel.is_pushing.wait(WAIT_S_MAX)
    begun_s = monotonic()
    screen.close()
    assert monotonic() - begun_s < 5


def test_a_face_that_breaks_the_drawing_does_not_leave_the_one_before_for_ever(
    screen: Screen, panel: Panel, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A green that stands on the glass because the thread beneath has ended would be the next passenger's."""
    screen.start()
    screen.show(GREEN)
    wait_for(lambda: screen.health().pictures == 1)
    draw = Painter.draw

    def break_at_refused(painter: Painter, face: Face) -> Image.Image:
        if face == REFUSED:
            raise KeyError("no such thing")
        return draw(painter, face)

    monkeypatch.setattr(Painter, "draw", break_at_refused)
    screen.show(REFUSED)
    wait_for(lambda: bool(notes.said))
    assert isinstance(notes.said[0], ScreenLost) and "no such thing" in notes.said[0].detail
    screen.show(WAIT)
    wait_for(lambda: not screen.is_lost)
    assert panel.shown[-1] == picture(WAIT)


def test_a_size_that_cannot_be_drawn_is_said(notes: Notes) -> None:
    panel = Panel(240, 320)
    screen = Screen(panel.open, note=notes)
    screen.start()
    screen.show(WAIT)
    wait_for(lambda: bool(notes.said))
    assert isinstance(notes.said[0], ScreenSizeUnknown)
    assert isinstance(screen.health().trouble, ScreenSizeUnknown)
    screen.close()


# --- files


def test_a_file_is_whole_whenever_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "screen.png"
    screen = Screen(opener_of(parse_screen(f"file:{path}"), 800, 480))
    screen.start()
    screen.show(face_of(FaceState.WAIT))
    wait_for(path.exists)
    for number in range(30):
        screen.show(face_of(FaceState.ACCEPTED, str(number)))
        with Image.open(path) as image:
            image.load()
            assert image.size == (800, 480)
    screen.close()
    assert [one.name for one in tmp_path.iterdir()] == ["screen.png"]


def test_a_folder_that_is_gone_is_a_lost_screen_until_it_is_back(tmp_path: Path, notes: Notes) -> None:
    folder = tmp_path / "run"
    screen = Screen(lambda: FileDisplay(folder / "screen.png", 320, 240), note=notes)
    screen.start()
    screen.show(WAIT)
    wait_for(lambda: bool(notes.said))
    assert isinstance(notes.said[0], ScreenLost)
    folder.mkdir()
    wait_for(lambda: notes.said[-1] is None)
    assert Image.open(folder / "screen.png").convert("RGB").tobytes() == picture(WAIT)
    screen.close()


def test_importing_the_driver_costs_no_pillow() -> None:
    code = (
        "import sys; import bus_validator.drivers.screen, bus_validator.faces, bus_validator.door_states, "
        "bus_validator.link_badge; print([m for m in sys.modules if m.split('.')[0] in ('PIL', 'luma')])"
    )
    said = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    assert displays.SPI_SPEED_HZ in {mhz * 1_000_000 for mhz in (8, 16, 20, 24, 28, 32, 36, 40)}
