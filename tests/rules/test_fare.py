"""Fares: the one-baht bus to the second, concessions, transfers, the daily cap, and clocks that cannot be trusted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import NoFareForBoarding
from offline_ledger.money import KGO
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.civil import day_of, day_start_s
from offline_ledger.rules.fare import Boarding, Fare, Ridden, RideHistory, fare_for, ridden_after
from offline_ledger.rules.tariff import Concession, Tariff, Transfer
from offline_ledger.texts import LANGUAGES, Texts
from tests.rules.sample_tariffs import BASE, CITY_BUS, ONE_BAHT, PLAIN

SYNCED, HOLDOVER, FLOOR = ClockTrust.SYNCED, ClockTrust.HOLDOVER, ClockTrust.FLOOR
NOON_S = day_start_s(day_of(20220715)) + 12 * 3600
NEW = RideHistory()


def boarding(
    at_s: int = NOON_S, trip: str = "t1", concession: int = 0, trust: ClockTrust = SYNCED, route: str = "8"
) -> Boarding:
    return Boarding(at_s, trust, route, trip, concession)


def ridden(tap: Boarding, fare: Fare) -> Ridden:
    return Ridden(tap.tapped_at_s, tap.trust, tap.trip, fare.product_code, fare.kgo, fare.thb_satang)


def after(*taps: Boarding, tariff: Tariff = CITY_BUS) -> RideHistory:
    """The history of a wallet that took these rides, each at its fare."""
    history = NEW
    for tap in taps:
        history = ridden_after(history, ridden(tap, fare_for(tap, history, tariff)))
    return history


def legs(fare: Fare) -> tuple[int, int]:
    return fare.kgo, fare.thb_satang


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [
        (1_654_707_599, ("base", 0, 1_500)),  # 8 June 2565, 23:59:59
        (1_654_707_600, ("one-baht", 5_000, 100)),  # 9 June 2565, 00:00:00
        (1_661_965_199, ("one-baht", 5_000, 100)),  # 31 August 2565, 23:59:59
        (1_661_965_200, ("base", 0, 1_500)),  # 1 September 2565, 00:00:00
    ],
)
def test_golden_city_bus_for_one_baht(at_s: int, expected: tuple[str, int, int]) -> None:
    fare = fare_for(boarding(at_s), NEW, CITY_BUS)
    assert (fare.product_code, fare.kgo, fare.thb_satang) == expected


def test_golden_line_in_both_languages() -> None:
    explanation = fare_for(boarding(), NEW, CITY_BUS).explanation
    line = {name: Texts(name).get(explanation.key, **explanation.in_language(name)) for name in LANGUAGES}
    assert line["en"] == "City Bus for one baht: 50.00 KGO and 1.00 baht"
    assert line["th"] == "รถเมล์เมืองบาทเดียว: 50.00 KGO และ 1.00 บาท"


@pytest.mark.parametrize(
    ("concession", "expected", "key"),
    [
        (0, (5_000, 100), "fare.flat"),
        (1, (2_500, 50), "fare.concession"),
        (2, (1_000, 0), "fare.concession"),
        (3, (5_000, 100), "fare.flat"),  # the tariff names no rule for it
    ],
)
def test_concessions(concession: int, expected: tuple[int, int], key: str) -> None:
    fare = fare_for(boarding(concession=concession), NEW, CITY_BUS)
    assert (legs(fare), fare.explanation.key) == (expected, key)


def test_fixed_concession_is_never_dearer() -> None:
    tariff = PLAIN._replace(concessions=(Concession(1, "ก", "x", None, 80 * KGO, 50),))
    assert legs(fare_for(boarding(concession=1), NEW, tariff)) == (5_000, 50)


def test_shares_round_down_for_the_passenger() -> None:
    product = BASE._replace(kgo=3, thb_satang=1)
    tariff = Tariff((product,), (Concession(1, "ก", "x", 500, None, None),), None, None)
    assert legs(fare_for(boarding(concession=1), NEW, tariff)) == (1, 0)


@pytest.mark.parametrize(("later_s", "is_free"), [(-1, False), (0, True), (1_800, True), (1_801, False)])
def test_transfer_window(later_s: int, is_free: bool) -> None:
    fare = fare_for(boarding(NOON_S + later_s, "t2"), after(boarding()), CITY_BUS)
    assert (legs(fare) == (0, 0)) is is_free
    assert (fare.product_code == "one-baht+transfer") is is_free


def test_transfer_share_is_charged() -> None:
    tariff = CITY_BUS._replace(transfer=Transfer(1_800, 300, 1))
    fare = fare_for(boarding(NOON_S + 60, "t2"), after(boarding()), tariff)
    assert (legs(fare), fare.explanation.key) == ((1_500, 30), "fare.transfer")


def test_companion_on_the_same_trip_pays() -> None:
    assert legs(fare_for(boarding(NOON_S + 5), after(boarding()), CITY_BUS)) == (5_000, 100)


def test_transfers_are_counted_and_never_renew_themselves() -> None:
    history = after(boarding(), boarding(NOON_S + 600, "t2"))
    assert (history.transfers, history.paid_at_s, history.paid_trip) == (1, NOON_S, "t1")
    assert legs(fare_for(boarding(NOON_S + 900, "t3"), history, CITY_BUS)) == (5_000, 100)
    again = after(boarding(), boarding(NOON_S + 600, "t2"), boarding(NOON_S + 900, "t3"))
    assert (again.transfers, again.paid_at_s) == (0, NOON_S + 900)


def test_clock_that_stepped_back_earns_no_free_ride() -> None:
    assert legs(fare_for(boarding(NOON_S - 86_400, "t2"), after(boarding()), CITY_BUS)) == (5_000, 100)


@pytest.mark.parametrize(("first", "second"), [(FLOOR, SYNCED), (SYNCED, FLOOR), (FLOOR, FLOOR)])
def test_no_transfer_on_a_guessed_time(first: ClockTrust, second: ClockTrust) -> None:
    history = after(boarding(trust=first))
    assert legs(fare_for(boarding(NOON_S + 60, "t2", trust=second), history, CITY_BUS)) == (5_000, 100)


def test_floor_says_that_the_rest_comes_later() -> None:
    assert fare_for(boarding(trust=FLOOR), NEW, CITY_BUS).explanation.key == "fare.clock_unknown"
    for one_rule in (CITY_BUS._replace(transfer=None), CITY_BUS._replace(daily_cap=None)):
        assert fare_for(boarding(trust=FLOOR), NEW, one_rule).explanation.key == "fare.clock_unknown"
    assert fare_for(boarding(trust=FLOOR), NEW, PLAIN).explanation.key == "fare.flat"
    assert fare_for(boarding(trust=HOLDOVER), NEW, CITY_BUS).explanation.key == "fare.flat"


def test_daily_cap_takes_the_last_part_then_nothing() -> None:
    history = after(boarding(), boarding(NOON_S + 5))
    third = fare_for(boarding(NOON_S + 10), history, CITY_BUS)
    assert (legs(third), third.explanation.key) == ((2_000, 100), "fare.daily_cap")
    history = after(boarding(), boarding(NOON_S + 5), boarding(NOON_S + 10))
    assert legs(fare_for(boarding(NOON_S + 15), history, CITY_BUS)) == (0, 0)


def test_daily_cap_exactly_reached_is_no_discount() -> None:
    history = after(boarding())._replace(day_kgo=7_000, day_thb_satang=200)
    fare = fare_for(boarding(NOON_S + 5), history, CITY_BUS)
    assert (legs(fare), fare.explanation.key) == ((5_000, 100), "fare.flat")


@pytest.mark.parametrize("days", [-1, 1])
def test_daily_cap_is_of_this_day_alone(days: int) -> None:
    history = after(boarding(), boarding(NOON_S + 5), boarding(NOON_S + 10))
    assert legs(fare_for(boarding(NOON_S + days * 86_400), history, CITY_BUS)) == (5_000, 100)


def test_daily_cap_needs_a_known_day() -> None:
    history = after(boarding(), boarding(NOON_S + 5), boarding(NOON_S + 10))
    assert legs(fare_for(boarding(NOON_S + 15, trust=FLOOR), history, CITY_BUS)) == (5_000, 100)


def test_routes_choose_the_product() -> None:
    tariff = PLAIN._replace(products=(ONE_BAHT._replace(routes=("8", "9")), BASE))
    assert fare_for(boarding(route="9"), NEW, tariff).product_code == "one-baht"
    assert fare_for(boarding(route="10"), NEW, tariff).product_code == "base"
    with pytest.raises(NoFareForBoarding):
        fare_for(boarding(route="10"), NEW, tariff._replace(products=tariff.products[:1]))


TAPS = st.lists(
    st.builds(
        Boarding,
        st.integers(NOON_S - 100_000, NOON_S + 100_000),
        st.sampled_from(list(ClockTrust)),
        st.just("8"),
        st.sampled_from(["t1", "t2", "t3"]),
        st.integers(0, 4),
    ),
    max_size=10,
)


@given(TAPS)
def test_any_day_of_rides_is_never_negative_never_dearer_and_explained(taps: list[Boarding]) -> None:
    texts = [Texts(language) for language in LANGUAGES]
    history = NEW
    for tap in taps:
        fare = fare_for(tap, history, CITY_BUS)
        assert fare == fare_for(tap, history, CITY_BUS)  # the city's second run gives the same
        assert 0 <= fare.kgo <= ONE_BAHT.kgo
        assert 0 <= fare.thb_satang <= BASE.thb_satang
        for text in texts:
            line = text.get(fare.explanation.key, **fare.explanation.in_language(text.language))
            assert "{" not in line
            assert "\n" not in line
        history = ridden_after(history, ridden(tap, fare))


@given(st.integers(0, 1000), st.integers(0, 10**9))
def test_a_concession_share_is_rounded_by_less_than_one_unit(per_mille: int, price: int) -> None:
    tariff = Tariff(
        (BASE._replace(kgo=price, thb_satang=price),), (Concession(1, "ก", "x", per_mille, None, None),), None, None
    )
    fare = fare_for(boarding(concession=1), NEW, tariff)
    assert 0 <= price * per_mille - fare.kgo * 1000 < 1000
    assert fare.kgo == fare.thb_satang
