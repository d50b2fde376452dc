"""The one gettext catalogue, Thai and English, for screens, receipts and refusals. DESIGN §3.

Sources are `locale/*/LC_MESSAGES/kgo.po`; `make texts` compiles them and a test holds both in step. Message ids
are keys (`refusal.denied.title`), so neither language is the master of the other.
"""

import gettext
from pathlib import Path

from offline_ledger.errors import Refusal

LANGUAGES = ("th", "en")
_LOCALE = Path(__file__).parent / "locale"


class Texts:
    """The catalogue in one language."""

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise ValueError(f"no catalogue for {language!r}")
        self.language = language
        self._catalogue = gettext.translation("kgo", localedir=str(_LOCALE), languages=[language])

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
