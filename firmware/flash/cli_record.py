"""`kgo-flash record`: what was intended and what was verified, job by job. FIELD_LESSONS 35.

Thai screens have Buddhist years; the CSV file has ISO times. Never writes into the record.
"""

from argparse import Namespace
from pathlib import Path
from typing import cast

from rich.table import Table
from rich.text import Text

from firmware.flash.bench import OK, AddCommand, Bench, adding
from firmware.flash.record_export import exported
from firmware.flash.record_opening import opened_record
from firmware.flash.record_reading import INTERRUPTED, STATES, Job, Pair, jobs, jobs_about, made_good
from firmware.flash.record_upkeep import copy_to, look_over
from offline_ledger.errors import RecordDamaged
from offline_ledger.files import PRIVATE_MODE
from offline_ledger.named_files import check_named, write_named
from offline_ledger.rules.civil import format_moment
from offline_ledger.seen_text import shown
from offline_ledger.texts.command_line import Commands, whole

LIST_DEFAULT = 20
LIST_MAX = 1_000
STEP_KEYS = ("flash.record.step.", "flash.step_", "selftest.step.")
"""Where the words of a step stand: of cards, provisioning and labels; of heads; of self-tests."""

SERIAL_CHARACTERS = 16
"""Of an RP2040 in hex."""
_WHOLE = ("job", "at", "what")


def add(add_command: AddCommand) -> None:
    """The commands of the record."""
    add_one = adding(Commands(add_command("record", _list), dest="record_command"))
    listed = add_one("list", _list)
    listed.add_argument("--last", type=whole(listed.texts, 1, LIST_MAX), default=LIST_DEFAULT, metavar="N")
    listed.add_argument("--state", choices=STATES)
    add_one("show", _show).add_argument("subject", metavar="SUBJECT")
    add_one("export", _export).add_argument("file", type=Path, metavar="FILE")
    add_one("check", _check)
    add_one("copy", _copy).add_argument("file", type=Path, metavar="FILE")


def _list(bench: Bench, said: Namespace) -> int:
    with opened_record(bench) as record:
        everything = jobs(record)
    later = made_good(everything)
    found = [job for job in everything if not said.state or job.is_in(said.state)]
    if not found:
        bench.say("record.none")
        return OK
    table = Table()  # a serial stays in one piece, to be copied
    for name in ("job", "at", "what", "subject", "state"):
        width = SERIAL_CHARACTERS if name == "subject" else None
        table.add_column(bench.texts.get(f"flash.record.column.{name}"), no_wrap=name in _WHOLE, min_width=width)
    for job in found[-said.last :]:
        at = format_moment(job.begun_s, bench.texts.language)
        table.add_row(str(job.number), at, *_plain(_what(bench, job), job.subject, _state(bench, job, later)))
    bench.console.print(table)
    bench.say("record.count", shown=min(len(found), said.last), all=len(found))
    return OK


def _show(bench: Bench, said: Namespace) -> int:
    with opened_record(bench) as record:
        found = jobs_about(record, cast(str, said.subject))
    later = made_good(found)
    for job in found:
        _show_job(bench, job, later)
    return OK


def _export(bench: Bench, said: Namespace) -> int:
    file: Path = said.file
    check_named(file)
    with opened_record(bench) as record:
        found = jobs(record)
    write_named(file, b"".join(exported(found)), PRIVATE_MODE)
    bench.say("record.exported", file=file, count=len(found))
    return OK


def _check(bench: Bench, said: Namespace) -> int:
    with opened_record(bench) as record:
        findings = look_over(record)
    if findings.problems:
        for problem in findings.problems:
            bench.print(f"  {bench.texts.detail(RecordDamaged(problem))}")
        raise RecordDamaged(str(bench.settings.path("bench.record")))
    bench.say("record.sound", **{name: getattr(findings, name) for name in findings._fields[1:]})
    return OK


def _copy(bench: Bench, said: Namespace) -> int:
    with opened_record(bench) as record:
        count = copy_to(record, said.file)
    bench.say("record.copied", file=said.file, count=count)
    return OK


# --- inside


def _show_job(bench: Bench, job: Job, later: dict[int, int]) -> None:
    texts, language = bench.texts, bench.texts.language
    bench.print("")
    bench.say("record.job", job=job.number, what=shown(_what(bench, job)), subject=shown(job.subject))
    bench.say("record.begun", at=format_moment(job.begun_s, language), who=shown(job.who))
    if job.steps:
        bench.say("record.steps", steps=" → ".join(shown(_step(bench, step.name)) for step in job.steps))
    if job.pairs:
        table = Table(*(texts.get(f"flash.record.column.{name}") for name in ("key", "intended", "verified", "agrees")))
        for pair in job.pairs:
            agrees = texts.get(f"flash.record.agrees.{_agrees(job, pair)}")
            table.add_row(*_plain(pair.key, pair.intended or "", pair.verified or "", agrees))
        bench.console.print(table)
    ended = "" if job.ended_s is None else format_moment(job.ended_s, language)
    bench.print(f"{_state(bench, job, later)} {ended}".rstrip())


def _agrees(job: Job, pair: Pair) -> str:
    if pair.intended is None:
        return "found"
    if pair.verified is None:
        return "unverified"
    return "no" if pair.differs else "yes"


def _state(bench: Bench, job: Job, later: dict[int, int]) -> str:
    said = bench.texts.get(f"flash.record.state.{job.outcome}")
    if job.outcome == INTERRUPTED and job.steps:
        said = bench.texts.get("flash.record.interrupted_at", step=_step(bench, job.steps[-1].name))
    if job.refusal_number:
        said += f" ({job.refusal_number})"
    if job.differences:
        said += " · " + bench.texts.get("flash.record.differs", keys=", ".join(pair.key for pair in job.differences))
    if job.number in later:
        said += " · " + bench.texts.get("flash.record.made_good", job=later[job.number])
    return shown(said)


def _step(bench: Bench, name: str) -> str:
    """In words; as it stands there when it is the name of a file, or from another program."""
    for key in STEP_KEYS:
        try:
            return bench.texts.get(f"{key}{name}")
        except KeyError:
            continue
    return name


def _what(bench: Bench, job: Job) -> str:
    try:
        return bench.texts.get(f"flash.record.what.{job.what}")
    except KeyError:
        return job.what


def _plain(*cells: str) -> list[Text]:
    """No markup in them counts, and nothing in a file that somebody else wrote steers the terminal."""
    return [Text(shown(cell), overflow="fold") for cell in cells]
