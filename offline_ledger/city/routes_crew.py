"""The operator's list of drivers (CSV) made into a crew file. DESIGN §1, §4.

Columns `id`, `name`, `pin`, and if wanted `cards`: pass ids in hexadecimal with spaces between. PINs leave this file as
scrypt only. Every mistake is reported at once, never with the PIN itself. Never keeps a list.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from offline_ledger.csv_lines import Record, records
from offline_ledger.errors import CrewListWrong
from offline_ledger.protocol.crew_file import (
    CARDS_MAX,
    DRIVERS_MAX,
    NAME_CHARACTERS_MAX,
    PIN_DIGITS_MAX,
    PIN_DIGITS_MIN,
    SALT_BYTES,
    SCRYPT_LOG2_N,
    SCRYPT_P,
    SCRYPT_R,
    Crew,
    Driver,
    is_pin,
    pin_hash,
)
from offline_ledger.protocol.kinds import PASS_ID_BYTES
from offline_ledger.texts import Texts

LIST_BYTES_MAX = 200_000
PROBLEMS_MAX = 200
DRIVER_ID_CHARACTERS_MAX = 16
COLUMNS = ("id", "name", "pin")
COST = (SCRYPT_LOG2_N, SCRYPT_R, SCRYPT_P)
_ID = re.compile(r"[A-Za-z0-9._-]+")
_CARD = re.compile(rf"[0-9a-fA-F]{{{2 * PASS_ID_BYTES}}}")
_RISING = "01234567890123456789"


@dataclass
class _Found:
    """What the lines before this one took."""

    drivers: list[tuple[str, str, str, tuple[bytes, ...]]] = field(
        default_factory=list[tuple[str, str, str, tuple[bytes, ...]]]
    )
    cards: dict[bytes, int] = field(default_factory=dict[bytes, int])
    ids: dict[str, int] = field(default_factory=dict[str, int])
    pin_digits: int = 0


def read_crew(data: bytes, operator: str, where: str, texts: Texts, salt: Callable[[int], bytes]) -> Crew:
    """The crew of a list. `salt`: so many random bytes. Raises CrewListWrong with every mistake."""
    told: list[str] = []

    def add(line: int, key: str, **values: object) -> None:
        problem = texts.get(f"city.crew.{key}", **values)
        told.append(texts.get("city.feed.line", file=where, line=line, problem=problem))

    lines = records(data)
    columns = [cell.strip().lower() for cell in lines[0].cells] if lines else []
    if missing := [column for column in COLUMNS if column not in columns]:
        add(lines[0].line if lines else 1, "no_column", columns=", ".join(missing))
        raise CrewListWrong(tuple(told))
    found = _Found()
    for record in lines[1:]:
        _take(record, columns, found, add)
    if not 1 <= len(found.drivers) <= DRIVERS_MAX and not told:
        add(1, "count", high=DRIVERS_MAX)
    if told:
        rest = len(told) - PROBLEMS_MAX
        more = [texts.get("city.more_problems", count=rest)] if rest > 0 else []
        raise CrewListWrong((*told[:PROBLEMS_MAX], *more))
    return Crew(operator, found.pin_digits, COST, tuple(_driver(one, salt(SALT_BYTES)) for one in found.drivers))


def _driver(row: tuple[str, str, str, tuple[bytes, ...]], salt: bytes) -> Driver:
    driver_id, name, pin, cards = row
    return Driver(driver_id, name, salt, pin_hash(pin, salt, COST), cards)


def _take(record: Record, columns: list[str], found: _Found, add: Callable[..., None]) -> None:
    line = record.line
    if record.wrong or len(record.cells) > len(columns):
        add(line, record.wrong or "cells")
        return
    cells = dict(zip(columns, (cell.strip() for cell in record.cells), strict=False))
    driver_id, name, pin = (cells.get(column, "") for column in COLUMNS)
    if not _ID.fullmatch(driver_id) or len(driver_id) > DRIVER_ID_CHARACTERS_MAX:
        add(line, "id", value=driver_id[:40], high=DRIVER_ID_CHARACTERS_MAX)
    elif driver_id in found.ids:
        add(line, "id_twice", value=driver_id, first=found.ids[driver_id])
    found.ids.setdefault(driver_id, line)
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        add(line, "name", high=NAME_CHARACTERS_MAX)
    if not PIN_DIGITS_MIN <= len(pin) <= PIN_DIGITS_MAX or not is_pin(pin, len(pin)):
        add(line, "pin", low=PIN_DIGITS_MIN, high=PIN_DIGITS_MAX)
    elif len(set(pin)) == 1 or pin in _RISING or pin[::-1] in _RISING:
        add(line, "pin_weak")
    elif found.pin_digits not in (0, len(pin)):
        add(line, "pin_length", digits=found.pin_digits)
    else:
        found.pin_digits = len(pin)
    cards: list[bytes] = []
    for card in cells.get("cards", "").split():
        if not _CARD.fullmatch(card):
            add(line, "card", value=card[:40], digits=2 * PASS_ID_BYTES)
        elif (pass_id := bytes.fromhex(card)) in found.cards:
            add(line, "card_twice", value=card, first=found.cards[pass_id])
        else:
            found.cards[pass_id] = line
            cards.append(pass_id)
    if len(cards) > CARDS_MAX:
        add(line, "cards", high=CARDS_MAX)
    found.drivers.append((driver_id, name, pin, tuple(cards)))
