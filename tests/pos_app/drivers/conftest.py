"""The simulated printer."""

from tests.terminal.drivers.printers import driver_for as driver_for
from tests.terminal.drivers.printers import network as network
