"""The terminal's side of signed releases: python-tuf judges, by the terminal's own trusted time. DESIGN §4, §5 "Clock".

`find_update` says which package is the newest for this machine, `fetch` brings it and verifies it. What was verified
is durable before it counts, so that no power cut makes older metadata good again. Expiry is judged by `judged_at_s`,
which is not the machine's wall clock: a wrong clock never locks a terminal out (decision 0210). Installs nothing.
"""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, TargetFile, Targets  # pyright: ignore[reportPrivateImportUsage]
from tuf.ngclient import Updater, UpdaterConfig

from offline_ledger.errors import (
    Refusal,
    ReleaseChannelUnknown,
    ReleaseExpired,
    ReleaseInterrupted,
    ReleasePackageTampered,
    ReleasePackageTooLarge,
    ReleasePlatformMissing,
    ReleaseRolledBack,
    ReleaseRootWrong,
    ReleasesMissing,
    ReleaseTampered,
    ReleaseUnsigned,
    StorageFull,
    UpdateInProgress,
)
from offline_ledger.files import PRIVATE_MODE, read_bounded, storage_refusal, sync_folder, write_atomically
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.updates.fetching import METADATA_BYTES_MAX, Source
from offline_ledger.terminal.updates.names import PACKAGE_BYTES_MAX, PackageName, package_name_of, version_of
from offline_ledger.terminal.updates.start import hold

ROOT_BYTES_MAX = 65_536
ROOM_BYTES_MIN = 64 << 20
"""What a package leaves free: the journal lies on the same disk, and sales come first."""
SYNC_EVERY_BYTES = 8 << 20
LOCK_S_MAX = 10.0
"""So long one look waits for another one; with a slow network it may take longer."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_METADATA, _PACKAGES = "metadata", "packages"
_BOUNDS = UpdaterConfig(
    max_root_rotations=64,
    max_delegations=8,
    root_max_length=ROOT_BYTES_MAX,
    timestamp_max_length=16_384,
    snapshot_max_length=65_536,
    targets_max_length=METADATA_BYTES_MAX,
)


class Asked(NamedTuple):
    """Which releases, and for whom. `folder`: where this terminal keeps what it knows of releases (`files.updates`);
    `installed`: its present version; `judged_at_s`: see the function of this name."""

    source: Source
    root_file: Path
    folder: Path
    channel: str
    platform: str
    installed: str
    judged_at_s: int


class Found(NamedTuple):
    """The newest package that is newer than the installed one."""

    name: PackageName
    target: TargetFile
    source: Source
    folder: Path

    @property
    def version(self) -> str:
        """Three numbers."""
        return str(self.name.version)

    @property
    def length_bytes(self) -> int:
        """As it is signed."""
        return self.target.length

    @property
    def sha256(self) -> str:
        """As it is signed, in hex."""
        return self.target.hashes["sha256"]


def judged_at_s(time: TimeNow, floor_s: int) -> int:
    """By which time expiry is judged: now where the clock is synced, else the floor, before which it certainly is not.

    A clock that only claims a time can neither let old metadata pass for fresh nor fresh for expired.
    """
    return time.at_s if time.trust is ClockTrust.SYNCED else floor_s


def find_update(asked: Asked) -> Found | None:
    """None: this version is the newest. Raises 7200 to 7210, UpdateInProgress, the refusals of the link, StorageFull,
    StorageFailed."""
    root = _own_root(asked.root_file)
    installed = version_of(asked.installed)
    with _told(), _alone(asked.folder / _METADATA):
        client = _Client(asked, root)
        try:
            client.refresh()
            offered = client.channel(asked.channel)
        except UnsignedMetadataError as error:
            if client.is_of_another_city():
                raise ReleaseRootWrong("the releases are of another city") from error
            raise
        fitting = [(name, path) for path in offered.targets if (name := _name_in(path, asked)) is not None]
        if not fitting:
            raise ReleasePlatformMissing(f"{asked.channel}: {asked.platform}")
        name, path = max(fitting)
        if name.version <= installed:
            return None
        target = client.get_targetinfo(path)
    if target is None or not _SHA256.fullmatch(target.hashes.get("sha256", "")):
        raise ReleaseTampered(f"{path}: not delegated to {asked.channel}")
    if target.length > PACKAGE_BYTES_MAX:
        raise ReleasePackageTooLarge(f"{path}: {target.length} bytes, at most {PACKAGE_BYTES_MAX}")
    return Found(name, target, asked.source, asked.folder / _PACKAGES)


def fetch(found: Found) -> Path:
    """The verified package, durable. What came before an interruption is kept and gone on from. Raises
    ReleaseInterrupted, ReleasePackageTampered, StorageFull, StorageFailed, those of the link."""
    whole = found.folder / str(found.name)
    part = found.folder / f"{found.sha256}.part"
    with _told():
        found.folder.mkdir(parents=True, exist_ok=True)
        for other in found.folder.iterdir():
            if other not in (whole, part):
                other.unlink()
        if _is_good(whole, found.target):
            return whole
        have = part.stat().st_size if part.is_file() else 0
        if not _completed(found, part, have):
            # a power cut may have left a wrong end: only what came in one go says something about its sender
            if not have or not _completed(found, part, 0):
                raise ReleasePackageTampered(str(found.name))
        os.replace(part, whole)
        sync_folder(found.folder)
    return whole


def _completed(found: Found, part: Path, have: int) -> bool:
    """Brings what is missing after so many bytes. False: they are not what was signed, and nothing of them is left."""
    _check_room(found.folder, found.length_bytes - have)
    with part.open("ab" if have else "wb") as file:
        _receive(found, file, have)
    if _is_good(part, found.target):
        return True
    part.unlink()
    return False


def _receive(found: Found, file: IO[bytes], have: int) -> None:
    """Appends what is missing."""
    wanted, unsynced = found.length_bytes - have, 0
    path = found.target.get_prefixed_paths()[list(found.target.hashes).index("sha256")]
    try:
        for chunk in found.source.read(f"targets/{path}", have, wanted):
            file.write(chunk)
            have, unsynced = have + len(chunk), unsynced + len(chunk)
            if unsynced >= SYNC_EVERY_BYTES:
                _sync(file)
                unsynced = 0
    except Refusal as refusal:
        if not have:
            raise
        raise ReleaseInterrupted(f"{have} of {found.length_bytes} bytes: {refusal}") from refusal
    finally:
        _sync(file)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _is_good(path: Path, target: TargetFile) -> bool:
    try:
        with path.open("rb") as file:
            target.verify_length_and_hashes(file)
    except (FileNotFoundError, LengthOrHashMismatchError):
        return False
    return True


def _check_room(folder: Path, wanted_bytes: int) -> None:
    disk = os.statvfs(folder)
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < wanted_bytes + ROOM_BYTES_MIN:
        raise StorageFull(f"{free_bytes} bytes free, {wanted_bytes + ROOM_BYTES_MIN} may be needed")


def _own_root(file: Path) -> bytes:
    root = read_bounded(file, ROOT_BYTES_MAX)
    if root is None:
        raise ReleaseRootWrong(f"{file}: not there")
    try:
        found = Metadata[Root].from_bytes(root)
        if found.signed.type != Root.type:
            raise ReleaseRootWrong(f"{file}: not a root")
        found.signed.verify_delegate(Root.type, found.signed_bytes, found.signatures)
    except RepositoryError as error:
        raise ReleaseRootWrong(f"{file}: {error}"[:200]) from error
    return root


def _name_in(path: str, asked: Asked) -> PackageName | None:
    """Only what the channel holds for this platform counts; what later versions may add is passed over."""
    channel, _, rest = path.partition("/")
    name = package_name_of(rest)
    return name if name is not None and channel == asked.channel and name.platform == asked.platform else None


class _Client(Updater):
    """python-tuf's client, by the terminal's own time, and durable in what it has verified."""

    def __init__(self, asked: Asked, root: bytes) -> None:
        self._source = asked.source
        self._folder = asked.folder / _METADATA
        for left in self._folder.glob(".*.new"):
            left.unlink()
        super().__init__(
            str(self._folder), "metadata/", fetcher=asked.source, config=_BOUNDS, bootstrap=root
        )  # fmt: skip
        # python-tuf takes the machine's clock here, and offers no other way to hand it a time (decision 0210)
        self._trusted_set.reference_time = datetime.fromtimestamp(asked.judged_at_s, UTC)

    def channel(self, name: str) -> Targets:
        """All that this channel offers, verified. Raises ReleaseChannelUnknown, and python-tuf's errors."""
        delegations = self._trusted_set.targets.delegations
        if delegations is None or name not in (delegations.roles or {}):
            raise ReleaseChannelUnknown(name)
        return self._load_targets(name, Targets.type)

    def is_of_another_city(self) -> bool:
        """Do the releases begin with another root than ours, of the same number?"""
        version = self._trusted_set.root.version
        with suppress(RepositoryError, DownloadError):
            theirs = self._download_metadata(Root.type, ROOT_BYTES_MAX, version)
            return Metadata[Root].from_bytes(theirs).signed != self._trusted_set.root
        return False

    def _persist_file(self, filename: str, data: bytes) -> None:
        """As python-tuf's, and synced: after a power cut an empty file would let older metadata pass."""
        path = Path(filename)
        if read_bounded(path, METADATA_BYTES_MAX) != data:
            write_atomically(path, data, PRIVATE_MODE)


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """One look at a time: python-tuf's files are everybody's. Raises UpdateInProgress, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held = hold(str(folder), LOCK_S_MAX)
    except TimeoutError as error:
        raise UpdateInProgress() from error
    try:
        yield
    finally:
        os.close(held)


@contextmanager
def _told() -> Generator[None]:
    """python-tuf's errors, and the disk's, by our own numbers."""
    try:
        yield
    except Refusal:
        raise
    except ExpiredMetadataError as error:
        raise ReleaseExpired(str(error)[:200]) from error
    except BadVersionNumberError as error:
        raise ReleaseRolledBack(str(error)[:200]) from error
    except UnsignedMetadataError as error:
        raise ReleaseUnsigned(str(error)[:200]) from error
    except (RepositoryError, DownloadLengthMismatchError) as error:
        raise ReleaseTampered(str(error)[:200]) from error
    except DownloadHTTPError as error:
        raise ReleasesMissing(str(error)[:200]) from error
    except DownloadError as error:
        raise (
            error.__cause__ if isinstance(error.__cause__, Refusal) else ReleasesMissing(str(error)[:200])
        ) from error
    except OSError as error:
        raise storage_refusal(error) from error
