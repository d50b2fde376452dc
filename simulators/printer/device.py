"""A receipt printer that behaves, and misbehaves by name. It knows no wire: bytes in, answers out. DESIGN §11.

Paper is a picture that grows; a cut ends it. Status bits after Epson's ESC/POS command reference, DLE EOT n: bits 1 and
4 are always set; n=1 bit 2 drawer sensor, bit 3 offline; n=2 bit 2 cover open, bit 5 stopped by paper end, bit 6 error;
n=3 bit 3 cutter, bit 6 recovers by itself; n=4 bits 2 and 3 paper near its end, bits 5 and 6 at its end. GS r 1: bits 0
and 1 near its end, bits 2 and 3 at its end. Offline, it answers real-time questions and leaves the rest in its buffer.
"""

import random
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from simulators.printer.interpreter import Command, Interpreter, Kind

WIDTH_DOTS = {58: 384, 80: 576}
BUFFER_BYTES = 4_096
"""Of the smallest printers; what is over it is lost, and counted."""
LINE_DOTS = 30
CUTTER_DOTS = 40
SHEETS_MAX = 64
PULSES_MAX = 1_000
UNKNOWN_KEPT_MAX = 64
FIXED = 0x12


class Fault(Enum):
    """What is wrong with the printer, until it is well again; `…_ONCE` at the next chance only."""

    NO_PAPER = "no_paper"
    PAPER_NEAR_END = "paper_near_end"
    COVER_OPEN = "cover_open"
    CUTTER_JAMMED = "cutter_jammed"
    HOT = "hot"
    PAUSED = "paused"  # offline, and no reason is told
    HANG = "hang"  # takes no bytes and answers nothing
    SILENT = "silent"  # takes bytes and answers nothing: a clone without status
    NO_DONE = "no_done"  # a clone that knows DLE EOT but not GS r
    SLOW = "slow"  # takes its bytes in small pieces
    GARBAGE_STATUS = "garbage_status"
    DRAWER_STUCK = "drawer_stuck"
    TELLS_BY_ITSELF = "tells_by_itself"  # its status comes unasked (ASB), until GS a 0
    NO_PAPER_MID_PRINT_ONCE = "no_paper_mid_print_once"
    COVER_OPEN_MID_PRINT_ONCE = "cover_open_mid_print_once"
    HANG_MID_PRINT_ONCE = "hang_mid_print_once"
    DISCONNECT_MID_PRINT_ONCE = "disconnect_mid_print_once"


OFFLINE = (Fault.NO_PAPER, Fault.COVER_OPEN, Fault.CUTTER_JAMMED, Fault.HOT, Fault.PAUSED)
_MID_PRINT = {
    Fault.NO_PAPER_MID_PRINT_ONCE: Fault.NO_PAPER,
    Fault.COVER_OPEN_MID_PRINT_ONCE: Fault.COVER_OPEN,
    Fault.HANG_MID_PRINT_ONCE: Fault.HANG,
}
MID_PRINT_BANDS = 5
"""So many bands of a receipt come out before one of these happens."""


class Pulse(NamedTuple):
    """One on the drawer's socket: pin 2 or 5, ms on and off."""

    pin: int
    on_ms: int
    off_ms: int


class SimulatedPrinter:
    """One printer. Not thread-safe: whoever has the wire takes turns."""

    def __init__(
        self, paper_mm: int = 80, seed: int = 1, *, drawer_pin: int = 2, is_high_when_open: bool = True
    ) -> None:
        """`drawer_pin`: where the drawer's magnet hangs, 2 or 5; a pulse on the other opens nothing.
        `is_high_when_open`: how its sensor's switch is wired."""
        self.width_dots = WIDTH_DOTS[paper_mm]
        self.faults: set[Fault] = set()
        self.sheets: list[Image.Image] = []
        """What was cut off, oldest first; the newest SHEETS_MAX."""
        self.pulses: list[Pulse] = []
        self.is_drawer_open = False
        self._drawer_pin, self._is_high_when_open = drawer_pin, is_high_when_open
        self.unknown: list[bytes] = []
        self.unknown_bytes = self.lost_bytes = self.starts = self.sheets_cut = self.bands_on_sheet = 0
        self.texts = ""
        self.tells_by_itself = True
        """ASB, as a program before us may have left it; GS a 0 ends it."""
        self.disconnect: Callable[[], None] = lambda: None
        self._interpreter = Interpreter()
        self._bands: list[Image.Image] = []
        self._rng = random.Random(seed)

    @property
    def is_offline(self) -> bool:
        """It prints nothing for now."""
        return any(fault in self.faults for fault in OFFLINE)

    @property
    def takes_bytes(self) -> bool:
        """Whether it reads its line."""
        return Fault.HANG not in self.faults

    def fault(self, *faults: Fault) -> None:
        """From now on."""
        self.faults |= set(faults)

    def well(self, *faults: Fault) -> bytes:
        """No longer; what waited in its buffer is printed. What it answers to that. Without any named: all."""
        self.faults -= set(faults or tuple(Fault))
        return self._work()

    def close_drawer(self) -> None:
        """As the cashier does."""
        self.is_drawer_open = False

    def switch_off_and_on(self) -> None:
        """What was in its buffer is gone; the paper is where it was."""
        self._interpreter.clear()
        self.faults.discard(Fault.HANG)

    def receive(self, data: bytes) -> bytes:
        """Takes what the line brings; its answers."""
        answers = b"".join(self._now(command) for command in self._interpreter.receive(data))
        answers += self._work()
        over = self._interpreter.waiting_bytes - BUFFER_BYTES
        if over > 0 and self.is_offline:
            self.lost_bytes += over
        return b"" if Fault.SILENT in self.faults else answers

    def paper(self) -> Image.Image | None:
        """What hangs out of it, not yet cut; None: nothing."""
        return _stacked(self._bands, self.width_dots) if self._bands else None

    def save(self, folder: Path) -> list[Path]:
        """Every sheet as PNG."""
        folder.mkdir(parents=True, exist_ok=True)
        saved: list[Path] = []
        for number, sheet in enumerate(self.sheets, start=self.sheets_cut - len(self.sheets) + 1):
            saved.append(folder / f"receipt-{number:04d}.png")
            sheet.save(saved[-1])
        return saved

    # --- inside

    def _work(self) -> bytes:
        """The commands in the buffer, in their turn, until there are none or something stops it."""
        answers = b""
        if self.is_offline or not self.takes_bytes:
            return answers
        for command in self._interpreter.commands():
            answers += self._do(command)
            if Fault.TELLS_BY_ITSELF in self.faults and self.tells_by_itself:
                answers += b"\x10\x00\x00\x00"
            if self.is_offline or not self.takes_bytes:
                break
        return answers

    def _now(self, command: Command) -> bytes:
        if command.kind is Kind.STATUS:
            if Fault.GARBAGE_STATUS in self.faults:
                return bytes([self._rng.choice((0xFF, 0x81, 0xC3))])
            return bytes([self._status(command.values[0])])
        if command.kind is Kind.NOW and command.values[0] == 1:
            self._pulse(command.values[1] & 1, 100, 100)
        elif command.kind is Kind.NOW and command.values[0] == 8:
            self._interpreter.clear()
        return b""

    def _status(self, question: int) -> int:
        faults = self.faults
        match question:
            case 1:
                return FIXED | 0x04 * (self.is_drawer_open is self._is_high_when_open) | 0x08 * self.is_offline
            case 2:
                is_error = bool(faults & {Fault.CUTTER_JAMMED, Fault.HOT})
                return FIXED | 0x04 * (Fault.COVER_OPEN in faults) | 0x20 * (Fault.NO_PAPER in faults) | 0x40 * is_error
            case 3:
                return FIXED | 0x08 * (Fault.CUTTER_JAMMED in faults) | 0x40 * (Fault.HOT in faults)
            case 4:
                is_low = bool(faults & {Fault.NO_PAPER, Fault.PAPER_NEAR_END})
                return FIXED | 0x0C * is_low | 0x60 * (Fault.NO_PAPER in faults)
            case _:
                return FIXED

    def _do(self, command: Command) -> bytes:
        match command.kind:
            case Kind.START:
                self.starts += 1
            case Kind.RASTER:
                self._band(command)
            case Kind.FEED_LINES | Kind.FEED_DOTS | Kind.LINE:
                self._feed(_dots_of(command))
            case Kind.CUT:
                self._cut()
            case Kind.PULSE:
                pin, on, off = command.values
                self._pulse(pin & 1, on * 2, off * 2)
            case Kind.DONE:
                return self._done()
            case Kind.ASB:
                self.tells_by_itself = command.values[0] != 0
            case Kind.TEXT:
                self.texts += chr(command.values[0])
            case Kind.UNKNOWN:
                self.unknown_bytes += len(command.values)
                if len(self.unknown) < UNKNOWN_KEPT_MAX:
                    self.unknown.append(bytes(command.values))
            case _:
                pass
        return b""

    def _done(self) -> bytes:
        if Fault.NO_DONE in self.faults:
            return b""
        return bytes([0x03 * (Fault.PAPER_NEAR_END in self.faults)])

    def _band(self, command: Command) -> None:
        width, rows = command.values
        band = Image.new("1", (self.width_dots, rows), 1)  # what is wider than the head is not printed
        band.paste(Image.frombytes("1", (width * 8, rows), bytes(byte ^ 0xFF for byte in command.data)))
        self._bands.append(band)
        self.bands_on_sheet += 1
        if self.bands_on_sheet >= MID_PRINT_BANDS:
            for once, lasting in _MID_PRINT.items():
                if once in self.faults:
                    self.faults ^= {once, lasting}
            if Fault.DISCONNECT_MID_PRINT_ONCE in self.faults:
                self.faults.discard(Fault.DISCONNECT_MID_PRINT_ONCE)
                self._interpreter.clear()
                self.disconnect()

    def _feed(self, dots: int) -> None:
        if dots and self._bands:
            self._bands.append(Image.new("1", (self.width_dots, dots), 1))

    def _cut(self) -> None:
        self._feed(CUTTER_DOTS)
        if self._bands:
            self.sheets.append(_stacked(self._bands, self.width_dots))
            self.sheets_cut += 1
            del self.sheets[:-SHEETS_MAX]
        self._bands, self.bands_on_sheet = [], 0

    def _pulse(self, second: int, on_ms: int, off_ms: int) -> None:
        pin = 5 if second else 2
        if len(self.pulses) < PULSES_MAX:
            self.pulses.append(Pulse(pin, on_ms, off_ms))
        if Fault.DRAWER_STUCK not in self.faults and pin == self._drawer_pin:
            self.is_drawer_open = True


def _dots_of(feed: Command) -> int:
    if feed.kind is Kind.LINE:
        return LINE_DOTS
    return feed.values[0] * (LINE_DOTS if feed.kind is Kind.FEED_LINES else 1)


def _stacked(bands: list[Image.Image], width_dots: int) -> Image.Image:
    sheet = Image.new("1", (width_dots, sum(band.height for band in bands)), 1)
    top = 0
    for band in bands:
        sheet.paste(band, (0, top))
        top += band.height
    return sheet
