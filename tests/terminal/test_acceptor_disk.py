"""The acceptor on a disk that is slow, full or failing: never an early green, never one that is wrong afterwards."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns

import pytest

from offline_ledger import errors
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import EventKind
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Light
from simulators.slow_disk import slow_disk
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.terminal.desk import NOW_S, DeskConditions, DeskWallet, FlatBus, acceptor_on, issue


class OnDisk:
    """A terminal whose disk the test can spoil."""

    def __init__(self, folder: Path, faults: DiskFaults, vfs: str) -> None:
        self.faults = faults
        self.journal = Journal.open(folder / "journal.db", device_id="bus-1", vfs=vfs)
        self.acceptor: Acceptor = acceptor_on(self.journal, DeskConditions())
        self.door = FlatBus(fare_kgo=100)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[OnDisk]:
    faults = DiskFaults()
    with simulated_disk(f"acceptor-{tmp_path.name}", faults) as disk:
        opened = OnDisk(tmp_path, faults, disk.name)
        yield opened
        faults.is_full, faults.sync_fails_at = False, None
        opened.journal.close()


def rider(secret: int) -> DeskWallet:
    held = issue(secret)
    held.next(100)
    return held


@pytest.mark.parametrize("sync_ms", [0, 20, 100])
def test_green_comes_after_the_one_sync_however_slow_the_disk(tmp_path: Path, sync_ms: int) -> None:
    with slow_disk(f"slow-{sync_ms}", sync_ms=sync_ms) as disk:
        journal = Journal.open(tmp_path / "journal.db", device_id="bus-1", vfs=disk.name)
        acceptor = acceptor_on(journal, DeskConditions())
        for number in range(3):
            before, begun_ns = disk.syncs, monotonic_ns()
            outcome = acceptor.accept(rider(100 + number).code(), FlatBus(fare_kgo=100))
            assert outcome.light is Light.ACCEPTED_CASH_DUE and disk.syncs == before + 1
            assert monotonic_ns() - begun_ns >= sync_ms * 1_000_000
            acceptor.shown(outcome)
        journal.close()


def test_a_repeat_and_a_refusal_wait_for_no_disk(terminal: OnDisk) -> None:
    held = rider(5)
    terminal.acceptor.shown(terminal.acceptor.accept(held.code(), terminal.door))
    before = terminal.faults.syncs
    assert terminal.acceptor.accept(held.code(), terminal.door).light is Light.ALREADY_ACCEPTED
    assert terminal.acceptor.accept("https://example.org", terminal.door).light is Light.REFUSED
    assert terminal.faults.syncs == before


def test_a_failed_sync_is_no_green_and_stops_the_terminal_until_it_has_looked(terminal: OnDisk) -> None:
    first, second = rider(1), rider(2)
    terminal.acceptor.shown(terminal.acceptor.accept(first.code(), terminal.door))
    terminal.faults.sync_fails_at = 1
    failed = terminal.acceptor.accept(second.code(), terminal.door)
    assert failed.light is Light.OUT_OF_SERVICE and isinstance(failed.refusal, errors.StorageFailed)
    again = terminal.acceptor.accept(rider(3).code(), terminal.door)
    assert again.light is Light.OUT_OF_SERVICE  # the disk is well again, but nobody has looked yet
    tail = terminal.journal.reopen_and_verify()
    back = terminal.acceptor.accept(second.code(), terminal.door)
    if tail.sequence == 1:
        assert back.light is Light.ACCEPTED_CASH_DUE and back.sequence == 2
    else:  # it had been written after all: paid once, and the green is still owed
        assert back.light is Light.ACCEPTED_CASH_DUE and back.is_uncharged_green
        assert back.sequence == 2 and terminal.journal.tail.sequence == 2
    terminal.acceptor.shown(back)
    assert terminal.acceptor.accept(second.code(), terminal.door).light is Light.ALREADY_ACCEPTED


def charge_without_a_light(terminal: OnDisk) -> DeskWallet:
    """A voucher that a failed sync left on the disk after all; nobody saw a green."""
    held = rider(2)
    terminal.acceptor.shown(terminal.acceptor.accept(rider(1).code(), terminal.door))
    terminal.faults.sync_fails_at = 1
    assert terminal.acceptor.accept(held.code(), terminal.door).light is Light.OUT_OF_SERVICE
    assert terminal.journal.reopen_and_verify().sequence == 2, "the frames had reached the disk"
    return held


def events(terminal: OnDisk, kind: EventKind) -> list[bytes]:
    terminal.journal.flush()
    return [event.body for event in terminal.journal.events_after(0, 100) if event.kind == kind]


def test_what_a_failed_sync_had_written_waits_and_lapses_as_after_a_power_cut(terminal: OnDisk) -> None:
    held = charge_without_a_light(terminal)
    assert terminal.acceptor.unratified.sequences() == [2]
    for passed_s in range(0, Limits().unratified_s + 10, 5):
        terminal.acceptor.tick(passed_s * 1000)
    assert [cbor.decode(body, 100) for body in events(terminal, EventKind.LAPSED)] == [[2, NOW_S, False]]
    assert terminal.acceptor.accept(held.code(), terminal.door).light is Light.ALREADY_ACCEPTED


@pytest.mark.parametrize("is_kept", [True, False], ids=["a sync fails", "a write fails"])
def test_a_return_whose_record_fails_is_told_to_the_city_whole_or_not_at_all(terminal: OnDisk, is_kept: bool) -> None:
    held = charge_without_a_light(terminal)
    if is_kept:
        terminal.faults.sync_fails_at = 1
    else:
        terminal.faults.writes_fail = True
    assert terminal.acceptor.accept(held.code(), terminal.door).light is Light.OUT_OF_SERVICE
    terminal.faults.writes_fail = False
    terminal.journal.reopen_and_verify()
    is_told = len(events(terminal, EventKind.UNCHARGED_GREEN)) == 1
    assert terminal.acceptor.unratified.is_waiting(2) is not is_told
    assert is_told is is_kept
    for _ in range(2):
        terminal.acceptor.accept(held.code(), terminal.door)
    assert len(events(terminal, EventKind.UNCHARGED_GREEN)) == 1


def test_a_full_disk_refuses_and_recovers_by_itself(terminal: OnDisk) -> None:
    terminal.faults.is_full = True
    refused = None
    for number in range(2_000):
        outcome = terminal.acceptor.accept(rider(1_000 + number).code(), terminal.door)
        if outcome.light is Light.OUT_OF_SERVICE:
            refused = outcome
            break
        assert outcome.light is Light.ACCEPTED_CASH_DUE
    assert refused is not None and isinstance(refused.refusal, errors.StorageFull)
    taken = terminal.journal.tail.sequence
    terminal.faults.is_full = False
    assert terminal.acceptor.accept(rider(9).code(), terminal.door).sequence == taken + 1
