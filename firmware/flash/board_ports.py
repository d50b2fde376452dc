"""Serial ports of boards: which there are, where one is after a restart, and why one cannot be opened. DESIGN §11.

A board is known by its USB serial number: its port's name may be another after each restart.
"""

import getpass
import grp
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from glob import glob
from pathlib import Path
from typing import NamedTuple

import serial
from serial.tools import list_ports

from offline_ledger.errors import BoardLost, BoardPortForbidden, BoardPortInUse, Refusal
from offline_ledger.terminal.drivers.serial_port import PORT_ERRORS, open_port, refusal_for

BAUD = 115_200
RASPBERRY_PI_VENDOR = 0x2E8A
"""USB vendor of the RP2040's own and of MicroPython's port on it."""


class BoardPort(NamedTuple):
    """`name`: what a person says. `serial`: the USB serial number, empty where none is known."""

    name: str
    serial: str = ""


Enumerate = Callable[[], list[BoardPort]]


def usb_ports() -> list[BoardPort]:
    """The ports of Raspberry Pi boards on USB. Anything else on USB is nobody's to poke at."""
    found = (port for port in list_ports.comports() if port.vid == RASPBERRY_PI_VENDOR)
    return [
        BoardPort(port.device, port.serial_number or "")
        for port in sorted(found, key=lambda port: by_number(port.device))
    ]


class Ports:
    """All ports that may be boards: those on USB and those that a pattern names."""

    def __init__(self, pattern: str = "", enumerate_usb: Enumerate = usb_ports) -> None:
        self._pattern, self._usb = pattern, enumerate_usb

    def all(self) -> list[BoardPort]:
        """Each once, the USB ones first."""
        found = self._usb()
        known = {os.path.realpath(port.name) for port in found}
        named = (
            name
            for name in sorted(glob(self._pattern), key=by_number)
            if self._pattern and os.path.realpath(name) not in known
        )
        return [*found, *(BoardPort(name) for name in named if Path(name).is_char_device())]

    def named(self, name: str) -> BoardPort:
        """The port that a person named, with its serial number if it is on USB."""
        real = os.path.realpath(name)
        on_usb = (port.serial for port in self._usb() if os.path.realpath(port.name) == real)
        return BoardPort(name, next(on_usb, ""))

    def path(self, port: BoardPort) -> str:
        """Where it is now. Raises FileNotFoundError while it is away."""
        if port.serial:
            for found in self._usb():
                if found.serial == port.serial:
                    return os.path.realpath(found.name)
            raise FileNotFoundError(port.name)
        return os.path.realpath(port.name, strict=True)

    def open(self, port: BoardPort) -> serial.Serial:
        """For us alone. Raises FileNotFoundError, BoardPortForbidden, BoardPortInUse, BoardLost."""
        path = self.path(port)
        try:
            return open_port(path, BAUD)
        except PORT_ERRORS as error:
            if getattr(error, "errno", None) == 2:
                raise FileNotFoundError(path) from error
            raise _bench_refusal(refusal_for(error, path, BoardLost), path) from error


def _bench_refusal(refusal: Refusal, path: str) -> Refusal:
    """What the technician is told of it, with the command that helps."""
    from offline_ledger.errors import DevicePortForbidden, DevicePortInUse

    if isinstance(refusal, DevicePortForbidden):
        group, user = group_of(path), getpass.getuser()
        return BoardPortForbidden(f"{path}: group {group}: sudo usermod -aG {group} {user}")
    if isinstance(refusal, DevicePortInUse):
        return BoardPortInUse(path)
    return refusal


def group_of(path: str) -> str:
    """The group that the system gives the port to; `dialout` on Debian."""
    with suppress(OSError, KeyError):
        return grp.getgrgid(os.stat(path).st_gid).gr_name
    return "dialout"


def by_number(name: str) -> list[tuple[int, str]]:
    """The order in which people count ports: 2 before 10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split("([0-9]+)", name)]


def names(ports: Iterable[BoardPort]) -> str:
    """For a line."""
    return ", ".join(port.name for port in ports)
