"""A terminal that was updated before the city: its batch head says 1013, a forged one still says BatchInvalid."""

import zlib

import pytest

from offline_ledger.city.ingest_reading import LATER_VERSIONS_TRIED
from offline_ledger.errors import BatchInvalid, Refusal, VersionUnknown
from offline_ledger.protocol import cbor, cose, device
from offline_ledger.protocol.device import Batch, DeviceRole
from offline_ledger.protocol.kinds import VERSION, Kind
from simulators.keys import SimulatedKey
from tests.city.town import CITY, NOW_S, Town, TownTerminal


def batch(bus: TownTerminal, version: int, key: SimulatedKey, payload: bytes | None = None) -> bytes:
    said = payload or device.BATCH_HEAD.encode(bus.head_for(1, 1, 1, 0, NOW_S))
    aad = cbor.encode([int(Kind.BATCH_HEAD), version, CITY])
    head = cose.sign1(said, aad, key.key_id, key.sign)
    return zlib.compress(device.BATCH.encode(Batch(head.raw, tuple(bus.vouchers), (), (), None)))


def refused(town: Town, body: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        town.ingest.ingest(body, NOW_S + 60)
    return caught.value


def riding(town: Town) -> TownTerminal:
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    return bus


@pytest.mark.parametrize("later", range(1, LATER_VERSIONS_TRIED + 1))
def test_a_head_of_a_later_version_is_answered_with_1013(town: Town, later: int) -> None:
    bus = riding(town)
    grown = cbor.encode({1: bus.name, 2: "another shape", 23: [1, 2]})
    for payload in (None, grown):
        refusal = refused(town, batch(bus, VERSION + later, bus.key, payload))
        assert isinstance(refusal, VersionUnknown) and refusal.number == 1013
    assert not town.store.fetch("SELECT 1 FROM vouchers")


def test_only_the_devices_own_key_speaks_of_later_versions(town: Town) -> None:
    bus = riding(town)
    assert isinstance(refused(town, batch(bus, VERSION + 1, town.new_key())), BatchInvalid)
    assert isinstance(refused(town, batch(bus, VERSION + LATER_VERSIONS_TRIED + 1, bus.key)), BatchInvalid)
    stranger = cbor.encode({1: "nobody", 2: 1})
    for payload in (stranger, cbor.encode([bus.name]), b"\xff"):
        assert not isinstance(refused(town, batch(bus, VERSION + 1, bus.key, payload)), VersionUnknown)
    assert town.send(bus).outcomes, "today's own version is read as ever"
