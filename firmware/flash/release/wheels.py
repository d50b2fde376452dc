"""The wheels of a package: ours built, the others downloaded by pip, or packed again from what is installed. DESIGN §3.

Downloaded ones are what the lock files name, by hash; where from is pip's own configuration, and no address stands
here. Packed again they have the same files. The same sources give the same bytes. Never installs anything.
"""

import base64
import csv
import hashlib
import importlib.metadata
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from offline_ledger.errors import ReleaseWheelMissing

PACKAGES = ("offline_ledger", "pos_app", "bus_validator", "firmware", "simulators")
PROGRAM = "offline_ledger/terminal/program.py"
OTHER_SOURCES = ("pyproject.toml", "README.md", "LICENSE")
NOT_SHIPPED = {"__pycache__", "typings"}
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_EPOCH_1980 = "315532800"
BUILD_S_MAX = 300
DOWNLOAD_S_MAX = 3_600
GLIBC_MINORS = range(36, 16, -1)
"""Debian 12 has glibc 2.36; manylinux begins with 2.17."""
_PIN = re.compile(r"^([a-z0-9][a-z0-9-]*)==(\S+)")
_PROGRAM_LINE = re.compile(r'^VERSION = "[^"]+"$', re.MULTILINE)
_VERSION_LINE = re.compile(r'^version = "[^"]+"$', re.MULTILINE)
_BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
_DROPPED = {"INSTALLER", "REQUESTED", "direct_url.json", "RECORD"}


class Pin(NamedTuple):
    """One package of a lock file: its lines as they stand there, with its hashes."""

    name: str
    version: str
    lines: tuple[str, ...]


def read_locks(files: Iterable[Path]) -> dict[str, Pin]:
    """The pins of all of them by name. Raises ReleaseWheelMissing: unreadable, or two that pin otherwise."""
    pins: dict[str, Pin] = {}
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise ReleaseWheelMissing(f"{file}: {error}"[:200]) from error
        starts = [(number, found) for number, line in enumerate(lines) if (found := _PIN.match(line))]
        ends = [number for number, _ in starts[1:]] + [len(lines)]
        for (start, found), end in zip(starts, ends, strict=True):
            name, version = found.groups()
            pin = Pin(name, version, tuple(lines[start:end]))
            if pins.setdefault(name, pin).version != version:
                raise ReleaseWheelMissing(f"{file}: {name} {version} and {pins[name].version}")
    return pins


def wheel_name_of(file: Path, machine: str, python: str) -> tuple[str, str]:
    """Name and version of a wheel for this machine and this Python, from its file's name. Raises ReleaseWheelMissing:
    else only the terminals would find out, each when it fills its slot."""
    parts = file.name.removesuffix(".whl").split("-")
    if not file.name.endswith(".whl") or len(parts) not in (5, 6):
        raise ReleaseWheelMissing(f"{file}: not the name of a wheel")
    if parts[-1] != "any" and not parts[-1].endswith(f"_{machine}"):
        raise ReleaseWheelMissing(f"{file}: not for {machine}")
    if parts[-2] != "abi3" and not {"py3", f"cp{python.replace('.', '')}"} & set(parts[-3].split(".")):
        raise ReleaseWheelMissing(f"{file}: not for Python {python}")
    return normal(parts[0]), parts[1]


def normal(name: str) -> str:
    """A distribution's name as lock files have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def own_version(source: Path) -> str:
    """What pyproject.toml of this checkout says. Raises ReleaseWheelMissing: this program was not run from one."""
    try:
        return str(tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]["version"])
    except (OSError, ValueError, KeyError) as error:
        raise ReleaseWheelMissing(f"{source}: no checkout of the sources") from error


def build_own(source: Path, folder: Path, version: str) -> Path:
    """Our own wheel, of the sources of this checkout. Raises ReleaseWheelMissing."""
    tree = folder / "tree"
    for package in PACKAGES:
        for path in sorted((source / package).rglob("*")):
            if path.is_file() and not NOT_SHIPPED & set(path.relative_to(source).parts):
                _copy(path, tree / path.relative_to(source))
    for name in OTHER_SOURCES:
        _copy(source / name, tree / name)
    project = tree / "pyproject.toml"
    project.write_text(_VERSION_LINE.sub(f'version = "{version}"', project.read_text("utf-8"), count=1), "utf-8")
    program = tree / PROGRAM  # what it says of itself, to the city and in `diagnose`
    program.write_text(_PROGRAM_LINE.sub(f'VERSION = "{version}"', program.read_text("utf-8"), count=1), "utf-8")
    out = folder / "own"
    out.mkdir()
    _run([sys.executable, "-c", _BUILD, str(out)], tree, BUILD_S_MAX, {"SOURCE_DATE_EPOCH": _EPOCH_1980})
    (wheel,) = out.glob("*.whl")
    shutil.rmtree(tree)
    return wheel


def _copy(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    except OSError as error:
        raise ReleaseWheelMissing(f"{path}: {error.strerror}") from error


def download(pins: Sequence[Pin], machine: str, python: str, folder: Path) -> list[Path]:
    """What pip finds for that machine, by hash. Raises ReleaseWheelMissing with pip's word on it."""
    asked = folder / "requirements.txt"
    asked.write_text("\n".join(line for pin in pins for line in pin.lines) + "\n", "utf-8")
    out = folder / "downloaded"
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    command += [word for name in platforms for word in ("--platform", name)]
    command += [word for abi in (f"cp{python.replace('.', '')}", "abi3", "none") for word in ("--abi", abi)]
    _run([*command, "--requirement", str(asked), "--dest", str(out)], folder, DOWNLOAD_S_MAX, {})
    return sorted(out.glob("*.whl"))


def _run(command: Sequence[str], folder: Path, seconds_max: int, more: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=os.environ | more, capture_output=True, text=True, timeout=seconds_max, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReleaseWheelMissing(f"{command[0]}: {error}"[:200]) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        wrong = next((line for line in said if line.startswith("ERROR")), said[-1])
        raise ReleaseWheelMissing(wrong.strip()[:200])


def is_installed(name: str) -> bool:
    """Is the distribution of this name installed here?"""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def repack(pin: Pin, folder: Path) -> Path:
    """The distribution that is installed here as a wheel again, from its RECORD. Raises ReleaseWheelMissing."""
    try:
        found = importlib.metadata.distribution(pin.name)
    except importlib.metadata.PackageNotFoundError as error:
        raise ReleaseWheelMissing(f"{pin.name}: not installed here") from error
    record = found.read_text("RECORD")
    about = found.read_text("WHEEL")
    if found.version != pin.version or record is None or about is None:
        raise ReleaseWheelMissing(f"{pin.name} {pin.version}: here is {found.version}")
    info = next(row[0].split("/")[0] for row in csv.reader(io.StringIO(record)) if ".dist-info/" in row[0])
    stem = info.removesuffix(".dist-info")
    scripts = {entry.name for entry in found.entry_points if entry.group in ("console_scripts", "gui_scripts")}
    members: dict[str, tuple[bytes, int]] = {}
    for row in csv.reader(io.StringIO(record)):
        name = _name_in_wheel(row[0], stem, info, scripts)
        if name is not None:
            members[name] = _read(Path(str(found.locate_file(row[0]))), name)
    rows = [f"{_quoted(name)},{_record_hash(data)},{len(data)}" for name, (data, _) in sorted(members.items())]
    members[f"{info}/RECORD"] = ("\n".join([*rows, f"{info}/RECORD,,"]).encode() + b"\n", 0o644)
    wheel = folder / f"{stem}-{_tags_of(about)}.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        for name, (data, mode) in sorted(members.items(), key=lambda member: (".dist-info/" in member[0], member[0])):
            write_member(packed, name, data, zipfile.ZIP_DEFLATED, mode)
    return wheel


def write_member(packed: zipfile.ZipFile, name: str, data: bytes, how: int, mode: int = 0o644) -> None:
    """With a time and a mode that say nothing of this machine."""
    member = zipfile.ZipInfo(name, ZIP_TIME)
    member.compress_type = how
    member.create_system = 3
    member.external_attr = (0o100000 | mode) << 16
    packed.writestr(member, data)


def _name_in_wheel(installed: str, stem: str, info: str, scripts: set[str]) -> str | None:
    """Where an installed file stood in its wheel; None: it was made by the installer."""
    parts = installed.split("/")
    if "__pycache__" in parts or (parts[0] == info and parts[1] in _DROPPED):
        return None
    if parts[0] != "..":
        return installed
    while parts[0] == "..":
        parts = parts[1:]
    if parts[0] == "bin":
        return None if parts[1] in scripts else f"{stem}.data/scripts/{'/'.join(parts[1:])}"
    return f"{stem}.data/data/{'/'.join(parts)}"


def _read(path: Path, name: str) -> tuple[bytes, int]:
    try:
        data = path.read_bytes()
        mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    except OSError as error:
        raise ReleaseWheelMissing(f"{path}: {error.strerror}") from error
    if ".data/scripts/" in name and data.startswith(b"#!") and b"python" in data.split(b"\n")[0]:
        data = b"#!python\n" + data.partition(b"\n")[2]
    return data, mode


def _quoted(name: str) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([name])
    return out.getvalue()


def _record_hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _tags_of(about: str) -> str:
    tags = [line.partition(":")[2].strip().split("-") for line in about.splitlines() if line.startswith("Tag:")]
    return "-".join(".".join(dict.fromkeys(tag[at] for tag in tags)) for at in range(3))
