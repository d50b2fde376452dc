"""A reader head on the desk: the real firmware in the real MicroPython interpreter, on a pty. DESIGN §11."""

from simulators.head.device import Button, InterpreterMissing, SimulatedHead
from simulators.head.recording import Event, Pixels, state_of

__all__ = ["Button", "Event", "InterpreterMissing", "Pixels", "SimulatedHead", "state_of"]
