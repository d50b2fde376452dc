"""The till's own parts of the self-test, built from its settings: screen, wedge scanner, printer. DESIGN §6, §11.

Part of the composition root, as `counter_terminal` is. Loaded when a self-test is asked for. It sells nothing, opens no
drawer, and prints one page that says that it is a test.
"""

import os

from offline_ledger.errors import DeviceSupportMissing, DisplayWrong, PaperWrong, SelfTestTripOpen
from offline_ledger.terminal.drivers.printer import EscposPrinter
from offline_ledger.terminal.printer_address import PrinterSettings
from offline_ledger.terminal.selftest.command import Ground, More, Taking
from offline_ledger.terminal.selftest.plan import Step
from offline_ledger.terminal.selftest.runner import Check, Facts, Part
from offline_ledger.terminal.selftest.scanner_part import CODE_START, PolledReader, ScannerPart, own_label
from offline_ledger.terminal.selftest.turn import Turn
from pos_app.drivers.wedge import WedgeScanner, WedgeSettings, wedge_settings
from pos_app.paper.receipt import Language, Receipt, ReceiptKind, Shop
from pos_app.self_test_page import FILLS, TestScreen
from pos_app.settings import printer_of
from pos_app.store.sales import Sales
from pos_app.store.shop_file import ShopFile
from pos_app.waiting_sales import WaitingSales

CODE_BYTES = 4


def check_idle(ground: Ground) -> None:
    """No basket on the counter, no sale that was charged and waits. Raises SelfTestTripOpen, and what the shop's file
    does."""
    if ground.station is not None:
        waiting = WaitingSales(ground.station)
        waiting.look()
        if found := waiting.all():
            raise SelfTestTripOpen(f"{len(found)} sales")
    path = ground.place.path("files.shop")
    if not ground.place.number("page.port") or not path.exists():
        return
    file = ShopFile(path)
    try:
        if found := [record for record in Sales(file).on_counter() if record.basket.lines]:
            raise SelfTestTripOpen(f"{len(found)} sales")
    finally:
        file.close()


def more(ground: Ground) -> More:
    """Screen, wedge and printer, as the settings name them."""
    place = ground.place
    port = place.number("page.port")
    wedge = wedge_settings(place.text("scanner.port"))
    screen = TestScreen(port, ground.texts) if port else None
    return More(
        screens=() if screen is None else (screen,),
        seen=(_display(screen),),
        parts=(_wedge(wedge, ground), PrinterPart(printer_of(place.values), ground).part()),
        has_scanner=wedge is None,
        close=lambda: None if screen is None else screen.close(),
    )


TAKING = Taking(check_idle, more)


def _wedge(wedge: WedgeSettings | None, ground: Ground) -> Part:
    def opened(_turn: Turn) -> PolledReader:
        assert wedge is not None
        return PolledReader(WedgeScanner(wedge))

    label = own_label(ground.place.text("device.id"), ground.place.text("device.city"))
    return ScannerPart("wedge", opened, is_fitted=wedge is not None, is_own_label=label).part()


def _display(screen: TestScreen | None) -> Part:
    """What a person sees on the till's own screen; a browser must have asked for the page."""

    def shows(turn: Turn) -> Facts:
        assert screen is not None
        return screen.check_seen(turn)

    def thai(turn: Turn) -> Facts:
        turn.rest(turn.times.look_s)
        return {}

    def dots(turn: Turn) -> Facts:
        assert screen is not None
        for colour in FILLS:
            screen.fill(colour, turn)
        return {"colours": len(FILLS)}

    shown = Step("display", "shows", needs_hands=True, is_fitted=screen is not None)
    seen = shown._replace(name="thai", is_asked=True, needs=("display.shows",))
    checks = (
        Check(shown, shows),
        Check(seen, thai, DisplayWrong),
        Check(seen._replace(name="dots"), dots, DisplayWrong),
    )
    return Part("display", checks)


class PrinterPart:
    """The receipt printer."""

    def __init__(self, settings: PrinterSettings | None, ground: Ground) -> None:
        self._settings, self._ground = settings, ground
        self._printer: EscposPrinter | None = None

    def part(self) -> Part:
        """Has it paper, and what does a person see on its page?"""
        ready = Step("printer", "ready", is_fitted=self._settings is not None)
        page = ready._replace(name="page", is_asked=True, needs_hands=True, needs=("printer.ready",))
        checks = (Check(ready, self._ready), Check(page, self._page, PaperWrong))
        return Part("printer", checks, self._close)

    def _opened(self) -> EscposPrinter:
        if self._printer is None:
            assert self._settings is not None
            self._printer = EscposPrinter(self._settings)
        return self._printer

    def _ready(self, _turn: Turn) -> Facts:
        """Raises what `EscposPrinter.check` does."""
        printer = self._opened()
        low = printer.check()
        address = str(printer.settings.address)
        return {"address": address, "paper_mm": printer.settings.paper_mm, "is_paper_low": low is not None}

    def _page(self, turn: Turn) -> Facts:
        """Raises what printing does, DeviceSupportMissing, ThaiShapingMissing, ScreenFontWrong."""
        printer = self._opened()
        try:
            from pos_app.paper.raster import ReceiptPainter
        except ImportError as error:
            raise DeviceSupportMissing(f"printer: {error.name}") from error
        picture = ReceiptPainter(printer.settings.paper_mm).draw(self._receipt())
        printer.print(picture, lambda: None, turn.look)
        return {"rows": picture.height}

    def _receipt(self) -> Receipt:
        place = self._ground.place
        shop = Shop(place.text("shop.name") or place.text("device.id"))
        code = CODE_START + os.urandom(CODE_BYTES).hex().upper()
        rows = ((place.text("device.id"), place.program.name),)
        at_s = self._ground.clock.wall_s()
        return Receipt(ReceiptKind.TEST, shop, "TEST", at_s, rows=rows, voucher=code, language=Language.BOTH)

    def _close(self) -> None:
        if self._printer is not None:
            self._printer.close()
