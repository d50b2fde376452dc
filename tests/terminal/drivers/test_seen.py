"""A code held in view is reported once, and again after it left or after a while."""

import pytest

from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.drivers.seen import SEEN_MAX, SeenFilter


def test_held_in_view_is_reported_once_per_period() -> None:
    seen = SeenFilter(left_view_s=1.0, again_s=3.0)
    reported = [tick for tick in range(0, 100) if seen.fresh(["A"], tick / 10)]
    assert reported == [0, 30, 60, 90]


def test_held_in_view_is_reported_once_for_good() -> None:
    seen = SeenFilter(left_view_s=1.0, again_s=0)
    assert [tick for tick in range(0, 1000) if seen.fresh(["A"], tick / 10)] == [0]


@pytest.mark.parametrize(("away_s", "reported"), [(0.9, []), (1.0, ["A"])])
def test_left_the_view(away_s: float, reported: list[str]) -> None:
    seen = SeenFilter(left_view_s=1.0, again_s=0)
    assert seen.fresh(["A"], 5.0) == ["A"]
    assert seen.fresh([], 5.1) == []
    assert seen.fresh(["A"], 5.0 + away_s) == reported


def test_two_phones_in_view() -> None:
    seen = SeenFilter(left_view_s=1.0, again_s=0)
    assert seen.fresh(["A", "B"], 0.0) == ["A", "B"]
    assert seen.fresh(["B", "A", "C"], 0.1) == ["C"]


def test_twice_in_one_frame_is_once() -> None:
    assert SeenFilter(left_view_s=1.0, again_s=0).fresh(["A", "A"], 0.0) == ["A"]


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    seen = SeenFilter(left_view_s=1000.0, again_s=0)
    names = [str(n) for n in range(SEEN_MAX + 1)]
    for tick, name in enumerate(names):
        assert seen.fresh([name], tick) == [name]
    assert seen.fresh([names[-1]], 100.0) == []
    assert seen.fresh([names[0]], 100.0) == [names[0]]


def test_back_off_doubles_to_its_end_and_starts_anew_after_success() -> None:
    back_off = BackOff(0.1, 0.5)
    assert back_off.left_s(0.0) == 0
    waits = []
    for _ in range(5):
        back_off.failed(10.0)
        waits.append(round(back_off.left_s(10.0), 3))
    assert waits == [0.1, 0.2, 0.4, 0.5, 0.5]
    assert back_off.left_s(10.6) == 0
    back_off.worked()
    back_off.failed(20.0)
    assert round(back_off.left_s(20.0), 3) == 0.1
