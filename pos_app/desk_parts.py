"""People, paper and log as the desk wants them, over what the shop's file and the printer have. DESIGN §3.

Implements `desk/ports.py`. Decides nothing; what the screens ask for often is kept here, so that no drawing of a screen
waits for a disk.
"""

from collections.abc import Callable, Mapping
from threading import Lock

from offline_ledger.errors import NotNow, PrinterPaperLow, Refusal, ShopPeopleGone
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.printer_address import PrinterSettings
from pos_app.behind import Behind
from pos_app.counter.permissions import Role
from pos_app.desk.ports import Person
from pos_app.paper.printing import Printing
from pos_app.paper.receipt import Receipt, ReceiptKind
from pos_app.store.audit_log import AuditLog, Entry
from pos_app.store.cashiers import Cashier, Cashiers

Sealed = Callable[[str, int, bytes], None]
"""(who, number of the newest row, its link)"""


class TillPeople:
    """The cashiers of the shop's file, by the powered time of this boot."""

    def __init__(self, cashiers: Cashiers, mono_ms: Callable[[], int], had_people: Callable[[], bool]) -> None:
        """`had_people`: does the journal know that somebody worked here? Only asked when there is nobody."""
        self._cashiers, self._mono_ms = cashiers, mono_ms
        self._first = Lock()
        self._everyone = self._read()
        self._gone = ShopPeopleGone() if not self._everyone and had_people() else None
        now_ms = mono_ms()
        self._until_ms = {one.code: now_ms + 1_000 * cashiers.wait_s(one.code, now_ms) for one in self._everyone}

    @property
    def is_empty(self) -> bool:
        """Nobody can sign in yet, and nobody ever could."""
        return not self._everyone and self.trouble is None

    @property
    def trouble(self) -> Refusal | None:
        """Rows that are no cashiers, or none where there were some."""
        return self._cashiers.damage or self._gone

    def check_pin(self, code: str, pin: str) -> Person:
        """Raises PinWrong, PinWait, StorageFull, StorageFailed."""
        try:
            found = self._cashiers.check_pin(code, pin, self._mono_ms())
        finally:
            if any(one.code == code for one in self._everyone):
                now_ms = self._mono_ms()
                self._until_ms[code] = now_ms + 1_000 * self._cashiers.wait_s(code, now_ms)
        self._everyone = self._read()  # somebody may have been added or have left since
        return _person(found)

    def add_first(self, code: str, name: str, pin: str) -> Person:
        """Raises NotNow when another window was faster, CashierWrong, PinNotDigits, PinWeak, StorageFull,
        StorageFailed."""
        with self._first:
            if not self.is_empty:
                raise NotNow()
            made = self._cashiers.add(Cashier(code, name, Role.MANAGER), pin)
            self._everyone = self._read()
        return _person(made)

    def everyone(self) -> list[Person]:
        """Those who may sign in, as of the last time that one did."""
        return self._everyone

    def wait_s(self, code: str) -> int:
        """Whole seconds until the next try is looked at."""
        return max(0, -(-(self._until_ms.get(code, 0) - self._mono_ms()) // 1_000))

    def _read(self) -> list[Person]:
        return [_person(one) for one in self._cashiers.all() if one.is_active]


class TillPaper:
    """The printer, its queue and the drawer on it."""

    def __init__(
        self, printing: Printing, drawer: Callable[[Refusal | None], None], printer: PrinterSettings | None
    ) -> None:
        """`drawer` hears whether it opened, on the printing thread. `printer` None: there is none."""
        self._printing, self._drawer, self._printer = printing, drawer, printer
        self._waiting = 0
        self._is_stale = True

    def has_changed(self) -> None:
        """Something about it may be another now. From any thread."""
        self._is_stale = True

    def add(self, receipt: Receipt) -> None:
        """Raises PrintQueueFull, ReceiptUnreadable, StorageFull, StorageFailed."""
        self._printing.add(receipt)

    def reprint(self, number: str) -> None:
        """Raises PrinterNotSet, ReceiptNotKept, and what `add` raises."""
        self._printing.reprint(number)

    def has(self, number: str, kind: ReceiptKind = ReceiptKind.SALE) -> bool:
        """Is or was there a paper of this number?"""
        return self._printing.has(number, kind)

    def kick(self) -> None:
        """A till without a printer has its drawer's key."""
        if self._printer is not None:
            self._printing.open_drawer(self._drawer)

    def state(self) -> tuple[int, Refusal | None]:
        """How many wait, and what is wrong with the printer now."""
        if self._is_stale:
            self._is_stale = False
            counts = self._printing.counts
            self._waiting = counts.waiting + counts.printing
        return self._waiting, self._printing.trouble

    def printed(self, number: str) -> str:
        """Of the newest receipt: yes, sent (to a printer that never says whether it printed), waiting, failed or no."""
        if self._printer is None:
            return "no"
        if not self._waiting:
            return "yes" if self._printer.is_asked else "sent"
        trouble = self._printing.trouble
        return "waiting" if trouble is None or isinstance(trouble, PrinterPaperLow) else "failed"


class TillLog:
    """The audit log, written behind the cashier's back."""

    def __init__(self, log: AuditLog, behind: Behind, now: Callable[[], TimeNow], sealed: Sealed) -> None:
        """`sealed` hears of a head that is durable, on the thread that wrote it."""
        self._log, self._behind, self._now, self._sealed = log, behind, now, sealed

    def add(self, who: str, action: str, values: Mapping[str, object]) -> None:
        """One row."""
        at = self._now()
        plain = {key: value if isinstance(value, int) else str(value) for key, value in values.items()}
        self._behind.do(lambda: self._log.add(Entry(at.at_s, at.trust, who, action, plain)))

    def seal(self, who: str) -> None:
        """After all rows that were given before."""
        self._behind.do(lambda: self._sealed(who, *self._log.head()))


def _person(found: Cashier) -> Person:
    return Person(found.code, found.name, found.role)
