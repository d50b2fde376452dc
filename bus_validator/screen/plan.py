"""What stands where on a picture: fills, shapes and fitted texts, in the order they are drawn. Pure: handed a ruler.

From 320×240 to 1280×800. `unit` is one 320th of the width or one 240th of the height, whichever is less; all measures
are in units, so that arm's length reads the same on each. The strip on top (route, clock) and the badge below stay
where they are in every state; between them the flood with shape and title, and on paper below it the line.
"""

from typing import NamedTuple

from bus_validator.face import Face, FaceState
from bus_validator.screen.fitting import Fitted, Ruler, Sizes, fit
from bus_validator.screen.palette import Colour, Colours, Look
from bus_validator.screen.shapes import LINKED, UNLINKED, Stroke, shape_of
from offline_ledger.errors import ScreenSizeUnknown

WIDTH_PX_MIN, HEIGHT_PX_MIN = 320, 240
WIDTH_PX_MAX, HEIGHT_PX_MAX = 1280, 800
"""Drawing a larger picture takes longer than 30 ms on a Pi, and none is on a bus."""

STRIP_UNITS, BADGE_UNITS, MARGIN_UNITS = 26, 24, 9
LETTER_PERCENT = 62
"""Height of a letter without marks, of the size: between a Thai consonant's and a digit's."""
FLOOD_PERCENTS = (64, 58, 52, 46, 40)
"""How much of the body the flood takes; less, as the line needs more."""


class Box(NamedTuple):
    """Right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return max(0, self.right - self.left)

    @property
    def height(self) -> int:
        return max(0, self.bottom - self.top)

    def inset(self, across_px: int, down_px: int) -> "Box":
        """Smaller on all sides."""
        return Box(self.left + across_px, self.top + down_px, self.right - across_px, self.bottom - down_px)


class Fill(NamedTuple):
    """A box in one colour."""

    box: Box
    colour: Colour


class Stripes(NamedTuple):
    """A band of slanting stripes: a barrier."""

    box: Box
    colour: Colour
    other: Colour


class Shape(NamedTuple):
    """A shape in a square at that corner."""

    strokes: tuple[Stroke, ...]
    left: int
    top: int
    side_px: int
    colour: Colour


class Text(NamedTuple):
    """A fitted text with its top left corner; its ink stays inside `box`."""

    fitted: Fitted
    left: int
    top: int
    box: Box
    colour: Colour
    ground: Colour


Item = Fill | Stripes | Shape | Text


class Canvas(NamedTuple):
    """What every plan is made with."""

    width_px: int
    height_px: int
    colours: Colours
    ruler: Ruler

    def px(self, units: int) -> int:
        """Units in pixels, at least one."""
        return max(1, min(units * self.width_px // WIDTH_PX_MIN, units * self.height_px // HEIGHT_PX_MIN))

    def sizes(self, largest: int, comfortable: int, smallest: int) -> Sizes:
        """Font sizes in pixels from units."""
        return Sizes(self.px(largest), self.px(comfortable), self.px(smallest))


def check_size(width_px: int, height_px: int) -> None:
    """Raises ScreenSizeUnknown."""
    if not (WIDTH_PX_MIN <= width_px <= WIDTH_PX_MAX and HEIGHT_PX_MIN <= height_px <= HEIGHT_PX_MAX):
        raise ScreenSizeUnknown(f"{width_px}x{height_px}")


def place(
    canvas: Canvas,
    text: str,
    box: Box,
    sizes: Sizes,
    colour: Colour,
    ground: Colour,
    *,
    is_bold: bool = False,
    across: int = 0,
    down: int = 50,
) -> Text:
    """The text fitted into the box; `across`, `down`: where the room left over goes, in percent before it."""
    fitted = fit(text, box.width, box.height, sizes, canvas.ruler, is_bold=is_bold)
    left = box.left + (box.width - fitted.width_px) * across // 100
    room = max(0, box.height - fitted.height_px)
    top = box.top + room * down // 100
    if len(fitted.lines) == 1 and down == 50:  # on one baseline with its neighbours, whatever marks it has
        baseline = (box.height + fitted.size_px * LETTER_PERCENT // 100) // 2
        top = box.top + min(max(0, baseline - fitted.baselines[0]), room)
    return Text(fitted, left, top, box, colour, ground)


def frame(canvas: Canvas, face: Face) -> tuple[list[Item], Box]:
    """The strip and the badge, and the body that they leave."""
    colours = canvas.colours
    body = Box(0, 0, canvas.width_px, canvas.height_px)
    items: list[Item] = [Fill(body, colours.paper)]
    if face.header or face.clock:
        strip = body._replace(bottom=canvas.px(STRIP_UNITS))
        items.append(Fill(strip, colours.strip))
        inside = strip.inset(canvas.px(MARGIN_UNITS), canvas.px(1))
        sizes = canvas.sizes(17, 12, 10)
        if face.clock:
            clock = inside._replace(left=inside.right - canvas.px(56))
            said = face.clock.replace("-", "–")  # the font joins two hyphens to one dash
            items.append(place(canvas, said, clock, sizes, colours.on_strip, colours.strip, is_bold=True, across=100))
            inside = inside._replace(right=clock.left - canvas.px(4))
        if face.header:
            items.append(place(canvas, face.header, inside, sizes, colours.on_strip, colours.strip))
        body = body._replace(top=strip.bottom)
    strip = body._replace(top=body.bottom - canvas.px(BADGE_UNITS))
    items.append(Fill(strip, colours.badge))  # without a badge too: the body has the same room when one comes
    if face.badge is not None:
        side = canvas.px(14)
        left, top = canvas.px(MARGIN_UNITS), strip.top + (strip.height - side) // 2
        shape = UNLINKED if face.badge.is_offline else LINKED
        inside = strip.inset(canvas.px(MARGIN_UNITS), 0)._replace(left=left + side + canvas.px(6))
        items += [
            Shape(shape, left, top, side, colours.on_badge),
            place(canvas, face.badge.text, inside, canvas.sizes(16, 12, 10), colours.on_badge, colours.badge),
        ]
    return items, body._replace(bottom=strip.top)


def plan_boarding(canvas: Canvas, face: Face) -> list[Item]:
    """A state at the door: shape and title on the flood, the line on paper."""
    items, body = frame(canvas, face)
    if not face.line:
        return items + _flood(canvas, face, body)
    best: list[Item] = []
    for percent in FLOOD_PERCENTS:
        edge = body.top + body.height * percent // 100
        paper = body._replace(top=edge).inset(canvas.px(MARGIN_UNITS), canvas.px(6))
        line = _with_second(
            *(canvas, face.line, face.line_second, paper, canvas.sizes(25, 17, 12), canvas.sizes(15, 13, 11)),
            *(canvas.colours.ink, canvas.colours.ink_second, canvas.colours.paper),
            down=45,
        )
        tried = [*_flood(canvas, face, body._replace(bottom=edge)), *line]
        is_whole = not any(isinstance(item, Text) and item.fitted.is_shortened for item in tried)
        if is_whole or not best:
            best = tried
        if is_whole and line[0].fitted.size_px >= canvas.px(17):
            break
    return items + best


def _flood(canvas: Canvas, face: Face, box: Box) -> list[Item]:
    look = canvas.colours.looks[face.state]
    items: list[Item] = [Fill(box, look.flood)]
    inner = box.inset(canvas.px(MARGIN_UNITS), canvas.px(7))
    if (band := _band(canvas, face.state, box, look)) is not None:
        items.append(band)
        inner = inner._replace(bottom=band.box.top - canvas.px(4))
    side = min(inner.height, canvas.width_px * 40 // 100)
    top = inner.top + (inner.height - side) // 2
    items.append(Shape(shape_of(face.state), inner.left, top, side, look.shape))
    title = inner._replace(left=inner.left + side + canvas.px(12))
    items += _with_second(
        *(canvas, face.title, face.title_second, title, canvas.sizes(86, 30, 17), canvas.sizes(19, 14, 12)),
        *(look.on_flood, look.on_flood, look.flood),
        is_bold=True,
    )
    return items


def _band(canvas: Canvas, state: FaceState, box: Box, look: Look) -> Stripes | None:
    """Out of service and training are barred, so that neither passes for a state of somebody's code."""
    if state not in (FaceState.OUT_OF_SERVICE, FaceState.TRAINING):
        return None
    return Stripes(box._replace(top=box.bottom - canvas.px(9)), look.shape, look.flood)


def _with_second(
    canvas: Canvas,
    text: str,
    second: str,
    box: Box,
    sizes: Sizes,
    second_sizes: Sizes,
    colour: Colour,
    second_colour: Colour,
    ground: Colour,
    *,
    is_bold: bool = False,
    down: int = 50,
) -> list[Text]:
    """The text, and beneath it the second language where it fits whole and costs the first no comfort."""
    alone = place(canvas, text, box, sizes, colour, ground, is_bold=is_bold, down=down)
    if not second or second == text:
        return [alone]
    below = fit(second, box.width, box.height * 45 // 100, second_sizes, canvas.ruler, is_bold=False)
    gap = canvas.px(8)
    room = box._replace(bottom=box.bottom - below.height_px - gap)
    above = fit(text, room.width, room.height, sizes, canvas.ruler, is_bold=is_bold)
    wanted = min(alone.fitted.size_px, sizes.comfortable_px)
    if below.is_shortened or above.is_shortened or above.size_px < wanted or above.size_px <= below.size_px:
        return [alone]
    top = box.top + (box.height - above.height_px - gap - below.height_px) * down // 100
    return [
        Text(above, box.left, top, box, colour, ground),
        Text(below, box.left, top + above.height_px + gap, box, second_colour, ground),
    ]
