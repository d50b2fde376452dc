"""A lamp that never says that its green is on: nobody pays for it, once, and whoever comes back in time gets it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import StorageFailed
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import EventKind
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Light, Outcome
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.terminal.desk import DeskConditions, DeskWallet, FlatBus, acceptor_on, issue, open_journal

WAIT_MS = Limits().unratified_s * 1_000
GREEN = Light.ACCEPTED_CASH_DUE


class Terminal:
    """One whose greens go to a lamp of their own; `tick` is its housekeeping."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.acceptor = acceptor_on(journal, DeskConditions())
        self.mono_ms = 5_000_000
        self._secret = 100

    def board(self) -> tuple[DeskWallet, Outcome]:
        """Decided, and on its way to the lamp."""
        held = issue(self._secret)
        self._secret += 1
        held.next()
        return held, self.show(held)

    def show(self, held: DeskWallet) -> Outcome:
        outcome = self.acceptor.accept(held.code(), FlatBus())
        self.acceptor.not_shown_yet(outcome)
        return outcome

    def tick(self, passed_ms: int = 0) -> None:
        self.mono_ms += passed_ms
        self.acceptor.tick(self.mono_ms)

    def events(self, kind: EventKind) -> list[object]:
        self.journal.flush()
        return [cbor.decode(one.body, 2_000) for one in self.journal.events_after(0, 1_000) if one.kind == kind]

    def lapsed(self) -> list[int]:
        found = [one for one in self.events(EventKind.LAPSED) if isinstance(one, list)]
        assert all(one[2] is False for one in found), "a boarding is not charged"
        return [int(one[0]) for one in found]  # type: ignore[call-overload]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_journal(tmp_path) as journal:
        made = Terminal(journal)
        made.tick()
        yield made


def test_what_is_never_confirmed_lapses_once_after_its_time(terminal: Terminal) -> None:
    terminal.board()
    terminal.tick()  # powered time counts from the first look
    terminal.tick(WAIT_MS)
    assert terminal.lapsed() == [] and terminal.acceptor.unratified.is_waiting(1)
    terminal.tick(1)
    assert terminal.lapsed() == [1] and not terminal.acceptor.unratified.is_waiting(1)
    assert terminal.journal.is_uncharged(1)
    for _ in range(3):
        terminal.tick(WAIT_MS)
    assert terminal.lapsed() == [1], "once"


def test_each_has_a_time_of_its_own(terminal: Terminal) -> None:
    for _ in range(2):
        terminal.board()
        terminal.tick()
        terminal.tick(WAIT_MS // 2)
    assert terminal.lapsed() == []
    terminal.tick(1)
    assert terminal.lapsed() == [1]
    terminal.tick(WAIT_MS // 2)
    assert terminal.lapsed() == [1, 2]


@pytest.mark.parametrize("after_ms", [0, WAIT_MS])
def test_a_green_that_is_confirmed_in_time_is_charged(terminal: Terminal, after_ms: int) -> None:
    _held, outcome = terminal.board()
    terminal.tick()
    terminal.tick(after_ms)
    terminal.acceptor.shown(outcome)
    for _ in range(3):
        terminal.tick(WAIT_MS)
    assert terminal.lapsed() == [] and not terminal.journal.is_uncharged(1)
    assert terminal.journal.unratified_sequences() == []


def test_a_green_that_is_confirmed_after_its_wait_charges_nobody(terminal: Terminal) -> None:
    _held, outcome = terminal.board()
    terminal.tick()
    terminal.tick(WAIT_MS + 1)
    ratified = terminal.events(EventKind.RATIFIED)
    terminal.acceptor.shown(outcome)
    terminal.tick(1)
    assert terminal.journal.is_uncharged(1) and terminal.lapsed() == [1]
    assert terminal.events(EventKind.RATIFIED) == ratified, "the city hears one thing about it"


@pytest.mark.parametrize("is_kept", [True, False], ids=["a sync fails", "a write fails"])
def test_a_wait_whose_end_a_disk_error_hid_is_what_the_journal_has(tmp_path: Path, is_kept: bool) -> None:
    faults = DiskFaults()
    with (
        simulated_disk(f"unseen-{tmp_path.name}", faults) as disk,
        Journal.open(tmp_path / "journal.db", device_id="bus-1", vfs=disk.name) as journal,
    ):
        terminal = Terminal(journal)
        _held, outcome = terminal.board()
        terminal.tick()
        faults.sync_fails_at, faults.writes_fail = (1 if is_kept else None), not is_kept
        with pytest.raises(StorageFailed):
            terminal.tick(WAIT_MS + 1)
        faults.writes_fail = False
        journal.reopen_and_verify()
        terminal.acceptor.shown(outcome)
        terminal.tick(1)
        assert (terminal.lapsed(), journal.is_uncharged(1)) == (([1], True) if is_kept else ([], False))
        assert len(terminal.events(EventKind.RATIFIED)) == (not is_kept), "the city hears one thing about it"


def test_who_comes_back_in_time_has_one_uncharged_green_and_no_lapse(terminal: Terminal) -> None:
    held, _outcome = terminal.board()
    terminal.tick()
    terminal.tick(WAIT_MS)
    back = terminal.show(held)
    assert (back.light, back.is_uncharged_green, back.sequence) == (GREEN, True, 1)
    assert terminal.show(held).light is Light.ALREADY_ACCEPTED
    for _ in range(3):
        terminal.tick(WAIT_MS)
    assert terminal.lapsed() == [] and terminal.journal.tail.sequence == 1


def test_who_comes_back_too_late_has_none(terminal: Terminal) -> None:
    held, _outcome = terminal.board()
    terminal.tick()
    terminal.tick(WAIT_MS + 1)
    assert terminal.show(held).light is Light.ALREADY_ACCEPTED


def test_a_whole_bus_unseen_is_settled_once_each_while_seen_ones_go_on(terminal: Terminal) -> None:
    unseen = []
    for number in range(40):
        _held, outcome = terminal.board()
        if number % 2:
            terminal.acceptor.shown(outcome)
        else:
            unseen.append(outcome.sequence)
        terminal.tick(250)
    for _ in range(4):
        terminal.tick(WAIT_MS // 2)
    assert terminal.lapsed() == unseen
    assert terminal.acceptor.unratified.sequences() == [] and terminal.journal.unratified_sequences() == []


def test_time_in_which_nobody_waited_counts_for_nobody(terminal: Terminal) -> None:
    _held, outcome = terminal.board()
    terminal.tick()
    terminal.acceptor.shown(outcome)
    for _ in range(3):
        terminal.tick(WAIT_MS)
    terminal.board()
    terminal.tick(WAIT_MS)
    assert terminal.lapsed() == []
