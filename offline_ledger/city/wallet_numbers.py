"""Which number a new account gets: never one that may have been somebody's before a restore. DESIGN §7, §8.

A restored ledger has forgotten the accounts that were opened since its backup, but people, gift files and notes name
them by number. So a restore leaves a gap, and no number ever names two people. Never opens an account itself.
"""

from offline_ledger.city.store import Store

FIRST = "wallets.first_number"
"""New accounts have at least this number."""
GAP = 100_000
"""More accounts than are opened between two backups, with a round number to see it by."""


def next_number(store: Store) -> int:
    """For the next account, within the caller's transaction."""
    assert store.in_transaction
    return max(_last(store) + 1, _first(store))


def skip(store: Store) -> tuple[int, int]:
    """After a restore: from which number on accounts may be missing, and the first that is given from now on. Again
    without a new account in between: the same."""
    with store.transaction():
        last, first = _last(store), _first(store)
        if last >= first:
            first = (last // GAP + 2) * GAP + 1
            store.put_setting(FIRST, str(first).encode())
        return last + 1, first


def _last(store: Store) -> int:
    row = store.one("SELECT coalesce(max(wallet_id), 0) FROM wallets")
    assert row is not None
    return row[0]


def _first(store: Store) -> int:
    value = store.setting(FIRST)
    return int(value) if value is not None else 0
