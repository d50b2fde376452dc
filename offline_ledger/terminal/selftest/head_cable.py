"""A thousand pings over a head's cable, each answered in its turn: does every frame arrive whole? docs/head.md.

On the port itself and below the driver, which pings twice a second: here one follows the other, so that a bad plug
shows within a second. Whoever greets a head may ping it. Shows nothing, sounds nothing.
"""

import os
import select
import time
from typing import NamedTuple

from firmware.link import messages
from firmware.link.frames import Decoder, encode
from offline_ledger.errors import CableNoisy, HeadLost
from offline_ledger.terminal.drivers.head import BAUD
from offline_ledger.terminal.drivers.head_ports import HeadPorts
from offline_ledger.terminal.drivers.serial_port import PORT_ERRORS, READ_BYTES_MAX, close_port, open_port, refusal_for

PINGS = 1_000
GREET_S_MAX = 3.0
GREET_AGAIN_S = 0.2
PING_S_MAX = 0.5
"""A head answers within a millisecond; one that needs longer has lost the frame."""
LOST_MAX = 5
"""After so many lost ones the cable is known; a thousand of them would take minutes."""


class CableFigures(NamedTuple):
    """What was measured: round trips in microseconds."""

    pings: int
    answered: int
    damaged: int
    median_us: int
    worst_us: int


def ping_cable(path: str, pings: int = PINGS) -> CableFigures:
    """Raises HeadLost, DevicePortInUse, DevicePortForbidden, TwoHeads, and CableNoisy for a frame that was damaged or
    lost."""
    try:
        port = open_port(HeadPorts(path).find(), BAUD)
    except PORT_ERRORS as error:
        raise refusal_for(error, path, HeadLost) from error
    try:
        figures = _Cable(port.fileno(), path).measured(pings)
    except PORT_ERRORS as error:
        raise refusal_for(error, path, HeadLost) from error
    finally:
        close_port(port)
    if figures.damaged or figures.answered < figures.pings:
        lost = figures.pings - figures.answered
        raise CableNoisy(f"{figures.pings} pings: {figures.damaged} damaged frames, {lost} without an answer")
    return figures


class _Cable:
    """An open port with a head at its other end."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self._decoder = Decoder()
        self._session = int.from_bytes(os.urandom(4), "big") | 1

    def measured(self, pings: int) -> CableFigures:
        self._greet()
        damaged_before = self._decoder.errors
        trips_us: list[int] = []
        sent = 0
        while sent < pings and sent - len(trips_us) < LOST_MAX:
            sent += 1
            begun_ns = time.monotonic_ns()
            self._send(messages.PING, messages.ping(sent & 0xFFFF))
            if self._has_answer(sent & 0xFFFF):
                trips_us.append((time.monotonic_ns() - begun_ns) // 1_000)
        trips_us.sort()
        median_us = trips_us[len(trips_us) // 2] if trips_us else 0
        worst_us = trips_us[-1] if trips_us else 0
        return CableFigures(sent, len(trips_us), self._decoder.errors - damaged_before, median_us, worst_us)

    def _greet(self) -> None:
        hello = messages.host_hello(messages.PROTOCOL_OLDEST, messages.PROTOCOL_NEWEST, self._session)
        until_s = time.monotonic() + GREET_S_MAX
        while time.monotonic() < until_s:
            self._send(messages.HELLO, hello)
            greeted_s = time.monotonic()
            while (left_s := greeted_s + GREET_AGAIN_S - time.monotonic()) > 0:
                for kind, _, payload in self._received(left_s):
                    if kind == messages.HELLO and messages.read_opening(payload)[2] == self._session:
                        return
        raise HeadLost(f"{self._path}: no answer")

    def _has_answer(self, number: int) -> bool:
        until_s = time.monotonic() + PING_S_MAX
        while (left_s := until_s - time.monotonic()) > 0:
            for kind, _, payload in self._received(left_s):
                if kind == messages.PONG and messages.read_pong(payload)[0] == number:
                    return True
        return False

    def _received(self, left_s: float) -> list[tuple[int, int, bytes]]:
        if not select.select([self._port], (), (), left_s)[0]:
            return []
        found = os.read(self._port, READ_BYTES_MAX)
        if not found:
            raise OSError("hung up")
        return [(kind, sequence, bytes(payload)) for kind, sequence, payload in self._decoder.push(found)]

    def _send(self, kind: int, payload: bytes) -> None:
        left = memoryview(bytes(encode(kind, 0, payload)))
        while left:
            if not select.select((), [self._port], (), PING_S_MAX)[1]:
                raise OSError("it takes nothing")
            left = left[os.write(self._port, left) :]
