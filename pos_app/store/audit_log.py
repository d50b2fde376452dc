"""Who did what at the till, in `shop.db`: rows that only grow, each linked to the one before by SHA-256. DESIGN §2, §6.

A row that is changed, taken out or missing at the end is found and named. It is no proof against somebody who writes
the whole file anew: for that `head` stands in the signed journal (`audit_heads`). Old months go from the beginning,
and the link that they ended with stays. Never holds a PIN or anything of a wallet.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import RLock
from typing import NamedTuple, cast

from offline_ledger.errors import AuditLogBroken, ShopFileDamaged
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.civil import BANGKOK_AHEAD_S, DAY_S
from offline_ledger.terminal.journal_sql import Row, Statement
from pos_app.store.shop_file import ShopFile

ROWS_MAX = 1_000_000
"""Some 200 MB; a busy till writes five rows a sale, 2,000 sales a day: a hundred days at the very least."""
KEPT_DAYS = 400
"""A year, and the month in which somebody asks about it."""
PRUNED_AT_ONCE_MAX = 5_000
"""Rows of one write: a sale that waits for the disk waits for no more than this."""
CHUNK = 1_000
VALUES_MAX = 16
TEXT_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 40
START = bytes(32)
"""The link before the first row."""

Value = int | str | bool | None

_TABLES = (
    "CREATE TABLE IF NOT EXISTS audit ("
    "number INTEGER PRIMARY KEY, at_s INTEGER NOT NULL, trust INTEGER NOT NULL, who TEXT NOT NULL,"
    " action TEXT NOT NULL, given TEXT NOT NULL, link BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS audit_ends ("
    "id INTEGER PRIMARY KEY CHECK (id = 1), first_number INTEGER NOT NULL, first_link BLOB NOT NULL,"
    " last_number INTEGER NOT NULL, last_link BLOB NOT NULL) STRICT",
    "INSERT OR IGNORE INTO audit_ends (id, first_number, first_link, last_number, last_link)"
    " VALUES (1, 0, zeroblob(32), 0, zeroblob(32))",
)
_PUT = "INSERT INTO audit (number, at_s, trust, who, action, given, link) VALUES (?, ?, ?, ?, ?, ?, ?)"
_ENDS = "SELECT first_number, first_link, last_number, last_link FROM audit_ends"
_ROWS = "SELECT number, at_s, trust, who, action, given, link FROM audit WHERE number > ? ORDER BY number LIMIT ?"


class Entry(NamedTuple):
    """One thing that was done. `who`: a cashier's code, or empty for the machine itself. `values`: what it was about,
    small: names and whole numbers. `action`: a key as `sale.void`, told as `audit.action.sale.void`."""

    at_s: int
    trust: ClockTrust
    who: str
    action: str
    values: Mapping[str, Value] = {}


class AuditRow(NamedTuple):
    """An entry as it is kept, with its number (1, 2, 3 …) and its link."""

    number: int
    entry: Entry
    link: bytes


class Ends(NamedTuple):
    """`first`: the last row that was pruned (0: none) and its link; `last`: the newest."""

    first_number: int
    first_link: bytes
    last_number: int
    last_link: bytes


class AuditLog:
    """The log. Every method may be called from any thread."""

    def __init__(self, file: ShopFile) -> None:
        """Makes its tables where there are none."""
        self._file = file
        self.turn = RLock()
        """Who holds it from `statements_for` to the write has nobody between."""
        file.has_tables(*_TABLES)

    # --- writing

    def add(self, entry: Entry) -> None:
        """One row, durable when it returns. Raises StorageFull, StorageFailed, ShopFileDamaged."""
        self.write_with((), entry)

    def write_with(self, statements: Sequence[Statement], *entries: Entry) -> None:
        """What was done and that it was done, in one transaction: both are durable when it returns, or neither is.
        Raises what `ShopFile.write` raises."""
        with self.turn:
            self._file.write([*statements, *self.statements_for(*entries)])

    def statements_for(self, *entries: Entry) -> list[Statement]:
        """The rows, for a write of the caller's own, while `turn` is held: a row that another thread adds in between
        makes that write fail with apsw.ConstraintError, and nothing be written. `write_with` does all of it."""
        ends = self.ends()
        number, link = ends.last_number, ends.last_link
        found: list[Statement] = []
        for entry in entries:
            number += 1
            kept = _kept(entry)
            given = _text(kept.values)
            row = (number, kept.at_s, int(kept.trust), kept.who, kept.action, given)
            link = link_of(link, row)
            found.append((_PUT, (*row, link)))
        found.append(("UPDATE audit_ends SET last_number = ?, last_link = ?", (number, link)))
        return found

    def prune(self, now_s: int, trust: ClockTrust) -> int:
        """Takes out what is too old or too much, at most 5,000 rows; how many. Ask again until it is 0. A clock that is
        only a floor decides nothing: set forward, it would empty the log."""
        with self.turn:
            ends = self.ends()
            until = max(ends.last_number - ROWS_MAX, ends.first_number)
            if trust > ClockTrust.FLOOR:
                until = max(until, self._last_before(month_start_s(now_s - KEPT_DAYS * DAY_S), ends))
            until = min(until, ends.first_number + PRUNED_AT_ONCE_MAX)
            row = self._file.fetch("SELECT link FROM audit WHERE number = ?", (until,)) if until else []
            if not row or until <= ends.first_number:
                return 0
            self._file.write(
                [
                    ("DELETE FROM audit WHERE number <= ?", (until,)),
                    ("UPDATE audit_ends SET first_number = ?, first_link = ?", (until, cast(bytes, row[0][0]))),
                ]
            )
            return until - ends.first_number

    # --- reading

    def head(self) -> tuple[int, bytes]:
        """Number and link of the newest row: whoever holds these two can tell later whether a row was changed."""
        ends = self.ends()
        return ends.last_number, ends.last_link

    def ends(self) -> Ends:
        """Where the rows that are kept begin and end. Raises ShopFileDamaged."""
        found = self._file.fetch(_ENDS)
        if len(found) != 1:
            raise ShopFileDamaged("the audit log's ends are gone")
        return Ends(*cast(tuple[int, bytes, int, bytes], found[0]))

    def links(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """The links of these rows, as far as they are there."""
        found: dict[int, bytes] = {}
        for number in numbers:
            for row in self._file.fetch("SELECT link FROM audit WHERE number = ?", (number,)):
                found[number] = bytes(cast(bytes, row[0]))
        return found

    def newest(self, limit: int = 100) -> list[AuditRow]:
        """The last rows, the newest first."""
        asked = "SELECT number, at_s, trust, who, action, given, link FROM audit ORDER BY number DESC LIMIT ?"
        return [_row_of(row) for row in self._file.fetch(asked, (min(limit, CHUNK),))]

    def rows(self) -> Iterator[AuditRow]:
        """All of them, the oldest first, read in pieces; changed ones too."""
        return map(_row_of, self._raw())

    def verify(self) -> int:
        """How many rows stand as they were written. Raises AuditLogBroken, naming the first that does not."""
        while True:
            ends = self.ends()
            try:
                return self._verified(ends)
            except AuditLogBroken:
                if self.ends().first_number == ends.first_number:
                    raise  # else rows were pruned while they were read

    # --- inside

    def _verified(self, ends: Ends) -> int:
        number, link = ends.first_number, ends.first_link
        for row in self._raw():
            if cast(int, row[0]) > ends.last_number:
                break  # written since, or put in
            number += 1
            if row[0] != number:
                raise AuditLogBroken(f"row {number} is missing")
            if row[6] != (link := link_of(link, row[:6])):
                raise AuditLogBroken(f"row {number} is not as it was written")
        if number < ends.last_number:
            raise AuditLogBroken(f"row {number + 1} is missing")
        if link != ends.last_link:
            raise AuditLogBroken(f"row {number} is not as it was written")
        asked = "SELECT (SELECT max(number) FROM audit), last_number FROM audit_ends"
        newest, last = self._file.fetch(asked)[0]
        if newest is not None and newest != last:
            raise AuditLogBroken(f"row {newest} was put in")
        return number - ends.first_number

    def _raw(self) -> Iterator[Row]:
        after = -1
        while found := self._file.fetch(_ROWS, (after, CHUNK)):
            yield from found
            after = cast(int, found[-1][0])

    def _last_before(self, at_s: int, ends: Ends) -> int:
        """The end of the rows at the beginning that are all older: one that is not stops it, whatever comes after."""
        asked = "SELECT min(number) FROM audit WHERE number <= ? AND at_s >= ?"
        first = self._file.fetch(asked, (ends.first_number + PRUNED_AT_ONCE_MAX, at_s))[0][0]
        newest = min(ends.last_number, ends.first_number + PRUNED_AT_ONCE_MAX)
        return newest if first is None else cast(int, first) - 1


def link_of(before: bytes, row: Sequence[object]) -> bytes:
    """SHA-256 of the link before and of the whole row: number, time, trust, who, action, values as they are kept."""
    return hashlib.sha256(before + json.dumps(row, separators=(",", ":")).encode()).digest()


def month_start_s(at_s: int) -> int:
    """The first second of the month in Bangkok."""
    from datetime import UTC, datetime  # pruning alone needs a calendar

    local = datetime.fromtimestamp(max(0, at_s) + BANGKOK_AHEAD_S, UTC)
    first = local.replace(day=1, hour=0, minute=0, second=0)
    return int(first.timestamp()) - BANGKOK_AHEAD_S


def _kept(entry: Entry) -> Entry:
    """With what is too long cut: what somebody pastes into a field must not stop a till."""
    items = list(entry.values.items())[:VALUES_MAX]
    values = {_cut(name, NAME_CHARACTERS_MAX): _value(value) for name, value in items}
    who, action = _cut(entry.who, NAME_CHARACTERS_MAX), _cut(entry.action, NAME_CHARACTERS_MAX)
    return entry._replace(who=who, action=action, values=values)


def _value(value: Value) -> Value:
    if isinstance(value, str):
        return _cut(value, TEXT_CHARACTERS_MAX)
    return value if value is None or -(2**63) <= value < 2**63 else str(value)[:TEXT_CHARACTERS_MAX]


def _cut(text: str, most: int) -> str:
    return text[:most].encode("utf-8", "replace").decode()


def _text(values: Mapping[str, Value]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _row_of(row: Row) -> AuditRow:
    number, at_s, trust, who, action, given, link = row
    try:
        found = cast(object, json.loads(str(given)))
        known = ClockTrust(cast(int, trust))
    except ValueError:  # a row that was changed is still shown
        found, known = {"": str(given)[:TEXT_CHARACTERS_MAX]}, ClockTrust.FLOOR
    values = cast(dict[str, Value], found) if isinstance(found, dict) else {"": str(found)[:TEXT_CHARACTERS_MAX]}
    entry = Entry(cast(int, at_s), known, str(who), str(action), values)
    return AuditRow(cast(int, number), entry, bytes(cast(bytes, link)))
