"""The printer's driver on a simulated printer, over TCP, in the place of usblp and over a serial port: what it prints,
and every way of not printing, each by its own number and in time."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from offline_ledger.errors import (
    DevicePortForbidden,
    DeviceSupportMissing,
    PrinterAbsent,
    PrinterCoverOpen,
    PrinterFailed,
    PrinterGarbled,
    PrinterHanging,
    PrinterNoPaper,
    PrinterOffline,
    PrinterPaperLow,
    Refusal,
)
from offline_ledger.terminal.drivers import printer as printer_module
from offline_ledger.terminal.drivers.printer_commands import BAND_ROWS, Commands
from offline_ledger.terminal.drivers.printer_wire import refusal_for
from offline_ledger.terminal.printer_address import Address, Kind, PrinterSettings, parse_address, printer_settings
from pos_app.paper.raster import ReceiptPainter
from simulators.demo.city import free_port
from simulators.printer.device import BUFFER_BYTES, Fault, SimulatedPrinter
from simulators.printer.lines import NetworkPrinter, SerialPrinter
from simulators.printer.samples import sale
from tests.terminal.drivers.printers import DriverFor, nothing, printed_as_drawn

KNOWN_WITHIN_S = 2.0
WAYS = ("network", "usb", "serial")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return ReceiptPainter(80).draw(sale())


def on_the_way(way: str, folder: Path) -> tuple[NetworkPrinter | SerialPrinter, str]:
    if way == "network":
        made = NetworkPrinter(SimulatedPrinter())
        return made, made.address
    made = SerialPrinter(SimulatedPrinter(), folder / "printer")
    return made, made.usb_address if way == "usb" else made.address


@pytest.mark.parametrize("way", WAYS)
def test_what_is_drawn_comes_out(
    way: str, tmp_path: Path, picture: Image.Image, capfd: pytest.CaptureFixture[str], driver_for: DriverFor
) -> None:
    desk, address = on_the_way(way, tmp_path)
    with desk:
        driver = driver_for(address)
        assert driver.check() is None
        begun: list[int] = []
        driver.print(picture, lambda: begun.append(desk.printer.bands_on_sheet), nothing)
        assert begun == [0] and printed_as_drawn(desk.printer, picture)
        driver.print(picture, nothing, nothing)  # on the same connection
        assert desk.printer.sheets_cut == 2 and desk.printer.starts == 2
        assert (desk.printer.unknown, desk.printer.texts, desk.printer.lost_bytes) == ([], "", 0)
        driver.rest()
        driver.close()
    assert capfd.readouterr() == ("", "")  # python-escpos would say something about each picture


def test_a_narrow_printer_gets_paper_out_to_tear(tmp_path: Path, driver_for: DriverFor) -> None:
    narrow = ReceiptPainter(58).draw(sale())
    with NetworkPrinter(SimulatedPrinter(58)) as desk:
        driver_for(desk.address, paper_mm=58).print(narrow, nothing, nothing)
        assert printed_as_drawn(desk.printer, narrow)
        assert desk.printer.sheets[0].height > narrow.height + 100


def test_two_bands_fit_the_smallest_buffer(picture: Image.Image) -> None:
    longest = max(len(band) for band in Commands().bands(picture))
    assert 2 * (longest + 3) <= BUFFER_BYTES and picture.height > 3 * BAND_ROWS


LASTING: list[tuple[Fault, type[Refusal], str]] = [
    (Fault.NO_PAPER, PrinterNoPaper, ""),
    (Fault.COVER_OPEN, PrinterCoverOpen, ""),
    (Fault.CUTTER_JAMMED, PrinterFailed, "the cutter is jammed"),
    (Fault.HOT, PrinterFailed, "it is too hot"),
    (Fault.PAUSED, PrinterOffline, ""),
    (Fault.HANG, PrinterHanging, "0 of 3 answers"),
    (Fault.SILENT, PrinterHanging, "0 of 3 answers"),
    (Fault.GARBAGE_STATUS, PrinterGarbled, ""),
]


@pytest.mark.parametrize(("fault", "kind", "detail"), LASTING)
def test_each_trouble_has_its_number_and_ends(
    network: NetworkPrinter, picture: Image.Image, fault: Fault, kind: type[Refusal], detail: str, driver_for: DriverFor
) -> None:
    driver = driver_for(network.address)
    network.fault(fault)
    began_s = time.monotonic()
    with pytest.raises(kind) as refused:
        driver.check()
    with pytest.raises(kind):
        driver.print(picture, lambda: pytest.fail("it began"), nothing)
    assert time.monotonic() - began_s < 2 * KNOWN_WITHIN_S
    assert detail in refused.value.detail
    network.well()
    driver.print(picture, nothing, nothing)
    assert printed_as_drawn(network.printer, picture)


ONCE: list[tuple[Fault, type[Refusal]]] = [
    (Fault.NO_PAPER_MID_PRINT_ONCE, PrinterNoPaper),
    (Fault.COVER_OPEN_MID_PRINT_ONCE, PrinterCoverOpen),
    (Fault.HANG_MID_PRINT_ONCE, PrinterHanging),
    (Fault.DISCONNECT_MID_PRINT_ONCE, PrinterAbsent),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("fault", "kind"), ONCE)
def test_each_trouble_in_the_middle_is_known_within_2_s(
    tmp_path: Path, picture: Image.Image, way: str, fault: Fault, kind: type[Refusal], driver_for: DriverFor
) -> None:
    desk, address = on_the_way(way, tmp_path)
    with desk:
        desk.fault(fault)
        driver = driver_for(address)
        began_s = time.monotonic()
        begun: list[int] = []
        with pytest.raises(kind):
            driver.print(picture, lambda: begun.append(1), nothing)
        assert time.monotonic() - began_s < KNOWN_WITHIN_S and begun == [1]
        assert desk.printer.sheets_cut == 0
        if fault is Fault.HANG_MID_PRINT_ONCE:
            desk.switch_off_and_on()
        desk.well()
        driver.print(picture, nothing, nothing)  # by itself, without a new driver
        sheet = desk.printer.sheets[-1]
        assert picture.tobytes() in sheet.tobytes()  # below what came out before


def test_paper_near_its_end_is_told_and_prints(
    network: NetworkPrinter, picture: Image.Image, driver_for: DriverFor
) -> None:
    network.fault(Fault.PAPER_NEAR_END)
    driver = driver_for(network.address)
    assert isinstance(driver.check(), PrinterPaperLow)
    driver.print(picture, nothing, nothing)
    assert printed_as_drawn(network.printer, picture)


def test_a_clone_that_never_says_done_prints_all_the_same(
    network: NetworkPrinter, picture: Image.Image, monkeypatch: pytest.MonkeyPatch, driver_for: DriverFor
) -> None:
    monkeypatch.setattr(printer_module, "PATIENCE_S_MAX", 0.1)
    monkeypatch.setattr(printer_module, "DONE_S_MAX", 0.05)
    network.fault(Fault.NO_DONE)
    driver = driver_for(network.address)
    driver.print(picture, nothing, nothing)
    until_s = time.monotonic() + KNOWN_WITHIN_S
    while not network.printer.sheets and time.monotonic() < until_s:
        time.sleep(0.01)
    assert printed_as_drawn(network.printer, picture)
    network.fault(Fault.NO_PAPER_MID_PRINT_ONCE)
    network.fault(Fault.NO_PAPER_MID_PRINT_ONCE)
    with pytest.raises(PrinterNoPaper):  # it took every byte; asked at the end, it says so
        driver.print(picture, nothing, nothing)


def test_one_that_said_done_and_then_stops_is_hanging(
    network: NetworkPrinter, picture: Image.Image, monkeypatch: pytest.MonkeyPatch, driver_for: DriverFor
) -> None:
    monkeypatch.setattr(printer_module, "PATIENCE_S_MAX", 0.2)
    monkeypatch.setattr(printer_module, "DONE_S_MAX", 0.05)
    driver = driver_for(network.address)
    driver.print(picture, nothing, nothing)
    network.fault(Fault.NO_DONE)
    with pytest.raises(PrinterHanging, match="prints nothing"):
        driver.print(picture, nothing, nothing)


def test_a_printer_that_tells_by_itself_is_told_not_to(
    network: NetworkPrinter, picture: Image.Image, driver_for: DriverFor
) -> None:
    network.fault(Fault.TELLS_BY_ITSELF)
    driver = driver_for(network.address)
    driver.print(picture, nothing, nothing)
    assert printed_as_drawn(network.printer, picture) and not network.printer.tells_by_itself


def test_a_slow_printer_is_not_a_hanging_one(network: NetworkPrinter, driver_for: DriverFor) -> None:
    network.fault(Fault.SLOW)
    short = ReceiptPainter(80).draw(sale()).crop((0, 0, 576, 300))
    driver_for(network.address).print(short, nothing, nothing)
    assert printed_as_drawn(network.printer, short)


def test_no_printer_at_its_address(tmp_path: Path, network: NetworkPrinter, driver_for: DriverFor) -> None:
    missing = tmp_path / "lp0"
    file = tmp_path / "a-file"
    file.write_bytes(b"kept")
    for address in (
        f"network:127.0.0.1:{free_port()}",
        f"usb:{missing}",
        f"serial:{missing}",
        f"serial:{file}",
        f"usb:{file}",
    ):
        with pytest.raises(PrinterAbsent):
            driver_for(address).check()
    assert file.read_bytes() == b"kept"
    driver = driver_for(network.address)
    assert driver.check() is None
    network.unplug()
    with pytest.raises(PrinterAbsent):
        driver.check()
    network.plug()
    assert driver.check() is None


def test_what_the_system_says_has_its_number() -> None:
    usb, line = Address(Kind.USB, "/dev/usb/lp0"), Address(Kind.NETWORK, "10.0.0.9", 9100)
    assert isinstance(refusal_for(OSError(28, "full"), usb), PrinterNoPaper)
    assert isinstance(refusal_for(PermissionError(13, "no"), usb), DevicePortForbidden)
    assert refusal_for(OSError(16, "busy"), usb).number == 6005
    assert isinstance(refusal_for(PermissionError(13, "no"), line), PrinterAbsent)
    assert isinstance(refusal_for(ConnectionRefusedError(111, "no"), line), PrinterAbsent)


def test_the_end_of_the_program_ends_every_wait(network: NetworkPrinter, driver_for: DriverFor) -> None:
    network.fault(Fault.HANG)
    driver = driver_for(network.address, lambda: True)
    took_s: list[float] = []
    for _ in range(3):
        began_s = time.monotonic()
        with pytest.raises(PrinterAbsent, match="the program ends"):
            driver.check()
        took_s.append(time.monotonic() - began_s)
    assert sorted(took_s)[1] < 0.5, "one stall may be the machine's, a second is the driver's"


def test_a_receipt_is_not_continued_on_a_printer_that_was_away(
    network: NetworkPrinter, picture: Image.Image, driver_for: DriverFor
) -> None:
    driver = driver_for(network.address)
    bands = 0

    def lose_it() -> None:
        nonlocal bands
        bands += 1
        if bands == 8:
            driver.close()

    with pytest.raises(PrinterAbsent, match="lost while it printed"):
        driver.print(picture, nothing, lose_it)
    driver.print(picture, nothing, nothing)
    assert picture.tobytes() in network.printer.sheets[-1].tobytes()


# --- settings


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("network:192.168.1.50", Address(Kind.NETWORK, "192.168.1.50", 9100)),
        ("network:printer.local:9101", Address(Kind.NETWORK, "printer.local", 9101)),
        ("network:[::1]:9100", Address(Kind.NETWORK, "::1", 9100)),
        ("usb:/dev/usb/lp0", Address(Kind.USB, "/dev/usb/lp0")),
        ("serial:/dev/ttyUSB0", Address(Kind.SERIAL, "/dev/ttyUSB0", 9600)),
        ("serial:/dev/serial/by-id/x@115200", Address(Kind.SERIAL, "/dev/serial/by-id/x", 115200)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address or "::" in text
    assert printer_settings(text) == PrinterSettings(address)


WRONG = [
    *("printer", "lpt:1", "network:", "network:host:0", "network:host:65536", "network:host:x", "network::9100"),
    *("network:a b:9100", "usb:lp0", "usb:/dev/usb/lp0@9600", "serial:ttyUSB0", "serial:/dev/ttyUSB0@"),
    *("serial:/dev/ttyUSB0@123", "serial:/dev/ttyUSB0@fast", "usb:", "network:" + "x" * 300, "network:h:๙๑๐๐"),
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_address_is_refused(text: str) -> None:
    if text == "serial:/dev/ttyUSB0@":
        assert parse_address(text) == Address(Kind.SERIAL, "/dev/ttyUSB0", 9600)
        return
    with pytest.raises(ValueError):
        parse_address(text)


def test_settings_have_their_ranges() -> None:
    assert printer_settings("") is None and parse_address("") is None
    wrongs: list[dict[str, Any]] = [{"paper_mm": 76}, {"drawer_pin": 3}, {"drawer_open_level": 2}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="58 or 80"):
            printer_settings("usb:/dev/usb/lp0", **wrong)


# --- python-escpos

_LOADED = """
import logging, os, sys, tempfile
from pathlib import Path
from typing import Any
from offline_ledger.terminal.drivers.printer_commands import Commands
assert "escpos" not in sys.modules and "PIL" not in sys.modules
made = Commands()
assert made.pulse(2) == bytes([27, 112, 0, 50, 50]) and made.start() == bytes([27, 64])
assert logging.getLogger().handlers == [], "it set up our log"
assert os.listdir(tempfile.gettempdir()) == [], "it left something behind"
"""
_MISSING = """
import sys
sys.modules["escpos"] = None
from offline_ledger.terminal.drivers.printer_commands import Commands
try:
    Commands()
except Exception as error:
    print(type(error).__name__, error)
"""


def test_the_library_leaves_the_program_as_it_was(tmp_path: Path) -> None:
    env = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", _LOADED], check=True, env=env, timeout=30)


def test_without_the_library_there_is_a_refusal() -> None:
    said = subprocess.run([sys.executable, "-c", _MISSING], check=True, capture_output=True, text=True, timeout=30)
    assert said.stdout.startswith(DeviceSupportMissing.__name__) and "escpos" in said.stdout
