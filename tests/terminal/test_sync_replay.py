"""Reordered and replayed answers: an old word of the city is no alarm, and moves nothing back. DESIGN §7."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import AnswerInvalid
from offline_ledger.protocol import city, cose, tree
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.terminal.ports import CityAnswer
from offline_ledger.terminal.sync_phases import Phase
from tests.terminal.city_in_test import ACK_TEST_ONLY, CITY, sign
from tests.terminal.sync_desk import SyncDesk


@pytest.fixture
def desk(tmp_path: Path, rng: random.Random) -> Iterator[SyncDesk]:
    made = SyncDesk(tmp_path, rng)
    yield made
    made.close()


def others_post(desk: SyncDesk, vouchers: int) -> None:
    """Other devices' leaves come between."""
    for at in range(vouchers):
        desk.city.log.add(tree.leaf_hash(b"another device's voucher %d" % at))


def answers_to_the_same_place(desk: SyncDesk, count: int) -> list[CityAnswer]:
    """Answers to empty batches, with a log that grows from one to the next; the newest is held."""
    found: list[CityAnswer] = []
    for _ in range(count):
        others_post(desk, 3)
        desk.clock.advance(s=60)
        answer = desk.city.answer(desk.until(Phase.UPLOAD))
        found.append(answer)
        desk.hear(answer)
        desk.exchange()
    return found


def test_an_older_answer_for_the_same_place_is_refused_and_no_alarm(desk: SyncDesk) -> None:
    desk.sell(4)
    desk.exchange()
    *older, _newest = answers_to_the_same_place(desk, 3)
    for replayed in older:
        held = desk.journal.newest_ack()
        desk.clock.advance(s=60)
        desk.until(Phase.UPLOAD)
        desk.hear(replayed)
        assert desk.journal.newest_ack() == held, "it moves nothing back"
        desk.exchange()
        status = desk.machine.status()
        assert isinstance(status.trouble, AnswerInvalid) and not status.is_restored
        desk.exchange()
    assert desk.machine.status().trouble is None and desk.machine.prunable_through() == 4


def test_the_same_answer_again_is_no_alarm_either(desk: SyncDesk) -> None:
    """Its proof began at an older log than the one held by now."""
    desk.sell(4)
    desk.exchange()
    (newest,) = answers_to_the_same_place(desk, 1)
    desk.clock.advance(s=60)
    desk.until(Phase.UPLOAD)
    desk.hear(newest)
    desk.exchange()
    assert desk.machine.status().trouble is None and not desk.machine.status().is_restored
    assert desk.machine.prunable_through() == 4


def test_answers_in_the_wrong_order_acknowledge_each_voucher_once(desk: SyncDesk) -> None:
    """The answer to the first batch arrives only while the second is under way; then the second one's comes."""
    desk.sell(5)
    first = desk.city.answer(desk.until(Phase.UPLOAD))
    desk.lose()
    desk.sell(5)
    desk.wait_due()
    second = desk.city.answer(desk.until(Phase.UPLOAD))
    desk.hear(first)
    assert desk.machine.status().pending_count in (5, 10)
    desk.until(Phase.UPLOAD)
    desk.hear(second)
    for _ in range(3):
        desk.exchange()
    assert desk.machine.status().pending_count == 0
    (held,) = desk.city.devices.values()
    assert set(held.posted_times.values()) == {1} and len(held.posted_times) == 10


@pytest.mark.parametrize("outcome", [Outcome.POSTED, Outcome.SUSPENSE, Outcome.REJECTED])
def test_nothing_is_acknowledged_without_its_leaf_even_when_the_proofs_are_left_out_too(
    desk: SyncDesk, outcome: Outcome
) -> None:
    desk.sell(6)
    answer = city.ANSWER.decode(desk.city.answer(desk.until(Phase.UPLOAD)).body, CITY_OBJECT_BYTES_MAX)
    signed = cose.parse_sign1(answer.ack, cose.external_aad(Kind.ACK, CITY), CITY_OBJECT_BYTES_MAX)
    bare = city.ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX)._replace(outcomes=((int(outcome), 0, 0),) * 6)
    forged = answer._replace(ack=sign(Kind.ACK, city.ACK.encode(bare), ACK_TEST_ONLY).raw, proofs=())
    desk.hear(CityAnswer(200, city.ANSWER.encode(forged)))
    assert desk.machine.status().pending_count == 6 and desk.machine.prunable_through() == 0
