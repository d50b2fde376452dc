"""What the bus's journal and the city's ledger hold just now, for the page: copies are read, at most once a second,
and only of what was written since.

Never touches the files themselves.
"""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from offline_ledger.protocol import cose
from offline_ledger.protocol.city import ACK
from offline_ledger.protocol.device import EventKind
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from simulators.demo.city import CITY
from simulators.demo.reader_files import EVENT_MASK, REPEAT, first_number, open_copy, rows
from simulators.newest import Newest


class Holds(NamedTuple):
    """Counts. `acked`: vouchers that the city's signed word covers; `posted`: those that its ledger holds; `refusals`
    as in the figures: what had paid already and was shown again is none."""

    vouchers: int = 0
    acked: int = 0
    refusals: int = 0
    posted: int = 0

    @property
    def pending(self) -> int:
        """Vouchers that only this bus has."""
        return self.vouchers - self.acked


class Books:
    """One bus's and its city's. From any thread."""

    def __init__(self, journal: Path, ledger: Path, device: str, scratch: Path) -> None:
        self._journal, self._ledger, self._device, self._scratch = journal, ledger, device, scratch
        self._newest = Newest((journal, ledger), self._read, Holds())

    def holds(self) -> Holds:
        """The newest reading."""
        return self._newest.reading()

    def _read(self) -> Holds:
        with closing(open_copy(self._journal, self._scratch / "journal")) as journal:
            ((vouchers,),) = rows(journal, f"SELECT count(*) FROM entries WHERE NOT id & {EVENT_MASK}")
            refused = f"SELECT body FROM entries WHERE id & {EVENT_MASK} AND kind = {int(EventKind.REFUSAL)}"
            refusals = sum(first_number(body) != REPEAT for (body,) in rows(journal, refused))
            acks = rows(journal, "SELECT body FROM acks")
        with closing(open_copy(self._ledger, self._scratch / "ledger")) as ledger:
            ((posted,),) = rows(ledger, f"SELECT count(*) FROM vouchers WHERE device = '{self._device}'")
        return Holds(vouchers, min(vouchers, _through(acks[0][0])) if acks else 0, refusals, posted)


def _through(raw: bytes) -> int:
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.ACK, CITY), CITY_OBJECT_BYTES_MAX)
    return ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX).through_sequence
