"""What the operator's tables show: the fleet, and proofs that stand alone. DESIGN §1. Never writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from offline_ledger.city import equivocation
from offline_ledger.city.equivocation import Proof
from offline_ledger.city.store import Store
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import StateKey

STATE_BYTES_MAX = 4_096


@dataclass(frozen=True, slots=True)
class FleetLine:
    """One device. Times are Unix seconds, None = never; `skew_s` > 0: its clock is behind ours. `missing`: vouchers
    that should be here; `events_lost`: events that a restore took and the device no longer has."""

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
    events_lost: int
    held: int
    expires_at_s: int


def fleet(store: Store) -> list[FleetLine]:
    """All devices by name."""
    rows = store.fetch(
        "SELECT d.device, d.role, d.owner, d.blocked, d.blocked_reason, d.revoked_after, d.last_seen_s, d.head_at_s,"
        " d.head_trust, d.state, d.through_sequence,"
        " (SELECT count(*) FROM vouchers v WHERE v.device = d.device AND v.sequence <= d.through_sequence),"
        " (SELECT count(*) FROM vouchers v WHERE v.device = d.device AND v.outcome = ?)"
        " + (SELECT count(*) FROM fork_vouchers f WHERE f.device = d.device AND f.outcome = ?), d.expires_at_s,"
        " (SELECT coalesce(sum(g.last - g.first + 1), 0) FROM event_gaps g WHERE g.device = d.device)"
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
                events_lost=row[14],
                held=row[12],
                expires_at_s=row[13],
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
