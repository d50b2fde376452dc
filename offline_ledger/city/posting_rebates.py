"""What day close gives back: fares reckoned again as if one validator had seen every boarding. Pure. DESIGN §5, §9.

A wallet's day pays at most what its boardings come to with all of them known; the rest goes back, to the boardings that
were charged too much, earliest first. Only in the wallet's favour: what a late voucher makes dearer is never taken. KGO
only: a coin in the box cannot come back. Where a clock was at `floor`, its time counts here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.civil import Explanation, civil_day
from offline_ledger.rules.fare import Boarding, Fare, Ridden, RideHistory, fare_for, ridden_after
from offline_ledger.rules.tariff import Tariff


@dataclass(frozen=True, slots=True)
class Ride:
    """One boarding that stands: `charged_kgo` net of refunds but before rebates, `rebated_kgo` of it came back."""

    record: str
    sequence: int
    boarding: Boarding
    tariff: Tariff
    charged_kgo: int
    rebated_kgo: int


@dataclass(frozen=True, slots=True)
class Rebate:
    """`kgo` more goes back for this ride; it comes to `fair_kgo`, and why in one line."""

    ride: Ride
    kgo: int
    fair_kgo: int
    explanation: Explanation


def fair_fares(rides: Iterable[Ride]) -> list[tuple[Ride, Fare]]:
    """Each ride, by its time, with the fare it has when all earlier ones are known."""
    history = RideHistory()
    found: list[tuple[Ride, Fare]] = []
    for ride in sorted(rides, key=lambda one: (one.boarding.tapped_at_s, one.record, one.sequence)):
        boarding = ride.boarding._replace(trust=ClockTrust.SYNCED)
        fare = fare_for(boarding, history, ride.tariff)
        at_s, trip = boarding.tapped_at_s, boarding.trip
        history = ridden_after(
            history, Ridden(at_s, ClockTrust.SYNCED, trip, fare.product_code, fare.kgo, fare.thb_satang)
        )
        found.append((ride, fare))
    return found


def rebates_of(rides: Sequence[Ride], day: int) -> list[Rebate]:
    """What is still to go back for one civil day of one wallet; `rides` begin with the day before, for transfers over
    midnight. Given again with what was rebated, nothing more is due."""
    today = [(ride, fare) for ride, fare in fair_fares(rides) if civil_day(ride.boarding.tapped_at_s) == day]
    due_kgo = sum(ride.charged_kgo - fare.kgo for ride, fare in today)
    left_kgo = due_kgo - sum(ride.rebated_kgo for ride, _fare in today)
    found: list[Rebate] = []
    for ride, fare in today:
        kgo = min(left_kgo, ride.charged_kgo - ride.rebated_kgo - fare.kgo)
        if kgo > 0:
            left_kgo -= kgo
            found.append(Rebate(ride, kgo, fare.kgo, fare.explanation))
    return found
