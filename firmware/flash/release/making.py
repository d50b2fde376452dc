"""A package from this checkout: our wheel, all that it needs, and the system's files, in one zip. DESIGN §3.

Its members stand in order and have no times, so that two who make it from the same sources get the same bytes and can
compare their SHA-256. Never signs: `packages.add` does.
"""

import hashlib
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from firmware.flash.release.wheels import (
    build_own,
    download,
    is_installed,
    read_locks,
    repack,
    wheel_name_of,
    write_member,
)
from offline_ledger.errors import ReleasePackageTooLarge, ReleaseWheelMissing
from offline_ledger.files import storage_refusal, sync_folder
from offline_ledger.terminal.updates.names import PACKAGE_BYTES_MAX, PackageName, own_platform, version_of
from offline_ledger.terminal.updates.package import FORMAT, NAME, stores_as_json
from offline_ledger.terminal.updates.start import MANIFEST

PROGRAMS = ("kgo-pos", "kgo-bus")
LOCKS = ("requirements/pos.txt", "requirements/bus.txt")
PANEL_LOCK, PANEL_PLATFORM = "requirements/panel.txt", "linux_aarch64"
"""What an ILI9341 needs (decision 0114), for the machines that can have one."""
SYSTEM_FOLDERS = ("bus_validator/system", "pos_app/system", "offline_ledger/terminal/updates/system")
LAUNCHER = "offline_ledger/terminal/updates/start.py"
LAUNCHER_NAME = "start"


class Making(NamedTuple):
    """What is to be made. `wheels`: built elsewhere, in place of downloaded ones; `is_from_here`: nothing is
    downloaded, the others are those installed here."""

    source: Path
    version: str
    platform: str
    python: str
    locks: Sequence[Path]
    wheels: Sequence[Path]
    is_from_here: bool


def make(asked: Making, folder: Path) -> Path:
    """The package, in `folder`, durable. Raises ReleaseWheelMissing, ReleasePackageTooLarge, StorageFull,
    StorageFailed, ReleasePackageUnfit for a version that is none."""
    name = PackageName(version_of(asked.version), asked.platform)
    if asked.is_from_here and (asked.platform, asked.python) != (own_platform(), own_python()):
        raise ReleaseWheelMissing(f"here is {own_platform()}, Python {own_python()}")
    _check_place(folder)
    try:
        with tempfile.TemporaryDirectory() as work:
            wheels = _wheels(asked, Path(work))
            return write_package(folder / str(name), name, asked.python, wheels, _system(asked.source))
    except OSError as error:
        raise storage_refusal(error) from error


def _check_place(folder: Path) -> None:
    """Before minutes of collecting: a file can be made there. Raises StorageFull, StorageFailed."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise storage_refusal(error, folder) from error


def usual_locks(source: Path, platform: str, *, is_from_here: bool) -> list[Path]:
    """What a package for these machines is made from: a bus that has a panel must not lose it to an update. From here
    only where it is installed here. Raises ReleaseWheelMissing."""
    locks, panel = [source / name for name in LOCKS], source / PANEL_LOCK
    if platform != PANEL_PLATFORM or (is_from_here and not all(map(is_installed, read_locks([panel])))):
        return locks
    return [*locks, panel]


def own_python() -> str:
    """As packages name it."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _wheels(asked: Making, work: Path) -> list[Path]:
    pins = read_locks(asked.locks)
    machine = asked.platform.removeprefix("linux_")
    for wheel in asked.wheels:
        name, version = wheel_name_of(wheel, machine, asked.python)
        pin = pins.pop(name, None)
        if pin is None or pin.version != version:
            raise ReleaseWheelMissing(f"{wheel.name}: the lock files ask for {pin.version if pin else 'none'}")
    own = build_own(asked.source, work, asked.version)
    if asked.is_from_here:
        here = work / "here"
        here.mkdir()
        others = [repack(pin, here) for pin in pins.values()]
    else:
        others = download(list(pins.values()), machine, asked.python, work)
    return [own, *asked.wheels, *others]


def _system(source: Path) -> dict[str, bytes]:
    files = [file for folder in SYSTEM_FOLDERS for file in (source / folder).iterdir() if file.is_file()]
    return {file.name: file.read_bytes() for file in files} | {LAUNCHER_NAME: (source / LAUNCHER).read_bytes()}


def write_package(
    path: Path, name: PackageName, python: str, wheels: Sequence[Path], system: Mapping[str, bytes]
) -> Path:
    """The zip of these parts. Raises ReleasePackageTooLarge, OSError."""
    parts = {f"wheels/{wheel.name}": wheel.read_bytes() for wheel in wheels}
    parts |= {f"system/{file}": data for file, data in system.items()}
    if sum(map(len, parts.values())) > PACKAGE_BYTES_MAX:
        raise ReleasePackageTooLarge(f"{name}: over {PACKAGE_BYTES_MAX} bytes")
    hashes = {part: hashlib.sha256(parts[part]).hexdigest() for part in sorted(parts)}
    manifest: dict[str, object] = {
        "format": FORMAT,
        "name": NAME,
        "version": str(name.version),
        "platform": name.platform,
        "python": python,
        "programs": list(PROGRAMS),
        "wheels": {part.partition("/")[2]: sha for part, sha in hashes.items() if part.startswith("wheels/")},
        "system": {part.partition("/")[2]: sha for part, sha in hashes.items() if part.startswith("system/")},
        "stores": stores_as_json(),
    }
    waiting = path.with_name(f".{path.name}.new")
    with waiting.open("wb") as file:
        with zipfile.ZipFile(file, "w") as package:
            write_member(package, MANIFEST, json.dumps(manifest, indent=1).encode() + b"\n", zipfile.ZIP_STORED)
            for part in sorted(parts, key=lambda part: (part.startswith("system/"), part)):
                write_member(package, part, parts[part], zipfile.ZIP_STORED)
        file.flush()
        os.fsync(file.fileno())
    waiting.chmod(0o644)
    os.replace(waiting, path)
    sync_folder(path.parent)
    return path
