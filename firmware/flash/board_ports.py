"""Serial ports of boards: which there are, where one is after a restart, and why one cannot be opened. DESIGN §11.

A board is known by its USB serial number: its port's name may be another after each restart.
"""

import getpass
import grp
import hashlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from glob import glob
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import serial
from serial.tools import list_ports

from offline_ledger.errors import (
    BoardLost,
    BoardPortForbidden,
    BoardPortInUse,
    BoardPortOfRoot,
    NoPort,
    Refusal,
)
from offline_ledger.terminal.drivers.serial_port import PORT_ERRORS, open_port, refusal_for

BAUD = 115_200
RASPBERRY_PI_VENDOR = 0x2E8A
"""USB vendor of the RP2040's own and of MicroPython's port on it."""
DEBUG_PROBES = (0x0004, 0x000C)
"""USB products of that vendor that are no boards: behind their port is the console of something else."""
RECENT_S = 0.1
CLAIM_S_MAX = 4.0
"""As long as another run may ask a board what it is."""
LINKS_MAX = 8
PSEUDO = "/dev/pts/"
POLL_S = 0.05
GROUP_BITS = 0o060
RULE = 'SUBSYSTEM=="tty", ATTRS{idVendor}=="2e8a", GROUP="dialout", MODE="0660"'
RULE_FILE = "/etc/udev/rules.d/60-kgo-head.rules"


class BoardPort(NamedTuple):
    """`name`: what a person says. `serial`: the USB serial number, empty where none is known."""

    name: str
    serial: str = ""


Enumerate = Callable[[], list[BoardPort]]


def usb_ports() -> list[BoardPort]:
    """The ports of Raspberry Pi boards on USB. Anything else on USB is nobody's to poke at."""
    seen = list_ports.comports()
    found = (port for port in seen if port.vid == RASPBERRY_PI_VENDOR and port.pid not in DEBUG_PROBES)
    return [
        BoardPort(port.device, port.serial_number or "")
        for port in sorted(found, key=lambda port: by_number(port.device))
    ]


class Recent:
    """An enumeration for many threads: one answer does for `RECENT_S`. Twenty boards that restart would ask the system
    four hundred times a second."""

    def __init__(self, enumerate_usb: Enumerate = usb_ports) -> None:
        self._usb = enumerate_usb
        self._lock = Lock()
        self._at_s = -RECENT_S
        self._found: list[BoardPort] = []

    def __call__(self) -> list[BoardPort]:
        """At most so old."""
        with self._lock:
            if time.monotonic() - self._at_s >= RECENT_S:
                self._found = self._usb()
                self._at_s = time.monotonic()
            return self._found


class Ports:
    """All ports that may be boards: those on USB and those that a pattern names."""

    def __init__(self, pattern: str = "", enumerate_usb: Enumerate = usb_ports) -> None:
        self._pattern, self._usb = pattern, enumerate_usb

    def all(self) -> list[BoardPort]:
        """Each once, the USB ones first."""
        found = self._usb()
        known = {_real(port.name) for port in found}
        named = (
            name for name in sorted(glob(self._pattern), key=by_number) if self._pattern and _real(name) not in known
        )
        return [*found, *(BoardPort(name) for name in named if _is_device(name))]

    def named(self, name: str) -> BoardPort:
        """The port that a person named, with its serial number if it is on USB."""
        real = _real(name)
        on_usb = (port.serial for port in self._usb() if _real(port.name) == real)
        return BoardPort(name, next(on_usb, ""))

    def path(self, port: BoardPort) -> str:
        """Where it is now. Raises FileNotFoundError while it is away."""
        if port.serial:
            for found in self._usb():
                if found.serial == port.serial:
                    return _real(found.name)
            raise FileNotFoundError(port.name)
        return os.path.realpath(port.name, strict=True)

    def open(self, port: BoardPort) -> serial.Serial:
        """For us alone. Raises FileNotFoundError, NoPort, BoardPortForbidden, BoardPortOfRoot, BoardPortInUse,
        BoardLost."""
        path = self.path(port)
        try:
            return open_port(path, BAUD)
        except PORT_ERRORS as error:
            if not os.path.exists(path):
                raise FileNotFoundError(path) from error
            raise _bench_refusal(refusal_for(error, path, BoardLost), path) from error


def _bench_refusal(refusal: Refusal, path: str) -> Refusal:
    """What the technician is told of it, with the command that helps."""
    from offline_ledger.errors import DevicePortForbidden, DevicePortInUse

    if isinstance(refusal, DevicePortForbidden):
        return _forbidden(path)
    if isinstance(refusal, DevicePortInUse):
        return BoardPortInUse(path)
    return refusal if _is_terminal(path) else NoPort(path)


def _forbidden(path: str) -> Refusal:
    """A port that the system gives to no group is no matter of who is in it: a rule gives it to one."""
    try:
        found = os.stat(path)
        if found.st_gid and found.st_mode & GROUP_BITS == GROUP_BITS:
            group = grp.getgrgid(found.st_gid).gr_name
            return BoardPortForbidden(f"{path}: group {group}: sudo usermod -aG {group} {getpass.getuser()}")
    except (OSError, KeyError):
        pass  # it goes, or its group has no name
    return BoardPortOfRoot(f"{path}: echo '{RULE}' | sudo tee {RULE_FILE}")


def _is_terminal(path: str) -> bool:
    """As every serial port is; a port that goes meanwhile was one."""
    if os.path.exists(path) and not Path(path).is_char_device():
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def claimed(*names: str) -> Iterator[None]:
    """What has these names is ours among all runs of the bench on this computer, also while its port is away or nobody
    has it open. Raises BoardPortInUse. The claim is a socket's name: it ends with the process, however that ends."""
    with ExitStack() as claims:
        for name in dict.fromkeys(names):
            claims.enter_context(_claim(name))
        yield


def names_of(port: BoardPort) -> tuple[str, ...]:
    """By which two runs know that they mean the same one, however it was spelt: its serial, or each name on the way to
    its device. The number of a pseudo-terminal is none: while its board restarts, it is given to another."""
    if port.serial:
        return (port.serial,)
    path = os.path.abspath(port.name)
    found = [path]
    with suppress(OSError):
        while len(found) < LINKS_MAX:
            path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
            found.append(path)
    found.append(_real(port.name))
    return tuple(dict.fromkeys(name for name in found if not name.startswith(PSEUDO))) or (path,)


def _claim(name: str) -> socket.socket:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    until_s = time.monotonic() + CLAIM_S_MAX
    while True:
        try:
            claim.bind(b"\0kgo-flash " + hashlib.sha256(name.encode()).digest())
            return claim
        except OSError as error:
            if time.monotonic() > until_s:
                claim.close()
                raise BoardPortInUse(f"{name}: another kgo-flash") from error
        time.sleep(POLL_S)


def _real(name: str) -> str:
    """Where the name leads; itself, where that may not be seen."""
    try:
        return os.path.realpath(name)
    except OSError:
        return os.path.abspath(name)


def _is_device(name: str) -> bool:
    """What cannot even be looked at is no board of ours."""
    try:
        return Path(name).is_char_device()
    except OSError:
        return False


def by_number(name: str) -> list[tuple[int, str]]:
    """The order in which people count ports: 2 before 10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split("([0-9]+)", name)]


def names(ports: Iterable[BoardPort]) -> str:
    """For a line."""
    return ", ".join(port.name for port in ports)
