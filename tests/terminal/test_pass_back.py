"""Pass-back: for so long as the city says, the same wallet gets no further ride at one door. DESIGN §5, §9.

The tariff is what `kgo-city publish` makes of the operator's file; the door and the acceptor are the validator's own.
"""

import json
from pathlib import Path

import pytest

from bus_validator.boarding import BusDoor, Trip
from bus_validator.door_states import FACES, TABLE, DoorState, event_of
from bus_validator.face import FaceState
from offline_ledger.city.bulletin_files import read_bulletin
from offline_ledger.errors import Conflict, PassBack
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.tariff import Tariff, decode_tariff
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.texts import Texts
from tests.terminal.desk import NOW_S, DeskConditions, DeskWallet, acceptor_on, issue, open_journal
from tests.terminal.desk_card import DeskCard, tap

GREEN = Light.ACCEPTED_CASH_DUE
PRODUCT = {"product_id": "bus", "kind": 1, "name_th": "รถ", "name_en": "Bus", "kgo": "50.00", "thb": "1.00"}
WINDOW_S = 300
CARD_REPEAT_S = 120


def tariff_of(**more: int) -> Tariff:
    """What a terminal reads of the operator's file."""
    file = json.dumps({"products": [PRODUCT], **more}).encode()
    return decode_tariff(read_bulletin(BulletinKind.TARIFF, file, "tariff.json", Texts("en")))


class Bus:
    """One validator with its door open, and the seconds of its day."""

    def __init__(self, folder: Path, tariff: Tariff) -> None:
        self.folder, self.tariff, self.trip = folder, tariff, "T1"
        self.conditions = DeskConditions()
        self.journal = open_journal(folder)
        self.acceptor: Acceptor = acceptor_on(self.journal, self.conditions)

    def restart(self) -> None:
        """A power cut: what was shown a moment ago and was not flushed is not known any more."""
        self.journal.close()
        self.journal = open_journal(self.folder)
        self.acceptor = acceptor_on(self.journal, self.conditions)

    def door(self, *, is_companion: bool = False) -> BusDoor:
        trip = Trip("10", self.trip, None)
        return BusDoor(trip, self.tariff, (1, 1), CARD_REPEAT_S, is_companion=is_companion)

    def pass_time(self, seconds: int) -> None:
        self.conditions.now = TimeNow(self.conditions.now.at_s + seconds, ClockTrust.SYNCED, 0)

    def new_ride(self, held: DeskWallet, *, is_companion: bool = False, is_shown: bool = True) -> Outcome:
        held.next()
        outcome = self.acceptor.accept(held.code(self.conditions.now.at_s), self.door(is_companion=is_companion))
        if is_shown and outcome.refusal is None:
            self.acceptor.shown(outcome)
        return outcome


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    return Bus(tmp_path, tariff_of(pass_back_s=WINDOW_S))


@pytest.mark.parametrize(("later_s", "is_back"), [(0, True), (WINDOW_S, True), (WINDOW_S + 1, False), (-1, False)])
def test_a_further_ride_is_refused_inside_the_window_and_boards_after_it(bus: Bus, later_s: int, is_back: bool) -> None:
    held = issue(7)
    assert bus.new_ride(held).light is GREEN
    bus.pass_time(later_s)
    outcome = bus.new_ride(held)
    assert isinstance(outcome.refusal, PassBack) is is_back
    assert outcome.light is (Light.REFUSED if is_back else GREEN)
    assert bus.journal.tail.sequence == (1 if is_back else 2), "nothing is charged for what was refused"
    assert bus.new_ride(issue(8)).light is GREEN, "another wallet is nobody's friend"


def test_its_face_is_the_customers_and_says_what_to_press(bus: Bus) -> None:
    held = issue(7)
    bus.new_ride(held)
    outcome = bus.new_ride(held)
    state = TABLE[DoorState.WAIT, event_of(outcome)].state
    assert FACES[state] is FaceState.REFUSED and outcome.refusal is not None
    for language in ("th", "en"):
        texts = Texts(language)
        assert texts.get("face.companion.title") in texts.remedy(outcome.refusal), "the button as it is called there"


@pytest.mark.parametrize("more", [{}, {"pass_back_s": 0}])
def test_who_does_not_ask_for_it_has_none(tmp_path: Path, more: dict[str, int]) -> None:
    bus, held = Bus(tmp_path, tariff_of(**more)), issue(7)
    assert [bus.new_ride(held).light for _ in range(2)] == [GREEN, GREEN]


def test_a_companion_on_purpose_rides_at_once(bus: Bus) -> None:
    held, card = issue(7), DeskCard(issue(9))
    assert bus.new_ride(held).light is GREEN
    assert bus.new_ride(held, is_companion=True).light is GREEN
    assert tap(bus.acceptor, card, bus.door()).light is GREEN
    assert tap(bus.acceptor, card, bus.door(is_companion=True)).light is GREEN


def test_a_card_is_only_held_again_first_and_passed_back_later(bus: Bus) -> None:
    card = DeskCard(issue(9))
    assert tap(bus.acceptor, card, bus.door()).light is GREEN
    bus.pass_time(CARD_REPEAT_S)
    assert tap(bus.acceptor, card, bus.door()).light is Light.ALREADY_ACCEPTED
    bus.pass_time(1)
    assert isinstance(tap(bus.acceptor, card, bus.door()).refusal, PassBack) and len(card.paid) == 1
    bus.pass_time(WINDOW_S - CARD_REPEAT_S)
    assert tap(bus.acceptor, card, bus.door()).light is GREEN


def test_the_same_code_again_is_already_accepted_and_no_pass_back(bus: Bus) -> None:
    held = issue(7)
    bus.new_ride(held)
    bus.pass_time(5)
    assert bus.acceptor.accept(held.code(NOW_S + 5), bus.door()).light is Light.ALREADY_ACCEPTED


def test_who_was_charged_in_a_power_cut_gets_the_green_with_the_next_intent(bus: Bus) -> None:
    held = issue(7)
    assert bus.new_ride(held, is_shown=False).light is GREEN
    bus.restart()
    outcome = bus.new_ride(held)
    assert (outcome.light, outcome.is_uncharged_green, outcome.sequence) == (GREEN, True, 1)
    bus.pass_time(WINDOW_S)
    assert isinstance(bus.new_ride(held).refusal, PassBack), "from that green on it counts"


def test_who_was_charged_in_a_power_cut_is_not_kept_from_another_trip(bus: Bus) -> None:
    held = issue(7)
    bus.new_ride(held, is_shown=False)
    bus.restart()
    bus.trip = "T2"
    assert bus.new_ride(held).light is GREEN


def test_who_was_on_the_wrong_bus_boards_again_at_once(bus: Bus) -> None:
    held, card = issue(7), DeskCard(issue(9))
    bus.new_ride(held)
    bus.acceptor.annul(1)
    assert bus.new_ride(held).light is GREEN
    tap(bus.acceptor, card, bus.door())
    bus.acceptor.annul(bus.journal.tail.sequence)
    assert tap(bus.acceptor, card, bus.door()).light is GREEN


def test_a_contradiction_is_kept_as_one_inside_the_window_too(bus: Bus) -> None:
    held = issue(7)
    bus.new_ride(held)
    held.last_kgo += 1  # the same counter authorises something else
    assert isinstance(bus.acceptor.accept(held.code(), bus.door()).refusal, Conflict)
