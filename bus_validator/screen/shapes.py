"""The shape of each state as vectors in a square of 100 × 100: a silhouette of its own, so that colour is never alone.
Pure. FIELD_LESSONS 21.

A shape is a list of strokes of the pen in order: `is_ink` lays ink, otherwise it is cut out of what lies there.
"""

from math import cos, pi, sin
from typing import NamedTuple

from bus_validator.face import FaceState

Point = tuple[float, float]
SIDE = 100


class Disc(NamedTuple):
    """A filled circle."""

    centre: Point
    radius: float
    is_ink: bool


class Area(NamedTuple):
    """A filled polygon, its corners rounded with `rounding`."""

    points: tuple[Point, ...]
    rounding: float
    is_ink: bool


class Line(NamedTuple):
    """A line along the points with round ends and joints."""

    points: tuple[Point, ...]
    width: float
    is_ink: bool


Stroke = Disc | Area | Line


def _arc(centre: Point, radius: float, from_degrees: int, to_degrees: int, squash: float = 1.0) -> tuple[Point, ...]:
    """Points on a circle; 0° is right, 90° is down."""
    step = 6 if to_degrees > from_degrees else -6
    angles = [*range(from_degrees, to_degrees, step), to_degrees]
    return tuple(
        (centre[0] + radius * cos(angle * pi / 180) * squash, centre[1] + radius * sin(angle * pi / 180))
        for angle in angles
    )


def _regular(corners: int, radius: float, turned_degrees: float) -> tuple[Point, ...]:
    angles = [(turned_degrees + 360 * number / corners) * pi / 180 for number in range(corners)]
    return tuple((50 + radius * cos(angle), 50 + radius * sin(angle)) for angle in angles)


def _milled(radius: float, depth: float, teeth: int) -> tuple[Point, ...]:
    """The edge of a coin."""
    around = [(number * pi / teeth, radius - depth * (number % 2)) for number in range(2 * teeth)]
    return tuple((50 + r * cos(angle), 50 + r * sin(angle)) for angle, r in around)


def _box(left: float, top: float, right: float, bottom: float) -> tuple[Point, ...]:
    return (left, top), (right, top), (right, bottom), (left, bottom)


_CHECK = ((26.0, 52.0), (43.0, 69.0), (75.0, 33.0))

_CHECK_IN_DISC: tuple[Stroke, ...] = (Disc((50, 50), 49, True), Line(_CHECK, 13, False))

_COIN: tuple[Stroke, ...] = (
    Area(_milled(49.5, 5, 22), 0, True),
    Disc((50, 50), 39.5, False),
    Disc((50, 50), 36, True),
    Line(((41, 32), (52, 32), *_arc((52, 40.5), 8.5, -90, 90), (41, 49)), 7, False),
    Line(((41, 49), (54, 49), *_arc((54, 58.5), 9.5, -90, 90), (41, 68)), 7, False),
    Line(((41, 32), (41, 68)), 7, False),
    Line(((50, 23), (50, 31)), 6, False),
    Line(((50, 69), (50, 77)), 6, False),
)

_DOUBLE_CHECK: tuple[Stroke, ...] = (
    Area(_box(3, 12, 97, 88), 16, True),
    Line(((16, 53), (31, 67), (57, 36)), 10, False),
    Line(((47, 62), (53, 67), (82, 34)), 10, False),
)

_CROSS_IN_OCTAGON: tuple[Stroke, ...] = (
    Area(_regular(8, 52, 22.5), 3, True),
    Line(((32, 32), (68, 68)), 14, False),
    Line(((68, 32), (32, 68)), 14, False),
)

_PHONE_AGAIN: tuple[Stroke, ...] = (
    Line(_arc((50, 51), 40, -35, 235), 11, True),
    Area(((66.5, 34.5), (95, 34.5), (88, 6)), 2, True),
    Area(_box(36, 28, 64, 74), 6, True),
    Area(_box(41, 35, 59, 63), 2, False),
    Disc((50, 68.5), 2.8, False),
)

_WRENCH_IN_TRIANGLE: tuple[Stroke, ...] = (
    Area(((50, 4), (99, 93), (1, 93)), 8, True),
    Line(((37, 80), (57, 56)), 10, False),
    Disc((58, 55), 13.5, False),
    Area(((54, 52.5), (60.5, 58), (72, 45), (63.5, 38)), 0, True),
)

_CAP: tuple[Stroke, ...] = (
    Area(((50, 14), (99, 38), (50, 62), (1, 38)), 3, True),
    Area(((22, 55), (50, 69), (78, 55), (78, 76), (64, 84), (50, 86), (36, 84), (22, 76)), 3, True),
    Line(((90, 43), (90, 70)), 5, True),
    Disc((90, 75), 6.5, True),
)

_THREE_DOTS: tuple[Stroke, ...] = (
    Area(_box(3, 26, 97, 74), 23, True),
    *(Disc((x, 50), 8.5, False) for x in (26, 50, 74)),
)

_PHONE_AND_WAVES: tuple[Stroke, ...] = (
    Area(_box(8, 6, 56, 94), 10, True),
    Area(_box(14, 15, 50, 79), 3, False),
    Disc((32, 86.5), 3.6, False),
    *(Area(_box(x, y, x + 12, y + 12), 1, True) for x, y in ((18, 25), (34, 25), (18, 41))),
    *(Area(_box(x, y, x + 4, y + 4), 0, False) for x, y in ((22, 29), (38, 29), (22, 45))),
    *(Area(_box(x, y, x + 6, y + 6), 0, True) for x, y in ((34, 41), (40, 47), (18, 58), (28, 60), (40, 60), (34, 66))),
    Line(_arc((52, 50), 16, -48, 48), 7, True),
    Line(_arc((52, 50), 29, -48, 48), 7, True),
    Line(_arc((52, 50), 42, -48, 48), 7, True),
)

_LOCK: tuple[Stroke, ...] = (
    Line(((30, 50), (30, 34), *_arc((50, 34), 20, 180, 360), (70, 50)), 11, True),
    Area(_box(16, 45, 84, 95), 8, True),
    Disc((50, 66), 8, False),
    Line(((50, 66), (50, 81)), 7, False),
)

_ROWS: tuple[Stroke, ...] = tuple(
    stroke for y in (22, 50, 78) for stroke in (Disc((12, y), 8, True), Area(_box(30, y - 7, 98, y + 7), 5, True))
)

_SHEET: tuple[Stroke, ...] = (
    Area(((16, 3), (62, 3), (86, 27), (86, 97), (16, 97)), 5, True),
    Area(((60, 9), (80, 29), (60, 29)), 1, False),
    *(Line(((30, y), (right, y)), 6, False) for y, right in ((45, 72), (60, 72), (75, 56))),
)

_SHAPES: dict[FaceState, tuple[Stroke, ...]] = {
    FaceState.WAIT: _PHONE_AND_WAVES,
    FaceState.READING: _THREE_DOTS,
    FaceState.ACCEPTED: _CHECK_IN_DISC,
    FaceState.ACCEPTED_CASH_DUE: _COIN,
    FaceState.ALREADY_ACCEPTED: _DOUBLE_CHECK,
    FaceState.REFUSED: _CROSS_IN_OCTAGON,
    FaceState.PRESENT_AGAIN: _PHONE_AGAIN,
    FaceState.OUT_OF_SERVICE: _WRENCH_IN_TRIANGLE,
    FaceState.TRAINING: _CAP,
    FaceState.LIST: _ROWS,
    FaceState.PIN: _LOCK,
    FaceState.REPORT: _SHEET,
}

LINKED: tuple[Stroke, ...] = (Disc((50, 50), 46, True), Line(_CHECK, 13, False))
"""Badge: the link works."""
UNLINKED: tuple[Stroke, ...] = (
    Area(((50, 6), (97, 50), (50, 94), (3, 50)), 4, True),
    Line(((50, 30), (50, 54)), 11, False),
    Disc((50, 70), 6.5, False),
)
"""Badge: the link is away. A diamond with a bar; nothing about the passenger's code."""
UP: tuple[Stroke, ...] = (Area(((50, 20), (92, 80), (8, 80)), 5, True),)
DOWN: tuple[Stroke, ...] = (Area(((50, 80), (92, 20), (8, 20)), 5, True),)
HERE: tuple[Stroke, ...] = (Area(((25, 10), (85, 50), (25, 90)), 5, True),)
"""Before the marked entry of a list."""


def shape_of(state: FaceState) -> tuple[Stroke, ...]:
    """The shape of a state."""
    return _SHAPES[state]
