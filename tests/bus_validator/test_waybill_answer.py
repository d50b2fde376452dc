"""Which waybill a question means, what cannot be drawn, and how little of a long journal is read for it."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from bus_validator import trip_runs
from bus_validator.trip import SHIFT_META, encode_shift
from bus_validator.trip_runs import NAMED_MAX, RUNS_MAX, runs_of
from bus_validator.waybill_answer import answer
from offline_ledger.errors import CommandIncomplete, JournalDamaged, TripNotKept, WaybillNone
from offline_ledger.protocol.device import EventKind, VoucherKind
from offline_ledger.terminal.journal import Journal
from tests.bus_validator.test_waybill import CITY, DEVICE, TRIP, Bus


class Kept(Bus):
    """It keeps its shift as the desk does."""

    def shift(self, what: str, driver: str = "D-01", trip: str = TRIP) -> None:
        super().shift(what, driver, trip)
        self.journal.meta_put(SHIFT_META, encode_shift(self.state))

    def run(self, boardings: int, trip: str = TRIP) -> None:
        self.shift("start", trip=trip)
        for _ in range(boardings):
            self.take(VoucherKind.BOARDING, 0, trip=trip)
        self.shift("end")

    def asked(self, trip: str) -> list[dict[str, object]]:
        (said,) = answer(self.journal, CITY, [trip, "json", "th"])
        return json.loads(str(said["written"]))

    def boardings(self, trip: str) -> list[object]:
        return [one["boardings"] for one in self.asked(trip)]


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path / "journal.db")
    made.shift("on")
    yield made
    made.journal.close()


def test_before_any_trip_there_is_none(bus: Kept) -> None:
    for trip in ("newest", "current", "last"):
        with pytest.raises(WaybillNone) as none:
            bus.asked(trip)
        assert none.value.detail == ("" if trip == "newest" else trip), "the word that was written, if one was"
    with pytest.raises(WaybillNone) as none:
        bus.asked(TRIP)
    assert none.value.detail == TRIP, "there is none to name instead"


def test_the_running_one_the_last_one_and_one_by_its_name(bus: Kept) -> None:
    bus.run(2, "0.20261121.0700")
    assert bus.boardings("newest") == bus.boardings("last") == bus.boardings("0.20261121.0700") == [2]
    with pytest.raises(WaybillNone):
        bus.asked("current")
    bus.shift("start")
    bus.take(VoucherKind.BOARDING, 0)
    assert bus.boardings("newest") == bus.boardings("current") == bus.boardings(TRIP) == [1]
    assert bus.boardings("last") == bus.boardings("0.20261121.0700") == [2]


def test_by_name_it_is_what_the_desk_draws(bus: Kept) -> None:
    """From the journal's events alone, without what the desk keeps beside them."""
    bus.run(3)
    assert bus.asked(TRIP) == bus.asked("last")


def test_every_run_of_a_trip_oldest_first_and_no_more_than_the_newest_few(bus: Kept) -> None:
    for boardings in range(RUNS_MAX + 2):
        bus.run(boardings % 3)
    assert bus.boardings(TRIP) == [boardings % 3 for boardings in range(2, RUNS_MAX + 2)]


def test_who_asks_for_a_trip_that_is_not_there_hears_which_are(bus: Kept) -> None:
    for number in range(NAMED_MAX + 2):
        bus.run(0, f"0.20261121.{number:04d}")
    newest = ", ".join(f"0.20261121.{number:04d}" for number in range(NAMED_MAX + 1, 1, -1))
    for wrong in ("0.20200101.0730", "x" * 500, "\n\0", "'; DROP TABLE entries; --"):
        with pytest.raises(TripNotKept, match=newest):
            bus.asked(wrong)


@pytest.mark.parametrize(
    "words",
    [[], ["last"], ["last", "json"], ["last", "xml", "th"], ["last", "json", "fr"], ["last", "json", "th", "more"]],
)
def test_other_words_than_were_agreed_on_are_refused(bus: Kept, words: list[str]) -> None:
    with pytest.raises(CommandIncomplete):
        answer(bus.journal, CITY, words)


@pytest.mark.parametrize("stretch", [1, 2, 3, 7])
def test_no_run_falls_between_two_stretches(bus: Kept, stretch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trip_runs, "STRETCH", stretch)
    for number in range(6):
        bus.run(number % 4, f"trip-{number}")
    assert [bus.boardings(f"trip-{number}") for number in range(6)] == [[number % 4] for number in range(6)]


def test_junk_events_and_a_journal_without_an_end_are_passed_over(bus: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    bus.run(1, "old")
    bus.journal.append_event(EventKind.SHIFT, b"\x80", durable=True)
    assert bus.boardings("old") == [1]
    bus.run(3)
    monkeypatch.setattr(trip_runs, "STRETCH", 1)
    monkeypatch.setattr(trip_runs, "STRETCHES_MAX", 3)
    assert not runs_of(bus.journal, "old").runs, "bounded: too long ago"


def test_a_damaged_row_is_said_and_not_added_up(bus: Kept, tmp_path: Path) -> None:
    bus.run(2)
    bus.run(40, "after")  # the end of a journal is checked when it is opened
    bus.journal.close()
    with closing(apsw.Connection(str(tmp_path / "journal.db"))) as file:
        file.execute("UPDATE entries SET kgo = kgo + 1 WHERE id = (SELECT min(id) FROM entries WHERE kgo > 0)")
    bus.journal = Journal.open(tmp_path / "journal.db", device_id=DEVICE)
    assert bus.boardings("after") == [40]
    with pytest.raises(JournalDamaged):
        bus.asked(TRIP)
