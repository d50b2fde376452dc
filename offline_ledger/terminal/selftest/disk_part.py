"""The journal's disk: is it writable, has it room, is it sound, how long is one small write until it is durable? §10.

Measured as a sale pays for it: SQLite, write-ahead log, one sync a commit, in a file of its own beside the journal that
is gone afterwards. What the kernel knows of file system and storage is read where it says it (`/sys`); most SD cards
say nothing. Never touches the journal.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import apsw

from offline_ledger.errors import DiskErrors, DiskReadOnly, DiskSlow, DiskWornOut, StorageFailed
from offline_ledger.terminal.disk_room import check_room
from offline_ledger.terminal.journal_disk import meaning_of
from offline_ledger.terminal.journal_sql import SqlConnection, connect
from offline_ledger.terminal.selftest.plan import Step
from offline_ledger.terminal.selftest.runner import Check, Facts, Part
from offline_ledger.terminal.selftest.turn import Turn

SYNCS = 200
SAMPLES_MIN = 10
NAME = ".kgo-self-test.db"
BESIDE = ("", "-wal", "-shm", "-journal")
ROW_BYTES = 512
"""As long as a voucher."""
SYS = Path("/sys")
LIFE_MAX = 0x0A
"""eMMC's DEVICE_LIFE_TIME_EST (JEDEC JESD84): 0x0A is 90 to 100 % used, 0x0B beyond."""
URGENT = 0x03
"""eMMC's PRE_EOL_INFO: 0x02 80 % of the reserve used, 0x03 90 %."""


class DiskBounds(NamedTuple):
    """From here on customers wait: the light of a tap comes after one write."""

    median_ms: int = 100
    p99_ms: int = 500


class DiskPart:
    """The disk of one journal."""

    def __init__(self, journal: Path, bounds: DiskBounds | None = None, sys: Path = SYS) -> None:
        self._journal, self._bounds, self._sys = journal, bounds or DiskBounds(), sys

    def part(self) -> Part:
        """Its checks."""
        checks: tuple[tuple[str, Callable[[Turn], Facts]], ...] = (
            ("writable", self._writable),
            ("room", self._room),
            ("health", self._health),
            ("speed", self._speed),
        )
        needs = {"speed": ("disk.writable",)}
        made = (Check(Step("disk", name, needs=needs.get(name, ())), do) for name, do in checks)
        return Part("disk", tuple(made), self._clear)

    def _writable(self, _turn: Turn) -> Facts:
        folder = self._journal.parent
        try:
            flags = os.statvfs(folder).f_flag
        except OSError as error:
            raise StorageFailed(f"{folder}: {error.strerror}") from error
        if flags & os.ST_RDONLY:
            raise DiskReadOnly(str(folder))
        return {"folder": str(folder)}

    def _room(self, _turn: Turn) -> Facts:
        try:
            check_room(self._journal)
            found = os.statvfs(self._journal.parent)
        except OSError as error:
            raise StorageFailed(f"{self._journal.parent}: {error.strerror}") from error
        return {"free_mb": found.f_bavail * found.f_frsize // 1_000_000, "files_free": found.f_favail}

    def _health(self, _turn: Turn) -> Facts:
        try:
            device = os.stat(self._journal.parent).st_dev
        except OSError as error:
            raise StorageFailed(f"{self._journal.parent}: {error.strerror}") from error
        return judged(health_of(f"{os.major(device)}:{os.minor(device)}", self._sys))

    def _speed(self, turn: Turn) -> Facts:
        self._clear()
        try:
            samples_us = self._samples(turn)
        except apsw.Error as error:
            raise meaning_of(error) from error
        finally:
            self._clear()
        median_us, p99_us = at_share(samples_us, 50), at_share(samples_us, 99)
        bounds = self._bounds
        if median_us > bounds.median_ms * 1_000 or p99_us > bounds.p99_ms * 1_000:
            raise DiskSlow(f"{len(samples_us)} writes: median {median_us} us, of 100 the slowest {p99_us} us")
        return {"syncs": len(samples_us), "median_us": median_us, "p99_us": p99_us, "worst_us": max(samples_us)}

    def _samples(self, turn: Turn) -> list[int]:
        """At most SYNCS of them, and no longer than the time allowed once there are enough to tell."""
        connection = connect(str(self._journal.parent / NAME), None)
        try:
            _set_up(connection)
            until_s = turn.now_s() + turn.times.disk_s
            samples_us: list[int] = []
            while len(samples_us) < SYNCS and (turn.now_s() < until_s or len(samples_us) < SAMPLES_MIN):
                turn.look()
                begun_ns = time.monotonic_ns()
                connection.execute("INSERT INTO row VALUES (NULL, zeroblob(?))", (ROW_BYTES,)).fetchall()
                samples_us.append((time.monotonic_ns() - begun_ns) // 1_000)
            return samples_us
        finally:
            connection.close()

    def _clear(self) -> None:
        """What a power cut in the middle left as well: the name is nobody else's."""
        for ending in BESIDE:
            with suppress(OSError):
                (self._journal.parent / (NAME + ending)).unlink(missing_ok=True)


def _set_up(connection: SqlConnection) -> None:
    """As `journal_disk.JournalDisk` does."""
    for pragma in ("locking_mode=EXCLUSIVE", "synchronous=EXTRA", "journal_mode=WAL", "wal_autocheckpoint=0"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB)").fetchall()


def at_share(samples: Sequence[int], percent: int) -> int:
    """The value that so many of a hundred do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


class DiskHealth(NamedTuple):
    """What the kernel says; None: it says nothing. `life_used`: eMMC's two estimates in steps of 10 %."""

    device: str
    name: str | None
    errors: int | None
    life_used: tuple[int, ...] | None
    pre_eol: int | None


def health_of(device: str, sys: Path) -> DiskHealth:
    """Of the block device with that number (`179:2`); all None for what is none (overlay, tmpfs)."""
    place = sys / "dev" / "block" / device
    if not place.exists():
        return DiskHealth(device, None, None, None, None)
    real = place.resolve()
    disk = real if (real / "device").exists() else real.parent
    life = _numbers(disk / "device" / "life_time")
    end = _numbers(disk / "device" / "pre_eol_info")
    errors = _numbers(sys / "fs" / "ext4" / real.name / "errors_count")
    named = _text(disk / "device" / "name") or _text(disk / "device" / "model")
    return DiskHealth(device, named, errors[0] if errors else None, tuple(life) or None, end[0] if end else None)


def judged(health: DiskHealth) -> Facts:
    """Its figures. Raises DiskErrors, DiskWornOut."""
    if health.errors:
        raise DiskErrors(f"{health.errors} errors")
    life = max(health.life_used or (0,))
    if life >= LIFE_MAX or (health.pre_eol or 0) >= URGENT:
        raise DiskWornOut(f"life {life} of 10, reserve {health.pre_eol or 0} of 3")
    return health._asdict()


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()[:64]
    except OSError:
        return None


def _numbers(file: Path) -> list[int]:
    """As the kernel writes them: `0x01 0x02`, or `3`. Nothing where there is no such file, or something else in it."""
    words = (_text(file) or "").split()
    try:
        return [int(word, 0) for word in words]
    except ValueError:
        return []
