"""A wallet's deposit D: put down from *available*, given back when nothing unreleased leans on it. DESIGN §5, §8.

The loss bound counts D once per account, whatever its live allowances are (decision 0044), and any of them may need
all of it: so it goes back only when none is unreleased, no review is open or confirmed, and nothing of the wallet waits
unfunded in suspense. Never makes money: it moves between the wallet's own two accounts.
"""

from dataclasses import dataclass

from offline_ledger.city import allowances
from offline_ledger.city.accounts import Books, Posting, Reason, deposit_account, wallet_account
from offline_ledger.city.posting import deposit_entries
from offline_ledger.city.store import Store
from offline_ledger.errors import BalanceTooLow, DepositBound, WalletUnknown
from offline_ledger.money import format_minor
from offline_ledger.rules.limits import Limits

NOTE_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Held:
    """What a wallet holds, and what keeps its deposit: counts of unreleased allowances and of open suspense."""

    wallet_id: int
    available_kgo: int
    deposit_kgo: int
    unreleased: int
    is_frozen: bool
    waiting: int

    @property
    def is_free(self) -> bool:
        """Nothing leans on the deposit."""
        return not (self.unreleased or self.is_frozen or self.waiting)


def held(store: Store, wallet_id: int) -> Held:
    """Raises WalletUnknown."""
    with store.snapshot():
        row = store.one("SELECT frozen FROM wallets WHERE wallet_id = ?", (wallet_id,))
        if row is None:
            raise WalletUnknown(str(wallet_id))
        books = Books(store, 0)
        return Held(
            wallet_id,
            books.balance(wallet_account(wallet_id)),
            books.balance(deposit_account(wallet_id)),
            _count(
                store,
                "SELECT count(*) FROM allowances WHERE wallet_id = ? AND state <> ?",
                (wallet_id, allowances.AllowanceState.RELEASED),
            ),
            bool(row[0]),
            _count(
                store,
                "SELECT count(*) FROM allowances a JOIN spends s USING(hash) JOIN suspense w USING(device, sequence)"
                " WHERE a.wallet_id = ? AND w.decided_at_s IS NULL",
                (wallet_id,),
            ),
        )


def put_down(store: Store, wallet_id: int, kgo: int, note: str, now_s: int) -> Held:
    """From *available* to the deposit. Raises WalletUnknown, BalanceTooLow."""
    assert kgo > 0
    with store.transaction():
        before = held(store, wallet_id)
        if before.available_kgo < kgo:
            raise BalanceTooLow(f"{format_minor(before.available_kgo)} KGO available")
        _move(store, wallet_id, kgo, note, now_s)
        return held(store, wallet_id)


def take_back(store: Store, limits: Limits, wallet_id: int, kgo: int, note: str, now_s: int) -> Held:
    """From the deposit to *available*, after releasing what is due.

    Raises WalletUnknown, BalanceTooLow, DepositBound.
    """
    assert kgo > 0
    with store.transaction():
        allowances.release_due(store, limits, now_s, wallet_id)
        before = held(store, wallet_id)
        if before.deposit_kgo < kgo:
            raise BalanceTooLow(f"{format_minor(before.deposit_kgo)} KGO in the deposit")
        if not before.is_free:
            frozen = ", frozen" if before.is_frozen else ""
            raise DepositBound(f"{before.unreleased} unreleased, {before.waiting} in suspense{frozen}")
        _move(store, wallet_id, -kgo, note, now_s)
        return held(store, wallet_id)


def _move(store: Store, wallet_id: int, kgo: int, note: str, now_s: int) -> None:
    books = Books(store, now_s)
    books.post(Posting(Reason.DEPOSIT, deposit_entries(wallet_id, kgo), note=note[:NOTE_CHARACTERS_MAX]))
    books.write()


def _count(store: Store, sql: str, bindings: tuple[int, int] | tuple[int]) -> int:
    row = store.one(sql, bindings)
    return row[0] if row else 0
