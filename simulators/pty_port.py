"""A serial port that a simulated device plugs in and pulls: a pseudo-terminal behind a stable name. DESIGN §11."""

import fcntl
import os
import select
import struct
import termios
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Self

WRITE_S_MAX = 2.0  # then nobody reads: the rest is lost, as on a real wire
FULL_PAUSE_S = 0.001
SETTLE_S = 0.05  # nothing unread for so long means all is read


class PtyPort:
    """The device has `master`, the program under test opens `link`, which leads to `slave`; both are -1 unplugged."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self.master = self.slave = -1

    @property
    def is_plugged(self) -> bool:
        """Is the port there?"""
        return self.master >= 0

    def plug(self) -> None:
        """Make the port and point the link at it in one step; a port that is there stays."""
        if self.is_plugged:
            return
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        fresh = self._link.with_name(f"{self._link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self.slave))
        fresh.replace(self._link)

    def unplug(self) -> None:
        """Take the port away: slave first, then master, which hangs up whoever has it open."""
        if self.is_plugged:
            self._link.unlink(missing_ok=True)
            os.close(self.slave)
            os.close(self.master)
            self.master = self.slave = -1

    def write(self, data: bytes, piece_bytes: Callable[[], int], pause_s: float = 0.0) -> None:
        """In pieces of so many bytes, with a pause after each; what nobody has read within `WRITE_S_MAX` is lost."""
        until_s = time.monotonic() + WRITE_S_MAX
        sent = 0
        while sent < len(data):
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select((), [self.master], (), left_s)[1]:
                return
            try:
                sent += os.write(self.master, data[sent : sent + piece_bytes()])
            except BlockingIOError:
                time.sleep(FULL_PAUSE_S)
            if pause_s:
                time.sleep(pause_s)
                until_s += pause_s

    def settle(self) -> None:
        """Let the reader take what was sent: hanging up would discard it, also what the kernel still moves over."""
        until_s = time.monotonic() + WRITE_S_MAX
        empty_since_s = time.monotonic()
        while (now_s := time.monotonic()) < until_s and now_s - empty_since_s < SETTLE_S:
            if struct.unpack("i", fcntl.ioctl(self.slave, termios.FIONREAD, bytes(4)))[0]:
                empty_since_s = now_s
            time.sleep(FULL_PAUSE_S)


class PtyDevice:
    """A device on such a port: plugged in and pulled, plugged while a `with` block runs."""

    def __init__(self, link: Path) -> None:
        self._port = PtyPort(link)

    @property
    def is_plugged(self) -> bool:
        """Is the port there?"""
        return self._port.is_plugged

    def plug(self) -> None:
        """Make the port and point `link` at it; a port that is there stays."""
        self._port.plug()

    def unplug(self) -> None:
        """Take the port away, also from who has it open."""
        self._port.unplug()

    def close(self) -> None:
        """Unplug for good."""
        self.unplug()

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
