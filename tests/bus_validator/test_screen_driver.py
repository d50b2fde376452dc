"""The screen's thread on every kind of display: the newest face wins, a lost screen never reaches the caller, and comes
back by itself."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import run
from threading import Event, Lock
from time import monotonic, sleep
from types import ModuleType

import pytest
from PIL import Image

from bus_validator.drivers import displays
from bus_validator.drivers import screen as driver
from bus_validator.drivers.displays import (
    FileDisplay,
    FramebufferDisplay,
    open_ili9341,
    opener_of,
    parse_screen,
    rgb565,
)
from bus_validator.drivers.screen import Screen, ScreenHealth
from bus_validator.face import Face, FaceState, Theme
from bus_validator.screen.painter import Painter
from offline_ledger.errors import PanelSupportMissing, Refusal, ScreenLost, ScreenSizeUnknown
from tests.bus_validator.drawn import face_of

WAIT_S_MAX = 20.0
WAIT, GREEN = face_of(FaceState.WAIT), face_of(FaceState.ACCEPTED)
REFUSED = face_of(FaceState.REFUSED)


def wait_for(is_so: Callable[[], bool]) -> None:
    end_s = monotonic() + WAIT_S_MAX
    while not is_so():
        assert monotonic() < end_s, "nothing came"
        sleep(0.005)


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


class Notes:
    def __init__(self) -> None:
        self._lock = Lock()
        self.said: list[Refusal | None] = []

    def __call__(self, refusal: Refusal | None) -> None:
        with self._lock:
            self.said.append(refusal)


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


def picture(face: Face, theme: Theme = Theme.DAY) -> bytes:
    return Painter(320, 240, theme).draw(face).tobytes()


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


def test_warming_up_shows_nothing_and_waits_for_real_faces(panel: Panel) -> None:
    screen = Screen(panel.open, warm=[face_of(state) for state in FaceState])
    screen.start()
    screen.show(GREEN)
    wait_for(lambda: screen.health().pictures == 1)
    screen.show(WAIT)
    wait_for(lambda: screen.health().pictures == 2)
    screen.close()
    assert panel.shown == [picture(GREEN), picture(WAIT)]
    assert panel.cleaned == 1


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


# --- framebuffers


def framebuffer(tmp_path: Path, bits: str, stride: str, size: str = "320,240\n") -> FramebufferDisplay:
    """A file for the device, files for what the kernel says of it."""
    about = tmp_path / "sysfs" / "fb0"
    about.mkdir(parents=True)
    for name, said in (("virtual_size", size), ("bits_per_pixel", bits), ("stride", stride)):
        (about / name).write_text(said)
    (tmp_path / "fb0").write_bytes(b"")
    return FramebufferDisplay(tmp_path / "fb0", tmp_path / "sysfs")


@pytest.mark.parametrize(("bits", "stride"), [("16", "640"), ("16", "704"), ("32", "1280"), ("32", "1344")])
def test_a_framebuffer_gets_its_pixels_in_its_rows(tmp_path: Path, bits: str, stride: str) -> None:
    display = framebuffer(tmp_path, bits, stride)
    image = Image.linear_gradient("L").resize((320, 240))
    image = Image.merge("RGB", (image, image.rotate(180), image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    for _ in range(2):
        display.display(image)
    display.cleanup()
    raw = (tmp_path / "fb0").read_bytes()
    assert len(raw) == int(stride) * 240
    pixel_bytes = int(bits) // 8
    for x, y in ((0, 0), (319, 0), (17, 100), (319, 239)):
        at = y * int(stride) + x * pixel_bytes
        found = raw[at : at + pixel_bytes]
        red, green, blue = image.crop((x, y, x + 1, y + 1)).tobytes()
        if pixel_bytes == 4:
            assert tuple(found[:3]) == (blue, green, red)
        else:
            assert int.from_bytes(found, "little") == (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3


@pytest.mark.parametrize(
    ("bits", "stride", "size"),
    [
        ("8", "320", "320,240"),
        ("24", "960", "320,240"),
        ("32", "1279", "320,240"),
        ("x", "1280", "320,240"),
        ("32", "", "320,240"),
        ("32", "1280", "320"),
        ("32", "1280", "320,-240"),
    ],
)
def test_a_framebuffer_of_another_kind_is_refused(tmp_path: Path, bits: str, stride: str, size: str) -> None:
    with pytest.raises(ScreenSizeUnknown, match="6084"):
        framebuffer(tmp_path, bits, stride, size)


def test_565_is_what_luma_would_send() -> None:
    image = Image.effect_noise((64, 48), 90).convert("RGB")
    noisy = Image.merge("RGB", [Image.effect_noise((64, 48), spread) for spread in (30, 60, 120)])
    for one in (image, noisy):
        raw = one.tobytes()
        expected = bytearray()
        for at in range(0, len(raw), 3):
            red, green, blue = raw[at : at + 3]
            expected += bytes((green << 3 & 0xE0 | blue >> 3, red & 0xF8 | green >> 5))
        assert rgb565(one) == bytes(expected)


# --- ILI9341


class RecordingBus:
    """The wire of an ILI9341: commands and data as they come. Decodes its windowed writes to a picture."""

    def __init__(self) -> None:
        self.glass = Image.new("RGB", (320, 240))
        self.is_cut = False
        self._command = 0
        self._window = [0, 0, 0, 0]
        self.writes = 0

    def command(self, command: int) -> None:
        if self.is_cut:
            raise OSError(121, "Remote I/O error")
        self._command = command

    def data(self, data: "list[int] | bytes") -> None:
        if self.is_cut:
            raise OSError(121, "Remote I/O error")
        if self._command in (0x2A, 0x2B):
            first, last = (data[0] << 8 | data[1], (data[2] << 8 | data[3]) + 1)
            at = 0 if self._command == 0x2A else 1
            self._window[at], self._window[at + 2] = first, last
        elif self._command == 0x2C:
            left, top, right, bottom = self._window
            part = Image.frombytes("RGB", (right - left, bottom - top), bytes(data))
            self.glass.paste(part, (left, top))
            self.writes += 1

    def cleanup(self) -> None:
        pass


class Pins:
    """RPi.GPIO as far as the backlight uses it."""

    BCM, OUT, HIGH, LOW = 11, 0, 1, 0

    def __init__(self) -> None:
        self.level: dict[int, int] = {}

    def setmode(self, mode: int) -> None:
        assert mode == self.BCM

    def setup(self, pin: int, direction: int) -> None:
        assert direction == self.OUT

    def output(self, pin: int, level: int) -> None:
        self.level[pin] = level

    def setwarnings(self, on: bool) -> None:
        pass

    def cleanup(self, pin: int | None = None) -> None:
        self.level.pop(pin or 0, None)


def test_an_ili9341_shows_the_face_on_its_glass_and_survives_its_cable() -> None:
    bus, pins, notes = RecordingBus(), Pins(), Notes()
    screen = Screen(lambda: open_ili9341(0, 0, serial=bus, gpio=pins), note=notes)
    screen.start()
    screen.show(GREEN)
    wait_for(lambda: screen.health().pictures == 1)
    assert bus.glass.tobytes() == picture(GREEN)
    assert 1 in pins.level.values(), "the backlight is off"
    screen.show(GREEN._replace(clock="14:06"))
    wait_for(lambda: screen.health().pictures == 2)
    assert bus.glass.tobytes() == picture(GREEN._replace(clock="14:06"))
    bus.is_cut = True
    screen.show(REFUSED)
    wait_for(lambda: screen.is_lost)
    bus.is_cut = False
    wait_for(lambda: not screen.is_lost)
    assert bus.glass.tobytes() == picture(REFUSED)
    wait_for(lambda: len(notes.said) == 2)
    screen.close()


def test_an_ili9341_without_its_libraries_says_which(notes: Notes) -> None:
    with pytest.raises(PanelSupportMissing, match="ili9341: RPi"):
        open_ili9341(0, 0)
    screen = Screen(opener_of(parse_screen("ili9341:0.0"), 320, 240), note=notes)
    screen.start()
    screen.show(WAIT)
    wait_for(lambda: bool(notes.said))
    assert isinstance(notes.said[0], PanelSupportMissing) and screen.is_lost
    screen.close()


@pytest.mark.parametrize("call", ["setup", "output"])
def test_pins_that_may_not_be_used_are_a_lost_screen(monkeypatch: pytest.MonkeyPatch, notes: Notes, call: str) -> None:
    """lgpio's own error is no relation of any other; it is what a program without the group `gpio` gets."""
    lgpio = ModuleType("lgpio")
    lgpio.error = type("error", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    pins = Pins()

    def forbidden(*_: object) -> None:
        raise lgpio.error("can not open gpiochip")

    setattr(pins, call, forbidden)
    screen = Screen(lambda: open_ili9341(0, 0, serial=RecordingBus(), gpio=pins), note=notes)
    screen.start()
    screen.show(WAIT)
    wait_for(lambda: bool(notes.said))
    assert isinstance(notes.said[0], ScreenLost) and notes.said[0].detail.endswith("can not open gpiochip")
    delattr(pins, call)
    wait_for(lambda: not screen.is_lost)
    screen.close()


# --- addresses and imports


@pytest.mark.parametrize(
    ("text", "kind"),
    [("file:/run/kgo/screen.png", "file"), ("framebuffer:/dev/fb0", "framebuffer"), ("ili9341:0.1", "ili9341")],
)
def test_screens_have_addresses(text: str, kind: str) -> None:
    assert parse_screen(text) == (kind, text.partition(":")[2])


@pytest.mark.parametrize(
    "text",
    ["", "file", "file:", "lcd:0", "framebuffer:/etc/passwd", "framebuffer:/dev/fb", "ili9341:0", "ili9341:2.0",
     "ili9341:0.9", "file:a\nb", "file:" + "a" * 300],
)  # fmt: skip
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_screen(text)


def test_importing_the_driver_costs_no_pillow() -> None:
    code = (
        "import sys; import bus_validator.drivers.screen, bus_validator.faces, bus_validator.door_states, "
        "bus_validator.link_badge; print([m for m in sys.modules if m.split('.')[0] in ('PIL', 'luma')])"
    )
    said = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    assert displays.SPI_SPEED_HZ in {mhz * 1_000_000 for mhz in (8, 16, 20, 24, 28, 32, 36, 40)}
