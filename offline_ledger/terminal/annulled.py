"""Which boardings the driver took back: their codes open no door any more, and none is taken back twice. DESIGN §5.

Only the last boarding may be annulled, and soon; so the newest few are all that a code in somebody's hand can be about.
"""

from typing import cast

from offline_ledger.errors import JournalDamaged, Refusal
from offline_ledger.protocol import cbor
from offline_ledger.terminal.journal import Journal

ANNULLED_META = "annulled"
ANNULLED_MAX = 64
"""More than a driver takes back in an intent's life; the city refuses a second annulment whatever is known here."""
_BYTES_MAX = 1_024


class AnnulledVouchers:
    """The newest of them, by sequence."""

    def __init__(self, journal: Journal) -> None:
        """Raises JournalDamaged when what is kept is no list of sequences."""
        self._journal = journal
        self._reopened = journal.reopened
        self._sequences = _kept(journal)

    def has(self, sequence: int) -> bool:
        """Was this one taken back? After a disk error the journal knows what was written. Raises JournalDamaged."""
        if self._reopened != self._journal.reopened:
            self._reopened, self._sequences = self._journal.reopened, _kept(self._journal)
        return sequence in self._sequences

    def meta_with(self, sequence: int) -> dict[str, bytes]:
        """What to make durable with the annulment's voucher."""
        return {ANNULLED_META: cbor.encode([*self._sequences, sequence][-ANNULLED_MAX:])}

    def add(self, sequence: int) -> None:
        """It is durable."""
        self._sequences = [*self._sequences, sequence][-ANNULLED_MAX:]


def _kept(journal: Journal) -> list[int]:
    kept = journal.meta_get(ANNULLED_META)
    try:
        found: object = cbor.decode(kept, _BYTES_MAX) if kept is not None else []
    except Refusal as refusal:
        raise JournalDamaged("the annulled boardings are no list") from refusal
    if not isinstance(found, list):
        raise JournalDamaged("the annulled boardings are no list")
    return [_sequence(one) for one in cast(list[object], found)]


def _sequence(found: object) -> int:
    if type(found) is not int:
        raise JournalDamaged("an annulled boarding is no sequence")
    return found
