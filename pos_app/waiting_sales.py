"""The cashier's list: sales that were charged, and whose green nobody is known to have seen. DESIGN §5.

After a power cut or a disk error they wait for their customers; the acceptor says which ones still do. One sale is
charged once: what its cashier cancelled, or what another voucher has paid, is voided here. Keeps no truth of its own:
what waits and how it ended is in the journal.
"""

from contextlib import suppress

from offline_ledger.errors import StorageFailed, StorageFull
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.terminal.station import Station
from pos_app.sale import OpenSale, sale_of

ENDED_MAX = 100
"""Ended sales remembered for a voucher that a disk error brings to light later; as many as the journal lists."""


class WaitingSales:
    """What waits, by voucher sequence, as of the last `look`."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._held: dict[int, OpenSale] = {}
        self._ended: dict[str, int | None] = {}

    def look(self) -> list[OpenSale]:
        """What left the list as charged since the last look. Voids what must not be charged, till the disk takes it."""
        now = self._station.acceptor.unratified.sequences()
        if not now and not self._held:
            return []
        before = self._held
        found = ((sequence, before.get(sequence) or self.paid_by(sequence)) for sequence in now)
        self._held = {sequence: sale for sequence, sale in found if sale is not None}
        last = {sale.sale: sequence for sequence, sale in self._held.items()}
        with suppress(StorageFull, StorageFailed):  # the program hears of it from the journal itself
            for sale, sequence in last.items():
                self._void(sale, kept=self._ended.get(sale, sequence))
        return [sale for sequence, sale in before.items() if sequence not in now]

    def all(self) -> list[tuple[int, OpenSale]]:
        """Oldest first."""
        return list(self._held.items())

    def named(self, sale: str) -> OpenSale | None:
        """The sale of this name, if it waits."""
        return next((held for held in self._held.values() if held.sale == sale), None)

    def newest(self) -> OpenSale | None:
        """The one whose customer is most likely still there."""
        return self._held[max(self._held)] if self._held else None

    def paid(self, sale: str, sequence: int) -> None:
        """The green of this voucher was shown: it alone pays the sale. The next `look` voids any other."""
        self._held.pop(sequence, None)
        self._remember(sale, sequence)

    def cancel(self, sale: str) -> bool:
        """None of its vouchers is charged; was there one? Raises StorageFull, StorageFailed; then it waits on."""
        is_voided = self._void(sale, kept=None)
        self._remember(sale, None)
        return is_voided

    def paid_by(self, sequence: int | None) -> OpenSale | None:
        """The sale of this voucher; None when it is pruned or of another kind."""
        row = self._station.journal.voucher_at(sequence) if sequence is not None else None
        if row is None:
            return None
        signed = cose.parse_sign1(row.voucher, cose.external_aad(Kind.VOUCHER, self._station.certificate.city))
        return sale_of(device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX))

    def _void(self, sale: str, kept: int | None) -> bool:
        is_any = False
        for sequence in [one for one, held in self._held.items() if held.sale == sale and one != kept]:
            is_any |= self._station.acceptor.void(sequence)
            del self._held[sequence]
        return is_any

    def _remember(self, sale: str, kept: int | None) -> None:
        self._ended[sale] = kept
        if len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]
