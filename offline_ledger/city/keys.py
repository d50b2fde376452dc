"""The city's own signing keys in files of mode 0600, and the ring of all keys it ever published. DESIGN §4.

A role's first key is in `issuer.key` (and so on), later ones in `issuer-2.key`, `issuer-3.key`, …; which signs is
`rotation`'s to say. Signatures are deterministic (RFC 6979). Never overwrites a key, never shows one, never signs with
a file that others can read. Root keys are files like any other, made to be carried away after `init`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from offline_ledger.city import trust
from offline_ledger.city.files import write_new_key
from offline_ledger.city.store import Store
from offline_ledger.errors import KeyFileUnsafe
from offline_ledger.key_files import KeySigner, open_key_file
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import KeyRole, TrustedKey
from offline_ledger.protocol.cose import Signer, VerifyKey

ROLE_FILES = {
    KeyRole.ALLOWANCE_ISSUER: "issuer.key",
    KeyRole.DEVICE_CA: "device-ca.key",
    KeyRole.BULLETIN: "bulletin.key",
    KeyRole.ACK: "ack.key",
    KeyRole.LOG: "log.key",
}


KEY_FILES_MAX = 99
"""Of one role: a new one each year for a century."""


class CitySigner(Signer, Protocol):
    """A signer of the city that knows its key id."""

    @property
    def key_id(self) -> bytes:
        """First 8 bytes of SHA-256 of the SubjectPublicKeyInfo."""
        ...


@dataclass(frozen=True, slots=True)
class CityKeys:
    """One signer for each role."""

    issuer: CitySigner
    device_ca: CitySigner
    bulletin: CitySigner
    ack: CitySigner
    log: CitySigner


def make_key_file(path: Path) -> KeySigner:
    """A new key. Raises what `write_new_key` raises."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_new_key(path, key)
    return KeySigner(key)


def make_city_keys(folder: Path) -> CityKeys:
    """New keys for all roles."""
    return CityKeys(*(make_key_file(folder / ROLE_FILES[role]) for role in KeyRole))


def points_by_role(keys: CityKeys) -> dict[KeyRole, bytes]:
    """What the trust list names."""
    signers = (keys.issuer, keys.device_ca, keys.bulletin, keys.ack, keys.log)
    return {role: signer.point for role, signer in zip(KeyRole, signers, strict=True)}


def key_files(folder: Path, role: KeyRole) -> list[Path]:
    """The files of a role that are there, oldest first."""
    return [
        path for path in (_key_file(folder, role, number) for number in range(1, KEY_FILES_MAX + 1)) if path.exists()
    ]


def open_role_keys(folder: Path, role: KeyRole) -> dict[bytes, tuple[Path, KeySigner]]:
    """Every key of a role that is kept here, by its point. Raises KeyFileUnsafe for one that others can read."""
    opened = ((path, open_key_file(path)) for path in key_files(folder, role))
    return {signer.point: (path, signer) for path, signer in opened}


def make_next_key_file(folder: Path, role: KeyRole, number_min: int = 1) -> tuple[Path, KeySigner]:
    """A new key of a role in the first file name that is free, from a number on. Raises StorageFull, KeyFileUnsafe when
    all are taken."""
    for number in range(number_min, KEY_FILES_MAX + 1):
        path = _key_file(folder, role, number)
        if not path.exists():
            return path, make_key_file(path)
    raise KeyFileUnsafe(f"{folder}: {KEY_FILES_MAX} keys of one role")


def _key_file(folder: Path, role: KeyRole, number: int) -> Path:
    first = folder / ROLE_FILES[role]
    return first if number == 1 else first.with_name(f"{first.stem}-{number}{first.suffix}")


class StoredKeys:
    """Every key of every trust list, retired ones too; the newest list's word on a key's validity counts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version = 0
        self._keys: dict[bytes, dict[tuple[int, bytes], tuple[TrustedKey, VerifyKey]]] = {}

    def candidates(self, key_id: bytes) -> Sequence[tuple[TrustedKey, VerifyKey]]:
        """Every key with this id: an id may match more than one, so each is tried."""
        rows = self._store.fetch("SELECT version, raw FROM trust_lists WHERE version > ? ORDER BY 1", (self._version,))
        for version, raw in rows:
            for trusted in trust.read_list(raw, self._store.city).trust_list.trusted_keys():
                key = cose.verify_key(trusted.point)
                self._keys.setdefault(key.key_id, {})[trusted.role, trusted.point] = (trusted, key)
            self._version = version
        return tuple(self._keys.get(key_id, {}).values())
