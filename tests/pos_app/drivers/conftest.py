"""A simulated printer on the network, and the driver for it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pos_app.drivers.printer import EscposPrinter, printer_settings
from simulators.printer.device import SimulatedPrinter
from simulators.printer.lines import NetworkPrinter
from tests.pos_app.drivers.printers import DriverFor


@pytest.fixture
def network() -> Iterator[NetworkPrinter]:
    """With its drawer on pin 2."""
    with NetworkPrinter(SimulatedPrinter()) as made:
        yield made


@pytest.fixture
def driver_for() -> Iterator[DriverFor]:
    """A driver for an address, closed at the end."""
    made: list[EscposPrinter] = []

    def make(address: str, is_ending: Callable[[], bool] = lambda: False, **more: Any) -> EscposPrinter:
        settings = printer_settings(address, **more)
        assert settings is not None
        made.append(EscposPrinter(settings, is_ending))
        return made[-1]

    yield make
    for driver in made:
        driver.close()
