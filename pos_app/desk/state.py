"""What the desk is at this moment: one frozen value, replaced as a whole, so that any thread may look at it. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from offline_ledger.errors import Refusal
from offline_ledger.protocol.refund_request import Asked, Shown
from offline_ledger.rules.sale import Usable
from pos_app.counter.flow import Screen
from pos_app.counter.giving_back import Back
from pos_app.counter.sale_record import SaleRecord
from pos_app.counter.shift_book import ShiftTotals
from pos_app.desk.ports import Person


class Pending(NamedTuple):
    """An action that waits for somebody who may sign for it."""

    action: str
    fields: Mapping[str, str]
    at_revision: int
    """If goods or money have changed since, it is no longer what was meant."""


class Done(NamedTuple):
    """The sale that was closed last, for as long as it is thanked for."""

    record: SaleRecord
    ended_mono_ms: int


class Report(NamedTuple):
    """An X or Z report on the screen."""

    totals: ShiftTotals
    is_z: bool
    at_s: int


class Asking(NamedTuple):
    """A receipt of another till on the screen, and what was asked of the city for it; `is_again`: before."""

    shown: Shown
    asked: Asked | None
    is_again: bool


class Returning(NamedTuple):
    """A return that was reckoned and is not done, of goods by (line, quantity), or of an amount."""

    back: Back
    lines: tuple[tuple[int, int], ...]


class DeskState(NamedTuple):
    """`interrupted`: sales of before a power cut that still wait for their customers."""

    screen: Screen
    language: str
    sale: SaleRecord
    totals: ShiftTotals
    cashier: Person | None = None
    behind_lock: Screen = Screen.SALE
    offer: Usable | None = None
    request_qr: str = ""
    request_ends_s: int = 0
    promptpay_satang: int = 0
    promptpay_qr: str = ""
    done: Done | None = None
    receipt: SaleRecord | None = None
    receipt_qr: str | None = None
    returning: Returning | None = None
    """What a return would give back, before it is confirmed."""
    receipts: tuple[SaleRecord, ...] = ()
    asking: Asking | None = None
    query: str = ""
    held: tuple[SaleRecord, ...] = ()
    report: Report | None = None
    handed_from: str = ""
    """Who gave the drawer to whoever signs in next."""
    pending: Pending | None = None
    notice: Refusal | None = None
    thanks_shown: bool = False
    """On the customer's display."""
