"""`kgo-pos do catalogue-import FILE`: new goods and prices while the till sells. DESIGN §3.

On the control door's thread, beside the customers. All of the file or none of it, with its row in the audit log; a
basket keeps the prices that it has. Who may ask is whoever may open the socket: the till's own user.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from offline_ledger.errors import CommandIncomplete, FileUnusable
from offline_ledger.plain_files import plain_bytes
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal_sql import Statement
from offline_ledger.texts import LANGUAGES, Texts
from pos_app.store.audit_log import AuditLog, Entry
from pos_app.store.catalogue import Catalogue
from pos_app.store.catalogue_csv import FILE_BYTES_MAX, GoodsMistakes, Judged, import_goods

WORD = "catalogue-import"
MISTAKES_MAX = 50
Said = Sequence[Mapping[str, object]]


class CatalogueDoor:
    """One till's. `imported` is called when the goods are others than before."""

    def __init__(
        self, catalogue: Catalogue, audit: AuditLog, now: Callable[[], TimeNow], imported: Callable[[], None]
    ) -> None:
        self._catalogue, self._audit, self._now, self._imported = catalogue, audit, now, imported

    def answer(self, words: list[str]) -> Said:
        """What was imported, or each mistake in its row. Raises CommandIncomplete, FileUnusable, StorageFull,
        StorageFailed."""
        if len(words) != 1:
            raise CommandIncomplete(WORD)
        file = Path(words[0])
        data = read_goods_file(file)
        at = self._now()

        def row(judged: Judged) -> list[Statement]:
            counts = {"new": judged.new, "changed": judged.changed, "same": judged.same}
            entry = Entry(at.at_s, at.trust, "", "catalogue.import", {"file": file.name, **counts})
            return self._audit.statements_for(entry)

        try:
            with self._audit.turn:
                done = import_goods(self._catalogue, data, row)
        except GoodsMistakes as mistakes:
            told = {language: mistakes.told(Texts(language)) for language in LANGUAGES}
            rows = [dict(zip(LANGUAGES, both, strict=True)) for both in zip(*told.values(), strict=True)]
            refused: Mapping[str, object] = {"command_refused": mistakes.key, "refusal": mistakes.number}
            return [refused, *({"mistake": one} for one in rows[:MISTAKES_MAX])]
        self._imported()
        counted = {"new": done.new, "changed": done.changed, "same": done.same}
        return [{"done": WORD, "goods": self._catalogue.count(), **counted}]


def read_goods_file(file: Path) -> bytes:
    """One byte more than a file may have is enough to refuse it. Raises FileUnusable."""
    try:
        plain_bytes(file)
        with file.open("rb") as stream:
            return stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise FileUnusable(f"{file}: {error.strerror}") from error
