"""TOML settings against a table of fields: every mistake at once, each with its line and remedy. DESIGN §3.

`read_settings` is pure: text in, values out. `load_settings` adds reading the file. Neither knows any program's
fields, follows a path that a setting names, or reads the environment; what two settings must not be together is the
program's own check. A program that gets `SettingsInvalid` prints its `problems` and ends with exit code 2.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from offline_ledger.errors import SettingsInvalid
from offline_ledger.money import parse_minor
from offline_ledger.plain_files import open_named
from offline_ledger.texts import Texts

SETTINGS_BYTES_MAX = 65_536
PROBLEMS_MAX = 50
"""More mistakes than this are not one file's typing errors; the rest is reported as cut off."""
REQUIRED = object()
"""Default of a field that the file must name."""

# Only a file with mistakes is looked at by these; compiling them beforehand would cost every start (decision 0050).
_TABLE = r"\s*\[\s*([A-Za-z0-9_.\-]+)\s*\]"
_KEY = r"""\s*["']?([A-Za-z0-9_.\-]+)["']?\s*="""
_AT_LINE = r"\(at line (\d+), column \d+\)"
_QUOTES = ('"""', "'''")


class SettingWrong(ValueError):
    """A check's word on one value: key of the catalogue text `settings.<key>` and the values for its places."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


Check = Callable[[object], object]


class SettingField(NamedTuple):
    """One setting: dotted name (`city.url`), its check, and its default (`REQUIRED`: the file must name it)."""

    name: str
    check: Check
    default: object = REQUIRED


class Together(NamedTuple):
    """A mistake between settings: `name` is at fault, for what `settings.<key>` says, and clashes with `other`."""

    name: str
    key: str
    other: str = ""


CheckTogether = Callable[[Mapping[str, object]], Iterable[Together]]
"""Judges all good values at once; those with mistakes of their own are not among them."""


def nothing_together(_values: Mapping[str, object]) -> Iterable[Together]:
    """Settings of which any go with any."""
    return ()


def text(characters_max: int = 200, characters_min: int = 1) -> Check:
    """Printable text."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise SettingWrong("not_text")
        if not characters_min <= len(value) <= characters_max or not value.isprintable():
            raise SettingWrong("text_length", low=characters_min, high=characters_max)
        return value

    return check


def plain_name(characters_max: int) -> Check:
    """A name as the city gives them: Latin letters, digits and signs, no space."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise SettingWrong("not_text")
        good = value.isascii() and value.isprintable() and " " not in value
        if not good or not 1 <= len(value) <= characters_max:
            raise SettingWrong("not_name", high=characters_max)
        return value

    return check


def path() -> Check:
    """A file or folder name; the program takes a relative one as beside the settings file."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise SettingWrong("not_text")
        if not 1 <= len(value) <= 4_096 or "\0" in value:
            raise SettingWrong("not_path")
        return value

    return check


def integer(minimum: int, maximum: int) -> Check:
    """A whole number from `minimum` to `maximum`; true and false are none."""

    def check(value: object) -> object:
        if type(value) is not int:
            raise SettingWrong("not_integer", low=minimum, high=maximum)
        if not minimum <= value <= maximum:
            raise SettingWrong("out_of_range", value=value, low=minimum, high=maximum)
        return value

    return check


def boolean() -> Check:
    """true or false."""

    def check(value: object) -> object:
        if type(value) is not bool:
            raise SettingWrong("not_boolean")
        return value

    return check


def choice(*allowed: str) -> Check:
    """One of the named words."""

    def check(value: object) -> object:
        if value not in allowed or not isinstance(value, str):
            raise SettingWrong("not_choice", allowed=", ".join(allowed))
        return value

    return check


def url(scheme: str = "https") -> Check:
    """An address `scheme://host[:port][/path]` without user, query or fragment."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise SettingWrong("not_text")
        try:
            parts = urlsplit(value)
            good = parts.scheme == scheme and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            raise SettingWrong("not_url", scheme=scheme) from None
        if not good or parts.query or parts.fragment or parts.username is not None or " " in value:
            raise SettingWrong("not_url", scheme=scheme)
        return value

    return check


def amount() -> Check:
    """Money written as text ("100" or "0.50"), to minor units."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise SettingWrong("not_amount")
        try:
            return parse_minor(value)
        except ValueError:
            raise SettingWrong("not_amount") from None

    return check


def items(item: Check, items_max: int = 100) -> Check:
    """A list of `item`, as a tuple."""

    def check(value: object) -> object:
        if not isinstance(value, list):
            raise SettingWrong("not_list")
        members = cast(list[object], value)
        if len(members) > items_max:
            raise SettingWrong("list_too_long", high=items_max)
        return tuple(item(member) for member in members)

    return check


class _Problem(NamedTuple):
    line: int
    text: str


class _Reader:
    """One reading of one file: collects problems instead of stopping at the first."""

    def __init__(self, content: str, fields: tuple[SettingField, ...], language: str) -> None:
        self.lines = content.splitlines() or [""]
        self.fields = {field.name: field for field in fields}
        self.texts = Texts(language)
        self.problems: list[_Problem] = []

    def add(self, line: int, key: str, **values: object) -> None:
        found = self.texts.get(f"settings.{key}", **values)
        self.problems.append(_Problem(line, self.texts.get("settings.line", line=line, problem=found)))

    def parsed(self) -> Mapping[str, object]:
        """The parsed tables. A line that TOML cannot read is reported and left out, so that the rest is judged too."""
        kept = _Kept(self.lines)
        while True:
            try:
                return tomllib.loads("\n".join(kept.lines))
            except RecursionError:
                at, key = _deepest(kept.lines) - 1, "too_deep"
            except tomllib.TOMLDecodeError as error:
                at, key = self._unreadable(kept, str(error))
                if not key:
                    continue
            except ValueError:  # a number or a date that TOML's grammar allows and Python does not
                at, key = _first_impossible(kept.lines) - 1, "impossible"
            if key == "syntax_rest" or len(self.problems) >= PROBLEMS_MAX:
                self.add(kept.numbers[at], "syntax_rest")
                return {}
            self.add(kept.numbers[at], key)
            kept.lines[at] = ""

    def _unreadable(self, kept: "_Kept", error: str) -> tuple[int, str]:
        """Place in `kept` and key of what TOML stumbled over; an empty key when it is reported and mended already."""
        found = re.search(_AT_LINE, error)
        at = min(int(found.group(1)), len(kept.lines)) - 1 if found else len(kept.lines) - 1
        while at > 0 and not kept.lines[at].strip():
            at -= 1  # an open string or bracket is noticed late: blame the last line that says something
        if not kept.lines[at].strip():
            return at, "syntax_rest"
        heading = re.match(_TABLE, kept.lines[at])
        if "twice" in error and heading and len(self.problems) < PROBLEMS_MAX:
            number, first = kept.numbers[at], kept.join_table(at, heading.group(1))
            if first:
                self.add(number, "duplicate_table", name=heading.group(1), first=first)
            else:
                self.add(number, "duplicate_elsewhere", name=heading.group(1))
            return at, ""
        return at, "duplicate" if "overwrite" in error or "twice" in error else "syntax"

    def flat(self, table: Mapping[str, object], prefix: str = "") -> dict[str, object]:
        """Dotted names to values; tables are walked as long as fields lie below them."""
        values: dict[str, object] = {}
        for key, value in table.items():
            name = prefix + key
            below = any(known.startswith(name + ".") for known in self.fields)
            if isinstance(value, dict) and name not in self.fields and below:
                values.update(self.flat(cast(dict[str, object], value), name + "."))
            else:
                values[name] = value
        return values

    def values(self, check_together: CheckTogether) -> dict[str, object]:
        found = self.flat(self.parsed())
        for name in found:
            if name not in self.fields:
                self._unknown(name)
        values: dict[str, object] = {}
        for name, field in self.fields.items():
            if name not in found:
                values[name] = field.default
                if field.default is REQUIRED and not self._is_reported(name):
                    self.add(line_of(self.lines, name), "missing", name=name)
                continue
            try:
                values[name] = field.check(found[name])
            except SettingWrong as wrong:
                self.add(line_of(self.lines, name), wrong.key, name=name, **wrong.values)
        for wrong in check_together(values):
            self._add_together(wrong, found)
        return values

    def _add_together(self, wrong: Together, found: Mapping[str, object]) -> None:
        """The one that the file names is at fault, not the one that keeps its default."""
        at, other = wrong.name, wrong.other
        if other and at not in found:
            at, other = other, at
        line = line_of(self.lines, at)
        if other and other not in found:
            self.add(line, "same_as_default", name=at, other=other, file=self.fields[other].default)
        elif other:
            self.add(line, wrong.key, name=at, other=other, first=line_of(self.lines, other))
        else:
            self.add(line, wrong.key, name=at)

    def _is_reported(self, name: str) -> bool:
        """Whether the line that should have held `name` is reported already as unreadable."""
        line = line_of(self.lines, name)
        written = re.match(_KEY, self.lines[line - 1])
        last = name.rpartition(".")[2]
        return bool(written and written.group(1) == last and any(problem.line == line for problem in self.problems))

    def _unknown(self, name: str) -> None:
        from difflib import get_close_matches

        near = get_close_matches(name, self.fields, n=1, cutoff=0.6)
        line = line_of(self.lines, name)
        if near:
            self.add(line, "unknown_near", name=name, near=near[0])
        else:
            self.add(line, "unknown", name=name)


class _Kept:
    """The lines that are still read, and which line of the file each one is."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = list(lines)
        self.numbers = list(range(1, len(lines) + 1))

    def join_table(self, at: int, name: str) -> int:
        """Takes away the second heading of a table and moves what stands under it to the first, so that it is judged as
        meant. The line of the first heading; 0 when there is none (`a.b = 1` made it), then its lines are left out."""
        headings = [(place, text) for place, text in _headings(self.lines) if place != at]
        end = next((place for place, _ in headings if place > at), len(self.lines))
        first = next((place for place, text in headings if text == name and place < at), None)
        moved = [(self.lines[place], self.numbers[place]) for place in range(at + 1, end)]
        for place in range(at, end):
            self.lines[place] = ""
        if first is None:
            return 0
        into = next((place for place, _ in headings if place > first), at)
        self.lines[into:into] = [line for line, _ in moved]
        self.numbers[into:into] = [number for _, number in moved]
        return self.numbers[first]


def _headings(lines: list[str]) -> list[tuple[int, str]]:
    """(place, name) of every line that begins a table or a row of tables (name empty), outside long texts."""
    found: list[tuple[int, str]] = []
    quoted = ""
    for place, line in enumerate(lines):
        if quoted:
            quoted = "" if quoted in line else quoted
            continue
        if line.lstrip().startswith("[["):
            found.append((place, ""))
        elif heading := re.match(_TABLE, line):
            found.append((place, heading.group(1)))
        quoted = next((quote for quote in _QUOTES if line.count(quote) % 2), "")
    return found


def _deepest(lines: list[str]) -> int:
    """The line that opens the most brackets: what made the reader run out of depth."""
    return max(range(1, len(lines) + 1), key=lambda number: sum(map(lines[number - 1].count, "[{")))


def _first_impossible(lines: list[str]) -> int:
    """The line that holds the first value which cannot be turned into a number or date."""
    low, high = 1, len(lines)
    while low < high:
        middle = (low + high) // 2
        if _is_impossible("\n".join(lines[:middle])):
            high = middle
        else:
            low = middle + 1
    return low


def _is_impossible(content: str) -> bool:
    try:
        tomllib.loads(content)
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    except ValueError:
        return True
    return False


def line_of(lines: list[str], name: str) -> int:
    """The line (from 1) where `name` is set; else of its table's heading; else the last line."""
    table, _, _ = name.rpartition(".")
    prefix, heading, quoted = "", 0, ""
    for number, line in enumerate(lines, 1):
        if quoted:
            quoted = "" if quoted in line else quoted
            continue
        if head := re.match(_TABLE, line):
            prefix = head.group(1) + "."
            if head.group(1) == name:
                return number
            heading = number if head.group(1) == table else heading
        elif (key := re.match(_KEY, line)) and prefix + key.group(1) == name:
            return number
        quoted = next((quote for quote in _QUOTES if line.count(quote) % 2), "")
    return heading or len(lines)


def read_settings(
    content: str,
    fields: tuple[SettingField, ...],
    file_name: str,
    language: str = "th",
    check_together: CheckTogether = nothing_together,
) -> dict[str, object]:
    """Name → checked value for every field. SettingsInvalid lists all problems in line order, each `line N: what is
    wrong; what to do`, in `language`, after `file_name`."""
    reader = _Reader(content, fields, language)
    values = reader.values(check_together)
    if reader.problems:
        ordered = sorted(reader.problems, key=lambda problem: problem.line)[:PROBLEMS_MAX]
        raise SettingsInvalid(tuple(f"{file_name}: {problem.text}" for problem in ordered))
    return values


def load_settings(
    file: Path,
    fields: tuple[SettingField, ...],
    language: str = "th",
    check_together: CheckTogether = nothing_together,
) -> dict[str, object]:
    """`read_settings` of a file; a file that cannot be read, is no UTF-8 or is over its cap is SettingsInvalid too."""
    texts = Texts(language)
    try:
        with open_named(file) as stream:
            data = stream.read(SETTINGS_BYTES_MAX + 1)
    except OSError as error:
        reason = texts.detail_text(error.strerror or str(error))
        raise SettingsInvalid((f"{file}: {texts.get('settings.unreadable', reason=reason)}",)) from error
    if len(data) > SETTINGS_BYTES_MAX:
        raise SettingsInvalid((f"{file}: {texts.get('settings.too_long', high=SETTINGS_BYTES_MAX)}",))
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        problem = texts.get("settings.line", line=line, problem=texts.get("settings.not_utf8"))
        raise SettingsInvalid((f"{file}: {problem}",)) from error
    return read_settings(content, fields, str(file), language, check_together)
