"""What a power cut left on the counter, put right at the start: paid is paid, and nothing is paid twice. DESIGN §5, §6.

The shop's file says what was bought; the journal says what was paid. A sale whose voucher is there and whose event or
receipt is not gets them now. One that still waits for its customer's green stands on the counter again, and so does
one whose customer is asked for KGO: what the wallet has signed meanwhile is taken.
"""

from offline_ledger.errors import Refusal, ShiftShut
from pos_app.counter import tender as tenders
from pos_app.counter.flow import Screen
from pos_app.counter.sale_record import SaleRecord, SaleState
from pos_app.counter.tender import TenderKind
from pos_app.desk.core import Core
from pos_app.desk.papers import number_text, voucher_text
from pos_app.desk.paying import Paying
from pos_app.desk.returning import Returning
from pos_app.sale import OpenSale


def recover(core: Core, paying: Paying, returning: Returning) -> None:
    """Before the first action. Raises StorageFull, StorageFailed, ShopFileDamaged."""
    given_back = returning.finish()
    aside = core.parts.sales.held()
    core.held_count = len(aside)
    for sale in aside:
        _take_up_held(core, paying, sale)
    core.show_shelf()
    core.parts.till.sale = None  # one that is no sale of the page's: its customer's code is welcome all the same
    for sale in core.parts.sales.on_counter():
        if core.state.sale.basket.lines:  # never two, but a file may come from anywhere: the older one is put aside
            _put_aside(core)
        _take_up(core, paying, sale)
    _print_last(core, paying)
    if given_back is not None and core.state.behind_lock is Screen.SALE and not core.state.sale.basket.lines:
        code = voucher_text(core, given_back.number)
        core.show(Screen.RECEIPT, receipt=given_back, receipt_qr=code)


def _print_last(core: Core, paying: Paying) -> None:
    """The newest receipt was not in the queue yet when the power went: nobody has it, and the change may be due."""
    totals, newest = core.parts.shifts.totals, next(iter(core.parts.sales.receipts(limit=1)), None)
    if newest is None or newest.returns or not totals.is_open or newest.shift != totals.number:
        return  # long ago: its paper may have left the queue
    if not core.parts.paper.has(number_text(newest.number)):
        paying.print_at_start(newest, is_shown=core.state.behind_lock is Screen.SALE)
        core.log("printed_at_start", sale=newest.sale, number=newest.number)


def _put_aside(core: Core) -> None:
    """What is on the counter; nobody is asked for its KGO any more, but one who was charged still gets his green."""
    sale, till = core.state.sale, core.parts.till
    core.parts.saver.now(sale._replace(state=SaleState.HELD, asked_kgo=0))
    core.held_count += 1
    if till.waiting.named(sale.sale) is None:
        till.sale = None
    core.put(core.state._replace(request_qr="", request_ends_s=0))


def _take_up(core: Core, paying: Paying, sale: SaleRecord) -> None:
    till = core.parts.till
    number = core.parts.station.acceptor.till.voucher_of(sale.sale)
    made = core.parts.station.acceptor.till.made(number) if number is not None else None
    is_waiting = till.waiting.named(sale.sale) is not None
    paid = tenders.sequence_of(sale.tenders, TenderKind.KGO)
    if paid and core.parts.station.acceptor.till.is_taken_back(paid):
        core.parts.saver.later(sale._replace(state=SaleState.DROPPED))  # it was being cancelled, and its KGO are back
        core.log("cancelled_at_start", sale=sale.sale, voucher=paid)
        return
    if made is not None and made.object_hash is not None and is_waiting:
        till.sale = OpenSale(sale.sale, sale.basket.bill_satang, made.kgo, 0, sale.cashier)
        offer = paying.offer(sale)
        core.show(Screen.WAIT_KGO, sale=sale._replace(asked_kgo=made.kgo), offer=offer)
        return
    for coupon in core.parts.station.acceptor.till.coupons_of(sale.sale):
        sale = paying.with_voucher(sale, coupon)
    if number is not None and made is not None and made.object_hash is not None:
        sale = paying.with_voucher(sale, number)
    if sale.tenders and not sale.due_satang:
        try:
            closed = paying.finish_at_start(sale)
        except ShiftShut as refusal:  # closed under the sale: it is closed in the next, with the next press
            core.show(Screen.PAY, sale=sale, notice=refusal)
            return
        core.log("closed_at_start", sale=sale.sale, number=closed.number)
        return
    if sale.asked_kgo and not paid:
        try:
            return paying.resume(sale)
        except Refusal as refusal:  # not as much as before, or the disk: the cashier chooses anew
            till.sale = None
            core.put(core.state._replace(notice=refusal, request_qr=""))
    sale = sale._replace(asked_kgo=0)
    screen = Screen.PAY if sale.tenders else Screen.SALE
    core.show(screen, sale=sale, offer=paying.offer(sale))


def _take_up_held(core: Core, paying: Paying, sale: SaleRecord) -> None:
    """Its customer's code may have been read while it was aside."""
    number = core.parts.station.acceptor.till.voucher_of(sale.sale)
    if number is None or core.parts.till.waiting.named(sale.sale) is not None:
        return
    paid = paying.with_voucher(sale, number)
    if paid != sale:
        core.parts.saver.now(paid)
