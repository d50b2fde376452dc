"""A simulated printer on the network, the driver for it, and what the tests of both share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image, ImageChops

from offline_ledger.terminal.drivers.printer import EscposPrinter
from offline_ledger.terminal.printer_address import printer_settings
from simulators.printer.device import SimulatedPrinter
from simulators.printer.lines import NetworkPrinter

DriverFor = Callable[..., EscposPrinter]


def nothing() -> None:
    """Nothing to do meanwhile."""


def printed_as_drawn(printer: SimulatedPrinter, picture: Image.Image) -> bool:
    """The newest sheet is the picture, and white up to the cutter."""
    sheet = printer.sheets[-1]
    below = sheet.crop((0, picture.height, sheet.width, sheet.height))
    is_white = ImageChops.invert(below.convert("L")).getbbox() is None
    return sheet.crop((0, 0, *picture.size)).tobytes() == picture.tobytes() and is_white


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
