"""Paints a plan with Pillow. Only the drawing thread comes here; the first picture pays for fonts and shapes.

Issue budget: a picture in less than 30 ms at both sizes. Never decides what is said.
"""

from PIL import Image, ImageDraw

from bus_validator.face import FaceState, Theme
from bus_validator.screen.fonts import Fonts
from bus_validator.screen.glyphs import Glyphs
from bus_validator.screen.palette import colours_of
from bus_validator.screen.plan import Canvas, Fill, Item, Shape, Stripes, Text, check_size, plan_boarding
from bus_validator.screen.plan_lists import plan_list, plan_pin, plan_report
from bus_validator.screen.plan_self_test import plan_fill, plan_self_test
from bus_validator.self_test_page import FillPage, Picture, SelfTestPage

_PLANS = {FaceState.LIST: plan_list, FaceState.PIN: plan_pin, FaceState.REPORT: plan_report}
PLANS_MAX = 32
"""Faces come again and again: the same plan serves, only its picture is painted anew."""


class Painter:
    """Draws faces for one screen in one theme."""

    def __init__(self, width_px: int, height_px: int, theme: Theme, fonts: Fonts | None = None) -> None:
        """Raises ScreenSizeUnknown, ThaiShapingMissing, ScreenFontWrong."""
        check_size(width_px, height_px)
        self.size = width_px, height_px
        self.fonts = fonts if fonts is not None else Fonts()
        self._glyphs = Glyphs()
        self._plans: dict[Picture, list[Item]] = {}
        self.theme = theme

    @property
    def theme(self) -> Theme:
        """How faces are drawn from now on."""
        return self._theme

    @theme.setter
    def theme(self, theme: Theme) -> None:
        self._theme = theme
        self._plans.clear()
        self._canvas = Canvas(*self.size, colours_of(theme), self.fonts)

    def plan(self, face: Picture) -> list[Item]:
        """What stands where."""
        if (found := self._plans.get(face)) is None:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            found = self._plans[face] = self._planned(face)
        return found

    def _planned(self, face: Picture) -> list[Item]:
        match face:
            case SelfTestPage():
                return plan_self_test(self._canvas, face)
            case FillPage():
                return plan_fill(self._canvas, face)
            case _:
                return _PLANS.get(face.state, plan_boarding)(self._canvas, face)

    def draw(self, face: Picture) -> Image.Image:
        """The picture, RGB. Raises ScreenFontWrong when a font is gone."""
        image = Image.new("RGB", self.size)
        draw = ImageDraw.Draw(image)
        for item in self.plan(face):
            self._paint(image, draw, item)
        return image

    def _paint(self, image: Image.Image, draw: ImageDraw.ImageDraw, item: Item) -> None:
        match item:
            case Fill(box, colour):
                image.paste(colour, box)
            case Stripes():
                _stripe(image, item)
            case Shape(strokes, left, top, side_px, colour):
                image.paste(colour, (left, top), self._glyphs.mask(strokes, side_px))
            case Text(fitted, left, top, _, colour, _):
                font = self.fonts.font(fitted.size_px, is_bold=fitted.is_bold)
                for line, baseline, ink in zip(fitted.lines, fitted.baselines, fitted.inks, strict=True):
                    at = left - min(0, ink.left), top + baseline
                    draw.text(at, line, fill=colour, font=font, anchor="ls")


def _stripe(image: Image.Image, item: Stripes) -> None:
    box = item.box
    band = Image.new("RGB", (box.width, box.height), item.other)
    draw = ImageDraw.Draw(band)
    wide = box.height * 3 // 2
    for left in range(-2 * wide, box.width, 2 * wide):
        slanted = [(left, box.height), (left + box.height, 0), (left + box.height + wide, 0), (left + wide, box.height)]
        draw.polygon(slanted, fill=item.colour)
    image.paste(band, (box.left, box.top))
