"""When a new version has proved itself, and when it is given up. Pure."""

import pytest

from offline_ledger.terminal.updates.proving import DEADLINE_TIMES, STILL_MS_MAX, Life, Seen, Verdict, judge
from offline_ledger.terminal.updates.proving import judged_troubles as judged

PROVE_MS = 20_000
LATE_MS = PROVE_MS * DEADLINE_TIMES
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("seen", "before", "verdict", "lacks"),
    [
        (Seen(PROVE_MS - 1, PROVE_MS - 1, NONE, True, True), (), Verdict.WAIT, ()),
        (Seen(PROVE_MS, PROVE_MS, NONE, True, True), (), Verdict.GOOD, ()),
        (Seen(PROVE_MS, PROVE_MS, NONE, False, True), (), Verdict.WAIT, ("sync",)),
        (Seen(LATE_MS, LATE_MS, NONE, False, True), (), Verdict.FAILED, ("sync",)),
        (Seen(LATE_MS - 1, LATE_MS - 1, frozenset({"head"}), True, True), (), Verdict.WAIT, ("head",)),
        (Seen(LATE_MS, LATE_MS, frozenset({"head"}), True, True), (), Verdict.FAILED, ("head",)),
        (Seen(PROVE_MS, PROVE_MS, frozenset({"head"}), True, True), ("head",), Verdict.GOOD, ()),
        (Seen(LATE_MS, LATE_MS, frozenset({"head", "key"}), True, True), ("head",), Verdict.FAILED, ("key",)),
        (Seen(10, LATE_MS, NONE, True, True), (), Verdict.FAILED, ("still",)),
        # The first version of all: a technician is there, and there is nothing to go back to.
        (Seen(PROVE_MS, PROVE_MS, frozenset({"head"}), False, False), (), Verdict.GOOD, ()),
        (Seen(LATE_MS, LATE_MS, frozenset({"journal"}), True, False), (), Verdict.WAIT, ("journal",)),
    ],
)
def test_the_verdict(seen: Seen, before: tuple[str, ...], verdict: Verdict, lacks: tuple[str, ...]) -> None:
    assert judge(seen, before, PROVE_MS) == (verdict, lacks)


def test_a_thread_that_hung_begins_anew() -> None:
    life = Life(1_000)
    assert life.turn(1_000 + STILL_MS_MAX) == STILL_MS_MAX
    assert life.turn(1_001 + 2 * STILL_MS_MAX) == 0, "it stood still for longer than it may"
    assert life.turn(1_501 + 2 * STILL_MS_MAX) == 500


def test_what_no_version_brings_is_not_held_against_it() -> None:
    assert judged(["sync", "trip", "clock", "update", "printer"]) == {"printer"}
