"""Goods come back: receipts are found again, printed again, voided or refunded, in part or whole. DESIGN §5, §8.

The voucher that gives back comes first, with the sums that nobody can exceed; its event and the receipt's record follow
and are found after a power cut (`recovery.py`). KGO go to the wallet that paid, when the city posts it; money goes out
of the drawer.
"""

from contextlib import suppress

from offline_ledger.errors import (
    NoSuchReceipt,
    NotToBeReturned,
    ReceiptNotKept,
    Refusal,
    ShopFileDamaged,
    StorageFailed,
    StorageFull,
    TooManyParts,
)
from offline_ledger.money import share_down, share_nearest
from offline_ledger.protocol.device import PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.shop_event import SaleSums
from offline_ledger.terminal.till_vouchers import LOOK_BACK_MAX
from pos_app.counter import giving_back
from pos_app.counter.flow import Screen
from pos_app.counter.giving_back import Back, added
from pos_app.counter.sale_record import RETURNS_MAX, Return, SaleRecord, SaleState
from pos_app.counter.shift_book import check_open
from pos_app.desk import fields as read
from pos_app.desk.core import Core
from pos_app.desk.fields import Fields
from pos_app.desk.papers import number_text, receipt_of, return_of, voucher_text
from pos_app.desk.state import Returning as Reckoned
from pos_app.sale import OpenSale, place_of


class Returning:
    """Its methods are the actions of these names."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._reopened = core.parts.station.journal.reopened

    def receipts(self, _fields: Fields) -> None:
        """The newest ones."""
        core = self._core
        core.parts.saver.now()
        found = tuple(core.parts.sales.receipts())
        core.put(core.state._replace(screen=Screen.RECEIPTS, receipts=found, query="", notice=None, done=None))

    def find(self, fields: Fields) -> None:
        """By the number on the paper. Raises NoSuchReceipt."""
        core = self._core
        query = read.text(fields, "query")
        if not query:
            return self.receipts(fields)
        digits = query.lstrip("0")
        core.parts.saver.now()
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= read.WHOLE_DIGITS_MAX
        found = core.parts.sales.by_number(int(digits)) if is_number else None
        if found is None or found.state is not SaleState.CLOSED:
            raise NoSuchReceipt(query[:20])
        core.put(core.state._replace(receipts=(found,), query=query))

    def receipt(self, fields: Fields) -> None:
        """One of them. Raises NoSuchReceipt."""
        self._show(self._numbered(fields), Screen.RECEIPT)

    def refund_start(self, fields: Fields) -> None:
        """Which goods come back? Raises NoSuchReceipt, NothingLeftToReturn."""
        sale = self._numbered(fields)
        giving_back.rest(sale.paid, sale.back)
        self._show(sale, Screen.REFUND)

    def refund_sure(self, fields: Fields) -> None:
        """What `refund` with these fields would give back, to be confirmed. Raises what `refund` raises."""
        core, sale = self._core, self._numbered(fields)
        check_open(core.parts.shifts.totals)
        back, lines = asked_back(sale, fields)
        core.put(core.state._replace(receipt=sale, returning=Reckoned(back, tuple(lines.items())), notice=None))

    def reprint(self, fields: Fields) -> None:
        """A copy, which says so. Raises NoSuchReceipt, and what the print queue raises."""
        core, sale = self._core, self._numbered(fields)
        core.log("reprint", number=sale.number)
        try:
            core.parts.paper.reprint(number_text(sale.number))
        except ReceiptNotKept:  # a power cut before it was in the queue, or long ago: nobody knows of a first paper
            core.parts.paper.add(receipt_of(core, sale)._replace(is_copy=True))
        core.changed()

    def void(self, fields: Fields) -> None:
        """The whole sale, in its own shift. Raises NoSuchReceipt, NotToBeReturned, NothingLeftToReturn."""
        sale = self._numbered(fields)
        if self._is_caught_up(sale):
            return
        if sale.shift != self._core.parts.shifts.totals.number:
            raise NotToBeReturned("a void in another shift")
        if sale.returns:
            raise NotToBeReturned("part of it went back already")
        self._give_back(sale, giving_back.rest(sale.paid, sale.back), (), is_void=True)

    def refund(self, fields: Fields) -> None:
        """Goods by line, or an amount of the bill. Raises NoSuchReceipt, FieldWrong, ReturnTooLarge, AmountNotPositive,
        NothingLeftToReturn."""
        sale = self._numbered(fields)
        if self._is_caught_up(sale):
            return
        back, lines = asked_back(sale, fields)
        self._give_back(sale, back, tuple(lines.items()), is_void=False)

    # --- inside

    def _numbered(self, fields: Fields) -> SaleRecord:
        self._core.parts.saver.now()  # what went back a moment ago is in it
        found = self._core.parts.sales.by_number(read.whole(fields, "number"))
        if found is None or found.state is not SaleState.CLOSED:
            raise NoSuchReceipt(fields.get("number", "")[:20])
        return found

    def _show(self, sale: SaleRecord, screen: Screen) -> None:
        core = self._core
        code = voucher_text(core, sale.number)
        core.put(core.state._replace(screen=screen, receipt=sale, receipt_qr=code, returning=None, notice=None))

    def _give_back(self, sale: SaleRecord, back: Back, lines: tuple[tuple[int, int], ...], *, is_void: bool) -> None:
        core = self._core
        check_open(core.parts.shifts.totals)
        if len(sale.returns) + 1 >= RETURNS_MAX and added(sale.back, back).goods_satang < sale.paid.goods_satang:
            raise TooManyParts()
        kind = VoucherKind.VOID if is_void else VoucherKind.REFUND
        place = place_of(OpenSale(sale.sale, back.goods_satang, 0, 0, core.who))
        sequence = core.parts.station.acceptor.till.give_back(sale.number, back.kgo, back.money_satang, kind, place)
        made = Return(sequence, core.now().at_s, core.who, is_void, *back, lines)
        sale = self.returned(sale, made)
        core.put(core.state._replace(totals=core.parts.shifts.totals))
        self._show(sale, Screen.RECEIPT)
        if back.money_satang:
            core.parts.paper.kick()
        self._print(sale, made)

    def _print(self, sale: SaleRecord, made: Return) -> None:
        core = self._core
        try:
            core.parts.paper.add(return_of(core, sale, made))
        except Refusal as refusal:
            core.put(core.state._replace(notice=refusal), counts=False)

    def finish(self, sale: str = "") -> SaleRecord | None:
        """Returns whose voucher is there and whose record is not, of one sale or of all: a power cut or a disk error
        came between. At most the last that were done; the newest record. Never raises for the shift."""
        core = self._core
        till, last = core.parts.station.acceptor.till, core.parts.station.journal.tail.sequence
        found: SaleRecord | None = None
        for sequence in range(max(1, last - LOOK_BACK_MAX + 1), last + 1):
            made = till.made(sequence)
            if made is None or made.kind not in (VoucherKind.REFUND, VoucherKind.VOID):
                continue
            name = str(made.place.get(PlaceKey.SALE, ""))
            record = found if found is not None and found.sale == name else core.parts.sales.get(name)
            if record is None or record.state is not SaleState.CLOSED or sale not in ("", name):
                continue
            if any(one.sequence == sequence for one in record.returns):
                continue
            try:
                found = self.returned(record, _return_of(made))
            except Refusal as refusal:
                core.put(core.state._replace(notice=refusal), counts=False)
                continue
            if not core.parts.paper.has(number_text(sequence)):
                self._print(found, found.returns[-1])
        return found

    def catch_up(self) -> None:
        """After a disk error it is known now what was written: a return whose voucher is there after all."""
        journal = self._core.parts.station.journal
        if self._reopened == journal.reopened:
            return
        found, shown = self.finish(), self._core.state.receipt
        self._reopened = journal.reopened
        if found is not None and shown is not None and shown.sale == found.sale:
            self._core.put(self._core.state._replace(receipt=found, totals=self._core.parts.shifts.totals))

    def _is_caught_up(self, sale: SaleRecord) -> bool:
        """What was pressed before, and failed after its voucher was written, is done now; and nothing more."""
        returned, back = self._core.parts.station.acceptor.till.returned(sale.number), sale.back
        if (returned.kgo, returned.satang) == (back.kgo, back.money_satang):
            return False
        found = self.finish(sale.sale)
        if found is None:
            return False
        self._show(found, Screen.RECEIPT)
        return True

    def returned(self, sale: SaleRecord, made: Return) -> SaleRecord:
        """Event and record of a return whose voucher is there."""
        core = self._core
        before, bill_satang = sale.back, sale.basket.bill_satang
        after = added(before, Back(made.goods_satang, made.kgo, made.money_satang))
        coupon_satang = giving_back.coupon_satang(sale.paid, after) - giving_back.coupon_satang(sale.paid, before)
        pieces = sum(count for _line, count in made.lines) or (sale.basket.pieces if made.is_void else 0)
        vat_satang, vat_before_satang = (
            share_nearest(sale.vat_satang, back.goods_satang, bill_satang) for back in (after, before)
        )
        sums = SaleSums(
            made.goods_satang,
            made.kgo,
            made.goods_satang - made.money_satang - coupon_satang,
            coupon_satang,
            made.money_satang,
            0,
            vat_satang - vat_before_satang,
            pieces,
            0,
            int(made.is_void),
        )
        core.parts.shifts.returned(made.cashier, made.sequence, sums)
        sale = sale._replace(returns=(*sale.returns, made))
        core.parts.saver.later(sale)
        with suppress(StorageFull, StorageFailed, ShopFileDamaged):  # it waits on, and the voucher stands
            core.parts.saver.now()
        core.log("void" if made.is_void else "refund", number=sale.number, satang=made.goods_satang, kgo=made.kgo)
        return sale


def asked_back(sale: SaleRecord, fields: Fields) -> tuple[Back, dict[int, int]]:
    """What a return of these goods, or of this amount, gives back; and the lines that were named."""
    lines = {line: count for line, count in read.pairs(fields, "lines").items() if count}
    satang = goods_satang(sale, lines) if lines else read.amount(fields, "amount")
    return giving_back.give_back(sale.paid, sale.back, satang), lines


def goods_satang(sale: SaleRecord, lines: dict[int, int]) -> int:
    """What these quantities came to, their part of the discounts off, reckoned on all that came back by line: in
    whatever order, all of them come to the bill. Raises LineGone, NotToBeReturned."""
    before: dict[int, int] = {}
    for one in sale.returns:
        for line, count in one.lines:
            before[line] = before.get(line, 0) + count
    for number, count in lines.items():
        line, gone = sale.basket.find(number), before.get(number, 0)
        if gone + count > line.quantity:
            raise NotToBeReturned(f"line {number}: {gone} of {line.quantity} went back already")
    after = {line.line: before.get(line.line, 0) + lines.get(line.line, 0) for line in sale.basket.lines}
    return _through_satang(sale, after) - _through_satang(sale, before)


def _through_satang(sale: SaleRecord, gone: dict[int, int]) -> int:
    """All that came back by line so far."""
    parts = [share_down(one.total_satang, gone.get(one.line, 0), one.quantity) for one in sale.basket.lines]
    return share_down(sum(parts), sale.basket.bill_satang, sale.basket.goods_satang)


def _return_of(made: Voucher) -> Return:
    """As far as the voucher knows: which goods they were is not in it."""
    goods, cashier = made.place.get(PlaceKey.BILL_SATANG), made.place.get(PlaceKey.CASHIER, "")
    is_void = made.kind == VoucherKind.VOID
    satang = goods if isinstance(goods, int) else made.satang
    return Return(made.sequence, made.at_s, str(cashier), is_void, satang, made.kgo, made.satang)
