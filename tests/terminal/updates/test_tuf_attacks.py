"""What TUF's own list of attacks does to a terminal: rollback, freeze, mix-and-match, too few keys, keys of others.
DESIGN §4."""

# pyright: reportPrivateImportUsage=false

import shutil
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from firmware.flash.release.beginning import Thresholds
from firmware.flash.release.repository import read_metadata, sign
from offline_ledger.errors import (
    ReleaseExpired,
    ReleasePlatformMissing,
    ReleaseRolledBack,
    ReleaseTampered,
    ReleaseUnsigned,
)
from offline_ledger.terminal.updates.fetching import FolderSource
from tests.release_desk import DAY_S, NOW_S, ReleaseDesk, copied_desk


@pytest.fixture
def desk(tmp_path: Path) -> ReleaseDesk:
    return copied_desk(tmp_path)


def test_metadata_that_was_seen_in_a_newer_version_never_counts_again(desk: ReleaseDesk) -> None:
    shutil.copytree(desk.releases.folder, desk.folder / "old-copy")
    desk.add("0.3.0")
    assert desk.fetched()
    old = FolderSource(desk.folder / "old-copy")
    with pytest.raises(ReleaseRolledBack):
        desk.find(source=old)
    assert desk.find() is not None, "the refusal changed nothing"
    desk.forget()
    fresh = desk.find(source=old)
    assert fresh is not None and fresh.version == "0.2.0", "it was a sound copy"


def test_an_old_channel_under_a_newer_snapshot_is_refused(desk: ReleaseDesk) -> None:
    """Mix and match: each file is signed, and they never stood together."""
    old = (desk.metadata / "2.stable.json").read_bytes()
    desk.add("0.3.0")
    (desk.metadata / "3.stable.json").write_bytes(old)
    with pytest.raises(ReleaseTampered):
        desk.find()


def test_an_old_snapshot_under_a_newer_timestamp_is_refused(desk: ReleaseDesk) -> None:
    old = (desk.metadata / "2.snapshot.json").read_bytes()
    desk.add("0.3.0")
    (desk.metadata / "3.snapshot.json").write_bytes(old)
    with pytest.raises(ReleaseTampered):
        desk.find()


def test_frozen_metadata_ends_with_its_timestamp(desk: ReleaseDesk) -> None:
    """Who holds the newer metadata back wins days, not years."""
    frozen = desk.folder / "frozen"
    shutil.copytree(desk.releases.folder, frozen)
    desk.now_s += 20 * DAY_S
    desk.refresh()
    held_back = FolderSource(frozen)
    assert desk.find(source=held_back) is not None
    with pytest.raises(ReleaseExpired):
        desk.find(source=held_back, judged_at_s=NOW_S + 31 * DAY_S)
    assert desk.find(judged_at_s=NOW_S + 31 * DAY_S) is not None


def test_one_key_of_two_signs_no_channel(tmp_path: Path) -> None:
    desk = ReleaseDesk(tmp_path / "desk")
    desk.begin(channel=Thresholds(3, 2))
    desk.add("0.2.0")
    assert desk.find() is not None

    stable = read_metadata(desk.metadata / "2.stable.json", Targets)
    stable.signed.version = 3
    mine, other, _ = desk.keys.signers(stable.signatures)
    stable.sign(mine)
    publish_with_stolen_keys(desk, stable)
    with pytest.raises(ReleaseUnsigned):
        desk.find()
    stable.sign(other, append=True)
    publish_with_stolen_keys(desk, stable)
    assert desk.find() is not None, "with the second one it is signed"


def test_the_keys_of_another_channel_sign_nothing_here(desk: ReleaseDesk) -> None:
    """Not under the channel's name, nor in their own channel under a path of the other one."""
    good = read_metadata(desk.metadata / "2.stable.json", Targets)
    trial = read_metadata(desk.metadata / "1.trial.json", Targets)
    (key,) = desk.keys.signers(trial.signatures)
    good.signed.version = 3
    good.sign(key)
    publish_with_stolen_keys(desk, good)
    with pytest.raises(ReleaseUnsigned):
        desk.find()

    (path,) = good.signed.targets
    newer = path.replace("0.2.0", "0.9.0")
    trial.signed.targets = {newer: good.signed.targets[path]}
    trial.signed.version = 2
    trial.sign(key)
    publish_with_stolen_keys(desk, trial, "trial")
    with pytest.raises(ReleasePlatformMissing):
        desk.find(channel="trial")


@pytest.mark.parametrize("damage", [b"", b"\0" * 900, b"[" * 9_000])
def test_what_lies_damaged_on_its_own_disk_locks_nobody_out(desk: ReleaseDesk, damage: bytes) -> None:
    desk.find()
    kept = [file for file in (desk.folder / "updates" / "metadata").rglob("*.json") if not file.is_symlink()]
    assert len(kept) == 5
    for file in kept:
        file.write_bytes(damage)
        assert desk.find() is not None, file.name


def publish_with_stolen_keys(desk: ReleaseDesk, channel: Metadata[Targets], name: str = "stable") -> None:
    """What somebody can do who has the keys of snapshot and timestamp, which lie on a machine."""
    root = read_metadata(desk.metadata / "1.root.json", Root).signed
    data = channel.to_bytes()
    (desk.metadata / f"{channel.signed.version}.{name}.json").write_bytes(data)
    number = desk.releases.newest("snapshot")
    snapshot = read_metadata(desk.metadata / f"{number}.snapshot.json", Snapshot).signed
    snapshot.version = number + 1
    snapshot.meta[f"{name}.json"] = MetaFile.from_data(channel.signed.version, data, ["sha256"])
    signed = sign(snapshot, root, "snapshot", desk.keys)
    (desk.metadata / f"{number + 1}.snapshot.json").write_bytes(signed)
    timestamp = read_metadata(desk.metadata / "timestamp.json", Timestamp).signed
    timestamp.version += 1
    timestamp.snapshot_meta = MetaFile.from_data(number + 1, signed, ["sha256"])
    (desk.metadata / "timestamp.json").write_bytes(sign(timestamp, root, "timestamp", desk.keys))
