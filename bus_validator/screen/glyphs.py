"""Shapes as grey masks: drawn large, made small once, kept. Only the drawing thread comes here."""

from PIL import Image, ImageDraw

from bus_validator.screen.shapes import SIDE, Area, Disc, Line, Point, Stroke

OVERSAMPLED = 4
"""Drawn so many times larger: edges get 16 grey steps, and a shape of 300 px costs a few ms once."""
MASKS_MAX = 64


class Glyphs:
    """Masks by shape and side; bounded."""

    def __init__(self) -> None:
        self._masks: dict[tuple[tuple[Stroke, ...], int], Image.Image] = {}

    def mask(self, shape: tuple[Stroke, ...], side_px: int) -> Image.Image:
        """The shape in a square of that side, 255 where its ink is."""
        key = shape, side_px
        if (found := self._masks.get(key)) is None:
            if len(self._masks) >= MASKS_MAX:
                self._masks.clear()
            found = self._masks[key] = _mask(shape, side_px)
        return found


def _mask(shape: tuple[Stroke, ...], side_px: int) -> Image.Image:
    large_px = side_px * OVERSAMPLED
    large = Image.new("L", (large_px, large_px), 0)
    draw = ImageDraw.Draw(large)
    for stroke in shape:
        _lay(draw, stroke, large_px / SIDE)
    return large.resize((side_px, side_px), Image.Resampling.BOX)


def _lay(draw: ImageDraw.ImageDraw, stroke: Stroke, scale: float) -> None:
    fill = 255 if stroke.is_ink else 0
    match stroke:
        case Disc(centre, radius, _):
            _disc(draw, centre, radius, scale, fill)
        case Line(points, width, _):
            draw.line([(x * scale, y * scale) for x, y in points], fill=fill, width=round(width * scale))
            for point in points:
                _disc(draw, point, width / 2, scale, fill)
        case Area(points, rounding, _):
            inner = _shrunk(points, rounding)
            draw.polygon([(x * scale, y * scale) for x, y in inner], fill=fill)
            if rounding:
                around = [*inner, inner[0]]
                draw.line([(x * scale, y * scale) for x, y in around], fill=fill, width=round(2 * rounding * scale))
                for point in inner:
                    _disc(draw, point, rounding, scale, fill)


def _disc(draw: ImageDraw.ImageDraw, centre: Point, radius: float, scale: float, fill: int) -> None:
    x, y, r = centre[0] * scale, centre[1] * scale, radius * scale
    draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)


def _shrunk(points: tuple[Point, ...], by: float) -> list[Point]:
    """Each corner moved inwards so that a pen of radius `by` around the rest gives the outline again."""
    if not by:
        return list(points)
    turning = sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in zip(points, (*points[1:], points[0]), strict=True))
    side = 1 if turning < 0 else -1
    moved: list[Point] = []
    for number, (x, y) in enumerate(points):
        before, after = points[number - 1], points[(number + 1) % len(points)]
        ax, ay = _unit(x - before[0], y - before[1])
        bx, by_ = _unit(after[0] - x, after[1] - y)
        across = ax * by_ - ay * bx
        if abs(across) < 0.05:  # nearly straight on
            moved.append((x - side * ay * by, y + side * ax * by))
        else:
            moved.append((x + side * (bx - ax) / across * by, y + side * (by_ - ay) / across * by))
    return moved


def _unit(x: float, y: float) -> Point:
    length = (x * x + y * y) ** 0.5 or 1.0
    return x / length, y / length
