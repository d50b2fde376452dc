"""`kgo-city wallet`, `balance`, `grant`: people's accounts. DESIGN §8."""

from argparse import Namespace
from collections import Counter

from offline_ledger.city import accounts, allowances, people
from offline_ledger.city.console import OK, Console, read_file
from offline_ledger.city.grants import FILE_BYTES_MAX, GrantMistakes, import_grants
from offline_ledger.city.people import WalletLine
from offline_ledger.errors import AccountKeyWrong, Refusal
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
        if only is not None and (said.concession or said.name):
            people.change_wallet(store, only, CONCESSIONS[said.concession] if said.concession else None, said.name)
        lines = people.list_wallets(store, only)
    if said.json:
        console.json([_as_map(line) for line in lines])
        return OK
    rows = [
        (
            line.wallet.wallet_id,
            _shown_name(console, line.name),
            console.word("concession", line.wallet.concession),
            console.word("medium", line.wallet.medium),
            console.word("frozen", line.wallet.frozen),
            console.time(line.registered_at_s),
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


def _as_map(line: WalletLine) -> dict[str, object]:
    return {
        "wallet": line.wallet.wallet_id,
        "name": line.name,
        "concession": line.wallet.concession,
        "medium": line.wallet.medium,
        "frozen": line.wallet.frozen,
        "registered_at_s": line.registered_at_s,
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
    """The whole file or nothing."""
    data = read_file(said.file, FILE_BYTES_MAX)
    try:
        with console.store() as store:
            imported = import_grants(store, data, console.now_s())
    except GrantMistakes as mistakes:
        said_of: Counter[str] = Counter()
        for problem in mistakes.problems:
            text = console.text(f"grant.{problem.key}", value=problem.value, other=problem.other)
            said_of[text] += 1
            if said_of[text] <= SAME_MAX:
                console.warn(f"{said.file}: {console.text('grant.problem', line=problem.line, problem=text)}")
        for text, count in said_of.items():
            if count > SAME_MAX:
                console.warn(f"{said.file}: {console.text('grant.same', count=count - SAME_MAX, problem=text)}")
        if mistakes.more:
            console.warn(console.text("more_problems", count=mistakes.more))
        raise
    rows = [(row.line, row.wallet_id, format_minor(row.kgo), row.reason) for row in imported.rows]
    console.table(["grant.line", "wallet.number", "grant.kgo", "grant.reason"], rows)
    if imported.posted_at_s is not None:
        console.say(console.text("grant.repeat", rows=len(rows), at=console.time(imported.posted_at_s)))
    else:
        total = format_minor(sum(row.kgo for row in imported.rows))
        console.say(console.text("grant.done", rows=len(rows), kgo=total))
    return OK
