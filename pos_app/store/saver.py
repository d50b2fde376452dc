"""Writes baskets behind the cashier's back: a slow disk never holds a key press. DESIGN §10.

Of each sale only the newest state waits; an older one that was not written yet is not missed. What must be durable
before something is done is written by `now`, on the caller's own thread, together with all that waited.
"""

from collections.abc import Callable
from threading import Condition, Lock, Thread

from offline_ledger.errors import Refusal
from pos_app.counter.sale_record import SaleRecord

CLOSE_S_MAX = 5.0
RETRY_S = 1.0
"""Between two tries on a disk that refuses; a sale that is paid writes at once, and takes what waits with it."""


class Saver:
    """A thread of its own; `told` hears how each of its writes went, None for well."""

    def __init__(self, save: Callable[..., None], told: Callable[[Refusal | None], None]) -> None:
        """`save`: writes records, durably (`Sales.save`)."""
        self._save, self._told = save, told
        self._changed = Condition()
        self._writing = Lock()
        self._waiting: dict[str, SaleRecord] = {}
        self._is_over = False
        self._thread = Thread(target=self._work, name="saver", daemon=True)
        self._thread.start()

    def later(self, record: SaleRecord) -> None:
        """Write this one when the disk has time."""
        with self._changed:
            self._waiting[record.sale] = record
            self._changed.notify()

    def now(self, *records: SaleRecord) -> None:
        """Durable when it returns, with all that waited; of no records: only what waited, so that whoever reads the
        file next reads the newest. Raises what `save` raises; then these are not written, and what waited waits on: it
        goes with the next write, in one transaction."""
        with self._writing:
            taken = self._taken()
            together = taken | {record.sale: record for record in records}
            try:
                if together:
                    self._save(*together.values())
            except Refusal:
                self._put_back(taken)
                raise

    def close(self) -> None:
        """Writes what waits, and ends."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(CLOSE_S_MAX)

    def _taken(self) -> dict[str, SaleRecord]:
        with self._changed:
            taken, self._waiting = self._waiting, {}
            return taken

    def _put_back(self, taken: dict[str, SaleRecord]) -> None:
        with self._changed:
            self._waiting = taken | self._waiting

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_over:
                    self._changed.wait()
                if not self._waiting:
                    return
            if not self._write() and self._is_over_after_rest():
                return

    def _is_over_after_rest(self) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._is_over, RETRY_S)

    def _write(self) -> bool:
        """False: the disk refused, and all of it waits on."""
        with self._writing:
            taken = self._taken()
            try:
                if taken:  # else it was written meanwhile
                    self._save(*taken.values())
            except Refusal as refusal:
                self._put_back(taken)
                self._told(refusal)
                return False
        self._told(None)
        return True
