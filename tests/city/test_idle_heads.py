"""Uploads of nothing by an idle terminal leave two heads behind, and change nothing that heads are for. DESIGN §8."""

from pathlib import Path

import pytest

from offline_ledger.city.accounts import RISK
from offline_ledger.city.audit import audit
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import BatchHead, DeviceRole, EventKind, StateKey
from offline_ledger.rules.limits import HOUR_S
from tests.city.test_cover import SMALL, emptied
from tests.city.town import NOW_S, Acked, Town, TownTerminal, pay_two_way

IDLE_S = 300


@pytest.fixture
def bus(town: Town) -> TownTerminal:
    return town.terminal("bus-1", DeviceRole.VALIDATOR)


def idle(town: Town, terminal: TownTerminal, at_s: int, state: dict[int, object] | None = None) -> Acked:
    """One upload of nothing."""

    def said(head: BatchHead) -> BatchHead:
        return head._replace(at_s=at_s, state=state or {})

    return town.send(
        terminal, at_s, first=len(terminal.vouchers) + 1, first_event=len(terminal.events) + 1, change=said
    )


def heads(town: Town, device: str = "bus-1") -> list[tuple[int, int, int]]:
    rows = town.store.fetch(
        "SELECT last_sequence, last_event, received_at_s FROM batches WHERE device = ? ORDER BY received_at_s, 1, 2",
        (device,),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def test_a_run_of_uploads_of_nothing_leaves_its_newest_two(town: Town, bus: TownTerminal) -> None:
    """From the first day on, and between any two that brought something."""
    expected: list[tuple[int, int, int]] = []
    at_s = NOW_S
    for round_number in range(3):
        for _ in range(20):
            at_s += IDLE_S
            acked = idle(town, bus, at_s)
            assert acked.ack.chain_end == (len(bus.vouchers), bus.head)
        here = (len(bus.vouchers), len(bus.events))
        expected += [(*here, at_s - IDLE_S), (*here, at_s)]
        if round_number < 2:
            at_s += IDLE_S
            bus.boarding(town.wallet().ride_code(at_s), at_s)
            bus.event(EventKind.STARTED, round_number)
            town.send(bus, at_s, first=len(bus.vouchers), first_event=len(bus.events))
            expected.append((len(bus.vouchers), len(bus.events), at_s))
    assert heads(town) == expected
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_an_upload_of_events_alone_stays(town: Town, bus: TownTerminal) -> None:
    for number in range(3):
        bus.event(EventKind.STARTED, number)
        town.send(bus, NOW_S + number * 10, first_event=number + 1)
        for later in (1, 2, 3):
            idle(town, bus, NOW_S + number * 10 + later)
    kept = [at_s - NOW_S for *_, at_s in heads(town)]
    assert kept == [0, 2, 3, 10, 12, 13, 20, 22, 23]


@pytest.mark.parametrize("key", [StateKey.EVENTS_LOST_AFTER, StateKey.LACKING])
def test_what_a_device_signs_that_it_lacks_stays(town: Town, bus: TownTerminal, key: StateKey) -> None:
    idle(town, bus, NOW_S, {int(key): 0 if key is StateKey.EVENTS_LOST_AFTER else [bytes(8)]})
    for number in range(1, 6):
        idle(town, bus, NOW_S + number)
    assert [at_s - NOW_S for *_, at_s in heads(town)] == [0, 4, 5]


def test_two_that_take_turns_keep_their_own(town: Town, bus: TownTerminal) -> None:
    """A cloned card whose chain is another: neither's head stands for the other's."""
    clone = bus.copy()
    for one in (bus, clone):
        one.boarding(town.wallet().ride_code(NOW_S), NOW_S)
        town.send(one, NOW_S)
    for number in range(1, 21):
        idle(town, (bus, clone)[number % 2], NOW_S + number)
    assert [at_s - NOW_S for *_, at_s in heads(town)] == [0, 0, 17, 18, 19, 20]


def test_another_devices_heads_stay(town: Town, bus: TownTerminal) -> None:
    other = town.terminal("bus-2", DeviceRole.VALIDATOR)
    for number in range(5):
        idle(town, other, NOW_S + number)
        idle(town, bus, NOW_S + number)
    assert len(heads(town, "bus-1")) == len(heads(town, "bus-2")) == 2


def test_a_damaged_head_stops_no_sync(town: Town, bus: TownTerminal) -> None:
    idle(town, bus, NOW_S)
    with town.store.transaction():
        town.store.execute("UPDATE batches SET head = x'd2'")
    for number in range(1, 5):
        assert idle(town, bus, NOW_S + number).ack.through_sequence == 0
    assert len(heads(town)) == 3


@pytest.mark.parametrize("on_the_way_s", [0, 100])
def test_the_risk_fund_covers_as_if_all_heads_were_there(tmp_path: Path, on_the_way_s: int) -> None:
    """The till has sold nothing for two days and says so each hour. Then it sells, perhaps while one more upload of
    nothing is on its way; its sale comes with the next one. It had synced well within H."""
    town = Town(tmp_path, SMALL)
    till, buyer = town.terminal("pos-1", DeviceRole.SHOP), emptied(town)
    sold_at_s = NOW_S + 48 * HOUR_S
    for at_s in range(NOW_S, sold_at_s, HOUR_S):
        idle(town, till, at_s)
    before = till.copy()
    pay_two_way(till, buyer, 3_000, sold_at_s)
    if on_the_way_s:
        idle(town, before, sold_at_s + on_the_way_s)
    assert town.send(till, sold_at_s + 200).outcomes == [(Outcome.POSTED, 0)]
    assert town.balance(RISK) == -3_000
