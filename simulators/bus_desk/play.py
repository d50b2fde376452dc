"""Plays a scenario headless and leaves a timeline: light, sound, screen, voucher of each step. DESIGN §11.

Lights are the ring's pixels, sounds the buzzer's, screens the validator's own picture; the figures at the end are read
from journal and ledger by `figures`. What was not as expected is said in words, and nothing is tried twice.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from simulators.bus_desk.desk import BusDesk, Look
from simulators.bus_desk.figures import BusFigures, read_figures
from simulators.bus_desk.hands import Hands, Unfit
from simulators.bus_desk.scenario import ANY, Scenario, Step
from simulators.bus_desk.town import BUS
from simulators.bus_desk.watch import Seen, Watch
from simulators.bus_desk.words import ACTIONS
from simulators.demo.city import CITY
from simulators.demo.processes import DeadlinePassed, Said, ToolFailed
from simulators.head.recording import Pixels
from simulators.wallet import IntentEnded, WalletClosed, WalletOffline, WalletRefused

GREEN = ("accepted", "accepted_cash_due")
LIGHT_S_MAX = 8.0
"""After this the light did not come: a head that was plugged in boots, links and waits within 3 s."""
LINE_TO_LIGHT_S_MAX = 1.0
"""The line is said with the light; a ring so late after it stays as it is."""
SCREEN_S_MAX = 1.0
"""A screen is drawn within 30 ms of its light; one that shows the same as before is not drawn again."""
DRAWN_S = 0.1
"""A picture that stands so long is the step's, not one on the way to it."""
TOGETHER_US = 50_000
POLL_S = 0.01
_CANNOT = (Unfit, DeadlinePassed, ToolFailed, IntentEnded, WalletClosed, WalletOffline, WalletRefused, TimeoutError)


class Shown(NamedTuple):
    """One step as it went. Times in ms from the beginning; `light_ms` and `screen_ms` after the code or card was
    presented (after the action began, where nobody presents anything), None: nothing new."""

    number: int
    name: str
    thai: str
    do: str
    at_ms: int
    wanted: tuple[str, ...]
    light: str
    light_ms: float | None
    sound: tuple[tuple[int, int], ...]
    screen: str | None
    screen_ms: float | None
    line: str | None
    refusal: int
    voucher: int | None
    ring: Pixels
    wrong: str | None


class Played(NamedTuple):
    """A whole run. `broken`: in words; empty when all was as expected."""

    scenario: Scenario
    seed: int
    steps: tuple[Shown, ...]
    figures: BusFigures
    seconds: float
    broken: tuple[str, ...]


class Record(NamedTuple):
    """Everything that was seen, and when that began."""

    seen: Sequence[Seen]
    began_us: int


Tell = Callable[[str], None]


def play(scenario: Scenario, folder: Path, out: Path, seed: int, tell: Tell) -> tuple[Played, Record]:
    """Everything from founding the city to the last figure; screens go to `out`."""
    began_s = time.monotonic()
    look = Look(scenario.size, scenario.theme, scenario.has_cards)
    with BusDesk(folder, seed, look) as desk:
        with Watch(desk, out / "screens") as watch, Hands(desk, watch, seed) as hands:
            player = _Player(desk, watch, hands, tell)
            for number, step in enumerate(scenario.steps, 1):
                player.take(number, step)
            player.rest()
        steps = player.shown()
        audit_ok, audit_said = desk.town.city.audit()
        broken = desk.stop()
        figures = read_figures(desk.journal, desk.town.city.ledger, BUS, CITY, folder / "read", player.greens)
    broken += [f"step {one.number}, {one.name}: {one.wrong}" for one in steps if one.wrong is not None]
    broken += [*figures.faults, *_unexpected(figures, scenario.expect), *_waybill(figures, player.waybills)]
    broken += [] if audit_ok else [f"the city's own audit: {audit_said.strip()[:500]}"]
    seconds = round(time.monotonic() - began_s, 1)
    return Played(scenario, seed, steps, figures, seconds, tuple(broken)), Record(watch.since(0), watch.began_us)


class _Player:
    """Takes the steps one after another, and compares."""

    def __init__(self, desk: BusDesk, watch: Watch, hands: Hands, tell: Tell) -> None:
        self._desk, self._watch, self._hands, self._tell = desk, watch, hands, tell
        self._steps: list[tuple[int, Shown]] = []
        self.greens: list[int] = []
        self.waybills: list[Said] = []

    def take(self, number: int, step: Step) -> None:
        """One step."""
        action = ACTIONS[step.do.split()[0]]
        self._hands.settle()
        from_us, screen_before = self._watch.now_us(), self._watch.screen
        said: Said | None = None
        wrong: str | None = None
        try:
            said = self._hands.act(step.do)
        except _CANNOT as trouble:
            wrong = f"could not be done: {trouble}"
        presented_us = self._hands.presented_us if self._hands.presented_us >= from_us else from_us
        is_said = action.presents and said is not None and "light" in said
        wait_s = 0.0 if wrong else LINE_TO_LIGHT_S_MAX if is_said else LIGHT_S_MAX
        light = self._light(step, presented_us, wait_s, presents=action.presents)
        came_us = light.at_us if light is not None else presented_us
        name = str(light.value) if light is not None else self._watch.light
        drawn = self._drawn(name, presented_us, came_us, SCREEN_S_MAX if action.presents else SCREEN_S_MAX / 2)
        said = said or {}
        refusal = int(said.get("refusal", 0))
        wrong = wrong or _wrong_light(step, name, refusal)
        if wrong is None and name in GREEN and drawn is not None and self._was_drawn(drawn, presented_us, came_us):
            wrong = "the screen was green before the ring"
        voucher = said.get("sequence") or said.get("annulled")
        if name in GREEN and said.get("light") in GREEN:
            self.greens.append(int(said["sequence"]))
        if "waybill" in said or step.do.startswith("driver end-trip"):
            self._note_waybill(from_us)
        shown = Shown(
            number=number,
            name=step.name,
            thai=step.thai,
            do=step.do,
            at_ms=(from_us - self._watch.began_us) // 1000,
            wanted=step.lights,
            light=name,
            light_ms=round((came_us - presented_us) / 1000, 1) if light is not None else None,
            sound=(),
            screen=str(drawn.value) if drawn is not None else screen_before,
            screen_ms=round((drawn.at_us - presented_us) / 1000, 1) if drawn is not None else None,
            line=said.get("light"),
            refusal=refusal,
            voucher=voucher,
            ring=(),
            wrong=wrong,
        )
        self._steps.append((came_us, shown))
        sign = "✗" if wrong else "✓"
        self._tell(f"{sign} {number:3} {name:<18} {step.thai} · {step.name}" + (f"  ← {wrong}" if wrong else ""))

    def rest(self) -> None:
        """Until the last light and sound are over."""
        self._hands.settle()

    def shown(self) -> tuple[Shown, ...]:
        """The steps, with what was heard and the ring at its brightest, now that all of it is known."""
        return tuple(
            shown._replace(
                sound=() if shown.light_ms is None else sounds_of(self._watch.since(at_us)),
                ring=self._watch.ring_at(at_us).pixels,
            )
            for at_us, shown in self._steps
        )

    def _light(self, step: Step, since_us: int, wait_s: float, *, presents: bool) -> Seen | None:
        """Wait for the wanted light, or the customer's; None: nothing changed."""
        until_s = time.monotonic() + (wait_s if step.lights != (ANY,) else 0)
        while True:
            first = self._watch.first_light(since_us)
            if presents and first is not None:
                return first
            if not presents or self._watch.light in step.lights:
                last = self._last_light(since_us)
                if self._watch.light in step.lights or step.lights == (ANY,):
                    return last
            if time.monotonic() > until_s:
                return self._last_light(since_us)
            time.sleep(POLL_S)

    def _drawn(self, light: str, presented_us: int, came_us: int, wait_s: float) -> Seen | None:
        """The picture that stays. A refusal's may be drawn in the same moment as its light, a green's only after it."""
        since_us = came_us if light in GREEN else max(presented_us, came_us - TOGETHER_US)
        found = self._watch.wait_screen(since_us, wait_s)
        while found is not None:
            later = self._watch.wait_screen(found.at_us + 1, DRAWN_S)
            if later is None:
                break
            found = later
        return found

    def _was_drawn(self, drawn: Seen, from_us: int, until_us: int) -> bool:
        seen = (one for one in self._watch.since(from_us) if one.what == "screen" and one.at_us < until_us)
        return any(one.value == drawn.value for one in seen)

    def _last_light(self, since_us: int) -> Seen | None:
        return next((one for one in reversed(self._watch.since(since_us)) if one.what == "light"), None)

    def _note_waybill(self, since_us: int) -> None:
        for seen in self._watch.since(since_us):
            if seen.what == "line" and isinstance(seen.value, dict) and "coins_due_satang" in seen.value:
                self.waybills.append(seen.value)


def _wrong_light(step: Step, light: str, refusal: int) -> str | None:
    if step.lights != (ANY,) and light not in step.lights:
        return f"{'|'.join(step.lights)} was due, came {light} (refusal {refusal})"
    if step.refusal is not None and refusal != step.refusal:
        return f"refusal {step.refusal} was due, came {refusal}"
    return None


def sounds_of(seen: Sequence[Seen]) -> tuple[tuple[int, int], ...]:
    """Each tone's hertz and milliseconds, of the light that `seen` begins with, until the next light."""
    found: list[tuple[int, int]] = []
    hertz, began_us, lights = 0, 0, 0
    for one in seen:
        lights += one.what == "light"
        if lights > 1:
            break
        if one.what != "tone" or one.value == hertz:
            continue  # the same tone, set again
        if hertz:
            found.append((hertz, (one.at_us - began_us) // 1000))
        hertz, began_us = int(str(one.value)), one.at_us
    return tuple(found)


def _unexpected(figures: BusFigures, expect: Mapping[str, int]) -> list[str]:
    said = {**figures._asdict(), "refusals_min": figures.refusals}
    return [
        f"{name}: {wanted} expected, journal and ledger say {said[name]}"
        for name, wanted in expect.items()
        if (said[name] < wanted if name == "refusals_min" else said[name] != wanted)
    ]


def _waybill(figures: BusFigures, waybills: Sequence[Said]) -> list[str]:
    """The driver's paper against the journal."""
    found: list[str] = []
    for said in waybills:
        people, satang = figures.trips.get(str(said["waybill"]), (0, 0))
        if (said["boardings"], said["coins_due_satang"]) != (people, satang):
            found.append(f"the waybill of {said['waybill']} says {said}, the journal has {people} and {satang}")
    return found
