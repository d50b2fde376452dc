"""The road under the bus on the desk: its receiver speaks each second, and a press drives to the next stop. DESIGN §11.

The receiver's clock is this machine's, however fast the bus is driven; else a session would run ahead of its own time.
"""

import contextlib
import time
from pathlib import Path
from threading import Event, Lock, Thread

from simulators.gps import SPEED_KMH, Fault, Point, SimulatedGps

SECOND_S = 1.0
DRIVE_S_MAX = 600
"""Seconds of driving to one stop, at most: the sample town's longest way takes 240."""
JOIN_S_MAX = 5.0


class DeskGps(SimulatedGps):
    """Its satellites say the time that is now."""

    def second(self) -> bytes:
        """What the receiver sends for this second."""
        self._utc_s = int(time.time())
        return super().second()


class Road:
    """The receiver and its bus. From any thread."""

    def __init__(self, link: Path, way: list[Point], seed: int) -> None:
        self._gps = DeskGps(link, way, speed_kmh=0, seed=seed)
        self._lock = Lock()
        self._ended = Event()
        self._thread = Thread(target=self._run, name="road", daemon=True)

    def __enter__(self) -> "Road":
        self._gps.plug()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(JOIN_S_MAX)
        self._gps.close()

    @property
    def stop_at(self) -> int:
        """The stop that the bus reached last."""
        return self._gps.stop_at

    @property
    def is_plugged(self) -> bool:
        """Is the receiver there?"""
        return self._gps.is_plugged

    @property
    def has_fix(self) -> bool:
        """Does it see satellites?"""
        return Fault.NO_FIX not in self._gps.faults

    def drive_on(self) -> int:
        """To the next stop, in a moment; the stop reached. At the last stop nothing happens."""
        with self._lock:
            gps, before = self._gps, self._gps.stop_at
            gps.speed_kmh = SPEED_KMH
            for _ in range(DRIVE_S_MAX):
                if gps.stop_at != before or gps.is_at_end:
                    break
                gps.tick()
            gps.speed_kmh = 0
            gps.tick(2)
            return gps.stop_at

    def start_over(self) -> None:
        """Back at the first stop."""
        with self._lock:
            self._gps.go_to(0)

    def plug(self) -> None:
        """Its cable is in."""
        with self._lock:
            self._gps.plug()

    def unplug(self) -> None:
        """Its cable is out."""
        with self._lock:
            self._gps.unplug()

    def set_fix(self, *, has_fix: bool) -> None:
        """Under a roof, or not."""
        with self._lock:
            if has_fix:
                self._gps.faults.discard(Fault.NO_FIX)
            else:
                self._gps.faults.add(Fault.NO_FIX)

    def _run(self) -> None:
        while not self._ended.wait(SECOND_S):
            with self._lock, contextlib.suppress(OSError):  # the program closes its end as it dies
                self._gps.tick()
