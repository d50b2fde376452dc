"""A connection that asks for less durability than it was told to: the negative control of the power-cut proofs."""

from collections.abc import Callable

from offline_ledger.terminal.journal_sql import SqlConnection, SqlCursor, SqlValue


class Weak:
    """`instead`: what it says to SQLite for each statement."""

    def __init__(self, inner: SqlConnection, instead: Callable[[str], tuple[str, ...]]) -> None:
        self._inner, self._instead = inner, instead

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def execute(self, statements: str, bindings: tuple[SqlValue, ...] | None = None) -> SqlCursor:
        *first, last = self._instead(statements)
        for statement in first:
            self._inner.execute(statement).fetchall()  # a statement takes effect when its last row is read
        return self._inner.execute(last, bindings)


def normal(statement: str) -> tuple[str, ...]:
    """No sync at a commit."""
    return ("PRAGMA synchronous=NORMAL",) if statement == "PRAGMA synchronous=EXTRA" else (statement,)


def extra_too_late(statement: str) -> tuple[str, ...]:
    """The folder is not synced when the log is made."""
    if statement == "PRAGMA synchronous=EXTRA":
        return ("PRAGMA synchronous=FULL",)
    return (statement, "PRAGMA synchronous=EXTRA") if statement.startswith("PRAGMA journal_mode") else (statement,)
