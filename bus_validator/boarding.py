"""The bus door: what a boarding costs on this trip. Pure. DESIGN §5, §9.

A boarding's history (last full fare, transfers, the day's sums) travels in the last voucher of the same allowance, so
it outlives a restart and the city can check it. Never signs, never writes, never asks the network.
"""

from collections.abc import Mapping
from typing import NamedTuple, cast

from offline_ledger.errors import JournalDamaged
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import ClockTrust, PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.wallet import Allowance, Audience, Coupon, Payment, Presentment
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.coupon import ride_cash_satang
from offline_ledger.rules.fare import (
    Boarding,
    Fare,
    Ridden,
    RideHistory,
    encode_history,
    fare_for,
    ridden_after,
    ridden_before,
)
from offline_ledger.rules.tariff import Tariff
from offline_ledger.terminal.coupon_reading import coupon_charge
from offline_ledger.terminal.outcome import Charge, Last, LastVoucher


class Trip(NamedTuple):
    """Where the bus is: GTFS ids as the route file names them."""

    route: str
    trip: str
    stop: str | None


TRIP_META = "bus.trip"
"""Its name among the journal's small values."""
TRIP_BYTES_MAX = 512


def encode_trip(trip: Trip) -> bytes:
    """For the journal's small values: [route, trip, stop or nothing]."""
    return cbor.encode([trip.route, trip.trip, *(() if trip.stop is None else (trip.stop,))])


def decode_trip(kept: bytes) -> Trip:
    """What `encode_trip` gave. Raises JournalDamaged."""
    found = cbor.decode(kept, TRIP_BYTES_MAX)
    match found:
        case [str(route), str(trip)]:
            return Trip(route, trip, None)
        case [str(route), str(trip), str(stop)]:
            return Trip(route, trip, stop)
        case _:
            raise JournalDamaged("the kept trip is none")


class BusDoor:
    """The acceptor's `Counter` on a validator, for one trip under one tariff."""

    audience = Audience.TRANSIT

    def __init__(
        self,
        trip: Trip,
        tariff: Tariff,
        tariff_version: tuple[int, int],
        card_repeat_s: int,
        *,
        is_companion: bool = False,
    ) -> None:
        """`card_repeat_s`: within it the same card is only held again. `is_companion`: somebody pressed the button for
        another passenger; the next tap pays for that one."""
        self._trip = trip
        self._tariff = tariff
        self._tariff_version = tariff_version
        self._card_repeat_s = card_repeat_s
        self.pass_back_s = 0 if is_companion else tariff.pass_back_s
        self._is_companion = is_companion
        self._needs_history = tariff.transfer is not None or tariff.daily_cap is not None
        self.last_pass_id = b""
        self.last_fare: Fare | None = None
        self.last_confirmed_kgo = 0

    def is_busy_with_other(self, made: Voucher) -> bool:
        """Never: a boarding's green is the ride's, on whatever trip its passenger comes back."""
        return False

    @property
    def trip(self) -> str | None:
        """What a coupon may be pinned to."""
        return self._trip.trip

    def coupon_charge(self, coupon: Coupon, at: TimeNow) -> Charge:
        """A ride for the KGO that the city printed, and the coin that everybody pays."""
        satang = ride_cash_satang(coupon, self._tariff)
        return coupon_charge(coupon, satang, self._tariff_version, self._where())

    def wants(self, occasion: bytes) -> bool:
        """Always: whoever paid for a ride gets it, on the trip where the card is held again too."""
        return True

    def is_repeat(self, made: Voucher, elapsed_s: int) -> bool:
        """On the same trip, soon after, and nobody said "another passenger". A clock that stepped back: still a repeat,
        for a charge too many cannot be taken back by walking on."""
        if self._is_companion or made.place.get(PlaceKey.TRIP) != self._trip.trip:
            return False
        return elapsed_s <= self._card_repeat_s

    def charge(
        self, allowance: Allowance, shown: Presentment | Payment | None, last: LastVoucher, at: TimeNow
    ) -> Charge:
        """The fare of this boarding. Raises NoFareForBoarding."""
        history = history_of(last() if self._needs_history else None)
        boarding = Boarding(at.at_s, at.trust, self._trip.route, self._trip.trip, allowance.concession)
        fare = fare_for(boarding, history, self._tariff)
        self.last_pass_id, self.last_fare = allowance.pass_id, fare
        self.last_confirmed_kgo = shown.cap_kgo if isinstance(shown, Presentment) else fare.kgo
        place = self._place(boarding, fare, history)
        return Charge(
            kgo=fare.kgo,
            satang=fare.thb_satang,
            kind=VoucherKind.BOARDING,
            product=fare.product_code,
            bulletin=self._tariff_version,
            place=place,
            reward_kgo=None,
        )

    def _place(self, boarding: Boarding, fare: Fare, history: RideHistory) -> Mapping[int, object]:
        place = self._where()
        if self._needs_history:
            ridden = Ridden(
                boarding.tapped_at_s, boarding.trust, boarding.trip, fare.product_code, fare.kgo, fare.thb_satang
            )
            place[int(PlaceKey.HISTORY)] = encode_history(ridden_after(history, ridden))
        return place

    def _where(self) -> dict[int, object]:
        place: dict[int, object] = {int(PlaceKey.ROUTE): self._trip.route, int(PlaceKey.TRIP): self._trip.trip}
        if self._trip.stop is not None:
            place[int(PlaceKey.STOP)] = self._trip.stop
        return place


def history_of(last: Last | None) -> RideHistory:
    """What the last voucher of this allowance says, but for itself when it was taken back; empty when there is none. It
    is our own signed word."""
    made = last.voucher if last is not None else None
    found = made.place.get(PlaceKey.HISTORY) if made is not None else None
    if last is None or made is None or not isinstance(found, list):
        return RideHistory()
    paid_at_s, trust, trip, transfers, day_kgo, day_satang = cast(tuple[int, int, str, int, int, int], found)
    after = RideHistory(
        paid_at_s=paid_at_s or None,
        paid_trust=ClockTrust(trust),
        paid_trip=trip,
        transfers=transfers,
        day=civil_day(made.at_s),
        day_kgo=day_kgo,
        day_thb_satang=day_satang,
    )
    if not last.is_taken_back:
        return after
    return ridden_before(after, Ridden(made.at_s, ClockTrust(made.trust), trip, made.product, made.kgo, made.satang))
