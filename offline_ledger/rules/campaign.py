"""The campaign bulletin's body: CBOR map to values and back, judged as a whole. Pure. DESIGN §9.

A campaign gives a discount for KGO, a reward for money paid, or both, at some merchants on some days. The first that
fits merchant and day counts. What a sale makes of it is `rules.sale`; budgets are the ledger's alone.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from offline_ledger.errors import CampaignMalformed, Malformed, UnknownKey, ValueOutOfRange
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol.fields import Field, Layout, amount, items, text, uint
from offline_ledger.rules.civil import civil_day, day_of, is_within
from offline_ledger.rules.limits import WHOLE_PER_MILLE
from offline_ledger.rules.tariff import NAME_CHARACTERS_MAX, civil_date

CAMPAIGNS_MAX = 200
MERCHANTS_MAX = 1_000


class Funding(IntEnum):
    """Who pays a reward: the city only for verified tender, a merchant also for what the cashier declares."""

    CITY = 1
    MERCHANT = 2


class Discount(NamedTuple):
    """`rate_satang` off per whole KGO, at most `bill_per_mille` of the bill and `wallet_day_kgo_max` a day."""

    rate_satang: int
    bill_per_mille: int
    wallet_day_kgo_max: int
    bill_satang_min: int


class Reward(NamedTuple):
    """`kgo` for every full `per_satang` paid in money, at most `wallet_day_kgo_max` a day; a claim until posted."""

    kgo: int
    per_satang: int
    wallet_day_kgo_max: int
    funding: int


class Campaign(NamedTuple):
    """One shop campaign. Days are `yyyymmdd`, Bangkok, both inclusive; no `merchants` = all shops."""

    campaign_id: str
    name_th: str
    name_en: str
    first_day: int | None
    last_day: int | None
    merchants: tuple[str, ...] | None
    discount: Discount | None
    reward: Reward | None

    def covers(self, merchant: str, day: int) -> bool:
        """Does it hold at this shop on this day number?"""
        first = day_of(self.first_day) if self.first_day is not None else None
        last = day_of(self.last_day) if self.last_day is not None else None
        return (self.merchants is None or merchant in self.merchants) and is_within(day, first, last)


class Campaigns(NamedTuple):
    """All shop campaigns of a city at one bulletin version."""

    campaigns: tuple[Campaign, ...]


DISCOUNT = Layout(
    Discount,
    Field(1, "rate_satang", uint(AMOUNT_MINOR_MAX, 1)),
    Field(2, "bill_per_mille", uint(WHOLE_PER_MILLE)),
    Field(3, "wallet_day_kgo_max", amount()),
    Field(4, "bill_satang_min", amount()),
)
REWARD = Layout(
    Reward,
    Field(1, "kgo", uint(AMOUNT_MINOR_MAX, 1)),
    Field(2, "per_satang", uint(AMOUNT_MINOR_MAX, 1)),
    Field(3, "wallet_day_kgo_max", amount()),
    Field(4, "funding", uint(max(Funding), min(Funding))),
)
CAMPAIGN = Layout(
    Campaign,
    Field(1, "campaign_id", text(32)),
    Field(2, "name_th", text(NAME_CHARACTERS_MAX)),
    Field(3, "name_en", text(NAME_CHARACTERS_MAX)),
    Field(4, "first_day", civil_date, optional=True),
    Field(5, "last_day", civil_date, optional=True),
    Field(6, "merchants", items(text(32), MERCHANTS_MAX, 1), optional=True),
    Field(7, "discount", DISCOUNT.from_map, optional=True),
    Field(8, "reward", REWARD.from_map, optional=True),
)
CAMPAIGNS = Layout(Campaigns, Field(1, "campaigns", items(CAMPAIGN.from_map, CAMPAIGNS_MAX)))


def decode_campaigns(body: Mapping[int, object]) -> Campaigns:
    """The campaigns of a verified bulletin. Raises CampaignMalformed with what is wrong."""
    try:
        campaigns = CAMPAIGNS.from_map(dict(body))
    except (Malformed, UnknownKey, ValueOutOfRange) as problem:
        raise CampaignMalformed(str(problem)) from problem
    problems = _problems(campaigns)
    if problems:
        raise CampaignMalformed("; ".join(problems))
    return campaigns


def encode_campaigns(campaigns: Campaigns) -> dict[int, object]:
    """The body map; raises what `decode_campaigns` would, so nothing unreadable is ever signed."""
    body: dict[int, object] = {1: [_campaign_map(campaign) for campaign in campaigns.campaigns]}
    decode_campaigns(body)
    return body


def campaign_for(campaigns: Campaigns, merchant: str, at_s: int) -> Campaign | None:
    """The first campaign that holds at this shop at this time; None outside all of them."""
    day = civil_day(at_s)
    return next((campaign for campaign in campaigns.campaigns if campaign.covers(merchant, day)), None)


def _campaign_map(campaign: Campaign) -> dict[int, object]:
    found = dict(CAMPAIGN.to_map(campaign))
    if campaign.discount is not None:
        found[7] = dict(DISCOUNT.to_map(campaign.discount))
    if campaign.reward is not None:
        found[8] = {**REWARD.to_map(campaign.reward), 4: int(campaign.reward.funding)}
    return found


def _problems(campaigns: Campaigns) -> list[str]:
    found: list[str] = []
    ids = [campaign.campaign_id for campaign in campaigns.campaigns]
    if len(set(ids)) != len(ids):
        found.append("two campaigns have one id")
    for campaign in campaigns.campaigns:
        if campaign.first_day and campaign.last_day and campaign.first_day > campaign.last_day:
            found.append(f"campaign {campaign.campaign_id} ends before it begins")
        if campaign.discount is None and campaign.reward is None:
            found.append(f"campaign {campaign.campaign_id} gives neither discount nor reward")
    return found
