"""Building, signing and keeping the chain of trust lists. DESIGN §4 "trust list".

A list follows the newest one kept: next version, its hash named, m of its own distinct roots and m of the old ones over
the very same payload. The same checks are made before a list is kept that a terminal makes before it takes one. Never
holds a root key: signers are handed in by the person who brought them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from offline_ledger.city.store import Store
from offline_ledger.errors import Refusal, TrustChainBroken
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import REVOKED, SIGNED_TRUST_LIST, TRUST_LIST, KeyRole, SignedTrustList, TrustList
from offline_ledger.protocol.cose import Signed, Signer
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, ZERO_HASH, Kind

LIST_LIFE_S = 400 * 86_400
KEY_LIFE_S = 1_200 * 86_400
_EARLIER_S = 300  # a terminal's clock may be a little behind


@dataclass(frozen=True, slots=True)
class KeptList:
    """A verified list. `payload_hash` is what the next one must name as its previous."""

    trust_list: TrustList
    payload_hash: bytes


@dataclass(frozen=True, slots=True)
class Changes:
    """What the next list says differently; None: as before. `added`: new keys by role. `closed`: keys that sign no more
    and verify what they signed. `compromised`: keys that verify nothing any more. `log_begun_after`: the log that was
    lost, when ours was begun by a recovery."""

    roots: tuple[bytes, ...] | None = None
    threshold: int | None = None
    revocations: tuple[tuple[str, int], ...] = ()
    added: tuple[tuple[KeyRole, bytes], ...] = ()
    closed: frozenset[bytes] = frozenset()
    compromised: frozenset[bytes] = frozenset()
    log_begun_after: tuple[int, bytes] | None = None


def first_list(city: str, roots: Sequence[bytes], threshold: int, keys: dict[KeyRole, bytes], now_s: int) -> TrustList:
    """Version 1: the anchor that devices are enrolled with."""
    start_s = now_s - _EARLIER_S
    rows = tuple((int(role), point, start_s, now_s + KEY_LIFE_S) for role, point in keys.items())
    return TrustList(city, 1, ZERO_HASH, now_s, now_s + LIST_LIFE_S, threshold, tuple(roots), rows, ())


def next_list(held: KeptList, changes: Changes, now_s: int) -> TrustList:
    """The list after `held`. A revocation never moves to a later sequence: what was refused stays refused."""
    last = held.trust_list
    revoked = last.revoked_after()
    for device, sequence in changes.revocations:
        revoked[device] = min(sequence, revoked.get(device, sequence))
    added = tuple((int(role), point, now_s - _EARLIER_S, now_s + KEY_LIFE_S) for role, point in changes.added)
    return TrustList(
        last.city,
        last.version + 1,
        held.payload_hash,
        now_s,
        now_s + LIST_LIFE_S,
        last.threshold if changes.threshold is None else changes.threshold,
        last.roots if changes.roots is None else changes.roots,
        (*(_next_row(row, changes, now_s) for row in last.keys), *added),
        tuple(sorted(revoked.items())),
        changes.log_begun_after or last.log_begun_after,
    )


def _next_row(row: tuple[int, bytes, int, int], changes: Changes, now_s: int) -> tuple[int, bytes, int, int]:
    """A key as the next list names it; none is ever left out, for it verifies history."""
    role, point, not_before_s, not_after_s = row
    if point in changes.compromised:
        return role, point, not_before_s, REVOKED
    if point in changes.closed:
        return role, point, not_before_s, min(not_after_s, now_s)
    return row


def sign_list(made: TrustList, signers: Iterable[Signer]) -> bytes:
    """The same payload under each signer."""
    payload = TRUST_LIST.encode(made)
    aad = cose.external_aad(Kind.TRUST_LIST, made.city)
    signed = [cose.sign1(payload, aad, cose.key_id_of(signer.point), signer.sign).raw for signer in signers]
    return SIGNED_TRUST_LIST.encode(SignedTrustList(tuple(signed)))


def verify_list(raw: bytes, held: KeptList | None, city: str) -> KeptList:
    """The list, if it may follow `held` (None: it must be version 1). Raises TrustChainBroken."""
    try:
        aad = cose.external_aad(Kind.TRUST_LIST, city)
        wrapper = SIGNED_TRUST_LIST.decode(raw, CITY_OBJECT_BYTES_MAX)
        signed = [cose.parse_sign1(one, aad, CITY_OBJECT_BYTES_MAX) for one in wrapper.signatures]
        found = TRUST_LIST.decode(signed[0].payload, CITY_OBJECT_BYTES_MAX)
        if any(one.payload != signed[0].payload for one in signed):
            raise TrustChainBroken("the roots signed different payloads")
        for trusted in found.trusted_keys():
            cose.verify_key(trusted.point)
        _check_signatures(signed, found, "its own")
        if held is not None:
            _check_signatures(signed, held.trust_list, "the old")
    except TrustChainBroken:
        raise
    except Refusal as refusal:
        raise TrustChainBroken(str(refusal)) from refusal
    version, previous = (held.trust_list.version, held.payload_hash) if held else (0, ZERO_HASH)
    if found.city != city or found.version != version + 1 or found.previous != previous:
        raise TrustChainBroken(f"version {found.version} of {found.city} does not follow {version} of {city}")
    return KeptList(found, sha256(signed[0].payload).digest())


def _check_signatures(signed: Sequence[Signed], by: TrustList, whose: str) -> None:
    """Count distinct roots: one that signs twice, or signs malleably, counts once; one named twice is no set."""
    if len(set(by.roots)) != len(by.roots) or by.threshold > len(by.roots):
        raise TrustChainBroken("a root named twice, or fewer roots than signatures needed")
    keys = [cose.verify_key(point) for point in by.roots]
    found = {key.point for one in signed for key in keys if key.key_id == one.key_id and cose.is_signature_of(one, key)}
    if len(found) < by.threshold:
        raise TrustChainBroken(f"{len(found)} of {by.threshold} signatures of {whose} roots")


def newest(store: Store) -> KeptList | None:
    """The list in force; our own store's word is taken, `audit` verifies the chain."""
    row = store.one("SELECT raw FROM trust_lists ORDER BY version DESC LIMIT 1")
    return None if row is None else read_list(row[0], store.city)


def read_list(raw: bytes, city: str) -> KeptList:
    """A list of our own store, as it was verified when it was kept."""
    first = SIGNED_TRUST_LIST.decode(raw, CITY_OBJECT_BYTES_MAX).signatures[0]
    payload = cose.parse_sign1(first, cose.external_aad(Kind.TRUST_LIST, city), CITY_OBJECT_BYTES_MAX).payload
    return KeptList(TRUST_LIST.decode(payload, CITY_OBJECT_BYTES_MAX), sha256(payload).digest())


def revoked_after(store: Store, device: str) -> int | None:
    """The last sequence of this name that counts, as the list in force says; None: all of them. The name is what is
    revoked, also for a terminal that a restored ledger no longer knows; the devices' column is a copy for lists."""
    held = newest(store)
    return None if held is None else held.trust_list.revoked_after().get(device)


def add_list(store: Store, raw: bytes) -> KeptList:
    """Keeps the next list and what it revokes. Raises TrustChainBroken; then nothing changed."""
    with store.transaction():
        kept = verify_list(raw, newest(store), store.city)
        made = kept.trust_list
        store.execute(
            "INSERT INTO trust_lists(version, raw, issued_at_s, expires_at_s) VALUES(?, ?, ?, ?)",
            (made.version, raw, made.issued_at_s, made.expires_at_s),
        )
        for device, sequence in made.revoked_after().items():
            store.execute("UPDATE devices SET revoked_after = ? WHERE device = ?", (sequence, device))
    return kept


def lists_after(store: Store, version: int, bytes_max: int) -> list[bytes]:
    """The lists after `version` in order, as many as fit; the device asks again for the rest."""
    found: list[bytes] = []
    room = bytes_max
    for (raw,) in store.fetch("SELECT raw FROM trust_lists WHERE version > ? ORDER BY version LIMIT 1024", (version,)):
        room -= len(raw) + 8
        if room < 0 and found:
            break
        found.append(raw)
    return found
