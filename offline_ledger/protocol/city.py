"""What the city signs: trust list, bulletin, ack, checkpoint, time answer. Pure. DESIGN §4, §7."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from offline_ledger.errors import Refusal, UnknownIssuer
from offline_ledger.protocol import cose
from offline_ledger.protocol.cose import Signed, VerifyKey
from offline_ledger.protocol.fields import Field, Layout, blob, fixed, items, mapping, row, text, time_s, uint
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, HASH_BYTES, OBJECT_BYTES_MAX, POINT_BYTES
from offline_ledger.protocol.wallet import CITY_CHARACTERS_MAX, ID_CHARACTERS_MAX, NONCE_BYTES

ROOTS_MAX = 16
TRUST_KEYS_MAX = 256
ACK_VOUCHERS_MAX = 500
CONSISTENCY_HASHES_MAX = 64
"""A consistency proof has at most one hash more than the tree has levels (RFC 9162 §2.1.4); sizes are below 2^48."""
REVOKED = 0
"""`not_after_s` of a key that was compromised."""


class KeyRole(IntEnum):
    """What a city key may sign."""

    ALLOWANCE_ISSUER = 1
    DEVICE_CA = 2
    BULLETIN = 3
    ACK = 4
    LOG = 5


class TrustedKey(NamedTuple):
    """One key of the trust list. A retired key verifies what it signed before `not_after_s`; a revoked one nothing."""

    role: int
    point: bytes
    not_before_s: int
    not_after_s: int

    @property
    def is_revoked(self) -> bool:
        """Compromised: whoever has it can write any time into what it signs, so no time is good."""
        return self.not_after_s == REVOKED


def rows_of_signer(
    signed: Signed, candidates: Sequence[tuple[TrustedKey, VerifyKey]], forged: type[Refusal]
) -> list[TrustedKey]:
    """What the trust lists say of the key that signed this; it may stand there more than once, and an id may match more
    than one key. `candidates`: the rows with the id that `signed` names. Raises UnknownIssuer ("this terminal must
    reconnect"), `forged` (known id, wrong signature)."""
    if not candidates:
        raise UnknownIssuer(signed.key_id.hex())
    fitting = [trusted for trusted, key in candidates if cose.is_signature_of(signed, key)]
    if not fitting:
        raise forged(f"key {signed.key_id.hex()} did not sign this")
    return fitting


class TrustList(NamedTuple):
    """The city's keys, signed by `threshold` distinct roots; `previous` is SHA-256 of the payload before it.

    `log_begun_after`: the roots' word that the city's log was begun anew, and (size, root) of the last checkpoint of
    the lost one; every later list repeats it.
    """

    city: str
    version: int
    previous: bytes
    issued_at_s: int
    expires_at_s: int
    threshold: int
    roots: tuple[bytes, ...]
    keys: tuple[tuple[int, bytes, int, int], ...]
    revocations: tuple[tuple[str, int], ...]
    log_begun_after: tuple[int, bytes] | None = None

    def trusted_keys(self) -> tuple[TrustedKey, ...]:
        """The keys by name."""
        return tuple(TrustedKey(*key) for key in self.keys)

    def revoked_after(self) -> dict[str, int]:
        """The last sequence that counts of each revoked device; of two rows for one device the lower."""
        found: dict[str, int] = {}
        for device, sequence in self.revocations:
            found[device] = min(sequence, found.get(device, sequence))
        return found


TRUST_LIST = Layout(
    TrustList,
    Field(1, "city", text(CITY_CHARACTERS_MAX)),
    Field(2, "version", uint(1 << 32, 1)),
    Field(3, "previous", fixed(HASH_BYTES)),
    Field(4, "issued_at_s", time_s()),
    Field(5, "expires_at_s", time_s()),
    Field(6, "threshold", uint(ROOTS_MAX, 1)),
    Field(7, "roots", items(fixed(POINT_BYTES), ROOTS_MAX, 1)),
    Field(8, "keys", items(row(uint(15, 1), fixed(POINT_BYTES), time_s(), time_s()), TRUST_KEYS_MAX, 1)),
    Field(9, "revocations", items(row(text(ID_CHARACTERS_MAX), uint(1 << 48)), 4_096)),
    Field(10, "log_begun_after", row(uint(1 << 48), fixed(HASH_BYTES)), optional=True),
)


class SignedTrustList(NamedTuple):
    """The same payload signed by several roots, each as a COSE_Sign1 of its own."""

    signatures: tuple[bytes, ...]


SIGNED_TRUST_LIST = Layout(SignedTrustList, Field(1, "signatures", items(blob(CITY_OBJECT_BYTES_MAX), ROOTS_MAX, 1)))


class BulletinKind(IntEnum):
    """Bulletin kinds; each has its own counter."""

    TARIFF = 1
    CAMPAIGN = 2
    DENY_LIST = 3
    CONFIGURATION = 4


class Bulletin(NamedTuple):
    """City data that terminals obey. `version` = (trust-list version, counter) never goes back within a kind."""

    city: str
    kind: int
    version: tuple[int, int]
    issued_at_s: int
    valid_from_s: int
    valid_until_s: int
    body: Mapping[int, object]


BULLETIN = Layout(
    Bulletin,
    Field(1, "city", text(CITY_CHARACTERS_MAX)),
    Field(2, "kind", uint(15, 1)),
    Field(3, "version", row(uint(1 << 32, 1), uint(1 << 32, 1))),
    Field(4, "issued_at_s", time_s()),
    Field(5, "valid_from_s", time_s()),
    Field(6, "valid_until_s", time_s()),
    Field(7, "body", mapping()),
)


class Outcome(IntEnum):
    """What the ledger did with a voucher."""

    POSTED = 1
    SUSPENSE = 2
    REJECTED = 3
    HELD = 4


class Ack(NamedTuple):
    """The ledger's signed answer for sequences `first_sequence`..`through_sequence` and events `through_event`.

    `outcomes`: per voucher (outcome, refusal number or 0, leaf index + 1 or 0 when it has no leaf yet). `chain_end`:
    where no voucher was sent, the last one of this device that the ledger has: (sequence, identity); (0, zero): none.
    """

    device: str
    first_sequence: int
    through_sequence: int
    chain_head: bytes
    through_event: int
    outcomes: tuple[tuple[int, int, int], ...]
    log_size: int
    log_root: bytes
    issued_at_s: int
    chain_end: tuple[int, bytes] | None = None


ACK = Layout(
    Ack,
    Field(1, "device", text(ID_CHARACTERS_MAX)),
    Field(2, "first_sequence", uint(1 << 48, 1)),
    Field(3, "through_sequence", uint(1 << 48)),
    Field(4, "chain_head", fixed(HASH_BYTES)),
    Field(5, "through_event", uint(1 << 48)),
    Field(6, "outcomes", items(row(uint(15, 1), uint(65_535), uint(1 << 48)), ACK_VOUCHERS_MAX)),
    Field(7, "log_size", uint(1 << 48)),
    Field(8, "log_root", fixed(HASH_BYTES)),
    Field(9, "issued_at_s", time_s()),
    Field(10, "chain_end", row(uint(1 << 48), fixed(HASH_BYTES)), optional=True),
)


class Answer(NamedTuple):
    """What a batch upload returns: the signed ack, a range proof per run of leaves, and allowances the city lacks.

    `certificate`: a newer device certificate for the very same device and key.

    `proofs`: (first leaf index, leaf count, hashes) as in `tree.range_proof`. `consistency`: that the log of this ack
    extends the log of the newest ack that the batch head named; None where there is nothing to prove: it named none, an
    empty log, or one that ended with a restore.
    """

    ack: bytes
    proofs: tuple[tuple[int, int, tuple[bytes, ...]], ...]
    wanted_allowances: tuple[bytes, ...]
    consistency: tuple[bytes, ...] | None = None
    certificate: bytes | None = None


ANSWER = Layout(
    Answer,
    Field(1, "ack", blob(CITY_OBJECT_BYTES_MAX)),
    Field(2, "proofs", items(row(uint(1 << 48), uint(ACK_VOUCHERS_MAX, 1), items(fixed(HASH_BYTES), 128)), 500)),
    Field(3, "wanted_allowances", items(fixed(HASH_BYTES), ACK_VOUCHERS_MAX)),
    Field(4, "consistency", items(fixed(HASH_BYTES), CONSISTENCY_HASHES_MAX), optional=True),
    Field(5, "certificate", blob(OBJECT_BYTES_MAX), optional=True),
)


class LogCheckpoint(NamedTuple):
    """The log's head, for anybody, signed by the log key. `begun_after`: (size, root) of the last checkpoint of the log
    that was lost, when this one was begun by a recovery."""

    city: str
    size: int
    root: bytes
    issued_at_s: int
    begun_after: tuple[int, bytes] | None


LOG_CHECKPOINT = Layout(
    LogCheckpoint,
    Field(1, "city", text(CITY_CHARACTERS_MAX)),
    Field(2, "size", uint(1 << 48)),
    Field(3, "root", fixed(HASH_BYTES)),
    Field(4, "issued_at_s", time_s()),
    Field(5, "begun_after", row(uint(1 << 48), fixed(HASH_BYTES)), optional=True),
)


class TimeAnswer(NamedTuple):
    """The city's time, for one nonce of one device."""

    device: str
    nonce: bytes
    issued_at_s: int


TIME_ANSWER = Layout(
    TimeAnswer,
    Field(1, "device", text(ID_CHARACTERS_MAX)),
    Field(2, "nonce", fixed(NONCE_BYTES)),
    Field(3, "issued_at_s", time_s()),
)
