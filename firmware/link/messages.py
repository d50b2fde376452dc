"""The messages by number, the states of the light, and the layout of each payload. Pure. DESIGN §3.

Integers are little-endian. A payload of another length than its layout is no message (`ValueError`). Only the first
six bytes of HELLO are for ever: by them two versions find out whether they understand each other.
"""

import struct

from firmware.link.const import const

PROTOCOL_OLDEST = const(1)
PROTOCOL_NEWEST = const(2)

# kind                   from    in the window?
HELLO = const(1)  #      both    no     opens a session, or asks for one
PING = const(2)  #       host    no     "I am here"
PONG = const(3)  #       head    no     what the head shows
LIGHT = const(4)  #      host    no     show this; repeated until LIT
LIT = const(5)  #        head    no     the pixels of this LIGHT are on
ACK = const(6)  #        both    no
SCAN = const(7)  #       head    yes    bytes of the QR scanner, untouched
BUTTON = const(8)  #     head    yes
TAMPER = const(9)  #     head    yes    the cover's switch, at the start of a session and at each change
STATUS = const(10)  #    head    no     answers ASK
BRIGHTNESS = const(11)  # host   yes
IDENTIFY = const(12)  #  host    yes    blink for so long, to be found
ASK = const(13)  #       host    no     wants STATUS
SERVICE = const(14)  #   host    no     from version 2: leave the board to a technician, at MicroPython's prompt

CAUSE_TRIAL = const(200)
"""Instead of a reset cause: this run was started by hand, at the prompt, and is no boot."""
CAUSE_ASKED = const(201)
"""The same: the bench restarted the board after it had changed it."""
SERVICE_SINCE = const(2)
"""The oldest version that knows SERVICE."""

# States of the light. 0 is none.
DARK = const(0)
WAIT = const(1)
READING = const(2)
ACCEPTED = const(3)
ACCEPTED_CASH_DUE = const(4)
ALREADY_ACCEPTED = const(5)
REFUSED = const(6)
TRY_AGAIN = const(7)
OUT_OF_SERVICE = const(8)
TRAINING = const(9)
LOCKED = const(10)
STATE_LAST = const(10)

BUTTON_PRESSED = const(1)
BUTTON_RELEASED = const(2)
BUTTON_LONG = const(3)

HOST_SILENT_MS = const(2000)
"""After so long without a valid frame the session is over and the head shows out of service."""
PING_MS = const(400)
"""Five chances before the head gives up."""

_OPENING = "<BBI"
_HEAD_HELLO = "<BBIBBBB8s"
_PING = "<H"
_PONG = "<HBIH"
_LIGHT = "<IB"
_LIT = "<I"
_BYTE = "<B"
_BUTTON = "<BB"
_IDENTIFY = "<H"
_STATUS = "<IIIIIIIBBBB"
_SERVICE = b"prompt"


def _read(layout: str, payload: bytes) -> tuple[int, ...]:
    if len(payload) != struct.calcsize(layout):
        raise ValueError("length")
    return struct.unpack(layout, payload)


def host_hello(oldest: int, newest: int, session: int) -> bytes:
    return struct.pack(_OPENING, oldest, newest, session)


def head_hello(
    oldest: int, newest: int, session: int, cause: int, version: tuple[int, int, int], board: bytes
) -> bytes:
    """`session` is the host's; 0 asks the host to open one. `board`: 8 bytes that name the chip."""
    return struct.pack(_HEAD_HELLO, oldest, newest, session, cause, version[0], version[1], version[2], board)


def read_opening(payload: bytes) -> tuple[int, int, int]:
    """Oldest and newest version, and session: what every HELLO begins with, whoever sent it."""
    if len(payload) < struct.calcsize(_OPENING):
        raise ValueError("length")
    oldest, newest, session = struct.unpack(_OPENING, payload[: struct.calcsize(_OPENING)])
    return oldest, newest, session


def read_head_hello(payload: bytes) -> tuple[int, tuple[int, int, int], bytes]:
    """Reset cause, firmware version, board."""
    if len(payload) != struct.calcsize(_HEAD_HELLO):
        raise ValueError("length")
    _, _, _, cause, major, minor, patch, board = struct.unpack(_HEAD_HELLO, payload)
    return cause, (major, minor, patch), board


def common_version(oldest: int, newest: int, other_oldest: int, other_newest: int) -> int:
    """The newest version that both speak; -1 for none."""
    version = min(newest, other_newest)
    return version if version >= max(oldest, other_oldest) else -1


def ping(number: int) -> bytes:
    return struct.pack(_PING, number)


def read_ping(payload: bytes) -> int:
    return _read(_PING, payload)[0]


def pong(number: int, state: int, token: int, overruns: int) -> bytes:
    """`token` of the LIGHT that is on, 0 if the head chose the state itself. `overruns` counts modulo 65536."""
    return struct.pack(_PONG, number, state, token, overruns & 0xFFFF)


def read_pong(payload: bytes) -> tuple[int, int, int, int]:
    number, state, token, overruns = _read(_PONG, payload)
    return number, state, token, overruns


def light(token: int, state: int) -> bytes:
    """`token` is above 0 and grows with each light of a session."""
    return struct.pack(_LIGHT, token, state)


def read_light(payload: bytes) -> tuple[int, int]:
    token, state = _read(_LIGHT, payload)
    if not WAIT <= state <= STATE_LAST or not token:
        raise ValueError("state")
    return token, state


def lit(token: int) -> bytes:
    return struct.pack(_LIT, token)


def read_lit(payload: bytes) -> int:
    return _read(_LIT, payload)[0]


def one_byte(value: int) -> bytes:
    """Payload of ACK (sequence), TAMPER (1 = open) and BRIGHTNESS (0 to 255)."""
    return struct.pack(_BYTE, value)


def read_one_byte(payload: bytes) -> int:
    return _read(_BYTE, payload)[0]


def button(number: int, kind: int) -> bytes:
    return struct.pack(_BUTTON, number, kind)


def read_button(payload: bytes) -> tuple[int, int]:
    number, kind = _read(_BUTTON, payload)
    return number, kind


def identify(blink_ms: int) -> bytes:
    return struct.pack(_IDENTIFY, blink_ms)


def read_identify(payload: bytes) -> int:
    return _read(_IDENTIFY, payload)[0]


def service() -> bytes:
    """Payload of SERVICE: a word, so that no other message is ever taken for it."""
    return _SERVICE


def check_service(payload: bytes) -> None:
    if payload != _SERVICE:
        raise ValueError("word")


def status(counts: tuple[int, ...], cause: int, version: tuple[int, int, int]) -> bytes:
    """`counts`: uptime in ms, free heap in bytes, the least there was, frame errors, duplicates, overruns of the
    scanner's port, scanned bytes thrown away because no terminal listened."""
    kept = [count & 0xFFFFFFFF for count in counts]
    return struct.pack(_STATUS, *kept, cause, version[0], version[1], version[2])


def read_status(payload: bytes) -> tuple[int, ...]:
    """The seven counts of `status`, the reset cause, and the three numbers of the version."""
    return _read(_STATUS, payload)
