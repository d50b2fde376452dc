"""How often and how much: back-off with jitter, and a batch that shrinks on a bad link and grows on a good one. Pure.
DESIGN §7.

Never gives up and never hurries: a flapping link makes progress with small batches, a dead one costs a try every few
minutes. Times are monotonic milliseconds.
"""

from typing import NamedTuple

from offline_ledger.protocol.device import BATCH_VOUCHERS_MAX


class PaceSettings(NamedTuple):
    """Waits between exchanges."""

    # Complete and nothing new: often enough that the deny list and the fleet page are minutes old at most.
    interval_ms: int = 60_000
    # A new voucher waits this long for company before it goes out.
    settle_ms: int = 2_000
    back_off_first_ms: int = 1_000
    back_off_last_ms: int = 300_000
    # Each wait is lengthened by up to this share, so that a hundred terminals do not return in one second.
    jitter_per_mille: int = 250


class Pace(NamedTuple):
    """When the next exchange is due, and the size of the next batch."""

    due_ms: int
    wait_ms: int
    batch_vouchers: int = BATCH_VOUCHERS_MAX
    failures: int = 0


def pace_at_start(mono_ms: int, settings: PaceSettings) -> Pace:
    """Due at once."""
    return Pace(mono_ms, settings.back_off_first_ms)


def jittered_ms(wait_ms: int, chance: int, settings: PaceSettings) -> int:
    """`wait_ms` and up to a quarter more; `chance` is 0 … 65,535."""
    return wait_ms + wait_ms * settings.jitter_per_mille * chance // (1000 * 65_536)


def apply_complete(pace: Pace, mono_ms: int, chance: int, settings: PaceSettings) -> Pace:
    """A whole exchange went well."""
    due_ms = mono_ms + jittered_ms(settings.interval_ms, chance, settings)
    return pace._replace(due_ms=due_ms, wait_ms=settings.back_off_first_ms, failures=0)


def apply_failed(pace: Pace, mono_ms: int, chance: int, settings: PaceSettings) -> Pace:
    """An exchange ended early or with something refused: wait, and longer the next time."""
    due_ms = mono_ms + jittered_ms(pace.wait_ms, chance, settings)
    return pace._replace(
        due_ms=due_ms, wait_ms=min(pace.wait_ms * 2, settings.back_off_last_ms), failures=pace.failures + 1
    )


def apply_batch_lost(pace: Pace) -> Pace:
    """The link broke with a batch under way: half of it next time."""
    return pace._replace(batch_vouchers=max(1, pace.batch_vouchers // 2))


def apply_batch_taken(pace: Pace, settings: PaceSettings) -> Pace:
    """Progress: the link is worth trying soon again, with more."""
    grown = min(BATCH_VOUCHERS_MAX, pace.batch_vouchers * 2)
    return pace._replace(batch_vouchers=grown, wait_ms=settings.back_off_first_ms)


def apply_wake(pace: Pace, mono_ms: int, settings: PaceSettings) -> Pace:
    """Something new is waiting: soon, unless the link is in back-off."""
    if pace.failures:
        return pace
    return pace._replace(due_ms=min(pace.due_ms, mono_ms + settings.settle_ms))
