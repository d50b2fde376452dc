"""The printing thread: takes receipts from the queue, brings them onto paper, opens the drawer. DESIGN §3, §6, §11.

Nobody waits for it: `add` stores and returns. A printer's trouble is told by number, and what waits is printed when it
is over, in order. Pillow, the fonts and python-escpos are loaded by this thread alone.
"""

import time
from collections.abc import Callable
from functools import partial
from threading import Condition, Thread
from typing import TYPE_CHECKING, NamedTuple

from offline_ledger.errors import (
    DeviceSupportMissing,
    PrinterFailed,
    PrinterHanging,
    PrinterNotSet,
    PrinterPaperLow,
    ReceiptNotKept,
    ReceiptUnreadable,
    Refusal,
)
from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.drivers.printer import EscposPrinter
from offline_ledger.terminal.printer_address import PrinterSettings
from pos_app.behind import work_failed
from pos_app.drivers.drawer import Drawer
from pos_app.paper.receipt import Receipt, ReceiptKind
from pos_app.store.print_queue import Counts, Job, PrintQueue

if TYPE_CHECKING:
    from pos_app.paper.raster import ReceiptPainter

AGAIN_FIRST_S, AGAIN_LAST_S = 0.5, 5.0
"""Whoever puts in paper looks at the printer meanwhile: it goes on within seconds."""
AGAIN_UNASKED_S = 60.0
"""A printer that is not asked how it is may be without paper: each try costs paper and one of few, so not often."""
IDLE_CHECK_S = 20.0
"""An empty roll is known before the next customer pays."""
CLOSE_S_MAX = 3.0
"""A receipt that is nearly done is ended; then the thread is left to itself."""
GRACE_S = 2.0
KICK_S_MAX = 2.0
"""A drawer that could not be opened by then stays shut: nobody expects it any more."""
KICKS_MAX = 4

KickDone = Callable[[Refusal | None], None]
"""Called by the printing thread: it was opened, or why not."""


class PrinterHealth(NamedTuple):
    """For `diagnose`. Times in ms, of the newest receipt; counts since the start but for those of the queue. `is_asked`
    False: `printed` counts what was sent, and nobody knows what came out."""

    address: str
    paper_mm: int
    is_asked: bool
    is_lost: bool
    trouble: Refusal | None
    waiting: int
    failed: int
    printed: int
    kicks: int
    drawn_ms: int
    printed_ms: int


class Printing:
    """One till's printer and its queue. Start it once; close it at the end."""

    def __init__(
        self, queue: PrintQueue, settings: PrinterSettings | None, on_change: Callable[[], None] | None = None
    ) -> None:
        """`settings` None: no printer; receipts are only kept. `on_change`: trouble or counts may be others now; called
        by the printing thread or by whoever adds, so it must not wait."""
        self._queue, self._settings, self._on_change = queue, settings, on_change
        self._changed = Condition()
        self._kicks: list[tuple[float, KickDone | None]] = []
        self._ends_at_s: float | None = None
        self._trouble: Refusal | None = None
        self._again = BackOff(AGAIN_FIRST_S, AGAIN_LAST_S)
        self._unasked = BackOff(AGAIN_UNASKED_S, AGAIN_UNASKED_S)
        self._checked_s = float("-inf")
        self._painter: ReceiptPainter | None = None
        self._printed = self._kicked = self._drawn_ms = self._printed_ms = 0
        self._is_changed = self._has_news = False
        self._unsettled: Callable[[], None] | None = None
        self._printer = None if settings is None else EscposPrinter(settings, self._is_over)
        self._thread = Thread(target=self._run, name="printing", daemon=True)

    def start(self) -> None:
        """Once. What the last run left is printed."""
        if self._printer is not None:
            self._thread.start()

    def add(self, receipt: Receipt) -> int:
        """The job's id; durable when it returns, printed when the printer can. Raises PrintQueueFull,
        ReceiptUnreadable, StorageFull, StorageFailed: the sale stands all the same."""
        job = self._queue.add(receipt, is_kept_only=self._printer is None)
        self._wake()
        return job

    def reprint(self, number: str, kind: ReceiptKind = ReceiptKind.SALE) -> int:
        """A copy, marked as one; for a report its kind. Raises PrinterNotSet, ReceiptNotKept, and what `add` does."""
        if self._printer is None:
            raise PrinterNotSet()
        return self.add(self._queue.find(number, kind)._replace(is_copy=True))

    def has(self, number: str, kind: ReceiptKind = ReceiptKind.SALE) -> bool:
        """Was a paper of this number ever to be printed? One that is damaged was. Kinds as `PrintQueue.find` has
        them."""
        try:
            self._queue.find(number, kind)
        except ReceiptNotKept:
            return False
        except ReceiptUnreadable:
            return True
        return True

    def drop(self, job_id: int | None = None) -> int:
        """Not to be printed any more, one or all that wait; how many that were."""
        dropped = self._queue.drop(job_id)
        self._wake()
        return dropped

    def open_drawer(self, done: KickDone | None = None) -> None:
        """Returns at once. `done` hears within KICK_S_MAX and a band's time what became of it. Raises PrinterNotSet."""
        if self._printer is None:
            raise PrinterNotSet()
        with self._changed:
            if len(self._kicks) < KICKS_MAX:
                self._kicks.append((time.monotonic() + KICK_S_MAX, done))
            self._changed.notify()

    @property
    def trouble(self) -> Refusal | None:
        """What is wrong with the printer now; PrinterPaperLow while it still prints."""
        return self._trouble

    @property
    def counts(self) -> Counts:
        """Of the queue."""
        return self._queue.counts()

    def health(self) -> PrinterHealth | None:
        """As of now; None: there is no printer."""
        settings = self._settings
        if settings is None:
            return None
        trouble, counts = self._trouble, self._queue.counts()
        if self._thread.ident is not None and not self._thread.is_alive() and self._ends_at_s is None:
            trouble = PrinterHanging("its thread has ended")
        return PrinterHealth(
            address=str(settings.address),
            paper_mm=settings.paper_mm,
            is_asked=settings.is_asked,
            is_lost=trouble is not None and not isinstance(trouble, PrinterPaperLow),
            trouble=trouble,
            waiting=counts.waiting + counts.printing,
            failed=counts.failed,
            printed=self._printed,
            kicks=self._kicked,
            drawn_ms=self._drawn_ms,
            printed_ms=self._printed_ms,
        )

    def close(self) -> None:
        """Ends the thread, within CLOSE_S_MAX. What waits is printed after the next start."""
        with self._changed:
            self._ends_at_s = time.monotonic() + GRACE_S
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S_MAX)

    # --- the printing thread

    def _run(self) -> None:
        assert self._printer is not None
        while self._ends_at_s is None:
            try:
                self._turn()
            except Refusal as refusal:
                self._lost(refusal)
            except Exception as error:  # noqa: BLE001 - whatever it was: a printer that is dead must say so
                self._lost(PrinterFailed(f"driver: {error!r}"))
            self._tell()
        self._printer.close()
        for _until_s, done in self._kicks:
            if done is not None:
                done(PrinterHanging("the program ends"))

    def _turn(self) -> None:
        """The drawer, else a receipt, else a look at the printer, else a rest. Raises what is wrong."""
        printer = self._printer
        assert printer is not None
        self._kick_all()
        left_s = max(one.left_s(time.monotonic()) for one in (self._again, self._unasked))
        if self._unsettled is not None and not left_s:
            self._settle(self._unsettled)
        job = None if left_s else self._queue.next()
        if job is not None:
            self._print(job, printer)
            return
        now_s = time.monotonic()
        is_due = now_s - self._checked_s >= (0 if self._trouble is not None else IDLE_CHECK_S)
        if not left_s and is_due:
            self._well(printer.check())
            self._checked_s = now_s
        printer.rest()
        with self._changed:
            if not self._kicks and self._ends_at_s is None and not self._has_news:
                self._changed.wait(left_s or IDLE_CHECK_S)
            self._has_news = False

    def _print(self, job: Job, printer: EscposPrinter) -> None:
        began_s = time.monotonic()
        painter = self._painter_now()
        try:
            picture = painter.draw(self._queue.receipt(job))
        except ReceiptUnreadable as refusal:
            self._failed(job, refusal)
            return
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001 - this one alone; the others behind it can be printed
            self._failed(job, ReceiptUnreadable(work_failed(error).detail))
            return
        self._drawn_ms = _ms(time.monotonic() - began_s)
        self._well(printer.check())
        self._tell()
        is_begun = False

        def begun() -> None:
            nonlocal is_begun
            if not self._queue.begin(job):
                raise _Dropped
            is_begun = True

        try:
            printer.print(picture, begun, self._kick_all)
        except _Dropped:
            return
        except Refusal as refusal:
            if is_begun:
                if not printer.settings.is_asked:
                    self._unasked.failed(time.monotonic())
                self._settle(partial(self._queue.put_back, job, refusal))
            raise
        self._settle(partial(self._queue.printed, job))
        self._printed += 1
        self._printed_ms = _ms(time.monotonic() - began_s)
        self._checked_s = time.monotonic()
        self._is_changed = True

    def _failed(self, job: Job, refusal: ReceiptUnreadable) -> None:
        self._queue.failed(job, refusal)
        self._is_changed = True

    def _settle(self, write: Callable[[], None]) -> None:
        """What became of a job that was begun; a disk that refuses is asked again before anything else is printed."""
        self._unsettled = write
        write()
        self._unsettled = None

    def _painter_now(self) -> "ReceiptPainter":
        """Raises ThaiShapingMissing, ScreenFontWrong, DeviceSupportMissing."""
        if self._painter is None:
            assert self._settings is not None
            try:
                from pos_app.paper.raster import ReceiptPainter
            except ImportError as error:
                raise DeviceSupportMissing(f"printer: {error.name}") from error
            self._painter = ReceiptPainter(self._settings.paper_mm)
        return self._painter

    def _kick_all(self) -> None:
        """Opens the drawer for whoever asked; his trouble is his alone."""
        with self._changed:
            kicks, self._kicks = self._kicks, []
        for until_s, done in kicks:
            refusal: Refusal | None = None
            try:
                if time.monotonic() > until_s:
                    raise self._trouble or PrinterHanging("the drawer was asked for too long ago")
                self._kick()
            except Refusal as raised:
                refusal = raised
            if done is not None:
                done(refusal)

    def _kick(self) -> None:
        assert self._printer is not None
        Drawer(self._printer).kick()
        self._kicked += 1

    def _well(self, trouble: Refusal | None) -> None:
        """It can print; `trouble` is PrinterPaperLow or None."""
        self._again.worked()
        self._note(trouble)

    def _lost(self, refusal: Refusal) -> None:
        assert self._printer is not None
        self._printer.close()
        self._again.failed(time.monotonic())
        self._note(refusal)

    def _note(self, trouble: Refusal | None) -> None:
        before, self._trouble = self._trouble, trouble
        if (before and before.number) != (trouble and trouble.number):
            self._is_changed = True

    def _tell(self) -> None:
        if self._is_changed:
            self._is_changed = False
            if self._on_change is not None:
                self._on_change()

    def _wake(self) -> None:
        with self._changed:
            self._has_news = True
            self._changed.notify()
        if self._on_change is not None:
            self._on_change()

    def _is_over(self) -> bool:
        return self._ends_at_s is not None and time.monotonic() > self._ends_at_s


class _Dropped(Exception):
    """The cashier dropped it while it was drawn."""


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)
