"""The journal as the acceptor, the sync engine and the technician use it. DESIGN §6."""

import subprocess
import sys
from pathlib import Path

import pytest

from offline_ledger.errors import (
    JournalDamaged,
    JournalInUse,
    JournalOfOtherDevice,
    JournalTooNew,
    JournalUnavailable,
    OutOfOrder,
    StorageLibraryUnsafe,
)
from offline_ledger.protocol.cbor import decode
from offline_ledger.protocol.device import event_link
from offline_ledger.terminal import journal, journal_events
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_core import JournalCore
from offline_ledger.terminal.journal_disk import DiskLimits
from offline_ledger.terminal.journal_rows import EVENT_RATIFIED, EVENT_REFUSAL, NO_IDENTITY, PassState
from simulators.storage.disk import SimulatedDisk
from simulators.storage.vouchers import START_S, Taking, VoucherFeed

DEVICE = "test-device"


def opened(path: Path, vfs: str | None = None) -> Journal:
    return Journal.open(path, device_id=DEVICE, vfs=vfs)


def take(to: Journal, feed: VoucherFeed, count: int, *, is_ratified: bool = True) -> list[Taking]:
    takings: list[Taking] = []
    for _ in range(count):
        takings.append(feed.next())
        takings[-1].append_to(to)
        if is_ratified:
            to.ratify(takings[-1].row.sequence)
    return takings


def test_a_new_journal_is_empty(path: Path) -> None:
    with opened(path) as made:
        tail = made.tail
        assert (tail.sequence, tail.identity, tail.event_number, tail.event_head) == (0, NO_IDENTITY, 0, NO_IDENTITY)
        assert made.pending(10) == [] and made.unratified() == [] and made.newest_ack() is None
        assert made.pending_summary().vouchers == 0 and made.pending_summary().oldest_at_s is None


def test_what_was_appended_is_there_after_a_restart(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        takings = take(made, feed, 40)
    with opened(path) as again:
        assert again.tail.sequence == 40 and again.tail.identity == takings[-1].row.identity
        assert again.tail.latest_at_s == takings[-1].row.at_s
        assert again.pending(100) == [taking.row for taking in takings]
        assert again.pending(3, after_sequence=5) == [taking.row for taking in takings[5:8]]
        for taking in takings:
            if taking.allowance is not None and taking.row.allowance_hash is not None:
                assert again.allowance_bytes(taking.row.allowance_hash) == taking.allowance
            if taking.coupon is not None:
                assert again.coupon_used(taking.coupon.coupon_id) == taking.row.sequence
        last = {taking.state.pass_id: taking.state for taking in takings if taking.state is not None}
        assert all(again.state_of(pass_id) == state for pass_id, state in last.items())
        assert again.state_of(b"nobody  ") is None and again.coupon_used(b"none") is None


def test_an_allowance_is_stored_once(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        take(made, feed, 60)
    core = JournalCore(str(path), DEVICE, None, DiskLimits())
    rows = core.disk.fetch("SELECT allowance_hash, count(allowance), count(*) FROM entries GROUP BY 1")
    core.disk.close()
    stored = [(count, uses) for allowance_hash, count, uses in rows if allowance_hash is not None]
    assert len(stored) == 8 and all(count == 1 for count, _uses in stored)
    assert max(uses for _count, uses in stored if isinstance(uses, int)) > 3


@pytest.mark.parametrize(("sequence_off", "is_other_previous"), [(1, False), (-1, False), (0, True)])
def test_only_the_next_of_the_chain_is_taken(
    path: Path, feed: VoucherFeed, sequence_off: int, is_other_previous: bool
) -> None:
    with opened(path) as made:
        take(made, feed, 3)
        feed.sequence += sequence_off
        feed.previous = bytes(31) + b"\1" if is_other_previous else feed.previous
        with pytest.raises(OutOfOrder):
            feed.next().append_to(made)
        assert made.tail.sequence == 3


def test_one_append_is_one_sync(path: Path, feed: VoucherFeed, disk: SimulatedDisk) -> None:
    with opened(path, disk.name) as made:
        for _ in range(300):
            taking = feed.next()
            before = disk.faults.syncs
            taking.append_to(made)
            assert disk.faults.syncs == before + 1, f"voucher {taking.row.sequence}"
            made.ratify(taking.row.sequence)
            made.append_event(EVENT_REFUSAL, b"no", durable=False)
            if taking.row.sequence % 50 == 0:
                made.rest()
        assert made.checkpoints_in_append == 0
        made.append_event(EVENT_REFUSAL, b"no", durable=False)
        before = disk.faults.syncs
        made.flush()
        made.flush()
        assert disk.faults.syncs - before == 1, "one for what waits, none for nothing"


def test_the_first_append_after_opening_is_one_sync(path: Path, feed: VoucherFeed, disk: SimulatedDisk) -> None:
    for _ in range(3):
        with opened(path, disk.name) as made:
            before = disk.faults.syncs
            take(made, feed, 1)
            assert disk.faults.syncs == before + 1


def test_the_log_stays_bounded_when_nothing_ever_rests(path: Path, feed: VoucherFeed) -> None:
    limits = DiskLimits(laid_out_frames=128, checkpoint_flush_frames=64, reserve_frames=32)
    with Journal.open(path, device_id=DEVICE, limits=limits) as made:
        log = path.with_name(path.name + "-wal")
        size_bytes = log.stat().st_size
        take(made, feed, 200)
        assert log.stat().st_size == size_bytes
        assert made.checkpoints_in_append > 0


# --- events and ratification


def test_events_are_numbered_and_chained(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        assert made.append_event(3, b"conflict", durable=True) == 1
        take(made, feed, 5)
        assert made.append_event(4, b"clock", durable=False) == made.tail.event_number + 1
        made.flush()
        events = made.events_after(0, 100)
        assert [event.number for event in events] == list(range(1, made.tail.event_number + 1))
        head = NO_IDENTITY
        for event in events:
            head = event_link(head, event.kind, event.body)
        assert head == made.tail.event_head
        assert made.events_after(1, 2) == events[1:3] and made.events_after(made.tail.event_number, 9) == []


def test_a_green_is_ratified_with_the_next_append_or_flush(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        take(made, feed, 2)
        assert made.unratified_sequences() == []
    with opened(path) as made:
        take(made, feed, 1, is_ratified=False)
        assert made.unratified_sequences() == [3]
    with opened(path) as made:
        assert [row.sequence for row in made.unratified()] == [3]
        take(made, feed, 2)
        made.flush()
        assert made.unratified_sequences() == [3]
        assert decode(made.events_after(0, 99)[-2].body, 100) == [4, [3], []]
        made.ratify(3)
        made.flush()
        assert made.unratified_sequences() == []
        assert decode(made.events_after(0, 99)[-1].body, 100) == [5, [], [3]]


def test_a_settled_voucher_is_not_listed_again(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        takings = take(made, feed, 2, is_ratified=False)
        state = PassState(b"passpass", 2, 0, 5, 5, 1, bytes(32), START_S, START_S)
        made.settle_unratified(1, 6, b"not charged", state=state)
    with opened(path) as again:
        assert again.unratified() == [takings[1].row]
        assert again.state_of(b"passpass") == state
        take(again, feed, 1)
    with opened(path) as again:
        assert again.unratified_sequences() == [2]


def test_many_unratified_ones_make_several_events(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        take(made, feed, 450, is_ratified=False)
        made.ratify(450)
        made.flush()
        bodies = [event.body for event in made.events_after(0, 99) if event.kind == EVENT_RATIFIED]
        assert len(bodies) == 3 and max(map(len, bodies)) < 4096
        assert len(made.unratified_sequences()) <= journal.UNRATIFIED_SHOWN_MAX


def test_refusals_are_bounded_and_the_oldest_stay(
    path: Path, feed: VoucherFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_events, "REFUSALS_UNSENT_MAX", 300)
    with opened(path) as made:
        numbers = [made.append_event(EVENT_REFUSAL, b"%d" % at, durable=False) for at in range(1000)]
        assert numbers == [*range(1, 301), *[0] * 700]
        assert made.refusals_dropped == 700
        made.flush()
        take(made, feed, 1)
        made.record_ack(b"ack", 1, 100)
        assert made.append_event(EVENT_REFUSAL, b"later", durable=True) > 300, "what was sent makes room"


def test_refusals_of_one_day_are_bounded_however_often_they_are_sent(
    path: Path, feed: VoucherFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_events, "REFUSALS_A_DAY_MAX", 300)

    def send(made: Journal) -> None:
        take(made, feed, 1)
        made.record_ack(b"ack", made.tail.sequence, made.tail.event_number)

    with opened(path) as made:
        for _ in range(4):
            for _ in range(100):
                made.append_event(EVENT_REFUSAL, b"bad code", durable=False, day=7)
            send(made)
        assert made.refusals_dropped == 100
    with opened(path) as again:
        assert again.append_event(EVENT_REFUSAL, b"bad code", durable=False, day=7) == 0, "a restart gives no new day"
        assert again.append_event(EVENT_REFUSAL, b"bad code", durable=False, day=8) > 0
        again.flush()
        kinds = [event.kind for event in again.events_after(0, 9_999)]
    assert kinds.count(EVENT_REFUSAL) == 301


# --- acks and pruning


def test_an_ack_moves_forward_only(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        takings = take(made, feed, 10)
        made.flush()
        assert made.tail.accepted_value_kgo_unacked == 50_000
        made.record_ack(b"six", 6, 3)
        made.record_ack(b"four", 4, 2)
        assert made.newest_ack() == b"six"
        assert made.tail.accepted_value_kgo_unacked == 20_000
        assert made.pending_summary().vouchers == 4 and made.pending_summary().oldest_at_s == takings[6].row.at_s
        with pytest.raises(OutOfOrder):
            made.record_ack(b"future", 11, 3)
    with opened(path) as again:
        assert again.newest_ack() == b"six" and again.tail.acked_sequence == 6 and again.tail.acked_event == 3
        assert [row.sequence for row in again.pending(99)] == [7, 8, 9, 10]


def test_pruning_takes_only_what_is_acked_and_old(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        takings = take(made, feed, 500)
        made.flush()
        assert made.prune(500, START_S * 2) == 0, "nothing is acknowledged"
        made.record_ack(b"ack", 300, made.tail.event_number)
        assert prune_all(made, 500, takings[100].row.at_s) == 100
        assert made.voucher_at(100) is None and made.voucher_at(101) == takings[100].row
        assert prune_all(made, 500, START_S * 2) == 200
        assert made.voucher_at(300) is None and len(made.pending(999)) == 200
    with opened(path) as again:
        assert again.tail.sequence == 500
        for taking in takings:  # what a repeat needs outlives its voucher
            if taking.state is not None:
                state = again.state_of(taking.state.pass_id)
                assert state is not None and state.last_sequence >= taking.row.sequence
            if taking.row.allowance_hash is not None:
                assert again.allowance_bytes(taking.row.allowance_hash) == taking.allowance
            if taking.coupon is not None:
                assert again.coupon_used(taking.coupon.coupon_id) == taking.row.sequence
        assert [step.finished for step in again.verify_background(50)][-1]
        assert take(again, feed, 1)[0].row.sequence == 501


def test_everything_acked_leaves_the_last_to_chain_on(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        take(made, feed, 30)
        made.flush()
        made.record_ack(b"ack", 30, made.tail.event_number)
        assert prune_all(made, 30, START_S * 2) == 29
        tail = made.tail
    with opened(path) as again:
        assert again.tail == tail
        take(again, feed, 2)
        again.flush()
        assert again.events_after(tail.event_number, 9)


def test_an_unratified_voucher_is_not_pruned(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        take(made, feed, 5)
        take(made, feed, 1, is_ratified=False)
        take(made, feed, 5)
        made.flush()
        made.record_ack(b"ack", 11, made.tail.event_number)
        assert prune_all(made, 11, START_S * 2) == 5
        assert made.unratified_sequences() == [6] and made.voucher_at(6) is not None


def test_states_and_coupons_go_when_their_expiry_is_certain(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        takings = take(made, feed, 100)
        made.flush()
        made.record_ack(b"ack", 100, made.tail.event_number)
        prune_all(made, 100, START_S * 2)
        assert made.forget_expired(START_S) == 0
        forgotten = 0
        while step := made.forget_expired(START_S + 1_000_000, 3):
            forgotten += step
        coupons = sum(taking.coupon is not None for taking in takings)
        assert forgotten in (coupons + 7, coupons + 8), "the last voucher's own state stays with it"
        assert all(made.coupon_used(taking.coupon.coupon_id) is None for taking in takings if taking.coupon)


def prune_all(made: Journal, through: int, keep_after_s: int) -> int:
    count = 0
    while step := made.prune(through, keep_after_s):
        count += step
    return count


# --- who may open it


def test_a_second_opening_is_refused_and_harms_nothing(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        take(made, feed, 3)
        with pytest.raises(JournalInUse):
            opened(path)
        take(made, feed, 3)
    with opened(path) as again:
        assert again.tail.sequence == 6


SECOND = """
import sys
from pathlib import Path
from offline_ledger.errors import Refusal
from offline_ledger.terminal.journal import Journal
try:
    Journal.open(Path(sys.argv[1]), device_id="test-device").close()
except Refusal as refusal:
    print(refusal.number, refusal.key)
"""


def test_a_second_process_is_refused_until_the_first_lets_go(path: Path, feed: VoucherFeed) -> None:
    def second() -> str:
        command = [sys.executable, "-c", SECOND, str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    with opened(path) as made:
        take(made, feed, 3)
        assert second() == "2001 journal_in_use"
        take(made, feed, 3)
    assert second() == ""
    with opened(path) as again:
        assert again.tail.sequence == 6


def test_another_device_is_refused(path: Path) -> None:
    opened(path).close()
    with pytest.raises(JournalOfOtherDevice):
        Journal.open(path, device_id="test-device-2")
    opened(path).close()


def test_a_later_version_is_refused(path: Path) -> None:
    with opened(path) as made:
        made.meta_put("journal.version", b"\x09")
    with pytest.raises(JournalTooNew):
        opened(path)


def test_a_library_that_corrupts_logs_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apsw.sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(StorageLibraryUnsafe):
        opened(path)
    assert not path.exists()


def test_a_missing_folder_and_a_foreign_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable):
        opened(tmp_path / "nowhere" / "journal.db")
    foreign = tmp_path / "photo.jpg"
    foreign.write_bytes(b"\xff\xd8\xff\xe0" * 2000)
    with pytest.raises(JournalDamaged):
        opened(foreign)
    assert foreign.read_bytes() == b"\xff\xd8\xff\xe0" * 2000


def test_small_values_are_durable(path: Path, feed: VoucherFeed) -> None:
    with opened(path) as made:
        made.meta_put("floor", b"1")
        taking = feed.next()
        made.append(taking.row, state=taking.state, allowance=taking.allowance, meta={"floor": b"2"})
    with opened(path) as again:
        assert again.meta_get("floor") == b"2" and again.meta_get("nothing") is None
