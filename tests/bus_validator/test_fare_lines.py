"""The line of a card's green is the one that was reckoned when the card was asked."""

from pathlib import Path

from bus_validator.boarding import BusDoor, Trip
from bus_validator.fare_lines import KEPT_MAX, FareLines
from bus_validator.kept_allowance import kept_allowance
from offline_ledger.protocol.wallet import Concession
from simulators.clock import FakeClock
from tests.bus_validator.crewed import open_station, provision
from tests.bus_validator.test_boarding import NEVER_S, TRANSFERS, allowance, at
from tests.terminal.city_in_test import CITY, NOW_S
from tests.terminal.desk import FlatBus, issue

ADULT, STUDENT, SENIOR = b"adult".ljust(8), b"student".ljust(8), b"senior".ljust(8)


def test_each_fare_keeps_its_own_line_and_the_newest_few_are_kept() -> None:
    lines = FareLines()
    lines.note(ADULT, None)
    door = BusDoor(Trip("10", "T1", None), TRANSFERS, (1, 4), NEVER_S)
    adult = door.charge(allowance(), None, lambda: None, at(0))
    lines.note(ADULT, door.last_fare)
    student = door.charge(allowance(Concession.STUDENT), None, lambda: None, at(0))
    assert lines.of(STUDENT, student) is None and lines.of(ADULT, None) is None and lines.of(STUDENT, adult) is None
    lines.note(STUDENT, door.last_fare)
    found = [lines.of(ADULT, adult), lines.of(STUDENT, student)]
    assert [line.key for line in found if line is not None] == ["fare.flat", "fare.concession"]
    fare = door.last_fare
    assert fare is not None
    for kgo in range(KEPT_MAX):
        lines.note(STUDENT, fare._replace(kgo=kgo))
    assert lines.of(ADULT, adult) is None, "the oldest goes"


def test_of_two_passes_with_one_fare_each_gets_its_own_line() -> None:
    """A pupil's card is asked on one reader and a senior's on the other, before either has paid."""
    lines = FareLines()
    door = BusDoor(Trip("10", "T1", None), TRANSFERS, (1, 4), NEVER_S)
    charge = door.charge(allowance(Concession.STUDENT), None, lambda: None, at(0))
    fare = door.last_fare
    assert fare is not None and fare.concession is not None and door.last_pass_id == allowance().pass_id
    lines.note(STUDENT, fare)
    lines.note(SENIOR, fare._replace(concession=fare.concession._replace(name_th="ผู้สูงอายุ", name_en="Senior")))
    pupil, senior = lines.of(STUDENT, charge), lines.of(SENIOR, charge)
    assert pupil is not None and senior is not None
    assert senior.in_language("th")["concession"] == "ผู้สูงอายุ" != pupil.in_language("th")["concession"]


def test_whose_pass_paid_is_read_back_from_the_journal(tmp_path: Path) -> None:
    provision(tmp_path)
    with open_station(tmp_path, FakeClock(NOW_S)) as station:
        held = issue(7)
        held.next()
        made = station.acceptor.accept(held.code(NOW_S), FlatBus())
        assert made.sequence is not None
        row = station.journal.voucher_at(made.sequence)
        assert row is not None
        found = kept_allowance(station.journal, CITY, row.allowance_hash)
        assert found is not None and found.pass_id == (7).to_bytes(8, "big")
        assert kept_allowance(station.journal, CITY, None) is None, "a coupon has none"
        assert kept_allowance(station.journal, CITY, bytes(32)) is None
