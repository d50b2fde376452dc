"""The contact sheets have every face, and the page shows every sheet."""

from pathlib import Path

import pytest
from PIL import Image

from bus_validator.face import FaceState, Theme
from bus_validator.screen.fonts import Fonts
from simulators.contact_sheet import SIZES, faces, sheet, sheets

DOCS = Path(__file__).parents[2] / "docs"


def test_every_state_is_on_a_sheet() -> None:
    assert {face.state for face in faces("th")} == set(FaceState)
    assert len({face.title for face in faces("th")}) > len(FaceState)


@pytest.mark.parametrize("size", SIZES)
def test_a_sheet_has_room_for_all(size: tuple[int, int]) -> None:
    made = sheet(size, Theme.NIGHT, "th", Fonts())
    assert made.size[0] > 3 * size[0] and made.size[1] > 7 * size[1]


def test_the_page_shows_the_sheets_that_are_drawn() -> None:
    drawn = {name: made.size for name, made in sheets()}
    names = set(drawn)
    assert {f"{w}x{h}-{theme.value}.png" for w, h in SIZES for theme in Theme} < names
    assert names == {path.name for path in (DOCS / "screens").glob("*.png")}
    page = (DOCS / "screens.md").read_text(encoding="utf-8")
    assert [name for name in names if f"(screens/{name})" not in page] == []
    for name in names:
        with Image.open(DOCS / "screens" / name) as shown:
            assert shown.size == drawn[name], "draw them anew: python -m simulators.contact_sheet docs/screens"
