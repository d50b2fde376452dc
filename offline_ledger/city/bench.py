"""What one transaction judges with: books, prices, what wallets authorised before; the search for proofs. DESIGN §8.

Caches live no longer than the transaction. Never decides an outcome.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from offline_ledger.city import allowances, equivocation, posting
from offline_ledger.city.accounts import AccountKind, Books, Posting, Reason, reserved_account, wallet_account
from offline_ledger.city.allowances import AllowanceState, Issued
from offline_ledger.city.equivocation import ProofKind
from offline_ledger.city.pricing import Prices
from offline_ledger.city.store import Store
from offline_ledger.errors import Conflict, SumUnderstated
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Closing, Payment, Presentment
from offline_ledger.rules import acceptance
from offline_ledger.rules.acceptance import Seen
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.limits import Limits

UNRATIFIED, SHOWN_LATER, LAPSED = 1, 2, 3
"""States of a green that no ratification covers, as in the table `unratified`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the ledger did with one voucher. `refusal`: number of the reason, 0 for none."""

    outcome: Outcome
    refusal: int = 0
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """One voucher that a wallet authorised, as the ledger remembers it."""

    device: str
    sequence: int
    n: int
    sum_kgo: int
    authorised_kgo: int
    intent: bytes
    object: bytes
    kind: Kind
    charged_kgo: int
    counts: bool
    at_s: int

    @property
    def base_device(self) -> str:
        """The device itself: a released fork is remembered under a name of its own."""
        return self.device.partition("~")[0]


@dataclass
class Bench:
    """What one transaction judges with; caches live no longer than it does."""

    store: Store
    books: Books
    prices: Prices
    limits: Limits
    now_s: int
    spent: dict[bytes, list[Spent]] = field(default_factory=dict[bytes, list[Spent]])
    issued: dict[bytes, Issued] = field(default_factory=dict[bytes, Issued])

    def prefetch(self, hashes: Iterable[bytes]) -> None:
        """Allowances and their spends in two queries instead of two per voucher."""
        wanted = [found for found in dict.fromkeys(hashes) if found not in self.spent]
        self.issued.update(allowances.issued_by_hashes(self.store, wanted))
        for found in wanted:
            self.spent[found] = []
        rows = self.store.fetch_in(
            "SELECT hash, device, sequence, n, sum_kgo, authorised_kgo, intent, object, object_kind, charged_kgo,"
            " counts, at_s FROM spends WHERE hash IN (?*) ORDER BY device, sequence",
            wanted,
        )
        for row in rows:
            self.spent[row[0]].append(
                Spent(
                    row[1], row[2], row[3], row[4], row[5], row[6], row[7], Kind(row[8]), row[9], bool(row[10]), row[11]
                )
            )

    def issued_at(self, allowance_hash: bytes) -> Issued:
        """The allowance of a voucher whose wallet signature held, so it exists."""
        self.prefetch([allowance_hash])
        return self.issued[allowance_hash]


def find_contradiction(bench: Bench, shown: Presentment | Payment, kind: Kind, raw: bytes) -> bool:
    """Is this wallet-signed object against another one, or against the wallet's closing? Then it is kept as proof,
    the account frozen and its passes denied, at once. Whether a proof exists."""
    city = bench.store.city
    issued = bench.issued_at(shown.allowance_hash)
    signed = cose.parse_sign1(raw, cose.external_aad(kind, city))
    found: equivocation.Contradiction | None = None
    for spent in bench.spent[issued.hash]:
        if _contradicts(city, spent, shown):
            other = cose.parse_sign1(spent.object, cose.external_aad(spent.kind, city))
            found = equivocation.wallet_contradiction(ProofKind.WALLET, issued.raw, (spent.kind, other), (kind, signed))
            break
    if found is None and issued.closing is not None:
        closing_signed = cose.parse_sign1(issued.closing, cose.external_aad(Kind.CLOSING, city), CITY_OBJECT_BYTES_MAX)
        closing = equivocation.read_closing(closing_signed)
        if equivocation.is_beyond_closing(closing, shown):
            found = equivocation.wallet_contradiction(
                ProofKind.BEYOND_CLOSING, issued.raw, (Kind.CLOSING, closing_signed), (kind, signed)
            )
    if found is None:
        return False
    if equivocation.store_proof(bench.store, found, bench.now_s, wallet_id=issued.wallet_id):
        equivocation.freeze_wallet(bench.store, issued.wallet_id, "equivocation", bench.now_s)
    return True


def _contradicts(city: str, spent: Spent, shown: Presentment | Payment) -> bool:
    """By the rules of acceptance, which alone say what contradicts. In the usual order what is stored beside the
    earlier object is enough; when the later one came first, it is read."""
    if shown.n < spent.n:
        other = cose.parse_sign1(spent.object, cose.external_aad(spent.kind, city))
        later = equivocation.read_wallet_object(spent.kind, other)
        return not isinstance(later, Closing) and acceptance.is_contradiction(shown, later)
    seen = Seen(spent.n, spent.sum_kgo, spent.authorised_kgo, spent.intent)
    if acceptance.is_same_intent(shown, seen):
        return False
    try:
        acceptance.check_counter(shown, seen)
    except (Conflict, SumUnderstated):
        return True
    return False


def take_back(bench: Bench, record: str, sequence: int) -> None:
    """Undoes a posted charge whose green nobody saw: the wallet and its reserve get it all back.

    A reserve that was released meanwhile takes nothing more: its part goes to the wallet's *available*.
    """
    entries = posting.reversal(bench.books.entries_of(record, sequence))
    row = bench.store.one(
        "SELECT a.hash, a.wallet_id, a.state FROM spends s JOIN allowances a USING(hash)"
        " WHERE s.device = ? AND s.sequence = ?",
        (record, sequence),
    )
    if row is not None and row[2] == AllowanceState.RELEASED:
        closed, available = reserved_account(row[0]), wallet_account(row[1])
        entries = tuple((available if account == closed else account, amount) for account, amount in entries)
    bench.books.post(Posting(Reason.YIELD, entries, record, sequence, "green not shown"))
    take_back_reward(bench.store, bench.books, record, sequence, "green not shown")
    bench.store.execute("UPDATE spends SET charged_kgo = 0 WHERE device = ? AND sequence = ?", (record, sequence))
    bench.store.execute("DELETE FROM suspense WHERE device = ? AND sequence = ?", (record, sequence))
    bench.store.execute("DELETE FROM rebates WHERE device = ? AND sequence = ?", (record, sequence))


def take_back_reward(store: Store, books: Books, record: str, sequence: int, note: str) -> None:
    """The sale does not stand, so what is left of its reward does not either, nor does it count against the day's.

    A wallet that spent it goes below zero.
    """
    granted = books.entries_of(record, sequence, rewards=True)
    books.post(Posting(Reason.REWARD, posting.reversal(granted), record, sequence, note))
    kgo = sum(amount for account, amount in granted if account.kind is AccountKind.WALLET)
    row = store.one(
        "SELECT a.wallet_id, s.at_s FROM spends s JOIN allowances a USING(hash) WHERE s.device = ? AND s.sequence = ?",
        (record, sequence),
    )
    if row is not None and kgo:
        store.execute(
            "UPDATE rewards SET kgo = max(0, kgo - ?) WHERE wallet_id = ? AND day = ?", (kgo, row[0], civil_day(row[1]))
        )
