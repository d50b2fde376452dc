"""What the tests of the printer's driver share."""

import socket
from collections.abc import Callable

from PIL import Image, ImageChops

from pos_app.drivers.printer import EscposPrinter
from simulators.printer.device import SimulatedPrinter

DriverFor = Callable[..., EscposPrinter]


def nothing() -> None:
    """Nothing to do meanwhile."""


def printed_as_drawn(printer: SimulatedPrinter, picture: Image.Image) -> bool:
    """The newest sheet is the picture, and white up to the cutter."""
    sheet = printer.sheets[-1]
    below = sheet.crop((0, picture.height, sheet.width, sheet.height))
    is_white = ImageChops.invert(below.convert("L")).getbbox() is None
    return sheet.crop((0, 0, *picture.size)).tobytes() == picture.tobytes() and is_white


def closed_port() -> int:
    """Nobody listens there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]
