"""Small writes behind the cashier's back, in their order: the audit log, say. DESIGN §10.

Bounded: when the disk is so slow that the queue is full, whoever adds waits; nothing is dropped. A job that ends in a
way that nobody foresaw ends itself alone: it is counted, it is told by number until the till starts again, and the next
one is done.
"""

from collections.abc import Callable
from contextlib import suppress
from queue import Full, Queue
from threading import Thread
from traceback import extract_tb
from typing import NamedTuple

from offline_ledger.errors import Refusal, WorkFailed

WAITING_MAX = 256
CLOSE_S_MAX = 5.0
DETAIL_CHARACTERS_MAX = 200
Job = Callable[[], None]
Told = Callable[[Refusal | None], None]


class BehindHealth(NamedTuple):
    """For `diagnose`. Counts since the start: `refused` by the disk, say; `failed` in a way that nobody foresaw."""

    waiting: int
    done: int
    refused: int
    failed: int


class Behind:
    """A thread of its own; `told` hears how each job went, None for well."""

    def __init__(self, told: Told, close_s: float = CLOSE_S_MAX) -> None:
        self._told, self._close_s = told, close_s
        self._jobs: Queue[Job | None] = Queue(WAITING_MAX)
        self._done = self._refused = self._failed = 0
        self._fault: WorkFailed | None = None
        self._thread = Thread(target=self._work, name="behind", daemon=True)
        self._thread.start()

    def do(self, job: Job) -> None:
        """After all that was given before."""
        self._jobs.put(job)

    def health(self) -> BehindHealth:
        """As of now."""
        return BehindHealth(self._jobs.qsize(), self._done, self._refused, self._failed)

    def close(self) -> None:
        """Does what waits, and ends; not later than that, whatever the disk does."""
        with suppress(Full):
            self._jobs.put(None, timeout=self._close_s)
        self._thread.join(self._close_s)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._told(self._did(job))
            except Exception:  # noqa: BLE001 - whoever is told cannot be told of it; the jobs go on
                self._failed += 1

    def _did(self, job: Job) -> Refusal | None:
        try:
            job()
        except Refusal as refusal:
            self._refused += 1
            return refusal
        except Exception as error:  # noqa: BLE001 - whatever it was: a thread that is dead would say nothing for ever
            self._failed += 1
            self._fault = work_failed(error)
        else:
            self._done += 1
        return self._fault


def work_failed(error: Exception) -> WorkFailed:
    """What was not foreseen, with the place in the program where it happened: what a technician passes on."""
    frames = [frame for frame in extract_tb(error.__traceback__) if frame.filename.endswith(".py")]
    place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    said = " ".join(f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode().split())
    return WorkFailed(said[:DETAIL_CHARACTERS_MAX] + place)
