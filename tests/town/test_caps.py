"""Caps and counts on a whole terminal: one-way caps, what age takes away, the count under `floor`. DESIGN §5.

The rules themselves have their tables; here it is shown that a real terminal asks them, with its own ages and clock.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import CapLoweredByAge, FloorCountUsedUp, MustReconnect, OneWayCapExceeded, Refusal
from offline_ledger.money import KGO
from offline_ledger.protocol.device import ClockTrust, DeviceRole
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.limits import DAY_S, HOUR_S
from offline_ledger.rules.tariff import Product, ProductKind, Tariff
from offline_ledger.terminal.outcome import Outcome
from simulators.wallet import PhoneWallet
from tests.town.in_process import Terminal, Town, open_town

FARE_KGO = 50 * KGO


@pytest.fixture
def town(tmp_path: Path, rng: Random) -> Iterator[Town]:
    with open_town(tmp_path, rng) as made:
        yield made


def buy(town: Town, shop: Terminal, phone: PhoneWallet, kgo: int) -> Outcome:
    phone.new_intent(Audience.SHOP, kgo)
    return shop.take(phone.code(town.now_s()), kgo)


def ride(town: Town, bus: Terminal, phone: PhoneWallet, cap_kgo: int = FARE_KGO) -> Outcome:
    phone.new_intent(Audience.TRANSIT, cap_kgo)
    return bus.take(phone.code(town.now_s()))


@pytest.mark.parametrize(("passed_s", "expected"), [(2 * HOUR_S, None), (2 * HOUR_S + 1, MustReconnect)])
def test_the_certificates_own_hours_end_before_the_citys(
    town: Town, passed_s: int, expected: type[Refusal] | None
) -> None:
    bus, phone = town.terminal(DeviceRole.VALIDATOR, hours=2), town.wallet("rider")
    synced_at_s = bus.machine.status().complete_at_s
    assert synced_at_s is not None
    town.clock.advance(s=synced_at_s + passed_s - town.now_s())
    outcome = ride(town, bus, phone)
    assert (type(outcome.refusal) is expected) if expected else (outcome.voucher is not None)


def test_h_ends_although_the_clock_stood_in_the_future_at_the_last_sync(town: Town) -> None:
    """Network time lied by three days, and the link was too slow for the city's own answer to say so."""
    bus, phone = town.terminal(DeviceRole.VALIDATOR), town.wallet("rider")
    bus.station.keeper.heard_ntp((town.now_s() + 3 * DAY_S) * 1000, 100)
    bus.exchange(answer_ms=5_000)
    assert bus.station.keeper.time().at_s - town.now_s() > 2 * DAY_S
    synced_at_s = bus.machine.status().complete_at_s
    assert synced_at_s is not None and abs(synced_at_s - town.now_s()) < 60, "by the city's signature, not our clock"
    bus.uplink.is_cut = True
    town.clock.advance(s=25 * HOUR_S)
    bus.station.keeper.heard_time_answer(town.now_s(), town.clock.mono_ms(), town.clock.mono_ms())
    assert isinstance(ride(town, bus, phone).refusal, MustReconnect)


@pytest.mark.parametrize(("kgo", "expected"), [(30 * KGO, None), (30 * KGO + 1, OneWayCapExceeded)])
def test_a_shop_code_pays_up_to_the_small_cap(town: Town, kgo: int, expected: type[Refusal] | None) -> None:
    outcome = buy(town, town.terminal(DeviceRole.SHOP), town.wallet("buyer"), kgo)
    assert (type(outcome.refusal) is expected) if expected else (outcome.voucher is not None)


@pytest.mark.parametrize(("fare_kgo", "expected"), [(100 * KGO, None), (100 * KGO + 1, OneWayCapExceeded)])
def test_a_bus_code_pays_up_to_its_cap(town: Town, fare_kgo: int, expected: type[Refusal] | None) -> None:
    product = Product("express", int(ProductKind.FLAT), "รถด่วน", "Express", fare_kgo, 100, None, None, None)
    town.publish(Tariff((product,), (), None, None))
    outcome = ride(town, town.terminal(DeviceRole.VALIDATOR), town.wallet("rider"), 200 * KGO)
    assert (type(outcome.refusal) is expected) if expected else (outcome.voucher is not None)


@pytest.mark.parametrize(
    ("hours", "kgo", "expected"),
    [
        (7, 30 * KGO, None),
        (9, 22 * KGO, None),
        (9, 30 * KGO, CapLoweredByAge),
        (17, 15 * KGO, None),
        (17, 16 * KGO, CapLoweredByAge),
        (25, 1 * KGO, MustReconnect),
    ],
)
def test_what_a_shop_takes_shrinks_with_the_hours_since_its_sync(
    town: Town, hours: int, kgo: int, expected: type[Refusal] | None
) -> None:
    shop, phone = town.terminal(DeviceRole.SHOP), town.wallet("buyer")
    shop.uplink.is_cut = True
    for _ in range(hours):
        town.clock.advance(s=HOUR_S)
        shop.exchange()
    outcome = buy(town, shop, phone, kgo)
    assert (type(outcome.refusal) is expected) if expected else (outcome.voucher is not None), outcome
    shop.uplink.is_cut = False
    town.sync(shop)
    assert buy(town, shop, phone, 30 * KGO).voucher is not None, "one exchange restores it"


def test_the_count_under_floor_outlives_restarts_and_is_given_back_by_the_citys_time(town: Town) -> None:
    bus = town.terminal(DeviceRole.VALIDATOR)
    riders = [town.wallet(f"rider-{at}") for at in range(8)]
    bus.restart()
    assert bus.station.keeper.time().trust is ClockTrust.FLOOR
    for number in range(town.limits.floor_one_way_count_max):
        assert ride(town, bus, riders[number % 7]).voucher is not None
        if number % 7 == 3:
            bus.restart()
    assert isinstance(ride(town, bus, riders[7]).refusal, FloorCountUsedUp)
    bus.restart()
    assert isinstance(ride(town, bus, riders[7]).refusal, FloorCountUsedUp)
    town.sync(bus)
    assert bus.station.keeper.time().trust is ClockTrust.SYNCED
    assert ride(town, bus, riders[7]).voucher is not None
    bus.restart()
    assert ride(town, bus, riders[7]).voucher is not None, "the count began anew"
