"""The municipality's gifts from a CSV file: read exactly, posted whole or not at all, once. DESIGN §1, §8.

Columns `wallet` (number, or account key in hex), `amount_kgo`, `reason`, in any order, as spreadsheets write them
(`csv_lines`). The same rows are never posted twice, in whatever order or spelling they come again: who means another
gift writes another reason. All mistakes are reported together, each with its line.
"""

from dataclasses import dataclass
from hashlib import sha256

from offline_ledger.city.accounts import ISSUANCE, Books, Posting, Reason, wallet_account
from offline_ledger.city.csv_lines import Record, records
from offline_ledger.city.people import find_wallet
from offline_ledger.city.store import Store
from offline_ledger.errors import GrantInvalid, WalletUnknown
from offline_ledger.money import AMOUNT_MINOR_MAX, ARABIC, parse_minor
from offline_ledger.protocol import cbor

FILE_BYTES_MAX = 4 << 20
ROWS_MAX = 20_000
PROBLEMS_MAX = 1_000
REASON_CHARACTERS_MAX = 200
COLUMNS = {"wallet": "wallet", "amount_kgo": "amount_kgo", "reason": "reason"} | {
    "กระเป๋า": "wallet",
    "จำนวน_kgo": "amount_kgo",
    "เหตุผล": "reason",
}
"""Headings, as they may be written."""
_NAMES = {"wallet", "amount_kgo", "reason"}


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One gift, checked. `line` counts from 1, the heading's."""

    line: int
    wallet_id: int
    kgo: int
    reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: line, key of the text `city.grant.<key>`, what was written there, and another line it is about."""

    line: int
    key: str
    value: str
    other: int = 0


class GrantMistakes(GrantInvalid):
    """All mistakes of a file, in the order of lines; `more` beyond PROBLEMS_MAX are only counted."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__()
        ordered = sorted(problems, key=lambda problem: problem.line)
        self.problems = tuple(ordered[:PROBLEMS_MAX])
        self.more = max(0, len(ordered) - PROBLEMS_MAX)


@dataclass(frozen=True, slots=True)
class Imported:
    """`posted_at_s`: when these very rows were posted before; then nothing was posted now. None: posted now."""

    rows: tuple[GrantRow, ...]
    posted_at_s: int | None


def import_grants(store: Store, data: bytes, now_s: int) -> Imported:
    """Posts all rows in one transaction. Raises GrantMistakes."""
    with store.transaction():
        rows = _read(store, data)
        marks = (f"grant.{_sum_of(rows).hex()}", f"grant.{sha256(data).hexdigest()}")
        for mark in marks:  # the second is how files were known before
            if (before := store.setting(mark)) is not None:
                return Imported(rows, int(before))
        books = Books(store, now_s)
        for row in rows:
            entries = ((ISSUANCE, -row.kgo), (wallet_account(row.wallet_id), row.kgo))
            books.post(Posting(Reason.GRANT, entries, note=row.reason))
        books.write()
        store.put_setting(marks[0], str(now_s).encode())
    return Imported(rows, None)


def _sum_of(rows: tuple[GrantRow, ...]) -> bytes:
    """One sum for the same gifts, whatever their order and however the file spelled them."""
    return sha256(cbor.encode(sorted([row.wallet_id, row.kgo, row.reason] for row in rows))).digest()


def _read(store: Store, data: bytes) -> tuple[GrantRow, ...]:
    if len(data) > FILE_BYTES_MAX:
        raise GrantMistakes([Problem(1, "file_long", str(FILE_BYTES_MAX))])
    found = records(data)
    if not found:
        raise GrantMistakes([Problem(1, "columns", "")])
    heading, *lines = found
    names = [COLUMNS.get(cell.strip().lower(), "") for cell in heading.cells]
    if heading.wrong or set(names) != _NAMES or len(names) != len(_NAMES):
        unreadable = [Problem(record.line, record.wrong, "") for record in found if record.wrong]
        columns = [] if heading.wrong else [Problem(heading.line, "columns", ", ".join(heading.cells)[:80])]
        raise GrantMistakes(columns + unreadable)
    if not lines:
        raise GrantMistakes([Problem(heading.line, "empty", "")])
    if len(lines) > ROWS_MAX:
        raise GrantMistakes([Problem(lines[ROWS_MAX].line, "too_many", str(ROWS_MAX))])
    return _rows(store, names, lines)


def _rows(store: Store, names: list[str], lines: list[Record]) -> tuple[GrantRow, ...]:
    rows: list[GrantRow] = []
    problems: list[Problem] = []
    seen: dict[tuple[int, str], int] = {}
    for record in lines:
        if record.wrong:
            problems.append(Problem(record.line, record.wrong, ""))
            continue
        if len(record.cells) != len(names):
            problems.append(Problem(record.line, "cells", str(len(record.cells))))
            continue
        row = dict(zip(names, (cell.strip() for cell in record.cells), strict=True))
        found, wrong = _row(store, record.line, row)
        problems += wrong
        if found is None:
            continue
        first = seen.setdefault((found.wallet_id, found.reason), found.line)
        if first != found.line:
            problems.append(Problem(found.line, "twice", row["wallet"][:80], first))
        rows.append(found)
    if problems:
        raise GrantMistakes(problems)
    return tuple(rows)


def _row(store: Store, line: int, row: dict[str, str]) -> tuple[GrantRow | None, list[Problem]]:
    problems: list[Problem] = []
    wallet_id = kgo = 0
    try:
        wallet_id = find_wallet(store, row["wallet"].translate(ARABIC)).wallet_id
    except WalletUnknown:
        problems.append(Problem(line, "wallet", row["wallet"][:80]))
    try:
        kgo = _amount(row["amount_kgo"])
    except ValueError:
        problems.append(Problem(line, "amount", row["amount_kgo"][:40]))
    reason = row["reason"]
    if not 1 <= len(reason) <= REASON_CHARACTERS_MAX or not reason.isprintable():
        problems.append(Problem(line, "reason_bad", reason[:40]))
    return (None if problems else GrantRow(line, wallet_id, kgo, reason)), problems


def _amount(text: str) -> int:
    """`1,000.50`, `๑๐๐` and the like in minor units, above zero; ValueError for anything that could be misread."""
    kgo = parse_minor(text)
    if not 0 < kgo <= AMOUNT_MINOR_MAX:
        raise ValueError(text[:40])
    return kgo
