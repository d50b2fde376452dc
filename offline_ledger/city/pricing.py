"""Does the named tariff or campaign version give the amount that the voucher charges? DESIGN §8, §9.

Runs the terminal's own rules again, with what that terminal had seen. A terminal that had pruned or lost its history
charges the full price: that is accepted too, and the rest is for the rebate. Reads bulletins from the store, never
signs or writes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from offline_ledger.city.store import Store
from offline_ledger.errors import Refusal, TariffMismatch
from offline_ledger.protocol import city, cose
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import ClockTrust, PlaceKey, Voucher
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Coupon
from offline_ledger.rules.campaign import Campaigns, Funding, campaign_for, decode_campaigns
from offline_ledger.rules.coupon import ride_cash_satang
from offline_ledger.rules.fare import Boarding, Fare, RideHistory, fare_for
from offline_ledger.rules.sale import SaleLegs, ShopHistory, history_on, sale_legs
from offline_ledger.rules.tariff import Tariff, decode_tariff

T = TypeVar("T")
NO_VERSION = (0, 0)
PLAIN_PRODUCT = "plain"
"""Product of a sale outside every campaign."""


@dataclass(frozen=True, slots=True)
class RewardRule:
    """What a campaign promises for a sale: at most `claim_kgo`, from whom, and how much a wallet may get in a day."""

    campaign_id: str
    claim_kgo: int
    wallet_day_kgo_max: int
    is_merchant_funded: bool


class Prices:
    """The price book of one city; bulletins are decoded once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._aad = cose.external_aad(Kind.BULLETIN, store.city)
        self._tariffs: dict[tuple[int, int], Tariff] = {}
        self._campaigns: dict[tuple[int, int], Campaigns] = {}

    def check_boarding(self, voucher: Voucher, concession: int, ridden: Callable[[], Sequence[RideHistory]]) -> None:
        """`ridden`: what the terminal had seen of the allowance; asked for only when it matters. Raises
        TariffMismatch."""
        tariff = self.tariff(voucher.bulletin)
        boarding = boarding_of(voucher, concession)
        full = _judged(lambda: fare_for(boarding, RideHistory(), tariff))
        if _is_fare(voucher, full):
            return
        if tariff.transfer is not None or tariff.daily_cap is not None:
            for seen in ridden():
                if _is_fare(voucher, _judged(partial(fare_for, boarding, seen, tariff))):
                    return
        raise TariffMismatch(f"{voucher.product} {voucher.kgo}+{voucher.satang}, not {full.kgo}+{full.thb_satang}")

    def check_coin(self, voucher: Voucher, coupon: Coupon) -> None:
        """The coin beside a ride coupon. Raises TariffMismatch."""
        satang = ride_cash_satang(coupon, self.tariff(voucher.bulletin))
        if voucher.satang != satang:
            raise TariffMismatch(f"{voucher.product} due {voucher.satang}, not {satang}")

    def check_sale(self, voucher: Voucher, owner: str, bought: Callable[[], ShopHistory]) -> RewardRule | None:
        """The reward that the sale may claim, if any. `bought` as for boardings. Raises TariffMismatch."""
        bill_satang = voucher.place.get(PlaceKey.BILL_SATANG)
        if type(bill_satang) is not int:
            raise TariffMismatch("no bill")
        campaigns = self.campaigns(voucher.bulletin)
        campaign = campaign_for(campaigns, owner, voucher.at_s)
        today = history_on(bought(), voucher.at_s, ClockTrust(voucher.trust))
        is_known = voucher.object_hash is not None
        verified = voucher.place.get(PlaceKey.VERIFIED_SATANG)
        verified_satang = verified if type(verified) is int else 0  # what nobody says is verified is only declared
        legs = _judged(
            lambda: sale_legs(
                bill_satang, voucher.kgo, campaign, today, verified_satang=verified_satang, is_wallet_known=is_known
            )
        )
        self._check_legs(voucher, legs)
        if campaign is None or campaign.reward is None or not voucher.reward_kgo:
            return None
        reward = campaign.reward
        is_merchant_funded = reward.funding == Funding.MERCHANT
        return RewardRule(campaign.campaign_id, voucher.reward_kgo, reward.wallet_day_kgo_max, is_merchant_funded)

    @staticmethod
    def _check_legs(voucher: Voucher, legs: SaleLegs) -> None:
        if voucher.satang != legs.due_thb_satang or voucher.product not in (legs.campaign_id or PLAIN_PRODUCT,):
            raise TariffMismatch(f"{voucher.product} due {voucher.satang}, not {legs.due_thb_satang}")
        if (voucher.reward_kgo or 0) > legs.reward_claim_kgo:
            raise TariffMismatch(f"reward {voucher.reward_kgo} of {legs.reward_claim_kgo}")

    def tariff(self, version: tuple[int, int]) -> Tariff:
        """The tariff of a published version. Raises TariffMismatch when there is none."""
        if version not in self._tariffs:
            self._tariffs[version] = decode_tariff(self._body(BulletinKind.TARIFF, version))
        return self._tariffs[version]

    def campaigns(self, version: tuple[int, int]) -> Campaigns:
        """The campaigns of a published version. Raises TariffMismatch when there is none."""
        if version == NO_VERSION:
            return Campaigns(())
        if version not in self._campaigns:
            self._campaigns[version] = decode_campaigns(self._body(BulletinKind.CAMPAIGN, version))
        return self._campaigns[version]

    def _body(self, kind: BulletinKind, version: tuple[int, int]) -> Mapping[int, object]:
        row = self._store.one(
            "SELECT raw FROM bulletins WHERE kind = ? AND trust_version = ? AND counter = ?", (kind, *version)
        )
        if row is None:
            raise TariffMismatch(f"no {kind.name.lower()} {version[0]}.{version[1]}")
        signed = cose.parse_sign1(row[0], self._aad, CITY_OBJECT_BYTES_MAX)
        return city.BULLETIN.decode(signed.payload, CITY_OBJECT_BYTES_MAX).body


def boarding_of(voucher: Voucher, concession: int) -> Boarding:
    """The tap that a boarding's voucher tells of."""
    route, trip = _text(voucher.place, PlaceKey.ROUTE), _text(voucher.place, PlaceKey.TRIP)
    return Boarding(voucher.at_s, ClockTrust(voucher.trust), route, trip, concession)


def _judged(rule: Callable[[], T]) -> T:
    """A rule that refuses what the terminal accepted is a mismatch."""
    try:
        return rule()
    except TariffMismatch:
        raise
    except Refusal as refusal:
        raise TariffMismatch(str(refusal)) from refusal


def _is_fare(voucher: Voucher, fare: Fare) -> bool:
    said = (voucher.product, voucher.kgo, voucher.satang)
    return said == (fare.product_code, fare.kgo, fare.thb_satang)


def _text(place: Mapping[int, object], key: PlaceKey) -> str:
    value = place.get(key)
    return value if isinstance(value, str) else ""
