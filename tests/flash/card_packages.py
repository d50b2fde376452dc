"""A package that a card takes: the real one, made from this checkout, with what a program needs to say who it is.

Made once for all processes of a test run. The other libraries are left out: nothing here scans or prints.
"""

import fcntl
from pathlib import Path

import pytest

from firmware.flash.release.making import Making, make, own_python
from firmware.flash.release.wheels import read_locks
from offline_ledger.terminal.updates.names import own_platform

ROOT = Path(__file__).parents[2]
VERSION = "0.2.0"
NEEDED = ("apsw", "cbor2", "cffi", "cryptography", "pycparser", "pyserial")


def made_package(factory: pytest.TempPathFactory, *, is_shared: bool) -> Path:
    """`is_shared`: several processes run tests, and one of them makes it."""
    folder = factory.getbasetemp().parent / "card-package" if is_shared else factory.mktemp("card-package")
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for there in folder.glob("kgo-*.zip"):
            return there
        pins = read_locks([ROOT / "requirements" / "bus.txt"])
        short = folder / "short.txt"
        short.write_text("".join("\n".join(pins[name].lines) + "\n" for name in NEEDED))
        return make(Making(ROOT, VERSION, own_platform(), own_python(), [short], [], True), folder)
