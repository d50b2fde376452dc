"""What the terminal says about its link to the city. Pure. DESIGN §7.

"Online" is green only when the queue is really empty. The link is down after several failures in a row, not after one,
and up again only after a whole exchange, so the badge does not flicker. Never guesses from a network card.
"""

from enum import StrEnum
from typing import NamedTuple

from offline_ledger.errors import CityUnreachable, Refusal

FAILURES_BEFORE_DOWN = 2
REJECTED_SHOWN_MAX = 5


class Connection(NamedTuple):
    """Hysteresis over whole exchanges; `trouble` is what the last one ended with."""

    is_up: bool = False
    failures: int = 0
    trouble: Refusal | None = None

    def after_complete(self) -> "Connection":
        """One whole exchange is proof enough."""
        return Connection(True, 0, None)

    def after_failure(self, trouble: Refusal, *, was_lost: bool) -> "Connection":
        """`was_lost`: no answer came; else the city answered, but something in it was refused."""
        failures = self.failures + 1
        is_up = self.is_up and (not was_lost or failures < FAILURES_BEFORE_DOWN)
        return Connection(is_up, failures, trouble)


class Badge(StrEnum):
    """What the badge on the screen shows; each has its own shape and words."""

    SYNCED = "synced"
    SENDING = "sending"
    OFFLINE = "offline"
    ATTENTION = "attention"


class SyncStatus(NamedTuple):
    """A snapshot. Times in Unix seconds; None: never."""

    pending_count: int
    oldest_pending_at_s: int | None
    events_waiting: int
    last_ack_at_s: int | None
    complete_at_s: int | None
    is_connected: bool
    failures: int
    trouble: Refusal | None
    rejected: tuple[tuple[int, int], ...]
    is_restored: bool

    @property
    def rejected_newest(self) -> tuple[int, ...]:
        """Numbers of the last few that the city rejected, for a line that a person reads."""
        return tuple(sequence for sequence, _refusal in self.rejected[-REJECTED_SHOWN_MAX:])

    @property
    def badge(self) -> Badge:
        """Green (`synced`) needs a link that works, nothing at all waiting, and no refusal beside it."""
        if self.is_restored or (self.trouble is not None and not self.trouble.waiting_helps):
            return Badge.ATTENTION
        if not self.is_connected:
            return Badge.OFFLINE
        if self.trouble is not None:  # one lost try is tried again and does not flicker; what was answered is looked at
            return Badge.SENDING if isinstance(self.trouble, CityUnreachable) else Badge.ATTENTION
        return Badge.SENDING if self.pending_count or self.events_waiting else Badge.SYNCED

    def oldest_pending_age_s(self, now_s: int) -> int | None:
        """How long the oldest voucher has waited; never negative."""
        return max(0, now_s - self.oldest_pending_at_s) if self.oldest_pending_at_s is not None else None

    def synced_age_s(self, now_s: int) -> int | None:
        """How long ago the last whole exchange was."""
        return max(0, now_s - self.complete_at_s) if self.complete_at_s is not None else None
