"""`receipt_raster_*`: a usual receipt (10 lines and its voucher's code) from value to dots, on both papers; goal p95 <
100 ms. `receipt_print`: the same from the queue to the last byte taken by a printer that is never the brake. Issue
budget; no reference, so no ratio."""

import time
from pathlib import Path
from time import perf_counter_ns

from offline_ledger.terminal.printer_address import printer_settings
from pos_app.paper.printing import Printing
from pos_app.paper.raster import DOTS_OF_MM, ReceiptPainter
from pos_app.paper.receipt import Language
from pos_app.store.print_queue import PrintQueue
from pos_app.store.shop_file import ShopFile
from simulators.printer.device import SimulatedPrinter
from simulators.printer.lines import NetworkPrinter
from simulators.printer.samples import AT_S, long_sale, voucher_text
from tests.bench.measure import Row, row_of

LINES = 10
NS_PER_MS = 1_000_000


def rows(folder: Path, rounds: int = 60) -> list[Row]:
    """Each receipt has another code, number and names, as in a shop."""
    found: list[Row] = []
    for paper_mm in DOTS_OF_MM:
        painter = ReceiptPainter(paper_mm)
        drawn: list[float] = []
        for turn in range(rounds):
            receipt = long_sale(LINES, list(Language)[turn % 3])._replace(
                voucher=voucher_text(turn), number=f"A1-{turn:06d}"
            )
            began = perf_counter_ns()
            painter.draw(receipt)
            drawn.append((perf_counter_ns() - began) / NS_PER_MS)
        found.append(row_of(f"receipt_raster_{paper_mm}mm", "ms", drawn))
    return [*found, _printed(folder, rounds)]


def _printed(folder: Path, rounds: int) -> Row:
    folder.mkdir(exist_ok=True)
    printed: list[float] = []
    with NetworkPrinter(SimulatedPrinter()) as desk:
        file = ShopFile(folder / "shop.db")
        printing = Printing(PrintQueue(file, lambda: AT_S), printer_settings(desk.address))
        printing.start()
        for turn in range(rounds):
            began = perf_counter_ns()
            printing.add(long_sale(LINES)._replace(number=f"A1-{turn:06d}"))
            while desk.printer.sheets_cut <= turn:
                time.sleep(0.001)
            if turn:  # the first one loads fonts and library
                printed.append((perf_counter_ns() - began) / NS_PER_MS)
        printing.close()
        file.close()
    return row_of("receipt_print", "ms", printed)
