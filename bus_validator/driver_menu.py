"""The driver's menu on two buttons: a table of screen × button. Pure. DESIGN §1 ("a menu while driving": never).

Short left: next. Short right: OK. Long right: opens the menu, goes one back. Long left: closes everything. It shuts by
itself while the bus moves and when nobody presses, so no screen is a trap and none is left open. It only says what the
driver wants (`driver_actions`); whether that may be is judged by `trip`, `crew` and `annul`, and shown by the shell.
"""

from enum import StrEnum
from typing import NamedTuple

from bus_validator.driver_actions import Action, GoToStop, Plain, SignOn, StartTrip, StepStop
from bus_validator.head_buttons import Button
from bus_validator.trip import Departure, ShiftState, TripPhase, departures_near
from bus_validator.trip_choice import pattern_of
from offline_ledger.errors import BusMoving, CrewFileWrong, Refusal, RouteUnknown
from offline_ledger.protocol.crew_file import Crew
from offline_ledger.protocol.route_file import Pattern, RouteFile

IDLE_MS = 30_000
"""A driver who is called away leaves no PIN half typed and no menu over the passengers' picture."""
REPORT_IDLE_MS = 180_000
"""A waybill is read, and copied by hand."""
DIGITS = 10


class Screen(StrEnum):
    """Where the menu is."""

    CLOSED = "closed"
    MAIN = "main"
    DRIVER = "driver"
    PIN = "pin"
    ROUTE = "route"
    DIRECTION = "direction"
    DEPARTURE = "departure"
    STOP = "stop"
    CONFIRM = "confirm"
    REPORT = "report"


class Entry(StrEnum):
    """Entries of the main screen; each is a text `bus.menu.ENTRY`."""

    SIGN_ON = "sign_on"
    UNLOCK = "unlock"
    START = "start"
    COMPANION = "companion"
    STOP_NEXT = "stop_next"
    STOP_BACK = "stop_back"
    STOP_CHOOSE = "stop_choose"
    ANNUL = "annul"
    END_TRIP = "end_trip"
    WAYBILL = "waybill"
    CHANGE_DRIVER = "change_driver"
    LOCK = "lock"
    STATUS = "status"
    SIGN_OFF = "sign_off"


class Menu(NamedTuple):
    """The menu at one moment. `selected`: the marked entry, or the digit in `PIN`, or the top line of a report.
    `basis`: what the list on the screen was made of; `departures`: those that it shows, for the nearest ones change by
    the minute."""

    screen: Screen = Screen.CLOSED
    selected: int = 0
    driver: str = ""
    pin: str = ""
    route: str = ""
    pattern_at: int = 0
    departures: tuple[Departure | None, ...] = ()
    basis: object = None
    confirming: Entry | None = None
    title: str = ""
    report: tuple[str, ...] = ()
    pressed_ms: int = 0


class Context(NamedTuple):
    """What the menu offers depends on. `at_s`: for departures; `counter`: of the route file's version; `near`: the stop
    that satellites say is nearest, as a place in the pattern."""

    state: ShiftState
    routes: RouteFile | None
    counter: int
    crew: Crew | None
    at_s: int
    is_moving: bool = False
    near: int | None = None

    @property
    def pattern(self) -> Pattern | None:
        """Of the running trip."""
        run = self.state.run
        return None if self.routes is None or run is None else pattern_of(self.routes, self.counter, run)


class Pressed(NamedTuple):
    """What a button came to."""

    menu: Menu
    action: Action | None = None
    refusal: Refusal | None = None


CLOSED = Menu()
_ENTRIES: dict[TripPhase, tuple[Entry, ...]] = {
    TripPhase.SIGNED_OFF: (Entry.SIGN_ON, Entry.WAYBILL, Entry.STATUS),
    TripPhase.SIGNED_ON: (
        *(Entry.START, Entry.WAYBILL, Entry.CHANGE_DRIVER, Entry.LOCK, Entry.STATUS, Entry.SIGN_OFF),
    ),
    TripPhase.RUNNING: (
        *(Entry.COMPANION, Entry.STOP_NEXT, Entry.STOP_BACK, Entry.STOP_CHOOSE, Entry.ANNUL, Entry.END_TRIP),
        *(Entry.WAYBILL, Entry.CHANGE_DRIVER, Entry.LOCK, Entry.STATUS),
    ),
    TripPhase.LOCKED: (Entry.UNLOCK, Entry.CHANGE_DRIVER, Entry.STATUS),
    TripPhase.LOCKED_RUNNING: (Entry.UNLOCK, Entry.CHANGE_DRIVER, Entry.STATUS),
}
_NEED_PATTERN = (Entry.STOP_NEXT, Entry.STOP_BACK, Entry.STOP_CHOOSE)
_AT_ONCE: dict[Entry, Action] = {
    Entry.COMPANION: Plain.COMPANION,
    Entry.LOCK: Plain.LOCK,
    Entry.STATUS: Plain.STATUS,
    Entry.WAYBILL: Plain.WAYBILL,
}
"""Then the menu is shut; the shell may open a report."""
_STEPS = {Entry.STOP_NEXT: StepStop(1), Entry.STOP_BACK: StepStop(-1)}
"""The menu stays: the bus may be two stops on."""
_CONFIRMED: dict[Entry, Action] = {
    Entry.ANNUL: Plain.ANNUL,
    Entry.END_TRIP: Plain.END_TRIP,
    Entry.SIGN_OFF: Plain.SIGN_OFF,
}
"""Asked once more; the marked answer is no."""
_PARENT: dict[Screen, Screen] = {
    Screen.MAIN: Screen.CLOSED,
    Screen.DRIVER: Screen.MAIN,
    Screen.PIN: Screen.MAIN,
    Screen.ROUTE: Screen.MAIN,
    Screen.DIRECTION: Screen.ROUTE,
    Screen.DEPARTURE: Screen.DIRECTION,
    Screen.STOP: Screen.MAIN,
    Screen.CONFIRM: Screen.MAIN,
    Screen.REPORT: Screen.CLOSED,
}
NO, YES = 0, 1


# --- what is on a screen


def entries(context: Context) -> tuple[Entry, ...]:
    """The main screen's entries now."""
    found = _ENTRIES[context.state.phase]
    if context.pattern is None:
        found = tuple(one for one in found if one not in _NEED_PATTERN)
    if context.state.run is None and context.state.last_run is None:
        found = tuple(one for one in found if one is not Entry.WAYBILL)
    return found


def directions(routes: RouteFile, route: str) -> tuple[int, ...]:
    """Places of a route's patterns, as the menu lists them."""
    return tuple(at for at, one in enumerate(routes.patterns) if routes.routes[one.route].route_id == route)


def departures(context: Context, pattern_at: int) -> tuple[Departure | None, ...]:
    """The nearest departures of a pattern, and none of them: now."""
    assert context.routes is not None
    return (*departures_near(context.routes.patterns[pattern_at].starts, context.at_s), None)


def count_of(menu: Menu, context: Context) -> int:
    """How many choices the screen has; at least one."""
    match menu.screen:
        case Screen.MAIN:
            return len(entries(context))
        case Screen.DRIVER if context.crew is not None:
            return len(context.crew.drivers)
        case Screen.PIN:
            return DIGITS
        case Screen.ROUTE if context.routes is not None:
            return len(context.routes.routes)
        case Screen.DIRECTION if context.routes is not None:
            return max(1, len(directions(context.routes, menu.route)))
        case Screen.DEPARTURE:
            return max(1, len(menu.departures))
        case Screen.STOP if context.pattern is not None:
            return len(context.pattern.stops)
        case Screen.CONFIRM:
            return 2
        case Screen.REPORT:
            return max(1, len(menu.report))
        case _:
            return 1


# --- what changes it


def press(menu: Menu, button: Button, context: Context, mono_ms: int) -> Pressed:
    """One button. The refusal: BusMoving while the bus moves, or what this device lacks (route file, crew). On a list
    that is another one by now it chooses nothing: who pressed has not seen that one yet."""
    if context.is_moving:
        return Pressed(CLOSED, refusal=BusMoving())
    shown, menu = menu, _sound(menu, context)._replace(pressed_ms=mono_ms)
    if button is Button.CANCEL:
        return Pressed(CLOSED)
    if menu.screen is Screen.CLOSED:
        return Pressed(_main(menu, context) if button is Button.BACK else CLOSED)
    if menu.basis != shown.basis:
        return Pressed(menu)
    if button is Button.BACK:
        return Pressed(_back(menu, context))
    if button is Button.NEXT:
        return Pressed(menu._replace(selected=(menu.selected + 1) % count_of(menu, context)))
    return _ok(menu, context)


def tick(menu: Menu, context: Context, mono_ms: int) -> Menu:
    """What the passing of time does: the menu shuts while the bus moves, and when nobody presses."""
    idle_ms = REPORT_IDLE_MS if menu.screen is Screen.REPORT else IDLE_MS
    if context.is_moving or (menu.screen is not Screen.CLOSED and mono_ms - menu.pressed_ms >= idle_ms):
        return CLOSED
    return _sound(menu, context)


def show_report(title: str, lines: tuple[str, ...], mono_ms: int) -> Menu:
    """A report, for the waybill and the status: `title` as it is shown."""
    return Menu(Screen.REPORT, title=title, report=lines, pressed_ms=mono_ms)


def _main(menu: Menu, context: Context) -> Menu:
    return _opened(Menu(pressed_ms=menu.pressed_ms), Screen.MAIN, context)


def _opened(menu: Menu, screen: Screen, context: Context) -> Menu:
    """The next screen, at its first entry."""
    return menu._replace(screen=screen, selected=0, basis=_basis(screen, context))


def _basis(screen: Screen, context: Context) -> object:
    """What a list is made of: by a place in another one, something else would be chosen than was shown."""
    match screen:
        case Screen.MAIN:
            return entries(context)
        case Screen.ROUTE | Screen.DIRECTION | Screen.DEPARTURE:
            return context.routes
        case Screen.STOP:
            return None if context.pattern is None else (context.routes, context.pattern)
        case Screen.DRIVER | Screen.PIN:
            return context.crew
        case _:
            return None


def _sound(menu: Menu, context: Context) -> Menu:
    """The menu under what is true now: another file, another driver or the end of a trip takes its list away."""
    return menu if menu.basis == _basis(menu.screen, context) else _main(menu, context)


def _back(menu: Menu, context: Context) -> Menu:
    if menu.screen is Screen.PIN and menu.pin:
        return menu._replace(pin=menu.pin[:-1], selected=0)
    parent = _PARENT[menu.screen]
    if parent is Screen.CLOSED:
        return CLOSED
    kept_route = menu.route if parent is Screen.DIRECTION else ""
    return _opened(Menu(route=kept_route, pressed_ms=menu.pressed_ms), parent, context)


def _ok(menu: Menu, context: Context) -> Pressed:
    match menu.screen:
        case Screen.MAIN:
            return _chosen(entries(context)[menu.selected], menu, context)
        case Screen.DRIVER if context.crew is not None:
            driver = context.crew.drivers[menu.selected].driver_id
            return Pressed(_opened(menu._replace(driver=driver, pin=""), Screen.PIN, context))
        case Screen.PIN if context.crew is not None:
            pin = menu.pin + str(menu.selected)
            if len(pin) < context.crew.pin_digits:
                return Pressed(menu._replace(pin=pin, selected=0))
            return Pressed(_main(menu, context), SignOn(menu.driver, pin))
        case Screen.ROUTE if context.routes is not None:
            route = context.routes.routes[menu.selected].route_id
            return Pressed(_opened(menu._replace(route=route), Screen.DIRECTION, context))
        case Screen.DIRECTION if context.routes is not None:
            found = directions(context.routes, menu.route)
            if not found:
                return Pressed(_back(menu, context))  # a route that nobody drives
            pattern_at = found[menu.selected]
            chosen = menu._replace(pattern_at=pattern_at, departures=departures(context, pattern_at))
            return Pressed(_opened(chosen, Screen.DEPARTURE, context))
        case Screen.DEPARTURE:
            return Pressed(CLOSED, StartTrip(menu.pattern_at, menu.departures[menu.selected]))
        case Screen.STOP:
            return Pressed(CLOSED, GoToStop(menu.selected))
        case Screen.CONFIRM if menu.confirming is not None and menu.selected == YES:
            return Pressed(CLOSED, _CONFIRMED[menu.confirming])
        case _:
            return Pressed(_back(menu, context))


def _chosen(entry: Entry, menu: Menu, context: Context) -> Pressed:
    if entry in _AT_ONCE:
        return Pressed(CLOSED, _AT_ONCE[entry])
    if entry in _STEPS:
        return Pressed(menu, _STEPS[entry])
    if entry in _CONFIRMED:
        return Pressed(_opened(menu._replace(confirming=entry), Screen.CONFIRM, context))
    if entry is Entry.START:
        if context.routes is None:
            return Pressed(menu, refusal=RouteUnknown("no route file"))
        return Pressed(_opened(menu, Screen.ROUTE, context))
    if entry is Entry.STOP_CHOOSE:
        run = context.state.run
        here = run.stop_at if context.near is None and run is not None else context.near or 0
        opened = _opened(menu, Screen.STOP, context)
        return Pressed(opened._replace(selected=min(here, count_of(opened, context) - 1)))
    if context.crew is None:
        return Pressed(menu, refusal=CrewFileWrong("no crew file"))
    if entry is Entry.UNLOCK:
        return Pressed(_opened(menu._replace(driver=context.state.driver, pin=""), Screen.PIN, context))
    return Pressed(_opened(menu, Screen.DRIVER, context))
