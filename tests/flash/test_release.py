"""The release officers' side: keys, publishing, and a SIGKILL at every change of the disk. DESIGN §3, §4."""

import hashlib
import random
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.flash.release import packages, renewing, roots
from firmware.flash.release.beginning import Beginning, Thresholds, begin
from firmware.flash.release.keys import TEST_PREFIX, KeyFolders, load_signer, make_key, no_passphrase
from firmware.flash.release.renewing import ChannelChange, change_channel
from firmware.flash.release.repository import Releases
from offline_ledger.errors import (
    Refusal,
    ReleaseChangeUnfit,
    ReleaseChannelAbsent,
    ReleaseChannelUnfit,
    ReleaseFileFailed,
    ReleaseFolderBusy,
    ReleaseFolderWrong,
    ReleaseKeyPublic,
    ReleaseKeysTooFew,
    ReleaseKeyThere,
    ReleaseKeyUnsafe,
    ReleaseKeyWrong,
    ReleaseNotInChannel,
    ReleasePackageTooLarge,
    ReleasePackageUnfit,
    ReleaseTaken,
)
from tests.flash.killing import killed_at_each_change
from tests.release_desk import DAY_S, NOW_S, ReleaseDesk, copied_desk, small_package
from tests.sticks import KINDS, mounted_stick


@pytest.fixture
def desk(tmp_path: Path) -> ReleaseDesk:
    return copied_desk(tmp_path)


# --- the beginning


def test_keys_lie_apart_each_in_a_file_that_only_its_user_reads(desk: ReleaseDesk) -> None:
    secrets = sorted(desk.keys_folder.glob("*.pem"))
    names = ["root-1", "root-2", "root-3", "snapshot", "stable", "targets", "timestamp", "trial"]
    assert [file.stem for file in secrets] == [TEST_PREFIX + name for name in names]
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets} == {0o600}
    published = b"".join(file.read_bytes() for file in desk.releases.folder.rglob("*") if file.is_file())
    assert b"PRIVATE" not in published


def test_keys_never_lie_in_the_folder_that_is_published(tmp_path: Path) -> None:
    asked = Beginning(Thresholds(3, 2), Thresholds(1, 1), ("stable",), TEST_PREFIX)
    with pytest.raises(ReleaseFolderWrong):
        begin(tmp_path / "releases", tmp_path / "releases" / "keys", asked, no_passphrase, NOW_S)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_begun_again(desk: ReleaseDesk) -> None:
    before = contents(desk.folder)
    asked = Beginning(Thresholds(3, 2), Thresholds(1, 1), ("stable",), TEST_PREFIX)
    for folder, keys in ((desk.releases.folder, desk.folder / "k"), (desk.folder / "r", desk.keys_folder)):
        with pytest.raises(ReleaseFolderWrong):
            begin(folder, keys, asked, no_passphrase, NOW_S)
    assert contents(desk.folder) == before


def test_a_beginning_that_is_killed_anywhere_is_begun_again(
    tmp_path: Path, rng: random.Random, slice_of: Callable[[int, int], int]
) -> None:
    """What was made before its power went counts for nothing, and is in nobody's way."""
    desk = ReleaseDesk(tmp_path / "desk")
    changes = 100
    for _ in killed_at_each_change(
        lambda: desk.begin(roots=1, threshold=1), sorted(rng.sample(range(changes), slice_of(changes, 8)))
    ):
        if desk.releases.folder.exists():
            desk.releases.load()
            shutil.rmtree(desk.releases.folder)
        shutil.rmtree(desk.keys_folder, ignore_errors=True)
    shutil.rmtree(desk.folder)
    desk.begin()
    desk.add("0.2.0")
    assert desk.find() is not None


# --- keys


def test_a_key_with_a_passphrase_signs_with_it_alone(tmp_path: Path) -> None:
    made = make_key(tmp_path / "root-1.pem", "a long passphrase")
    assert b"ENCRYPTED" in (tmp_path / "root-1.pem").read_bytes()
    assert load_signer(tmp_path / "root-1.pem", lambda _file: "a long passphrase").public_key == made
    for wrong in ("another passphrase", ""):
        with pytest.raises(ReleaseKeyWrong):
            load_signer(tmp_path / "root-1.pem", lambda _file, wrong=wrong: wrong)


def test_a_key_is_never_overwritten_nor_read_when_others_can(tmp_path: Path) -> None:
    make_key(tmp_path / "a.pem", "")
    with pytest.raises(ReleaseKeyThere):
        make_key(tmp_path / "a.pem", "")
    (tmp_path / "a.pem").chmod(0o640)
    with pytest.raises(ReleaseKeyUnsafe):
        load_signer(tmp_path / "a.pem", no_passphrase)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stick_on_which_others_can_read_takes_no_key(tmp_path: Path, kind: str) -> None:
    """A holder's stick, where others can read what lies on it; some drivers show every file as its user's alone."""
    with mounted_stick(kind, tmp_path) as stick:
        (stick / "probe").touch()
        others_read = stat.S_IMODE((stick / "probe").stat().st_mode) & 0o077
        (stick / "probe").unlink()
        if not others_read:
            make_key(stick / "root-1.pem", "a long passphrase")
            load_signer(stick / "root-1.pem", lambda _file: "a long passphrase")
            return
        with pytest.raises(ReleaseKeyUnsafe):
            make_key(stick / "root-1.pem", "a long passphrase")
        assert list(stick.iterdir()) == []


def test_the_public_half_signs_nothing(tmp_path: Path) -> None:
    make_key(tmp_path / "a.pem", "")
    with pytest.raises(ReleaseKeyPublic):
        load_signer(tmp_path / "a.pub", no_passphrase)
    for gone in ("a.pub", "a.pem"):
        (tmp_path / gone).unlink()
        with pytest.raises(ReleaseFileFailed, match=gone):
            load_signer(tmp_path / "a.pem", no_passphrase)


def test_a_beginning_that_is_stopped_leaves_no_keys(tmp_path: Path) -> None:
    def stop(file: Path) -> str:
        if file.name == "targets.pem":
            raise KeyboardInterrupt
        return "a long passphrase"

    asked = Beginning(Thresholds(3, 2), Thresholds(1, 1), ("stable",))
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "releases", tmp_path / "keys", asked, stop, NOW_S)
    for short in (
        Beginning(Thresholds(2, 3), Thresholds(1, 1), ("a",)),
        Beginning(Thresholds(1, 1), Thresholds(1, 2), ("a",)),
    ):
        with pytest.raises(ReleaseChangeUnfit):
            begin(tmp_path / "releases", tmp_path / "keys", short, stop, NOW_S)
    assert list(tmp_path.iterdir()) == []


def test_a_key_beside_anothers_public_half_signs_nothing(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_key(tmp_path / f"{name}.pem", "")
    shutil.copyfile(tmp_path / "b.pub", tmp_path / "a.pub")
    with pytest.raises(ReleaseKeyWrong):
        load_signer(tmp_path / "a.pem", no_passphrase)
    (tmp_path / "a.pub").write_bytes(b"nothing")
    with pytest.raises(ReleaseKeyWrong):
        load_signer(tmp_path / "a.pem", no_passphrase)


@pytest.mark.parametrize("missing", ["stable", "snapshot", "timestamp"])
def test_without_a_key_that_must_sign_nothing_is_published(desk: ReleaseDesk, missing: str) -> None:
    (desk.keys_folder / f"{TEST_PREFIX}{missing}.pem").unlink()
    before = contents(desk.metadata)
    with pytest.raises(ReleaseKeysTooFew):
        desk.add("0.3.0")
    assert contents(desk.metadata) == before


def test_two_officers_of_a_channel_sign_with_their_own_folders(tmp_path: Path) -> None:
    desk = ReleaseDesk(tmp_path / "desk")
    desk.begin(channel=Thresholds(2, 2))
    second = desk.folder / "second-officer"
    second.mkdir()
    for ending in ("pem", "pub"):
        (desk.keys_folder / f"{TEST_PREFIX}stable-2.{ending}").rename(second / f"stable-2.{ending}")
    with pytest.raises(ReleaseKeysTooFew):
        desk.add("0.2.0")
    both = KeyFolders([desk.keys_folder, second], no_passphrase)
    packages.add(desk.releases, desk.package("0.2.0"), "stable", both, NOW_S)
    assert desk.find() is not None


def test_the_keys_of_a_channel_change_and_a_channel_is_added(desk: ReleaseDesk) -> None:
    old = desk.releases.load().targets.signed.get_delegated_role("stable").keyids[0]
    new = make_key(desk.keys_folder / "stable-new.pem", "")
    change_channel(desk.releases, "stable", ChannelChange([new], [old[:16]]), desk.keys, NOW_S)
    desk.add("0.3.0")
    found = desk.find()
    assert found is not None and found.version == "0.3.0"
    (desk.keys_folder / "stable-new.pem").unlink()
    with pytest.raises(ReleaseKeysTooFew):
        desk.add("0.4.0")
    beta = make_key(desk.keys_folder / "beta.pem", "")
    change_channel(desk.releases, "beta", ChannelChange([beta]), desk.keys, NOW_S)
    desk.add("0.5.0", "beta")
    found = desk.find(channel="beta")
    assert found is not None and found.version == "0.5.0"
    for change in (ChannelChange(threshold=2), ChannelChange(remove=[beta.keyid])):
        with pytest.raises(ReleaseChangeUnfit):
            change_channel(desk.releases, "beta", change, desk.keys, NOW_S)
    with pytest.raises(ReleaseChangeUnfit):
        change_channel(desk.releases, "beta", ChannelChange(remove=["0000"]), desk.keys, NOW_S)


# --- packages


def test_a_version_is_published_once(desk: ReleaseDesk) -> None:
    before = contents(desk.metadata)
    again = packages.add(desk.releases, desk.package("0.2.0"), "stable", desk.keys, NOW_S)
    assert not again.is_new and contents(desk.metadata) == before
    other = desk.package("0.2.0", filling=b"other")
    with pytest.raises(ReleaseTaken):
        packages.add(desk.releases, other, "stable", desk.keys, NOW_S)
    assert contents(desk.metadata) == before
    assert packages.add(desk.releases, other, "trial", desk.keys, NOW_S).is_new, "in another channel it is new"


def test_a_withdrawn_release_is_taken_by_nobody_and_its_number_stays_taken(desk: ReleaseDesk) -> None:
    desk.add("0.3.0")
    packages.withdraw(desk.releases, "kgo-0.3.0-linux_x86_64.zip", "stable", desk.keys, NOW_S)
    found = desk.find()
    assert found is not None and found.version == "0.2.0"
    for name, channel in (("kgo-0.3.0-linux_x86_64.zip", "stable"), ("kgo-0.2.0-linux_x86_64.zip", "trial")):
        with pytest.raises(ReleaseNotInChannel):
            packages.withdraw(desk.releases, name, channel, desk.keys, NOW_S)
    with pytest.raises(ReleaseChannelAbsent):
        packages.withdraw(desk.releases, "kgo-0.2.0-linux_x86_64.zip", "beta", desk.keys, NOW_S)
    with pytest.raises(ReleaseTaken):
        packages.add(desk.releases, desk.package("0.3.0", filling=b"mended"), "stable", desk.keys, NOW_S)
    desk.add("0.3.0")
    found = desk.find()
    assert found is not None and found.version == "0.3.0", "the same bytes may come back"


def test_what_is_no_sound_package_is_not_signed(desk: ReleaseDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    good = desk.package("0.3.0").read_bytes()
    before = contents(desk.releases.folder)
    bad = desk.folder / "bad.zip"
    for data in (b"", b"PK", good[:-100], good.replace(b"tiny.py", b"evil.py"), good.replace(b"[Unit]", b"[Evil]")):
        bad.write_bytes(data)
        with pytest.raises(ReleasePackageUnfit):
            packages.add(desk.releases, bad, "stable", desk.keys, NOW_S)
    bad.write_bytes(good)
    monkeypatch.setattr("offline_ledger.terminal.updates.package.PACKAGE_BYTES_MAX", len(good) - 1)
    with pytest.raises(ReleasePackageTooLarge):
        packages.add(desk.releases, bad, "stable", desk.keys, NOW_S)
    with pytest.raises(Refusal):
        packages.add(desk.releases, desk.folder / "none.zip", "stable", desk.keys, NOW_S)
    assert contents(desk.releases.folder) == before


def test_no_channel_is_made_up(desk: ReleaseDesk) -> None:
    with pytest.raises(ReleaseChannelAbsent):
        desk.add("0.3.0", "beta")


def test_the_same_parts_make_the_same_bytes(tmp_path: Path) -> None:
    first, second = (small_package(tmp_path / name, "1.2.3").read_bytes() for name in ("a", "b"))
    assert first == second
    assert packages.sha256_of(tmp_path / "a" / "kgo-1.2.3-linux_x86_64.zip") == hashlib.sha256(first).hexdigest()


# --- renewing


def test_a_refresh_renews_what_ends_soon_and_whose_keys_are_here(desk: ReleaseDesk) -> None:
    first = desk.releases.load()
    desk.refresh()
    assert renewing.refresh(desk.releases, desk.keys, NOW_S).ending == []
    desk.now_s += 300 * DAY_S
    (desk.keys_folder / f"{TEST_PREFIX}trial.pem").unlink()
    done = renewing.refresh(desk.releases, desk.keys, desk.now_s, days=10)
    assert (set(done.renewed), done.ending) == ({"timestamp", "snapshot", "stable", "targets"}, ["trial"])
    now = desk.releases.load()
    assert now.timestamp.signed.version == first.timestamp.signed.version + 3
    assert now.channels["stable"].signed.expires > first.channels["stable"].signed.expires
    assert desk.find() is not None
    desk.now_s += 11 * DAY_S
    with pytest.raises(Refusal) as refused:
        desk.find()
    assert refused.value.number == 7202


def test_a_stray_public_half_is_in_no_refreshs_way(desk: ReleaseDesk) -> None:
    """It stopped the nightly renewal of a whole city."""
    (desk.keys_folder / "junk.pub").write_text("no key")
    before = contents(desk.metadata)
    desk.refresh(60)
    assert contents(desk.metadata) != before and desk.find() is not None


def test_a_folder_that_was_tampered_with_is_not_signed_again(desk: ReleaseDesk) -> None:
    """Who could write here, and has no keys, gets nothing signed by those who have them."""

    def more(signed: object) -> None:
        signed.targets["stable/kgo-9.9.9-linux_x86_64.zip"] = next(iter(signed.targets.values()))  # pyright: ignore

    desk.edit("2.stable.json", more)
    before = contents(desk.metadata)
    with pytest.raises(ReleaseFolderWrong):
        desk.refresh()
    assert contents(desk.metadata) == before


@pytest.mark.parametrize("role", ["root", "snapshot", "targets", "stable"])
def test_an_older_file_in_the_place_of_a_newer_one_is_not_signed_again(desk: ReleaseDesk, role: str) -> None:
    """It is signed as well: without a look at its number a withdrawn package would come back."""
    desk.refresh()
    renewing.change_channel(
        desk.releases, "beta", ChannelChange([make_key(desk.keys_folder / "b.pem", "")]), desk.keys, NOW_S
    )
    folder = roots.propose(desk.releases, roots.RootChange(), NOW_S)
    for name in ("root-1", "root-2"):
        roots.sign_proposal(folder, desk.keys_folder / f"{TEST_PREFIX}{name}.pem", no_passphrase)
    roots.publish_root(desk.releases, [])
    newest = desk.releases.newest(role)
    desk.releases.load()
    shutil.copyfile(desk.metadata / f"1.{role}.json", desk.metadata / f"{newest}.{role}.json")
    before = contents(desk.metadata)
    with pytest.raises(ReleaseFolderWrong):
        desk.refresh()
    assert contents(desk.metadata) == before


@pytest.mark.parametrize("name", ["targets", "root", "Stable", "a/b", "", "a" * 33, "1.stable"])
def test_what_cannot_be_a_channels_name_changes_nothing(desk: ReleaseDesk, name: str) -> None:
    before = contents(desk.metadata)
    with pytest.raises(ReleaseChannelUnfit):
        change_channel(desk.releases, name, ChannelChange([make_key(desk.folder / "b.pem", "")]), desk.keys, NOW_S)
    with pytest.raises(ReleaseChannelAbsent):
        change_channel(desk.releases, "stabel", ChannelChange(threshold=1), desk.keys, NOW_S)
    assert contents(desk.metadata) == before
    assert desk.releases.load().channels.keys() == {"stable", "trial"}


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "1.targets.json", "1.root.json", "1.trial.json"])
def test_a_folder_with_a_file_missing_is_told(desk: ReleaseDesk, name: str) -> None:
    (desk.metadata / name).unlink()
    with pytest.raises(ReleaseFolderWrong):
        desk.releases.load()


def test_two_commands_at_once_do_not_meet(desk: ReleaseDesk) -> None:
    with desk.releases.held(), pytest.raises(ReleaseFolderBusy):
        desk.refresh()
    desk.refresh()
    with pytest.raises(ReleaseFolderWrong), Releases(desk.folder / "none").held():
        pass


# --- the power goes


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 by name of all that stands there, but for what nobody looks at."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and not file.name.endswith(".new")
    }


def check_numbers(seen: dict[str, str], folder: Path) -> None:
    """A file that has a number never changes."""
    for name, sha256 in contents(folder).items():
        if name != "timestamp.json":
            assert seen.setdefault(name, sha256) == sha256, f"{name} has two contents"


@pytest.mark.parametrize("what", ["add", "refresh", "channel"])
def test_killed_anywhere_terminals_see_the_old_state_or_the_new_one(desk: ReleaseDesk, what: str) -> None:
    package = desk.package("0.3.0")
    new_key = make_key(desk.keys_folder / "beta.pem", "")
    change = ChannelChange([new_key])
    acts = {
        "add": lambda: packages.add(desk.releases, package, "stable", desk.keys, desk.now_s),
        "refresh": lambda: renewing.refresh(desk.releases, desk.keys, desk.now_s),
        "channel": lambda: change_channel(desk.releases, "beta", change, desk.keys, desk.now_s),
    }
    seen, versions, kills = contents(desk.metadata), set[str](), 0
    del seen["timestamp.json"]
    for _ in killed_at_each_change(acts[what]):
        kills += 1
        check_numbers(seen, desk.metadata)
        found = desk.find()
        assert found is not None
        versions.add(found.version)
        desk.fetched()
    assert kills > 10 and list(desk.releases.folder.rglob(".*.new")) == [], "no half of a file goes onto a stick"
    check_numbers(seen, desk.metadata)
    assert versions == ({"0.2.0", "0.3.0"} if what == "add" else {"0.2.0"})
    acts[what]()
    assert desk.find() is not None
