"""What a terminal tells of its clock: once for each change, the cause before the symptom, and over when it is over."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from offline_ledger.errors import ClockAtFloor, ClockImpossible, ClockSourceLost, ClockStepped, Refusal
from offline_ledger.protocol.device import EventKind
from offline_ledger.rules.limits import DAY_S, Limits
from offline_ledger.terminal.clock_keeper import ClockKeeper
from offline_ledger.terminal.clock_watch import LOOK_MS, ClockWatch
from offline_ledger.terminal.drivers.clocks import NetworkTime
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.troubles import Troubles
from simulators.clock import FakeClock
from tests.terminal.desk import NOW_S, open_journal

CERTIFICATE_ENDS_S = NOW_S + 700 * DAY_S
COUNT_MAX = Limits().floor_one_way_count_max


@dataclass
class Box:
    """A terminal's clocks and what was said about them; `chip` is the battery clock, `machine` the counter."""

    journal: Journal
    machine: FakeClock = field(default_factory=lambda: FakeClock(0))
    chip: FakeClock = field(default_factory=lambda: FakeClock(NOW_S))
    network: NetworkTime | None = None
    said: list[dict[str, object]] = field(default_factory=list[dict[str, object]])

    def start(self) -> None:
        """As after a power cut: only the journal knows anything."""
        self.keeper = ClockKeeper(self.journal, self.machine, Limits(), NOW_S - 1_000)
        self.troubles = Troubles(self.trouble, lambda what: self.said.append({"over": what}))
        self.watch = ClockWatch(
            self.keeper, self.chip, lambda: self.network, lambda: CERTIFICATE_ENDS_S, self, self.troubles.note
        )
        self.watch.start()

    def say(self, **said: object) -> None:
        self.said.append(said)

    def trouble(self, what: str, refusal: Refusal, **more: object) -> None:
        self.said.append({"trouble": what, "refusal": type(refusal), **more})

    def synced_before(self) -> None:
        """The city said the time once, so that the chip counts for something."""
        ClockKeeper(self.journal, self.machine, Limits(), NOW_S - 1_000).heard_time_answer(NOW_S, 0, 0)

    def look(self) -> None:
        """Time passes until the box's clocks are looked at again."""
        self.machine.advance(ms=LOOK_MS)
        self.chip.advance(ms=LOOK_MS)
        self.watch.tick()

    def take_said(self) -> list[dict[str, object]]:
        found, self.said = self.said, []
        return found


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with open_journal(tmp_path) as journal:
        yield Box(journal)


def test_a_device_that_never_heard_of_the_time_has_no_broken_chip(box: Box) -> None:
    box.start()
    assert box.take_said() == [{"trouble": "clock", "refusal": ClockAtFloor}]
    assert box.watch.words() == {"clock": "floor", "one_way_left": COUNT_MAX} == box.watch.light_words()


def test_a_good_chip_says_nothing(box: Box) -> None:
    box.synced_before()
    box.start()
    for _ in range(3):
        box.look()
    assert box.take_said() == []
    assert box.watch.words() == {"clock": "holdover"} and box.watch.light_words() == {}


@pytest.mark.parametrize(
    ("chip_s", "refusal"),
    [
        (0, ClockImpossible),
        (NOW_S - 6, ClockImpossible),
        (NOW_S - 5, None),
        (CERTIFICATE_ENDS_S, ClockAtFloor),
        (CERTIFICATE_ENDS_S + 1, ClockImpossible),
    ],
)
def test_what_a_chip_cannot_say(box: Box, chip_s: int, refusal: type[Refusal] | None) -> None:
    box.synced_before()
    box.chip.set_s(chip_s)
    box.start()
    assert box.take_said() == ([] if refusal is None else [{"trouble": "clock", "refusal": refusal}])


def test_an_impossible_chip_is_told_and_journaled_once_and_is_over_when_it_is_set(box: Box) -> None:
    box.synced_before()
    box.chip.set_s(0)
    box.start()
    for _ in range(4):
        box.look()
    assert box.take_said() == [{"trouble": "clock", "refusal": ClockImpossible}]
    box.journal.flush()
    before = len([event for event in box.journal.events_after(0, 100) if event.kind == EventKind.CLOCK])
    box.look()
    box.journal.flush()
    assert len([event for event in box.journal.events_after(0, 100) if event.kind == EventKind.CLOCK]) == before
    box.chip.set_s(NOW_S + 60)
    box.look()
    assert box.take_said() == [{"clock": "holdover", "clock_changed": True}, {"over": "clock"}]


def test_a_chip_that_is_found_late_is_believed_then(box: Box) -> None:
    box.synced_before()
    box.chip.lose()
    box.start()
    assert box.take_said() == [{"trouble": "clock", "refusal": ClockSourceLost}]
    box.chip.lose(is_lost=False)
    box.look()
    assert box.take_said() == [{"clock": "holdover", "clock_changed": True}, {"over": "clock"}]


def test_an_impossible_chip_stays_told_though_the_city_gave_the_time(box: Box) -> None:
    """Or the next power cut would be the first that anybody hears of the battery."""
    box.synced_before()
    box.chip.set_s(0)
    box.start()
    box.take_said()
    box.keeper.heard_time_answer(NOW_S + 9, box.machine.mono_ms(), box.machine.mono_ms())
    box.watch.tick()
    assert box.take_said() == [{"clock": "synced", "clock_changed": True}]
    assert [type(refusal) for _what, refusal in box.troubles.standing()] == [ClockImpossible]


def test_network_time_that_comes_up_late_ends_the_floor(box: Box) -> None:
    box.start()
    box.take_said()
    box.look()
    assert box.take_said() == []
    box.network = NetworkTime(said_ms=(NOW_S + 77) * 1000, error_ms=20)
    box.look()
    assert box.take_said() == [{"clock": "synced", "clock_changed": True}, {"over": "clock"}]


def test_network_time_that_cannot_be_is_tried_once(box: Box) -> None:
    box.synced_before()
    box.chip.lose()
    box.network = NetworkTime(said_ms=(NOW_S - 3_600) * 1000, error_ms=20)
    box.start()
    for _ in range(3):
        box.look()
    box.journal.flush()
    clocks = [event for event in box.journal.events_after(0, 100) if event.kind == EventKind.CLOCK]
    assert len(clocks) == 2  # the first sync, and one word about the network


def test_a_step_is_told_with_both_times_and_stands_for_nothing_after(box: Box) -> None:
    box.synced_before()
    box.chip.set_s(NOW_S + 2 * DAY_S)
    box.start()
    assert box.take_said() == []
    box.keeper.heard_time_answer(NOW_S + 5, box.machine.mono_ms(), box.machine.mono_ms())
    box.watch.tick()
    step, changed = box.take_said()
    assert step == {
        "trouble": "clock", "refusal": ClockStepped, "before_s": NOW_S + 2 * DAY_S, "after_s": NOW_S + 5,
    }  # fmt: skip
    assert changed == {"clock": "synced", "clock_changed": True}
    assert box.troubles.standing() == []
