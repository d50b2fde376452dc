"""`kgo-flash watch`: boards are plugged in, nothing is typed, rings and record say what came of each. Decision 0169."""

import io
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from rich.console import Console
from rich.progress import Progress

from firmware.flash.base_copy import BaseFile
from firmware.flash.bench import Bench
from firmware.flash.bench_settings import read_bench_settings
from firmware.flash.bench_words import WatchTexts
from firmware.flash.board_ports import BoardPort, Ports
from firmware.flash.boards import Board
from firmware.flash.cli_head import Bars, Copy, Result, copy_one, flash_one
from firmware.flash.cli_watch import Watch, ring_of
from firmware.flash.flashing import FlashRun
from firmware.flash.head_files import HeadFiles
from firmware.flash.record import Record
from firmware.flash.record_reading import jobs
from firmware.link import messages
from offline_ledger.errors import (
    BoardLost,
    BoardPortInUse,
    BoardSilent,
    BootDriveGone,
    BootDriveReadOnly,
    BootDriveStays,
    HeadLost,
    MicroPythonTooOld,
    NoBoardFound,
    PromptNotGiven,
)
from offline_ledger.texts import LANGUAGES, LOCALE, Texts
from simulators.board import Base, BootDrive, SimulatedBoard, uf2_of
from simulators.demo.processes import wait_until
from simulators.head.device import SimulatedHead
from simulators.patience import patient
from tests.flash.heads import sha256_of

BOARD_S_MAX = patient(60)
AT_A_BOARD = (
    *(BoardLost, HeadLost, NoBoardFound, MicroPythonTooOld, BoardPortInUse, PromptNotGiven, BoardSilent),
    *(BootDriveGone, BootDriveStays, BootDriveReadOnly),
)
NEW, OLD, OTHER = (bytes((0xE6, 0x60, 0x58, 0, 0, 0, 0, number)) for number in (1, 2, 3))


@contextmanager
def watching(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    base = uf2_of(Base())
    (folder / "base.uf2").write_bytes(base)
    (folder / "bench.toml").write_text(
        f'[bench]\nlanguage = "en"\n[head]\nbase = "base.uf2"\nbase_sha256 = "{sha256_of(base)}"\n'
        f'ports = "{folder}/board?"\ndrives = "{folder}/RPI*"\n'
    )
    with (folder / "said").open("wb") as said:
        words = [sys.executable, "-m", "firmware.flash", "--settings", str(folder / "bench.toml"), "watch"]
        process = subprocess.Popen(words, stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_box_of_boards_is_done_as_they_are_plugged_in(tmp_path: Path, soak: bool) -> None:
    drive = BootDrive(tmp_path / "RPI-RP2")
    with watching(tmp_path) as process:
        wait_until(lambda: "Plug boards in" in (tmp_path / "said").read_text(), "the words", BOARD_S_MAX)
        with SimulatedBoard(tmp_path / "board1", drive=drive, board=NEW) as new:
            wait_until(lambda: new.state() == messages.ACCEPTED, "a green ring", BOARD_S_MAX)
            if soak:
                new.unplug()
                with SimulatedBoard(tmp_path / "board2", Base(), board=OLD) as second:
                    wait_until(lambda: second.state() == messages.ACCEPTED, "the next one", BOARD_S_MAX)
                new.plug()
                wait_until(lambda: new.state() == messages.ACCEPTED, "the first one again", BOARD_S_MAX)
            with SimulatedBoard(tmp_path / "board3", Base(release="1.20.0"), board=OTHER):
                wait_until(lambda: "7018" in (tmp_path / "said").read_text(), "a refusal", BOARD_S_MAX)
                process.send_signal(signal.SIGINT)
                assert process.wait(BOARD_S_MAX) == 1
    said = (tmp_path / "said").read_text()
    assert f"{3 if soak else 1} good, 1 failed" in said
    assert "unplug it, hold BOOTSEL and plug it in again" in said and "--base" not in said
    record = Record.open(tmp_path / "bench.db")
    found = {(job.what, job.subject, job.outcome) for job in jobs(record)}
    record.close()
    assert {("flash-head", NEW.hex(), "done"), ("self-test", NEW.hex(), "done")} <= found
    assert ("flash-head", OTHER.hex(), "failed") in found


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_remedy_is_one_for_hands_that_plug(language: str) -> None:
    texts = WatchTexts(language)
    said = {kind.key: texts.remedy(kind) for kind in AT_A_BOARD}
    assert {key: one for key, one in said.items() if re.search(r"repeat|command|--base|สั่ง", one)} == {}
    source = (LOCALE / language / "LC_MESSAGES/kgo.po").read_text("utf-8")
    own = set(re.findall(r'^msgid "flash\.watch\.refusal\.(\w+)\.remedy"$', source, re.MULTILINE))
    assert own == set(said), "each is tried here"


@pytest.mark.parametrize(("is_good", "state"), [(True, messages.ACCEPTED), (False, messages.REFUSED)])
def test_the_ring_says_what_came_of_it(tmp_path: Path, head_files: HeadFiles, is_good: bool, state: int) -> None:
    record = Record.open(tmp_path / "bench.db")
    run = FlashRun(Ports(), head_files, record, "-", lambda: 0)
    with SimulatedHead(tmp_path / "head") as head:
        light = ring_of(run, BoardPort(str(tmp_path / "head")), is_good=is_good)
        assert light is not None
        wait_until(lambda: head.state() == state, "the ring", BOARD_S_MAX)
        light.close()
    record.close()


@contextmanager
def round_by_round(folder: Path, files: HeadFiles) -> Iterator[tuple[Watch, Record, Progress]]:
    """A watch that looks round when it is told to."""
    settings = folder / "bench.toml"
    settings.write_text(f'[head]\ndrives = "{folder}/RPI*"\n')
    bench = Bench(Texts("en"), Console(file=io.StringIO()), read_bench_settings(settings, "en"), lambda: 0)
    base, record = uf2_of(Base()), Record.open(folder / "bench.db")
    with bench.progress() as progress:
        run = FlashRun(Ports(str(folder / "board?")), files, record, "-", lambda: 0)
        watch = Watch(bench, run, Bars(bench, progress), lambda: BaseFile("base.uf2", base, sha256_of(base)))
        try:
            yield watch, record, progress
        finally:
            watch.close()
            record.close()


def look_until(watch: Watch, is_true: Callable[[], bool], what: str) -> None:
    def is_so() -> bool:
        watch.look_round()
        return is_true()

    wait_until(is_so, what, BOARD_S_MAX)


def outcomes(record: Record, what: str, subject: str) -> list[str]:
    return [job.outcome for job in jobs(record) if (job.what, job.subject) == (what, subject)]


def test_a_board_that_is_back_before_its_copy_was_ended_is_not_taken_for_another(
    tmp_path: Path, head_files: HeadFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk: the copy's thread is still at it when the port is there."""
    ports = Ports(str(tmp_path / "board?"))
    is_late, rounds = Event(), 0

    def copied_slowly(run: FlashRun, bars: Bars, drive: Board, file: BaseFile) -> Copy:
        copy = copy_one(run, bars, drive, file)
        assert is_late.wait(BOARD_S_MAX)
        return copy

    monkeypatch.setattr("firmware.flash.cli_watch.copy_one", copied_slowly)
    drive = BootDrive(tmp_path / "RPI-RP2")
    with (
        SimulatedBoard(tmp_path / "board1", drive=drive, board=NEW) as board,
        round_by_round(tmp_path, head_files) as (watch, record, progress),
    ):

        def is_ended() -> bool:
            nonlocal rounds
            rounds += bool(ports.all())
            if rounds > 2:
                is_late.set()
            return outcomes(record, "flash-head", str(drive.folder)) == ["done"]

        look_until(watch, is_ended, "the copy is done")
        assert [task for task in progress.tasks if task.description.startswith(str(drive.folder))] == []
        board.unplug()


PULLED = (("flash-head", True), ("flash-head", False), ("self-test", False))
"""At which job, and does it come back as a drive?"""


def test_a_board_that_is_pulled_out_at_work_and_put_back_is_done_again(
    tmp_path: Path, head_files: HeadFiles, slice_of: Callable[[int, int], int]
) -> None:
    for number, (job, is_bootsel) in enumerate(PULLED[: slice_of(len(PULLED), 1)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        check_pulled_out(folder, head_files, job, is_bootsel=is_bootsel)


def check_pulled_out(folder: Path, files: HeadFiles, job: str, *, is_bootsel: bool) -> None:
    """It is done again, and the copy to it is not said to have failed."""
    drive = BootDrive(folder / "RPI-RP2")
    with (
        SimulatedBoard(folder / "board1", Base(), drive=drive, board=NEW) as board,
        round_by_round(folder, files) as (watch, record, _progress),
    ):

        def is_at_it() -> bool:
            return outcomes(record, job, NEW.hex()) == ["interrupted"] and (job != "flash-head" or board.changes > 9)

        look_until(watch, is_at_it, "it is at work")
        board.unplug()
        if is_bootsel:
            board.hold_bootsel()
        else:
            look_until(watch, lambda: True, "it is seen to be away")
        board.plug()
        look_until(watch, lambda: watch.good == 1 and board.state() == messages.ACCEPTED, "a green ring")
        assert watch.failed == 1 and outcomes(record, job, NEW.hex()) == ["failed", "done"]
        assert outcomes(record, "flash-head", str(drive.folder)) == (["done"] if is_bootsel else [])


def test_a_board_that_was_a_drive_while_it_was_at_work_ends_its_copy(
    tmp_path: Path, head_files: HeadFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its work has not noticed, and is not over when the copy's time is."""
    ports, may_end = Ports(str(tmp_path / "board?")), Event()

    def flashed_slowly(run: FlashRun, bars: Bars, port: BoardPort) -> Result:
        assert may_end.wait(BOARD_S_MAX)
        return flash_one(run, bars, port)

    monkeypatch.setattr("firmware.flash.cli_watch.flash_one", flashed_slowly)
    drive = BootDrive(tmp_path / "RPI-RP2")
    with (
        SimulatedBoard(tmp_path / "board1", Base(), drive=drive, board=NEW) as board,
        round_by_round(tmp_path, head_files) as (watch, record, _progress),
    ):
        look_until(watch, lambda: True, "it is taken up")
        board.unplug()
        board.hold_bootsel()
        board.plug()
        look_until(watch, lambda: bool(ports.all()), "it is back")
        monkeypatch.setattr("firmware.flash.cli_watch.AWAY_S_MAX", -1.0)
        look_until(watch, lambda: outcomes(record, "flash-head", str(drive.folder)) == ["done"], "the copy is done")
        may_end.set()
        look_until(watch, lambda: watch.good == 1, "its work")
        assert watch.failed == 0
