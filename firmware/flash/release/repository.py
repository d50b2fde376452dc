"""A folder of releases as TUF metadata: read and verified whole, written so that every moment is sound. DESIGN §4.

The order of writing is the promise: packages, channels, targets, snapshot, and at last `timestamp.json`, the one file
that is ever replaced. Whatever is cut short leaves files that nothing names; their numbers are not used again. Nothing
is written before everything is signed by as many keys as must sign. Deletes nothing but files half written, and never
signs what it did not verify.
"""

# pyright: reportPrivateImportUsage=false
# python-tuf builds its list of public names at run time, which the type checker cannot read.

import fcntl
import os
import re
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from firmware.flash.release.keys import KeyFolders
from offline_ledger.errors import (
    ReleaseFolderBusy,
    ReleaseFolderWrong,
    ReleaseKeysTooFew,
    StorageFailed,
)
from offline_ledger.files import read_bounded, write_atomically

METADATA, TARGETS = "metadata", "targets"
METADATA_BYTES_MAX = 524_288
ROOT_DAYS, TARGETS_DAYS, SNAPSHOT_DAYS = 730, 365, 30
RENEW_DAYS = 90
"""Channels that end within these are signed anew with the next refresh, where their keys are at hand."""
_NUMBERED = re.compile(r"([1-9][0-9]{0,8})\.(.+)\.json")
S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


class State(NamedTuple):
    """What terminals see now."""

    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]
    channels: Mapping[str, Metadata[Targets]]


class Change(NamedTuple):
    """What is to be signed anew beside snapshot and timestamp."""

    targets: Targets | None = None
    channels: Mapping[str, Targets] = {}
    coming: Mapping[str, Collection[str]] = {}
    """Keys by role that a proposed root will name: they sign already, so that the root can be published."""


def until(now_s: int, days: int) -> datetime:
    """The moment at which metadata made now ends."""
    return datetime.fromtimestamp(now_s, UTC) + timedelta(days=days)


def read_metadata(file: Path, kind: type[S]) -> Metadata[S]:
    """One file. Raises ReleaseFolderWrong: not there, unreadable, of another kind."""
    try:
        data = read_bounded(file, METADATA_BYTES_MAX)
        if data is None:
            raise ReleaseFolderWrong(f"{file}: not there")
        found = Metadata[Any].from_bytes(data)
    except (StorageFailed, RepositoryError) as error:
        raise ReleaseFolderWrong(f"{file}: {error}"[:200]) from error
    if found.signed.type != kind.type:
        raise ReleaseFolderWrong(f"{file}: {found.signed.type}, not {kind.type}")
    return found


def sign(made: S, delegator: Root | Targets, role: str, keys: KeyFolders, coming: Collection[str] = ()) -> bytes:
    """Signed by all keys that are here of those that may; and of those that may soon (`coming`), which count for
    nothing yet. Raises ReleaseKeysTooFew."""
    metadata = Metadata(made)
    asked = delegator.get_delegated_role(role)
    for signer in keys.signers({*asked.keyids, *coming}):
        metadata.sign(signer, append=True)
    result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    if not result:
        raise ReleaseKeysTooFew(f"{role}: {len(result.signed)} of {result.threshold}")
    return metadata.to_bytes()


class Releases:
    """One folder, held by one command at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = folder / METADATA
        self.targets = folder / TARGETS

    @contextmanager
    def held(self) -> Generator[None]:
        """Raises ReleaseFolderBusy, ReleaseFolderWrong."""
        try:
            descriptor = os.open(self.metadata, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ReleaseFolderWrong(f"{self.metadata}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._tidy()
            yield
        except BlockingIOError as error:
            raise ReleaseFolderBusy(str(self.folder)) from error
        finally:
            os.close(descriptor)  # the lock ends with it, however this program ends

    def _tidy(self) -> None:
        """Away with what a kill or a power cut left half written: nothing names it, and sticks would carry it."""
        for left in (*self.metadata.glob(".*.new"), *self.targets.glob("*/.*.new")):
            with suppress(OSError):
                left.unlink()

    def root_file(self, version: int) -> Path:
        """The root of this number."""
        return self.metadata / f"{version}.root.json"

    def load(self) -> State:
        """All of it, each part verified by what delegates to it, and the very one that is named: an older one in its
        place, which is signed as well, would be signed anew as the newest. Raises ReleaseFolderWrong."""
        root = self._newest_root()
        timestamp = self._read("timestamp.json", Timestamp)
        self._verify(root.signed, "timestamp", timestamp)
        snapshot = self._named({"snapshot.json": timestamp.signed.snapshot_meta}, "snapshot", Snapshot)
        self._verify(root.signed, "snapshot", snapshot)
        versions = snapshot.signed.meta
        targets = self._named(versions, "targets", Targets)
        self._verify(root.signed, "targets", targets)
        channels: dict[str, Metadata[Targets]] = {}
        for name in self.channel_names(targets.signed):
            channels[name] = self._named(versions, name, Targets)
            self._verify(targets.signed, name, channels[name])
        return State(root, timestamp, snapshot, targets, channels)

    def _newest_root(self) -> Metadata[Root]:
        """After all that lead to it: a terminal goes from the one that it holds through each to the newest, and a card
        begins with the first."""
        newest = self.newest("root")
        root = self._root(min(1, newest))
        for number in range(2, newest + 1):
            following = self._root(number)
            self._verify(root.signed, "root", following)
            root = following
        return root

    def _root(self, number: int) -> Metadata[Root]:
        root = self._read(f"{number}.root.json", Root)
        self._verify(root.signed, "root", root)
        if root.signed.version != number:
            raise ReleaseFolderWrong(f"{number}.root.json: root {root.signed.version}")
        return root

    @staticmethod
    def channel_names(targets: Targets) -> list[str]:
        """In the order in which they stand."""
        return list((targets.delegations.roles or {}) if targets.delegations else {})

    def newest(self, role: str) -> int:
        """The highest number that a file of this role has, whether or not anything names it; 0: none. Raises
        ReleaseFolderWrong."""
        try:
            names = os.listdir(self.metadata)
        except OSError as error:
            raise ReleaseFolderWrong(f"{self.metadata}: {error.strerror}") from error
        found = (_NUMBERED.fullmatch(name) for name in names)
        return max((int(one.group(1)) for one in found if one is not None and one.group(2) == role), default=0)

    def publish(self, state: State, change: Change, keys: KeyFolders, now_s: int, days: int) -> None:
        """Signs and writes it; terminals see it with the last file. Raises ReleaseKeysTooFew, ReleaseKeyUnsafe,
        ReleaseKeyWrong: nothing was written; StorageFull, StorageFailed: terminals see what they saw."""
        files: dict[str, bytes] = {}
        versions = dict(state.snapshot.signed.meta)
        targets = change.targets or state.targets.signed
        for name, channel in change.channels.items():
            self._add(files, versions, name, channel, targets, keys, until(now_s, TARGETS_DAYS), ())
        if change.targets is not None:
            coming = change.coming.get("targets", ())
            expires = until(now_s, TARGETS_DAYS)
            self._add(files, versions, "targets", targets, state.root.signed, keys, expires, coming)
        snapshot = Snapshot(version=self.newest("snapshot") + 1, expires=until(now_s, days), meta=versions)
        snapshot_data = sign(snapshot, state.root.signed, "snapshot", keys, change.coming.get("snapshot", ()))
        files[f"{snapshot.version}.snapshot.json"] = snapshot_data
        timestamp = Timestamp(
            version=state.timestamp.signed.version + 1,
            expires=until(now_s, days),
            snapshot_meta=MetaFile.from_data(snapshot.version, snapshot_data, ["sha256"]),
        )
        timestamp_data = sign(timestamp, state.root.signed, "timestamp", keys, change.coming.get("timestamp", ()))
        for name, data in files.items():
            self.write_new(name, data)
        write_atomically(self.metadata / "timestamp.json", timestamp_data)

    def write_new(self, name: str, data: bytes) -> None:
        """A file of metadata that was not there. Raises ReleaseFolderBusy if it is, StorageFull, StorageFailed."""
        try:
            write_atomically(self.metadata / name, data, may_replace=False)
        except FileExistsError as error:
            raise ReleaseFolderBusy(f"{name}: there is one already") from error

    def _add(
        self,
        files: dict[str, bytes],
        versions: dict[str, MetaFile],
        role: str,
        made: Targets,
        delegator: Root | Targets,
        keys: KeyFolders,
        expires: datetime,
        coming: Collection[str],
    ) -> None:
        made.version = self.newest(role) + 1
        made.expires = expires
        data = sign(made, delegator, role, keys, coming)
        files[f"{made.version}.{role}.json"] = data
        versions[f"{role}.json"] = MetaFile.from_data(made.version, data, ["sha256"])

    def _read(self, name: str, kind: type[S]) -> Metadata[S]:
        return read_metadata(self.metadata / name, kind)

    def _named(self, versions: Mapping[str, MetaFile], role: str, kind: type[S]) -> Metadata[S]:
        """The file of this role of the number, and of the bytes, that it is signed to have."""
        meta = versions.get(f"{role}.json")
        if meta is None:
            raise ReleaseFolderWrong(f"{role}: no snapshot names it")
        file = self.metadata / f"{meta.version}.{role}.json"
        found = read_metadata(file, kind)
        try:
            meta.verify_length_and_hashes(read_bounded(file, METADATA_BYTES_MAX) or b"")
        except RepositoryError as error:
            raise ReleaseFolderWrong(f"{file}: {error}"[:200]) from error
        if found.signed.version != meta.version:
            raise ReleaseFolderWrong(f"{file}: {role} {found.signed.version}")
        return found

    def _verify(self, delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> None:
        try:
            delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except (RepositoryError, ValueError) as error:
            raise ReleaseFolderWrong(f"{role}: {error}"[:200]) from error
