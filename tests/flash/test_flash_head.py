"""Firmware onto one board: new, changed, unchanged, and every way to be refused. FIELD_LESSONS 34 to 36."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from firmware.flash.board_files import (
    MARK,
    RESTART_ASKED,
    SERVICE_REGISTER,
    BoardFiles,
    Inventory,
    in_slot,
    inventory_of,
    main_text,
    plan_for,
)
from firmware.flash.boot_text import BOOT_CHARACTERS_MAX
from firmware.flash.flashing import STEPS, check_board, flash_head, release_of
from firmware.flash.head_files import FIRMWARE, HeadFiles, sources
from firmware.flash.head_talk import harmless_hello
from firmware.link import messages
from firmware.link.frames import Decoder
from firmware.reader_head import pins
from offline_ledger.errors import (
    BoardFull,
    BoardLost,
    BoardOfOtherChip,
    FileDiffers,
    FirmwareSilent,
    MicroPythonTooOld,
    OtherMachine,
    OtherProgram,
    PromptNotGiven,
    Refusal,
)
from simulators.board import Base
from tests.flash.heads import HeadBench, board_at, firmware_with, image_of, mpremote

SLOT_A, SLOT_B = "/head_a", "/head_b"
SAID = (
    '{"name": ["rp2", "rp2", "1.24.1", "v1.24.1", "Raspberry Pi Pico W with RP2040"], "id": "e6", "bytecode": 6,'
    f' "main": null, "boot": "#", "files": {{"/head_a/x": "{"1" * 64}"}}, "free": 848}}'
)
"""What a board's line may look like."""


def test_a_fresh_board_becomes_a_head(head_bench: HeadBench) -> None:
    with board_at(head_bench.link) as board:
        done = head_bench.flash()
        assert (done.version, done.result, done.sent) == ("0.2.0", "new", len(head_bench.files.hashes))
        assert head_bench.steps == [step for step in STEPS if step not in ("ask_prompt", "read_board")]
        assert head_bench.version() == "0.2.0"
        board.wait_for(messages.OUT_OF_SERVICE)
    assert head_bench.last_job() == ("done", "greet", 0)
    assert head_bench.verified() == {
        "base_name": "MicroPython 1.24.1",
        "files_sha256": head_bench.files.sha256,
        "firmware_version": "0.2.0",
        "model": "Raspberry Pi Pico W with RP2040",
        "result": "new",
        "serial": "e660583883000001",
    }


def test_only_what_changed_is_sent_and_what_did_not_is_not_touched(
    head_bench: HeadBench, head_image: bytes, newer_files: HeadFiles
) -> None:
    with board_at(head_bench.link, head_image):
        done = head_bench.flash(newer_files)
        assert (done.version, done.result, done.sent) == ("0.2.1", "new", 1)
        again = head_bench.flash(newer_files)
        assert (again.result, again.sent) == ("unchanged", 0)
        assert head_bench.steps == ["ask_prompt", "read_board", "restart", "greet"]
        assert head_bench.version() == "0.2.1"


def test_a_board_that_is_full_says_so_and_runs_what_it_ran(
    head_bench: HeadBench, head_image: bytes, newer_files: HeadFiles
) -> None:
    with board_at(head_bench.link, head_image, held=(pins.BUTTON_1,)) as board:
        fill = (
            "import os\nf=open('/filler','wb')\nfor _ in range(os.statvfs('/')[3]-4): f.write(bytes(4096))\nf.close()"
        )
        mpremote(head_bench, "exec", fill)
        board.press()
        board.unplug()
        board.plug()
        with pytest.raises(BoardFull, match="free"):
            head_bench.flash(newer_files)
        assert head_bench.last_job() == ("failed", "send_files", BoardFull.number)
        assert head_bench.version() == "0.2.0"


def test_a_board_too_small_for_the_firmware_is_full_in_the_middle(head_bench: HeadBench) -> None:
    """The room that is reckoned beforehand is not all: the file system itself says so too."""
    with board_at(head_bench.link, flash_bytes=8 * 4096):
        files = BoardFiles(head_bench.ports.path(head_bench.port))
        plan = plan_for(files.ask(), head_bench.files)
        with pytest.raises(BoardFull):
            files.fill(plan, head_bench.files, lambda _line: None)


@pytest.mark.parametrize(
    ("base", "refusal"),
    [
        (Base(release="1.23.0"), MicroPythonTooOld),
        (Base(machine="Raspberry Pi Pico 2 W with RP2350"), BoardOfOtherChip),
        (Base(machine="Generic ESP32 module with ESP32"), OtherMachine),
    ],
)
def test_what_is_no_board_for_a_head_is_left_alone(head_bench: HeadBench, base: Base, refusal: type[Refusal]) -> None:
    with board_at(head_bench.link, base=base):
        with pytest.raises(refusal):
            head_bench.flash()
        assert head_bench.last_job() == ("failed", "", refusal.number)
        assert "main.py" not in mpremote(head_bench, "fs", "ls") and "head_a" not in mpremote(head_bench, "fs", "ls")


def test_somebody_elses_program_is_not_overwritten(head_bench: HeadBench) -> None:
    with board_at(head_bench.link):
        mpremote(head_bench, "exec", "f=open('/main.py','w');f.write('print(1)');f.close()")
        with pytest.raises(OtherProgram):
            head_bench.flash()
        assert mpremote(head_bench, "fs", "cat", ":main.py") == "print(1)"


COMMENTS = "# This file is executed on every boot\n#import webrepl\n" * 12
IDLE_BOOTS = [
    "",
    COMMENTS,
    "import os, machine\nimport gc\ngc.collect()\n",
    "from time import sleep\npass\ngc.threshold(9)",
]
BUSY_BOOTS = [
    COMMENTS + "import mine\n",
    "import gc; gc.collect(mine())",
    "import machine\nmachine.freq(9)",
    "from . import gc",
    "print 1",
    "\0",
    "(" * 2_000,
    "#" * (BOOT_CHARACTERS_MAX + 1),
]


@pytest.mark.parametrize("boot", IDLE_BOOTS)
def test_a_boot_py_that_does_nothing_is_nobodys(boot: str) -> None:
    assert len(COMMENTS) > 400
    check_board(board_with(None, {})._replace(boot=boot))


@pytest.mark.parametrize("boot", BUSY_BOOTS)
def test_a_boot_py_that_does_anything_is_somebodys_program(boot: str) -> None:
    with pytest.raises(OtherProgram):
        check_board(board_with(None, {})._replace(boot=boot))


def test_somebodys_boot_py_runs_again_after_it_was_refused(head_bench: HeadBench) -> None:
    """It runs before main.py, and may never end."""
    with board_at(head_bench.link) as board:
        write(head_bench, "/boot.py", f"{COMMENTS}import time\nwhile True:\n    time.sleep_ms(5)\n")
        board.unplug()
        board.plug()
        board.wait_until(lambda: board.is_foreign_running, "boot.py")
        with pytest.raises(OtherProgram):
            head_bench.flash()
        board.wait_until(lambda: board.is_foreign_running, "boot.py after the restart")
        assert head_bench.look().is_interrupted
        write(head_bench, "/boot.py", IDLE_BOOTS[2])
        assert head_bench.flash().result == "new" and head_bench.version() == "0.2.0"


def write(bench: HeadBench, name: str, text: str) -> None:
    """By hand, at the prompt."""
    mpremote(bench, "exec", f"f=open({name!r},'w');f.write({text!r});f.close()")


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", '{"name": 5}', '{"name": ["rp2"], "files": []}', "[" * 5_000, SAID.replace("848", "{}")],
)
def test_what_a_board_says_of_itself_is_judged(line: str) -> None:
    assert inventory_of(SAID) == board_with(None, {"/head_a/x": "1" * 64})._replace(free_bytes=848, boot="#")
    with pytest.raises(ValueError):
        inventory_of(line)


def test_firmware_that_does_not_run_is_never_switched_to(
    head_bench: HeadBench, head_image: bytes, tmp_path: Path
) -> None:
    """It falls over at once: the head restarts by itself with the old one, which has the same version."""
    broken = firmware_with(tmp_path / "broken", {"reader_head/head.py": ("gc.collect()", "gc.collect(7, 7)")})
    with board_at(head_bench.link, head_image):
        with pytest.raises(FirmwareSilent):
            head_bench.flash(broken)
        assert head_bench.last_job() == ("failed", "try_new", FirmwareSilent.number)
        assert head_bench.version() == "0.2.0"
        assert head_bench.flash().result == "unchanged"


def test_a_file_that_reads_back_otherwise_is_told(head_bench: HeadBench, head_files: HeadFiles) -> None:
    """What lies on the disk here is no longer what was hashed: for the board the same as a failing memory."""
    name = "firmware/link/frames.mpy"
    wrong = head_files._replace(hashes={**head_files.hashes, name: "0" * 64})
    with board_at(head_bench.link):
        with pytest.raises(FileDiffers, match=name):
            head_bench.flash(wrong)
        assert head_bench.version() is None  # no main.py was written
    assert head_bench.last_job() == ("failed", "read_back", FileDiffers.number)


def test_a_head_that_knows_no_service_wants_its_button(
    head_bench: HeadBench, tmp_path: Path, newer_files: HeadFiles
) -> None:
    old = firmware_with(
        tmp_path / "old", {"link/messages.py": ("PROTOCOL_NEWEST = const(2)", "PROTOCOL_NEWEST = const(1)")}
    )
    with board_at(head_bench.link, held=(pins.BUTTON_1,)) as board:
        mpremote(
            head_bench,
            *("fs", "cp", "-r", str(old.folder / "firmware"), ":/"),
            *(
                "+",
                "exec",
                "f=open('/main.py','w');f.write('from firmware.reader_head.main import main\\nmain()\\n');f.close()",
            ),
        )
        board.press()
        board.unplug()
        board.plug()
        board.wait_until(lambda: board.is_ready and not board.is_at_prompt, "the old firmware")
        with pytest.raises(PromptNotGiven, match="protocol 1-1"):
            head_bench.flash()
        assert head_bench.last_job() == ("failed", "ask_prompt", PromptNotGiven.number)
    with board_at(head_bench.link, held=(pins.BUTTON_1,)) as board:  # a head of the first layout, by its button
        board.press()
        assert head_bench.flash(newer_files).version == "0.2.1"
        assert mpremote_names(head_bench) >= {"firmware"}
        assert head_bench.flash(newer_files).result == "new"  # the first layout's folder goes
        assert head_bench.flash(newer_files).result == "unchanged"


def mpremote_names(bench: HeadBench) -> set[str]:
    """The folders and files in a running head's root."""
    from firmware.flash.boards import ask_prompt, await_prompt

    ask_prompt(bench.ports, bench.port)
    assert await_prompt(bench.ports, bench.port)
    return {line.split()[-1].rstrip("/") for line in mpremote(bench, "fs", "ls").splitlines()[1:]}


def test_a_board_that_goes_away_in_the_middle_is_told(head_bench: HeadBench) -> None:
    with board_at(head_bench.link) as board:
        board.unplug()
        board.cut_power_at(30)
        board.plug()
        board.wait_until(lambda: board.is_ready, "the board")
        with pytest.raises(BoardLost):
            head_bench.flash()
    assert head_bench.last_job() == ("failed", "send_files", BoardLost.number)


def test_a_board_that_is_pulled_out_where_it_restarts_is_named_as_gone(
    head_bench: HeadBench, head_image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as a head that keeps its port nor as firmware that does not run, and long before those are known."""
    monkeypatch.setattr("firmware.flash.boards.ABSENT_S_MAX", 3.0)
    with board_at(head_bench.link, head_image) as board:

        def told(step: str, _sent: int) -> None:
            if step == "greet":
                board.unplug()

        with pytest.raises(BoardLost, match="unplugged"):
            flash_head(head_bench.run_with(), head_bench.port, told)
    assert head_bench.last_job() == ("failed", "greet", BoardLost.number)


class Cut(Exception):
    """The laptop's program ends here, without a last word."""


def test_a_new_board_that_kept_its_power_over_a_cut_before_the_switch_is_flashed_at_once(head_bench: HeadBench) -> None:
    """It has no main.py, which would have taken the wish for the prompt back."""

    def told(step: str, _sent: int) -> None:
        if step == "switch":
            raise Cut()

    with board_at(head_bench.link):
        with pytest.raises(Cut):
            flash_head(head_bench.run_with(), head_bench.port, told)
        done = head_bench.flash()
        assert (done.result, done.sent) == ("new", 0) and head_bench.version() == "0.2.0"


# --- what is decided without a board


def test_the_files_are_the_same_wherever_they_are_compiled(tmp_path: Path, head_files: HeadFiles) -> None:
    again = firmware_with(tmp_path, {})
    assert again.hashes == head_files.hashes and again.sha256 == head_files.sha256
    assert set(head_files.hashes) == {
        f"firmware/{source.relative_to(FIRMWARE).with_suffix('.mpy').as_posix()}" for source in sources()
    }
    assert firmware_with(
        tmp_path / "b", {"reader_head/pins.py": ("BUZZER = const(6)", "BUZZER = const(7)")}
    ).sha256 != (head_files.sha256)


def test_a_source_that_does_not_compile_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="clock"):
        firmware_with(tmp_path, {"reader_head/clock.py": ("import time", "import time as")})


def board_with(main: str | None, files: Mapping[str, str]) -> Inventory:
    return Inventory("1.24.1", "Raspberry Pi Pico W with RP2040", "e6", 6, main, files, 800_000)


def test_the_running_folder_is_never_changed(head_files: HeadFiles, newer_files: HeadFiles) -> None:
    running = main_text(SLOT_A, head_files)
    plan = plan_for(board_with(running, in_slot(SLOT_A, head_files)), newer_files)
    assert plan.slot == SLOT_B and plan.is_switch
    assert plan.send == ("/head_b/firmware/reader_head/version.mpy",)
    assert len(plan.copy) == len(head_files.hashes) - 1
    assert all(source.startswith(SLOT_A) and target.startswith(SLOT_B) for source, target in plan.copy)


def test_what_a_broken_flash_left_is_used_and_cleaned_up(head_files: HeadFiles, newer_files: HeadFiles) -> None:
    running = main_text(SLOT_A, head_files)
    left = in_slot(SLOT_A, head_files) | {"/head_b/firmware/old.mpy": "1" * 64}
    left["/head_b/firmware/link/const.mpy"] = "2" * 64  # half a file
    plan = plan_for(board_with(running, left), newer_files)
    assert plan.remove == ("/head_b/firmware/old.mpy",)
    assert "/head_b/firmware/link/const.mpy" in [target for _, target in plan.copy]
    whole = in_slot(SLOT_A, head_files) | in_slot(SLOT_B, newer_files)
    plan = plan_for(board_with(running, whole), newer_files)
    assert (plan.slot, plan.changes_files, plan.is_switch) == (SLOT_B, False, True)
    plan = plan_for(board_with(running, whole), head_files)
    assert (plan.slot, plan.changes_files, plan.is_switch) == (SLOT_A, False, False)
    plan = plan_for(board_with(None, {}), head_files)
    assert (plan.slot, len(plan.send), plan.is_switch) == (SLOT_A, len(head_files.hashes), True)


@pytest.mark.parametrize("main", ["", "import mine", f"{MARK} 9\nsys.path.insert(0, '/sd')"])
def test_a_main_py_that_is_not_ours(main: str) -> None:
    with pytest.raises(OtherProgram):
        check_board(board_with(main, {}))


def test_bytecode_of_another_format_is_too_old() -> None:
    with pytest.raises(MicroPythonTooOld):
        check_board(board_with(None, {})._replace(bytecode=5))


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("1.24.1", (1, 24)),
        ("1.25.0-preview", (1, 25)),
        ("1.24", (1, 24)),
        ("", (0, 0)),
        ("next", (0, 0)),
        ("1", (0, 0)),
    ],
)
def test_releases(text: str, release: tuple[int, int]) -> None:
    assert release_of(text) == release


def test_the_register_is_the_firmwares() -> None:
    assert (SERVICE_REGISTER, RESTART_ASKED) == (pins.SERVICE_REGISTER, pins.RESTART_ASKED)


def test_a_port_that_is_another_boards_by_now_gets_nothing(head_bench: HeadBench, head_image: bytes) -> None:
    """The name of a port may be given to another board while this one restarts."""
    with board_at(head_bench.link, head_image, held=(pins.BUTTON_1,)):
        before = image_of(head_bench.link).read_bytes()
        files = BoardFiles(head_bench.ports.path(head_bench.port), "e660000000000000")
        plan = plan_for(files.ask(), head_bench.files)._replace(
            main="print(1)", send=("/head_b/firmware/__init__.mpy",)
        )
        with pytest.raises(BoardLost, match="another board"):
            files.fill(plan, head_bench.files, lambda _line: None)
        with pytest.raises(BoardLost, match="another board"):
            files.restart(plan)
        assert image_of(head_bench.link).read_bytes() == before


def test_a_greeting_is_harmless_to_a_prompt(slice_of: Callable[[int, int], int]) -> None:
    """Neither Ctrl-C, which would stop a board that is about to restart, nor Ctrl-D, nor Ctrl-E."""
    for _ in range(slice_of(100_000, 300)):
        session, frame = harmless_hello()
        assert not {3, 4, 5}.intersection(frame)
        ((kind, _, payload),) = Decoder().push(frame)
        assert kind == messages.HELLO and messages.read_opening(payload) == (1, 2, session)
