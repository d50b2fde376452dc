"""The named tariff or campaign version is run again: transfers, daily caps, what a wallet may use a day."""

import pytest

from offline_ledger import errors
from offline_ledger.city import allowances
from offline_ledger.protocol import city
from offline_ledger.protocol.city import Bulletin, BulletinKind, Outcome
from offline_ledger.protocol.device import DeviceRole, EventKind, PlaceKey, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.campaign import Campaign, Campaigns, Funding, Reward, encode_campaigns
from offline_ledger.rules.tariff import DailyCap, Product, Tariff, Transfer, encode_tariff
from tests.city.town import (
    BULLETIN_TEST_ONLY,
    CAMPAIGN,
    CITY,
    FARE_KGO,
    NOW_S,
    Town,
    TownTerminal,
    TownWallet,
    signed_by,
)

POSTED = (Outcome.POSTED, 0)
MISMATCH = (Outcome.REJECTED, errors.TariffMismatch.number)
PRODUCT = Product("base", 1, "รถเมล์", "bus", FARE_KGO, 100, None, None, None)


def _publish(town: Town, counter: int, tariff: Tariff) -> None:
    made = Bulletin(CITY, BulletinKind.TARIFF, (1, counter), NOW_S - 9, NOW_S - 9, NOW_S + 10**8, encode_tariff(tariff))
    raw = signed_by(BULLETIN_TEST_ONLY, Kind.BULLETIN, city.BULLETIN.encode(made)).raw
    row = (BulletinKind.TARIFF, 1, counter, raw, NOW_S - 9, NOW_S - 9, NOW_S + 10**8)
    with town.store.transaction():
        town.store.execute("INSERT INTO bulletins VALUES(?, ?, ?, ?, ?, ?, ?)", row)


def _publish_campaign(town: Town, counter: int, campaign: Campaign) -> None:
    body = encode_campaigns(Campaigns((campaign,)))
    made = Bulletin(CITY, BulletinKind.CAMPAIGN, (1, counter), NOW_S - 9, NOW_S - 9, NOW_S + 10**8, body)
    raw = signed_by(BULLETIN_TEST_ONLY, Kind.BULLETIN, city.BULLETIN.encode(made)).raw
    row = (BulletinKind.CAMPAIGN, 1, counter, raw, NOW_S - 9, NOW_S - 9, NOW_S + 10**8)
    with town.store.transaction():
        town.store.execute("INSERT INTO bulletins VALUES(?, ?, ?, ?, ?, ?, ?)", row)


def _ride(bus: TownTerminal, rider: TownWallet, at_s: int, trip: str, product: str, kgo: int, satang: int) -> None:
    place = {int(PlaceKey.ROUTE): "10", int(PlaceKey.TRIP): trip}
    bus.boarding(rider.ride_code(at_s), at_s, bulletin=(1, 2), place=place, product=product, kgo=kgo, satang=satang)


@pytest.mark.parametrize(
    ("after_s", "trip", "outcome"),
    [(3_600, "T2", POSTED), (3_601, "T2", MISMATCH), (3_600, "T1", MISMATCH)],
)
def test_a_transfer_within_its_window_on_another_trip(
    town: Town, after_s: int, trip: str, outcome: tuple[Outcome, int]
) -> None:
    _publish(town, 2, Tariff((PRODUCT,), (), Transfer(3_600, 0, 1), None))
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    _ride(bus, rider, NOW_S, "T1", "base", FARE_KGO, 100)
    _ride(bus, rider, NOW_S + after_s, trip, "base+transfer", 0, 0)
    assert town.send(bus, now_s=NOW_S + 9_000).outcomes == [POSTED, outcome]


def test_a_terminal_that_lost_its_history_may_charge_the_full_fare(town: Town) -> None:
    _publish(town, 2, Tariff((PRODUCT,), (), Transfer(3_600, 0, 1), None))
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    for trip in ("T1", "T2"):
        _ride(bus, rider, NOW_S, trip, "base", FARE_KGO, 100)
    assert town.send(bus).outcomes == [POSTED, POSTED]


def test_another_terminals_rides_give_no_transfer_here(town: Town) -> None:
    _publish(town, 2, Tariff((PRODUCT,), (), Transfer(3_600, 0, 1), None))
    first, second = (town.terminal(name, DeviceRole.VALIDATOR) for name in ("bus-1", "bus-2"))
    rider = town.wallet()
    _ride(first, rider, NOW_S, "T1", "base", FARE_KGO, 100)
    _ride(second, rider, NOW_S + 60, "T2", "base+transfer", 0, 0)
    assert town.send(first).outcomes == [POSTED]
    assert town.send(second, now_s=NOW_S + 90).outcomes == [MISMATCH]


def test_daily_cap_as_this_validator_saw_it(town: Town) -> None:
    _publish(town, 2, Tariff((PRODUCT,), (), None, DailyCap(FARE_KGO + 1_000, 150)))
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    for kgo, satang in ((FARE_KGO, 100), (1_000, 50), (0, 0), (1, 0)):
        _ride(bus, rider, NOW_S, "T1", "base", kgo, satang)
    assert town.send(bus).outcomes == [POSTED, POSTED, POSTED, MISMATCH]


def _sale(till: TownTerminal, buyer: TownWallet, bill_satang: int, kgo: int, **changes: object) -> None:
    buyer.next(kgo)
    till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, bill_satang, kgo, **changes)


def test_discount_above_the_share_of_the_bill_or_the_day_is_rejected(town: Town) -> None:
    till = town.terminal("pos-1", DeviceRole.SHOP)
    greedy = town.wallet()
    _sale(till, greedy, 2_000, 1_001)
    _sale(till, greedy, 2_000, 1_000)
    steady = town.wallet()
    for _ in range(4):
        _sale(till, steady, 6_000, 2_500)
    _sale(till, steady, 6_000, 1)
    assert town.send(till).outcomes == [MISMATCH, POSTED, POSTED, POSTED, POSTED, POSTED, MISMATCH]


def test_a_reward_above_the_campaigns_or_another_due_is_rejected(town: Town) -> None:
    till = town.terminal("pos-1", DeviceRole.SHOP)
    _sale(till, town.wallet(), 5_000, 0, reward_kgo=101)
    _sale(till, town.wallet(), 5_000, 0, reward_kgo=100)
    _sale(till, town.wallet(), 5_000, 0, satang=4_999)
    _sale(till, town.wallet(), 5_000, 0, bulletin=(7, 7))
    _sale(till, town.wallet(), 5_000, 0, product="other")
    _sale(till, town.wallet(), 5_000, 0, bulletin=(0, 0), product="plain")
    _sale(till, town.wallet(), 5_000, 1_000, bulletin=(0, 0), product="plain")
    assert town.send(till).outcomes == [MISMATCH, POSTED, MISMATCH, MISMATCH, MISMATCH, POSTED, MISMATCH]


@pytest.mark.parametrize(
    ("verified", "funding", "reward_kgo", "outcome"),
    [
        ({int(PlaceKey.VERIFIED_SATANG): 5_000}, Funding.CITY, 100, POSTED),
        ({int(PlaceKey.VERIFIED_SATANG): 4_999}, Funding.CITY, 100, MISMATCH),
        ({int(PlaceKey.VERIFIED_SATANG): 0}, Funding.CITY, 1, MISMATCH),
        ({int(PlaceKey.VERIFIED_SATANG): True}, Funding.CITY, 1, MISMATCH),
        ({}, Funding.CITY, 1, MISMATCH),
        ({}, Funding.CITY, None, POSTED),
        ({}, Funding.MERCHANT, 100, POSTED),
        ({}, Funding.MERCHANT, 101, MISMATCH),
    ],
)
def test_money_that_nobody_verified_earns_merchant_funded_rewards_only(
    town: Town, verified: dict[int, object], funding: Funding, reward_kgo: int | None, outcome: tuple[Outcome, int]
) -> None:
    _publish_campaign(town, 2, CAMPAIGN._replace(reward=Reward(100, 5_000, 500, funding)))
    till, buyer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet()
    place = {int(PlaceKey.SALE): "S1", int(PlaceKey.BILL_SATANG): 5_000, **verified}
    _sale(till, buyer, 5_000, 0, reward_kgo=reward_kgo, place=place, bulletin=(1, 2))
    assert town.send(till).outcomes == [outcome]
    earned = reward_kgo if outcome == POSTED and reward_kgo else 0
    assert sum(allowances.balances(town.store, buyer.wallet_id)) == 50_000 + earned


def _void(till: TownTerminal, sequence: int) -> None:
    till.event(EventKind.LAPSED, sequence, NOW_S + 700, False)


def _annul(bus: TownTerminal, sequence: int, kgo: int, satang: int) -> None:
    bus.voucher(VoucherKind.ANNUL, NOW_S, kgo=kgo, satang=satang, refers_to=sequence)


def test_what_a_voided_sale_had_used_of_the_day_is_free_again(town: Town) -> None:
    till, buyer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet()
    for _ in range(5):
        _sale(till, buyer, 6_000, 2_500)
    _sale(till, buyer, 6_000, 1)
    _void(till, 2)
    assert town.send(till).outcomes == [POSTED] * 5 + [MISMATCH]


def test_after_a_boarding_that_was_taken_back_the_next_trip_is_no_free_transfer(town: Town) -> None:
    _publish(town, 2, Tariff((PRODUCT,), (), Transfer(3_600, 0, 2), None))
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    _ride(bus, rider, NOW_S, "T1", "base", FARE_KGO, 100)
    _annul(bus, 1, FARE_KGO, 100)
    _ride(bus, rider, NOW_S + 60, "T2", "base+transfer", 0, 0)
    _ride(bus, rider, NOW_S + 90, "T2", "base", FARE_KGO, 100)
    _ride(bus, rider, NOW_S + 120, "T3", "base+transfer", 0, 0)
    outcomes = town.send(bus, now_s=NOW_S + 200).outcomes
    assert outcomes == [POSTED, POSTED, MISMATCH, POSTED, POSTED]


def test_a_transfer_that_was_taken_back_is_had_again(town: Town) -> None:
    _publish(town, 2, Tariff((PRODUCT,), (), Transfer(3_600, 0, 1), None))
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    _ride(bus, rider, NOW_S, "T1", "base", FARE_KGO, 100)
    _ride(bus, rider, NOW_S + 60, "T2", "base+transfer", 0, 0)
    _annul(bus, 2, 0, 0)
    _ride(bus, rider, NOW_S + 90, "T3", "base+transfer", 0, 0)
    _ride(bus, rider, NOW_S + 120, "T4", "base+transfer", 0, 0)
    assert town.send(bus, now_s=NOW_S + 200).outcomes == [POSTED, POSTED, POSTED, POSTED, MISMATCH]


def test_a_boarding_that_was_taken_back_uses_nothing_of_the_daily_cap(town: Town) -> None:
    _publish(town, 2, Tariff((PRODUCT,), (), None, DailyCap(FARE_KGO + 1_000, 150)))
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    _ride(bus, rider, NOW_S, "T1", "base", FARE_KGO, 100)
    _annul(bus, 1, FARE_KGO, 100)
    for kgo, satang in ((FARE_KGO, 100), (1_000, 50), (0, 0), (1, 0)):
        _ride(bus, rider, NOW_S, "T1", "base", kgo, satang)
    assert town.send(bus).outcomes == [POSTED, POSTED, POSTED, POSTED, POSTED, MISMATCH]


@pytest.mark.parametrize("product", ["base", "base+transfer"])
def test_a_validator_may_not_have_known_yet_that_a_green_would_lapse(town: Town, product: str) -> None:
    _publish(town, 2, Tariff((PRODUCT,), (), Transfer(3_600, 0, 1), None))
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    _ride(bus, rider, NOW_S, "T1", "base", FARE_KGO, 100)
    is_full = product == "base"
    _ride(bus, rider, NOW_S + 60, "T2", product, FARE_KGO if is_full else 0, 100 if is_full else 0)
    _void(bus, 1)
    assert town.send(bus, now_s=NOW_S + 800).outcomes == [POSTED, POSTED]
