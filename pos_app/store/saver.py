"""Writes baskets behind the cashier's back: a slow disk never holds a key press. DESIGN §10.

Of each sale only the newest state waits; an older one that was not written yet is not missed. What must be durable
before something is done is written by `now`, on the caller's own thread, together with all that waited.
"""

from collections.abc import Callable
from threading import Condition, Lock, Thread

from offline_ledger.errors import Refusal
from pos_app.counter.sale_record import SaleRecord

CLOSE_S_MAX = 5.0


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
        """Durable when it returns, with all that waited. Raises what `save` raises; then what waited is lost: it is in
        memory still, and comes with its next change."""
        with self._writing:
            self._save(*(self._taken() | {record.sale: record for record in records}).values())

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

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_over:
                    self._changed.wait()
                if not self._waiting:
                    return
            self._write()

    def _write(self) -> None:
        with self._writing:
            taken = self._taken()
            if not taken:
                return  # written meanwhile
            try:
                self._save(*taken.values())
            except Refusal as refusal:
                self._told(refusal)
            else:
                self._told(None)
