"""Which boards are here, and what each is: boot drive, MicroPython's prompt, our head, or nobody knows. DESIGN §11.

Looks and asks; changes nothing. A boot drive is a mounted volume with INFO_UF2.TXT.
"""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from glob import glob
from pathlib import Path
from typing import NamedTuple, TypeVar

import serial

from firmware.flash.board_ports import POLL_S, BoardPort, Ports
from firmware.flash.head_talk import PROMPT_S_MAX, Greeting, HeadTalk
from offline_ledger.errors import (
    BoardLost,
    BoardOfOtherChip,
    BoardPortForbidden,
    BoardPortInUse,
    BoardSilent,
    NoBoardFound,
    Refusal,
)
from offline_ledger.terminal.drivers.serial_port import PORT_ERRORS, close_port

INFO = "INFO_UF2.TXT"
INFO_BYTES_MAX = 2_000
RP2040_DRIVE = "RPI-RP2"
MOUNTS = Path("/proc/self/mounts")
_FAT = ("vfat", "msdos")
AWAY_S_MAX = 20.0
"""From a restart until a board's port must be there again: the boot, USB, and a busy laptop."""
ABSENT_S_MAX = 8.0
"""A port that is nowhere for so long has been pulled out: a restart takes a second, twenty on one hub a few."""
GONE_S_MAX = 3.0
"""From the order to restart until its port must be gone."""
SETTLE_S_MAX = 2.0

_PASSING = (BoardLost, BoardPortForbidden, BoardPortInUse)
"""What a port may say while its board restarts."""

T = TypeVar("T")


class Kind(Enum):
    """What a board is."""

    DRIVE = "drive"
    PROMPT = "prompt"
    HEAD = "head"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """No head, no prompt, and not asked further: a program of somebody's may run on it."""


class Board(NamedTuple):
    """One board. `port` or `drive`; `says` is MicroPython's word or the drive's Board-ID."""

    kind: Kind
    port: BoardPort | None = None
    drive: Path | None = None
    says: str = ""
    greeting: Greeting | None = None
    refusal: Refusal | None = None
    is_interrupted: bool = False
    """A program ran on it until it was asked for its prompt."""
    source: str = ""
    """The device that the drive is mounted from; empty where the system names none."""
    node: int = 0
    """That device's own number."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.port.name if self.port is not None else str(self.drive)


def drives(pattern: str = "", mounts: Path = MOUNTS) -> list[Board]:
    """Every boot drive: mounted volumes with FAT, and folders that a pattern names."""
    folders = {os.path.realpath(name): name for name in glob(pattern)} if pattern else dict[str, str]()
    for mount in _mounted(mounts):
        if mount.kind in _FAT:
            folders.setdefault(os.path.realpath(mount.folder), mount.folder)
    found = (drive_at(Path(name), mounts) for name in sorted(folders.values()))
    return [board for board in found if board is not None]


def drive_at(folder: Path, mounts: Path = MOUNTS) -> Board | None:
    """The boot drive in this folder, if it is one."""
    says = _board_id(folder)
    if says is None:
        return None
    real = os.path.realpath(folder)
    sources = [mount.source for mount in _mounted(mounts) if os.path.realpath(mount.folder) == real]
    source = sources[-1] if sources and sources[-1].startswith("/") else ""
    return Board(Kind.DRIVE, drive=folder, says=says, source=source, node=_node(source))


def is_drive_gone(board: Board) -> bool:
    """Also where its mount stays and answers from memory: the device that it was mounted from is another, or none."""
    assert board.drive is not None
    if board.source and _node(board.source) != board.node:
        return True
    return _board_id(board.drive) is None


class _Mount(NamedTuple):
    source: str
    folder: str
    kind: str


def _mounted(mounts: Path) -> list[_Mount]:
    with suppress(OSError):
        rows = (f"{line}   ".split(" ") for line in mounts.read_text("utf-8", "surrogateescape").splitlines())
        return [_Mount(_plain(source), _plain(folder), kind) for source, folder, kind, *_ in rows]
    return []


def _plain(name: str) -> str:
    """The kernel writes a space in it as \\040."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), name)


def _node(source: str) -> int:
    """Another one for each device that appears under this name."""
    try:
        return os.stat(source).st_ino if source else 0
    except OSError:
        return 0


def _board_id(folder: Path) -> str | None:
    try:
        with (folder / INFO).open("rb") as file:
            said = file.read(INFO_BYTES_MAX).decode("ascii", "replace")
    except OSError:
        return None
    for line in said.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "Board-ID":
            return value.strip()
    return None


def check_drive(board: Board) -> None:
    """Raises BoardOfOtherChip."""
    if board.says != RP2040_DRIVE:
        raise BoardOfOtherChip(f"{board.drive}: {board.says}")


def look(ports: Ports, port: BoardPort, *, may_interrupt: bool = False) -> Board:
    """What is on this port. A refusal is part of the answer. `may_interrupt`: somebody's program may be ended to get
    the prompt; without it such a board is UNKNOWN."""
    try:
        return _look(ports, port, may_interrupt)
    except Refusal as refusal:
        return Board(Kind.REFUSED, port, refusal=refusal)
    except FileNotFoundError:
        return Board(Kind.REFUSED, port, refusal=NoBoardFound(port.name))
    except PORT_ERRORS as error:
        return Board(Kind.REFUSED, port, refusal=BoardLost(f"{port.name}: {error}"))


def _settled(ports: Ports, port: BoardPort) -> serial.Serial:
    """A board that restarts is away for a moment. A port that has just appeared is nobody's until the system gives it
    its group, or belongs to a program that looks at every new one."""
    until_s = time.monotonic() + SETTLE_S_MAX
    while True:
        try:
            return ports.open(port)
        except (FileNotFoundError, BoardPortForbidden, BoardPortInUse):
            if time.monotonic() > until_s:
                raise
        time.sleep(POLL_S)


def _look(ports: Ports, port: BoardPort, may_interrupt: bool) -> Board:
    opened = _settled(ports, port)
    try:
        talk = HeadTalk(opened)
        is_interrupted = False
        for patience in (1, 4, 8):  # a busy laptop or board may need a second, longer round
            if (greeting := talk.greet(patience * PROMPT_S_MAX)) is not None:
                return Board(Kind.HEAD, port, greeting=greeting)
            if not talk.has_shown_prompt:
                if not may_interrupt:
                    continue
                is_interrupted = True  # also when its prompt comes in the next round: a program may end slowly
            if (says := talk.prompt(patience * PROMPT_S_MAX)) is not None:
                return Board(Kind.PROMPT, port, says=says, is_interrupted=is_interrupted)
        if may_interrupt:
            raise BoardSilent(port.name)
        return Board(Kind.UNKNOWN, port)
    finally:
        close_port(opened)


def await_prompt(ports: Ports, port: BoardPort, wait_s: float = AWAY_S_MAX) -> bool:
    """Until MicroPython's prompt is on it. False: it never came. Raises BoardLost."""
    return _await(ports, port, lambda talk: talk.prompt(), wait_s) is not None


def await_head(ports: Ports, port: BoardPort, wait_s: float = AWAY_S_MAX) -> tuple[Greeting | None, str]:
    """Until a head greets; else what came instead of a greeting. Raises BoardLost."""
    said = [b""]

    def greet(talk: HeadTalk) -> Greeting | None:
        greeting = talk.greet()
        said[0] = talk.said or said[0]
        return greeting

    return _await(ports, port, greet, wait_s), said[0].decode("ascii", "replace")


def ask_prompt(ports: Ports, port: BoardPort) -> Greeting | None:
    """Have a running head restart into the prompt; its greeting, None if no head answered. Raises BoardLost."""
    try:
        opened = _settled(ports, port)
        try:
            talk = HeadTalk(opened)
            greeting = talk.greet()
            if greeting is not None and greeting.has_service:
                talk.ask_prompt()
                talk.await_gone(GONE_S_MAX)
            return greeting
        finally:
            close_port(opened)
    except PORT_ERRORS as error:
        raise BoardLost(f"{port.name}: {error}") from error


def await_gone(ports: Ports, port: BoardPort) -> None:
    """Until a board that was told to restart has let go of its port."""
    with suppress(*PORT_ERRORS, *_PASSING):
        opened = ports.open(port)
        try:
            HeadTalk(opened).await_gone(GONE_S_MAX)
        finally:
            close_port(opened)


def _await(ports: Ports, port: BoardPort, ask: Callable[[HeadTalk], T | None], wait_s: float) -> T | None:
    seen_s = time.monotonic()
    until_s = seen_s + wait_s
    while time.monotonic() < until_s:
        try:
            opened = ports.open(port)
            try:
                if (answer := ask(HeadTalk(opened))) is not None:
                    return answer
            finally:
                close_port(opened)
                seen_s = time.monotonic()
        except FileNotFoundError as error:
            if time.monotonic() - seen_s > ABSENT_S_MAX:
                raise BoardLost(f"{port.name}: it was unplugged") from error
        except (*PORT_ERRORS, *_PASSING):  # it goes, or another board has its name for a moment
            seen_s = time.monotonic()
        time.sleep(POLL_S)
    return None


def is_new(board: BoardPort, before: list[tuple[str, str]]) -> bool:
    """Was this port not there before, or is it another one under the same name?"""
    return identity(board) not in before


def identity(port: BoardPort) -> tuple[str, str]:
    """Tells a port from one that was there before under the same name."""
    return port.serial or port.name, "" if port.serial else os.path.realpath(port.name)
