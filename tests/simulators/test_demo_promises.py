"""Each broken promise of the demo, and each part of its plan that did not happen, is said in words. DESIGN §1, §2."""

from dataclasses import replace

import pytest

from simulators.demo.desk import Reader
from simulators.demo.reader import Figures, broken_promises
from simulators.demo.run import BUS_ID, SHOP_ID, _plan_kept, judge_run
from simulators.demo.story import Told

KEPT = Figures(40, 6, 40, 0, 0, 1, 0, 0, (), ())


def told(**fewer: int) -> Told:
    """The story as planned; `fewer`: so many codes less at `shop_camera` and the like."""
    found = Told(refusals=6, cheats=1)
    for name, device in (("shop", SHOP_ID), ("bus", BUS_ID)):
        for reader in Reader:
            found.by_reader[device, reader] = 10 - fewer.get(f"{name}_{reader.name.lower()}", 0)
    return found


def test_kept_promises_and_a_plan_that_happened_leave_nothing_to_say() -> None:
    assert broken_promises(KEPT, audit_ok=True, cheats=1) == []
    assert _plan_kept(KEPT, told()) == []
    assert judge_run(KEPT, told(), audit=(True, ""), badly_ended=[], seconds=13.9) == []


@pytest.mark.parametrize(("seconds", "is_kept"), [(59.9, True), (60.0, False), (60.1, False), (3_600.0, False)])
def test_a_minute_or_more_is_a_broken_promise(seconds: float, *, is_kept: bool) -> None:
    broken = judge_run(KEPT, told(), audit=(True, ""), badly_ended=[], seconds=seconds)
    assert broken == ([] if is_kept else [f"it took {seconds} s, not under 60"])


def test_the_run_is_judged_by_everything_that_it_promises() -> None:
    """Each alone is enough for exit code 1."""
    off = told()
    off.wrong_lights.append("bus-008, Mali: green was due")
    for figures, story, audit, ended, says in (
        (replace(KEPT, lost=1), told(), (True, ""), [], "lost"),
        (KEPT, off, (True, ""), [], "green was due"),
        (KEPT, told(bus_camera=1), (True, ""), [], BUS_ID),
        (KEPT, told(), (False, "its root is off"), [], "its root is off"),
        (KEPT, told(), (True, ""), ["kgo-city ended with 1"], "kgo-city ended with 1"),
    ):
        broken = judge_run(figures, story, audit=audit, badly_ended=ended, seconds=1.0)
        assert broken and says in broken[-1]


@pytest.mark.parametrize(
    ("figures", "says"),
    [
        (replace(KEPT, lost=1), "lost"),
        (replace(KEPT, doubled=2), "charged twice"),
        (replace(KEPT, acked=39), "39 acknowledged"),
        (replace(KEPT, kgo_sum=1), "KGO 1"),
        (replace(KEPT, thb_sum=-1), "THB -1"),
        (replace(KEPT, equivocations_proven=0), "0 are proven"),
        (replace(KEPT, equivocations_proven=2), "2 are proven"),
        (replace(KEPT, faults=("its chain breaks at 7",)), "its chain breaks at 7"),
    ],
)
def test_each_figure_that_is_wrong_is_one_broken_promise(figures: Figures, says: str) -> None:
    (broken,) = broken_promises(figures, audit_ok=True, cheats=1)
    assert says in broken


def test_an_audit_that_fails_breaks_it_whatever_the_figures_say() -> None:
    assert len(broken_promises(KEPT, audit_ok=False, cheats=1)) == 1


@pytest.mark.parametrize(
    ("figures", "story"),
    [
        (replace(KEPT, accepted=39), told()),
        (replace(KEPT, accepted=41), told()),
        (replace(KEPT, refused=5), told()),
        (KEPT, told(shop_camera=1)),
        (KEPT, told(shop_serial=-1)),
        (KEPT, told(bus_camera=10)),
        (KEPT, told(bus_serial=1)),
    ],
)
def test_a_plan_that_did_not_happen_is_a_broken_promise(figures: Figures, story: Told) -> None:
    assert len(_plan_kept(figures, story)) == 1
