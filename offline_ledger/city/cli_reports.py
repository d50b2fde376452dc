"""`kgo-city fleet`, `exceptions`, `statement`: what the operator reads. DESIGN §1, §8. Never writes to the ledger."""

import csv
from argparse import Namespace
from dataclasses import asdict
from io import StringIO

from offline_ledger.city import equivocation, reports, tables
from offline_ledger.city.console import OK, REFUSED, Console, refusal_title
from offline_ledger.city.reports import ExceptionLine, FleetLine, StatementLine
from offline_ledger.errors import SettingsInvalid
from offline_ledger.money import format_minor
from offline_ledger.rules.civil import day_of

_FLEET = ("device", "role", "owner", "state", "seen", "waiting", "oldest", "clock", "skew", "deny", "trust")
_FLEET_REST = ("version", "missing", "held")


def fleet(console: Console, said: Namespace) -> int:
    """One line per device."""
    with console.store() as store, store.snapshot():
        lines = reports.fleet(store)
    if said.json:
        console.json([asdict(line) for line in lines])
        return OK
    now_s = console.now_s()
    headings = [f"fleet.{key}" for key in (*_FLEET, *_FLEET_REST)]
    console.table(headings, [_fleet_row(console, line, now_s) for line in lines])
    return OK


def _fleet_row(console: Console, line: FleetLine, now_s: int) -> tuple[str | int, ...]:
    def number(value: int | None) -> str:
        return "-" if value is None else str(value)

    return (
        line.device,
        console.word("role", line.role),
        line.owner,
        _fleet_state(console, line),
        tables.age_text(line.last_seen_s, now_s),
        number(line.waiting),
        tables.age_text(line.oldest_waiting_s, now_s),
        "-" if line.clock_trust is None else console.word("clock", line.clock_trust),
        number(line.skew_s),
        tables.age_text(line.deny_list_at_s, now_s),
        number(line.trust_list_version),
        line.program_version or "-",
        line.missing,
        line.held,
    )


def _fleet_state(console: Console, line: FleetLine) -> str:
    if line.blocked_reason is not None:
        return console.text("fleet.blocked", reason=line.blocked_reason)
    if line.revoked_after is not None:
        return console.text("fleet.revoked", sequence=line.revoked_after)
    return console.text("fleet.good" if line.last_seen_s is not None else "fleet.new")


def exceptions(console: Console, said: Namespace) -> int:
    """Vouchers and proofs that need a person; exit code 1 while there are any."""
    with console.store() as store, store.snapshot():
        lines = reports.exceptions(store)
        proofs = equivocation.proofs(store)
        maps = [reports.proof_map(proof, store.city) for proof in proofs]
    code = REFUSED if lines or any(proof.state is equivocation.ReviewState.OPEN for proof in proofs) else OK
    if said.json:
        vouchers = [asdict(line) | {"identity": line.identity.hex()} for line in lines]
        console.json({"vouchers": vouchers, "equivocations": maps})
        return code
    console.say(console.text("exceptions.vouchers"))
    headings = ["exceptions.what", "fleet.device", "exceptions.sequence", "exceptions.why", "grant.kgo"]
    headings += ["statement.satang", "exceptions.at", "exceptions.received"]
    console.table(headings, [_exception_row(console, line) for line in lines])
    console.say("")
    console.say(console.text("exceptions.proofs"))
    headings = [f"exceptions.{key}" for key in ("number", "kind", "who", "found")]
    rows = [
        (
            proof.equivocation_id,
            console.word("proof", int(proof.kind)),
            proof.device or f"{console.text('wallet.number')} {proof.wallet_id}",
            console.time(proof.found_at_s),
            console.word("review", int(proof.state)),
            console.text("yes" if known["is_proven"] else "no"),
        )
        for proof, known in zip(proofs, maps, strict=True)
    ]
    console.table([*headings, "wallet.state", "exceptions.proven"], rows)
    return code


def _exception_row(console: Console, line: ExceptionLine) -> tuple[str | int, ...]:
    return (
        console.word("what", line.what),
        line.device,
        line.sequence,
        refusal_title(console.texts, line.refusal),
        format_minor(line.kgo),
        format_minor(line.satang),
        console.time(line.at_s),
        console.time(line.received_at_s),
    )


def statement(console: Console, said: Namespace) -> int:
    """Postings and totals per day of one merchant or operator; CSV on request."""
    first, last = _day(said.first_day), _day(said.last_day)
    with console.store() as store:
        lines = reports.statement(store, said.owner, first, last)
    if said.csv:
        console.say(_csv(lines, console).rstrip("\n"))
        return OK
    console.say(console.text("statement.heading", owner=said.owner))
    if said.details:
        headings = ["statement.time", "statement.reason", "fleet.device", "exceptions.sequence", "grant.kgo"]
        rows = [
            (
                console.time(line.posted_at_s),
                console.word("reason", line.reason),
                line.device or "-",
                line.sequence or "-",
                *_amounts(line.kgo, line.satang, line.suspense_kgo),
            )
            for line in lines
        ]
        console.table([*headings, "statement.satang", "statement.suspense"], rows)
        console.say("")
    console.table(
        ["statement.day", "statement.count", "grant.kgo", "statement.satang", "statement.suspense"],
        _days(console, lines),
    )
    return OK


def _days(console: Console, lines: list[StatementLine]) -> list[tuple[str | int, ...]]:
    rows: list[tuple[str | int, ...]] = []
    for day in sorted({line.day for line in lines}):
        of_day = [line for line in lines if line.day == day]
        rows.append((tables.date_text(day, console.language), len(of_day), *_sums(of_day)))
    return [*rows, (console.text("statement.total"), len(lines), *_sums(lines))] if rows else []


def _sums(lines: list[StatementLine]) -> tuple[str, str, str]:
    return _amounts(
        sum(line.kgo for line in lines), sum(line.satang for line in lines), sum(line.suspense_kgo for line in lines)
    )


def _amounts(kgo: int, satang: int, suspense_kgo: int) -> tuple[str, str, str]:
    return format_minor(kgo), format_minor(satang), format_minor(suspense_kgo)


def _csv(lines: list[StatementLine], console: Console) -> str:
    """Plain decimals without grouping, ISO days: for a spreadsheet."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("posting", "day", "entry", "device", "sequence", "kgo", "thb_declared", "suspense_kgo"))
    for line in lines:
        amounts = [text.replace(",", "") for text in _amounts(line.kgo, line.satang, line.suspense_kgo)]
        day = tables.date_text(line.day, "en")
        reason = console.word("reason", line.reason)
        writer.writerow((line.posting_id, day, reason, line.device, line.sequence or "", *amounts))
    return out.getvalue()


def _day(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return day_of(int(text.replace("-", "")))
    except ValueError as error:
        raise SettingsInvalid((f"{text}: {error}",)) from error
