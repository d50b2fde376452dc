"""Contrast is computed, shapes differ without colour, and every size in the range is drawn."""

from itertools import combinations, pairwise

import pytest
from PIL import Image, ImageChops, ImageStat

from bus_validator.face import FaceState, Theme
from bus_validator.screen.fonts import Fonts
from bus_validator.screen.glyphs import Glyphs
from bus_validator.screen.painter import Painter
from bus_validator.screen.palette import (
    SHAPE_CONTRAST_MIN_PERCENT,
    TEXT_CONTRAST_MIN_PERCENT,
    colours_of,
    contrast_percent,
)
from bus_validator.screen.plan import HEIGHT_PX_MAX, HEIGHT_PX_MIN, WIDTH_PX_MAX, WIDTH_PX_MIN, Shape
from bus_validator.screen.shapes import LINKED, UNLINKED, shape_of
from offline_ledger.errors import ScreenSizeUnknown
from tests.bus_validator.drawn import SIZES, face_of, texts_of

SIDE_PX = 96
DIFFERENT_PERCENT_MIN = 12
"""Of the square: two shapes that differ in less could be taken for each other in passing."""


@pytest.fixture(scope="module")
def ruler() -> Fonts:
    return Fonts()


def test_contrast_is_wcags() -> None:
    assert contrast_percent((0, 0, 0), (255, 255, 255)) == 2100
    assert contrast_percent((255, 255, 255), (255, 255, 255)) == 100
    assert contrast_percent((0x77, 0x77, 0x77), (255, 255, 255)) == 447  # WCAG's own example of just too little


@pytest.mark.parametrize("theme", Theme)
def test_every_text_and_shape_stands_out(theme: Theme) -> None:
    colours = colours_of(theme)
    assert set(colours.looks) == set(FaceState)
    for state, look in colours.looks.items():
        assert contrast_percent(look.on_flood, look.flood) >= TEXT_CONTRAST_MIN_PERCENT, state
        assert contrast_percent(look.shape, look.flood) >= SHAPE_CONTRAST_MIN_PERCENT, state
    for text, ground in (
        (colours.ink, colours.paper),
        (colours.ink_second, colours.paper),
        (colours.on_strip, colours.strip),
        (colours.on_badge, colours.badge),
        (colours.on_mark, colours.mark),
    ):
        assert contrast_percent(text, ground) >= TEXT_CONTRAST_MIN_PERCENT
    assert contrast_percent(colours.mark, colours.paper) >= SHAPE_CONTRAST_MIN_PERCENT


@pytest.mark.parametrize("theme", Theme)
def test_the_texts_that_are_placed_have_the_contrast_of_their_ground(theme: Theme, ruler: Fonts) -> None:
    painter = Painter(320, 240, theme, ruler)
    for state in FaceState:
        for placed in texts_of(painter.plan(face_of(state, title_second="Second", line_second="Second"))):
            assert contrast_percent(placed.colour, placed.ground) >= TEXT_CONTRAST_MIN_PERCENT


def test_light_at_night_stays_low(ruler: Fonts) -> None:
    painter = Painter(320, 240, Theme.NIGHT, ruler)
    for state in FaceState:
        mean = ImageStat.Stat(painter.draw(face_of(state)).convert("L")).mean[0]
        assert mean < 64, (state, mean)  # a quarter of white: less than a phone's dark theme


def different_percent(one: Image.Image, other: Image.Image) -> int:
    area = one.size[0] * one.size[1]
    return sum(ImageChops.difference(one, other).histogram()[128:]) * 100 // area


def test_each_state_has_a_shape_of_its_own() -> None:
    glyphs = Glyphs()
    masks = {state: glyphs.mask(shape_of(state), SIDE_PX) for state in FaceState}
    for one, other in combinations(FaceState, 2):
        assert different_percent(masks[one], masks[other]) >= DIFFERENT_PERCENT_MIN, (one, other)
    linked, unlinked = (glyphs.mask(shape, SIDE_PX) for shape in (LINKED, UNLINKED))
    assert different_percent(linked, unlinked) >= DIFFERENT_PERCENT_MIN


@pytest.mark.parametrize("theme", Theme)
def test_states_differ_in_grey_with_the_same_words(theme: Theme, ruler: Fonts) -> None:
    """Contrast stretched: as an eye that tells no colours sees the part with the shape."""
    painter = Painter(320, 240, theme, ruler)
    seen: dict[FaceState, Image.Image] = {}
    for state in FaceState:
        plan = painter.plan(face_of(state))
        shape = max((item for item in plan if isinstance(item, Shape)), key=lambda item: item.side_px)
        image = painter.draw(face_of(state)).convert("L")
        cut = image.crop((shape.left, shape.top, shape.left + shape.side_px, shape.top + shape.side_px))
        low, high = cut.getextrema()
        assert isinstance(low, int) and isinstance(high, int)
        grey = cut.resize((SIDE_PX, SIDE_PX)).point([255 if value > (low + high) // 2 else 0 for value in range(256)])
        corner = grey.getpixel((0, SIDE_PX - 1))
        seen[state] = ImageChops.invert(grey) if corner else grey
    for one, other in combinations(FaceState, 2):
        assert different_percent(seen[one], seen[other]) >= DIFFERENT_PERCENT_MIN, (one, other)


@pytest.mark.parametrize("state", FaceState)
def test_the_shape_is_big(state: FaceState, ruler: Fonts) -> None:
    if state in (FaceState.LIST, FaceState.REPORT, FaceState.PIN):
        return
    for width_px, height_px in SIZES:
        plan = Painter(width_px, height_px, Theme.DAY, ruler).plan(face_of(state))
        side_px = max(item.side_px for item in plan if isinstance(item, Shape))
        assert side_px * 100 >= height_px * 30, (state, side_px)


@pytest.mark.parametrize(
    "size",
    [
        (WIDTH_PX_MIN, HEIGHT_PX_MIN),
        (480, 272),
        (480, 320),
        (640, 480),
        (1024, 600),
        (800, 600),
        (1280, 720),
        (1280, 240),
        (320, 800),
        (WIDTH_PX_MAX, HEIGHT_PX_MAX),
    ],
)
def test_every_size_in_the_range_is_drawn_whole(size: tuple[int, int], ruler: Fonts) -> None:
    painter = Painter(*size, Theme.DAY, ruler)
    for state in FaceState:
        face = face_of(state, "เครื่องนี้ต้องต่อเครือข่าย", "ให้เจ้าของโค้ดต่อเน็ตสักครู่เพื่อรับวงเงินใหม่")
        assert painter.draw(face).size == size
        for placed in texts_of(painter.plan(face)):
            assert not placed.fitted.is_shortened
            assert placed.left + placed.fitted.width_px <= placed.box.right <= size[0]
            assert placed.top + placed.fitted.height_px <= placed.box.bottom <= size[1]
        for item in painter.plan(face):
            if isinstance(item, Shape):
                assert 0 <= item.left and item.left + item.side_px <= size[0]
                assert 0 <= item.top and item.top + item.side_px <= size[1]


@pytest.mark.parametrize(
    "size",
    [
        (WIDTH_PX_MIN - 1, HEIGHT_PX_MIN),
        (WIDTH_PX_MIN, HEIGHT_PX_MIN - 1),
        (WIDTH_PX_MAX + 1, HEIGHT_PX_MAX),
        (WIDTH_PX_MAX, HEIGHT_PX_MAX + 1),
        (0, 0),
    ],
)
def test_other_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ScreenSizeUnknown, match="6084"):
        Painter(*size, Theme.DAY)


def test_a_long_list_shows_the_marked_entry_and_how_far_down_it_is(ruler: Fonts) -> None:
    stops = tuple(f"{number}. ป้าย" for number in range(1, 41))
    for size in SIZES:
        painter = Painter(*size, Theme.DAY, ruler)
        for selected in (0, 1, 20, 38, 39, 999, None):
            texts = texts_of(painter.plan(face_of(FaceState.LIST, "เลือกป้าย", lines=stops, selected=selected)))
            said = [" ".join(one.fitted.lines) for one in texts]
            marked = min(selected or 0, 39)
            assert stops[marked] in said and f"{marked + 1}/40" in said
            assert sum(stop in said for stop in stops) >= 4


def test_entries_of_a_list_stand_on_one_line_whatever_marks_they_have(ruler: Fonts) -> None:
    entries = ("เริ่มเที่ยว", "เปลี่ยนคนขับ", "สถานะ", "ถูก ญู")
    for size in SIZES:
        for selected in range(4):
            plan = Painter(*size, Theme.DAY, ruler).plan(
                face_of(FaceState.LIST, "เมนูคนขับ", lines=entries, selected=selected)
            )
            rows = [one for one in texts_of(plan) if one.fitted.lines[0] in entries]
            baselines = [one.top + one.fitted.baselines[0] for one in rows]
            steps = {below - above for above, below in pairwise(baselines)}
            assert len(rows) == 4 and len(steps) == 1 and len({one.fitted.size_px for one in rows}) == 1
            for row, baseline in zip(rows, baselines, strict=True):
                ink = row.fitted.inks[0]
                assert row.box.top < baseline + ink.top and baseline + ink.bottom < row.box.bottom, row.fitted.lines


def test_a_report_scrolls_and_its_amounts_stand_at_the_right(ruler: Fonts) -> None:
    lines = tuple(f"รายการ {number}\t{number}.00" for number in range(30))
    for size in SIZES:
        painter = Painter(*size, Theme.DAY, ruler)
        seen: set[str] = set()
        for top in range(30):
            texts = texts_of(painter.plan(face_of(FaceState.REPORT, "ใบสรุป", lines=lines, selected=top)))
            amounts = [one for one in texts if one.fitted.lines[0].endswith(".00")]
            assert len({one.left + one.fitted.width_px for one in amounts}) == 1
            seen |= {one.fitted.lines[0] for one in amounts}
        assert seen == {f"{number}.00" for number in range(30)}


def test_a_long_report_line_goes_on_below_at_the_same_size(ruler: Fonts) -> None:
    long = "City Bus 1 บาท ผู้สูงอายุ: 1,234 คน 123,456.00 KGO " * 3
    painter = Painter(320, 240, Theme.DAY, ruler)
    for top, first in ((0, "ก่อน"), (1, "City"), (2, "หลัง")):
        face = face_of(FaceState.REPORT, "ใบสรุป", "", lines=("ก่อน", long, "หลัง", *"กขคงจ"), selected=top)
        placed = texts_of(painter.plan(face))
        rows = [one for one in placed if one.fitted.size_px == 16 and one.left == 9 and one.top > 60]
        assert rows[0].fitted.lines[0].startswith(first)
        assert all(len(one.fitted.lines) == 1 and not one.fitted.is_shortened for one in rows)
        assert len(rows) >= 4


def test_a_pin_is_dots_never_digits(ruler: Fonts) -> None:
    painter = Painter(320, 240, Theme.DAY, ruler)
    plan = painter.plan(face_of(FaceState.PIN, "รหัสคนขับ", "••○○"))
    sides = [item.side_px for item in plan if isinstance(item, Shape)]
    assert max(sides.count(side) for side in sides) == 4
    assert not any("•" in "".join(one.fitted.lines) for one in texts_of(plan))
