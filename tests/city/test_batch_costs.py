"""What a body costs before the city knows who sent it: one head is read, whatever follows it. DESIGN §4, §7."""

import zlib

import pytest

from offline_ledger.city.ingest_reading import BATCH_BYTES_MAX, BATCH_VALUES_MAX, head_of
from offline_ledger.errors import BatchInvalid, CodeDamaged, Malformed, NotCanonical, Refusal, TooLarge, UnknownDevice
from offline_ledger.protocol import cbor, device
from offline_ledger.protocol.device import BATCH_EVENTS_MAX, BATCH_VOUCHERS_MAX, Batch, DeviceRole, EventKind
from offline_ledger.protocol.kinds import Kind
from tests.city.town import NOW_S, Town, TownTerminal, signed_by
from tests.counted import calls_in

MANY = 2_090_000
NUMBERS = b"\x9a" + MANY.to_bytes(4, "big") + bytes(MANY)
LISTS = b"\x9a" + (190_000).to_bytes(4, "big") + (b"\x81" * 10 + b"\x00") * 190_000
CALLS_MAX = 1_000


@pytest.fixture
def bus(town: Town) -> TownTerminal:
    return town.terminal("bus-1", DeviceRole.VALIDATOR)


def refusal_of(town: Town, body: bytes) -> tuple[Refusal, int]:
    """What was answered, and the calls that it took."""
    found: list[Refusal] = []

    def send() -> None:
        with pytest.raises(Refusal) as caught:
            town.ingest.ingest(body, NOW_S)
        found.append(caught.value)

    calls = calls_in(send)
    return found[0], calls


def with_tail(head: bytes, tail: bytes) -> bytes:
    """A batch that begins with this head and goes on with one list of anything."""
    return zlib.compress(b"\xa4" + cbor.encode({1: head})[1:] + b"\x02" + tail, 9)


@pytest.mark.parametrize("tail", [NUMBERS, LISTS], ids=["numbers", "lists"])
def test_without_a_devices_signature_nothing_but_a_head_is_decoded(town: Town, bus: TownTerminal, tail: bytes) -> None:
    stranger = TownTerminal("bus-9", town.new_key(), "transit", DeviceRole.VALIDATOR)
    liar = TownTerminal(bus.name, town.new_key(), "transit", DeviceRole.VALIDATOR)
    for body, kind in (
        (zlib.compress(tail, 9), Malformed),
        (zlib.compress(b"\xa1\x01" + tail, 9), Malformed),
        (with_tail(b"no head", tail), Malformed),
        (with_tail(bytes(2_000), tail), CodeDamaged),
        (with_tail(bytes(1_025), tail), TooLarge),
        (zlib.compress(b"\xa4\x01\x59\x00\x01h" + tail, 9), NotCanonical),
        (with_tail(head_of(stranger.batch()), tail), UnknownDevice),
        (with_tail(head_of(liar.batch()), tail), BatchInvalid),
    ):
        assert len(body) < 8_192
        refusal, calls = refusal_of(town, body)
        assert isinstance(refusal, kind) and calls < CALLS_MAX, (kind, refusal, calls)


@pytest.mark.parametrize("tail", [NUMBERS, LISTS], ids=["numbers", "lists"])
def test_a_devices_own_batch_has_no_more_values_than_a_batch_can_have(
    town: Town, bus: TownTerminal, tail: bytes
) -> None:
    refusal, calls = refusal_of(town, with_tail(head_of(bus.batch()), tail))
    assert isinstance(refusal, TooLarge) and str(BATCH_VALUES_MAX) in refusal.detail and calls < CALLS_MAX


def test_the_largest_batch_has_as_many_values_as_we_take(town: Town, bus: TownTerminal) -> None:
    """As far as the bytes allow: full rows in number, short in content."""
    rows = tuple((b"v", (b"p", b"r")) for _ in range(BATCH_VOUCHERS_MAX))
    events = tuple((int(EventKind.STARTED), b"\x80") for _ in range(BATCH_EVENTS_MAX))
    whole = device.BATCH.encode(Batch(head_of(bus.batch()), rows, events, (b"a",) * BATCH_VOUCHERS_MAX, b"k"))
    assert len(whole) < BATCH_BYTES_MAX
    cbor.check_count(whole, BATCH_VALUES_MAX)
    with pytest.raises(TooLarge):
        cbor.check_count(whole, BATCH_VALUES_MAX - 16)


def test_what_follows_a_good_head_is_still_judged(town: Town, bus: TownTerminal) -> None:
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    plain = zlib.decompress(bus.batch())
    for damaged in (zlib.compress(plain)[:-3], zlib.compress(plain + bytes(BATCH_BYTES_MAX))):
        with pytest.raises((CodeDamaged, TooLarge)):
            town.ingest.ingest(damaged, NOW_S)
    for kind in (Kind.VOUCHER, Kind.PRESENTMENT):
        other = signed_by(bus.key, kind, device.BATCH_HEAD.encode(bus.head_for(1, 1, 1, 0, NOW_S))).raw
        with pytest.raises(BatchInvalid):
            town.ingest.ingest(with_tail(other, b"\x80"), NOW_S)
    assert town.store.fetch("SELECT 1 FROM vouchers") == []
    assert town.send(bus).ack.through_sequence == 1
