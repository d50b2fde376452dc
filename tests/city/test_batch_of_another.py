"""What stands in a batch must be the sending device's own, in order, from its first voucher on. DESIGN §4, §7."""

import pytest

from offline_ledger import errors
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, VoucherKind
from tests.city.town import FARE_KGO, NOW_S, Town, TownTerminal

RIDE = {"kgo": FARE_KGO, "satang": 100}


@pytest.fixture
def bus(town: Town) -> TownTerminal:
    return town.terminal("bus-1", DeviceRole.VALIDATOR)


def assert_refused(town: Town, bus: TownTerminal, said: str) -> None:
    with pytest.raises(errors.BatchInvalid, match=said):
        town.send(bus)
    assert not town.store.fetch("SELECT 1 FROM vouchers") and not town.store.fetch("SELECT 1 FROM batches")
    town.assert_sound()


def test_a_voucher_in_the_name_of_another_device(town: Town, bus: TownTerminal) -> None:
    other = town.terminal("bus-2", DeviceRole.VALIDATOR)
    bus.voucher(VoucherKind.BOARDING, NOW_S, [town.wallet().ride_code(NOW_S)], device=other.name, **RIDE)
    assert_refused(town, bus, "bus-2/1")


@pytest.mark.parametrize("sequence", [2, 7])
def test_a_voucher_with_another_number(town: Town, bus: TownTerminal, sequence: int) -> None:
    bus.voucher(VoucherKind.BOARDING, NOW_S, [town.wallet().ride_code(NOW_S)], sequence=sequence, **RIDE)
    assert_refused(town, bus, f"bus-1/{sequence}")


def test_a_number_left_out_in_the_middle(town: Town, bus: TownTerminal) -> None:
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    bus.voucher(VoucherKind.BOARDING, NOW_S, [town.wallet().ride_code(NOW_S)], sequence=3, **RIDE)
    assert_refused(town, bus, "bus-1/3")


def test_a_first_voucher_that_names_one_before_it(town: Town, bus: TownTerminal) -> None:
    bus.voucher(VoucherKind.BOARDING, NOW_S, [town.wallet().ride_code(NOW_S)], previous=bytes([7]) * 32, **RIDE)
    assert_refused(town, bus, "first voucher")


def test_a_voucher_that_names_another_one_before_it(town: Town, bus: TownTerminal) -> None:
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    bus.voucher(VoucherKind.BOARDING, NOW_S, [town.wallet().ride_code(NOW_S)], previous=bytes([7]) * 32, **RIDE)
    assert_refused(town, bus, "chain breaks")


def test_a_whole_batch_of_another_device_under_this_ones_key(town: Town, bus: TownTerminal) -> None:
    other = town.terminal("bus-2", DeviceRole.VALIDATOR)
    other.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    with pytest.raises(errors.BatchInvalid, match="head signature"):
        town.ingest.ingest(other.batch(key=bus.key), NOW_S)
    assert town.send(other).outcomes == [(Outcome.POSTED, 0)]


@pytest.mark.parametrize("kind", [256, 1 << 32, (1 << 40) - 1])
def test_an_event_kind_that_the_chain_cannot_hold(town: Town, bus: TownTerminal, kind: int) -> None:
    bus.events.append((kind, b"\x80"))
    bus.event_heads.append(bytes(32))
    assert_refused(town, bus, f"event kind {kind}")
