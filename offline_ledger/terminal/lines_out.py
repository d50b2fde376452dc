"""Lines to whoever reads a standard stream, without ever waiting long for him. DESIGN §5 "no frozen screen".

A reader that is alive but reads nothing fills the pipe, and a plain write would then wait for ever, signals or not.
Here a line that makes no progress for a while is an error, like a reader that went away. Never keeps lines for later.
"""

import os
import select
import stat
import sys
from contextlib import suppress
from time import monotonic

PIECE_BYTES_MAX = 4_096
"""What a pipe takes at once when it says that it takes something (PIPE_BUF)."""
ERROR_S_MAX = 0.25
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


class ReaderLost(Exception):
    """Nobody reads any more; the message says why."""


class LinesOut:
    """One stream. Not thread-safe: who writes takes turns."""

    def __init__(self, descriptor: int, stuck_s_max: float) -> None:
        """`stuck_s_max`: so long a line may make no progress."""
        self._descriptor = _opened_for_us(descriptor)
        self._stuck_s_max = stuck_s_max
        self._room, self._reader = select.poll(), select.poll()
        self._room.register(self._descriptor, select.POLLOUT)
        self._reader.register(self._descriptor, 0)  # asked for nothing: only what is wrong is reported

    def write(self, text: str) -> None:
        """All of it, or ReaderLost: the reader went away, or took nothing for too long."""
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        until_s = monotonic() + self._stuck_s_max
        while left:
            wait_s = until_s - monotonic()
            if wait_s <= 0 or not self._room.poll(wait_s * 1000):
                raise ReaderLost("its reader is stuck")
            try:
                written = os.write(self._descriptor, left[:PIECE_BYTES_MAX])
            except BlockingIOError:
                continue  # somebody else who writes there was faster
            except OSError as error:
                raise ReaderLost(str(error.strerror)) from error
            left = left[written:]
            until_s = monotonic() + self._stuck_s_max

    def is_reader_gone(self) -> bool:
        """Did the other end go away: a pipe's, a socket's, a terminal's? A file has none that could."""
        return any(event & _GONE for _descriptor, event in self._reader.poll(0))


def _opened_for_us(descriptor: int) -> int:
    """A pipe or terminal is opened once more, for us alone and never waiting: the flag on the common one would be
    everybody's. Where that is not allowed, and for sockets, the stream as it is: it waits only for room that it said
    it had."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return os.open(f"/proc/self/fd/{descriptor}", flags)
        except OSError:
            pass
    return descriptor


def tell_error(text: str) -> None:
    """A last word on standard error, if anybody takes it soon; the end of a program does not wait for its reader."""
    stream: object = sys.stderr
    if stream is None:  # closed before the program began, whatever its type says
        return
    with suppress(ReaderLost):
        LinesOut(sys.stderr.fileno(), ERROR_S_MAX).write(text)
