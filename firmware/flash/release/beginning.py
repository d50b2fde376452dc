"""The first root, keys and metadata of a city's releases. DESIGN §4.

Everything is made beside its place and named at last, keys first: a power cut leaves no half of a beginning. Never
puts a key into the folder that is published.
"""

# pyright: reportPrivateImportUsage=false
# See repository.py.

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tuf.api.metadata import DelegatedRole, Delegations, Key, MetaFile, Role, Root, Snapshot, Targets, Timestamp

from firmware.flash.release.keys import SECRET, AskPassphrase, KeyFolders, make_key
from firmware.flash.release.repository import (
    METADATA,
    ROOT_DAYS,
    SNAPSHOT_DAYS,
    TARGETS,
    TARGETS_DAYS,
    sign,
    until,
)
from offline_ledger.errors import ReleaseChangeUnfit, ReleaseFolderWrong
from offline_ledger.files import storage_refusal, sync_folder, write_atomically

MACHINE_ROLES = ("snapshot", "timestamp")
"""Renewed by a machine at night: their keys have no passphrase."""


class Thresholds(NamedTuple):
    """How many keys there are of a kind, and how many of them must sign."""

    keys: int
    threshold: int


class Beginning(NamedTuple):
    """What is to be made. `name_prefix`: what every key's name begins with."""

    root: Thresholds
    channel: Thresholds
    channels: Sequence[str]
    name_prefix: str = ""


def begin(folder: Path, keys_folder: Path, asked: Beginning, passphrase: AskPassphrase, now_s: int) -> None:
    """The folder of releases, and the one with all keys. Raises ReleaseFolderWrong, ReleaseKeyUnsafe,
    ReleaseChangeUnfit, StorageFull, StorageFailed."""
    for place in (folder, keys_folder):
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise ReleaseFolderWrong(f"{place}: is there already")
    if keys_folder.resolve().is_relative_to(folder.resolve()):
        raise ReleaseFolderWrong(f"{keys_folder}: keys never lie in the folder that is published")
    for one, name in ((asked.root, "root"), (asked.channel, "/".join(asked.channels))):
        if one.threshold > one.keys:  # told before anybody types a passphrase
            raise ReleaseChangeUnfit(f"{name}: {one.threshold} of {one.keys} keys")
    new_folder, new_keys = _beside(folder), _beside(keys_folder)
    passphrase = _asked_once(passphrase)
    try:
        for made in (new_folder, new_keys):
            shutil.rmtree(made, ignore_errors=True)  # left by a power cut
            made.mkdir(parents=True, mode=0o700)
        keys = _make_keys(new_keys, asked, passphrase)
        _write(new_folder, asked, keys, KeyFolders([new_keys], passphrase), now_s)
        for made, place in ((new_keys, keys_folder), (new_folder, folder)):
            os.replace(made, place)
            sync_folder(place.parent)
    except OSError as error:
        raise storage_refusal(error) from error
    finally:
        for left in (new_keys, new_folder):  # whoever stops at a passphrase leaves no keys lying about
            shutil.rmtree(left, ignore_errors=True)


def _asked_once(ask: AskPassphrase) -> AskPassphrase:
    """Each key signs at once, and nobody types its passphrase for that again."""
    known: dict[Path, str] = {}

    def passphrase(file: Path) -> str:
        if file not in known:
            known[file] = ask(file)
        return known[file]

    return passphrase


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name}.new")


def _make_keys(folder: Path, asked: Beginning, passphrase: AskPassphrase) -> dict[str, list[Key]]:
    """Keys by role; a role with one key has no number in its file's name."""
    counts = {"root": asked.root.keys, "targets": 1, "snapshot": 1, "timestamp": 1}
    counts |= {name: asked.channel.keys for name in asked.channels}
    made: dict[str, list[Key]] = {}
    for role, count in counts.items():
        names = [f"{role}-{number}" for number in range(1, count + 1)] if count > 1 else [role]
        files = [folder / f"{asked.name_prefix}{name}{SECRET}" for name in names]
        made[role] = [make_key(file, "" if role in MACHINE_ROLES else passphrase(file)) for file in files]
    return made


def delegations_of(channels: Sequence[str], keys: Mapping[str, Sequence[Key]], threshold: int) -> Delegations:
    """Each channel answers for the packages under its own name, and nobody else does."""
    roles = {
        name: DelegatedRole(name, [key.keyid for key in keys[name]], threshold, terminating=True, paths=[f"{name}/*"])
        for name in channels
    }
    return Delegations({key.keyid: key for name in channels for key in keys[name]}, roles)


def _write(folder: Path, asked: Beginning, keys: Mapping[str, Sequence[Key]], signing: KeyFolders, now_s: int) -> None:
    (folder / METADATA).mkdir()
    (folder / TARGETS).mkdir()
    (folder / METADATA).chmod(0o755)
    (folder / TARGETS).chmod(0o755)
    folder.chmod(0o755)
    top = ("root", "timestamp", "snapshot", "targets")
    roles = {
        role: Role([key.keyid for key in keys[role]], asked.root.threshold if role == "root" else 1) for role in top
    }
    by_id = {key.keyid: key for role in top for key in keys[role]}
    root = Root(expires=until(now_s, ROOT_DAYS), keys=by_id, roles=roles, consistent_snapshot=True)
    targets = Targets(
        expires=until(now_s, TARGETS_DAYS),
        delegations=delegations_of(asked.channels, keys, asked.channel.threshold),
    )
    files = {"1.root.json": sign(root, root, "root", signing)}
    made = {name: sign(Targets(expires=until(now_s, TARGETS_DAYS)), targets, name, signing) for name in asked.channels}
    made["targets"] = sign(targets, root, "targets", signing)
    files |= {f"1.{name}.json": data for name, data in made.items()}
    meta = {f"{name}.json": MetaFile.from_data(1, data, ["sha256"]) for name, data in made.items()}
    snapshot = Snapshot(expires=until(now_s, SNAPSHOT_DAYS), meta=meta)
    files["1.snapshot.json"] = sign(snapshot, root, "snapshot", signing)
    snapshot_meta = MetaFile.from_data(1, files["1.snapshot.json"], ["sha256"])
    timestamp = Timestamp(expires=until(now_s, SNAPSHOT_DAYS), snapshot_meta=snapshot_meta)
    files["timestamp.json"] = sign(timestamp, root, "timestamp", signing)
    for name, data in files.items():
        write_atomically(folder / METADATA / name, data)
