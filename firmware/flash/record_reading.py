"""What the bench's record says: jobs, intended beside verified, what is known of one device. FIELD_LESSONS 35.

Never writes, never decides what a difference means. A job that began and never ended is interrupted: the record is held
by one program, so whoever reads it knows that nobody is still at it.
"""

from collections.abc import Iterator
from typing import NamedTuple, cast

from firmware.flash.record import DONE, FAILED, Record
from offline_ledger.errors import RecordNothing

INTERRUPTED = "interrupted"
DIFFERS = "differs"
STATES = (DONE, FAILED, INTERRUPTED, DIFFERS)
NAMING_KEYS = ("serial", "mac", "device_id")
"""What a device is known by, beside the subject of a job."""
LABEL = "label"
OF_THE_JOB = ("result", "label_text")
"""Says how a job went: nothing lasting about the device."""
IN_PARTS = "parts: "
"""Before the result of a job that left something out, as it was told to."""
JOBS_MAX = 100_000
"""Twenty a day for thirteen years."""


class Step(NamedTuple):
    """What was begun, and when."""

    name: str
    at_s: int


class Pair(NamedTuple):
    """One key's two records; None: not in that one."""

    key: str
    intended: str | None
    verified: str | None

    @property
    def differs(self) -> bool:
        """Something was intended, and something else is there."""
        return self.intended is not None and self.verified is not None and self.intended != self.verified


class Job(NamedTuple):
    """One job with both its records. `ended_s` None: interrupted."""

    number: int
    what: str
    subject: str
    who: str
    begun_s: int
    steps: tuple[Step, ...]
    pairs: tuple[Pair, ...]
    outcome: str
    ended_s: int | None = None
    refusal_number: int = 0

    @property
    def differences(self) -> list[Pair]:
        """Keys whose two records do not agree."""
        return [pair for pair in self.pairs if pair.differs]

    @property
    def unverified(self) -> list[Pair]:
        """Keys that were intended and never read back."""
        return [pair for pair in self.pairs if pair.verified is None]

    @property
    def is_good(self) -> bool:
        """Done, and what was intended is what was read back."""
        return self.outcome == DONE and not self.differences

    @property
    def is_in_parts(self) -> bool:
        """Told to leave something out."""
        return any(pair.key == "result" and (pair.intended or "").startswith(IN_PARTS) for pair in self.pairs)

    @property
    def names(self) -> set[str]:
        """What the device is called in this job, in small letters: its subject, and what was read back of it."""
        read = (pair.verified for pair in self.pairs if pair.key in NAMING_KEYS)
        return {self.subject.lower(), *(value.lower() for value in read if value)}

    def verified(self, key: str) -> str | None:
        """What was read back."""
        return next((pair.verified for pair in self.pairs if pair.key == key), None)

    def is_in(self, state: str) -> bool:
        """Of `STATES`."""
        return bool(self.differences) if state == DIFFERS else self.outcome == state


def jobs(record: Record) -> list[Job]:
    """The newest JOBS_MAX of them, oldest first. Raises RecordDamaged, RecordFailed."""
    first = cast(int, record.fetch("SELECT coalesce(max(job), 0) FROM job")[0][0]) - JOBS_MAX
    return _jobs(record, "WHERE job > ?", (first,))


def jobs_about(record: Record, name: str) -> list[Job]:
    """Every job about the device that has this name: its id, its board's serial or its MAC; and those about the board
    that it is now, if they are not another device's: a head is flashed by its serial before it has an id. What was done
    to a board while it was another device is that one's. Serials are typed in small or large letters. Raises
    RecordNothing."""
    everything, small = jobs(record), name.lower()
    direct = [job for job in everything if small in job.names]
    if not direct:
        raise RecordNothing(name)
    pairs = [pair for job in direct for pair in job.pairs if pair.key in NAMING_KEYS]
    kinds = {pair.key for pair in pairs if (pair.verified or "").lower() == small}
    taken = {(job.verified(kind) or small).lower() for job in everything for kind in kinds} - {small}
    newest = next((job for job in reversed(direct) if job.outcome == DONE), None)
    others = newest.names - {small} if newest else set[str]()
    return [job for job in everything if small in job.names or (job.names & others and not job.names & taken)]


def made_good(found: list[Job]) -> dict[int, int]:
    """Jobs that were interrupted, failed or differ → the newest good job of the same kind about the same device, if it
    came later: the last good one counts. One in parts makes good only one in parts."""
    good = {
        (job.what, name, in_parts): job.number
        for job in found
        if job.is_good
        for name in job.names
        for in_parts in {job.is_in_parts, True}
    }
    later = {
        job.number: good.get((job.what, job.subject.lower(), job.is_in_parts), 0) for job in found if not job.is_good
    }
    return {number: by for number, by in later.items() if by > number}


def facts_about(record: Record, name: str) -> dict[str, str]:
    """The newest verified value of each key, of jobs that were done. Raises RecordNothing."""
    facts: dict[str, str] = {}
    for job in jobs_about(record, name):
        if job.outcome == DONE and job.what != LABEL:  # what stands on a label was read from the label
            facts |= {pair.key: pair.verified for pair in job.pairs if pair.verified is not None}
    return {key: value for key, value in facts.items() if key not in OF_THE_JOB}


# --- inside


def _jobs(record: Record, where: str, values: tuple[int, ...]) -> list[Job]:
    rows = record.fetch(f"SELECT job, what, subject, who, at_s FROM job {where} ORDER BY job", values)
    steps = _grouped(record, f"SELECT job, name, at_s FROM step {where} ORDER BY job, number", values)
    intended = _grouped(record, f"SELECT job, key, value FROM intended {where}", values)
    verified = _grouped(record, f"SELECT job, key, value FROM verified {where}", values)
    endings = _grouped(record, f"SELECT job, outcome, at_s, refusal_number FROM ending {where}", values)
    made: list[Job] = []
    for number, what, subject, who, at_s in cast(list[tuple[int, str, str, str, int]], rows):
        (ending,) = endings.get(number) or [(INTERRUPTED, None, 0)]
        outcome, ended_s, refusal_number = cast(tuple[str, int | None, int], ending)
        made.append(
            Job(
                number,
                what,
                subject,
                who,
                at_s,
                tuple(Step(*cast(tuple[str, int], step)) for step in steps.get(number, [])),
                tuple(_paired(intended.get(number, []), verified.get(number, []))),
                outcome,
                ended_s,
                refusal_number,
            )
        )
    return made


def _grouped(record: Record, statement: str, values: tuple[int, ...]) -> dict[int, list[tuple[object, ...]]]:
    found: dict[int, list[tuple[object, ...]]] = {}
    for job, *rest in record.fetch(statement, values):
        found.setdefault(cast(int, job), []).append(tuple(rest))
    return found


def _paired(intended: list[tuple[object, ...]], verified: list[tuple[object, ...]]) -> Iterator[Pair]:
    meant, found = (cast(dict[str, str], dict(cast(list[tuple[str, str]], side))) for side in (intended, verified))
    for key in sorted(meant | found):
        yield Pair(key, meant.get(key), found.get(key))
