"""A trip's rows out of the journal, for its waybill: from where it began to its end or the journal's. DESIGN §5, §6.

Reads in pages, bounded; never writes. What was pruned is counted as missing, not guessed.
"""

from typing import Protocol

from bus_validator.kept_allowance import AllowanceJournal, kept_allowance
from bus_validator.trip import Run
from bus_validator.waybill import UNKNOWN_CONCESSION, VOUCHERS_MAX, TripEvent, TripVoucher, Waybill, waybill_of
from offline_ledger.protocol import cose
from offline_ledger.protocol.device import VOUCHER, EventKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX
from offline_ledger.protocol.shift_event import ShiftEventKind, shift_event_in
from offline_ledger.terminal.journal_rows import EventRow, Tail, VoucherRow

EVENTS_PAGE = 100
"""Read in one go, for which a passenger's voucher may have to wait: a millisecond or two."""
EVENTS_MAX = 50_000
"""Of one trip: every passenger of a full day and 2,000 refusals are far fewer."""


class WaybillJournal(AllowanceJournal, Protocol):
    """What a waybill needs of the journal."""

    @property
    def tail(self) -> Tail: ...

    def voucher_at(self, sequence: int) -> VoucherRow | None: ...

    def events_after(self, number: int, limit: int, not_before_sequence: int = 0) -> list[EventRow]: ...

    def unratified_sequences(self) -> list[int]: ...

    def is_uncharged(self, sequence: int) -> bool: ...


def read_waybill(journal: WaybillJournal, city: str, run: Run) -> Waybill:
    """The waybill of a run, running or ended, as the journal has it durably: what waits in memory is not in it
    (`Journal.flush`). May be read on any thread while passengers board. Raises JournalDamaged."""
    tail = journal.tail
    unratified = frozenset(journal.unratified_sequences())
    events, last = _events(journal, run, tail)
    sequences = range(run.first_sequence, min(last, run.first_sequence + VOUCHERS_MAX - 1) + 1)
    classes: dict[bytes, int] = {}
    found: list[TripVoucher] = []
    for sequence in sequences:
        row = journal.voucher_at(sequence)
        if row is None:
            continue
        voucher = VOUCHER.decode(cose.parse_sign1(row.voucher, _AAD_FREE).payload, OBJECT_BYTES_MAX)
        concession = _concession(journal, city, row.allowance_hash, classes)
        is_open, is_sent = sequence in unratified, sequence <= tail.acked_sequence
        found.append(TripVoucher(voucher, concession, is_open, is_sent, journal.is_uncharged(sequence)))
    missing = len(sequences) - len(found) + max(0, last - (run.first_sequence + VOUCHERS_MAX - 1))
    return waybill_of(run, found, events, missing)


_AAD_FREE = b""
"""The payload is our own signed word; who it was signed for was checked when it was written."""


def _concession(journal: WaybillJournal, city: str, allowance_hash: bytes | None, known: dict[bytes, int]) -> int:
    """The fare class of the allowance behind a voucher; one that cannot be read counts under no class."""
    if allowance_hash is None:
        return UNKNOWN_CONCESSION
    if allowance_hash not in known:
        found = kept_allowance(journal, city, allowance_hash)
        known[allowance_hash] = UNKNOWN_CONCESSION if found is None else found.concession
    return known[allowance_hash]


def _events(journal: WaybillJournal, run: Run, tail: Tail) -> tuple[list[TripEvent], int]:
    """Those of the run, to its end; and the last voucher that can belong to it."""
    found: list[TripEvent] = []
    number, last = run.first_event - 1, min(tail.event_number, run.first_event + EVENTS_MAX)
    while number < last:
        page = journal.events_after(number, min(EVENTS_PAGE, last - number), run.first_sequence - 1)
        if not page:
            break
        for row in page:
            found.append(TripEvent(row.kind, row.body))
            shift = shift_event_in(row.body) if row.kind == EventKind.SHIFT else None
            if shift is not None and shift.what == ShiftEventKind.TRIP_ENDED:
                return found, min(shift.after, tail.sequence)
        number = page[-1].number
    return found, tail.sequence
