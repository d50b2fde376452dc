"""A bench with simulated boards: what the tests of flashing a head share."""

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from firmware.flash.board_ports import BoardPort, Ports
from firmware.flash.boards import Board, Kind, look
from firmware.flash.flashing import Flashed, FlashRun, flash_head
from firmware.flash.head_files import FIRMWARE, HeadFiles, compile_head_files, version_text
from firmware.flash.record import Record
from simulators.board import Base, BootDrive, SimulatedBoard

WAIT_S_MAX = 10.0
NEWER = {"reader_head/version.py": ("(0, 2, 0)", "(0, 2, 1)")}
"""A release in which one file is another."""


def firmware_with(folder: Path, changes: Mapping[str, tuple[str, str]]) -> HeadFiles:
    """The firmware, compiled, with a text in some of its files exchanged for another."""
    sources = folder / "sources"
    for room in ("link", "reader_head"):
        shutil.copytree(FIRMWARE / room, sources / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(FIRMWARE / "__init__.py", sources)
    for name, (old, new) in changes.items():
        text = (sources / name).read_text(encoding="utf-8")
        assert old in text, name
        (sources / name).write_text(text.replace(old, new), encoding="utf-8")
    return compile_head_files(folder / "compiled", sources)


class HeadBench:
    """A folder with a board, a record, and the ports of both."""

    def __init__(self, folder: Path, files: HeadFiles, name: str = "board0") -> None:
        self.folder, self.files = folder, files
        self.link = folder / name
        self.ports = Ports(str(self.link))
        self.record = Record.open(folder / "bench.db")
        self.steps: list[str] = []
        self.told: list[str] = []

    @property
    def port(self) -> BoardPort:
        return BoardPort(str(self.link))

    def run_with(self, files: HeadFiles | None = None) -> FlashRun:
        return FlashRun(self.ports, files or self.files, self.record, "สมชาย", lambda: int(time.time()))

    def flash(self, files: HeadFiles | None = None) -> Flashed:
        """Flash the board; `steps` are what it went through, `told` all that it said of it."""
        self.steps.clear()
        self.told.clear()

        def told(step: str, _sent: int) -> None:
            self.told.append(step)
            if step not in self.steps:
                self.steps.append(step)

        return flash_head(self.run_with(files), self.port, told)

    def look(self) -> Board:
        return look(self.ports, self.port, may_interrupt=True)

    def version(self) -> str | None:
        """Of the running firmware; None for a prompt."""
        until_s = time.monotonic() + WAIT_S_MAX
        while (found := self.look()).refusal is not None:
            assert time.monotonic() < until_s, found.refusal
            time.sleep(0.02)
        if found.kind is Kind.PROMPT:
            return None
        assert found.greeting is not None
        return version_text(found.greeting.version)

    def last_job(self) -> tuple[str, str, int]:
        """Outcome (`interrupted` for none), last step, and refusal number of the newest job."""
        last = "(SELECT max(job) FROM job)"
        steps = self.record.fetch(f"SELECT name FROM step WHERE job = {last} ORDER BY number DESC")
        ending = self.record.fetch(f"SELECT outcome, refusal_number FROM ending WHERE job = {last}")
        outcome, number = ending[0] if ending else ("interrupted", 0)
        return str(outcome), str(steps[0][0]) if steps else "", int(str(number))

    def verified(self) -> dict[str, str]:
        """What the newest job has read back."""
        rows = self.record.fetch("SELECT key, value FROM verified WHERE job = (SELECT max(job) FROM job)")
        return {str(key): str(value) for key, value in rows}


PICO_W = Base()


def image_of(link: Path) -> Path:
    """Where the board of this link keeps its flash."""
    return link.with_name(f"{link.name}.flash")


def sha256_of(data: bytes) -> str:
    """In hex."""
    return hashlib.sha256(data).hexdigest()


@contextmanager
def board_at(
    link: Path,
    image: bytes | None = None,
    *,
    base: Base | None = PICO_W,
    drive: BootDrive | None = None,
    flash_bytes: int | None = None,
    held: tuple[int, ...] = (),
    board: bytes = b"\xe6\x60\x58\x38\x83\x00\x00\x01",
) -> Iterator[SimulatedBoard]:
    """A board with this in its flash."""
    if image is not None:
        image_of(link).write_bytes(image)
    sizes = {} if flash_bytes is None else {"flash_bytes": flash_bytes}
    with SimulatedBoard(link, base, drive=drive, held=held, board=board, **sizes) as made:
        yield made


def mpremote(bench: HeadBench, *words: str) -> str:
    """By hand, at the prompt."""
    path = bench.ports.path(bench.port)
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", path, "resume", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
