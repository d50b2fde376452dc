"""One board from what it is to a running head: prompt, files, trial, switch, greeting; each step in the record first.

The order is the proof (decision 0203): the new files lie beside the running ones, are read back and have run once
before main.py names them. Whatever is cut, the board starts the old firmware or the new one. FIELD_LESSONS 36.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from firmware.flash.board_files import (
    BoardFiles,
    Inventory,
    Plan,
    is_reading,
    is_restarting,
    is_sending,
    is_starting,
    plan_for,
)
from firmware.flash.board_ports import BoardPort, Ports, claimed, names_of
from firmware.flash.boards import Board, Kind, ask_prompt, await_gone, await_head, await_prompt, look
from firmware.flash.head_files import HeadFiles, version_text
from firmware.flash.head_talk import Greeting
from firmware.flash.record import DONE, FAILED, Record
from firmware.link.messages import CAUSE_TRIAL
from offline_ledger.errors import (
    BoardFull,
    BoardLost,
    BoardOfOtherChip,
    FirmwareSilent,
    MicroPythonTooOld,
    OtherMachine,
    OtherProgram,
    PromptNotGiven,
    Refusal,
)
from offline_ledger.terminal.drivers.serial_port import PORT_ERRORS

WHAT = "flash-head"
CHIP, OTHER_CHIP = "RP2040", "RP2350"
MICROPYTHON_LEAST = (1, 24)
BYTECODE = 6
BLOCK_BYTES = 4_096
SPARE_BLOCKS = 4
"""Room that LittleFS needs for its own folders."""
HELLO_S_MAX = 10.0
STEPS = ("ask_prompt", "read_board", "send_files", "read_back", "try_new", "leave_trial", "switch", "restart", "greet")
"""What stands in the record, in this order; a board at its prompt has no `ask_prompt`, a whole one no sending."""
NEW, UNCHANGED = "new", "unchanged"

Told = Callable[[str, int], None]
"""`told(step, sent)`: a step begins, or so many files were sent in it."""


class Flashed(NamedTuple):
    """What is verified: read back from the board, and said by its new firmware. `result`: NEW or UNCHANGED."""

    board: str
    machine: str
    release: str
    version: str
    result: str
    sent: int


class FlashRun(NamedTuple):
    """What every board of one run shares. `base_sha256`: of the MicroPython that was just copied to it."""

    ports: Ports
    files: HeadFiles
    record: Record
    who: str
    now_s: Callable[[], int]
    base_sha256: str = ""


def nothing_told(_step: str, _sent: int) -> None:
    """Nobody watches."""


def flash_head(run: FlashRun, port: BoardPort, told: Told = nothing_told) -> Flashed:
    """All of it, or a Refusal by its number; the record has the same."""
    with claimed(*names_of(port)):
        found = look(run.ports, port, may_interrupt=True)
        if found.refusal is not None:
            raise found.refusal
        return _Flash(run, port, told).run(found)


class _Flash:
    def __init__(self, run: FlashRun, port: BoardPort, told: Told) -> None:
        self._shared, self._port, self._told = run, port, told
        self._job = 0
        self._board = ""
        self._sent = 0
        self._verified: dict[str, str] = {}
        self._is_left_at_prompt = False
        self._is_interrupted = False

    def run(self, found: Board) -> Flashed:
        board: Inventory | None = None
        if found.kind is Kind.PROMPT:
            board = self._files().ask()  # only reads; who it is must be known before the record can name it
        self._is_interrupted = found.is_interrupted
        name = board.board if board is not None else found.greeting.board if found.greeting is not None else ""
        self._job = self._shared.record.begin(WHAT, name, self._intended(name), self._shared.who, self._shared.now_s())
        try:
            done = self._flash(found.greeting, board)
        except Refusal as refusal:
            self._leave()
            self._end(FAILED, refusal.number)
            raise
        self._end(DONE, 0)
        return done

    def _leave(self) -> None:
        """What it ran before runs again, at the latest when it is plugged anew."""
        with suppress(Refusal, *PORT_ERRORS):
            if self._is_left_at_prompt:
                self._files().restart()
            elif self._is_interrupted:
                self._files().restart_unmarked()
            else:
                return
            await_gone(self._shared.ports, self._port)

    def _flash(self, greeting: Greeting | None, board: Inventory | None) -> Flashed:
        if greeting is not None:
            self._to_prompt("ask_prompt")
            self._is_left_at_prompt = True
        if board is None:
            self._step("read_board")
            board = self._files().ask()
        self._board = board.board
        if greeting is not None and greeting.board != board.board:
            raise BoardLost(f"{greeting.board} became {board.board}")
        check_board(board)
        if self._is_interrupted:  # one for a head: left as such from here
            self._is_left_at_prompt, self._is_interrupted = True, False
        plan = plan_for(board, self._shared.files)
        if plan.changes_files or plan.is_switch:
            self._fill(plan, board)
            self._try(plan, board)
            self._step("switch")
            self._files().restart(plan, lambda line: self._step("restart") if is_restarting(line) else None)
        else:
            self._step("restart")
            self._files().restart()
        self._verified |= {"files_sha256": self._shared.files.sha256}
        self._is_left_at_prompt = False
        await_gone(self._shared.ports, self._port)
        self._step("greet")
        version = self._greeted(board, HELLO_S_MAX * 2)
        self._verified |= {"firmware_version": version, "result": UNCHANGED}
        if plan.changes_files or plan.is_switch:
            self._verified["result"] = NEW
        return Flashed(board.board, board.machine, board.release, version, self._verified["result"], self._sent)

    def _fill(self, plan: Plan, board: Inventory) -> None:
        self._step("send_files")
        check_room(plan, self._shared.files, board)

        def hear(line: str) -> None:
            if is_sending(line):
                self._sent += 1
                self._told("send_files", self._sent)
            elif is_reading(line):
                self._step("read_back")
            elif is_starting(line):
                self._step("try_new")

        self._files().fill(plan, self._shared.files, hear, then_start=not board.is_old_layout)

    def _try(self, plan: Plan, board: Inventory) -> None:
        """The new firmware has run once, from its folder, before main.py names it."""
        if board.is_old_layout:  # that firmware would not let go of the cable again
            self._step("try_new")
            self._files().load(plan.slot)
            return
        self._is_left_at_prompt = False
        try:
            self._greeted(board, HELLO_S_MAX, is_trial=True)
        except FirmwareSilent:
            self._is_left_at_prompt = await_prompt(self._shared.ports, self._port, HELLO_S_MAX / 4)
            raise
        self._to_prompt("leave_trial")
        self._is_left_at_prompt = True

    def _to_prompt(self, step: str) -> None:
        self._step(step)
        greeting = ask_prompt(self._shared.ports, self._port)
        if greeting is None or not greeting.has_service:
            raise PromptNotGiven(f"protocol {greeting.oldest}-{greeting.newest}" if greeting else "")
        if not await_prompt(self._shared.ports, self._port):
            raise PromptNotGiven()

    def _greeted(self, board: Inventory, wait_s: float, *, is_trial: bool = False) -> str:
        wanted = version_text(self._shared.files.version)
        greeting, said = await_head(self._shared.ports, self._port, wait_s)
        if greeting is None:
            raise FirmwareSilent(f"it said: {said[-200:]}")
        if greeting.board != board.board:
            raise BoardLost(f"{board.board} became {greeting.board}")
        if (greeting.cause == CAUSE_TRIAL) is not is_trial:  # it ended itself, and the old one greets
            raise FirmwareSilent(f"reset cause {greeting.cause}")
        if greeting.version != self._shared.files.version:
            raise FirmwareSilent(f"it runs {version_text(greeting.version)}, not {wanted}")
        self._verified |= {"serial": board.board, "model": board.machine, "base_name": f"MicroPython {board.release}"}
        return wanted

    def _files(self) -> BoardFiles:
        try:
            return BoardFiles(self._shared.ports.path(self._port), self._board)
        except PORT_ERRORS as error:
            raise BoardLost(f"{self._port.name}: {error}") from error

    def _step(self, name: str) -> None:
        self._shared.record.step(self._job, name, self._shared.now_s())
        self._told(name, self._sent)

    def _intended(self, name: str) -> dict[str, str]:
        files = self._shared.files
        intended = {
            "serial": name,
            "files_sha256": files.sha256,
            "firmware_version": version_text(files.version),
            "base_sha256": self._shared.base_sha256,
        }
        return {key: value for key, value in intended.items() if value}

    def _end(self, outcome: str, number: int) -> None:
        self._shared.record.end(self._job, outcome, self._verified, self._shared.now_s(), number)


def check_board(board: Inventory) -> None:
    """Raises BoardOfOtherChip, OtherMachine, MicroPythonTooOld, OtherProgram."""
    if OTHER_CHIP in board.machine:
        raise BoardOfOtherChip(board.machine)
    if CHIP not in board.machine:
        raise OtherMachine(board.machine)
    if release_of(board.release) < MICROPYTHON_LEAST or board.bytecode != BYTECODE:
        raise MicroPythonTooOld(f"the board has version {board.release}")
    if board.has_other_program:
        raise OtherProgram()


def release_of(text: str) -> tuple[int, int]:
    """`1.24.1` or `1.25.0-preview` as numbers; (0, 0) for what is no version."""
    parts = text.split("-")[0].split(".")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        return 0, 0
    return int(parts[0]), int(parts[1])


def check_room(plan: Plan, files: HeadFiles, board: Inventory) -> None:
    """Raises BoardFull before the first byte is sent. Files have whole blocks; what is removed counts as room."""
    names = [*plan.send, *(name for _, name in plan.copy)]
    sizes = [(files.folder / name[len(plan.slot) + 1 :]).stat().st_size for name in names]
    needed = sum(-(-size // BLOCK_BYTES) for size in sizes if size > BLOCK_BYTES // 8) + SPARE_BLOCKS
    room = board.free_bytes // BLOCK_BYTES + len(plan.remove)
    if needed > room:
        raise BoardFull(f"{needed * BLOCK_BYTES} bytes needed, {board.free_bytes} free")
