"""The driver's desk: durable before it is said, true after any disk error, and no answer that comes too late counts."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bus_validator import driver_desk
from bus_validator.crew import PIN_META
from bus_validator.head_buttons import Button
from bus_validator.route_files import LOOK_MS
from offline_ledger.errors import CommandUnsettled
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.protocol.shift_event import ShiftEventKind
from offline_ledger.rules.limits import Limits
from offline_ledger.texts import LANGUAGES, Texts
from simulators.demo.processes import wait_until
from tests.bus_validator.crewed import fill, sign_file
from tests.bus_validator.driven_desk import CARD, PIN_LINE, Bus, crewed_bus
from tests.protocol.test_crew_file import CREW
from tests.protocol.test_route_file import TOWN

ANNUL_S = Limits().annul_s


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with crewed_bus(tmp_path) as made:
        yield made


def running(bus: Bus) -> None:
    bus.sign_on()
    bus.do("route 8 0")
    assert bus.facts()["phase"] == "running"


def locked(bus: Bus) -> None:
    running(bus)
    bus.do("lock")


def taking_over(bus: Bus) -> None:
    """By PIN, for the one who drives has the card."""
    bus.pin()
    bus.pin_is_checked()


def nothing(_bus: Bus) -> None:
    pass


CHANGES: list[tuple[Callable[[Bus], None], Callable[[Bus], object], ShiftEventKind | None, str]] = [
    (nothing, Bus.sign_on, ShiftEventKind.SIGNED_ON, "signed_on"),
    (nothing, taking_over, ShiftEventKind.SIGNED_ON, "signed_on"),
    (Bus.sign_on, lambda bus: bus.do("route 8 0"), ShiftEventKind.TRIP_STARTED, "running"),
    (Bus.sign_on, lambda bus: bus.do("lock"), ShiftEventKind.LOCKED, "locked"),
    (Bus.sign_on, lambda bus: bus.do("sign-off"), ShiftEventKind.SIGNED_OFF, "signed_off"),
    (running, lambda bus: bus.do("stop next"), None, "running"),
    (running, lambda bus: bus.do("stop S2"), None, "running"),
    (running, lambda bus: bus.desk.hear(bus.at_stop(1)), None, "running"),
    (running, taking_over, ShiftEventKind.DRIVER_CHANGED, "running"),
    (running, lambda bus: bus.do("lock"), ShiftEventKind.LOCKED, "locked_running"),
    (locked, Bus.sign_on, ShiftEventKind.UNLOCKED, "running"),
    (running, lambda bus: bus.do("end-trip"), ShiftEventKind.TRIP_ENDED, "signed_on"),
]
NAMES = [
    *("sign on", "sign on by PIN", "start", "lock", "sign off", "next stop", "choose stop", "satellites", "take over"),
    *("lock on the way", "unlock", "end"),
]


@pytest.mark.parametrize(("before", "change", "event", "phase"), CHANGES, ids=NAMES)
def test_a_change_is_durable_when_it_is_said(
    bus: Bus, before: Callable[[Bus], None], change: Callable[[Bus], object], event: ShiftEventKind | None, phase: str
) -> None:
    before(bus)
    events, facts = bus.events(), bus.facts()
    bus.said.lines.clear()
    change(bus)
    assert bus.facts()["phase"] == phase and bus.facts() != facts
    assert bus.facts() == bus.kept() and any(line.get("phase") == phase for line in bus.said.lines)
    assert bus.events() == [*events, *([] if event is None else [event])]
    after = bus.facts()
    bus.restart()
    assert bus.facts() == after


@pytest.mark.parametrize("fault", ["full", "a write fails"])
@pytest.mark.parametrize(("before", "change", "event", "phase"), CHANGES, ids=NAMES)
def test_what_the_disk_does_not_take_has_not_happened_and_is_not_said(
    bus: Bus,
    before: Callable[[Bus], None],
    change: Callable[[Bus], object],
    event: ShiftEventKind | None,
    phase: str,
    fault: str,
) -> None:
    before(bus)
    events, facts = bus.events(), bus.facts()
    if fault == "full":
        fill(bus.station.journal, bus.faults)
    else:
        bus.faults.writes_fail = True
    bus.said.lines.clear()
    for _ in range(2):
        change(bus)
        assert bus.facts() == facts and not any("phase" in line or "trip" in line for line in bus.said.lines)
    is_asked = change is not CHANGES[7][1]  # nobody asked the satellites
    assert set(bus.refused()) == ({"storage_full" if fault == "full" else "storage_failed"} if is_asked else set())
    bus.look_again()
    assert bus.facts() == facts == bus.kept()
    change(bus)
    assert bus.facts()["phase"] == phase and bus.facts() != facts
    assert bus.facts() == bus.kept()
    assert bus.events() == [*events, *([] if event is None else [event])], "once, and only what happened"


@pytest.mark.parametrize(("before", "change", "event", "phase"), CHANGES, ids=NAMES)
def test_what_a_failed_sync_had_kept_has_happened(
    bus: Bus, before: Callable[[Bus], None], change: Callable[[Bus], object], event: ShiftEventKind | None, phase: str
) -> None:
    """Told as failed, for nobody knew; when the disk is looked at, the desk is where a restart would find it."""
    before(bus)
    events, facts = bus.events(), bus.facts()
    bus.said.lines.clear()
    bus.faults.sync_fails_at = 1
    change(bus)
    assert bus.facts() == facts and not any("phase" in line for line in bus.said.lines)
    bus.look_again()
    assert bus.facts() == bus.kept() != facts and bus.facts()["phase"] == phase
    assert any(line.get("phase") == phase for line in bus.said.lines), "now it is said"
    assert bus.events() == [*events, *([] if event is None else [event])]
    after = bus.facts()
    bus.restart()
    assert bus.facts() == after


def test_signing_off_on_the_way_ends_the_trip_first_and_a_full_disk_keeps_both(bus: Bus) -> None:
    running(bus)
    facts = bus.facts()
    fill(bus.station.journal, bus.faults)
    assert bus.do("sign-off") == {"refused": "storage_full"}
    assert bus.facts() == facts
    bus.faults.is_full = False
    bus.do("sign-off")
    assert bus.facts()["phase"] == "signed_off"
    assert bus.events()[-2:] == [ShiftEventKind.TRIP_ENDED, ShiftEventKind.SIGNED_OFF]


def test_signing_off_that_fails_half_way_leaves_the_trip_ended_and_the_driver_there(bus: Bus) -> None:
    running(bus)
    bus.said.lines.clear()
    bus.faults.sync_fails_at = 2
    bus.do("sign-off")
    assert bus.facts()["phase"] == "signed_on" and bus.refused() == ["storage_failed"]
    assert [line["phase"] for line in bus.said.lines if "phase" in line] == ["signed_on"]
    bus.look_again()
    assert bus.facts() == bus.kept() and bus.facts()["phase"] == "signed_off"


def test_another_driver_takes_over_and_the_trip_goes_on(bus: Bus) -> None:
    running(bus)
    trip, held = bus.facts()["trip"], bus.board()
    taking_over(bus)
    assert (bus.facts()["driver"], bus.facts()["trip"], bus.facts()["phase"]) == ("D-01", trip, "running")
    assert bus.do("annul")["annulled"] == 1, "the new driver may take back the old one's last"
    assert held.n == 1


# --- PINs


def test_a_wrong_pin_is_counted_before_it_is_told(bus: Bus) -> None:
    for number in range(1, 4):
        bus.pin("sign-on D-01 000000")
        bus.pin_is_checked()
        assert bus.said.lines[-1] == {"refused": "driver_pin_wrong"}
        assert bus.station.journal.meta_get(PIN_META) == cbor.encode(number)
    bus.pin()
    bus.pin_is_checked()
    assert bus.said.lines[-1] == {"refused": "driver_pin_wait"}
    bus.restart()
    bus.pin()
    bus.pin_is_checked()
    assert bus.said.lines[-1] == {"refused": "driver_pin_wait"}, "a pulled plug gives no try"
    bus.clock.advance(s=5)
    bus.pin()
    bus.pin_is_checked()
    assert bus.facts()["driver"] == "D-01" and bus.station.journal.meta_get(PIN_META) == cbor.encode(0)


@pytest.mark.parametrize("line", [PIN_LINE, "sign-on D-01 000000"], ids=["right", "wrong"])
def test_on_a_full_disk_no_pin_is_told_right_or_wrong(bus: Bus, line: str) -> None:
    bus.pin("sign-on D-01 000000")
    bus.pin_is_checked()
    fill(bus.station.journal, bus.faults)
    bus.pin(line)
    bus.pin_is_checked()
    assert bus.said.lines[-1] == {"refused": "storage_full"} and bus.facts()["phase"] == "signed_off"


def test_a_wrong_pin_that_a_failed_sync_had_kept_counts(bus: Bus) -> None:
    for _ in range(3):
        bus.faults.sync_fails_at = 1
        bus.pin("sign-on D-01 000000")
        bus.pin_is_checked()
        bus.look_again()
    assert bus.station.journal.meta_get(PIN_META) == cbor.encode(3)
    bus.pin()
    bus.pin_is_checked()
    assert bus.said.lines[-1] == {"refused": "driver_pin_wait"}


def test_a_pin_that_was_typed_before_a_card_signed_on_takes_nothing_over(bus: Bus) -> None:
    bus.pin()
    wait_until(lambda: bool(bus.said.jobs), "the PIN's thread", step_s=0.001)
    bus.sign_on()  # its turn comes first
    bus.pin_is_checked()
    assert bus.facts()["driver"] == "D-02" and bus.events() == [ShiftEventKind.SIGNED_ON]
    assert bus.said.lines[-1] == {"refused": "not_at_this_moment"}
    taking_over(bus)
    assert bus.facts()["driver"] == "D-01", "the next one counts"


def test_of_two_pins_at_once_one_is_checked(bus: Bus) -> None:
    bus.pin()
    bus.pin("sign-on D-01 000000")
    bus.pin_is_checked()
    assert bus.facts()["driver"] == "D-01" and bus.refused() == ["not_at_this_moment"] and not bus.said.jobs


def test_a_pin_that_comes_back_after_the_end_harms_nothing(bus: Bus) -> None:
    bus.said.is_stopped = True
    bus.pin()
    bus.restart()
    assert bus.facts()["phase"] == "signed_off"
    taking_over(bus)
    assert bus.facts()["driver"] == "D-01"


def test_pins_that_cannot_be_checked_are_told_and_cards_and_later_files_still_count(bus: Bus) -> None:
    good = bus.files.crew
    assert good is not None
    bus.files.crew = good._replace(crew=CREW._replace(scrypt=(40, 8, 1)))  # more memory than there is
    bus.pin()
    bus.pin_is_checked()
    assert bus.said.lines[-1] == {"refused": "crew_file_wrong"}
    bus.files.crew = good
    taking_over(bus)
    assert bus.facts()["driver"] == "D-01", "the next one is checked again"


# --- what was asked is what is done


def test_who_signs_on_by_words_hears_that_it_is_not_done_yet(bus: Bus) -> None:
    bus.pin()
    assert bus.said.lines == [{"checking_pin": "D-01"}]
    bus.pin_is_checked()
    assert bus.facts()["driver"] == "D-01"


@pytest.mark.parametrize(
    ("pin", "ends"),
    [("274905", {"phase": "signed_on", "driver": "D-01"}), ("000000", {"refused": "driver_pin_wrong"})],
)
def test_who_signs_on_by_do_is_answered_with_what_became_of_it(bus: Bus, pin: str, ends: dict[str, object]) -> None:
    with ThreadPoolExecutor(1) as door:
        answer = door.submit(bus.said.answer["sign-on"], ["D-01", pin])
        bus.pin_is_checked()
        said = answer.result(10)
    assert said[0] == {"checking_pin": "D-01"} and ends.items() <= said[-1].items() and len(said) == 2


def test_what_is_refused_at_once_keeps_nobody_waiting_at_the_door(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bus.said.answer["sign-on"](["D-01"]) == [{"refused": "command_incomplete"}]
    bus.pin("sign-on D-01 000000")
    assert bus.said.answer["sign-on"](["D-01", "274905"]) == [{"refused": "not_at_this_moment"}]
    bus.pin_is_checked()
    monkeypatch.setattr(driver_desk, "PIN_S_MAX", 0.01)
    with pytest.raises(CommandUnsettled):
        bus.said.answer["sign-on"](["D-01", "274905"])  # its turn does not come


def test_a_word_that_is_none_of_a_crews_is_told_what_is(bus: Bus) -> None:
    """`trip` is for a bus without a crew."""
    assert bus.do("trip 8 morning") == {"refused": "command_unknown", "sentence": "door.crew_commands"}
    for language in LANGUAGES:
        words = Texts(language).get("door.crew_commands", command="fly").partition(":")[2]
        assert "sign-on" in words and "trip" not in words.replace("end-trip", "")
        assert "sign-on" not in Texts(language).get("door.commands", command="fly")


def test_who_is_asked_about_one_boarding_does_not_take_back_the_next(bus: Bus) -> None:
    running(bus)
    bus.board()
    for button in (Button.BACK, *[Button.NEXT] * 4, Button.OK, Button.NEXT):  # the menu's "annul", and "yes"
        bus.desk.press(button, bus.texts)
    bus.board()
    said = len(bus.said.lines)
    bus.desk.press(Button.OK, bus.texts)
    assert not [line for line in bus.said.lines[said:] if "annulled" in line] and bus.desk.face(bus.texts) is None
    assert bus.do("annul")["annulled"] == 2, "asked anew it is the last one"


def test_who_took_a_boarding_back_by_buttons_reads_which_coin_goes_back(bus: Bus) -> None:
    running(bus)
    bus.board()
    for button in (Button.BACK, *[Button.NEXT] * 4, Button.OK, Button.NEXT, Button.OK):
        bus.desk.press(button, bus.texts)
    face = bus.desk.face(bus.texts)
    assert face is not None and face.lines == ("annulled: give 1.00 baht back",)


def test_a_newer_route_file_leaves_the_bus_at_its_stop(bus: Bus) -> None:
    """A stop more at the beginning moves every other one by a place."""
    running(bus)
    bus.do("stop next")
    stop, before = bus.facts()["stop"], bus.desk.header(bus.texts)
    usual = TOWN.pattern_for("8", 0)
    assert usual is not None
    other = next(at for at in range(len(TOWN.stops)) if at not in usual.stops[:2])
    longer = [one._replace(stops=(other, *one.stops)) if one is usual else one for one in TOWN.patterns]
    sign_file(bus.folder / "routes.kgo", TOWN._replace(patterns=tuple(longer)), 2)
    bus.clock.advance(ms=LOOK_MS)
    bus.files.look(bus.clock.mono_ms())
    bus.desk.look()
    assert (bus.facts()["stop"], bus.desk.header(bus.texts)) == (stop, before)
    bus.restart()
    bus.desk.look()
    assert (bus.facts()["stop"], bus.desk.header(bus.texts)) == (stop, before)
    said = len(bus.said.lines)
    bus.do("stop back")
    assert bus.facts()["stop"] == TOWN.stops[usual.stops[0]].stop_id and len(bus.said.lines) > said


# --- cards of drivers


def test_whose_card_is_asked_to_prove_itself(bus: Bus) -> None:
    assert bus.desk.wants(CARD) and not bus.desk.wants(b"anybody1")
    running(bus)
    assert not bus.desk.wants(CARD), "who drives pays like any other"
    taking_over(bus)
    assert not bus.desk.wants(CARD), "not until somebody wants to change"
    bus.desk.press(Button.BACK, bus.texts)
    while bus.desk.face(bus.texts) is not None and not bus.desk.wants(CARD):
        face = bus.desk.face(bus.texts)
        assert face is not None and face.selected is not None
        is_change = face.lines[face.selected] == bus.texts.get("bus.menu.change_driver")
        bus.desk.press(Button.OK if is_change else Button.NEXT, bus.texts)
    assert bus.desk.wants(CARD)
    bus.sign_on()
    assert bus.facts()["driver"] == "D-02"


def test_a_driver_who_was_taken_from_the_crew_meanwhile_signs_nothing_on(bus: Bus) -> None:
    assert bus.desk.wants(CARD)
    sign_file(bus.folder / "crew.kgo", CREW._replace(drivers=CREW.drivers[:1]), 2)
    bus.clock.advance(ms=LOOK_MS)
    bus.files.look(bus.clock.mono_ms())
    bus.sign_on()
    assert bus.refused() == ["driver_card_unknown"] and bus.facts()["phase"] == "signed_off"


# --- taking back


def test_the_last_boarding_is_taken_back_once(bus: Bus) -> None:
    running(bus)
    bus.board()
    bus.board()
    assert bus.do("annul") == {"annulled": 2, "kgo": 5_000, "satang": 100}
    assert bus.do("annul") == {"refused": "nothing_to_annul"}, "the one before it stays"
    kinds = [row.kind for row in bus.station.journal.pending(10)]
    assert kinds == [VoucherKind.BOARDING, VoucherKind.BOARDING, VoucherKind.ANNUL]


@pytest.mark.parametrize(("is_seen", "said"), [(True, {"annulled": 1}), (False, {"refused": "nothing_to_annul"})])
def test_right_after_a_restart_only_what_was_seen_green_is_taken_back(
    bus: Bus, is_seen: bool, said: dict[str, object]
) -> None:
    running(bus)
    bus.board(is_seen=is_seen)
    bus.station.journal.flush()
    bus.restart()
    assert said.items() <= bus.do("annul").items()


@pytest.mark.parametrize(("seconds", "is_good"), [(0, True), (ANNUL_S, True), (ANNUL_S + 1, False)])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_soon_is_by_the_counter_and_after_a_restart_by_the_clock(
    bus: Bus, seconds: int, is_good: bool, is_restarted: bool
) -> None:
    running(bus)
    bus.board()
    bus.station.journal.flush()
    bus.clock.advance(s=seconds)
    if is_restarted:
        bus.restart()
    assert ("annulled" in bus.do("annul")) is is_good


def test_nothing_is_taken_back_while_the_driver_is_away_nor_on_another_trip(bus: Bus) -> None:
    running(bus)
    bus.board()
    bus.do("lock")
    assert bus.do("annul") == {"refused": "validator_locked"}
    bus.sign_on()
    bus.do("end-trip")
    bus.do("annul")
    assert bus.refused()[-1] == "not_at_this_moment"
    bus.do("route 8 1")
    assert bus.do("annul") == {"refused": "nothing_to_annul"}
    assert bus.station.journal.tail.sequence == 1


def test_on_a_full_disk_nothing_is_taken_back_and_nothing_said(bus: Bus) -> None:
    running(bus)
    bus.board()
    fill(bus.station.journal, bus.faults)
    assert bus.do("annul") == {"refused": "storage_full"} and bus.station.journal.tail.sequence == 1
    bus.faults.is_full = False
    assert bus.do("annul")["annulled"] == 1


def test_a_companion_is_armed_on_a_trip_and_an_annulment_leaves_it_armed(bus: Bus) -> None:
    bus.desk.press(Button.NEXT, bus.texts)
    assert not bus.companion.is_armed(bus.clock.mono_ms()), "no trip, no companion"
    running(bus)
    bus.board()
    bus.desk.press(Button.NEXT, bus.texts)
    assert bus.companion.is_armed(bus.clock.mono_ms())
    bus.do("annul")
    assert bus.companion.is_armed(bus.clock.mono_ms()), "it is pressed for the next tap"


# --- stops


def test_satellites_move_the_stop_and_are_not_spoken_of_when_the_disk_is_full(bus: Bus) -> None:
    running(bus)
    fill(bus.station.journal, bus.faults)
    bus.said.lines.clear()
    bus.desk.press(Button.CANCEL, bus.texts)
    for _ in range(3):
        bus.clock.advance(s=1)
        bus.desk.hear(bus.at_stop(1))
    assert bus.facts()["stop"] == "S0" and bus.said.lines == [] and bus.desk.face(bus.texts) is None
    bus.faults.is_full = False
    bus.clock.advance(s=1)
    bus.desk.hear(bus.at_stop(1))
    assert bus.facts()["stop"] == "S1" == bus.kept()["stop"]


def test_a_stop_by_hand_that_the_disk_did_not_take_is_not_where_the_bus_is(bus: Bus) -> None:
    running(bus)
    fill(bus.station.journal, bus.faults)
    bus.do("stop S3")
    bus.faults.is_full = False
    bus.clock.advance(s=1)
    bus.desk.hear(bus.at_stop(1))
    assert bus.facts()["stop"] == "S1", "satellites begin at the stop that is kept"


def test_a_shorter_timetable_on_the_way_stops_nothing(bus: Bus) -> None:
    running(bus)
    bus.do("stop S3")
    town = bus.files.routes
    assert town is not None
    short = (town.routes.patterns[0]._replace(stops=(0, 1)), *town.routes.patterns[2:])
    sign_file(bus.folder / "routes.kgo", town.routes._replace(patterns=short), 2)
    bus.clock.advance(ms=LOOK_MS)
    bus.files.look(bus.clock.mono_ms())
    assert bus.files.routes is not None and bus.files.routes.held.version == (1, 2)
    for at in range(4):
        bus.desk.hear(bus.at_stop(at))
        bus.desk.look()
        assert bus.desk.header(bus.texts)
    assert bus.do("stop next") != {}
    assert bus.facts()["phase"] == "running" and bus.facts() == bus.kept()


def test_a_stop_that_a_voucher_names_is_told_by_its_name(bus: Bus) -> None:
    """Not by its code; a stop that the newest file knows no more is left out."""
    running(bus)
    stop = TOWN.stops[1]
    assert bus.desk.stop_in_words(stop.stop_id, Texts("th")) == stop.name_th
    assert bus.desk.stop_in_words(stop.stop_id, Texts("en")) == stop.name_en
    assert bus.desk.stop_in_words("gone", Texts("th")) == ""
