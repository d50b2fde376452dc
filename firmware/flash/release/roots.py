"""A new root: proposed, signed by its holders one after the other and wherever they are, published. DESIGN §4.

A proposal is a folder of two small files, the present root and the next one, that travels on a stick; signing needs no
more. A root is published when m of the old and m of the new keys have signed it, and only if what terminals see now is
good under it too: else every terminal would stand still. Never changes what was signed.
"""

# pyright: reportPrivateImportUsage=false
# See repository.py.

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

from securesystemslib.signer import Signature
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Key, Metadata, Root

from firmware.flash.release.keys import AskPassphrase, load_signer
from firmware.flash.release.repository import ROOT_DAYS, Releases, State, read_metadata, until
from offline_ledger.errors import (
    ReleaseChangeUnfit,
    ReleaseFolderWrong,
    ReleaseKeysTooFew,
    ReleaseKeyWrong,
    ReleaseNoProposal,
    ReleaseRootUnfit,
)
from offline_ledger.files import storage_refusal, write_atomically

PROPOSAL = "root-change"
OLD, NEW = "old.root.json", "new.root.json"
KEYID_CHARACTERS_MIN = 8


class RootChange(NamedTuple):
    """Keys to add and to remove (by the beginning of their ids), by role; and thresholds by role."""

    add: Sequence[tuple[str, Key]] = ()
    remove: Sequence[tuple[str, str]] = ()
    thresholds: Mapping[str, int] = {}


class Signed(NamedTuple):
    """How far a proposal is: by how many of the old and of the new keys, and how many it takes of each."""

    old: int
    old_threshold: int
    new: int
    new_threshold: int

    @property
    def is_enough(self) -> bool:
        """Can it be published?"""
        return self.old >= self.old_threshold and self.new >= self.new_threshold


def propose(releases: Releases, change: RootChange, now_s: int) -> Path:
    """The folder of the proposal; one that was not published is replaced. Raises ReleaseChangeUnfit,
    ReleaseFolderWrong."""
    with releases.held():
        state = releases.load()
        root = deepcopy(state.root.signed)
        for role, key in change.add:
            _check_role(root, role)
            root.add_key(key, role)
        for role, beginning in change.remove:
            _check_role(root, role)
            root.revoke_key(one_keyid(root.roles[role].keyids, role, beginning), role)
        for role, threshold in change.thresholds.items():
            _check_role(root, role)
            root.roles[role].threshold = threshold
        for role, asked in root.roles.items():
            if not 1 <= asked.threshold <= len(asked.keyids):
                raise ReleaseChangeUnfit(f"{role}: {asked.threshold} of {len(asked.keyids)} keys")
        root.version += 1
        root.expires = until(now_s, ROOT_DAYS)
        folder = releases.folder / PROPOSAL
        try:
            folder.mkdir(exist_ok=True)
            (folder / NEW).unlink(missing_ok=True)  # before the old one changes: the two always belong together
        except OSError as error:
            raise storage_refusal(error) from error
        write_atomically(folder / OLD, state.root.to_bytes())
        write_atomically(folder / NEW, Metadata(root).to_bytes())
    return folder


def sign_proposal(folder: Path, key_file: Path, ask: AskPassphrase) -> Signed:
    """One holder's signature more. Raises ReleaseKeyWrong, ReleaseKeyUnsafe, ReleaseFolderWrong."""
    old, new = _proposal(folder)
    signer = load_signer(key_file, ask)
    keyid = signer.public_key.keyid
    if keyid not in {*old.signed.roles["root"].keyids, *new.signed.roles["root"].keyids}:
        raise ReleaseKeyWrong(f"{key_file}: neither of the old root nor of the new")
    new.sign(signer, append=True)
    write_atomically(folder / NEW, new.to_bytes())
    return _signed(old.signed, new)


def publish_root(releases: Releases, copies: Sequence[Path]) -> int:
    """Takes the signatures of all copies of the proposal, and publishes the root. Its number. Raises
    ReleaseKeysTooFew, ReleaseRootUnfit, ReleaseFolderWrong."""
    with releases.held():
        state = releases.load()
        old, new = _proposal(releases.folder / PROPOSAL)
        if old.signed != state.root.signed:
            raise ReleaseFolderWrong(f"{PROPOSAL}: the root has changed since it was proposed")
        for copy in copies:
            _, signed = _proposal(copy)
            if signed.signed != new.signed:
                raise ReleaseFolderWrong(f"{copy}: another proposal")
            new.signatures.update(_good_signatures(old.signed, signed))
        found = _signed(old.signed, new)
        if not found.is_enough:
            raise ReleaseKeysTooFew(
                f"root: old {found.old} of {found.old_threshold}, new {found.new} of {found.new_threshold}"
            )
        try:
            for role in ("timestamp", "snapshot", "targets"):
                seen: Metadata = getattr(state, role)
                new.signed.verify_delegate(role, seen.signed_bytes, seen.signatures)
        except RepositoryError as error:
            raise ReleaseRootUnfit(str(error)) from error
        releases.write_new(f"{new.signed.version}.root.json", new.to_bytes())
        for name in (NEW, OLD):
            (releases.folder / PROPOSAL / name).unlink()
        return new.signed.version


def _proposal(folder: Path) -> tuple[Metadata[Root], Metadata[Root]]:
    """Raises ReleaseNoProposal, ReleaseFolderWrong."""
    if not (folder / OLD).exists() or not (folder / NEW).exists():
        raise ReleaseNoProposal(str(folder))
    return read_metadata(folder / OLD, Root), read_metadata(folder / NEW, Root)


def _signed(old: Root, new: Metadata[Root]) -> Signed:
    result = new.signed.get_root_verification_result(old, new.signed_bytes, new.signatures)
    return Signed(len(result.first.signed), result.first.threshold, len(result.second.signed), result.second.threshold)


def _good_signatures(old: Root, new: Metadata[Root]) -> dict[str, Signature]:
    """A bad one of some copy must not take the place of a good one."""
    found = new.signed.get_root_verification_result(old, new.signed_bytes, new.signatures)
    return {keyid: new.signatures[keyid] for keyid in found.signed}


def _check_role(root: Root, role: str) -> None:
    if role not in root.roles:
        raise ReleaseChangeUnfit(f"{role}: no such role")


def one_keyid(keyids: Sequence[str], role: str, beginning: str) -> str:
    """The one key that begins so. Raises ReleaseChangeUnfit."""
    found = [keyid for keyid in keyids if keyid.startswith(beginning)]
    if len(found) != 1 or len(beginning) < KEYID_CHARACTERS_MIN:
        raise ReleaseChangeUnfit(f"{role}: {beginning}: {len(found)} keys")
    return found[0]


def coming_keys(releases: Releases, state: State) -> dict[str, list[str]]:
    """Keys by role that the proposed root has and the present one has not; none without a proposal."""
    new = _coming_root(releases, state)
    if new is None:
        return {}
    return {
        role: [keyid for keyid in asked.keyids if keyid not in state.root.signed.roles[role].keyids]
        for role, asked in new.roles.items()
    }


def must_sign_anew(releases: Releases, state: State) -> bool:
    """Would the list of channels be no good under the proposed root? So after a lost key was joined by a new one: as
    long as the lost one alone has signed, it cannot go."""
    new = _coming_root(releases, state)
    targets = state.targets
    return new is not None and not new.get_verification_result("targets", targets.signed_bytes, targets.signatures)


def _coming_root(releases: Releases, state: State) -> Root | None:
    folder = releases.folder / PROPOSAL
    if not (folder / NEW).exists() or not (folder / OLD).exists():
        return None
    old, new = _proposal(folder)
    return new.signed if old.signed == state.root.signed else None
