"""A till's self-test: printer and its page, wedge scanner, screen in a browser; and never while a sale is open."""

import contextlib
import os
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Thread

import pytest

from offline_ledger.errors import (
    DisplayWrong,
    NotProvisioned,
    PaperWrong,
    PrinterAbsent,
    PrinterCoverOpen,
    PrinterNoPaper,
    Refusal,
    ScannerMute,
    SelfTestTripOpen,
)
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal.program import Place, Program, read_terminal_settings
from offline_ledger.terminal.selftest.command import Bench, act
from offline_ledger.texts import Texts
from pos_app.counter.basket import Basket, Line
from pos_app.counter.sale_record import SaleRecord
from pos_app.self_test_parts import TAKING
from pos_app.settings import SETTINGS
from pos_app.store.sales import Sales
from pos_app.store.shop_file import ShopFile
from simulators.demo.city import free_port
from simulators.printer.device import Fault, SimulatedPrinter
from simulators.printer.lines import NetworkPrinter
from simulators.scanner import read_picture
from simulators.technician import Technician
from simulators.wedge import SimulatedWedge
from tests.terminal.selftest.bus_bench import PATIENT, QUICK

KGO_POS = Program("kgo-pos", "help.pos", DeviceRole.SHOP, lambda _opened: 0, SETTINGS)


class Till:
    """A folder with settings; not enrolled, so nothing but its devices can pass."""

    def __init__(self, folder: Path, printer: NetworkPrinter) -> None:
        self.folder, self.printer = folder, printer
        self.page_port = free_port()
        self.eyes: dict[str, Callable[[], bool | None]] = {}
        self.wedge = SimulatedWedge(folder / "wedge")
        self.pages: list[str] = []
        self.settings = folder / "pos.toml"
        self.settings.write_text(
            f'[device]\ncity = "TH-40"\nid = "shop-1"\n[city]\nurl = "https://127.0.0.1:9"\nca_file = "ca.pem"\n'
            f'[scanner]\nport = "wedge:{folder / "wedge"}"\n[page]\nport = {self.page_port}\n'
            f'[printer]\naddress = "network:127.0.0.1:{printer.port}"\n'
        )

    def scan(self, text: str) -> None:
        """Of the page, where a browser has it, else of the terminal."""
        until_s = time.monotonic() + 3
        while self.pages and not any("<svg" in page for page in self.pages):
            assert time.monotonic() < until_s, "no code on the page"
            time.sleep(0.02)
        self.wedge.send(text)

    def test(self, *only: str) -> tuple[dict[str, int], str]:
        """What failed, by number, and what the technician read."""
        place = Place(KGO_POS, read_terminal_settings(KGO_POS, self.settings), self.settings)
        lines, out = os.pipe()
        keys, typed = os.pipe()
        failed: dict[str, int] = {}
        report = self.folder / f"{time.monotonic_ns()}.json"
        technician = Technician(lines, typed, scan=self.scan, eyes=self.eyes)
        try:
            with os.fdopen(out, "w", encoding="utf-8") as writing:
                given = Namespace(only=list(only), alone=False, json=report, who="Malee")
                act(TAKING, place, given, Texts("th"), Bench(QUICK, PATIENT, keys, writing))
        finally:
            technician.join()
            for end in (lines, keys, typed):
                os.close(end)
        step = ""
        for line in technician.read.splitlines():
            if line.startswith("✗ "):
                step = line.split()[1]
            elif step and line.strip()[:4].isdigit():
                failed[step], step = int(line.strip()[:4]), ""
        return failed, technician.read


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    with NetworkPrinter(SimulatedPrinter()) as printer:
        made = Till(tmp_path, printer)
        with made.wedge:
            yield made


@contextlib.contextmanager
def browser(port: int, seen: list[str]) -> Iterator[None]:
    """Asks for the page as a kiosk's does, several times a second; `seen` is what it got."""
    ending = Event()

    def ask() -> None:
        while not ending.wait(0.05):
            with (
                contextlib.suppress(OSError, HTTPException),
                contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=10)) as line,
            ):
                line.request("GET", "/")
                seen.append(line.getresponse().read().decode())

    asking = Thread(target=ask, daemon=True)
    asking.start()
    try:
        yield
    finally:
        ending.set()
        asking.join()


def test_a_sound_till_and_what_its_screen_and_paper_say(till: Till) -> None:
    seen = till.pages
    with browser(till.page_port, seen):
        failed, read = till.test("display", "wedge", "printer")
    assert failed == {}
    assert all("ทดสอบ · TEST" in page for page in seen)
    assert any("<svg" in page for page in seen) and any('class="green"' in page for page in seen)
    assert not any("<script" in page or "<form" in page for page in seen)
    (sheet,) = till.printer.printer.sheets
    assert read_picture(sheet.convert("L")).startswith("KGO-TEST/")
    assert "รายงานที่ไม่มีลายเซ็น" in read


def out_of_paper(till: Till) -> None:
    till.printer.fault(Fault.NO_PAPER)


def open_cover(till: Till) -> None:
    till.printer.fault(Fault.COVER_OPEN)


def out_of_paper_in_the_middle(till: Till) -> None:
    till.printer.fault(Fault.NO_PAPER_MID_PRINT_ONCE)


def no_printer(till: Till) -> None:
    text = till.settings.read_text().replace(f":{till.printer.port}", f":{free_port()}")
    till.settings.write_text(text)


def smeared_page(till: Till) -> None:
    till.eyes["printer.page"] = lambda: False


@pytest.mark.parametrize(
    ("break_it", "step", "refusal"),
    [
        (out_of_paper, "printer.ready", PrinterNoPaper),
        (open_cover, "printer.ready", PrinterCoverOpen),
        (no_printer, "printer.ready", PrinterAbsent),
        (out_of_paper_in_the_middle, "printer.page", PrinterNoPaper),
        (smeared_page, "printer.page", PaperWrong),
    ],
)
def test_a_broken_printer(till: Till, break_it: Callable[[Till], None], step: str, refusal: type[Refusal]) -> None:
    break_it(till)
    assert till.test("printer", "wedge")[0] == {step: refusal.number}


def test_a_wedge_that_types_nothing(till: Till) -> None:
    till.scan = lambda text: None  # type: ignore[method-assign]
    assert till.test("wedge", "printer")[0] == {"wedge.reads": ScannerMute.number}


def test_a_screen_that_nobody_opens(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pos_app.self_test_page.SEEN_S_MAX", 0.3)
    assert till.test("display", "printer")[0] == {"display.shows": DisplayWrong.number}


def test_a_till_without_these_parts_and_without_a_key(till: Till) -> None:
    till.settings.write_text(
        till.settings.read_text().split("[scanner]")[0] + f'[scanner]\nport = "{till.folder / "none"}"\n'
    )
    failed, read = till.test("program", "display", "wedge", "printer")
    assert failed == {"program.enrolled": NotProvisioned.number}
    assert read.count("ไม่มีติดตั้ง ตามไฟล์ตั้งค่า") == 6


def test_never_with_a_basket_on_the_counter(till: Till) -> None:
    file = ShopFile(till.folder / "shop.db")
    line = Line(1, "COFFEE", "กาแฟ", "Coffee", 4_000, 1)
    Sales(file).save(SaleRecord("s-1", at_s=1_795_000_000, basket=Basket((line,))))
    file.close()
    with pytest.raises(SelfTestTripOpen):
        till.test("printer")
    assert not till.printer.printer.sheets
