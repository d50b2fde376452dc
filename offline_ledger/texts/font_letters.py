"""Which signs a font has: its table `cmap`, read without a library (OpenType 1.9, "cmap", formats 4 and 12).

For fonts that were checked to the byte (`typeface.check_fonts`); a file that is none raises. Draws nothing.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from offline_ledger.errors import ScreenFontWrong
from offline_ledger.texts.typeface import FONT_BYTES_MAX

_UNICODE = ((3, 10), (0, 4), (3, 1), (0, 3))
"""Platform and encoding: the whole of Unicode before its first 65,536 signs."""


def letters_of(file: Path) -> frozenset[str]:
    """Signs that have a glyph of their own, not the box of what is missing. Raises ScreenFontWrong."""
    try:
        with file.open("rb") as stream:
            data = stream.read(FONT_BYTES_MAX)
        return frozenset(map(chr, _code_points(data)))
    except (OSError, ValueError, struct.error) as error:
        raise ScreenFontWrong(f"{file.name}: {error}") from error


def _code_points(data: bytes) -> Iterator[int]:
    (tables,) = struct.unpack_from(">H", data, 4)
    places = {data[at : at + 4]: struct.unpack_from(">L", data, at + 8)[0] for at in range(12, 12 + 16 * tables, 16)}
    if (cmap := places.get(b"cmap")) is None:
        raise ValueError("no cmap")
    (count,) = struct.unpack_from(">H", data, cmap + 2)
    found: dict[tuple[int, int], int] = {}
    for at in range(cmap + 4, cmap + 4 + 8 * count, 8):
        platform, encoding, offset = struct.unpack_from(">HHL", data, at)
        found[platform, encoding] = cmap + offset
    for kind in _UNICODE:
        if kind in found:
            at = found[kind]
            (form,) = struct.unpack_from(">H", data, at)
            if form == 12:
                return _groups(data, at)
            if form == 4:
                return _segments(data, at)
    raise ValueError("no cmap of Unicode")


def _groups(data: bytes, at: int) -> Iterator[int]:
    """Format 12: first and last sign of each group, and the first one's glyph."""
    (count,) = struct.unpack_from(">L", data, at + 12)
    for group in range(count):
        first, last, glyph = struct.unpack_from(">LLL", data, at + 16 + 12 * group)
        yield from (sign for sign in range(first, last + 1) if glyph + sign - first)


def _segments(data: bytes, at: int) -> Iterator[int]:
    """Format 4: last and first sign, delta and place of the glyphs of each segment, in four rows."""
    (doubled,) = struct.unpack_from(">H", data, at + 6)
    ends, starts = at + 14, at + 16 + doubled
    for place in range(0, doubled, 2):
        (last,), (first,) = struct.unpack_from(">H", data, ends + place), struct.unpack_from(">H", data, starts + place)
        (delta,) = struct.unpack_from(">H", data, starts + doubled + place)
        near = starts + 2 * doubled + place
        (offset,) = struct.unpack_from(">H", data, near)
        for sign in range(first, min(last, 0xFFFE) + 1):
            glyph = sign
            if offset:
                (glyph,) = struct.unpack_from(">H", data, near + offset + 2 * (sign - first))
            if glyph and (glyph + delta) % 0x10000:
                yield sign
