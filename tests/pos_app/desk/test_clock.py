"""When a cashier hears that the clock was wrong (6024): a time that stands on papers was, not a start's first time."""

from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import ClockStepped
from offline_ledger.protocol.device import ClockTrust
from pos_app.desk.desk import STEP_S
from tests.pos_app.desk.desks import Desk
from tests.terminal.desk import NOW_S

DAY_S = 86_400
WORK = {
    "a first start, nobody there": ((), ClockTrust.FLOOR, DAY_S, False),
    "signed in, nothing opened": (("sign_in",), ClockTrust.FLOOR, DAY_S, False),
    "an open shift": (("sign_in", "open_shift"), ClockTrust.FLOOR, DAY_S, True),
    "an open shift, locked again": (("sign_in", "open_shift", "lock"), ClockTrust.FLOOR, DAY_S, True),
    "an open shift, too little": (("sign_in", "open_shift"), ClockTrust.FLOOR, STEP_S, False),
    "a clock that was believed, nobody there": ((), ClockTrust.HOLDOVER, -DAY_S, True),
    "a clock that was believed, at work": (("sign_in",), ClockTrust.SYNCED, DAY_S, True),
}
FIELDS = {"sign_in": {"code": "01", "pin": "1"}, "open_shift": {"float": "500"}}


def step(desk: Desk, trust: ClockTrust, step_s: int) -> bool:
    """The time becomes known, so much away from what it was: is it told?"""
    now = desk.conditions.now
    desk.conditions.now = now._replace(at_s=now.at_s + step_s, trust=trust)
    desk.look()
    return isinstance(desk.core.state.notice, ClockStepped)


@pytest.mark.parametrize("name", WORK)
def test_a_step_is_told_where_a_paper_may_bear_the_time_before(tmp_path: Path, name: str) -> None:
    pressed, trust, step_s, is_told = WORK[name]
    desk = Desk(tmp_path, Random(7))
    desk.conditions.now = desk.conditions.now._replace(at_s=NOW_S, trust=trust)
    desk.look()
    for action in pressed:
        desk.press(action, **FIELDS.get(action, {}))
    desk.look()
    assert desk.core.state.notice is None
    assert step(desk, ClockTrust.SYNCED, step_s) is is_told
    desk.close()


def test_a_start_with_an_open_shift_tells_nothing_before_somebody_works(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    desk = Desk(tmp_path / "before", Random(7)).begin()
    desk.settle()
    for work in ((), ("sign_in",)):
        after = desk.cut(tmp_path / f"after{len(work)}")
        after.conditions.now = after.conditions.now._replace(trust=ClockTrust.FLOOR)
        after.look()
        for action in work:
            after.press(action, **FIELDS[action])
        assert step(after, ClockTrust.SYNCED, DAY_S) is bool(work)
        after.close()
    desk.close()
