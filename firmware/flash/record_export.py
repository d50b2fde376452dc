"""The record as CSV for a spreadsheet: one line a key, intended beside verified. Pure. FIELD_LESSONS 35.

UTF-8 with the mark that Thai spreadsheets need. Times are ISO 8601 in Bangkok, years of the common era. A serial
that a spreadsheet would take for a number, a date or a formula gets an apostrophe before it: `1E52` is no 100…0.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone

from firmware.flash.record import cleaned
from firmware.flash.record_reading import Job, Pair
from offline_ledger.csv_lines import csv_line
from offline_ledger.rules.civil import BANGKOK_AHEAD_S

COLUMNS = (
    *("job", "what", "subject", "who", "begun", "ended", "outcome", "refusal", "last_step"),
    *("key", "intended", "verified", "agrees"),
)
AGREES, DIFFERS, NOT_VERIFIED, NOT_INTENDED = "yes", "no", "not verified", "not intended"
BANGKOK = timezone(timedelta(seconds=BANGKOK_AHEAD_S))
_NUMBER = re.compile(
    r"0[0-9]+|[0-9]{16,}"  # leading zeros, and digits after the fifteenth, are lost
    r"|[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]+"
    r"|[0-9]+\.[0-9]+|[0-9]+([-/:])[0-9]+(\2[0-9]+)?"  # 0.10 is 0.1 to it, and 1-2 a day
)


def exported(jobs: Iterable[Job]) -> Iterator[bytes]:
    """The file, piece by piece."""
    yield BOM_UTF8 + csv_line(COLUMNS)
    for job in jobs:
        first = (
            str(job.number),
            _text(job.what),
            _text(job.subject),
            _text(job.who),
            iso_time(job.begun_s),
            "" if job.ended_s is None else iso_time(job.ended_s),
            _text(job.outcome),
            str(job.refusal_number) if job.refusal_number else "",
            _text(job.steps[-1].name) if job.steps else "",
        )
        for pair in job.pairs or (Pair("", None, None),):
            yield csv_line(
                (*first, _text(pair.key), _text(pair.intended or ""), _text(pair.verified or ""), _agrees(pair))
            )


def iso_time(at_s: int) -> str:
    """`2026-11-22T21:37:47+07:00`."""
    return datetime.fromtimestamp(at_s, BANGKOK).isoformat()


def _text(value: str) -> str:
    seen = cleaned(value)  # a file that somebody else wrote may hold ends of lines
    return f"'{seen}" if _NUMBER.fullmatch(seen) else seen


def _agrees(pair: Pair) -> str:
    if not pair.key:
        return ""
    if pair.intended is None:
        return NOT_INTENDED
    if pair.verified is None:
        return NOT_VERIFIED
    return DIFFERS if pair.differs else AGREES
