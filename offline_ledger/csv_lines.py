"""CSV as spreadsheets write it, one record a line, every line judged for itself. Pure. DESIGN §3 "all errors at once".

Takes UTF-8 with or without its mark, UTF-16 with one and, where the caller names it, an older encoding; LF, CRLF and
CR; comma, semicolon or tab, as the heading has it (or a first line `sep=;`). Unlike a general reader it never looks for
the end of a quote on another line: an open quote is a mistake of its own line and hides no other. Never guesses at
bytes that are no text. What is written for a spreadsheet holds no formula (decision 0175).
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SEPARATORS = ",;\t"
_FORMULA = re.compile(r"'*[=+\-@＝＋－＠]")
_NEEDS_QUOTES = re.compile(r"[\",;\t]|^\s|\s$")
_SEP_LINE = re.compile(r"sep=(.)", re.IGNORECASE)
_NOT_THAI = re.compile(
    "(?<![\u0e01-\u0e4e])[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]"  # a mark on no letter: café
    "|[\u0e40-\u0e44](?![\u0e01-\u0e4e])"  # a vowel before no letter: voilà
    "|(?<=[A-Za-z])[\u0e50-\u0e59](?=[A-Za-z])"  # a digit inside a word: mañana
    "|(?<![\u0e00-\u0e7f])[\u0e01-\u0e2e](?=[a-z])"  # one letter before a word: Éclair
)
"""What no Thai writes: a file in the encoding of western Europe, read as if it were an older Thai one."""
_ENDS = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Record:
    """One line that says something. `wrong`: why it has no cells (not_utf8, not_thai, open_quote, stray_quote), else
    empty."""

    line: int
    cells: tuple[str, ...]
    wrong: str = ""


def records(data: bytes) -> list[Record]:
    """All lines that are not blank, numbered from 1 as an editor shows them."""
    return list(each_record(data))


def each_record(data: bytes, older: str = "") -> Iterator[Record]:
    """The same one by one. `older`: the encoding of a file of which more lines are no UTF-8 than are some."""
    lines, is_older = _lines(data, older)
    separator = ""
    is_first = True
    for number, text in enumerate(lines, 1):
        if text is None:
            yield Record(number, (), "not_utf8")
            is_first = False
            continue
        if is_older and _NOT_THAI.search(text):
            yield Record(number, (), "not_thai")
            is_first = False
            continue
        if is_first and not separator and (named := _SEP_LINE.fullmatch(text.strip(" "))):
            separator = named[1]
            continue
        if not text.strip():
            continue
        separator = separator or _separator_of(text)
        record = _record(number, text, separator)
        if record.wrong or any(cell.strip() for cell in record.cells):
            yield record
            is_first = False


def csv_line(cells: Sequence[str]) -> bytes:
    """One line of a CSV file that a spreadsheet reads as text and takes nothing of for a formula."""
    return (",".join(map(_cell, cells)) + "\r\n").encode("utf-8")


def _lines(data: bytes, older: str) -> tuple[list[str | None], bool]:
    """Each line as text, None where it is none; and is it the older encoding?"""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return list(_ENDS.split(data.decode("utf-16"))), False
        except UnicodeDecodeError:
            return [None], False
    body = data.removeprefix(codecs.BOM_UTF8)
    lines = re.split(rb"\r\n|\n|\r", body)
    del body
    encoding = _encoding_of(lines, older) if older else "utf-8"
    return [_text(line, encoding) for line in lines], encoding != "utf-8"


def _encoding_of(lines: list[bytes], older: str) -> str:
    """A short Thai word of an older encoding can look like UTF-8, and one byte may be broken: the most lines decide."""
    beyond = [line for line in lines if not line.isascii()]
    wrong = sum(_text(line, "utf-8") is None for line in beyond)
    return older if wrong > len(beyond) - wrong else "utf-8"


def _text(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None


def _separator_of(heading: str) -> str:
    """The separator that the heading has most of; a comma when it has none."""
    return max(SEPARATORS, key=heading.count)


def _record(number: int, text: str, separator: str) -> Record:
    cells: list[str] = []
    at = 0
    while True:
        at = _after_spaces(text, at)
        if at < len(text) and text[at] == '"':
            cell, at = _quoted(text, at + 1)
            if cell is None:
                return Record(number, (), "open_quote")
            at = _after_spaces(text, at)
            if at < len(text) and text[at] != separator:
                return Record(number, (), "stray_quote")
        else:
            end = text.find(separator, at)
            end = len(text) if end < 0 else end
            cell, at = text[at:end], end
            if '"' in cell:
                return Record(number, (), "stray_quote")
        cells.append(cell)
        if at >= len(text):
            return Record(number, tuple(cells))
        at += 1


def _after_spaces(text: str, at: int) -> int:
    while at < len(text) and text[at] == " ":
        at += 1
    return at


def _quoted(text: str, at: int) -> tuple[str | None, int]:
    """What stands up to the closing quote (`""` is one quote), and the place after it; None without an end."""
    parts: list[str] = []
    while True:
        end = text.find('"', at)
        if end < 0:
            return None, len(text)
        parts.append(text[at:end])
        if text[end + 1 : end + 2] != '"':
            return "".join(parts), end + 1
        parts.append('"')
        at = end + 2


def _cell(text: str) -> str:
    marked = f"'{text}" if _FORMULA.match(text) else text
    doubled = marked.replace('"', '""')
    return f'"{doubled}"' if _NEEDS_QUOTES.search(marked) else marked
