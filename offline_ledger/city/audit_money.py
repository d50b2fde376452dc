"""The audit of the books: every posting, every balance, where new money and deposits move. DESIGN §2, §8.

Sums are taken again from entries, in their own order, one row at a time; nothing of the posting rules is used. What one
voucher was charged is `audit_charges`.
"""

from collections.abc import Iterator
from itertools import groupby

from offline_ledger.city.accounts import AccountKind, Currency, Reason
from offline_ledger.city.audit_findings import Findings, Place
from offline_ledger.city.store import Row, Store
from offline_ledger.money import format_minor

NEVER_BELOW_ZERO = frozenset({AccountKind.RESERVED, AccountKind.CAMPAIGN, AccountKind.SUSPENSE, AccountKind.DEPOSIT})
NEW_MONEY = frozenset({Reason.GRANT, Reason.GRANT_BACK, Reason.COUPON, Reason.DECISION})
"""Only these touch issuance: gifts, what is taken back of one, paper tickets, and the operator's word on those."""
_GIFT_NAMED = "CAST(substr(p.note, 1, instr(p.note, ':') - 1) AS INTEGER)"
_OWN = {int(AccountKind.WALLET), int(AccountKind.DEPOSIT)}


class MoneyAudit:
    """Within one snapshot of one store. `entries` counts what was looked at, `sums` is what is left in all."""

    def __init__(self, store: Store, findings: Findings) -> None:
        self._store = store
        self._findings = findings
        self._taken_kgo: dict[int, int] = {}
        self.entries = 0
        self.sums = {int(currency): 0 for currency in Currency}

    def run(self) -> None:
        """Postings, balances, then the accounts of a restored ledger."""
        for posting_id, rows in groupby(self._entries(), key=lambda row: row[0]):
            found = list(rows)
            with self._findings.unharmed(Place("posting", str(posting_id))):
                self._check_posting(posting_id, found)
        self._check_balances()
        self._check_stand_ins()

    def _entries(self) -> Iterator[Row]:
        return self._store.stream(
            "SELECT e.posting_id, p.reason, a.kind, a.name, a.currency, e.amount FROM entries e"
            " LEFT JOIN postings p USING(posting_id) LEFT JOIN accounts a USING(account_id)"
            " ORDER BY e.posting_id, e.account_id"
        )

    def _check_posting(self, posting_id: int, rows: list[Row]) -> None:
        where = Place("posting", str(posting_id))
        self.entries += len(rows)
        if any(reason is None or kind is None for _at, reason, kind, *_rest in rows):
            self._findings.add("entry_alone", where)
            return
        for currency in Currency:
            total = sum(row[5] for row in rows if row[4] == currency)
            if total:
                self._findings.add("posting_unbalanced", where, total=format_minor(total), currency=currency.name)
        kinds, reason = {row[2] for row in rows}, rows[0][1]
        if AccountKind.ISSUANCE in kinds and reason not in NEW_MONEY:
            self._findings.add("issuance_moved", where)
        if reason == Reason.DEPOSIT:
            self._check_deposit(posting_id, rows, where)
        if reason == Reason.GRANT_BACK:
            self._check_taken_back(posting_id, rows, where)

    def _check_deposit(self, posting_id: int, rows: list[Row], where: Place) -> None:
        """Between the two accounts of one wallet; back only when no reserve of it stands (what was joined to it after a
        restore was not its own then)."""
        if {row[2] for row in rows} != _OWN or len({row[3] for row in rows}) != 1:
            self._findings.add("deposit_elsewhere", where)
            return
        went_back = any(row[2] == AccountKind.DEPOSIT and row[5] < 0 for row in rows)
        standing = self._store.one(
            "SELECT coalesce(sum(e.amount), 0) FROM allowances l CROSS JOIN entries e"
            " INDEXED BY entries_by_account ON e.account_id = l.reserved_id"
            " WHERE l.wallet_id = ? AND e.posting_id < ?"
            " AND NOT EXISTS(SELECT 1 FROM stand_ins s WHERE s.joined_id = l.wallet_id)",
            (int(rows[0][3]), posting_id),
        )
        if went_back and standing is not None and standing[0]:
            self._findings.add("deposit_bound", where, reserved=format_minor(standing[0]))

    def _check_taken_back(self, posting_id: int, rows: list[Row], where: Place) -> None:
        """From the wallet that was given it, or that its stand-in was joined to, to issuance; in all no more than the
        gift. The note begins with the gift's posting."""
        amounts = {row[2]: row[5] for row in rows}
        wallets = [int(row[3]) for row in rows if row[2] == AccountKind.WALLET]
        is_sound = set(amounts) == {int(AccountKind.WALLET), int(AccountKind.ISSUANCE)} and len(rows) == 2
        gift = self._store.one(
            "SELECT g.posting_id, e.amount FROM postings p"
            f" JOIN postings g ON g.posting_id = {_GIFT_NAMED} AND g.posting_id < p.posting_id"
            " JOIN entries e ON e.posting_id = g.posting_id JOIN accounts a ON a.account_id = e.account_id"
            " WHERE p.posting_id = ?1 AND g.reason = ?2 AND a.kind = ?3 AND (a.name = CAST(?4 AS TEXT) OR a.name IN"
            " (SELECT CAST(s.wallet_id AS TEXT) FROM stand_ins s WHERE s.joined_id = ?4))",
            (posting_id, Reason.GRANT, AccountKind.WALLET, wallets[0] if wallets else 0),
        )
        if not self._taken_kgo:
            taken = self._store.fetch(
                f"SELECT {_GIFT_NAMED}, -sum(e.amount) FROM postings p JOIN entries e USING(posting_id)"
                " JOIN accounts a USING(account_id) WHERE p.reason = ? AND a.kind = ? GROUP BY 1",
                (Reason.GRANT_BACK, AccountKind.WALLET),
            )
            self._taken_kgo = dict(taken)
        if not is_sound or gift is None or amounts[AccountKind.WALLET] > 0 or self._taken_kgo[gift[0]] > gift[1]:
            self._findings.add("taken_back_wrong", where)

    def _check_balances(self) -> None:
        rows = self._store.stream(
            "SELECT a.account_id, a.kind, a.name, a.currency, a.balance, e.amount FROM accounts a"
            " LEFT JOIN entries e INDEXED BY entries_by_account USING(account_id) ORDER BY a.account_id"
        )
        for (_id, kind, name, currency, balance), entries in groupby(rows, key=lambda row: row[:5]):
            where = Place("account", f"{kind} {name}".rstrip())
            with self._findings.unharmed(where):
                computed = sum(row[5] or 0 for row in entries)
                self.sums[currency] = self.sums.get(currency, 0) + balance
                if computed != balance:
                    stored, sum_of = format_minor(balance), format_minor(computed)
                    self._findings.add("balance_wrong", where, stored=stored, computed=sum_of)
                if balance < 0 and kind in NEVER_BELOW_ZERO:
                    self._findings.add("below_zero", where, stored=format_minor(balance))
        for currency, total in self.sums.items():
            if total:
                name = Currency(currency).name if currency in set(Currency) else str(currency)
                self._findings.add("sum_not_zero", Place("currency", name), total=format_minor(total))

    def _check_stand_ins(self) -> None:
        """What was joined holds nothing any more."""
        for wallet_id, allowances in self._store.stream(
            "SELECT s.wallet_id, (SELECT count(*) FROM allowances l WHERE l.wallet_id = s.wallet_id) FROM stand_ins s"
            " WHERE s.joined_id IS NOT NULL"
        ):
            row = self._store.one(
                "SELECT balance FROM accounts WHERE kind = ? AND name = ? AND currency = ?",
                (AccountKind.WALLET, str(wallet_id), Currency.KGO),
            )
            if allowances or (row is not None and row[0]):
                self._findings.add("stand_in_left", Place("wallet", str(wallet_id)))
