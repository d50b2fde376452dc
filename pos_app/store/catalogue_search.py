"""Finding goods by what the cashier types: any part of a word, for Thai has no spaces between them. DESIGN §10.

Words of three letters and more go through an index of letter triples (FTS5 trigram); shorter ones are looked for in
what is left, at worst in all 100,000 rows (decision 0177). What is typed is data: it is quoted, and never read as a
query. Never ranks by how often a word stands: exact first, then the beginning of a name or code, of a word, anywhere.
"""

from typing import NamedTuple

from offline_ledger.terminal.journal_sql import SqlValue, Statement
from pos_app.store.goods import Item, folded, same_for_all

QUERY_CHARACTERS_MAX = 80
WORDS_MAX = 8
TRIGRAM = 3
_LINE = "\n"

SEARCH_TABLES = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS item_words USING fts5("
    "searched, content='item', content_rowid='id', tokenize='trigram case_sensitive 1')",
    "CREATE TRIGGER IF NOT EXISTS item_words_new AFTER INSERT ON item BEGIN"
    " INSERT INTO item_words (rowid, searched) VALUES (new.id, new.searched); END",
    "CREATE TRIGGER IF NOT EXISTS item_words_changed AFTER UPDATE OF searched ON item"
    " WHEN old.searched <> new.searched BEGIN"
    " INSERT INTO item_words (item_words, rowid, searched) VALUES ('delete', old.id, old.searched);"
    " INSERT INTO item_words (rowid, searched) VALUES (new.id, new.searched); END",
)
"""No trigger for deleting: an item is retired and never deleted."""


def searched_of(item: Item) -> str:
    """What is searched of an item: each field on a line of its own, a line's end before and after."""
    fields = (item.name_th, item.name_en, item.sku, *item.barcodes)
    return "".join([_LINE, *(folded(field) + _LINE for field in fields if field)])


class Asked(NamedTuple):
    """What was typed: its words, and all of it as a whole field, the beginning of one, and of a word."""

    words: tuple[str, ...]
    ranks: tuple[str, str, str]


def asked_of(typed: str) -> Asked | None:
    """None when nothing was typed."""
    asked = folded(same_for_all(typed.strip()[:QUERY_CHARACTERS_MAX]))
    words = tuple(dict.fromkeys(asked.split()))[:WORDS_MAX]
    return Asked(words, (f"{_LINE}{asked}{_LINE}", f"{_LINE}{asked}", f" {asked}")) if words else None


def search_statement(asked: Asked, columns: str, limit: int) -> Statement:
    """The query for it."""
    words = asked.words
    long = [word for word in words if len(word) >= TRIGRAM]
    short = [word for word in words if len(word) < TRIGRAM]
    where, values = ["item.is_active"], list[SqlValue]()
    if long:
        where.append("item.id IN (SELECT rowid FROM item_words WHERE item_words MATCH ?)")
        values.append(" AND ".join(_quoted(word) for word in long))
    for word in short:
        where.append("instr(item.searched, ?)")
        values.append(word)
    statement = (
        f"SELECT {columns} FROM item WHERE {' AND '.join(where)} ORDER BY"
        " CASE WHEN instr(item.searched, ?) THEN 0 WHEN instr(item.searched, ?) THEN 1"
        " WHEN instr(item.searched, ?) THEN 2 ELSE 3 END, item.sort, item.name_th, item.sku LIMIT ?"
    )
    return statement, (*values, *asked.ranks, limit)


def _quoted(word: str) -> str:
    """A string of FTS5: between its quotes only a quote means something."""
    doubled = word.replace('"', '""')
    return f'"{doubled}"'
