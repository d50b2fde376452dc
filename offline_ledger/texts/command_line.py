"""Command lines in one language: help by key, argparse's own words, Thai line breaks. DESIGN §1, §3.

Programs add options without a word of help. The text of an option is `help.PROGRAM.COMMAND.NAME` in the catalogue, or
`help.PROGRAM.NAME` where several commands share it; of a command `help.PROGRAM.COMMAND`; of the program `help.PROGRAM`.
A missing one is a KeyError when the parser is built, so no program starts without its texts. Argparse's own words are
in `locale/th/LC_MESSAGES/argparse.po`, by their English text.
"""

import argparse
import gettext
import os
import re
import sys
import tomllib
from argparse import Action, ArgumentParser, HelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from offline_ledger.money import parse_minor
from offline_ledger.plain_files import open_named
from offline_ledger.seen_text import shown
from offline_ledger.texts import LANGUAGES, LOCALE, Texts
from offline_ledger.texts.streams import speak_utf8
from offline_ledger.texts.widths import wrapped

ARGPARSE_DOMAIN = "argparse"
COLUMNS_MIN = 11
SETTINGS_BYTES_MAX = 65_536
_NO_TEXT = re.compile("[\ud800-\udfff]")
"""What Python makes of bytes that are no UTF-8."""


class _Formatter(HelpFormatter):
    """Breaks Thai where argparse would tear a vowel from its consonant."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(text, max(width, COLUMNS_MIN))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in wrapped(text, max(width - len(indent), COLUMNS_MIN)))


class Parser(ArgumentParser):
    """An argparse parser that looks its words up: `Parser(texts, "city", "kgo-city")`."""

    def __init__(self, texts: Texts, key: str, prog: str, **more: Any) -> None:
        self.texts, self.key = texts, key
        self.common: Callable[[Parser], None] | None = None
        """Adds what may also stand behind the name of each of its commands, and of theirs."""
        super().__init__(
            prog=prog,
            description=texts.get(f"help.{key}"),
            formatter_class=_Formatter,
            add_help=False,
            allow_abbrev=False,
            **more,
        )
        self.add_argument("-h", "--help", action="help")

    def add_version(self, version: str) -> None:
        """`--version`, of the program itself."""
        self.add_argument("--version", action="version", version=f"{self.prog} {version}")

    def _add_action(self, action: Action) -> Action:
        if action.help is None or action.dest == "version":  # argparse has an English text for that one
            action.help = self._help(action.dest)
        return super()._add_action(action)

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Words that are no UTF-8, as a terminal of another encoding types them, are wrong usage: no line could be
        written of them."""
        for word in sys.argv[1:] if args is None else args:
            if _NO_TEXT.search(word):
                self.error(self.texts.get("usage.not_utf8", text=word))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """What was typed is told as it can be seen."""
        super().error(shown(message))

    def _help(self, name: str) -> str:
        program = self.key.partition(".")[0]
        for key in (f"help.{self.key}.{name}", f"help.{program}.{name}"):
            try:
                return self.texts.get(key).replace("%", "%%")
            except KeyError:
                continue
        try:
            return self.texts.get(f"help.any.{name}")
        except KeyError:
            raise KeyError(f"help.{self.key}.{name}") from None


class Commands:
    """The commands of a program, each with its own options beside the common ones."""

    def __init__(
        self,
        parser: Parser,
        common: Callable[[Parser], None] | None = None,
        *,
        required: bool = True,
        dest: str = "command",
    ) -> None:
        """`common`: the options of `parser` and of every command below it. `dest`: another name for the commands of a
        command, which have its common options."""
        self._parser = parser
        if common is not None:
            parser.common = common
            common(parser)
        self._made: Any = parser.add_subparsers(dest=dest, required=required, metavar="COMMAND", parser_class=Parser)

    def add(self, name: str) -> Parser:
        """A new command."""
        texts, key = self._parser.texts, f"{self._parser.key}.{name}"
        about, prog = texts.get(f"help.{key}"), f"{self._parser.prog} {name}"
        made: Parser = self._made.add_parser(name, texts=texts, key=key, prog=prog, help=about)
        made.common = self._parser.common
        if made.common is not None:
            made.common(made)
        return made


def common_option(parser: Parser, name: str, **more: Any) -> None:
    """An option that may stand before or after the command's name; absent from the result when it was not given."""
    parser.add_argument(name, default=argparse.SUPPRESS, **more)


def language_option(parser: Parser) -> None:
    """`--language`, before or after the command's name. `choose_language` has read it before anything is parsed."""
    common_option(parser, "--language", choices=LANGUAGES)


def speak(language: str) -> Texts:
    """For composition roots: this process talks `language` from here on, argparse included; its streams are UTF-8."""
    speak_utf8()
    gettext.bindtextdomain(ARGPARSE_DOMAIN, str(LOCALE))
    gettext.textdomain(ARGPARSE_DOMAIN)
    os.environ["LANGUAGE"] = language  # gettext, and through it argparse, has no other way to be told
    return Texts(language)


def choose_language(words: Sequence[str], setting: str = "", default_file: str = "") -> str:
    """What a program speaks before its words are judged: `--language`, else `setting` of the file that `--settings`
    (or `default_file`) names, else Thai. Never an error: what is wrong is said later, in this language."""
    said = _value_of(words, "--language")
    if said in LANGUAGES:
        return said
    file = _value_of(words, "--settings") or default_file
    found = _setting_in(Path(file), setting) if file and setting else None
    return found if found in LANGUAGES else LANGUAGES[0]


def _value_of(words: Sequence[str], option: str) -> str | None:
    for at, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and at + 1 < len(words):
            return words[at + 1]
    return None


def _setting_in(file: Path, setting: str) -> str | None:
    table, _, name = setting.partition(".")
    try:
        with open_named(file) as stream:
            found: object = tomllib.loads(stream.read(SETTINGS_BYTES_MAX).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    for key in (table, name):
        found = cast(dict[str, object], found).get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None


# --- kinds of values


def short(texts: Texts, characters_max: int) -> Callable[[str], str]:
    """A name without spaces."""

    def name(text: str) -> str:
        if not (1 <= len(text) <= characters_max and text.isascii() and text.isprintable() and " " not in text):
            raise argparse.ArgumentTypeError(texts.get("usage.short", text=text[:40], high=characters_max))
        return text

    return name


def amount(texts: Texts) -> Callable[[str], int]:
    """KGO or baht with at most two decimals, in minor units; Thai digits too."""

    def minor(text: str) -> int:
        try:
            return parse_minor(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(texts.get("usage.amount", text=text[:40])) from error

    return minor


def whole(texts: Texts, low: int, high: int) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 15 and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(texts.get("usage.whole", text=text[:40], low=low, high=high))
        return int(text)

    return number
