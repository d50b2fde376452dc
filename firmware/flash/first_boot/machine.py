"""The machine that boots for the first time: its files, its commands, its light. Python's own library alone.

Every file is written whole and durable. Below another root than `/` (a system that is made and not run) the same
commands are told that root. Decides nothing.
"""

import contextlib
import errno
import hashlib
import json
import os
import pwd
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

COMMAND_S_MAX = 1_800
SAID_CHARACTERS_MAX = 600
LED = "sys/class/leds/ACT"
TIMESYNC = "/run/systemd/timesync"
CLOCK_S_MAX = 60
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Failed(Exception):
    """The first boot cannot go on: a number that the bench has words for (7120 to 7129), and what happened."""

    def __init__(self, number: int, detail: str) -> None:
        super().__init__(f"{number}: {detail}")
        self.number, self.detail = number, detail


FILES_WRONG, MACHINE_WRONG, PACKAGES_MISSING, INSTALL_FAILED, SETTINGS_REFUSED = 7120, 7121, 7122, 7123, 7124
NO_CITY, ENROLMENT_REFUSED, WAITS, DISK_FULL, STEP_FAILED = 7125, 7126, 7127, 7128, 7129


class Ran(NamedTuple):
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """What it said at the end, in a line."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return " | ".join(lines[-3:])[-SAID_CHARACTERS_MAX:] or f"exit code {self.code}"


class Machine:
    """`root`: where the system's files are; `boot`: the card's boot partition."""

    def __init__(self, root: Path, boot: Path, say: Callable[[str], None]) -> None:
        self.root, self.boot, self.say = root, boot, say

    @property
    def is_running(self) -> bool:
        """Is this the system that runs, and not one that is being made?"""
        return self.root == Path("/")

    def at(self, path: str) -> Path:
        """A file of the system, by its absolute name."""
        return self.root / path.lstrip("/")

    # --- files

    def write(self, place: Path, data: bytes, mode: int = 0o644, owner: str = "") -> None:
        """Whole, durable, with this mode and owner before it has its name. Nothing when it is so already."""
        if self._is_so(place, data, mode, owner):
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        waiting = place.with_name(f".{place.name}.new")
        with contextlib.suppress(FileNotFoundError):
            waiting.unlink()
        descriptor = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with open(descriptor, "wb") as stream:
            with contextlib.suppress(PermissionError):  # FAT keeps no modes
                os.fchmod(descriptor, mode)
            if owner:
                os.fchown(descriptor, *self.ids(owner))
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        os.replace(waiting, place)
        sync_folder(place.parent)

    def _is_so(self, place: Path, data: bytes, mode: int, owner: str) -> bool:
        try:
            if place.is_symlink() or place.read_bytes() != data:
                return False
            found = place.stat()
        except OSError:
            return False
        is_on_card = self.boot in place.parents
        is_owned = not owner or (found.st_uid, found.st_gid) == self.ids(owner)
        return is_on_card or (found.st_mode & 0o7777 == mode and is_owned)

    def folder(self, place: Path, mode: int = 0o755, owner: str = "") -> None:
        """It is there, with this mode and owner."""
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(mode)
        if owner:
            os.chown(place, *self.ids(owner))
        sync_folder(place.parent)

    def wipe(self, place: Path) -> None:
        """A secret leaves the card: written over, as far as flash lets itself be, then removed."""
        with contextlib.suppress(FileNotFoundError):
            with place.open("r+b") as stream:
                stream.write(bytes(place.stat().st_size))
                stream.flush()
                os.fsync(stream.fileno())
            place.unlink()
            sync_folder(place.parent)

    # --- users

    def ids(self, user: str) -> tuple[int, int]:
        """User and group number. Raises Failed."""
        if self.is_running:
            with contextlib.suppress(KeyError):
                found = pwd.getpwnam(user)
                return found.pw_uid, found.pw_gid
        for line in self.lines("/etc/passwd"):
            fields = line.split(":")
            if fields[0] == user and len(fields) > 3:
                return int(fields[2]), int(fields[3])
        raise Failed(STEP_FAILED, f"no user {user}")

    def has_name(self, file: str, name: str) -> bool:
        """Does /etc/passwd or /etc/group know it?"""
        return any(line.split(":")[0] == name for line in self.lines(file))

    def lines(self, file: str) -> list[str]:
        """Of a text file; none when it is not there."""
        try:
            return self.at(file).read_text("utf-8", "replace").splitlines()
        except OSError:
            return []

    # --- commands

    def run(self, *words: str, user: str = "", more: Mapping[str, str] | None = None) -> Ran:
        """A command, to its end. Never raises for what it says."""
        ids = self.ids(user) if user and os.geteuid() == 0 else None
        uid, gid = ids or (None, None)
        groups = None if ids is None else []
        env = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C.UTF-8", **(more or {})}
        try:
            ran = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=env,
                cwd="/",
                timeout=COMMAND_S_MAX,
                check=False,
                user=uid,
                group=gid,
                extra_groups=groups,
            )
        except FileNotFoundError:
            return Ran(127, "", f"{words[0]}: not there")
        except subprocess.TimeoutExpired:
            return Ran(124, "", f"{words[0]}: not done within {COMMAND_S_MAX} s")
        return Ran(ran.returncode, ran.stdout.decode("utf-8", "replace"), ran.stderr.decode("utf-8", "replace"))

    def must(self, *words: str) -> str:
        """A command that has to work. Raises Failed."""
        ran = self.run(*words)
        if ran.code:
            raise Failed(STEP_FAILED, f"{words[0]}: {ran.last}")
        return ran.out

    def below(self, option: str) -> tuple[str, ...]:
        """The option that tells a command about another root; nothing on the system that runs."""
        return () if self.is_running else (option, str(self.root))

    # --- light

    def light(self, on_ms: int, off_ms: int) -> None:
        """Blinks the green light; on for good with `off_ms` 0. Without one nothing happens."""
        place = self.at(LED)
        with contextlib.suppress(OSError):
            (place / "trigger").write_text("timer" if off_ms else "default-on")
            if off_ms:
                (place / "delay_on").write_text(str(on_ms))
                (place / "delay_off").write_text(str(off_ms))

    def wait_for(self, is_there: Callable[[], bool], s_max: int) -> bool:
        """Looks every second; at once on a system that does not run."""
        until_s = time.monotonic() + (s_max if self.is_running else 0)
        while not is_there():
            if time.monotonic() >= until_s:
                return False
            time.sleep(1)
        return True

    def wait_for_time(self) -> None:
        """A Raspberry Pi without a clock chip starts in the past, where no signature is valid yet. Where nobody sets
        the clock, or nobody does within a minute, it goes on as it is."""
        if self.at(TIMESYNC).is_dir() and not self.wait_for(self.at(f"{TIMESYNC}/synchronized").exists, CLOCK_S_MAX):
            self.say(f"the clock was not set within {CLOCK_S_MAX} s")


def sync_folder(folder: Path) -> None:
    """Makes the names in it durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(place: Path) -> str:
    """Hex digest; empty when there is no such file."""
    digest = hashlib.sha256()
    try:
        with place.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    except FileNotFoundError:
        return ""
    return digest.hexdigest()


def read_json(place: Path) -> dict[str, object]:
    """An object; empty when there is none that can be read."""
    try:
        said: object = json.loads(place.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return cast(dict[str, object], said) if isinstance(said, dict) else {}


def texts(values: object) -> Sequence[str]:
    """A list of texts out of JSON."""
    return [str(one) for one in cast(list[object], values)] if isinstance(values, list) else []
