"""`kgo-city invite`, `invitations`: one-time codes that open an account each. DESIGN §8. Keeps no code, only hashes."""

import csv
import secrets
from argparse import Namespace
from io import StringIO

from offline_ledger.city import registering, tables
from offline_ledger.city.console import OK, Console
from offline_ledger.city.registering import Batch, Mode, Printed
from offline_ledger.errors import InvitationBatchUnknown, OutputLost
from offline_ledger.money import format_minor


def invite(console: Console, said: Namespace) -> int:
    """New codes as CSV on standard output; everything else on standard error, so that the file holds codes alone."""
    with console.store() as store, store.transaction():  # codes that nobody saw are none: said before they count
        made = registering.make_invitations(
            store, said.count, said.days, said.note, console.now_s(), secrets.token_bytes
        )
        try:
            console.say(_as_csv(made, said.note))
        except BrokenPipeError as error:
            raise OutputLost(f"standard output: {error.strerror}") from error
    kgo = format_minor(console.city.registering_kgo)
    last = tables.date_text(made.last_day, console.language)
    console.warn(console.text("invite.done", count=len(made.codes), batch=made.batch, last=last, kgo=kgo))
    if console.city.registering_mode is Mode.OPEN:
        console.warn(console.text("invite.open"))
    return OK


def _as_csv(made: Printed, note: str) -> str:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("invitation", "last_day", "batch", "note"))
    last_day = tables.date_text(made.last_day, "en")
    for code in made.codes:
        writer.writerow((code, last_day, made.batch, note))
    return out.getvalue().rstrip("\n")


def invitations(console: Console, said: Namespace) -> int:
    """What was printed, how much of it is used; withdraws one batch."""
    with console.store() as store:
        if said.withdraw is not None and not registering.withdraw(store, said.withdraw, console.now_s()):
            raise InvitationBatchUnknown(str(said.withdraw))
        found = registering.batches(store)
    if said.json:
        console.json([{name: getattr(batch, name) for name in Batch.__dataclass_fields__} for batch in found])
        return OK
    headings = [f"invitations.{key}" for key in ("batch", "made", "last", "count", "used", "state", "note")]
    console.table(headings, [_row(console, batch) for batch in found])
    return OK


def _row(console: Console, batch: Batch) -> tuple[str | int, ...]:
    state = "good"
    if batch.withdrawn_at_s is not None:
        state = "withdrawn"
    elif console.now_s() >= batch.expires_at_s:
        state = "over"
    elif batch.used >= batch.count:
        state = "all_used"
    last = console.time(batch.expires_at_s - 1).split(" ")[0]
    shown = console.text(f"invitations.{state}")
    return (batch.batch, console.time(batch.made_at_s), last, batch.count, batch.used, shown, batch.note or "-")
