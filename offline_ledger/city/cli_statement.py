"""`kgo-city statement`: what one merchant or operator is owed, day by day, and what waits and why. DESIGN §1, §8."""

import csv
from argparse import Namespace
from collections.abc import Sequence
from io import StringIO

from offline_ledger.city import statements, tables
from offline_ledger.city.console import OK, REFUSED, Console, refusal_title
from offline_ledger.city.open_items import HELD
from offline_ledger.city.statements import Line, Statement, Sums, Waiting
from offline_ledger.city.tables import Cell
from offline_ledger.money import format_minor

_CSV = ("posting", "day", "entry", "device", "sequence", "kgo", "thb_declared", "suspense_kgo", "held_kgo", "why")


def statement(console: Console, said: Namespace) -> int:
    """Postings and totals per day, held and suspense money with why; exit code 1 when it does not tie up."""
    first, last = console.days(said.first_day, said.last_day)
    with console.store() as store, store.snapshot():
        found = statements.statement(store, said.owner, first, last)
    if said.csv:
        console.say(_csv(found, console).rstrip("\n"))
    else:
        name = found.name if found.name != found.owner else ""
        console.say(console.text("statement.heading", owner=f"{found.owner} {name}".strip()))
        if said.details:
            _details(console, found)
        _days(console, found, is_period=first is not None or last is not None)
        _waiting(console, found)
    stored = _amounts(found.stored)
    tie = "statement.ties" if found.ties else "statement.broken"
    told = console.text(tie, kgo=stored[0], thb=stored[1], suspense=stored[2])
    if not found.ties:
        console.warn(told)
        return REFUSED
    if not said.csv:
        console.say(told)
    return OK


def _details(console: Console, found: Statement) -> None:
    headings = ["statement.time", "statement.reason", "fleet.device", "exceptions.sequence", "grant.kgo"]
    rows = [
        (
            console.time(line.posted_at_s),
            console.word("reason", line.reason),
            line.device or "-",
            line.sequence or "-",
            *_amounts(line.sums),
        )
        for line in found.lines
    ]
    console.table([*headings, "statement.satang", "statement.suspense"], rows)
    console.say("")


def _days(console: Console, found: Statement, *, is_period: bool) -> None:
    rows: list[Sequence[Cell]] = []
    if is_period:
        rows.append((console.text("statement.before"), "-", *_amounts(found.before)))
    by_day: dict[int, list[Line]] = {}
    for line in found.lines:
        by_day.setdefault(line.day, []).append(line)
    for day, lines in sorted(by_day.items()):
        date = tables.date_text(day, console.language)
        rows.append((date, len(lines), *_amounts(statements.total(tuple(lines)))))
    if found.lines:
        rows.append((console.text("statement.total"), len(found.lines), *_amounts(statements.total(found.lines))))
    if is_period:
        rows.append((console.text("statement.after"), "-", *_amounts(found.after)))
    headings = ["statement.day", "statement.count", "grant.kgo", "statement.satang", "statement.suspense"]
    console.table(headings, rows)


def _waiting(console: Console, found: Statement) -> None:
    if not found.waiting:
        return
    console.say("")
    console.say(console.text("statement.waiting"))
    headings = ["exceptions.what", "fleet.device", "exceptions.sequence", "exceptions.why", "grant.kgo"]
    rows = [
        (
            console.word("what", line.what),
            line.device or "-",
            line.sequence or "-",
            refusal_title(console.texts, line.refusal),
            format_minor(line.kgo),
            format_minor(line.satang) if line.what == HELD else "-",
            console.time(line.received_at_s),
        )
        for line in found.waiting
    ]
    console.table([*headings, "statement.satang", "exceptions.received"], rows)
    held_kgo = sum(line.kgo for line in found.waiting if line.what == HELD)
    waiting = (format_minor(found.stored.suspense_kgo), format_minor(held_kgo))
    console.say(console.text("statement.waiting_sums", suspense=waiting[0], held=waiting[1]))
    console.say("")


def _amounts(sums: Sums) -> tuple[str, str, str]:
    return format_minor(sums.kgo), format_minor(sums.satang), format_minor(sums.suspense_kgo)


def _csv(found: Statement, console: Console) -> str:
    """Plain decimals without grouping, ISO days: for a spreadsheet. The columns add up to the balances; what is held
    stands below them without a posting."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV)
    why = {(line.device, line.sequence): line for line in found.waiting if line.what != HELD}
    for line in found.lines:
        waiting = why.get((line.device, line.sequence)) if line.sums.suspense_kgo else None
        reason = refusal_title(console.texts, waiting.refusal) if waiting else ""
        entry = console.word("reason", line.reason)
        amounts = [text.replace(",", "") for text in _amounts(line.sums)]
        place = (line.device, line.sequence or "")
        writer.writerow((line.posting_id, tables.date_text(line.day, "en"), entry, *place, *amounts, "0.00", reason))
    for held in (line for line in found.waiting if line.what == HELD):
        writer.writerow(_held_row(held, console))
    return out.getvalue()


def _held_row(line: Waiting, console: Console) -> tuple[Cell, ...]:
    day = console.day_text(line.received_at_s)
    amount = format_minor(line.kgo).replace(",", "")
    reason = refusal_title(console.texts, line.refusal)
    return ("", day, console.word("what", HELD), line.device, line.sequence, "0.00", "0.00", "0.00", amount, reason)
