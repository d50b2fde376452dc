"""What one merchant or operator is owed, and why not more: postings, suspense, held vouchers. DESIGN §8. Never writes.

Every figure is read twice: as the sum of entries and as the stored balance of the account. `Statement.ties` says
whether they agree; a statement that does not tie is never shown as if it did.
"""

from dataclasses import dataclass
from typing import NamedTuple

from offline_ledger.city.accounts import AccountKind, Currency
from offline_ledger.city.open_items import HELD, SUSPENSE, charged
from offline_ledger.city.store import Store
from offline_ledger.errors import OwnerUnknown, ReportTooLong
from offline_ledger.protocol.city import Outcome
from offline_ledger.rules.civil import civil_day, day_start_s

ROWS_MAX = 200_000
END_OF_TIME_S = 1 << 62
_KINDS = (AccountKind.MERCHANT, AccountKind.OPERATOR, AccountKind.SUSPENSE)


class Sums(NamedTuple):
    """KGO owed, baht declared, KGO waiting in suspense; minor units."""

    kgo: int
    satang: int
    suspense_kgo: int

    def plus(self, other: "Sums") -> "Sums":
        """Both together."""
        return Sums(self.kgo + other.kgo, self.satang + other.satang, self.suspense_kgo + other.suspense_kgo)


@dataclass(frozen=True, slots=True)
class Line:
    """One posting on an owner's accounts."""

    posting_id: int
    posted_at_s: int
    reason: int
    device: str
    sequence: int
    sums: Sums

    @property
    def day(self) -> int:
        """Civil day number in Bangkok."""
        return civil_day(self.posted_at_s)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the owner does not have yet. `what`: suspense (in the books, undecided) or held (not judged yet)."""

    what: str
    device: str
    sequence: int
    refusal: int
    kgo: int
    satang: int
    received_at_s: int


@dataclass(frozen=True, slots=True)
class Statement:
    """Postings of a period with what stood before and after it, and what waits now.

    `before` + the lines = `after`; `stored` are the accounts' own balances, now.
    """

    owner: str
    name: str
    lines: tuple[Line, ...]
    before: Sums
    after: Sums
    stored: Sums
    waiting: tuple[Waiting, ...]
    ties: bool


def statement(store: Store, owner: str, first_day: int | None, last_day: int | None) -> Statement:
    """Of one owner, oldest first, days inclusive. Raises OwnerUnknown, ReportTooLong. Call it within a snapshot."""
    row = store.one("SELECT name FROM owners WHERE owner = ?", (owner,))
    if row is None:
        raise OwnerUnknown(owner)
    from_s = day_start_s(first_day) if first_day is not None else -1
    until_s = day_start_s(last_day + 1) if last_day is not None else END_OF_TIME_S
    lines = _lines(store, owner, from_s, until_s)
    before, later = _sums(store, owner, -END_OF_TIME_S, from_s), _sums(store, owner, until_s, END_OF_TIME_S)
    after = total(lines).plus(before)
    stored = _stored(store, owner)
    waiting = (*_in_suspense(store, owner), *_held(store, owner))
    in_suspense_kgo = sum(line.kgo for line in waiting if line.what == SUSPENSE)
    ties = after.plus(later) == stored and in_suspense_kgo == stored.suspense_kgo
    return Statement(owner, row[0], lines, before, after, stored, waiting, ties)


def total(lines: tuple[Line, ...]) -> Sums:
    """All of them together."""
    found = Sums(0, 0, 0)
    for line in lines:
        found = found.plus(line.sums)
    return found


_AMOUNTS = (
    f" coalesce(sum(CASE WHEN a.kind <> {AccountKind.SUSPENSE:d} AND a.currency = {Currency.KGO:d}"
    " THEN {amount} ELSE 0 END), 0),"
    f" coalesce(sum(CASE WHEN a.kind <> {AccountKind.SUSPENSE:d} AND a.currency = {Currency.THB:d}"
    " THEN {amount} ELSE 0 END), 0),"
    f" coalesce(sum(CASE WHEN a.kind = {AccountKind.SUSPENSE:d} THEN {{amount}} ELSE 0 END), 0)"
)
_OF_OWNER = " WHERE a.name = ? AND a.kind IN (?, ?, ?)"


def _lines(store: Store, owner: str, from_s: int, until_s: int) -> tuple[Line, ...]:
    rows = store.fetch(
        "SELECT p.posting_id, p.posted_at_s, p.reason, coalesce(p.device, ''), coalesce(p.sequence, 0),"
        + _AMOUNTS.format(amount="e.amount")
        + " FROM accounts a JOIN entries e USING(account_id) JOIN postings p USING(posting_id)"
        + _OF_OWNER
        + " AND p.posted_at_s >= ? AND p.posted_at_s < ? GROUP BY p.posting_id ORDER BY p.posting_id LIMIT ?",
        (owner, *_KINDS, from_s, until_s, ROWS_MAX + 1),
    )
    if len(rows) > ROWS_MAX:
        raise ReportTooLong(f"> {ROWS_MAX}")
    return tuple(Line(row[0], row[1], row[2], row[3], row[4], Sums(*row[5:])) for row in rows)


def _sums(store: Store, owner: str, from_s: int, until_s: int) -> Sums:
    row = store.one(
        "SELECT"
        + _AMOUNTS.format(amount="e.amount")
        + " FROM accounts a JOIN entries e USING(account_id) JOIN postings p USING(posting_id)"
        + _OF_OWNER
        + " AND p.posted_at_s >= ? AND p.posted_at_s < ?",
        (owner, *_KINDS, from_s, until_s),
    )
    return Sums(*(row or (0, 0, 0)))


def _stored(store: Store, owner: str) -> Sums:
    row = store.one("SELECT" + _AMOUNTS.format(amount="a.balance") + " FROM accounts a" + _OF_OWNER, (owner, *_KINDS))
    return Sums(*(row or (0, 0, 0)))


def _in_suspense(store: Store, owner: str) -> list[Waiting]:
    """Per voucher what its postings left in suspense, whatever the table of open decisions says."""
    rows = store.fetch(
        "SELECT coalesce(p.device, ''), coalesce(p.sequence, 0), coalesce(s.refusal, v.refusal, 0), sum(e.amount),"
        " coalesce(v.received_at_s, min(p.posted_at_s))"
        " FROM accounts a JOIN entries e USING(account_id) JOIN postings p USING(posting_id)"
        " LEFT JOIN suspense s ON s.device = p.device AND s.sequence = p.sequence"
        " LEFT JOIN vouchers v ON v.device = p.device AND v.sequence = p.sequence"
        " WHERE a.name = ? AND a.kind = ? GROUP BY p.device, p.sequence HAVING sum(e.amount) <> 0"
        " ORDER BY min(p.posting_id) LIMIT ?",
        (owner, AccountKind.SUSPENSE, ROWS_MAX + 1),
    )
    if len(rows) > ROWS_MAX:
        raise ReportTooLong(f"> {ROWS_MAX}")
    return [Waiting(SUSPENSE, row[0], row[1], row[2], row[3], 0, row[4]) for row in rows]


def _held(store: Store, owner: str) -> list[Waiting]:
    """What blocked devices of this owner sent, on their own chain or beside it. Nothing of it is in the books."""
    rows = store.fetch(
        "SELECT v.device, v.sequence, v.refusal, v.raw, v.received_at_s FROM vouchers v JOIN devices d USING(device)"
        " WHERE d.owner = ? AND v.outcome = ?"
        " UNION ALL SELECT f.device, f.sequence, f.refusal, f.raw, f.received_at_s FROM fork_vouchers f"
        " JOIN devices d USING(device) WHERE d.owner = ? AND f.outcome = ? ORDER BY 5, 1, 2 LIMIT ?",
        (owner, Outcome.HELD, owner, Outcome.HELD, ROWS_MAX + 1),
    )
    if len(rows) > ROWS_MAX:
        raise ReportTooLong(f"> {ROWS_MAX}")
    return [Waiting(HELD, row[0], row[1], row[2], *charged(row[3], store.city)[:2], row[4]) for row in rows]
