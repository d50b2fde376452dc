"""The city's own signing keys in files of mode 0600, and the ring of all keys it ever published. DESIGN §4.

Signatures are deterministic (RFC 6979). Never overwrites a key, never shows one, never signs with a file that others
can read. Root keys are files like any other, made to be carried away after `init`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from offline_ledger.city.files import write_new
from offline_ledger.city.store import Store
from offline_ledger.files import PRIVATE_MODE
from offline_ledger.key_files import KeySigner, open_key_file, pem_of
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import SIGNED_TRUST_LIST, TRUST_LIST, KeyRole, TrustedKey
from offline_ledger.protocol.cose import VerifyKey
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind

ROLE_FILES = {
    KeyRole.ALLOWANCE_ISSUER: "issuer.key",
    KeyRole.DEVICE_CA: "device-ca.key",
    KeyRole.BULLETIN: "bulletin.key",
    KeyRole.ACK: "ack.key",
    KeyRole.LOG: "log.key",
}


@dataclass(frozen=True, slots=True)
class CityKeys:
    """One signer for each role."""

    issuer: KeySigner
    device_ca: KeySigner
    bulletin: KeySigner
    ack: KeySigner
    log: KeySigner


def make_key_file(path: Path) -> KeySigner:
    """A new key. Raises CityExists when there is a file, StorageFull."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_new(path, pem_of(key), PRIVATE_MODE)
    return KeySigner(key)


def make_city_keys(folder: Path) -> CityKeys:
    """New keys for all roles."""
    return CityKeys(*(make_key_file(folder / ROLE_FILES[role]) for role in KeyRole))


def open_city_keys(folder: Path) -> CityKeys:
    """The keys of all roles. Raises KeyFileUnsafe."""
    return CityKeys(*(open_key_file(folder / ROLE_FILES[role]) for role in KeyRole))


def points_by_role(keys: CityKeys) -> dict[KeyRole, bytes]:
    """What the trust list names."""
    signers = (keys.issuer, keys.device_ca, keys.bulletin, keys.ack, keys.log)
    return {role: signer.point for role, signer in zip(KeyRole, signers, strict=True)}


class StoredKeys:
    """Every key of every trust list, retired ones too; the newest list's word on a key's validity counts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._aad = cose.external_aad(Kind.TRUST_LIST, store.city)
        self._version = 0
        self._keys: dict[bytes, dict[tuple[int, bytes], tuple[TrustedKey, VerifyKey]]] = {}

    def candidates(self, key_id: bytes) -> Sequence[tuple[TrustedKey, VerifyKey]]:
        """Every key with this id: an id may match more than one, so each is tried."""
        rows = self._store.fetch("SELECT version, raw FROM trust_lists WHERE version > ? ORDER BY 1", (self._version,))
        for version, raw in rows:
            first = SIGNED_TRUST_LIST.decode(raw, CITY_OBJECT_BYTES_MAX).signatures[0]
            payload = cose.parse_sign1(first, self._aad, CITY_OBJECT_BYTES_MAX).payload
            for trusted in TRUST_LIST.decode(payload, CITY_OBJECT_BYTES_MAX).trusted_keys():
                key = cose.verify_key(trusted.point)
                self._keys.setdefault(key.key_id, {})[trusted.role, trusted.point] = (trusted, key)
            self._version = version
        return tuple(self._keys.get(key_id, {}).values())
