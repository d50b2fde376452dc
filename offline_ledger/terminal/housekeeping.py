"""What may go after an exchange: old acknowledged rows, and states whose expiry is certain. DESIGN §6.

Rows stay longer than the city's oldest backup, and nothing goes while the city must be recovered from us or while the
time is not certain. A few short steps per exchange, so that a sale waits little. Never removes what is not proven in
the log.
"""

from typing import Protocol

from offline_ledger.rules.clock import TimeNow, TimeTrust

DAY_S = 86_400
KEPT_S = 35 * DAY_S
"""The city keeps backups for 30 days; rows stay until the oldest of them can no longer be what it restores."""
STEPS_MAX = 5


class PrunableJournal(Protocol):
    """The journal, as far as it forgets."""

    def prune(self, through_sequence: int, keep_after_s: int) -> int: ...

    def forget_expired(self, certain_now_s: int, rows_max: int = 500) -> int: ...


def tidy(journal: PrunableJournal, prunable_through: int, at: TimeNow) -> int:
    """How many rows and states went. `prunable_through` is `SyncMachine.prunable_through()`.

    Raises StorageFull, StorageFailed.
    """
    if at.trust is not TimeTrust.SYNCED:
        return 0
    removed = 0
    for _ in range(STEPS_MAX if prunable_through else 0):
        count = journal.prune(prunable_through, at.at_s - KEPT_S)
        removed += count
        if count == 0:
            break
    return removed + journal.forget_expired(at.at_s - DAY_S)
