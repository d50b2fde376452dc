"""A USB stick: a real FAT or exFAT file system, made by mkfs and mounted by its FUSE driver. DESIGN §11.

As on a technician's laptop, it keeps no permissions and knows no second name for a file. exFAT's driver wants a block
device, so a user without root has FAT alone.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STICK_MB = 16
WAIT_S_MAX = 20.0
KINDS = ("fat", "exfat") if os.geteuid() == 0 else ("fat",)
_MAKE = {"fat": "mkfs.vfat", "exfat": "mkfs.exfat"}


@contextmanager
def mounted_stick(kind: str, folder: Path, size_mb: int = STICK_MB) -> Iterator[Path]:
    """The stick's root folder, empty; `kind` of `KINDS`. Unplugged at the end."""
    image, place = folder / f"{kind}.img", folder / f"{kind}-stick"
    image.touch()
    os.truncate(image, size_mb << 20)
    place.mkdir()
    _run(_MAKE[kind], str(image))
    device = _run("losetup", "--find", "--show", str(image)).strip() if kind == "exfat" else ""
    try:
        if device:
            _run("mount.exfat-fuse", device, str(place))
        else:
            _run("fusefat", str(image), str(place), "-o", "rw+")
        _wait_until(lambda: os.path.ismount(place), f"{place} to be mounted")
        try:
            yield place
        finally:
            _run("umount" if os.geteuid() == 0 else "fusermount", *(() if os.geteuid() == 0 else ("-u",)), str(place))
    finally:
        if device:
            _run("losetup", "--detach", device)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S_MAX, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _wait_until(is_true: Callable[[], bool], what: str) -> None:
    until_s = time.monotonic() + WAIT_S_MAX
    while not is_true():
        assert time.monotonic() < until_s, f"waited for {what}"
        time.sleep(0.01)
