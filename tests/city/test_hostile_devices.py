"""An enrolled device that has been broken into sends whatever it likes under its good key. DESIGN §7, §8.

Nothing that it signs stops the ledger, makes money, or keeps back what others sent; each batch ends in an answer or in
one numbered refusal.
"""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offline_ledger.city.audit import audit
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, EventKind, VoucherKind, event_link
from offline_ledger.protocol.wallet import Audience
from tests.city.town import NOW_S, Town, TownTerminal, TownWallet, request_for

EDGES = [0, 1, 2, 23, 24, 255, 10**12, 1 << 32, (1 << 40) - 1, 1 << 48, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
NUMBERS = st.sampled_from([*EDGES, -1, -(1 << 63), -(1 << 63) - 1, -(1 << 64)])
SMALL = NUMBERS | st.binary(max_size=33) | st.sampled_from(["", "x", "S1", "base", "all"]) | st.booleans() | st.none()
ANY = st.recursive(
    SMALL, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.integers(0, 23), inner, max_size=3)
)
EVENT = st.tuples(st.sampled_from([*map(int, EventKind), 0, 10, 255]), st.lists(ANY, max_size=5))
VOUCHER = st.tuples(
    st.sampled_from([*map(int, VoucherKind), 9, 23]),
    st.sampled_from([NOW_S, NOW_S + 5, 0, (1 << 40) - 1]),
    st.integers(0, 2),
    st.fixed_dictionaries(
        {},
        optional={
            "kgo": st.sampled_from([0, 1, 5_000, 10**12]),
            "satang": st.sampled_from([0, 100, 10**12]),
            "product": st.sampled_from(["base", "all", "plain", "x"]),
            "bulletin": st.sampled_from([(1, 1), (0, 0), (1 << 32, 1 << 32)]),
            "reward_kgo": st.sampled_from([None, 0, 100, 10**12]),
            "refers_to": st.sampled_from([None, 1, 2, 1 << 48]),
            "trust": st.integers(0, 2),
            "place": st.dictionaries(st.integers(0, 23), ANY, max_size=5),
        },
    ),
)


def add_event(terminal: TownTerminal, kind: int, body: object) -> None:
    encoded = cbor.encode(body)
    terminal.events.append((kind, encoded))
    terminal.event_heads.append(event_link(terminal.event_heads[-1], kind, encoded))


def add_voucher(terminal: TownTerminal, rider: TownWallet, said: tuple[int, int, int, dict[str, Any]]) -> None:
    kind, at_s, objects, changes = said
    rider.next(5_000)
    shown = [rider.sign(rider.presentment(Audience.TRANSIT, at_s)), request_for(terminal, 5_000, 100, NOW_S)]
    terminal.voucher(kind, at_s, shown[:objects], **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, -1, 1 << 48, (1 << 48) + 1, 1 << 63, (1 << 64) - 1, -(1 << 64)])
@pytest.mark.parametrize("kind", [EventKind.RATIFIED, EventKind.UNCHARGED_GREEN, EventKind.LAPSED])
def test_an_event_about_a_voucher_that_cannot_be_changes_nothing(tmp_path: Path, kind: EventKind, number: int) -> None:
    town = Town(tmp_path)
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    bodies = {
        EventKind.RATIFIED: [1, [number], [number]],
        EventKind.UNCHARGED_GREEN: [number, NOW_S, 1, b"x"],
        EventKind.LAPSED: [number, NOW_S, False],
    }
    add_event(bus, kind, bodies[kind])
    assert town.send(bus).outcomes == [(Outcome.POSTED, 0)]
    assert audit(town.store).findings == ()


@settings(deadline=None)
@given(
    st.lists(VOUCHER, max_size=5), st.lists(EVENT, max_size=5), st.sampled_from([DeviceRole.VALIDATOR, DeviceRole.SHOP])
)
def test_whatever_a_device_signs_ends_in_an_answer_or_a_refusal(
    vouchers: list[tuple[int, int, int, dict[str, Any]]], events: list[tuple[int, list[Any]]], role: DeviceRole
) -> None:
    with TemporaryDirectory() as folder:
        town = Town(Path(folder))
        hostile, honest, rider = (
            town.terminal("hostile", role),
            town.terminal("bus-1", DeviceRole.VALIDATOR),
            town.wallet(),
        )
        for said in vouchers:
            try:
                add_voucher(hostile, rider, said)
            except (Refusal, ValueError):
                continue  # no device can sign what no reader reads
        for kind, body in events:
            add_event(hostile, kind, body)
        try:
            town.send(hostile)
        except Refusal as refusal:
            assert refusal.number > 0
        honest.boarding(town.wallet().ride_code(NOW_S), NOW_S)
        assert town.send(honest).outcomes == [(Outcome.POSTED, 0)]
        town.assert_sound()
        assert audit(town.store).findings == ()


def test_random_bytes_as_bodies_of_events(tmp_path: Path, rng: Random) -> None:
    town = Town(tmp_path)
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    for _ in range(200):
        kind, body = rng.choice([*map(int, EventKind), 200]), rng.randbytes(rng.randrange(1, 60))
        bus.events.append((kind, body))
        bus.event_heads.append(event_link(bus.event_heads[-1], kind, body))
    assert town.send(bus).outcomes == []
    assert audit(town.store).findings == ()
