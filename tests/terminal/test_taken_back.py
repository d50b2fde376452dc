"""What was taken back leads to no free transfer and uses no daily cap: the driver's annulment, a green nobody saw."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bus_validator.boarding import BusDoor, Trip
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.rules.tariff import DailyCap, Product, Tariff, Transfer
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Light, Outcome
from tests.terminal.desk import DeskConditions, DeskWallet, acceptor_on, issue, open_journal

FARE_KGO = 5_000
TARIFF = Tariff(
    (Product("base", 1, "รถ", "Bus", FARE_KGO, 100, None, None, None),), (), Transfer(3_600, 0, 1), DailyCap(8_000, 300)
)


class Bus:
    """One validator that drives trip after trip."""

    def __init__(self, journal: Journal) -> None:
        self.conditions = DeskConditions()
        self.journal = journal
        self.acceptor = acceptor_on(journal, self.conditions)

    def board(self, trip: str, held: DeskWallet, *, is_shown: bool = True) -> Outcome:
        held.next(FARE_KGO)
        outcome = self.acceptor.accept(
            held.code(self.conditions.now.at_s), BusDoor(Trip("8", trip, None), TARIFF, (1, 1), 120)
        )
        if is_shown:
            self.acceptor.shown(outcome)
        else:
            self.acceptor.not_shown_yet(outcome)
        return outcome

    def pass_time(self, seconds: int) -> None:
        self.conditions.now = TimeNow(self.conditions.now.at_s + seconds, ClockTrust.SYNCED, 0)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with open_journal(tmp_path) as journal:
        yield Bus(journal)


def paid(outcome: Outcome) -> tuple[str, int]:
    assert outcome.charge is not None, outcome
    return outcome.charge.product, outcome.charge.kgo


def test_whoever_was_on_the_wrong_bus_pays_for_the_right_one(bus: Bus) -> None:
    held = issue(7)
    assert paid(bus.board("T1", held)) == ("base", FARE_KGO)
    bus.acceptor.annul(1)
    assert paid(bus.board("T2", held)) == ("base", FARE_KGO), "nothing was paid that it could be a transfer from"
    assert paid(bus.board("T3", held)) == ("base+transfer", 0)


def test_who_was_not_annulled_has_the_transfer(bus: Bus) -> None:
    held = issue(7)
    bus.board("T1", held)
    assert paid(bus.board("T2", held)) == ("base+transfer", 0)


def test_a_green_that_nobody_saw_leads_to_no_transfer(bus: Bus) -> None:
    held = issue(7)
    wait_s = Limits().unratified_s
    bus.acceptor.tick(1)
    assert bus.board("T1", held, is_shown=False).light is Light.ACCEPTED_CASH_DUE
    bus.acceptor.tick(2)
    bus.acceptor.tick(3 + wait_s * 1_000)
    bus.pass_time(wait_s)
    assert bus.journal.is_uncharged(1)
    assert paid(bus.board("T2", held)) == ("base", FARE_KGO)


def test_the_days_cap_is_as_if_it_had_not_been(bus: Bus) -> None:
    held = issue(7)
    bus.board("T1", held)
    bus.acceptor.annul(1)
    bus.pass_time(3_601)
    assert paid(bus.board("T2", held)) == ("base", FARE_KGO)
    bus.pass_time(3_601)
    assert paid(bus.board("T3", held)) == ("base", 8_000 - FARE_KGO)
