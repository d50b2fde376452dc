"""The cable to the terminal: the board's own USB serial port, which MicroPython gives as standard input and output.

A port of bytes; knows no frame. USB because one cable then carries power and data, is found by a stable name and may be
pulled at any time. DESIGN §3.
"""

import select
import sys

import micropython

_NO_KEY = -1


class Cable:
    def __init__(self) -> None:
        micropython.kbd_intr(_NO_KEY)  # 0x03 is a byte like any other, not Ctrl-C
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._readable = select.poll()
        self._readable.register(sys.stdin, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(sys.stdout, select.POLLOUT)
        self.gone = False

    def watch(self, poller) -> None:
        # Lets the loop wait for this cable and for others at once.
        poller.register(sys.stdin, select.POLLIN)

    def read(self, buffer) -> int:
        # Bytes that are there now, into a memoryview; asks before each byte, as a USB read of more would wait for all.
        count, most = 0, len(buffer)
        readable, into = self._readable, self._in.readinto
        while count < most:
            for _ in readable.ipoll(0):
                break
            else:
                return count
            if not into(buffer[count : count + 1]):
                self.gone = True  # the end of standard input: only where an operating system is beneath
                return count
            count += 1
        return count

    def write(self, frame) -> bool:
        # A whole frame, if the cable takes any byte now. Where the terminal stops reading in the middle, MicroPython
        # waits half a second and drops the rest: the terminal then finds a damaged frame.
        for _ in self._writable.ipoll(0):
            self._out.write(frame)
            return True
        return False
