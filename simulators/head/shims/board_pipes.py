"""The two pipes of a simulated board: what it did goes out by one, what is done to it comes in by the other."""

import os
import select
import time

_RECORD_FD = 3
_CONTROL_FD = 4


class Pipes:
    def __init__(self) -> None:
        self._record = open(_RECORD_FD, "wb")
        self._control = open(_CONTROL_FD, "rb")
        self._poller = select.poll()
        self._poller.register(self._control, select.POLLIN)
        self._change = bytearray(3)
        self._kept_pin, self._kept_from_ms, self._kept_ms = -1, 0, 0
        # Levels of the input pins: buttons are up, the cover is closed.
        self._levels = {10: 1, 11: 1, 12: 0}
        for held in os.getenv("KGO_HEAD_HELD", "").split():
            self._levels[int(held)] ^= 1

    def say(self, what: str, value: object) -> None:
        self._record.write(f"{time.ticks_us()} {what} {value}\n")

    def level(self, pin: int) -> int:
        if self._kept_pin < 0:
            self._take()
        elif pin == self._kept_pin and time.ticks_diff(time.ticks_ms(), self._kept_from_ms) >= self._kept_ms:
            self._kept_pin = -1  # the next change may come with the next question, not before this answer
        return self._levels.get(pin, 0)

    def _take(self) -> None:
        # A change that is to be kept stays until it was seen for so long by the board's own clock, however seldom a
        # busy machine lets the board look.
        for _ in self._poller.ipoll(0):
            if self._control.readinto(self._change) == 3:
                pin, level, kept_10ms = self._change
                self._levels[pin] = level
                if kept_10ms:
                    self._kept_pin, self._kept_from_ms, self._kept_ms = pin, time.ticks_ms(), kept_10ms * 10


PIPES = Pipes()
