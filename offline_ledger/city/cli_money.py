"""`kgo-city deposit`, `close-day`, `fund`, `join`, `reconsider`: the operator moves money, each with its reason.

DESIGN §5, §8. Every one is a posting with a note, which `audit` replays. Nothing moves in a restored ledger before
`recover`.
"""

from argparse import Namespace

from offline_ledger.city import campaign_funds, day_close, decisions, deposits, people, recover, tables
from offline_ledger.city.console import OK, Console
from offline_ledger.city.day_close import Given
from offline_ledger.city.deposits import Held
from offline_ledger.errors import UsageWrong
from offline_ledger.money import format_minor


def deposit(console: Console, said: Namespace) -> int:
    """Shows a wallet's deposit, puts KGO down, or gives them back."""
    kgo: int | None = said.amount
    _check_amount(console, kgo, needed=said.back)
    with console.store() as store:
        wallet_id = people.find_wallet(store, said.wallet).wallet_id
        if kgo is None:
            held = deposits.held(store, wallet_id)
        else:
            recover.check_may_sign(store, console.city.checkpoint)
            now_s = console.now_s()
            if said.back:
                held = deposits.take_back(store, console.limits, wallet_id, kgo, said.note, now_s)
            else:
                held = deposits.put_down(store, wallet_id, kgo, said.note, now_s)
    if said.json:
        console.json(_as_map(held))
        return OK
    if kgo is not None:
        console.say(console.text("deposit.back" if said.back else "deposit.put", kgo=format_minor(kgo)))
    headings = ["wallet.number", "wallet.available", "deposit.kgo", "deposit.unreleased", "deposit.waiting"]
    amounts = format_minor(held.available_kgo), format_minor(held.deposit_kgo)
    state = console.word("frozen", int(held.is_frozen))
    console.table([*headings, "wallet.state"], [(held.wallet_id, *amounts, held.unreleased, held.waiting, state)])
    return OK


def _as_map(held: Held) -> dict[str, object]:
    return {
        "wallet": held.wallet_id,
        "available_kgo": held.available_kgo,
        "deposit_kgo": held.deposit_kgo,
        "unreleased": held.unreleased,
        "waiting": held.waiting,
        "is_frozen": held.is_frozen,
    }


def close_day(console: Console, said: Namespace) -> int:
    """Gives back what a day's fares came to less; one line for each rebate."""
    day = console.day(said.day)
    count = total_kgo = 0
    found: list[dict[str, object]] = []
    with console.store() as store:
        recover.check_may_sign(store, console.city.checkpoint)
        for given in day_close.close_day(store, day, console.now_s()):
            count, total_kgo = count + 1, total_kgo + given.rebate.kgo
            if said.json:
                found.append(_rebate_map(given))
            else:
                console.say(_line(console, given))
    day_text = tables.date_text(day, console.language)
    if said.json:
        console.json({"day": tables.date_text(day, "en"), "rebates": found, "rebated_kgo": total_kgo})
    else:
        console.say(console.text("close_day.done", day=day_text, count=count, kgo=format_minor(total_kgo)))
    return OK


def _line(console: Console, given: Given) -> str:
    rebate, ride = given.rebate, given.rebate.ride
    line = console.text(
        "close_day.line",
        voucher=f"{ride.record}/{ride.sequence}",
        wallet=given.wallet_id,
        charged=format_minor(ride.charged_kgo),
        kgo=format_minor(rebate.kgo),
        why=console.texts.get(rebate.explanation.key, **rebate.explanation.in_language(console.language)),
    )
    if not given.is_late:
        return line
    return console.text("close_day.late", day=tables.date_text(given.day, console.language), line=line)


def _rebate_map(given: Given) -> dict[str, object]:
    rebate, ride = given.rebate, given.rebate.ride
    return {
        "day": tables.date_text(given.day, "en"),
        "is_late": given.is_late,
        "wallet": given.wallet_id,
        "device": ride.record,
        "sequence": ride.sequence,
        "charged_kgo": ride.charged_kgo,
        "fair_kgo": rebate.fair_kgo,
        "rebate_kgo": rebate.kgo,
        "why": rebate.explanation.key,
    }


def fund(console: Console, said: Namespace) -> int:
    """Shows the campaigns' budgets, or adds to one."""
    kgo: int | None = said.amount
    _check_amount(console, kgo, needed=said.campaign is not None)
    with console.store() as store:
        if said.campaign is not None and kgo is not None:
            recover.check_may_sign(store, console.city.checkpoint)
            found = campaign_funds.fund(store, said.campaign, kgo, said.note, console.now_s())
            left, added = format_minor(found.left_kgo), format_minor(kgo)
            console.say(console.text("fund.done", campaign=found.campaign_id, kgo=added, left=left))
            return OK
        budgets = campaign_funds.budgets(store)
    rows = [(budget.campaign_id, format_minor(budget.left_kgo)) for budget in budgets]
    console.table(["fund.campaign", "fund.kgo"], rows)
    return OK


def join(console: Console, said: Namespace) -> int:
    """After a restore: the stand-in turns out to be this account."""
    with console.store() as store:
        recover.check_may_sign(store, console.city.checkpoint)
        wallet_id = people.find_wallet(store, said.wallet).wallet_id
        kgo = decisions.rebuilt_wallet_joins(store, said.stand_in, wallet_id, said.note, console.now_s())
    console.say(console.text("join.done", stand_in=said.stand_in, wallet=wallet_id, kgo=format_minor(kgo)))
    return OK


def reconsider(console: Console, said: Namespace) -> int:
    """Takes back into suspense what an owner was credited, so that `decide` can name another."""
    with console.store() as store:
        recover.check_may_sign(store, console.city.checkpoint)
        kgo = decisions.reconsider(store, said.device, said.sequence, said.note, console.now_s())
    console.say(console.text("reconsider.done", kgo=format_minor(kgo), device=said.device, sequence=said.sequence))
    return OK


def _check_amount(console: Console, kgo: int | None, *, needed: bool) -> None:
    if kgo == 0 or (kgo is None and needed):
        raise UsageWrong((console.text("amount_needed"),))
