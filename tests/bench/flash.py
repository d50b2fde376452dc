"""`flash_changed_file`, `flash_whole_head`, `flash_unchanged_head`, `flash_twenty`: the whole command. DESIGN §10.

Each is one `kgo-flash head` in a process of its own, which compiles the firmware, against simulated boards with the
real MicroPython and a file system like the chip's. The twenty are set against one board whose port is away as long as
theirs at each restart, which on USB is about a second. In no figure here: the time that real flash takes to erase, and
USB at twelve megabits.
"""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Self

from firmware.flash.head_files import HeadFiles
from simulators.board import Base, SimulatedBoard
from simulators.board.device import USB_BACK_S
from tests.bench.measure import Row, row_of
from tests.flash.heads import NEWER, HeadBench, firmware_with

ROUNDS = 3
TWENTY = 20
USB_S = 1.0
COMMAND_S_MAX = 600


class FlashFailed(Exception):
    """The command says that a board was not flashed: its time would mean nothing."""


def rows(folder: Path) -> list[Row]:
    """Fresh boards, then nothing to do, then one file that is another, then twenty at once."""
    folder = folder.resolve()
    other = firmware_with(folder / "other", NEWER)
    whole_s: list[float] = []
    usb_s: list[float] = []
    unchanged_s: list[float] = []
    changed_s: list[float] = []
    for number in range(ROUNDS):
        with _Boards(folder / f"usb-{number}", 1, USB_S) as one:
            usb_s.append(one.flash(" 17 files sent"))
        with _Boards(folder / f"fresh-{number}", 1) as one:
            whole_s.append(one.flash(" 17 files sent"))
            unchanged_s.append(one.flash("up to date"))
        with _Boards(folder / f"other-{number}", 1) as one:
            one.prepare(other)
            changed_s.append(one.flash(" 1 files sent"))
    with _Boards(folder / "twenty", TWENTY, USB_S) as twenty:
        twenty_s = twenty.flash(" 17 files sent")
    one_on_usb = row_of("flash_one_on_usb", "s", usb_s)
    return [
        row_of("flash_changed_file", "s", changed_s),
        row_of("flash_whole_head", "s", whole_s),
        row_of("flash_unchanged_head", "s", unchanged_s),
        one_on_usb,
        row_of("flash_twenty", "s", [twenty_s], one_on_usb),
    ]


class _Boards:
    """So many boards, and the settings that name them."""

    def __init__(self, folder: Path, count: int, back_s: float = USB_BACK_S) -> None:
        folder.mkdir(parents=True)
        self._folder, self._count, self._back_s = folder, count, back_s
        self._stack = ExitStack()
        self._settings = folder / "bench.toml"
        self._settings.write_text(f'[bench]\nlanguage = "en"\n[head]\nports = "{folder}/board?"\n', encoding="utf-8")

    def __enter__(self) -> Self:
        for number in range(self._count):
            link = self._folder / f"board{chr(ord('a') + number)}"
            name = bytes((0xE6, 0x60, 0x58, 0, 0, 0, 0, number))
            self._stack.enter_context(SimulatedBoard(link, Base(), board=name, back_s=self._back_s))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def prepare(self, files: HeadFiles) -> None:
        """The first one gets these beforehand."""
        bench = HeadBench(self._folder, files, "boarda")
        bench.flash()
        bench.record.close()

    def flash(self, wanted: str) -> float:
        """Seconds that the command took; every board must end so."""
        words = [sys.executable, "-m", "firmware.flash", "--settings", str(self._settings), "head", "--all"]
        begun_s = perf_counter()
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False)
        took_s = perf_counter() - begun_s
        if done.returncode or done.stdout.count(wanted) != self._count:
            raise FlashFailed(done.stdout + done.stderr)
        return took_s
