"""What sync says and remembers: badge, exceptions, power cuts between two writes, damage, pruning. DESIGN §6, §7."""

import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from offline_ledger.errors import (
    AnswerInvalid,
    CityCertificateWrong,
    CityRefused,
    CityUnreachable,
    JournalDamaged,
    LedgerRestored,
    Refusal,
)
from offline_ledger.protocol.city import BulletinKind, Outcome
from offline_ledger.rules.clock import TimeNow, TimeTrust
from offline_ledger.terminal.housekeeping import DAY_S, KEPT_S, tidy
from offline_ledger.terminal.status import Badge, Connection, SyncStatus
from offline_ledger.terminal.sync_phases import Phase
from offline_ledger.terminal.sync_record import (
    EXCEPTIONS_KEPT_MAX,
    META_KEY,
    SyncRecord,
    apply_ack,
    load_record,
    store_record,
)
from tests.terminal.city_in_test import CA_TEST_ONLY, DEVICE, LogInTest, bulletin, posted
from tests.terminal.sync_desk import SyncDesk

HEAD = bytes([7]) * 32
NONE = (0, bytes(32))


@pytest.fixture
def desk(tmp_path: Path, rng: random.Random) -> Iterator[SyncDesk]:
    made = SyncDesk(tmp_path, rng)
    yield made
    made.close()


class MemoryMeta:
    """The meta port in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def meta_get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def meta_put(self, key: str, value: bytes) -> None:
        self.values[key] = value


def status(**changes: object) -> SyncStatus:
    base: dict[str, object] = {
        "pending_count": 0, "oldest_pending_at_s": None, "events_waiting": 0, "last_ack_at_s": None,
        "complete_at_s": None, "is_connected": True, "failures": 0, "trouble": None, "rejected": (),
        "is_restored": False,
    }  # fmt: skip
    return SyncStatus(**{**base, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "badge"),
    [
        ({}, Badge.SYNCED),
        ({"pending_count": 1}, Badge.SENDING),
        ({"events_waiting": 1}, Badge.SENDING),
        ({"is_connected": False}, Badge.OFFLINE),
        ({"is_connected": False, "pending_count": 3, "trouble": CityUnreachable()}, Badge.OFFLINE),
        ({"trouble": AnswerInvalid()}, Badge.ATTENTION),
        ({"trouble": CityRefused("HTTP 403, 4002 'unknown_device'")}, Badge.ATTENTION),
        ({"trouble": CityUnreachable()}, Badge.SENDING),
        ({"trouble": CityRefused(), "is_connected": False}, Badge.OFFLINE),
        ({"trouble": CityCertificateWrong()}, Badge.ATTENTION),
        ({"is_restored": True}, Badge.ATTENTION),
    ],
)
def test_badge(changes: dict[str, object], badge: Badge) -> None:
    assert status(**changes).badge is badge


def test_ages_are_never_negative() -> None:
    assert status().oldest_pending_age_s(100) is None and status().synced_age_s(100) is None
    seen = status(oldest_pending_at_s=90, complete_at_s=95)
    assert (seen.oldest_pending_age_s(100), seen.synced_age_s(100)) == (10, 5)
    assert (seen.oldest_pending_age_s(80), seen.synced_age_s(80)) == (0, 0)


@pytest.mark.parametrize(
    ("start", "events", "is_up"),
    [
        (Connection(), "c", True),
        (Connection(), "l", False),
        (Connection(True), "l", True),
        (Connection(True), "ll", False),
        (Connection(True), "lcl", True),
        (Connection(True), "bbb", True),
        (Connection(False), "b", False),
    ],
)
def test_connection_has_hysteresis(start: Connection, events: str, is_up: bool) -> None:
    """c: complete, l: lost, b: answered, but something was refused."""
    now = start
    for event in events:
        now = now.after_complete() if event == "c" else now.after_failure(CityUnreachable(), was_lost=event == "l")
    assert now.is_up is is_up


# --- the record


def test_record_survives_and_heads_are_found() -> None:
    meta = MemoryMeta()
    assert load_record(meta) == SyncRecord()
    record = apply_ack(SyncRecord(), NONE, (5, HEAD), [(1, Outcome.REJECTED, 4005), (2, Outcome.POSTED, 0)])
    record = apply_ack(record, (5, HEAD), (9, bytes([9]) * 32), [(3, Outcome.HELD, 4003)])
    store_record(meta, record)
    again = load_record(meta)
    assert again == record and again.rejected() == ((1, 4005),) and again.first_held == 3
    assert again.event_head_at(0) == bytes(32) and again.event_head_at(5) == HEAD
    with pytest.raises(JournalDamaged):
        again.event_head_at(7)
    meta.values[META_KEY] = b"\xff"
    with pytest.raises(JournalDamaged):
        load_record(meta)


def test_same_ack_twice_changes_nothing() -> None:
    outcomes = [(1, Outcome.REJECTED, 4005), (2, Outcome.HELD, 4003), (3, Outcome.SUSPENSE, 1402)]
    once = apply_ack(SyncRecord(), NONE, (5, HEAD), outcomes)
    assert apply_ack(once, NONE, (5, HEAD), outcomes) == once


def test_released_voucher_leaves_the_list_and_the_next_held_one_counts() -> None:
    record = apply_ack(SyncRecord(), NONE, NONE, [(2, Outcome.HELD, 4003), (3, Outcome.HELD, 4003)])
    assert record.first_held == 2
    record = apply_ack(record, NONE, NONE, [(2, Outcome.POSTED, 0)])
    assert record.first_held == 3
    record = apply_ack(record, NONE, NONE, [(3, Outcome.REJECTED, 4003)])
    assert record.first_held == 0 and record.rejected() == ((3, 4003),)


def test_list_of_exceptions_is_bounded_and_counted() -> None:
    meta, record = MemoryMeta(), SyncRecord()
    for first in range(1, 3001, 500):
        outcomes = [(at, Outcome.REJECTED, 4005) for at in range(first, first + 500)]
        record = apply_ack(record, NONE, NONE, outcomes)
        store_record(meta, record)
    assert len(record.exceptions) == EXCEPTIONS_KEPT_MAX and record.exceptions_dropped == 2000
    assert record.exceptions[-1][0] == 3000


# --- power cuts and damage


def test_power_cut_between_record_and_ack_repeats_both(desk: SyncDesk) -> None:
    desk.city.decide = lambda voucher: (Outcome.REJECTED, 4005) if voucher.sequence == 2 else (Outcome.POSTED, 0)
    desk.sell(3)
    desk.refuse(4)
    request = desk.until(Phase.UPLOAD)
    before = desk.journal.tail
    desk.hear(desk.city.answer(request))
    record = desk.journal.meta_get(META_KEY)
    assert record is not None and desk.journal.tail.acked_sequence == 3
    # the same moment, but the ack itself was not written: only the record is there
    other = SyncDesk(folder_for(desk), random.Random(1))
    try:
        other.wallets = desk.wallets
        for sequence in range(1, 4):
            row = desk.journal.voucher_at(sequence)
            assert row is not None
            other.journal.append(row, state=None, allowance=None)
        for event in desk.journal.events_after(0, 100)[: before.event_number]:
            if event.kind != 1:
                other.journal.append_event(event.kind, event.body, durable=True)
        other.journal.meta_put(META_KEY, record)
        other.restart()
        other.city.decide = desk.city.decide
        assert other.machine.status().rejected == ((2, 4005),)
        other.exchange()
        assert other.machine.status().pending_count == 0
        assert other.machine.status().rejected == ((2, 4005),)
    finally:
        other.close()


def folder_for(desk: SyncDesk) -> Path:
    other = desk.folder / "other"
    other.mkdir()
    return other


def test_damaged_row_is_found_before_it_is_sent_and_bulletins_still_come(desk: SyncDesk) -> None:
    desk.sell(5)
    desk.close()
    file = apsw.Connection(str(desk.folder / "journal.db"))
    changed = file.execute(
        "UPDATE entries SET body = zeroblob(length(body)) WHERE wallet_object IS NOT NULL AND id ="
        " (SELECT id FROM entries WHERE wallet_object IS NOT NULL ORDER BY id LIMIT 1 OFFSET 2) RETURNING id"
    ).fetchall()
    assert len(changed) == 1
    file.close()
    desk.open()
    desk.city.publish(bulletin())
    desk.exchange()
    assert isinstance(desk.machine.status().trouble, JournalDamaged)
    assert not desk.city.devices[DEVICE].identities, "nothing of a damaged batch left the device"


@pytest.mark.parametrize("name", ["answer", "restored"])
def test_nothing_is_pruned_on_a_bad_answer(desk: SyncDesk, name: str) -> None:
    desk.sell(3)
    if name == "answer":
        desk.city.ack_key = CA_TEST_ONLY
    else:
        desk.exchange()
        desk.city.log = LogInTest()
    desk.exchange()
    trouble = desk.machine.status().trouble
    assert isinstance(trouble, LedgerRestored if name == "restored" else Refusal)
    assert desk.machine.prunable_through() == 0


# --- housekeeping


@pytest.mark.parametrize("trust", [TimeTrust.FLOOR, TimeTrust.HOLDOVER])
def test_nothing_is_forgotten_under_an_uncertain_clock(desk: SyncDesk, trust: TimeTrust) -> None:
    desk.sell(4)
    desk.exchange()
    later = TimeNow(desk.clock.wall_s() + 10 * KEPT_S, trust, 0)
    assert tidy(desk.journal, desk.machine.prunable_through(), later) == 0


def test_old_acknowledged_rows_go_and_young_or_unsent_ones_stay(desk: SyncDesk) -> None:
    desk.city.decide = posted
    desk.sell(30)
    desk.exchange()
    desk.clock.advance(s=KEPT_S + DAY_S)
    desk.sell(5)
    desk.exchange()
    desk.sell(5)
    removed = tidy(desk.journal, desk.machine.prunable_through(), desk.keeper.time())
    assert removed >= 30 and desk.journal.voucher_at(30) is None and desk.journal.voucher_at(31) is not None
    desk.restart()
    desk.exchange()
    assert sorted(desk.city.devices[DEVICE].posted_times) == list(range(1, 41))
    assert desk.bulletins.newest(BulletinKind.TARIFF) is None
