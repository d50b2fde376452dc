"""Is a one-way code fresh, and do two codes fall into one window. Pure. DESIGN §5 "Clock".

The verifier enforces the time that the wallet signed; it never merely carries it, and never sets a clock by it.
"""

from offline_ledger.errors import CodeFromFuture, CodeTooOld, ValidityTooLong
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits


def check_fresh(at: TimeNow, shown_at_s: int, valid_for_s: int, limits: Limits) -> None:
    """Fresh: −skew ≤ now − shown_at ≤ valid_for + skew, where the wallet may claim 1…30 s.

    Under `floor` the estimate is only a "not before": the code need only be shown ≥ floor − 30 − skew, for how far
    it is ahead cannot be known; `check_floor_count` bounds how many are taken so.
    Raises ValidityTooLong, CodeFromFuture, CodeTooOld.
    """
    if not 1 <= valid_for_s <= limits.freshness_s:
        raise ValidityTooLong(f"{valid_for_s} s")
    age_s = at.at_s - shown_at_s
    if at.trust is ClockTrust.FLOOR:
        if age_s > limits.freshness_s + limits.skew_s:
            raise CodeTooOld(f"{age_s} s before the floor")
        return
    if age_s < -limits.skew_s:
        raise CodeFromFuture(f"{-age_s} s ahead")
    if age_s > valid_for_s + limits.skew_s:
        raise CodeTooOld(f"{age_s} s old, valid for {valid_for_s} s")


def is_within_window(first_s: int, second_s: int, limits: Limits) -> bool:
    """Are two taps, in either order, so close that one screen can have made both: 30 s + 2·skew?"""
    return abs(second_s - first_s) <= limits.window_s
