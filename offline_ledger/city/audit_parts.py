"""One voucher and its postings, as the audit reads them: what it says, what was posted for it. DESIGN §8.

Never judges.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from offline_ledger.city.accounts import AccountKind, Currency
from offline_ledger.city.store import Row, Store

PAYING = frozenset({AccountKind.WALLET, AccountKind.RESERVED, AccountKind.DEPOSIT})
CREDITED = frozenset({AccountKind.MERCHANT, AccountKind.OPERATOR, AccountKind.SUSPENSE})


class Moved(NamedTuple):
    """One entry: which account, and what it got (below zero: gave), in minor units."""

    kind: int
    name: str
    currency: int
    amount: int


@dataclass(frozen=True, slots=True)
class Said:
    """What a voucher says, and what became of it. `reward_kgo`: what it claims; `raw`: as it is stored."""

    kgo: int
    satang: int
    outcome: int
    at_s: int
    kind: int
    refusal: int
    received_at_s: int
    is_late: bool
    product: str
    reward_kgo: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One posting of a voucher."""

    posting_id: int
    reason: int
    posted_at_s: int
    note: str
    moved: tuple[Moved, ...]

    def sum_of(self, kinds: frozenset[AccountKind], currency: Currency = Currency.KGO) -> int:
        """What accounts of these kinds got in all."""
        return sum(one.amount for one in self.moved if one.kind in kinds and one.currency == currency)

    @property
    def given_kgo(self) -> int:
        """What wallets' accounts gave."""
        return -self.sum_of(PAYING)

    @property
    def credited_kgo(self) -> int:
        """What the owner got, suspense included."""
        return self.sum_of(CREDITED)

    @property
    def credited_satang(self) -> int:
        """The same of the cash leg."""
        return self.sum_of(CREDITED, Currency.THB)

    @property
    def deposit_kgo(self) -> int:
        """What a deposit gave."""
        return -self.sum_of(frozenset({AccountKind.DEPOSIT}))


def parts_of(rows: Sequence[Row]) -> Iterator[Part]:
    """`rows`: (posting, reason, posted_at_s, note, kind, name, currency, amount), one posting's beside each other;
    amount None: a posting without entries."""
    for (posting_id, reason, posted_at_s, note), entries in groupby(rows, key=lambda row: row[:4]):
        moved = tuple(Moved(*row[4:]) for row in entries if row[7] is not None)
        yield Part(posting_id, reason, posted_at_s, note, moved)


def is_own(store: Store, name: str, wallet_id: int | None) -> bool:
    """Is this account name the wallet's, or that of a stand-in that was joined to it?"""
    if name == str(wallet_id):
        return True
    joined = "SELECT 1 FROM stand_ins WHERE wallet_id = ? AND joined_id = ?"
    return name.isdigit() and wallet_id is not None and store.one(joined, (int(name), wallet_id)) is not None
