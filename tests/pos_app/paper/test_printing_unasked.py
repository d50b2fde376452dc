"""The queue on a printer that never answers: it does not stall, and says no more than is known."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import PrinterAbsent, PrinterHanging
from offline_ledger.terminal.drivers.printer_wire import STALL_S_MAX
from offline_ledger.terminal.printer_address import PrinterSettings, printer_settings
from pos_app.desk_parts import TillPaper
from pos_app.paper import printing as printing_module
from pos_app.paper.printing import Printing
from pos_app.paper.raster import ReceiptPainter
from pos_app.store.print_queue import Counts, PrintQueue
from pos_app.store.shop_file import ShopFile
from simulators.printer.device import Fault, SimulatedPrinter
from simulators.printer.lines import NetworkPrinter
from simulators.printer.samples import refund, sale

AT_S = 1_795_312_345
DEADLINE_S = 10.0


def until(is_so: Callable[[], object]) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.005)


class Unasked:
    """A silent printer, its queue, its thread, and what the page asks."""

    def __init__(self, folder: Path) -> None:
        self.desk = NetworkPrinter(SimulatedPrinter())
        self.desk.fault(Fault.SILENT)
        self.file = ShopFile(folder / "shop.db")
        settings = printer_settings(self.desk.address, is_asked=False)
        assert isinstance(settings, PrinterSettings)
        self.queue = PrintQueue(self.file, lambda: AT_S)
        self.printing = Printing(self.queue, settings, lambda: self.paper.has_changed())
        self.paper = TillPaper(self.printing, lambda _refusal: None, settings)
        self.printing.start()

    def close(self) -> None:
        self.printing.close()
        self.desk.close()
        self.file.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Unasked]:
    made = Unasked(tmp_path)
    yield made
    made.close()


def test_every_receipt_comes_out_and_is_called_sent(shop: Unasked) -> None:
    for receipt in (sale(), refund(), sale()):
        shop.printing.add(receipt)
    until(lambda: shop.desk.printer.sheets_cut == 3)
    until(lambda: shop.paper.state() == (0, None))
    assert shop.paper.printed(sale().number) == "sent", "nobody knows whether it came out"
    health = shop.printing.health()
    assert health is not None and not health.is_asked and (health.printed, health.failed) == (3, 0)
    drawn = ReceiptPainter(80).draw(sale())
    assert drawn.tobytes() in shop.desk.printer.sheets[0].tobytes()


def test_one_that_takes_nothing_is_given_time_for_paper(shop: Unasked) -> None:
    shop.desk.fault(Fault.HANG)
    shop.printing.add(sale())
    until(lambda: isinstance(shop.printing.trouble, PrinterHanging))
    until(lambda: shop.paper.state()[0] == 1)
    assert shop.paper.printed(sale().number) == "failed"
    until_s = time.monotonic() + 2 * STALL_S_MAX  # a second try would be over
    while time.monotonic() < until_s:
        (job,) = shop.queue.jobs()
        assert job.tries == 1, "three tries within seconds would give it up before anybody has put in paper"
        time.sleep(0.02)
    assert shop.printing.counts == Counts(1, 0, 0)


def test_it_prints_when_it_takes_bytes_again_and_says_that_it_may_be_a_reprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(printing_module, "AGAIN_UNASKED_S", 0.3)
    shop = Unasked(tmp_path)
    shop.desk.fault(Fault.HANG)
    shop.printing.add(sale())
    until(lambda: isinstance(shop.printing.trouble, PrinterHanging))
    shop.desk.well(Fault.HANG)
    until(lambda: shop.printing.counts == Counts(0, 0, 0))
    until(lambda: shop.desk.printer.sheets_cut)
    drawn = ReceiptPainter(80).draw(sale()._replace(is_doubtful=True))
    assert drawn.tobytes() in shop.desk.printer.sheets[-1].tobytes()
    shop.close()


def test_one_that_was_away_goes_on_within_seconds(shop: Unasked) -> None:
    shop.desk.close()
    shop.printing.add(sale())
    until(lambda: isinstance(shop.printing.trouble, PrinterAbsent))
    assert shop.printing.counts == Counts(1, 0, 0)
    shop.desk = NetworkPrinter(SimulatedPrinter(), shop.desk.port)
    shop.desk.fault(Fault.SILENT)
    until(lambda: shop.desk.printer.sheets_cut == 1)
    until(lambda: shop.printing.counts == Counts(0, 0, 0))
