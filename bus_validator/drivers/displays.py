"""What shows pictures: a framebuffer, an ILI9341 on SPI, a file; all with luma's `display(image)`. Decision 0130.

Opening and pushing raise ScreenLost, ScreenSizeUnknown, DeviceSupportMissing or PanelSupportMissing and nothing else.
Never draws. Pillow and luma are imported when a display is opened: by the drawing thread, after the validator is ready.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from offline_ledger.errors import DeviceSupportMissing, PanelSupportMissing, ScreenLost, ScreenSizeUnknown

if TYPE_CHECKING:
    from PIL.Image import Image

FRAMEBUFFER, ILI9341, FILE = "framebuffer", "ili9341", "file"
SYSFS = Path("/sys/class/graphics")
SPI_SPEED_HZ = 32_000_000
"""What ILI9341 boards with short wires bear; a whole picture then takes 58 ms, a changed quarter of it 15 ms."""
PNG_LEVEL = 1
"""The file is looked at and thrown away: a third of the time for half as many bytes again."""
NAME_CHARACTERS_MAX = 300
_FIVE_BITS, _SIX_BITS_HIGH, _SIX_BITS_LOW = (
    [value & 0xF8 for value in range(256)],
    [value >> 5 for value in range(256)],
    [value << 3 & 0xE0 for value in range(256)],
)
_FIVE_BITS_LOW = [value >> 3 for value in range(256)]


class Display(Protocol):
    """A luma device, as far as it is used."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        ...

    def display(self, image: "Image") -> None:
        """Shows an RGB picture of that size. Raises whatever its hardware does."""
        ...

    def cleanup(self) -> None:
        """Lets go of the hardware."""
        ...


OpenDisplay = Callable[[], Display]


class ScreenAddress(NamedTuple):
    """`framebuffer:/dev/fb0`, `ili9341:0.0` (SPI port and device) or `file:PATH`."""

    kind: str
    where: str


def parse_screen(text: str) -> ScreenAddress:
    """What a settings file names. ValueError for anything else."""
    kind, colon, where = text.partition(":")
    if not colon or not where or len(text) > NAME_CHARACTERS_MAX or not text.isprintable():
        raise ValueError(f"not a screen: {text[:40]!r}")
    if kind == ILI9341:
        port, dot, device = where.partition(".")
        if not (dot and port in ("0", "1") and device in ("0", "1")):
            raise ValueError(f"not an SPI port and device: {where[:40]!r}")
    elif kind == FRAMEBUFFER:
        if not (where.startswith("/dev/fb") and where[7:].isdigit()):
            raise ValueError(f"not a framebuffer: {where[:40]!r}")
    elif kind != FILE:
        raise ValueError(f"not a kind of screen: {kind[:40]!r}")
    return ScreenAddress(kind, where)


def opener_of(address: ScreenAddress, width_px: int, height_px: int) -> OpenDisplay:
    """How that screen is opened; the size is a file's alone (hardware says its own)."""
    if address.kind == FILE:
        return lambda: FileDisplay(Path(address.where), width_px, height_px)
    if address.kind == FRAMEBUFFER:
        return lambda: FramebufferDisplay(Path(address.where))
    port, _, device = address.where.partition(".")
    return lambda: open_ili9341(int(port), int(device))


class FileDisplay:
    """A PNG that is whole whenever somebody looks: written beside its name, then renamed. Not synced to disk: after a
    power cut nobody wants the picture of before."""

    def __init__(self, path: Path, width_px: int, height_px: int) -> None:
        self.size = width_px, height_px
        self._path = path
        self._beside = path.with_name(f".{path.name}.{os.getpid()}")

    def display(self, image: "Image") -> None:
        """Raises OSError."""
        image.save(self._beside, "PNG", compress_level=PNG_LEVEL)
        self._beside.replace(self._path)

    def cleanup(self) -> None:
        """The last picture stays; nothing half-written does."""
        self._beside.unlink(missing_ok=True)


class FramebufferDisplay:
    """A Linux framebuffer with 16 or 32 bits per pixel. Like luma's, but whole rows at once and with the kernel's
    stride: 3 ms for 800×480 where luma's takes 43 (16 bits)."""

    def __init__(self, device: Path, sysfs: Path = SYSFS) -> None:
        """Raises OSError, ScreenSizeUnknown."""
        about = sysfs / device.name
        width_px, height_px = _numbers(about / "virtual_size", 2)
        (bits,) = _numbers(about / "bits_per_pixel", 1)
        (self._stride_bytes,) = _numbers(about / "stride", 1)
        if bits not in (16, 32) or self._stride_bytes < width_px * bits // 8:
            raise ScreenSizeUnknown(f"{device}: {bits} bits per pixel, stride {self._stride_bytes}")
        self.size = width_px, height_px
        self._bits = bits
        self._file = device.open("r+b", buffering=0)

    def display(self, image: "Image") -> None:
        """Raises OSError."""
        packed = image.tobytes("raw", "BGRX") if self._bits == 32 else rgb565(image)
        row_bytes = self.size[0] * self._bits // 8
        if row_bytes != self._stride_bytes:
            gap = bytes(self._stride_bytes - row_bytes)
            packed = b"".join(packed[at : at + row_bytes] + gap for at in range(0, len(packed), row_bytes))
        self._file.seek(0)
        written = 0
        while written < len(packed):
            written += self._file.write(packed[written:]) or _full()

    def cleanup(self) -> None:
        """Lets go of the device."""
        self._file.close()


def rgb565(image: "Image") -> bytes:
    """16 bits per pixel, low byte first: rrrrrggg gggbbbbb."""
    from PIL import Image, ImageChops

    red, green, blue = image.split()
    high = ImageChops.add(red.point(_FIVE_BITS), green.point(_SIX_BITS_HIGH))
    low = ImageChops.add(green.point(_SIX_BITS_LOW), blue.point(_FIVE_BITS_LOW))
    return Image.merge("LA", (low, high)).tobytes()


def open_ili9341(port: int, device: int, *, serial: object = None, gpio: object = None) -> Display:
    """The 320×240 panel on SPI, through luma.lcd. `serial`, `gpio`: for tests; otherwise spidev and RPi.GPIO, from
    `requirements/panel.txt` (decision 0114).

    Raises ScreenLost, DeviceSupportMissing, PanelSupportMissing.
    """
    try:
        from luma.core.interface.serial import spi
        from luma.lcd.device import ili9341
    except ImportError as error:
        raise DeviceSupportMissing(f"ili9341: {error.name}") from error
    try:
        wired = spi(port=port, device=device, bus_speed_hz=SPI_SPEED_HZ, gpio=gpio) if serial is None else serial
        return ili9341(wired, width=320, height=240, gpio=gpio)
    except ImportError as error:  # luma imports spidev and RPi.GPIO when they are needed
        raise PanelSupportMissing(f"ili9341: {error.name}") from error
    except hardware_errors() as error:
        raise ScreenLost(f"ili9341: {error}") from error


def hardware_errors() -> tuple[type[Exception], ...]:
    """What luma, spidev, lgpio and the kernel throw when a screen does not answer; of what is loaded."""
    named = (("luma.core.error", "Error"), ("lgpio", "error"))
    own = [getattr(sys.modules[module], error) for module, error in named if module in sys.modules]
    return (OSError, ValueError, RuntimeError, AssertionError, AttributeError, TypeError, *own)


def _numbers(file: Path, count: int) -> list[int]:
    """A line of the kernel's, as `800,480`. Raises OSError, ScreenSizeUnknown."""
    said = file.read_text(encoding="ascii", errors="replace").strip()[:40].split(",")
    if len(said) != count or not all(word.isascii() and word.isdigit() for word in said):
        raise ScreenSizeUnknown(f"{file}: {said}")
    return [int(word) for word in said]


def _full() -> int:
    raise OSError("the framebuffer takes no more")
