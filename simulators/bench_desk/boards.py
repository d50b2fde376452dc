"""The boards on the bench, by number: each with boot drive and port, and the hands that handle them. DESIGN §11."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from simulators.board import BootDrive, SimulatedBoard
from simulators.head import Button
from simulators.head.recording import STATE_NAMES

SERIAL = 0xE660_5838_8300_0000
AT_PROMPT = "prompt"
IN_BOOTSEL = "bootsel"
UNPLUGGED = "unplugged"


class Boards:
    """So many boards, fresh from their bags: BOOTSEL is held, as nothing is on them."""

    def __init__(self, folder: Path, count: int) -> None:
        self._open = ExitStack()
        (folder / "ports").mkdir(parents=True, exist_ok=True)
        self.boards: dict[int, SimulatedBoard] = {}
        for number in range(1, count + 1):
            drive = BootDrive(folder / "drives" / f"RPI-RP2-{number}")
            drive.folder.parent.mkdir(exist_ok=True)
            name = (SERIAL + number).to_bytes(8, "big")
            self.boards[number] = SimulatedBoard(folder / "ports" / f"board{number:02d}", drive=drive, board=name)

    def __enter__(self) -> Self:
        for board in self.boards.values():
            self._open.enter_context(board)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def told(self, number: int) -> str:
        """What the board is now: `unplugged`, `bootsel`, `prompt`, or the name of what its ring shows."""
        board = self.boards[number]
        if board.drive is not None and board.drive.is_there:
            return IN_BOOTSEL
        if not board.is_plugged:
            return UNPLUGGED
        if board.is_at_prompt:
            return AT_PROMPT
        state = board.state()
        return STATE_NAMES.get(state, "-") if state is not None else "-"

    def obey(self, word: str, number: int, rest: str) -> None:
        """One of `HANDS` for one board. Raises KeyError: no such word or board; ValueError: what follows is wrong."""
        HANDS[word](self.boards[number], rest)


def _bootsel(board: SimulatedBoard, _rest: str) -> None:
    board.unplug()
    board.hold_bootsel()
    board.plug()


def _press(board: SimulatedBoard, rest: str) -> None:
    button, _, how = rest.partition(" ")
    if how not in ("", "long"):
        raise ValueError(how)
    board.press(Button(int(button)), long=how == "long")


HANDS: Mapping[str, Callable[[SimulatedBoard, str], None]] = {
    "plug": lambda board, _rest: board.plug(),
    "unplug": lambda board, _rest: board.unplug(),
    "bootsel": _bootsel,
    "cut": lambda board, rest: board.cut_power_at(int(rest)),
    "press": _press,
    "open": lambda board, _rest: board.tamper(True),
    "close": lambda board, _rest: board.tamper(False),
    "scan": lambda board, rest: board.scan(rest),
}
"""The words of the bench that need a board; each is explained under `sim.bench.word.` in the catalogue."""
