"""Bad links and hostile answers: cut, flapping, mutated, truncated, forged in each field; only refusals. DESIGN §7."""

import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offline_ledger.errors import AnswerInvalid, CityUnreachable, Refusal
from offline_ledger.protocol import cbor, city, cose, device
from offline_ledger.protocol.city import Ack, Answer, BulletinKind, Outcome
from offline_ledger.protocol.deny_list import encode_ids
from offline_ledger.protocol.device import BATCH_EVENTS_MAX
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.limits import DAY_S
from offline_ledger.terminal.ports import CityAnswer
from offline_ledger.terminal.sync_batches import check_answer
from offline_ledger.terminal.sync_pace import (
    PaceSettings,
    apply_batch_lost,
    apply_batch_taken,
    apply_complete,
    apply_failed,
    apply_wake,
    jittered_ms,
    pace_at_start,
)
from offline_ledger.terminal.sync_phases import Phase
from offline_ledger.terminal.sync_wire import read_error
from simulators.keys import SimulatedKey
from tests.terminal.city_in_test import ACK_TEST_ONLY, CITY, DEVICE, bulletin, sign
from tests.terminal.sync_desk import SyncDesk, deny_body

SETTINGS = PaceSettings()


@pytest.fixture
def desk(tmp_path: Path, rng: random.Random) -> Iterator[SyncDesk]:
    made = SyncDesk(tmp_path, rng)
    yield made
    made.close()


# --- the pace


def test_back_off_doubles_to_its_end_and_progress_resets_it() -> None:
    pace = pace_at_start(0, SETTINGS)
    waits: list[int] = []
    for _ in range(12):
        pace = apply_failed(pace, 0, 0, SETTINGS)
        waits.append(pace.due_ms)
    assert waits[:4] == [1000, 2000, 4000, 8000] and waits[-1] == SETTINGS.back_off_last_ms
    assert apply_failed(apply_batch_taken(pace, SETTINGS), 0, 0, SETTINGS).due_ms == 1000


@pytest.mark.parametrize(("chance", "wait_ms"), [(0, 1000), (65_535, 1249), (32_768, 1125)])
def test_jitter_lengthens_by_up_to_a_quarter(chance: int, wait_ms: int) -> None:
    assert jittered_ms(1000, chance, SETTINGS) == wait_ms


def test_batch_shrinks_to_one_and_grows_to_500() -> None:
    pace = pace_at_start(0, SETTINGS)
    sizes: list[int] = []
    for _ in range(10):
        pace = apply_batch_lost(pace)
        sizes.append(pace.batch_vouchers)
    assert sizes == [250, 125, 62, 31, 15, 7, 3, 1, 1, 1]
    for _ in range(10):
        pace = apply_batch_taken(pace, SETTINGS)
    assert pace.batch_vouchers == 500


def test_wake_hurries_a_resting_link_but_not_one_in_back_off() -> None:
    resting = apply_complete(pace_at_start(0, SETTINGS), 0, 0, SETTINGS)
    assert apply_wake(resting, 10_000, SETTINGS).due_ms == 12_000
    assert apply_wake(resting, 59_000, SETTINGS).due_ms == 60_000
    failed = apply_failed(resting, 0, 0, SETTINGS)
    assert apply_wake(failed, 0, SETTINGS).due_ms == failed.due_ms


def test_flapping_link_makes_progress(desk: SyncDesk) -> None:
    """Every answer of more than 60 vouchers is lost; each voucher is posted once all the same."""
    desk.sell(600)
    for _ in range(200):
        desk.wait_due()
        request = desk.step()
        while request is not None:
            answer = desk.city.answer(request)
            if request.path == "/v1/batches" and desk.city.batch_sizes[-1] > 60:
                desk.lose()
            else:
                desk.hear(answer)
            request = desk.step()
        if desk.machine.status().pending_count == 0:
            break
    assert desk.machine.status().pending_count == 0
    assert set(desk.city.devices[DEVICE].posted_times.values()) == {1}
    assert len(desk.city.log.leaves) == 600


def test_random_losses_post_everything_once(desk: SyncDesk, rng: random.Random) -> None:
    """Requests lost on the way, answers lost, answers cut, restarts: in any order."""
    sold = 0
    for _ in range(120):
        if sold < 300:
            desk.sell(9)
            sold += 9
        desk.wait_due()
        request = desk.step()
        while request is not None:
            chance = rng.randrange(10)
            if chance == 0:
                desk.lose()
            elif chance == 1:
                desk.city.answer(request)
                desk.lose()
            elif chance == 2:
                answer = desk.city.answer(request)
                desk.hear(CityAnswer(200, answer.body[: rng.randrange(len(answer.body))]))
            elif chance == 3 and rng.randrange(3) == 0:
                desk.city.answer(request)
                desk.restart()
                break
            else:
                desk.hear(desk.city.answer(request))
            request = desk.step()
    for _ in range(12):
        desk.exchange()
    held = desk.city.devices[DEVICE]
    assert desk.machine.status().pending_count == 0
    assert sorted(held.posted_times) == list(range(1, sold + 1)) and set(held.posted_times.values()) == {1}


def test_large_queue_of_events_goes_in_bounded_batches(desk: SyncDesk) -> None:
    for _ in range(4):
        desk.refuse(1900)
        desk.sell(1)
        desk.exchange()
        desk.clock.advance(s=DAY_S)
    assert len(desk.city.devices[DEVICE].events) >= 4 * 1900
    assert desk.machine.status().events_waiting == 0
    assert BATCH_EVENTS_MAX >= 1900


def test_two_failures_make_the_badge_offline_one_does_not(desk: SyncDesk) -> None:
    desk.exchange()
    assert desk.machine.status().is_connected
    for is_up in (True, False, False):
        desk.wait_due()
        assert desk.step() is not None
        desk.lose()
        assert desk.machine.status().is_connected is is_up
    desk.exchange()
    assert desk.machine.status().is_connected


EXPECTED = {
    (Phase.TRUST, "lost"): Phase.REST,
    (Phase.TRUST, "garbage"): Phase.TIME,
    (Phase.TRUST, "error"): Phase.TIME,
    (Phase.TRUST, "good"): Phase.TIME,
    (Phase.TIME, "lost"): Phase.REST,
    (Phase.TIME, "garbage"): Phase.UPLOAD,
    (Phase.TIME, "error"): Phase.UPLOAD,
    (Phase.TIME, "good"): Phase.UPLOAD,
    (Phase.UPLOAD, "lost"): Phase.REST,
    (Phase.UPLOAD, "garbage"): Phase.BULLETINS,
    (Phase.UPLOAD, "error"): Phase.BULLETINS,
    (Phase.UPLOAD, "good"): Phase.BULLETINS,
    (Phase.BULLETINS, "lost"): Phase.REST,
    (Phase.BULLETINS, "garbage"): Phase.REST,
    (Phase.BULLETINS, "error"): Phase.REST,
    (Phase.BULLETINS, "good"): Phase.DENY_LIST,
    (Phase.DENY_LIST, "lost"): Phase.REST,
    (Phase.DENY_LIST, "garbage"): Phase.REST,
    (Phase.DENY_LIST, "error"): Phase.REST,
    (Phase.DENY_LIST, "good"): Phase.REST,
}


@pytest.mark.parametrize(("phase", "event"), EXPECTED)
def test_every_phase_and_every_event(desk: SyncDesk, phase: Phase, event: str) -> None:
    """Whatever comes in one phase, the next is as the table says, and a later exchange mends it all."""
    ids = {bytes([1]) * 6}
    desk.sell(4)
    desk.city.publish(bulletin(BulletinKind.DENY_LIST, 7, body=deny_body(ids, 6)))
    desk.city.deny_lists[7] = encode_ids(ids)
    request = desk.until(phase)
    good = desk.city.answer(request)
    match event:
        case "lost":
            desk.lose()
        case "garbage":
            desk.hear(CityAnswer(200, good.body[:-1] + b"\x00\x01"))
        case "error":
            desk.hear(CityAnswer(500, b""))
        case _:
            desk.hear(good)
    assert desk.machine.phase is EXPECTED[phase, event]
    for _ in range(4):
        desk.exchange()
    status = desk.machine.status()
    assert status.pending_count == 0 and status.trouble is None and desk.deny.counter == 7
    assert set(desk.city.devices[DEVICE].posted_times.values()) == {1}


# --- hostile answers


Change = Callable[[Ack], Ack]
CHANGES: dict[str, Change] = {
    "other device": lambda ack: ack._replace(device="bus-2"),
    "from elsewhere": lambda ack: ack._replace(first_sequence=2, outcomes=ack.outcomes[1:]),
    "beyond what was sent": lambda ack: ack._replace(through_sequence=9),
    "before what was sent": lambda ack: ack._replace(through_sequence=0),
    "other chain head": lambda ack: ack._replace(chain_head=bytes(32)),
    "events beyond": lambda ack: ack._replace(through_event=999),
    "outcome missing": lambda ack: ack._replace(outcomes=ack.outcomes[:-1]),
    "outcome changed": lambda ack: ack._replace(outcomes=((Outcome.REJECTED, 4005, 1), *ack.outcomes[1:])),
    "outcome unknown": lambda ack: ack._replace(outcomes=((9, 0, 1), *ack.outcomes[1:])),
    "posted without a leaf": lambda ack: ack._replace(outcomes=((Outcome.POSTED, 0, 0), *ack.outcomes[1:])),
    "held with a leaf": lambda ack: ack._replace(outcomes=((Outcome.HELD, 0, 1), *ack.outcomes[1:])),
    "leaves swapped": lambda ack: ack._replace(outcomes=(ack.outcomes[1], ack.outcomes[0], *ack.outcomes[2:])),
    "one leaf twice": lambda ack: ack._replace(outcomes=(ack.outcomes[0], ack.outcomes[0], *ack.outcomes[2:])),
    "other root": lambda ack: ack._replace(log_root=bytes(32)),
    "smaller log": lambda ack: ack._replace(log_size=3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_ack_wrong_in_one_field_is_unknown_and_sent_again(desk: SyncDesk, name: str) -> None:
    """Even the ack key's own signature does not make a wrong ack right."""
    desk.sell(6)
    answer = city.ANSWER.decode(desk.city.answer(desk.until(Phase.UPLOAD)).body, CITY_OBJECT_BYTES_MAX)
    ack = ack_of(answer)
    forged = sign(Kind.ACK, city.ACK.encode(CHANGES[name](ack)), ACK_TEST_ONLY)
    desk.hear(CityAnswer(200, city.ANSWER.encode(answer._replace(ack=forged.raw))))
    assert desk.machine.status().pending_count == 6
    desk.exchange()
    assert isinstance(desk.machine.status().trouble, AnswerInvalid | None)
    for _ in range(3):
        desk.exchange()
    assert desk.machine.status().pending_count == 0


def ack_of(answer: Answer) -> Ack:
    signed = cose.parse_sign1(answer.ack, cose.external_aad(Kind.ACK, CITY), CITY_OBJECT_BYTES_MAX)
    return city.ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: answer._replace(proofs=()),
        lambda answer: answer._replace(proofs=(*answer.proofs, answer.proofs[0])),
        lambda answer: answer._replace(proofs=((answer.proofs[0][0] + 1, *answer.proofs[0][1:]),)),
        lambda answer: answer._replace(proofs=((0, 500, ()),)),
        lambda answer: answer._replace(proofs=((0, 6, (bytes(32),)),)),
    ],
)
def test_wrong_proofs_are_refused(desk: SyncDesk, spoil: Callable[[Answer], Answer]) -> None:
    desk.sell(6)
    answer = city.ANSWER.decode(desk.city.answer(desk.until(Phase.UPLOAD)).body, CITY_OBJECT_BYTES_MAX)
    desk.hear(CityAnswer(200, city.ANSWER.encode(spoil(answer))))
    assert desk.machine.status().pending_count == 6


def test_ack_by_a_stranger_under_the_ack_keys_id(desk: SyncDesk) -> None:
    desk.sell(2)
    answer = city.ANSWER.decode(desk.city.answer(desk.until(Phase.UPLOAD)).body, CITY_OBJECT_BYTES_MAX)
    stranger = cose.sign1(
        city.ACK.encode(ack_of(answer)), cose.external_aad(Kind.ACK, CITY), ACK_TEST_ONLY.key_id, SimulatedKey(66).sign
    )
    desk.hear(CityAnswer(200, city.ANSWER.encode(answer._replace(ack=stranger.raw))))
    assert desk.machine.status().pending_count == 2


def test_time_for_another_nonce_moves_no_clock(desk: SyncDesk) -> None:
    replayed = desk.city.answer(desk.until(Phase.TIME))
    desk.hear(replayed)
    desk.exchange()
    desk.clock.advance(s=7200)
    before = desk.keeper.time()
    desk.until(Phase.TIME)
    desk.hear(replayed)
    assert desk.keeper.time().at_s >= before.at_s
    desk.exchange()
    assert isinstance(desk.machine.status().trouble, AnswerInvalid)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_mutated_answers_only_ever_refuse(desk: SyncDesk, data: st.DataObject) -> None:
    if desk.machine.sent is None:
        desk.sell(3)
        request = desk.until(Phase.UPLOAD)
        desk.city.answer(request)
    sent, request = desk.machine.sent, desk.step()
    assert sent is not None and request is not None
    body = desk.city.answer(request).body
    raw = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(raw)))
    for mutated in (bytes(raw), bytes(raw[:cut])):
        if mutated != body:
            with pytest.raises(Refusal):
                check_answer(mutated, sent, desk.parts.sender, desk.trust.held, None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=st.binary(max_size=300), status=st.sampled_from([200, 204, 301, 400, 413, 500]))
def test_random_answers_in_every_phase_never_raise(desk: SyncDesk, body: bytes, status: int) -> None:
    desk.wait_due()
    for _ in range(8):
        if desk.step() is None:
            break
        desk.hear(CityAnswer(status, body))
    assert desk.machine.phase is Phase.REST
    assert desk.machine.status().trouble is not None or body == b"\x80"


@given(
    body=st.binary(max_size=200) | st.builds(cbor.encode, st.dictionaries(st.integers(0, 9), st.binary() | st.text()))
)
def test_hostile_errors_stay_bounded(body: bytes) -> None:
    error = read_error(CityAnswer(500, body))
    assert len(error.refusal.detail) < 200 and isinstance(error.refusal, Refusal)


def test_batch_is_bounded_in_bytes(desk: SyncDesk) -> None:
    desk.refuse(1900)
    desk.sell(500)
    request = desk.until(Phase.UPLOAD)
    assert request.body is not None
    inflated = zlib.decompress(request.body)
    assert len(inflated) <= 2 * 1_048_576
    assert len(device.BATCH.decode(inflated, 2 * 1_048_576).vouchers) == 500


def test_failures_are_counted_for_the_operator(desk: SyncDesk) -> None:
    for count in range(1, 6):
        desk.wait_due()
        desk.step()
        desk.lose(CityUnreachable("down"))
        assert desk.machine.status().failures == count
