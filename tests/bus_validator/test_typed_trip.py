"""A trip that was typed: durable before it is said, and after a disk error what the journal has."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from bus_validator.boarding import TRIP_META, Trip, decode_trip
from bus_validator.head_buttons import Button
from bus_validator.trip_keeper import TRIP_WORD_MAX, TypedTrip
from offline_ledger.errors import TripNotSet
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Outcome
from offline_ledger.terminal.running import Running
from offline_ledger.texts import Texts
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.bus_validator.driven_desk import Said

TEXTS = Texts("en")


class Program(Said):
    """It shows lights too."""

    def show(self, outcome: Outcome) -> None:
        self.lines.append({"light": outcome.light.value})


class Bus:
    def __init__(self, path: Path, faults: DiskFaults, vfs: str) -> None:
        self.faults = faults
        self.journal = Journal.open(path, device_id="bus-1", vfs=vfs)
        self.companions = 0
        self.start()

    def start(self) -> None:
        self.said = Program()
        self.trip = TypedTrip(self.journal, cast(Running, self.said), self.companion)
        self.trip.begin()

    def companion(self) -> None:
        self.companions += 1

    def type(self, line: str) -> dict[str, object]:
        assert self.trip.obey(line.split(), TEXTS)
        return self.said.lines[-1]

    def kept(self) -> Trip | None:
        found = self.journal.meta_get(TRIP_META)
        return None if found is None else decode_trip(found)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    faults = DiskFaults()
    with simulated_disk(f"typed-{tmp_path.name}", faults) as disk:
        made = Bus(tmp_path / "journal.db", faults, disk.name)
        yield made
        faults.writes_fail, faults.sync_fails_at = False, None
        made.journal.close()


def test_without_a_trip_nobody_boards_and_no_companion_is_meant(bus: Bus) -> None:
    assert isinstance(bus.trip.why_closed(), TripNotSet) and isinstance(bus.said.troubles["trip"], TripNotSet)
    bus.trip.press(Button.NEXT, TEXTS)
    assert bus.companions == 0 and bus.trip.header(TEXTS) == "" and bus.trip.facts() == {}


def test_a_typed_trip_is_said_and_comes_back_after_a_restart(bus: Bus) -> None:
    assert bus.type("trip 8 morning S1") == {"trip": "morning", "route": "8", "stop": "S1"}
    assert bus.kept() == bus.trip.trip == Trip("8", "morning", "S1") and bus.said.troubles["trip"] is None
    bus.trip.press(Button.NEXT, TEXTS)
    assert bus.companions == 1
    bus.start()
    assert bus.said.lines == [{"trip": "morning", "route": "8", "stop": "S1"}] and bus.trip.why_closed() is None


@pytest.mark.parametrize("words", [["trip"], ["trip", "8"], ["trip", "8", "a", "b", "c"], ["trip", "8", "a\nb"],
    ["trip", "8", "\ud800"], ["trip", "8" * (TRIP_WORD_MAX + 1), "a"]])  # fmt: skip
def test_other_words_change_nothing(bus: Bus, words: list[str]) -> None:
    bus.type("trip 8 morning")
    assert bus.trip.obey(words, TEXTS) and "refused" in bus.said.lines[-1]
    assert bus.kept() == bus.trip.trip == Trip("8", "morning", None)


@pytest.mark.parametrize("is_kept", [True, False], ids=["a sync fails", "a write fails"])
def test_after_a_disk_error_the_trip_is_what_the_journal_has(bus: Bus, is_kept: bool) -> None:
    bus.type("trip 8 morning")
    bus.faults.sync_fails_at = 1 if is_kept else None
    bus.faults.writes_fail = not is_kept
    assert bus.type("trip 9 evening") == {"light": "out_of_service"}
    assert bus.trip.trip == Trip("8", "morning", None), "not before it is known"
    bus.faults.writes_fail = False
    bus.journal.reopen_and_verify()
    bus.trip.look()
    assert bus.trip.trip == bus.kept() == (Trip("9", "evening", None) if is_kept else Trip("8", "morning", None))
    assert ({"trip": "evening", "route": "9"} in bus.said.lines) is is_kept


def test_a_trip_that_was_ended_is_none_after_a_restart(bus: Bus) -> None:
    bus.type("trip 8 evening")
    assert bus.trip.open_thing() == "a trip is under way"
    assert bus.type("end-trip") == {"trip": None} and bus.trip.trip is None
    assert isinstance(bus.trip.why_closed(), TripNotSet) and bus.trip.open_thing() == ""
    assert isinstance(bus.said.troubles["trip"], TripNotSet)
    bus.start()
    assert bus.trip.trip is None and bus.journal.meta_get(TRIP_META) == b""
    assert bus.type("trip 8 night")["trip"] == "night"


def test_an_end_that_the_disk_did_not_take_is_none(bus: Bus) -> None:
    bus.type("trip 8 evening")
    bus.faults.writes_fail = True
    assert bus.type("end-trip")["light"] == "out_of_service"
    assert bus.trip.trip == Trip("8", "evening", None)
