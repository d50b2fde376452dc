"""The terminal's end of the cable, bare: frames out, frames in, and what a test must know of them.

Written from `docs/head.md` over the frame format alone, so that driver and firmware are not tested by each other only.
"""

import os
import select
import time
from collections.abc import Callable
from pathlib import Path

import serial

from firmware.link import messages
from firmware.link.frames import Decoder, encode

WAIT_S_MAX = 10.0

Frame = tuple[int, int, bytes]


class Host:
    """Opens the port; `hear` returns what came. Acknowledges by itself unless told not to."""

    def __init__(self, port: Path) -> None:
        self._port = serial.Serial(str(port), 115_200, timeout=0, exclusive=True)
        self.decoder = Decoder()
        self.acknowledges = True
        self.taken = 0
        self.frames: list[Frame] = []
        self._left: list[Frame] = []

    def close(self) -> None:
        self._port.close()

    def send(self, kind: int, payload: bytes = b"", sequence: int = 0) -> None:
        self.send_raw(bytes(encode(kind, sequence, payload)))

    def send_raw(self, data: bytes) -> None:
        until_s = time.monotonic() + WAIT_S_MAX
        while data:
            assert time.monotonic() < until_s, "the head takes nothing"
            select.select((), [self._port.fileno()], (), 0.1)
            try:
                data = data[os.write(self._port.fileno(), data) :]
            except BlockingIOError:
                continue

    def hear(self, wait_s: float = 0.0) -> list[Frame]:
        """Frames that are there, or come within the time."""
        if not select.select([self._port.fileno()], (), (), wait_s)[0]:
            return []
        found = self.decoder.push(os.read(self._port.fileno(), 4_096))
        for kind, sequence, _ in found:
            if kind == messages.HELLO:
                self.taken = 0
            if sequence and self.acknowledges:
                if sequence == self.taken % 255 + 1:
                    self.taken = sequence
                self.send(messages.ACK, messages.one_byte(self.taken))
        self.frames += found
        return found

    def hear_for(self, wait_s: float) -> list[Frame]:
        """All that comes in this time."""
        until_s, found = time.monotonic() + wait_s, []
        while (left_s := until_s - time.monotonic()) > 0:
            found += self.hear(left_s)
        return found

    def await_kind(self, kind: int, is_it: Callable[[bytes], bool] = lambda _: True) -> bytes:
        """The payload of the first such frame; what came together with it and after it is for the next call."""
        until_s = time.monotonic() + WAIT_S_MAX
        while time.monotonic() < until_s:
            batch, self._left = self._left or self.hear(0.05), []
            for at, (found, _, payload) in enumerate(batch):
                if found == kind and is_it(payload):
                    self._left = batch[at + 1 :]
                    return payload
        raise AssertionError(f"no frame of kind {kind}; heard {self.frames[-5:]}")

    def greet(self, session: int = 77, oldest: int = 1, newest: int = 1) -> bytes:
        """Open a session; the head's answer."""
        self.send(messages.HELLO, messages.host_hello(oldest, newest, session))
        return self.await_kind(messages.HELLO, lambda payload: messages.read_opening(payload)[2] == session)

    def light(self, token: int, state: int) -> None:
        """Show it; returns when the head has confirmed."""
        self.send(messages.LIGHT, messages.light(token, state))
        self.await_kind(messages.LIT, lambda payload: messages.read_lit(payload) == token)

    def pong(self) -> tuple[int, int, int, int]:
        """What the head shows: number, state, token, overruns."""
        self._left.clear()
        self.send(messages.PING, messages.ping(1))
        return messages.read_pong(self.await_kind(messages.PONG))

    def status(self) -> tuple[int, ...]:
        """The head's word about itself."""
        self._left.clear()
        self.send(messages.ASK)
        return messages.read_status(self.await_kind(messages.STATUS))
