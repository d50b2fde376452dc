"""A paper coupon: who may have signed it, where and until when it is good. Pure. DESIGN §2, §5; decisions 0150, 0151.

Terminal and city judge by the same. Never says whether a coupon was used: that is the journal's and the ledger's to
know.
"""

from collections.abc import Sequence
from typing import NamedTuple

from offline_ledger.errors import (
    CouponCancelled,
    CouponExpired,
    CouponForged,
    CouponFromAfterKey,
    CouponOfOtherTerminal,
    CouponOfOtherTrip,
    UnknownCity,
)
from offline_ledger.protocol import wallet
from offline_ledger.protocol.city import KeyRole, TrustedKey
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX
from offline_ledger.protocol.wallet import Coupon
from offline_ledger.rules.limits import DAY_S
from offline_ledger.rules.tariff import Tariff

LIFE_S_MAX = 93 * DAY_S
"""A quarter and the rest of its last day: a school term's sheet. Terminals remember used coupons that long, and what a
key may have signed ends that long after the key."""


class Here(NamedTuple):
    """Where a coupon is shown; `trip` None: no trip has begun, or this is a shop."""

    device: str
    trip: str | None


def read_coupon(payload: bytes, city: str) -> Coupon:
    """Parse and city. Raises the reading refusals, UnknownCity."""
    coupon = wallet.COUPON.decode(payload, OBJECT_BYTES_MAX)
    if coupon.city != city:
        raise UnknownCity(coupon.city)
    return coupon


def check_issuer(keys: Sequence[TrustedKey], coupon: Coupon) -> None:
    """`keys`: the rows that the trust list has of the key that signed; one of them may have issued this.

    A coupon says no time of issue, so a revoked key proves nothing, and a retired one only what ends within a coupon's
    life after it. Raises CouponForged (no issuer), CouponCancelled (revoked), CouponFromAfterKey.
    """
    issuers = [key for key in keys if key.role == KeyRole.ALLOWANCE_ISSUER]
    if not issuers:
        raise CouponForged("no issuer's key")
    live = [key for key in issuers if not key.is_revoked]
    if not live:
        raise CouponCancelled("issuer key revoked")
    if not any(key.not_before_s <= coupon.expires_at_s <= key.not_after_s + LIFE_S_MAX for key in live):
        raise CouponFromAfterKey(f"until {coupon.expires_at_s}")


def check_pinned(coupon: Coupon, here: Here) -> None:
    """Good at this terminal, and on this trip if it names one. Raises CouponOfOtherTerminal, CouponOfOtherTrip."""
    if coupon.device != here.device:
        raise CouponOfOtherTerminal(coupon.device)
    if coupon.trip is not None and coupon.trip != here.trip:
        raise CouponOfOtherTrip(coupon.trip)


def check_not_expired(coupon: Coupon, at_s: int, skew_s: int) -> None:
    """The last second is inclusive and a skew wide, as an allowance's. Under `floor`, `at_s` is a proven "not before":
    what is past then is past for certain, and what is not may be (decision 0151). Raises CouponExpired."""
    if at_s > coupon.expires_at_s + skew_s:
        raise CouponExpired(f"{at_s - coupon.expires_at_s} s late")


def ride_cash_satang(coupon: Coupon, tariff: Tariff) -> int:
    """The coin that is still due with a ride coupon: the coupon stands for the KGO of its product, and the product's
    THB leg is paid as by everybody; 0 when the tariff does not have the product any more."""
    return next((one.thb_satang for one in tariff.products if one.product_id == coupon.product), 0)
