"""The headless shop terminal. Codes by scanner or camera, lights as lines on standard output. DESIGN §3.

Commands on standard input: `sale BAHT KGO` opens a sale (the customer uses so many KGO), `cancel`, `sync`, `status`,
`quit`. A sale stays open until a code pays it or the cashier cancels. For those that a power cut interrupted: `sales`
lists them, `open SALE`, `cancel SALE` (it is not charged), `aside` (it waits on the list).
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from offline_ledger.errors import (
    AmountTooLong,
    CommandIncomplete,
    CommandUnknown,
    NoSuchSale,
    NotAnAmount,
    NothingToCancel,
    PagePortTaken,
    Refusal,
    SaleStillOpen,
    StorageFailed,
    StorageFull,
)
from offline_ledger.money import parse_minor
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.sale import Usable
from offline_ledger.rules.training import is_training_city
from offline_ledger.terminal import program
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.program import Opened, Place, Program
from offline_ledger.terminal.running import Running
from pos_app.kgo_till import KgoTill
from pos_app.sale import OpenSale, check_usable, open_sale
from pos_app.settings import SETTINGS
from pos_app.wording import lacks, of_last_paid, of_open_sale, of_usable, of_waiting

if TYPE_CHECKING:
    from offline_ledger.terminal.commands import OwnCommand

SALE_ID_BYTES = 6
DIGITS_MAX = 10
"""On a keypad; a barcode typed into the amount has thirteen."""


class ShopTerminal:
    """One till: at most one open sale, and the list of those that wait for their customers."""

    def __init__(self, opened: Opened) -> None:
        self._till = till = KgoTill(opened)
        self._running = Running(opened, till.counter, till.after, self._obey, till.about, look=till.look)
        self._running.open_while(lambda: "a sale is open" if till.sale is not None else "")
        till.at_work(self._running)

    def run(self) -> int:
        """Until told to stop."""
        if self._till.sale is not None:
            self._list()
        return self._running.run()

    def _obey(self, words: list[str]) -> None:
        match words:
            case ["sale", baht, kgo]:
                self._open(baht, kgo)
            case ["cancel"]:
                self._cancel(self._till.sale)
            case ["cancel", name]:
                is_open = self._till.sale is not None and self._till.sale.sale == name
                self._named(name, self._till.sale if is_open else self._till.waiting.named(name), self._cancel)
            case ["sales"]:
                self._list()
            case ["open", name]:
                self._named(name, self._till.waiting.named(name), self._open_again)
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
        self._running.lamp.say(**self._till.worded(of_waiting(self._till.waiting.all(), self._till.sale)))

    def _named(self, name: str, sale: OpenSale | None, obey: Callable[[OpenSale], None]) -> None:
        if sale is None:
            self._refuse(NoSuchSale(), no_such_sale=name)
        else:
            obey(sale)

    def _cancel(self, sale: OpenSale | None) -> None:
        """Closes it; one that waits is voided, durably and before it is said: nothing is charged for it."""
        if sale is None:
            self._refuse(NothingToCancel(), **self._till.worded(of_last_paid(self._till.last_paid)))
            self._running.ready_when_unlit()
            return
        try:
            self._till.cancel(sale)
        except (StorageFull, StorageFailed) as refusal:
            self._running.show(Outcome(Light.OUT_OF_SERVICE, refusal=refusal), command_refused=refusal.key)
            return
        self._running.ready()

    def _open_again(self, sale: OpenSale) -> None:
        if self._put_aside():
            self._till.sale = sale
            self._say_open(sale)

    def _put_aside(self) -> bool:
        """The open sale goes back to the list. False: it was never on it, and only a code or `cancel` ends it."""
        if self._till.sale is not None and self._till.waiting.named(self._till.sale.sale) is None:
            self._still_open(self._till.sale)
            return False
        self._till.sale = None
        return True

    def _still_open(self, sale: OpenSale) -> None:
        is_waiting = self._till.waiting.named(sale.sale) is not None  # a key pressed twice opens no second sale
        self._refuse(SaleStillOpen(), **self._till.worded(of_open_sale(sale, is_waiting=is_waiting)))

    def _refuse(self, refusal: Refusal, **more: object) -> None:
        """A command that was not obeyed, with what this till knows about it."""
        words = self._running.lamp.refusal_words(refusal)
        self._running.lamp.say(command_refused=refusal.key, **words, **more)

    def _say_open(self, sale: OpenSale) -> None:
        self._running.lamp.say(sale=sale.sale, bill_satang=sale.bill_satang, chosen_kgo=sale.chosen_kgo)

    def _open(self, baht: str, kgo: str) -> None:
        if self._till.sale is not None:
            self._still_open(self._till.sale)
            return
        usable: Usable | None = None
        try:
            if max(len(baht.partition(".")[0]), len(kgo.partition(".")[0])) > DIGITS_MAX and (baht + kgo).isdigit():
                raise AmountTooLong(f"{baht} {kgo}"[:40])
            sale = open_sale(os.urandom(SALE_ID_BYTES).hex(), parse_minor(baht), parse_minor(kgo))
            usable = self._till.usable(sale.bill_satang)
            check_usable(sale, usable)
        except ValueError:
            self._refuse(NotAnAmount(), not_an_amount=f"{baht} {kgo}")
        except Refusal as refusal:
            why = Outcome(Light.REFUSED, refusal=refusal)
            self._running.show(why, command_refused=refusal.key, **of_usable(usable))
        else:
            self._till.sale = sale
            self._say_open(sale)


def run(arguments: list[str]) -> int:
    """The program `kgo-pos`. Returns the exit code."""
    about = Program("kgo-pos", "help.pos", DeviceRole.SHOP, _run, SETTINGS, _own_commands, _show_closed)
    return program.main(about, arguments)


def _run(opened: Opened) -> int:
    if not opened.number("page.port"):
        return ShopTerminal(opened).run()
    from pos_app.counter_terminal import CounterTerminal  # a headless till starts without a web server

    try:
        terminal = CounterTerminal(opened)
    except Refusal as refusal:
        if not refusal.waiting_helps:
            _show_closed(opened, refusal)
        raise
    return terminal.run()


def _show_closed(place: Place | Opened, refusal: Refusal) -> None:
    """A screen that stays black tells nobody what to do."""
    if not place.number("page.port"):
        return
    from offline_ledger.terminal.headless import LineLamp
    from offline_ledger.terminal.service_manager import manager_of_this_process
    from pos_app.page.closed import show_closed

    LineLamp(is_training=is_training_city(place.text("device.city"))).trouble("start", refusal)
    with suppress(PagePortTaken):  # then that page tells
        show_closed(refusal, place.text("device.language"), place.number("page.port"), manager_of_this_process())


def _own_commands() -> "tuple[OwnCommand, ...]":
    from pos_app import goods_commands, people_commands, self_test

    return *goods_commands.own_commands(), *people_commands.own_commands(), *self_test.own_commands()
