"""The driver's menu: every screen × button, no trap, shut while moving; and the same by words. DESIGN §1, §5."""

import itertools
from functools import cache

import pytest

from bus_validator import driver_menu
from bus_validator.driver_actions import (
    WORDS,
    Action,
    Asked,
    GoToStop,
    Near,
    Plain,
    SignOn,
    StartTrip,
    StepStop,
    action_of,
)
from bus_validator.driver_faces import header, menu_face, status_lines
from bus_validator.driver_menu import (
    CLOSED,
    IDLE_MS,
    NO,
    REPORT_IDLE_MS,
    Button,
    Context,
    Entry,
    Menu,
    Pressed,
    Screen,
    count_of,
    entries,
    press,
    show_report,
    tick,
)
from bus_validator.face import FaceState, Theme
from bus_validator.screen.painter import Painter
from bus_validator.trip import Departure, ShiftState, TripPhase, trip_id
from bus_validator.trip_choice import run_of
from offline_ledger.city.routes import compile_feed
from offline_ledger.city.routes_crew import read_crew
from offline_ledger.errors import BusMoving, CommandIncomplete, CrewFileWrong, RouteUnknown
from offline_ledger.protocol.crew_file import Crew
from offline_ledger.protocol.route_file import RouteFile
from offline_ledger.rules.civil import day_of, day_start_s
from offline_ledger.texts import LANGUAGES, Texts
from simulators.sample_town import CREW_LIST, FEED
from tests.bus_validator.crewed import typed_run
from tests.protocol.test_crew_file import CREW
from tests.protocol.test_route_file import TOWN

DAY = day_of(20261121)
NOW_S = day_start_s(DAY) + 7 * 3600 + 25 * 60
NEXT, OK, BACK, CANCEL = Button.NEXT, Button.OK, Button.BACK, Button.CANCEL


@cache
def town() -> RouteFile:
    return compile_feed(FEED, Texts("en"))


@cache
def crew() -> Crew:
    return read_crew(CREW_LIST.read_bytes(), "kk-bus", "crew.csv", Texts("en"), lambda size: b"s" * size)


def state_of(phase: TripPhase, routes: RouteFile) -> ShiftState:
    run = run_of(routes, 7, 0, None, NOW_S, 0)
    is_running = phase in (TripPhase.RUNNING, TripPhase.LOCKED_RUNNING)
    driver = "" if phase is TripPhase.SIGNED_OFF else "D-01"
    return ShiftState(phase, driver, 1, 1, run if is_running else None, None if is_running else run)


def context_of(phase: TripPhase, *, is_moving: bool = False) -> Context:
    return Context(state_of(phase, town()), town(), 7, crew(), NOW_S, is_moving, None)


def small_context(phase: TripPhase, *, has_routes: bool = True, has_crew: bool = True) -> Context:
    """A town of four stops and a crew of two: all its menus can be walked in a moment."""
    return Context(state_of(phase, TOWN), TOWN if has_routes else None, 7, CREW if has_crew else None, NOW_S)


def pressed(context: Context, *buttons: Button, menu: Menu = CLOSED) -> Pressed:
    """The last of several presses."""
    found = Pressed(menu)
    for at, button in enumerate(buttons):
        found = press(found.menu, button, context, at)
    return found


def to(context: Context, entry: Entry) -> list[Button]:
    """The presses that choose an entry."""
    return [BACK, *[NEXT] * entries(context).index(entry), OK]


# --- what is shown is what is chosen


def reversed_town() -> RouteFile:
    """The same town in a newer file: everything stands at another place."""
    last = len(TOWN.routes) - 1
    turned = [one._replace(route=last - one.route) for one in reversed(TOWN.patterns)]
    return TOWN._replace(routes=TOWN.routes[::-1], patterns=tuple(turned))


NEWER_CREW = CREW._replace(drivers=CREW.drivers[::-1])
TO_START = [BACK, OK]  # the first entry of a driver who has signed on


@pytest.mark.parametrize(
    ("phase", "buttons", "screen"),
    [
        (TripPhase.SIGNED_ON, TO_START, Screen.ROUTE),
        (TripPhase.SIGNED_ON, [*TO_START, OK], Screen.DIRECTION),
        (TripPhase.SIGNED_ON, [*TO_START, OK, OK], Screen.DEPARTURE),
        (TripPhase.RUNNING, [BACK, NEXT, NEXT, NEXT, OK], Screen.STOP),
        (TripPhase.SIGNED_OFF, [BACK, OK], Screen.DRIVER),
        (TripPhase.SIGNED_OFF, [BACK, OK, OK, OK], Screen.PIN),
    ],
)
@pytest.mark.parametrize("button", [OK, NEXT, BACK])
def test_a_list_that_a_new_file_changed_chooses_nothing_and_begins_anew(
    phase: TripPhase, buttons: list[Button], screen: Screen, button: Button
) -> None:
    context = small_context(phase)
    menu = pressed(context, *buttons).menu
    assert menu.screen is screen
    newer = context._replace(routes=reversed_town(), counter=8, crew=NEWER_CREW)
    found = press(menu, button, newer, 1)
    assert found.action is None and (found.menu.screen, found.menu.selected) == (Screen.MAIN, 0)
    assert tick(menu, newer, 1).screen is Screen.MAIN, "and is drawn so without a press"
    same = context._replace(routes=TOWN._replace(), counter=8)
    assert tick(menu, same, 1) == menu, "the same in a newer file is the same"


def test_the_departure_that_is_marked_is_the_one_that_starts_though_time_goes_on() -> None:
    context = context_of(TripPhase.SIGNED_ON)
    menu = pressed(context, *TO_START, OK, OK).menu
    texts = Texts("en")
    first, second = (one for one in menu.departures[:2] if one is not None)
    later = context._replace(at_s=second.at_s)
    face = menu_face(tick(menu, later, 1), later, texts.get, "en")
    assert face is not None and face.lines[0] == first.clock
    assert press(menu, OK, later, 1).action == StartTrip(menu.pattern_at, first)
    assert pressed(later, *TO_START, OK, OK).menu.departures[0] != first


def test_who_is_surprised_by_another_main_menu_chooses_nothing_in_it() -> None:
    """A card that unlocked, a trip that ended: the second entry is another one now."""
    menu = pressed(context_of(TripPhase.LOCKED_RUNNING), BACK, NEXT).menu
    found = press(menu, OK, context_of(TripPhase.RUNNING), 1)
    assert found.action is None and (found.menu.screen, found.menu.selected) == (Screen.MAIN, 0)


# --- the way through


def test_sign_on_by_two_buttons() -> None:
    context = context_of(TripPhase.SIGNED_OFF)
    at_pin = pressed(context, *to(context, Entry.SIGN_ON), NEXT, OK).menu
    assert (at_pin.screen, at_pin.driver, at_pin.pin) == (Screen.PIN, "D-02", "")
    digits = [button for digit in "618340" for button in [*[NEXT] * int(digit), OK]]
    done = pressed(context, *digits, menu=at_pin)
    assert done.action == SignOn("D-02", "618340") and done.menu.screen is Screen.MAIN and done.menu.pin == ""


def test_a_digit_is_erased_and_then_the_screen_is_left() -> None:
    context = context_of(TripPhase.LOCKED)
    menu = pressed(context, *to(context, Entry.UNLOCK), NEXT, OK, OK).menu
    assert (menu.screen, menu.driver, menu.pin) == (Screen.PIN, "D-01", "10")
    menu = pressed(context, BACK, menu=menu).menu
    assert menu.pin == "1"
    assert pressed(context, BACK, BACK, menu=menu).menu.screen is Screen.MAIN


def test_route_direction_departure() -> None:
    context = context_of(TripPhase.SIGNED_ON)
    found = pressed(context, *to(context, Entry.START), OK, NEXT, NEXT, OK, OK)
    assert found.action == StartTrip(2, Departure(DAY, 7 * 60 + 10)) and found.menu == CLOSED
    assert isinstance(found.action, StartTrip) and found.action.departure is not None
    assert town().patterns[2].direction == 1
    run = run_of(town(), 7, found.action.pattern_at, found.action.departure, NOW_S, 0)
    assert run.trip == trip_id(1, DAY, 430) == "1.20261121.0710" and run.stop == "TER3"
    now = pressed(context, *to(context, Entry.START), OK, OK, *[NEXT] * 8, OK)
    assert now.action == StartTrip(0, None)


def test_on_the_way() -> None:
    context = context_of(TripPhase.RUNNING)
    for entry, action in (
        (Entry.COMPANION, Plain.COMPANION),
        (Entry.WAYBILL, Plain.WAYBILL),
        (Entry.LOCK, Plain.LOCK),
        (Entry.STATUS, Plain.STATUS),
    ):
        assert pressed(context, *to(context, entry)) == Pressed(CLOSED, action)
    step = pressed(context, *to(context, Entry.STOP_NEXT))
    assert step.action == StepStop(1) and pressed(context, OK, menu=step.menu).action == StepStop(1), "the menu stays"
    assert pressed(context, *to(context, Entry.STOP_BACK)).action == StepStop(-1)
    assert pressed(context, *to(context, Entry.STOP_CHOOSE), NEXT, NEXT, OK).action == GoToStop(2)
    near = context._replace(near=5)
    assert pressed(near, *to(near, Entry.STOP_CHOOSE), OK).action == GoToStop(5)


@pytest.mark.parametrize(
    ("phase", "entry", "action"),
    [
        (TripPhase.RUNNING, Entry.ANNUL, Plain.ANNUL),
        (TripPhase.RUNNING, Entry.END_TRIP, Plain.END_TRIP),
        (TripPhase.SIGNED_ON, Entry.SIGN_OFF, Plain.SIGN_OFF),
    ],
)
def test_what_cannot_be_taken_back_is_asked_twice(phase: TripPhase, entry: Entry, action: Plain) -> None:
    context = context_of(phase)
    asked = pressed(context, *to(context, entry))
    assert asked.action is None and (asked.menu.screen, asked.menu.selected) == (Screen.CONFIRM, NO)
    said_no = pressed(context, OK, menu=asked.menu)
    assert said_no.action is None and said_no.menu.screen is Screen.MAIN
    assert pressed(context, NEXT, OK, menu=asked.menu) == Pressed(CLOSED, action)


@pytest.mark.parametrize("phase", TripPhase)
def test_the_menu_offers_what_the_state_allows(phase: TripPhase) -> None:
    offered = set(entries(context_of(phase)))
    assert (Entry.COMPANION in offered) is (Entry.ANNUL in offered) is (phase is TripPhase.RUNNING)
    assert (Entry.START in offered) is (Entry.SIGN_OFF in offered) is (phase is TripPhase.SIGNED_ON)
    assert (Entry.UNLOCK in offered) is (phase in (TripPhase.LOCKED, TripPhase.LOCKED_RUNNING))
    assert Entry.STATUS in offered and len(offered & {Entry.SIGN_ON, Entry.CHANGE_DRIVER}) == 1
    typed = context_of(phase)._replace(state=ShiftState(TripPhase.RUNNING, "D-01", run=typed_run("8", "T", None)))
    assert not set(entries(typed)) & {Entry.STOP_NEXT, Entry.STOP_BACK, Entry.STOP_CHOOSE}
    assert Entry.WAYBILL not in entries(context_of(phase)._replace(state=ShiftState()))


@pytest.mark.parametrize("button", [NEXT, OK, CANCEL])
def test_a_shut_menu_is_one_value_whoever_pressed(button: Button) -> None:
    """The shell tells by it whether a button is the passengers'."""
    assert press(CLOSED, button, context_of(TripPhase.RUNNING), 4_711) == Pressed(CLOSED)
    assert tick(CLOSED, context_of(TripPhase.RUNNING), 1 << 40) == CLOSED


# --- no trap


@cache
def places(context: Context) -> tuple[Menu, ...]:
    """Every menu that presses can reach (of PINs those with one digit)."""
    seen: set[Menu] = set()
    waiting = [CLOSED, show_report("title", ("1", "2"), 0)]
    while waiting:
        menu = waiting.pop()
        key = menu._replace(pressed_ms=0)
        if key not in seen and len(menu.pin) <= 1:
            seen.add(key)
            waiting += [press(menu, button, context, 0).menu for button in Button]
    return tuple(seen)


ALL_CONTEXTS = [
    (phase, routes, known) for phase, routes, known in itertools.product(TripPhase, (True, False), (True, False))
]


@pytest.mark.parametrize(("phase", "has_routes", "has_crew"), ALL_CONTEXTS)
def test_no_screen_is_a_trap(phase: TripPhase, has_routes: bool, has_crew: bool) -> None:
    context = small_context(phase, has_routes=has_routes, has_crew=has_crew)
    texts, count = Texts("th"), 0
    for menu in places(context):
        count += 1
        assert press(menu, CANCEL, context, 0).menu == CLOSED, "one long press ends it"
        back, steps = menu, 0
        while back.screen is not Screen.CLOSED:
            back, steps = press(back, BACK, context, 0).menu, steps + 1
            assert steps <= 8, f"{menu} does not end"
        assert 0 <= menu.selected < count_of(menu, context)
        face = menu_face(menu, context, texts.get, "th")
        assert (face is None) is (menu.screen is Screen.CLOSED)
        if face is not None and face.state is FaceState.LIST:
            assert len(face.lines) == count_of(menu, context), "what is shown is what can be chosen"
        for button in Button:
            found = press(menu, button, context, 0)
            assert found.action is None or found.refusal is None
    assert count > 5


def test_every_action_can_be_reached() -> None:
    found: set[object] = set()
    for phase in TripPhase:
        context = small_context(phase)
        for menu in places(context):
            action = press(menu, OK, context, 0).action
            found.add(action if isinstance(action, Plain) else type(action))
    assert found >= {*Plain, StartTrip, StepStop, GoToStop}  # SignOn: its digits are cut short above


@pytest.mark.parametrize("phase", TripPhase)
def test_moving_shuts_every_screen_and_forgets_the_digits(phase: TripPhase) -> None:
    still = small_context(phase)
    moving = still._replace(is_moving=True)
    for menu in places(still):
        assert tick(menu, moving, 0) == CLOSED
        for button in Button:
            found = press(menu, button, moving, 0)
            assert found.menu == CLOSED and found.action is None and isinstance(found.refusal, BusMoving)


@pytest.mark.parametrize("phase", TripPhase)
def test_nobody_pressing_shuts_it(phase: TripPhase) -> None:
    context = small_context(phase)
    for menu in places(context):
        idle_ms = REPORT_IDLE_MS if menu.screen is Screen.REPORT else IDLE_MS
        pressed_menu = menu._replace(pressed_ms=100)
        assert tick(pressed_menu, context, 100 + idle_ms - 1).screen is menu.screen
        assert tick(pressed_menu, context, 100 + idle_ms).screen is Screen.CLOSED


def test_a_menu_survives_whatever_changes_under_it() -> None:
    """A trip ended by words, a file taken away: no press fails, nothing is chosen that is not there."""
    menus = {menu for phase in TripPhase for menu in places(small_context(phase)) if menu.pin in ("", "1")}
    say = Texts("en").get
    for phase, has_routes, has_crew in ALL_CONTEXTS:
        other = small_context(phase, has_routes=has_routes, has_crew=has_crew)
        for menu in menus:
            for button in Button:
                after = press(menu, button, other, 0).menu
                assert 0 <= after.selected < count_of(after, other)
                if button is OK:
                    menu_face(after, other, say, "en")


def test_what_the_device_lacks_is_said() -> None:
    lacking = small_context(TripPhase.SIGNED_ON, has_routes=False, has_crew=False)
    assert isinstance(pressed(lacking, *to(lacking, Entry.START)).refusal, RouteUnknown)
    assert isinstance(pressed(lacking, *to(lacking, Entry.CHANGE_DRIVER)).refusal, CrewFileWrong)


# --- as it looks


def test_the_pin_is_dots_and_the_marked_digit() -> None:
    context = context_of(TripPhase.LOCKED)
    menu = pressed(context, *to(context, Entry.UNLOCK), NEXT, OK, NEXT, NEXT).menu
    face = menu_face(menu, context, Texts("en").get, "en")
    assert face is not None and face.state is FaceState.PIN and face.title == "PIN of สมชาย ตัวอย่าง"
    assert len(face.line) == 6 and len(set(face.line)) == 2 and face.lines[0] == "digit 2" and "1" not in face.line


@pytest.mark.parametrize("size", [(320, 240), (800, 480)])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_can_be_drawn(size: tuple[int, int], language: str) -> None:
    painter = Painter(*size, Theme.DAY)
    running, on, texts = context_of(TripPhase.RUNNING), context_of(TripPhase.SIGNED_ON), Texts(language)
    presses = (
        *((on, Entry.START, more) for more in ((), (OK,), (OK, OK))),
        *((on, Entry.CHANGE_DRIVER, more) for more in ((), (OK,))),
        *((running, entry, ()) for entry in (Entry.STOP_CHOOSE, Entry.ANNUL)),
    )
    screens = [(where, pressed(where, *to(where, entry), *more).menu) for where, entry, more in presses]
    screens += [(running, pressed(running, BACK).menu), (on, pressed(on, BACK).menu)]
    screens.append((running, show_report("ใบสรุปเที่ยว", ("บรรทัดแรก", "บรรทัดที่สอง"), 0)))
    drawn: set[Screen] = set()
    for where, menu in screens:
        drawn.add(menu.screen)
        face = menu_face(menu, where, texts.get, language)
        assert face is not None
        painter.plan(face._replace(header=header(where, texts.get, language), clock="07:25"))
    assert drawn == set(Screen) - {Screen.CLOSED}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_header_and_the_status_say_where_the_bus_is(language: str) -> None:
    context, say = context_of(TripPhase.RUNNING), Texts(language).get
    assert "8" in header(context, say, language) and ("Airport" in header(context, say, language)) is (language == "en")
    assert header(context_of(TripPhase.SIGNED_ON), say, language) == ""
    typed = context._replace(state=ShiftState(TripPhase.RUNNING, "D-01", run=typed_run("8", "T", "S1")))
    assert header(typed, say, language) == "8 · S1"
    assert len(status_lines(context.state, say)) == 3
    assert len({status_lines(ShiftState(phase), say)[0] for phase in TripPhase}) == len(TripPhase)


# --- the same by words


def test_the_words_ask_for_the_same() -> None:
    near = Near(town(), town().patterns[0])
    known: dict[str, Action] = {
        "sign-on D-01 274905": SignOn("D-01", "274905"),
        "route 8 0": StartTrip(0, None),
        "route 8 1": StartTrip(2, None),
        "route มข. 0": StartTrip(6, None),
        "stop next": StepStop(1),
        "stop back": StepStop(-1),
        "stop KKU2": GoToStop(5),
        **{str(plain): plain for plain in Plain},
    }
    for line, action in known.items():
        assert action_of(line.split(), near) == Asked(action)
    assert action_of("route 8 0 21:30".split(), near) == Asked(StartTrip(1, None), 21 * 60 + 30), "the short run"
    assert action_of("route 8 0 05:30".split(), near) == Asked(StartTrip(0, None), 330)
    assert {line.split()[0] for line in known} == set(WORDS)


@pytest.mark.parametrize(
    ("line", "refusal", "sentence"),
    [
        ("sign-on", CommandIncomplete, "bus.command.sign_on"),
        ("sign-on D-01", CommandIncomplete, "bus.command.sign_on"),
        ("sign-on D-01 1 2", CommandIncomplete, "bus.command.sign_on"),
        (f"sign-on {'x' * 33} 1", CommandIncomplete, "bus.command.sign_on"),
        ("route", CommandIncomplete, "bus.command.route"),
        ("route 8", CommandIncomplete, "bus.command.route"),
        ("route 8 2", CommandIncomplete, "bus.command.route"),
        ("route 8 0 05:30 x", CommandIncomplete, "bus.command.route"),
        ("route 9 0", RouteUnknown, ""),
        ("route 13 1", RouteUnknown, ""),
        ("route 8 0 05:31", RouteUnknown, ""),
        ("route 8 0 noon", RouteUnknown, ""),
        ("stop", CommandIncomplete, "bus.command.stop"),
        ("stop TEM", RouteUnknown, ""),
        ("stop next stop", CommandIncomplete, "bus.command.stop"),
        ("annul 3", CommandIncomplete, "bus.command.plain"),
    ],
)
def test_wrong_words_are_told_what_to_write(line: str, refusal: type[Exception], sentence: str) -> None:
    found = action_of(line.split(), Near(town(), town().patterns[0]))
    assert found is not None and isinstance(found.refusal, refusal) and found.sentence == sentence
    assert found.action is None and (not sentence or Texts("th").get(sentence))


def test_other_words_are_not_ours_and_without_a_route_file_there_is_no_route() -> None:
    bare = Near(None, None)
    assert action_of([], bare) is None and action_of(["trip", "8", "morning"], bare) is None
    for line in ("route 8 0", "stop KKU2"):
        found = action_of(line.split(), bare)
        assert found is not None and isinstance(found.refusal, RouteUnknown)


def test_the_tables_know_every_screen_and_phase() -> None:
    assert set(driver_menu._PARENT) == set(Screen) - {Screen.CLOSED} and set(driver_menu._ENTRIES) == set(TripPhase)
    listed = {entry for found in driver_menu._ENTRIES.values() for entry in found}
    assert listed == set(Entry)
