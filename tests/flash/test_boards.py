"""What is plugged in is told for what it is; what cannot be used is told with what helps. FIELD_LESSONS 34."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import pytest
import serial
from serial.tools.list_ports_common import ListPortInfo

from firmware.flash.base_copy import copy_base, read_base
from firmware.flash.board_ports import BoardPort, Ports, Recent, by_number, claimed, names_of, usb_ports
from firmware.flash.boards import Board, Kind, drives, identity, is_drive_gone, is_new, look
from firmware.flash.uf2 import UF2_BYTES_MAX
from offline_ledger.errors import (
    BaseDamaged,
    BaseForOtherChip,
    BaseHashWrong,
    BaseNotNamed,
    BaseUnreadable,
    BoardOfOtherChip,
    BoardPortForbidden,
    BoardPortInUse,
    BoardPortOfRoot,
    BoardSilent,
    BootDriveFull,
    BootDriveGone,
    BootDriveReadOnly,
    BootDriveStays,
    NoBoardFound,
    NoPort,
    Refusal,
)
from simulators.board import RP2350_FAMILY, Base, BootDrive, DriveFault, uf2_of
from simulators.pty_port import PtyDevice
from tests.flash.heads import HeadBench, board_at, sha256_of

UF2 = uf2_of(Base())


def test_a_boot_drive_a_prompt_and_a_head_are_told_apart(
    head_bench: HeadBench, head_image: bytes, tmp_path: Path
) -> None:
    drive = BootDrive(tmp_path / "RPI-RP2")
    with board_at(tmp_path / "board1", base=None, drive=drive):
        (found,) = drives(f"{tmp_path}/RPI-*")
        assert found[:4] == Board(Kind.DRIVE, drive=drive.folder, says="RPI-RP2")[:4]
    with board_at(head_bench.link):
        found = head_bench.look()
        assert found.kind is Kind.PROMPT and found.says.startswith("MicroPython ")
    with board_at(head_bench.link, head_image):
        found = head_bench.look()
        assert found.kind is Kind.HEAD and found.greeting is not None
        assert found.greeting[:4] == (1, 2, (0, 2, 0), "e660583883000001")
        assert head_bench.look().kind is Kind.HEAD  # asking changed nothing


def test_drives_are_the_mounted_ones_that_say_what_they_are(tmp_path: Path) -> None:
    stick, board = tmp_path / "a stick", tmp_path / "สมชาย RPI-RP2"
    stick.mkdir()
    drive = BootDrive(board, RP2350_FAMILY)
    drive.appear()
    try:
        rows = ["proc /proc proc rw 0 0", f"/dev/sdd1 {tmp_path} ext4 rw 0 0", "none"]
        rows += ["/dev/sdb1 {} vfat rw 0 0".format(str(folder).replace(" ", "\\040")) for folder in (stick, board)]
        (tmp_path / "mounts").write_text("\n".join(rows))
        assert [(found.drive, found.says) for found in drives("", tmp_path / "mounts")] == [(board, "RP2350")]
    finally:
        drive.leave()
    assert drives("", tmp_path / "nowhere") == []


def test_a_port_that_nobody_answers_on(head_bench: HeadBench) -> None:
    with PtyDevice(head_bench.link):
        found = head_bench.look()
        assert isinstance(found.refusal, BoardSilent)


def test_a_port_that_is_not_there(head_bench: HeadBench) -> None:
    assert isinstance(head_bench.look().refusal, NoBoardFound)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_port_is_told_as_none(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "named")
    found = look(Ports(), BoardPort(str(tmp_path / "named")))
    assert isinstance(found.refusal, NoPort)


def test_a_pattern_finds_no_port_in_what_may_not_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `/proc/*/fd/*` in hostile settings: even to ask where such a name leads is forbidden there."""
    for name in ("board0", "board1"):
        (tmp_path / name).symlink_to("/dev/null")
    lead = os.readlink

    def readlink(path: str, *more: object) -> str:
        if path.endswith("board0"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return lead(path)

    def may_not_look(path: Path) -> bool:
        if path.name == "board0":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return True

    monkeypatch.setattr(os, "readlink", readlink)
    monkeypatch.setattr(Path, "is_char_device", may_not_look)
    assert [one.name for one in Ports(f"{tmp_path}/board*", list).all()] == [str(tmp_path / "board1")]


def test_a_port_is_claimed_under_all_its_names_until_it_is_done_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.flash.board_ports.CLAIM_S_MAX", 0.0)
    (tmp_path / "by-id").symlink_to("/dev/null")
    one, again = BoardPort(str(tmp_path / "by-id")), BoardPort("/dev/null")
    with claimed(*names_of(one)), pytest.raises(BoardPortInUse, match="another kgo-flash"), claimed(*names_of(again)):
        pass
    with claimed(*names_of(again)), claimed("E1"), claimed("E2"):
        assert names_of(BoardPort("/dev/ttyACM1", "E1")) == ("E1",)
    code = "import os,signal\nfrom firmware.flash.board_ports import claimed\n"
    code += "with claimed('/dev/null'): os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with claimed(*names_of(again)):
        pass


def test_a_pseudo_terminals_number_is_no_boards_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one board restarts, its number is given to the next one that is plugged."""
    monkeypatch.setattr("firmware.flash.board_ports.CLAIM_S_MAX", 0.0)
    for name, target in (("board0", "/dev/pts/99999"), ("board1", "/dev/pts/99999"), ("by-id", tmp_path / "board0")):
        (tmp_path / name).symlink_to(target)
    one, two, again = (names_of(BoardPort(str(tmp_path / name))) for name in ("board0", "board1", "by-id"))
    with claimed(*one), claimed(*two):
        pass
    with claimed(*one), pytest.raises(BoardPortInUse), claimed(*again):
        pass


def test_a_port_that_another_program_holds(head_bench: HeadBench) -> None:
    with PtyDevice(head_bench.link), serial.Serial(str(head_bench.link), exclusive=True):
        assert isinstance(head_bench.look().refusal, BoardPortInUse)


def test_a_port_that_is_held_for_a_moment_is_waited_for(head_bench: HeadBench) -> None:
    """As by a program that looks at every new port."""
    with board_at(head_bench.link):
        held = serial.Serial(str(head_bench.link), exclusive=True)
        ending = Timer(0.3, held.close)
        ending.start()
        assert head_bench.look().kind is Kind.PROMPT
        ending.join()


@pytest.mark.parametrize(
    ("mode", "group", "refusal", "helps"),
    [
        (0o060, 20, BoardPortForbidden, "sudo usermod -aG dialout "),
        (0o060, 0, BoardPortOfRoot, "sudo tee /etc/udev/rules.d/"),
        (0o000, 20, BoardPortOfRoot, 'GROUP="dialout"'),
    ],
)
def test_a_port_without_the_right_to_it_names_the_command_that_helps(
    head_bench: HeadBench, mode: int, group: int, refusal: type[Refusal], helps: str
) -> None:
    """Asked in a process without root's right to open everything; for an ordinary user the group is the system's."""
    with PtyDevice(head_bench.link):
        port = os.path.realpath(head_bench.link)
        weak: list[str] = []
        if os.geteuid() == 0:
            os.chown(port, -1, group)
            weak = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        elif mode and not group:
            return
        else:
            helps = helps.replace("dialout ", "")
        os.chmod(port, mode)
        code = (
            "from firmware.flash.board_ports import BoardPort, Ports\nfrom firmware.flash.boards import look\n"
            f"refusal = look(Ports(), BoardPort({port!r})).refusal\nprint(refusal.number, refusal.detail)"
        )
        done = subprocess.run([*weak, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    number, detail = done.stdout.strip().split(" ", 1)
    assert int(number) == refusal.number and detail.startswith(f"{port}: ") and helps in detail


def test_a_board_on_usb_is_found_under_its_new_name(tmp_path: Path) -> None:
    """Two boards restart at once and change names: each is known by its serial number."""
    for name in ("ttyACM0", "ttyACM1"):
        (tmp_path / name).touch()
    on_usb = [BoardPort(str(tmp_path / "ttyACM0"), "E1"), BoardPort(str(tmp_path / "ttyACM1"), "E2")]
    ports = Ports(f"{tmp_path}/tty*", lambda: list(on_usb))
    first = ports.named(str(tmp_path / "ttyACM0"))
    assert first.serial == "E1" and ports.all() == on_usb
    on_usb[:] = [BoardPort(str(tmp_path / "ttyACM1"), "E1"), BoardPort(str(tmp_path / "ttyACM0"), "E2")]
    assert ports.path(first) == str(tmp_path / "ttyACM1")
    assert not is_new(first, [identity(first)])
    on_usb.clear()
    with pytest.raises(FileNotFoundError):
        ports.path(first)
    assert isinstance(look(ports, first).refusal, NoBoardFound)


def test_what_is_on_usb_is_asked_for_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    seen = Recent(lambda: [BoardPort(f"/dev/ttyACM{asked.append(0.0) or len(asked)}")])
    first = seen()
    until_s = time.monotonic() + 10
    while seen() is first:
        assert time.monotonic() < until_s
    assert len(asked) == 2 and seen()[0].name == "/dev/ttyACM2"


def test_a_debug_probe_on_usb_is_no_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind its port is the console of something else, which takes Ctrl-C to heart."""
    found = [ListPortInfo(f"/dev/ttyACM{number}") for number in range(3)]
    for port, (vendor, product) in zip(found, [(0x2E8A, 0x000C), (0x2E8A, 0x0005), (0x1A86, 0x7523)], strict=True):
        port.vid, port.pid, port.serial_number = vendor, product, "E6"
    monkeypatch.setattr("firmware.flash.board_ports.list_ports.comports", lambda: found)
    assert usb_ports() == [BoardPort("/dev/ttyACM1", "E6")]


# --- MicroPython onto the boot drive


@pytest.mark.parametrize(
    ("data", "named", "refusal"),
    [
        (UF2, "", BaseNotNamed),
        (UF2, "0" * 64, BaseHashWrong),
        (UF2 + bytes(1), None, BaseDamaged),
        (uf2_of(Base(), family=RP2350_FAMILY), None, BaseForOtherChip),
        (bytes(UF2_BYTES_MAX + 1), None, BaseDamaged),
        (None, "0" * 64, BaseUnreadable),
    ],
)
def test_a_base_is_checked_before_any_board_sees_it(
    tmp_path: Path, data: bytes | None, named: str | None, refusal: type[Refusal]
) -> None:
    file = tmp_path / "base.uf2"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(refusal):
        read_base(str(file), sha256_of(data or b"") if named is None else named)


def test_a_hash_may_be_written_in_either_case(tmp_path: Path) -> None:
    (tmp_path / "base.uf2").write_bytes(UF2)
    base = read_base(str(tmp_path / "base.uf2"), sha256_of(UF2).upper() + "\n")
    assert base.name == "base.uf2" and base.sha256 == sha256_of(UF2)


@pytest.mark.parametrize(
    ("fault", "refusal"),
    [
        (DriveFault.READ_ONLY, BootDriveReadOnly),
        (DriveFault.FULL, BootDriveFull),
        (DriveFault.STAYS, BootDriveStays),
    ],
)
@pytest.mark.parametrize("may_mount", [True, False])
def test_a_drive_that_does_not_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: DriveFault, refusal: type[Refusal], may_mount: bool
) -> None:
    if not may_mount:  # as in a container, or for an ordinary user
        monkeypatch.setattr(BootDrive, "_mount", lambda *_words: False)
    (tmp_path / "base.uf2").write_bytes(UF2)
    base = read_base(str(tmp_path / "base.uf2"), sha256_of(UF2))
    with board_at(tmp_path / "board0", base=None, drive=BootDrive(tmp_path / "RPI-RP2", fault=fault)) as board:
        (drive,) = drives(f"{tmp_path}/RPI-*")
        with pytest.raises(refusal):
            copy_base(drive, base, lambda _bytes: None, leaves_s=0.3)
        assert board.base is None


def test_a_drive_that_goes_before_the_last_byte_is_told(tmp_path: Path) -> None:
    (tmp_path / "base.uf2").write_bytes(UF2)
    base = read_base(str(tmp_path / "base.uf2"), sha256_of(UF2))
    drive = BootDrive(tmp_path / "RPI-RP2")
    drive.appear()
    (found,) = drives(f"{tmp_path}/RPI-*")
    drive.leave()
    with pytest.raises(BootDriveGone):
        copy_base(found, base, lambda _bytes: None)


def test_a_drive_whose_mount_stays_is_gone_with_its_device(tmp_path: Path) -> None:
    """The folder still answers, from memory; another board's drive may have the device's name by then."""
    (tmp_path / "base.uf2").write_bytes(UF2)
    base = read_base(str(tmp_path / "base.uf2"), sha256_of(UF2))
    drive = BootDrive(tmp_path / "RPI-RP2", fault=DriveFault.MOUNT_STAYS)
    (tmp_path / "other").touch()  # a node of its own: a file made later may get the number of one that is gone
    with board_at(tmp_path / "board0", base=None, drive=drive) as board:
        (tmp_path / "mounts").write_text(drive.listed())
        (found,) = drives("", tmp_path / "mounts")
        copy_base(found, base, lambda _bytes: None, leaves_s=3.0)
        assert board.base is not None and (drive.folder / "INFO_UF2.TXT").exists()
        (tmp_path / "other").rename(drive.device)
        assert is_drive_gone(found) and not is_drive_gone(found._replace(source=""))


def test_a_drive_that_goes_while_the_file_is_closed_has_taken_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last words to a disk that has gone fail, a moment before its device is seen to go."""

    def failing(_descriptor: int) -> None:
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr("firmware.flash.base_copy.os.fsync", failing)
    (tmp_path / "base.uf2").write_bytes(UF2)
    base = read_base(str(tmp_path / "base.uf2"), sha256_of(UF2))
    drive = BootDrive(tmp_path / "RPI-RP2")
    drive.appear()
    (found,) = drives(f"{tmp_path}/RPI-*")
    with pytest.raises(BootDriveGone, match="gone"):
        copy_base(found, base, lambda _bytes: None, leaves_s=0.1)
    leaving = Timer(0.3, drive.leave)
    leaving.start()
    copy_base(found, base, lambda _bytes: None)
    leaving.join()


def test_a_drive_of_another_chip_gets_nothing(tmp_path: Path) -> None:
    (tmp_path / "base.uf2").write_bytes(UF2)
    base = read_base(str(tmp_path / "base.uf2"), sha256_of(UF2))
    with board_at(tmp_path / "board0", base=None, drive=BootDrive(tmp_path / "RP2350", RP2350_FAMILY)):
        (drive,) = drives(f"{tmp_path}/RP2*")
        with pytest.raises(BoardOfOtherChip):
            copy_base(drive, base, lambda _bytes: None)
        assert sorted(file.name for file in (tmp_path / "RP2350").iterdir()) == ["INDEX.HTM", "INFO_UF2.TXT"]


def test_ports_are_counted_as_people_count() -> None:
    names = ["/dev/ttyACM10", "/dev/ttyACM2", "/dev/ttyACM1", "/dev/ttyACM", "/dev/a9"]
    assert sorted(names, key=by_number) == ["/dev/a9", "/dev/ttyACM", "/dev/ttyACM1", "/dev/ttyACM2", "/dev/ttyACM10"]
