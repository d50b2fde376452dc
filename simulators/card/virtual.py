"""A card in a virtual reader: speaks vpcd (vsmartcard) to a real pcscd over TCP, and can be torn at every byte.

Frames are a length of two bytes and that many bytes; one byte alone is power off, on, reset, or a wish for the ATR;
anything else is a command APDU. Without TCP_QUICKACK before each read an APDU costs 44 ms. A torn card closes its end:
what a lifted one looks like to pcscd, which notices at its next look (every 0.4 s).
"""

import socket
import time
from enum import Enum
from threading import Event, Thread
from typing import NamedTuple, Protocol

from simulators.card.purse import PurseFile, WriteStage

FRAME_BYTES_MAX = 4_096
JOIN_S_MAX = 5.0
_LENGTH_BYTES = 2
_POWER_OFF, _POWER_ON, _RESET, _ATR = 0, 1, 2, 4


class CardLogic(Protocol):
    """What answers in the card: our applet or a foreign one."""

    atr: bytes

    def answer(self, apdu: bytes) -> bytes: ...

    def reset(self) -> None: ...


class Where(Enum):
    """Where in a command a card is torn from the reader."""

    IN_COMMAND = "in_command"
    """After so many bytes of the command have come."""
    BEFORE_WRITE = "before_write"
    ASIDE_WRITTEN = "aside_written"
    AFTER_WRITE = "after_write"
    IN_ANSWER = "in_answer"
    """After so many bytes of the answer were sent; 0: not even its length, for half a length crashes vpcd."""


class Tear(NamedTuple):
    """`command` counts the APDUs since the card was put in, from 0; `size` as `Where` says, in bytes of the APDU."""

    command: int
    where: Where
    size: int = 0


class Exchange(NamedTuple):
    """Sizes of one APDU and its answer, and whether the purse was written: what can be torn in it."""

    command_bytes: int
    answer_bytes: int
    wrote: bool


class _Torn(Exception):
    """The card has left the reader."""


_STAGES = {
    WriteStage.BEFORE: Where.BEFORE_WRITE,
    WriteStage.ASIDE: Where.ASIDE_WRITTEN,
    WriteStage.AFTER: Where.AFTER_WRITE,
}


class VirtualCard:
    """Put into a reader by `insert`, taken out by `remove` or torn out; each insertion serves on a thread of its own.

    `pause_s`: how long it thinks about each APDU. `silent_from`: from this APDU on it never answers.
    """

    def __init__(self, logic: CardLogic, file: PurseFile | None = None, *, pause_s: float = 0.0) -> None:
        self._logic = logic
        self._file = file
        self.pause_s = pause_s
        self.silent_from: int | None = None
        self.exchanges: list[Exchange] = []
        """Of the last insertion."""
        self.apdus: list[tuple[bytes, bytes]] = []
        self.torn = Event()
        self._tear: Tear | None = None
        self._socket: socket.socket | None = None
        self._thread: Thread | None = None
        self._wrote = False

    def insert(self, port: int, tear: Tear | None = None) -> None:
        """Into the reader that listens on this port of this machine."""
        self.remove()
        self._tear = tear
        self.exchanges, self.apdus = [], []
        self.torn.clear()
        if self._file is not None:
            self._file.on_write = self._at_write
        self._logic.reset()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=JOIN_S_MAX)
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = Thread(target=self._serve, args=(self._socket,), name=f"card-{port}", daemon=True)
        self._thread.start()

    def remove(self) -> None:
        """Out of the reader, at once; a card that is out stays out."""
        held, self._socket = self._socket, None
        if held is not None:
            try:
                held.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # torn already
        if self._thread is not None:
            self._thread.join(JOIN_S_MAX)
            self._thread = None
        if held is not None:
            held.close()

    @property
    def is_in(self) -> bool:
        """Does it still answer in a reader?"""
        return self._thread is not None and self._thread.is_alive()

    def __enter__(self) -> "VirtualCard":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _serve(self, link: socket.socket) -> None:
        try:
            while True:
                self._tear_command(link)
                size = int.from_bytes(self._read(link, _LENGTH_BYTES), "big")
                frame = self._read(link, size)
                if size == 1:
                    self._power(link, frame[0])
                else:
                    self._command(link, frame)
        except _Torn:
            self.torn.set()
        except OSError:
            pass  # removed, or pcscd has gone
        finally:
            link.close()

    def _tear_command(self, link: socket.socket) -> None:
        """When the next frame is the command to be torn in: so many of its bytes come, the rest never."""
        tear = self._tear
        if tear is None or tear.where is not Where.IN_COMMAND or tear.command != len(self.exchanges):
            return
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        length = link.recv(_LENGTH_BYTES, socket.MSG_PEEK | socket.MSG_WAITALL)
        if int.from_bytes(length, "big") > 1:  # power and ATR come before: the card is in the reader
            self._read(link, _LENGTH_BYTES + tear.size)
            raise _Torn

    def _power(self, link: socket.socket, word: int) -> None:
        if word == _ATR:
            link.sendall(len(self._logic.atr).to_bytes(_LENGTH_BYTES, "big") + self._logic.atr)
        elif word in (_POWER_OFF, _POWER_ON, _RESET):
            self._logic.reset()

    def _command(self, link: socket.socket, apdu: bytes) -> None:
        if self.pause_s:
            time.sleep(self.pause_s)
        self._wrote = False
        answer = self._logic.answer(apdu)
        number = len(self.exchanges)
        frame = len(answer).to_bytes(_LENGTH_BYTES, "big") + answer
        self.exchanges.append(Exchange(len(apdu), len(answer), self._wrote))
        self.apdus.append((apdu, answer))
        if self.silent_from is not None and number >= self.silent_from:
            return
        tear = self._tear
        if tear is not None and tear.command == number and tear.where is Where.IN_ANSWER:
            link.sendall(frame[: _LENGTH_BYTES + tear.size] if tear.size else b"")
            raise _Torn
        link.sendall(frame)

    def _read(self, link: socket.socket, size: int) -> bytes:
        if size > FRAME_BYTES_MAX:
            raise OSError("no vpcd frame")
        found = b""
        while len(found) < size:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            came = link.recv(size - len(found))
            if not came:
                raise OSError("hung up")
            found += came
        return found

    def _at_write(self, stage: WriteStage) -> None:
        self._wrote = True
        tear = self._tear
        if tear is not None and tear.command == len(self.exchanges) and tear.where is _STAGES[stage]:
            raise _Torn
