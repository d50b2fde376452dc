"""Batches lost, doubled, reordered, cut, changed; what waits beyond F, a revocation or expiry."""

import zlib

import pytest

from offline_ledger import errors
from offline_ledger.city.accounts import (
    OwnerKind,
    owner_account,
    reserved_account,
    wallet_account,
)
from offline_ledger.city.ingest_reading import BATCH_BYTES_MAX, inflate
from offline_ledger.protocol import city
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, EventKind, StateKey
from offline_ledger.protocol.kinds import Kind
from simulators.keys import flipped
from tests.city.test_audit import sign_lists
from tests.city.test_ingest import wrong_fare
from tests.city.town import ACK_TEST_ONLY, FARE_KGO, NOW_S, Town, TownTerminal, signed_by

POSTED = (Outcome.POSTED, 0)
OPERATOR = owner_account(OwnerKind.OPERATOR, "transit")
MERCHANT = owner_account(OwnerKind.MERCHANT, "noodles")


@pytest.fixture
def bus(town: Town) -> TownTerminal:
    return town.terminal("bus-1", DeviceRole.VALIDATOR)


@pytest.fixture
def shop(town: Town) -> TownTerminal:
    return town.terminal("pos-1", DeviceRole.SHOP)


def rejected(refusal: type[errors.Refusal]) -> tuple[Outcome, int]:
    return (Outcome.REJECTED, refusal.number)


def test_a_batch_sent_again_or_cut_otherwise_gets_the_same_outcomes(town: Town, bus: TownTerminal) -> None:
    for at in range(7):
        if at == 3:
            wrong_fare(town.wallet(), bus)
        else:
            bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    parts = [town.send(bus, first=1, last=3), town.send(bus, first=4, last=7)]
    before = town.store.fetch("SELECT * FROM entries")
    whole = town.send(bus)
    middle = town.send(bus, first=2, last=5)
    assert whole.ack.outcomes == parts[0].ack.outcomes + parts[1].ack.outcomes
    assert middle.ack.outcomes == whole.ack.outcomes[1:5]
    assert town.store.fetch("SELECT * FROM entries") == before


def test_a_later_batch_first_is_refused_and_both_post_in_order(town: Town, bus: TownTerminal) -> None:
    for _ in range(4):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    with pytest.raises(errors.BatchOutOfOrder):
        town.send(bus, first=3)
    bus.event(EventKind.STARTED, 1)
    bus.event(EventKind.STARTED, 2)
    with pytest.raises(errors.BatchOutOfOrder):
        town.send(bus, first_event=2)
    assert town.store.fetch("SELECT * FROM vouchers") == []
    assert town.send(bus, last=2, last_event=1).outcomes == [POSTED] * 2
    assert town.send(bus, first=3, first_event=2).outcomes == [POSTED] * 2


@pytest.mark.parametrize("shown", ["no ack", "an ack of what is here", "another's ack", "a later place"])
def test_a_device_cannot_leave_out_events_that_no_restore_lost(town: Town, bus: TownTerminal, shown: str) -> None:
    for number in range(4):
        bus.event(EventKind.STARTED, number)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    acked = town.send(bus, last_event=2)
    lost_after = 1 if shown == "a later place" else 2
    if shown == "no ack":
        bus.newest_ack = bus.held_ack = None
    elif shown == "another's ack":
        said = acked.ack._replace(device="bus-9", through_event=4)
        bus.held_ack = signed_by(ACK_TEST_ONLY, Kind.ACK, city.ACK.encode(said)).raw
    elif shown == "a later place":
        said = acked.ack._replace(through_event=3)
        bus.held_ack = signed_by(ACK_TEST_ONLY, Kind.ACK, city.ACK.encode(said)).raw
    lies = {int(StateKey.EVENTS_LOST_AFTER): lost_after}
    for last_event in (3, 4):
        with pytest.raises((errors.BatchOutOfOrder, errors.RecoveryNeeded)):
            town.send(bus, first=2, first_event=4, last_event=last_event, change=lambda head: head._replace(state=lies))
    assert town.store.fetch("SELECT * FROM event_gaps") == []
    assert town.send(bus, first=2, first_event=3).ack.through_event == 4


def test_truncated_and_changed_batches_post_nothing(town: Town, bus: TownTerminal) -> None:
    for _ in range(3):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    body = bus.batch()
    plain = zlib.decompress(body)
    for damaged in (body[:-9], body + b"x", b"", b"\x00" * 40, zlib.compress(plain[:-1]), zlib.compress(plain + b"x")):
        with pytest.raises(errors.Refusal):
            town.ingest.ingest(damaged, NOW_S)
    for at in range(0, len(plain), 7):
        changed = bytearray(plain)
        changed[at] ^= 0x20
        try:
            town.ingest.ingest(zlib.compress(bytes(changed)), NOW_S)
        except errors.Refusal:
            continue
        # what still posts differs only in signature bytes, which name nothing
        rows = town.store.fetch("SELECT identity FROM vouchers ORDER BY sequence")
        assert [row[0] for row in rows] == bus.identities
    town.assert_sound()


@pytest.mark.parametrize(
    "change",
    [
        {"key": "other"},
        {"last_sequence": 4},
        {"chain_head": bytes(32)},
        {"event_head": b"\x01" * 32},
        {"last_event": 1},
        {"device": "bus-2"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_head_that_does_not_fit_is_refused(town: Town, bus: TownTerminal, change: dict) -> None:

    for _ in range(3):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    if "key" in change:
        body = bus.batch(key=town.new_key())
    else:
        body = bus.batch(change=lambda head: head._replace(**change))
    with pytest.raises((errors.BatchInvalid, errors.UnknownDevice)):
        town.ingest.ingest(body, NOW_S)
    assert town.store.fetch("SELECT * FROM vouchers") == []


def test_a_bomb_is_refused_while_inflating() -> None:
    bomb = zlib.compress(bytes(BATCH_BYTES_MAX * 50), 9)
    with pytest.raises(errors.TooLarge):
        inflate(bomb)
    assert inflate(zlib.compress(bytes(BATCH_BYTES_MAX))) == bytes(BATCH_BYTES_MAX)


def test_flipped_signatures_double_nothing_and_prove_nothing(town: Town, bus: TownTerminal) -> None:
    rider = town.wallet()
    code = rider.ride_code(NOW_S)
    bus.boarding(code, NOW_S)
    town.send(bus)
    twin = bus.copy()
    raw, objects = twin.vouchers[0]
    twin.vouchers[0] = (raw[:-64] + flipped(raw[-64:]), tuple(one[:-64] + flipped(one[-64:]) for one in objects))
    assert town.send(twin).outcomes == [POSTED]
    assert town.store.one("SELECT count(*) FROM vouchers") == (1,)
    other = town.terminal("bus-2", DeviceRole.VALIDATOR)
    signed = bus.vouchers[0][1][0]
    other.boarding(code, NOW_S + 1)
    other.vouchers[0] = (other.vouchers[0][0], (signed[:-64] + flipped(signed[-64:]),))
    town.send(other)
    assert town.store.fetch("SELECT * FROM equivocations") == []
    assert town.balance(reserved_account(rider.allowance.identity)) == 50_000 - FARE_KGO


def test_beyond_f_waits_in_suspense(town: Town) -> None:
    bus = town.terminal("bus-9", DeviceRole.VALIDATOR, value_kgo=2 * FARE_KGO)
    for _ in range(3):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    used_up = (Outcome.SUSPENSE, errors.TerminalValueUsedUp.number)
    assert town.send(bus).outcomes == [POSTED, POSTED, used_up]
    for _ in range(2):
        bus.boarding(town.wallet().ride_code(NOW_S + 100), NOW_S + 100)
    assert town.send(bus, first=4, now_s=NOW_S + 160).outcomes == [POSTED, POSTED]
    town.assert_sound()


def test_after_a_revocation_money_waits(town: Town, bus: TownTerminal) -> None:
    sign_lists(town, (bus.name, 1))
    for _ in range(2):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    assert town.send(bus).outcomes == [POSTED, (Outcome.SUSPENSE, errors.DeviceRevoked.number)]


def test_late_is_credited_all_the_same(town: Town, bus: TownTerminal) -> None:
    from offline_ledger.city import allowances

    rider = town.wallet()
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    late_s = rider.says.expires_at_s + town.limits.reserve_grace_s + 1
    assert allowances.release_due(town.store, town.limits, late_s) == 1
    assert town.send(bus, now_s=late_s).outcomes == [POSTED]
    assert town.balance(wallet_account(rider.wallet_id)) == 50_000 - FARE_KGO
    assert town.store.one("SELECT late FROM vouchers") == (1,)
    town.assert_sound()
