"""A board as a technician plugs it in: a boot drive, MicroPython with its prompt, or a running head. DESIGN §11."""

from simulators.board.base import RP2040_FAMILY, RP2350_FAMILY, Base, base_of, uf2_of
from simulators.board.device import SimulatedBoard
from simulators.board.drive import BootDrive, DriveFault

__all__ = [
    "RP2040_FAMILY",
    "RP2350_FAMILY",
    "Base",
    "BootDrive",
    "DriveFault",
    "SimulatedBoard",
    "base_of",
    "uf2_of",
]
