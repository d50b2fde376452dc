"""A Pico W from its bag to a running head: boot drive, then MicroPython's prompt, then whatever its main.py starts.

The real MicroPython runs on an image file as the board's flash; its port goes away with each reset and comes again, as
on USB. The power may be cut at any change of the flash. DESIGN §11.

    with SimulatedBoard(tmp_path / "board0", Base()) as board:
        ...                       # a program finds a prompt at tmp_path / "board0"
        board.cut_power_at(17)    # the 17th change of the flash after the next boot is torn
"""

import os
import signal
import time
from pathlib import Path
from typing import Self

from simulators.board.base import Base
from simulators.board.drive import BootDrive
from simulators.head import SimulatedHead
from simulators.head.device import WATCHDOG, WATCHDOG_SLACK_S
from simulators.head.interpreter import Interpreter

FLASH_BYTES = 848 * 1024
"""The file system of a Pico W beside its MicroPython."""
_CTRL_C = b"\x03"
USB_BACK_S = 0.2
"""From a reset until the port is there again."""


class SimulatedBoard(SimulatedHead):
    """One board. It keeps its flash over any loss of power, as long as this object lives, and longer in its image."""

    def __init__(
        self,
        link: Path,
        base: Base | None = None,
        *,
        drive: BootDrive | None = None,
        board: bytes = b"\xe6\x60\x58\x38\x83\x00\x00\x01",
        flash_bytes: int = FLASH_BYTES,
        held: tuple[int, ...] = (),
        back_s: float = USB_BACK_S,
    ) -> None:
        """`base`: the MicroPython on it. None: it shows `drive` until one is copied there. `flash_bytes`: of its file
        system, in blocks of 4096."""
        self.image = link.with_name(f"{link.name}.flash")
        if not self.image.exists():
            self.image.write_bytes(b"\xff" * flash_bytes)
        self.base, self.drive = base, drive
        self._back_s, self._cut_at, self._boots_to_cut = back_s, 0, 0
        self.changes_of_boots: list[int] = []
        """How often the flash was changed in each boot before this one."""
        self._back_at_s = 0.0
        super().__init__(link, board=board, held=held)  # last: its thread looks at all of this

    @property
    def is_ready(self) -> bool:
        """Drive, prompt or running firmware: is there what a program can find?"""
        if self.base is None:
            return self.drive is not None and self.drive.is_there
        return self.is_plugged and (bool(self._recording.watchdog_ms) or self.is_at_prompt)

    @property
    def is_foreign_running(self) -> bool:
        """Does a program run that is no head's?"""
        return self._recording.is_foreign

    @property
    def changes(self) -> int:
        """Changes of the flash since it last booted."""
        return self._recording.flash_changes

    def hold_bootsel(self) -> None:
        """At the next plug the drive comes, whatever is on it. The file system stays."""
        self._do(lambda: setattr(self, "base", None))

    def cut_power_at(self, change: int, boots: int = 1) -> None:
        """The board loses its power in the middle of this change of its flash, counted from its next boot, or the one
        so many boots later; once."""
        self._cut_at, self._boots_to_cut = change, boots

    def __enter__(self) -> Self:
        self.plug()
        self.wait_until(lambda: self.is_ready, "the board to start")
        return self

    # --- on the thread that carries

    def _plug(self) -> None:
        if self.base is not None:
            super()._plug()
        elif self.drive is not None and not self.drive.is_there:
            self.drive.appear()

    def _unplug(self, power_stays: bool) -> None:
        self._back_at_s = 0.0
        if self.drive is not None and self.drive.is_there:
            self.drive.leave()
        super()._unplug(power_stays)

    def _started(self, cause: int) -> Interpreter:
        assert self.base is not None
        self._boots_to_cut -= 1
        cut_at = 0 if self._boots_to_cut else self._cut_at
        self.changes_of_boots.append(self._recording.flash_changes)
        self._recording.flash_changes, self._recording.is_cut = 0, False
        return Interpreter(
            firmware=None,
            image=self.image,
            cause=cause,
            board=self._board_name,
            protocol=None,
            held=tuple(sorted(self._held)),
            scanner=os.ttyname(self._scanner_end),
            scratch=self._recording.scratch,
            more={
                "KGO_BOARD_CUT": str(cut_at),
                "KGO_BOARD_NAME": self.base.machine,
                "KGO_BOARD_RELEASE": self.base.release,
            },
        )

    def _arrived(self, data: bytes) -> bytes:
        """MicroPython takes Ctrl-C for itself while somebody's program runs, and ends it."""
        if self._board is None or not self._recording.is_foreign or _CTRL_C not in data:
            return data
        self._recording.is_foreign = False
        os.kill(self._board.pid, signal.SIGINT)
        return data.replace(_CTRL_C, b"")

    def _watch(self, board: Interpreter) -> None:
        armed_ms = self._recording.watchdog_ms
        is_bitten = armed_ms and time.monotonic() - self._fed_s > armed_ms / 1000 + WATCHDOG_SLACK_S
        if self._recording.is_cut:
            self._unplug(False)
        elif board.has_ended() or is_bitten:
            self._cable.unplug()
            self._power_off()
            self._back_at_s = time.monotonic() + self._back_s

    def _tick(self) -> None:
        if self._back_at_s and time.monotonic() >= self._back_at_s:
            self._back_at_s = 0.0
            self._to_head.carried.clear()
            self._to_host.carried.clear()
            self._cable.plug()
            self._boot(WATCHDOG)
        elif self.drive is not None and self.drive.is_there and (taken := self.drive.taken()) is not None:
            self.drive.leave()
            self.base = taken
            super()._plug()
