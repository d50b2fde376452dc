"""What the operator's last decision did, read from its posting: who is paid, and by whom. DESIGN §8.

Says too when nobody is paid for a purchase any more. Only reads; `decisions` decides.
"""

from dataclasses import dataclass

from offline_ledger.city.accounts import AccountKind, Currency, Reason
from offline_ledger.city.store import Store

OTHERS_MAX = 20
_OWNERS = (AccountKind.MERCHANT, AccountKind.OPERATOR)


@dataclass(frozen=True, slots=True)
class Part:
    """What one account gave (below zero) or got back. 1/100 KGO."""

    kind: AccountKind
    name: str
    kgo: int


@dataclass(frozen=True, slots=True)
class Decided:
    """`owner_kgo`: what the owner got now, 0 when it was refused. `unpaid`: other terminals with the same intent, when
    no owner of any of them is paid, nor waits to be."""

    owner: str
    owner_kgo: int
    parts: tuple[Part, ...]
    unpaid: tuple[tuple[str, int], ...]


def last_decision(store: Store, record: str, sequence: int) -> Decided:
    """Within the transaction that decided, or after it."""
    rows = store.fetch(
        "SELECT a.kind, a.name, e.amount FROM entries e JOIN accounts a USING(account_id) WHERE a.currency = ?1"
        " AND e.posting_id ="
        " (SELECT max(posting_id) FROM postings WHERE device = ?2 AND sequence = ?3 AND reason = ?4)",
        (Currency.KGO, record, sequence, Reason.DECISION),
    )
    owner = store.one("SELECT owner FROM suspense WHERE device = ? AND sequence = ?", (record, sequence))
    hidden = (*_OWNERS, AccountKind.SUSPENSE, AccountKind.UNFUNDED)
    parts = tuple(Part(AccountKind(kind), name, kgo) for kind, name, kgo in rows if kind not in hidden)
    owner_kgo = sum(kgo for kind, _name, kgo in rows if kind in _OWNERS)
    unpaid = () if owner_kgo else _unpaid_too(store, record, sequence)
    return Decided(owner[0] if owner else "", owner_kgo, parts, unpaid)


def _unpaid_too(store: Store, record: str, sequence: int) -> tuple[tuple[str, int], ...]:
    others = store.fetch(
        "SELECT o.device, o.sequence FROM spends s"
        " JOIN spends o ON o.hash = s.hash AND o.n = s.n AND o.intent = s.intent"
        " WHERE s.device = ?1 AND s.sequence = ?2 AND NOT (o.device = ?1 AND o.sequence = ?2)"
        " ORDER BY o.device, o.sequence LIMIT ?3",
        (record, sequence, OTHERS_MAX),
    )
    return () if any(_is_owed(store, *other) for other in others) else tuple(others)


def _is_owed(store: Store, record: str, sequence: int) -> bool:
    """Does its owner have anything of it, or wait for it?"""
    row = store.one(
        "SELECT coalesce(sum(e.amount), 0) FROM postings p JOIN entries e USING(posting_id)"
        " JOIN accounts a USING(account_id) WHERE p.device = ? AND p.sequence = ? AND p.reason <> ? AND a.currency = ?"
        " AND a.kind IN (?, ?, ?)",
        (record, sequence, Reason.REWARD, Currency.KGO, *_OWNERS, AccountKind.SUSPENSE),
    )
    return row is not None and row[0] > 0
