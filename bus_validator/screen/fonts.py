"""Sarabun at its sizes, each opened once. DESIGN §1; decision 0131. Only the drawing thread comes here."""

from pathlib import Path

from PIL import ImageFont

from bus_validator.screen.fitting import EM, Ink
from offline_ledger.errors import ScreenFontWrong
from offline_ledger.texts.typeface import BOLD, FOLDER, MEDIUM, check_fonts, check_shaping

SIZES_MAX = 24
"""Open fonts, 0.2 MB each; a face uses up to eight. The one that was used longest ago is closed first."""
INKS_MAX = ADVANCES_MAX = 2_048
"""Measured lines and parts; a face has some thirty, and words come again."""
MEASURED_PX = 100


class Fonts:
    """A ruler for fitting and the fonts for painting. Not thread-safe: the drawing thread's own."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Raises ThaiShapingMissing, ScreenFontWrong."""
        check_shaping()
        check_fonts(folder)
        self._folder = folder
        self._open: dict[tuple[int, bool], ImageFont.FreeTypeFont] = {}
        self._inks: dict[tuple[str, int, bool], Ink] = {}
        self._advances: dict[tuple[str, bool], int] = {}

    def font(self, size_px: int, *, is_bold: bool) -> ImageFont.FreeTypeFont:
        """The font at that size. Raises ScreenFontWrong when the file is gone by now."""
        key = size_px, is_bold
        if (found := self._open.pop(key, None)) is None:
            if len(self._open) >= SIZES_MAX:
                del self._open[next(iter(self._open))]
            name = BOLD if is_bold else MEDIUM
            try:
                found = ImageFont.truetype(self._folder / name, size_px, layout_engine=ImageFont.Layout.RAQM)
            except OSError as error:
                raise ScreenFontWrong(f"{name}: {error}") from error
        self._open[key] = found  # last in the dict = used last
        return found

    def ink(self, text: str, size_px: int, *, is_bold: bool) -> Ink:
        """Where the ink of that line is, from its origin on the baseline."""
        key = text, size_px, is_bold
        if (found := self._inks.get(key)) is None:
            if len(self._inks) >= INKS_MAX:
                self._inks.clear()
            left, top, right, bottom = self.font(size_px, is_bold=is_bold).getbbox(text, anchor="ls")
            found = self._inks[key] = Ink(int(left), int(top), int(right), int(bottom))
        return found

    def advance(self, text: str, *, is_bold: bool) -> int:
        """How far a part takes the pen, in thousandths of the size."""
        key = text, is_bold
        if (found := self._advances.get(key)) is None:
            if len(self._advances) >= ADVANCES_MAX:
                self._advances.clear()
            length = self.font(MEASURED_PX, is_bold=is_bold).getlength(text)
            found = self._advances[key] = round(length * EM / MEASURED_PX)
        return found
