"""The audit of what follows from proofs: none is missing, and each has its freeze and denials. DESIGN §8.

Contradictions are looked for anew among all wallet objects that are stored, in order of n, so that erased proofs are
missed. One allowance at a time; of proofs only the accounts that they are about stand in memory.
"""

from collections.abc import Iterator
from heapq import merge
from typing import cast

from offline_ledger.city.audit_findings import Findings, Place
from offline_ledger.city.city_clock import newest_known_s
from offline_ledger.city.equivocation import CLOSED_BELOW, CONTEXT_BYTES_MAX, EQUIVOCATION, ReviewState
from offline_ledger.city.recover import REFILLED
from offline_ledger.city.store import Row, Store
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind

OBJECTS_MAX = 1_000
"""Of one contradicted allowance, looked at against each other."""
STANDINGS = (0, 1, 2)
"""Values of the column `counts`."""


def check_proofs(store: Store, findings: Findings) -> None:
    """Within one snapshot."""
    for identity, wallet_id, closed_n, closed_sum_kgo in store.stream(
        "SELECT hash, wallet_id, closed_n, closed_sum_kgo FROM allowances"
    ):
        where = Place("allowance", identity.hex()[:16] if isinstance(identity, bytes) else str(identity))
        with findings.unharmed(where):
            if _is_contradicted(store, identity, closed_n, closed_sum_kgo):
                if not _is_proven(store, wallet_id) or not _has_each_proof(store, identity, wallet_id):
                    findings.add("equivocation_gone", where, wallet=wallet_id)
    _check_numbers(store, findings)
    _check_frozen(store, findings)
    for pass_id, wallet_id in store.stream(
        "SELECT d.pass_id, d.wallet_id FROM denied d JOIN wallets w USING(wallet_id)"
        " WHERE d.reason IN (?, ?) AND w.frozen = 0",
        (EQUIVOCATION, CLOSED_BELOW),
    ):
        findings.add("denied_alone", Place("wallet", str(wallet_id)), name=pass_id.hex())
    for pass_id, wallet_id in store.stream(
        "SELECT pass_id, wallet_id FROM denied d WHERE NOT EXISTS(SELECT 1 FROM allowances l"
        " WHERE l.wallet_id = d.wallet_id AND l.pass_id = d.pass_id AND l.expires_at_s = d.expires_at_s)"
    ):
        findings.add("denied_until_wrong", Place("wallet", str(wallet_id)), name=pass_id.hex())


def _is_contradicted(store: Store, identity: bytes, closed_n: int | None, closed_sum_kgo: int | None) -> bool:
    """By the definition alone: one n with two contents, a sum that does not hold what went before, or beyond the
    wallet's own closing."""
    last_n, last_intent, highest_kgo, below_kgo = -1, b"", 0, 0
    for n, sum_kgo, authorised_kgo, intent in _objects(store, identity):
        if n == last_n and intent != last_intent:
            return True
        if n > last_n:
            last_n, last_intent, below_kgo = n, intent, highest_kgo
        if sum_kgo < below_kgo:
            return True
        highest_kgo = max(highest_kgo, sum_kgo + authorised_kgo)
        if closed_n is not None and closed_sum_kgo is not None:
            if n > closed_n or sum_kgo + authorised_kgo > closed_sum_kgo:
                return True
    return False


def _objects(store: Store, identity: bytes) -> Iterator[Row]:
    """Of one allowance, by n: three parts of an index that are in order already."""
    sql = "SELECT n, sum_kgo, authorised_kgo, intent FROM spends WHERE hash = ? AND counts = ? ORDER BY n"
    return merge(*(store.stream(sql, (identity, counts)) for counts in STANDINGS), key=lambda row: row[0])


def _is_proven(store: Store, wallet_id: int) -> bool:
    return store.one("SELECT 1 FROM equivocations WHERE wallet_id = ?", (wallet_id,)) is not None


def _has_each_proof(store: Store, identity: bytes, wallet_id: int) -> bool:
    """Whatever came after something it contradicts was half of a proof at once. What came first, the log says; a log
    that was refilled after a restore has the order from before it, and does not."""
    if store.setting(REFILLED) is not None:
        return True
    came: list[tuple[int, Row]] = []
    for record, sequence, *signed in store.fetch(
        "SELECT device, sequence, n, sum_kgo, authorised_kgo, intent, object_kind, object FROM spends WHERE hash = ?"
        f" LIMIT {OBJECTS_MAX}",
        (identity,),
    ):
        leaf = _leaf(store, record, sequence)
        if leaf is not None:
            came.append((leaf, tuple(signed)))
    came.sort(key=lambda one: one[0])
    proven = _proven_objects(store, wallet_id)
    for at, (_leaf_at, one) in enumerate(came):
        if any(_is_against(one, before) for _before_at, before in came[:at]):
            aad = cose.external_aad(Kind(one[4]), store.city)
            if cose.parse_sign1(one[5], aad).identity not in proven:
                return False
    return True


def _is_against(one: Row, other: Row) -> bool:
    """(n, S, authorised, intent, …): by the definition alone."""
    low, high = (one, other) if one[0] < other[0] else (other, one)
    return one[3] != other[3] if one[0] == other[0] else high[1] < low[1] + low[2]


def _leaf(store: Store, record: str, sequence: int) -> int | None:
    device_id, _, fork = record.partition("~")
    if not fork:
        row = store.one("SELECT leaf FROM vouchers WHERE device = ? AND sequence = ?", (record, sequence))
        return row[0] if row is not None else None
    sql = "SELECT leaf, identity FROM fork_vouchers WHERE device = ? AND sequence = ?"
    return next((leaf for leaf, found in store.fetch(sql, (device_id, sequence)) if found.hex().startswith(fork)), None)


def _proven_objects(store: Store, wallet_id: int) -> set[bytes]:
    """Identities of both halves of the wallet's proofs."""
    found: set[bytes] = set()
    for *halves, context in store.stream(
        "SELECT first, second, context FROM equivocations WHERE wallet_id = ?", (wallet_id,)
    ):
        _allowance, *kinds = cast(list[object], cbor.decode(context, CONTEXT_BYTES_MAX))
        for raw, kind in zip(halves, kinds, strict=True):
            aad = cose.external_aad(Kind(cast(int, kind)), store.city)
            found.add(cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX).identity)
    return found


def _check_numbers(store: Store, findings: Findings) -> None:
    """Proofs are numbered from 1 on, and none is ever taken out."""
    last = 0
    for (number,) in store.stream("SELECT equivocation_id FROM equivocations ORDER BY equivocation_id"):
        if number != last + 1:
            findings.add("equivocation_gap", Place("equivocation", str(number)), before=last)
        last = number


def _check_frozen(store: Store, findings: Findings) -> None:
    """An account is frozen as long as a proof against it is open or confirmed, and its passes are denied."""
    due: dict[int, int] = {}
    for wallet_id, state in store.stream("SELECT wallet_id, state FROM equivocations WHERE wallet_id IS NOT NULL"):
        frozen = {ReviewState.CONFIRMED: 2, ReviewState.OPEN: 1}.get(state, 0)
        due[wallet_id] = max(due.get(wallet_id, 0), frozen)
    now_s = newest_known_s(store)  # a ledger may be quiet; what has expired everywhere needs no denial
    for wallet_id, frozen in due.items():
        where = Place("wallet", str(wallet_id))
        row = store.one("SELECT frozen FROM wallets WHERE wallet_id = ?", (wallet_id,))
        if row is None or row[0] != frozen:
            findings.add("frozen_wrong", where, frozen="-" if row is None else row[0], expected=frozen)
        if frozen and store.one(
            "SELECT 1 FROM allowances l WHERE l.wallet_id = ? AND l.expires_at_s >= ?"
            " AND NOT EXISTS(SELECT 1 FROM denied d WHERE d.pass_id = l.pass_id AND d.expires_at_s >= l.expires_at_s)",
            (wallet_id, now_s),
        ):
            findings.add("denial_gone", where)
    for wallet_id, frozen in store.stream(
        "SELECT wallet_id, frozen FROM wallets w WHERE frozen <> 0"
        " AND NOT EXISTS(SELECT 1 FROM stand_ins s WHERE s.wallet_id = w.wallet_id AND s.joined_id IS NOT NULL)"
    ):
        if wallet_id not in due:
            findings.add("frozen_wrong", Place("wallet", str(wallet_id)), frozen=frozen, expected=0)
