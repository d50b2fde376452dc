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
        self._pair = bytearray(2)
        # Levels of the input pins: buttons are up, the cover is closed.
        self._levels = {10: 1, 11: 1, 12: 0}
        for held in os.getenv("KGO_HEAD_HELD", "").split():
            self._levels[int(held)] ^= 1

    def say(self, what: str, value: object) -> None:
        self._record.write(f"{time.ticks_us()} {what} {value}\n")

    def level(self, pin: int) -> int:
        for _ in self._poller.ipoll(0):
            if self._control.readinto(self._pair) == 2:
                self._levels[self._pair[0]] = self._pair[1]
        return self._levels.get(pin, 0)


PIPES = Pipes()
