"""`kgo-city lift`, `confirm`, `release`, `unblock`, `decide`: a person judges. DESIGN §7, §8."""

from argparse import Namespace

from offline_ledger.city import bulletins, decided, decisions, equivocation, recover
from offline_ledger.city.console import OK, Console
from offline_ledger.city.equivocation import ReviewState
from offline_ledger.city.ingest_reading import BatchReader
from offline_ledger.city.keys import StoredKeys
from offline_ledger.city.log import Log, write_checkpoint
from offline_ledger.city.posting_links import newest_mark
from offline_ledger.errors import UnknownDevice, UsageWrong
from offline_ledger.money import format_minor


def review(console: Console, said: Namespace) -> int:
    """Lifts or confirms one equivocation; the deny list follows at once. Another verdict than before needs a reason."""
    verdict = ReviewState.CONFIRMED if said.command == "confirm" else ReviewState.LIFTED
    with console.store() as store:
        signer = console.keys(store).bulletin
        recover.check_may_sign(store, console.city.checkpoint)
        now_s = console.now_s()
        with store.transaction():
            proof = equivocation.numbered_proof(store, said.number)
            before, note = proof.state, said.note
            state = console.word("review", int(verdict))
            if before is verdict:
                if not note.strip() or note == proof.note:
                    console.say(console.text("review.same", number=said.number, state=state))
                    return OK
                note = f"{proof.note}; {note}" if proof.note else note
            elif before is not ReviewState.OPEN and not note.strip():
                raise UsageWrong((console.texts.get("usage.note_needed", option=said.command),))
            equivocation.review(store, said.number, verdict is ReviewState.CONFIRMED, note, now_s)
        bulletins.publish_deny_list(store, signer, now_s)
    key = "review.noted" if before is verdict else "review.done"
    console.say(console.text(key, number=said.number, state=state))
    return OK


def release(console: Console, said: Namespace) -> int:
    """Judges what is held of a device."""
    with console.store() as store:
        recover.check_may_sign(store, console.city.checkpoint)
        if not store.one("SELECT 1 FROM devices WHERE device = ?", (said.device,)):
            raise UnknownDevice(said.device)
        reader = BatchReader(store, StoredKeys(store))
        count = decisions.release_held(store, reader, console.limits, said.device, console.now_s())
        write_checkpoint(console.city.checkpoint, Log(store).head(), newest_mark(store))
    console.say(console.text("release.done", device=said.device, count=count))
    return OK


def unblock(console: Console, said: Namespace) -> int:
    """The device was looked at."""
    with console.store() as store:
        if not store.one("SELECT 1 FROM devices WHERE device = ?", (said.device,)):
            raise UnknownDevice(said.device)
        decisions.unblock(store, said.device)
    console.say(console.text("unblock.done", device=said.device))
    return OK


def decide(console: Console, said: Namespace) -> int:
    """Pays or refuses what waits in suspense."""
    with console.store() as store:
        recover.check_may_sign(store, console.city.checkpoint)
        kgo = decisions.decide_suspense(
            store,
            said.device,
            said.sequence,
            pay=said.pay,
            from_risk=said.source == "risk",
            note=said.note,
            now_s=console.now_s(),
        )
        done = decided.last_decision(store, said.device, said.sequence)
    console.say(console.text("decide.paid" if said.pay else "decide.refused", owner=done.owner, kgo=format_minor(kgo)))
    for part in done.parts:
        key = "decide.from" if part.kgo < 0 else "decide.to"
        who = console.text("decide.who.debt" if part.is_debt else f"decide.who.{int(part.kind)}", name=part.name)
        console.say(console.text(key, who=who, kgo=format_minor(abs(part.kgo))))
    for part in done.before:
        who = console.text(f"decide.who.{int(part.kind)}", name=part.name)
        console.say(console.text("decide.before", who=who, kgo=format_minor(-part.kgo)))
    if done.unpaid:
        others = ", ".join(f"{record}/{sequence}" for record, sequence in done.unpaid)
        console.warn(console.text("decide.unpaid", others=others))
    return OK
