"""What one shop sale comes to: KGO, discount, money due, reward claim. Pure; the city runs it again. DESIGN §9.

All rounding is down and named: a discount rounds for the merchant, a reward for the fund. KGO go in only as far as the
customer chose. Never decides whether the wallet can pay: that is acceptance.
"""

from typing import NamedTuple

from offline_ledger.errors import (
    AmountNotPositive,
    AmountTooLong,
    BillBelowMinimum,
    KgoAboveBillShare,
    KgoAboveDailyCap,
    KgoAboveWalletLimit,
    KgoNegative,
    NoCampaign,
    Refusal,
    TenderMismatch,
)
from offline_ledger.money import KGO, format_minor, share_down
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.campaign import Campaign, Discount, Funding, Reward
from offline_ledger.rules.civil import Explanation, civil_day
from offline_ledger.rules.limits import WHOLE_PER_MILLE

BILL_SATANG_MAX = 9_999_999_999
"""Ten digits on the keypad; a barcode typed into the amount has thirteen."""


class ShopHistory(NamedTuple):
    """What this terminal saw of one wallet on its last day here."""

    day: int = 0
    kgo: int = 0
    reward_kgo: int = 0


class Usable(NamedTuple):
    """Most KGO that this sale takes, and the one-line reason; `refusal` is raised for anything above."""

    kgo_max: int
    explanation: Explanation
    refusal: type[Refusal]


class SaleLegs(NamedTuple):
    """The legs of one sale: discount + due = bill. `reward_claim_kgo` is unspendable until posted."""

    kgo: int
    discount_satang: int
    due_thb_satang: int
    reward_claim_kgo: int
    campaign_id: str
    explanation: Explanation


def history_on(history: ShopHistory, at_s: int, trust: ClockTrust) -> ShopHistory:
    """The history as it counts at this time: a new day starts afresh.

    A clock that stepped back, or is only a floor, gives no second helping: the earlier sums go on counting.
    """
    day = civil_day(at_s)
    if day <= history.day or trust is ClockTrust.FLOOR:
        return history
    return ShopHistory(day)


def bought_after(history: ShopHistory, at_s: int, trust: ClockTrust, kgo: int, reward_kgo: int) -> ShopHistory:
    """The history with one more voucher, in order of sequence."""
    today = history_on(history, at_s, trust)
    day = max(today.day, civil_day(at_s))
    return today._replace(day=day, kgo=today.kgo + kgo, reward_kgo=today.reward_kgo + reward_kgo)


def bought_before(history: ShopHistory, kgo: int, reward_kgo: int) -> ShopHistory:
    """The history without its last voucher, which is not charged."""
    return history._replace(kgo=history.kgo - kgo, reward_kgo=history.reward_kgo - reward_kgo)


def check_bill(bill_satang: int) -> None:
    """Raises AmountNotPositive, AmountTooLong."""
    if bill_satang <= 0:
        raise AmountNotPositive(str(bill_satang))
    if bill_satang > BILL_SATANG_MAX:
        raise AmountTooLong(f"{format_minor(bill_satang)}, at most {format_minor(BILL_SATANG_MAX)}")


def usable_kgo(
    bill_satang: int, campaign: Campaign | None, today: ShopHistory, wallet_kgo_max: int | None = None
) -> Usable:
    """Most KGO for this bill, with the reason that binds. `wallet_kgo_max`: what the wallet may pay, once known.

    Raises AmountNotPositive, AmountTooLong.
    """
    check_bill(bill_satang)
    discount = campaign.discount if campaign is not None else None
    if discount is None:
        return Usable(0, Explanation("usable.no_campaign", ()), NoCampaign)
    if bill_satang < discount.bill_satang_min:
        values = (("minimum", format_minor(discount.bill_satang_min)),)
        return Usable(0, Explanation("usable.below_minimum", values), BillBelowMinimum)
    bounds: list[tuple[int, str, type[Refusal]]] = [
        (_bill_share_kgo(bill_satang, discount), "usable.bill_share", KgoAboveBillShare),
        (max(0, discount.wallet_day_kgo_max - today.kgo), "usable.daily_cap", KgoAboveDailyCap),
    ]
    if wallet_kgo_max is not None:
        bounds.append((max(0, wallet_kgo_max), "usable.wallet_limit", KgoAboveWalletLimit))
    kgo_max, key, refusal = min(bounds, key=lambda bound: bound[0])
    return Usable(kgo_max, Explanation(key, (("kgo", format_minor(kgo_max)),)), refusal)


def suggest_kgo(usable: Usable) -> int:
    """What the keypad offers: the most, in whole KGO where there is one whole KGO."""
    whole_kgo = usable.kgo_max - usable.kgo_max % KGO
    return whole_kgo or usable.kgo_max


def sale_legs(
    bill_satang: int,
    chosen_kgo: int,
    campaign: Campaign | None,
    today: ShopHistory,
    *,
    verified_satang: int | None = None,
    wallet_kgo_max: int | None = None,
    is_wallet_known: bool = True,
) -> SaleLegs:
    """The legs of a sale. `today` comes from `history_on`; `verified_satang`: how much of the due is verified tender
    (None = all of it). Without a wallet there is no reward to give.

    Raises AmountNotPositive, AmountTooLong, KgoNegative, TenderMismatch, and for too many KGO the reason that binds:
    NoCampaign, BillBelowMinimum, KgoAboveBillShare, KgoAboveDailyCap, KgoAboveWalletLimit.
    """
    usable = usable_kgo(bill_satang, campaign, today, wallet_kgo_max)
    if chosen_kgo < 0:
        raise KgoNegative(format_minor(chosen_kgo))
    if chosen_kgo > usable.kgo_max:
        raise usable.refusal(f"{format_minor(chosen_kgo)} of {format_minor(usable.kgo_max)}")
    discount = campaign.discount if campaign is not None else None
    discount_satang = _discount_satang(chosen_kgo, discount) if discount is not None else 0
    due_satang = bill_satang - discount_satang
    if verified_satang is not None and not 0 <= verified_satang <= due_satang:
        raise TenderMismatch(f"{format_minor(verified_satang)} verified of {format_minor(due_satang)}")
    reward = campaign.reward if campaign is not None and is_wallet_known else None
    claim_kgo = 0
    if reward is not None:
        claim_kgo = _reward_kgo(due_satang, due_satang if verified_satang is None else verified_satang, reward, today)
    name = (campaign.name_th, campaign.name_en) if campaign is not None else ("", "")
    explanation = _explain(name, chosen_kgo, discount_satang, due_satang, claim_kgo)
    campaign_id = campaign.campaign_id if campaign is not None else ""
    return SaleLegs(chosen_kgo, discount_satang, due_satang, claim_kgo, campaign_id, explanation)


def _discount_satang(kgo: int, discount: Discount) -> int:
    return share_down(kgo, discount.rate_satang, KGO)


def _bill_share_kgo(bill_satang: int, discount: Discount) -> int:
    """Fewest KGO that reach the share of the bill as nearly as rounding down allows: none is spent for nothing."""
    share_satang = share_down(bill_satang, discount.bill_per_mille, WHOLE_PER_MILLE)
    most_kgo = share_down(share_satang, KGO, discount.rate_satang)
    reached_satang = _discount_satang(most_kgo, discount)
    # the smallest kgo with that discount: reached·KGO ⁄ rate, rounded up
    return -(-reached_satang * KGO // discount.rate_satang)


def _reward_kgo(due_satang: int, verified_satang: int, reward: Reward, today: ShopHistory) -> int:
    """Whole steps of `per_satang` only; the city rewards verified money, a merchant all that was paid."""
    paid_satang = due_satang if reward.funding == Funding.MERCHANT else verified_satang
    full_steps = share_down(paid_satang, 1, reward.per_satang)
    return min(full_steps * reward.kgo, max(0, reward.wallet_day_kgo_max - today.reward_kgo))


def _explain(name: tuple[str, str], kgo: int, discount_satang: int, due_satang: int, reward_kgo: int) -> Explanation:
    values: list[tuple[str, str | tuple[str, str]]] = [("due", format_minor(due_satang))]
    key = "sale.plain"
    if kgo:
        key = "sale.discount"
        values += [("name", name), ("kgo", format_minor(kgo)), ("discount", format_minor(discount_satang))]
    if reward_kgo:
        key += "_reward"
        values.append(("reward", format_minor(reward_kgo)))
    return Explanation(key, tuple(values))
