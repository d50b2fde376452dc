"""From what a driver chose, or typed, to a run of a trip: by the route file where there is one. Pure. DESIGN §2."""

from bus_validator.trip import Departure, Run, trip_id, unscheduled_id
from offline_ledger.errors import RouteUnknown
from offline_ledger.protocol.route_file import Pattern, RouteFile


def run_of(routes: RouteFile, counter: int, pattern_at: int, departure: Departure | None, at_s: int, trips: int) -> Run:
    """A run of one pattern, from its first stop. `departure` None: now, outside the timetable. `counter`: of the route
    file's version; `trips`: as the state counts. Raises RouteUnknown."""
    if not 0 <= pattern_at < len(routes.patterns):
        raise RouteUnknown(f"pattern {pattern_at}")
    pattern = routes.patterns[pattern_at]
    direction = pattern.direction
    if departure is None:
        trip = unscheduled_id(direction, at_s, trips)
    elif departure.minute in pattern.starts:
        trip = trip_id(direction, departure.day, departure.minute)
    else:
        raise RouteUnknown(f"no departure at {departure.clock}")
    route = routes.routes[pattern.route].route_id
    return Run(route, direction, trip, pattern_at, 0, routes.stops[pattern.stops[0]].stop_id, 0, 0, 0, counter)


def pattern_of(routes: RouteFile, counter: int, run: Run) -> Pattern | None:
    """The pattern that a kept run drives. Under another route file than it began with, the usual one of its route and
    direction; None when that is gone too."""
    if run.pattern is None:
        return None
    if counter == run.routes_counter and run.pattern < len(routes.patterns):
        found = routes.patterns[run.pattern]
        if (routes.routes[found.route].route_id, found.direction) == (run.route, run.direction):
            return found
    return routes.pattern_for(run.route, run.direction)


def stop_again(routes: RouteFile, pattern: Pattern, run: Run) -> int:
    """The place of a run's stop in the pattern that it drives now: the one by its id that is nearest to the old place.
    A stop that is gone: the old place, or the last."""
    ids = [stop.stop_id for stop in routes.stops_of(pattern)]
    places = [at for at, stop_id in enumerate(ids) if stop_id == run.stop]
    return min(places or [min(run.stop_at, len(ids) - 1)], key=lambda at: abs(at - run.stop_at))


def pattern_named(routes: RouteFile, route: str, direction: int) -> int:
    """The usual pattern of a route and direction, by route id or short name. Raises RouteUnknown."""
    for at, one in enumerate(routes.patterns):
        found = routes.routes[one.route]
        if route in (found.route_id, found.short_name) and one.direction == direction:
            return at
    raise RouteUnknown(f"{route[:32]} direction {direction}")


def stop_named(routes: RouteFile, pattern: Pattern, stop: str) -> int:
    """The place of a stop in a pattern, by id. Raises RouteUnknown."""
    ids = [one.stop_id for one in routes.stops_of(pattern)]
    if stop not in ids:
        raise RouteUnknown(f"stop {stop[:32]}")
    return ids.index(stop)


def stop_near(pattern: Pattern, stop_at: int, step: int) -> int:
    """So many stops on or back; never beyond the ends."""
    return min(max(stop_at + step, 0), len(pattern.stops) - 1)
