"""Every sale that this till has begun: on the counter, put aside, or with a receipt. DESIGN §2, §6.

A basket is written before anybody is asked to pay for it, so that a paid voucher always finds its goods; while lines
are still coming it is written behind the cashier's back (`saver.py`). Never says what was paid: the journal does.
"""

from typing import cast

from offline_ledger.errors import ShopFileDamaged
from offline_ledger.terminal.journal_sql import Row, Statement
from pos_app.counter.sale_record import SaleRecord, SaleState, decode_record, encode_record
from pos_app.store.shop_file import ShopFile

HELD_MAX = 50
"""Put aside at one time by a cashier; a till with more has forgotten some. All that are aside are listed."""
LISTED_MAX = 100
KEPT_DAYS = 400
"""Receipts are looked up for a refund, at the latest when a year's books are closed."""
PRUNE_ROWS_MAX = 500
_TABLES = (
    "CREATE TABLE IF NOT EXISTS sales(sale TEXT PRIMARY KEY, state INTEGER NOT NULL, number INTEGER NOT NULL,"
    " at_s INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS sales_by_number ON sales(number) WHERE number > 0",
    "CREATE INDEX IF NOT EXISTS sales_by_state ON sales(state, at_s) WHERE state < 3",
)


class Sales:
    """All calls may raise StorageFull, StorageFailed, ShopFileDamaged. A list leaves out what cannot be read, so
    that one of them stops no till; `damage` names the newest of those."""

    def __init__(self, file: ShopFile) -> None:
        self._file = file
        self.damage: ShopFileDamaged | None = None
        file.has_tables(*_TABLES)

    def save(self, *records: SaleRecord) -> None:
        """All of them, durable when it returns."""
        self._file.write([_put(record) for record in records])

    def get(self, sale: str) -> SaleRecord | None:
        """By its name."""
        return _one(self._file.fetch("SELECT sale, state, body FROM sales WHERE sale = ?", (sale,)))

    def by_number(self, number: int) -> SaleRecord | None:
        """By its receipt."""
        rows = self._file.fetch("SELECT sale, state, body FROM sales WHERE number = ? AND number > 0", (number,))
        return _one(rows)

    def on_counter(self) -> list[SaleRecord]:
        """The one that was open when the program ended; oldest first."""
        return self._in(SaleState.OPEN, HELD_MAX)

    def held(self) -> list[SaleRecord]:
        """Oldest first."""
        return self._in(SaleState.HELD, LISTED_MAX)

    def receipts(self, before: int = 0, limit: int = LISTED_MAX) -> list[SaleRecord]:
        """Those with a receipt, newest first; `before`: only with a lower number."""
        rows = self._file.fetch(
            "SELECT sale, state, body FROM sales WHERE number > 0 AND state = ? AND (? = 0 OR number < ?)"
            " ORDER BY number DESC LIMIT ?",
            (SaleState.CLOSED, before, before, min(limit, LISTED_MAX)),
        )
        return self._readable(rows)

    def forget_before(self, at_s: int) -> None:
        """A step of removing what is older than anybody returns goods; a file never grows without end."""
        self._file.write(
            [
                (
                    "DELETE FROM sales WHERE sale IN (SELECT sale FROM sales WHERE state >= ? AND at_s < ? LIMIT ?)",
                    (SaleState.CLOSED, at_s, PRUNE_ROWS_MAX),
                )
            ]
        )

    def _in(self, state: SaleState, limit: int) -> list[SaleRecord]:
        rows = self._file.fetch(
            "SELECT sale, state, body FROM sales WHERE state = ? AND state < 3 ORDER BY at_s LIMIT ?", (state, limit)
        )
        return self._readable(rows)

    def _readable(self, rows: list[Row]) -> list[SaleRecord]:
        found: list[SaleRecord] = []
        for row in rows:
            try:
                found.append(_record(row))
            except ShopFileDamaged as damage:
                self.damage = damage
        return found


def _put(record: SaleRecord) -> Statement:
    values = (record.sale, int(record.state), record.number, record.at_s, encode_record(record))
    return "REPLACE INTO sales(sale, state, number, at_s, body) VALUES(?, ?, ?, ?, ?)", values


def _one(rows: list[Row]) -> SaleRecord | None:
    return _record(rows[0]) if rows else None


def _record(row: Row) -> SaleRecord:
    sale, state, body = row
    return decode_record(cast(str, sale), cast(int, state), cast(bytes, body))
