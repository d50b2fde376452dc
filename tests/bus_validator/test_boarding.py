"""The bus door: fares, and the history that travels in the last voucher."""

import pytest

from bus_validator.boarding import BusDoor, Trip, history_of
from offline_ledger.protocol.device import ClockTrust, PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.wallet import Allowance, Audience, Concession, Presentment
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.tariff import Concession as ConcessionRule
from offline_ledger.rules.tariff import DailyCap, Product, ProductKind, Tariff, Transfer
from offline_ledger.terminal.outcome import Charge, Last

NOON_S = 1_795_064_400  # 19 November 2026, 12:00 in Bangkok
BASE = Product("base", int(ProductKind.FLAT), "รถเมล์", "City bus", 5_000, 100, None, None, None)
STUDENT = ConcessionRule(Concession.STUDENT, "นักเรียน", "Student", 500, None, None)
TRANSFERS = Tariff((BASE,), (STUDENT,), Transfer(1_800, 0, 1), DailyCap(12_000, 300))
FLAT = Tariff((BASE,), (), None, None)
NEVER_S = 0
SHOWN = Presentment(bytes(32), 1, 0, 10_000, Audience.TRANSIT, NOON_S, 30)


def allowance(concession: Concession = Concession.ADULT) -> Allowance:
    return Allowance("TH-40", bytes(8), b"\x02" + bytes(32), 50_000, 10_000, 3_000, concession, 0, 0, 2**39)


def at(seconds: int, trust: ClockTrust = ClockTrust.SYNCED) -> TimeNow:
    return TimeNow(NOON_S + seconds, trust, 0)


def taken(charge: Charge, when: TimeNow) -> Voucher:
    return Voucher(
        "bus-1", 1, bytes(32), when.at_s, when.trust, VoucherKind.BOARDING, charge.kgo, charge.satang, None,
        charge.product, charge.bulletin, charge.place, None, None,
    )  # fmt: skip


def ride(
    tariff: Tariff,
    last: Voucher | None,
    when: TimeNow,
    trip: str = "T1",
    who: Allowance | None = None,
    *,
    is_taken_back: bool = False,
) -> tuple[Charge, Voucher]:
    """`is_taken_back`: the last one was."""
    door = BusDoor(Trip("10", trip, "S1"), tariff, (1, 4), NEVER_S)
    found = Last(last, is_taken_back) if last is not None else None
    charge = door.charge(who or allowance(), SHOWN, lambda: found, when)
    return charge, taken(charge, when)


def test_a_flat_fare_names_tariff_and_place_and_reads_no_history() -> None:
    def never() -> Last | None:
        raise AssertionError("a flat fare depends on nothing that came before")

    charge = BusDoor(Trip("10", "T1", None), FLAT, (1, 4), NEVER_S).charge(allowance(), SHOWN, never, at(0))
    assert (charge.kgo, charge.satang, charge.product, charge.bulletin) == (5_000, 100, "base", (1, 4))
    assert charge.place == {PlaceKey.ROUTE: "10", PlaceKey.TRIP: "T1"}


def test_a_concession_pays_its_share() -> None:
    charge, _voucher = ride(TRANSFERS, None, at(0), who=allowance(Concession.STUDENT))
    assert (charge.kgo, charge.satang) == (2_500, 50)


@pytest.mark.parametrize(("later_s", "kgo"), [(0, 0), (1_800, 0), (1_801, 5_000)])
def test_a_transfer_is_free_inside_its_window(later_s: int, kgo: int) -> None:
    _first, voucher = ride(TRANSFERS, None, at(0))
    charge, _second = ride(TRANSFERS, voucher, at(later_s), trip="T2")
    assert charge.kgo == kgo


def test_a_second_transfer_and_a_companion_pay() -> None:
    _first, voucher = ride(TRANSFERS, None, at(0))
    assert ride(TRANSFERS, voucher, at(5))[0].kgo == 5_000  # the same trip again: a companion
    _free, after = ride(TRANSFERS, voucher, at(60), trip="T2")
    assert ride(TRANSFERS, after, at(120), trip="T3")[0].kgo == 5_000


def test_the_daily_cap_counts_what_this_validator_saw_and_ends_at_midnight() -> None:
    last: Voucher | None = None
    paid: list[int] = []
    for hour in range(4):
        charge, last = ride(TRANSFERS, last, at(hour * 7_200), trip=f"T{hour}")
        paid.append(charge.kgo)
    assert paid == [5_000, 5_000, 2_000, 0]
    assert ride(TRANSFERS, last, at(12 * 3_600), trip="N1")[0].kgo == 5_000


def test_history_survives_the_voucher_and_a_strange_place_is_none() -> None:
    _charge, voucher = ride(TRANSFERS, None, at(0))
    history = history_of(Last(voucher, is_taken_back=False))
    assert (history.paid_at_s, history.paid_trip, history.day_kgo) == (NOON_S, "T1", 5_000)
    assert history_of(Last(voucher._replace(place={}), is_taken_back=False)).paid_at_s is None
    assert history_of(None).day_kgo == 0


def test_a_ride_that_was_taken_back_leads_to_no_transfer_and_uses_no_cap() -> None:
    _first, wrong = ride(TRANSFERS, None, at(0))
    again, second = ride(TRANSFERS, wrong, at(60), trip="T2", is_taken_back=True)
    assert (again.kgo, again.product) == (5_000, "base")
    assert history_of(Last(second, is_taken_back=False)).day_kgo == 5_000
    free, _third = ride(TRANSFERS, second, at(120), trip="T3")
    assert (free.kgo, free.product) == (0, "base+transfer")


def test_a_transfer_that_was_taken_back_is_free_again() -> None:
    _first, paid = ride(TRANSFERS, None, at(0))
    _free, wrong = ride(TRANSFERS, paid, at(60), trip="T2")
    again, second = ride(TRANSFERS, wrong, at(120), trip="T3", is_taken_back=True)
    assert (again.kgo, again.product) == (0, "base+transfer")
    assert ride(TRANSFERS, second, at(180), trip="T4")[0].kgo == 5_000, "one is all that the tariff gives"


def test_pass_back_is_the_tariffs_and_never_a_companions() -> None:
    tariff, trip = FLAT._replace(pass_back_s=60), Trip("10", "T1", None)
    assert BusDoor(trip, tariff, (1, 4), 120).pass_back_s == 60
    assert BusDoor(trip, tariff, (1, 4), 120, is_companion=True).pass_back_s == 0
    assert BusDoor(trip, FLAT, (1, 4), 120).pass_back_s == 0


@pytest.mark.parametrize(
    ("trip", "later_s", "is_companion", "is_repeat"),
    [
        ("T1", 0, False, True),
        ("T1", 120, False, True),
        ("T1", 121, False, False),
        ("T1", -5, False, True),  # a clock that stepped back takes nothing twice
        ("T2", 0, False, False),
        ("T1", 0, True, False),
    ],
)
def test_a_card_held_again_on_the_same_trip_is_a_repeat(
    trip: str, later_s: int, is_companion: bool, is_repeat: bool
) -> None:
    _charge, voucher = ride(FLAT, None, at(0))
    door = BusDoor(Trip("10", trip, None), FLAT, (1, 4), 120, is_companion=is_companion)
    assert door.is_repeat(voucher, later_s) is is_repeat


def test_a_card_is_charged_before_it_has_signed_anything() -> None:
    door = BusDoor(Trip("10", "T1", None), FLAT, (1, 4), NEVER_S)
    assert door.charge(allowance(), None, lambda: None, at(0)).kgo == 5_000
