"""The municipality's gifts from a CSV file: read exactly, posted whole or not at all, once per file. DESIGN §1, §8.

Columns `wallet` (number, or account key in hex), `amount_kgo`, `reason`, in any order. A file is known by its SHA-256:
importing it again posts nothing. All mistakes are reported together.
"""

import csv
from dataclasses import dataclass
from hashlib import sha256
from io import StringIO

from offline_ledger.city.accounts import ISSUANCE, Books, Posting, Reason, wallet_account
from offline_ledger.city.people import find_wallet
from offline_ledger.city.store import Store
from offline_ledger.errors import GrantInvalid, WalletUnknown
from offline_ledger.money import AMOUNT_MINOR_MAX, parse_minor

FILE_BYTES_MAX = 4 << 20
ROWS_MAX = 20_000
PROBLEMS_MAX = 50
REASON_CHARACTERS_MAX = 200
COLUMNS = {"wallet", "amount_kgo", "reason"}


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One gift, checked. `line` counts from 1, the heading's."""

    line: int
    wallet_id: int
    kgo: int
    reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: line, key of the text `city.grant.<key>`, and what was written there."""

    line: int
    key: str
    value: str


class GrantMistakes(GrantInvalid):
    """All mistakes of a file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{len(problems)} mistakes")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Imported:
    """`is_repeat`: this very file was posted before; nothing was posted now."""

    rows: tuple[GrantRow, ...]
    is_repeat: bool


def import_grants(store: Store, data: bytes, now_s: int) -> Imported:
    """Posts all rows in one transaction. Raises GrantMistakes."""
    mark = f"grant.{sha256(data).hexdigest()}"
    with store.transaction():
        rows = _read(store, data)
        if store.setting(mark) is not None:
            return Imported(rows, True)
        books = Books(store, now_s)
        for row in rows:
            entries = ((ISSUANCE, -row.kgo), (wallet_account(row.wallet_id), row.kgo))
            books.post(Posting(Reason.GRANT, entries, note=row.reason))
        books.write()
        store.put_setting(mark, str(now_s).encode())
    return Imported(rows, False)


def _read(store: Store, data: bytes) -> tuple[GrantRow, ...]:
    if len(data) > FILE_BYTES_MAX:
        raise GrantMistakes((Problem(1, "file_long", str(FILE_BYTES_MAX)),))
    try:
        lines = csv.reader(StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        table = [(lines.line_num, cells) for cells in lines if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError:
        raise GrantMistakes((Problem(1, "not_utf8", ""),)) from None
    except csv.Error as error:
        raise GrantMistakes((Problem(1, "not_csv", str(error)),)) from None
    names = [cell.strip().lower() for cell in table[0][1]] if table else []
    if set(names) != COLUMNS or len(names) != len(COLUMNS):
        raise GrantMistakes((Problem(1, "columns", ", ".join(names)[:80]),))
    if len(table) < 2:
        raise GrantMistakes((Problem(1, "empty", ""),))
    if len(table) - 1 > ROWS_MAX:
        raise GrantMistakes((Problem(ROWS_MAX + 2, "too_many", str(ROWS_MAX)),))
    return _rows(store, names, table[1:])


def _rows(store: Store, names: list[str], table: list[tuple[int, list[str]]]) -> tuple[GrantRow, ...]:
    rows: list[GrantRow] = []
    problems: list[Problem] = []
    seen: set[tuple[int, str]] = set()
    for line, cells in table:
        if len(cells) != len(names):
            problems.append(Problem(line, "cells", str(len(cells))))
            continue
        row = dict(zip(names, (cell.strip() for cell in cells), strict=True))
        found, wrong = _row(store, line, row)
        problems += wrong
        if found is not None and (found.wallet_id, found.reason) in seen:
            problems.append(Problem(line, "twice", row["wallet"]))
        elif found is not None:
            seen.add((found.wallet_id, found.reason))
            rows.append(found)
        if len(problems) >= PROBLEMS_MAX:
            break
    if problems:
        raise GrantMistakes(tuple(problems))
    return tuple(rows)


def _row(store: Store, line: int, row: dict[str, str]) -> tuple[GrantRow | None, list[Problem]]:
    problems: list[Problem] = []
    wallet_id = kgo = 0
    try:
        wallet_id = find_wallet(store, row["wallet"]).wallet_id
    except WalletUnknown:
        problems.append(Problem(line, "wallet", row["wallet"][:80]))
    try:
        kgo = parse_minor(row["amount_kgo"])
        if not 0 < kgo <= AMOUNT_MINOR_MAX:
            raise ValueError
    except ValueError:
        problems.append(Problem(line, "amount", row["amount_kgo"][:40]))
    reason = row["reason"]
    if not 1 <= len(reason) <= REASON_CHARACTERS_MAX or not reason.isprintable():
        problems.append(Problem(line, "reason_bad", reason[:40]))
    return (None if problems else GrantRow(line, wallet_id, kgo, reason)), problems
