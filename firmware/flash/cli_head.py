"""`kgo-flash boards`, `head` and `blink`: which boards are here, firmware onto one or twenty. DESIGN §3.

Boards are flashed side by side, each with a bar of its own; one that is refused keeps no other from its firmware.
"""

import os
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeVar

from rich.progress import Progress, TaskID

from firmware.flash.base_copy import BaseFile, copy_base, read_base
from firmware.flash.bench import OK, REFUSED, AddCommand, Bench
from firmware.flash.board_files import BoardFiles
from firmware.flash.board_ports import POLL_S, BoardPort, Ports, Recent, claimed, names, names_of
from firmware.flash.boards import AWAY_S_MAX, Board, Kind, check_drive, drive_at, drives, identity, is_new, look
from firmware.flash.flashing import STEPS, UNCHANGED, WHAT, Flashed, FlashRun, check_board, flash_head
from firmware.flash.head_files import compile_head_files, version_text
from firmware.flash.head_talk import HeadTalk
from firmware.flash.record import DONE, FAILED, Record
from offline_ledger.errors import BoardLost, BootDriveGone, NoBoardFound, NoHeadThere, Refusal, SeveralBoards
from offline_ledger.terminal.drivers.serial_port import PORT_ERRORS, close_port
from offline_ledger.texts.command_line import whole

SIDE_BY_SIDE_MAX = 20
SECONDS_MAX = 600
KEEP_S = 0.5
BLINK_MS_MAX = 60_000
"""One order to blink is for no longer: its field has two bytes."""

T = TypeVar("T")
R = TypeVar("R")


def add(add_command: AddCommand) -> None:
    """The three commands."""
    add_command("boards", run_boards)
    head = add_command("head", run_head)
    head.add_argument("port", nargs="*", metavar="PORT")
    head.add_argument("--all", action="store_true")
    head.add_argument("--base", default="", metavar="FILE")
    head.add_argument("--sha256", default="", metavar="HEX")
    blink = add_command("blink", run_blink)
    blink.add_argument("port", metavar="PORT")
    blink.add_argument("--seconds", type=whole(blink.texts, 1, SECONDS_MAX), default=10, metavar="N")


# --- boards


def run_boards(bench: Bench, _said: Namespace) -> int:
    """A line for each board."""
    ports = ports_of(bench)
    found = drives(bench.settings.text("head.drives"))
    with ThreadPoolExecutor(SIDE_BY_SIDE_MAX) as threads:
        found += threads.map(lambda port: _known(ports, port), ports.all())
    if not found:
        raise NoBoardFound()
    for board in found:
        bench.print(line_of(bench, board))
    return OK


def ports_of(bench: Bench) -> Ports:
    """Those on USB, and those that the settings name besides."""
    return Ports(bench.settings.text("head.ports"), Recent())


def line_of(bench: Bench, board: Board) -> str:
    """What a board is, for a person."""
    texts = bench.texts
    if board.refusal is not None:
        detail = texts.detail(board.refusal)
        title = f"{board.refusal.number} {texts.title(board.refusal)}"
        return f"{board.name}: {title}" + (f" ({detail})" if detail else "")
    if board.greeting is not None:
        said = board.greeting
        return texts.get(
            "flash.board_head",
            port=board.name,
            version=version_text(said.version),
            oldest=said.oldest,
            newest=said.newest,
            board=said.board,
        )
    return texts.get(f"flash.board_{board.kind.value}", port=board.name, says=board.says)


def _known(ports: Ports, port: BoardPort) -> Board:
    """What is on it; a board at its prompt says what it is, and whether it could be flashed."""
    try:
        with claimed(*names_of(port)):
            board = look(ports, port)
            if board.kind is not Kind.PROMPT:
                return board
            found = BoardFiles(ports.path(port)).ask()
        check_board(found)
    except Refusal as refusal:
        return Board(Kind.REFUSED, port, refusal=refusal)
    except OSError as error:
        return Board(Kind.REFUSED, port, refusal=BoardLost(f"{error}"))
    return board._replace(says=f"MicroPython {found.release}, {found.machine}, {found.board}")


# --- head


class Result(NamedTuple):
    """Of one board or drive: one of the two."""

    name: str
    flashed: Flashed | None
    refusal: Refusal | None


class Copy(NamedTuple):
    """A base that was copied to a drive. Without a refusal its job is still open: has a board come of it?"""

    name: str
    job: int
    bar: TaskID
    refusal: Refusal | None = None


class Bars:
    """A bar for each board; told by many threads."""

    def __init__(self, bench: Bench, progress: Progress) -> None:
        self._bench, self._progress = bench, progress
        self._lock = Lock()

    def add(self, name: str, step: str, total: int) -> TaskID:
        """A new bar."""
        return self._progress.add_task(self._words(name, step), total=total)

    def step(self, bar: TaskID, name: str, step: str, completed: int | None = None) -> None:
        """It is there now."""
        with self._lock:
            self._progress.update(bar, description=self._words(name, step), completed=completed)

    def advance(self, bar: TaskID, by: int) -> None:
        """So much more."""
        self._progress.advance(bar, by)

    def end(self, bar: TaskID, name: str, step: str) -> None:
        """Full, or where it stopped."""
        with self._lock:
            total = next(task.total for task in self._progress.tasks if task.id == bar) if step == "done" else None
            self._progress.update(bar, description=self._words(name, step), completed=total)
            self._progress.stop_task(bar)

    def forget(self, bar: TaskID) -> None:
        """No more of this bar."""
        with self._lock:
            self._progress.remove_task(bar)

    def note(self, name: str, step: str) -> None:
        """What this board is at; its bar stays as it is."""
        with self._lock:
            for task in self._progress.tasks:
                if task.description.startswith(f"{name}  "):
                    self._progress.update(task.id, description=self._words(name, step))

    def drop(self, name: str) -> None:
        """No more of this board."""
        with self._lock:
            for task in self._progress.tasks:
                if task.description.startswith(f"{name}  "):
                    self._progress.remove_task(task.id)

    def _words(self, name: str, step: str) -> str:
        return f"{name}  {self._bench.texts.get(f'flash.step_{step}')}"


def run_head(bench: Bench, said: Namespace) -> int:
    """Firmware onto the boards that were named, the only one, or all."""
    ports = ports_of(bench)
    boards, wanted = _chosen(bench, ports, said)
    for board in boards:
        check_drive(board)
    base = base_named(bench, said) if boards else None
    with shared(bench, ports) as run, bench.progress() as progress:
        bars = Bars(bench, progress)
        results: list[Result] = []
        came: list[BoardPort] = []
        if base is not None:
            before = [identity(port) for port in ports.all()]
            copies = _side_by_side(boards, lambda board: copy_one(run, bars, board, base))
            taken = [copy for copy in copies if copy.refusal is None]
            came = _come(ports, before, len(taken))
            results += [Result(copy.name, None, copy.refusal) for copy in copies if copy.refusal is not None]
            results += _end_copies(run, bars, taken, len(taken) - len(came))
        based = run._replace(base_sha256=base.sha256 if base is not None else "")
        results += _side_by_side(
            [*((run, port) for port in wanted), *((based, port) for port in came)],
            lambda target: flash_one(target[0], bars, target[1]),
        )
    return _told(bench, results)


def _chosen(bench: Bench, ports: Ports, said: Namespace) -> tuple[list[Board], list[BoardPort]]:
    """Boot drives and ports. Raises NoBoardFound, SeveralBoards."""
    if said.port:
        return _named(ports, said.port)
    found, plugged = drives(bench.settings.text("head.drives")), ports.all()
    if not found and not plugged:
        raise NoBoardFound()
    if len(found) + len(plugged) > 1 and not said.all:
        raise SeveralBoards(", ".join([*(board.name for board in found), *([names(plugged)] if plugged else [])]))
    return found, plugged


def _named(ports: Ports, wanted: Sequence[str]) -> tuple[list[Board], list[BoardPort]]:
    """Each once, however often and by whichever of its names it was given."""
    found: dict[str, Board] = {}
    plugged: dict[str, BoardPort] = {}
    for name in wanted:
        if (drive := drive_at(Path(name))) is not None:
            found.setdefault(os.path.realpath(name), drive)
        else:
            port = ports.named(name)
            plugged.setdefault(names_of(port)[-1], port)
    return list(found.values()), list(plugged.values())


def base_named(bench: Bench, said: Namespace) -> BaseFile:
    """The MicroPython that is named. Raises BaseNotNamed and what reading it can."""
    named = bench.settings.text("head.base")
    file = said.base or (str(bench.settings.path("head.base")) if named else "")
    return read_base(file, said.sha256 or ("" if said.base else bench.settings.text("head.base_sha256")))


@contextmanager
def shared(bench: Bench, ports: Ports) -> Iterator[FlashRun]:
    """Record and compiled files, for one run."""
    record = Record.open(bench.settings.path("bench.record"))
    try:
        with tempfile.TemporaryDirectory(prefix="kgo-head-") as folder:
            files = compile_head_files(Path(folder))
            yield FlashRun(ports, files, record, bench.settings.text("bench.technician"), bench.now_s)
    finally:
        record.close()


def _side_by_side(targets: Sequence[T], act: Callable[[T], R]) -> list[R]:
    with ThreadPoolExecutor(SIDE_BY_SIDE_MAX) as threads:
        return list(threads.map(act, targets))


def copy_one(run: FlashRun, bars: Bars, board: Board, base: BaseFile) -> Copy:
    """MicroPython onto one drive; a job of its own in the record."""
    bar = bars.add(board.name, "copy_base", len(base.data) // 1024)
    intended = {"base_name": base.name, "base_sha256": base.sha256}
    copy = Copy(board.name, run.record.begin(WHAT, board.name, intended, run.who, run.now_s()), bar)
    try:
        run.record.step(copy.job, "copy_base", run.now_s())
        copy_base(board, base, lambda count: bars.advance(bar, count // 1024))
    except Refusal as refusal:
        end_copy(run, bars, copy, refusal)
        return copy._replace(refusal=refusal)
    return copy


def _end_copies(run: FlashRun, bars: Bars, copies: Sequence[Copy], missing: int) -> list[Result]:
    """The copies whose drives have gone as they should. Nothing tells which drive a board was: where only some of the
    boards came, no copy is said to be done."""
    refusal = BootDriveGone() if missing > 0 else None
    for copy in copies:
        end_copy(run, bars, copy, refusal)
    if missing == len(copies):
        return [Result(copy.name, None, refusal) for copy in copies]
    return [Result(", ".join(copy.name for copy in copies), None, refusal)] * max(0, missing)


def end_copy(run: FlashRun, bars: Bars, copy: Copy, refusal: Refusal | None) -> None:
    """Its job is over."""
    if refusal is None:
        run.record.end(copy.job, DONE, {"result": "restarted"}, run.now_s())
    else:
        run.record.end(copy.job, FAILED, {}, run.now_s(), refusal.number)
    bars.end(copy.bar, copy.name, "done" if refusal is None else "failed")


def _come(ports: Ports, before: list[tuple[str, str]], count: int) -> list[BoardPort]:
    """The ports of the boards that just got their MicroPython, when all are there or none comes any more."""
    until_s = time.monotonic() + AWAY_S_MAX
    found: list[BoardPort] = []
    while len(found) < count and time.monotonic() < until_s:
        time.sleep(POLL_S)
        found = [port for port in ports.all() if is_new(port, before)]
    return found


def flash_one(run: FlashRun, bars: Bars, port: BoardPort) -> Result:
    """One board, with a bar; a refusal is its result."""
    bar = bars.add(port.name, "look", len(run.files.hashes) + len(STEPS))
    try:
        done = flash_head(run, port, lambda step, sent: bars.step(bar, port.name, step, STEPS.index(step) + sent))
    except Refusal as refusal:
        bars.end(bar, port.name, "failed")
        return Result(port.name, None, refusal)
    bars.end(bar, port.name, "done")
    return Result(port.name, done, None)


def _told(bench: Bench, results: list[Result]) -> int:
    """A line for each board, what helps once for each kind of refusal; one board alone is told as every refusal is."""
    if len(results) == 1 and results[0].refusal is not None:
        raise results[0].refusal
    remedies: dict[int, str] = {}
    for name, flashed, refusal in results:
        tell_one(bench, Result(name, flashed, refusal))
        if refusal is not None:
            remedies[refusal.number] = bench.texts.remedy(refusal)
    for number, remedy in sorted(remedies.items()):
        bench.print(f"{number}: {remedy}")
    good = sum(result.flashed is not None for result in results)
    bench.say("head_sum", good=good, failed=len(results) - good)
    return OK if good == len(results) else REFUSED


def tell_one(bench: Bench, result: Result) -> None:
    """Its line."""
    if result.refusal is not None:
        bench.print(line_of(bench, Board(Kind.REFUSED, BoardPort(result.name), refusal=result.refusal)))
    elif result.flashed is not None:
        key = "head_unchanged" if result.flashed.result == UNCHANGED else "head_done"
        bench.say(key, port=result.name, **result.flashed._asdict())


# --- blink


def run_blink(bench: Bench, said: Namespace) -> int:
    """One head blinks and beeps, until its time is over or Ctrl-C."""
    ports = ports_of(bench)
    port = ports.named(said.port)
    with claimed(*names_of(port)):
        found = look(ports, port)
        if found.refusal is not None:
            raise found.refusal
        if found.kind is not Kind.HEAD:
            raise NoHeadThere(port.name)
        try:
            opened = ports.open(port)
            try:
                _blink(bench, HeadTalk(opened), port, said.seconds)
            finally:
                close_port(opened)
        except PORT_ERRORS as error:
            raise BoardLost(f"{port.name}: {error}") from error
    return OK


def _blink(bench: Bench, talk: HeadTalk, port: BoardPort, seconds: int) -> None:
    greeting = talk.greet()
    until_s = time.monotonic() + seconds
    if greeting is None or not talk.identify(min(seconds * 1_000, BLINK_MS_MAX)):
        raise NoHeadThere(port.name)
    bench.say("blinking", port=port.name, board=greeting.board, seconds=seconds)
    again_s = time.monotonic() + BLINK_MS_MAX / 1_000
    while (left_s := until_s - time.monotonic()) > 0:
        if time.monotonic() > again_s:  # the head's own time for it is over
            again_s = time.monotonic() + BLINK_MS_MAX / 1_000
            talk.identify(min(int(left_s * 1_000), BLINK_MS_MAX))
        talk.keep()
        time.sleep(min(KEEP_S, left_s))
