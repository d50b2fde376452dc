"""The headless shop terminal. Codes by scanner or camera, lights as lines on standard output. DESIGN §3.

Commands on standard input: `sale BAHT KGO` opens a sale (the customer uses so many KGO), `cancel`, `sync`, `status`,
`quit`. A sale stays open until a code pays it or the cashier cancels. For those that a power cut interrupted: `sales`
lists them, `open SALE`, `cancel SALE` (it is not charged), `aside` (it waits on the list).
"""

import os
from collections.abc import Callable, Mapping

from offline_ledger.errors import (
    AmountMismatch,
    AmountTooLong,
    BillBelowMinimum,
    CodeCancelled,
    CommandIncomplete,
    CommandUnknown,
    KgoAboveBillShare,
    KgoAboveDailyCap,
    KgoAboveWalletLimit,
    NoCampaign,
    NoSuchSale,
    NotAnAmount,
    NothingToCancel,
    PaidOtherSale,
    PaidWaitingSale,
    Refusal,
    SaleStillOpen,
    SaleWaits,
    StorageFailed,
    StorageFull,
)
from offline_ledger.money import parse_minor
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.campaign import Campaign, Campaigns, campaign_for, decode_campaigns
from offline_ledger.rules.sale import ShopHistory, Usable, usable_kgo
from offline_ledger.terminal import program
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.program import Opened, Program
from offline_ledger.terminal.running import GREEN, Running
from pos_app.sale import OpenSale, Till, check_usable, open_sale
from pos_app.waiting_sales import WaitingSales
from pos_app.wording import (
    Wording,
    lacks,
    of_cancelled,
    of_charged,
    of_last_paid,
    of_late_green,
    of_mismatch,
    of_open_sale,
    of_repeat,
    of_usable,
    of_waiting,
)

SALE_ID_BYTES = 6
TOO_MANY_KGO = (KgoAboveBillShare, KgoAboveDailyCap, KgoAboveWalletLimit, NoCampaign, BillBelowMinimum)
"""Refusals that name how many would do."""
DIGITS_MAX = 10
"""On a keypad; a barcode typed into the amount has thirteen."""


class ShopTerminal:
    """One till: at most one open sale, and the list of those that wait for their customers."""

    def __init__(self, opened: Opened) -> None:
        self._station = opened.station
        self._waiting = WaitingSales(opened.station)
        self._waiting.look()
        self._sale = self._waiting.newest()  # its customer is still standing there
        self._last_paid: OpenSale | None = None
        self._asked: Till | None = None
        self._running = Running(opened, self._till, self._after, self._obey, self._about, look=self._look)

    def run(self) -> int:
        """Until told to stop."""
        if self._sale is not None:
            self._list()
        return self._running.run()

    def _till(self) -> Till:
        campaigns, version = self._campaigns()
        is_charged = self._sale is not None and self._waiting.named(self._sale.sale) is not None
        owner = self._station.certificate.owner
        self._asked = Till(self._sale, campaigns, version, owner, is_charged=is_charged)
        return self._asked

    def _campaigns(self) -> tuple[Campaigns | None, tuple[int, int]]:
        """All that the bulletin in force names, and its version. Raises CampaignMalformed."""
        bulletin = self._station.bulletin(BulletinKind.CAMPAIGN)
        return (None, (0, 0)) if bulletin is None else (decode_campaigns(bulletin.body), bulletin.version)

    def _campaign_now(self) -> Campaign | None:
        campaigns, _version = self._campaigns()
        at_s = self._station.keeper.time().at_s
        return None if campaigns is None else campaign_for(campaigns, self._station.certificate.owner, at_s)

    def _about(self, outcome: Outcome) -> Mapping[str, object]:
        """A code that did not pay the open sale says so, with the amounts: the goods stay on the counter."""
        if outcome.light is Light.ALREADY_ACCEPTED:
            paid = self._waiting.paid_by(outcome.sequence)
            not_paid = None if paid is not None and self._is_open(paid) else self._sale
            is_waiting = paid is not None and not_paid is not None and self._waiting.named(paid.sale) is not None
            why = PaidWaitingSale() if is_waiting else PaidOtherSale()
            other = {} if not_paid is None else self._running.lamp.refusal_words(why)
            return other | self._worded(of_repeat(paid, not_paid, is_waiting=is_waiting))
        if outcome.is_uncharged_green and (paid := self._waiting.paid_by(outcome.sequence)) is not None:
            return self._worded(of_late_green(paid))
        if isinstance(outcome.refusal, CodeCancelled):
            return self._worded(of_repeat(None, self._sale))
        if isinstance(outcome.refusal, AmountMismatch) and self._sale is not None:
            return self._worded(of_mismatch(outcome.refusal, self._sale))
        if isinstance(outcome.refusal, SaleWaits) and self._sale is not None:
            return self._worded(of_open_sale(self._sale, is_waiting=True))
        if isinstance(outcome.refusal, TOO_MANY_KGO) and self._asked is not None:
            return of_usable(self._asked.last_usable)
        return {}

    def _is_open(self, sale: OpenSale) -> bool:
        return self._sale is not None and self._sale.sale == sale.sale

    def _worded(self, wording: Wording) -> dict[str, object]:
        values, sentences = wording
        return values | self._running.lamp.line_words(sentences)

    def _after(self, outcome: Outcome) -> None:
        """A code that has paid closes the sale that its voucher names and no other: a customer may return for an
        earlier one."""
        if outcome.light not in (*GREEN, Light.ALREADY_ACCEPTED) or outcome.sequence is None:
            return  # what it is about stands in the light's own line
        paid = self._waiting.paid_by(outcome.sequence)
        if paid is None or (outcome.light is Light.ALREADY_ACCEPTED and not self._is_open(paid)):
            return
        self._running.lamp.say(paid_sale=paid.sale)
        self._waiting.paid(paid.sale, outcome.sequence)
        self._last_paid = paid
        if self._is_open(paid):
            self._sale = None
        self._look()

    def _look(self) -> None:
        """A sale that waited for its customer as long as it may is charged: it is no longer open."""
        for sale in self._waiting.look():
            if self._is_open(sale):
                self._sale = None
            self._running.lamp.say(**self._worded(of_charged(sale)))

    def _obey(self, words: list[str]) -> None:
        match words:
            case ["sale", baht, kgo]:
                self._open(baht, kgo)
            case ["cancel"]:
                self._cancel(self._sale)
            case ["cancel", name]:
                is_open = self._sale is not None and self._sale.sale == name
                self._named(name, self._sale if is_open else self._waiting.named(name), self._cancel)
            case ["sales"]:
                self._list()
            case ["open", name]:
                self._named(name, self._waiting.named(name), self._open_again)
            case ["aside"]:
                if self._put_aside():
                    self._running.ready()
            case _:
                self._misunderstood(words)

    def _misunderstood(self, words: list[str]) -> None:
        if (sentence := lacks(words)) is None:
            self._running.lamp.refuse_command(CommandUnknown(), "till.commands", command=words[0])
        else:
            self._running.lamp.refuse_command(CommandIncomplete(), sentence, command=words[0])

    def _list(self) -> None:
        self._running.lamp.say(**self._worded(of_waiting(self._waiting.all(), self._sale)))

    def _named(self, name: str, sale: OpenSale | None, obey: Callable[[OpenSale], None]) -> None:
        if sale is None:
            self._refuse(NoSuchSale(), no_such_sale=name)
        else:
            obey(sale)

    def _cancel(self, sale: OpenSale | None) -> None:
        """Closes it; one that waits is voided, durably and before it is said: nothing is charged for it."""
        if sale is None:
            self._refuse(NothingToCancel(), **self._worded(of_last_paid(self._last_paid)))
            self._running.ready_when_unlit()
            return
        try:
            is_voided = self._waiting.cancel(sale.sale)
        except (StorageFull, StorageFailed) as refusal:
            self._running.show(Outcome(Light.OUT_OF_SERVICE, refusal=refusal), command_refused=refusal.key)
            return
        if self._is_open(sale):
            self._sale = None
        if is_voided:
            self._running.lamp.say(**self._worded(of_cancelled(sale)))
        self._running.ready()

    def _open_again(self, sale: OpenSale) -> None:
        if self._put_aside():
            self._sale = sale
            self._say_open(sale)

    def _put_aside(self) -> bool:
        """The open sale goes back to the list. False: it was never on it, and only a code or `cancel` ends it."""
        if self._sale is not None and self._waiting.named(self._sale.sale) is None:
            self._still_open(self._sale)
            return False
        self._sale = None
        return True

    def _still_open(self, sale: OpenSale) -> None:
        is_waiting = self._waiting.named(sale.sale) is not None  # a key pressed twice opens no second sale
        self._refuse(SaleStillOpen(), **self._worded(of_open_sale(sale, is_waiting=is_waiting)))

    def _refuse(self, refusal: Refusal, **more: object) -> None:
        """A command that was not obeyed, with what this till knows about it."""
        words = self._running.lamp.refusal_words(refusal)
        self._running.lamp.say(command_refused=refusal.key, **words, **more)

    def _say_open(self, sale: OpenSale) -> None:
        self._running.lamp.say(sale=sale.sale, bill_satang=sale.bill_satang, chosen_kgo=sale.chosen_kgo)

    def _open(self, baht: str, kgo: str) -> None:
        if self._sale is not None:
            self._still_open(self._sale)
            return
        usable: Usable | None = None
        try:
            if max(len(baht.partition(".")[0]), len(kgo.partition(".")[0])) > DIGITS_MAX and (baht + kgo).isdigit():
                raise AmountTooLong(f"{baht} {kgo}"[:40])
            sale = open_sale(os.urandom(SALE_ID_BYTES).hex(), parse_minor(baht), parse_minor(kgo))
            usable = usable_kgo(sale.bill_satang, self._campaign_now(), ShopHistory())
            check_usable(sale, usable)
        except ValueError:
            self._refuse(NotAnAmount(), not_an_amount=f"{baht} {kgo}")
        except Refusal as refusal:
            why = Outcome(Light.REFUSED, refusal=refusal)
            self._running.show(why, command_refused=refusal.key, **of_usable(usable))
        else:
            self._sale = sale
            self._say_open(sale)


def run(arguments: list[str]) -> int:
    """The program `kgo-pos`. Returns the exit code."""
    return program.main(
        Program("kgo-pos", "help.pos", DeviceRole.SHOP, lambda opened: ShopTerminal(opened).run()), arguments
    )
