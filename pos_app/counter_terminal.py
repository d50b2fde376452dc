"""The till with a page: the terminal, the desk, its stores, its printer and its scanner, put together. DESIGN §3.

`kgo-pos` runs this when its settings name a port for the page, and the headless till (`shop.py`) when they do not.
Decides nothing.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from offline_ledger.errors import AuditLogRewritten, CommandUnknown, Refusal
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
from pos_app.store.audit_heads import check_heads, heads_in
from pos_app.store.audit_log import AuditLog
from pos_app.store.cashiers import Cashiers
from pos_app.store.catalogue import Catalogue
from pos_app.store.print_queue import PrintQueue
from pos_app.store.sales import Sales
from pos_app.store.saver import Saver
from pos_app.store.shop_file import ShopFile

if TYPE_CHECKING:
    from offline_ledger.terminal.diagnosis import Part

EVENTS_BESIDE_SALES = 100
"""Of the journal, read at one time while it may be wanted for a voucher: some milliseconds."""


class CounterTerminal:
    """One till with its page."""

    def __init__(self, opened: Opened) -> None:
        """Raises what opening the shop's file raises, and what a power cut left that cannot be put right."""
        self._opened = opened
        self._open = ExitStack()
        self._desk: CounterDesk | None = None
        self._rewritten: AuditLogRewritten | None = None
        """It stands until the journal has no head any more that the log does not know."""
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
        behind = Behind(lambda refusal: note("audit_log", refusal or self._rewritten))
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
        behind.do(lambda: self._hold_to_journal(audit))
        self._people = TillPeople(Cashiers(file, opened.clock.mono_ms()), opened.clock.mono_ms, self._had_people)
        log = TillLog(audit, behind, station.keeper.time, lambda *head: self._running.do(lambda: self._seal(*head)))
        log.seal("")
        parts = DeskParts(
            station=station,
            till=self._till,
            sales=sales,
            saver=saver,
            shifts=shifts,
            catalogue=catalogue,
            people=self._people,
            paper=paper,
            log=log,
            words=_words(opened),
            entropy=os.urandom,
            mono_ms=opened.clock.mono_ms,
            language=opened.text("device.language"),
        )
        desk = CounterDesk(parts)
        self._running.diagnosed_by(lambda: _parts(opened, parts, printing, behind))
        door = CatalogueDoor(catalogue, audit, station.keeper.time, lambda: self._running.do(self._goods_changed))
        self._running.answers(WORD, door.answer)
        self._running.with_goods(desk.takes)
        self._running.open_while(self._open_thing)
        self._running.lights.with_screen(desk.drawn)
        wedge = wedge_settings(str(Path(opened.text("scanner.port"))) if opened.text("scanner.port") else "")
        if wedge is not None:
            scanner = WedgeScanner(wedge)
            scanner.open()
            self._running.add_device("wedge", scanner, takes_payments=True)
        return desk

    def _had_people(self) -> bool:
        """Before anybody is asked for anything: a shift was open here, or rows of the audit log were signed for."""
        return self._shifts.totals.number > 0 or any(head.rows for head in heads_in(self._opened.station.journal))

    def _hold_to_journal(self, audit: AuditLog) -> None:
        """On the thread behind, in short stretches: a sale waits for each."""
        station = self._opened.station
        try:
            check_heads(audit, heads_in(station.journal, EVENTS_BESIDE_SALES), station.keeper.time().at_s)
        except AuditLogRewritten as refusal:
            self._rewritten = refusal

    # --- on the deciding thread

    def _open_thing(self) -> str:
        assert self._desk is not None
        counts = self._printing.counts
        papers = counts.waiting + counts.printing if self._opened.text("printer.address") else 0
        return self._desk.open_thing(papers, self._printing.trouble)

    def _goods_changed(self) -> None:
        assert self._desk is not None
        try:
            self._desk.goods_changed()
        except Refusal as refusal:
            self._running.note("shop_file", refusal)

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
        self._running.note("people", self._people.trouble)
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
        if words == ["identify"] and self._desk is not None:
            self._desk.call()
            self._running.lamp.say(identify=True)
            return
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
        _asked("shop_file", lambda: _shop_facts(parts)),
        device_part("audit_log", behind.health()),
    ]
    if not opened.text("printer.address"):
        return found
    return [*found, _asked("printer", lambda: device_part("", printing.health()).facts)]


def _asked(name: str, facts: "Callable[[], Mapping[str, object]]") -> "Part":
    """A part whose figures are in the shop's file: one that is damaged is this part's trouble, and ends nothing."""
    from offline_ledger.terminal.diagnosis import Part

    try:
        return Part(name, facts())
    except Refusal as refusal:
        return Part(name, {}, (refusal,))


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
