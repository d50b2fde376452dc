"""Acceptance: the steps that terminal and city share, in the order of DESIGN §5. Pure: no key is looked up here,
no clock read, nothing stored. Each step raises one numbered refusal or returns nothing.

The terminal calls every step before its green; the city calls the same ones again at posting, with the times and
sums that the voucher names.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from offline_ledger.errors import (
    AllowanceExpired,
    AllowanceMismatch,
    AllowanceNotYetValid,
    AmountNotAuthorised,
    Conflict,
    CounterUsed,
    IssuerKeyExpired,
    IssuerRoleWrong,
    PassBack,
    SumUnderstated,
    UnknownCity,
    WrongAudience,
)
from offline_ledger.protocol import cbor, wallet
from offline_ledger.protocol.city import KeyRole, TrustedKey
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX
from offline_ledger.protocol.wallet import Allowance, Audience, Payment, Presentment

WalletObject = Presentment | Payment


class Seen(NamedTuple):
    """The last intent of one allowance that somebody accepted: its counter, S, what it authorised, its digest."""

    n: int
    sum_kgo: int
    authorised_kgo: int
    intent: bytes


def read_allowance(payload: bytes, city: str) -> Allowance:
    """Parse and city: the payload of an allowance. Raises the reading refusals, UnknownCity."""
    allowance = wallet.ALLOWANCE.decode(payload, OBJECT_BYTES_MAX)
    if allowance.city != city:
        raise UnknownCity(allowance.city)
    return allowance


def intent_of(wallet_object: WalletObject) -> bytes:
    """SHA-256 over everything but the time: two codes of one honest intent have the same."""
    fields = wallet.intent_digest_fields(wallet_object)
    return sha256(cbor.encode_checked((wallet_object.allowance_hash, *fields))).digest()


def seen_of(wallet_object: WalletObject) -> Seen:
    """What accepting this object leaves behind for the next one."""
    return Seen(wallet_object.n, wallet_object.sum_kgo, wallet.authorised_kgo(wallet_object), intent_of(wallet_object))


def check_issuer(key: TrustedKey, allowance: Allowance) -> None:
    """The key that signed may issue allowances and was valid then. Raises IssuerRoleWrong, IssuerKeyExpired."""
    if key.role != KeyRole.ALLOWANCE_ISSUER:
        raise IssuerRoleWrong(f"role {key.role}")
    if not key.not_before_s <= allowance.not_before_s <= key.not_after_s:
        raise IssuerKeyExpired()


def issuer_among(keys: Sequence[TrustedKey], allowance: Allowance) -> TrustedKey:
    """Of the rows that one list has of the key that signed: one that may have issued this; else the first, which then
    says why not. A key may stand in a list twice, for two roles or two spans of time."""
    for key in keys:
        if key.role == KeyRole.ALLOWANCE_ISSUER and key.not_before_s <= allowance.not_before_s <= key.not_after_s:
            return key
    return keys[0]


def check_validity(allowance: Allowance, at_s: int, skew_s: int) -> None:
    """Raises AllowanceNotYetValid, AllowanceExpired; both ends are inclusive and a skew wide."""
    if at_s < allowance.not_before_s - skew_s:
        raise AllowanceNotYetValid(f"{allowance.not_before_s - at_s} s early")
    if at_s > allowance.expires_at_s + skew_s:
        raise AllowanceExpired(f"{at_s - allowance.expires_at_s} s late")


def check_belongs(wallet_object: WalletObject, allowance_hash: bytes) -> None:
    """The wallet object names the allowance beside it. Raises AllowanceMismatch."""
    if wallet_object.allowance_hash != allowance_hash:
        raise AllowanceMismatch()


def check_audience(presentment: Presentment, audience: Audience) -> None:
    """Raises WrongAudience for a bus code at a till, or a till code on the bus."""
    if presentment.audience != audience:
        raise WrongAudience(f"made for {presentment.audience}")


def is_same_intent(wallet_object: WalletObject, seen: Seen | None) -> bool:
    """A repeat: this very intent was the last one accepted here."""
    return seen is not None and wallet_object.n == seen.n and intent_of(wallet_object) == seen.intent


def check_counter(wallet_object: WalletObject, seen: Seen | None) -> None:
    """n above the last seen, S at least last S + last authorised. Call after the repeat question is settled.

    Raises Conflict (same n, other content), CounterUsed (an older n), SumUnderstated. Conflict and SumUnderstated
    are proofs of equivocation: the caller keeps both payloads.
    """
    if seen is None:
        return
    if wallet_object.n == seen.n:
        raise Conflict(f"n {wallet_object.n}")
    if wallet_object.n < seen.n:
        raise CounterUsed(f"{wallet_object.n} after {seen.n}")
    if wallet_object.sum_kgo < seen.sum_kgo + seen.authorised_kgo:
        raise SumUnderstated(f"{wallet_object.sum_kgo} < {seen.sum_kgo} + {seen.authorised_kgo}")


def is_contradiction(first: WalletObject, second: WalletObject) -> bool:
    """Two wallet-signed objects under one allowance that cannot both be honest (equivocation, DESIGN §2)."""
    return first.allowance_hash == second.allowance_hash and is_against(seen_of(first), seen_of(second))


def is_against(first: Seen, second: Seen) -> bool:
    """The same by what is remembered of two objects under one allowance."""
    if first.n == second.n:
        return first.intent != second.intent
    lower, higher = (first, second) if first.n < second.n else (second, first)
    return higher.sum_kgo < lower.sum_kgo + lower.authorised_kgo


def check_pass_back(elapsed_s: int, pass_back_s: int) -> None:
    """For so long after its light a wallet gets nothing further at the same terminal; the last second is inclusive, and
    after a clock that stepped back nobody is kept waiting. Raises PassBack."""
    if 0 <= elapsed_s <= pass_back_s:
        raise PassBack(f"{elapsed_s} s")


def check_charge(wallet_object: WalletObject, charge_kgo: int) -> None:
    """No more than the wallet signed; a payment and a shop code to the satang. Raises AmountNotAuthorised."""
    authorised_kgo = wallet.authorised_kgo(wallet_object)
    is_exact = isinstance(wallet_object, Payment) or wallet_object.audience == Audience.SHOP
    if charge_kgo > authorised_kgo or (is_exact and charge_kgo != authorised_kgo):
        raise AmountNotAuthorised(f"{charge_kgo} of {authorised_kgo}")
