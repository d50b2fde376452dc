"""A serial port that comes and goes, under a driver that polls it: opening, losing, waking, closing. DESIGN §11.

What every serial driver needs and none of them says differently. What the bytes mean is the driver's; so is who hears
of a refusal. A device that is read alike and opened otherwise brings its own `Opening`. Not for two threads, but for
`wake`.
"""

import errno
import os
import select
import termios
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import serial

from offline_ledger.errors import DevicePortForbidden, DevicePortInUse, Refusal
from offline_ledger.terminal.backoff import BackOff

READ_BYTES_MAX = 4_096

# What a vanishing or refusing port raises: pyserial's own error is an OSError, that of termios is not.
PORT_ERRORS = (OSError, termios.error)


class OpenDevice(Protocol):
    """A descriptor that select and read work on."""

    def fileno(self) -> int: ...

    def close(self) -> None: ...


class Opening(NamedTuple):
    """`open` raises one of `PORT_ERRORS`; `refusal_for` says what a technician is told of it, or of a loss."""

    open: Callable[[], OpenDevice]
    refusal_for: Callable[[Exception], Refusal]


def open_port(path: str, baud: int) -> serial.Serial:
    """For this program alone; reads do not wait. Raises one of `PORT_ERRORS`."""
    return serial.Serial(path, baud, timeout=0, exclusive=True)


def close_port(port: OpenDevice) -> str:
    """Why that failed, or nothing: closing a vanished device fails too; its descriptor is gone either way."""
    try:
        port.close()
    except PORT_ERRORS as error:
        return str(error)
    return ""


def refusal_for(error: Exception, path: str, lost: type[Refusal]) -> Refusal:
    """What a technician is told: no right to the port, another program on it, or `lost` for all else."""
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        return DevicePortForbidden(f"{path}: {error}")
    if number in (errno.EBUSY, errno.EWOULDBLOCK, errno.EAGAIN):
        return DevicePortInUse(f"{path}: {error}")
    return lost(f"{path}: {error}")


class SerialPort:
    """One port, found by path: a stable name (`/dev/serial/by-id/...`, `/dev/serial0`) or a pty."""

    def __init__(
        self,
        path: str,
        baud: int,
        back_off: BackOff,
        now_s: Callable[[], float],
        lost: type[Refusal],
        refuse: Callable[[Refusal], None],
        opening: Opening | None = None,
    ) -> None:
        """`lost`: the device's own refusal; `refuse`: hears of each loss once, not once per try."""
        self.path = path
        self._back_off, self._now_s, self._refuse = back_off, now_s, refuse
        own = Opening(partial(open_port, path, baud), partial(refusal_for, path=path, lost=lost))
        self._opening = opening or own
        self._port: OpenDevice | None = None
        self._why: Exception | None = None
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.is_closed = False
        self.is_lost = False
        """Its loss was told, and it is not back."""
        self.last_error = ""
        self.received_bytes = self.connects = 0

    @property
    def is_open(self) -> bool:
        """Is the device there?"""
        return self._port is not None

    def fileno(self) -> int | None:
        """The open port for a selector, or None while it is lost."""
        return self._port.fileno() if self._port is not None else None

    def connect(self) -> None:
        """Try to open it now, whenever the next try is due."""
        if self._port is not None or self.is_closed:
            return
        try:
            self._port = self._opening.open()
        except PORT_ERRORS as error:
            self._failed(error)
            self.tell_lost()
            return
        self.connects += 1
        self.is_lost = False
        self.last_error = ""

    def connect_if_due(self) -> None:
        """Try to open it if it is lost and its pause is over."""
        if self._port is None and self._back_off.left_s(self._now_s()) <= 0:
            self.connect()

    def wait(self, left_s: float) -> tuple[bool, bool]:
        """Wait for bytes, for `wake`, or for the next try to be due; (woken, readable)."""
        watched = [self._wake_read]
        if self._port is None:
            left_s = min(left_s, self._back_off.left_s(self._now_s()))
        else:
            watched.append(self._port.fileno())
        ready, _, _ = select.select(watched, (), (), left_s)
        woken = self._wake_read in ready
        if woken:
            os.read(self._wake_read, READ_BYTES_MAX)
        return woken, len(ready) > woken

    def read(self) -> bytes | None:
        """What has come; None: the port was lost with this. Tell of what was cut off, and then `tell_lost`."""
        assert self._port is not None
        try:
            received = os.read(self._port.fileno(), READ_BYTES_MAX)
        except BlockingIOError:
            return b""
        except PORT_ERRORS as error:
            return self.lose(error)
        if not received:  # a hang-up reads as end of file
            return self.lose(OSError(errno.EIO, "hung up"))
        self.received_bytes += len(received)
        self._back_off.worked()
        return received

    def lose(self, error: Exception) -> None:
        """Let it go: it failed, or what came from it cannot be its own. Then `tell_lost`."""
        self._drop()
        self._failed(error)

    def wake(self) -> None:
        """Make a `wait` in another thread return now."""
        if not self.is_closed:
            try:
                os.write(self._wake_write, b"\0")
            except BlockingIOError:
                pass  # it is full of such words already

    def close(self) -> None:
        """For good. Call it from the polling thread, after `wake` if need be."""
        if not self.is_closed:
            self.is_closed = True
            self._drop()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def tell_lost(self) -> None:
        """Refuse with why it was lost, unless that was told."""
        if not self.is_lost and self._why is not None:
            self.is_lost = True
            self._refuse(self._opening.refusal_for(self._why))

    def _failed(self, error: Exception) -> None:
        self._back_off.failed(self._now_s())
        self._why, self.last_error = error, str(error)

    def _drop(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            self.last_error = close_port(port) or self.last_error
