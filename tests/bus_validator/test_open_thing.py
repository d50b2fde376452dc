"""What on a bus keeps a new version waiting: each thing that is open, and nothing else. FIELD_LESSONS 37."""

from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import cast

import pytest

from bus_validator.driver_menu import CLOSED
from bus_validator.head_buttons import Button
from bus_validator.settings import SETTINGS
from bus_validator.validator import Validator
from offline_ledger.errors import TripNotSet
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal.card_taps import ASKED
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.program import MachineClock, Opened, Place, Program, read_terminal_settings
from offline_ledger.terminal.running import ASKED_MS, Running
from tests.bus_validator.driven_desk import Bus, crewed_bus
from tests.terminal.provisioned import provision_bus

# pyright: reportPrivateUsage=false


class Ticker(MachineClock):
    """The machine's, and as much later as a test says."""

    later_ms = 0

    def mono_ms(self) -> int:
        return super().mono_ms() + self.later_ms


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Of a validator on a trip, not yet at work: the test is its deciding thread."""
    settings = provision_bus(tmp_path, int(time()), tmp_path / "scanner")
    about = Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda opened: 0, SETTINGS)
    values = read_terminal_settings(about, settings)
    place, clock = Place(about, values, settings), Ticker()
    station = place.station(clock)
    made = Validator(Opened(station, place.uplink(clock), clock, values, settings))
    made._running.open_while(made._trips.open_thing)
    try:
        yield made._running
    finally:
        station.close()


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with crewed_bus(tmp_path) as made:
        yield made


def test_while_it_loads_nothing_is_said_of_its_slot(running: Running, capfd: pytest.CaptureFixture[str]) -> None:
    """Whether the launcher started it is known a moment later."""
    running.command(["update", "switch"])
    assert capfd.readouterr().out == "" and running._later == [["update", "switch"]]


def test_each_open_thing_keeps_it_waiting(running: Running) -> None:
    assert running._open_thing() == "a trip is under way"
    running.command(["end-trip"])
    assert running._open_thing() == ""
    running.do(lambda: None)
    assert running._open_thing() == "a customer's code waits"
    running._loop._waiting.get()()
    running.show(Outcome(Light.ACCEPTED))
    assert running._open_thing() == "a light is on"
    running.show(Outcome(Light.OUT_OF_SERVICE, refusal=TripNotSet()))
    assert running._open_thing() == "", "a light that says that nothing is taken keeps nobody"
    running.show(Outcome(Light.REFUSED))
    assert running._open_thing() == "a light is on"
    clock = cast(Ticker, running._opened.clock)
    clock.later_ms += 2_000
    running._show_whether_open()
    assert running._open_thing() == ""
    running.command(["trip", "8", "evening"])
    running._decide(lambda _counter: ASKED)
    running.command(["end-trip"])
    assert running._open_thing() == "a card is being read"
    clock.later_ms += ASKED_MS
    assert running._open_thing() == "", "who took the card away is not waited for"
    running._station.acceptor.unratified.unseen(1)
    assert running._open_thing() == "a voucher waits for its customer"
    running._station.acceptor.unratified.settled(1)
    assert running._open_thing() == ""


def test_a_driver_keeps_it_waiting(bus: Bus) -> None:
    desk = bus.desk
    assert desk.open_thing() == ""
    bus.pin()
    assert desk.open_thing() == "the driver is at the menu", "a PIN is being checked"
    bus.pin_is_checked()
    assert desk.open_thing() == "", "signed on, at the depot"
    bus.do("route 8 0")
    assert desk.open_thing() == "a trip is under way"
    bus.do("lock")
    assert desk.open_thing() == "a trip is under way", "a locked bus is on its trip"
    bus.sign_on()
    bus.do("end-trip")
    assert desk.open_thing() == "the driver is at the menu", "the end of the trip stands there"
    desk.press(Button.BACK, bus.texts)
    assert desk.open_thing() == ""
    desk.press(Button.BACK, bus.texts)
    assert desk.open_thing() == "the driver is at the menu"
    desk.press(Button.BACK, bus.texts)
    assert (desk._menu, desk.open_thing()) == (CLOSED, "")
