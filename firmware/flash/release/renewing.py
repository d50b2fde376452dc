"""What has to be signed anew from time to time, and whose keys a channel has. DESIGN §4.

Every refresh renews snapshot and timestamp; channels and their list too, when they end soon and their keys are here.
"""

# pyright: reportPrivateImportUsage=false
# See repository.py.

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tuf.api.metadata import TOP_LEVEL_ROLE_NAMES, DelegatedRole, Delegations, Key, Root, Targets

from firmware.flash.release.keys import KeyFolders
from firmware.flash.release.repository import RENEW_DAYS, SNAPSHOT_DAYS, Change, Releases, State
from firmware.flash.release.roots import coming_keys, must_sign_anew, one_keyid
from offline_ledger.errors import ReleaseChangeUnfit, ReleaseChannelAbsent, ReleaseChannelUnfit
from offline_ledger.terminal.updates.names import CHANNEL


class Refreshed(NamedTuple):
    """What was renewed, and what ends soon and was not, as its keys are elsewhere."""

    renewed: Sequence[str]
    ending: Sequence[str]


def refresh(releases: Releases, keys: KeyFolders, now_s: int, days: int = SNAPSHOT_DAYS) -> Refreshed:
    """Raises those of `Releases.load` and `Releases.publish`."""
    with releases.held():
        state = releases.load()
        coming = coming_keys(releases, state)
        soon = datetime.fromtimestamp(now_s, UTC) + timedelta(days=RENEW_DAYS)
        ending = [name for name, one in state.channels.items() if one.signed.expires < soon]
        targets = state.targets.signed
        renewed = {name: state.channels[name].signed for name in ending if _can_sign(targets, name, keys)}
        is_list_due = targets.expires < soon or bool(coming.get("targets")) or must_sign_anew(releases, state)
        is_list_renewed = is_list_due and _can_sign(state.root.signed, "targets", keys)
        change = Change(targets if is_list_renewed else None, renewed, coming)
        releases.publish(state, change, keys, now_s, days)
    done = ["timestamp", "snapshot", *renewed, *(["targets"] if is_list_renewed else [])]
    left = [name for name in ending if name not in renewed]
    left += ["targets"] if is_list_due and not is_list_renewed else []
    left += ["root"] if state.root.signed.expires < soon else []
    return Refreshed(done, left)


def _can_sign(delegator: Root | Targets, role: str, keys: KeyFolders) -> bool:
    asked = delegator.get_delegated_role(role)
    return keys.has(asked.keyids) >= asked.threshold


class ChannelChange(NamedTuple):
    """Keys of a channel to add and to remove (by the beginning of their ids); its threshold, or 0: as it is."""

    add: Sequence[Key] = ()
    remove: Sequence[str] = ()
    threshold: int = 0


def change_channel(releases: Releases, name: str, change: ChannelChange, keys: KeyFolders, now_s: int) -> State:
    """Publishes the channel under its new keys; one that was not there begins empty. Raises ReleaseChannelUnfit,
    ReleaseChannelAbsent, ReleaseChangeUnfit, those of `Releases.load` and `Releases.publish`."""
    if not CHANNEL.fullmatch(name) or name in TOP_LEVEL_ROLE_NAMES:
        raise ReleaseChannelUnfit(name[:40])
    with releases.held():
        state = releases.load()
        targets = deepcopy(state.targets.signed)
        delegations = targets.delegations or Delegations({}, {})
        if delegations.roles is None or (name not in delegations.roles and not change.add):
            raise ReleaseChannelAbsent(name)
        role = delegations.roles.get(name) or DelegatedRole(name, [], 1, terminating=True, paths=[f"{name}/*"])
        delegations.roles[name] = role
        targets.delegations = delegations
        for key in change.add:
            targets.add_key(key, name)
        for beginning in change.remove:
            targets.revoke_key(one_keyid(role.keyids, name, beginning), name)
        role.threshold = change.threshold or role.threshold
        if role.threshold > len(role.keyids):
            raise ReleaseChangeUnfit(f"{name}: {role.threshold} of {len(role.keyids)} keys")
        there = state.channels.get(name)
        channel = there.signed if there is not None else Targets()
        coming = coming_keys(releases, state)
        releases.publish(state, Change(targets, {name: channel}, coming), keys, now_s, SNAPSHOT_DAYS)
    return state
