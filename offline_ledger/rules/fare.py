"""Fare for one boarding. Pure: the city runs it again at posting with the same arguments. DESIGN §9.

Product → concession → transfer → daily cap, each from what this validator saw. What it could not see (a transfer from
another bus) the ledger gives back at day close. Never reads a clock; never makes a fare dearer than the product's.
"""

from typing import NamedTuple

from offline_ledger.errors import NoFareForBoarding
from offline_ledger.money import format_minor, share_down
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.civil import Explanation, civil_day
from offline_ledger.rules.limits import MINUTE_S, WHOLE_PER_MILLE
from offline_ledger.rules.tariff import Concession, Product, Tariff, Transfer

TRANSFER_SUFFIX = "+transfer"


class Boarding(NamedTuple):
    """One tap: when, how far that time is trusted, where, and the concession class of the allowance."""

    tapped_at_s: int
    trust: ClockTrust
    route: str
    trip: str
    concession: int


class Ridden(NamedTuple):
    """An earlier boarding of the same allowance at this validator, as its voucher says."""

    at_s: int
    trust: ClockTrust
    trip: str
    product_code: str
    kgo: int
    thb_satang: int


class RideHistory(NamedTuple):
    """What this validator saw of one allowance: its last full boarding, transfers since, and the day's sums."""

    paid_at_s: int | None = None
    paid_trust: ClockTrust = ClockTrust.FLOOR
    paid_trip: str = ""
    transfers: int = 0
    day: int = 0
    day_kgo: int = 0
    day_thb_satang: int = 0


class Fare(NamedTuple):
    """What to charge, by which rule, and why in one line. `product_code` goes into the voucher. `transfer`: the rule by
    which it is one."""

    product_code: str
    kgo: int
    thb_satang: int
    key: str
    product: Product
    concession: Concession | None
    transfer: Transfer | None

    @property
    def explanation(self) -> Explanation:
        """The line; put together when somebody asks, which at a bus door is seldom."""
        values: list[tuple[str, str | tuple[str, str]]] = [
            ("name", (self.product.name_th, self.product.name_en)),
            ("kgo", format_minor(self.kgo)),
            ("thb", format_minor(self.thb_satang)),
        ]
        if self.key == "fare.concession" and self.concession is not None:
            values.append(("concession", (self.concession.name_th, self.concession.name_en)))
        if self.key == "fare.transfer" and self.transfer is not None:
            values.append(("minutes", str(self.transfer.window_s // MINUTE_S)))
        return Explanation(self.key, tuple(values))


def ridden_after(history: RideHistory, ridden: Ridden) -> RideHistory:
    """The history with one more voucher, in order of sequence."""
    day, kgo, thb_satang = civil_day(ridden.at_s), ridden.kgo, ridden.thb_satang
    if day == history.day:
        kgo, thb_satang = history.day_kgo + kgo, history.day_thb_satang + thb_satang
    if ridden.product_code.endswith(TRANSFER_SUFFIX):
        return RideHistory(
            history.paid_at_s, history.paid_trust, history.paid_trip, history.transfers + 1, day, kgo, thb_satang
        )
    return RideHistory(ridden.at_s, ridden.trust, ridden.trip, 0, day, kgo, thb_satang)


def ridden_before(history: RideHistory, ridden: Ridden) -> RideHistory:
    """The history without its last voucher, which was taken back. Of a transfer nothing is lost; what an earlier full
    fare would have led to is not known any more after a later one."""
    kgo, thb_satang = history.day_kgo - ridden.kgo, history.day_thb_satang - ridden.thb_satang
    if ridden.product_code.endswith(TRANSFER_SUFFIX):
        return history._replace(transfers=history.transfers - 1, day_kgo=kgo, day_thb_satang=thb_satang)
    return RideHistory(day=history.day, day_kgo=kgo, day_thb_satang=thb_satang)


def encode_history(history: RideHistory) -> list[object]:
    """For the voucher's place map: [paid at, its trust, its trip, transfers, day's KGO, day's satang]."""
    paid_at_s = history.paid_at_s if history.paid_at_s is not None else 0
    return [
        paid_at_s,
        int(history.paid_trust),
        history.paid_trip,
        history.transfers,
        history.day_kgo,
        history.day_thb_satang,
    ]


def fare_for(boarding: Boarding, history: RideHistory, tariff: Tariff) -> Fare:
    """Fare of this boarding in KGO and THB minor units. Raises NoFareForBoarding.

    Under `floor` nothing that compares two times is given: the ledger rebates it later, and the line says so.
    """
    product = _product(boarding, tariff)
    concession = next((c for c in tariff.concessions if c.concession == boarding.concession), None)
    kgo, thb_satang = _concession_legs(product, concession)
    code, key = product.product_id, "fare.flat" if concession is None else "fare.concession"
    transfer = None
    if boarding.trust is ClockTrust.FLOOR:
        if tariff.transfer is not None or tariff.daily_cap is not None:
            key = "fare.clock_unknown"
    else:
        if tariff.transfer is not None and _is_transfer(boarding, history, tariff.transfer):
            kgo = share_down(kgo, tariff.transfer.pays_per_mille, WHOLE_PER_MILLE)
            thb_satang = share_down(thb_satang, tariff.transfer.pays_per_mille, WHOLE_PER_MILLE)
            code, key = product.product_id + TRANSFER_SUFFIX, "fare.transfer"
            transfer = tariff.transfer
        if tariff.daily_cap is not None and history.day == civil_day(boarding.tapped_at_s):
            left_kgo = max(0, tariff.daily_cap.kgo - history.day_kgo)
            left_satang = max(0, tariff.daily_cap.thb_satang - history.day_thb_satang)
            if left_kgo < kgo or left_satang < thb_satang:
                kgo, thb_satang, key = min(kgo, left_kgo), min(thb_satang, left_satang), "fare.daily_cap"
    return Fare(code, kgo, thb_satang, key, product, concession, transfer)


def _product(boarding: Boarding, tariff: Tariff) -> Product:
    day = civil_day(boarding.tapped_at_s)
    for product in tariff.products:
        if product.covers(boarding.route, day):
            return product
    raise NoFareForBoarding(f"route {boarding.route}")


def _concession_legs(product: Product, concession: Concession | None) -> tuple[int, int]:
    """Legs after the concession, rounded down for the passenger; a fixed leg never exceeds the product's own."""
    if concession is None:
        return product.kgo, product.thb_satang
    if concession.pays_per_mille is not None:
        return (
            share_down(product.kgo, concession.pays_per_mille, WHOLE_PER_MILLE),
            share_down(product.thb_satang, concession.pays_per_mille, WHOLE_PER_MILLE),
        )
    fixed_kgo, fixed_satang = concession.fixed_kgo, concession.fixed_thb_satang
    return (
        product.kgo if fixed_kgo is None else min(product.kgo, fixed_kgo),
        product.thb_satang if fixed_satang is None else min(product.thb_satang, fixed_satang),
    )


def _is_transfer(boarding: Boarding, history: RideHistory, transfer: Transfer) -> bool:
    """Another trip, soon enough, not too often. The same trip again is a companion, who pays.

    Both times must be known, and a clock that stepped back earns no free ride.
    """
    if history.paid_at_s is None or history.paid_trust is ClockTrust.FLOOR:
        return False
    if boarding.trip == history.paid_trip or history.transfers >= transfer.transfers_max:
        return False
    return 0 <= boarding.tapped_at_s - history.paid_at_s <= transfer.window_s
