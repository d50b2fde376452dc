"""Draws a QR text as a picture or in a terminal window, and reads texts in pictures. DESIGN §4.

Alphanumeric mode, level M (a label's may be L) and a quiet zone, by the `qrcode` package: not by the library that reads
it, so that the reader is proved against somebody else's encoder. It knows nothing of what the text means. Whoever
imports this draws: nothing that a start needs does.
"""

from pathlib import Path
from typing import Final

import qrcode
from PIL import Image
from qrcode.image.pil import PilImage
from qrcode.util import ALPHA_NUM, QRData

VERSION_MAX = 15  # DESIGN §4: 600 characters at level M
QUIET_MODULES = 4
MODULE_PX = 8
PICTURE_PIXELS_MAX = 64_000_000
"""What a phone's camera makes."""
PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
"""What phones, scanners and screenshots give."""
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
_LEVELS = {"L": qrcode.ERROR_CORRECT_L, "M": qrcode.ERROR_CORRECT_M}
_ALPHANUMERIC: Final = 2  # ISO/IEC 18004 mode indicator


class PictureTooDense(ValueError):
    """The text needs a larger code than a terminal promises to read."""


def qr_picture(text: str, *, module_px: int = MODULE_PX, version_max: int = VERSION_MAX) -> Image.Image:
    """An 8-bit grey picture of `text`; ValueError when it is outside QR's alphanumeric set or too long."""
    return _code(text, module_px, version_max).make_image(image_factory=PilImage).get_image().convert("L")


def code_picture(text: str, box_px: int, *, version_max: int, module_px_min: int, level: str = "M") -> Image.Image:
    """In mode "1", as large as fits a box: each module as many whole dots as can be. ValueError: it needs a higher
    version, or its modules would be smaller."""
    return code_in_box(code_modules(text, version_max, level), box_px, module_px_min)


def code_modules(text: str, version_max: int, level: str = "M") -> Image.Image:
    """In mode "1", a dot a module. ValueError: it needs a higher version."""
    matrix = _code(text, 1, version_max, level).get_matrix()
    dots = bytes(0 if is_dark else 255 for line in matrix for is_dark in line)
    return Image.frombytes("L", (len(matrix), len(matrix)), dots).convert("1")


def code_in_box(modules: Image.Image, box_px: int, module_px_min: int) -> Image.Image:
    """Each module as many whole dots as fit. ValueError: fewer than they must be."""
    module_px = box_px // modules.width
    if module_px < module_px_min:
        raise ValueError(f"modules of {module_px} dots, under {module_px_min}")
    side = modules.width * module_px
    dots = modules.convert("L").tobytes()
    rows = [dots[at : at + modules.width] for at in range(0, len(dots), modules.width)]
    wide = b"".join(b"".join(bytes((one,)) * module_px for one in row) * module_px for row in rows)
    return Image.frombytes("L", (side, side), wide).convert("1")


def qr_version(text: str) -> int:
    """The QR version (1-40) that `text` needs in alphanumeric mode at level M."""
    return int(_code(text, 1, 40).version)


def check_version(text: str, version_max: int = VERSION_MAX) -> int:
    """The version that `text` needs; raises `PictureTooDense` above `version_max`."""
    version = qr_version(text)
    if version > version_max:
        raise PictureTooDense(f"{len(text)} characters need version {version}, over {version_max}")
    return version


def save_picture(text: str, path: Path) -> None:
    """Write the picture of `text` as PNG."""
    qr_picture(text).save(path, format="PNG")


def texts_in(picture: Path) -> list[str]:
    """The texts of all QR codes in a picture file. Raises OSError (no picture that can be read), ValueError (too
    large)."""
    import zxingcpp

    try:
        with Image.open(picture, formats=PICTURE_FORMATS) as opened:
            if opened.width * opened.height > PICTURE_PIXELS_MAX:
                raise ValueError(f"{opened.width} × {opened.height}")
            grey = opened.convert("L")
    except Image.DecompressionBombError as error:
        raise ValueError(f"over {PICTURE_PIXELS_MAX} dots") from error
    except OSError as error:
        if error.strerror is None:  # of Pillow: no picture, or one that is damaged or cut short
            raise OSError(0, "not a picture") from error
        raise
    return [
        found.text
        for found in zxingcpp.read_barcodes(grey, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    ]


def qr_blocks(text: str) -> str:
    """The code as lines for a terminal window, two modules in each character; light is drawn, for dark windows."""
    rows = [[not dark for dark in row] for row in _code(text, 1, VERSION_MAX).get_matrix()]
    rows += [[True] * len(rows[0])] * (len(rows) % 2)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join("".join(_HALVES[pair] for pair in zip(*two, strict=True)) for two in pairs)


def _code(text: str, module_px: int, version_max: int, level: str = "M") -> "qrcode.QRCode[PilImage]":
    if not text or not set(text.encode()) <= set(ALPHA_NUM):
        raise ValueError("QR alphanumeric mode holds 0-9 A-Z space $ % * + - . / : only")
    code = qrcode.QRCode(
        error_correction=_LEVELS[level], box_size=module_px, border=QUIET_MODULES, image_factory=PilImage
    )
    code.add_data(QRData(text, mode=_ALPHANUMERIC))
    code.make(fit=True)
    if code.version > version_max:
        raise PictureTooDense(f"{len(text)} characters need version {code.version}, over {version_max}")
    return code
