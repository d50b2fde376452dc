"""`kgo-pos`: the headless shop terminal. Codes by scanner or camera, lights as lines on standard output. DESIGN §3.

Commands on standard input: `sale BAHT KGO` opens a sale (the customer uses so many KGO), `cancel`, `sync`, `status`,
`quit`. A sale stays open until a code pays it or the cashier cancels.
"""

import os
import sys

from offline_ledger.errors import Refusal
from offline_ledger.money import parse_minor
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.campaign import Campaign, campaign_for, decode_campaigns
from offline_ledger.terminal import program
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.program import Opened, Program
from offline_ledger.terminal.running import GREEN, Running
from pos_app.sale import OpenSale, Till, open_sale, sale_of

SALE_ID_BYTES = 6


class ShopTerminal:
    """One till: at most one open sale."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._station = opened.station
        self._sale: OpenSale | None = self._interrupted()
        self._running = Running(opened, self._till, self._after, self._obey)

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
        bulletin = self._station.bulletin(BulletinKind.CAMPAIGN)
        campaign: Campaign | None = None
        if bulletin is not None:
            at_s = self._station.keeper.time().at_s
            campaign = campaign_for(decode_campaigns(bulletin.body), self._station.certificate.owner, at_s)
        return Till(self._sale, campaign, bulletin.version if bulletin is not None else (0, 0))

    def _after(self, outcome: Outcome) -> None:
        """A green closes the sale that its voucher names and no other: a customer may return for an earlier one."""
        row = self._station.journal.voucher_at(outcome.sequence) if outcome.sequence is not None else None
        paid = self._sale_in(row.voucher) if row is not None else None
        if paid is None:
            return
        self._running.lamp.say(paid_sale=paid.sale)
        if outcome.light in GREEN and self._sale is not None and self._sale.sale == paid.sale:
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
            self._running.lamp.say(sale_open=self._sale.sale)  # a key pressed twice opens no second sale
            return
        try:
            self._sale = open_sale(os.urandom(SALE_ID_BYTES).hex(), parse_minor(baht), parse_minor(kgo))
        except ValueError:
            self._running.lamp.say(not_an_amount=f"{baht} {kgo}")
        except Refusal as refusal:
            self._running.lamp.show(Outcome(Light.REFUSED, refusal=refusal))
        else:
            self._running.lamp.say(
                sale=self._sale.sale, bill_satang=self._sale.bill_satang, chosen_kgo=self._sale.chosen_kgo
            )


def main() -> int:
    """Entry point of `kgo-pos`."""
    about = "Shop terminal without a screen (keys and codes in, lights out as JSON lines)."
    return program.main(
        Program("kgo-pos", about, DeviceRole.SHOP, lambda opened: ShopTerminal(opened).run()), sys.argv[1:]
    )


if __name__ == "__main__":
    sys.exit(main())
