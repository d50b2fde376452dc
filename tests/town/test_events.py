"""Events as real terminals write them and the city stores them: every kind, each body by the schema. DESIGN §4, §5."""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import Conflict, NotOurCode
from offline_ledger.money import KGO
from offline_ledger.protocol.device import DeviceRole, EventKind
from offline_ledger.protocol.wallet import Audience
from offline_ledger.terminal.outcome import Outcome
from simulators import cheats
from tests.crosscheck.ask import SCHEMA, ask, cddl_job
from tests.town.in_process import Terminal, Town, open_town

FARE_KGO = 50 * KGO
WRITTEN = (
    EventKind.RATIFIED,
    EventKind.REFUSAL,
    EventKind.CONFLICT,
    EventKind.CLOCK,
    EventKind.UNCHARGED_GREEN,
    EventKind.LAPSED,
)


@pytest.fixture
def town(tmp_path: Path, rng: Random) -> Iterator[Town]:
    with open_town(tmp_path, rng) as made:
        yield made


def rider(town: Town, name: str) -> str:
    """The code of somebody new."""
    phone = town.wallet(name)
    phone.new_intent(Audience.TRANSIT, FARE_KGO)
    return phone.code(town.now_s())


def accept_unseen(bus: Terminal, code: str) -> Outcome:
    """The program ends before its green."""
    outcome = bus.accept(code)
    bus.restart()
    return outcome


def test_every_kind_of_event_fits_the_schema_as_terminals_write_it(town: Town) -> None:
    bus = town.terminal(DeviceRole.VALIDATOR)
    liar = town.wallet("liar")
    liar.new_intent(Audience.TRANSIT, FARE_KGO)
    bus.take(liar.code(town.now_s()))
    lie = cheats.same_counter_other_audience(liar, Audience.TRANSIT, 2 * FARE_KGO, town.now_s())
    assert isinstance(bus.take(lie).refusal, Conflict)
    assert isinstance(bus.take("https://example.org").refusal, NotOurCode)
    returns, gone = rider(town, "returns"), rider(town, "gone")
    assert accept_unseen(bus, returns).sequence == 2
    assert bus.take(returns).is_uncharged_green
    assert accept_unseen(bus, gone).sequence == 3
    for _ in range(2):
        bus.station.acceptor.tick(town.clock.mono_ms())
        town.clock.advance(s=town.limits.unratified_s + 1)
    bus.station.acceptor.tick(town.clock.mono_ms())
    town.sync()
    stored = town.store.fetch("SELECT kind, body FROM events ORDER BY number")
    assert {kind for kind, _body in stored} == set(WRITTEN)
    rules = {int(number): name for name, number in re.findall(r"^(\S+-event) = .*; (\d+)", SCHEMA.read_text(), re.M)}
    answers = ask([cddl_job(rules[kind], body) for kind, body in stored])
    assert [rules[kind] for (kind, _), answer in zip(stored, answers, strict=True) if answer != {"ok": True}] == []
    assert town.unpaid_kgo() == 0
    town.assert_sound()
