"""The commands `kgo-pos cashiers` and `kgo-pos audit-log`: who may sign in, and what was done. DESIGN §2.

A PIN is typed without being shown, or is one line of standard input for a script; never an argument, which other users
of the machine could read. Opens `shop.db` itself, and is refused while the running program holds it.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from datetime import date

from offline_ledger.csv_lines import csv_line
from offline_ledger.errors import UsageWrong
from offline_ledger.rules.civil import BANGKOK_AHEAD_S, DAY_S, EPOCH_ORDINAL, civil_day, format_buddhist
from offline_ledger.terminal.commands import OwnCommand
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.program import MachineClock, Place
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, Parser
from pos_app.counter.permissions import Role
from pos_app.goods_commands import entry_now, opened_shop, printing
from pos_app.store.audit_heads import Head, check_heads, heads_in
from pos_app.store.audit_log import AuditLog, AuditRow
from pos_app.store.cashiers import Cashier, Cashiers, roles
from pos_app.store.shop_file import ShopFile

FORMATS = ("text", "csv", "json")
LINE_CHARACTERS_MAX = 100
DAY_MAX = 100_000
"""The year 2243: a clock beyond it is shown as its number."""


def own_commands() -> tuple[OwnCommand, ...]:
    """Those about people and what they did."""
    return (OwnCommand("cashiers", _add_cashiers, _act_cashiers), OwnCommand("audit-log", _add_audit, _act_audit))


# --- cashiers


def _add_cashiers(parser: Parser) -> None:
    todo = Commands(parser, dest="what")
    new = todo.add("add")
    new.add_argument("code", metavar="CODE")
    new.add_argument("name", metavar="NAME")
    new.add_argument("--role", choices=roles())
    todo.add("list")
    todo.add("set-pin").add_argument("code", metavar="CODE")
    todo.add("retire").add_argument("code", metavar="CODE")


def _act_cashiers(place: Place, given: Namespace, texts: Texts) -> int:
    with printing(), opened_shop(place) as file:
        cashiers, audit = Cashiers(file, MachineClock().mono_ms()), AuditLog(file)
        match given.what:
            case "add":
                role = Role.MANAGER if cashiers.is_empty else Role.CASHIER
                role = role if given.role is None else Role[given.role.upper()]
                row = audit.statements_for(entry_now("cashier.add", code=given.code, role=role.name.lower()))
                made = cashiers.add(Cashier(given.code, given.name, role), _typed_pin(texts), row)
                sys.stdout.write(_line(made, texts) + "\n")
            case "set-pin":
                row = audit.statements_for(entry_now("cashier.pin", code=given.code))
                sys.stdout.write(_line(cashiers.set_pin(given.code, _typed_pin(texts), row), texts) + "\n")
            case "retire":
                row = audit.statements_for(entry_now("cashier.retire", code=given.code))
                sys.stdout.write(_line(cashiers.retire(given.code, row), texts) + "\n")
            case _:
                _list(cashiers, texts)
    return 0


def _list(cashiers: Cashiers, texts: Texts) -> None:
    sys.stdout.writelines(_line(cashier, texts) + "\n" for cashier in cashiers.all())
    if cashiers.is_empty:
        sys.stdout.write(texts.get("cashiers.none") + "\n")


def _line(cashier: Cashier, texts: Texts) -> str:
    role = texts.get(f"cashiers.role.{cashier.role.name.lower()}")
    state = () if cashier.is_active else (texts.get("cashiers.retired"),)
    return "\t".join((cashier.code, cashier.name, role, *state))


def _typed_pin(texts: Texts) -> str:
    """Raises UsageWrong when it was typed differently the second time."""
    if not sys.stdin.isatty():
        return sys.stdin.readline(LINE_CHARACTERS_MAX).rstrip("\r\n")
    from getpass import getpass  # a script has no terminal

    try:
        pin = getpass(texts.get("cashiers.pin") + " ")
        again = getpass(texts.get("cashiers.pin_again") + " ")
    except (KeyboardInterrupt, EOFError):
        raise UsageWrong((texts.get("usage.pin_differs"),)) from None
    if again != pin:
        raise UsageWrong((texts.get("usage.pin_differs"),))
    return pin


# --- the audit log


def _add_audit(parser: Parser) -> None:
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    parser.add_argument("--verify", action="store_true")


def _act_audit(place: Place, given: Namespace, texts: Texts) -> int:
    with printing(), opened_shop(place) as file:
        if given.verify:
            log = AuditLog(file)
            sys.stdout.write(texts.get("audit.verified", count=log.verify()) + "\n")
            heads = check_heads(log, _heads(place), MachineClock().wall_s())
            sys.stdout.write(texts.get("audit.sealed" if heads else "audit.unsealed", count=heads) + "\n")
            return 0
        for line in written_audit(file, given.format, texts):
            sys.stdout.write(line)
    return 0


def _heads(place: Place) -> list[Head]:
    """What the journal knows of the log; nothing where this till has no journal yet. Raises what opening it raises."""
    if not place.path("files.journal").exists():
        return []
    with Journal.open(place.path("files.journal"), device_id=place.text("device.id")) as journal:
        return list(heads_in(journal))


def written_audit(file: ShopFile, kind: str, texts: Texts) -> Iterator[str]:
    """The whole log, line by line, as `text`, `csv` or `json`: also one that does not verify."""
    rows = AuditLog(file).rows()
    if kind == "csv":
        yield csv_line(("number", "at_s", "trust", "who", "action", "values", "link")).decode()
        yield from (csv_line(_cells(row)).decode() for row in rows)
    elif kind == "json":
        yield from (json.dumps(_members(row), ensure_ascii=False) + "\n" for row in rows)
    else:
        yield from (text_of(row, texts) + "\n" for row in rows)


def text_of(row: AuditRow, texts: Texts) -> str:
    """One row for a person: when, who, what, with what. `~` stands before a time that the clock was not sure of."""
    entry = row.entry
    given = ", ".join(f"{name} {value}" for name, value in entry.values.items())
    sure = "" if entry.trust else "~"
    who = entry.who or texts.get("audit.nobody")
    return (
        f"{row.number}\t{sure}{_moment(entry.at_s, texts)}\t{who}\t{action_text(entry.action, texts)}\t{given}".rstrip()
    )


def action_text(action: str, texts: Texts) -> str:
    """In words; a key that this version does not know stands for itself."""
    try:
        return texts.get(f"audit.action.{action}")
    except KeyError:
        return action


def _members(row: AuditRow) -> dict[str, object]:
    entry = row.entry
    when = {"number": row.number, "at_s": entry.at_s, "trust": entry.trust.name.lower()}
    return when | {"who": entry.who, "action": entry.action, "values": entry.values, "link": row.link.hex()}


def _cells(row: AuditRow) -> tuple[str, ...]:
    found = _members(row)
    values = json.dumps(found.pop("values"), ensure_ascii=False)
    link = found.pop("link")
    return (*map(str, found.values()), values, str(link))


def _moment(at_s: int, texts: Texts) -> str:
    day, second = civil_day(at_s), (at_s + BANGKOK_AHEAD_S) % DAY_S
    if not 0 <= day <= DAY_MAX:
        return str(at_s)
    shown = format_buddhist(day) if texts.language == "th" else date.fromordinal(day + EPOCH_ORDINAL).isoformat()
    minute = second // 60
    return f"{shown} {minute // 60:02d}:{minute % 60:02d}:{second % 60:02d}"
