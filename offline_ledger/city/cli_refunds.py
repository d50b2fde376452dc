"""`kgo-city refund-requests`: what tills ask to be given back of other tills' sales; a person approves or declines.
DESIGN §5, §8; decision 0194.
"""

from argparse import Namespace

from offline_ledger.city import recover, refund_requests
from offline_ledger.city.console import OK, Console, refusal_title
from offline_ledger.city.refund_requests import Asked, RequestState
from offline_ledger.errors import UsageWrong
from offline_ledger.money import format_minor
from offline_ledger.protocol.refund_request import RefundRequest

_HEADINGS = ("number", "device", "original", "kgo", "at", "state", "against", "note")
NOTE_CHARACTERS_MAX = 200


def run(console: Console, said: Namespace) -> int:
    """Which of the three is meant."""
    if said.approve is not None:
        return _approve(console, said)
    if said.decline is not None:
        return _decline(console, said)
    return _list(console, said)


def _approve(console: Console, said: Namespace) -> int:
    with console.store() as store:
        recover.check_may_sign(store, console.city.checkpoint)
        note = said.note.strip()[:NOTE_CHARACTERS_MAX]
        done = refund_requests.approve(store, console.limits, said.approve, note, console.now_s())
    console.say(console.text("refund_requests.approved", **_words(done)))
    return OK


def _decline(console: Console, said: Namespace) -> int:
    if not said.note.strip():
        raise UsageWrong((console.texts.get("usage.note_needed", option="--decline"),))
    with console.store() as store:
        recover.check_may_sign(store, console.city.checkpoint)
        note = said.note.strip()[:NOTE_CHARACTERS_MAX]
        done = refund_requests.decline(store, said.decline, note, console.now_s())
    console.say(console.text("refund_requests.declined", **_words(done)))
    return OK


def _words(done: RefundRequest) -> dict[str, object]:
    return {"kgo": format_minor(done.kgo), "voucher": f"{done.original_device}/{done.original_sequence}"}


def _list(console: Console, said: Namespace) -> int:
    """What waits, each with what stands against it now; with `--all` what was decided too."""
    with console.store() as store, store.snapshot():
        found = refund_requests.listed(store, console.limits, console.now_s(), closed_too=said.all)
    if said.json:
        console.json([_as_map(one) for one in found])
        return OK
    console.table([f"refund_requests.{key}" for key in _HEADINGS], [_row(console, one) for one in found])
    if len(found) >= refund_requests.ROWS_MAX:
        console.say(console.text("exceptions.more", count=refund_requests.ROWS_MAX))
    if any(one.state is RequestState.WAITING for one in found):
        console.say(console.text("exceptions.do.refund_request"))
    return OK


def _row(console: Console, one: Asked) -> tuple[str | int, ...]:
    asked = one.asked
    note = "; ".join(part for part in (asked.note, one.note) if part)
    return (
        one.number,
        f"{asked.device} {asked.cashier}".rstrip(),
        f"{asked.original_device}/{asked.original_sequence}",
        format_minor(asked.kgo),
        console.time(asked.at_s),
        console.word("refund_requests.state", int(one.state)),
        refusal_title(console.texts, one.refusal),
        note or "-",
    )


def _as_map(one: Asked) -> dict[str, object]:
    asked = one.asked._asdict()
    asked["original"] = one.asked.original.hex()
    rest = {"state": one.state.name.lower(), "refusal": one.refusal, "decided_at_s": one.decided_at_s}
    received = {"received_at_s": one.received_at_s, "decision_note": one.note}
    return {"number": one.number, "identity": one.identity.hex(), **asked, **rest, **received}
