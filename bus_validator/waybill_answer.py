"""`kgo-bus waybill`: a trip's waybill as text, CSV or JSON, out of the journal alone. DESIGN §5, §6.

Answered beside the customers, on the thread of who asks: nothing waits for a turn, nothing is written. A waybill of a
running trip is the journal's, which may be a second behind the last light. Docs: docs/driver.md.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bus_validator.trip import SHIFT_META, Run, decode_shift
from bus_validator.trip_keeper import WAYBILL_WORD
from bus_validator.trip_runs import EventJournal, runs_of
from bus_validator.waybill_rows import WaybillJournal, read_waybill
from bus_validator.waybill_text import as_csv, as_json, as_text
from offline_ledger.errors import CommandIncomplete, TripNotKept, WaybillNone
from offline_ledger.texts import LANGUAGES, Texts

NEWEST, CURRENT, LAST = "newest", "current", "last"
"""Words for a trip: the running one or else the last, the running one, the one that ended last; or its id."""
FORMATS = ("text", "csv", "json")


class AskedJournal(WaybillJournal, EventJournal, Protocol):
    """The journal, as far as a question reads it."""

    def meta_get(self, key: str) -> bytes | None: ...


def answer(journal: AskedJournal, city: str, words: list[str]) -> Sequence[Mapping[str, object]]:
    """One line with the waybill as `written`. Raises CommandIncomplete for other words than were agreed on, and what
    `written` raises."""
    match words:
        case [trip, kind, language] if kind in FORMATS and language in LANGUAGES:
            return [{"written": written(journal, city, trip, kind, language)}]
        case _:
            raise CommandIncomplete(f"{WAYBILL_WORD} TRIP {'|'.join(FORMATS)} {'|'.join(LANGUAGES)}")


def written(journal: AskedJournal, city: str, trip: str, kind: str, language: str) -> str:
    """The waybill of each run of that trip, oldest first. Raises WaybillNone, TripNotKept, JournalDamaged."""
    waybills = [read_waybill(journal, city, run) for run in _asked_runs(journal, trip)]
    match kind:
        case "csv":
            return as_csv(waybills)
        case "json":
            return as_json(waybills) + "\n"
        case _:
            return as_text(waybills, Texts(language).get)


def _asked_runs(journal: AskedJournal, trip: str) -> tuple[Run, ...]:
    if trip in (NEWEST, CURRENT, LAST):
        state = decode_shift(journal.meta_get(SHIFT_META))
        run = {NEWEST: state.run or state.last_run, CURRENT: state.run, LAST: state.last_run}[trip]
        if run is None:
            raise WaybillNone("" if trip == NEWEST else trip)
        return (run,)
    found = runs_of(journal, trip)
    if not found.runs and not found.newest:
        raise WaybillNone(trip)
    if not found.runs:
        raise TripNotKept(", ".join(found.newest))
    return found.runs
