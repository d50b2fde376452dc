"""A late light is announced once, a light that came never is; the line itself is held back under the lamp's lock."""

import json
import os
from collections.abc import Iterator

import pytest

from offline_ledger.terminal.headless import LineLamp
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.patience import WORKING_S, Patience
from simulators.demo.processes import wait_until


class Desk:
    """Counts lights, and keeps what patience had said."""

    def __init__(self) -> None:
        self.lights = 0
        self.said: list[int] = []
        self.patience = Patience(lambda: self.lights, self.said.append)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    made.patience.start()
    yield made
    made.patience.stop()


def test_a_late_light_is_announced_once_with_what_was_shown_before(desk: Desk) -> None:
    desk.lights = 5
    desk.patience.offered()
    desk.lights = 6  # the light of the code before this one
    desk.patience.begins()
    wait_until(lambda: desk.said != [], "the announcement")
    desk.patience.begins()  # its turn came later: told already
    desk.patience.ends()
    desk.lights = 7
    desk.patience.offered()
    wait_until(lambda: len(desk.said) == 2, "the next code's")
    assert desk.said == [6, 7]


def test_a_code_that_comes_while_a_light_is_being_shown_is_announced_too(desk: Desk) -> None:
    desk.patience.offered()
    desk.patience.begins()
    desk.lights = 1
    desk.patience.offered()  # the next customer is quick: the last one's turn is not over yet
    desk.patience.ends()
    wait_until(lambda: desk.said == [1], "the quick one's announcement")


def test_a_light_in_time_needs_no_announcement(desk: Desk) -> None:
    for _ in range(20):
        desk.patience.offered()
        desk.patience.begins()
        desk.patience.ends()
    desk.patience.offered()
    wait_until(lambda: desk.said != [], "that of the last, which is late")
    assert len(desk.said) == 1 and WORKING_S < 1


def test_a_lamp_announces_nothing_once_the_light_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read, encoding="utf-8") as lines, os.fdopen(write, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        lamp = LineLamp()
        before = lamp.lights
        lamp.working(before)
        lamp.show(Outcome(Light.ALREADY_ACCEPTED, 1))
        lamp.working(before)
        lamp.wait()
        heard = [json.loads(lines.readline()) for _ in range(3)]
        monkeypatch.undo()
    assert [one.get("light") for one in heard] == [None, "already_accepted", "wait"]
    assert heard[0] == {"working": True}
