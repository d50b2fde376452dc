"""Which key signs for each role, and which devices keep a new one waiting. DESIGN §4 "trust list".

A new key signs nothing until every device that may be accepting (its last sync is within its hours H) has reported
that it holds the trust list that names the key. Then it signs, and no later word of a device goes back on that. A
compromised key is left at once, whoever lags behind. Never signs, never reads a key file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from offline_ledger.city import trust
from offline_ledger.city.store import Store
from offline_ledger.errors import NotProvisioned, Refusal, VersionUnknown
from offline_ledger.protocol import cbor
from offline_ledger.protocol.city import KeyRole, TrustedKey
from offline_ledger.protocol.device import StateKey
from offline_ledger.protocol.kinds import VERSION
from offline_ledger.rules.limits import HOUR_S

STATE_BYTES_MAX = 4_096
_ACTIVE = (
    "SELECT device, last_seen_s, enrolled_at_s, state FROM devices WHERE revoked_after IS NULL AND expires_at_s >= ?"
    " AND max(last_seen_s, enrolled_at_s) + offline_hours * ? >= ? ORDER BY device"
)
HasFile = Callable[[KeyRole, bytes], bool]


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key that trust lists name: since which version, and the newest list's word on it."""

    role: KeyRole
    first_version: int
    trusted: TrustedKey

    @property
    def point(self) -> bytes:
        """The public key."""
        return self.trusted.point

    def is_good(self, at_s: int) -> bool:
        """Whether what it signs now verifies."""
        return self.trusted.not_before_s <= at_s <= self.trusted.not_after_s


@dataclass(frozen=True, slots=True)
class Laggard:
    """A device that a new key waits for. `version`: of the trust list that it last reported; 0: none."""

    device: str
    version: int
    last_seen_s: int


class KeyBook:
    """The keys of all trust lists, oldest first; reads only what is new."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version = 0
        self._keys: dict[tuple[int, bytes], NamedKey] = {}

    def of_role(self, role: KeyRole) -> list[NamedKey]:
        """All keys of a role. Raises NotProvisioned when no list names one."""
        rows = self._store.fetch("SELECT version, raw FROM trust_lists WHERE version > ? ORDER BY 1", (self._version,))
        for version, raw in rows:
            for trusted in trust.read_list(raw, self._store.city).trust_list.trusted_keys():
                known = self._keys.get((trusted.role, trusted.point))
                first = version if known is None else known.first_version
                self._keys[trusted.role, trusted.point] = NamedKey(KeyRole(trusted.role), first, trusted)
            self._version = version
        found = [key for key in self._keys.values() if key.role == role]
        if not found:
            raise NotProvisioned(f"no {role.name} key in any trust list")
        return found

    def in_force(self, role: KeyRole) -> NamedKey:
        """The key that signs; the first one until a switch was recorded."""
        found = self.of_role(role)
        point = self._store.setting(_setting(role))
        return next((key for key in found if key.point == point), found[0])

    def after(self, key: NamedKey) -> list[NamedKey]:
        """The keys of its role that came after it, oldest first."""
        found = self.of_role(key.role)
        return found[found.index(key) + 1 :]

    def waiting(self, role: KeyRole, now_s: int) -> NamedKey | None:
        """The newest key of a role that does not sign yet, but will."""
        good = [key for key in self.after(self.in_force(role)) if key.is_good(now_s)]
        return good[-1] if good else None

    def replaced(self) -> frozenset[bytes]:
        """Keys that sign no more: the next trust list closes them."""
        found: set[bytes] = set()
        for role in KeyRole:
            current = self.in_force(role)
            found |= (
                {key.point for key in self.of_role(role)} - {current.point} - {k.point for k in self.after(current)}
            )
        return frozenset(found)


def put_in_force(store: Store, role: KeyRole, point: bytes) -> None:
    """From this transaction on, this key signs."""
    store.put_setting(_setting(role), point)


def laggards(store: Store, version: int, now_s: int) -> list[Laggard]:
    """Devices within their hours that have not reported trust list `version` or a later one."""
    found: list[Laggard] = []
    for device, last_seen_s, enrolled_at_s, state in store.fetch(_ACTIVE, (now_s, HOUR_S, now_s)):
        held = _reported(state, StateKey.TRUST_LIST_VERSION) if last_seen_s else _enrolled_with(store, enrolled_at_s)
        if type(held) is not int or held < version:
            found.append(Laggard(device, held if type(held) is int else 0, last_seen_s))
    return found


def check_readable(store: Store, now_s: int) -> None:
    """Every device within its hours can read what this program signs. Raises VersionUnknown, naming those that cannot:
    a city issues no object version that a device in the field has not reported."""
    lacking: list[str] = []
    for device, last_seen_s, _enrolled_at_s, state in store.fetch(_ACTIVE, (now_s, HOUR_S, now_s)):
        versions = _reported(state, StateKey.OBJECT_VERSIONS)
        if last_seen_s and isinstance(versions, list) and VERSION not in cast(list[object], versions):
            lacking.append(device)
    if lacking:
        raise VersionUnknown(f"version {VERSION}: {', '.join(lacking[:10])}")


def settle(store: Store, book: KeyBook, has_file: HasFile, now_s: int) -> list[NamedKey]:
    """Moves each role on to the newest key that nobody keeps waiting; what has changed, durably."""
    if all(_next(store, book, role, has_file, now_s) is None for role in KeyRole):
        return []
    with store.transaction():  # looked at again: another process may have moved it on
        changed = [key for role in KeyRole if (key := _next(store, book, role, has_file, now_s)) is not None]
        for key in changed:
            put_in_force(store, key.role, key.point)
    return changed


def _next(store: Store, book: KeyBook, role: KeyRole, has_file: HasFile, now_s: int) -> NamedKey | None:
    current = book.in_force(role)
    for key in reversed(book.after(current)):
        if not key.is_good(now_s) or not has_file(role, key.point):
            continue
        if not current.is_good(now_s) or not laggards(store, key.first_version, now_s):
            return key
    return None


def _enrolled_with(store: Store, enrolled_at_s: int) -> int:
    """A device is enrolled with the whole chain of that moment."""
    row = store.one("SELECT coalesce(max(version), 0) FROM trust_lists WHERE issued_at_s <= ?", (enrolled_at_s,))
    return row[0] if row is not None else 0


def _reported(state: bytes, key: StateKey) -> object:
    try:
        found = cbor.decode(state, STATE_BYTES_MAX)
    except Refusal:
        return None
    return cast(dict[int, object], found).get(key) if isinstance(found, dict) else None


def _setting(role: KeyRole) -> str:
    return f"signing.{int(role)}"
