"""Events that a restore of the city took: sent again as far as the terminal has them, else given up by name. DESIGN §7.

The exchange machine against the city's real ingest (decision 0072).
"""

from pathlib import Path

import pytest

from offline_ledger.city import open_items, recover
from offline_ledger.city.audit import audit
from tests.city import town as real
from tests.terminal.city_in_test import DEVICE
from tests.terminal.test_sync_real_city import Pair, backup, lose_an_upload_that_was_taken, restore, ride


def lose_events_in_a_restore(pair: Pair, tmp_path: Path) -> None:
    """No leaf is lost, only what a bus noted between two vouchers; nothing stops the city, nothing to recover."""
    desk = pair.desk
    ride(desk, 3)
    desk.refuse(2)
    pair.exchange()
    backup(pair, tmp_path / "backup.db")
    desk.refuse(6)
    pair.exchange()
    assert desk.machine.status().events_waiting == 0
    restore(pair, tmp_path / "backup.db")
    ride(desk, 4)
    desk.refuse(3)


def assert_all_is_acked(pair: Pair) -> None:
    status = pair.desk.machine.status()
    assert status.trouble is None and status.pending_count == 0 and status.events_waiting == 0
    assert not status.is_restored and status.rejected == ()
    assert [sequence for sequence, _times in pair.posted()] == list(range(1, 8))
    assert {times for _sequence, times in pair.posted()} == {1}
    pair.town.assert_sound()
    assert [one for one in audit(pair.town.store).findings if one.what == "event_chain"] == []


def test_events_that_a_restore_lost_come_again(pair: Pair, tmp_path: Path) -> None:
    lose_events_in_a_restore(pair, tmp_path)
    pair.exchange(3)
    assert_all_is_acked(pair)
    assert pair.town.store.one("SELECT count(*) FROM events") == (pair.desk.journal.tail.event_number,)
    assert open_items.items(pair.town.store, closed_too=True) == []


def test_events_that_nobody_has_any_more_hold_no_voucher_back(pair: Pair, tmp_path: Path) -> None:
    lose_events_in_a_restore(pair, tmp_path)
    desk, store = pair.desk, pair.town.store
    known, acked = (
        store.one("SELECT event_number FROM devices WHERE device = ?", (DEVICE,)),
        desk.journal.tail.acked_event,
    )
    assert known is not None and known[0] < acked
    while desk.journal.prune(desk.machine.prunable_through(), 1 << 40):
        pass
    pair.exchange()
    pair.exchange(3)
    assert_all_is_acked(pair)
    gaps = store.fetch("SELECT device, first, last FROM event_gaps")
    assert gaps == [(DEVICE, known[0] + 1, acked - 1)], "the last one always stays here, and comes again"
    shown = open_items.items(store, closed_too=False)
    assert [(one.what, one.device, one.sequence, one.kgo) for one in shown] == [
        (open_items.EVENTS_LOST, DEVICE, known[0] + 1, 0)
    ]
    assert open_items.mark_reviewed(store, DEVICE, None, "seen", real.NOW_S) == 1
    assert open_items.items(store, closed_too=False) == []
    ride(desk, 1)
    desk.refuse(2)
    pair.exchange(2)
    assert desk.machine.status().trouble is None and desk.machine.status().events_waiting == 0
    with store.transaction():
        store.execute("UPDATE event_gaps SET head = x'" + "11" * 32 + "'")
    assert "event_chain" in [one.what for one in audit(store).findings]


@pytest.mark.parametrize("is_answer_lost", [False, True])
def test_what_is_left_of_events_that_are_partly_pruned_comes_again(
    pair: Pair, tmp_path: Path, *, is_answer_lost: bool
) -> None:
    """Pruned up to a voucher within what a restore took: only what lies before it is given up."""
    desk = pair.desk
    ride(desk, 3)
    desk.refuse(2)
    pair.exchange()
    backup(pair, tmp_path / "backup.db")
    desk.refuse(6)
    ride(desk, 2)
    desk.refuse(4)
    pair.exchange()
    ride(desk, 2)
    desk.refuse(5)
    pair.exchange()
    while desk.journal.prune(3, 1 << 40):
        pass
    first_kept, last = desk.journal.events_after(0, 1)[0].number, desk.journal.tail.event_number
    restore(pair, tmp_path / "backup.db")
    known = pair.town.store.one("SELECT event_number FROM devices WHERE device = ?", (DEVICE,))
    assert known is not None and known[0] + 1 < first_kept < last - 5
    pair.exchange()
    done = recover.recover(pair.town.store, pair.town.checkpoint, desk.machine.leaves_held())
    assert done.is_whole and done.refilled == 4
    if is_answer_lost:
        lose_an_upload_that_was_taken(desk)
    pair.exchange(4)
    assert_all_is_acked(pair)
    numbers = [row[0] for row in pair.town.store.fetch("SELECT number FROM events ORDER BY number")]
    assert numbers == [*range(1, known[0] + 1), *range(first_kept, desk.journal.tail.event_number + 1)]
    assert pair.town.store.fetch("SELECT first, last FROM event_gaps") == [(known[0] + 1, first_kept - 1)]
    desk.refuse(2)
    ride(desk, 1)
    pair.exchange(2)
    assert desk.machine.status().trouble is None and desk.machine.status().events_waiting == 0
