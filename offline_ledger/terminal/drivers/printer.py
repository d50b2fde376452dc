"""An ESC/POS receipt printer: asked how it is, sent a picture in bands, believed when it says done. DESIGN §3, §11.

Every call ends: what the printer does not answer in time is a numbered refusal. A band goes out when the one before the
last is printed, so a small buffer is never overrun and an empty roll is noticed within a band. For the printing thread
alone; it is opened again by the next call after a loss.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from offline_ledger.errors import PrinterAbsent, PrinterGarbled, PrinterHanging, PrinterPaperLow, Refusal
from offline_ledger.terminal.drivers.printer_commands import Commands
from offline_ledger.terminal.drivers.printer_status import (
    ASK_DONE,
    ASK_ERROR,
    ASK_STATUS,
    ASK_STATUS_ANSWERS,
    IN_ERROR,
    ONLY_WHEN_ASKED,
    Status,
    is_done,
    is_flow_control,
    is_real_time,
    trouble_of,
)
from offline_ledger.terminal.drivers.printer_wire import Wire, open_wire
from offline_ledger.terminal.printer_address import Kind, PrinterSettings

if TYPE_CHECKING:
    from PIL.Image import Image

Made = TypeVar("Made")
STATUS_S_MAX = 0.6
"""For an answer to DLE EOT, which a printer gives at once even while it prints; 0.05 s is usual over a network."""
DONE_S_MAX = 0.6
"""For a band to be printed (60 ms at 50 mm/s) before it is asked why not. With STATUS_S_MAX: a printer that hangs is
known within 2 s."""
PATIENCE_S_MAX = 6.0
"""A printer that says it is well may take so long over two bands: it cools its head."""
GARBAGE_BYTES_MAX = 8


class Printer(Protocol):
    """What the print queue needs of a printer."""

    def check(self) -> Refusal | None:
        """None or PrinterPaperLow when it can print; raises what keeps it from printing."""
        ...

    def print(self, picture: "Image", begun: Callable[[], None], between: Callable[[], None]) -> None:
        """On paper when it returns. `begun` before the first dot goes out, `between` before each band. Raises."""
        ...

    def rest(self) -> None:
        """Nothing to print for now."""
        ...

    def close(self) -> None:
        """For good, or until the next call."""
        ...


class EscposPrinter:
    """One printer by its settings."""

    def __init__(self, settings: PrinterSettings, is_ending: Callable[[], bool] = lambda: False) -> None:
        """`is_ending`: the program is to end, so waits are given up."""
        self.settings = settings
        self._is_ending = is_ending
        self._wire: Wire | None = None
        self._made: Commands | None = None
        self._owed = 0
        self._last_piece_s = self._on_wire_until_s = 0.0
        """When a serial line will have sent what it was given."""
        self._is_printing = False
        self._says_done: bool | None = None
        """Whether it knows GS r; None: not yet known."""

    def check(self) -> Refusal | None:
        """Raises PrinterAbsent, PrinterHanging, PrinterGarbled, PrinterNoPaper, PrinterCoverOpen, PrinterFailed,
        PrinterOffline, DevicePortForbidden, DevicePortInUse."""
        return self._guarded(self._check)

    def print(self, picture: "Image", begun: Callable[[], None], between: Callable[[], None]) -> None:
        """Raises what `check` does, at any band."""
        try:
            self._guarded(lambda: self._print(picture, begun, between))
        finally:
            self._is_printing = False

    def pulse(self) -> None:
        """Opens what hangs on its drawer socket. Raises what `check` does."""
        self._guarded(self._pulse)

    def ask(self, question: bytes, count: int = 1) -> bytes:
        """Answers to DLE EOT, in order. Raises PrinterHanging, PrinterGarbled, PrinterAbsent."""
        return self._guarded(lambda: self._ask(question, count))

    def rest(self) -> None:
        """A network printer serves one connection: others may have it now."""
        if self.settings.address.kind is Kind.NETWORK:
            self.close()

    def close(self, *, is_lost: bool = False) -> None:
        """Lets go of it; the next call opens it again. `is_lost`: what it has not taken is not for it any more."""
        wire, self._wire = self._wire, None
        self._owed, self._on_wire_until_s = 0, 0.0
        if wire is not None:
            wire.close(is_lost=is_lost)

    # --- inside

    def _guarded(self, do: Callable[[], Made]) -> Made:
        """After any trouble the connection is made anew: what is left in it belongs to nothing."""
        try:
            return do()
        except BaseException:
            self.close(is_lost=True)
            raise

    def _pulse(self) -> None:
        self._send(self._commands().pulse(self.settings.drawer_pin))
        self._opened().drain()

    def _check(self) -> Refusal | None:
        if not self.settings.is_asked:
            self._opened().drain()
            return None
        trouble = self._look()
        if trouble is not None and not isinstance(trouble, PrinterPaperLow):
            raise trouble
        return trouble

    def _look(self) -> Refusal | None:
        answers = self._ask(ASK_STATUS, ASK_STATUS_ANSWERS)
        error = self._ask(ASK_ERROR)[0] if answers[1] & IN_ERROR else 0
        return trouble_of(Status(answers[0], answers[1], answers[2], error))

    def _print(self, picture: "Image", begun: Callable[[], None], between: Callable[[], None]) -> None:
        commands = self._commands()
        self._check()
        begun()
        self._is_printing = True
        self._send(commands.start())
        for band in commands.bands(picture, is_trimmed=self.settings.address.kind is Kind.SERIAL):
            between()
            self._send_counted(band, owed_max=1)
        self._send_counted(commands.cut(self.settings.paper_mm), owed_max=0)

    def _send_counted(self, data: bytes, owed_max: int) -> None:
        """Sends, and waits until no more than so many of what was sent are not yet printed."""
        if not self.settings.is_asked or self._says_done is False:
            self._send(data)
            if not owed_max:
                self._opened().drain()  # what is still here is not on paper
                self._check()
            return
        self._send(data + ASK_DONE)
        self._owed += 1
        until_s = time.monotonic() + PATIENCE_S_MAX
        while self._owed > owed_max:
            if self._hear(DONE_S_MAX + self._lag_s()):
                until_s = time.monotonic() + PATIENCE_S_MAX
                continue
            self._check()  # raises why
            if self._owed > owed_max and time.monotonic() > until_s:
                if self._says_done:
                    self._says_done = None  # it may be another printer by now
                    raise PrinterHanging("it says that it is well and prints nothing")
                self._says_done, self._owed = False, 0

    def _hear(self, left_s: float) -> bool:
        """Takes what comes; was a band done among it? Raises PrinterGarbled."""
        until_s = time.monotonic() + left_s
        while (left_s := until_s - time.monotonic()) > 0:
            found = self._opened().read(left_s)
            before = self._owed
            self._sort(found)
            if self._owed < before:
                return True
        return False

    def _sort(self, found: bytes) -> bytes:
        """Counts what is done; the answers to DLE EOT among it. Raises PrinterGarbled."""
        real_time = bytearray()
        garbage = 0
        for answer in found:
            if is_real_time(answer):
                real_time.append(answer)
            elif is_done(answer):
                self._says_done = True
                self._owed = max(0, self._owed - 1)
                still_s = self._last_piece_s if self._owed else 0.0
                self._on_wire_until_s = min(self._on_wire_until_s, time.monotonic() + still_s)
            elif not is_flow_control(answer):
                garbage += 1
        if garbage:
            raise PrinterGarbled(found[:GARBAGE_BYTES_MAX].hex(" "))
        return bytes(real_time)

    def _ask(self, question: bytes, count: int = 1) -> bytes:
        wire = self._opened()
        while stale := wire.read(0):  # of questions that were given up, or from before we were there
            if self._owed:
                self._sort(stale)
        self._send(question)
        until_s = time.monotonic() + STATUS_S_MAX + self._lag_s()
        answers = b""
        while len(answers) < count:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise PrinterHanging(f"{len(answers)} of {count} answers")
            answers += self._sort(wire.read(left_s))
        return answers[:count]

    def _lag_s(self) -> float:
        """So long a serial line still sends."""
        return max(0.0, self._on_wire_until_s - time.monotonic())

    def _send(self, data: bytes) -> None:
        wire = self._opened()
        begins_s = max(self._on_wire_until_s, time.monotonic())
        wire.write(data)
        self._last_piece_s = len(data) * wire.seconds_per_byte
        self._on_wire_until_s = begins_s + self._last_piece_s

    def _commands(self) -> Commands:
        if self._made is None:
            self._made = Commands()
        return self._made

    def _opened(self) -> Wire:
        if self._wire is None:
            if self._is_printing:  # half a receipt is not continued on a printer that was away
                raise PrinterAbsent(f"{self.settings.address}: lost while it printed")
            self._owed, self._on_wire_until_s = 0, 0.0
            self._wire = open_wire(self.settings.address, self._is_ending)
            self._wire.write(ONLY_WHEN_ASKED)
        return self._wire
