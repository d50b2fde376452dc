"""Key events of the kernel to characters. Pure. Linux `linux/input.h`, `linux/input-event-codes.h`; decision 0185.

A wedge scanner is a USB keyboard. What comes from its event node are `struct input_event`s: a time, a type, a code, a
value. Codes name places on a US keyboard, whatever keyboard the system believes in: a till set to Thai reads the same
text. So the scanner itself has to be set to the US keyboard, as it comes from its maker.

- A key counts when it goes down; its release and the kernel's own repeats (value 2) count for nothing.
- Either Enter or Tab ends a text and is given as `LF`. A key that gives no character of ours, or one pressed with Ctrl,
  Alt or Meta, is given as 0xFF: a garbled scan is still delivered, and is refused by its own number.
- `SYN_DROPPED`: the kernel's buffer ran over. The rest of that text is swallowed and told as `None`.
- Nothing is held across a pause or an end of text: a release that got lost must not turn the next scan to capitals.
- The time of an event is not looked at. A packet that its `SYN_REPORT` never ended loses nothing.
"""

import struct
from collections.abc import Iterator

from offline_ledger.errors import NotAKeyScanner

LONG_BYTES = struct.calcsize("@l")
"""8, or 4 where the program is a 32-bit one: the time in front of each event is two of these."""
_LAYOUTS = {8: struct.Struct("=qqHHi"), 4: struct.Struct("=llHHi")}

EV_SYN, EV_KEY, EV_MSC, EV_MAX = 0x00, 0x01, 0x04, 0x1F
SYN_REPORT, SYN_DROPPED = 0, 3
RELEASED, PRESSED, REPEATED = 0, 1, 2
FIRST_BUTTON = 0x100
"""From here on codes are mouse buttons and the like."""

KEY_TAB, KEY_ENTER, KEY_KPENTER = 15, 28, 96
KEY_CAPSLOCK, KEY_NUMLOCK, KEY_SCROLLLOCK = 58, 69, 70
ENDS = frozenset((KEY_TAB, KEY_ENTER, KEY_KPENTER))
SHIFTS = frozenset((42, 54))
OTHER_MODIFIERS = frozenset((29, 97, 56, 100, 125, 126))
"""Ctrl, Alt and Meta, left and right."""
_SILENT = frozenset((KEY_CAPSLOCK, KEY_NUMLOCK, KEY_SCROLLLOCK))

END = 0x0A
GARBLED = 0xFF
_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\", "|"),
    (44, "zxcvbnm,./", "ZXCVBNM<>?"),
    (57, " ", " "),
    (55, "*", "*"),  # the keypad, with its lock on
    (71, "789-456+1230.", "789-456+1230."),
    (98, "/", "/"),
)
PLAIN = {first + place: ord(char) for first, plain, _ in _ROWS for place, char in enumerate(plain)}
SHIFTED = {first + place: ord(char) for first, _, shifted in _ROWS for place, char in enumerate(shifted)}


class KeyReader:
    """Characters from the bytes of one event node; `now_s` is any monotonic clock, in seconds."""

    def __init__(self, *, pause_s: float, long_bytes: int = LONG_BYTES) -> None:
        self._pause_s = pause_s
        self._layout = _LAYOUTS[long_bytes]
        self._rest = b""
        self._heard_s = 0.0
        self._held: set[int] = set()
        self._is_caps = False
        self._is_dropping = self._is_skipping = False

    def push(self, received: bytes, now_s: float) -> Iterator[bytes | None]:
        """Characters in order, many at once; None where some were lost. Raises NotAKeyScanner for bytes that no event
        node sends: what follows them cannot be cut into events any more."""
        if now_s - self._heard_s >= self._pause_s:
            self._forget()
        self._heard_s = now_s
        self._rest += received
        whole = len(self._rest) - len(self._rest) % self._layout.size
        events, self._rest = self._rest[:whole], self._rest[whole:]
        chars = bytearray()
        for _, _, kind, code, value in self._layout.iter_unpack(events):
            if kind > EV_MAX or (kind == EV_KEY and not RELEASED <= value <= REPEATED):
                raise NotAKeyScanner(f"an event of type {kind}, value {value}")
            if kind == EV_SYN and code == SYN_DROPPED:
                yield bytes(chars)
                chars.clear()
                if not self._is_skipping:
                    yield None
                self._is_dropping = self._is_skipping = True
            elif self._is_dropping:
                self._is_dropping = (kind, code) != (EV_SYN, SYN_REPORT)  # up to there all is stale
            elif kind == EV_KEY and code < FIRST_BUTTON:
                self._key(code, value, chars)
        yield bytes(chars)

    def reset(self) -> None:
        """Another device, or the same one plugged in again."""
        self._rest = b""
        self._is_dropping = False
        self._forget()

    def _forget(self) -> None:
        self._held.clear()
        self._is_caps = self._is_skipping = False

    def _key(self, code: int, value: int, chars: bytearray) -> None:
        if code in SHIFTS or code in OTHER_MODIFIERS:
            (self._held.discard if value == RELEASED else self._held.add)(code)
        elif value != PRESSED:
            return
        elif code in ENDS:
            if not self._is_skipping:
                chars.append(END)
            self._held.clear()
            self._is_skipping = False
        elif code in _SILENT:
            self._is_caps ^= code == KEY_CAPSLOCK
        elif not self._is_skipping:
            chars.append(self._char(code))

    def _char(self, code: int) -> int:
        if not self._held.isdisjoint(OTHER_MODIFIERS):
            return GARBLED
        plain = PLAIN.get(code, GARBLED)
        is_letter = 0x61 <= plain <= 0x7A
        is_shifted = (not self._held.isdisjoint(SHIFTS)) ^ (self._is_caps and is_letter)
        return SHIFTED.get(code, GARBLED) if is_shifted else plain
