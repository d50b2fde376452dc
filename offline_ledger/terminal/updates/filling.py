"""Fills a slot with a package: environment, wheels, read back from the disk, and its manifest last. DESIGN §4, §6.

A slot counts once its manifest is there, so that a power cut at any step leaves a slot that is none, or a whole one.
Touches nothing but the slot that it is told to fill; runs pip without any network.
"""

import base64
import csv
import ctypes
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

from offline_ledger.errors import ReleasePackageUnfit, SlotDamaged, SlotNotMade, StorageFull
from offline_ledger.files import ENOSPC, storage_refusal, sync_folder, write_atomically
from offline_ledger.terminal.updates.package import (
    Manifest,
    OpenedPackage,
    check_fits,
    check_sizes,
    decode_manifest,
    hash_of,
    read_manifest,
)
from offline_ledger.terminal.updates.start import MANIFEST

ROOM_BYTES_MIN = 64 << 20
"""What a full slot leaves free on its disk."""
BLOCK_BYTES = 512
"""What `stat` counts in, whatever the disk's own blocks are."""
PLAIN_WORDS = {"LC_ALL": "C.UTF-8"}
"""What pip says is read, and must not be in the machine's own language."""
INSTALL_S_MAX = 1_800.0
PROGRAM_S_MAX = 60.0
PIP_WHEELS = ("/usr/share/python-wheels", str(Path(os.__file__).parent / "ensurepip" / "_bundled"))
"""Where Debian and Python keep the pip that they bring for new environments."""


def install(path: Path, slot: Path, program: str, done: Callable[[str], None] = lambda _step: None) -> Manifest:
    """Fills the slot, which was declared empty before; it is whole and durable when this returns. `done` hears of each
    step. Raises what `read_manifest` and `check_fits` raise, SlotNotMade, SlotDamaged, StorageFull, StorageFailed."""
    manifest = read_manifest(path)
    check_fits(manifest, program)
    done("checked")
    with _disk_errors(slot):
        empty(slot)
        done("emptied")
        with OpenedPackage(path) as package:
            _check_room(slot.parent, _wanted_bytes(package, manifest))
            _unpack(package, manifest, slot)
            said = package.read(MANIFEST)
        done("unpacked")
        venv.EnvBuilder(symlinks=True, with_pip=False).create(slot)
        done("made")
        _run_pip(slot, [slot / "wheels" / name for name in sorted(manifest.wheels)])
        shutil.rmtree(slot / "wheels")
        done("installed")
        _sync(slot)
        check_slot(slot, manifest, {f"system/{name}": value for name, value in manifest.system.items()})
        _check_starts(slot / "bin" / program)
        done("verified")
        write_atomically(slot / MANIFEST, said)
        sync_folder(slot.parent)
    done("whole")
    return manifest


def check_room(path: Path, slot: Path) -> None:
    """Before a slot is emptied for it: is there room for this package then? Raises StorageFull, StorageFailed, and what
    `read_manifest` raises."""
    with _disk_errors(slot), OpenedPackage(path) as package:
        manifest = decode_manifest(package.read(MANIFEST))
        _check_room(slot.parent, _wanted_bytes(package, manifest) - _held_bytes(slot))


def _wanted_bytes(package: ZipFile, manifest: Manifest) -> int:
    packed_bytes = sum(one.file_size for one in package.infolist())
    return packed_bytes + 2 * check_sizes(package, manifest)  # compiled, it is twice as much


def _held_bytes(slot: Path) -> int:
    return sum(one.lstat().st_blocks * BLOCK_BYTES for one in slot.rglob("*"))


def empty(slot: Path) -> None:
    """Nothing is there any more, and it is no slot from the first step on. Raises OSError, StorageFailed."""
    slot.mkdir(mode=0o755, parents=True, exist_ok=True)
    (slot / MANIFEST).unlink(missing_ok=True)
    sync_folder(slot)
    for one in sorted(slot.iterdir()):
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()


def check_slot(slot: Path, manifest: Manifest, system: Mapping[str, str]) -> None:
    """Reads all of it from the disk again. Raises SlotDamaged, OSError."""
    for name, wanted in system.items():
        _check_file(slot / name, wanted, slot)
    records = list(slot.glob("lib/python*/site-packages/*.dist-info/RECORD"))
    if len(records) < len(manifest.wheels):
        raise SlotDamaged(f"{len(records)} of {len(manifest.wheels)} wheels")
    for record in records:
        for name, wanted, _bytes in _rows(record):
            kind, _, value = wanted.partition("=")
            if kind == "sha256":
                digest = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
                _check_file(record.parent.parent / name, digest, slot)


def _rows(record: Path) -> Iterator[tuple[str, str, str]]:
    with record.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            if len(row) != 3:
                raise SlotDamaged(f"{record.parent.name}: its list of files")
            yield row[0], row[1], row[2]


def _check_file(path: Path, wanted: str, slot: Path) -> None:
    try:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # what is in memory proves nothing
            if hash_of(file) == wanted:
                return
    except FileNotFoundError:
        pass
    raise SlotDamaged(os.path.relpath(path, slot)[:150])


def _check_starts(program: Path) -> None:
    """A slot whose program cannot even say its version is none."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=PROGRAM_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlotNotMade(f"{program.name}: {error}"[:200]) from error
    if done.returncode:
        raise SlotNotMade(f"{program.name}: {_last_line(done.stderr)}")


def _run_pip(slot: Path, wheels: list[Path]) -> None:
    words = [sys.executable, *_pip(), "--python", str(slot / "bin" / "python"), "--isolated", "--no-input"]
    words += ["--disable-pip-version-check", "--no-cache-dir", "--quiet", "install"]
    words += ["--no-index", "--no-deps", "--no-warn-script-location", *map(str, wheels)]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=INSTALL_S_MAX, check=False, env={**os.environ, **PLAIN_WORDS}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlotNotMade(f"pip says: {error}"[:200]) from error
    if done.returncode:
        if any(f"[Errno {number}]" in done.stderr for number in ENOSPC):
            raise StorageFull(f"{slot}: {_last_line(done.stderr)}")
        raise SlotNotMade(f"pip says: {_last_line(done.stderr)}")


def _pip() -> tuple[str, ...]:
    if find_spec("pip") is not None:
        return ("-m", "pip")
    for folder in PIP_WHEELS:
        for wheel in sorted(Path(folder).glob("pip-*.whl")):
            return (f"{wheel}/pip",)
    raise SlotNotMade("no pip: python3-venv is not installed")


def _last_line(said: str) -> str:
    return next((line for line in reversed(said.splitlines()) if line.strip()), "")[:200]


def _sync(slot: Path) -> None:
    """Everything on the slot's disk is there. Raises OSError where the disk says no; `os.sync` would not."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = os.open(slot, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syncfs(folder):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(slot))
    finally:
        os.close(folder)


def _unpack(package: ZipFile, manifest: Manifest, slot: Path) -> None:
    for folder in ("wheels", "system"):
        (slot / folder).mkdir(mode=0o755)
    for name, wanted in manifest.hashes.items():
        target = slot / name
        with package.open(name) as stream, target.open("xb") as file:
            if hash_of(stream, file) != wanted:
                raise ReleasePackageUnfit(f"{name}: not the bytes that the manifest names")
        with target.open("rb") as file:
            is_script = file.read(2) == b"#!"
        target.chmod(0o755 if is_script else 0o644)


def _check_room(folder: Path, wanted_bytes: int) -> None:
    disk = os.statvfs(folder)
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < wanted_bytes + ROOM_BYTES_MIN:
        raise StorageFull(f"{folder}: {free_bytes} bytes free, {wanted_bytes + ROOM_BYTES_MIN} are needed")


class _disk_errors:
    """What the disk says, by our own numbers."""

    def __init__(self, slot: Path) -> None:
        self._slot = slot

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise storage_refusal(error, Path(error.filename or self._slot)) from error
