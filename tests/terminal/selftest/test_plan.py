"""The table of a self-test: every step × everything that can happen, and what is passed over."""

from collections.abc import Callable
from itertools import product

import pytest

from offline_ledger.errors import GpsMute, RingWrong, SelfTestBroken
from offline_ledger.terminal.selftest.plan import TABLE, Happened, Result, Step, Verdict, Walk, Where, Whole, Why, begin
from offline_ledger.terminal.selftest.plan import verdict_of as whole_of
from offline_ledger.terminal.selftest.runner import Check, Part, run
from offline_ledger.terminal.selftest.turn import WORDS, Answer, Asked, Times, Turn
from offline_ledger.texts import Texts

MACHINE = Step("disk", "room")
ASKED = Step("head", "ring_red", is_asked=True, needs_hands=True)
AFTER = Step("head", "buzzer", needs=("head.ring_red",))
GONE = Step("gps", "fix", is_fitted=False)
REFUSAL = RingWrong("head.ring_red")


@pytest.mark.parametrize(
    ("happened", "verdict", "why"),
    [
        (Happened.MEASURED, Verdict.PASSED, Why.NOTHING),
        (Happened.ILL, Verdict.FAILED, Why.NOTHING),
        (Happened.SKIP, Verdict.NOT_DONE, Why.LEFT_OUT),
        (Happened.WITHHELD, Verdict.NOT_DONE, Why.WITHHELD),
        (Happened.STOP, Verdict.NOT_DONE, Why.STOPPED),
    ],
)
def test_a_machines_step(happened: Happened, verdict: Verdict, why: Why) -> None:
    walk = begin([MACHINE]).after(happened, REFUSAL, {"free_mb": 3}, 7)
    told = REFUSAL if verdict is Verdict.FAILED else None
    assert walk.results == (Result(MACHINE, verdict, why, told, {"free_mb": 3}, 7),)
    assert walk.step is None


@pytest.mark.parametrize(
    ("happened", "verdict", "why"),
    [
        (Happened.YES, Verdict.PASSED, Why.NOTHING),
        (Happened.NO, Verdict.FAILED, Why.NOTHING),
        (Happened.ILL, Verdict.FAILED, Why.NOTHING),
        (Happened.SKIP, Verdict.NOT_DONE, Why.LEFT_OUT),
        (Happened.SILENT, Verdict.NOT_DONE, Why.UNANSWERED),
        (Happened.STOP, Verdict.NOT_DONE, Why.STOPPED),
    ],
)
def test_a_step_that_a_person_judges(happened: Happened, verdict: Verdict, why: Why) -> None:
    shown = begin([ASKED]).after(Happened.SHOWN)
    assert shown.where is Where.ASKING and not shown.results
    again = shown.after(Happened.AGAIN)
    assert again.where is Where.DOING and again.step is ASKED
    (result,) = again.after(Happened.SHOWN).after(happened, REFUSAL).results
    assert (result.verdict, result.why) == (verdict, why)


def test_what_is_not_in_the_table_cannot_happen() -> None:
    impossible = [pair for pair in product(Where, Happened) if pair not in TABLE]
    assert (Where.DOING, Happened.YES) in impossible, "nobody answers what was not asked"
    assert (Where.ASKING, Happened.MEASURED) in impossible, "what a person judges no machine passes"
    for where, happened in impossible:
        with pytest.raises(KeyError):
            Walk((MACHINE,), (), where).after(happened)


def test_a_part_that_is_not_fitted_is_skipped_by_the_settings_alone() -> None:
    walk = begin([GONE, MACHINE, GONE._replace(name="sentences")]).after(Happened.MEASURED)
    assert [(one.verdict, one.why) for one in walk.results] == [
        (Verdict.SKIPPED, Why.NOT_FITTED),
        (Verdict.PASSED, Why.NOTHING),
        (Verdict.SKIPPED, Why.NOT_FITTED),
    ]
    assert Verdict.SKIPPED not in [outcome[0] for outcome in TABLE.values() if not isinstance(outcome, Where)]


@pytest.mark.parametrize("happened", [Happened.ILL, Happened.SKIP])
def test_what_needs_another_step_is_not_done_without_it(happened: Happened) -> None:
    walk = begin([ASKED._replace(is_asked=False), AFTER]).after(happened, REFUSAL)
    assert (walk.results[1].verdict, walk.results[1].why) == (Verdict.NOT_DONE, Why.BEFORE)
    assert begin([AFTER]).step is AFTER, "what is not in the plan stops nothing"
    skipped = begin([ASKED._replace(is_fitted=False), AFTER])
    assert skipped.step is AFTER


def test_who_stops_stops_all_of_it() -> None:
    walk = begin([MACHINE, ASKED, AFTER]).after(Happened.MEASURED).after(Happened.STOP)
    assert [one.why for one in walk.results] == [Why.NOTHING, Why.STOPPED, Why.STOPPED]


def test_two_steps_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="one name"):
        begin([MACHINE, MACHINE])


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ((Verdict.PASSED, Verdict.SKIPPED), Whole.PASSED),
        ((Verdict.PASSED, Verdict.NOT_DONE), Whole.INCOMPLETE),
        ((Verdict.PASSED, Verdict.FAILED, Verdict.NOT_DONE), Whole.FAILED),
        ((Verdict.SKIPPED,), Whole.INCOMPLETE),
        ((), Whole.INCOMPLETE),
    ],
)
def test_one_failure_fails_all_and_nothing_tried_is_no_pass(verdicts: tuple[Verdict, ...], whole: Whole) -> None:
    assert whole_of([Result(MACHINE, verdict) for verdict in verdicts]) is whole


class Boards:
    """Remembers what was shown, and answers questions in turn."""

    def __init__(self, *answers: Answer) -> None:
        self.shown: list[Asked] = []
        self._answers = list(answers)
        self._is_asked = False

    def show(self, asked: Asked) -> None:
        self.shown.append(asked)
        self._is_asked = asked.is_question

    def take(self) -> Answer | None:
        return self._answers.pop(0) if self._is_asked and self._answers else None

    def forget(self) -> None:
        """Nothing was said before."""


def ran(check: Check, *answers: Answer, ask_s: float = 5.0) -> tuple[Result, Boards, list[str]]:
    boards, closed = Boards(*answers), list[str]()
    turn = Turn(Texts("en"), [boards], [boards], Times(ask_s=ask_s))
    part = Part("x", (check,), lambda: closed.append("closed"))
    (result,) = run([part], turn, lambda _step: True, lambda _result: None)
    return result, boards, closed


def fine(_turn: Turn) -> dict[str, object]:
    return {"figure": 1}


def broken(_turn: Turn) -> dict[str, object]:
    raise ZeroDivisionError("a slip in a check")


def test_a_check_that_breaks_is_told_by_number_and_its_part_is_closed() -> None:
    result, _, closed = ran(Check(MACHINE, broken))
    assert isinstance(result.refusal, SelfTestBroken) and "ZeroDivisionError" in result.refusal.detail
    assert closed == ["closed"]


def test_no_is_the_refusal_of_its_check_and_again_shows_it_anew() -> None:
    check = Check(ASKED, fine, RingWrong)
    result, boards, _ = ran(check, Answer.AGAIN, Answer.NO)
    assert isinstance(result.refusal, RingWrong) and result.facts == {"figure": 1}
    assert [asked.is_question for asked in boards.shown] == [False, True, False, True]


def test_nobody_answers_and_it_ends() -> None:
    result, _, _ = ran(Check(ASKED, fine, RingWrong), ask_s=0.05)
    assert (result.verdict, result.why) == (Verdict.NOT_DONE, Why.UNANSWERED)


def test_again_has_an_end() -> None:
    result, boards, _ = ran(Check(ASKED, fine, RingWrong), *[Answer.AGAIN] * 40)
    assert (result.verdict, result.why) == (Verdict.NOT_DONE, Why.LEFT_OUT)
    assert len(boards.shown) == 42


def test_what_goes_while_it_is_asked_about_fails_by_its_own_number() -> None:
    result, _, _ = ran(Check(ASKED, fine, RingWrong, lambda: GpsMute("gone")))
    assert isinstance(result.refusal, GpsMute)


def test_a_technician_breaks_into_a_wait_but_not_with_a_yes() -> None:
    def waits(turn: Turn) -> dict[str, object]:
        turn.show(Asked("x", "selftest.how", is_question=True))
        turn.rest(2.0)
        return {}

    for answer, verdict in ((Answer.SKIP, Verdict.NOT_DONE), (Answer.STOP, Verdict.NOT_DONE)):
        result, _, _ = ran(Check(MACHINE, waits), Answer.YES, Answer.NO, answer)
        assert result.verdict is verdict and result.took_ms < 1_500


@pytest.mark.parametrize("language", ["th", "en"])
def test_every_answer_can_be_typed_in_both_languages(language: str) -> None:
    is_thai: Callable[[str], bool] = lambda word: any("฀" <= char <= "๿" for char in word)  # noqa: E731
    typed = {answer for word, answer in WORDS.items() if is_thai(word) is (language == "th")}
    assert typed == set(Answer)
