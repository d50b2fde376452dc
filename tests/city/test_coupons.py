"""Sheets of paper coupons in the books: printed, used, taken back, after a leak and a restore. DESIGN §2, §8."""

from dataclasses import replace
from pathlib import Path

import pytest

from bus_validator.trip import trip_id, unscheduled_id
from offline_ledger import errors
from offline_ledger.city import bulletins, coupons, decided, decisions, schema
from offline_ledger.city.accounts import ISSUANCE, AccountKind, Currency, OwnerKind, owner_account, suspense_account
from offline_ledger.city.audit import audit
from offline_ledger.city.coupons import Device, Order, Printed, Sheet
from offline_ledger.city.grants import Usual
from offline_ledger.city.ingest import Ingest
from offline_ledger.city.keys import StoredKeys
from offline_ledger.city.store import Store
from offline_ledger.protocol import cose, wallet
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.deny_list import denied_id
from offline_ledger.protocol.device import DeviceRole, PlaceKey, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.civil import civil_day, day_of, day_start_s
from offline_ledger.rules.coupon import LIFE_S_MAX
from offline_ledger.rules.limits import DAY_S
from offline_ledger.rules.tariff import Product, Tariff
from tests.city.test_audit import sign_lists
from tests.city.test_leaked_issuer import leave_the_key
from tests.city.town import (
    ACK_TEST_ONLY,
    BULLETIN_TEST_ONLY,
    CITY,
    ISSUER_TEST_ONLY,
    NOW_S,
    TARIFF,
    Town,
    TownTerminal,
    signed_by,
)

TODAY = civil_day(NOW_S)
POSTED = (Outcome.POSTED, 0)
OPERATOR = owner_account(OwnerKind.OPERATOR, "transit")
ORDER = Order("bus-1", "T1", "base", 5_000, TODAY, 3, "the temple's school")


def printed(store: Store, order: Order = ORDER, now_s: int = NOW_S, seed: int = 0) -> list[Printed]:
    """A sheet on which the ids are 1, 2, 3, …"""
    numbers = iter(range(seed + 1, seed + order.count + 1))
    _sheet, ids = coupons.write_down(store, order, now_s, lambda size: next(numbers).to_bytes(size, "little"))
    return coupons.sign(CITY, ISSUER_TEST_ONLY, order, ids)


def taken(bus: TownTerminal, coupon: Signed, at_s: int = NOW_S, **changes: object) -> None:
    """What a terminal writes when it takes a ride coupon."""
    bus.voucher(VoucherKind.COUPON, at_s, [coupon], **({"kgo": 5_000, "satang": 100} | changes))


def rejected(refusal: type[errors.Refusal]) -> tuple[int, int]:
    return (Outcome.REJECTED, refusal.number)


def only(store: Store) -> Sheet:
    (found,) = coupons.sheets(store)
    return found


def test_a_sheet_is_signed_coupon_by_coupon(town: Town) -> None:
    made = printed(town.store)
    assert [one.number for one in made] == [1, 2, 3]
    for number, one in enumerate(made, 1):
        coupon = wallet.COUPON.decode(one.signed.payload, OBJECT_BYTES_MAX)
        assert coupon == (CITY, number.to_bytes(8, "little"), "base", "bus-1", "T1", 5_000, day_start_s(TODAY + 1) - 1)
        assert cose.is_signature_of(one.signed, cose.verify_key(ISSUER_TEST_ONLY.point))
        assert coupons.is_printed(town.store, coupon)
        assert not coupons.is_printed(town.store, coupon._replace(value_kgo=5_001))
        assert not coupons.is_printed(town.store, coupon._replace(trip=None))
    assert coupons.serial(12, 7) == "12-007"


def test_printing_costs_nothing_and_each_use_its_value(town: Town) -> None:
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    made = printed(town.store)
    issued_kgo = town.balance(ISSUANCE)
    sheet = only(town.store)
    assert (sheet.count, sheet.used, sheet.outstanding(NOW_S)) == (3, 0, 3)
    for one in made[:2]:
        taken(bus, one.signed)
    assert town.send(bus).outcomes == [POSTED, POSTED]
    sheet = only(town.store)
    assert (sheet.used, sheet.outstanding(NOW_S), sheet.note) == (2, 1, ORDER.note)
    assert sheet.outstanding(ORDER.expires_at_s) == 1 and sheet.outstanding(ORDER.expires_at_s + 1) == 0
    assert town.balance(OPERATOR) == 10_000 and town.balance(ISSUANCE) == issued_kgo - 10_000
    assert coupons.coupons_of(town.store, 1) == [(1, "bus-1", 1), (2, "bus-1", 2), (3, None, None)]
    assert coupons.unlisted(town.store) == (0, 0)
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_the_ledger_judges_as_the_terminal_should_have(town: Town) -> None:
    bus, other = (town.terminal(name, DeviceRole.VALIDATOR) for name in ("bus-1", "bus-2"))
    first, second, _third = (one.signed for one in printed(town.store))
    late_s = ORDER.expires_at_s + town.limits.skew_s
    route = {int(PlaceKey.ROUTE): "10"}
    taken(other, first)
    assert town.send(other).outcomes == [rejected(errors.CouponOfOtherTerminal)]
    taken(bus, first, place=route | {int(PlaceKey.TRIP): "T2"})
    taken(bus, first, place=route)
    taken(bus, first, place=route | {int(PlaceKey.TRIP): 1})
    taken(bus, first, product="night")
    taken(bus, first, kgo=5_001)
    taken(bus, first, late_s + 1)
    taken(bus, first, late_s)
    taken(bus, first)
    taken(bus, second)
    trip, invalid = rejected(errors.CouponOfOtherTrip), rejected(errors.CouponInvalid)
    expected = [trip, trip, trip, invalid, invalid, rejected(errors.CouponExpired), POSTED, invalid, POSTED]
    assert town.send(bus, late_s + 60).outcomes == expected
    assert town.balance(OPERATOR) == 10_000
    assert audit(town.store).findings == ()
    town.assert_sound()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"satang": 100}, POSTED),
        ({"satang": 99}, rejected(errors.TariffMismatch)),
        ({"satang": 10**11}, rejected(errors.TariffMismatch)),
        ({"bulletin": (1, 2)}, rejected(errors.TariffMismatch)),
        ({"product": "gone", "satang": 0}, POSTED),
        ({"product": "gone", "satang": 1}, rejected(errors.TariffMismatch)),
    ],
)
def test_the_coin_beside_a_ride_coupon_is_the_tariffs(
    town: Town, changes: dict[str, object], expected: tuple[int, int]
) -> None:
    """What a device says that it collected stands in its operator's account: no device makes that up."""
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    order = replace(ORDER, product=str(changes.get("product", ORDER.product)))
    taken(bus, printed(town.store, order)[0].signed, **changes)  # type: ignore[arg-type]
    assert town.send(bus).outcomes == [expected]
    posted_satang = changes.get("satang", 100) if expected == POSTED else 0
    assert town.balance(owner_account(OwnerKind.OPERATOR, "transit", Currency.THB)) == posted_satang
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_what_may_still_come_counts_sheets_that_the_list_leaves_out(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coupons, "SHEETS_SHOWN_MAX", 1)
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    first = printed(town.store)
    printed(town.store, replace(ORDER, value_kgo=700, count=2), seed=10)
    printed(town.store, replace(ORDER, count=5, last_day=TODAY + 1), seed=20)
    assert coupons.cancel(town.store, 3, "lost", NOW_S) == 5
    taken(bus, first[0].signed)
    assert town.send(bus).outcomes == [POSTED]
    assert [sheet.sheet for sheet in coupons.sheets(town.store)] == [3] and coupons.sheets_count(town.store) == 3
    assert coupons.outstanding(town.store, NOW_S) == (2 + 2, 2 * 5_000 + 2 * 700)
    assert coupons.outstanding(town.store, ORDER.expires_at_s) == (4, 11_400)
    assert coupons.outstanding(town.store, ORDER.expires_at_s + 1) == (0, 0)


BEYOND = {
    "over the device's F": (4_999, NOW_S, errors.TerminalValueUsedUp),
    "after its revocation": (2_000_000, NOW_S, errors.DeviceRevoked),
    "from the future": (2_000_000, NOW_S + 6_000, errors.TimeAhead),
}


@pytest.mark.parametrize("pay", [True, False])
@pytest.mark.parametrize("name", BEYOND)
def test_what_a_device_was_not_allowed_to_take_waits_for_the_operator(town: Town, name: str, *, pay: bool) -> None:
    """As every other spend: never lost, never paid out by itself (DESIGN §8)."""
    value_kgo, at_s, refusal = BEYOND[name]
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR, value_kgo=value_kgo)
    if refusal is errors.DeviceRevoked:
        sign_lists(town, ("bus-1", 0))
    made = printed(town.store)
    issued_kgo, waiting = town.balance(ISSUANCE), suspense_account("transit")
    taken(bus, made[0].signed, at_s)
    assert town.send(bus, NOW_S).outcomes == [(Outcome.SUSPENSE, refusal.number)]
    assert (town.balance(OPERATOR), town.balance(waiting), town.balance(ISSUANCE)) == (0, 5_000, issued_kgo - 5_000)
    assert only(town.store).used == 1, "good once, whatever the operator decides"
    assert decisions.decide_suspense(town.store, "bus-1", 1, pay=pay, from_risk=False, note="", now_s=NOW_S) == 5_000
    said = decided.last_decision(town.store, "bus-1", 1)
    paid = [(part.kind, part.kgo) for part in (*said.parts, *said.before)]
    assert (said.owner, said.owner_kgo, said.unpaid) == ("transit", 5_000 if pay else 0, ())
    assert paid == [(AccountKind.ISSUANCE, -5_000 if pay else 5_000)]
    assert (town.balance(OPERATOR), town.balance(waiting)) == (5_000 if pay else 0, 0)
    assert town.balance(ISSUANCE) == issued_kgo - (5_000 if pay else 0)
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_a_coupon_outside_the_books_is_paid_and_said(town: Town) -> None:
    """After a restore from before the printing: the issuer's signature is the city's word."""
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    first, second, _third = (one.signed for one in printed(town.store))
    town.store.execute("DELETE FROM coupon_sheets")
    town.store.execute("DELETE FROM printed_coupons")
    for one in (first, second):
        taken(bus, one)
    assert town.send(bus).outcomes == [POSTED, POSTED]
    assert coupons.sheets(town.store) == [] and coupons.unlisted(town.store) == (2, 10_000)


def test_a_leaked_issuers_coupons_are_paid_only_as_printed(tmp_path: Path) -> None:
    town = Town(tmp_path)
    sign_lists(town)
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    first = printed(town.store)[0].signed
    coupon = wallet.COUPON.decode(first.payload, OBJECT_BYTES_MAX)
    forged = [
        signed_by(ISSUER_TEST_ONLY, Kind.COUPON, wallet.COUPON.encode(coupon._replace(coupon_id=b"thiefs 1"))),
        signed_by(ISSUER_TEST_ONLY, Kind.COUPON, wallet.COUPON.encode(coupon._replace(expires_at_s=NOW_S + DAY_S * 9))),
    ]
    leave_the_key(town)
    town.ingest = Ingest(town.store, StoredKeys(town.store), ACK_TEST_ONLY, town.limits, town.checkpoint)
    for one in (*forged, first):
        taken(bus, one)
    assert town.send(bus).outcomes == [rejected(errors.CouponInvalid)] * 2 + [POSTED]
    assert audit(town.store).findings == ()


def test_the_longest_sheet_is_within_what_terminals_believe_of_a_key() -> None:
    assert (coupons.DAYS_MAX + 1) * DAY_S <= LIFE_S_MAX


def test_a_cancelled_sheet_is_denied_while_it_could_be_used(town: Town) -> None:
    sign_lists(town)
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    made = printed(town.store)
    printed(town.store, seed=100)
    taken(bus, made[0].signed)
    town.send(bus)
    assert coupons.cancel(town.store, 1, "stolen", NOW_S + 70) == 2
    assert coupons.cancel(town.store, 1, "again", NOW_S + 80) == 2
    sheet = coupons.sheets(town.store)[-1]
    assert (sheet.cancelled_at_s, sheet.cancel_note, sheet.outstanding(NOW_S)) == (NOW_S + 70, "stolen", 0)
    ids = [number.to_bytes(8, "little") for number in (2, 3)]
    last_s = ORDER.expires_at_s + coupons.CANCELLED_KEPT_S
    assert sorted(coupons.cancelled_ids(town.store, last_s)) == ids
    assert coupons.cancelled_ids(town.store, last_s + 1) == []
    with town.store.transaction():
        assert bulletins.publish_deny_list(town.store, BULLETIN_TEST_ONLY, NOW_S + 90)
    (full,) = town.store.one("SELECT full_list FROM deny_lists ORDER BY counter DESC LIMIT 1") or (b"",)
    assert set(bulletins.decode_ids(full)) == {denied_id(one) for one in ids}
    taken(bus, made[1].signed)
    assert town.send(bus, NOW_S + 120, first=2).outcomes == [POSTED], "a terminal that did not know yet is paid"
    assert coupons.sheets(town.store)[-1].after_cancelled == 1
    assert coupons.cancelled_ids(town.store, NOW_S) == ids[1:]
    assert audit(town.store).findings == ()
    with pytest.raises(errors.CouponSheetUnknown):
        coupons.cancel(town.store, 9, "no such", NOW_S)
    with pytest.raises(errors.CouponSheetUnknown):
        coupons.coupons_of(town.store, 9)


CHANGED: dict[str, tuple[str, type[errors.Refusal] | None]] = {
    "as enrolled": ("UPDATE devices SET role = role", None),
    "a shop": ("UPDATE devices SET role = 1", None),
    "training": ("UPDATE devices SET role = 3", errors.CouponDeviceUnfit),
    "blocked": ("UPDATE devices SET blocked = 1", errors.CouponDeviceUnfit),
    "revoked": ("UPDATE devices SET revoked_after = 0", errors.CouponDeviceUnfit),
    "its last second": (f"UPDATE devices SET expires_at_s = {NOW_S}", None),
    "out of certificate": (f"UPDATE devices SET expires_at_s = {NOW_S - 1}", errors.CouponDeviceUnfit),
    "gone": ("DELETE FROM devices", errors.UnknownDevice),
}


@pytest.mark.parametrize("name", CHANGED)
def test_only_a_device_that_takes_payments_is_printed_for(town: Town, name: str) -> None:
    statement, refusal = CHANGED[name]
    town.terminal("bus-1", DeviceRole.VALIDATOR)
    town.store.execute(statement)
    if refusal is None:
        assert coupons.device_of(town.store, "bus-1", NOW_S).owner == "transit"
    else:
        with pytest.raises(refusal):
            coupons.device_of(town.store, "bus-1", NOW_S)


def test_the_fare_is_the_only_one_or_the_named_one() -> None:
    base, night = (Product(name, 1, "ก", "a", 5_000, 100, None, None, None) for name in ("base", "night"))
    one, two = Tariff((base,), (), None, None), Tariff((base, night, base), (), None, None)
    assert coupons.product_for(one, None) == base
    assert coupons.product_for(two, "night") == night
    assert coupons.product_for(two, "base") == base
    assert coupons.product_for(TARIFF, TARIFF.products[0].product_id) == TARIFF.products[0]
    for tariff, name in ((two, None), (one, "night"), (None, None), (None, "base")):
        with pytest.raises(errors.CouponProductUnknown):
            coupons.product_for(tariff, name)


USUAL = Usual(5_000, 15_000)
AMOUNTS = {
    "usual": (5_000, 3, USUAL, 20_000, True),
    "one is large": (5_001, 1, USUAL, 20_000, False),
    "all are large": (5_000, 4, USUAL, 20_000, False),
    "large and meant": (9_000, 500, None, 20_000, True),
    "all that the device may take": (20_000, 1, None, 20_000, True),
    "more than the device could ever take": (20_001, 1, None, 20_000, False),
}


@pytest.mark.parametrize("name", AMOUNTS)
def test_large_amounts_are_meant(name: str) -> None:
    value_kgo, count, usual, offline_kgo, is_good = AMOUNTS[name]
    order = Order("bus-1", None, "base", value_kgo, TODAY, count, "")
    device = Device("bus-1", DeviceRole.VALIDATOR, "transit", offline_kgo)
    if is_good:
        coupons.check_amounts(order, device, usual)
    else:
        with pytest.raises(errors.CouponsLarge):
            coupons.check_amounts(order, device, usual)


def test_a_coupon_ends_with_its_day_in_bangkok() -> None:
    order = Order("bus-1", None, "base", 1, day_of(20261121), 1, "")
    assert order.expires_at_s == 1_795_280_399  # 2026-11-21T16:59:59Z


def test_a_store_of_the_version_before_gets_the_tables(town: Town) -> None:
    for table in ("coupon_sheets", "printed_coupons", "refund_requests"):
        town.store.execute(f"DROP TABLE {table}")
    town.store.execute("PRAGMA user_version=10")
    town.reopen()
    assert town.store.one("PRAGMA user_version") == (schema.SCHEMA_VERSION,)
    assert len(printed(town.store)) == 3


TRIPS = {
    "0.20261130.0735": (0, day_of(20261130), 7, 35),
    "1.20261231.2510": (1, day_of(20270101), 1, 10),
    "0.20261130.x1": None,
    "0.20260230.0735": None,
    "2.20261130.0735": None,
    "0.20261130.0760": None,
    "0.20261130.07355": None,
    "0.๒๐๒๖๑๑๓๐.0735": None,
    "CB-0735": None,
}


@pytest.mark.parametrize("trip", TRIPS)
def test_a_departure_is_told_from_another_name_of_a_trip(trip: str) -> None:
    assert coupons.departure_of(trip) == TRIPS[trip]


@pytest.mark.parametrize("minute", [0, 455, 23 * 60 + 59, 25 * 60 + 10])
def test_a_validators_own_name_of_a_departure_is_known(minute: int) -> None:
    assert coupons.departure_of(trip_id(1, TODAY, minute)) == (
        1,
        TODAY + minute // 1440,
        minute // 60 % 24,
        minute % 60,
    )
    assert coupons.departure_of(unscheduled_id(1, NOW_S, 3)) is None
