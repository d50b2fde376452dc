"""Real terminals and the real city over links that lose, cut, truncate and delay: posted once, all of it. DESIGN §7."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from simulators.demo.processes import wait_until
from simulators.demo.story import GREEN
from simulators.fault_link import Mode, Plan
from tests.processes.test_kill import small_town, start_trip
from tests.processes.tills import settle, show

REQUEST_BYTES_MAX = 6_000
ANSWER_BYTES_MAX = 4_000


def plans(rng: Random, cuts_per_kind: int) -> list[Plan]:
    """Every way to lose an answer, at random places."""
    found = [Plan(mode=Mode.LOSE_ANSWERS), Plan(mode=Mode.BLACK_HOLE), Plan(mode=Mode.REFUSE), Plan(delay_ms=150)]
    for _ in range(cuts_per_kind):
        found.append(Plan(cut_up_bytes=rng.randrange(REQUEST_BYTES_MAX)))
        found.append(Plan(cut_down_bytes=rng.randrange(ANSWER_BYTES_MAX)))
        found.append(Plan(truncate_bytes=rng.randrange(ANSWER_BYTES_MAX)))
    rng.shuffle(found)
    return found


@pytest.mark.timeout(1_800)
def test_every_fault_of_the_link_loses_and_doubles_nothing(
    tmp_path: Path, seed: int, rng: Random, slice_of: Callable[[int, int], int]
) -> None:
    sold = 0
    with small_town(tmp_path, seed) as (town, crowd, shop, bus):
        start_trip(bus)
        for plan in plans(rng, slice_of(20, 1)):
            for desk in (shop, bus):
                desk.network.apply(plan)
                assert show(desk, crowd.next(desk))["light"] in GREEN, "a bad link stops no sale"
                sold += 1
                before = desk.network.counts()
                desk.program.tell("sync")
                if plan.mode is not Mode.REFUSE:
                    wait_until(lambda d=desk, b=before: d.network.counts().connections > b.connections, "a try")
        for desk in (shop, bus):
            desk.network.apply(Plan())
        figures = settle(town)
    assert figures.accepted == figures.acked == sold
    assert (figures.lost, figures.doubled) == (0, 0)
