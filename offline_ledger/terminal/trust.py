"""The city's keys: a chain of trust lists, each signed by enough distinct roots. DESIGN §4 "trust list".

A list follows the one held: next version, its hash named, m of its roots and (beside) m of the old ones over the very
same payload. An unbroken chain is taken even past expiry. A key that no list names means "this terminal must
reconnect", never fraud. Never goes back, never skips, never fetches.
"""

from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from offline_ledger.errors import (
    BulletinRollback,
    IssuerKeyExpired,
    IssuerRoleWrong,
    NotProvisioned,
    Refusal,
    TrustChainBroken,
    UnknownCity,
    VersionUnknown,
)
from offline_ledger.files import read_bounded, write_atomically
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import SIGNED_TRUST_LIST, TRUST_LIST, KeyRole, TrustedKey, TrustList, rows_of_signer
from offline_ledger.protocol.cose import Signed, VerifyKey
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, VERSION, ZERO_HASH, Kind

SIGNED_LIST_BYTES_MAX = CITY_OBJECT_BYTES_MAX
CHAIN_LISTS_MAX = 4_096
"""Most lists in one answer or file: more than a century of monthly ones."""
LATER_VERSIONS_TRIED = 4
"""How far ahead of this program an object is still recognised as honest."""


class HeldTrust(NamedTuple):
    """One verified list, ready for look-ups. `payload_hash` is what the next list must name as its previous."""

    trust_list: TrustList
    payload_hash: bytes
    raw: bytes
    keys: dict[bytes, tuple[tuple[TrustedKey, VerifyKey], ...]]
    revoked: dict[str, int]

    def candidates(self, key_id: bytes) -> Sequence[tuple[TrustedKey, VerifyKey]]:
        """Every key with this id: an id may match more than one, so each is tried."""
        return self.keys.get(key_id, ())


def verify_next(raw: bytes, held: HeldTrust | None, city: str) -> HeldTrust:
    """The list in `raw` if it may follow `held` (None: it must be version 1, the anchor).

    Raises TrustChainBroken, BulletinRollback, UnknownCity, VersionUnknown: the roots signed what we cannot read.
    """
    try:
        return _verify_next(raw, held, city)
    except TrustChainBroken as broken:
        if held is not None and _is_later_list(raw, held, city):
            raise VersionUnknown(f"a trust list after {held.trust_list.version}") from broken
        raise


def _verify_next(raw: bytes, held: HeldTrust | None, city: str) -> HeldTrust:
    try:
        payload, signed = _parse(raw, city)
        trust_list = TRUST_LIST.decode(payload, SIGNED_LIST_BYTES_MAX)
        roots = {key.point: key for key in map(cose.verify_key, trust_list.roots)}
        keys = _index(trust_list)
    except TrustChainBroken:
        raise
    except Refusal as refusal:
        raise TrustChainBroken(str(refusal)) from refusal
    if trust_list.city != city:
        raise UnknownCity(trust_list.city)
    _check_place(trust_list, held)
    if len(roots) != len(trust_list.roots) or trust_list.threshold > len(roots):
        raise TrustChainBroken("a root named twice, or fewer roots than signatures needed")
    _check_signatures(signed, roots, trust_list.threshold, "its own")
    if held is not None:
        old = {key.point: key for key in map(cose.verify_key, held.trust_list.roots)}
        _check_signatures(signed, old, held.trust_list.threshold, "the held list's")
    return _held(trust_list, payload, raw, keys)


def _is_later_list(raw: bytes, held: HeldTrust, city: str) -> bool:
    """Enough distinct roots of the held list signed it as a later version."""
    try:
        signatures = SIGNED_TRUST_LIST.decode(raw, SIGNED_LIST_BYTES_MAX).signatures
    except Refusal:
        return False
    by: set[bytes] = set()
    for key in map(cose.verify_key, held.trust_list.roots):
        if any(is_of_later_version(one, Kind.TRUST_LIST, city, [key]) for one in signatures):
            by.add(key.point)
    return len(by) >= held.trust_list.threshold


def _parse(raw: bytes, city: str) -> tuple[bytes, list[Signed]]:
    wrapper = SIGNED_TRUST_LIST.decode(raw, SIGNED_LIST_BYTES_MAX)
    aad = cose.external_aad(Kind.TRUST_LIST, city)
    signed = [cose.parse_sign1(one, aad, SIGNED_LIST_BYTES_MAX) for one in wrapper.signatures]
    if any(one.payload != signed[0].payload for one in signed):
        raise TrustChainBroken("the roots signed different payloads")
    return signed[0].payload, signed


def _index(trust_list: TrustList) -> dict[bytes, tuple[tuple[TrustedKey, VerifyKey], ...]]:
    found: defaultdict[bytes, list[tuple[TrustedKey, VerifyKey]]] = defaultdict(list)
    for trusted in trust_list.trusted_keys():
        key = cose.verify_key(trusted.point)
        found[key.key_id].append((trusted, key))
    return {key_id: tuple(keys) for key_id, keys in found.items()}


def _held(
    trust_list: TrustList, payload: bytes, raw: bytes, keys: dict[bytes, tuple[tuple[TrustedKey, VerifyKey], ...]]
) -> HeldTrust:
    return HeldTrust(trust_list, sha256(payload).digest(), raw, keys, trust_list.revoked_after())


def _check_place(trust_list: TrustList, held: HeldTrust | None) -> None:
    version = trust_list.version
    if held is None:
        if version != 1 or trust_list.previous != ZERO_HASH:
            raise TrustChainBroken(f"begins with version {version}")
        return
    if version <= held.trust_list.version:
        raise BulletinRollback(f"trust list {version}, held {held.trust_list.version}")
    if version != held.trust_list.version + 1 or trust_list.previous != held.payload_hash:
        raise TrustChainBroken(f"version {version} does not follow {held.trust_list.version}")


def _check_signatures(signed: Sequence[Signed], roots: dict[bytes, VerifyKey], threshold: int, whose: str) -> None:
    """Count distinct root *keys*: one root that signs twice, or signs malleably, counts once."""
    by: set[bytes] = set()
    for one in signed:
        by |= {key.point for key in roots.values() if key.key_id == one.key_id and cose.is_signature_of(one, key)}
    if len(by) < threshold:
        raise TrustChainBroken(f"{len(by)} of {threshold} signatures of {whose} roots")


def is_of_later_version(raw: bytes, kind: Kind, city: str, keys: Sequence[VerifyKey]) -> bool:
    """Whether these keys signed it as a version of its kind that this program does not know: honest, and unreadable."""
    for version in range(VERSION + 1, VERSION + 1 + LATER_VERSIONS_TRIED):
        aad = cbor.encode([int(kind), version, city])
        try:
            signed = cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX)
        except Refusal:
            return False
        if any(key.key_id == signed.key_id and cose.is_signature_of(signed, key) for key in keys):
            return True
    return False


@contextmanager
def naming_later_versions(held: HeldTrust, raw: bytes, kind: Kind, role: KeyRole) -> Generator[None]:
    """What could not be read or verified because it is newer than this program is said to be so: VersionUnknown."""
    try:
        yield
    except Refusal as refusal:
        keys = [key for found in held.keys.values() for trusted, key in found if trusted.role == role]
        if is_of_later_version(raw, kind, held.trust_list.city, keys):
            raise VersionUnknown(f"{kind.name.lower()}: {refusal}") from refusal
        raise


def verify_signed(
    held: HeldTrust, signed: Signed, role: KeyRole, signed_at_s: int, forged: type[Refusal]
) -> TrustedKey:
    """The city key that signed this, judged at the time it names (a retired key still verifies history).

    Raises UnknownIssuer (reconnect), `forged` (known id, wrong signature), IssuerRoleWrong, IssuerKeyExpired.
    """
    fitting = rows_of_signer(signed, held.candidates(signed.key_id), forged)
    of_role = [trusted for trusted in fitting if trusted.role == role]
    if not of_role:
        raise IssuerRoleWrong(f"role {fitting[0].role}, not {int(role)}")
    for trusted in of_role:
        if trusted.not_before_s <= signed_at_s <= trusted.not_after_s:
            return trusted
    raise IssuerKeyExpired(f"signed at {signed_at_s}")


class TrustStore:
    """The newest verified list, kept in a small file. Readers on other threads always see a whole list."""

    def __init__(self, city: str, path: Path, held: HeldTrust) -> None:
        self.city = city
        self._path = path
        self._held = held

    @classmethod
    def open(cls, path: Path, city: str) -> "TrustStore":
        """The list that was provisioned or last taken. Raises NotProvisioned, TrustChainBroken, UnknownCity."""
        raw = read_bounded(path, SIGNED_LIST_BYTES_MAX)
        if raw is None:
            raise NotProvisioned(f"{path}: no trust list")
        return cls(city, path, _verify_kept(raw, city))

    @classmethod
    def provision(
        cls, path: Path, city: str, chain: Sequence[bytes], anchor_sha256: bytes | None = None
    ) -> "TrustStore":
        """From the chain that enrolment brought, first list first. `anchor_sha256` pins version 1's payload.

        Raises TrustChainBroken, UnknownCity, NotProvisioned for an empty chain.
        """
        held = verify_chain(chain, None, city)
        if held is None:
            raise NotProvisioned("no trust list in the answer")
        if anchor_sha256 is not None and verify_next(chain[0], None, city).payload_hash != anchor_sha256:
            raise TrustChainBroken("another city's anchor")
        write_atomically(path, held.raw)
        return cls(city, path, held)

    @property
    def held(self) -> HeldTrust:
        """The list in force now; a new object after every change."""
        return self._held

    @property
    def version(self) -> int:
        return self._held.trust_list.version

    def candidates(self, key_id: bytes) -> Sequence[tuple[TrustedKey, VerifyKey]]:
        """As in `HeldTrust.candidates`, of the list in force now."""
        return self._held.candidates(key_id)

    def verify(self, signed: Signed, role: KeyRole, signed_at_s: int, forged: type[Refusal]) -> TrustedKey:
        """`verify_signed` by the list in force now."""
        return verify_signed(self._held, signed, role, signed_at_s, forged)

    def revoked_after(self, device: str) -> int | None:
        """The last accepted sequence of a revoked device; None: not revoked."""
        return self._held.revoked.get(device)

    def accept(self, chain: Sequence[bytes]) -> int:
        """Takes the lists that follow, in order, durably; how many. Sound ones before a bad one are kept.

        Raises TrustChainBroken, BulletinRollback, UnknownCity, StorageFull, StorageFailed.
        """
        taken = 0
        for raw in chain[:CHAIN_LISTS_MAX]:
            following = verify_next(raw, self._held, self.city)
            write_atomically(self._path, following.raw)
            self._held = following
            taken += 1
        return taken


def verify_chain(chain: Sequence[bytes], held: HeldTrust | None, city: str) -> HeldTrust | None:
    """The last list of an unbroken chain after `held`."""
    for raw in chain[:CHAIN_LISTS_MAX]:
        held = verify_next(raw, held, city)
    return held


def _verify_kept(raw: bytes, city: str) -> HeldTrust:
    """A list from our own file: verified by its own roots, at whatever version it is."""
    try:
        payload, signed = _parse(raw, city)
        trust_list = TRUST_LIST.decode(payload, SIGNED_LIST_BYTES_MAX)
        keys = _index(trust_list)
    except Refusal as refusal:
        raise TrustChainBroken(f"kept list: {refusal}") from refusal
    if trust_list.city != city:
        raise UnknownCity(trust_list.city)
    roots = {key.point: key for key in map(cose.verify_key, trust_list.roots)}
    _check_signatures(signed, roots, trust_list.threshold, "its own")
    return _held(trust_list, payload, raw, keys)
