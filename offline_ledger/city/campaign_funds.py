"""Campaigns' budgets: which campaigns the city has published, what their funds hold, and adding to one. DESIGN §8, §9.

Money for rewards comes from issuance as a grant with its reason; a campaign's fund never goes below zero. Never
publishes a campaign.
"""

from dataclasses import dataclass

from offline_ledger.city import accounts
from offline_ledger.city.accounts import AccountKind, campaign_account
from offline_ledger.city.pricing import Prices
from offline_ledger.city.store import Store
from offline_ledger.errors import CampaignUnknown
from offline_ledger.protocol.city import BulletinKind

NOTE_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Budget:
    """One campaign and what its fund holds."""

    campaign_id: str
    left_kgo: int


def budgets(store: Store) -> list[Budget]:
    """Every campaign of the newest published version, and every other fund that still holds something, by name."""
    with store.snapshot():
        rows = store.fetch("SELECT name, balance FROM accounts WHERE kind = ?", (AccountKind.CAMPAIGN,))
        held: dict[str, int] = {row[0]: row[1] for row in rows}
        names = _published(store, 1) | {name for name, balance in held.items() if balance}
        return [Budget(name, held.get(name, 0)) for name in sorted(names)]


def fund(store: Store, campaign_id: str, kgo: int, note: str, now_s: int) -> Budget:
    """From issuance to the campaign's fund; what it holds then. Raises CampaignUnknown for a name never published."""
    assert kgo > 0
    with store.transaction():
        if campaign_id not in _published(store, None):
            raise CampaignUnknown(campaign_id)
        accounts.fund_campaign(store, campaign_id, kgo, now_s, note[:NOTE_CHARACTERS_MAX])
        return Budget(campaign_id, accounts.balance(store, campaign_account(campaign_id)))


def _published(store: Store, versions_max: int | None) -> set[str]:
    """Ids of the newest versions (None: of all); an older version may still be in force at a terminal."""
    rows = store.fetch(
        "SELECT trust_version, counter FROM bulletins WHERE kind = ? ORDER BY trust_version DESC, counter DESC LIMIT ?",
        (BulletinKind.CAMPAIGN, -1 if versions_max is None else versions_max),
    )
    prices = Prices(store)
    return {
        campaign.campaign_id for version in rows for campaign in prices.campaigns((version[0], version[1])).campaigns
    }
