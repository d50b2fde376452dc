"""The till with a page: the terminal, the desk, its stores, its printer and its scanner, put together. DESIGN §3.

`kgo-pos` runs this when its settings name a port for the page, and the headless till (`shop.py`) when they do not.
Decides nothing.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from offline_ledger.errors import CommandUnknown, Refusal
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.outcome import Outcome
from offline_ledger.terminal.program import Opened
from offline_ledger.terminal.running import Running
from pos_app.behind import Behind
from pos_app.catalogue_door import WORD, CatalogueDoor
from pos_app.desk.core import DeskParts
from pos_app.desk.desk import CounterDesk
from pos_app.desk.ports import ShopWords
from pos_app.desk_parts import TillLog, TillPaper, TillPeople
from pos_app.drivers.wedge import WedgeScanner, wedge_settings
from pos_app.kgo_till import KgoTill
from pos_app.page.server import PageServer
from pos_app.paper.printing import Printing
from pos_app.sale import OpenBill, OpenSale
from pos_app.settings import printer_of
from pos_app.shift_keeper import ShiftKeeper
from pos_app.store.audit_log import AuditLog
from pos_app.store.cashiers import Cashiers
from pos_app.store.catalogue import Catalogue
from pos_app.store.print_queue import PrintQueue
from pos_app.store.sales import Sales
from pos_app.store.saver import Saver
from pos_app.store.shop_file import ShopFile

if TYPE_CHECKING:
    from offline_ledger.terminal.diagnosis import Part


class CounterTerminal:
    """One till with its page."""

    def __init__(self, opened: Opened) -> None:
        """Raises what opening the shop's file raises, and what a power cut left that cannot be put right."""
        self._opened = opened
        self._open = ExitStack()
        self._desk: CounterDesk | None = None
        self._till = KgoTill(opened, self._paid, self._open_bill)
        self._running = Running(opened, self._till.counter, self._after, self._obey, self._till.about, look=self._look)
        self._till.at_work(self._running)
        try:
            self._desk = self._set_up()
        except BaseException:
            self._open.close()
            raise

    def run(self) -> int:
        """Until told to stop."""
        assert self._desk is not None
        page = PageServer(self._desk, self._opened.number("page.port"))
        with self._open:
            page.start()
            self._open.callback(page.close)
            self._running.lamp.say(page=page.url)
            return self._running.run()

    def _set_up(self) -> CounterDesk:
        opened, station, note = self._opened, self._opened.station, self._running.note
        file = ShopFile(opened.folder / opened.text("files.shop"))
        self._open.callback(file.close)
        sales = Sales(file)
        self._sales = sales
        saver = Saver(sales.save, lambda refusal: note("shop_file", refusal))
        self._open.callback(saver.close)
        behind = Behind(lambda refusal: note("audit_log", refusal))
        self._open.callback(behind.close)
        settings = printer_of(opened.values)
        printing = Printing(PrintQueue(file, opened.clock.wall_s), settings, lambda: paper.has_changed())
        paper = TillPaper(printing, lambda refusal: note("drawer", refusal), settings)
        printing.start()
        self._open.callback(printing.close)
        self._printing = printing
        catalogue, audit = Catalogue(file), AuditLog(file)
        behind.do(catalogue.keep)
        behind.do(lambda: _prune(audit, station.keeper.time()))
        self._shifts = shifts = ShiftKeeper(station)
        log = TillLog(audit, behind, station.keeper.time, lambda *head: self._running.do(lambda: self._seal(*head)))
        log.seal("")
        parts = DeskParts(
            station=station,
            till=self._till,
            sales=sales,
            saver=saver,
            shifts=shifts,
            catalogue=catalogue,
            people=TillPeople(Cashiers(file, opened.clock.mono_ms()), opened.clock.mono_ms),
            paper=paper,
            log=log,
            words=_words(opened),
            entropy=os.urandom,
            mono_ms=opened.clock.mono_ms,
            language=opened.text("device.language"),
        )
        desk = CounterDesk(parts)
        self._running.diagnosed_by(lambda: _parts(opened, parts, printing, behind))
        door = CatalogueDoor(catalogue, audit, station.keeper.time, lambda: self._running.do(desk.goods_changed))
        self._running.answers(WORD, door.answer)
        self._running.with_goods(desk.takes)
        self._running.lights.with_screen(desk.drawn)
        wedge = wedge_settings(str(Path(opened.text("scanner.port"))) if opened.text("scanner.port") else "")
        if wedge is not None:
            scanner = WedgeScanner(wedge)
            scanner.open()
            self._running.add_device("wedge", scanner, takes_payments=True)
        return desk

    # --- on the deciding thread

    def _paid(self, sale: OpenSale, sequence: int) -> None:
        if self._desk is not None:
            self._desk.paid(sale, sequence)

    def _open_bill(self) -> OpenBill | None:
        return self._desk.open_bill() if self._desk is not None else None

    def _after(self, outcome: Outcome) -> None:
        self._till.after(outcome)

    def _look(self) -> None:
        self._till.look()
        assert self._desk is not None
        self._running.note("printer", self._printing.trouble)
        self._running.note("sales", self._sales.damage)
        try:
            self._desk.look()
        except Refusal as refusal:
            self._running.note("shop_file", refusal)

    def _seal(self, who: str, rows: int, link: bytes) -> None:
        """Only of rows that are durable: see decision 0199."""
        try:
            self._shifts.audit_head(who, rows, link)
        except Refusal as refusal:  # the next head says the same and more
            self._running.note("audit_log", refusal)

    def _obey(self, words: list[str]) -> None:
        """Sales are keyed in on the page."""
        self._running.lamp.refuse_command(CommandUnknown(), "till.page_commands", command=words[0])


def _prune(audit: AuditLog, at: TimeNow) -> None:
    """A month after the other, until none is older than it may be."""
    while audit.prune(at.at_s, at.trust):
        pass


def _parts(opened: Opened, parts: DeskParts, printing: Printing, behind: Behind) -> "list[Part]":
    """What `diagnose` tells of a till beside every terminal's."""
    from offline_ledger.terminal.diagnosis import Part, device_part

    totals = parts.shifts.totals
    found = [
        Part("page", {"url": f"http://127.0.0.1:{opened.number('page.port')}/"}),
        Part("shift", {"number": totals.number, "is_open": totals.is_open, "sales": totals.sales}),
        Part("shop_file", _shop_facts(parts)),
        device_part("audit_log", behind.health()),
    ]
    health = printing.health()
    return found if health is None else [*found, device_part("printer", health)]


def _shop_facts(parts: DeskParts) -> dict[str, object]:
    held = len(parts.sales.held())
    return {"goods": parts.catalogue.count(), "held": held, "left_out": parts.saver.left_out}


def _words(opened: Opened) -> ShopWords:
    return ShopWords(
        name=opened.text("shop.name") or opened.station.certificate.owner,
        branch=opened.text("shop.branch"),
        address=opened.text("shop.address"),
        tax_id=opened.text("shop.tax_id"),
        vat_per_mille=opened.number("shop.vat_per_mille"),
        promptpay=opened.text("shop.promptpay"),
    )
