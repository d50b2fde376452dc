"""ESC/POS bytes as a printer reads them: real-time commands at once, the others in their turn. DESIGN §11.

After Epson's ESC/POS command reference: DLE EOT n (real-time status), DLE ENQ n, DLE DC4 fn (real-time pulse, buffer
clear), ESC @, ESC d n, ESC p m t1 t2 (pulse), GS V m [n] (cut), GS v 0 m xL xH yL yH (raster), GS r n (status in its
turn), GS a n (status by itself). A printer looks for the real-time ones in everything that it receives,
pictures too, and so does this. A byte that belongs to nothing is kept and counted: a driver that sends what a printer
does not know is found.
"""

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

DLE, ESC, GS, LF = 0x10, 0x1B, 0x1D, 0x0A
UNKNOWN_KEPT_MAX = 64
RASTER_BYTES_MAX = 4_000_000
_REAL_TIME_BYTES = {0x04: 3, 0x05: 3, 0x14: 5}
"""DLE EOT n, DLE ENQ n, DLE DC4 1 m t (or 8 and 7 bytes, of which the first two tell)."""


class Kind(Enum):
    """What a command does."""

    STATUS = "DLE EOT"
    ENQUIRY = "DLE ENQ"
    NOW = "DLE DC4"
    START = "ESC @"
    FEED_LINES = "ESC d"
    FEED_DOTS = "ESC J"
    PULSE = "ESC p"
    SETTING = "a setting of letters, which a picture does not need"
    CUT = "GS V"
    RASTER = "GS v 0"
    DONE = "GS r"
    ASB = "GS a"
    LINE = "LF"
    TEXT = "a letter"
    UNKNOWN = "unknown"


class Command(NamedTuple):
    """One command; of a raster: width in bytes, rows, and the dots, 1 = ink."""

    kind: Kind
    values: tuple[int, ...] = ()
    data: bytes = b""


_FIXED = {
    (ESC, ord("@")): (0, Kind.START),
    (ESC, ord("d")): (1, Kind.FEED_LINES),
    (ESC, ord("J")): (1, Kind.FEED_DOTS),
    (ESC, ord("p")): (3, Kind.PULSE),
    (ESC, ord("2")): (0, Kind.SETTING),
    (ESC, ord("3")): (1, Kind.SETTING),
    (ESC, ord("!")): (1, Kind.SETTING),
    (ESC, ord("E")): (1, Kind.SETTING),
    (ESC, ord("a")): (1, Kind.SETTING),
    (ESC, ord("t")): (1, Kind.SETTING),
    (GS, ord("!")): (1, Kind.SETTING),
    (GS, ord("r")): (1, Kind.DONE),
    (GS, ord("a")): (1, Kind.ASB),
}
_CUT_NOW, _CUT_AFTER_FEED = (0, 1, 48, 49), (65, 66)
_RASTER_HEADER = 8


class Interpreter:
    """Takes what the line brings; real-time commands come out first, as a printer answers them first."""

    def __init__(self) -> None:
        self._real_time = bytearray()
        self._waiting = bytearray()

    @property
    def waiting_bytes(self) -> int:
        """In the receive buffer, not yet a whole command."""
        return len(self._waiting)

    def receive(self, data: bytes) -> list[Command]:
        """Into the buffer; the real-time commands that were in it, which are taken out of it."""
        found: list[Command] = []
        if DLE not in data and not self._real_time:
            self._waiting += data
            return found
        for byte in data:
            self._real_time.append(byte)
            found += self._sifted()
        return found

    def commands(self) -> Iterator[Command]:
        """The whole commands in the buffer, in order, each taken out as it is handed over."""
        while self._waiting:
            length, command = self._first()
            if not length:
                return
            del self._waiting[:length]
            yield command

    def clear(self) -> None:
        """The buffer is emptied: switched off, or cleared by command."""
        self._waiting.clear()
        self._real_time.clear()

    def _sifted(self) -> Iterator[Command]:
        """Holds back what may become a real-time command; lets all else through to the buffer."""
        held = self._real_time
        while held:
            if held[0] != DLE:
                self._waiting.append(held.pop(0))
            elif len(held) == 1:
                return
            elif (length := _REAL_TIME_BYTES.get(held[1])) is None:
                self._waiting.append(held.pop(0))
            elif len(held) < length:
                return
            else:
                kind = {0x04: Kind.STATUS, 0x05: Kind.ENQUIRY, 0x14: Kind.NOW}[held[1]]
                yield Command(kind, tuple(held[2:length]))
                del held[:length]

    def _first(self) -> tuple[int, Command]:
        """Length and meaning of the first command; length 0: it is not whole yet."""
        held = self._waiting
        if held[0] == LF:
            return 1, Command(Kind.LINE)
        if 0x20 <= held[0] < 0x7F:
            return 1, Command(Kind.TEXT, (held[0],))
        if held[0] not in (ESC, GS):
            return 1, Command(Kind.UNKNOWN, (held[0],))
        if len(held) < 2:
            return 0, Command(Kind.UNKNOWN)
        if (fixed := _FIXED.get((held[0], held[1]))) is not None:
            values, kind = fixed
            return (2 + values if len(held) >= 2 + values else 0), Command(kind, tuple(held[2 : 2 + values]))
        if held[0] == GS and held[1] == ord("V"):
            return self._cut()
        if held[0] == GS and held[1] == ord("v"):
            return self._raster()
        return 2, Command(Kind.UNKNOWN, tuple(held[:2]))

    def _cut(self) -> tuple[int, Command]:
        held = self._waiting
        if len(held) < 3:
            return 0, Command(Kind.CUT)
        if held[2] in _CUT_NOW:
            return 3, Command(Kind.CUT, (held[2], 0))
        if held[2] in _CUT_AFTER_FEED:
            return (4 if len(held) >= 4 else 0), Command(Kind.CUT, tuple(held[2:4]))
        return 3, Command(Kind.UNKNOWN, tuple(held[:3]))

    def _raster(self) -> tuple[int, Command]:
        held = self._waiting
        if len(held) < _RASTER_HEADER:
            return 0, Command(Kind.RASTER)
        if held[2] != ord("0") or held[3] not in (0, 48):
            return _RASTER_HEADER, Command(Kind.UNKNOWN, tuple(held[:_RASTER_HEADER]))
        width, rows = held[4] + held[5] * 256, held[6] + held[7] * 256
        size = width * rows
        if not 0 < size <= RASTER_BYTES_MAX:
            return _RASTER_HEADER, Command(Kind.UNKNOWN, tuple(held[:_RASTER_HEADER]))
        whole = _RASTER_HEADER + size
        if len(held) < whole:
            return 0, Command(Kind.RASTER)
        return whole, Command(Kind.RASTER, (width, rows), bytes(held[_RASTER_HEADER:whole]))
