"""What the operator's tables show, read from the store: fleet, exceptions, statements. DESIGN §1, §8. Never writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from offline_ledger.city import equivocation
from offline_ledger.city.accounts import AccountKind, Currency
from offline_ledger.city.equivocation import Proof
from offline_ledger.city.store import Store
from offline_ledger.errors import OwnerUnknown, Refusal
from offline_ledger.protocol import cbor
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import StateKey
from offline_ledger.rules.civil import civil_day

STATE_BYTES_MAX = 4_096
EXCEPTIONS_MAX = 10_000
STATEMENT_ROWS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class FleetLine:
    """One device. Times are Unix seconds, None = never; `skew_s` > 0: its clock is behind ours."""

    device: str
    role: int
    owner: str
    blocked_reason: str | None
    revoked_after: int | None
    last_seen_s: int | None
    waiting: int | None
    oldest_waiting_s: int | None
    clock_trust: int | None
    skew_s: int | None
    deny_list_at_s: int | None
    trust_list_version: int | None
    program_version: str
    object_versions: tuple[int, ...]
    through_sequence: int
    missing: int
    held: int


@dataclass(frozen=True, slots=True)
class ExceptionLine:
    """One voucher that a person should look at. `what`: rejected, suspense, held, late or fork."""

    what: str
    device: str
    sequence: int
    refusal: int
    kgo: int
    satang: int
    at_s: int
    received_at_s: int
    identity: bytes


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One posting on an owner's accounts; `suspense_kgo`: what waits in its name."""

    posting_id: int
    posted_at_s: int
    reason: int
    device: str
    sequence: int
    kgo: int
    satang: int
    suspense_kgo: int

    @property
    def day(self) -> int:
        """Civil day number in Bangkok."""
        return civil_day(self.posted_at_s)


def fleet(store: Store) -> list[FleetLine]:
    """All devices by name."""
    rows = store.fetch(
        "SELECT d.device, d.role, d.owner, d.blocked, d.blocked_reason, d.revoked_after, d.last_seen_s, d.head_at_s,"
        " d.head_trust, d.state, d.through_sequence,"
        " (SELECT count(*) FROM vouchers v WHERE v.device = d.device AND v.sequence <= d.through_sequence),"
        " (SELECT count(*) FROM vouchers v WHERE v.device = d.device AND v.outcome = ?)"
        " + (SELECT count(*) FROM fork_vouchers f WHERE f.device = d.device AND f.outcome = ?)"
        " FROM devices d ORDER BY d.device",
        (Outcome.HELD, Outcome.HELD),
    )
    found: list[FleetLine] = []
    for row in rows:
        state = _state(row[9])
        seen = row[6] > 0
        versions = state.get(StateKey.OBJECT_VERSIONS)
        found.append(
            FleetLine(
                device=row[0],
                role=row[1],
                owner=row[2],
                blocked_reason=row[4] if row[3] else None,
                revoked_after=row[5],
                last_seen_s=row[6] if seen else None,
                waiting=_number(state, StateKey.PENDING),
                oldest_waiting_s=_number(state, StateKey.OLDEST_PENDING_AT_S),
                clock_trust=row[8] if seen else None,
                skew_s=row[6] - row[7] if seen else None,
                deny_list_at_s=_number(state, StateKey.DENY_LIST_AT_S),
                trust_list_version=_number(state, StateKey.TRUST_LIST_VERSION),
                program_version=str(state.get(StateKey.PROGRAM_VERSION, ""))[:20],
                object_versions=_numbers(versions),
                through_sequence=row[10],
                missing=row[10] - row[11],
                held=row[12],
            )
        )
    return found


def _state(raw: bytes) -> Mapping[int, object]:
    """The device's own words about itself: shown, never relied on."""
    try:
        found = cbor.decode(raw, STATE_BYTES_MAX)
    except Refusal:
        return {}
    return cast(dict[int, object], found) if isinstance(found, dict) else {}


def _number(state: Mapping[int, object], key: StateKey) -> int | None:
    value = state.get(key)
    return value if type(value) is int else None


def _numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(one for one in cast(list[object], value) if type(one) is int)[:16]


def exceptions(store: Store) -> list[ExceptionLine]:
    """Vouchers that were rejected, held, late, or wait in suspense, and forks; oldest first."""
    names = {Outcome.REJECTED: "rejected", Outcome.SUSPENSE: "suspense", Outcome.HELD: "held"}
    rows = store.fetch(
        "SELECT v.outcome, v.device, v.sequence, v.refusal, v.kgo, v.satang, v.at_s, v.received_at_s, v.identity,"
        " v.late, s.decided_at_s FROM vouchers v"
        " LEFT JOIN suspense s ON s.device = v.device AND s.sequence = v.sequence"
        " WHERE v.outcome <> ? OR v.late = 1 ORDER BY v.received_at_s, v.device, v.sequence LIMIT ?",
        (Outcome.POSTED, EXCEPTIONS_MAX),
    )
    found = [
        ExceptionLine("late" if row[9] and row[0] == Outcome.POSTED else names.get(row[0], str(row[0])), *row[1:9])
        for row in rows
        if not (row[0] == Outcome.SUSPENSE and row[10] is not None)
    ]
    forks = store.fetch(
        "SELECT device, sequence, refusal, received_at_s, identity FROM fork_vouchers ORDER BY received_at_s LIMIT ?",
        (EXCEPTIONS_MAX,),
    )
    return found + [ExceptionLine("fork", row[0], row[1], row[2], 0, 0, 0, row[3], row[4]) for row in forks]


def proof_map(proof: Proof, city: str) -> dict[str, object]:
    """A proof that stands alone: both signed payloads, what is needed to check them, and whether they convince."""
    return {
        "number": proof.equivocation_id,
        "kind": proof.kind.name.lower(),
        "wallet": proof.wallet_id,
        "device": proof.device,
        "found_at_s": proof.found_at_s,
        "state": proof.state.name.lower(),
        "note": proof.note,
        "first": proof.first.hex(),
        "second": proof.second.hex(),
        "context": proof.context.hex(),
        "is_proven": equivocation.is_proven(proof, city),
    }


def statement(store: Store, owner: str, first_day: int | None, last_day: int | None) -> list[StatementLine]:
    """Postings on an owner's accounts, oldest first, days inclusive. Raises OwnerUnknown."""
    if store.one("SELECT 1 FROM owners WHERE owner = ?", (owner,)) is None:
        raise OwnerUnknown(owner)
    kinds = (AccountKind.MERCHANT, AccountKind.OPERATOR, AccountKind.SUSPENSE)
    rows = store.fetch(
        "SELECT p.posting_id, p.posted_at_s, p.reason, coalesce(p.device, ''), coalesce(p.sequence, 0),"
        " sum(CASE WHEN a.kind <> ? AND a.currency = ? THEN e.amount ELSE 0 END),"
        " sum(CASE WHEN a.kind <> ? AND a.currency = ? THEN e.amount ELSE 0 END),"
        " sum(CASE WHEN a.kind = ? THEN e.amount ELSE 0 END)"
        " FROM accounts a JOIN entries e USING(account_id) JOIN postings p USING(posting_id)"
        " WHERE a.name = ? AND a.kind IN (?, ?, ?) GROUP BY p.posting_id ORDER BY p.posting_id LIMIT ?",
        (
            AccountKind.SUSPENSE,
            Currency.KGO,
            AccountKind.SUSPENSE,
            Currency.THB,
            AccountKind.SUSPENSE,
            owner,
            *kinds,
            STATEMENT_ROWS_MAX,
        ),
    )
    lines = [StatementLine(*row) for row in rows]
    return [
        line
        for line in lines
        if (first_day is None or line.day >= first_day) and (last_day is None or line.day <= last_day)
    ]
