"""A sale is paid: KGO by code or card, cash, PromptPay, in any mix; then it is closed, once. DESIGN §5, §6.

What is asked of a customer is durable before it is asked. One voucher a sale: the customer's code makes it, or, for
money alone, the closing does. Its event comes after it, and its receipt after that; a power cut in between is found at
the next start (`recovery.py`). The shop's file never says that something was paid.
"""

from offline_ledger.errors import (
    KgoPaidAlready,
    NoPromptPay,
    NotToBeReturned,
    Refusal,
    SaleNotSettled,
    TenderTooLarge,
    TooManyParts,
)
from offline_ledger.protocol import qr
from offline_ledger.protocol.device import PlaceKey, VoucherKind
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.shop_event import SaleSums
from offline_ledger.rules.sale import Usable, suggest_kgo
from pos_app.counter import tender as tenders
from pos_app.counter.flow import Screen
from pos_app.counter.sale_record import TENDERS_MAX, SaleRecord, SaleState
from pos_app.counter.shift_book import check_open
from pos_app.counter.tender import Tender, TenderKind
from pos_app.desk import fields as read
from pos_app.desk.core import Core
from pos_app.desk.fields import Fields
from pos_app.desk.papers import number_text, receipt_of
from pos_app.desk.state import Done
from pos_app.promptpay import parse_target, payload
from pos_app.sale import OpenBill, OpenSale, check_usable, place_of


class Paying:
    """Its public methods are the actions of these names; `kgo_paid` hears of the customer's code."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def offer(self, sale: SaleRecord) -> Usable | None:
        """What of a wallet may pay this one now; None: no campaign can be read."""
        try:
            return self._core.parts.till.usable(max(1, _rest_satang(sale)))
        except Refusal:
            return None

    def open_bill(self) -> OpenBill | None:
        """What a coupon or a code may pay at this moment; None: nothing."""
        core = self._core
        sale = core.state.sale
        if core.state.screen is not Screen.PAY or sale.due_satang <= 0:
            return None
        if tenders.sequence_of(sale.tenders, TenderKind.KGO):
            return None  # the sale's voucher says already what is due in money
        if len(sale.tenders) + 1 >= TENDERS_MAX:
            return None  # the last part must settle the rest
        takes_kgo = all(part.kind is TenderKind.COUPON for part in sale.tenders)
        return OpenBill(OpenSale(sale.sale, _rest_satang(sale), 0, 0, core.who), sale.due_satang, takes_kgo)

    def pay(self, _fields: Fields) -> None:
        """To the ways to pay: from here on a code may pay, so its goods are durable. Raises ShiftShut, BasketEmpty,
        AmountNotPositive, StorageFull, StorageFailed."""
        core = self._core
        check_open(core.parts.shifts.totals)
        sale = core.payable()
        core.parts.saver.now(sale)
        offer = core.parts.till.usable(sale.basket.bill_satang)
        core.put(core.state._replace(screen=Screen.PAY, sale=sale, offer=offer, notice=None))

    def kgo(self, fields: Fields) -> None:
        """The customer uses so many KGO: the next code or card pays them. Raises KgoPaidAlready, SaleNotSettled, the
        reason that binds for too many, TooManyParts, StorageFull, StorageFailed."""
        core = self._core
        sale, till = core.state.sale, core.parts.till
        if tenders.sequence_of(sale.tenders, TenderKind.KGO):
            raise KgoPaidAlready()
        if any(part.kind is not TenderKind.COUPON for part in sale.tenders):
            raise SaleNotSettled("KGO come before money")
        if len(sale.tenders) + 1 >= TENDERS_MAX:
            raise TooManyParts()
        offer = till.usable(_rest_satang(sale))
        chosen = read.amount(fields, "amount") if fields.get("amount") else suggest_kgo(offer)
        asked = OpenSale(sale.sale, _rest_satang(sale), chosen, 0, core.who)
        check_usable(asked, offer)
        sale = sale._replace(asked_kgo=chosen)
        core.parts.saver.now(sale)  # a paid voucher always finds its goods
        till.sale = asked
        core.log("kgo", sale=sale.sale, kgo=chosen)
        core.put(core.state._replace(screen=Screen.WAIT_KGO, sale=sale, offer=offer, request_qr="", notice=None))
        if chosen > core.parts.station.limits.one_way_shop_kgo_max:
            self.kgo_request(fields)

    def kgo_request(self, _fields: Fields) -> None:
        """The signed request on the customer's display, for any wallet to answer. Raises StorageFull, StorageFailed,
        and what keeps this terminal from being paid."""
        core = self._core
        till, station = core.parts.till, core.parts.station
        assert till.sale is not None
        asked = station.acceptor.till.ask(till.charge_without_wallet(till.sale))
        text = qr.encode(QrType.REQUEST, station.own_certificate.raw, asked.signed.raw)
        core.put(core.state._replace(request_qr=text, request_ends_s=asked.request.expires_at_s))

    def resume(self, sale: SaleRecord) -> None:
        """After a restart its customer is still asked for so many KGO: the same code pays them, and so does the answer
        to the request that is open, which is shown again. Raises what `kgo` raises, when they may no longer be used."""
        core = self._core
        asked = OpenSale(sale.sale, _rest_satang(sale), sale.asked_kgo, 0, sale.cashier)
        offer = core.parts.till.usable(asked.bill_satang)
        check_usable(asked, offer)
        core.parts.till.sale = asked
        core.put(core.state._replace(sale=sale, offer=offer, behind_lock=Screen.WAIT_KGO))
        if core.parts.station.acceptor.till.is_asking(sale.sale, core.now().at_s):
            self.kgo_request({})

    def look_at_request(self) -> None:
        """One that ran out, or that a refused answer cancelled, leaves the display: nobody shall pay it any more."""
        core = self._core
        state = core.state
        if state.request_qr and not core.parts.station.acceptor.till.is_asking(state.sale.sale, core.now().at_s):
            core.put(state._replace(request_qr="", request_ends_s=0), counts=False)

    def kgo_cancel(self, _fields: Fields) -> None:
        """No code is wanted any more. One that was charged without a green is not charged. Raises StorageFull,
        StorageFailed; then the till waits on."""
        core = self._core
        sale, till = core.state.sale, core.parts.till
        core.parts.station.acceptor.till.take_back_requests(sale.sale)
        if till.sale is not None:
            till.cancel(till.sale)
        sale = sale._replace(asked_kgo=0)
        core.parts.saver.later(sale)
        core.log("kgo_cancel", sale=sale.sale)
        core.put(core.state._replace(screen=Screen.PAY, sale=sale, request_qr=""))
        core.running.ready_when_unlit()

    def kgo_paid(self, paid: OpenSale, sequence: int) -> None:
        """A code or card paid this sale, which may no longer be the one on the counter. Never raises: it is paid."""
        core = self._core
        is_here = core.state.sale.sale == paid.sale
        try:
            sale = core.state.sale if is_here else core.parts.sales.get(paid.sale)
        except Refusal as refusal:
            core.put(core.state._replace(notice=refusal), counts=False)
            return  # it is in the journal, and found at the next start
        if sale is None or sale.state in (SaleState.CLOSED, SaleState.DROPPED):
            return
        sale = self.with_voucher(sale, sequence)
        try:
            core.parts.station.acceptor.till.take_back_requests(paid.sale)  # it was paid by another way than was shown
        except Refusal as refusal:
            core.put(core.state._replace(notice=refusal), counts=False)
        if not is_here:
            core.held_count += sale.state is not SaleState.HELD
            core.parts.saver.later(sale._replace(state=SaleState.HELD))  # its goods are paid in part or whole
            return
        core.parts.saver.later(sale)
        offer = core.parts.till.usable(max(1, _rest_satang(sale)))
        is_shut = not core.parts.shifts.totals.is_open
        if is_shut and core.state.screen in (Screen.REPORT, Screen.NO_SHIFT):  # the next shift opens on what is paid
            core.put(core.state._replace(sale=sale, request_qr="", offer=offer))
            return
        core.show(Screen.PAY, sale=sale, request_qr="", offer=offer)
        try:
            self._finish_if_paid()
        except Refusal as refusal:
            core.put(core.state._replace(notice=refusal), counts=False)

    def with_voucher(self, sale: SaleRecord, sequence: int) -> SaleRecord:
        """The sale with what this voucher took: KGO of a wallet, or a coupon."""
        made = self._core.parts.station.acceptor.till.made(sequence)
        if made is None or made.object_hash is None or any(one.sequence == sequence for one in sale.tenders):
            return sale
        if made.kind == VoucherKind.COUPON:
            worth = made.place.get(PlaceKey.BILL_SATANG)
            part = Tender(TenderKind.COUPON, worth if isinstance(worth, int) else 0, made.kgo, 0, sequence)
            return sale._replace(tenders=(*sale.tenders, part))
        satang = _rest_satang(sale) - made.satang
        part = Tender(TenderKind.KGO, satang, kgo=made.kgo, sequence=sequence)
        return sale._replace(tenders=(*sale.tenders, part), reward_kgo=made.reward_kgo or 0, asked_kgo=0)

    def cash(self, fields: Fields) -> None:
        """Raises NotAnAmount, AmountNotPositive, AmountTooLong, StorageFull, StorageFailed, ShiftShut."""
        sale = self._core.state.sale
        if sale.tenders and not sale.due_satang:
            return self.finish()  # it was paid, and could not be closed then
        given = read.amount(fields, "given") if fields.get("given") else sale.due_satang
        self._add(tenders.cash(sale.due_satang, given))

    def promptpay(self, fields: Fields) -> None:
        """The code for the customer's bank app. Raises NoPromptPay, NotAnAmount, AmountNotPositive, TenderTooLarge."""
        core = self._core
        if not core.parts.words.promptpay:
            raise NoPromptPay()
        due = core.state.sale.due_satang
        satang = read.amount(fields, "amount") if fields.get("amount") else due
        tenders.promptpay(due, satang)
        text = payload(parse_target(core.parts.words.promptpay), satang, core.state.sale.sale.upper())
        core.put(core.state._replace(screen=Screen.PROMPTPAY, promptpay_satang=satang, promptpay_qr=text))

    def promptpay_confirm(self, _fields: Fields) -> None:
        """The cashier saw the money arrive; nobody else did: it stays unverified. Raises as `cash`."""
        state = self._core.state
        part = tenders.promptpay(state.sale.due_satang, state.promptpay_satang)
        self._core.log("promptpay_confirm", sale=state.sale.sale, satang=part.satang)
        self._add(part)

    def promptpay_cancel(self, _fields: Fields) -> None:
        """Back to the ways to pay."""
        self._core.put(self._core.state._replace(screen=Screen.PAY, promptpay_satang=0, promptpay_qr=""))

    def drop_tender(self, fields: Fields) -> None:
        """Money is handed back before the sale is closed. Raises SaleNotSettled for what a voucher stands for."""
        core = self._core
        sale, index = core.state.sale, read.whole(fields, "index")
        if index >= len(sale.tenders):
            raise TenderTooLarge(str(index))
        part = sale.tenders[index]
        if part.kind in tenders.SIGNED:
            raise SaleNotSettled("only cancelling the sale gives KGO back")
        sale = sale._replace(tenders=sale.tenders[:index] + sale.tenders[index + 1 :])
        core.log("drop_tender", sale=sale.sale, kind=part.kind.value, satang=part.satang)
        core.keep(sale)

    def cancel_sale(self, _fields: Fields) -> None:
        """The customer leaves: KGO go back by a voucher, money by hand. Raises what giving back raises; then the sale
        is as it was."""
        core = self._core
        sale = core.state.sale
        till, sequence = core.parts.station.acceptor.till, tenders.sequence_of(sale.tenders, TenderKind.KGO)
        if tenders.sequence_of(sale.tenders, TenderKind.COUPON):
            raise NotToBeReturned("a coupon was used")
        place = place_of(OpenSale(sale.sale, sale.basket.bill_satang, 0, 0, core.who))
        unclosed = {sale.number, till.voucher_of(sale.sale) or 0}  # a disk error kept its closing from being written
        for voucher in (*sorted(unclosed - {0, sequence}), *([sequence] if sequence else [])):
            till.void(voucher, place)
        core.parts.saver.later(sale._replace(state=SaleState.DROPPED))
        core.log("cancel_sale", sale=sale.sale, satang=sale.basket.bill_satang, voucher=sequence)
        core.put(core.state._replace(screen=Screen.SALE, sale=core.new_sale(), offer=None))

    def print_done(self) -> None:
        """The receipt of the sale that was just closed, once more. Raises what the print queue raises."""
        core = self._core
        assert core.state.done is not None
        core.parts.paper.reprint(number_text(core.state.done.record.number))
        core.changed()

    def next(self, _fields: Fields) -> None:
        """The next customer."""
        self._core.put(self._core.state._replace(screen=Screen.SALE, done=None, notice=None))

    # --- inside

    def _add(self, part: Tender) -> None:
        core = self._core
        before = core.state.sale
        if len(before.tenders) + 1 >= TENDERS_MAX and part.satang < before.due_satang:
            raise TooManyParts()
        self._check_kgo_stand(before)
        sale = before._replace(tenders=(*before.tenders, part))
        core.parts.saver.now(sale)
        core.put(core.state._replace(screen=Screen.PAY, sale=sale, promptpay_satang=0, promptpay_qr=""))
        self._finish_if_paid()

    def _finish_if_paid(self) -> None:
        if self._core.state.sale.due_satang == 0:
            self.finish()

    def finish(self) -> None:
        """Closes the sale on the counter, which is paid. What fails leaves it there, paid and open: pressing again
        closes it, once. Raises StorageFull, StorageFailed, ShiftShut."""
        core = self._core
        sale = self.closed(core.state.sale)
        self._done(sale, thanks_shown=True, notice=None)
        if tenders.of_kind(sale.tenders, TenderKind.CASH):
            core.parts.paper.kick()
        self._print(sale)

    def finish_at_start(self, sale: SaleRecord) -> SaleRecord:
        """Of a sale that was paid when the power went: it is closed, its change stands behind the lock, and its receipt
        is printed if none was. The drawer stays shut: nobody is signed in. What is wrong with the till stays said.
        Raises as `finish`."""
        sale = self.closed(sale)
        self._core.parts.till.waiting.paid(sale.sale, sale.number)
        self._done(sale, thanks_shown=False)
        if not self._core.parts.paper.has(number_text(sale.number)):
            self._print(sale)
        return sale

    def print_at_start(self, sale: SaleRecord, *, is_shown: bool) -> None:
        """Of a sale that was closed when the power went, and has no paper. `is_shown`: nothing else is on the counter,
        so its change stands behind the lock."""
        if is_shown and not self._core.state.sale.basket.lines:
            self._done(sale, thanks_shown=False)
        self._print(sale)

    def _done(self, sale: SaleRecord, *, thanks_shown: bool, **more: object) -> None:
        core = self._core
        done = Done(sale, core.parts.mono_ms())
        totals = core.parts.shifts.totals
        core.show(
            Screen.DONE, sale=core.new_sale(), done=done, offer=None, totals=totals, thanks_shown=thanks_shown, **more
        )

    def _print(self, sale: SaleRecord) -> None:
        core = self._core
        try:
            core.parts.paper.add(receipt_of(core, sale))
        except Refusal as refusal:
            core.put(core.state._replace(notice=refusal), counts=False)  # the sale stands; it may be printed later

    def closed(self, sale: SaleRecord) -> SaleRecord:
        """Voucher, event, record, in this order; each finds what was written before a power cut."""
        core = self._core
        self._check_kgo_stand(sale)
        bill = _rest_satang(sale)
        number = tenders.sequence_of(sale.tenders, TenderKind.KGO)
        if not bill:
            number = tenders.sequence_of(sale.tenders, TenderKind.COUPON)
        asked, till = OpenSale(sale.sale, bill, 0, 0, sale.cashier), core.parts.station.acceptor.till
        if not number:
            number = till.sell(core.parts.till.charge_without_wallet(asked), sale.number)
        elif sale.number not in (0, number):
            till.void(sale.number, place_of(asked))  # money alone was to pay it, and a disk error came between
        sale = self._with_number(sale, number)
        core.parts.shifts.sale_closed(sale.cashier, sale.sale, number, sums_of(sale))
        sale = sale._replace(state=SaleState.CLOSED, shift=core.parts.shifts.totals.number)
        core.parts.saver.later(sale)
        core.log("sale", sale=sale.sale, number=number, satang=sale.basket.bill_satang)
        return sale

    def _check_kgo_stand(self, sale: SaleRecord) -> None:
        """A disk error while it was cancelled may have let its voucher go all the same. Raises SaleNotSettled."""
        paid = tenders.sequence_of(sale.tenders, TenderKind.KGO)
        if paid and self._core.parts.station.acceptor.till.is_taken_back(paid):
            raise SaleNotSettled("its KGO went back: cancel it")

    def _with_number(self, sale: SaleRecord, number: int) -> SaleRecord:
        """Its voucher is there, whatever becomes of its closing, and however long it is put aside until then. No write
        of its own: who puts it aside writes it, and a start finds the voucher."""
        core = self._core
        sale = sale._replace(number=number)
        if core.state.sale.sale == sale.sale:
            core.put(core.state._replace(sale=sale), counts=False)
        return sale


def _rest_satang(sale: SaleRecord) -> int:
    """The bill of the sale's own voucher: what coupons leave of it."""
    return sale.basket.bill_satang - tenders.of_kind(sale.tenders, TenderKind.COUPON)


def sums_of(sale: SaleRecord) -> SaleSums:
    """What the shift's event says of it."""
    return SaleSums(
        bill_satang=sale.basket.bill_satang,
        kgo=sale.paid.kgo,
        kgo_satang=tenders.of_kind(sale.tenders, TenderKind.KGO),
        coupon_satang=tenders.of_kind(sale.tenders, TenderKind.COUPON),
        cash_satang=tenders.of_kind(sale.tenders, TenderKind.CASH),
        promptpay_satang=tenders.of_kind(sale.tenders, TenderKind.PROMPTPAY),
        vat_satang=sale.vat_satang,
        pieces=sale.basket.pieces,
        goods_discount_satang=sale.basket.discounts_satang,
    )
