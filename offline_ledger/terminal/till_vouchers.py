"""What a till signs beside a customer's code: a sale for money alone, what is given back, a request that any wallet may
answer. DESIGN §4, §5.

All under the acceptor's lock and on its journal. A sale has one voucher, whatever happens between its key press and its
receipt: who asks again gets the voucher that is there. Never opens a drawer, never prints.
"""

from collections.abc import Callable, Mapping
from threading import RLock
from typing import NamedTuple, cast

from offline_ledger.errors import JournalDamaged, NothingLeftToReturn, NotToBeReturned, Refusal, ReturnTooLarge
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import PlaceKey, Voucher, VoucherKind
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Charge, charge_of, occasion_of
from offline_ledger.terminal.payment_requests import Asked, PaymentRequests
from offline_ledger.terminal.ports import Conditions
from offline_ledger.terminal.unratified import UnratifiedVouchers
from offline_ledger.terminal.voucher_writer import Accepted, VoucherWriter

RETURNED_META = "returned."
"""And the sequence: what was given back of that voucher, kept with the voucher that gave it back and outliving both."""
LOOK_BACK_MAX = 64
"""So many vouchers back a sale is looked for after a start or a disk error: a till has few unfinished sales."""
_META_BYTES_MAX = 64
RETURNABLE = frozenset({VoucherKind.SALE})


class TillParts(NamedTuple):
    """The acceptor's own, shared with it. `cancel` and `has_no_light` are its doings."""

    lock: RLock
    journal: Journal
    vouchers: VoucherWriter
    requests: PaymentRequests
    unratified: UnratifiedVouchers
    conditions: Conditions
    cancel: Callable[[Asked, TimeNow], None]
    has_no_light: Callable[[int], None]


class Returned(NamedTuple):
    """Of one voucher, in minor units."""

    kgo: int
    satang: int


class TillVouchers:
    """One till's. Every method may raise StorageFull, StorageFailed, JournalDamaged."""

    def __init__(self, parts: TillParts) -> None:
        self._parts = parts

    def sell(self, charge: Charge, known: int = 0) -> int:
        """A sale that is paid in money alone; the sequence of its voucher. `charge.place` names the sale: one that has
        a voucher already gets no second one (`known`: which one it was, however long ago), unless it now comes to
        something else; then the earlier one is voided. Also from a terminal that the city pays nothing any more: the
        money is the merchant's own."""
        assert charge.kind is VoucherKind.SALE and not charge.kgo and not charge.reward_kgo
        with self._parts.lock:
            sale = cast(str, charge.place[PlaceKey.SALE])
            found = known if known and self._stands_for(known, sale) else self.voucher_of(sale)
            made = self.made(found) if found is not None else None
            if found is not None and made is not None:
                if (made.kgo, made.satang) == (0, charge.satang):
                    if self._parts.unratified.is_waiting(found):  # a power cut came: no customer waits for its light
                        self._parts.unratified.settled(found)
                        self._parts.has_no_light(found)
                    return found
                self.void(found, charge.place)
            return self._write(Accepted(charge))

    def void(self, sequence: int, place: Mapping[int, object]) -> None:
        """All that is left of this voucher goes back; nothing happens when nothing is. Raises as `give_back`."""
        with self._parts.lock:
            made = self.made(sequence)
            if made is None or self.is_taken_back(sequence):
                return
            if self._parts.unratified.void(sequence, self._parts.conditions.time()):
                return
            before = self.returned(sequence)
            left = Returned(made.kgo - before.kgo, made.satang - before.satang)
            self.give_back(sequence, left.kgo, left.satang, VoucherKind.VOID, dict(place))

    def voucher_of(self, sale: str) -> int | None:
        """The sequence of the SALE voucher that this sale has, if it was among the last ones; not of one that was taken
        back."""
        parts = self._parts
        with parts.lock:
            last = parts.journal.tail.sequence
            for sequence in range(last, max(0, last - LOOK_BACK_MAX), -1):
                if parts.vouchers.read(sequence) is None:
                    return None  # pruned; what is older is so too
                if self._stands_for(sequence, sale):
                    return sequence
            return None

    def is_taken_back(self, sequence: int) -> bool:
        """Does nobody pay this voucher of ours any more? Voided before its green, or all of it given back."""
        with self._parts.lock:
            made = self.made(sequence)
            is_back = made is not None and self.returned(sequence) == (made.kgo, made.satang)
            return is_back or self._parts.journal.is_uncharged(sequence)

    def coupons_of(self, sale: str) -> list[int]:
        """The sequences of coupons that paid a part of this sale, of those among the last vouchers; oldest first."""
        parts, found = self._parts, list[int]()
        with parts.lock:
            last = parts.journal.tail.sequence
            for sequence in range(max(1, last - LOOK_BACK_MAX + 1), last + 1):
                made = parts.vouchers.read(sequence)
                is_one = made is not None and made.kind == VoucherKind.COUPON
                if made is not None and is_one and made.place.get(PlaceKey.SALE) == sale:
                    found.append(sequence)
        return found

    def made(self, sequence: int) -> Voucher | None:
        """One of ours as it was signed; None when it is pruned or not there."""
        with self._parts.lock:
            return self._parts.vouchers.read(sequence)

    def returned(self, sequence: int) -> Returned:
        """What was given back of it so far, by this terminal."""
        kept = self._parts.journal.meta_get(f"{RETURNED_META}{sequence}")
        if kept is None:
            return Returned(0, 0)
        try:
            match cbor.decode(kept, _META_BYTES_MAX):
                case [int(kgo), int(satang)]:
                    return Returned(kgo, satang)
                case _:
                    raise JournalDamaged("what was returned is no pair of sums")
        except JournalDamaged:
            raise
        except Refusal as refusal:
            raise JournalDamaged("what was returned is no pair of sums") from refusal

    def give_back(self, sequence: int, kgo: int, satang: int, kind: VoucherKind, place: dict[int, object]) -> int:
        """A refund or void of our voucher `sequence`; the sequence of the voucher that says so. KGO go back to the
        wallet that paid, when it is posted. Raises NotToBeReturned, NothingLeftToReturn, ReturnTooLarge, and what keeps
        this terminal from being paid: it may promise nobody KGO then."""
        assert kind in (VoucherKind.REFUND, VoucherKind.VOID) and kgo >= 0 and satang >= 0
        parts = self._parts
        with parts.lock:
            made = parts.vouchers.read(sequence)
            if made is None or made.kind not in RETURNABLE:
                raise NotToBeReturned(str(sequence))
            if parts.unratified.is_waiting(sequence) or parts.journal.is_uncharged(sequence):
                raise NotToBeReturned(f"{sequence} was not completed")
            before = self.returned(sequence)
            left = Returned(made.kgo - before.kgo, made.satang - before.satang)
            if left == (0, 0) or not (kgo or satang):
                raise NothingLeftToReturn(str(sequence))
            if kgo > left.kgo or satang > left.satang:
                raise ReturnTooLarge(f"{kgo}+{satang} of {left.kgo}+{left.satang}")
            if kgo:
                at = parts.conditions.time()
                parts.conditions.check_standing(parts.journal.tail.sequence + 1, at)
            back = charge_of(made)._replace(kgo=kgo, satang=satang, kind=kind, place=place, reward_kgo=None)
            sums = cbor.encode([before.kgo + kgo, before.satang + satang])
            meta = {f"{RETURNED_META}{sequence}": sums}
            return self._write(Accepted(back, refers_to=sequence, meta=meta))

    def ask(self, charge: Charge) -> Asked:
        """The request for this charge that any wallet may answer, durable; the open one again, if there is one."""
        with self._parts.lock:
            at = self._parts.conditions.time()
            self._parts.conditions.check_standing(self._parts.journal.tail.sequence + 1, at)
            return self._parts.requests.ask(None, charge, at)

    def is_asking(self, sale: str, at_s: int) -> bool:
        """Can a request for this sale still be answered?"""
        with self._parts.lock:
            open_ones = self._parts.requests.open_for(occasion_of({int(PlaceKey.SALE): sale}, 0))
            return any(at_s <= asked.request.expires_at_s for asked in open_ones)

    def take_back_requests(self, sale: str) -> int:
        """The sale needs none of its open requests any more: a voucher for each says so, and what a wallet signed for
        it returns with its next statement. How many there were."""
        with self._parts.lock:
            at = self._parts.conditions.time()
            open_ones = self._parts.requests.open_for(occasion_of({int(PlaceKey.SALE): sale}, 0))
            for asked in open_ones:
                self._parts.cancel(asked, at)
            return len(open_ones)

    def _stands_for(self, sequence: int, sale: str) -> bool:
        made = self.made(sequence)
        is_its = made is not None and made.kind == VoucherKind.SALE and made.place.get(PlaceKey.SALE) == sale
        return is_its and not self.is_taken_back(sequence)

    def _write(self, accepted: Accepted) -> int:
        sequence = self._parts.journal.tail.sequence + 1
        self._parts.vouchers.write(sequence, accepted, self._parts.conditions.time())
        self._parts.has_no_light(sequence)
        return sequence
