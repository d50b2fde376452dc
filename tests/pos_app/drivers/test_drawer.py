"""The cash drawer on a simulated printer: on either pin, with a sensor or without, and never later by itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from offline_ledger.errors import DrawerStuck, PrinterCoverOpen, PrinterHanging, PrinterNoPaper
from pos_app.drivers import drawer
from pos_app.drivers.drawer import Drawer
from simulators.printer.device import Fault, Pulse, SimulatedPrinter
from simulators.printer.lines import NetworkPrinter
from tests.terminal.drivers.printers import DriverFor, nothing

KNOWN_WITHIN_S = 2.0


def until(is_so: Callable[[], object]) -> None:
    """Waits for it."""
    until_s = time.monotonic() + KNOWN_WITHIN_S
    while not is_so():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.01)


@contextmanager
def with_drawer(pin: int, *, is_high_when_open: bool = True) -> Iterator[NetworkPrinter]:
    """A printer with its drawer's plug wired so."""
    with NetworkPrinter(SimulatedPrinter(drawer_pin=pin, is_high_when_open=is_high_when_open)) as made:
        yield made


@pytest.mark.parametrize("pin", [2, 5])
def test_the_drawer_opens_by_command_alone(pin: int, driver_for: DriverFor) -> None:
    with with_drawer(pin) as desk:
        driver = driver_for(desk.address, drawer_pin=pin)
        driver.print(Image.new("1", (576, 100), 0), nothing, nothing)
        assert not desk.printer.is_drawer_open and not desk.printer.pulses
        Drawer(driver).kick()
        until(lambda: desk.printer.pulses)
        assert desk.printer.pulses == [Pulse(pin, 100, 100)] and desk.printer.is_drawer_open


@pytest.mark.parametrize("pin", [2, 5])
def test_a_pulse_on_the_other_pin_is_told_by_the_sensor(
    pin: int, monkeypatch: pytest.MonkeyPatch, driver_for: DriverFor
) -> None:
    monkeypatch.setattr(drawer, "OPEN_S_MAX", 0.2)
    with with_drawer(7 - pin) as desk:
        with pytest.raises(DrawerStuck, match=f"pin {pin}"):
            Drawer(driver_for(desk.address, drawer_pin=pin, drawer_open_level=1)).kick()
        assert not desk.printer.is_drawer_open


@pytest.mark.parametrize("level", [0, 1])
def test_a_drawer_with_a_sensor_that_stays_shut_is_told(
    level: int, monkeypatch: pytest.MonkeyPatch, driver_for: DriverFor
) -> None:
    monkeypatch.setattr(drawer, "OPEN_S_MAX", 0.2)
    with with_drawer(2, is_high_when_open=bool(level)) as desk:
        driver = driver_for(desk.address, drawer_open_level=level)
        desk.fault(Fault.DRAWER_STUCK)
        with pytest.raises(DrawerStuck, match="6103"):
            Drawer(driver).kick()
        desk.well()
        Drawer(driver).kick()
        assert desk.printer.is_drawer_open
        desk.printer.close_drawer()
        assert not desk.printer.is_drawer_open


def test_a_sensor_that_is_set_the_wrong_way_round_says_open_while_it_is_shut(driver_for: DriverFor) -> None:
    """What the setting is for: nobody can tell which way a drawer is wired but whoever tries it."""
    with with_drawer(2, is_high_when_open=False) as desk:
        desk.fault(Fault.DRAWER_STUCK)
        Drawer(driver_for(desk.address, drawer_open_level=1)).kick()
        assert not desk.printer.is_drawer_open


@pytest.mark.parametrize("fault", [Fault.NO_PAPER, Fault.COVER_OPEN, Fault.HANG])
def test_a_drawer_does_not_open_later_by_itself(network: NetworkPrinter, fault: Fault, driver_for: DriverFor) -> None:
    network.fault(fault)
    with pytest.raises((PrinterNoPaper, PrinterCoverOpen, PrinterHanging)):
        Drawer(driver_for(network.address)).kick()
    network.well()
    assert driver_for(network.address).check() is None
    assert network.printer.pulses == []


def test_a_drawer_on_a_printer_that_never_answers_opens(driver_for: DriverFor) -> None:
    with with_drawer(5) as desk:
        desk.fault(Fault.SILENT)
        Drawer(driver_for(desk.address, is_asked=False, drawer_pin=5)).kick()
        until(lambda: desk.printer.is_drawer_open)
        assert desk.printer.pulses == [Pulse(5, 100, 100)]
