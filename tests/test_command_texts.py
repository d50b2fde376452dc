"""What a person reads on a command line: help, argparse's own words, details of refusals, in both languages. DESIGN §1.

The whole tree is read, so that a new option, a new detail or a newer Python is noticed here.
"""

import argparse
import ast
import errno
import gettext
import io
import os
import re
from argparse import Action
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus_validator.validator import _own_commands as bus_commands
from firmware.flash.cli import build_parser as flash_parser
from offline_ledger import errors
from offline_ledger.city import cli
from offline_ledger.errors import Malformed, Refusal, StorageFailed, StoreInvalid
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal import commands
from offline_ledger.terminal.program import Program
from offline_ledger.texts import LANGUAGES, LOCALE, Texts
from offline_ledger.texts.command_line import Parser, choose_language, speak
from offline_ledger.texts.details import PLACE
from offline_ledger.texts.widths import width_of, wrapped
from pos_app.shop import _own_commands as shop_commands
from simulators.__main__ import build_parser as sim_parser

ROOT = Path(__file__).parent.parent
THAI = re.compile("[\u0e00-\u0e7f]")
WORD = re.compile(r"[a-z]{2,}")
PROGRAMS = (("kgo-pos", "help.pos", shop_commands), ("kgo-bus", "help.bus", bus_commands))
NOT_FOR_USERS = re.compile(r"not defined|invalid argument for positionals|mutually exclusive|not callable|cannot|dest=|"
                           r"option string .*must start|conflict|argument \"-\"|expected %s")  # fmt: skip
"""Mistakes of a programmer, and plural forms that no program here uses (`nargs=2`)."""


def parsers(language: str) -> list[Parser]:
    texts = Texts(language)
    terminals = [
        commands.build_parser(Program(name, about, DeviceRole.SHOP, lambda _opened: 0, commands=own), texts)
        for name, about, own in PROGRAMS
    ]
    return [cli.build_parser(texts), flash_parser(texts), sim_parser(texts), *terminals]


def actions(parser: argparse.ArgumentParser) -> Iterator[tuple[str, Action | None, str | None]]:
    """(where, action, its text) of a parser and of all commands below it; first the parser's own description."""
    yield parser.prog, None, parser.description
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for chosen in action._choices_actions:
                yield f"{parser.prog} {chosen.dest}", chosen, chosen.help
            for below in action.choices.values():
                yield from actions(below)
        else:
            yield f"{parser.prog} {action.dest}", action, action.help


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_command_and_option_has_a_text_in_its_language(language: str) -> None:
    found = [line for parser in parsers(language) for line in actions(parser)]
    assert len(found) > 120
    assert [where for where, _, text in found if bool(THAI.search(text or "")) is not (language == "th")] == []


def commands_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The program and all commands below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from commands_of(below)


def test_the_language_may_stand_behind_every_command() -> None:
    """And in front of it: what stands there is not overwritten by a command that was not given one."""
    found = [command for parser in parsers("th") for command in commands_of(parser)]
    assert len(found) > 80
    options = {command.prog: command._option_string_actions.get("--language") for command in found}
    assert [prog for prog, option in options.items() if option is None] == []
    assert {option.default for option in options.values() if option is not None} == {argparse.SUPPRESS}


def test_an_option_without_a_text_stops_the_program() -> None:
    parser = Parser(Texts("th"), "city", "kgo-city")
    with pytest.raises(KeyError, match=r"help\.city\.unheard_of"):
        parser.add_argument("--unheard-of")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_help_is_in_one_language(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "xx")
    monkeypatch.setenv("COLUMNS", "80")
    before = gettext.textdomain()
    try:
        speak(language)
        for parser in parsers(language):
            shown = parser.format_help()
            assert ("usage: " in shown) is ("options:" in shown) is ("positional" in shown) is (language == "en")
            assert ("วิธีใช้: " in shown) is (language == "th")
            assert [line for line in shown.splitlines() if width_of(line) > 80] == []
    finally:
        gettext.textdomain(before)


def test_words_that_are_no_text_are_wrong_usage_and_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes of another encoding ended every command in a traceback that wrote one of them, and some in their middle."""
    word = os.fsdecode(b"\xff\xfe.uf2")
    for parser in parsers("en"):
        for words in (
            [word],
            ["--language", word],
            [*(["boards"] if parser.prog == "kgo-flash" else []), "--x=" + word],
        ):
            with pytest.raises(SystemExit) as ended:
                parser.parse_args(words)
            assert ended.value.code == 2 and "\\udcff\\udcfe.uf2 is not UTF-8 text" in capsys.readouterr().err


def test_argparse_says_nothing_that_is_not_translated() -> None:
    """Every text that this Python's argparse looks up, but for a programmer's mistakes."""
    with (LOCALE / "th/LC_MESSAGES/argparse.mo").open("rb") as stream:
        known = gettext.GNUTranslations(stream)
    assert argparse.__file__
    calls = [node for node in ast.walk(ast.parse(Path(argparse.__file__).read_text("utf-8")))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"]  # fmt: skip
    said = [node.args[0].value for node in calls if isinstance(node.args[0], ast.Constant)]
    assert len(said) > 20
    for_users = [text for text in map(str, said) if not NOT_FOR_USERS.search(text)]
    assert "expected one argument" in for_users and "options" in for_users
    assert [text for text in for_users if known.gettext(text) == text and WORD.search(text)] == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "th"),
        (["--language", "en"], "en"),
        (["fleet", "--language=en"], "en"),
        (["--language", "fr"], "th"),
        (["--language"], "th"),
        (["--settings", "FILE"], "en"),
        (["--settings=FILE", "--language", "th"], "th"),
        (["--settings", "NONE"], "th"),
        (["--settings", "BROKEN"], "th"),
        (["--settings", "FOLDER"], "th"),
    ],
)
def test_the_language_is_chosen_before_anything_can_go_wrong(tmp_path: Path, words: list[str], expected: str) -> None:
    (tmp_path / "FILE").write_bytes(b'\xef\xbb\xbf[console]\nlanguage = "en"\n')
    (tmp_path / "BROKEN").write_text('[console\nlanguage = "en"\n')
    (tmp_path / "FOLDER").mkdir()
    named = [re.sub("FILE|NONE|BROKEN|FOLDER", lambda found: str(tmp_path / found[0]), word) for word in words]
    assert choose_language(named, "console.language") == expected


def test_thai_lines_break_at_spaces_and_never_before_a_mark() -> None:
    assert wrapped("ที่นี่ มี ที่", 3) == ["ที่นี่", "มี ที่"]
    text = "ก็กี่กื๊อน้ำ" * 9
    lines = wrapped(text, 7)
    assert "".join(lines) == text and max(map(width_of, lines)) == 7
    assert [line for line in lines if width_of(line[0]) == 0] == []
    assert wrapped("", 7) == []


# --- details of refusals


def templates(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, template) of every detail that a module raises a refusal with, places as `{}`."""
    refusals = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Refusal)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = ast.unparse(node.func).split(".")[-1]
            if name in refusals - {"SettingsInvalid"} or name == "refusal":
                yield from ((node.lineno, text) for text in _texts(node.args[0]))


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else PLACE for part in node.values]
        yield "".join(map(str, parts))
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
    elif isinstance(node, ast.BinOp):
        yield from (*_texts(node.left), *_texts(node.right))


def test_the_reader_of_details_finds_them() -> None:
    code = "raise StoreInvalid(f'{a} has {b}') from x\nraise errors.Malformed('p' if q else 'r' + s)"
    assert list(templates(ast.parse(code))) == [(1, "{} has {}"), (2, "p"), (2, "r")]


def test_every_detail_is_known_in_thai() -> None:
    """A new one wants a line in `offline_ledger/texts/locale/th/LC_MESSAGES/details.po`, then `make texts`."""
    with (LOCALE / "th/LC_MESSAGES/details.mo").open("rb") as stream:
        known = gettext.GNUTranslations(stream)
    found = [
        (f"{path.relative_to(ROOT)}:{line}", text)
        for package in ("offline_ledger", "pos_app", "bus_validator", "firmware/flash")
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, text in templates(ast.parse(path.read_text("utf-8")))
    ]
    assert len(found) > 200
    assert [f"{at}: {text}" for at, text in found if WORD.search(text) and known.gettext(text) == text
            and text not in ("zxing-cpp: {}",)] == []  # fmt: skip


@pytest.mark.parametrize("name", ["argparse", "details"])
def test_the_thai_only_catalogues_are_compiled(name: str) -> None:
    folder = LOCALE / "th/LC_MESSAGES"
    shipped = gettext.GNUTranslations(io.BytesIO((folder / f"{name}.mo").read_bytes()))
    source = (folder / f"{name}.po").read_text("utf-8")
    pairs = re.findall(r'^msgid ("(?:[^"\\]|\\.)+")\nmsgstr ("(?:[^"\\]|\\.)+")$', source, re.MULTILINE)
    assert len(pairs) > 20
    for key, text in ((ast.literal_eval(key), ast.literal_eval(text)) for key, text in pairs):
        assert shipped.gettext(key) == text, "run: make texts"
        assert key.count(PLACE) == text.count(PLACE), key
        assert set(re.findall(r"%\(\w+\)\w|%\w", text)) <= set(re.findall(r"%\(\w+\)\w|%\w", key)), key


@pytest.mark.parametrize(
    ("refusal", "thai"),
    [
        (StoreInvalid("/x/ledger.db does not exist"), "ไม่มี /x/ledger.db"),
        (StorageFailed(f"/x: {os.strerror(errno.ENOENT)}"), "/x: ไม่มีไฟล์หรือโฟลเดอร์นี้"),
        (StoreInvalid("/a: version 2, not 1"), "/a: รุ่น 2 ไม่ใช่ 1"),
        (StoreInvalid(str(Malformed("list expected"))), "1004 โค้ดนี้ไม่ถูกต้อง: ต้องเป็นรายการ"),
        (StoreInvalid("9999 nobody: list expected"), "9999 nobody: list expected"),
        (StoreInvalid("shop-1"), "shop-1"),
        (StoreInvalid(""), ""),
        (StoreInvalid("a: b: c: " * 400), "a: b: c: " * 400),
    ],
)
def test_details_in_thai(refusal: Refusal, thai: str) -> None:
    texts = Texts("th")
    said = texts.detail(refusal)
    assert said == thai.replace("โค้ดนี้ไม่ถูกต้อง", texts.title(Malformed))
    if not refusal.detail.startswith("1004"):
        assert Texts("en").detail(refusal) == refusal.detail


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_for_the_citys_desk_belong_to_a_refusal_and_come_in_pairs(language: str) -> None:
    keys = {kind.key for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Refusal)}
    source = (LOCALE / language / "LC_MESSAGES/kgo.po").read_text("utf-8")
    found = re.findall(r'^msgid "city\.refusal\.(\w+)\.(\w+)"$', source, re.MULTILINE)
    assert len(found) > 10 and {key for key, _ in found} <= keys
    for key in {key for key, _ in found}:
        assert sorted(part for one, part in found if one == key) == ["remedy", "title"]


@pytest.mark.parametrize(
    ("said", "thai"),
    [
        ("mpremote: failed to access /dev/pts/2", "mpremote: failed to access /dev/pts/2"),
        ("If found, please return to the city", "If found, please return to the city"),
        ("1 to 600", "1 ถึง 600"),
    ],
)
def test_another_programs_sentence_is_no_template_of_ours(said: str, thai: str) -> None:
    assert Texts("th").detail_text(said) == thai


@pytest.mark.parametrize(
    ("said", "thai"),
    [
        (str(OSError(errno.ECONNREFUSED, "Connection refused")), "ปลายทางไม่รับการเชื่อมต่อ"),
        ("/run/x.sock: [Errno 2] No such file or directory", "/run/x.sock: ไม่มีไฟล์หรือโฟลเดอร์นี้"),
        (
            "[Errno 2] could not open port dev/a: [Errno 2] No such file or directory: 'dev/a'",
            "เปิดพอร์ตไม่ได้ dev/a: ไม่มีไฟล์หรือโฟลเดอร์นี้: 'dev/a'",
        ),
    ],
)
def test_an_error_of_the_system_is_told_by_its_word_alone(said: str, thai: str) -> None:
    assert Texts("th").detail_text(said) == thai
