"""The city's signers while it runs: each signs with the key that is in force for its role at that moment. DESIGN §4.

`kgo-city rotate` runs beside the service: a new key file is found when it is needed, and a switch takes effect with the
next signature. What decides the switch is `rotation`.
"""

from pathlib import Path

from offline_ledger.city import keys, rotation
from offline_ledger.city.keys import CityKeys
from offline_ledger.city.rotation import KeyBook, NamedKey
from offline_ledger.city.store import Store
from offline_ledger.errors import KeyFileUnsafe
from offline_ledger.key_files import KeySigner
from offline_ledger.protocol.city import KeyRole

_KEY_ID = slice(18, 26)
"""In a Sig_structure: array(4), text "Signature1", bstr(13), {1: -7, 4: bstr(8)} (`protocol.cose`)."""
SETTLE_REST_S = 1
"""Devices report in every batch; looking at all of them once a second is often enough."""


class RoleSigner:
    """One role's signer. A message names its key in its own header, and that key signs it: a switch between asking for
    the key and signing with it makes no wrong signature."""

    def __init__(self, signing: "Signing", role: KeyRole) -> None:
        self._signing = signing
        self._role = role

    @property
    def point(self) -> bytes:
        """The key in force now."""
        return self._signing.in_force(self._role).point

    @property
    def key_id(self) -> bytes:
        """Its id."""
        return self._signing.in_force(self._role).key_id

    def sign(self, message: bytes) -> bytes:
        """ES256 over a Sig_structure. Raises KeyFileUnsafe when the key that it names is not here."""
        return self._signing.named(self._role, message[_KEY_ID]).sign(message)


class Signing:
    """All roles of one city. Several threads may use it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self.book = KeyBook(store)
        self._opened: dict[KeyRole, dict[bytes, KeySigner]] = {}
        self._settled_at_s = 0
        self.keys = CityKeys(*(RoleSigner(self, role) for role in KeyRole))

    def check_files(self) -> None:
        """Raises KeyFileUnsafe unless the key in force of every role is here, NotProvisioned."""
        for role in KeyRole:
            self.in_force(role)

    def in_force(self, role: KeyRole) -> KeySigner:
        """The key that signs now."""
        point = self.book.in_force(role).point
        if not self.has_file(role, point):
            raise KeyFileUnsafe(f"{self._folder}: no file has the {role.name.lower()} key in force")
        return self._opened[role][point]

    def named(self, role: KeyRole, key_id: bytes) -> KeySigner:
        """The key of this id."""
        for signer in (self.in_force(role), *self._opened[role].values()):
            if signer.key_id == key_id:
                return signer
        raise KeyFileUnsafe(f"no {role.name.lower()} key {key_id.hex()}")

    def has_file(self, role: KeyRole, point: bytes) -> bool:
        """Whether this key is kept here; files that came later are found."""
        if point not in self._opened.get(role, {}):
            opened = keys.open_role_keys(self._folder, role)
            self._opened[role] = {found: signer for found, (_path, signer) in opened.items()}
        return point in self._opened[role]

    def settle(self, now_s: int) -> list[NamedKey]:
        """Lets new keys take over that no device keeps waiting; which did."""
        if abs(now_s - self._settled_at_s) < SETTLE_REST_S:
            return []
        self._settled_at_s = now_s
        return rotation.settle(self._store, self.book, self.has_file, now_s)
