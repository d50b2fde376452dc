"""The bytes of ESC/POS, as python-escpos makes them: a picture in bands, cut, drawer. Decision 0171. DESIGN §11.

Never sends anything. Loading the library costs 150 ms, so it is loaded by the printing thread alone; and what it does
to the whole program when it is loaded is undone here.
"""

import logging
import tempfile
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from offline_ledger.errors import DeviceSupportMissing

if TYPE_CHECKING:
    from PIL.Image import Image

REAL_TIME = (b"\x10\x04", b"\x10\x05", b"\x10\x14")
"""DLE EOT, DLE ENQ, DLE DC4: a printer obeys these even in the middle of a picture, and the last opens drawers. The
painter keeps them out of its pictures (`defused`); what is cut off here must not put them together again."""
_REAL_TIME_MEANT = (b"\x18\x04", b"\x18\x05", b"\x18\x14")
"""The commands that a printer obeys in the middle of a picture (`REAL_TIME`), with one dot more."""
BAND_ROWS = 24
"""3 mm. Two bands of 72 bytes a row, and what goes around them, fit a receive buffer of 4 kB, the smallest in use."""
WIDTH_DOTS_MAX = 576
"""Paper of 80 mm; python-escpos refuses what is wider."""
STRIP_BYTES = 24
"""What a strip of its own is worth at the least: its head is 8 bytes, and a head that starts often prints less even."""
LINES_TO_TEAR = 4
"""Printers for 58 mm seldom have a cutter: so far the paper must come out to be torn off."""


class Escpos(Protocol):
    """What is used of the library's `Dummy`, which has no types."""

    @property
    def output(self) -> bytes: ...
    def hw(self, hw: str) -> None: ...
    def image(self, img_source: "Image", *, impl: str) -> None: ...
    def print_and_feed(self, n: int) -> None: ...
    def cut(self, *, feed: bool) -> None: ...
    def cashdraw(self, pin: int) -> None: ...
    def clear(self) -> None: ...


class Commands:
    """Makes bytes."""

    def __init__(self) -> None:
        """Raises DeviceSupportMissing."""
        self._escpos = _dummy()

    def start(self) -> bytes:
        """ESC @: what another program left behind is forgotten."""
        self._escpos.hw("INIT")
        return self._taken()

    def bands(self, picture: "Image", *, is_trimmed: bool = False) -> Iterator[bytes]:
        """GS v 0 for each `BAND_ROWS` rows of a picture (mode `1`, 0 = ink). `is_trimmed`: in strips no wider than
        their ink, for a slow line: the same dots in some 60 % of the bytes. A blank row is one byte wide, not fed over:
        how far ESC J feeds is a matter of the printer's own units."""
        for top in range(0, picture.height, BAND_ROWS):
            band = picture.crop((0, top, picture.width, min(top + BAND_ROWS, picture.height)))
            for part in strips(band) if is_trimmed else (band,):
                self._escpos.image(part, impl="bitImageRaster")
            yield self._taken()

    def cut(self, paper_mm: int) -> bytes:
        """GS V 66: to the cutter and cut."""
        if paper_mm <= 58:
            self._escpos.print_and_feed(LINES_TO_TEAR)
        self._escpos.cut(feed=False)
        return self._taken()

    def pulse(self, pin: int) -> bytes:
        """ESC p on pin 2 or 5 of the drawer's socket."""
        self._escpos.cashdraw(pin)
        return self._taken()

    def _taken(self) -> bytes:
        made = self._escpos.output
        self._escpos.clear()
        return made


def strips(band: "Image") -> "Iterator[Image]":
    """The band from top to bottom in the strips that need the fewest bytes, each cut off behind its last ink."""
    row_bytes = band.width // 8
    ink = bytes(byte ^ 0xFF for byte in band.tobytes())
    rows = [ink[at : at + row_bytes] for at in range(0, len(ink), row_bytes)]
    used = [max(1, len(row.rstrip(b"\0"))) for row in rows]
    cost, begin = [0], [0]
    for end in range(1, len(rows) + 1):
        wide, tries = 0, list[tuple[int, int]]()
        for top in range(end - 1, -1, -1):
            wide = max(wide, used[top])
            tries.append((cost[top] + STRIP_BYTES + (end - top) * wide, top))
        least, top = min(tries)
        cost.append(least)
        begin.append(top)
    cuts = [len(rows)]
    while cuts[-1]:
        cuts.append(begin[cuts[-1]])
    for top, bottom in pairwise(cuts[::-1]):
        wide = max(used[top:bottom])
        if wide < row_bytes and is_command(b"".join(row[:wide] for row in rows[top:bottom])):
            wide += 1  # a blank byte between what two rows would say to the printer together
        yield band.crop((0, top, wide * 8, bottom))


def defused(picture: "Image") -> "Image":
    """The picture (mode `1`, whole bytes wide) without bytes that a printer would take for a command: one dot more
    where they were."""
    from PIL import Image, ImageChops  # a till starts without it

    ink = sent = ImageChops.invert(picture).tobytes()
    for command, meant in zip(REAL_TIME, _REAL_TIME_MEANT, strict=True):
        sent = sent.replace(command, meant)
    return picture if sent == ink else ImageChops.invert(Image.frombytes("1", picture.size, sent))


def is_command(dots: bytes) -> bool:
    """Whether a printer would take dots for one of the commands that it obeys at once."""
    return any(command in dots for command in REAL_TIME)


def _dummy() -> Escpos:
    """Makes bytes and sends nothing. python-escpos sets up the program's log and leaves a folder among the temporary
    files when it is imported: both are put right here."""
    root = logging.getLogger()
    own = list(root.handlers)
    try:
        capabilities = cast(Any, import_module("escpos.capabilities"))
        made = cast(Any, import_module("escpos.printer.dummy")).Dummy
    except ImportError as error:
        raise DeviceSupportMissing(f"printer: {error.name}") from error
    for handler in [one for one in root.handlers if one not in own]:
        root.removeHandler(handler)
    left = Path(capabilities.pickle_dir)
    if left.parent == Path(tempfile.gettempdir()) and left.name.startswith(tempfile.gettempprefix()):
        Path(capabilities.pickle_path).unlink(missing_ok=True)
        try:
            left.rmdir()
        except OSError:
            pass  # it is gone, or not ours
    profile = capabilities.Profile()
    # Without a width it writes a sentence to standard output for each picture.
    profile.profile_data = profile.profile_data | {"media": {"width": {"pixels": WIDTH_DOTS_MAX}}}
    return cast(Escpos, made(profile=profile))
