"""Lessons 8, 9 and 10: what is on paper was sold, a printer's trouble holds nobody, sixty Thai lines come out whole."""

import re
import time
from collections.abc import Callable, Iterator
from random import Random

import pytest
from PIL import Image, ImageChops

from offline_ledger.protocol.device import VoucherKind
from offline_ledger.protocol.shop_event import ShopEventKind
from pos_app.paper.raster import ReceiptPainter
from pos_app.paper.receipt import Language, decode_receipt
from simulators.demo.processes import wait_until
from simulators.demo.reader_files import open_copy, rows
from simulators.printer.device import Fault, SimulatedPrinter
from simulators.printer.lines import NetworkPrinter
from simulators.shop_desk.books import CLOSED
from tests.counter_lessons.street import Street, number_on, pause

FREE_S_MAX = 2.0
PAPER_S_MAX = 20.0
LINES = 60
SYNC_MS = 30
TRIES_MAX = 8
NAMES = ("ก๋วยเตี๋ยวต้มยำน้ำข้นหมูเด้งไข่ยางมะตูม", "ปั้นสิบไส้กุ้ง", "น้ำผึ้งป่าเดือนห้า", "ข้าวซอยไก่ผู้ใหญ่บ้าน")
PRINTER_STRIP = re.compile(r'class="cell (?:trouble|notice)">.*?<small>[^<]*?([0-9]{4})', re.DOTALL)


@pytest.fixture
def printer(street: Street) -> Iterator[NetworkPrinter]:
    with NetworkPrinter(SimulatedPrinter()) as made:
        street.with_printer(made.address)
        try:
            yield made
        finally:
            made.well()
            street.with_printer("")


def waiting(street: Street) -> list[int]:
    """Papers that are still to be printed."""
    return [one.id for one in street.books().papers if one.state in ("waiting", "printing")]


def wait_for_sheets(printer: NetworkPrinter, count: int) -> None:
    wait_until(lambda: printer.printer.sheets_cut >= count, f"{count} sheets of paper", PAPER_S_MAX)


def test_lesson_08_what_is_on_paper_was_sold_whenever_the_plug_is_pulled(
    street: Street, printer: NetworkPrinter, rng: Random, slice_of: Callable[[int, int], int],
    report: Callable[[str], None],
) -> None:  # fmt: skip
    """The plug is pulled at the first dots of a receipt: voucher and event are on the disk already."""
    rounds = slice_of(40, 2)
    for at in range(rounds):
        printer.printer.bands_on_sheet = 0
        number = street.sell("45", "50") if at % 2 else street.sell_with_kgo("45", 1, street.customer(1))
        wait_until(lambda: printer.printer.bands_on_sheet > 0, "the first dots", step_s=0.001)
        pause(rng.choice((0.0, 0.05)))
        street.till.program.kill()
        now = street.books()
        under_way = [one for one in now.papers if one.kind == "sale" and one.state in ("printing", "printed")]
        assert int(under_way[-1].number) == number
        assert number in {one.sequence for _identity, one in now.vouchers}
        assert number in {one.refers for one in now.events_of(ShopEventKind.SALE_CLOSED)}
        printer.switch_off_and_on()
        street.restart()
        street.ready()
        wait_until(lambda: not waiting(street), "all paper", step_s=0.1)
    report(f"kills at the first dots of a receipt: {rounds}, each of them of a sale that is on the disk")


def test_lesson_08_a_sale_that_a_power_cut_left_without_paper_has_it_at_the_next_start(
    street: Street, printer: NetworkPrinter, rng: Random
) -> None:
    """Its voucher is on the disk, and the plug is pulled before its receipt was in the queue: printed once, no copy."""
    street.till.stop()
    known = sold_at(street)
    for _ in range(TRIES_MAX):
        street.till.start(SYNC_MS)
        street.ready()
        street.to_pay("45")
        street.kill_after(SYNC_MS / 1000 * rng.uniform(2.2, 4.8), "cash")
        bare = sold_at(street) - known - {int(one.number) for one in street.books().papers if one.kind == "sale"}
        sheets = printer.printer.sheets_cut
        street.till.start()
        street.ready()
        known = sold_at(street)
        if bare:
            break
        street.till.stop()
    else:
        pytest.fail(f"no kill in {TRIES_MAX} fell between the sale and its receipt")
    wait_for_sheets(printer, sheets + 1)
    (number,) = bare
    assert [one.is_copy for one in street.books().papers if one.number == f"{number:06d}"] == [False]


def sold_at(street: Street) -> set[int]:
    """Numbers of the sales that have a voucher."""
    return {one.sequence for _identity, one in street.books().vouchers if one.kind == VoucherKind.SALE}


FAULTS = (
    Fault.HANG_MID_PRINT_ONCE,
    Fault.NO_PAPER,
    Fault.HANG,
    Fault.COVER_OPEN,
    Fault.NO_PAPER_MID_PRINT_ONCE,
    Fault.DISCONNECT_MID_PRINT_ONCE,
    Fault.SILENT,
)


def test_lesson_09_whatever_the_printer_does_the_sale_stands_and_the_screen_is_free(
    street: Street, printer: NetworkPrinter, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    slowest_s = 0.0
    for fault in (None, *FAULTS[: slice_of(len(FAULTS), 2)]):
        sheets = printer.printer.sheets_cut
        if fault is None:
            printer.unplug()
        else:
            printer.fault(fault)
        street.to_pay("35")
        began_s = time.monotonic()
        number = number_on(street.done("cash", typed="50"))
        street.done("add_amount", typed="20")
        slowest_s = max(slowest_s, time.monotonic() - began_s)
        assert slowest_s < FREE_S_MAX, fault
        assert number in {one.number for one in books_when_closed(street, number)}
        if fault is not Fault.DISCONNECT_MID_PRINT_ONCE:
            wait_until(lambda: "printer" in troubles_on(street), "the page to tell of the printer", PAPER_S_MAX)
        assert street.done("clear").screen == "sale"
        printer.plug()
        printer.well()
        if fault in (Fault.HANG, Fault.HANG_MID_PRINT_ONCE, Fault.SILENT):
            printer.switch_off_and_on()
        wait_for_sheets(printer, sheets + 1)
    report(f"a printer in trouble: the next sale began within {slowest_s * 1000:.0f} ms")


def troubles_on(street: Street) -> str:
    """Has the page a word about the printer? In its strip, or on the receipt's own line."""
    html = street.hands.look().html
    return "printer" if re.search(r"เครื่องพิมพ์|กระดาษ", html.partition('id="strip"')[2].partition("</div>")[0]) else ""


def books_when_closed(street: Street, number: int) -> list:
    """The receipts, once this one is written."""
    wait_until(lambda: any(one.number == number for one in street.books().closed), "the record", step_s=0.05)
    return street.books().closed


def test_lesson_09_a_reprint_says_copy(street: Street, printer: NetworkPrinter) -> None:
    number = street.sell("35", "50")
    wait_for_sheets(printer, 1)
    street.done("print")
    wait_for_sheets(printer, 2)
    first, copy = [one for one in street.books().papers if one.number == f"{number:06d}"]
    assert (first.is_copy, copy.is_copy) == (False, True)
    assert copy.printed["is_copy"] is True
    one, other = printer.printer.sheets[:2]
    assert other.height > one.height, "the word is on the paper"


def test_lesson_10_sixty_thai_lines_come_out_whole(street: Street, printer: NetworkPrinter) -> None:
    for line in range(LINES):
        street.done("add_amount", typed=f"{line + 1}.25", name=f"{NAMES[line % len(NAMES)]} {line + 1}")
    street.done("pay")
    number = number_on(street.done("cash", typed="5000"))
    wait_for_sheets(printer, 1)
    (sheet,) = printer.printer.sheets
    file = open_copy(street.till.folder / "shop.db", street.folder / "scratch")
    ((said,),) = rows(file, f"SELECT receipt FROM print_jobs WHERE number = '{number:06d}'")
    file.close()
    receipt = decode_receipt(said)
    assert len(receipt.items) == LINES and receipt.language in (Language.TH, Language.BOTH)
    drawn = ReceiptPainter(80).draw(receipt)
    assert ink_differs(sheet.crop((0, 0, *drawn.size)), drawn) is None, "what came out is not what was drawn"
    sold = next(one for one in books_when_closed(street, number) if one.number == number)
    assert (sold.state, sold.pieces) == (CLOSED, LINES)
    assert printer.printer.unknown_bytes == printer.printer.lost_bytes == 0 and printer.printer.texts == ""


def ink_differs(one: Image.Image, other: Image.Image) -> tuple[int, int, int, int] | None:
    """Where; None: nowhere."""
    return ImageChops.difference(one.convert("L"), other.convert("L")).getbbox()
