"""What shows pictures: a framebuffer's rows, an ILI9341's commands, and which address names which."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from bus_validator.drivers.displays import (
    FramebufferDisplay,
    open_ili9341,
    opener_of,
    parse_screen,
    rgb565,
)
from bus_validator.drivers.screen import Screen
from offline_ledger.errors import PanelSupportMissing, ScreenLost, ScreenSizeUnknown
from tests.bus_validator.screen_bench import GREEN, REFUSED, WAIT, Notes, picture, wait_for

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


def test_an_ili9341_without_its_libraries_says_which() -> None:
    with pytest.raises(PanelSupportMissing, match="ili9341: RPi"):
        open_ili9341(0, 0)
    notes = Notes()
    screen = Screen(opener_of(parse_screen("ili9341:0.0"), 320, 240), note=notes)
    screen.start()
    screen.show(WAIT)
    wait_for(lambda: bool(notes.said))
    assert isinstance(notes.said[0], PanelSupportMissing) and screen.is_lost
    screen.close()


@pytest.mark.parametrize("call", ["setup", "output"])
def test_pins_that_may_not_be_used_are_a_lost_screen(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """lgpio's own error is no relation of any other; it is what a program without the group `gpio` gets."""
    lgpio = ModuleType("lgpio")
    lgpio.error = type("error", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    pins = Pins()

    def forbidden(*_: object) -> None:
        raise lgpio.error("can not open gpiochip")

    setattr(pins, call, forbidden)
    notes = Notes()
    screen = Screen(lambda: open_ili9341(0, 0, serial=RecordingBus(), gpio=pins), note=notes)
    screen.start()
    screen.show(WAIT)
    wait_for(lambda: bool(notes.said))
    assert isinstance(notes.said[0], ScreenLost) and notes.said[0].detail.endswith("can not open gpiochip")
    delattr(pins, call)
    wait_for(lambda: not screen.is_lost)
    screen.close()


# --- addresses


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
