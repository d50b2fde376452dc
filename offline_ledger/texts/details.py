"""The detail of a refusal, in Thai. DESIGN §1, §3.

Details are written in English where they are raised, for journals and logs; `locale/th/LC_MESSAGES/details.po` has each
of them as a template with `{}` places, and the system's own words for failing files and networks. Matching happens
only when a person reads; dates get their Buddhist years then. Never changes a detail that it does not know.
"""

import re
import struct
from pathlib import Path
from typing import NamedTuple

from offline_ledger.rules.civil import BUDDHIST_AHEAD

PLACE = "{}"
DETAIL_CHARACTERS_MAX = 1_000
NESTED_MAX = 8
_HEADER = struct.Struct("<7I")
_PAIR = struct.Struct("<II")
_OF_SINGLE_WORDS = ("{} to {}", "{} on {}")
"""They stand in sentences of other programs too (`failed to access …`), which stay as they are."""
_ERRNO = re.compile(r"^\[Errno \d{1,4}\] ")
_DATE = re.compile(r"(20[0-9]{2}|21[0-9]{2})-([0-9]{2})-([0-9]{2})")
"""As details are written: `2026-11-21`."""


class _Template(NamedTuple):
    pattern: re.Pattern[str]
    meaning: str


class Details:
    """The templates of one compiled catalogue."""

    def __init__(self, compiled: Path) -> None:
        entries = [(key, text) for key, text in _entries(compiled.read_bytes()) if key]
        self._whole = {key: text for key, text in entries if PLACE not in key}
        with_places = sorted((pair for pair in entries if PLACE in pair[0]), key=lambda pair: -_letters(pair[0]))
        self._templates = [_Template(_pattern(key), text) for key, text in with_places]

    def translated(self, detail: str, depth: int = 0) -> str:
        """The detail in the catalogue's language as far as it is known: whole, by template, or part by part. The number
        of a system's error says nothing to whoever reads its word."""
        detail = _ERRNO.sub("", detail)
        if detail in self._whole:
            return self._whole[detail]
        if date := _DATE.fullmatch(detail):
            return f"{date[3]}/{date[2]}/{int(date[1]) + BUDDHIST_AHEAD}"
        if depth >= NESTED_MAX or len(detail) > DETAIL_CHARACTERS_MAX:
            return detail
        for template in self._templates:
            if found := template.pattern.fullmatch(detail):
                return template.meaning.format(*(self.translated(part, depth + 1) for part in found.groups()))
        for separator in (": ", "; "):
            first, between, rest = detail.partition(separator)
            if between:
                return self.translated(first, depth + 1) + between + self.translated(rest, depth + 1)
        return detail


def _letters(template: str) -> int:
    return len(template.replace(PLACE, ""))


def _pattern(template: str) -> re.Pattern[str]:
    place = r"(\S+?)" if template in _OF_SINGLE_WORDS else "(.+?)"
    return re.compile(place.join(re.escape(part) for part in template.split(PLACE)), re.DOTALL)


def _entries(compiled: bytes) -> list[tuple[str, str]]:
    """All (message, text) of a `.mo` file as `.ci/texts.py` writes it."""
    _magic, _version, count, keys_at, texts_at, _size, _hashes = _HEADER.unpack_from(compiled)

    def read(table_at: int, number: int) -> str:
        length, start = _PAIR.unpack_from(compiled, table_at + number * _PAIR.size)
        return compiled[start : start + length].decode("utf-8")

    return [(read(keys_at, number), read(texts_at, number)) for number in range(count)]
