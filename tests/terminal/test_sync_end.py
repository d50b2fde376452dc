"""What a terminal makes of the end of its chain in an answer, and when it may not. DESIGN §7.

Journals that really lost their end meet the real ledger in `test_sync_real_city`.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import AnswerInvalid, JournalLost
from offline_ledger.protocol import city, cose
from offline_ledger.protocol.city import ANSWER, Ack
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.terminal.ports import CityAnswer
from offline_ledger.terminal.sync_phases import Phase
from simulators.keys import SimulatedKey
from tests.terminal.city_in_test import ACK_TEST_ONLY, CITY, sign
from tests.terminal.sync_desk import SyncDesk


@pytest.fixture
def desk(tmp_path: Path, rng: random.Random) -> Iterator[SyncDesk]:
    made = SyncDesk(tmp_path, rng)
    yield made
    made.close()


def answer_with(
    desk: SyncDesk, end: tuple[int, bytes] | None, key: SimulatedKey = ACK_TEST_ONLY, **changes: object
) -> CityAnswer:
    """The honest answer to the upload that is due, with another end of the chain in it."""
    answer = ANSWER.decode(desk.city.answer(desk.until(Phase.UPLOAD)).body, CITY_OBJECT_BYTES_MAX)
    signed = cose.parse_sign1(answer.ack, cose.external_aad(Kind.ACK, CITY), CITY_OBJECT_BYTES_MAX)
    ack: Ack = city.ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX)._replace(chain_end=end, **changes)
    return CityAnswer(200, ANSWER.encode(answer._replace(ack=sign(Kind.ACK, city.ACK.encode(ack), key).raw)))


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_a_city_that_knows_no_more_than_we_is_no_reason_to_stop(desk: SyncDesk, behind: int) -> None:
    desk.sell(2)
    desk.exchange()
    desk.hear(answer_with(desk, (2 - behind, bytes(32))))
    desk.exchange()
    assert desk.machine.status().trouble is None and desk.ends_told == []


def test_an_end_beyond_ours_is_told_and_nothing_counts_as_acknowledged(desk: SyncDesk) -> None:
    desk.sell(2)
    desk.exchange()
    synced_at_s = desk.machine.status().complete_at_s
    for times in (1, 2):
        desk.hear(answer_with(desk, (3, bytes(32))))
        desk.exchange()
        status = desk.machine.status()
        assert isinstance(status.trouble, JournalLost) and desk.ends_told == [3] * times
        assert status.complete_at_s == synced_at_s
    desk.sell(1)
    desk.exchange()
    assert desk.machine.status().pending_count == 0, "what it accepted all the same goes out, and the city holds it"


def test_a_city_that_names_no_end_is_believed(desk: SyncDesk) -> None:
    desk.sell(2)
    desk.exchange()
    desk.hear(answer_with(desk, None))
    desk.exchange()
    assert desk.machine.status().trouble is None and desk.machine.status().pending_count == 0


def test_an_end_that_the_city_did_not_sign_stops_nobody(desk: SyncDesk) -> None:
    desk.hear(answer_with(desk, (9, bytes(32)), SimulatedKey(0xF0E)))
    assert desk.ends_told == []
    desk.exchange()
    desk.exchange()
    desk.hear(answer_with(desk, (9, bytes(32)), device="bus-other"))
    assert desk.ends_told == []
    desk.exchange()
    assert isinstance(desk.machine.status().trouble, AnswerInvalid)


def test_an_answer_to_vouchers_stops_nobody_it_may_come_late(desk: SyncDesk) -> None:
    """The city took five, the answer was lost, a smaller batch is on its way: it knows more than that batch says."""
    desk.sell(2)
    desk.hear(answer_with(desk, (5, bytes(32))))
    desk.exchange()
    assert desk.machine.status().trouble is None and desk.ends_told == [] and desk.machine.status().pending_count == 0
