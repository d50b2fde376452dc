"""The exchange machine against a city in the test: order, resuming, rejections, wants, holds, restores. DESIGN §7."""

import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import (
    AnswerInvalid,
    CityCertificateWrong,
    CityRefused,
    CityUnreachable,
    LedgerRestored,
    UnknownIssuer,
)
from offline_ledger.protocol import device, tree
from offline_ledger.protocol.city import BulletinKind, KeyRole, Outcome
from offline_ledger.protocol.deny_list import encode_ids
from offline_ledger.protocol.device import EventKind, StateKey, Voucher
from offline_ledger.rules.clock import TimeTrust
from offline_ledger.terminal.ports import CityAnswer
from offline_ledger.terminal.status import Badge
from offline_ledger.terminal.sync_leaves import leaves_text
from offline_ledger.terminal.sync_phases import NEXT, Heard, Phase
from offline_ledger.terminal.sync_upload import HELD_RECHECK_MS
from simulators.keys import SimulatedKey
from tests.terminal import city_in_test
from tests.terminal.city_in_test import DEVICE, NOW_S, ROLES, bulletin, keys_of, trust_list
from tests.terminal.sync_desk import SyncDesk, deny_body

BYTES_PER_VOUCHER_MAX = 300


@pytest.fixture
def desk(tmp_path: Path, rng: random.Random) -> Iterator[SyncDesk]:
    made = SyncDesk(tmp_path, rng)
    yield made
    made.close()


def test_table_names_every_answer_to_every_phase() -> None:
    asking = [phase for phase in Phase if phase is not Phase.REST]
    for phase in asking:
        for heard in (Heard.DONE, Heard.BAD, Heard.LOST):
            assert (phase, heard) in NEXT
    assert {NEXT[phase, Heard.LOST] for phase in asking} == {Phase.REST}
    assert not [pair for pair in NEXT if pair[0] is Phase.REST]


def test_trust_lists_first_then_time_uploads_bulletins(desk: SyncDesk) -> None:
    desk.sell(3)
    desk.city.publish(bulletin())
    desk.exchange()
    assert desk.city.asked == ["/v1/trust-lists", "/v1/time", "/v1/batches", "/v1/bulletins"]
    assert desk.machine.status().badge is Badge.SYNCED
    assert desk.keeper.time().trust is TimeTrust.SYNCED


def test_journal_of_1200_syncs_in_three_batches_and_resumes_after_a_kill(desk: SyncDesk) -> None:
    desk.sell(1200)
    desk.until(Phase.UPLOAD)
    request = desk.step()
    assert request is not None
    desk.hear(desk.city.answer(request))
    second = desk.step()
    assert second is not None
    desk.city.answer(second)  # the city has it, the terminal dies before it hears so
    desk.restart()
    assert desk.machine.status().pending_count == 700
    desk.exchange()
    assert desk.city.batch_sizes == [500, 500, 500, 200]
    held = desk.city.devices[DEVICE]
    assert sorted(held.posted_times) == list(range(1, 1201))
    assert set(held.posted_times.values()) == {1}
    assert len(desk.city.log.leaves) == 1200
    assert desk.machine.status().pending_count == 0
    assert desk.machine.prunable_through() == 1200


def test_bytes_per_voucher(desk: SyncDesk, record_property: Callable[[str, object], None]) -> None:
    desk.sell(500)
    request = desk.until(Phase.UPLOAD)
    assert request.body is not None
    per_voucher = len(request.body) / 500
    record_property("sync_bytes_per_voucher", round(per_voucher, 1))
    assert per_voucher <= BYTES_PER_VOUCHER_MAX
    batch = device.BATCH.decode(zlib.decompress(request.body), 2 * 1_048_576)
    assert len(batch.vouchers) == 500 and not batch.allowances


def test_ratified_events_travel_with_their_vouchers(desk: SyncDesk) -> None:
    desk.sell(20)
    desk.refuse(3)
    desk.exchange()
    kinds = [kind for kind, _body in desk.city.devices[DEVICE].events]
    assert kinds.count(EventKind.REFUSAL) == 3 and EventKind.RATIFIED in kinds
    assert desk.machine.status().events_waiting == 0
    desk.refuse(2)
    desk.journal.flush()
    desk.restart()
    desk.exchange()
    assert len(desk.city.devices[DEVICE].events) >= len(kinds) + 2


def test_lost_answer_is_unknown_and_is_sent_again(desk: SyncDesk) -> None:
    desk.sell(5)
    request = desk.until(Phase.UPLOAD)
    desk.city.answer(request)
    desk.lose()
    status = desk.machine.status()
    assert status.pending_count == 5 and isinstance(status.trouble, CityUnreachable)
    assert desk.machine.phase is Phase.REST and desk.step() is None
    desk.exchange()
    assert set(desk.city.devices[DEVICE].posted_times.values()) == {1}
    assert desk.machine.status().pending_count == 0


def test_answer_that_comes_twice_or_unasked_changes_nothing(desk: SyncDesk) -> None:
    desk.sell(5)
    answer = desk.city.answer(desk.until(Phase.UPLOAD))
    desk.hear(answer)
    before = desk.machine.status()
    request = desk.step()
    desk.hear(answer)  # now where bulletins are awaited
    assert desk.machine.status().pending_count == before.pending_count == 0
    assert request is not None and request.path.startswith("/v1/bulletins")
    assert isinstance(desk.machine.status().trouble, AnswerInvalid)
    desk.hear(answer)  # nobody asked
    desk.exchange()
    assert desk.machine.status().trouble is None


def test_old_answer_to_an_earlier_batch_is_refused(desk: SyncDesk) -> None:
    desk.sell(5)
    old = desk.city.answer(desk.until(Phase.UPLOAD))
    desk.hear(old)
    desk.exchange()
    desk.sell(5)
    desk.until(Phase.UPLOAD)
    desk.hear(old)
    assert desk.machine.status().pending_count == 5
    desk.exchange()
    desk.exchange()
    assert desk.machine.status().pending_count == 0


def test_rejected_voucher_never_blocks_the_next_and_is_listed(desk: SyncDesk) -> None:
    def decide(voucher: Voucher) -> tuple[Outcome, int]:
        return (Outcome.REJECTED, 4005) if voucher.sequence % 4 == 0 else (Outcome.POSTED, 0)

    desk.city.decide = decide
    desk.sell(10)
    desk.exchange()
    status = desk.machine.status()
    assert status.rejected == ((4, 4005), (8, 4005)) and status.pending_count == 0
    desk.restart()
    assert desk.machine.status().rejected == ((4, 4005), (8, 4005))


def test_held_vouchers_are_kept_until_they_are_released(desk: SyncDesk) -> None:
    desk.city.decide = lambda voucher: (Outcome.HELD, 4003) if voucher.sequence > 6 else (Outcome.POSTED, 0)
    desk.sell(10)
    desk.exchange()
    assert desk.machine.status().pending_count == 0
    assert desk.machine.prunable_through() == 6
    desk.city.decide = city_in_test.posted
    desk.restart()
    desk.clock.advance(ms=HELD_RECHECK_MS)
    desk.exchange()
    assert desk.machine.prunable_through() == 10 and not desk.machine.record.exceptions


def test_held_vouchers_are_asked_about_again_when_somebody_says_sync(desk: SyncDesk) -> None:
    desk.city.decide = lambda voucher: (Outcome.HELD, 4003)
    desk.sell(2)
    desk.exchange()
    desk.exchange()  # asked once more, and then every 15 minutes
    desk.city.decide = city_in_test.posted
    desk.exchange()
    assert desk.machine.record.first_held == 1, "not with every exchange"
    desk.machine.hurry(desk.clock.mono_ms())
    desk.exchange()
    assert desk.machine.record.first_held == 0 and not desk.machine.record.exceptions


def test_allowances_go_only_when_asked_for_by_hash(desk: SyncDesk) -> None:
    desk.sell(8, passes=2)
    wanted = desk.wallets[0].allowance
    desk.city.wanted = {wanted.identity, bytes(32)}
    desk.exchange()
    assert desk.city.devices[DEVICE].allowances == [wanted.raw]
    assert desk.machine.status().pending_count == 0


def test_state_in_the_head_tells_the_operator(desk: SyncDesk) -> None:
    desk.sell(7)
    desk.city.publish(bulletin(BulletinKind.TARIFF, 3))
    desk.exchange()
    desk.exchange()
    state = desk.city.devices[DEVICE].state
    assert StateKey.OLDEST_PENDING_AT_S not in state and StateKey.DENY_LIST_AT_S not in state
    assert state[StateKey.PENDING] == 0 and state[StateKey.TRUST_LIST_VERSION] == 1
    assert state[StateKey.BULLETIN_COUNTERS] == [[1, 1, 3]] and state[StateKey.PROGRAM_VERSION] == "0.1.0"


def test_new_ack_key_needs_the_new_trust_list_first(desk: SyncDesk) -> None:
    new_key = SimulatedKey(0xACC2)
    desk.sell(3)
    desk.city.ack_key = new_key
    desk.exchange()
    status = desk.machine.status()
    assert isinstance(status.trouble, UnknownIssuer) and status.trouble.waiting_helps and status.pending_count == 3
    rows = keys_of(*ROLES, (KeyRole.ACK, new_key))
    desk.city.add_list(*trust_list(2, desk.city.list_hash, keys=rows))
    desk.exchange()
    assert desk.machine.status().pending_count == 0 and desk.trust.version == 2


def test_ack_signed_by_a_key_of_another_role_is_refused(desk: SyncDesk) -> None:
    desk.sell(3)
    desk.city.ack_key = city_in_test.BULLETIN_TEST_ONLY
    desk.exchange()
    assert desk.machine.status().pending_count == 3


def test_broken_trust_list_keeps_nothing_else_back(desk: SyncDesk) -> None:
    desk.sell(3)
    desk.city.publish(bulletin())
    desk.city.add_list(*trust_list(3, desk.city.list_hash))
    desk.exchange()
    status = desk.machine.status()
    assert status.pending_count == 0 and desk.bulletins.newest(BulletinKind.TARIFF) is not None
    assert status.trouble is not None and status.badge is Badge.ATTENTION and desk.trust.version == 1


@pytest.mark.parametrize("trouble", [CityUnreachable("refused"), CityCertificateWrong("other CA")])
def test_named_state_when_the_city_cannot_be_reached(desk: SyncDesk, trouble: CityUnreachable) -> None:
    desk.sell(2)
    desk.wait_due()
    assert desk.step() is not None
    desk.lose(trouble)
    assert desk.machine.status().trouble is trouble
    desk.sell(2)  # selling goes on
    assert desk.machine.status().pending_count == 4
    assert desk.machine.status().badge in (Badge.OFFLINE, Badge.ATTENTION)


def test_city_refusal_is_named_and_tried_again(desk: SyncDesk) -> None:
    desk.city.devices.clear()
    desk.sell(2)
    desk.exchange()
    trouble = desk.machine.status().trouble
    assert isinstance(trouble, CityRefused) and "4002" in trouble.detail
    desk.city.devices[DEVICE] = city_in_test.DeviceInTest(city_in_test.DEVICE_TEST_ONLY.point)
    for _ in range(3):
        desk.exchange()
    assert desk.machine.status().pending_count == 0


def test_restored_ledger_is_noticed_and_nothing_is_pruned(desk: SyncDesk) -> None:
    desk.sell(6)
    desk.exchange()
    desk.sell(4)
    desk.city.log = city_in_test.LogInTest()  # an older backup: its log is shorter than the ack that we hold
    desk.exchange()
    status = desk.machine.status()
    assert isinstance(status.trouble, LedgerRestored) and status.is_restored and status.badge is Badge.ATTENTION
    assert status.pending_count == 4 and desk.machine.prunable_through() == 0
    desk.restart()
    assert desk.machine.status().is_restored and desk.machine.prunable_through() == 0


def test_restored_ledger_asks_from_where_it_still_knows(desk: SyncDesk) -> None:
    desk.sell(6)
    desk.exchange()
    held, leaves = desk.city.devices[DEVICE], list(desk.city.log.leaves)
    backup_events, backup_heads = list(held.events), list(held.event_heads)
    backup_rows = dict(held.outcomes), dict(held.identities)
    desk.sell(5)
    desk.exchange()
    restored = city_in_test.DeviceInTest(
        held.point, events=backup_events, event_heads=backup_heads, outcomes=backup_rows[0], identities=backup_rows[1]
    )
    log = city_in_test.LogInTest()
    for leaf in leaves:
        log.add(leaf)
    desk.city.log, desk.city.devices[DEVICE] = log, restored
    desk.city.restored_at = lambda: (max(restored.outcomes), len(restored.events), restored.event_heads[-1])
    desk.sell(2)
    for _ in range(3):
        desk.exchange()
    assert sorted(restored.identities) == list(range(1, 14)), "the city has its lost vouchers back, from us"
    assert restored.identities == held.identities | {at: restored.identities[at] for at in (12, 13)}
    status = desk.machine.status()
    assert status.pending_count == 0 and not status.is_restored and desk.machine.prunable_through() == 13


def test_terminal_can_give_back_the_leaves_that_the_city_lost(desk: SyncDesk) -> None:
    desk.city.decide = lambda voucher: (Outcome.REJECTED, 4005) if voucher.sequence % 3 == 0 else (Outcome.POSTED, 0)
    for _ in range(3):
        desk.sell(4)
        desk.exchange()
    desk.restart()
    desk.exchange()  # an ack without vouchers is not kept
    leaves = desk.machine.leaves_held()
    assert sorted(leaves) == list(range(12))
    assert [tree.leaf_hash(leaves[index]) for index in range(12)] == desk.city.log.leaves
    lines = leaves_text(leaves).splitlines()
    assert [(int(line.split()[0]), bytes.fromhex(line.split()[1])) for line in lines] == sorted(leaves.items())


def test_new_log_counts_only_under_a_trust_list_that_names_it(desk: SyncDesk) -> None:
    desk.sell(6)
    desk.exchange()
    desk.sell(2)
    desk.city.log = city_in_test.LogInTest()
    desk.exchange()
    assert desk.machine.status().is_restored
    desk.exchange()
    assert desk.machine.status().pending_count == 2, "saying it again does not make it true"
    desk.city.add_list(*trust_list(2, desk.city.list_hash))
    for _ in range(2):
        desk.exchange()
    assert desk.machine.status().pending_count == 2, "a list that only changes keys says nothing about the log"
    desk.city.add_list(*trust_list(3, desk.city.list_hash, lost_log=LOST))
    desk.exchange()
    desk.exchange()
    status = desk.machine.status()
    assert status.pending_count == 0 and not status.is_restored


LOST = (6, bytes(31) + b"L")


def denied(desk: SyncDesk, *ids: bytes) -> list[bool]:
    return [desk.deny.is_denied(one) for one in ids]


FIRST, SECOND, THIRD = (bytes([at]) * 6 for at in (1, 2, 3))


def test_deny_list_by_delta_then_whole_when_a_step_is_missing(desk: SyncDesk) -> None:
    desk.city.publish(bulletin(BulletinKind.DENY_LIST, 1, body=deny_body({FIRST}, 0, {FIRST})))
    desk.exchange()
    assert denied(desk, FIRST, SECOND) == [True, False] and "/v1/deny-list" not in desk.city.asked
    desk.city.publish(bulletin(BulletinKind.DENY_LIST, 2, body=deny_body({SECOND}, 1, {SECOND}, {FIRST})))
    desk.exchange()
    assert denied(desk, FIRST, SECOND) == [False, True], "removals land"
    desk.city.publish(bulletin(BulletinKind.DENY_LIST, 5, body=deny_body({THIRD}, 4, {THIRD}, {SECOND})))
    desk.city.deny_lists[5] = encode_ids({THIRD})
    desk.exchange()
    assert denied(desk, FIRST, SECOND, THIRD) == [False, False, True] and desk.deny.counter == 5
    assert desk.machine.deny_list_at_s() == NOW_S


def test_wrong_full_list_leaves_the_old_one_in_use(desk: SyncDesk) -> None:
    desk.city.publish(bulletin(BulletinKind.DENY_LIST, 1, body=deny_body({FIRST}, 0, {FIRST})))
    desk.exchange()
    desk.city.publish(bulletin(BulletinKind.DENY_LIST, 9, body=deny_body({SECOND}, 8, {SECOND})))
    desk.city.deny_lists[9] = encode_ids({FIRST, SECOND})
    desk.exchange()
    assert denied(desk, FIRST, SECOND) == [True, False]
    newest = desk.bulletins.newest(BulletinKind.DENY_LIST)
    assert newest is not None and newest.version == (1, 1), "asked for again next time"
    desk.city.deny_lists[9] = encode_ids({SECOND})
    desk.exchange()
    assert denied(desk, FIRST, SECOND) == [False, True]


def test_new_log_is_found_by_a_device_that_was_away_all_the_time(desk: SyncDesk) -> None:
    desk.sell(6)
    desk.exchange()
    desk.city.log = city_in_test.LogInTest()
    desk.city.add_list(*trust_list(2, desk.city.list_hash, lost_log=LOST))
    desk.sell(2)
    desk.exchange()
    assert desk.machine.status().is_restored, "said once"
    desk.exchange()
    status = desk.machine.status()
    assert status.pending_count == 0 and not status.is_restored
    assert sorted(desk.machine.leaves_held()) == [0, 1], "of the new log only"


@pytest.mark.parametrize("damage", [b"rubbish", None])
def test_lost_or_damaged_list_is_fetched_whole_and_is_not_thought_fresh(desk: SyncDesk, damage: bytes | None) -> None:
    desk.city.publish(bulletin(BulletinKind.DENY_LIST, 3, body=deny_body({FIRST})))
    desk.city.deny_lists[3] = encode_ids({FIRST})
    desk.exchange()
    for name in ("deny_list", "deny_list_changes"):
        path = desk.folder / name
        if damage is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(damage)
    desk.restart()
    assert desk.deny.counter == 0 and desk.machine.deny_list_at_s() is None
    assert desk.until(Phase.BULLETINS).path.endswith("have="), "the city is not told of a list that is gone"
    desk.exchange()
    assert denied(desk, FIRST) == [True] and desk.machine.deny_list_at_s() == NOW_S
    assert desk.machine.status().trouble is None


def test_lost_list_is_replaced_by_a_newer_one(desk: SyncDesk) -> None:
    desk.city.publish(bulletin(BulletinKind.DENY_LIST, 3, body=deny_body({FIRST})))
    desk.city.deny_lists[3] = encode_ids({FIRST})
    desk.exchange()
    (desk.folder / "deny_list").unlink()
    desk.restart()
    del desk.city.deny_lists[3]
    desk.city.publish(bulletin(BulletinKind.DENY_LIST, 4, body=deny_body({FIRST, SECOND}, 3, {SECOND})))
    desk.city.deny_lists[4] = encode_ids({FIRST, SECOND})
    desk.exchange()
    assert denied(desk, FIRST, SECOND) == [True, True] and desk.machine.status().trouble is None


def test_one_bad_bulletin_keeps_no_other_back(desk: SyncDesk) -> None:
    desk.city.publish(bulletin(BulletinKind.TARIFF, 2, key=city_in_test.ACK_TEST_ONLY))
    desk.city.publish(bulletin(BulletinKind.CAMPAIGN, 2))
    desk.exchange()
    assert desk.bulletins.newest(BulletinKind.TARIFF) is None
    assert desk.bulletins.newest(BulletinKind.CAMPAIGN) is not None
    assert desk.machine.status().trouble is not None


def test_complete_time_is_when_all_was_acknowledged_and_is_remembered(desk: SyncDesk) -> None:
    desk.exchange(stop_at=Phase.UPLOAD)
    assert desk.machine.status().complete_at_s is None
    desk.exchange()
    done_at_s = desk.machine.status().complete_at_s
    assert done_at_s is not None and 0 <= desk.keeper.time().at_s - done_at_s <= 1
    desk.restart()
    desk.clock.advance(s=500)
    desk.sell(3)
    request = desk.until(Phase.UPLOAD)
    desk.sell(1)
    desk.hear(desk.city.answer(request))
    assert desk.machine.status().complete_at_s == done_at_s, "one is still waiting"
    desk.exchange()
    assert desk.machine.status().complete_at_s != done_at_s


def test_bad_bulletin_does_not_make_an_acknowledged_terminal_stale(desk: SyncDesk) -> None:
    desk.city.publish(bulletin(BulletinKind.CAMPAIGN, 2, key=city_in_test.ACK_TEST_ONLY))
    desk.exchange()
    status = desk.machine.status()
    assert status.trouble is not None and status.complete_at_s is not None


def test_http_error_without_a_body_is_a_refusal_by_name(desk: SyncDesk) -> None:
    desk.sell(1)
    desk.until(Phase.UPLOAD)
    desk.hear(CityAnswer(502, b"<html>bad gateway</html>"))
    desk.exchange()
    assert desk.machine.status().failures >= 1 or desk.machine.status().pending_count == 0
