"""Pictures of a validator's self-test pages in both sizes and languages, as its screen draws them, to look at.

    python -m simulators.self_test_sheet docs/bench/selftest

The pages are made by the self-test's own board from its own steps; the code is a fixed one, so that they stay the same.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from bus_validator.face import Theme
from bus_validator.screen.fonts import Fonts
from bus_validator.screen.painter import Painter
from bus_validator.self_test_page import FILLS, FillPage, Picture, SelfTestPage
from bus_validator.self_test_parts import ScreenBoard, cover_words
from offline_ledger.terminal.selftest.scanner_part import CODE_START
from offline_ledger.terminal.selftest.turn import Asked
from offline_ledger.texts import Texts
from simulators.contact_sheet import SIZES, side_by_side

CODE = CODE_START + "0123456789ABCDEF"
SHOWN = (
    Asked("display.thai", "selftest.step.display.thai"),
    Asked("head.ring_refused", "selftest.ask.head.ring_refused", is_question=True),
    Asked("head.green", "selftest.ask.head.green", is_question=True),
    Asked("head.button_1", "selftest.now.head.button_1", is_wish=True),
    Asked("head_scanner.reads", "selftest.now.head_scanner.reads", is_wish=True, code=CODE),
    Asked("display.dots", "selftest.ask.display.dots", is_question=True),
)


class _Glass:
    """What was shown, in turn."""

    def __init__(self) -> None:
        self.pages: list[Picture] = []

    def show(self, face: Picture) -> None:
        self.pages.append(face)


def pages(language: str) -> list[Picture]:
    """One of each kind, in the order of a test."""
    texts, glass = Texts(language), _Glass()
    board = ScreenBoard(glass, texts)
    for asked in SHOWN:
        board.show(asked)
    glass.pages += [FillPage(cover_words(), colour, is_below) for colour, is_below in (FILLS[1], FILLS[3])]
    return [*glass.pages, SelfTestPage(cover_words(), texts.get("selftest.over"))]


def sheet(size: tuple[int, int], language: str, fonts: Fonts) -> Image.Image:
    """All pages of one size and language."""
    painter = Painter(*size, Theme.DAY, fonts)
    return side_by_side([painter.draw(page) for page in pages(language)])


def sheets() -> Iterator[tuple[str, Image.Image]]:
    """`320x240.png`, `320x240-en.png` and so on."""
    fonts = Fonts()
    for size in SIZES:
        for language in ("th", "en"):
            yield f"{size[0]}x{size[1]}{'' if language == 'th' else '-en'}.png", sheet(size, language, fonts)


def main() -> None:
    """Writes into the folder that is named, or `docs/bench/selftest`."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/bench/selftest")
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in sheets():
        made.quantize(128, dither=Image.Dither.NONE).save(folder / name, optimize=True)
        print(f"{folder / name} {(folder / name).stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
