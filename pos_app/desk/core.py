"""What every part of the desk shares: its state, who is there, and word to whoever looks at it. DESIGN §3.

The state is replaced as a whole and on the deciding thread alone; any thread may read it and wait for the next one.
Decides nothing about sales.
"""

from collections.abc import Callable
from copy import copy
from threading import Condition
from typing import NamedTuple

from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.ports import Entropy
from offline_ledger.terminal.running import Running
from offline_ledger.terminal.station import Station
from pos_app.counter.basket import check_payable, vat_satang
from pos_app.counter.flow import Screen
from pos_app.counter.sale_record import SaleRecord
from pos_app.desk.ports import Log, Paper, People, Person, ShopWords
from pos_app.desk.state import DeskState
from pos_app.kgo_till import KgoTill
from pos_app.shift_keeper import ShiftKeeper
from pos_app.store.catalogue import Catalogue
from pos_app.store.goods import Category, Item
from pos_app.store.sales import Sales
from pos_app.store.saver import Saver

SALE_ID_BYTES = 6
GOODS_MAX = 60
"""Of one shelf on the screen; more are found by searching."""


class DeskParts(NamedTuple):
    """All that a desk works with; each is opened where the program is put together."""

    station: Station
    till: KgoTill
    sales: Sales
    saver: Saver
    shifts: ShiftKeeper
    catalogue: Catalogue
    people: People
    paper: Paper
    log: Log
    words: ShopWords
    entropy: Entropy
    mono_ms: Callable[[], int]
    language: str


OTHER_GOODS = Category("", "")
"""The shelf of what has no category, behind those that have one."""


class Shelves(NamedTuple):
    """The shelves of the catalogue, and what lies on the one that is shown."""

    categories: tuple[Category, ...] = ()
    chosen: str = ""
    goods: tuple[Item, ...] = ()


class Core:
    """One desk's."""

    def __init__(self, parts: DeskParts) -> None:
        self.parts = parts
        screen = Screen.FIRST_MANAGER if parts.people.is_empty else Screen.LOCKED
        self.state = DeskState(
            screen, parts.language, self.new_sale(), parts.shifts.totals, notice=parts.people.trouble
        )
        self.revision = 1
        self.counts_since = 1
        """The revision that last changed goods or money: a press on an older picture is not meant for this one."""
        self.held_count = 0
        """How many sales are put aside."""
        self.shelves = Shelves()
        self._changed = Condition()

    def show_shelf(self, category: str | None = None) -> None:
        """These goods stand on the screen; of no category, or one that is none any more: the first. They are read now,
        so that no drawing of a screen waits for a disk."""
        catalogue = self.parts.catalogue
        categories = tuple(catalogue.categories())
        if categories and catalogue.in_category("", 1):
            categories = (*categories, OTHER_GOODS)
        names = [one.name_th for one in categories]
        chosen = category if category is not None and category in names else next(iter(names), "")
        self.shelves = Shelves(categories, chosen, tuple(catalogue.in_category(chosen, GOODS_MAX)))
        self.put(self.state, counts=False)

    @property
    def running(self) -> Running:
        """The terminal at work."""
        return self.parts.till.running

    def put(self, state: DeskState, *, counts: bool = True) -> None:
        """The desk is so from now on. `counts`: goods, money or the screen have changed."""
        with self._changed:
            self.state = state
            self.revision += 1
            if counts:
                self.counts_since = self.revision
            self._changed.notify_all()

    def show(self, screen: Screen, **more: object) -> None:
        """This screen, or behind the lock while nobody is signed in: a customer's code may pay then too."""
        at = "behind_lock" if self.state.screen in (Screen.LOCKED, Screen.FIRST_MANAGER) else "screen"
        self.put(self.state._replace(**{at: screen}, **more))

    def changed(self) -> None:
        """Something that the screens show is another, though the desk is the same. From any thread."""
        with self._changed:
            self.revision += 1
            self._changed.notify_all()

    def wait_changed(self, after: int, timeout_s: float) -> int:
        """The newest revision; at once when it is not `after`."""
        with self._changed:
            self._changed.wait_for(lambda: self.revision != after, timeout_s)
            return self.revision

    def frozen(self) -> "Core":
        """As it is at this moment: a screen is drawn on another thread, while the next press may change the state."""
        return copy(self)

    def now(self) -> TimeNow:
        """The terminal's time."""
        return self.parts.station.keeper.time()

    @property
    def person(self) -> Person:
        """Who is at the till; there is somebody on every screen that sells."""
        assert self.state.cashier is not None
        return self.state.cashier

    @property
    def who(self) -> str:
        """The code of who is at the till; empty for nobody."""
        return self.state.cashier.code if self.state.cashier is not None else ""

    def log(self, action: str, **values: object) -> None:
        """What was done, for the audit log."""
        self.parts.log.add(self.who, action, values)

    def seal_log(self) -> None:
        """What was done until now stands in the signed journal, in one link."""
        self.parts.log.seal(self.who)

    def new_sale(self) -> SaleRecord:
        """Nothing in it yet."""
        return SaleRecord(self.parts.entropy(SALE_ID_BYTES).hex(), at_s=self.now().at_s)

    def keep(self, sale: SaleRecord, **more: object) -> None:
        """The sale on the counter is so from now on, and is written when the disk has time."""
        self.put(self.state._replace(sale=sale, **more))
        self.parts.saver.later(sale)

    def payable(self) -> SaleRecord:
        """The sale on the counter as it is about to be paid: by whom, in which shift, with its tax. Raises BasketEmpty,
        AmountNotPositive."""
        sale = self.state.sale
        check_payable(sale.basket)
        vat = vat_satang(sale.basket, self.parts.words.vat_per_mille)
        totals = self.parts.shifts.totals
        return sale._replace(cashier=self.who, shift=totals.number, vat_satang=vat, at_s=self.now().at_s)
