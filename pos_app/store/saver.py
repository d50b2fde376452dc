"""Writes baskets behind the cashier's back: a slow disk never holds a key press. DESIGN §10.

Of each sale only the newest state waits; an older one that was not written yet is not missed. What must be durable
before something is done is written by `now`, on the caller's own thread, together with all that waited. One
that cannot be written, for whatever reason, is left out, counted and told by number: it keeps no other from the disk.
"""

from collections.abc import Callable
from threading import Condition, Lock, Thread

from offline_ledger.errors import Refusal
from pos_app.behind import work_failed
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
        self._fault: Refusal | None = None
        self.left_out = 0
        """Baskets that could not be written and never will be, since the start."""
        self._thread = Thread(target=self._work, name="saver", daemon=True)
        self._thread.start()

    def later(self, record: SaleRecord) -> None:
        """Write this one when the disk has time."""
        with self._changed:
            self._waiting[record.sale] = record
            self._changed.notify()

    def now(self, *records: SaleRecord) -> None:
        """Durable when it returns, with all that waited; of no records: only what waited, so that whoever reads the
        file next reads the newest. Raises what `save` raises, and WorkFailed; then these are not written, and what
        waited waits on: it goes with the next write, in one transaction."""
        with self._writing:
            taken = self._taken()
            own = {record.sale: record for record in records}
            together = taken | own
            try:
                if together:
                    self._save(*together.values())
            except Refusal:
                self._put_back(taken)
                raise
            except Exception as error:  # noqa: BLE001 - one of them cannot be written: which?
                self._now_apart(own, taken, error)

    def _now_apart(self, own: dict[str, SaleRecord], taken: dict[str, SaleRecord], error: Exception) -> None:
        """Those of the caller, whole or not at all; what waited waits on for the thread, which tries each alone."""
        waits_on = taken
        try:
            if not taken:
                raise error
            if own:
                self._save(*own.values())
            waits_on = {sale: record for sale, record in taken.items() if sale not in own}
        except Refusal:
            raise
        except Exception as again:
            raise work_failed(again) from again
        finally:
            self._put_back(waits_on)

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
            self._changed.notify()

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
            except Exception:  # noqa: BLE001 - one of them cannot be written: which?
                if (refused := self._each(taken)) is not None:
                    self._told(refused)
                    return False
        self._told(self._fault)
        return True

    def _each(self, taken: dict[str, SaleRecord]) -> Refusal | None:
        """Writes each alone and leaves out those that cannot be; what the disk refused waits on."""
        left = dict(taken)
        for sale, record in taken.items():
            try:
                self._save(record)
            except Refusal as refusal:
                self._put_back(left)
                return refusal
            except Exception as error:  # noqa: BLE001 - whatever it was: the other baskets are to be kept
                self._fault = work_failed(error)
                self.left_out += 1
            del left[sale]
        return None
