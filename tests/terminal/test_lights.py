"""The order of lamp, head and screen: nothing green is drawn before its head has it, nor over a later light."""

import json
from collections import deque
from collections.abc import Callable
from threading import Timer

import pytest

from offline_ledger.errors import CodeFromFuture, HeadLost
from offline_ledger.terminal import lights
from offline_ledger.terminal.headless import LineLamp
from offline_ledger.terminal.lights import GREEN, Lights
from offline_ledger.terminal.outcome import Light, Outcome

READING = "reading"
OTHERS = [light for light in Light if light not in GREEN]


class Head:
    """As `drivers.head` behaves: confirms in order, forgets what was older, and forgets all when its cable goes."""

    def __init__(self, happened: list[object]) -> None:
        self._happened = happened
        self._waiting: dict[int, Callable[[], None] | None] = {}
        self._token = 0
        self.is_seen = True

    def show(self, light: Light, on_lit: Callable[[], None] | None) -> bool:
        self._happened.append(("head", light))
        if self.is_seen:
            self._token += 1
            self._waiting[self._token] = on_lit
        return self.is_seen

    def reading(self) -> None:
        self._happened.append(("head", READING))

    def confirm(self, token: int | None = None) -> None:
        """The pixels of this light (the newest) are on."""
        token = self._token if token is None else token
        on_lit = self._waiting.pop(token, None)
        self._waiting = {one: kept for one, kept in self._waiting.items() if one > token}
        if on_lit is not None:
            on_lit()

    def lose(self) -> None:
        self.is_seen = False
        self._waiting.clear()


class Door:
    """Lights with what hears of them; the deciding thread's jobs wait until `decide`."""

    def __init__(self, *, head: bool = True) -> None:
        self.happened: list[object] = []
        self._jobs: deque[Callable[[], None]] = deque()
        self.lamp = LineLamp()
        self.lights = Lights(self.lamp, self._jobs.append)
        self.head = Head(self.happened)
        if head:
            self.lights.with_head(self.head)
        self.lights.with_screen(lambda light, outcome: self.happened.append(("drawn", light, _sequence(outcome))))

    def show(self, light: Light, sequence: int | None = None) -> None:
        outcome = Outcome(light, sequence)
        self.lights.show(outcome, lambda lit: self.happened.append(("lit", lit.sequence)))

    def decide(self) -> None:
        while self._jobs:
            self._jobs.popleft()()

    def drawn(self) -> list[object]:
        return [one for one in self.happened if isinstance(one, tuple) and one[0] == "drawn"]

    def lit(self) -> list[object]:
        return [one for one in self.happened if isinstance(one, tuple) and one[0] == "lit"]


def _sequence(outcome: Outcome | None) -> int | None:
    return None if outcome is None else outcome.sequence


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


@pytest.mark.parametrize("light", GREEN)
def test_a_green_is_lit_and_drawn_when_the_head_has_it_and_not_before(
    light: Light, capfd: pytest.CaptureFixture[str]
) -> None:
    door = Door()
    door.show(light, 7)
    assert door.happened == [("head", light)], "neither recorded nor drawn"
    assert [line["light"] for line in lines(capfd)] == [light.value]
    door.head.confirm()
    assert door.happened == [("head", light)], "the head's thread decides nothing"
    door.decide()
    assert door.happened == [("head", light), ("lit", 7), ("drawn", light, 7)]
    door.head.confirm()
    door.decide()
    assert len(door.happened) == 3, "once"


@pytest.mark.parametrize("light", OTHERS)
def test_what_is_not_green_is_drawn_at_once_and_once(light: Light) -> None:
    door = Door()
    door.show(light)
    assert door.happened == [("head", light), ("drawn", light, None)]
    door.head.confirm()
    door.decide()
    assert door.drawn() == [("drawn", light, None)]


@pytest.mark.parametrize("light", list(Light))
def test_without_a_head_the_line_is_the_light(light: Light, capfd: pytest.CaptureFixture[str]) -> None:
    door = Door(head=False)
    door.show(light, 3)
    assert door.happened == [("lit", 3), ("drawn", light, 3)]
    assert len(lines(capfd)) == 1


@pytest.mark.parametrize("light", GREEN)
def test_a_green_that_nobody_could_see_is_never_lit_nor_drawn(light: Light, capfd: pytest.CaptureFixture[str]) -> None:
    door = Door()
    door.head.lose()
    door.show(light, 7)
    door.head.confirm()
    door.decide()
    assert not door.lit() and not door.drawn()
    (line,) = lines(capfd)
    assert line["unseen"] is True


def test_a_head_that_goes_before_its_word_leaves_the_green_unlit() -> None:
    door = Door()
    door.show(Light.ACCEPTED, 7)
    door.head.lose()
    door.head.confirm(1)
    door.decide()
    assert not door.lit() and not door.drawn()


@pytest.mark.parametrize("next_light", OTHERS)
def test_a_green_confirmed_late_is_recorded_but_not_drawn_over_the_next_customers_light(next_light: Light) -> None:
    """Two codes in the queue: the second one's light is shown before the first one's word is heard."""
    door = Door()
    door.show(Light.ACCEPTED, 7)
    door.head.confirm()
    door.show(next_light, 8)
    door.decide()
    assert door.lit()[0] == ("lit", 7), "it was seen: it is paid for"
    assert door.drawn() == [("drawn", next_light, 8)], "the screen says what the head says"


def test_of_two_greens_on_their_way_each_is_recorded_and_the_newer_one_drawn() -> None:
    door = Door()
    door.show(Light.ACCEPTED, 7)
    door.show(Light.ACCEPTED_CASH_DUE, 8)
    door.head.confirm(1)
    door.decide()
    assert door.lit() == [("lit", 7)] and not door.drawn()
    door.head.confirm(2)
    door.decide()
    assert door.lit() == [("lit", 7), ("lit", 8)]
    assert door.drawn() == [("drawn", Light.ACCEPTED_CASH_DUE, 8)]


def test_a_green_confirmed_after_it_was_put_out_is_not_drawn() -> None:
    door = Door()
    door.show(Light.ACCEPTED, 7)
    door.head.confirm()
    door.lights.wait()
    door.decide()
    assert door.lit() == [("lit", 7)] and door.drawn() == [("drawn", Light.WAIT, None)]


def test_a_green_is_not_drawn_over_hold_still() -> None:
    door = Door()
    door.show(Light.ACCEPTED, 7)
    door.head.confirm()
    door.lights.working(door.lamp.lights)
    door.decide()
    assert door.drawn() == [("drawn", None, None)] and door.lit() == [("lit", 7)]


def test_hold_still_comes_only_while_no_light_came(capfd: pytest.CaptureFixture[str]) -> None:
    door = Door()
    before = door.lamp.lights
    door.lights.working(before)
    assert door.happened == [("head", READING), ("drawn", None, None)]
    door.show(Light.REFUSED)
    door.happened.clear()
    door.lights.working(before)
    assert door.happened == [] and [line.get("working") for line in lines(capfd)] == [True, None]


def test_wait_goes_everywhere(capfd: pytest.CaptureFixture[str]) -> None:
    door = Door()
    door.lights.wait()
    assert door.happened == [("head", Light.WAIT), ("drawn", Light.WAIT, None)]
    assert lines(capfd) == [{"light": "wait"}]


def test_what_stands_beside_a_light_is_said_with_it(capfd: pytest.CaptureFixture[str]) -> None:
    door = Door()
    door.lights.show(Outcome(Light.REFUSED, refusal=CodeFromFuture("3 s")), lambda _lit: None, asked_kgo=5_000)
    door.lights.show(Outcome(Light.OUT_OF_SERVICE, refusal=HeadLost("gone")), lambda _lit: None)
    refused, closed = lines(capfd)
    assert (refused["refusal"], refused["asked_kgo"]) == (CodeFromFuture.number, 5_000)
    assert closed["refusal"] == HeadLost.number and "unseen" not in closed


def test_the_end_waits_for_a_green_on_its_way_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lights, "SETTLE_S_MAX", 5.0)
    door = Door()
    door.show(Light.REFUSED, 1)
    door.lights.settle()  # no wait
    door.show(Light.ACCEPTED, 7)
    head = Timer(0.02, door.head.confirm)
    head.start()
    door.lights.settle()
    head.join()
    assert door.lit() == [("lit", 7)]
    door.decide()
    assert door.lit() == [("lit", 7)], "once"
    door.show(Light.ACCEPTED, 8)
    door.head.confirm()
    door.lights.settle()  # confirmed already, and its job never came to its turn
    assert door.lit() == [("lit", 7), ("lit", 8)]
    monkeypatch.setattr(lights, "SETTLE_S_MAX", 0.02)
    door.show(Light.ACCEPTED, 9)
    door.lights.settle()
    assert door.lit() == [("lit", 7), ("lit", 8)], "no word of the head"


@pytest.mark.parametrize("light", GREEN)
def test_a_screen_that_comes_later_shows_the_light_that_stands(light: Light) -> None:
    door = Door()
    door.show(light, 7)
    later: list[object] = []
    door.lights.with_screen(lambda light, outcome: later.append((light, _sequence(outcome))))
    assert later == [], "on its way to the head, it is not on yet"
    door.head.confirm()
    door.decide()
    assert later == [(light, 7)]
    after: list[object] = []
    assert door.lights.with_screen(lambda light, outcome: after.append((light, _sequence(outcome))))
    assert after == later


def test_before_any_light_a_screen_has_nothing_to_show() -> None:
    drawn: list[object] = []
    assert not Lights(LineLamp(), lambda _job: None).with_screen(lambda light, outcome: drawn.append((light, outcome)))
    assert drawn == []
