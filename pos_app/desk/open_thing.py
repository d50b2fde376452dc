"""What at a till must not be ended for an update: a sale, a return, somebody at the screen, paper on its way. Pure.
DESIGN §3. FIELD_LESSONS 37."""

from offline_ledger.errors import PrinterPaperLow, Refusal
from pos_app.counter.flow import Screen
from pos_app.desk.state import DeskState
from pos_app.sale import OpenSale

AT_REST = frozenset({Screen.FIRST_MANAGER, Screen.LOCKED, Screen.NO_SHIFT, Screen.SALE})
"""Where nobody is in the middle of anything while the basket is empty. Behind the lock any screen will do."""


def open_thing(state: DeskState, sale: OpenSale | None, waiting_papers: int, printer: Refusal | None) -> str:
    """Empty: nothing. `waiting_papers`: that are printed or wait to be; a printer in trouble keeps no till from an
    update, for what waits is durable."""
    if sale is not None or state.sale.basket.lines:  # nothing is tendered or asked for without goods
        return "a sale is open"
    if state.screen not in AT_REST or state.pending is not None or state.returning is not None:
        return "somebody works at the screen"
    if waiting_papers and (printer is None or isinstance(printer, PrinterPaperLow)):
        return "a receipt is being printed"
    return ""
