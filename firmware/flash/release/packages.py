"""Packages in a channel: looked at before they are signed, and there before anything names them. DESIGN §3.

Never signs a package whose content is not what its manifest says, never gives one version two contents.
"""

# pyright: reportPrivateImportUsage=false
# See repository.py.

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from tuf.api.metadata import TargetFile, Targets

from firmware.flash.release.keys import KeyFolders
from firmware.flash.release.repository import SNAPSHOT_DAYS, Change, Releases, read_metadata
from offline_ledger.errors import ReleaseChannelAbsent, ReleaseNotInChannel, ReleasePackageUnfit, ReleaseTaken
from offline_ledger.files import storage_refusal, sync_folder
from offline_ledger.terminal.updates.names import PLATFORMS, PackageName, package_name_of, version_of
from offline_ledger.terminal.updates.package import read_manifest

_COPY_BYTES = 1 << 20


class Added(NamedTuple):
    """`is_new`: False, these bytes were there already. `newest`: what the channel's terminals of this platform take."""

    name: PackageName
    is_new: bool
    newest: PackageName


def check_package(file: Path) -> PackageName:
    """What it is, after every member was compared with the manifest. Raises ReleasePackageUnfit,
    ReleasePackageTooLarge, StorageFailed."""
    manifest = read_manifest(file)
    if manifest.platform not in PLATFORMS:
        raise ReleasePackageUnfit(f"{file}: {manifest.platform}")
    return PackageName(version_of(manifest.version), manifest.platform)


def add(releases: Releases, package: Path, channel: str, keys: KeyFolders, now_s: int) -> Added:
    """Publishes the package in this channel; where these bytes are already, nothing changes. One version never has two
    contents, not even after it was withdrawn. Raises ReleaseChannelAbsent, ReleaseTaken, those of `check_package` and
    of `Releases.publish`."""
    name = check_package(package)
    with releases.held():
        state = releases.load()
        if channel not in state.channels:
            raise ReleaseChannelAbsent(channel)
        path = f"{channel}/{name}"
        target = TargetFile.from_file(path, str(package))
        offered = state.channels[channel].signed
        there = offered.targets.get(path)
        if any(was.get(path, target).hashes != target.hashes for was in _ever_offered(releases, channel)):
            raise ReleaseTaken(path)
        if there is None:
            _place(package, releases.targets / target.get_prefixed_paths()[0])
            targets = Targets(expires=offered.expires, targets={**offered.targets, path: target})
            releases.publish(state, Change(channels={channel: targets}), keys, now_s, SNAPSHOT_DAYS)
    names = (package_name_of(one.rpartition("/")[2]) for one in offered.targets)
    newest = max(one for one in (name, *names) if one is not None and one.platform == name.platform)
    return Added(name, there is None, newest)


def withdraw(releases: Releases, name: str, channel: str, keys: KeyFolders, now_s: int) -> None:
    """No terminal takes this package any more; those that have it go on with it until there is a newer one. Its number
    stays taken. Raises ReleaseChannelAbsent, ReleaseNotInChannel, those of `Releases.publish`."""
    with releases.held():
        state = releases.load()
        if channel not in state.channels:
            raise ReleaseChannelAbsent(channel)
        offered = state.channels[channel].signed
        if f"{channel}/{name}" not in offered.targets:
            raise ReleaseNotInChannel(f"{channel}: {name}")
        left = {path: target for path, target in offered.targets.items() if path != f"{channel}/{name}"}
        change = Change(channels={channel: Targets(expires=offered.expires, targets=left)})
        releases.publish(state, change, keys, now_s, SNAPSHOT_DAYS)


def _ever_offered(releases: Releases, channel: str) -> list[dict[str, TargetFile]]:
    """What every version of the channel held, also those that a power cut left unnamed: a stick may have them."""
    files = sorted(releases.metadata.glob(f"[1-9]*.{channel}.json"))
    return [read_metadata(file, Targets).signed.targets for file in files]


def sha256_of(file: Path) -> str:
    """In hex: what two who made the same package compare."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _place(package: Path, place: Path) -> None:
    """The package under its signed name, durable; a name that is there has these bytes already."""
    waiting = place.with_name(f".{place.name}.new")
    try:
        place.parent.mkdir(exist_ok=True)
        sync_folder(place.parent.parent)
        with package.open("rb") as source, waiting.open("wb") as copy:
            while chunk := source.read(_COPY_BYTES):
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        os.chmod(waiting, 0o644)
        os.replace(waiting, place)
        sync_folder(place.parent)
    except OSError as error:
        waiting.unlink(missing_ok=True)
        raise storage_refusal(error, place) from error
