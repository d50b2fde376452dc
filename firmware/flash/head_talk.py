"""A few words with what is on a port: our head, or MicroPython's prompt? Blink; leave for the prompt. DESIGN §3.

Speaks the cable's format as a terminal does (`docs/head.md`), and of MicroPython only what shows its prompt. Each call
has an end in time.
"""

import os
import select
import time
from contextlib import suppress
from typing import NamedTuple

import serial

from firmware.flash.head_files import Version
from firmware.link import messages
from firmware.link.frames import Decoder, encode
from offline_ledger.terminal.drivers.serial_port import PORT_ERRORS, READ_BYTES_MAX

HELLO_S = 0.2
"""After so long without an answer the greeting is said again."""
GREET_S_MAX = 1.5
PROMPT_S_MAX = 0.25
"""A prompt answers within milliseconds; a program that ends on Ctrl-C soon after."""
SAID_BYTES_MAX = 2_000
_INTERRUPT_AND_GREET = b"\r\x03\x02"
"""Ctrl-C ends what runs, Ctrl-B leaves the raw mode that a broken flash left: the prompt, with its version."""
_PROMPT = b">>> "
_KEYS = (3, 4, 5)
FIRST = 1
"""The sequence number of the first numbered frame of a session."""


class Greeting(NamedTuple):
    """What a running head says of itself. `oldest` and `newest`: of the cable's protocol. `board`: hex."""

    oldest: int
    newest: int
    version: Version
    board: str
    cause: int

    @property
    def has_service(self) -> bool:
        """Does it know how to leave its port to a technician?"""
        common = messages.common_version(self.oldest, self.newest, messages.PROTOCOL_OLDEST, messages.PROTOCOL_NEWEST)
        return common >= messages.SERVICE_SINCE


class HeadTalk:
    """One open port. Raises OSError and termios.error of a port that goes away."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port
        self._decoder = Decoder()
        self._next = FIRST
        self.said = b""
        """The last bytes that came, frames or not."""

    @property
    def has_shown_prompt(self) -> bool:
        """Did the greeting bring MicroPython's prompt? Its Ctrl-B does so; a program that runs takes no notice."""
        return _PROMPT in self.said[self.said.rfind(b"MicroPython") :] and b"MicroPython" in self.said

    def prompt(self, wait_s: float = PROMPT_S_MAX) -> str | None:
        """What MicroPython says of itself, if its prompt is there. Ends a program that runs."""
        self._send(_INTERRUPT_AND_GREET)
        until_s = time.monotonic() + wait_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._hear(left_s)
            if self.said.endswith(_PROMPT) and b"MicroPython" in self.said:
                line = self.said[self.said.rindex(b"MicroPython") :].split(b"\r\n", 1)[0]
                return line.decode("ascii", "replace")
        return None

    def greet(self, wait_s: float = GREET_S_MAX) -> Greeting | None:
        """Opens a session with a running head."""
        session, hello = harmless_hello()
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            self._send(hello)
            again_s = min(until_s, time.monotonic() + HELLO_S)
            while (left_s := again_s - time.monotonic()) > 0:
                for kind, _, payload in self._hear(left_s):
                    if kind == messages.HELLO and (found := _greeting(payload, session)) is not None:
                        return found
        return None

    def identify(self, blink_ms: int) -> bool:
        """Have it blink, in an open session: was that acknowledged?"""
        until_s = time.monotonic() + GREET_S_MAX
        while time.monotonic() < until_s:
            self._send(bytes(encode(messages.IDENTIFY, self._next, messages.identify(blink_ms))))
            for kind, _, payload in self._hear(HELLO_S):
                if kind == messages.ACK and messages.read_one_byte(payload) == self._next:
                    self._next += 1
                    return True
        return False

    def keep(self) -> None:
        """Say that somebody is here: a head ends the session after two silent seconds."""
        self._send(bytes(encode(messages.PING, 0, messages.ping(1))))
        self._hear(0)

    def await_gone(self, wait_s: float) -> None:
        """Until the port goes, as the board restarts, or a head that has just started says so. Says nothing itself: a
        prompt takes any byte for a key, and Ctrl-C among them would keep the board from restarting."""
        until_s = time.monotonic() + wait_s
        with suppress(*PORT_ERRORS):
            while (left_s := until_s - time.monotonic()) > 0:
                if any(kind == messages.HELLO for kind, _, _ in self._hear(left_s)):
                    return

    def ask_prompt(self) -> None:
        """Have it restart into the prompt, in an open session; what follows is seen on the port."""
        self._send(bytes(encode(messages.SERVICE, 0, messages.service())))

    def _send(self, data: bytes) -> None:
        descriptor = self._port.fileno()
        until_s = time.monotonic() + GREET_S_MAX
        while data and time.monotonic() < until_s:  # what nobody takes for so long is lost, as on a wire
            if select.select((), [descriptor], (), HELLO_S)[1]:
                data = data[os.write(descriptor, data) :]

    def _hear(self, wait_s: float) -> list[tuple[int, int, bytes]]:
        descriptor = self._port.fileno()
        if not select.select([descriptor], (), (), wait_s)[0]:
            return []
        came = os.read(descriptor, READ_BYTES_MAX)
        if not came:
            raise OSError("the port has gone")
        self.said = (self.said + came)[-SAID_BYTES_MAX:]
        return self._decoder.push(came)


def harmless_hello() -> tuple[int, bytes]:
    """A session, and its greeting as a frame without Ctrl-C, Ctrl-D and Ctrl-E: those would interrupt, reset or feed
    MicroPython, should a slow prompt take the frame for keys."""
    while True:
        session = int.from_bytes(os.urandom(4), "little")
        hello = messages.host_hello(messages.PROTOCOL_OLDEST, messages.PROTOCOL_NEWEST, session)
        frame = bytes(encode(messages.HELLO, 0, hello))
        if session and not any(key in frame for key in _KEYS):
            return session, frame


def _greeting(payload: bytes, session: int) -> Greeting | None:
    try:
        oldest, newest, answered = messages.read_opening(payload)
        if answered != session:
            return None
        cause, version, board = messages.read_head_hello(payload)
    except ValueError:
        return None
    return Greeting(oldest, newest, version, board.hex(), cause)
