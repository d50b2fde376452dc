"""What the operator's last decision did, read from its posting: who is paid, and by whom. DESIGN §8.

Says too when nobody is paid for a purchase any more. Only reads; `decisions` decides.
"""

from dataclasses import dataclass

from offline_ledger.city.accounts import Account, AccountKind, Currency, Reason, balance
from offline_ledger.city.store import Store

OTHERS_MAX = 20
_OWNERS = (AccountKind.MERCHANT, AccountKind.OPERATOR)
_GIVERS = (AccountKind.WALLET, AccountKind.RESERVED, AccountKind.ISSUANCE, AccountKind.RISK, AccountKind.DEPOSIT)


@dataclass(frozen=True, slots=True)
class Part:
    """What one account gave (below zero) or got back. 1/100 KGO. `is_debt`: the wallet did not have it."""

    kind: AccountKind
    name: str
    kgo: int
    is_debt: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """`owner_kgo`: what the owner got now, 0 when it was refused. `unpaid`: other terminals with the same intent, when
    no owner of any of them is paid, nor waits to be. `before`: what was given before this decision, and the owner gets
    now."""

    owner: str
    owner_kgo: int
    parts: tuple[Part, ...]
    unpaid: tuple[tuple[str, int], ...]
    before: tuple[Part, ...] = ()


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
    parts = tuple(part for row in rows if row[0] not in hidden for part in _parts(store, *row))
    owner_kgo = sum(kgo for kind, _name, kgo in rows if kind in _OWNERS)
    unpaid = () if owner_kgo else _unpaid_too(store, record, sequence)
    before = _given_before(store, record, sequence) if owner_kgo else ()
    return Decided(owner[0] if owner else "", owner_kgo, parts, unpaid, before)


def _parts(store: Store, kind: int, name: str, kgo: int) -> list[Part]:
    """Of what a wallet's *available* gave, that which is below zero now is a debt."""
    debt_kgo = 0
    if kind == AccountKind.WALLET and kgo < 0:
        debt_kgo = min(-kgo, max(0, -balance(store, Account(AccountKind.WALLET, name))))
    found = [Part(AccountKind(kind), name, kgo + debt_kgo), Part(AccountKind(kind), name, -debt_kgo, is_debt=True)]
    return [part for part in found if part.kgo]


def _given_before(store: Store, record: str, sequence: int) -> tuple[Part, ...]:
    """What the postings before the last decision had taken, and nobody got back: to a wallet it comes back as
    *available*, also from its reserve."""
    rows = store.fetch(
        "SELECT a.kind, a.name, sum(e.amount) FROM postings p JOIN entries e USING(posting_id)"
        " JOIN accounts a USING(account_id) WHERE p.device = ?1 AND p.sequence = ?2 AND p.reason <> ?3"
        " AND a.currency = ?4 AND a.kind IN (?5, ?6, ?7, ?8, ?9) AND p.posting_id <"
        " (SELECT max(posting_id) FROM postings WHERE device = ?1 AND sequence = ?2 AND reason = ?10)"
        " GROUP BY a.kind, a.name ORDER BY a.kind = ?6 DESC, a.kind, a.name",
        (record, sequence, Reason.REWARD, Currency.KGO, *_GIVERS, Reason.DECISION),
    )
    back_kgo, found = sum(max(0, kgo) for _kind, _name, kgo in rows), list[Part]()
    for kind, name, kgo in rows:
        given_kgo = max(0, -kgo)
        kept_kgo = max(0, given_kgo - back_kgo)
        back_kgo -= given_kgo - kept_kgo
        if kept_kgo:
            found.append(Part(AccountKind(kind), name, -kept_kgo))
    return tuple(found)


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
