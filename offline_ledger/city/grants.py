"""The municipality's gifts from a CSV file: read exactly, each row posted once; and taken back. DESIGN §1, §8.

Columns `wallet` (number, or account key in hex), `amount_kgo`, `reason`, in any order, as spreadsheets write them
(`csv_lines`). A row whose wallet was given something for the same reason before (`gifts`) is not posted again, whatever
else the file says: who means another gift writes another reason. All mistakes are reported together, each with its
line, and then nothing is posted.
"""

import re
from dataclasses import dataclass

from offline_ledger.city.accounts import ISSUANCE, Books, Posting, Reason, wallet_account
from offline_ledger.city.gifts import Gift, gifts_of, note_of_taking_back, reason_key
from offline_ledger.city.people import find_wallet
from offline_ledger.city.store import Store
from offline_ledger.csv_lines import Record, records
from offline_ledger.errors import GrantInvalid, WalletUnknown
from offline_ledger.money import AMOUNT_MINOR_MAX, ARABIC, format_minor, parse_minor

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
_REST_OF_AMOUNT = re.compile(r"[0-9]{3}(\.[0-9]*)?")
"""What an amount's comma without quotes leaves as reason: `3,1,000`."""


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One gift, checked. `line` counts from 1, the heading's."""

    line: int
    wallet_id: int
    kgo: int
    reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: line, key of the text `city.grant.<key>`, what was written there, and another line or amount that it
    is about."""

    line: int
    key: str
    value: str
    other: int | str = 0


class GrantMistakes(GrantInvalid):
    """All mistakes of a file, in the order of lines; `more` beyond PROBLEMS_MAX are only counted."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__()
        ordered = sorted(problems, key=lambda problem: problem.line)
        self.problems = tuple(ordered[:PROBLEMS_MAX])
        self.more = max(0, len(ordered) - PROBLEMS_MAX)


@dataclass(frozen=True, slots=True)
class Usual:
    """The most that one row, and what one file gives anew, usually come to. 1/100 KGO."""

    row_kgo_max: int
    file_kgo_max: int


@dataclass(frozen=True, slots=True)
class Imported:
    """What was posted now, and what had been given before, each with the time of its posting."""

    posted: tuple[GrantRow, ...]
    before: tuple[tuple[GrantRow, int], ...]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """One row of what was given: `taken_kgo` of it came back now, `left_kgo` is not *available* any more."""

    row: GrantRow
    taken_kgo: int
    left_kgo: int


def import_grants(store: Store, data: bytes, now_s: int, usual: Usual | None) -> Imported:
    """Posts the rows that are new, in one transaction. `usual` None: large amounts are meant. Raises GrantMistakes."""
    with store.transaction():
        new: list[GrantRow] = []
        before: list[tuple[GrantRow, int]] = []
        problems: list[Problem] = []
        for row in _read(store, data):
            standing = gifts_of(store, row.wallet_id).get(reason_key(row.reason), [])
            if same := [gift for gift in standing if row.kgo in (gift.kgo, gift.left_kgo)]:
                before.append((row, same[0].posted_at_s))
            elif _REST_OF_AMOUNT.fullmatch(row.reason.translate(ARABIC)):
                problems.append(Problem(row.line, "reason_digits", row.reason[:40]))
            elif standing:
                problems.append(Problem(row.line, "otherwise", format_minor(row.kgo), _left(standing)))
            elif usual is not None and row.kgo > usual.row_kgo_max:
                problems.append(Problem(row.line, "large", format_minor(row.kgo), format_minor(usual.row_kgo_max)))
            else:
                new.append(row)
        total_kgo = sum(row.kgo for row in new)
        if usual is not None and total_kgo > usual.file_kgo_max:
            problems.append(Problem(1, "large_file", format_minor(total_kgo), format_minor(usual.file_kgo_max)))
        if problems:
            raise GrantMistakes(problems)
        books = Books(store, now_s)
        for row in new:
            entries = ((ISSUANCE, -row.kgo), (wallet_account(row.wallet_id), row.kgo))
            books.post(Posting(Reason.GRANT, entries, note=row.reason))
        books.write()
    return Imported(tuple(new), tuple(before))


def take_back(store: Store, data: bytes, note: str, now_s: int) -> tuple[TakenBack, ...]:
    """Of every row that was given, what is *available* now goes back to the city; the rest when it is asked again.

    The same gift given twice: the later one. Raises GrantMistakes, also for a row that was never given like this.
    """
    with store.transaction():
        books = Books(store, now_s)
        done: list[TakenBack] = []
        problems: list[Problem] = []
        for row in _read(store, data):
            standing = gifts_of(store, row.wallet_id).get(reason_key(row.reason), [])
            same = [gift for gift in standing if gift.kgo == row.kgo]
            if not same:
                key = "not_given_so" if standing else "not_given"
                problems.append(Problem(row.line, key, format_minor(row.kgo), _left(standing)))
                continue
            gift, account = same[-1], wallet_account(row.wallet_id)
            kgo = min(gift.left_kgo, max(0, books.balance(account)))
            books.post(
                Posting(Reason.GRANT_BACK, ((account, -kgo), (ISSUANCE, kgo)), note=note_of_taking_back(gift, note))
            )
            done.append(TakenBack(row, kgo, gift.left_kgo - kgo))
        if problems:
            raise GrantMistakes(problems)
        books.write()
    return tuple(done)


def _left(standing: list[Gift]) -> str:
    return ", ".join(format_minor(gift.left_kgo) for gift in standing)


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
        first = seen.setdefault((found.wallet_id, reason_key(found.reason)), found.line)
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
    reason = " ".join(row["reason"].split())
    if not 1 <= len(reason) <= REASON_CHARACTERS_MAX or not reason.isprintable():
        problems.append(Problem(line, "reason_bad", reason[:40]))
    return (None if problems else GrantRow(line, wallet_id, kgo, reason)), problems


def _amount(text: str) -> int:
    """`1,000.50`, `๑๐๐` and the like in minor units, above zero; ValueError for anything that could be misread."""
    kgo = parse_minor(text)
    if not 0 < kgo <= AMOUNT_MINOR_MAX:
        raise ValueError(text[:40])
    return kgo
