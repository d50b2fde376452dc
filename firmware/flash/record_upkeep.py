"""Is the record of one piece, and a copy of it. DESIGN §6, FIELD_LESSONS 35.

A copy is one file, looked at before it gets its name; it never takes the place of another. Never mends anything.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

import apsw

from firmware.flash.record import DONE, FAILED, Record, refusal_of
from firmware.flash.record_reading import DIFFERS, INTERRUPTED, jobs, made_good
from offline_ledger.errors import FileTaken, FileUnusable, RecordDamaged, RecordFull, StorageFull
from offline_ledger.files import ENOSPC, PRIVATE_MODE, name_new, sync_folder
from offline_ledger.named_files import check_named

PROBLEMS_MAX = 20


class Findings(NamedTuple):
    """`problems`: what is damaged, empty when nothing is. The rest are counts of jobs: all, those of each state that no
    later good one made good, and those that were."""

    problems: tuple[str, ...]
    jobs: int
    interrupted: int
    failed: int
    differing: int
    made_good: int


def look_over(record: Record) -> Findings:
    """Every page, every link between rows, and what of it is for a technician to look at. Raises RecordDamaged: it
    cannot even be read; RecordFailed."""
    problems = [
        str(said) for (said,) in record.fetch(f"PRAGMA integrity_check({PROBLEMS_MAX})") if said != "ok"
    ] or _loose_rows(record)
    if problems:
        return Findings(tuple(problems[:PROBLEMS_MAX]), 0, 0, 0, 0, 0)
    found = jobs(record)
    later = made_good(found)
    left = [job for job in found if job.number not in later]
    interrupted, failed, differing = (sum(job.is_in(state) for job in left) for state in (INTERRUPTED, FAILED, DIFFERS))
    return Findings((), len(found), interrupted, failed, differing, len(later))


def copy_to(record: Record, to: Path) -> int:
    """All of this moment as one file; how many jobs are in it. Raises FileTaken, FileUnusable, StorageFull,
    RecordDamaged."""
    check_named(to)
    waiting = to.with_name(f".{to.name}.{os.getpid()}.new")
    try:
        waiting.unlink(missing_ok=True)  # left by a power cut
        os.close(os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_MODE))
        try:
            record.fetch("VACUUM INTO ?", (str(waiting),))
            count = _count_of(waiting)
            name_new(waiting, to)
        finally:
            with suppress(OSError):
                waiting.unlink(missing_ok=True)
        sync_folder(to.parent)
    except FileExistsError as error:
        raise FileTaken(str(to)) from error
    except RecordFull as error:  # the record is only read: what is full is where the copy was to be
        raise StorageFull(str(to)) from error
    except OSError as error:
        if error.errno in ENOSPC:
            raise StorageFull(str(to)) from error
        raise FileUnusable(f"{to}: {error.strerror}") from error
    return count


# --- inside


def _loose_rows(record: Record) -> list[str]:
    problems: list[str] = []
    for table in ("intended", "step", "ending", "verified"):
        rows = record.fetch(f"SELECT DISTINCT job FROM {table} WHERE job NOT IN (SELECT job FROM job) LIMIT 5")
        problems += [f"{table} of job {job}, which is not there" for (job,) in rows]
    ((count, last),) = record.fetch("SELECT count(*), coalesce(max(job), 0) FROM job")
    if count != last:
        problems.append(f"{count} jobs, and the last is number {last}")
    rows = record.fetch(
        "SELECT job, count(*), max(number) FROM step GROUP BY job HAVING count(*) != max(number) LIMIT 5"
    )
    problems += [f"job {job} has {count} steps, and the last is number {last}" for job, count, last in rows]
    rows = record.fetch("SELECT job FROM ending WHERE outcome NOT IN (?, ?) LIMIT 5", (DONE, FAILED))
    return problems + [f"job {job} ended in no known way" for (job,) in rows]


def _count_of(path: Path) -> int:
    """Reads the copy from the disk and makes it durable."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        copy = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            said = [row[0] for row in copy.execute("PRAGMA integrity_check")]
            if said != ["ok"]:
                raise RecordDamaged(f"{path}: {said[0]}")
            return cast(int, next(copy.execute("SELECT count(*) FROM job"))[0])
        finally:
            copy.close()
    except apsw.Error as error:
        raise refusal_of(error, str(path)) from error
