"""The way to a printer: TCP, the kernel's usblp or a serial port. Every call has an end. DESIGN §11.

Bytes out and bytes in; what they mean is the driver's. python-escpos has connections of its own, which wait for ever
for a printer that hangs (decision 0171).
"""

import errno
import fcntl
import os
import select
import socket
import stat
import struct
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress

import serial

from offline_ledger.errors import (
    DevicePortForbidden,
    DevicePortInUse,
    PrinterAbsent,
    PrinterHanging,
    PrinterNoPaper,
    Refusal,
)
from offline_ledger.terminal.printer_address import Address, Kind

CONNECT_S_MAX = 1.5
STALL_S_MAX = 1.2
"""A printer takes a band within 60 ms even at 50 mm/s; one that takes nothing for so long hangs."""
DRAIN_LOOK_S = 0.01
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
SLICE_S = 0.2
"""How soon a wait notices that the program ends."""
SEND_BUFFER_BYTES = 8_192
"""Of a TCP connection: what the printer has not taken should not look as if it had."""
READ_BYTES_MAX = 256
BITS_PER_BYTE = 10


class Wire:
    """An open connection. Not thread-safe."""

    def __init__(self, address: Address, fileno: int, close: Callable[[], None], is_ending: Callable[[], bool]) -> None:
        self._address, self._fileno, self._close, self._is_ending = address, fileno, close, is_ending
        self.seconds_per_byte = BITS_PER_BYTE / address.number if address.kind is Kind.SERIAL else 0.0
        os.set_blocking(fileno, False)

    def write(self, data: bytes) -> None:
        """All of it. Raises PrinterHanging when nothing is taken for STALL_S_MAX, PrinterAbsent, PrinterNoPaper."""
        left = memoryview(data)
        until_s = time.monotonic() + STALL_S_MAX
        while left:
            if not self._wait(until_s, to_write=True):
                raise PrinterHanging(f"{len(left)} bytes not taken")
            try:
                taken = os.write(self._fileno, left)
            except BlockingIOError:
                continue
            except OSError as error:
                raise refusal_for(error, self._address) from error
            left = left[taken:]
            until_s = time.monotonic() + STALL_S_MAX + taken * self.seconds_per_byte

    def drain(self) -> None:
        """Returns when nothing that was written is left on this machine. Raises PrinterHanging when nothing of it goes
        out for STALL_S_MAX, PrinterAbsent."""
        left = self._unsent()
        until_s = time.monotonic() + STALL_S_MAX
        while left:
            if self._is_ending():
                raise PrinterAbsent(f"{self._address}: the program ends")
            if time.monotonic() > until_s:
                raise PrinterHanging(f"{left} bytes not taken")
            time.sleep(DRAIN_LOOK_S)
            now = self._unsent()
            if now < left:
                until_s = time.monotonic() + STALL_S_MAX
            left = now
        if self._is_broken():  # then what was left went nowhere
            raise PrinterAbsent(f"{self._address}: hung up")

    def _is_broken(self) -> bool:
        asked = select.poll()
        asked.register(self._fileno, 0)
        return any(found & (select.POLLERR | select.POLLHUP) for _, found in asked.poll(0))

    def _unsent(self) -> int:
        """Bytes in the kernel: of a connection those that the other end has not acknowledged; usblp does not say."""
        try:
            return int.from_bytes(fcntl.ioctl(self._fileno, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        except OSError:
            return 0

    def read(self, left_s: float) -> bytes:
        """What has come within that time; nothing after it. Raises PrinterAbsent when the other end is gone."""
        if not self._wait(time.monotonic() + left_s, to_write=False):
            return b""
        try:
            found = os.read(self._fileno, READ_BYTES_MAX)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise refusal_for(error, self._address) from error
        if not found:
            raise PrinterAbsent(f"{self._address}: hung up")
        return found

    def close(self, *, is_lost: bool = False) -> None:
        """Lets go of it, without waiting for what was not taken. `is_lost`: what was not taken is thrown away, so that
        no drawer opens and no half receipt comes out when the printer wakes up."""
        with suppress(OSError):  # it is gone already
            if is_lost and self._address.kind is Kind.NETWORK:
                with socket.socket(fileno=os.dup(self._fileno)) as line:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        with suppress(OSError, termios.error):
            self._close()

    def _wait(self, until_s: float, *, to_write: bool) -> bool:
        """Ready in time? Raises PrinterAbsent when the program ends meanwhile."""
        while True:
            left_s = until_s - time.monotonic()
            watched = [self._fileno]
            ready = select.select((), watched, (), 0) if to_write else select.select(watched, (), (), 0)
            if any(ready):
                return True
            if left_s <= 0:
                return False
            if self._is_ending():
                raise PrinterAbsent(f"{self._address}: the program ends")
            wait_s = min(left_s, SLICE_S)
            _ = select.select((), watched, (), wait_s) if to_write else select.select(watched, (), (), wait_s)


def open_wire(address: Address, is_ending: Callable[[], bool]) -> Wire:
    """Raises PrinterAbsent, DevicePortForbidden, DevicePortInUse."""
    try:
        match address.kind:
            case Kind.NETWORK:
                line = _connected(address)
                return Wire(address, line.fileno(), line.close, is_ending)
            case Kind.USB:
                fileno = os.open(address.target, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
                if not stat.S_ISCHR(os.fstat(fileno).st_mode):  # a file that was named by mistake is not written over
                    os.close(fileno)
                    raise PrinterAbsent(f"{address}: no device")
                return Wire(address, fileno, lambda: os.close(fileno), is_ending)
            case Kind.SERIAL:
                port = serial.Serial(address.target, address.number, timeout=0, exclusive=True)
                return Wire(address, port.fileno(), lambda: _closed(port), is_ending)
    except (OSError, termios.error) as error:
        raise refusal_for(error, address) from error


def refusal_for(error: Exception, address: Address) -> Refusal:
    """What the system's word means for the one at the till."""
    number = getattr(error, "errno", None)
    if number == errno.ENOSPC:  # so usblp says that the paper is out
        return PrinterNoPaper()
    if number in (errno.EACCES, errno.EPERM) and address.kind is not Kind.NETWORK:
        return DevicePortForbidden(f"{address}: {error}")
    if number in (errno.EBUSY, errno.EWOULDBLOCK) and address.kind is not Kind.NETWORK:
        return DevicePortInUse(f"{address}: {error}")
    return PrinterAbsent(f"{address}: {error}")


def _connected(address: Address) -> socket.socket:
    family, kind, protocol, _name, where = socket.getaddrinfo(address.target, address.number, type=socket.SOCK_STREAM)[
        0
    ]
    line = socket.socket(family, kind, protocol)
    try:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.settimeout(CONNECT_S_MAX)
        line.connect(where)
    except BaseException:
        line.close()
        raise
    return line


def _closed(port: serial.Serial) -> None:
    """Without flushing, closing waits 30 s for a printer that takes nothing."""
    try:
        port.reset_output_buffer()
    finally:
        port.close()
