"""One life of a bench's record on a recording disk, and what must be true after a power cut anywhere in it. DESIGN §6.

Used by the power-cut proof and by its negative control.
"""

from dataclasses import dataclass, field
from pathlib import Path

from firmware.flash.record import DONE, FAILED, Record
from firmware.flash.record_reading import INTERRUPTED, Job, jobs
from firmware.flash.record_upkeep import look_over
from offline_ledger.errors import Refusal
from simulators.storage.memory import MemoryDisk, MemoryVfs
from simulators.storage.power_cut import CrashImage

PATH = Path("bench.db")
STEPS = ("base", "files", "boot")
START_S = 1_795_312_345


@dataclass(slots=True)
class Told:
    """From record step `since` on, job `number` has at least so many steps, and this outcome."""

    since: int
    number: int
    steps: int
    outcome: str


@dataclass(slots=True)
class Life:
    """What a run did and was promised."""

    disk: MemoryDisk
    told: list[Told] = field(default_factory=list[Told])

    def promise(self, number: int, steps: int, outcome: str) -> None:
        self.told.append(Told(len(self.disk.record), number, steps, outcome))


def intended_for(number: int) -> dict[str, str]:
    """Two keys, one of them long enough to take a page of its own."""
    return {"serial": f"E661{number:012d}", "files_sha256": f"{number % 16:x}" * (64 if number % 4 else 3_000)}


def live(vfs: MemoryVfs, count: int) -> Life:
    """So many boards: one done, one failed, one left where it was; the record is closed and opened in between."""
    vfs.disk = MemoryDisk()
    life = Life(vfs.disk)
    record = Record(PATH, vfs.name)
    for number in range(1, count + 1):
        job = record.begin("flash-head", f"E661{number:012d}", intended_for(number), "som", START_S + number)
        assert job == number
        life.promise(job, 0, INTERRUPTED)
        for done, step in enumerate(STEPS, 1):
            record.step(job, step, START_S + number)
            life.promise(job, done, INTERRUPTED)
        if number % 3:
            outcome = DONE if number % 3 == 1 else FAILED
            record.end(job, outcome, intended_for(number), START_S + number, 0 if outcome == DONE else 7_001)
            life.promise(job, len(STEPS), outcome)
        if number % 5 == 0:
            record.close()
    record.close()
    return life


def faults_of(image: CrashImage, life: Life, vfs: MemoryVfs) -> list[str]:
    """What is wrong with the record after this cut; it also goes on from there."""
    vfs.disk = image.disk()
    try:
        record = Record(PATH, vfs.name)
        try:
            problems = list(look_over(record).problems)
            found = {job.number: job for job in jobs(record)}
            more = record.begin("flash-head", "more", {}, "som", START_S)
            record.step(more, STEPS[0], START_S)
            if more != len(found) + 1:
                problems.append(f"the next job is {more} after {len(found)}")
        finally:
            record.close()
    except Refusal as refusal:
        return [f"refused: {refusal}"]
    for told in life.told:
        if told.since <= image.after:
            problems += _broken(told, found.get(told.number))
    problems += [f"job {job.number} is there in part" for job in found.values() if _is_part(job)]
    return problems


def _broken(told: Told, job: Job | None) -> list[str]:
    if job is None or len(job.steps) < told.steps:
        return [f"job {told.number} was told {told.steps} steps, found {job}"]
    if told.outcome != INTERRUPTED and job.outcome != told.outcome:
        return [f"job {told.number} was told {told.outcome}, found {job.outcome}"]
    return []


def _is_part(job: Job) -> bool:
    """All of a begin and all of an end, or nothing of it."""
    meant = intended_for(job.number)
    is_whole = {pair.key: pair.intended for pair in job.pairs} == meant
    read_back = {pair.key: pair.verified for pair in job.pairs}
    return not is_whole or read_back != (dict.fromkeys(meant) if job.outcome == INTERRUPTED else meant)
