"""Compile the text catalogues: every kgo.po beside its kgo.mo. Run by `make texts`. DESIGN §3, decision 0201.

Babel reads and writes them. An entry that is there twice, without a text, marked as unsure or with plural forms (ours
have none) is an error with its line. Never translates and never drops a key.
"""

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, PoFileParser

UNDATED = datetime(2026, 1, 1, tzinfo=UTC)
"""In every catalogue's header: the same source is the same file, whenever it is compiled."""


class StrictCatalog(Catalog):
    """Takes each key once, with its text."""

    def __init__(self) -> None:
        super().__init__(creation_date=UNDATED, revision_date=UNDATED, fuzzy=False)

    def __setitem__(self, id: str, message: Message) -> None:
        """Raises ValueError with the line."""
        where = f"line {message.lineno}: {str(id)[:40]!r}"
        if id and id in self:
            raise ValueError(f"{where} is there twice")
        if not isinstance(message.string, str) or not message.string:
            raise ValueError(f"{where} has no text")
        if id and message.fuzzy:
            raise ValueError(f"{where} is marked as fuzzy")
        super().__setitem__(id, message)


def parse_po(text: str) -> Catalog:
    """The whole catalogue. Raises ValueError with the line number."""
    found = StrictCatalog()
    try:
        PoFileParser(found, abort_invalid=True).parse(io.BytesIO(text.encode()))
    except PoFileError as mistake:
        raise ValueError(f"line {mistake.lineno}: {mistake.args[0]}") from mistake
    return found


def texts_of(catalogue: Catalog) -> dict[str, str]:
    """Key → text, without the header."""
    return {str(one.id): str(one.string) for one in catalogue if one.id}


def compile_mo(catalogue: Catalog) -> bytes:
    """What Python's gettext reads."""
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    return compiled.getvalue()


def main() -> int:
    """Compile every catalogue; exit 1 and name the line if one cannot be read."""
    root = Path(__file__).parent.parent / "offline_ledger" / "texts" / "locale"
    for source in sorted(root.glob("*/LC_MESSAGES/*.po")):
        try:
            compiled = compile_mo(parse_po(source.read_text(encoding="utf-8")))
        except ValueError as mistake:
            sys.stderr.write(f"{source.relative_to(root.parent)}: {mistake}\n")
            return 1
        source.with_suffix(".mo").write_bytes(compiled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
