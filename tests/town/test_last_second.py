"""A code read before midnight and decided after it: terminal and city agree on the tariff of the voucher's own second.

A slow disk, or a tick of the program, may come between the two. DESIGN §8 "the ledger re-runs acceptance", §9.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random

import pytest

from bus_validator.boarding import BusDoor, Trip
from offline_ledger.money import KGO
from offline_ledger.protocol.city import BulletinKind, Outcome
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.civil import EPOCH_ORDINAL, civil_day, day_start_s
from offline_ledger.rules.tariff import Product, ProductKind, Tariff, decode_tariff
from tests.town.in_process import Town, open_town

TODAY_KGO, ALWAYS_KGO = 50 * KGO, 40 * KGO


@pytest.fixture
def town(tmp_path: Path, rng: Random) -> Iterator[Town]:
    with open_town(tmp_path, rng) as made:
        yield made


def yyyymmdd(day: int) -> int:
    return int(date.fromordinal(day + EPOCH_ORDINAL).strftime("%Y%m%d"))


@pytest.mark.parametrize(("begun_s", "fare_kgo"), [(-4, TODAY_KGO), (-2, ALWAYS_KGO)])
def test_a_boarding_costs_what_its_own_day_asks(town: Town, begun_s: int, fare_kgo: int) -> None:
    today = civil_day(town.now_s())
    flat = int(ProductKind.FLAT)
    products = (
        Product("today", flat, "วันนี้", "Today", TODAY_KGO, 100, None, yyyymmdd(today), None),
        Product("always", flat, "เสมอ", "Always", ALWAYS_KGO, 100, None, None, None),
    )
    town.publish(Tariff(products, (), None, None))
    bus, phone = town.terminal(DeviceRole.VALIDATOR), town.wallet("rider")
    ends_s = day_start_s(today + 1)
    town.clock.advance(s=ends_s - town.now_s() - 600)
    town.sync()
    town.clock.advance(s=ends_s + begun_s - town.now_s())
    tariff = bus.station.bulletin(BulletinKind.TARIFF)
    assert tariff is not None
    door = BusDoor(Trip("R8", "R8-0712", None), decode_tariff(tariff.body), tariff.version, 0)
    phone.new_intent(Audience.TRANSIT, TODAY_KGO)
    code = phone.code(town.now_s())
    town.clock.advance(s=3)
    outcome = bus.station.acceptor.accept(code, door)
    assert outcome.charge is not None and outcome.charge.kgo == fare_kgo
    bus.station.acceptor.shown(outcome)
    town.sync()
    assert [row[0] for row in town.store.fetch("SELECT outcome FROM vouchers")] == [Outcome.POSTED]
    town.assert_sound()
