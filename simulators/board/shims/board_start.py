"""A board with MicroPython on it boots: its own file system, its boot.py and main.py, then the prompt.

The file system is LittleFS on an image file, as `_boot.py` of the RP2040's MicroPython makes it on the chip's flash.
The image holds what was written when the power goes; a cut may be ordered in the middle of any write.
"""

import os
import sys
import time

import machine  # noqa: F401 - loaded here: the board's own file system has none of these
import neopixel  # noqa: F401
import vfs
from board_pipes import PIPES

_BLOCK_BYTES = 4096
_PROGRAM_BYTES = 256
_OURS = ("# KGO reader head", "from firmware.")  # a head turns Ctrl-C off; any other program ends by it
_COUNT, _SIZE, _ERASE = 4, 5, 6  # requests of MicroPython's block device protocol


class Flash:
    def __init__(self, path, cut_at) -> None:
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // _BLOCK_BYTES
        self._cut_at = cut_at
        self._changes = 0

    def readblocks(self, block, buffer, offset=0) -> None:
        self._file.seek(block * _BLOCK_BYTES + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0) -> None:
        self._change(block * _BLOCK_BYTES + offset, buffer)

    def ioctl(self, request, argument):
        if request == _COUNT:
            return self._blocks
        if request == _SIZE:
            return _BLOCK_BYTES
        if request == _ERASE:
            self._change(argument * _BLOCK_BYTES, b"\xff" * _BLOCK_BYTES)
        return 0

    def _change(self, at, data) -> None:
        self._changes += 1
        self._file.seek(at)
        if self._changes == self._cut_at:
            self._file.write(memoryview(data)[: len(data) // 2])  # torn: the power goes in the middle
            PIPES.say("cut", self._changes)
            while True:
                time.sleep(1)
        self._file.write(data)
        PIPES.say("wrote", self._changes)


class System:
    """`os`, which on the board knows what board it is."""

    def __init__(self, beneath, name, release) -> None:
        self._beneath = beneath
        self._name, self._release = name, release

    def __getattr__(self, name):
        return getattr(self._beneath, name)

    def uname(self):
        return "rp2", "rp2", self._release, "v" + self._release, self._name


def mounted(flash):
    try:
        return vfs.VfsLfs2(flash, progsize=_PROGRAM_BYTES)
    except OSError:
        vfs.VfsLfs2.mkfs(flash, progsize=_PROGRAM_BYTES)
        return vfs.VfsLfs2(flash, progsize=_PROGRAM_BYTES)


def run(name) -> None:
    try:
        with open(name) as file:
            source = file.read()
    except OSError:
        return
    try:
        code = compile(source, name, "exec")
        PIPES.say("foreign", 0 if source.startswith(_OURS) else 1)
        exec(code, {"__name__": "__main__"})
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - as on the board: the prompt comes after it; a reset is no Exception
        sys.print_exception(error)


PIPES.say("boot", os.getenv("KGO_HEAD_CAUSE"))
FLASH = mounted(Flash(os.getenv("KGO_BOARD_IMAGE"), int(os.getenv("KGO_BOARD_CUT") or 0)))
sys.modules["os"] = System(os, os.getenv("KGO_BOARD_NAME"), os.getenv("KGO_BOARD_RELEASE"))
vfs.umount("/")
vfs.mount(FLASH, "/")
os.chdir("/")
sys.path[:] = ["", ".frozen", "/lib"]
run("/boot.py")
run("/main.py")
PIPES.say("ended", 0)
os.putenv("MICROPYINSPECT", "1")  # the prompt follows; not after a reset, which ends the script before this line
