"""The driver's menu as faces: lists, PIN dots, reports, in the device's language. Pure. DESIGN §1, §3."""

from collections.abc import Callable

from bus_validator.driver_menu import Context, Menu, Screen, directions, entries
from bus_validator.face import Face, FaceState
from bus_validator.trip import ShiftState, TripPhase
from offline_ledger.protocol.route_file import Route, RouteFile, Stop

Say = Callable[..., str]
"""`Texts.get`: a key and the values of its places."""
DOT, HOLE = "●", "○"


def menu_face(menu: Menu, context: Context, say: Say, language: str) -> Face | None:
    """The face of an open menu; None: it is shut, the door shows its own."""
    is_thai = language == "th"
    match menu.screen:
        case Screen.CLOSED:
            return None
        case Screen.PIN:
            return _pin(menu, context, say)
        case Screen.REPORT:
            return Face(FaceState.REPORT, menu.title, say("bus.menu.keys_report"), menu.report, menu.selected)
        case Screen.CONFIRM:
            title = say(f"bus.menu.ask.{menu.confirming}")
            lines = (say("bus.menu.no"), say("bus.menu.yes"))
        case _:
            title, lines = say(f"bus.menu.title.{menu.screen}"), _choices(menu, context, say, is_thai)
    return Face(FaceState.LIST, title, say("bus.menu.keys"), lines, menu.selected)


def _pin(menu: Menu, context: Context, say: Say) -> Face:
    digits = context.crew.pin_digits if context.crew is not None else len(menu.pin)
    dots = DOT * len(menu.pin) + HOLE * (digits - len(menu.pin))
    name = menu.driver
    if context.crew is not None and (driver := context.crew.driver(menu.driver)) is not None:
        name = driver.name
    told = say("bus.menu.pin_digit", digit=menu.selected)
    return Face(FaceState.PIN, say("bus.menu.title.pin", name=name), dots, (told, say("bus.menu.keys_pin")))


def _choices(menu: Menu, context: Context, say: Say, is_thai: bool) -> tuple[str, ...]:
    routes = context.routes
    match menu.screen:
        case Screen.MAIN:
            return tuple(say(f"bus.menu.{entry}") for entry in entries(context))
        case Screen.DRIVER if context.crew is not None:
            return tuple(f"{one.driver_id} {one.name}" for one in context.crew.drivers)
        case Screen.ROUTE if routes is not None:
            return tuple(f"{one.short_name} {_route_name(one, is_thai)}" for one in routes.routes)
        case Screen.DIRECTION if routes is not None:
            return tuple(
                say("bus.menu.towards", name=_headsign(routes, at, is_thai)) for at in directions(routes, menu.route)
            )
        case Screen.DEPARTURE:
            return tuple(say("bus.menu.now") if one is None else one.clock for one in menu.departures)
        case Screen.STOP if routes is not None and context.pattern is not None:
            return tuple(stop_name(one, is_thai) for one in routes.stops_of(context.pattern))
        case _:
            return ()


def stop_name(stop: Stop, is_thai: bool) -> str:
    """Its name in one language."""
    return stop.name_th if is_thai else stop.name_en


def _route_name(route: Route, is_thai: bool) -> str:
    return route.name_th if is_thai else route.name_en


def _headsign(routes: RouteFile, at: int, is_thai: bool) -> str:
    pattern = routes.patterns[at]
    return pattern.headsign_th if is_thai else pattern.headsign_en


def header(context: Context, say: Say, language: str) -> str:
    """What stands above the door's picture: route, direction and stop; or nothing."""
    run, is_thai = context.state.run, language == "th"
    if run is None:
        return ""
    pattern, routes = context.pattern, context.routes
    if pattern is None or routes is None:
        return " · ".join(part for part in (run.route, run.stop) if part)
    route = routes.routes[pattern.route].short_name
    towards = pattern.headsign_th if is_thai else pattern.headsign_en
    at = min(run.stop_at, len(pattern.stops) - 1)
    stop = stop_name(routes.stops[pattern.stops[at]], is_thai)
    return say("bus.menu.header", route=route, name=towards, stop=stop)


def status_lines(state: ShiftState, say: Say) -> tuple[str, ...]:
    """Who drives and what runs."""
    lines = [say(f"bus.menu.phase.{TripPhase(state.phase).name.lower()}")]
    if state.driver:
        lines.append(say("bus.menu.driver", driver=state.driver))
    if state.run is not None:
        lines.append(say("bus.waybill.trip", route=state.run.route, trip=state.run.trip))
    return tuple(lines)
