"""Lights as pictures: each at once, a green seen out, the menu only over a door that waits, and nothing told twice."""

import pytest

from bus_validator.door_screen import DoorScreen, Told
from bus_validator.door_states import READING_MS_MAX, SHOWN_MS, DoorState
from bus_validator.face import Face, FaceState
from bus_validator.faces import Faces, Sentence, Strip
from offline_ledger.errors import CodeDamaged, Denied, NotSignedOn, StorageFull
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.terminal.outcome import Charge, Light, Outcome
from offline_ledger.texts import Texts

RIDE = Charge(5_000, 100, VoucherKind.BOARDING, "flat", (1, 1), {}, None)
GREEN = Outcome(Light.ACCEPTED, 1, RIDE._replace(satang=0))
CASH_DUE = Outcome(Light.ACCEPTED_CASH_DUE, 1, RIDE)
REPEAT = Outcome(Light.ALREADY_ACCEPTED, 1)
DENIED = Outcome(Light.REFUSED, refusal=Denied())
AGAIN = Outcome(Light.TRY_AGAIN, refusal=CodeDamaged())
FULL = Outcome(Light.OUT_OF_SERVICE, refusal=StorageFull())
AWAY = Outcome(Light.OUT_OF_SERVICE, refusal=NotSignedOn())
MENU = Face(FaceState.LIST, "menu", lines=("one", "two"), selected=0, header="old", clock="00:00")
TEXTS = Texts("en")
ANSWERS = [
    (GREEN, FaceState.ACCEPTED),
    (CASH_DUE, FaceState.ACCEPTED_CASH_DUE),
    (REPEAT, FaceState.ALREADY_ACCEPTED),
    (DENIED, FaceState.REFUSED),
]
GREENS = (FaceState.ACCEPTED, FaceState.ACCEPTED_CASH_DUE)


class Shown:
    """A door with a screen that keeps what it was given."""

    def __init__(self, *, is_training: bool = False) -> None:
        self.faces: list[Face] = []
        self.mono_ms = 70_000
        self.strip = Strip("8 → KKU · Stop 1", "14:05")
        self.told = Told()
        self.told_of: list[Outcome] = []
        self.door = DoorScreen(
            self, Faces(TEXTS), lambda: self.strip, self._tell, lambda: self.mono_ms, is_training=is_training
        )

    def show(self, face: Face) -> None:
        self.faces.append(face)

    def _tell(self, outcome: Outcome) -> Told:
        self.told_of.append(outcome)
        return self.told

    def light(self, outcome: Outcome) -> FaceState:
        self.door.drawn(outcome.light, outcome)
        return self.face.state

    def wait(self) -> FaceState:
        self.door.drawn(Light.WAIT, None)
        return self.face.state

    def late(self) -> FaceState:
        self.door.drawn(None, None)
        return self.face.state

    def look(self, later_ms: int = 0) -> FaceState:
        self.mono_ms += later_ms
        self.door.look()
        return self.face.state

    @property
    def face(self) -> Face:
        return self.faces[-1]


@pytest.mark.parametrize(("outcome", "state"), ANSWERS)
def test_an_answer_stands_its_time_and_goes_by_itself(outcome: Outcome, state: FaceState) -> None:
    shown = Shown()
    assert shown.light(outcome) is state
    assert shown.look(SHOWN_MS - 1) is state
    assert shown.look(1) is FaceState.WAIT and SHOWN_MS <= 2_000


@pytest.mark.parametrize(("first", "_state"), ANSWERS)
@pytest.mark.parametrize(("second", "state"), ANSWERS)
def test_the_next_answer_is_there_at_once_and_has_its_own_time(
    first: Outcome, _state: FaceState, second: Outcome, state: FaceState
) -> None:
    shown = Shown()
    shown.light(first)
    shown.mono_ms += SHOWN_MS - 1
    assert shown.light(second) is state
    assert shown.look(SHOWN_MS - 1) is state
    assert shown.look(1) is FaceState.WAIT


@pytest.mark.parametrize(("outcome", "_state"), ANSWERS)
def test_wait_is_there_at_once(outcome: Outcome, _state: FaceState) -> None:
    shown = Shown()
    shown.light(outcome)
    assert shown.wait() is FaceState.WAIT


@pytest.mark.parametrize("green", [GREEN, CASH_DUE])
def test_a_green_is_seen_out_before_the_door_says_that_it_is_closed(green: Outcome) -> None:
    shown = Shown()
    state = shown.light(green)
    assert shown.light(FULL) is state and shown.told_of == [green]
    assert shown.look(SHOWN_MS - 1) is state
    assert shown.look(1) is FaceState.OUT_OF_SERVICE
    assert shown.face.title == TEXTS.title(StorageFull())
    assert shown.wait() is FaceState.WAIT, "open again"


@pytest.mark.parametrize("outcome", [REPEAT, DENIED, AGAIN])
def test_anything_else_gives_way_to_a_closed_door_and_comes_back_to_it(outcome: Outcome) -> None:
    shown = Shown()
    shown.light(outcome)
    assert shown.light(FULL) is FaceState.OUT_OF_SERVICE
    assert shown.light(outcome) is not FaceState.OUT_OF_SERVICE
    assert shown.look(SHOWN_MS) is FaceState.OUT_OF_SERVICE
    assert shown.face.title == TEXTS.title(StorageFull()), "still says why"
    assert shown.light(AWAY) is FaceState.OUT_OF_SERVICE
    assert shown.face.title == TEXTS.title(NotSignedOn()), "another reason is said"
    assert shown.look(10 * SHOWN_MS) is FaceState.OUT_OF_SERVICE, "it stands"


def test_hold_still_is_shown_and_ends_with_the_answer_or_by_itself() -> None:
    shown = Shown()
    assert shown.late() is FaceState.READING
    assert shown.light(GREEN) is FaceState.ACCEPTED
    assert shown.late() is FaceState.READING, "the next code is late"
    assert shown.look(READING_MS_MAX - 1) is FaceState.READING
    assert shown.look(1) is FaceState.WAIT


def test_hold_still_is_not_said_at_a_closed_door() -> None:
    shown = Shown()
    shown.light(FULL)
    assert shown.late() is FaceState.OUT_OF_SERVICE
    assert shown.face.title == TEXTS.title(StorageFull())


@pytest.mark.parametrize("outcome", [GREEN, CASH_DUE, Outcome(Light.ACCEPTED, 1, RIDE, is_uncharged_green=True)])
def test_training_is_never_green(outcome: Outcome) -> None:
    shown = Shown(is_training=True)
    assert shown.light(outcome) is FaceState.TRAINING and shown.door.state is DoorState.TRAINED
    assert shown.light(FULL) is FaceState.TRAINING, "seen out too"
    assert not [face for face in shown.faces if face.state in GREENS]


def test_the_menu_stands_over_a_door_that_waits_or_is_closed_and_no_answer_waits_for_it() -> None:
    shown = Shown()
    shown.door.put_over(MENU)
    assert (shown.face.state, shown.face.lines) == (FaceState.LIST, MENU.lines)
    assert (shown.face.header, shown.face.clock) == (shown.strip.header, shown.strip.clock), "never an old clock"
    for outcome, state in ANSWERS:
        assert shown.light(outcome) is state
        shown.door.put_over(MENU._replace(selected=1))
        assert shown.face.state is state, "a press does not wipe it away"
        assert shown.look(SHOWN_MS) is FaceState.LIST and shown.face.selected == 1
    assert shown.late() is FaceState.READING
    assert shown.wait() is FaceState.LIST
    assert shown.light(FULL) is FaceState.LIST, "a driver who signs on sees the menu at a closed door"
    shown.door.put_over(None)
    assert shown.face.state is FaceState.OUT_OF_SERVICE
    assert shown.wait() is FaceState.WAIT


@pytest.mark.parametrize("outcome", [None, GREEN, DENIED, FULL])
def test_what_stands_beside_is_of_now(outcome: Outcome | None) -> None:
    shown = Shown()
    if outcome is not None:
        shown.light(outcome)
    before = shown.look()
    shown.strip = Strip("8 → KKU · Stop 2", "14:06")
    assert shown.look() is before
    assert (shown.face.header, shown.face.clock) == ("8 → KKU · Stop 2", "14:06")


def test_what_a_face_says_beside_is_asked_once_and_stays() -> None:
    shown = Shown()
    values = {"confirmed": "10.00", "asked": "50.00"}
    shown.told = Told(more=Sentence("door.amounts_differ", values))
    shown.light(DENIED)
    shown.told = Told()
    shown.look()
    shown.look()
    assert TEXTS.get("door.amounts_differ", **values) in shown.face.line and shown.told_of == [DENIED]


def test_nothing_is_asked_of_a_light_without_a_decision() -> None:
    shown = Shown()
    shown.wait()
    shown.late()
    shown.look()
    assert shown.told_of == [] and shown.door.state is DoorState.READING
