"""What the bus's journal and the city's ledger hold just now, for the page: copies are read, at most once a second,
and only of what was written since.

Never touches the files themselves; a copy made while they are written may be torn, then the last good reading stands.
"""

import contextlib
import time
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import apsw

from offline_ledger.errors import Refusal
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import ACK
from offline_ledger.protocol.device import EventKind
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from simulators.demo.city import CITY
from simulators.demo.reader_files import COPY_SUFFIXES, EVENT_MASK, REPEAT, first_number, open_copy, rows

REST_S = 1.0
SETTLED_NS = 1_000_000_000


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
        self._lock = Lock()
        self._holds = Holds()
        self._read_s = -REST_S
        self._read_stamps: tuple[int, ...] = ()

    def holds(self) -> Holds:
        """The newest reading."""
        with self._lock:
            if time.monotonic() - self._read_s >= REST_S:
                with contextlib.suppress(apsw.Error, OSError, Refusal):
                    stamps = self._stamps()  # before the copies: what is written meanwhile is read the next time
                    if stamps != self._read_stamps:
                        self._holds = self._read()
                        # files bear the time of the clock's last tick: one that is so new may be written again under it
                        self._read_stamps = stamps if max(stamps) < time.time_ns() - SETTLED_NS else ()
                self._read_s = time.monotonic()
            return self._holds

    def _stamps(self) -> tuple[int, ...]:
        files = (
            file.with_name(file.name + suffix) for file in (self._journal, self._ledger) for suffix in COPY_SUFFIXES
        )
        return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)

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
