"""What the status bytes of an ESC/POS printer mean. Pure. DESIGN §11.

Bits as in Epson's ESC/POS command reference, "DLE EOT (real-time)" and "GS r": an answer to `DLE EOT n` has bits 1 and
4 set and bits 0 and 7 clear, one to `GS r 1` has bits 4 and 7 clear, so the two can be told apart on the wire.
"""

from typing import NamedTuple

from offline_ledger.errors import (
    PrinterCoverOpen,
    PrinterFailed,
    PrinterNoPaper,
    PrinterOffline,
    PrinterPaperLow,
    Refusal,
)

ASK_STATUS = b"\x10\x04\x01\x10\x04\x02\x10\x04\x04"
"""DLE EOT 1, 2 and 4: printer, why it is offline, paper. The answers come in this order."""
ASK_STATUS_ANSWERS = 3
ASK_PRINTER = b"\x10\x04\x01"
ASK_ERROR = b"\x10\x04\x03"
ASK_DONE = b"\x1dr\x01"
"""GS r 1: answered in its turn, when all that was sent before it is printed."""
ONLY_WHEN_ASKED = b"\x1da\x00"
"""GS a 0: no status by itself (ASB), which would pass for answers."""
_REAL_TIME_MASK, _REAL_TIME_FIXED = 0x93, 0x12
_DONE_MASK = 0x90
_FLOW_CONTROL = b"\x11\x13"
DRAWER_LEVEL, OFFLINE = 0x04, 0x08  # DLE EOT 1
COVER_OPEN, FED_BY_HAND, STOPPED_NO_PAPER, IN_ERROR = 0x04, 0x08, 0x20, 0x40  # DLE EOT 2
CUTTER, NEEDS_REPAIR, RECOVERS = 0x08, 0x20, 0x40  # DLE EOT 3
PAPER_LOW, PAPER_OUT = 0x0C, 0x60  # DLE EOT 4


class Status(NamedTuple):
    """Answers to `ASK_STATUS`, and to `ASK_ERROR` when there is an error."""

    printer: int
    offline: int
    paper: int
    error: int = 0


def is_real_time(answer: int) -> bool:
    """An answer to DLE EOT."""
    return answer & _REAL_TIME_MASK == _REAL_TIME_FIXED


def is_done(answer: int) -> bool:
    """An answer to GS r."""
    return answer & _DONE_MASK == 0


def is_flow_control(answer: int) -> bool:
    """XON or XOFF of a printer that is set to it: no answer to anything."""
    return answer in _FLOW_CONTROL


def trouble_of(status: Status) -> Refusal | None:
    """What keeps it from printing, the cause before its consequences; PrinterPaperLow keeps it from nothing."""
    if status.offline & COVER_OPEN:
        return PrinterCoverOpen()
    if status.paper & PAPER_OUT or status.offline & STOPPED_NO_PAPER:
        return PrinterNoPaper()
    if status.offline & IN_ERROR:
        return PrinterFailed(_error_word(status.error))
    if status.printer & OFFLINE:
        return PrinterOffline("fed by hand" if status.offline & FED_BY_HAND else "")
    if status.paper & PAPER_LOW:
        return PrinterPaperLow()
    return None


def is_drawer_level(printer: int, level: int) -> bool:
    """Whether the drawer's sensor (pin 3 of its socket) has that level, 0 or 1."""
    return bool(printer & DRAWER_LEVEL) == bool(level)


def _error_word(error: int) -> str:
    if error & CUTTER:
        return "the cutter is jammed"
    if error & NEEDS_REPAIR:
        return "it needs repair"
    return "it is too hot" if error & RECOVERS else ""
