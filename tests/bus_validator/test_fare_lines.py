"""The line of a card's green is the one that was reckoned when the card was asked."""

from bus_validator.boarding import BusDoor, Trip
from bus_validator.fare_lines import KEPT_MAX, FareLines
from offline_ledger.protocol.wallet import Concession
from tests.bus_validator.test_boarding import NEVER, TRANSFERS, allowance, at


def test_each_fare_keeps_its_own_line_and_the_newest_few_are_kept() -> None:
    lines = FareLines()
    lines.note(None)
    door = BusDoor(Trip("10", "T1", None), TRANSFERS, (1, 4), NEVER)
    adult = door.charge(allowance(), None, lambda: None, at(0))
    lines.note(door.last_fare)
    student = door.charge(allowance(Concession.STUDENT), None, lambda: None, at(0))
    assert lines.of(student) is None and lines.of(None) is None
    lines.note(door.last_fare)
    found = [lines.of(adult), lines.of(student)]
    assert [line.key for line in found if line is not None] == ["fare.flat", "fare.concession"]
    fare = door.last_fare
    assert fare is not None
    for kgo in range(KEPT_MAX):
        lines.note(fare._replace(kgo=kgo))
    assert lines.of(adult) is None, "the oldest goes"


def test_of_two_concessions_with_one_fare_the_newest_is_told() -> None:
    lines = FareLines()
    door = BusDoor(Trip("10", "T1", None), TRANSFERS, (1, 4), NEVER)
    charge = door.charge(allowance(Concession.STUDENT), None, lambda: None, at(0))
    fare = door.last_fare
    assert fare is not None and fare.concession is not None
    lines.note(fare)
    pupil = lines.of(charge)
    lines.note(fare._replace(concession=fare.concession._replace(name_th="ผู้สูงอายุ", name_en="Senior")))
    senior = lines.of(charge)
    assert pupil is not None and senior is not None
    assert senior.in_language("th")["concession"] == "ผู้สูงอายุ" != pupil.in_language("th")["concession"]
