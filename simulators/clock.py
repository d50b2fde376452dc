"""Time that a test or a demo can bend: a fake clock for one process, and a clock chip for another one. DESIGN §11.

`FakeClock` obeys the ports that a terminal reads time by (`mono_ms`, and the chip's `read_s`) and moves only when told
to. A program in a process of its own is given a wrong time the way a real one gets it: its settings name the file of
its clock chip, and `SimulatedRtc` keeps that file as the kernel would, with every fault of such chips by name. The
file is replaced in one step, so a reader sees a whole number or no file.

    python -m simulators.clock --path /tmp/rtc0 --offset-s -259200      (fault NAME | set UNIX_S | step S | quit)
"""

import argparse
import sys
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from threading import Event, Lock, Thread

from offline_ledger.errors import ClockSourceLost
from simulators.obeying import obey, obey_standard_input

TICK_S = 0.1
JOIN_S_MAX = 5.0
PPM = 1_000_000


class FakeClock:
    """Wall time with drift over a counter; both stand still until `advance`."""

    def __init__(self, wall_s: int, *, mono_ms: int = 0, drift_ppm: int = 0) -> None:
        self._mono_ms = mono_ms
        self._wall_us = wall_s * PPM
        self._drift_ppm = drift_ppm
        self._is_lost = False

    def mono_ms(self) -> int:
        """The counter; it never steps or drifts."""
        return self._mono_ms

    def wall_s(self) -> int:
        """What this clock believes the time to be."""
        return self._wall_us // PPM

    def read_s(self) -> int:
        """The same, as a clock chip; raises `ClockSourceLost` while it is lost."""
        if self._is_lost:
            raise ClockSourceLost("simulated")
        return self.wall_s()

    def advance(self, *, s: int = 0, ms: int = 0) -> None:
        """Real time passes."""
        passed_ms = s * 1000 + ms
        if passed_ms < 0:
            raise ValueError("time does not pass backwards; use step_s")
        self._mono_ms += passed_ms
        self._wall_us += passed_ms * 1000 + passed_ms * self._drift_ppm // 1000

    def step_s(self, by_s: int) -> None:
        """The wall time jumps; the counter does not."""
        self._wall_us += by_s * PPM

    def set_s(self, wall_s: int) -> None:
        """The wall time is set, say to 0: a new battery."""
        self._wall_us = wall_s * PPM

    def drift(self, ppm: int) -> None:
        """From now on the wall time gains this many microseconds a second."""
        self._drift_ppm = ppm

    def lose(self, *, is_lost: bool = True) -> None:
        """The chip does not answer (or answers again)."""
        self._is_lost = is_lost

    def power_cut(self) -> None:
        """The counter starts anew, the battery-backed wall time goes on."""
        self._mono_ms = 0


class RtcFault(Enum):
    """What goes wrong with clock chips; each lasts until another is set."""

    NONE = "none"
    GONE = "gone"  # not found on the bus: no file
    STOPPED = "stopped"  # the oscillator stands still
    RESET = "reset"  # the battery died: it began again at 1970
    NONSENSE = "nonsense"  # registers that are no time


class SimulatedRtc:
    """A clock chip as the kernel shows it: a file of Unix seconds that ticks in its own thread."""

    def __init__(
        self,
        path: Path,
        *,
        offset_s: int = 0,
        drift_ppm: int = 0,
        true_s: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._true_s = true_s
        self._started_s = self._fault_since_s = true_s()
        self._offset_s = float(offset_s)
        self._drift_ppm = drift_ppm
        self._fault = RtcFault.NONE
        self._lock = Lock()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="simulated-rtc", daemon=True)

    def start(self) -> None:
        """Begin to tick; the file is there when this returns."""
        self._write()
        self._thread.start()

    def step_s(self, by_s: int) -> None:
        """The chip's time jumps."""
        with self._lock:
            self._offset_s += by_s
        self._write()

    def set_s(self, to_s: int) -> None:
        """The chip is set to this time."""
        with self._lock:
            self._offset_s += to_s - self._good_s(self._true_s())
        self._write()

    def fail(self, fault: RtcFault) -> None:
        """Fail like this from now on (`RtcFault.NONE`: work again)."""
        with self._lock:
            self._fault, self._fault_since_s = fault, self._true_s()
        self._write()

    def close(self) -> None:
        """Stop ticking and take the file away."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S_MAX)
        self._path.unlink(missing_ok=True)

    def obey(self, command: str) -> str:
        """Carry out one line of the control language; the answer is `ok` or `error ...`."""
        return obey(
            {
                "fault": lambda name: self.fail(RtcFault(name)),
                "set": lambda unix_s: self.set_s(int(unix_s)),
                "step": lambda by_s: self.step_s(int(by_s)),
            },
            command,
        )

    def __enter__(self) -> "SimulatedRtc":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _good_s(self, at_s: float) -> float:
        return at_s + self._offset_s + (at_s - self._started_s) * self._drift_ppm / PPM

    def _text(self) -> str | None:
        now_s = self._true_s()
        match self._fault:
            case RtcFault.NONE:
                return f"{int(self._good_s(now_s))}\n"
            case RtcFault.STOPPED:
                return f"{int(self._good_s(self._fault_since_s))}\n"
            case RtcFault.RESET:
                return f"{int(now_s - self._fault_since_s)}\n"
            case RtcFault.NONSENSE:
                return "-1\n"
            case RtcFault.GONE:
                return None

    def _write(self) -> None:
        with self._lock:
            text = self._text()
            if text is None:
                self._path.unlink(missing_ok=True)
                return
            fresh = self._path.with_name(f"{self._path.name}.new")
            fresh.write_text(text, encoding="ascii")
            fresh.replace(self._path)

    def _run(self) -> None:
        while not self._stopping.wait(TICK_S):
            self._write()


def main() -> int:
    """Run a clock chip that obeys its standard input until `quit` or its end."""
    parser = argparse.ArgumentParser(prog="simulators.clock", description="a clock chip's file, as the kernel shows it")
    parser.add_argument("--path", type=Path, required=True, help="the file to keep")
    parser.add_argument("--offset-s", type=int, default=0, help="seconds that it is ahead (negative: behind)")
    parser.add_argument("--drift-ppm", type=int, default=0)
    options = parser.parse_args()
    with SimulatedRtc(options.path, offset_s=options.offset_s, drift_ppm=options.drift_ppm) as rtc:
        print("ready", flush=True)
        obey_standard_input(rtc.obey)
    return 0


if __name__ == "__main__":
    sys.exit(main())
