"""The log may only grow: a city that rewrote what it had acknowledged is noticed; selling goes on. DESIGN §7, §8."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import AnswerInvalid, LogRewritten, VersionUnknown
from offline_ledger.protocol import cbor, city, cose
from offline_ledger.protocol.city import Answer
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.terminal.ports import CityAnswer
from offline_ledger.terminal.status import Badge
from offline_ledger.terminal.sync_phases import Phase
from simulators.keys import SimulatedKey
from tests.terminal.city_in_test import ACK_TEST_ONLY, BULLETIN_TEST_ONLY, CITY, LogInTest, trust_list
from tests.terminal.sync_desk import SyncDesk


@pytest.fixture
def desk(tmp_path: Path, rng: random.Random) -> Iterator[SyncDesk]:
    made = SyncDesk(tmp_path, rng)
    made.sell(5)
    made.exchange()
    assert made.machine.status().pending_count == 0
    yield made
    made.close()


def rewrite(desk: SyncDesk, leaf: int, grown_by: int) -> None:
    """Another leaf where one was acknowledged, and a log that is longer than before all the same."""
    forged = LogInTest()
    for at, data in enumerate(desk.city.log.leaves):
        forged.add(bytes(32) if at == leaf else data)
    for at in range(grown_by):
        forged.add(bytes([at]) * 32)
    desk.city.log = forged


@pytest.mark.parametrize("leaf", range(5))
@pytest.mark.parametrize("grown_by", [0, 1, 3, 40])
def test_a_rewritten_log_is_noticed_and_selling_goes_on(desk: SyncDesk, leaf: int, grown_by: int) -> None:
    honest = desk.city.log
    rewrite(desk, leaf, grown_by)
    desk.sell(2)
    desk.exchange()
    status = desk.machine.status()
    assert isinstance(status.trouble, LogRewritten) and status.pending_count == 2
    assert status.badge is Badge.ATTENTION and desk.machine.prunable_through() == 0
    desk.sell(1)
    desk.restart()
    status = desk.machine.status()
    assert status.pending_count == 3 and status.is_restored, "it is remembered over a restart"
    desk.exchange()
    assert isinstance(desk.machine.status().trouble, LogRewritten), "trying again does not make it true"
    desk.city.log = honest
    desk.city.devices["bus-1"].outcomes = {
        sequence: outcome for sequence, outcome in desk.city.devices["bus-1"].outcomes.items() if sequence <= 5
    }
    desk.exchange()
    status = desk.machine.status()
    assert status.trouble is None and status.pending_count == 0 and not status.is_restored
    assert desk.machine.prunable_through() == 8


SPOILS: dict[str, Callable[[Answer], Answer]] = {
    "none": lambda answer: answer._replace(consistency=None),
    "empty": lambda answer: answer._replace(consistency=()),
    "cut": lambda answer: answer._replace(consistency=(answer.consistency or ())[:-1]),
    "one more": lambda answer: answer._replace(consistency=(*(answer.consistency or ()), bytes(32))),
    "one other": lambda answer: answer._replace(consistency=(bytes(32), *(answer.consistency or ())[1:])),
    "turned": lambda answer: answer._replace(consistency=tuple(reversed(answer.consistency or ()))),
}


@pytest.mark.parametrize("name", SPOILS)
def test_an_ack_without_its_proof_is_not_believed(desk: SyncDesk, name: str) -> None:
    desk.sell(6)
    raw = desk.city.answer(desk.until(Phase.UPLOAD))
    answer = city.ANSWER.decode(raw.body, CITY_OBJECT_BYTES_MAX)
    assert answer.consistency is not None and len(answer.consistency) >= 2
    desk.hear(CityAnswer(200, city.ANSWER.encode(SPOILS[name](answer))))
    assert desk.machine.status().pending_count == 6 and desk.machine.prunable_through() == 0
    desk.exchange()
    assert isinstance(desk.machine.status().trouble, LogRewritten)
    desk.exchange()
    assert desk.machine.status().trouble is None and desk.machine.status().pending_count == 0


def test_the_first_ack_ever_needs_no_proof_and_the_same_log_an_empty_one(tmp_path: Path, rng: random.Random) -> None:
    desk = SyncDesk(tmp_path, rng)
    try:
        desk.exchange()  # an ack of an empty log
        desk.sell(1)
        first = city.ANSWER.decode(desk.city.answer(desk.until(Phase.UPLOAD)).body, CITY_OBJECT_BYTES_MAX)
        assert first.consistency is None
        desk.exchange()
        same = city.ANSWER.decode(desk.city.answer(desk.until(Phase.UPLOAD)).body, CITY_OBJECT_BYTES_MAX)
        assert same.consistency == () and desk.machine.status().trouble is None
    finally:
        desk.close()


def test_another_log_is_taken_only_after_the_alarm_and_on_the_roots_word(desk: SyncDesk) -> None:
    rewrite(desk, 2, 9)
    desk.city.add_list(*trust_list(2, desk.city.list_hash, lost_log=(5, b"one lost log".ljust(32))))
    desk.sell(1)
    desk.exchange()
    assert isinstance(desk.machine.status().trouble, LogRewritten), "the alarm comes first, whatever the roots said"
    desk.exchange()
    status = desk.machine.status()
    assert status.trouble is None and status.pending_count == 0 and not status.is_restored
    rewrite(desk, 3, 9)
    desk.sell(1)
    for _ in range(3):
        desk.exchange()
    assert isinstance(desk.machine.status().trouble, LogRewritten), "that word was for one log only"
    desk.city.add_list(*trust_list(3, desk.city.list_hash, lost_log=(5, b"one lost log".ljust(32))))
    for _ in range(3):
        desk.exchange()
    assert isinstance(desk.machine.status().trouble, LogRewritten), "later lists repeat it and say nothing new"
    desk.city.add_list(*trust_list(4, desk.city.list_hash, lost_log=(9, b"another lost log".ljust(32))))
    for _ in range(2):
        desk.exchange()
    assert desk.machine.status().trouble is None and desk.machine.status().pending_count == 0


def test_a_word_of_the_roots_that_was_not_needed_is_not_kept_for_later(desk: SyncDesk) -> None:
    """Our acks were all before the restore: the new log extends them, and its name is spent with the next ack."""
    desk.city.add_list(*trust_list(2, desk.city.list_hash, lost_log=(70, b"lost to others".ljust(32))))
    desk.sell(1)
    desk.exchange()
    assert desk.machine.status().trouble is None and desk.machine.status().pending_count == 0
    rewrite(desk, 2, 9)
    desk.sell(1)
    for _ in range(3):
        desk.exchange()
    assert isinstance(desk.machine.status().trouble, LogRewritten)


def test_an_older_answer_again_is_a_replay_and_no_alarm(desk: SyncDesk) -> None:
    desk.sell(2)
    older = desk.city.answer(desk.until(Phase.UPLOAD))
    desk.clock.advance(s=10)
    desk.exchange()
    assert desk.machine.status().pending_count == 0
    desk.sell(2)
    desk.until(Phase.UPLOAD)
    desk.hear(older)
    desk.exchange()
    assert not desk.machine.status().is_restored
    assert isinstance(desk.machine.status().trouble, AnswerInvalid | None)


@pytest.mark.parametrize("phase", [Phase.TIME, Phase.UPLOAD, Phase.BULLETINS])
def test_a_city_that_is_ahead_of_this_program_is_no_forger(desk: SyncDesk, phase: Phase) -> None:
    def newer(kind: Kind, key: SimulatedKey) -> bytes:
        payload = cbor.encode({1: CITY, 99: 1})
        return cose.sign1(payload, cbor.encode([int(kind), 2, CITY]), key.key_id, key.sign).raw

    desk.sell(1)
    answer = desk.city.answer(desk.until(phase))
    bodies = {
        Phase.TIME: lambda: newer(Kind.TIME_ANSWER, ACK_TEST_ONLY),
        Phase.UPLOAD: lambda: city.ANSWER.encode(
            city.ANSWER.decode(answer.body, CITY_OBJECT_BYTES_MAX)._replace(ack=newer(Kind.ACK, ACK_TEST_ONLY))
        ),
        Phase.BULLETINS: lambda: cbor.encode([newer(Kind.BULLETIN, BULLETIN_TEST_ONLY)]),
    }
    desk.hear(CityAnswer(200, bodies[phase]()))
    if desk.machine.phase is not Phase.REST:
        desk.exchange()
    status = desk.machine.status()
    assert isinstance(status.trouble, VersionUnknown) and status.badge is Badge.ATTENTION
    assert status.pending_count == (1 if phase is Phase.UPLOAD else 0)
    desk.exchange()
    assert desk.machine.status().trouble is None, "what it can read, it goes on reading"
