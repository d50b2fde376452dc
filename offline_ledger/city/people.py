"""Finding and changing wallets' accounts from the operator's desk. DESIGN §8. Never shows or takes a private key."""

from dataclasses import dataclass

from offline_ledger.city import accounts, allowances
from offline_ledger.city.allowances import Wallet
from offline_ledger.city.store import Store
from offline_ledger.errors import AlreadyOtherwise, WalletUnknown
from offline_ledger.protocol.wallet import Medium

LIST_MAX = 500
STAND_IN_NAME = "rebuilt from an allowance"
"""How `ingest` stores one; shown in the reader's language until the operator gives it a name."""


@dataclass(frozen=True, slots=True)
class WalletLine:
    """One line of the list of wallets. `registered_at_s`: the first second of the day."""

    wallet: Wallet
    name: str
    registered_at_s: int
    available_kgo: int
    reserved_kgo: int
    deposit_kgo: int


def find_wallet(store: Store, text: str) -> Wallet:
    """By number, or by account key in hex. Raises WalletUnknown."""
    name = text.strip().lower()
    row = None
    if name.isascii() and name.isdigit() and len(name) <= 15:
        row = store.one("SELECT account_point FROM wallets WHERE wallet_id = ?", (int(name),))
    elif len(name) == 66:
        try:
            row = (bytes.fromhex(name),)
        except ValueError:
            row = None
    if row is None:
        raise WalletUnknown(name[:70])
    return allowances.wallet_of(store, row[0])


def list_wallets(store: Store, only: int | None = None) -> list[WalletLine]:
    """The newest LIST_MAX wallets, or one."""
    rows = store.fetch(
        "SELECT wallet_id, account_point, concession, medium, frozen, name, registered_at_s FROM wallets"
        " WHERE ? IS NULL OR wallet_id = ? ORDER BY wallet_id DESC LIMIT ?",
        (only, only, LIST_MAX),
    )
    return [
        WalletLine(
            Wallet(*row[:5]),
            row[5],
            row[6],
            *allowances.balances(store, row[0]),
            accounts.balance(store, accounts.deposit_account(row[0])),
        )
        for row in reversed(rows)
    ]


def check_medium(store: Store, wallet_id: int, medium: Medium | None) -> None:
    """A wallet stays what it was opened as. Raises AlreadyOtherwise."""
    row = store.one("SELECT medium FROM wallets WHERE wallet_id = ?", (wallet_id,))
    if medium is not None and row is not None and row[0] != medium:
        raise AlreadyOtherwise(f"wallet {wallet_id} is a {Medium(row[0]).name.lower()}")


def change_wallet(store: Store, wallet_id: int, concession: int | None, name: str | None) -> None:
    """Sets concession class and name (empty: none any more); allowances already issued keep their class."""
    with store.transaction():
        store.execute(
            "UPDATE wallets SET concession = coalesce(?, concession), name = coalesce(?, name) WHERE wallet_id = ?",
            (concession, name, wallet_id),
        )
