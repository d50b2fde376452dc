"""A shift from its float to its Z report: cash in and out, count, hand-over, reports. DESIGN §2."""

from contextlib import suppress
from typing import NamedTuple

from offline_ledger.errors import (
    AmountNotPositive,
    NotNow,
    Refusal,
    SaleNotSettled,
    ShopFileDamaged,
    StorageFailed,
    StorageFull,
)
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.limits import DAY_S
from pos_app.counter.flow import Screen
from pos_app.desk import fields as read
from pos_app.desk.core import Core
from pos_app.desk.fields import Fields
from pos_app.desk.papers import number_text, report_of, slip_of
from pos_app.desk.state import Report
from pos_app.paper.receipt import Receipt, ReceiptKind
from pos_app.store.sales import KEPT_DAYS

Z_REPORT = ReceiptKind.Z_REPORT
LOCKED = frozenset({Screen.LOCKED, Screen.FIRST_MANAGER})
GIVES_WAY = frozenset({Screen.NO_SHIFT, Screen.SHIFT, Screen.SALE, Screen.PAY})
"""To a report: no customer is looking at it, and what lies on the counter is there afterwards."""


class Unseen(NamedTuple):
    """A Z report that is on no paper, and who closed its shift."""

    report: Report
    cashier: str


class Shifts:
    """Its methods are the actions of these names; most raise StorageFull, StorageFailed."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._reopened: int | None = None
        self._is_known = False
        self._unseen: Unseen | None = None

    def open_shift(self, fields: Fields) -> None:
        """Durably open, with or without a city to tell. Raises ShiftOpen, NotAnAmount, AmountTooLong, NotNow: a Z
        report that nobody has seen is on the screen first."""
        core = self._core
        satang = read.amount(fields, "float")
        with suppress(ShopFileDamaged):
            self.catch_up(is_asked=True)
        if core.state.screen is Screen.REPORT:
            raise NotNow("a report")
        core.parts.shifts.open(core.who, satang)
        at = core.now()
        if at.trust > ClockTrust.FLOOR:  # one that is only a floor may have been set forward
            with suppress(StorageFull, StorageFailed, ShopFileDamaged):  # the shift is open
                core.parts.sales.forget_before(at.at_s - KEPT_DAYS * DAY_S)
        core.log("open_shift", shift=core.parts.shifts.totals.number, satang=satang)
        core.seal_log()
        self._show(self._counter())

    def shift(self, _fields: Fields) -> None:
        """How it stands."""
        self._show(Screen.SHIFT)

    def cash_in(self, fields: Fields) -> None:
        """Raises ShiftShut, AmountNotPositive, NotAnAmount."""
        satang, why = _amount(fields), read.text(fields, "reason")
        self._core.parts.shifts.cash_in(self._core.who, satang, why)
        self._moved(ReceiptKind.CASH_IN, "cash_in", satang, why)

    def cash_out(self, fields: Fields) -> None:
        """Raises ShiftShut, AmountNotPositive, CashNotInDrawer, NotAnAmount."""
        satang, why = _amount(fields), read.text(fields, "reason")
        self._core.parts.shifts.cash_out(self._core.who, satang, why)
        self._moved(ReceiptKind.CASH_OUT, "cash_out", satang, why)

    def count(self, fields: Fields) -> None:
        """What is in the drawer. Raises ShiftShut, NotAnAmount."""
        core = self._core
        satang = read.amount(fields, "amount")
        core.parts.shifts.counted(core.who, satang)
        core.log("count", satang=satang, expected=core.parts.shifts.totals.expected_satang)
        self._show(Screen.SHIFT)

    def handover(self, _fields: Fields) -> None:
        """The next cashier signs in, and takes the shift over. Raises SaleNotSettled."""
        core = self._core
        if core.state.sale.basket.lines:
            raise SaleNotSettled("the counter is not empty")
        core.put(core.state._replace(screen=Screen.LOCKED, cashier=None, behind_lock=Screen.SALE, handed_from=core.who))

    def handed_over(self, handed_from: str, to: str) -> None:
        """The drawer goes on as it was counted, or as it should be."""
        core = self._core
        totals = core.parts.shifts.totals
        satang = totals.counted_satang if totals.counted_satang >= 0 else max(0, totals.expected_satang)
        core.parts.shifts.counted(handed_from, satang, handed_to=to)
        core.log("handover", before=handed_from, satang=satang)
        core.seal_log()

    def drawer(self, _fields: Fields) -> None:
        """Opened without a sale."""
        core = self._core
        core.parts.shifts.drawer_opened(core.who, "")
        core.log("drawer")
        core.parts.paper.kick()
        core.changed()

    def x_report(self, _fields: Fields) -> None:
        """The sums so far."""
        core = self._core
        core.log("x_report")
        core.seal_log()
        self._report(Report(core.parts.shifts.totals, False, core.now().at_s))

    def close_shift(self, _fields: Fields) -> None:
        """The Z report. Unsent vouchers and a short drawer close too; a sale on the counter does not. Raises ShiftShut,
        SaleNotSettled."""
        core = self._core
        if core.state.sale.basket.lines:
            raise SaleNotSettled("the counter is not empty")
        totals = core.parts.shifts.close(core.who)
        core.log("close_shift", shift=totals.number, satang=totals.bill_satang, counted=totals.counted_satang)
        core.seal_log()
        report = Report(totals, True, core.now().at_s)
        self._report(report)
        self._print(report)
        self._z_made()

    def print(self, _fields: Fields) -> None:
        """The report on the screen, or the receipt of the sale just closed once more."""
        core = self._core
        if core.state.report is not None and core.state.screen is Screen.REPORT:
            self._print(core.state.report)

    def catch_up(self, *, is_asked: bool = False) -> None:
        """After a start or a disk error: a shift that is closed after all, and whose Z report nobody has seen, has it
        on the screen as soon as no customer waits, and then on paper. `is_asked`: somebody signs in or opens the next
        shift; what the disk could not tell before is asked again. Raises StorageFailed, JournalDamaged,
        ShopFileDamaged."""
        reopened = self._core.parts.station.journal.reopened
        if self._reopened != reopened or (is_asked and not self._is_known):
            self._reopened, self._is_known = reopened, False
            self._unseen = self._find_unseen()
            self._is_known = True
        unseen, state = self._unseen, self._core.state
        if unseen is None:
            return
        about = {"report": unseen.report, "totals": unseen.report.totals}
        if state.screen in LOCKED:
            if state.behind_lock is not Screen.REPORT or state.report is not unseen.report:
                self._core.put(state._replace(behind_lock=Screen.REPORT, **about))
        elif state.screen in GIVES_WAY and state.pending is None:
            self._core.put(state._replace(screen=Screen.REPORT, **about))
            self.seen()

    def seen(self) -> None:
        """Whoever has signed in looks at what stood behind the lock."""
        unseen, state = self._unseen, self._core.state
        if unseen is not None and state.screen is Screen.REPORT and state.report is unseen.report:
            self._unseen = None
            self._print(unseen.report, unseen.cashier)
            self._z_made()
            self._core.log("printed_late", shift=unseen.report.totals.number)

    # --- inside

    def _find_unseen(self) -> Unseen | None:
        parts = self._core.parts
        parts.shifts.take_in()
        totals = parts.shifts.totals
        if totals.is_open or not totals.number or parts.shifts.has_z:
            return None
        if parts.paper.has(number_text(totals.number), Z_REPORT):
            return None
        closing = parts.shifts.closing()
        return None if closing is None else Unseen(Report(totals, True, closing.at_s), closing.cashier)

    def _z_made(self) -> None:
        """What the disk refuses now is no trouble of the shift, which is closed; its paper tells as much."""
        with suppress(StorageFull, StorageFailed):
            self._core.parts.shifts.z_made()

    def _counter(self) -> Screen:
        """Where the sale stands that a shift was closed under; an empty counter else."""
        state = self._core.state
        sale = state.sale
        if sale.basket.lines and self._core.parts.till.sale is not None:
            return Screen.WAIT_KGO
        if state.promptpay_qr:
            return Screen.PROMPTPAY
        return Screen.PAY if sale.tenders else Screen.SALE

    def _show(self, screen: Screen) -> None:
        core = self._core
        core.put(core.state._replace(screen=screen, totals=core.parts.shifts.totals, notice=None, done=None))

    def _report(self, report: Report) -> None:
        core = self._core
        core.put(core.state._replace(screen=Screen.REPORT, report=report, totals=core.parts.shifts.totals))

    def _moved(self, kind: ReceiptKind, action: str, satang: int, why: str) -> None:
        core = self._core
        core.log(action, satang=satang, why=why)
        self._show(Screen.SHIFT)
        core.parts.paper.kick()
        self._paper(slip_of(core, kind, satang, why))

    def _print(self, report: Report, cashier: str = "") -> None:
        """`cashier`: who closed the shift, where it is nobody who is at the till now."""
        core = self._core
        waiting = core.parts.station.journal.pending_summary()[0]
        made = report_of(core, report.totals, report.at_s, waiting, is_z=report.is_z)
        self._paper(made._replace(cashier=cashier or made.cashier))

    def _paper(self, receipt: Receipt) -> None:
        try:
            self._core.parts.paper.add(receipt)
        except Refusal as refusal:
            self._core.put(self._core.state._replace(notice=refusal), counts=False)


def _amount(fields: Fields) -> int:
    satang = read.amount(fields, "amount")
    if not satang:
        raise AmountNotPositive("0")
    return satang
