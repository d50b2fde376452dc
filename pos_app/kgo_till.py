"""The sale that a customer's code is to pay: at most one is open, others wait since a power cut. DESIGN §5.

What the headless till and the cashier's counter share: it gives the acceptor its counter, closes the sale that a
voucher names and no other, and words what a light is about. Takes no commands and shows no page.
"""

from collections.abc import Callable, Mapping

from offline_ledger.errors import (
    AmountMismatch,
    BillBelowMinimum,
    CodeCancelled,
    KgoAboveBillShare,
    KgoAboveDailyCap,
    KgoAboveWalletLimit,
    NoCampaign,
    PaidOtherSale,
    PaidWaitingSale,
    SaleWaits,
)
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import PlaceKey, VoucherKind
from offline_ledger.rules.campaign import Campaign, Campaigns, campaign_for, decode_campaigns
from offline_ledger.rules.sale import ShopHistory, Usable, usable_kgo
from offline_ledger.terminal.outcome import Charge, Light, Outcome
from offline_ledger.terminal.program import Opened
from offline_ledger.terminal.running import GREEN, Running
from pos_app.sale import OpenBill, OpenSale, Till, charge_without_wallet
from pos_app.waiting_sales import WaitingSales
from pos_app.wording import (
    Wording,
    of_cancelled,
    of_charged,
    of_late_green,
    of_mismatch,
    of_open_sale,
    of_repeat,
    of_usable,
)

TOO_MANY_KGO = (KgoAboveBillShare, KgoAboveDailyCap, KgoAboveWalletLimit, NoCampaign, BillBelowMinimum)
"""Refusals that name how many would do."""
Paid = Callable[[OpenSale, int], None]
"""Hears of a sale that was paid, and of the sequence of its voucher: by its light, or because its wait is over."""


def no_bill() -> OpenBill | None:
    """The headless till takes none."""
    return None


def nobody_hears(_sale: OpenSale, _sequence: int) -> None:
    """The headless till says it by its lines alone."""


class KgoTill:
    """One till's. Everything on the deciding thread."""

    def __init__(
        self, opened: Opened, paid: Paid = nobody_hears, open_bill: Callable[[], OpenBill | None] = no_bill
    ) -> None:
        """`paid` hears of coupons too; `open_bill`: what codes may pay while no sale waits for one."""
        self._station = opened.station
        self._paid, self._open_bill = paid, open_bill
        self.waiting = WaitingSales(opened.station)
        self.waiting.look()
        self.sale = self.waiting.newest()  # its customer is still standing there
        self.last_paid: OpenSale | None = None
        self._asked: Till | None = None
        self._running: Running | None = None

    def at_work(self, running: Running) -> None:
        """The running part that it speaks through; before `run`."""
        self._running = running

    @property
    def running(self) -> Running:
        """Once it is at work."""
        assert self._running is not None
        return self._running

    def counter(self) -> Till:
        """Where the next code is judged. Raises CampaignMalformed."""
        campaigns, version = self.campaigns()
        is_charged = self.sale is not None and self.waiting.named(self.sale.sale) is not None
        owner = self._station.certificate.owner
        due = self._open_bill()
        self._asked = Till(self.sale, campaigns, version, owner, is_charged=is_charged, open_bill=due)
        return self._asked

    def campaigns(self) -> tuple[Campaigns | None, tuple[int, int]]:
        """All that the bulletin in force names, and its version. Raises CampaignMalformed."""
        bulletin = self._station.bulletin(BulletinKind.CAMPAIGN)
        return (None, (0, 0)) if bulletin is None else (decode_campaigns(bulletin.body), bulletin.version)

    def campaign_now(self) -> Campaign | None:
        """The one that holds here at this moment. Raises CampaignMalformed."""
        campaigns, _version = self.campaigns()
        at_s = self._station.keeper.time().at_s
        return None if campaigns is None else campaign_for(campaigns, self._station.certificate.owner, at_s)

    def usable(self, bill_satang: int) -> Usable:
        """What any wallet may use on this bill. Raises AmountNotPositive, AmountTooLong, CampaignMalformed."""
        return usable_kgo(bill_satang, self.campaign_now(), ShopHistory())

    def charge_without_wallet(self, sale: OpenSale) -> Charge:
        """The sale as it stands before a wallet is known. Raises what `sale_legs` raises, and CampaignMalformed."""
        campaigns, version = self.campaigns()
        at_s = self._station.keeper.time().at_s
        return charge_without_wallet(sale, campaigns, version, self._station.certificate.owner, at_s)

    def is_open(self, sale: OpenSale) -> bool:
        """Is this the sale that the next code pays?"""
        return self.sale is not None and self.sale.sale == sale.sale

    def is_waiting(self, sale: OpenSale) -> bool:
        """Was it charged, with no green seen?"""
        return self.waiting.named(sale.sale) is not None

    def about(self, outcome: Outcome) -> Mapping[str, object]:
        """A code that did not pay the open sale says so, with the amounts: the goods stay on the counter."""
        if outcome.light is Light.ALREADY_ACCEPTED:
            paid = self.waiting.paid_by(outcome.sequence)
            not_paid = None if paid is not None and self.is_open(paid) else self.sale
            is_waiting = paid is not None and not_paid is not None and self.is_waiting(paid)
            why = PaidWaitingSale() if is_waiting else PaidOtherSale()
            other = {} if not_paid is None else self.running.lamp.refusal_words(why)
            return other | self.worded(of_repeat(paid, not_paid, is_waiting=is_waiting))
        if outcome.is_uncharged_green and (paid := self.waiting.paid_by(outcome.sequence)) is not None:
            return self.worded(of_late_green(paid))
        if isinstance(outcome.refusal, CodeCancelled):
            return self.worded(of_repeat(None, self.sale))
        if isinstance(outcome.refusal, AmountMismatch) and self.sale is not None:
            return self.worded(of_mismatch(outcome.refusal, self.sale))
        if isinstance(outcome.refusal, SaleWaits) and self.sale is not None:
            return self.worded(of_open_sale(self.sale, is_waiting=True))
        if isinstance(outcome.refusal, TOO_MANY_KGO) and self._asked is not None:
            return of_usable(self._asked.last_usable)
        return {}

    def after(self, outcome: Outcome) -> None:
        """A code that has paid closes the sale that its voucher names and no other: a customer may return for an
        earlier one."""
        if outcome.light not in (*GREEN, Light.ALREADY_ACCEPTED) or outcome.sequence is None:
            return  # what it is about stands in the light's own line
        charge = outcome.charge
        if charge is not None and charge.kind is VoucherKind.COUPON:
            self._paid(_coupon_sale(charge), outcome.sequence)
            return
        paid = self.waiting.paid_by(outcome.sequence)
        if paid is None or (outcome.light is Light.ALREADY_ACCEPTED and not self.is_open(paid)):
            return
        self.running.lamp.say(paid_sale=paid.sale)
        self.waiting.paid(paid.sale, outcome.sequence)
        self.last_paid = paid
        if self.is_open(paid):
            self.sale = None
        self.look()
        self._paid(paid, outcome.sequence)

    def look(self) -> None:
        """A sale that waited for its customer as long as it may is charged: it is no longer open."""
        before = {sale.sale: sequence for sequence, sale in self.waiting.all()}
        for sale in self.waiting.look():
            if self.is_open(sale):
                self.sale = None
            self.running.lamp.say(**self.worded(of_charged(sale)))
            self._paid(sale, before[sale.sale])

    def cancel(self, sale: OpenSale) -> None:
        """It is open no more. One that waits is voided, durably and before it is said: nothing is charged for it.
        Raises StorageFull, StorageFailed; then it stays."""
        is_voided = self.waiting.cancel(sale.sale)
        if self.is_open(sale):
            self.sale = None
        if is_voided:
            self.running.lamp.say(**self.worded(of_cancelled(sale)))

    def worded(self, wording: Wording) -> dict[str, object]:
        """Values and sentences as a line has them."""
        values, sentences = wording
        return values | self.running.lamp.line_words(sentences)


def _coupon_sale(charge: Charge) -> OpenSale:
    """The sale that a coupon paid a part of, as its voucher names it."""
    return OpenSale(str(charge.place.get(PlaceKey.SALE, "")), 0, charge.kgo, 0)
