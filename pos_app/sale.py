"""The till: one open sale, and what a customer's code pays of it. Pure. DESIGN §5, §9.

A shop code must be for exactly the KGO that the cashier and the customer agreed on. The campaign is the
one that holds at the voucher's own second, by which the city judges. The day's sums of an allowance travel in its last
voucher here. Never signs, never writes, never asks the network.
"""

from typing import NamedTuple, cast

from offline_ledger.errors import AmountMismatch, NoCampaign, NoSaleOpen, SaleWaits, TenderTooLarge, WrongCodeType
from offline_ledger.money import KGO, format_minor, share_down
from offline_ledger.protocol.device import PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.wallet import Allowance, Audience, Coupon, Payment, Presentment
from offline_ledger.rules.campaign import Campaigns, campaign_for
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.sale import (
    SaleLegs,
    ShopHistory,
    Usable,
    bought_after,
    bought_before,
    check_bill,
    history_on,
    sale_legs,
    usable_kgo,
)
from offline_ledger.terminal.coupon_reading import coupon_charge
from offline_ledger.terminal.outcome import Charge, Last, LastVoucher, charge_of, occasion_of

PLAIN_PRODUCT = "plain"
"""Product of a sale under no campaign."""


class OpenSale(NamedTuple):
    """What the cashier keyed in: the bill, how many KGO the customer wants to use, and how much money is verified."""

    sale: str
    bill_satang: int
    chosen_kgo: int
    verified_satang: int
    cashier: str = ""


def open_sale(sale: str, bill_satang: int, chosen_kgo: int) -> OpenSale:
    """A new sale; cash is declared, not verified. Raises AmountNotPositive, AmountTooLong."""
    check_bill(bill_satang)
    return OpenSale(sale, bill_satang, chosen_kgo, 0)


def check_usable(sale: OpenSale, usable: Usable) -> None:
    """`usable`: what any wallet may use on this bill. Raises the reason that binds for more KGO than that: the cashier
    hears it before the customer confirms anything."""
    if sale.chosen_kgo > usable.kgo_max:
        raise usable.refusal(f"{format_minor(sale.chosen_kgo)} of {format_minor(usable.kgo_max)}")


def sale_of(voucher: Voucher) -> OpenSale | None:
    """The sale that a voucher of ours was made for: an unratified one is opened again after a crash."""
    found = (voucher.place.get(key) for key in (PlaceKey.SALE, PlaceKey.BILL_SATANG, PlaceKey.VERIFIED_SATANG))
    sale, bill_satang, verified_satang = found
    if voucher.kind != VoucherKind.SALE or not isinstance(sale, str):
        return None
    cashier = voucher.place.get(PlaceKey.CASHIER, "")
    return OpenSale(sale, cast(int, bill_satang), voucher.kgo, cast(int, verified_satang), cast(str, cashier))


def place_of(sale: OpenSale) -> dict[int, object]:
    """What a voucher's place says of a sale, whoever paid it."""
    found: dict[int, object] = {int(PlaceKey.SALE): sale.sale, int(PlaceKey.BILL_SATANG): sale.bill_satang}
    if sale.cashier:
        found[int(PlaceKey.CASHIER)] = sale.cashier
    return found


def charge_without_wallet(
    sale: OpenSale, campaigns: Campaigns | None, version: tuple[int, int], merchant: str, at_s: int
) -> Charge:
    """What a sale comes to before any wallet is known: no reward. One that is paid in money alone ends so; a wallet is
    asked for it, and judged by what it bought before when it answers. Raises what `sale_legs` raises."""
    campaign = None if campaigns is None else campaign_for(campaigns, merchant, at_s)
    legs = sale_legs(
        sale.bill_satang, sale.chosen_kgo, campaign, ShopHistory(), verified_satang=0, is_wallet_known=False
    )
    return Charge(
        kgo=legs.kgo,
        satang=legs.due_thb_satang,
        kind=VoucherKind.SALE,
        product=legs.campaign_id or PLAIN_PRODUCT,
        bulletin=version,
        place={**place_of(sale), int(PlaceKey.VERIFIED_SATANG): 0},
        reward_kgo=None,
    )


class OpenBill(NamedTuple):
    """A sale that is being paid, and what of it is still due: a paper coupon may pay a part of it. `takes_kgo`: a code
    too, for as many KGO as its customer confirmed."""

    sale: OpenSale
    due_satang: int
    takes_kgo: bool = False


class Till:
    """The acceptor's `Counter` in a shop."""

    audience = Audience.SHOP
    pass_back_s = 0

    def __init__(
        self,
        sale: OpenSale | None,
        campaigns: Campaigns | None,
        version: tuple[int, int],
        merchant: str,
        *,
        is_charged: bool = False,
        open_bill: OpenBill | None = None,
    ) -> None:
        """`campaigns` of that version: whether one holds is decided with the code. `is_charged`: a power cut
        interrupted the sale; its voucher waits for its wallet. `open_bill`: what codes may pay while no sale waits for
        one."""
        self._sale = sale
        self._campaigns = campaigns
        self._version = version
        self._merchant = merchant
        self._is_charged = is_charged
        self._open_bill = open_bill
        self.last_legs: SaleLegs | None = None
        self.last_usable: Usable | None = None

    def is_busy_with_other(self, made: Voucher) -> bool:
        """A sale is open, and this voucher was made for another one."""
        return self._sale is not None and made.place.get(PlaceKey.SALE) != self._sale.sale

    @property
    def trip(self) -> str | None:
        """A shop has none."""
        return None

    def coupon_charge(self, coupon: Coupon, at: TimeNow) -> Charge:
        """Its KGO at the campaign's rate; what they come to stands as the voucher's bill. Raises NoSaleOpen,
        WrongCodeType (the open sale wants another code), NoCampaign, TenderTooLarge: a bearer's paper gives no
        change."""
        due = self._open_bill
        if due is None:
            raise NoSaleOpen() if self._sale is None else WrongCodeType("coupon")
        campaign = None if self._campaigns is None else campaign_for(self._campaigns, self._merchant, at.at_s)
        if campaign is None or campaign.discount is None:
            raise NoCampaign()
        worth_satang = share_down(coupon.value_kgo, campaign.discount.rate_satang, KGO)
        if worth_satang > due.due_satang:
            raise TenderTooLarge(f"{format_minor(worth_satang)} of {format_minor(due.due_satang)}")
        place = place_of(due.sale._replace(bill_satang=worth_satang))
        return coupon_charge(coupon, 0, self._version, place)

    def is_repeat(self, made: Voucher, elapsed_s: int) -> bool:
        """Its sale is the one that is open, or none is: a card that is held too long pays nothing more."""
        return self._sale is None or made.place.get(PlaceKey.SALE) == self._sale.sale

    def wants(self, occasion: bytes) -> bool:
        """The sale that was asked for is still the open one."""
        return self._sale is not None and occasion == occasion_of({int(PlaceKey.SALE): self._sale.sale}, 0)

    def charge(
        self, allowance: Allowance, shown: Presentment | Payment | None, last: LastVoucher, at: TimeNow
    ) -> Charge:
        """The legs of the open sale. Raises NoSaleOpen, SaleWaits, AmountMismatch, and the sale rules' refusals."""
        sale = self._sale or self._chosen_by(shown)
        if sale is None:
            raise NoSaleOpen()
        found = last()
        made = found.voucher if found is not None else None
        is_own = made is not None and made.place.get(PlaceKey.SALE) == sale.sale
        if self._is_charged and not is_own:
            raise SaleWaits(sale.sale)
        if isinstance(shown, Presentment) and shown.cap_kgo != sale.chosen_kgo:
            mismatch = AmountMismatch(f"{shown.cap_kgo} confirmed, {sale.chosen_kgo} asked")
            mismatch.confirmed_kgo, mismatch.asked_kgo = shown.cap_kgo, sale.chosen_kgo
            raise mismatch
        if made is not None and is_own:
            return charge_of(made)  # its own sale counts neither against the day's cap nor twice
        before = shop_history_of(found)
        today = history_on(before, at.at_s, at.trust)
        campaign = None if self._campaigns is None else campaign_for(self._campaigns, self._merchant, at.at_s)
        self.last_usable = usable_kgo(sale.bill_satang, campaign, today)
        legs = sale_legs(sale.bill_satang, sale.chosen_kgo, campaign, today, verified_satang=sale.verified_satang)
        self.last_legs = legs
        after = bought_after(before, at.at_s, at.trust, legs.kgo, legs.reward_claim_kgo)
        place = {
            **place_of(sale),
            int(PlaceKey.HISTORY): [after.day, after.kgo, after.reward_kgo],
            int(PlaceKey.VERIFIED_SATANG): sale.verified_satang,
        }
        return Charge(
            kgo=legs.kgo,
            satang=legs.due_thb_satang,
            kind=VoucherKind.SALE,
            product=legs.campaign_id or PLAIN_PRODUCT,
            bulletin=self._version,
            place=place,
            reward_kgo=legs.reward_claim_kgo or None,
        )

    def _chosen_by(self, shown: Presentment | Payment | None) -> OpenSale | None:
        """The bill that is being paid, with what the code's customer confirmed."""
        bill = self._open_bill
        if bill is None or not bill.takes_kgo or not isinstance(shown, Presentment):
            return None
        return bill.sale._replace(chosen_kgo=shown.cap_kgo)


def shop_history_of(last: Last | None) -> ShopHistory:
    """What the last voucher of this allowance says, but for itself when it is not charged; empty when there is none. It
    is our own signed word."""
    made = last.voucher if last is not None else None
    found = made.place.get(PlaceKey.HISTORY) if made is not None else None
    if last is None or made is None or not isinstance(found, list):
        return ShopHistory()
    day, kgo, reward_kgo = cast(tuple[int, int, int], tuple(cast(list[object], found)))
    after = ShopHistory(day, kgo, reward_kgo)
    return bought_before(after, made.kgo, made.reward_kgo or 0) if last.is_taken_back else after
