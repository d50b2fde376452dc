"""The printing thread on simulated printers: nobody waits for it, every trouble is told, nothing is lost or printed
unmarked twice, also when the program is killed while it prints."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from offline_ledger.errors import (
    PrinterAbsent,
    PrinterCoverOpen,
    PrinterGarbled,
    PrinterHanging,
    PrinterNoPaper,
    PrinterNotSet,
    PrinterPaperLow,
    PrintQueueFull,
    ReceiptNotKept,
    Refusal,
    StorageFailed,
)
from offline_ledger.terminal.printer_address import printer_settings
from offline_ledger.texts import Texts
from pos_app.paper.printing import Printing
from pos_app.paper.raster import ReceiptPainter
from pos_app.paper.receipt import Language, Receipt, ReceiptKind, encode_receipt
from pos_app.store import print_queue
from pos_app.store.print_queue import Counts, Job, JobState, PrintQueue
from pos_app.store.shop_file import ShopFile
from simulators.printer.device import Fault, Pulse, SimulatedPrinter
from simulators.printer.lines import NetworkPrinter
from simulators.printer.samples import long_sale, refund, sale, z_report

AT_S = 1_795_312_345
DEADLINE_S = 10.0
NOBODY_WAITS_S = 0.25
ROUNDS_MORE = 2
KNOWN_WITHIN_S = 2.0


def until(is_so: Callable[[], object], deadline_s: float = DEADLINE_S) -> float:
    """Waits for it; how long that took."""
    began_s = time.monotonic()
    while not is_so():
        assert time.monotonic() - began_s < deadline_s, "it did not happen"
        time.sleep(0.005)
    return time.monotonic() - began_s


class Shop:
    """A printer, the shop's file, its queue and the thread between them."""

    def __init__(self, folder: Path) -> None:
        self.desk = NetworkPrinter(SimulatedPrinter())
        self.file = ShopFile(folder / "shop.db")
        self.queue = PrintQueue(self.file, lambda: AT_S)
        self.changes = 0
        self.printing = Printing(self.queue, printer_settings(self.desk.address), self._changed)

    def _changed(self) -> None:
        self.changes += 1

    @property
    def printer(self) -> SimulatedPrinter:
        return self.desk.printer

    def all_printed(self) -> bool:
        return self.printing.counts == Counts(0, 0, 0)

    def close(self) -> None:
        self.printing.close()
        self.desk.close()
        self.file.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    made.printing.start()
    yield made
    made.close()


@cache
def painter() -> ReceiptPainter:
    return ReceiptPainter(80)


@cache
def drawn(receipt: Receipt) -> bytes:
    return painter().draw(receipt).tobytes()


def has_on_it(sheet: Image.Image, receipt: Receipt) -> bool:
    return drawn(receipt) in sheet.tobytes()


def test_receipts_come_out_in_order_as_they_were_drawn(shop: Shop) -> None:
    receipts = [sale(Language.TH), refund(), z_report(Language.EN), long_sale(60)]
    for receipt in receipts:
        shop.printing.add(receipt)
    until(lambda: shop.printer.sheets_cut == len(receipts))
    for sheet, receipt in zip(shop.printer.sheets, receipts, strict=True):
        assert has_on_it(sheet, receipt)
        codes = [code.text for code in zxingcpp.read_barcodes(sheet.convert("L"))]
        assert codes == ([] if receipt.voucher is None else [receipt.voucher])
    until(shop.all_printed)
    health = shop.printing.health()
    assert health is not None and health.trouble is None and not health.is_lost
    assert (health.printed, health.waiting, health.failed, health.paper_mm) == (4, 0, 0, 80)
    assert shop.printer.unknown == [] and shop.changes >= 4


TROUBLES: list[tuple[Fault, type[Refusal]]] = [
    (Fault.NO_PAPER, PrinterNoPaper),
    (Fault.COVER_OPEN, PrinterCoverOpen),
    (Fault.HANG, PrinterHanging),
    (Fault.GARBAGE_STATUS, PrinterGarbled),
    (Fault.HANG_MID_PRINT_ONCE, PrinterHanging),
    (Fault.NO_PAPER_MID_PRINT_ONCE, PrinterNoPaper),
]


@pytest.mark.parametrize(("fault", "kind"), TROUBLES)
def test_the_sale_never_waits_and_the_trouble_is_told_within_2_s(shop: Shop, fault: Fault, kind: type[Refusal]) -> None:
    """One stall may be the machine's, which does other things too; a second one in three rounds is the printer's."""
    shop.printing.add(z_report())
    until(lambda: shop.printer.sheets_cut == 1)
    took_s = [two_sales_in_trouble(shop, fault, kind)]
    if took_s[0] >= NOBODY_WAITS_S:
        took_s += [two_sales_in_trouble(shop, fault, kind) for _ in range(ROUNDS_MORE)]
        assert max(took_s[1:]) < NOBODY_WAITS_S, took_s


def two_sales_in_trouble(shop: Shop, fault: Fault, kind: type[Refusal]) -> float:
    """One that finds it, one that meets it, and both printed once it is over; how long the slower one took, seconds."""
    cut = shop.printer.sheets_cut
    shop.desk.fault(fault)
    began_s = time.monotonic()
    shop.printing.add(sale())
    took_s = time.monotonic() - began_s
    until(lambda: shop.printing.trouble, KNOWN_WITHIN_S)
    began_s = time.monotonic()
    shop.printing.add(refund())  # the next customer's
    took_s = max(took_s, time.monotonic() - began_s)
    trouble = shop.printing.trouble
    assert trouble is not None and type(trouble) is kind
    assert all(Texts(language).title(trouble) and Texts(language).remedy(trouble) for language in ("th", "en"))
    health = shop.printing.health()
    assert health is not None and health.is_lost and health.waiting == 2
    if fault in (Fault.HANG, Fault.HANG_MID_PRINT_ONCE):
        shop.desk.switch_off_and_on()
    shop.desk.well()
    until(lambda: shop.printer.sheets_cut == cut + 2)
    until(shop.all_printed)
    is_half_printed = fault in (Fault.HANG_MID_PRINT_ONCE, Fault.NO_PAPER_MID_PRINT_ONCE)
    assert has_on_it(shop.printer.sheets[-2], sale()._replace(is_doubtful=is_half_printed))
    assert has_on_it(shop.printer.sheets[-1], refund())
    assert shop.printing.trouble is None
    return took_s


def test_paper_near_its_end_is_a_trouble_that_prints(shop: Shop) -> None:
    shop.desk.fault(Fault.PAPER_NEAR_END)
    shop.printing.add(sale())
    until(lambda: shop.printer.sheets_cut == 1)
    assert isinstance(shop.printing.trouble, PrinterPaperLow)
    health = shop.printing.health()
    assert health is not None and not health.is_lost


def test_unplugged_and_put_back_it_goes_on_by_itself(shop: Shop) -> None:
    shop.desk.unplug()
    shop.printing.add(sale())
    until(lambda: isinstance(shop.printing.trouble, PrinterAbsent), KNOWN_WITHIN_S)
    shop.desk.plug()
    until(shop.all_printed)
    assert has_on_it(shop.printer.sheets[0], sale()) and shop.printing.trouble is None


def test_a_reprint_says_copy(shop: Shop) -> None:
    shop.printing.add(sale())
    shop.printing.reprint(sale().number)
    shop.printing.reprint(sale().number)
    until(lambda: shop.printer.sheets_cut == 3)
    assert has_on_it(shop.printer.sheets[0], sale())
    assert all(has_on_it(sheet, sale()._replace(is_copy=True)) for sheet in shop.printer.sheets[1:])
    for unknown in ("A1-999999", "", "x" * 500, "' OR 1=1 --"):
        with pytest.raises(ReceiptNotKept, match="1971"):
            shop.printing.reprint(unknown)


def test_the_drawer_opens_and_the_receipt_follows(shop: Shop) -> None:
    told: list[Refusal | None] = []
    shop.printing.add(long_sale(60))
    until(lambda: shop.printer.bands_on_sheet > 2)
    shop.printing.open_drawer(told.append)
    until(lambda: told)
    assert told == [None] and shop.printer.pulses == [Pulse(2, 100, 100)]
    assert shop.printer.sheets_cut == 0, "it waited for the whole receipt"
    until(shop.all_printed)
    assert has_on_it(shop.printer.sheets[0], long_sale(60))
    shop.printing.add(sale())
    until(lambda: shop.printer.sheets_cut == 2)
    assert len(shop.printer.pulses) == 1, "opened by command alone"


@pytest.mark.parametrize(("fault", "kind"), [(Fault.NO_PAPER, PrinterNoPaper), (Fault.HANG, PrinterHanging)])
def test_a_drawer_that_cannot_open_is_refused_and_the_sale_stands(
    shop: Shop, fault: Fault, kind: type[Refusal]
) -> None:
    shop.desk.fault(fault)
    told: list[Refusal | None] = []
    shop.printing.add(sale())
    shop.printing.open_drawer(told.append)
    until(lambda: told, 2 * KNOWN_WITHIN_S)
    assert [type(refusal) for refusal in told] == [kind] and shop.printing.counts.waiting == 1
    shop.desk.well()
    until(shop.all_printed)
    assert shop.printer.pulses == []


def test_many_drawers_at_once_open_it_a_few_times(shop: Shop) -> None:
    shop.desk.fault(Fault.HANG)
    for _ in range(100):
        shop.printing.open_drawer()
    shop.desk.well()
    shop.printing.add(sale())
    until(shop.all_printed)
    assert len(shop.printer.pulses) <= 8


def test_without_a_printer_receipts_are_kept_for_later(tmp_path: Path) -> None:
    file = ShopFile(tmp_path / "shop.db")
    queue = PrintQueue(file, lambda: AT_S)
    printing = Printing(queue, printer_settings(""))
    printing.start()
    printing.add(sale())
    assert printing.counts == Counts(0, 0, 0) and printing.trouble is None and printing.health() is None
    assert queue.find(sale().number) == sale()
    for asked in (lambda: printing.reprint(sale().number), printing.open_drawer):
        with pytest.raises(PrinterNotSet, match="6104"):
            asked()
    printing.close()
    file.close()


def test_a_receipt_that_cannot_be_drawn_holds_up_no_other(shop: Shop) -> None:
    shop.desk.fault(Fault.COVER_OPEN)
    job = shop.printing.add(sale()._replace(items=(sale().items[3]._replace(name="ยาว " * 60),) * 300))
    damaged = shop.printing.add(sale())
    shop.file.write([("UPDATE print_jobs SET receipt = '{' WHERE id = ?", (damaged,))])
    shop.printing.add(refund())
    shop.desk.well()
    until(lambda: shop.printer.sheets_cut == 1 and not shop.printing.counts.waiting)
    assert has_on_it(shop.printer.sheets[0], refund())
    found = {one.id: one for one in shop.queue.jobs()}
    assert found[damaged].state is JobState.FAILED and found[damaged].refusal == 1972
    assert found[job].state in (JobState.FAILED, JobState.PRINTED)


def test_a_receipt_that_no_painter_can_draw_holds_up_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the painter, of which none is known: one receipt is lost to it, not the printer."""
    real = ReceiptPainter.draw

    def draw(self: ReceiptPainter, receipt: Receipt) -> Image.Image:
        return real(self, receipt._replace(at_s=10**30) if receipt.kind is ReceiptKind.SALE else receipt)

    monkeypatch.setattr(ReceiptPainter, "draw", draw)
    job = shop.printing.add(sale())
    shop.printing.add(refund())
    until(lambda: shop.printer.sheets_cut == 1 and not shop.printing.counts.waiting)
    assert has_on_it(shop.printer.sheets[0], refund()) and shop.printing.trouble is None
    found = {one.id: one for one in shop.queue.jobs()}
    assert (found[job].state, found[job].refusal) == (JobState.FAILED, 1972)


def test_paper_is_not_wasted_on_a_receipt_that_never_ends(shop: Shop) -> None:
    shop.printing.add(sale())
    for tries in range(1, print_queue.TRIES_MAX + 1):
        shop.desk.fault(Fault.DISCONNECT_MID_PRINT_ONCE)
        until(lambda tries=tries: shop.queue.jobs()[0].tries >= tries and not shop.printer.faults)
    until(lambda: shop.printing.counts == Counts(0, 0, 1))
    assert shop.queue.jobs()[0].refusal == PrinterAbsent.number
    shop.printing.add(refund())
    until(lambda: shop.printer.sheets_cut == 1 and not shop.printing.counts.printing)
    assert shop.printing.drop() == 1 and shop.printing.counts == Counts(0, 0, 0)


class RefusingDisk(PrintQueue):
    """Its file cannot be written for a while, when a receipt is on paper."""

    refuses = 2

    def printed(self, job: Job) -> None:
        if self.refuses:
            self.refuses -= 1
            raise StorageFailed("full")
        super().printed(job)

    def put_back(self, job: Job, refusal: Refusal) -> None:
        if self.refuses:
            self.refuses -= 1
            raise StorageFailed("full")
        super().put_back(job, refusal)


def test_a_disk_that_refuses_prints_nothing_twice(shop: Shop) -> None:
    shop.printing.close()
    queue = RefusingDisk(shop.file, lambda: AT_S)
    printing = Printing(queue, printer_settings(shop.desk.address))
    printing.start()
    printing.add(sale())
    printing.add(refund())
    until(lambda: isinstance(printing.trouble, StorageFailed))
    until(lambda: printing.counts == Counts(0, 0, 0))
    printing.close()
    assert shop.printer.sheets_cut == 2 and printing.trouble is None
    assert has_on_it(shop.printer.sheets[0], sale()) and has_on_it(shop.printer.sheets[1], refund())


def test_a_disk_that_refuses_while_a_print_breaks_off_loses_no_receipt(shop: Shop) -> None:
    shop.printing.close()
    printing = Printing(RefusingDisk(shop.file, lambda: AT_S), printer_settings(shop.desk.address))
    shop.desk.fault(Fault.DISCONNECT_MID_PRINT_ONCE)
    printing.start()
    printing.add(sale())
    until(lambda: printing.counts == Counts(0, 0, 0))
    printing.close()
    assert has_on_it(shop.printer.sheets[-1], sale()._replace(is_doubtful=True))


def test_a_full_queue_refuses_and_loses_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(print_queue, "QUEUE_MAX", 3)
    shop.desk.unplug()
    for _ in range(3):
        shop.printing.add(sale())
    with pytest.raises(PrintQueueFull, match="1970"):
        shop.printing.add(sale())
    assert shop.printing.counts.waiting == 3
    shop.desk.plug()
    until(shop.all_printed)
    assert shop.printer.sheets_cut == 3


def test_dropped_receipts_are_not_printed(shop: Shop) -> None:
    shop.desk.fault(Fault.NO_PAPER)
    first, second = shop.printing.add(sale()), shop.printing.add(refund())
    assert shop.printing.drop(first) == 1 and shop.printing.drop(first) == 0
    shop.desk.well()
    until(lambda: shop.printer.sheets_cut == 1)
    until(shop.all_printed)
    assert has_on_it(shop.printer.sheets[0], refund()) and shop.printing.drop(second) == 0


@pytest.mark.parametrize("fault", [None, Fault.HANG, Fault.NO_PAPER])
def test_close_ends_soon_and_what_waits_is_printed_after_the_next_start(tmp_path: Path, fault: Fault | None) -> None:
    before = Shop(tmp_path)
    before.printing.start()
    if fault is not None:
        before.desk.fault(fault)
        before.printing.add(sale())
        until(lambda: before.printing.trouble)
    began_s = time.monotonic()
    before.close()
    assert time.monotonic() - began_s < 4.0
    after = Shop(tmp_path)
    after.printing.start()
    after.printing.add(refund())
    until(after.all_printed)
    assert len(after.printer.sheets) == (1 if fault is None else 2)
    assert has_on_it(after.printer.sheets[-1], refund())
    after.close()


# --- a power cut

_KILLED = """
import sys, time
from offline_ledger.terminal.printer_address import printer_settings
from pos_app.paper.printing import Printing
from pos_app.paper.receipt import decode_receipt
from pos_app.store.print_queue import PrintQueue
from pos_app.store.shop_file import ShopFile

printing = Printing(PrintQueue(ShopFile(sys.argv[1]), lambda: 1795312345), printer_settings(sys.argv[2]))
for line in sys.stdin:
    print(printing.add(decode_receipt(line)), flush=True)
printing.start()
while True:
    time.sleep(1)
"""


def test_killed_while_it_prints_the_receipt_comes_again_and_says_so(tmp_path: Path) -> None:
    """A real process, killed between two bands: the one under way is printed as one that may be a reprint, the one
    that waited as itself, each once."""
    with NetworkPrinter(SimulatedPrinter()) as desk:
        desk.fault(Fault.SLOW)  # or a machine with much to do would see the whole of it printed before the kill
        receipts = [long_sale(60), refund()]
        program = subprocess.Popen(
            [sys.executable, "-c", _KILLED, str(tmp_path / "shop.db"), desk.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert program.stdin is not None and program.stdout is not None
        with program:
            program.stdin.write("".join(encode_receipt(receipt) + "\n" for receipt in receipts))
            program.stdin.close()
            assert [program.stdout.readline() for _ in receipts] == ["1\n", "2\n"]
            until(lambda: desk.printer.bands_on_sheet > 10)
            os.kill(program.pid, signal.SIGKILL)
        assert desk.printer.sheets_cut == 0
        desk.well()
        file = ShopFile(tmp_path / "shop.db")
        queue = PrintQueue(file, lambda: AT_S)
        assert [(job.id, job.is_doubtful) for job in reversed(queue.jobs())] == [(1, True), (2, False)]
        printing = Printing(queue, printer_settings(desk.address))
        printing.start()
        until(lambda: printing.counts == Counts(0, 0, 0))
        printing.close()
        file.close()
        assert desk.printer.sheets_cut == 2
        assert has_on_it(desk.printer.sheets[0], long_sale(60)._replace(is_doubtful=True))
        assert has_on_it(desk.printer.sheets[1], refund())
