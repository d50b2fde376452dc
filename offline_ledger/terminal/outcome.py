"""What the acceptor answers and what it asks of the counter it stands on. DESIGN §5."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.wallet import Allowance, Audience, Coupon, Payment, Presentment
from offline_ledger.rules.clock import TimeNow


class Light(StrEnum):
    """The states of the lamp; each has its own shape and sound on the device."""

    WAIT = "wait"
    ACCEPTED = "accepted"
    ACCEPTED_CASH_DUE = "accepted_cash_due"
    ALREADY_ACCEPTED = "already_accepted"
    REFUSED = "refused"
    TRY_AGAIN = "try_again"
    OUT_OF_SERVICE = "out_of_service"


class Charge(NamedTuple):
    """What this code shall pay here and why. `place` says where, as the voucher will."""

    kgo: int
    satang: int
    kind: VoucherKind
    product: str
    bulletin: tuple[int, int]
    place: Mapping[int, object]
    reward_kgo: int | None


RIDES = frozenset({VoucherKind.BOARDING, VoucherKind.COUPON})
"""Kinds whose money due is a coin that is paid while the light is on; a sale's is paid at the till."""


def charge_of(voucher: Voucher) -> Charge:
    """What a voucher of ours took."""
    return Charge(
        kgo=voucher.kgo,
        satang=voucher.satang,
        kind=VoucherKind(voucher.kind),
        product=voucher.product,
        bulletin=voucher.bulletin,
        place=voucher.place,
        reward_kgo=voucher.reward_kgo,
    )


def light_of(charge: Charge) -> Light:
    """The green of a charge; on a bus the coin is still due."""
    is_cash_due = charge.kind in RIDES and charge.satang > 0
    return Light.ACCEPTED_CASH_DUE if is_cash_due else Light.ACCEPTED


def occasion_of(place: Mapping[int, object], kgo: int) -> bytes:
    """What the next n must share to be the return of an unratified voucher: the sale, or the trip and amount."""
    sale = place.get(PlaceKey.SALE)
    if sale is not None:
        return cbor.encode([1, sale])
    return cbor.encode([2, place.get(PlaceKey.ROUTE), place.get(PlaceKey.TRIP), kgo])


class Last(NamedTuple):
    """The last voucher of an allowance here. `is_taken_back`: nobody pays it; what it used of a day is free again."""

    voucher: Voucher
    is_taken_back: bool


LastVoucher = Callable[[], Last | None]
"""Reads the journal, so only rules that depend on history call it."""


class Counter(Protocol):
    """Where the acceptor stands: a till with an open sale, or a bus door on a trip. Never signs, never writes."""

    audience: Audience
    pass_back_s: int
    """So long after its light the same wallet gets nothing further here; 0: it is welcome at once."""

    def charge(
        self, allowance: Allowance, shown: Presentment | Payment | None, last: LastVoucher, at: TimeNow
    ) -> Charge:
        """The amount by sale or tariff; `shown` None: a card that is to be asked for it. `last` reads this allowance's
        last voucher here. Raises refusals."""
        ...

    def coupon_charge(self, coupon: Coupon, at: TimeNow) -> Charge:
        """What a paper coupon stands for here. Raises WrongCodeType where none is taken."""
        ...

    @property
    def trip(self) -> str | None:
        """The trip that a coupon may be pinned to; None: there is none."""
        ...

    def is_repeat(self, made: Voucher, elapsed_s: int) -> bool:
        """A card that paid this voucher last is held here again, so long after its light: no more than that, and not
        for something new?"""
        ...

    def wants(self, occasion: bytes) -> bool:
        """Whether a payment that was asked for this occasion is still wanted here."""
        ...

    def is_busy_with_other(self, made: Voucher) -> bool:
        """Whether a green for this earlier voucher would now be taken for something else that is open here."""
        ...


class Outcome(NamedTuple):
    """One decision, already durable. `sequence` names the voucher that was made, or the one a repeat was paid by. An
    uncharged green is the light of before, with the `charge` of before: whether its cash was taken nobody knows."""

    light: Light
    sequence: int | None = None
    charge: Charge | None = None
    voucher: Signed | None = None
    refusal: Refusal | None = None
    is_uncharged_green: bool = False
