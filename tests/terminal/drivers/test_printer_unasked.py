"""A printer that never answers, on its real wire: its paper comes out, nothing that is still here passes for sent."""

import socket
import time
from pathlib import Path

import pytest
from PIL import Image

from offline_ledger.errors import PrinterAbsent, PrinterHanging
from offline_ledger.terminal.drivers.printer_wire import Wire
from offline_ledger.terminal.printer_address import Address, Kind
from pos_app.paper.raster import ReceiptPainter
from simulators.demo.city import free_port
from simulators.printer.device import Fault, SimulatedPrinter
from simulators.printer.lines import NetworkPrinter, SerialPrinter
from simulators.printer.samples import sale
from tests.terminal.drivers.printers import DriverFor, nothing, printed_as_drawn

KNOWN_WITHIN_S = 2.0


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return ReceiptPainter(80).draw(sale())


@pytest.mark.parametrize("way", ["network", "usb", "serial"])
def test_a_printer_that_never_answers_is_printed_on_blindly(
    way: str, tmp_path: Path, picture: Image.Image, driver_for: DriverFor
) -> None:
    made = SerialPrinter(SimulatedPrinter(), tmp_path / "printer") if way != "network" else None
    with made or NetworkPrinter(SimulatedPrinter()) as desk:
        desk.fault(Fault.SILENT)
        driver = driver_for(made.usb_address if way == "usb" and made else desk.address, is_asked=False)
        assert driver.check() is None
        for sheets in (1, 2):
            driver.print(picture, nothing, nothing)
            until_s = time.monotonic() + KNOWN_WITHIN_S
            while desk.printer.sheets_cut < sheets and time.monotonic() < until_s:
                time.sleep(0.01)
            assert desk.printer.sheets_cut == sheets and printed_as_drawn(desk.printer, picture)
            driver.rest()
        assert (desk.printer.unknown, desk.printer.texts) == ([], "")


def test_a_printer_that_is_not_there_is_known_all_the_same(tmp_path: Path, driver_for: DriverFor) -> None:
    for address in (f"network:127.0.0.1:{free_port()}", f"usb:{tmp_path / 'lp0'}", f"serial:{tmp_path / 'tty0'}"):
        with pytest.raises(PrinterAbsent):
            driver = driver_for(address, is_asked=False)
            driver.print(Image.new("1", (576, 24), 0), lambda: pytest.fail("it began"), nothing)


def test_one_that_is_lost_while_it_prints_has_not_printed(
    network: NetworkPrinter, picture: Image.Image, driver_for: DriverFor
) -> None:
    network.fault(Fault.SILENT, Fault.DISCONNECT_MID_PRINT_ONCE)
    with pytest.raises(PrinterAbsent):
        driver_for(network.address, is_asked=False).print(picture, nothing, nothing)


def test_what_has_not_left_this_machine_is_not_on_paper(network: NetworkPrinter, driver_for: DriverFor) -> None:
    """A short receipt fits the buffers on the way: it looks as if it had been taken, and was not."""
    network.fault(Fault.SILENT, Fault.HANG)
    short = Image.new("1", (576, 150), 0)
    driver = driver_for(network.address, is_asked=False)
    began_s = time.monotonic()
    with pytest.raises(PrinterHanging, match="bytes not taken"):
        driver.print(short, nothing, nothing)
    assert time.monotonic() - began_s < 2 * KNOWN_WITHIN_S


def test_a_printer_that_takes_no_bytes_stalls_nobody(driver_for: DriverFor) -> None:
    """Nobody even answers the connection: what is sent fills the buffers on the way."""
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        driver = driver_for(f"network:127.0.0.1:{silent.getsockname()[1]}", is_asked=False)
        noise = Image.new("1", (576, 20_000), 0)
        began_s = time.monotonic()
        with pytest.raises(PrinterHanging, match="bytes not taken"):
            driver.print(noise, nothing, nothing)
        assert time.monotonic() - began_s < KNOWN_WITHIN_S


def test_what_it_did_not_take_does_not_come_out_later(network: NetworkPrinter, driver_for: DriverFor) -> None:
    """A connection that is given up is reset: what waited in this machine goes nowhere."""
    network.fault(Fault.SILENT, Fault.HANG)
    with pytest.raises(PrinterHanging):
        driver_for(network.address, is_asked=False).print(Image.new("1", (576, 2_000), 0), nothing, nothing)
    network.well(Fault.HANG)
    until_s = time.monotonic() + KNOWN_WITHIN_S
    driver_for(network.address, is_asked=False).print(Image.new("1", (576, 48), 0), nothing, nothing)
    while not network.printer.sheets and time.monotonic() < until_s:
        time.sleep(0.01)
    (sheet,) = network.printer.sheets
    assert sheet.height < 2_000, "the receipt that was given up came out whole"


def test_a_connection_that_cannot_be_reset_is_closed_all_the_same() -> None:
    closed: list[bool] = []
    with socket.socket() as line:
        wire = Wire(
            Address(Kind.NETWORK, "127.0.0.1", 9_100), line.fileno(), lambda: closed.append(True), lambda: False
        )
    wire.close(is_lost=True)  # the system knows its number no more
    assert closed == [True]
