"""Which stop the bus is at, and whether it moves: from satellite positions along one pattern. Pure. DESIGN §2.

The stop never jumps back: on a loop, or where both directions share a street, an earlier stop lies as near as the next
one. It moves on when the bus comes within reach of a later stop of the next few; after a long gap any later one counts.
One further on counts otherwise only when the next after it is reached too: a bus on its way from the depot to its first
stop passes later ones, in falling order. The driver's own word (`set_by_hand`) stands until a later stop is reached.
Distances are good to a percent, better than what satellites give. Never reads a device or a clock.
"""

from math import cos, hypot, radians
from typing import NamedTuple

from offline_ledger.protocol.route_file import Stop

REACH_M = 45
"""A bus stops within 20 m of its sign; a cheap receiver between houses is off by 10 to 25."""
AHEAD_MAX = 4
"""Stops that may be driven past between two looks: nobody waits there, nobody gets off."""
GAP_S = 120
"""After so long without a position the bus may be anywhere further on: two stops take about as long."""
MOVING_MM_S = 2_200
"""8 km/h: faster than a bus creeps in a queue."""
STANDING_MM_S = 1_100
"""4 km/h: more than the noise of a standing receiver. Between the two, what was stays (hysteresis)."""
FIX_AGE_S = 10
"""An older position says nothing about now: a receiver sends one each second."""
_METRES_PER_DEGREE = 111_320


class Position(NamedTuple):
    """A position in millionths of degrees, at a monotonic second. `speed_mm_s` None: the receiver did not say."""

    latitude_e6: int
    longitude_e6: int
    at_mono_s: int
    speed_mm_s: int | None = None


class Progress(NamedTuple):
    """`stop_at`: the stop reached last, as a place in the pattern. `is_near`: within reach of it. `seen_at_s`: when a
    position came last (monotonic), None: never on this trip. `passed`: a stop far ahead that the bus passed last."""

    stop_at: int
    is_near: bool = False
    seen_at_s: int | None = None
    passed: int | None = None


def metres_between(latitude_e6: int, longitude_e6: int, stop: Stop) -> int:
    """Distance on a small piece of the earth, where it is flat."""
    north = (stop.latitude_e6 - latitude_e6) / 1e6
    east = ((stop.longitude_e6 - longitude_e6 + 180_000_000) % 360_000_000 - 180_000_000) / 1e6
    return round(hypot(north, east * cos(radians(latitude_e6 / 1e6))) * _METRES_PER_DEGREE)


def follow(stops: tuple[Stop, ...], progress: Progress, position: Position) -> Progress:
    """The progress after one more position. `stops`: of the pattern, in order."""
    seen_at_s = position.at_mono_s
    is_gap = progress.seen_at_s is not None and seen_at_s - progress.seen_at_s > GAP_S
    last = len(stops) - 1 if is_gap else min(len(stops) - 1, progress.stop_at + AHEAD_MAX)
    at = _reached(stops, position, progress.stop_at, last)
    if at is not None:
        return Progress(at, True, seen_at_s)
    beyond, passed = _reached(stops, position, last + 1, len(stops) - 1), progress.passed
    if beyond is None:
        return Progress(progress.stop_at, False, seen_at_s, passed)
    if passed is not None and passed < beyond <= passed + AHEAD_MAX:
        return Progress(beyond, True, seen_at_s)
    return Progress(progress.stop_at, False, seen_at_s, beyond)


def _reached(stops: tuple[Stop, ...], position: Position, first: int, last: int) -> int | None:
    """The first stop of a stretch within reach."""
    for at in range(first, last + 1):
        if metres_between(position.latitude_e6, position.longitude_e6, stops[at]) <= REACH_M:
            return at
    return None


def set_by_hand(progress: Progress, stop_at: int) -> Progress:
    """The driver says where the bus is; also backwards."""
    return progress._replace(stop_at=stop_at, is_near=False, passed=None)


def nearest_stop(stops: tuple[Stop, ...], position: Position) -> int:
    """The nearest of a pattern's stops, the first of equals: what to mark when the driver chooses one."""
    return min(range(len(stops)), key=lambda at: metres_between(position.latitude_e6, position.longitude_e6, stops[at]))


class Motion(NamedTuple):
    """Whether the bus moves, as far as the last sure sign goes."""

    is_moving: bool = False
    seen_at_s: int | None = None


def feel(motion: Motion, position: Position) -> Motion:
    """The motion after one more position."""
    if position.speed_mm_s is None:
        return motion
    limit = STANDING_MM_S if motion.is_moving else MOVING_MM_S
    return Motion(position.speed_mm_s > limit, position.at_mono_s)


def is_moving_at(motion: Motion, mono_s: int) -> bool:
    """Is it known to move? Without a fresh position nobody knows, and the menu must not stay shut for that."""
    return motion.is_moving and motion.seen_at_s is not None and mono_s - motion.seen_at_s <= FIX_AGE_S
