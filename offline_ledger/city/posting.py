"""Voucher to entries: who funds a spend, who is credited, how a refund goes back. Pure. DESIGN §8.

Order of funding: reserve → available → deposit → risk fund → suspense; refunds take it in reverse. Whatever was
accepted within the limits is credited, to the owner or to suspense in the owner's name; the sums always balance. Never
decides whether a voucher is good.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from offline_ledger.city.accounts import (
    CUSTOMER_CASH,
    ISSUANCE,
    RISK,
    UNFUNDED,
    AccountKind,
    Currency,
    Entry,
    OwnerKind,
    deposit_account,
    merged,
    owner_account,
    reserved_account,
    suspense_account,
    wallet_account,
)
from offline_ledger.money import share_down

_CREDITED = (AccountKind.SUSPENSE, AccountKind.MERCHANT, AccountKind.OPERATOR)


@dataclass(frozen=True, slots=True)
class Payer:
    """Which wallet and allowance pay, and what they hold now. `available_kgo` may be below zero."""

    wallet_id: int
    allowance_hash: bytes
    reserved_kgo: int
    available_kgo: int
    deposit_kgo: int = 0


@dataclass(frozen=True, slots=True)
class Payee:
    """Who accepted. `to_suspense`: credited in the owner's name, but the operator decides."""

    kind: OwnerKind
    owner: str
    to_suspense: bool = False


@dataclass(frozen=True, slots=True)
class Funding:
    """Where the KGO of one spend came from."""

    reserved_kgo: int
    available_kgo: int
    deposit_kgo: int
    risk_kgo: int
    unfunded_kgo: int


def fund(kgo: int, payer: Payer | None, risk_left_kgo: int) -> Funding:
    """Reserve first, then available, deposit, then what the risk fund still gives here; the rest is nobody's yet.

    `payer` None: the wallet is not charged (the other one of a duplicate).
    """
    reserved = min(kgo, max(0, payer.reserved_kgo)) if payer else 0
    available = min(kgo - reserved, max(0, payer.available_kgo)) if payer else 0
    deposit = min(kgo - reserved - available, max(0, payer.deposit_kgo)) if payer else 0
    left = kgo - reserved - available - deposit
    risk = min(left, max(0, risk_left_kgo))
    return Funding(reserved, available, deposit, risk, left - risk)


def spend_entries(funding: Funding, payer: Payer | None, payee: Payee, satang: int) -> tuple[Entry, ...]:
    """KGO from its sources to the owner or to suspense; the THB leg as declared."""
    paid = funding.reserved_kgo + funding.available_kgo + funding.deposit_kgo + funding.risk_kgo
    credited = suspense_account(payee.owner) if payee.to_suspense else owner_account(payee.kind, payee.owner)
    entries: list[Entry] = [
        (RISK, -funding.risk_kgo),
        (UNFUNDED, -funding.unfunded_kgo),
        (credited, paid),
        (suspense_account(payee.owner), funding.unfunded_kgo),
        (CUSTOMER_CASH, -satang),
        (owner_account(payee.kind, payee.owner, Currency.THB), satang),
    ]
    if payer is not None:
        entries.append((reserved_account(payer.allowance_hash), -funding.reserved_kgo))
        entries.append((wallet_account(payer.wallet_id), -funding.available_kgo))
        entries.append((deposit_account(payer.wallet_id), -funding.deposit_kgo))
    return merged(entries)


def suspense_kgo(entries: Iterable[Entry]) -> int:
    """What of these entries stands in suspense."""
    return sum(amount for account, amount in entries if account.kind is AccountKind.SUSPENSE)


def credited_kgo(entries: Iterable[Entry]) -> int:
    """What of these entries an owner was credited, what waits in suspense included."""
    return sum(amount for account, amount in entries if account.kind in _CREDITED and account.currency is Currency.KGO)


def funded_anew_entries(net: Iterable[Entry], funding: Funding, payer: Payer, payee: Payee) -> tuple[Entry, ...]:
    """What the risk fund or nobody had paid of `net` comes from `funding` instead; what waited in suspense for want of
    a payer goes to the owner, unless it waits for another reason."""
    had = dict(net)
    held_kgo = had.get(suspense_account(payee.owner), 0)
    stays_kgo = credited_kgo(had.items()) if payee.to_suspense else funding.unfunded_kgo
    return merged(
        [
            (RISK, -had.get(RISK, 0) - funding.risk_kgo),
            (UNFUNDED, -had.get(UNFUNDED, 0) - funding.unfunded_kgo),
            (reserved_account(payer.allowance_hash), -funding.reserved_kgo),
            (wallet_account(payer.wallet_id), -funding.available_kgo),
            (deposit_account(payer.wallet_id), -funding.deposit_kgo),
            (suspense_account(payee.owner), stays_kgo - held_kgo),
            (owner_account(payee.kind, payee.owner), held_kgo - stays_kgo),
        ]
    )


def refund_entries(
    original: Iterable[Entry], wallet_id: int | None, kgo: int, satang: int, payee: Payee
) -> tuple[Entry, ...]:
    """Give back `kgo` and `satang` of what `original` (net of earlier refunds) posted.

    The last source first: suspense, risk fund, deposit, then the wallet's *available*, also for what the reserve had
    paid; a paper ticket's goes back to issuance. What stood in suspense leaves suspense; the rest leaves the owner's
    account.
    """
    net = dict(original)
    in_suspense = net.get(suspense_account(payee.owner), 0)
    left = kgo
    entries: list[Entry] = []
    sources = [UNFUNDED, RISK, ISSUANCE]
    if wallet_id is not None:
        sources.append(deposit_account(wallet_id))
    for source in sources:
        back = min(left, max(0, -net.get(source, 0)))
        entries.append((source, back))
        left -= back
    from_suspense = min(kgo, in_suspense)
    entries += [
        (suspense_account(payee.owner), -from_suspense),
        (owner_account(payee.kind, payee.owner), from_suspense - kgo),
        (CUSTOMER_CASH, satang),
        (owner_account(payee.kind, payee.owner, Currency.THB), -satang),
    ]
    if wallet_id is not None:
        entries.append((wallet_account(wallet_id), left))
    return merged(entries)


def reversal(original: Iterable[Entry]) -> tuple[Entry, ...]:
    """Undo all of it to the accounts it came from."""
    return tuple((account, -amount) for account, amount in original)


def reward_granted_kgo(claim_kgo: int, day_left_kgo: int, budget_left_kgo: int) -> int:
    """What of a claim is posted: never more than the day or the budget still holds."""
    return max(0, min(claim_kgo, day_left_kgo, budget_left_kgo))


def clawback_kgo(reward_kgo: int, refunded_minor: int, left_minor: int) -> int:
    """What goes back of a reward that still stands, when `refunded_minor` of `left_minor` is refunded; all with the
    last of it. What stays is rounded down, so no row of small refunds farms a reward."""
    if left_minor <= 0 or refunded_minor >= left_minor:
        return reward_kgo
    return reward_kgo - share_down(reward_kgo, left_minor - refunded_minor, left_minor)


def coupon_entries(payee: Payee, kgo: int, satang: int) -> tuple[Entry, ...]:
    """A paper ticket: the city's issuance pays what it printed, to the owner or to suspense."""
    credited = suspense_account(payee.owner) if payee.to_suspense else owner_account(payee.kind, payee.owner)
    return merged(
        [
            (ISSUANCE, -kgo),
            (credited, kgo),
            (CUSTOMER_CASH, -satang),
            (owner_account(payee.kind, payee.owner, Currency.THB), satang),
        ]
    )


def payout_entries(owner: Payee, kgo: int, unfunded_kgo: int, payer: Payer | None) -> tuple[Entry, ...]:
    """The operator pays out `kgo` that waited in suspense, of which `unfunded_kgo` nobody had paid.

    That part comes from the risk fund (`payer` None) or from the wallet: its *available* as far as there is any, then
    its deposit; what is still missing leaves *available* below zero. The reserve stays for what it was promised to.
    """
    entries: list[Entry] = [
        (suspense_account(owner.owner), -kgo),
        (owner_account(owner.kind, owner.owner), kgo),
        (UNFUNDED, unfunded_kgo),
    ]
    if payer is None:
        return merged([*entries, (RISK, -unfunded_kgo)])
    available = min(unfunded_kgo, max(0, payer.available_kgo))
    deposit = min(unfunded_kgo - available, max(0, payer.deposit_kgo))
    entries.append((wallet_account(payer.wallet_id), deposit - unfunded_kgo))
    entries.append((deposit_account(payer.wallet_id), -deposit))
    return merged(entries)


def deposit_entries(wallet_id: int, kgo: int) -> tuple[Entry, ...]:
    """From *available* to the deposit; below zero: back."""
    return merged([(wallet_account(wallet_id), -kgo), (deposit_account(wallet_id), kgo)])
