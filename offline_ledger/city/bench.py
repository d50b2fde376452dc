"""What one transaction judges with: books, prices, what wallets authorised before; the search for proofs. DESIGN §8.

Caches live no longer than the transaction. Never decides an outcome.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from offline_ledger.city import allowances, equivocation, posting
from offline_ledger.city.accounts import AccountKind, Books, Posting, Reason
from offline_ledger.city.allowances import Issued
from offline_ledger.city.equivocation import ProofKind
from offline_ledger.city.pricing import Prices
from offline_ledger.city.spends import PaidBy, Spends, Spent
from offline_ledger.city.store import Store
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import Voucher
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Payment, Presentment
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


PROVEN_REJECTED_MAX = 64
"""Of one allowance, rejected vouchers that are proof already and stay known; each has its proof beside it."""


class Standing(IntEnum):
    """What the wallet object of a voucher is remembered for, as in the column `counts`."""

    REJECTED = 0
    """It may still be half of a proof. Nothing known contradicted it, so of these the neighbours by n tell of all."""
    COUNTS = 1
    PROVEN = 2
    """Rejected, and against something known when it came: all of these are compared."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A spend that counts: the name it is remembered under, what the terminal signed, what the wallet signed; `raw`:
    the voucher as it came."""

    record: str
    voucher: Voucher
    shown: Presentment | Payment
    raw: bytes


@dataclass
class Bench:
    """What one transaction judges with; caches live no longer than it does."""

    store: Store
    books: Books
    prices: Prices
    limits: Limits
    now_s: int
    spent: dict[bytes, Spends] = field(default_factory=dict[bytes, Spends])
    issued: dict[bytes, Issued] = field(default_factory=dict[bytes, Issued])
    with_rejected: set[bytes] = field(default_factory=set[bytes])
    """Allowances of which rejected objects are remembered; those are never loaded, only looked up by their n."""

    def prefetch(self, hashes: Iterable[bytes]) -> None:
        """Allowances and their spends in two queries instead of two per voucher."""
        wanted = [found for found in dict.fromkeys(hashes) if found not in self.spent]
        self.issued.update(allowances.issued_by_hashes(self.store, wanted))
        for found in wanted:
            self.spent[found] = Spends()
        rows = self.store.fetch_in(
            "SELECT hash, device, sequence, n, sum_kgo, authorised_kgo, intent, object, object_kind, accepted_kgo,"
            " at_s, paid_by FROM spends WHERE counts = 1 AND hash IN (?*) ORDER BY device, sequence",
            wanted,
        )
        for row in rows:
            seen = (row[3], row[4], row[5], row[6])
            spent = Spent(row[1], row[2], *seen, row[7], Kind(row[8]), row[9], row[10], PaidBy(row[11]))
            self.spent[row[0]].add(spent)
        rows = self.store.fetch_in(
            "SELECT hash FROM allowances a WHERE EXISTS("
            "SELECT 1 FROM spends s WHERE s.hash = a.hash AND s.counts IN (0, 2)) AND hash IN (?*)",
            wanted,
        )
        self.with_rejected.update(row[0] for row in rows)

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
    known = known_against(bench, issued.hash, acceptance.seen_of(shown))
    if known is not None:
        other = cose.parse_sign1(known[1], cose.external_aad(known[0], city))
        found = equivocation.wallet_contradiction(ProofKind.WALLET, issued.raw, (known[0], other), (kind, signed))
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
        equivocation.freeze_wallet(bench.store, issued.wallet_id, equivocation.EQUIVOCATION, bench.now_s)
    return True


_REJECTED = "SELECT n, sum_kgo, authorised_kgo, intent, object_kind, object FROM spends WHERE hash = ? AND counts = "
_NEIGHBOURS = (
    f"SELECT * FROM ({_REJECTED} 0 AND n = ? AND intent <> ? LIMIT 1)"
    f" UNION ALL SELECT * FROM ({_REJECTED} 0 AND n < ? ORDER BY n DESC LIMIT 1)"
    f" UNION ALL SELECT * FROM ({_REJECTED} 0 AND n > ? ORDER BY n LIMIT 1)"
    f" UNION ALL SELECT * FROM ({_REJECTED} 2 LIMIT {PROVEN_REJECTED_MAX})"
)


def known_against(bench: Bench, allowance_hash: bytes, shown: Seen) -> tuple[Kind, bytes] | None:
    """A remembered object that cannot be honest beside this one.

    What was rejected without contradicting anything forms one line in which S only grows; so whoever contradicts any of
    it contradicts the next below, the next above, or the one with the same n, however many there are.
    """
    spent = bench.spent[allowance_hash].against(shown)
    if spent is not None:
        return spent.kind, spent.object
    if allowance_hash not in bench.with_rejected:
        return None
    own, n = allowance_hash, shown.n
    for row in bench.store.fetch(_NEIGHBOURS, (own, n, shown.intent, own, n, own, n, own)):
        if acceptance.is_against(Seen(row[0], row[1], row[2], row[3]), shown):
            return Kind(row[4]), row[5]
    return None


def remember(bench: Bench, allowance_hash: bytes, spent: Spent) -> None:
    """What a wallet authorised and the ledger took."""
    bench.prefetch([allowance_hash])
    bench.spent[allowance_hash].add(spent)
    _store(bench, allowance_hash, spent, Standing.COUNTS)


def remember_rejected(bench: Bench, allowance_hash: bytes, spent: Spent, *, is_proven: bool) -> None:
    """A rejected object stays known: it may be half of a proof. Once for each intent, to which another code of it adds
    nothing; of those that are proof already PROVEN_REJECTED_MAX."""
    bench.prefetch([allowance_hash])
    proven = bench.store.fetch("SELECT intent FROM spends WHERE hash = ? AND counts = 2", (allowance_hash,))
    same = bench.store.one(
        "SELECT 1 FROM spends WHERE hash = ? AND counts = 0 AND n = ? AND intent = ?",
        (allowance_hash, spent.n, spent.intent),
    )
    is_taken = spent.intent in bench.spent[allowance_hash].by_intent
    if same is not None or is_taken or (spent.intent,) in proven:
        return
    if is_proven and len(proven) >= PROVEN_REJECTED_MAX:
        return
    bench.with_rejected.add(allowance_hash)
    _store(bench, allowance_hash, spent, Standing.PROVEN if is_proven else Standing.REJECTED)


def _store(bench: Bench, allowance_hash: bytes, spent: Spent, standing: Standing) -> None:
    bench.store.execute(
        "INSERT INTO spends VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            spent.device,
            spent.sequence,
            allowance_hash,
            spent.n,
            spent.sum_kgo,
            spent.authorised_kgo,
            spent.intent,
            spent.object,
            spent.kind,
            spent.accepted_kgo,
            standing,
            spent.at_s,
            spent.paid_by,
        ),
    )


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
