"""The terminal program as a technician sees it, as text: one board, twenty side by side, a box of them.

    python -m tests.flash.captures docs/bench

The real command on a pseudo-terminal, with simulated boards; written is what stood on the screen at three moments.
"""

import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fcntl import ioctl
from pathlib import Path

from offline_ledger.errors import MicroPythonTooOld
from simulators.board import Base, BootDrive, SimulatedBoard, uf2_of
from tests.flash.heads import sha256_of

COLUMNS, LINES = 100, 40
TWENTY = 20
EXPORT = "record-export.csv"
COMMAND_S_MAX = 300
_CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
_BEGUN = re.compile(r"\x1b(\[[0-9;?]*)?$")
"""A control of which the rest is still to come."""


class Screen:
    """What stands on a terminal: lines, and the few controls that progress bars use."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0
        self._fresh = False

    def feed(self, text: str) -> None:
        """What the program wrote next."""
        at = 0
        for found in _CONTROL.finditer(text):
            self._write(text[at : found.start()])
            self._obey(found[1], found[2])
            at = found.end()
        self._write(text[at:])

    def _obey(self, number: str, letter: str) -> None:
        if letter == "A":
            self._row = max(0, self._row - int(number or 1))
        elif letter == "K":
            self.lines[self._row] = ""

    def _write(self, text: str) -> None:
        for part in re.split(r"(\r\n|\n|\r)", text):
            if part in ("\n", "\r\n"):
                self._row += 1
                if self._row == len(self.lines):
                    self.lines.append("")
                self._fresh = True
            elif part == "\r":
                self._fresh = True
            elif part:
                self.lines[self._row] = part if self._fresh else self.lines[self._row] + part
                self._fresh = False

    def text(self) -> str:
        """All lines, without blanks at the ends."""
        return "\n".join(line.rstrip() for line in self.lines).strip("\n")


def watched(words: Sequence[str], folder: Path, said_at_end: Sequence[str] = ()) -> Iterator[str]:
    """What stood on the screen after each change, while it ran; Ctrl-C when all of `said_at_end` stand there."""
    master, slave = os.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {
        "PATH": os.defpath,
        "TERM": "xterm",
        "NO_COLOR": "1",
        "PYTHONPATH": str(Path.cwd()),
        "LANG": "C.UTF-8",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "firmware.flash", *words],
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        start_new_session=True,
    )
    os.close(slave)
    screen, decoder, rest = Screen(), getincrementaldecoder("utf-8")("replace"), ""
    until_s = time.monotonic() + COMMAND_S_MAX
    try:
        while time.monotonic() < until_s:
            if not select.select([master], (), (), 0.1)[0]:
                continue
            try:
                came = os.read(master, 65_536)
            except OSError:  # the command has ended
                break
            text = rest + decoder.decode(came)
            begun = _BEGUN.search(text)
            rest = text[begun.start() :] if begun else ""
            screen.feed(text[: len(text) - len(rest)])
            yield screen.text()
            if said_at_end and all(part in screen.text() for part in said_at_end):
                process.send_signal(signal.SIGINT)
                said_at_end = ()
        assert not said_at_end, f"never said: {said_at_end}"
    finally:
        process.kill()
        process.wait()
        os.close(master)


def moments(seen: Sequence[str], typed: str) -> str:
    """The command, the screen at one third and two thirds of its changes, and at its end."""
    different = list(dict.fromkeys(seen))
    chosen = [different[len(different) // 3], different[2 * len(different) // 3], different[-1]]
    return f"$ {typed}\n" + "\n\n        …\n\n".join(dict.fromkeys(chosen)) + "\n"


def capture(folder: Path, words: Sequence[str], said_at_end: Sequence[str] = ()) -> str:
    """One command."""
    return moments(list(watched(words, folder, said_at_end)), " ".join(["kgo-flash", *words]))


def bench_folder(folder: Path, language: str) -> Path:
    """A folder as a technician's: settings, a base, and where the boards show."""
    folder.mkdir()
    (folder / "dev").mkdir()
    base = uf2_of(Base(), blocks=256)
    (folder / "RPI_PICO_W.uf2").write_bytes(base)
    (folder / "bench.toml").write_text(
        f'[bench]\nlanguage = "{language}"\ntechnician = "somchai"\n\n[head]\nbase = "RPI_PICO_W.uf2"\n'
        f'base_sha256 = "{sha256_of(base)}"\nports = "dev/ttyACM*"\ndrives = "RPI-*"\n',
        encoding="utf-8",
    )
    return folder


def name_of(number: int) -> bytes:
    """The board's own."""
    return bytes((0xE6, 0x60, 0x58, 0x38, 0x83, 0, 0, number))


def board(folder: Path, number: int, *, drive: bool = False, release: str = Base().release) -> SimulatedBoard:
    """A fresh one: at the prompt of this MicroPython, or as a boot drive."""
    shown = BootDrive(folder / "RPI-RP2") if drive else None
    base = None if drive else Base(release=release)
    return SimulatedBoard(folder / "dev" / f"ttyACM{number}", base, drive=shown, board=name_of(number), back_s=1)


def one(folder: Path, language: str) -> str:
    """A new board: what it is, flashed, flashed again, found by its blinking."""
    desk = bench_folder(folder, language)
    with board(desk, 0, drive=True):
        said = [capture(desk, words) for words in (["boards"], ["head"], ["boards"], ["head"])]
        said.append(capture(desk, ["blink", "dev/ttyACM0", "--seconds", "1"]))
    return "\n".join(said)


def twenty(folder: Path, language: str) -> str:
    """Twenty at once."""
    desk = bench_folder(folder, language)
    with ExitStack() as boards:
        for number in range(TWENTY):
            boards.enter_context(board(desk, number))
        return capture(desk, ["head", "--all"])


def box(folder: Path, language: str) -> str:
    """One new board, one that has MicroPython, one whose MicroPython is too old; none of them is named. What the record
    says of them goes beside."""
    desk = bench_folder(folder, language)
    with board(desk, 0, drive=True), board(desk, 1), board(desk, 2, release="1.20.0"):
        said = capture(desk, ["watch"], [name_of(0).hex(), name_of(1).hex(), str(MicroPythonTooOld.number)])
    return said + "\n" + capture(desk, ["record", "export", EXPORT])


def main(words: list[str]) -> None:
    """Writes head-one, head-twenty and head-watch, Thai and English, and the export of the record after the last."""
    out = Path(words[0])
    out.mkdir(parents=True, exist_ok=True)
    for language in ("th", "en"):
        for name, made in (("one", one), ("twenty", twenty), ("watch", box)):
            with tempfile.TemporaryDirectory() as folder:
                desk = Path(folder) / "desk"
                (out / f"head-{name}-{language}.txt").write_text(made(desk, language), encoding="utf-8")
                if made is box:
                    shutil.copyfile(desk / EXPORT, out / EXPORT)


if __name__ == "__main__":
    main(sys.argv[1:])
