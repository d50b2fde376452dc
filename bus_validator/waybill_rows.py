"""A trip's rows out of the journal, for its waybill: from where it began to where the journal ends. DESIGN §5, §6.

Reads in pages, bounded; never writes. What was pruned is counted as missing, not guessed.
"""

from collections.abc import Iterator
from typing import Protocol

from bus_validator.trip import Run
from bus_validator.waybill import UNKNOWN_CONCESSION, VOUCHERS_MAX, TripEvent, TripVoucher, Waybill, waybill_of
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cose
from offline_ledger.protocol.device import VOUCHER
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import ALLOWANCE
from offline_ledger.terminal.journal_rows import EventRow, Tail, VoucherRow

EVENTS_PAGE = 500
EVENTS_MAX = 50_000
"""Of one trip: every passenger of a full day and 2,000 refusals are far fewer."""


class WaybillJournal(Protocol):
    """What a waybill needs of the journal."""

    @property
    def tail(self) -> Tail: ...

    def voucher_at(self, sequence: int) -> VoucherRow | None: ...

    def events_after(self, number: int, limit: int) -> list[EventRow]: ...

    def allowance_bytes(self, allowance_hash: bytes) -> bytes | None: ...

    def unratified_sequences(self) -> list[int]: ...

    def flush(self) -> None: ...


def read_waybill(journal: WaybillJournal, city: str, run: Run) -> Waybill:
    """The waybill of a run as the journal has it now, after what waited in memory is durable. Raises JournalDamaged,
    StorageFull, StorageFailed."""
    journal.flush()
    tail = journal.tail
    unratified = frozenset(journal.unratified_sequences())
    sequences = range(run.first_sequence, min(tail.sequence, run.first_sequence + VOUCHERS_MAX - 1) + 1)
    classes: dict[bytes, int] = {}
    found: list[TripVoucher] = []
    for sequence in sequences:
        row = journal.voucher_at(sequence)
        if row is None:
            continue
        voucher = VOUCHER.decode(cose.parse_sign1(row.voucher, _AAD_FREE).payload, OBJECT_BYTES_MAX)
        concession = _concession(journal, city, row.allowance_hash, classes)
        found.append(TripVoucher(voucher, concession, sequence in unratified, sequence <= tail.acked_sequence))
    missing = len(sequences) - len(found) + max(0, tail.sequence - (run.first_sequence + VOUCHERS_MAX - 1))
    return waybill_of(run, found, _events(journal, run.first_event, tail.event_number), missing)


_AAD_FREE = b""
"""The payload is our own signed word; who it was signed for was checked when it was written."""


def _concession(journal: WaybillJournal, city: str, allowance_hash: bytes | None, known: dict[bytes, int]) -> int:
    """The fare class of the allowance behind a voucher."""
    if allowance_hash is None:
        return UNKNOWN_CONCESSION
    if allowance_hash not in known:
        raw = journal.allowance_bytes(allowance_hash)
        known[allowance_hash] = UNKNOWN_CONCESSION
        if raw is not None:
            try:
                payload = cose.parse_sign1(raw, cose.external_aad(Kind.ALLOWANCE, city)).payload
                known[allowance_hash] = ALLOWANCE.decode(payload, OBJECT_BYTES_MAX).concession
            except Refusal:
                pass  # unreadable: its boarding still counts, under no class
    return known[allowance_hash]


def _events(journal: WaybillJournal, first: int, last: int) -> Iterator[TripEvent]:
    number = first - 1
    while number < min(last, first + EVENTS_MAX):
        page = journal.events_after(number, EVENTS_PAGE)
        if not page:
            return
        for row in page:
            yield TripEvent(row.kind, row.body)
        number = page[-1].number
