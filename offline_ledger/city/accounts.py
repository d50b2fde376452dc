"""Accounts and postings: double entry, every posting sums to 0 per currency. DESIGN §8.

A balance is what the city owes its holder: issuance, risk fund and cash clearing go below zero; the sum of all is 0.
`Books` keeps the balances of one transaction and writes each touched account once, in id order. Never decides who pays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from offline_ledger.city.posting_links import Linked, link_before, link_of
from offline_ledger.city.store import Store
from offline_ledger.errors import StoreInvalid


class AccountKind(IntEnum):
    """What an account is; its `name` says whose: wallet id, allowance hash in hex, owner, campaign."""

    WALLET = 1
    RESERVED = 2
    MERCHANT = 3
    OPERATOR = 4
    CAMPAIGN = 5
    ISSUANCE = 6
    RISK = 7
    SUSPENSE = 8
    """Money waiting in an owner's name for the operator."""
    UNFUNDED = 9
    """The other side of suspense: nobody has paid this yet."""
    CUSTOMER_CASH = 10
    """Clearing account of declared THB legs: what customers handed over in cash."""
    DEPOSIT = 11
    """What a wallet has put down: it pays after *available*, before the risk fund. Named by the wallet id."""


class OwnerKind(IntEnum):
    """Who owns terminals."""

    MERCHANT = 1
    OPERATOR = 2


class Currency(IntEnum):
    """The two currencies; no posting mixes them."""

    KGO = 1
    THB = 2


class Reason(IntEnum):
    """Why a posting was made."""

    GRANT = 1
    RESERVE = 2
    RELEASE = 3
    CLOSING = 4
    SPEND = 5
    REFUND = 6
    REWARD = 7
    COUPON = 8
    DECISION = 9
    YIELD = 10
    """A charge taken back because its green was never shown."""
    CORRECTION = 11
    DEPOSIT = 12
    """Between *available* and the deposit, by the operator."""
    REBATE = 13
    """What day close gives back of a fare that depended on another terminal."""
    GRANT_BACK = 14
    """Of a gift, what the operator takes back from *available*."""
    PAYER = 15
    """The other one of a duplicate fell away, so the wallet pays for this one."""


CHARGES = frozenset({Reason.SPEND, Reason.COUPON})
"""What charges a voucher; of each voucher one of these stands, until it yields."""


class Account(NamedTuple):
    """An account by what it is; its row is made when it is first posted to."""

    kind: AccountKind
    name: str
    currency: Currency = Currency.KGO


ISSUANCE = Account(AccountKind.ISSUANCE, "")
RISK = Account(AccountKind.RISK, "")
UNFUNDED = Account(AccountKind.UNFUNDED, "")
CUSTOMER_CASH = Account(AccountKind.CUSTOMER_CASH, "", Currency.THB)


def wallet_account(wallet_id: int) -> Account:
    """*Available* of a wallet."""
    return Account(AccountKind.WALLET, str(wallet_id))


def deposit_account(wallet_id: int) -> Account:
    """What a wallet has put down."""
    return Account(AccountKind.DEPOSIT, str(wallet_id))


def reserved_account(allowance_hash: bytes) -> Account:
    """*Reserved* of one allowance."""
    return Account(AccountKind.RESERVED, allowance_hash.hex())


def owner_account(kind: OwnerKind, owner: str, currency: Currency = Currency.KGO) -> Account:
    """What the city owes a merchant or operator (KGO), or what it declared in cash (THB)."""
    account_kind = AccountKind.MERCHANT if kind is OwnerKind.MERCHANT else AccountKind.OPERATOR
    return Account(account_kind, owner, currency)


def suspense_account(owner: str) -> Account:
    """What waits in this owner's name."""
    return Account(AccountKind.SUSPENSE, owner)


def campaign_account(name: str) -> Account:
    """The fund that a campaign's rewards are paid from."""
    return Account(AccountKind.CAMPAIGN, name)


Entry = tuple[Account, int]


@dataclass(frozen=True, slots=True)
class Posting:
    """One balanced set of entries. `device` and `sequence` name the voucher behind it."""

    reason: Reason
    entries: tuple[Entry, ...]
    device: str | None = None
    sequence: int | None = None
    note: str = ""


def is_balanced(entries: Iterable[Entry]) -> bool:
    """Whether the entries sum to 0 in each currency."""
    sums: dict[Currency, int] = {}
    for account, amount in entries:
        sums[account.currency] = sums.get(account.currency, 0) + amount
    return not any(sums.values())


def merged(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """One entry per account, zeros left out."""
    sums: dict[Account, int] = {}
    for account, amount in entries:
        sums[account] = sums.get(account, 0) + amount
    return tuple((account, amount) for account, amount in sums.items() if amount)


class Books:
    """Balances within one open transaction. Nothing is on disk before `write`."""

    def __init__(self, store: Store, now_s: int) -> None:
        self._store = store
        self._now_s = now_s
        self._ids: dict[Account, int] = {}
        self._balances: dict[Account, int] = {}
        self._changes: dict[Account, int] = {}
        self._rows: list[tuple[int, int, str | None, int | None, str]] = []
        self._entries: list[tuple[int, Account, int]] = []
        self._last_posting_id: int | None = None

    def balance(self, account: Account) -> int:
        """The balance with everything posted here so far; 0 for an account that does not exist yet."""
        if account not in self._balances:
            row = self._store.one(
                "SELECT account_id, balance FROM accounts WHERE kind = ? AND name = ? AND currency = ?", account
            )
            self._balances[account] = 0 if row is None else row[1]
            if row is not None:
                self._ids[account] = row[0]
        return self._balances[account]

    def account_id(self, account: Account) -> int:
        """The row id, made now if need be."""
        self.balance(account)
        if account not in self._ids:
            self._ids[account] = self._store.insert(
                "INSERT INTO accounts(kind, name, currency) VALUES(?, ?, ?)", account
            )
        return self._ids[account]

    def post(self, posting: Posting) -> None:
        """Adds a posting; one without entries is left out. StoreInvalid when it does not balance: our mistake."""
        entries = merged(posting.entries)
        if not entries:
            return
        if not is_balanced(entries):
            raise StoreInvalid(f"posting does not balance: {posting}")
        posting_id = self._new_posting_id()
        self._rows.append((posting_id, posting.reason, posting.device, posting.sequence, posting.note))
        for account, amount in entries:
            self._balances[account] = self.balance(account) + amount
            self._changes[account] = self._changes.get(account, 0) + amount
            self._entries.append((posting_id, account, amount))

    def _new_posting_id(self) -> int:
        last = self._last_posting_id
        if last is None:
            row = self._store.one("SELECT coalesce(max(posting_id), 0) FROM postings")
            last = int(row[0]) if row else 0
        self._last_posting_id = last + 1
        return last + 1

    def entries_of(self, device: str, sequence: int, *, rewards: bool = False) -> tuple[Entry, ...]:
        """Net entries of all postings for one voucher, written or still here; its rewards are kept apart. What a
        stand-in paid or got is its account's since it was joined."""
        waiting = {
            row[0]
            for row in self._rows
            if row[2] == device and row[3] == sequence and (row[1] == Reason.REWARD) == rewards
        }
        found: list[Entry] = [(account, amount) for at, account, amount in self._entries if at in waiting]
        rows = self._store.fetch(
            "SELECT a.kind, coalesce(CAST(s.joined_id AS TEXT), a.name), a.currency, e.amount FROM postings p"
            " JOIN entries e USING(posting_id) JOIN accounts a USING(account_id) LEFT JOIN stand_ins s"
            " ON a.kind = 1 AND s.wallet_id = CAST(a.name AS INTEGER)"
            " WHERE p.device = ? AND p.sequence = ? AND (p.reason = ?) = ?",
            (device, sequence, Reason.REWARD, int(rewards)),
        )
        found += [(Account(AccountKind(row[0]), row[1], Currency(row[2])), row[3]) for row in rows]
        return merged(found)

    def write(self) -> None:
        """Everything posted, and one balance update per touched account, in account id order. LedgerDamaged: a voucher
        is charged already; the store's own rule."""
        if not self._rows:
            return
        ids = {account: self.account_id(account) for account in self._changes}
        self._store.execute_many(
            "INSERT INTO postings(posting_id, reason, device, sequence, posted_at_s, note) VALUES(?, ?, ?, ?, ?, ?)",
            [(at, reason, device, sequence, self._now_s, note) for at, reason, device, sequence, note in self._rows],
        )
        self._store.execute_many(
            "INSERT INTO entries(posting_id, account_id, amount) VALUES(?, ?, ?)",
            [(at, ids[account], amount) for at, account, amount in self._entries],
        )
        self._write_links()
        changes = sorted((ids[account], amount) for account, amount in self._changes.items() if amount)
        self._store.execute_many(
            "UPDATE accounts SET balance = balance + ? WHERE account_id = ?",
            [(amount, account_id) for account_id, amount in changes],
        )
        self._rows, self._entries, self._changes, self._last_posting_id = [], [], {}, None

    def _write_links(self) -> None:
        """One for each posting. A posting that somebody took out leaves its link: the audit names it."""
        entries: dict[int, list[tuple[int, str, int, int]]] = {}
        for at, account, amount in self._entries:
            entries.setdefault(at, []).append((account.kind, account.name, account.currency, amount))
        link = link_before(self._store, self._rows[0][0])
        rows: list[tuple[int, bytes]] = []
        for at, reason, device, sequence, note in self._rows:
            link = link_of(link, Linked(at, reason, device, sequence, self._now_s, note), entries[at])
            rows.append((at, link))
        self._store.execute_many("INSERT OR IGNORE INTO posting_links VALUES(?, ?)", rows)


def post_now(store: Store, now_s: int, postings: Sequence[Posting]) -> None:
    """Some postings in a transaction of their own, or in the open one."""
    with store.transaction():
        books = Books(store, now_s)
        for posting in postings:
            books.post(posting)
        books.write()


def grant(store: Store, wallet_id: int, kgo: int, now_s: int, note: str) -> None:
    """From the city's issuance to a wallet: registering, a mission, a gift to a community. The amount is data."""
    entries = ((ISSUANCE, -kgo), (wallet_account(wallet_id), kgo))
    post_now(store, now_s, [Posting(Reason.GRANT, entries, note=note)])


def fund_campaign(store: Store, name: str, kgo: int, now_s: int, note: str) -> None:
    """From the city's issuance to a campaign's fund: its rewards never exceed this."""
    entries = ((ISSUANCE, -kgo), (campaign_account(name), kgo))
    post_now(store, now_s, [Posting(Reason.GRANT, entries, note=note)])


def balance(store: Store, account: Account) -> int:
    """The stored balance; 0 for an account that does not exist."""
    row = store.one("SELECT balance FROM accounts WHERE kind = ? AND name = ? AND currency = ?", account)
    return 0 if row is None else row[0]


def sums(store: Store) -> dict[Currency, int]:
    """Sum over all accounts per currency; every one is 0 in a sound ledger."""
    rows = dict(store.fetch("SELECT currency, sum(balance) FROM accounts GROUP BY currency"))
    return {currency: rows.get(int(currency), 0) for currency in Currency}
