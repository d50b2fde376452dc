"""Which runs of which trips a journal holds: from the drivers' own events, newest first. DESIGN §5, §6.

Reads in short stretches, bounded; never writes. A trip may have run more than once: ended by mistake, and begun again.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from bus_validator.trip import Run
from offline_ledger.protocol.device import EventKind
from offline_ledger.protocol.shift_event import ShiftEventKind, shift_event_in
from offline_ledger.terminal.journal_rows import EventRow, Tail

STRETCH = 100
"""Vouchers whose events are looked through in one go, for which a passenger may have to wait: some milliseconds."""
STRETCHES_MAX = 1_000
"""Ten weeks of a full bus; a device keeps five."""
STRETCH_EVENTS_MAX = 500
"""Signing on and off between a hundred passengers; one who plays with the PIN pad longer hides older trips."""
RUNS_MAX = 8
"""Of one trip: nobody ends it by mistake more often."""
NAMED_MAX = 8
"""Newest trips that a refusal names."""


class EventJournal(Protocol):
    """What finding a run needs of the journal."""

    @property
    def tail(self) -> Tail: ...

    def events_of(self, kind: int, first: int, last: int, limit: int) -> list[tuple[int, EventRow]]: ...


class Found(NamedTuple):
    """The runs of one trip, oldest first; and the newest trips of all, newest first, when there is none of it."""

    runs: tuple[Run, ...]
    newest: tuple[str, ...]


def runs_of(journal: EventJournal, trip: str) -> Found:
    """The newest runs of this trip. Raises JournalDamaged."""
    runs: list[Run] = []
    newest: dict[str, None] = {}
    for run in _runs(journal):
        if run.trip == trip:
            runs.append(run)
            if len(runs) == RUNS_MAX:
                break
        elif len(newest) < NAMED_MAX:
            newest.setdefault(run.trip)
    return Found(tuple(reversed(runs)), tuple(newest))


def _runs(journal: EventJournal) -> Iterator[Run]:
    """Every run, newest first: as `trip.start_trip` began it, but for where it was in a route file."""
    last = journal.tail.sequence
    for _ in range(STRETCHES_MAX):
        first = max(0, last - STRETCH + 1)
        for sequence, row in journal.events_of(EventKind.SHIFT, first, last, STRETCH_EVENTS_MAX):
            shift = shift_event_in(row.body)
            if shift is not None and shift.what == ShiftEventKind.TRIP_STARTED:
                place = (shift.route, shift.direction, shift.trip, None, 0, shift.stop)
                yield Run(*place, shift.at_s, sequence + 1, row.number, shift.routes_counter)
        if not first:
            return
        last = first - 1
