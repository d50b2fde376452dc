"""The power cut at every point of a flash, of the board and of the laptop, and what the board starts afterwards.

python -m tests.flash.head_cuts [FILE]     the table, from what really happened
"""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from firmware.flash.board_files import BoardFiles, plan_for
from firmware.flash.boards import ask_prompt, await_gone, await_prompt
from firmware.flash.head_files import HeadFiles, compile_head_files, version_text
from offline_ledger.errors import Refusal
from simulators.board import SimulatedBoard
from tests.flash.heads import NEWER, HeadBench, board_at, firmware_with, image_of

AGAIN_MAX = 5
NEITHER, PROMPT = "neither", "prompt"


class Point(NamedTuple):
    """Where to cut: this change of the board's flash in this boot (0: the one in which the flash begins), or the laptop
    at the n-th thing that it begins."""

    what: str
    boot: int
    at: int


class Cut(NamedTuple):
    """What happened. `record`: outcome, last step. `starts`: old, new, prompt or neither. `again`: the next flash."""

    point: Point
    record: str
    starts: str
    again: str


class CutDesk:
    """A head that runs `old`, or with an image of nothing a board at its prompt, to be flashed with `new`."""

    def __init__(self, folder: Path, image: bytes, old: HeadFiles, new: HeadFiles) -> None:
        self._folder, self._image, self.old, self.new = folder, image, old, new
        self._count = 0

    def points(self) -> list[Point]:
        """Every one, from a flash that nothing disturbed."""
        bench = self._bench()
        told: list[str] = []
        with board_at(bench.link, self._image) as board:
            before = len(board.changes_of_boots)
            bench.flash(self.new)
            told = bench.told
            board.unplug()
            counts = [*board.changes_of_boots[before:], board.changes]
        bench.record.close()
        changes = [Point("board", boot, at) for boot, count in enumerate(counts) for at in range(1, count + 1)]
        return changes + [Point("laptop", 0, at) for at in range(1, len(told) + 1)]

    def cut(self, point: Point) -> Cut:
        """Do it, look, and flash again."""
        bench = self._bench()
        with board_at(bench.link, self._image) as board:
            if point.what == "board":
                self._arm(board, point)
                _refused(bench, self.new)
            else:
                self._killed(bench, point.at)
            outcome, step, _ = bench.last_job()
            starts = self.judge(bench, board)
            again = bench.flash(self.new)
            assert again.version == version_text(self.new.version) == bench.version()
        bench.record.close()
        image_of(bench.link).unlink()
        return Cut(point, f"{outcome} {step}", starts, again.result)

    def kill_and_flash_at_once(self, at: int) -> list[str]:
        """The laptop's program is killed, the board keeps its power: what the next flashes said, the last one's result
        at the end. A run of mpremote that was left behind may still hold the port."""
        bench = self._bench()
        said: list[str] = []
        with board_at(bench.link, self._image):
            self._killed(bench, at)
            while len(said) < AGAIN_MAX and said[-1:] not in (["new"], ["unchanged"]):
                try:
                    said.append(bench.flash(self.new).result)
                except Refusal as refusal:
                    assert refusal.waiting_helps, refusal
                    said.append(refusal.key)
            assert bench.version() == version_text(self.new.version), said
        bench.record.close()
        return said

    def _arm(self, board: SimulatedBoard, point: Point) -> None:
        if point.boot:
            board.cut_power_at(point.at, point.boot)
            return
        board.unplug()
        board.cut_power_at(point.at)
        board.plug()
        board.wait_until(lambda: board.is_ready, "the board")

    def judge(self, bench: HeadBench, board: SimulatedBoard) -> str:
        """Off and on again: what runs?"""
        board.unplug()
        board.cut_power_at(0)
        board.plug()
        board.wait_until(lambda: board.is_ready, "the board")
        known = {version_text(self.old.version): "old", version_text(self.new.version): "new"}
        version = bench.version()
        if version is None and BoardFiles(bench.ports.path(bench.port)).ask().main is None:
            return PROMPT
        return known.get(version or "", NEITHER)

    def cut_in_wrong_order(self, at: int) -> str:
        """The control: main.py first, as nobody must. What starts after a cut at this change?"""
        bench = self._bench()
        with board_at(bench.link, self._image) as board:
            board.cut_power_at(at, boots=2)
            ask_prompt(bench.ports, bench.port)
            assert await_prompt(bench.ports, bench.port)
            files = BoardFiles(bench.ports.path(bench.port))
            plan = plan_for(files.ask(), self.new)
            try:
                files.restart(plan)
                await_gone(bench.ports, bench.port)
                assert await_prompt(bench.ports, bench.port)
                BoardFiles(bench.ports.path(bench.port)).fill(plan, self.new, lambda _line: None)
            except Refusal:
                pass
            starts = self.judge(bench, board)
        bench.record.close()
        return starts

    def _bench(self) -> HeadBench:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        return HeadBench(folder, self.old)

    def _killed(self, bench: HeadBench, at: int) -> None:
        bench.record.close()  # one program has it at a time
        wanted = bench.folder / "files.json"
        new = self.new
        wanted.write_text(json.dumps([str(new.folder), dict(new.hashes), new.bytes, new.version]), encoding="utf-8")
        words = (str(bench.link), str(bench.folder / "bench.db"), str(wanted), str(at))
        done = subprocess.run([sys.executable, "-m", "tests.flash.killed_flash", *words], check=False)
        assert done.returncode == -signal.SIGKILL, done.returncode


def _refused(bench: HeadBench, files: HeadFiles) -> None:
    try:
        bench.flash(files)
    except Refusal:
        return
    raise AssertionError("the power was cut, and the flash says nothing of it")


def table(cuts: Iterable[Cut]) -> Iterator[str]:
    """As Markdown: neighbours that ended alike are one line."""
    yield "| cut | at | the record says | starts | flashed again |"
    yield "|---|---|---|---|---|"
    run: list[Cut] = []
    for cut in [*cuts, None]:
        if run and (cut is None or _alike(cut) != _alike(run[0])):
            first, last = run[0].point, run[-1].point
            where = f"change {first.at}" if first.what == "board" else f"step {first.at}"
            where += f" to {last.at}" if last.at != first.at else ""
            where += f" of boot {first.boot}" if first.what == "board" else ""
            yield f"| {first.what} | {where} | {run[0].record} | {run[0].starts} | {run[0].again} |"
            run = []
        if cut is not None:
            run.append(cut)


def _alike(cut: Cut) -> tuple[str, int, str, str, str]:
    return cut.point.what, cut.point.boot, cut.record, cut.starts, cut.again


def image_with(folder: Path, files: HeadFiles | None) -> bytes:
    """The flash of a board with this firmware, as its head got it, or of one that was only started."""
    folder.mkdir(parents=True)
    bench = HeadBench(folder, files or HeadFiles(folder, {}, 0, (0, 0, 0)))
    with board_at(bench.link):
        if files is not None:
            bench.flash()
    bench.record.close()
    return image_of(bench.link).read_bytes()


def main(words: list[str]) -> None:
    """All points."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new = compile_head_files(folder / "old"), firmware_with(folder / "new", NEWER)
        lines = ""
        for name, files in (("A head with the old firmware", old), ("A board with MicroPython alone", None)):
            (folder / name).mkdir()
            made = CutDesk(folder / name, image_with(folder / name / "image", files), old, new)
            lines += "\n".join([f"{name}:", "", *table(made.cut(point) for point in made.points()), "", ""])
    if words:
        Path(words[0]).write_text(lines, encoding="utf-8")
    else:
        sys.stdout.write(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
