"""The fonts as they were taken, checked to the byte, and Thai shaping. DESIGN §1; decision 0131.

Without raqm Thai marks stand in the wrong places, and a font that is not the one that was looked at may lack them: both
stop whoever draws with a number instead of drawing what nobody has seen. Knows nothing of sizes or pictures.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from PIL import features

from offline_ledger.errors import ScreenFontWrong, ThaiShapingMissing
from offline_ledger.texts import LOCALE

FOLDER = LOCALE.parent / "fonts"
"""Shared by screens, receipts and the city's paper."""
SOURCES = "SOURCES"
MEDIUM, BOLD = "Sarabun-Medium.ttf", "Sarabun-Bold.ttf"
EMOJI = "NotoEmoji-Medium.ttf"
"""For receipts alone."""
FONT_BYTES_MAX = 1_000_000


def check_shaping() -> None:
    """Raises ThaiShapingMissing."""
    if not features.check("raqm"):
        raise ThaiShapingMissing("Pillow's raqm is off; FriBiDi is not found")


def check_fonts(folder: Path = FOLDER, names: Iterable[str] = (MEDIUM, BOLD)) -> None:
    """The fonts are those that `SOURCES` names, to the byte. Raises ScreenFontWrong."""
    for name in names:
        try:
            said = wanted_sums(folder / SOURCES)
            with (folder / name).open("rb") as file:
                found = sha256(file.read(FONT_BYTES_MAX)).hexdigest()
        except (OSError, ValueError) as error:
            raise ScreenFontWrong(f"{name}: {error}") from error
        if said.get(name) != found:
            raise ScreenFontWrong(f"{name}: SHA-256 {found}")


def wanted_sums(sources: Path) -> dict[str, str]:
    """SHA-256 in hex by file name."""
    rows = [line.split() for line in sources.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return {row[1]: row[0] for row in rows if len(row) == 2}
