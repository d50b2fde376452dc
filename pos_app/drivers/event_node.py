"""Opens an input device's event node for this program alone. Linux `drivers/input/evdev.c`; decision 0186.

Grabbed, its keys go nowhere else: not into the page, not to the login of the text console. One that cannot be grabbed
is not read. Before it is grabbed it is asked for its keys: a touch screen that was named by mistake stays the page's.
A pseudo-terminal is the desk's simulated device; nothing types from it, so there is nothing to grab.
"""

import errno
import fcntl
import os
import stat
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from offline_ledger.errors import DevicePortInUse, NotAKeyScanner, Refusal, ScannerLost, WedgeForbidden
from pos_app.drivers.input_events import EV_MSC, KEY_ENTER, PLAIN

INPUT_MAJOR = 13
PTY_MAJORS = range(136, 144)
"""Linux `Documentation/admin-guide/devices.txt`."""
EVIOCGRAB = 0x4004_4590
KEY_MASK_BYTES = 96
EVIOCGBIT_KEY = 0x8060_4521
"""`EVIOCGBIT(EV_KEY, 96)`: one bit for each key that the device has, KEY_MAX is 767."""
EVIOCSMASK = 0x4010_4593
NO_SCAN_CODES = struct.pack("=IIQ", EV_MSC, 0, 0)
"""A `struct input_mask` that lets none through: a third more keys then fit into the kernel's 64 events."""

_KEYPAD = 55
_TYPED = (KEY_ENTER, *(code for code, char in PLAIN.items() if chr(char).isalnum() and code < _KEYPAD))
"""What every keyboard has, and no touch screen, mouse or power button."""

Ioctl = Callable[[int, int, "int | bytes | bytearray"], object]


def kernel_ioctl(descriptor: int, request: int, argument: int | bytes | bytearray) -> object:
    """ioctl(2); a bytearray is filled in."""
    return fcntl.ioctl(descriptor, request, argument)


class NotEvents(OSError):
    """There is something of that name, and it is no keyboard."""


class NodeKind(NamedTuple):
    """What `fstat` says; a major of -1: not a character device."""

    major: int


def kind_of(descriptor: int) -> NodeKind:
    """Of an open descriptor."""
    about = os.fstat(descriptor)
    return NodeKind(os.major(about.st_rdev) if stat.S_ISCHR(about.st_mode) else -1)


class EventNode:
    """An open node."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """For select and read; reads do not wait."""
        return self._descriptor

    def close(self) -> None:
        """The grab ends with it."""
        os.close(self._descriptor)


def open_node(path: str, ioctl: Ioctl = kernel_ioctl, kind: Callable[[int], NodeKind] = kind_of) -> EventNode:
    """Raises OSError: `NotEvents`, EBUSY when another program has it grabbed, or what opening it gave."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        major = kind(descriptor).major
        if major == INPUT_MAJOR:
            _grab(descriptor, ioctl)
        elif major in PTY_MAJORS:
            termios.tcflush(descriptor, termios.TCIFLUSH)  # an event node's buffer begins empty as well
        else:
            raise NotEvents(errno.ENODEV, "not an input device")
    except (OSError, termios.error):
        os.close(descriptor)
        raise
    return EventNode(descriptor)


def _grab(descriptor: int, ioctl: Ioctl) -> None:
    keys = bytearray(KEY_MASK_BYTES)
    try:
        ioctl(descriptor, EVIOCGBIT_KEY, keys)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):  # /dev/input/mice and js0 know no such question
            raise NotEvents(error.errno, "an input device without events") from error
        raise
    if not all(keys[code >> 3] & 1 << (code & 7) for code in _TYPED):
        raise NotEvents(errno.ENODEV, "an input device without the keys of a keyboard")
    ioctl(descriptor, EVIOCGRAB, 1)
    with suppress(OSError):  # Linux before 4.4: only the buffer is shorter
        ioctl(descriptor, EVIOCSMASK, NO_SCAN_CODES)


def refusal_for(error: Exception, path: str) -> Refusal:
    """What a technician is told: no right to it, another program has it, not a keyboard, or lost."""
    number = getattr(error, "errno", None)
    if isinstance(error, NotEvents):
        return NotAKeyScanner(f"{path}: {error.strerror}")
    if number in (errno.EACCES, errno.EPERM):
        return WedgeForbidden(f"{path}: {error}")
    if number == errno.EBUSY:
        return DevicePortInUse(f"{path}: {error}")
    return ScannerLost(f"{path}: {error}")
