"""A receipt of another till is scanned: its KGO are asked of the city, and a slip says so. No money. DESIGN §5; 0194.

The request is durable before it is shown or printed. A receipt of this very till is shown as if it had been picked,
from the sale too: whoever scans one wants to see it, and the goods on the counter stay.
"""

from collections.abc import Callable

from offline_ledger.errors import (
    CodeDamaged,
    DuplicateKey,
    Malformed,
    NotCanonical,
    NotNow,
    ReceiptCodeUnreadable,
    Refusal,
    TooLarge,
    TrailingBytes,
    UnknownKey,
    UnprotectedHeader,
    ValueOutOfRange,
)
from offline_ledger.protocol.refund_request import Shown
from offline_ledger.terminal.refund_asking import RECEIPT_PREFIX, RefundAsking
from pos_app.counter.flow import WHERE, Screen
from pos_app.desk import fields as read
from pos_app.desk.core import Core
from pos_app.desk.fields import Fields
from pos_app.desk.papers import request_of
from pos_app.desk.state import Asking

ON_RECEIPTS = frozenset({Screen.RECEIPTS, Screen.RECEIPT, Screen.ASK_BACK})
SCANNED_ON = ON_RECEIPTS | WHERE["receipts"]
NOT_WHOLE = (
    *(TooLarge, CodeDamaged, Malformed, NotCanonical, DuplicateKey, UnknownKey, TrailingBytes),
    *(UnprotectedHeader, ValueOutOfRange),
)
"""How a code fails of which some letters are wrong; their own words are for a customer's app."""


class AskingBack:
    """`ask_back` is the action of its name; `scanned` is offered each code that is read."""

    def __init__(self, core: Core, list_own: Callable[[Fields], None], show_own: Callable[[Fields], None]) -> None:
        """The actions that list this till's receipts, and show one of them."""
        self._core, self._list_own, self._show_own = core, list_own, show_own
        self._refunds: RefundAsking = core.parts.station.acceptor.refunds()

    def scanned(self, text: str) -> bool:
        """Is this a receipt, where receipts are looked at? Then it is on the screen, or it is said why not. Never
        raises."""
        core = self._core
        if not text.startswith(RECEIPT_PREFIX) or core.state.screen not in SCANNED_ON or core.state.pending is not None:
            return False
        try:
            shown = self._read(text)
            asking = None if shown.is_own else Asking(shown, self._refunds.asked(shown), is_again=True)
            if core.state.screen in SCANNED_ON - ON_RECEIPTS:
                self._list_own({})
            if asking is None:
                self._show_own({"number": str(shown.voucher.sequence)})
                return True
            core.put(core.state._replace(screen=Screen.ASK_BACK, asking=asking, notice=None))
        except Refusal as refusal:
            core.put(core.state._replace(notice=refusal), counts=False)
        return True

    def _read(self, text: str) -> Shown:
        """Raises ReceiptCodeUnreadable, and what else `RefundAsking.read` raises."""
        try:
            return self._refunds.read(text)
        except NOT_WHOLE as refusal:
            raise ReceiptCodeUnreadable(refusal.detail) from refusal

    def ask_back(self, fields: Fields) -> None:
        """The receipt on the screen; all its KGO unless an amount is said. Of one that was asked for before, another
        amount is a new request, once it was scanned again; no amount, or the same, asks nothing. Raises NotAnAmount,
        AmountTooLong, and what `RefundAsking.ask` raises."""
        core = self._core
        asking = core.state.asking
        if asking is None:
            raise NotNow("no receipt on the screen")
        voucher = asking.shown.voucher
        if asking.asked is not None and not asking.is_again:
            return  # asked on this very screen
        before = self._refunds.asked(asking.shown)
        plain = voucher.kgo if before is None else before.kgo
        kgo = read.amount(fields, "amount") if fields.get("amount") else plain
        totals = core.parts.shifts.totals
        shift = totals.number if totals.is_open else 0
        asked = self._refunds.ask(asking.shown, kgo, shift, core.who, read.text(fields, "note"))
        core.put(core.state._replace(asking=asking._replace(asked=asked, is_again=asked == before), notice=None))
        if asked != before:
            named = {"device": voucher.device, "sequence": voucher.sequence}
            core.log("ask_back", **named, kgo=kgo, request=asked.number)
            self.print()

    def print(self) -> None:
        """The slip of the request on the screen."""
        core = self._core
        asking = core.state.asking
        if asking is None or asking.asked is None:
            raise NotNow("no request on the screen")
        try:
            core.parts.paper.add(request_of(core, asking.shown.voucher, asking.asked))
        except Refusal as refusal:
            core.put(core.state._replace(notice=refusal), counts=False)
