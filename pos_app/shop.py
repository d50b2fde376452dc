"""The headless shop terminal. Codes by scanner or camera, lights as lines on standard output. DESIGN §3.

Commands on standard input: `sale BAHT KGO` opens a sale (the customer uses so many KGO), `cancel`, `sync`, `status`,
`quit`. A sale stays open until a code pays it or the cashier cancels.
"""

import os
from collections.abc import Mapping

from offline_ledger.errors import AmountMismatch, AmountTooLong, PaidOtherSale, Refusal, SaleStillOpen
from offline_ledger.money import parse_minor
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.campaign import Campaign, campaign_for, decode_campaigns
from offline_ledger.rules.sale import ShopHistory, Usable, suggest_kgo, usable_kgo
from offline_ledger.terminal import program
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.program import Opened, Program
from offline_ledger.terminal.running import GREEN, Running
from pos_app.sale import OpenSale, Till, check_usable, open_sale, sale_of
from pos_app.wording import Wording, of_mismatch, of_open_sale, of_repeat

SALE_ID_BYTES = 6
DIGITS_MAX = 10
"""On a keypad; a barcode typed into the amount has thirteen."""


class ShopTerminal:
    """One till: at most one open sale."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._station = opened.station
        self._sale: OpenSale | None = self._interrupted()
        self._running = Running(opened, self._till, self._after, self._obey, self._about)

    def run(self) -> int:
        """Until told to stop."""
        return self._running.run()

    def _interrupted(self) -> OpenSale | None:
        """The sale whose green a crash swallowed is open again: its customer is still standing there."""
        waiting = self._station.acceptor.unratified.waiting()
        return self._sale_in(waiting[-1].voucher) if waiting else None

    def _sale_in(self, voucher: bytes) -> OpenSale | None:
        signed = cose.parse_sign1(voucher, cose.external_aad(Kind.VOUCHER, self._station.certificate.city))
        return sale_of(device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX))

    def _till(self) -> Till:
        campaign, version = self._campaign()
        return Till(self._sale, campaign, version)

    def _campaign(self) -> tuple[Campaign | None, tuple[int, int]]:
        """In force here now, and its version. Raises CampaignMalformed."""
        bulletin = self._station.bulletin(BulletinKind.CAMPAIGN)
        if bulletin is None:
            return None, (0, 0)
        at_s = self._station.keeper.time().at_s
        return campaign_for(decode_campaigns(bulletin.body), self._station.certificate.owner, at_s), bulletin.version

    def _about(self, outcome: Outcome) -> Mapping[str, object]:
        """A code that did not pay the open sale says so, with the amounts: the goods stay on the counter."""
        if outcome.light is Light.ALREADY_ACCEPTED:
            row = self._station.journal.voucher_at(outcome.sequence) if outcome.sequence is not None else None
            paid = self._sale_in(row.voucher) if row is not None else None
            other = {} if self._sale is None else self._running.lamp.refusal_words(PaidOtherSale())
            return other | self._worded(of_repeat(paid, self._sale))
        if isinstance(outcome.refusal, AmountMismatch) and self._sale is not None:
            return self._worded(of_mismatch(outcome.refusal, self._sale))
        return {}

    def _worded(self, wording: Wording) -> dict[str, object]:
        values, sentences = wording
        return values | self._running.lamp.line_words(sentences)

    def _after(self, outcome: Outcome) -> None:
        """A green closes the sale that its voucher names and no other: a customer may return for an earlier one."""
        if outcome.light not in GREEN:
            return  # what it is about stands in the light's own line
        row = self._station.journal.voucher_at(outcome.sequence) if outcome.sequence is not None else None
        paid = self._sale_in(row.voucher) if row is not None else None
        if paid is None:
            return
        self._running.lamp.say(paid_sale=paid.sale)
        if self._sale is not None and self._sale.sale == paid.sale:
            self._sale = None

    def _obey(self, words: list[str]) -> None:
        if words[0] == "sale" and len(words) == 3:
            self._open(words[1], words[2])
        elif words == ["cancel"]:
            self._sale = None
            self._running.lamp.wait()
        else:
            self._running.lamp.say(unknown_command=words[0])

    def _open(self, baht: str, kgo: str) -> None:
        if self._sale is not None:
            words = self._running.lamp.refusal_words(SaleStillOpen())  # a key pressed twice opens no second sale
            self._running.lamp.say(**words, **self._worded(of_open_sale(self._sale)))
            return
        usable: Usable | None = None
        try:
            if max(len(baht.partition(".")[0]), len(kgo.partition(".")[0])) > DIGITS_MAX and (baht + kgo).isdigit():
                raise AmountTooLong(f"{baht} {kgo}"[:40])
            sale = open_sale(os.urandom(SALE_ID_BYTES).hex(), parse_minor(baht), parse_minor(kgo))
            usable = usable_kgo(sale.bill_satang, self._campaign()[0], ShopHistory())
            check_usable(sale, usable)
        except ValueError:
            self._running.lamp.say(not_an_amount=f"{baht} {kgo}")
        except Refusal as refusal:
            most = {} if usable is None else {"usable_kgo": usable.kgo_max, "suggested_kgo": suggest_kgo(usable)}
            self._running.lamp.show(Outcome(Light.REFUSED, refusal=refusal), **most)
        else:
            self._sale = sale
            self._running.lamp.say(
                sale=self._sale.sale, bill_satang=self._sale.bill_satang, chosen_kgo=self._sale.chosen_kgo
            )


def run(arguments: list[str]) -> int:
    """The program `kgo-pos`. Returns the exit code."""
    return program.main(
        Program("kgo-pos", "help.pos", DeviceRole.SHOP, lambda opened: ShopTerminal(opened).run()), arguments
    )
