"""The shift that is open at this till: every event of it durable, with what it comes to, in one transaction. DESIGN §5.

Sums are kept beside the newest event in the journal's small values, so a start reads one value and no events. It also
remembers which sale was closed last: after a power cut between the journal and the shop's file, that one has its
receipt. Opens no drawer, asks no PIN.
"""

from typing import cast

from offline_ledger.errors import JournalDamaged, Refusal
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import EventKind
from offline_ledger.protocol.shop_event import (
    SaleSums,
    ShopEvent,
    ShopEventKind,
    encode_shop_event,
    shop_event_in,
)
from offline_ledger.terminal.station import Station
from pos_app.counter.shift_book import (
    ShiftTotals,
    applied,
    check_cash_out,
    check_open,
    check_shut,
    from_kept,
    kept,
)

SHIFT_META = "shop.shift"
Z_META = "shop.z_made"
_META_BYTES_MAX = 2_048
EVENTS_LOOKED_AT_MAX = 1_024
"""Behind one voucher: of some 500 sales, and read in a few milliseconds."""


class ShiftKeeper:
    """One till's, on the deciding thread. Any call may raise StorageFull, StorageFailed; then nothing happened."""

    def __init__(self, station: Station) -> None:
        """Raises JournalDamaged when what the journal kept is no shift."""
        self._station = station
        self._reopened = station.journal.reopened
        self.totals, self.last_closed = self._read()

    def take_in(self) -> None:
        """After a disk error it is known now what was written."""
        if self._reopened != self._station.journal.reopened:
            self._reopened = self._station.journal.reopened
            self.totals, self.last_closed = self._read()

    def open(self, cashier: str, float_satang: int) -> None:
        """Raises ShiftOpen."""
        self.take_in()
        check_shut(self.totals)
        self._write(ShopEventKind.SHIFT_OPENED, cashier, 0, (float_satang,), shift=self.totals.number + 1)

    def sale_closed(self, cashier: str, sale: str, sequence: int, sums: SaleSums) -> None:
        """Once for each sale: one that was closed already changes nothing. Raises ShiftShut."""
        self.take_in()
        if self.last_closed == sale or self._has(ShopEventKind.SALE_CLOSED, sequence):
            return
        check_open(self.totals)
        self._write(ShopEventKind.SALE_CLOSED, cashier, sequence, tuple(sums), closed=sale)

    def returned(self, cashier: str, sequence: int, sums: SaleSums) -> None:
        """Goods or money went back by this voucher; once for each. Raises ShiftShut."""
        self.take_in()
        if self._has(ShopEventKind.RETURNED, sequence):
            return
        check_open(self.totals)
        self._write(ShopEventKind.RETURNED, cashier, sequence, tuple(sums))

    def cash_in(self, cashier: str, satang: int, why: str) -> None:
        """Raises ShiftShut."""
        self.take_in()
        check_open(self.totals)
        self._write(ShopEventKind.CASH_IN, cashier, 0, (satang,), note=why)

    def cash_out(self, cashier: str, satang: int, why: str) -> None:
        """Raises ShiftShut, AmountNotPositive, CashNotInDrawer."""
        self.take_in()
        check_open(self.totals)
        check_cash_out(self.totals, satang)
        self._write(ShopEventKind.CASH_OUT, cashier, 0, (satang,), note=why)

    def counted(self, cashier: str, satang: int, handed_to: str = "") -> None:
        """The drawer was counted; to hand it over, or not. Raises ShiftShut."""
        self.take_in()
        check_open(self.totals)
        kind = ShopEventKind.HANDED_OVER if handed_to else ShopEventKind.COUNTED
        self._write(kind, cashier, 0, (satang, _said(self.totals.expected_satang)), note=handed_to)

    def drawer_opened(self, cashier: str, why: str) -> None:
        """Without a sale."""
        self.take_in()
        self._write(ShopEventKind.DRAWER_OPENED, cashier, 0, (), note=why)

    def audit_head(self, cashier: str, rows: int, link: bytes) -> None:
        """The till's audit log has so many rows, and this is the link of the newest. It must be durable already: then a
        log that lacks this row was changed, whatever a power cut did."""
        self.take_in()
        self._write(ShopEventKind.AUDIT_HEAD, cashier, 0, (rows,), note=link.hex())

    def close(self, cashier: str) -> ShiftTotals:
        """The Z report's figures. Counted or not, short or not, sent or not: it closes. Raises ShiftShut."""
        self.take_in()
        check_open(self.totals)
        now = self.totals
        sums = (now.sales, now.bill_satang, now.kgo, now.kgo_satang, now.coupon_satang, now.cash_satang)
        back = (now.promptpay_satang, now.back_satang, now.back_kgo, now.back_cash_satang, now.in_satang)
        drawer = (now.out_satang, now.float_satang, now.expected_satang, now.counted_satang)
        said = tuple(_said(one) for one in (*sums, *back, *drawer))
        self._write(ShopEventKind.SHIFT_CLOSED, cashier, 0, said)
        return self.totals

    @property
    def has_z(self) -> bool:
        """Is the newest shift closed, and its Z report made? The shop's file may be another by now."""
        found = self._station.journal.meta_get(Z_META)
        return not self.totals.is_open and found == cbor.encode(self.totals.number)

    def z_made(self) -> None:
        """Its report is on its way to paper, and somebody has seen it."""
        self._station.journal.meta_put(Z_META, cbor.encode(self.totals.number))

    def closing(self) -> ShopEvent | None:
        """The event that closed the newest shift; None: it is open, or the journal does not hold it any more."""
        totals, journal = self.totals, self._station.journal
        last = totals.last_sequence
        found = journal.events_of(EventKind.SHIFT, last, last, EVENTS_LOOKED_AT_MAX)
        said = (shop_event_in(row.body) for _after, row in found)
        wanted = (ShopEventKind.SHIFT_CLOSED, totals.number)
        return next((one for one in said if one is not None and (one.what, one.shift) == wanted), None)

    # --- inside

    def _has(self, kind: ShopEventKind, sequence: int) -> bool:
        """Is there an event of this kind about this voucher? It can only stand behind it."""
        journal = self._station.journal
        found = journal.events_of(EventKind.SHIFT, sequence, journal.tail.sequence, EVENTS_LOOKED_AT_MAX)
        said = (shop_event_in(row.body) for _after, row in found)
        return any(one is not None and (one.what, one.refers) == (kind, sequence) for one in said)

    def _write(
        self,
        kind: ShopEventKind,
        cashier: str,
        refers: int,
        sums: tuple[int, ...],
        *,
        note: str = "",
        shift: int = 0,
        closed: str = "",
    ) -> None:
        at, journal = self._station.keeper.time(), self._station.journal
        after = journal.tail.sequence
        number = shift or self.totals.number
        event = ShopEvent(int(kind), at.at_s, int(at.trust), number, cashier, after, refers, sums, note)
        totals, last_closed = applied(self.totals, event), closed or self.last_closed
        meta = {SHIFT_META: cbor.encode([last_closed, *kept(totals)])}
        journal.append_event(EventKind.SHIFT, encode_shop_event(event), durable=True, meta=meta)
        self.totals, self.last_closed = totals, last_closed

    def _read(self) -> tuple[ShiftTotals, str]:
        found = self._station.journal.meta_get(SHIFT_META)
        if found is None:
            return ShiftTotals(), ""
        try:
            match cbor.decode(found, _META_BYTES_MAX):
                case [str(last_closed), *values]:
                    totals = from_kept(cast(list[object], values))
                case _:
                    totals, last_closed = None, ""
        except Refusal as refusal:
            raise JournalDamaged("the shift's sums are none") from refusal
        if totals is None:
            raise JournalDamaged("the shift's sums are none")
        return totals, last_closed


def _said(satang: int) -> int:
    """A sum as an event may have it: whatever was keyed in, a shift closes."""
    return min(max(0, satang), AMOUNT_MINOR_MAX)
