"""The cash drawer: a pulse through the printer, and its sensor where it has one. DESIGN §3, §11.

Opens when it is told to and never later: a pulse that a printer cannot give now is refused, not kept for when its paper
is in and nobody watches the money. For the printing thread alone.
"""

import time

from offline_ledger.errors import DrawerStuck
from offline_ledger.terminal.drivers.printer import EscposPrinter
from offline_ledger.terminal.drivers.printer_status import ASK_PRINTER, is_drawer_level

OPEN_S_MAX = 1.0
"""From the pulse (0.1 s) to the sensor; a spring needs half of it."""


class Drawer:
    """The drawer on a printer's socket."""

    def __init__(self, printer: EscposPrinter) -> None:
        self._printer = printer

    def kick(self) -> None:
        """Raises what `EscposPrinter.check` does, and DrawerStuck when the sensor says that it stayed shut."""
        self._printer.check()
        self._printer.pulse()
        level = self._printer.settings.drawer_open_level
        if level is None or not self._printer.settings.is_asked:
            return
        until_s = time.monotonic() + OPEN_S_MAX
        while not is_drawer_level(self._printer.ask(ASK_PRINTER)[0], level):
            if time.monotonic() > until_s:
                raise DrawerStuck(f"pin {self._printer.settings.drawer_pin}")
            time.sleep(0.05)  # the question would keep the printer busy
