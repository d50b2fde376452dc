"""Small writes behind the cashier's back, in their order: the audit log, say. DESIGN §10.

Bounded: when the disk is so slow that the queue is full, whoever adds waits; nothing is dropped.
"""

from collections.abc import Callable
from contextlib import suppress
from queue import Full, Queue
from threading import Thread

from offline_ledger.errors import Refusal

WAITING_MAX = 256
CLOSE_S_MAX = 5.0
Job = Callable[[], None]


class Behind:
    """A thread of its own; `told` hears how each job went, None for well."""

    def __init__(self, told: Callable[[Refusal | None], None], close_s: float = CLOSE_S_MAX) -> None:
        self._told, self._close_s = told, close_s
        self._jobs: Queue[Job | None] = Queue(WAITING_MAX)
        self._thread = Thread(target=self._work, name="behind", daemon=True)
        self._thread.start()

    def do(self, job: Job) -> None:
        """After all that was given before."""
        self._jobs.put(job)

    def close(self) -> None:
        """Does what waits, and ends; not later than that, whatever the disk does."""
        with suppress(Full):
            self._jobs.put(None, timeout=self._close_s)
        self._thread.join(self._close_s)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Refusal as refusal:
                self._told(refusal)
            else:
                self._told(None)
