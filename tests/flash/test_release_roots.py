"""A new root: signed in steps by holders who never meet, published when terminals can follow. DESIGN §4."""

# pyright: reportPrivateImportUsage=false

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root

from firmware.flash.release import renewing, roots
from firmware.flash.release.keys import TEST_PREFIX, load_public, make_key, no_passphrase
from firmware.flash.release.roots import NEW, OLD, PROPOSAL, RootChange, propose, publish_root, sign_proposal
from offline_ledger.errors import (
    Refusal,
    ReleaseChangeUnfit,
    ReleaseFolderWrong,
    ReleaseKeysTooFew,
    ReleaseKeyWrong,
    ReleaseNoProposal,
    ReleaseRootUnfit,
    ReleaseUnsigned,
)
from tests.flash.killing import killed_at_each_change
from tests.flash.test_release import check_numbers, contents
from tests.release_desk import DAY_S, NOW_S, ReleaseDesk, copied_desk


@pytest.fixture
def desk(tmp_path: Path) -> ReleaseDesk:
    return copied_desk(tmp_path)


def key_file(desk: ReleaseDesk, name: str) -> Path:
    return desk.keys_folder / f"{TEST_PREFIX}{name}.pem"


def keyid(desk: ReleaseDesk, name: str) -> str:
    return load_public(key_file(desk, name).with_suffix(".pub")).keyid


def sign(desk: ReleaseDesk, *names: str, folder: Path | None = None) -> roots.Signed:
    done = None
    for name in names:
        done = sign_proposal(folder or desk.releases.folder / PROPOSAL, key_file(desk, name), no_passphrase)
    assert done is not None
    return done


def with_lost_key(desk: ReleaseDesk) -> RootChange:
    """Key 3 was lost; a fourth takes its place."""
    new = make_key(key_file(desk, "root-4"), "")
    return RootChange([("root", new)], [("root", keyid(desk, "root-3")[:12])])


def test_a_lost_key_is_replaced_by_holders_on_machines_of_their_own(desk: ReleaseDesk, tmp_path: Path) -> None:
    assert desk.find() is not None
    proposal = propose(desk.releases, with_lost_key(desk), NOW_S)
    first, second = tmp_path / "stick-1", tmp_path / "stick-2"
    for stick in (first, second):
        shutil.copytree(proposal, stick)
    assert sign(desk, "root-1", folder=first) == roots.Signed(1, 2, 1, 2)
    assert sign(desk, "root-1", folder=first) == roots.Signed(1, 2, 1, 2), "again is no more"
    with pytest.raises(ReleaseKeysTooFew):
        publish_root(desk.releases, [first])
    assert sign(desk, "root-4", folder=second) == roots.Signed(0, 2, 1, 2)
    assert sign(desk, "root-3", folder=second) == roots.Signed(1, 2, 1, 2), "the lost one counts for the old root alone"
    before = contents(desk.metadata)
    assert publish_root(desk.releases, [first, second]) == 2
    assert set(contents(desk.metadata)) - set(before) == {"2.root.json"}
    assert list(proposal.iterdir()) == []
    desk.refresh()
    assert desk.find() is not None, "a terminal of the first root follows"
    desk.forget()
    shutil.copyfile(desk.metadata / "2.root.json", desk.folder / "update.root")
    assert desk.find() is not None, "and one that is prepared with the second"
    propose(desk.releases, RootChange(), NOW_S)
    with pytest.raises(ReleaseKeyWrong):
        sign(desk, "root-3")


def test_new_keys_alone_make_no_root(desk: ReleaseDesk) -> None:
    """m of the old ones must agree, however many new ones do."""
    new = [make_key(key_file(desk, f"thief-{number}"), "") for number in (1, 2, 3)]
    old = [("root", keyid(desk, f"root-{number}")[:12]) for number in (1, 2, 3)]
    proposal = propose(desk.releases, RootChange([("root", key) for key in new], old), NOW_S)
    signed = sign(desk, "thief-1", "thief-2", "thief-3", "root-1")
    assert signed == roots.Signed(1, 2, 3, 2) and not signed.is_enough
    with pytest.raises(ReleaseKeysTooFew):
        publish_root(desk.releases, [])
    shutil.copyfile(proposal / NEW, desk.metadata / "2.root.json")
    with pytest.raises(ReleaseUnsigned):
        desk.find()


def test_a_terminal_takes_no_root_that_leaves_one_out(desk: ReleaseDesk) -> None:
    propose(desk.releases, RootChange(), NOW_S)
    sign(desk, "root-1", "root-2")
    publish_root(desk.releases, [])
    second = desk.metadata / "2.root.json"
    second.rename(desk.metadata / "3.root.json")
    assert desk.find() is not None, "it never looks for the third before it has the second"
    seen = Metadata[Root].from_file(str(desk.metadata / "3.root.json"))
    (desk.metadata / "3.root.json").rename(second)
    seen.signed.version = 5
    seen.to_file(str(second))
    with pytest.raises(ReleaseUnsigned):
        desk.find()


def test_who_is_no_holder_signs_nothing(desk: ReleaseDesk) -> None:
    proposal = propose(desk.releases, RootChange(), NOW_S)
    before = contents(proposal)
    for name in ("targets", "stable"):
        with pytest.raises(ReleaseKeyWrong):
            sign(desk, name)
    with pytest.raises(Refusal):
        sign(desk, "nobody")
    assert contents(proposal) == before


def test_a_bad_signature_of_one_copy_is_in_no_ones_way(desk: ReleaseDesk, tmp_path: Path) -> None:
    proposal = propose(desk.releases, RootChange(), NOW_S)
    shutil.copytree(proposal, tmp_path / "bad")
    sign(desk, "root-1", "root-2")
    sign(desk, "root-1", folder=tmp_path / "bad")
    spoilt = Metadata[Root].from_file(str(tmp_path / "bad" / NEW))
    for one in spoilt.signatures.values():
        one.signature = one.signature[:-2] + ("00" if one.signature[-2:] != "00" else "01")
    spoilt.to_file(str(tmp_path / "bad" / NEW))
    assert publish_root(desk.releases, [tmp_path / "bad"]) == 2


def test_a_copy_that_was_changed_is_another_proposal(desk: ReleaseDesk, tmp_path: Path) -> None:
    proposal = propose(desk.releases, RootChange(), NOW_S)
    shutil.copytree(proposal, tmp_path / "changed")
    changed = Metadata[Root].from_file(str(tmp_path / "changed" / NEW))
    changed.signed.roles["root"].threshold = 1
    changed.to_file(str(tmp_path / "changed" / NEW))
    sign(desk, "root-1", "root-2", folder=tmp_path / "changed")
    for copy, refused in (("changed", ReleaseFolderWrong), ("nothing", ReleaseNoProposal)):
        with pytest.raises(refused):
            publish_root(desk.releases, [tmp_path / copy])


@pytest.mark.parametrize(
    "change",
    [
        RootChange(thresholds={"root": 4}),
        RootChange(thresholds={"root": 0}),
        RootChange(thresholds={"timestamp": 2}),
    ],
)
def test_a_root_that_nobody_could_sign_is_not_proposed(desk: ReleaseDesk, change: RootChange) -> None:
    with pytest.raises(ReleaseChangeUnfit):
        propose(desk.releases, change, NOW_S)


@pytest.mark.parametrize("remove", [("root", "0" * 12), ("stable", "0" * 12), ("root", ""), ("nobody", "0" * 12)])
def test_a_key_that_is_not_there_is_not_removed(desk: ReleaseDesk, remove: tuple[str, str]) -> None:
    with pytest.raises(ReleaseChangeUnfit):
        propose(desk.releases, RootChange(remove=[remove]), NOW_S)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_machines_key_changes_without_a_moment_that_terminals_refuse(desk: ReleaseDesk, role: str) -> None:
    """First both keys sign, then the root that names the new one alone."""
    new = make_key(key_file(desk, f"{role}-new"), "")
    propose(desk.releases, RootChange([(role, new)], [(role, keyid(desk, role)[:12])]), NOW_S)
    sign(desk, "root-1", "root-2")
    with pytest.raises(ReleaseRootUnfit):
        publish_root(desk.releases, [])
    assert desk.find() is not None
    desk.refresh()
    assert desk.find() is not None
    assert publish_root(desk.releases, []) == 2
    assert desk.find() is not None
    key_file(desk, role).unlink()
    desk.refresh()
    assert desk.find() is not None
    desk.forget()
    assert desk.find() is not None


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_key_that_is_lost_for_good_is_joined_by_a_new_one_and_then_goes(desk: ReleaseDesk, role: str) -> None:
    """Nobody can sign with the old one and the new one together: the new one comes first, in a root of its own."""
    lost = keyid(desk, role)
    key_file(desk, role).unlink()
    new = make_key(desk.keys_folder / "new.pem", "")
    asked = RootChange(add=[(role, new)])
    for change in (asked, RootChange(remove=[(role, lost)])):
        roots.propose(desk.releases, change, desk.now_s)
        sign(desk, "root-1", "root-2")
        if change is not asked:
            desk.refresh()  # with the new key alone
        roots.publish_root(desk.releases, [])
        assert desk.find() is not None
    desk.refresh()
    assert desk.releases.load().root.signed.roles[role].keyids == [new.keyid]
    assert desk.find() is not None


def test_a_root_near_its_end_is_told_and_renewed(desk: ReleaseDesk) -> None:
    desk.now_s += 600 * DAY_S
    assert "root" not in renewing.refresh(desk.releases, desk.keys, desk.now_s).ending
    desk.now_s += 100 * DAY_S
    assert "root" in renewing.refresh(desk.releases, desk.keys, desk.now_s).ending
    propose(desk.releases, RootChange(), desk.now_s)
    sign(desk, "root-2", "root-3")
    publish_root(desk.releases, [])
    desk.now_s += 60 * DAY_S
    desk.refresh()
    assert desk.find() is not None, "by the first root alone all of it would be over"


@pytest.mark.parametrize("what", ["propose", "sign", "publish"])
def test_killed_anywhere_a_change_of_root_goes_on(desk: ReleaseDesk, what: str) -> None:
    change = with_lost_key(desk)
    propose(desk.releases, change, NOW_S)
    sign(desk, "root-1", "root-2")
    acts: dict[str, Callable[[], object]] = {
        "propose": lambda: propose(desk.releases, change, NOW_S + 1),
        "sign": lambda: sign(desk, "root-4"),
        "publish": lambda: publish_root(desk.releases, []),
    }
    seen, kills = contents(desk.metadata), 0
    proposal = desk.releases.folder / PROPOSAL
    for _ in killed_at_each_change(acts[what]):
        kills += 1
        check_numbers(seen, desk.metadata)
        assert desk.find() is not None
        if (desk.metadata / "2.root.json").exists():  # through but for tidying up
            break
        assert (proposal / OLD).exists()
        if what != "propose":
            assert (proposal / NEW).exists()
    assert kills > 3
    if not (desk.metadata / "2.root.json").exists():
        sign(desk, "root-1", "root-2")
        publish_root(desk.releases, [])
    check_numbers(seen, desk.metadata)
    propose(desk.releases, RootChange(), NOW_S)
    sign(desk, "root-1", "root-4")
    assert publish_root(desk.releases, []) == 3
    assert desk.find() is not None


def test_every_root_on_the_way_is_looked_at(desk: ReleaseDesk) -> None:
    """A terminal that has been away, and every new card, go through each: on one that nobody takes nothing is built."""
    for _number in (2, 3):
        propose(desk.releases, RootChange(), NOW_S)
        sign(desk, "root-1", "root-2")
        publish_root(desk.releases, [])
    desk.releases.load()
    for number in (1, 2, 3):
        file = desk.metadata / f"{number}.root.json"
        sound = file.read_bytes()
        before, _, behind = sound.rpartition(b"2")  # in what is signed; one signature too many may be bad
        for other in (before + b"3" + behind, (desk.metadata / f"{number % 3 + 1}.root.json").read_bytes(), None):
            file.unlink() if other is None else file.write_bytes(other)
            if number == 3 and other is None:
                continue  # then root 2 is the newest
            with pytest.raises(ReleaseFolderWrong):
                desk.refresh()
        file.write_bytes(sound)
    desk.refresh()
