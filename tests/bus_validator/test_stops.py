"""Which stop, and does it move: the sample town, loops, gaps, noise, by hand; both sides of each edge. DESIGN §2."""

import random
from itertools import pairwise

import pytest

from bus_validator.stops import (
    AHEAD_MAX,
    FIX_AGE_S,
    GAP_S,
    MOVING_MM_S,
    REACH_M,
    STANDING_MM_S,
    Motion,
    Position,
    Progress,
    feel,
    follow,
    is_moving_at,
    metres_between,
    nearest_stop,
    set_by_hand,
)
from offline_ledger.city.routes import compile_feed
from offline_ledger.protocol.route_file import Stop
from offline_ledger.texts import Texts
from simulators.sample_town import FEED

TOWN = compile_feed(FEED, Texts("en"))
LINE = tuple(Stop(str(at), "ป", "s", 16_430_000 + at * 4_000, 102_830_000) for at in range(8))  # 445 m apart
E6_PER_M = 1_000_000 / 111_320


def at_stop(stop: Stop, mono_s: int, north_m: int = 0) -> Position:
    return Position(stop.latitude_e6 + round(north_m * E6_PER_M), stop.longitude_e6, mono_s)


def test_distances_are_good_to_a_percent() -> None:
    airport, terminal = Stop("a", "a", "a", 16_465_800, 102_787_300), Stop("b", "b", "b", 16_399_700, 102_811_900)
    found = metres_between(airport.latitude_e6, airport.longitude_e6, terminal)
    assert 7_690 < found < 7_920  # 7.81 km by the haversine of another tool
    assert metres_between(0, 179_999_500, Stop("x", "x", "x", 0, -179_999_500)) < 120, "across the date line"


@pytest.mark.parametrize("pattern", range(len(TOWN.patterns)))
def test_a_drive_along_every_sample_pattern_sees_each_stop_once_in_order(pattern: int, rng: random.Random) -> None:
    stops = TOWN.stops_of(TOWN.patterns[pattern])
    progress, seen, mono_s = Progress(0), [0], 0
    for before, after in pairwise(stops):
        steps = max(1, metres_between(before.latitude_e6, before.longitude_e6, after) // 12)
        for step in range(1, steps + 1):
            mono_s += 1
            north = before.latitude_e6 + (after.latitude_e6 - before.latitude_e6) * step // steps
            east = before.longitude_e6 + (after.longitude_e6 - before.longitude_e6) * step // steps
            noisy = Position(north + rng.randint(-90, 90), east + rng.randint(-90, 90), mono_s)
            progress = follow(stops, progress, noisy)
            if progress.stop_at != seen[-1]:
                seen.append(progress.stop_at)
    assert seen == sorted(seen) and seen[-1] == len(stops) - 1
    assert len(seen) >= len(stops) - 2, "a stop beside the way of two others may be taken with them"


@pytest.mark.parametrize(("north_m", "near"), [(0, True), (REACH_M - 1, True), (REACH_M + 2, False)])
def test_reach(north_m: int, near: bool) -> None:
    found = follow(LINE, Progress(2, seen_at_s=0), at_stop(LINE[3], 1, north_m))
    assert (found.stop_at == 3) is near and found.is_near is near


def test_it_never_jumps_back_but_by_hand() -> None:
    progress = Progress(5, seen_at_s=0)
    for at in (4, 3, 0, 5, 2):
        progress = follow(LINE, progress, at_stop(LINE[at], 1))
        assert progress.stop_at == 5
    back = set_by_hand(progress, 2)
    assert back.stop_at == 2 and follow(LINE, back, at_stop(LINE[2], 2)).is_near
    assert follow(LINE, back, at_stop(LINE[3], 2)).stop_at == 3, "satellites take over from there"
    assert follow(LINE, set_by_hand(progress, 7), at_stop(LINE[6], 3)).stop_at == 7, "and not against the driver"


@pytest.mark.parametrize(("gap_s", "skipped"), [(GAP_S, False), (GAP_S + 1, True)])
def test_far_ahead_counts_only_after_a_gap(gap_s: int, skipped: bool) -> None:
    far = AHEAD_MAX + 1
    assert follow(LINE, Progress(0, seen_at_s=0), at_stop(LINE[AHEAD_MAX], gap_s)).stop_at == AHEAD_MAX
    assert (follow(LINE, Progress(0, seen_at_s=0), at_stop(LINE[far], gap_s)).stop_at == far) is skipped


def drive(progress: Progress, *places: int) -> list[int]:
    """The stop after each of these stops of the line, a second apart."""
    seen: list[int] = []
    for mono_s, at in enumerate(places):
        progress = follow(LINE, progress, at_stop(LINE[at], mono_s))
        seen.append(progress.stop_at)
    return seen


def test_a_trip_begun_on_the_way_is_found_at_the_second_stop() -> None:
    assert drive(Progress(0), 5, 6, 7) == [0, 6, 7]
    assert drive(Progress(0), 5, 5, 5) == [0, 0, 0], "standing there proves nothing"
    assert drive(Progress(0), 4, 5) == [4, 5]


def test_the_way_from_the_depot_to_the_first_stop_is_no_trip() -> None:
    assert drive(Progress(0), 7, 6, 5)[-1] == 0
    assert drive(Progress(0)._replace(passed=5), 6)[-1] == 6
    assert drive(set_by_hand(Progress(0, passed=5), 1), 6)[-1] == 1, "the driver's word forgets what was passed"


def test_a_loop_begins_at_its_first_stop() -> None:
    loop = TOWN.stops_of(TOWN.patterns[5])
    assert loop[0] == loop[-1]
    assert follow(loop, Progress(0), at_stop(loop[0], 1)).stop_at == 0


def test_the_nearest_stop_to_mark() -> None:
    assert nearest_stop(LINE, at_stop(LINE[4], 0, 60)) == 4 and nearest_stop(LINE, at_stop(LINE[0], 0, -9_000)) == 0


# --- motion


@pytest.mark.parametrize(
    ("was", "speed", "moving"),
    [
        (False, 0, False),
        (False, MOVING_MM_S, False),
        (False, MOVING_MM_S + 1, True),
        (True, STANDING_MM_S + 1, True),
        (True, STANDING_MM_S, False),
        (True, None, True),
        (False, None, False),
    ],
)
def test_hysteresis(was: bool, speed: int | None, moving: bool) -> None:
    assert feel(Motion(was, 5), Position(0, 0, 6, speed)).is_moving is moving


@pytest.mark.parametrize(("age_s", "moving"), [(0, True), (FIX_AGE_S, True), (FIX_AGE_S + 1, False)])
def test_without_fresh_positions_the_menu_does_not_stay_shut(age_s: int, moving: bool) -> None:
    assert is_moving_at(Motion(True, 100), 100 + age_s) is moving
    assert not is_moving_at(Motion(), 0)
