"""The one gettext catalogue, Thai and English, for screens, receipts and refusals. DESIGN §3.

Sources are `locale/*/LC_MESSAGES/kgo.po`; `make texts` compiles them and a test holds both in step. Message ids
are keys (`refusal.denied.title`), so neither language is the master of the other.
"""

import gettext
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from offline_ledger.errors import Refusal
from offline_ledger.seen_text import shown

if TYPE_CHECKING:
    from offline_ledger.texts.details import Details

LANGUAGES = ("th", "en")
_REFUSAL = r"(?s)[1-9][0-9]{3} ([a-z][a-z0-9_]*)(?:: (.*))?"
"""How a refusal stands in the detail of another: `str(refusal)`."""
LOCALE = Path(__file__).parent / "locale"


class Texts:
    """The catalogue in one language: its file must be there, and is read at the first word."""

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise ValueError(f"no catalogue for {language!r}")
        self.language = language
        os.stat(_compiled("kgo", language))

    def get(self, key: str, **values: object) -> str:
        """The text of `key` with `{name}` places filled; KeyError when the catalogue lacks it."""
        text = self._catalogue.gettext(key)
        if text == key:
            raise KeyError(key)
        return text.format(**values) if values else text

    def title(self, refusal: Refusal | type[Refusal]) -> str:
        """What happened, in the words of the person at the device."""
        return self.get(f"refusal.{refusal.key}.title")

    def remedy(self, refusal: Refusal | type[Refusal]) -> str:
        """What to do now."""
        return self.get(f"refusal.{refusal.key}.remedy")

    def detail(self, refusal: Refusal) -> str:
        """The refusal's own detail for a person, nothing in it that would steer a terminal; empty when it has none."""
        return shown(self.detail_text(refusal.detail))

    def detail_text(self, detail: str) -> str:
        """A detail, or the system's word for what failed, as far as the catalogue knows it."""
        if nested := re.fullmatch(_REFUSAL, detail):
            try:
                title = f"{detail[:4]} {self.get(f'refusal.{nested[1]}.title')}"
            except KeyError:
                return detail
            return f"{title}: {self.detail_text(nested[2])}" if nested[2] else title
        return detail if self._details is None else self._details.translated(detail)

    @property
    def _catalogue(self) -> gettext.NullTranslations:
        return _words(self.language)

    @property
    def _details(self) -> "Details | None":
        return _templates(self.language)


@cache
def _words(language: str) -> gettext.NullTranslations:
    """Read once, for all who speak it: some thousand texts."""
    with _compiled("kgo", language).open("rb") as file:
        return gettext.GNUTranslations(file)


@cache
def _templates(language: str) -> "Details | None":
    from offline_ledger.texts.details import Details

    compiled = _compiled("details", language)
    return Details(compiled) if compiled.exists() else None


def _compiled(domain: str, language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"{domain}.mo"
