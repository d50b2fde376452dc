"""The figures of the demo, from journals and ledger alone, by code that shares nothing with acceptor or posting.
DESIGN §2, §8.

It reads copies (`reader_files.py`), reckons every sum anew, checks the two signatures of each equivocation, and says
in words which promise broke. It imports neither the acceptor nor posting, and changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import apsw

from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor, cose, wallet
from offline_ledger.protocol.city import KeyRole, Outcome
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Presentment
from simulators.demo.reader_files import (
    CityKeys,
    JournalCopy,
    JournalVoucher,
    open_copy,
    read_city_keys,
    read_journal,
    rows,
)

KGO, THB = 1, 2
SPEND, YIELD = 5, 10
"""Reasons of postings: one charges a wallet and credits an owner, one takes that back, for its green was not shown."""
WALLET_SIDE = (1, 2)
"""Account kinds *available* and *reserved*."""
OWNER_SIDE = (3, 4, 8)
"""Account kinds merchant, operator, and suspense in an owner's name."""
TRANSIT_WINDOW_S = 40
"""30 s + 2·skew: within it one boarding intent is charged once, wherever it is shown (DESIGN §2)."""
CONTEXT_BYTES_MAX = 4_096
Witnessed = Mapping[str, Sequence[int]]
"""Per device, the voucher numbers whose green a person saw."""


@dataclass(frozen=True, slots=True)
class PostedVoucher:
    """What the ledger did with one voucher: net KGO to the owner's side, net KGO from the wallet's side."""

    identity: bytes
    outcome: int
    credited_kgo: int
    charged_kgo: int
    spends: int
    leaves: int


@dataclass(frozen=True, slots=True)
class TerminalFigures:
    """One line of the table."""

    device: str
    accepted: int
    refused: int
    acked: int
    kgo: int
    satang: int
    uncharged_greens: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that `build/demo.json` says but the seconds. `faults`: each in words, with device and number."""

    accepted: int
    refused: int
    acked: int
    lost: int
    doubled: int
    equivocations_proven: int
    kgo_sum: int
    thb_sum: int
    terminals: tuple[TerminalFigures, ...]
    faults: tuple[str, ...]


def read_figures(journals: Mapping[str, Path], ledger_file: Path, scratch: Path, witnessed: Witnessed) -> Figures:
    """Read everything. `journals`: device → journal file."""
    ledger = open_copy(ledger_file, scratch / "ledger")
    try:
        city = cast(bytes, rows(ledger, "SELECT value FROM settings WHERE key = 'city'")[0][0]).decode()
        keys = read_city_keys(ledger, city)
        points = dict(rows(ledger, "SELECT device, point FROM devices"))
        copies: list[JournalCopy] = []
        for name, path in journals.items():
            journal = open_copy(path, scratch / name)
            copies.append(read_journal(name, journal, city, points[name], keys))
            journal.close()
        return judge(copies, ledger, city, keys, witnessed)
    finally:
        ledger.close()


def judge(
    copies: Sequence[JournalCopy], ledger: apsw.Connection, city: str, keys: CityKeys, witnessed: Witnessed
) -> Figures:
    """Compare what terminals hold with what the ledger did."""
    posted = read_posted(ledger)
    faults = [fault for copy in copies for fault in copy.faults]
    lost = list(_lost(copies, posted, witnessed))
    doubled = list(_doubled(copies, posted))
    proven, unproven = _proven(ledger, city, keys)
    sums = {currency: _sum(ledger, currency, faults) for currency in (KGO, THB)}
    terminals = tuple(_terminal(copy) for copy in copies)
    return Figures(
        accepted=sum(one.accepted for one in terminals),
        refused=sum(one.refused for one in terminals),
        acked=sum(one.acked for one in terminals),
        lost=len(lost),
        doubled=len(doubled),
        equivocations_proven=proven,
        kgo_sum=sums[KGO],
        thb_sum=sums[THB],
        terminals=terminals,
        faults=tuple(faults + lost + doubled + unproven),
    )


def _terminal(copy: JournalCopy) -> TerminalFigures:
    through = copy.ack.through_sequence if copy.ack is not None else 0
    return TerminalFigures(
        device=copy.device,
        accepted=len(copy.vouchers),
        refused=copy.refusals + copy.conflicts,
        acked=sum(row.sequence <= through for row in copy.vouchers),
        kgo=sum(row.voucher.kgo for row in copy.vouchers),
        satang=sum(row.voucher.satang for row in copy.vouchers),
        uncharged_greens=len(copy.uncharged_greens),
    )


def read_posted(ledger: apsw.Connection) -> dict[tuple[str, int], PostedVoucher]:
    """Each voucher that the ledger has, with its net legs reckoned from the entries."""
    owner_kgo: Counter[tuple[str, int]] = Counter()
    wallet_kgo: Counter[tuple[str, int]] = Counter()
    spends: Counter[tuple[str, int]] = Counter()
    touched: set[int] = set()
    for device, sequence, posting, reason, kind, amount in rows(
        ledger,
        "SELECT p.device, p.sequence, p.posting_id, p.reason, a.kind, e.amount FROM postings p"
        " JOIN entries e USING(posting_id) JOIN accounts a USING(account_id)"
        f" WHERE p.device IS NOT NULL AND a.currency = {KGO} AND p.reason IN ({SPEND}, {YIELD})",
    ):
        if kind in OWNER_SIDE:
            owner_kgo[device, sequence] += amount
        if kind in WALLET_SIDE:
            wallet_kgo[device, sequence] -= amount
        if posting not in touched:
            spends[device, sequence] += 1 if reason == SPEND else -1
            touched.add(posting)
    leaves: Counter[tuple[str, int]] = Counter()
    for (data,) in rows(ledger, "SELECT data FROM leaves"):
        device, sequence, *_ = cast(tuple[str, int, object], cbor.decode(data, OBJECT_BYTES_MAX))
        leaves[device, sequence] += 1
    return {
        (device, sequence): PostedVoucher(
            identity,
            outcome,
            owner_kgo[device, sequence],
            wallet_kgo[device, sequence],
            spends[device, sequence],
            leaves[device, sequence],
        )
        for device, sequence, identity, outcome in rows(
            ledger, "SELECT device, sequence, identity, outcome FROM vouchers"
        )
    }


def _lost(
    copies: Iterable[JournalCopy], posted: Mapping[tuple[str, int], PostedVoucher], witnessed: Witnessed
) -> Iterable[str]:
    """A green that has no voucher; a voucher that the ledger lacks, refused, or credited with less."""
    for copy in copies:
        held = {row.sequence for row in copy.vouchers}
        for sequence in sorted(set(witnessed.get(copy.device, ())) - held):
            yield f"lost: {copy.device} showed a green for voucher {sequence}, which its journal does not hold"
        for row in copy.vouchers:
            where = f"{row.device} voucher {row.sequence}"
            there = posted.get((row.device, row.sequence))
            if there is None or there.identity != row.identity:
                yield f"lost: the ledger does not hold {where}"
            elif there.outcome not in (Outcome.POSTED, Outcome.SUSPENSE) or there.leaves == 0:
                yield f"lost: the ledger holds {where} but did not post it (outcome {there.outcome})"
            elif there.credited_kgo < row.voucher.kgo and row.sequence not in copy.not_charged:
                yield f"lost: {where} says {row.voucher.kgo}, its owner was credited {there.credited_kgo}"
        yield from _beyond(copy, posted)


def _beyond(copy: JournalCopy, posted: Mapping[tuple[str, int], PostedVoucher]) -> Iterable[str]:
    """What the ledger has of this device and its own journal has not."""
    held = {row.sequence for row in copy.vouchers}
    for device, sequence in posted:
        if device == copy.device and sequence not in held:
            yield f"lost: the journal of {device} does not hold voucher {sequence}, which the ledger posted"


def _doubled(copies: Iterable[JournalCopy], posted: Mapping[tuple[str, int], PostedVoucher]) -> Iterable[str]:
    identities = Counter(there.identity for there in posted.values())
    by_intent: dict[tuple[object, ...], list[JournalVoucher]] = defaultdict(list)
    for copy in copies:
        for row in copy.vouchers:
            there = posted.get((row.device, row.sequence))
            if there is None:
                continue
            where = f"{row.device} voucher {row.sequence}"
            owed_kgo = 0 if row.sequence in copy.not_charged else row.voucher.kgo
            if there.spends > 1 or there.leaves > 1 or identities[row.identity] > 1:
                yield f"doubled: {where} was posted {max(there.spends, there.leaves, identities[row.identity])} times"
            elif max(there.credited_kgo, there.charged_kgo) > owed_kgo:
                yield f"doubled: {where} is worth {owed_kgo}, {there.charged_kgo} were charged"
            if row.intent is not None and there.charged_kgo:
                by_intent[row.intent].append(row)
    for charged in by_intent.values():
        yield from _charged_again(charged)


def _charged_again(charged: list[JournalVoucher]) -> Iterable[str]:
    """One intent: at one terminal once; in shops once whatever the times; in transit once within the window."""
    first = charged[0]
    for row in charged[1:]:
        is_shop = row.voucher.kind != VoucherKind.BOARDING
        is_near = abs(row.voucher.at_s - first.voucher.at_s) <= TRANSIT_WINDOW_S
        if row.device == first.device or is_shop or is_near:
            yield f"doubled: one intent was charged at {first.device} {first.sequence} and {row.device} {row.sequence}"


def _sum(ledger: apsw.Connection, currency: int, faults: list[str]) -> int:
    """The sum of all balances; balances and postings are reckoned again from the entries."""
    unbalanced = rows(
        ledger,
        "SELECT posting_id, sum(amount) FROM entries JOIN accounts USING(account_id)"
        f" WHERE currency = {currency} GROUP BY posting_id HAVING sum(amount) <> 0",
    )
    faults += [f"posting {posting} is off by {amount}" for posting, amount in unbalanced]
    wrong = rows(
        ledger,
        "SELECT account_id, balance, coalesce(sum(amount), 0) FROM accounts LEFT JOIN entries USING(account_id)"
        f" WHERE currency = {currency} GROUP BY account_id HAVING balance <> coalesce(sum(amount), 0)",
    )
    faults += [f"account {account} shows {shown}, its entries give {real}" for account, shown, real in wrong]
    return cast(int, rows(ledger, f"SELECT coalesce(sum(balance), 0) FROM accounts WHERE currency = {currency}")[0][0])


def _proven(ledger: apsw.Connection, city: str, keys: CityKeys) -> tuple[int, list[str]]:
    """How many wallet equivocations their own bytes prove, and which do not."""
    proven, unproven = 0, list[str]()
    for number, first, second, context in rows(
        ledger, "SELECT equivocation_id, first, second, context FROM equivocations WHERE kind = 1"
    ):
        try:
            is_proof = is_proven(first, second, context, city, keys)
        except (Refusal, ValueError):
            is_proof = False
        proven += is_proof
        unproven += [] if is_proof else [f"equivocation {number} does not prove itself"]
    return proven, unproven


def is_proven(first: bytes, second: bytes, context: bytes, city: str, keys: CityKeys) -> bool:
    """Issuer signed the allowance, its wallet key signed both, and both cannot be honest."""
    allowance_raw, *kinds = cast(list[object], cbor.decode(context, CONTEXT_BYTES_MAX))
    signed = cose.parse_sign1(cast(bytes, allowance_raw), cose.external_aad(Kind.ALLOWANCE, city))
    allowance = wallet.ALLOWANCE.decode(signed.payload, OBJECT_BYTES_MAX)
    if not keys.signed_by(signed, KeyRole.ALLOWANCE_ISSUER) or kinds != [Kind.PRESENTMENT, Kind.PRESENTMENT]:
        return False
    wallet_key = cose.verify_key(allowance.wallet_point)
    shown: list[Presentment] = []
    for raw in (first, second):
        one = cose.parse_sign1(raw, cose.external_aad(Kind.PRESENTMENT, city))
        presentment = wallet.PRESENTMENT.decode(one.payload, OBJECT_BYTES_MAX)
        if not cose.is_signature_of(one, wallet_key) or presentment.allowance_hash != signed.identity:
            return False
        shown.append(presentment)
    low, high = sorted(shown, key=lambda one: one.n)
    if low.n == high.n:
        return wallet.intent_digest_fields(low) != wallet.intent_digest_fields(high)
    return high.sum_kgo < low.sum_kgo + low.cap_kgo


def broken_promises(figures: Figures, *, audit_ok: bool, cheats: int) -> list[str]:
    """Which promises broke, in words; empty when all were kept."""
    broken = list(figures.faults)
    if figures.lost:
        broken.append(f"{figures.lost} accepted vouchers were lost")
    if figures.doubled:
        broken.append(f"{figures.doubled} vouchers or intents were charged twice")
    if figures.acked != figures.accepted:
        broken.append(f"{figures.accepted} accepted, but {figures.acked} acknowledged")
    if figures.kgo_sum or figures.thb_sum:
        broken.append(f"the accounts do not sum to zero: KGO {figures.kgo_sum}, THB {figures.thb_sum}")
    if figures.equivocations_proven != cheats:
        broken.append(f"{cheats} wallets cheated, {figures.equivocations_proven} are proven")
    if not audit_ok:
        broken.append("the city's own audit failed")
    return broken
