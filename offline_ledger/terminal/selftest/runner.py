"""Runs a plan: does each step, asks where a person judges, and hands what happened to the table. DESIGN §6.

A check raises a numbered refusal when something is wrong; whatever else it raises is a fault of the check itself and is
told as one, so that one broken part never ends the test of the others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from offline_ledger.errors import Refusal, SelfTestBroken
from offline_ledger.terminal.selftest.plan import Happened, Result, Step, Walk, begin
from offline_ledger.terminal.selftest.turn import AGAIN_MAX, Answer, Asked, LeftOut, Stopped, Turn, Withheld

Facts = Mapping[str, object]
DETAIL_CHARACTERS_MAX = 200


def still_there() -> Refusal | None:
    """What was shown stays."""
    return None


class Check(NamedTuple):
    """A step and how it is done. `do` gives the figures, or raises what is wrong. Of one that a person judges, `wrong`
    is what a *no* stands for, and `gone` says why what was shown is there no more: nobody can be asked about it."""

    step: Step
    do: Callable[[Turn], Facts]
    wrong: type[Refusal] = SelfTestBroken
    gone: Callable[[], Refusal | None] = still_there


class Part(NamedTuple):
    """One part of a device with its checks, in their order. `close` lets go of it, whatever became of the checks."""

    name: str
    checks: Sequence[Check]
    close: Callable[[], None] = lambda: None


Hears = Callable[[Result], None]
HAPPENED = {
    Answer.YES: Happened.YES,
    Answer.NO: Happened.NO,
    Answer.AGAIN: Happened.AGAIN,
    Answer.SKIP: Happened.SKIP,
    Answer.STOP: Happened.STOP,
}


def run(parts: Iterable[Part], turn: Turn, is_wanted: Callable[[Step], bool], hears: Hears) -> tuple[Result, ...]:
    """Everything, in order; `hears` is told of each result when it is there."""
    held = list(parts)
    checks = {check.step.id: check for part in held for check in part.checks}
    try:
        walk = begin((check.step for part in held for check in part.checks), is_wanted)
        told = 0
        while True:
            for result in walk.results[told:]:
                hears(result)
            told = len(walk.results)
            if (step := walk.step) is None:
                return walk.results
            walk = _one(walk, checks[step.id], turn)
    finally:
        for part in held:
            part.close()


def _one(walk: Walk, check: Check, turn: Turn) -> Walk:
    """From the beginning of a step to its verdict."""
    begun_s = turn.now_s()
    facts: Facts = {}
    happened, refusal = Happened.AGAIN, None
    again = 0
    while happened is Happened.AGAIN:
        happened, refusal, facts = _done(check, turn)
        if happened is Happened.SHOWN:
            walk = walk.after(happened)
            happened, refusal = _asked(check, turn)
        again += 1
        if happened is Happened.AGAIN and again > AGAIN_MAX:
            happened = Happened.SKIP
        elif happened is Happened.AGAIN:
            walk = walk.after(happened)
    return walk.after(happened, refusal, facts, round((turn.now_s() - begun_s) * 1_000))


def _done(check: Check, turn: Turn) -> tuple[Happened, Refusal | None, Facts]:
    turn.show(Asked(check.step.id, f"selftest.step.{check.step.id}"))
    try:
        facts = check.do(turn)
    except LeftOut:
        return Happened.SKIP, None, {}
    except Withheld:
        return Happened.WITHHELD, None, {}
    except Stopped:
        return Happened.STOP, None, {}
    except Refusal as refusal:
        return Happened.ILL, refusal, {}
    except Exception as error:  # noqa: BLE001 - the parts behind it are tried all the same
        return Happened.ILL, SelfTestBroken(f"{check.step.id}: {error!r}"[:DETAIL_CHARACTERS_MAX]), {}
    return (Happened.SHOWN if check.step.is_asked else Happened.MEASURED), None, facts


def _asked(check: Check, turn: Turn) -> tuple[Happened, Refusal | None]:
    turn.show(Asked(check.step.id, f"selftest.ask.{check.step.id}", is_question=True))
    answer = turn.answer(turn.times.ask_s, lambda: check.gone() is not None)
    if answer is not None:
        return HAPPENED[answer], check.wrong(check.step.id) if answer is Answer.NO else None
    gone = check.gone()
    return (Happened.SILENT, None) if gone is None else (Happened.ILL, gone)
