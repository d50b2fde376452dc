"""A terminal takes what the city signed and nothing else, by its own trusted time: real keys, metadata and bytes.
DESIGN §4, §5 "Clock"."""

# pyright: reportPrivateImportUsage=false

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from tuf.ngclient import Updater
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet

from firmware.flash.release import packages
from offline_ledger.errors import (
    Refusal,
    ReleaseChannelUnknown,
    ReleaseExpired,
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
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules import clock
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.updates import tuf_client
from offline_ledger.terminal.updates.fetching import FolderSource
from offline_ledger.terminal.updates.start import hold
from offline_ledger.terminal.updates.tuf_client import fetch, judged_at_s
from tests.flash.killing import killed_at_each_change
from tests.release_desk import DAY_S, NOW_S, OTHER_PLATFORM, ReleaseDesk, copied_desk, desk_with_release

YEAR_2090_S = 3_786_912_000
LIMITS = Limits()


@pytest.fixture
def desk(tmp_path: Path) -> ReleaseDesk:
    return copied_desk(tmp_path)


# --- which one


def test_the_newest_of_its_channel_and_platform_is_found_and_fetched(desk: ReleaseDesk) -> None:
    wanted = desk.package("0.10.0", filling=b"newest").read_bytes()
    packages.add(desk.releases, desk.folder / "made" / "kgo-0.10.0-linux_x86_64.zip", "stable", desk.keys, NOW_S)
    desk.add("0.9.1")
    desk.add("0.11.0", "trial")
    desk.add("0.12.0", platform=OTHER_PLATFORM)
    found = desk.find()
    assert found is not None and (found.version, found.length_bytes) == ("0.10.0", len(wanted))
    path = fetch(found)
    assert path.read_bytes() == wanted and path.parent == desk.folder / "updates" / "packages"
    assert fetch(found) == path, "a second time nothing is brought"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    trial = desk.find(channel="trial")
    assert trial is not None and trial.version == "0.11.0"


@pytest.mark.parametrize(
    ("installed", "is_newer"), [("0.1.99", True), ("0.2.0", False), ("0.2.1", False), ("9.0.0", False)]
)
def test_never_to_the_same_version_nor_back(desk: ReleaseDesk, installed: str, is_newer: bool) -> None:
    assert (desk.find(installed=installed) is not None) is is_newer


def test_a_package_of_an_older_fetch_goes_when_the_next_is_brought(desk: ReleaseDesk) -> None:
    desk.fetched()
    (desk.folder / "updates" / "packages" / f"{'0' * 64}.part").write_bytes(b"left over")
    desk.add("0.3.0")
    desk.fetched()
    assert [file.name for file in (desk.folder / "updates" / "packages").iterdir()] == ["kgo-0.3.0-linux_x86_64.zip"]


# --- the time


def expires_at(desk: ReleaseDesk) -> int:
    return int(desk.releases.load().timestamp.signed.expires.timestamp())


def test_expiry_is_judged_by_the_time_that_is_handed_over_and_by_no_clock_of_the_machine(desk: ReleaseDesk) -> None:
    """These releases ended years ago by this machine's clock; and by theirs they are good to the last second."""
    end_s = expires_at(desk)
    assert end_s < time.time() - 100 * DAY_S
    assert desk.find(judged_at_s=end_s - 1) is not None
    with pytest.raises(ReleaseExpired):
        desk.find(judged_at_s=end_s)
    desk.forget()
    with pytest.raises(ReleaseExpired):
        desk.find(judged_at_s=end_s)
    assert desk.find(judged_at_s=end_s - 1) is not None, "a refusal is no end: the next sound copy is taken"


def test_what_python_tuf_keeps_to_itself_is_still_where_we_reach_for_it() -> None:
    """`reference_time`, `_trusted_set`, `_persist_file` and `_load_targets` are not public (decision 0210)."""
    assert {"_persist_file", "_load_targets", "_download_metadata"} <= vars(Updater).keys()
    assert "reference_time" in TrustedMetadataSet.__init__.__code__.co_names
    assert "_trusted_set" in Updater.__init__.__code__.co_names


def clock_with(floor_s: int, apply: Callable[[clock.ClockState], clock.ClockState]) -> tuple[clock.TimeNow, int]:
    state = apply(clock.clock_at_boot(floor_s, 0))
    return clock.now(state, 1_000, LIMITS), state.floor_s


def rtc(said_s: int) -> Callable[[clock.ClockState], clock.ClockState]:
    return lambda state: clock.apply_rtc(state, said_s, 0, LIMITS)[0]


def gps(said_s: int) -> Callable[[clock.ClockState], clock.ClockState]:
    return lambda state: clock.apply_gps(state, said_s * 1000, 500, 0, LIMITS)[0]


def city_answer(said_s: int) -> Callable[[clock.ClockState], clock.ClockState]:
    return lambda state: clock.apply_time_answer(state, said_s, 0, 100, LIMITS)[0]


@pytest.mark.parametrize("wrong", [rtc(0), rtc(YEAR_2090_S), gps(0), gps(YEAR_2090_S)], ids=["1970", "2090"] * 2)
def test_a_wrong_clock_locks_nobody_out(
    desk: ReleaseDesk, wrong: Callable[[clock.ClockState], clock.ClockState]
) -> None:
    """A battery clock or a satellite alone is not synced: the floor judges, however far away the clock stands."""
    time_now, floor_s = clock_with(NOW_S - 100 * DAY_S, wrong)
    assert time_now.trust is not ClockTrust.SYNCED
    assert desk.find(judged_at_s=judged_at_s(time_now, floor_s)) is not None


def test_under_trusted_time_old_metadata_is_refused_and_the_old_version_goes_on(desk: ReleaseDesk) -> None:
    kept = desk.fetched()
    time_now, floor_s = clock_with(NOW_S, city_answer(expires_at(desk) + DAY_S))
    assert time_now.trust is ClockTrust.SYNCED
    with pytest.raises(ReleaseExpired) as refused:
        desk.find(judged_at_s=judged_at_s(time_now, floor_s))
    assert refused.value.number == 7202
    assert (desk.folder / "updates" / "packages" / "kgo-0.2.0-linux_x86_64.zip").read_bytes() == kept


def test_a_floor_beyond_the_end_is_certain_too(desk: ReleaseDesk) -> None:
    time_now, floor_s = clock_with(expires_at(desk) + DAY_S, rtc(0))
    with pytest.raises(ReleaseExpired):
        desk.find(judged_at_s=judged_at_s(time_now, floor_s))


# --- what is refused


def spoil_package(desk: ReleaseDesk) -> None:
    file = desk.package_file()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut_package(desk: ReleaseDesk) -> None:
    os.truncate(desk.package_file(), desk.package_file().stat().st_size - 1)


@pytest.mark.parametrize("spoil", [spoil_package, cut_package])
def test_a_tampered_package_is_refused_and_nothing_of_it_stays(
    desk: ReleaseDesk, spoil: Callable[[ReleaseDesk], None]
) -> None:
    good = desk.package_file().read_bytes()
    spoil(desk)
    with pytest.raises(ReleasePackageTampered):
        desk.fetched()
    assert list((desk.folder / "updates" / "packages").iterdir()) == []
    desk.package_file().write_bytes(good)
    assert desk.fetched() == good


def put_version(signed: Any) -> None:
    signed.version += 5


def drop_signatures(desk: ReleaseDesk) -> None:
    file = desk.metadata / "timestamp.json"
    file.write_bytes(file.read_bytes().replace(b'"signatures":[', b'"signatures":[],"x":['))


def foreign(desk: ReleaseDesk) -> None:
    other = desk_with_release(desk.folder.parent / "other")
    shutil.rmtree(desk.releases.folder)
    shutil.copytree(other.releases.folder, desk.releases.folder)


def foreign_with_newer_root(desk: ReleaseDesk) -> None:
    foreign(desk)
    shutil.copyfile(desk.metadata / "1.root.json", desk.metadata / "2.root.json")


def pipe(desk: ReleaseDesk) -> None:
    (desk.metadata / "timestamp.json").unlink()
    os.mkfifo(desk.metadata / "timestamp.json")


def link(desk: ReleaseDesk) -> None:
    (desk.metadata / "timestamp.json").rename(desk.folder / "timestamp.json")
    (desk.metadata / "timestamp.json").symlink_to(desk.folder / "timestamp.json")


def linked_folder(desk: ReleaseDesk) -> None:
    desk.metadata.rename(desk.folder / "elsewhere")
    desk.metadata.symlink_to(desk.folder / "elsewhere")


def huge(desk: ReleaseDesk) -> None:
    with (desk.metadata / "timestamp.json").open("r+b") as file:
        file.truncate(1 << 40)


def huge_snapshot(desk: ReleaseDesk) -> None:
    with (desk.metadata / "2.snapshot.json").open("r+b") as file:
        file.truncate(1 << 40)


def deep(desk: ReleaseDesk) -> None:
    (desk.metadata / "timestamp.json").write_bytes(b"[" * 16_000)


def no_root(desk: ReleaseDesk) -> None:
    (desk.folder / "update.root").unlink()


def damaged_root(desk: ReleaseDesk) -> None:
    file = desk.folder / "update.root"
    file.write_bytes(file.read_bytes().replace(b'"version":1', b'"version":2'))


def no_root_but_another_role(desk: ReleaseDesk) -> None:
    shutil.copyfile(desk.metadata / "timestamp.json", desk.folder / "update.root")


@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        (lambda desk: desk.edit("timestamp.json", put_version), ReleaseUnsigned),
        (lambda desk: desk.edit("2.snapshot.json", put_version), ReleaseTampered),
        (lambda desk: desk.edit("1.targets.json", put_version), ReleaseTampered),
        (lambda desk: desk.edit("2.stable.json", put_version), ReleaseTampered),
        (drop_signatures, ReleaseUnsigned),
        (foreign, ReleaseRootWrong),
        (foreign_with_newer_root, ReleaseRootWrong),
        (lambda desk: (desk.metadata / "timestamp.json").write_bytes(b""), ReleaseTampered),
        (lambda desk: (desk.metadata / "timestamp.json").write_bytes(os.urandom(300)), ReleaseTampered),
        (lambda desk: (desk.metadata / "timestamp.json").unlink(), ReleasesMissing),
        (lambda desk: (desk.metadata / "2.stable.json").unlink(), ReleasesMissing),
        (lambda desk: shutil.rmtree(desk.releases.folder), ReleasesMissing),
        (pipe, ReleasesMissing),
        (link, ReleasesMissing),
        (linked_folder, ReleasesMissing),
        (huge, ReleaseTampered),
        (huge_snapshot, ReleaseTampered),
        (deep, ReleaseTampered),
        (no_root, ReleaseRootWrong),
        (damaged_root, ReleaseRootWrong),
        (no_root_but_another_role, ReleaseRootWrong),
    ],
)
def test_a_spoilt_repository_is_refused_by_its_own_number(
    desk: ReleaseDesk, spoil: Callable[[ReleaseDesk], object], refusal: type[Refusal]
) -> None:
    spoil(desk)
    with pytest.raises(refusal):
        desk.find()
    assert not (desk.folder / "updates" / "packages").exists()


def test_another_channel_or_platform_is_told(desk: ReleaseDesk) -> None:
    with pytest.raises(ReleaseChannelUnknown):
        desk.find(channel="beta")
    for name in ("targets", "root", "snapshot"):
        with pytest.raises(ReleaseChannelUnknown):
            desk.find(channel=name)
    with pytest.raises(ReleasePlatformMissing):
        desk.find(platform=OTHER_PLATFORM)
    with pytest.raises(ReleasePlatformMissing):
        desk.find(channel="trial")


def test_a_package_over_the_bound_is_refused_before_a_byte_of_it(
    desk: ReleaseDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = desk.find()
    assert found is not None
    monkeypatch.setattr(tuf_client, "PACKAGE_BYTES_MAX", found.length_bytes)
    assert desk.find() is not None
    monkeypatch.setattr(tuf_client, "PACKAGE_BYTES_MAX", found.length_bytes - 1)
    with pytest.raises(ReleasePackageTooLarge):
        desk.find()


def test_a_package_leaves_room_for_sales(desk: ReleaseDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    found = desk.find()
    assert found is not None
    monkeypatch.setattr(tuf_client, "ROOM_BYTES_MIN", 1 << 60)
    with pytest.raises(StorageFull):
        fetch(found)
    assert list((desk.folder / "updates" / "packages").iterdir()) == []


# --- what it keeps


def test_what_was_verified_is_written_once_and_durably(desk: ReleaseDesk) -> None:
    desk.find()
    kept = desk.folder / "updates" / "metadata"
    before = {file: file.stat().st_mtime_ns for file in kept.rglob("*.json") if not file.is_symlink()}
    assert {file.name for file in before} == {
        "1.root.json",
        "timestamp.json",
        "snapshot.json",
        "targets.json",
        "stable.json",
    }
    (kept / ".timestamp.json.4711.new").write_bytes(b"left by a power cut")
    desk.find()
    assert {file: file.stat().st_mtime_ns for file in kept.rglob("*.json") if not file.is_symlink()} == before
    assert not list(kept.glob(".*.new"))


def test_one_look_at_a_time(desk: ReleaseDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A technician's `check` beside the timer's: what one of them writes the other would clear away."""
    desk.find()
    held = hold(str(desk.folder / "updates" / "metadata"), 0.0)
    with monkeypatch.context() as impatient, pytest.raises(UpdateInProgress):
        impatient.setattr(tuf_client, "LOCK_S_MAX", 0.05)
        desk.find()
    ends = Timer(0.2, os.close, (held,))
    ends.start()
    assert desk.find() is not None, "it waits for the other one's end"
    ends.join()


# --- the power goes


def test_killed_anywhere_the_terminal_goes_on(
    desk: ReleaseDesk, rng: random.Random, slice_of: Callable[[int, int], int]
) -> None:
    """And what it has seen it does not forget: a copy that was older once is older for good."""
    shutil.copytree(desk.releases.folder, desk.folder / "old-copy")
    desk.add("0.3.0")
    good = (desk.folder / "made" / "kgo-0.3.0-linux_x86_64.zip").read_bytes()
    old, kills, has_seen = FolderSource(desk.folder / "old-copy"), 0, False
    changes = 40
    for _ in killed_at_each_change(desk.fetched, sorted(rng.sample(range(changes), slice_of(changes, 10)))):
        kills += 1
        seen = desk.folder / "seen"
        (desk.folder / "updates").mkdir(exist_ok=True)  # the first kills come before it
        shutil.copytree(desk.folder / "updates", seen, symlinks=True)
        try:
            found = desk.find(source=old, folder=seen)
            assert found is not None and found.version == "0.2.0" and not has_seen
        except ReleaseRolledBack:
            has_seen = True
        shutil.rmtree(seen)
        assert desk.fetched() == good
        desk.forget()
    assert kills > 5 and has_seen


# --- chance


@pytest.mark.timeout(1_200)
def test_no_flipped_bit_gets_through(
    desk: ReleaseDesk, rng: random.Random, slice_of: Callable[[int, int], int]
) -> None:
    """A numbered refusal, or the very bytes that were signed (the flip is where nothing is read, or in a space)."""
    good = desk.package_file().read_bytes()
    names = [file for file in desk.releases.folder.rglob("*") if file.is_file()]
    refused = 0
    for _ in range(slice_of(1_500, 60)):
        file = rng.choice(names)
        was = file.read_bytes()
        data = bytearray(was)
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
        desk.forget()
        try:
            assert desk.fetched() == good, file
        except Refusal as refusal:
            refused += 1
            assert 7200 <= refusal.number <= 7209, (file, refusal)
        file.write_bytes(was)
    assert refused > 0
    desk.forget()
    assert desk.fetched() == good
