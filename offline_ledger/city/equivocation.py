"""Proofs that somebody signed two things that cannot both be honest: stored whole, judged by a person. DESIGN §2, §8.

A wallet's proof freezes its account and denies all its live passes at once; a device's proof blocks the device. Both
signed payloads are kept with what is needed to check them, so that the proof stands without this ledger. A flipped
signature has the same identity and is never a proof. Never takes money.
"""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import cast

from offline_ledger.city.store import Row, Store
from offline_ledger.errors import EquivocationUnknown, Refusal
from offline_ledger.protocol import cbor, cose, device, wallet
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import DeviceCertificate, Voucher
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Closing, Payment, Presentment, authorised_kgo
from offline_ledger.rules.acceptance import is_contradiction

CONTEXT_BYTES_MAX = 1 << 25
EQUIVOCATION, CLOSED_BELOW, DUPLICATES = "equivocation", "closing below what was spent", "duplicates"
"""Why a pass is denied. A person's review lifts what proofs denied, never the policy on duplicates."""


class ProofKind(IntEnum):
    """What contradicts what. Wallet kinds keep [allowance, kind of first, kind of second] as context."""

    WALLET = 1
    """Same (allowance, n) differing in more than time, or n₁ < n₂ with S₂ < S₁ + what n₁ authorised."""
    BEYOND_CLOSING = 2
    """An object beyond the wallet's own closing."""
    DEVICE_VOUCHER = 3
    """One (device, sequence), two contents; context: the device certificate."""
    DEVICE_EVENT = 4
    """One (device, event number), two contents; first and second are the batch heads that sign both chains, context
    is [certificate, head before, events of the first from there on, events of the second]."""


class ReviewState(IntEnum):
    """Where a person's review stands."""

    OPEN = 0
    CONFIRMED = 1
    LIFTED = 2


@dataclass(frozen=True, slots=True)
class Proof:
    """One stored equivocation."""

    equivocation_id: int
    kind: ProofKind
    wallet_id: int | None
    device: str | None
    first: bytes
    second: bytes
    context: bytes
    found_at_s: int
    state: ReviewState
    note: str


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two signed objects of one signer, before they are stored; identities order and name the pair."""

    kind: ProofKind
    first: bytes
    first_identity: bytes
    second: bytes
    second_identity: bytes
    context: bytes


def wallet_contradiction(
    kind: ProofKind, allowance_raw: bytes, first: tuple[Kind, Signed], second: tuple[Kind, Signed]
) -> Contradiction:
    """The proof against a wallet."""
    context = cbor.encode([allowance_raw, int(first[0]), int(second[0])])
    return Contradiction(kind, first[1].raw, first[1].identity, second[1].raw, second[1].identity, context)


def store_proof(
    store: Store, found: Contradiction, now_s: int, *, wallet_id: int | None = None, device_id: str | None = None
) -> bool:
    """Keeps the proof; False when this very pair is already there, in either order or spelling of signatures."""
    assert store.in_transaction
    low, high = sorted((found.first_identity, found.second_identity))
    pair = sha256(bytes((found.kind,)) + low + high).digest()
    store.execute(
        "INSERT OR IGNORE INTO equivocations(kind, wallet_id, device, first, second, context, pair, found_at_s)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        (found.kind, wallet_id, device_id, found.first, found.second, found.context, pair, now_s),
    )
    return store.changes() > 0


def freeze_wallet(store: Store, wallet_id: int, reason: str, now_s: int) -> None:
    """The account takes no new allowance and all its live passes are denied, until a person has looked."""
    store.execute("UPDATE wallets SET frozen = max(frozen, 1) WHERE wallet_id = ?", (wallet_id,))
    deny_wallet(store, wallet_id, reason, now_s)


def deny_wallet(store: Store, wallet_id: int, reason: str, now_s: int) -> None:
    """All unexpired pass ids of the account go on the deny list, or stay on it for longer, as a card's; the next
    bulletin carries them."""
    store.execute(
        "INSERT INTO denied(pass_id, wallet_id, reason, since_s, expires_at_s)"
        " SELECT pass_id, wallet_id, ?, ?, max(expires_at_s) FROM allowances"
        " WHERE wallet_id = ? AND expires_at_s >= ? GROUP BY pass_id, wallet_id"
        " ON CONFLICT DO UPDATE SET wallet_id = excluded.wallet_id,"
        " expires_at_s = max(expires_at_s, excluded.expires_at_s)",
        (reason, now_s, wallet_id, now_s),
    )


def deny_if_frozen(store: Store, wallet_id: int, now_s: int) -> None:
    """After an allowance or a freeze came to this account from another: a frozen account has no pass off the list."""
    row = store.one("SELECT frozen FROM wallets WHERE wallet_id = ?", (wallet_id,))
    if row is not None and row[0]:
        deny_wallet(store, wallet_id, EQUIVOCATION, now_s)


def block_device(store: Store, device_id: str, reason: str) -> None:
    """The device may still upload, but what it sends is held."""
    store.execute(
        "UPDATE devices SET blocked = 1, blocked_reason = ? WHERE device = ? AND blocked = 0", (reason, device_id)
    )


def review(store: Store, equivocation_id: int, confirm: bool, note: str, now_s: int) -> None:
    """A person's decision. The last lifted proof of a wallet thaws it and takes its passes off the deny list, unless
    they are on it for another reason too.

    Raises EquivocationUnknown for a number that names no proof.
    """
    state = ReviewState.CONFIRMED if confirm else ReviewState.LIFTED
    with store.transaction():
        row = store.one("SELECT wallet_id FROM equivocations WHERE equivocation_id = ?", (equivocation_id,))
        if row is None:
            raise EquivocationUnknown(str(equivocation_id))
        store.execute(
            "UPDATE equivocations SET state = ?, reviewed_at_s = ?, note = ? WHERE equivocation_id = ?",
            (state, now_s, note, equivocation_id),
        )
        if row[0] is not None:
            _apply_review(store, row[0], now_s)


def _apply_review(store: Store, wallet_id: int, now_s: int) -> None:
    states = {row[0] for row in store.fetch("SELECT state FROM equivocations WHERE wallet_id = ?", (wallet_id,))}
    frozen = 2 if ReviewState.CONFIRMED in states else 1 if ReviewState.OPEN in states else 0
    store.execute("UPDATE wallets SET frozen = ? WHERE wallet_id = ?", (frozen, wallet_id))
    if frozen:  # perhaps it had been lifted meanwhile
        deny_if_frozen(store, wallet_id, now_s)
    else:
        store.execute("DELETE FROM denied WHERE wallet_id = ? AND reason <> ?", (wallet_id, DUPLICATES))


_COLUMNS = "equivocation_id, kind, wallet_id, device, first, second, context, found_at_s, state, note"
_PROOF = f"SELECT {_COLUMNS} FROM equivocations"


def _proof(row: Row) -> Proof:
    return Proof(row[0], ProofKind(row[1]), row[2], row[3], row[4], row[5], row[6], row[7], ReviewState(row[8]), row[9])


def proofs(store: Store, wallet_id: int | None = None) -> list[Proof]:
    """All stored proofs, or one wallet's, oldest first."""
    rows = store.fetch(f"{_PROOF} WHERE ? IS NULL OR wallet_id = ? ORDER BY equivocation_id", (wallet_id, wallet_id))
    return [_proof(row) for row in rows]


def numbered_proof(store: Store, equivocation_id: int) -> Proof:
    """One stored proof: it may bring long event chains with it. Raises EquivocationUnknown."""
    row = store.one(f"{_PROOF} WHERE equivocation_id = ?", (equivocation_id,))
    if row is None:
        raise EquivocationUnknown(str(equivocation_id))
    return _proof(row)


def is_proven(proof: Proof, city: str) -> bool:
    """Do the stored bytes alone convince: both signatures, and the contradiction? Used by the audit."""
    try:
        if proof.kind in (ProofKind.WALLET, ProofKind.BEYOND_CLOSING):
            return _is_wallet_proven(proof, city)
        return _is_device_proven(proof, city)
    except (Refusal, ValueError, TypeError, IndexError, AttributeError):  # stored bytes that are no proof at all
        return False


def read_wallet_object(kind: Kind, signed: Signed) -> Presentment | Payment | Closing:
    """The payload of a wallet-signed object by its kind."""
    if kind is Kind.PRESENTMENT:
        return wallet.PRESENTMENT.decode(signed.payload, OBJECT_BYTES_MAX)
    if kind is Kind.PAYMENT:
        return wallet.PAYMENT.decode(signed.payload, OBJECT_BYTES_MAX)
    return read_closing(signed)


def read_closing(signed: Signed) -> Closing:
    """The payload of a closing."""
    return wallet.CLOSING.decode(signed.payload, OBJECT_BYTES_MAX)


def is_beyond_closing(closing: Closing, wallet_object: Presentment | Payment) -> bool:
    """Whether this object was authorised although the closing said that nothing more would be."""
    if closing.allowance_hash != wallet_object.allowance_hash:
        return False
    if wallet_object.n > closing.last_n:
        return True
    return wallet_object.sum_kgo + authorised_kgo(wallet_object) > closing.final_sum_kgo


def _is_wallet_proven(proof: Proof, city: str) -> bool:
    allowance_raw, *kinds = cast(list[object], cbor.decode(proof.context, CONTEXT_BYTES_MAX))
    allowance_signed = cose.parse_sign1(cast(bytes, allowance_raw), cose.external_aad(Kind.ALLOWANCE, city))
    allowance = wallet.ALLOWANCE.decode(allowance_signed.payload, OBJECT_BYTES_MAX)
    key = cose.verify_key(allowance.wallet_point)
    objects: list[Presentment | Payment | Closing] = []
    for raw, kind_number in zip((proof.first, proof.second), kinds, strict=True):
        kind = Kind(cast(int, kind_number))
        signed = cose.parse_sign1(raw, cose.external_aad(kind, city))
        found = read_wallet_object(kind, signed)
        if found.allowance_hash != allowance_signed.identity or not cose.is_signature_of(signed, key):
            return False
        objects.append(found)
    first, second = objects
    if isinstance(first, Closing) and not isinstance(second, Closing):
        return is_beyond_closing(first, second)
    return not isinstance(first, Closing) and not isinstance(second, Closing) and is_contradiction(first, second)


def _is_device_proven(proof: Proof, city: str) -> bool:
    if proof.kind is ProofKind.DEVICE_EVENT:
        return _is_event_fork(proof, city)
    certificate = _certificate(proof.context, city)
    pair = _signed_by(proof, certificate, Kind.VOUCHER, city)
    if pair is None:
        return False
    first, second = (device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX) for signed in pair)
    return first.device == second.device == certificate.device and _is_fork(first, second, pair[0].identity)


def _is_event_fork(proof: Proof, city: str) -> bool:
    found = cast(list[object], cbor.decode(proof.context, CONTEXT_BYTES_MAX))
    certificate = _certificate(cast(bytes, found[0]), city)
    pair = _signed_by(proof, certificate, Kind.BATCH_HEAD, city)
    tails = [cast(list[list[object]], tail) for tail in found[2:]]
    if pair is None or len(tails) != 2 or not all(tails) or tails[0][0] == tails[1][0]:
        return False
    for signed, tail in zip(pair, tails, strict=True):
        said = device.BATCH_HEAD.decode(signed.payload, OBJECT_BYTES_MAX)
        head = cast(bytes, found[1])
        for kind, body in tail:
            head = device.event_link(head, cast(int, kind), cast(bytes, body))
        if said.device != certificate.device or said.event_head != head:
            return False
    return True


def _certificate(raw: bytes, city: str) -> DeviceCertificate:
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.DEVICE_CERTIFICATE, city))
    return device.DEVICE_CERTIFICATE.decode(signed.payload, OBJECT_BYTES_MAX)


def _signed_by(proof: Proof, certificate: DeviceCertificate, kind: Kind, city: str) -> tuple[Signed, Signed] | None:
    key = cose.verify_key(certificate.point)
    first, second = (cose.parse_sign1(raw, cose.external_aad(kind, city)) for raw in (proof.first, proof.second))
    if first.identity == second.identity:
        return None
    return (first, second) if cose.is_signature_of(first, key) and cose.is_signature_of(second, key) else None


def _is_fork(first: Voucher, second: Voucher, first_identity: bytes) -> bool:
    """One sequence twice, or a voucher that names another predecessor than the one this device signed."""
    if first.sequence == second.sequence:
        return True
    return second.sequence == first.sequence + 1 and second.previous != first_identity
