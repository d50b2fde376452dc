"""`kgo-city fleet`, `exceptions`, `reviewed`: what the operator reads every day. DESIGN §1, §8. Moves no money."""

from argparse import Namespace
from dataclasses import asdict

from offline_ledger.city import equivocation, open_items, reports, tables
from offline_ledger.city.console import OK, REFUSED, Console, refusal_title
from offline_ledger.city.open_items import Item
from offline_ledger.city.reports import FleetLine
from offline_ledger.money import format_minor
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.limits import DAY_S

_FLEET = ("device", "role", "owner", "state", "seen", "waiting", "oldest", "clock", "skew", "deny", "trust")
_FLEET_REST = ("version", "missing", "events", "held", "certificate")


def fleet(console: Console, said: Namespace) -> int:
    """One line per device."""
    with console.store() as store, store.snapshot():
        lines = reports.fleet(store)
        console.warn_of_endings(store)
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
        console.age(line.last_seen_s, now_s),
        number(line.waiting),
        console.age(line.oldest_waiting_s, now_s),
        "-" if line.clock_trust is None else console.word("clock", line.clock_trust),
        number(line.skew_s),
        console.age(line.deny_list_at_s, now_s),
        number(line.trust_list_version),
        line.program_version or "-",
        line.missing,
        line.events_lost,
        line.held,
        _certificate_left(console, line, now_s),
    )


def _certificate_left(console: Console, line: FleetLine, now_s: int) -> str:
    """Only what needs somebody: a terminal whose renewal is due and that has not come for it."""
    left_s = line.expires_at_s - now_s
    if left_s >= console.limits.certificate_lead_s:
        return "-"
    day = tables.date_text(civil_day(line.expires_at_s), console.language)
    if left_s < 0:
        return console.text("fleet.ended", day=day)
    return console.text("fleet.days_left", day=day, count=left_s // DAY_S)


def _fleet_state(console: Console, line: FleetLine) -> str:
    if line.blocked_reason is not None:
        return console.text("fleet.blocked", reason=console.texts.detail_text(line.blocked_reason))
    if line.revoked_after is not None:
        return console.text("fleet.revoked", sequence=line.revoked_after)
    return console.text("fleet.good" if line.last_seen_s is not None else "fleet.new")


def exceptions(console: Console, said: Namespace) -> int:
    """Vouchers and proofs that need a person; exit code 1 while there are any. With `--all` what was settled too."""
    with console.store() as store, store.snapshot():
        found = open_items.items(store, closed_too=said.all)
        proofs = [
            proof for proof in equivocation.proofs(store) if said.all or proof.state is equivocation.ReviewState.OPEN
        ]
        maps = [reports.proof_map(proof, store.city) for proof in proofs]
    is_open = any(item.is_open for item in found) or any(
        proof.state is equivocation.ReviewState.OPEN for proof in proofs
    )
    code = REFUSED if is_open else OK
    if said.json:
        vouchers = [asdict(item) | {"identity": item.identity.hex()} for item in found]
        console.json({"vouchers": vouchers, "equivocations": maps})
        return code
    console.say(console.text("exceptions.vouchers"))
    headings = ["exceptions.what", "fleet.device", "exceptions.sequence", "exceptions.why", "grant.kgo"]
    headings += ["statement.satang", "exceptions.at", "exceptions.received"]
    headings += ["wallet.state", "exceptions.note"] if said.all else []
    console.table(headings, [_exception_row(console, item, said.all) for item in found])
    if len(found) >= open_items.ROWS_MAX:
        console.say(console.text("exceptions.more", count=open_items.ROWS_MAX))
    for what in sorted({item.what for item in found if item.is_open}):
        console.say(console.text(f"exceptions.do.{what}"))
    console.say("")
    console.say(console.text("exceptions.proofs"))
    headings = [f"exceptions.{key}" for key in ("number", "kind", "who", "found")]
    headings += ["wallet.state", "exceptions.proven"] + (["exceptions.note"] if said.all else [])
    rows = [
        (
            proof.equivocation_id,
            console.word("proof", int(proof.kind)),
            proof.device or f"{console.text('wallet.number')} {proof.wallet_id}",
            console.time(proof.found_at_s),
            console.word("review", int(proof.state)),
            console.text("yes" if known["is_proven"] else "no"),
            *((proof.note or "-",) if said.all else ()),
        )
        for proof, known in zip(proofs, maps, strict=True)
    ]
    console.table(headings, rows)
    if any(proof.state is equivocation.ReviewState.OPEN for proof in proofs):
        console.say(console.text("exceptions.do.proof"))
    return code


def _exception_row(console: Console, item: Item, closed_too: bool) -> tuple[str | int, ...]:
    row = (
        console.word("what", item.what),
        item.device,
        item.sequence,
        _why(console, item),
        format_minor(item.kgo),
        format_minor(item.satang),
        console.time(item.at_s),
        console.time(item.received_at_s),
    )
    state = console.text("exceptions.open" if item.is_open else "exceptions.closed")
    closed = console.texts.detail_text(item.closed) if item.what == open_items.SUSPENSE else item.closed
    return (*row, state, closed.rstrip(": ") or "-") if closed_too else row


def _why(console: Console, item: Item) -> str:
    title = refusal_title(console.texts, item.refusal)
    if item.what == open_items.REFUND_REQUEST and not item.refusal:
        return item.note
    return f"{title}: {item.note}" if item.note else title


def reviewed(console: Console, said: Namespace) -> int:
    """A person looked at rejected, late or forked vouchers of a device."""
    with console.store() as store:
        count = open_items.mark_reviewed(store, said.device, said.sequence, said.note, console.now_s())
    console.say(console.text("reviewed.done", device=said.device, count=count))
    return OK
