"""What is still to be printed and what was: durable jobs in the shop's file. DESIGN §6; decision 0172.

A job is stored before `add` returns and marked as under way before its first dot goes out. One that a power cut found
under way is printed again and says so: a second paper that tells of itself is better than none. Printed ones are kept
for a while, to be found by their number and printed as copies. Never prints; never reckons.
"""

from collections.abc import Callable
from enum import StrEnum
from threading import RLock
from typing import NamedTuple

from offline_ledger.errors import PrintQueueFull, ReceiptNotKept, ReceiptUnreadable, Refusal
from offline_ledger.rules.limits import DAY_S
from pos_app.paper.receipt import Receipt, ReceiptKind, decode_receipt, encode_receipt
from pos_app.store.shop_file import ShopFile

QUEUE_MAX = 200
"""Waiting jobs: a busy hour without a printer. More paper than that nobody waits for."""
TRIES_MAX = 3
"""Prints that were begun and not ended; then the paper is saved for other receipts."""
KEPT_DAYS = 30
"""A customer who comes back with goods does so within the month."""
KEPT_MIN, KEPT_MAX = 500, 20_000
"""Jobs, 2 kB each: so many stay when a clock that jumped makes all look old, and never more than 40 MB."""
PRUNE_EVERY = 50
LISTED_MAX = 200
ONE_RUN = (ReceiptKind.SALE, ReceiptKind.REFUND, ReceiptKind.VOID)


class JobState(StrEnum):
    """Of a job; printed, failed and dropped ones are only kept."""

    WAITING = "waiting"
    PRINTING = "printing"
    PRINTED = "printed"
    FAILED = "failed"
    DROPPED = "dropped"


class Job(NamedTuple):
    """One paper. `number`: as `looked_up` has it; `refusal`: number of what went wrong last, 0 for nothing."""

    id: int
    number: str
    state: JobState
    made_s: int
    tries: int
    is_doubtful: bool
    is_copy: bool
    refusal: int


class Counts(NamedTuple):
    """`failed` since they were last dropped or pruned."""

    waiting: int
    printing: int
    failed: int


_TABLE = """CREATE TABLE IF NOT EXISTS print_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    number TEXT NOT NULL,
    state TEXT NOT NULL,
    made_s INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    doubtful INTEGER NOT NULL,
    copy INTEGER NOT NULL,
    refusal INTEGER NOT NULL,
    receipt TEXT NOT NULL
) STRICT"""
_BY_NUMBER = "CREATE INDEX IF NOT EXISTS print_jobs_by_number ON print_jobs (number)"
_BY_STATE = "CREATE INDEX IF NOT EXISTS print_jobs_by_state ON print_jobs (state, id)"
_FIELDS = "id, number, state, made_s, tries, doubtful, copy, refusal"


class PrintQueue:
    """The jobs. Every method may be called from any thread."""

    def __init__(self, file: ShopFile, wall_s: Callable[[], int]) -> None:
        """Takes up what the last run left. Raises what ShopFile does."""
        self._file, self._wall_s = file, wall_s
        self._lock = RLock()
        self._ended = 0
        file.has_tables(_TABLE, _BY_NUMBER, _BY_STATE)
        file.write([_taken_up()])
        found = file.fetch("SELECT MAX(seq) FROM sqlite_sequence WHERE name = 'print_jobs'")
        self._last_id = _number(found[0][0])
        self.prune()

    def add(self, receipt: Receipt, *, is_kept_only: bool = False) -> int:
        """The job's id; durable when it returns. `is_kept_only`: not to be printed now, only found by its number.
        Raises PrintQueueFull, ReceiptUnreadable, StorageFull, StorageFailed, ShopFileDamaged."""
        said = encode_receipt(receipt)
        with self._lock:
            if not is_kept_only and self.counts().waiting >= QUEUE_MAX:
                raise PrintQueueFull(f"{QUEUE_MAX} waiting")
            job = self._last_id + 1
            state = JobState.DROPPED if is_kept_only else JobState.WAITING
            values = (
                job,
                looked_up(receipt.number, receipt.kind),
                state.value,
                self._wall_s(),
                0,
                0,
                int(receipt.is_copy),
                0,
                said,
            )
            insert = f"INSERT INTO print_jobs ({_FIELDS}, receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            self._file.write([(insert, values)])
            self._last_id = job
            return job

    def next(self) -> Job | None:
        """The oldest that waits."""
        found = self._jobs("WHERE state = ? ORDER BY id LIMIT 1", JobState.WAITING.value)
        return found[0] if found else None

    def receipt(self, job: Job) -> Receipt:
        """What it prints, with the word of doubt if it may have come out before. Raises ReceiptUnreadable."""
        found = self._file.fetch("SELECT receipt FROM print_jobs WHERE id = ?", (job.id,))
        if not found:
            raise ReceiptUnreadable("it is gone")
        return decode_receipt(str(found[0][0]))._replace(is_doubtful=job.is_doubtful)

    def begin(self, job: Job) -> bool:
        """Its first dot is about to go out. False: it was dropped meanwhile."""
        with self._lock:
            now = self._jobs("WHERE id = ?", job.id)
            if not now or now[0].state is not JobState.WAITING:
                return False
            mark = "UPDATE print_jobs SET state = ?, tries = tries + 1 WHERE id = ?"
            self._file.write([(mark, (JobState.PRINTING.value, job.id))])
            return True

    def printed(self, job: Job) -> None:
        """It is on paper."""
        self._end(job, JobState.PRINTED, 0)

    def failed(self, job: Job, refusal: Refusal) -> None:
        """It cannot be printed, whatever the printer does."""
        self._end(job, JobState.FAILED, refusal.number)

    def put_back(self, job: Job, refusal: Refusal) -> None:
        """A print that was begun broke off: it is tried again as one that may be a reprint, TRIES_MAX times in all."""
        give_up = f"CASE WHEN tries >= {TRIES_MAX} THEN 'failed' ELSE 'waiting' END"
        back = f"UPDATE print_jobs SET state = {give_up}, doubtful = 1, refusal = ? WHERE id = ? AND state = 'printing'"
        with self._lock:
            self._file.write([(back, (refusal.number, job.id))])

    def drop(self, job_id: int | None = None) -> int:
        """The cashier does not want it any more; None: all that wait, and what failed. How many that were."""
        with self._lock:
            which, values = ("", ()) if job_id is None else (" AND id = ?", (job_id,))
            where = f"WHERE state IN ('waiting', 'failed'){which}"
            count = _number(self._file.fetch(f"SELECT COUNT(*) FROM print_jobs {where}", values)[0][0])
            if count:
                self._file.write([(f"UPDATE print_jobs SET state = 'dropped' {where}", values)])
            return count

    def find(self, number: str, kind: ReceiptKind = ReceiptKind.SALE) -> Receipt:
        """The receipt of that number as it was first made, whether printed or not. Sales, refunds and voids are one
        run of numbers; each kind of report and slip has its own. Raises ReceiptNotKept, ReceiptUnreadable."""
        order = "WHERE number = ? AND number <> '' ORDER BY copy, id LIMIT 1"
        found = self._file.fetch(f"SELECT receipt FROM print_jobs {order}", (looked_up(number, kind),))
        if not found:
            raise ReceiptNotKept(number[:40])
        return decode_receipt(str(found[0][0]))

    def jobs(self) -> list[Job]:
        """The newest LISTED_MAX, newest first."""
        return self._jobs("ORDER BY id DESC LIMIT ?", LISTED_MAX)

    def counts(self) -> Counts:
        """How many are not on paper."""
        ask = "SELECT state, COUNT(*) FROM print_jobs WHERE state IN ('waiting', 'printing', 'failed') GROUP BY state"
        found = {str(state): _number(count) for state, count in self._file.fetch(ask)}
        return Counts(found.get("waiting", 0), found.get("printing", 0), found.get("failed", 0))

    def prune(self) -> None:
        """Forgets what was kept long enough."""
        ended = "state IN ('printed', 'dropped', 'failed')"
        old = f"DELETE FROM print_jobs WHERE {ended} AND made_s < ? AND id <= ?"
        many = f"DELETE FROM print_jobs WHERE {ended} AND id <= ?"
        with self._lock:
            before_s = self._wall_s() - KEPT_DAYS * DAY_S
            self._file.write([(old, (before_s, self._last_id - KEPT_MIN)), (many, (self._last_id - KEPT_MAX,))])

    # --- inside

    def _end(self, job: Job, state: JobState, refusal: int) -> None:
        with self._lock:
            end = "UPDATE print_jobs SET state = ?, refusal = ? WHERE id = ?"
            self._file.write([(end, (state.value, refusal, job.id))])
            self._ended += 1
            if self._ended % PRUNE_EVERY == 0:
                self.prune()

    def _jobs(self, where: str, *values: str | int) -> list[Job]:
        return [
            Job(
                _number(row[0]),
                str(row[1]),
                JobState(str(row[2])),
                _number(row[3]),
                _number(row[4]),
                bool(row[5]),
                bool(row[6]),
                _number(row[7]),
            )
            for row in self._file.fetch(f"SELECT {_FIELDS} FROM print_jobs {where}", values)
        ]


def looked_up(number: str, kind: ReceiptKind) -> str:
    """What a paper is found by: the number that the customer has, with its kind before it where numbers begin anew."""
    return number if kind in ONE_RUN or not number else f"{kind.value} {number}"


def _taken_up() -> tuple[str, tuple[int, ...]]:
    """What a power cut found under way: nobody knows whether it is on paper."""
    state = f"CASE WHEN tries >= {TRIES_MAX} THEN 'failed' ELSE 'waiting' END"
    return f"UPDATE print_jobs SET state = {state}, doubtful = 1 WHERE state = 'printing'", ()


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
