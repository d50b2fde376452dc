"""QR codes in one luma plane (8-bit grey), by zxing-cpp. DESIGN §11.

Two passes: the first looks for upright dark-on-light QR codes only, which finds most and costs least; a frame in
which it finds nothing is looked at again with every help (rotated, smaller, inverted). Never other symbologies: a
product barcode on a bottle is not a ticket. Micro QR codes are not read either, least of all those that zxing-cpp sees
in a far or half covered code of ours; but they tell that a code is in view. zxing-cpp is loaded by the first call, not
by importing this file.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

from offline_ledger.errors import DeviceSupportMissing

CODES_PER_FRAME_MAX = 4
TEXT_CHARS_MAX = 1_024  # as for a serial scanner; our largest code has 600


class Look(NamedTuple):
    """What one frame showed. `unreadable`: a QR code was found, but is too damaged to read."""

    texts: Sequence[str] = ()
    unreadable: bool = False
    too_long: bool = False


class _Barcode(Protocol):
    valid: bool
    text: str
    format: Any


def load_decoder() -> Any:
    """Load zxing-cpp (about 6 ms, once); raises `DeviceSupportMissing`."""
    try:
        import zxingcpp
    except ImportError as error:
        raise DeviceSupportMissing(f"zxing-cpp: {error}") from error
    return cast(Any, zxingcpp)


def look_at(frame: bytes | bytearray | memoryview, width_px: int, height_px: int, stride_px: int = 0) -> Look:
    """Look for QR codes in the first `height_px` rows of `frame`; rows are `stride_px` (or `width_px`) bytes apart.

    The bytes after the luma plane (an I420 frame's chroma) are ignored; a frame too short for it raises ValueError.
    """
    zxing = load_decoder()
    stride_px = stride_px or width_px
    luma_bytes = stride_px * height_px
    if len(frame) < luma_bytes:
        raise ValueError(f"{len(frame)} bytes are no {stride_px}x{height_px} luma plane")
    plane: Any = memoryview(frame)[:luma_bytes].cast("B", (height_px, stride_px))
    if stride_px != width_px:
        plane = zxing.ImageView(plane, width_px, height_px, zxing.ImageFormat.Lum, stride_px, 1)
    kinds, plain = zxing.BarcodeFormat, zxing.TextMode.Plain
    found: Sequence[_Barcode] = zxing.read_barcodes(
        plane, kinds.QRCodeModel2, try_rotate=False, try_downscale=False, try_invert=False, text_mode=plain
    ) or zxing.read_barcodes(plane, kinds.QRCode, text_mode=plain, return_errors=True)
    if not found:
        return _NOTHING
    texts = [code.text for code in found if code.valid and code.format == kinds.QRCode][:CODES_PER_FRAME_MAX]
    short = [text for text in texts if 0 < len(text) <= TEXT_CHARS_MAX]
    return Look(short, unreadable=not texts, too_long=len(short) < len(texts))


def decode_luma(frame: bytes | bytearray | memoryview, width_px: int, height_px: int) -> Sequence[str]:
    """The texts of the QR codes in an unpadded luma plane (or I420 frame)."""
    return look_at(frame, width_px, height_px).texts


_NOTHING = Look()
