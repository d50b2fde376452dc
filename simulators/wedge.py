"""A keyboard-wedge scanner on a pseudo-terminal: key by key, as the kernel's event node gives them. DESIGN §11.

The program under test opens `link` as it would open `/dev/input/by-id/…-event-kbd`; what it reads are the bytes of
`struct input_event`. Each HID report is one packet: the scan code, the key, `SYN_REPORT`. Every misbehaviour of real
wedges has a name in `Fault`. Its table of keys is its own, so that a wrong one in the driver is seen.

    python -m simulators.wedge --link /tmp/wedge0
    scan picture.png | text KGO1P:... | fault dropped | unplug | plug | quit      (one a line)
"""

import argparse
import struct
import sys
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from simulators.obeying import obey_standard_input
from simulators.scanner import PtyScanner

EV_SYN, EV_KEY, EV_MSC = 0, 1, 4
SYN_REPORT, SYN_DROPPED, MSC_SCAN = 0, 3, 4
UP, DOWN, REPEAT = 0, 1, 2
LEFT_SHIFT, CAPS_LOCK, ENTER = 42, 58, 28
HID_PAGE = 0x0007_0000
CHUNK_BYTES_MAX = 1_000
DROPPED_KEYS = 9
REPEATS = 3
JUNK_BYTES = 333
HALF_PAUSE_S = 0.7
"""Between the halves of a code that a person types, longer than the driver's pause."""

_US = {"1": 2, "2": 3, "3": 4, "4": 5, "5": 6, "6": 7, "7": 8, "8": 9, "9": 10, "0": 11, "-": 12, "=": 13}
_US |= {"q": 16, "w": 17, "e": 18, "r": 19, "t": 20, "y": 21, "u": 22, "i": 23, "o": 24, "p": 25, "[": 26, "]": 27}
_US |= {"a": 30, "s": 31, "d": 32, "f": 33, "g": 34, "h": 35, "j": 36, "k": 37, "l": 38, ";": 39, "'": 40, "`": 41}
_US |= {"\\": 43, "z": 44, "x": 45, "c": 46, "v": 47, "b": 48, "n": 49, "m": 50, ",": 51, ".": 52, "/": 53, " ": 57}
_SHIFTED = dict(zip('!@#$%^&*()_+{}|:"~<>?', "1234567890-=[]\\;'`,./", strict=True))

Key = tuple[int, bool]
"""A code and whether Shift is held."""


def us_key(char: str) -> Key:
    """Raises KeyError for what a US keyboard does not have."""
    if char.isascii() and char.isupper():
        return _US[char.lower()], True
    return (_US[_SHIFTED[char]], True) if char in _SHIFTED else (_US[char], False)


_GERMAN = {
    "z": ("y", False),
    "y": ("z", False),
    "-": ("/", False),
    ":": (".", True),
    "/": ("7", True),
    "*": ("]", True),
}
_GERMAN |= {"+": ("]", False), "=": ("0", True), "Z": ("y", True), "Y": ("z", True)}


def german_key(char: str) -> Key:
    """Where a scanner set to the German keyboard presses: the driver then reads other characters."""
    place, is_shifted = _GERMAN.get(char, ("", False))
    return (_US[place], is_shifted) if place else us_key(char)


class Fault(Enum):
    """What goes wrong with the next scan."""

    HALF = "half"  # the second half and Enter are missing
    TYPED = "typed"  # a pause in the middle, longer than any scanner makes
    DOUBLED = "doubled"  # the trigger bounced: the text twice
    KEY_REPEAT = "key_repeat"  # keys are held so long that the kernel repeats them
    SYN_LOST = "syn_lost"  # packets that do not end
    DROPPED = "dropped"  # nobody read in time: the kernel drops what it had and says so
    STUCK_SHIFT = "stuck_shift"  # the release of Shift got lost in the middle
    CAPS_LOCK = "caps_lock"  # capitals by Caps Lock instead of Shift
    OTHER_LAYOUT = "other_layout"  # the scanner is set to the German keyboard
    KEY_BY_KEY = "key_by_key"  # a pause after each report
    JUNK = "junk"  # bytes that are no events
    UNPLUG_MID_CODE = "unplug_mid_code"  # the cable goes when half is typed


class SimulatedWedge(PtyScanner[Fault]):
    """One scanner that is a keyboard."""

    def __init__(self, link: Path, *, seed: int = 0, long_bytes: int = 8, report_pause_s: float = 0.0) -> None:
        """`long_bytes` 4: the events of a 32-bit system; `report_pause_s`: real ones leave 1 to 10 ms."""
        super().__init__(link, seed, Fault)
        self._event = struct.Struct("=qqHHi" if long_bytes == 8 else "=llHHi")
        self._report_pause_s = report_pause_s

    def send(self, text: str) -> None:
        """Key by key, and Enter."""
        faults = self._taken_faults()
        if not self.is_plugged:
            return
        if Fault.JUNK in faults:
            self.send_raw(bytes(self._rng.randrange(0x80, 0x100) for _ in range(JUNK_BYTES)))
            return
        for _ in range(1 + (Fault.DOUBLED in faults)):
            self._type(text, faults)

    def send_raw(self, data: bytes) -> None:
        """Put these very bytes on the wire."""
        if self.is_plugged:
            self._port.write(data, lambda: self._rng.randint(1, CHUNK_BYTES_MAX))

    def settle(self) -> None:
        """Wait until all that was typed is read."""
        self._port.settle()

    def obey(self, command: str) -> str:
        """And tells of a character that no key makes."""
        try:
            return super().obey(command)
        except KeyError as error:
            return f"error no key for {error}"

    def reports(self, text: str, faults: set[Fault]) -> list[bytes]:
        """One packet for each report that this text makes; Enter is the last two."""
        key_of = german_key if Fault.OTHER_LAYOUT in faults else us_key
        made: list[bytes] = []
        is_caps = Fault.CAPS_LOCK in faults
        if is_caps:
            made += [self._packet(CAPS_LOCK, DOWN, faults), self._packet(CAPS_LOCK, UP, faults)]
        stuck_from = len(text) // 2 if Fault.STUCK_SHIFT in faults else len(text)
        for place, char in enumerate(text):
            code, is_shifted = key_of(char)
            shift = is_shifted and not (is_caps and char.isalpha())
            if shift:
                made.append(self._packet(LEFT_SHIFT, DOWN, faults))
            made += self._pressed(code, faults)
            if shift and place < stuck_from:
                made.append(self._packet(LEFT_SHIFT, UP, faults))
        if is_caps:
            made += [self._packet(CAPS_LOCK, DOWN, faults), self._packet(CAPS_LOCK, UP, faults)]
        return made + list(self._pressed(ENTER, faults))

    def _type(self, text: str, faults: set[Fault]) -> None:
        made = self.reports(text, faults)
        half = len(made) // 2
        if Fault.DROPPED in faults:
            made[half : half + DROPPED_KEYS] = [self._event_of(EV_SYN, SYN_DROPPED, 0) + made[half]]
        if Fault.HALF in faults or Fault.UNPLUG_MID_CODE in faults:
            made = made[:half]
        if Fault.TYPED in faults:
            self._write(made[:half], faults)
            time.sleep(HALF_PAUSE_S)
            made = made[half:]
        self._write(made, faults)
        if Fault.UNPLUG_MID_CODE in faults:
            self.settle()
            self.unplug()

    def _write(self, made: list[bytes], faults: set[Fault]) -> None:
        pause_s = self._report_pause_s or 0.001 * (Fault.KEY_BY_KEY in faults)
        if not pause_s:
            self.send_raw(b"".join(made))
            return
        for packet in made:
            self.send_raw(packet)
            time.sleep(pause_s)

    def _pressed(self, code: int, faults: set[Fault]) -> Iterator[bytes]:
        yield self._packet(code, DOWN, faults)
        if Fault.KEY_REPEAT in faults:
            for _ in range(REPEATS):
                yield self._packet(code, REPEAT, faults)
        yield self._packet(code, UP, faults)

    def _packet(self, code: int, value: int, faults: set[Fault]) -> bytes:
        scan = b"" if value == REPEAT else self._event_of(EV_MSC, MSC_SCAN, HID_PAGE + code)
        end = b"" if Fault.SYN_LOST in faults else self._event_of(EV_SYN, SYN_REPORT, 0)
        return scan + self._event_of(EV_KEY, code, value) + end

    def _event_of(self, kind: int, code: int, value: int) -> bytes:
        now_us = time.time_ns() // 1_000
        return self._event.pack(now_us // 1_000_000, now_us % 1_000_000, kind, code, value)


def main() -> int:
    """Run a scanner that obeys its standard input until `quit` or its end."""
    parser = argparse.ArgumentParser(prog="simulators.wedge", description="a keyboard-wedge scanner on a pty")
    parser.add_argument("--link", type=Path, required=True, help="path under which programs find the node")
    parser.add_argument("--report-ms", type=int, default=1, help="between two reports: 1 a fast one, 10 a slow one")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with SimulatedWedge(options.link, seed=options.seed, report_pause_s=options.report_ms / 1_000) as wedge:
        print("ready", flush=True)
        obey_standard_input(wedge.obey)
    return 0


if __name__ == "__main__":
    sys.exit(main())
