"""Vouchers whose green nobody is known to have seen: they wait W of powered time for their wallet. DESIGN §5.

Powered time survives restarts in the journal's small values, counted in steps; a power cut costs the wait one step at
most, in the wallet's favour. When W is over, a signed-for event says what became of it: a boarding is not charged, a
sale is, unless the cashier voids it before. Vouchers come here at a start, after a disk error that wrote one after all,
and for as long as the lamp has not said that their light is on.
"""

from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import EventKind, VoucherKind
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_rows import VoucherRow

POWERED_META = "unratified.powered_ms"
HAS_LIGHT = frozenset({VoucherKind.BOARDING, VoucherKind.SALE, VoucherKind.COUPON})
"""Kinds that somebody waits to see green; another kind only lapses."""
UNCHARGED_MAX = 64
"""More than a lamp can have on its way."""
STEP_MS = 10_000
"""How often powered time is written down while anything waits."""


class UnratifiedVouchers:
    """What is waiting; a green that was shown is ratified at once and never gets here."""

    def __init__(self, journal: Journal, wait_s: int) -> None:
        self._journal = journal
        self._wait_ms = wait_s * 1000
        stored = _stored(journal.meta_get(POWERED_META))
        self._powered_ms = {sequence: stored.get(sequence, 0) for sequence in journal.unratified_sequences()}
        self._reopened = journal.reopened
        self._last_mono_ms: int | None = None
        self._unwritten_ms = 0
        self._uncharged: tuple[int, ...] = ()

    def has_lapsed(self, sequence: int) -> bool:
        """Did its wait end uncharged lately? A light that is confirmed only now charges nobody."""
        self._take_in()
        return sequence in self._uncharged

    def is_waiting(self, sequence: int) -> bool:
        """Whether this voucher may still give its one uncharged green."""
        self._take_in()
        return sequence in self._powered_ms

    def sequences(self) -> list[int]:
        """Of all that wait, oldest first."""
        self._take_in()
        return sorted(self._powered_ms)

    def waiting(self) -> list[VoucherRow]:
        """For the cashier's or driver's list, oldest first."""
        self._take_in()
        found = (self._journal.voucher_at(sequence) for sequence in sorted(self._powered_ms))
        return [row for row in found if row is not None and row.kind in HAS_LIGHT]

    def unseen(self, sequence: int) -> None:
        """Its green is on its way to a lamp that may never show it; until `settled` it waits as after a power cut."""
        self._powered_ms.setdefault(sequence, 0)

    def settled(self, sequence: int) -> None:
        """Its green was seen, or its wallet came back; the journal has the event."""
        self._powered_ms.pop(sequence, None)

    def void(self, sequence: int, at: TimeNow) -> bool:
        """The cashier says that this sale is none: it is not charged. False: it does not wait any more.

        Raises StorageFull, StorageFailed; then it still waits.
        """
        if not self.is_waiting(sequence):
            return False
        self._settle(sequence, at, is_charged=False)
        return True

    def tick(self, mono_ms: int, at: TimeNow) -> None:
        """Count powered time; settle what has waited W. Raises StorageFull, StorageFailed."""
        self._take_in()
        if not self._powered_ms:
            self._last_mono_ms = None
            return
        passed_ms = mono_ms - self._last_mono_ms if self._last_mono_ms is not None else 0
        self._last_mono_ms = mono_ms
        self._unwritten_ms += passed_ms
        self._powered_ms = {sequence: waited + passed_ms for sequence, waited in self._powered_ms.items()}
        for sequence in [sequence for sequence, waited in self._powered_ms.items() if waited > self._wait_ms]:
            self._lapse(sequence, at)
        if self._unwritten_ms >= STEP_MS:
            self._unwritten_ms = 0
            self._journal.meta_put(POWERED_META, cbor.encode([[key, value] for key, value in self._powered_ms.items()]))

    def _lapse(self, sequence: int, at: TimeNow) -> None:
        row = self._journal.voucher_at(sequence)
        self._settle(sequence, at, is_charged=row is None or row.kind != VoucherKind.BOARDING)

    def _settle(self, sequence: int, at: TimeNow, *, is_charged: bool) -> None:
        body = cbor.encode([sequence, at.at_s, is_charged])
        self._journal.settle_unratified(sequence, EventKind.LAPSED, body, is_charged=is_charged)
        del self._powered_ms[sequence]
        if not is_charged:
            self._note_uncharged(sequence)

    def _note_uncharged(self, sequence: int) -> None:
        self._uncharged = (*self._uncharged, sequence)[-UNCHARGED_MAX:]

    def _take_in(self) -> None:
        """After a disk error it is known now what was written: a voucher without a light, or the end of a wait."""
        if self._reopened == self._journal.reopened:
            return
        self._reopened, before = self._journal.reopened, self._powered_ms
        self._powered_ms = {one: before.get(one, 0) for one in self._journal.unratified_sequences()}
        for one in before:
            if one not in self._powered_ms and self._journal.is_uncharged(one):
                self._note_uncharged(one)


def _stored(value: bytes | None) -> dict[int, int]:
    if value is None:
        return {}
    rows = cbor.decode(value, 65_536)
    assert isinstance(rows, list)
    return {int(row[0]): int(row[1]) for row in rows}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
