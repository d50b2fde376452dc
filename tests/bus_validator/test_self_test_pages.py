"""The pages of a self-test: every sentence fits whole, every dot is tried, the code is read, TEST is on all of them."""

import gettext
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from bus_validator.face import Theme
from bus_validator.screen.fonts import Fonts
from bus_validator.screen.painter import Painter
from bus_validator.screen.plan import Text
from bus_validator.self_test_page import BLACK, FILLS, WHITE, FillPage, SelfTestPage
from bus_validator.self_test_parts import code_rows, cover_words
from offline_ledger.texts import LOCALE, Texts
from simulators.contact_sheet import SIZES
from simulators.scanner import read_picture
from simulators.self_test_sheet import CODE, pages, sheets

DOCS = Path(__file__).parents[2] / "docs" / "bench"
FONTS = Fonts()
LONG = 60
"""What fits on the small screen fits on the large one; only the longest are tried there too."""
SAID = ("selftest.step.", "selftest.ask.", "selftest.now.", "selftest.over")


def sentences(language: str) -> dict[str, str]:
    with (LOCALE / language / "LC_MESSAGES" / "kgo.mo").open("rb") as file:
        catalogue: dict[str, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {key: text for key, text in catalogue.items() if key.startswith(SAID)}


@pytest.mark.parametrize("language", ["th", "en"])
@pytest.mark.parametrize("size", SIZES)
def test_every_sentence_stands_whole_under_the_word_test(size: tuple[int, int], language: str) -> None:
    painter, how = Painter(*size, Theme.DAY, FONTS), Texts(language).get("selftest.buttons")
    found = sentences(language)
    assert len(found) > 60
    long = {key: line for key, line in found.items() if size == SIZES[0] or len(line) > LONG}
    for key, line in long.items():
        code = code_rows(CODE) if ".now." in key and key.endswith("reads") else ()
        page = SelfTestPage(cover_words(), line, how if ".ask." in key else "", key, code)
        texts = [item for item in painter.plan(page) if isinstance(item, Text)]
        assert not [item for item in texts if item.fitted.is_shortened], key
        assert "".join(texts[0].fitted.lines) == "ทดสอบ · TEST"


def test_every_page_of_a_test_bears_its_word() -> None:
    painter = Painter(320, 240, Theme.NIGHT, FONTS)
    for page in pages("th"):
        said = [line for item in painter.plan(page) if isinstance(item, Text) for line in item.fitted.lines]
        assert "ทดสอบ · TEST" in said


@pytest.mark.parametrize("size", SIZES)
def test_the_code_is_read_from_the_glass(size: tuple[int, int]) -> None:
    page = SelfTestPage(cover_words(), Texts("th").get("selftest.now.head_scanner.reads"), code=code_rows(CODE))
    for theme in Theme:
        assert read_picture(Painter(*size, theme, FONTS).draw(page)) == CODE


@pytest.mark.parametrize("size", SIZES)
def test_every_dot_is_lit_in_each_colour_and_dark_once(size: tuple[int, int]) -> None:
    """A dark dot shows on white, or on the three colours; a stuck one on black, or on the other colours."""
    painter = Painter(*size, Theme.DAY, FONTS)
    drawn = {colour: painter.draw(FillPage(cover_words(), colour, is_below)) for colour, is_below in FILLS}
    lit = Image.new("RGB", size)
    dark = Image.new("RGB", size, WHITE)
    for colour, picture in drawn.items():
        same = (
            ImageChops.difference(picture, Image.new("RGB", size, colour))
            .convert("L")
            .point(lambda off: 255 * (not off))
        )
        lit.paste(ImageChops.lighter(lit, picture), mask=same)
        dark.paste(ImageChops.darker(dark, picture), mask=same)
    assert lit.getcolors() == [(size[0] * size[1], WHITE)]
    assert dark.getcolors() == [(size[0] * size[1], BLACK)]


def test_the_walk_shows_the_sheets_that_are_drawn() -> None:
    drawn = {name: made.size for name, made in sheets()}
    assert set(drawn) == {path.name for path in (DOCS / "selftest").glob("*x*.png")}
    walk = (DOCS / "self-test.md").read_text(encoding="utf-8")
    assert [name for name in drawn if f"(selftest/{name})" not in walk] == []
    for name, size in drawn.items():
        with Image.open(DOCS / "selftest" / name) as shown:
            assert shown.size == size, "draw them anew: python -m simulators.self_test_sheet"
