"""The commands `boards`, `head` and `blink`, as a technician gives them. FIELD_LESSONS 34, 35."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from firmware.flash.__main__ import main
from firmware.flash.board_ports import BoardPort, Ports, claimed, names_of
from firmware.flash.boards import Board, look
from firmware.flash.head_files import HeadFiles
from firmware.flash.record import Record
from firmware.reader_head.lights import FINDING
from offline_ledger.errors import (
    BaseNotNamed,
    BoardLost,
    BoardOfOtherChip,
    BoardPortInUse,
    BoardSilent,
    BootDriveGone,
    NoBoardFound,
    NoHeadThere,
    OtherProgram,
    SeveralBoards,
)
from simulators.board import RP2350_FAMILY, Base, BootDrive, DriveFault, SimulatedBoard, uf2_of
from simulators.pty_port import PtyDevice
from tests.flash.heads import HeadBench, board_at, mpremote, sha256_of

UF2 = uf2_of(Base())


class Kgo:
    """The command, in a folder of its own."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capfd = folder, capfd
        (folder / "base.uf2").write_bytes(UF2)
        (folder / "bench.toml").write_text(
            f'[bench]\nlanguage = "en"\n[head]\nports = "{folder}/board?"\ndrives = "{folder}/RP*"\n'
        )

    def __call__(self, *words: str) -> tuple[int, str]:
        """Exit code and all that was said."""
        code = main(["--settings", str(self.folder / "bench.toml"), *words])
        said = self._capfd.readouterr()
        return code, said.out + said.err

    def based(self) -> list[object]:
        """The subjects that a base was intended for."""
        record = Record.open(self.folder / "bench.db")
        rows = record.fetch(
            "SELECT subject FROM job JOIN intended USING (job) WHERE key = 'base_sha256' ORDER BY subject"
        )
        record.close()
        return [row[0] for row in rows]

    def endings(self) -> list[tuple[object, ...]]:
        """What the record has: subject, outcome, refusal number."""
        record = Record.open(self.folder / "bench.db")
        rows = record.fetch(
            "SELECT subject, outcome, refusal_number FROM job LEFT JOIN ending USING (job) ORDER BY subject"
        )
        record.close()
        return [tuple(row) for row in rows]


@pytest.fixture
def kgo(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Kgo:
    return Kgo(tmp_path, capfd)


def board_name(number: int) -> bytes:
    return bytes((0xE6, 0x60, 0, 0, 0, 0, 0, number))


def test_a_new_board_and_a_running_head_side_by_side(
    kgo: Kgo, tmp_path: Path, head_image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = BootDrive(tmp_path / "RPI-RP2")
    base = ("--base", str(tmp_path / "base.uf2"), "--sha256", sha256_of(UF2))
    with ExitStack() as boards:
        boards.enter_context(board_at(tmp_path / "board0", base=None, drive=drive, board=board_name(0)))
        running = boards.enter_context(board_at(tmp_path / "board1", head_image, board=board_name(1)))
        code, said = kgo("boards")
        assert code == 0
        assert f"{tmp_path}/RPI-RP2: boot drive RPI-RP2, waits for MicroPython" in said
        assert f"{tmp_path}/board1: reader head, firmware 0.2.0, protocol 1-2, board e660000000000001" in said

        code, said = kgo("head")
        assert code == 1 and str(SeveralBoards.number) in said
        code, said = kgo("head", "--all")
        assert code == 1 and str(BaseNotNamed.number) in said

        code, said = kgo("head", "--all", *base)
        assert code == 0 and "2 good, 0 failed" in said
        assert f"{tmp_path}/board0: done, firmware 0.2.0, 17 files sent" in said
        assert f"{tmp_path}/board1: up to date, firmware 0.2.0, every file checked" in said
        assert kgo.endings() == [
            (f"{tmp_path}/RPI-RP2", "done", 0),
            ("e660000000000000", "done", 0),
            ("e660000000000001", "done", 0),
        ]
        assert kgo.based() == [f"{tmp_path}/RPI-RP2", "e660000000000000"]  # the other one got no base
        blinks(kgo, running, monkeypatch)


def blinks(kgo: Kgo, head: SimulatedBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as was asked, though one order to blink is for less."""
    monkeypatch.setattr("firmware.flash.cli_head.BLINK_MS_MAX", 300)
    before_us = head.timeline()[-1].at_us
    code, said = kgo("blink", str(head.port), "--seconds", "2")
    assert code == 0 and "blinks for 2 s" in said
    assert len(set(FINDING[0])) == 1  # white
    white = [event.at_us for event in head.timeline(before_us) if any(_is_white(pixel) for pixel in event.pixels)]
    assert white[-1] - white[0] > 1_000_000


def _is_white(pixel: tuple[int, int, int]) -> bool:
    return pixel[0] == pixel[1] == pixel[2] > 0


def test_one_that_is_refused_keeps_no_other_from_its_firmware(kgo: Kgo, tmp_path: Path) -> None:
    with board_at(tmp_path / "board0"), PtyDevice(tmp_path / "board1"), PtyDevice(tmp_path / "board2"):
        code, said = kgo("head", "--all")
    assert code == 1 and "1 good, 2 failed" in said
    assert f"{tmp_path}/board0: done" in said
    assert f"{tmp_path}/board1: {BoardSilent.number} The board does not answer" in said
    assert said.count(f"{BoardSilent.number}: ") == 1  # what helps, once for both


def test_one_that_is_unplugged_after_it_was_found_ends_no_other(
    kgo: Kgo, tmp_path: Path, head_image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as plugged:
        boards = [
            plugged.enter_context(board_at(tmp_path / f"board{number}", head_image, board=board_name(number)))
            for number in range(3)
        ]

        def look_and_unplug(ports: Ports, port: BoardPort, *, may_interrupt: bool) -> Board:
            found = look(ports, port, may_interrupt=may_interrupt)
            if port.name.endswith("board1"):
                boards[1].unplug()
            return found

        monkeypatch.setattr("firmware.flash.flashing.look", look_and_unplug)
        code, said = kgo("head", "--all")
    assert code == 1 and "2 good, 1 failed" in said
    assert f"{tmp_path}/board1: {BoardLost.number} " in said
    assert kgo.endings() == [
        ("e660000000000000", "done", 0),
        ("e660000000000001", "failed", BoardLost.number),
        ("e660000000000002", "done", 0),
    ]


def test_one_board_by_two_names_and_in_two_windows_is_flashed_once(
    kgo: Kgo, tmp_path: Path, head_image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.flash.board_ports.CLAIM_S_MAX", 0.0)
    port = tmp_path / "board0"
    (tmp_path / "by-id").symlink_to(port)
    with board_at(port, head_image):
        code, said = kgo("head", str(port), str(tmp_path / "by-id"), str(port))
        assert code == 0 and "1 good, 0 failed" in said
        with claimed(*names_of(BoardPort(str(port)))):  # as the other window has it
            for words in (
                ("head", str(tmp_path / "by-id")),
                ("blink", str(port)),
                ("test", "head", str(port), "--alone"),
            ):
                code, said = kgo(*words)
                assert code == 75 and f"{BoardPortInUse.number}" in said and "another kgo-flash" in said
            code, said = kgo("boards")
            assert code == 0 and f"{port}: {BoardPortInUse.number}" in said
        assert kgo("boards")[1].count("reader head, firmware") == 1
    assert len(kgo.endings()) == 1


THEIRS = "import time\ntry:\n    while True:\n        time.sleep_ms(5)\nfinally:\n    time.sleep_ms(600)\n"
"""Ends later than anybody waits for its first answer."""


def test_somebodys_running_program_is_not_ended_by_a_question(kgo: Kgo, tmp_path: Path, head_files: HeadFiles) -> None:
    bench = HeadBench(tmp_path, head_files)
    bench.record.close()  # the command's own from here
    with board_at(bench.link) as board:
        mpremote(bench, "exec", f"f=open('/main.py','w');f.write({THEIRS!r});f.close()")
        board.unplug()
        board.plug()
        board.wait_until(lambda: board.is_foreign_running, "the program")
        code, said = kgo("boards")
        assert code == 0 and f"{bench.link}: unknown, not asked further" in said
        code, said = kgo("blink", str(bench.link))
        assert code == 1 and str(NoHeadThere.number) in said
        assert board.is_foreign_running and len(board.changes_of_boots) == 2

        code, said = kgo("head")
        assert code == 1 and str(OtherProgram.number) in said, said
        board.wait_until(lambda: board.is_foreign_running, "the program after its restart")
        assert len(board.changes_of_boots) == 3


@pytest.mark.parametrize("words", [("boards",), ("head",), ("head", "--all"), ("head", "board9"), ("blink", "board9")])
def test_nothing_there_asks_for_the_cable(kgo: Kgo, words: tuple[str, ...]) -> None:
    code, said = kgo(*words)
    assert code == 75 and str(NoBoardFound.number) in said and "charge-only" in said


def test_a_board_without_our_firmware_cannot_blink(kgo: Kgo, tmp_path: Path) -> None:
    with board_at(tmp_path / "board0"):
        code, said = kgo("blink", str(tmp_path / "board0"))
        assert code == 1 and str(NoHeadThere.number) in said
        code, said = kgo("boards")
        assert "MicroPython 1.24.1, Raspberry Pi Pico W with RP2040, e660583883000001, ready for firmware" in said
    with board_at(tmp_path / "board0", base=Base(machine="Raspberry Pi Pico 2 with RP2350")):
        code, said = kgo("boards")
        assert code == 0 and str(BoardOfOtherChip.number) in said


def test_a_boot_drive_of_another_chip_is_told_before_any_file_is_asked_for(kgo: Kgo, tmp_path: Path) -> None:
    with board_at(tmp_path / "board0", base=None, drive=BootDrive(tmp_path / "RP2350", RP2350_FAMILY)):
        code, said = kgo("head")
        assert code == 1 and str(BoardOfOtherChip.number) in said


def test_a_drive_that_goes_too_early_is_told(kgo: Kgo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware.flash.cli_head.AWAY_S_MAX", 0.3)
    drive = BootDrive(tmp_path / "RPI-RP2", fault=DriveFault.LEAVES_EARLY)
    with board_at(tmp_path / "board0", base=None, drive=drive):
        code, said = kgo("head", str(drive.folder), "--base", str(tmp_path / "base.uf2"), "--sha256", sha256_of(UF2))
    assert code == 75 and str(BootDriveGone.number) in said
    assert kgo.endings() == [(str(drive.folder), "failed", BootDriveGone.number)]


def test_one_of_two_boards_that_does_not_come_leaves_no_copy_done(
    kgo: Kgo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.flash.cli_head.AWAY_S_MAX", 3.0)
    good, early = BootDrive(tmp_path / "RPI-RP2"), BootDrive(tmp_path / "RPI-RP3", fault=DriveFault.LEAVES_EARLY)
    base = ("--base", str(tmp_path / "base.uf2"), "--sha256", sha256_of(UF2))
    with (
        board_at(tmp_path / "board0", base=None, drive=good, board=board_name(0)),
        board_at(tmp_path / "board1", base=None, drive=early, board=board_name(1)),
    ):
        code, said = kgo("head", "--all", *base)
    assert code == 1 and "1 good, 1 failed" in said
    number = BootDriveGone.number
    assert kgo.endings()[0] in [(str(good.folder), "done", 0), (str(good.folder), "failed", number)]
    assert kgo.endings()[1:] == [(str(early.folder), "failed", number), ("e660000000000000", "done", 0)]


def test_base_and_hash_may_stand_in_the_settings(kgo: Kgo, tmp_path: Path) -> None:
    with (tmp_path / "bench.toml").open("a") as settings:
        settings.write(f'base = "base.uf2"\nbase_sha256 = "{sha256_of(UF2)}"\n')
    drive = BootDrive(tmp_path / "RPI-RP2")
    with board_at(tmp_path / "board0", base=None, drive=drive):
        code, said = kgo("head")
    assert code == 0 and "1 good, 0 failed" in said
