"""`kgo-city wallet`, `balance`, `grant`: people's accounts. DESIGN §8."""

from argparse import Namespace
from collections import Counter
from pathlib import Path

from offline_ledger.city import accounts, allowances, people, recover
from offline_ledger.city.console import OK, Console, read_file
from offline_ledger.city.grants import (
    FILE_BYTES_MAX,
    GrantMistakes,
    Imported,
    TakenBack,
    import_grants,
    take_back,
)
from offline_ledger.city.people import WalletLine
from offline_ledger.errors import AccountKeyWrong, Refusal, UsageWrong
from offline_ledger.money import format_minor
from offline_ledger.protocol.cose import verify_key
from offline_ledger.protocol.wallet import Concession, Medium

CONCESSIONS = {kind.name.lower(): kind for kind in Concession}
MEDIA = {kind.name.lower(): kind for kind in Medium}
SAME_MAX = 5
"""Lines shown of one and the same mistake; the rest of them are one line: a picture given as a file of gifts."""
_HEADINGS = ("number", "name", "concession", "medium", "state", "registered", "available", "reserved")


def wallet(console: Console, said: Namespace) -> int:
    """Lists wallets; registers one; changes name or concession."""
    with console.store() as store:
        only = None
        medium = MEDIA[said.medium] if said.medium else None
        if said.register:
            try:
                point = verify_key(bytes.fromhex(said.register)).point
            except (ValueError, Refusal):
                raise AccountKeyWrong(said.register[:70]) from None
            concession = CONCESSIONS[said.concession or "adult"]
            grant_kgo, now_s = console.city.registering_kgo, console.now_s()
            with store.transaction():
                only = allowances.register(store, point, concession, medium or Medium.PHONE, grant_kgo, now_s).wallet_id
                people.check_medium(store, only, medium)
        elif said.wallet:
            only = people.find_wallet(store, said.wallet).wallet_id
            people.check_medium(store, only, medium)
        if only is not None and (said.concession or said.name is not None):
            people.change_wallet(store, only, CONCESSIONS[said.concession] if said.concession else None, said.name)
        lines = people.list_wallets(store, only)
    if said.json:
        console.json([_as_map(console, line) for line in lines])
        return OK
    rows = [
        (
            line.wallet.wallet_id,
            _shown_name(console, line.name),
            console.word("concession", line.wallet.concession),
            console.word("medium", line.wallet.medium),
            console.word("frozen", line.wallet.frozen),
            console.day_shown(line.registered_at_s),
            format_minor(line.available_kgo),
            format_minor(line.reserved_kgo),
            format_minor(line.deposit_kgo),
            line.wallet.account_point.hex(),
        )
        for line in lines
    ]
    console.table([*(f"wallet.{key}" for key in _HEADINGS), "deposit.kgo", "wallet.account"], rows)
    if len(lines) >= people.LIST_MAX:
        console.say(console.text("wallet.more", count=people.LIST_MAX))
    return OK


def _shown_name(console: Console, name: str) -> str:
    return console.text("wallet.stand_in") if name == people.STAND_IN_NAME else name or "-"


def _as_map(console: Console, line: WalletLine) -> dict[str, object]:
    return {
        "wallet": line.wallet.wallet_id,
        "name": line.name,
        "concession": line.wallet.concession,
        "medium": line.wallet.medium,
        "frozen": line.wallet.frozen,
        "registered_day": console.day_text(line.registered_at_s),
        "available_kgo": line.available_kgo,
        "reserved_kgo": line.reserved_kgo,
        "deposit_kgo": line.deposit_kgo,
        "account": line.wallet.account_point.hex(),
    }


def balance(console: Console, said: Namespace) -> int:
    """What one wallet has, and its allowances."""
    with console.store() as store, store.snapshot():
        found = people.find_wallet(store, said.wallet)
        available_kgo, reserved_kgo = allowances.balances(store, found.wallet_id)
        deposit_kgo = accounts.balance(store, accounts.deposit_account(found.wallet_id))
        issued = allowances.of_wallet(store, found.wallet_id)
        left = [accounts.balance(store, accounts.reserved_account(one.hash)) for one in issued]
    if said.json:
        amounts = {"available_kgo": available_kgo, "reserved_kgo": reserved_kgo, "deposit_kgo": deposit_kgo}
        console.json({"wallet": found.wallet_id, **amounts})
        return OK
    rows = [(found.wallet_id, format_minor(available_kgo), format_minor(reserved_kgo), format_minor(deposit_kgo))]
    console.table(["wallet.number", "wallet.available", "wallet.reserved", "deposit.kgo"], rows)
    if issued:
        console.say("")
        headings = [f"allowance.{key}" for key in ("pass", "reserve", "left", "expires", "state")]
        console.table(
            headings,
            [
                (
                    one.pass_id.hex(),
                    format_minor(one.reserve_kgo),
                    format_minor(left_kgo),
                    console.time(one.expires_at_s),
                    console.word("allowance.state", int(one.state)),
                )
                for one, left_kgo in zip(issued, left, strict=True)
            ],
        )
    return OK


def grant(console: Console, said: Namespace) -> int:
    """What is new in a file of gifts; with `--back`, what was given by it."""
    if said.back and not said.note.strip():
        raise UsageWrong((console.texts.get("usage.note_needed", option="--back"),))
    data = read_file(said.file, FILE_BYTES_MAX)
    try:
        with console.store() as store:
            recover.check_may_sign(store, console.city.checkpoint)
            if said.back:
                return _say_taken_back(console, take_back(store, data, said.note, console.now_s()))
            usual = None if said.large_amounts else console.city.usual_gifts
            return _say_imported(console, import_grants(store, data, console.now_s(), usual))
    except GrantMistakes as mistakes:
        _say_mistakes(console, said.file, mistakes)
        raise


def _say_imported(console: Console, imported: Imported) -> int:
    now, before = console.text("grant.now"), imported.before
    told = {row.line: (row, now) for row in imported.posted}
    told |= {row.line: (row, console.text("grant.before", at=console.time(at_s))) for row, at_s in before}
    rows = [
        (line, row.wallet_id, format_minor(row.kgo), row.reason, state) for line, (row, state) in sorted(told.items())
    ]
    console.table(["grant.line", "wallet.number", *(f"grant.{key}" for key in ("kgo", "reason", "state"))], rows)
    if before:
        console.say(console.text("grant.repeat" if imported.posted else "grant.all_repeat", rows=len(before)))
    if imported.posted:
        total = format_minor(sum(row.kgo for row in imported.posted))
        console.say(console.text("grant.done", rows=len(imported.posted), kgo=total))
    return OK


def _say_taken_back(console: Console, done: tuple[TakenBack, ...]) -> int:
    rows = [
        (one.row.line, one.row.wallet_id, format_minor(one.taken_kgo), format_minor(one.left_kgo), one.row.reason)
        for one in done
    ]
    console.table(["grant.line", "wallet.number", *(f"grant.{key}" for key in ("taken", "left", "reason"))], rows)
    taken_kgo, left_kgo = sum(one.taken_kgo for one in done), sum(one.left_kgo for one in done)
    console.say(console.text("grant.back", kgo=format_minor(taken_kgo)))
    if left_kgo:
        console.say(console.text("grant.back_left", kgo=format_minor(left_kgo)))
    return OK


def _say_mistakes(console: Console, file: Path, mistakes: GrantMistakes) -> None:
    said_of: Counter[str] = Counter()
    for problem in mistakes.problems:
        text = console.text(f"grant.{problem.key}", value=problem.value, other=problem.other)
        said_of[text] += 1
        if said_of[text] <= SAME_MAX:
            console.warn(f"{file}: {console.text('grant.problem', line=problem.line, problem=text)}")
    for text, count in said_of.items():
        if count > SAME_MAX:
            console.warn(f"{file}: {console.text('grant.same', count=count - SAME_MAX, problem=text)}")
    if mistakes.more:
        console.warn(console.text("more_problems", count=mistakes.more))
