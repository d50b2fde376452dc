"""What a self-test does next, and what becomes of each step: a table of where it stands and what happened. Pure.

A machine judges what a machine can judge; what only a person sees or hears is shown first and asked then. A part that
the settings do not name is skipped as *not fitted*, which nobody can say of one that they do name. Opens no device.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from offline_ledger.errors import Refusal


class Verdict(StrEnum):
    """What became of a step."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """The settings name no such part."""
    NOT_DONE = "not_done"


class Why(StrEnum):
    """Why a step was skipped or not done."""

    NOTHING = ""
    NOT_FITTED = "not_fitted"
    BEFORE = "before"
    """Another step must pass first, and it did not."""
    LEFT_OUT = "left_out"
    """The technician went on without it."""
    UNANSWERED = "unanswered"
    WITHHELD = "withheld"
    """It might have been taken for the real thing."""
    STOPPED = "stopped"


class Happened(StrEnum):
    """What a step can bring."""

    MEASURED = "measured"
    """A machine judged it, and it is well."""
    SHOWN = "shown"
    """It was shown or played: a person is asked now."""
    ILL = "ill"
    YES = "yes"
    NO = "no"
    AGAIN = "again"
    """Show it once more."""
    SKIP = "skip"
    WITHHELD = "withheld"
    """It may not be shown now."""
    SILENT = "silent"
    """Nobody answered in time."""
    STOP = "stop"


class Where(StrEnum):
    """Where a step stands."""

    DOING = "doing"
    ASKING = "asking"


Outcome = Where | tuple[Verdict, Why]
_PASSED = (Verdict.PASSED, Why.NOTHING)
_FAILED = (Verdict.FAILED, Why.NOTHING)
_LEFT_OUT = (Verdict.NOT_DONE, Why.LEFT_OUT)
_STOPPED = (Verdict.NOT_DONE, Why.STOPPED)

TABLE: Mapping[tuple[Where, Happened], Outcome] = {
    (Where.DOING, Happened.MEASURED): _PASSED,
    (Where.DOING, Happened.SHOWN): Where.ASKING,
    (Where.DOING, Happened.ILL): _FAILED,
    (Where.DOING, Happened.SKIP): _LEFT_OUT,
    (Where.DOING, Happened.WITHHELD): (Verdict.NOT_DONE, Why.WITHHELD),
    (Where.DOING, Happened.STOP): _STOPPED,
    (Where.ASKING, Happened.YES): _PASSED,
    (Where.ASKING, Happened.NO): _FAILED,
    (Where.ASKING, Happened.ILL): _FAILED,
    (Where.ASKING, Happened.AGAIN): Where.DOING,
    (Where.ASKING, Happened.SKIP): _LEFT_OUT,
    (Where.ASKING, Happened.SILENT): (Verdict.NOT_DONE, Why.UNANSWERED),
    (Where.ASKING, Happened.STOP): _STOPPED,
}
"""What is not in it cannot happen: a machine's step asks nobody, and nobody answers what was not asked."""


class Step(NamedTuple):
    """One thing that is tried. `needs`: ids of steps that must not have gone wrong, as far as the plan has them."""

    part: str
    name: str
    is_asked: bool = False
    needs_hands: bool = False
    """Somebody must press, hold or look; left out when nobody is there."""
    needs: tuple[str, ...] = ()
    is_fitted: bool = True

    @property
    def id(self) -> str:
        """As a technician reads it: `head.ring_red`."""
        return f"{self.part}.{self.name}"


class Result(NamedTuple):
    """What became of one step. `facts`: figures as they were measured."""

    step: Step
    verdict: Verdict
    why: Why = Why.NOTHING
    refusal: Refusal | None = None
    facts: Mapping[str, object] = {}
    took_ms: int = 0


class Walk(NamedTuple):
    """A self-test under way. `begin` makes one."""

    steps: tuple[Step, ...]
    results: tuple[Result, ...] = ()
    where: Where = Where.DOING

    @property
    def step(self) -> Step | None:
        """The one at hand; None: the end."""
        return self.steps[len(self.results)] if len(self.results) < len(self.steps) else None

    def after(
        self, happened: Happened, refusal: Refusal | None = None, facts: Mapping[str, object] | None = None, ms: int = 0
    ) -> "Walk":
        """What comes of it. KeyError: that cannot happen here."""
        step = self.step
        assert step is not None, "it is over"
        outcome = TABLE[self.where, happened]
        if isinstance(outcome, Where):
            return self._replace(where=outcome)
        verdict, why = outcome
        told = refusal if verdict is Verdict.FAILED else None
        walk = self._with(Result(step, verdict, why, told, facts or {}, ms))
        while happened is Happened.STOP and (left := walk.step) is not None:
            walk = walk._with(Result(left, Verdict.NOT_DONE, Why.STOPPED))
        return walk.passed_over()

    def _with(self, result: Result) -> "Walk":
        return self._replace(results=(*self.results, result), where=Where.DOING)

    def passed_over(self) -> "Walk":
        """The next one that can be tried."""
        walk = self
        while (step := walk.step) is not None:
            known = {result.step.id: result.verdict for result in walk.results}
            if not step.is_fitted:
                walk = walk._with(Result(step, Verdict.SKIPPED, Why.NOT_FITTED))
            elif any(known.get(one) in (Verdict.FAILED, Verdict.NOT_DONE) for one in step.needs):
                walk = walk._with(Result(step, Verdict.NOT_DONE, Why.BEFORE))
            else:
                break
        return walk


def begin(steps: Iterable[Step], is_wanted: Callable[[Step], bool] = lambda _step: True) -> Walk:
    """At the first step that can be tried. An id that comes twice is a ValueError."""
    chosen = tuple(step for step in steps if is_wanted(step))
    if len({step.id for step in chosen}) != len(chosen):
        raise ValueError("two steps of one name")
    return Walk(chosen).passed_over()


class Whole(StrEnum):
    """What a self-test says of the device."""

    PASSED = "passed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    """Nothing failed, and something that is fitted was not tried to its end."""


def verdict_of(results: Sequence[Result]) -> Whole:
    """Of all steps together."""
    found = {result.verdict for result in results}
    if Verdict.FAILED in found:
        return Whole.FAILED
    return Whole.INCOMPLETE if Verdict.NOT_DONE in found or not found - {Verdict.SKIPPED} else Whole.PASSED
