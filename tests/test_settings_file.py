"""The settings reader: all mistakes at once, in line order, each with a remedy, in both languages. DESIGN §3."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from offline_ledger import settings_file as sf
from offline_ledger.errors import SettingsInvalid
from offline_ledger.settings_file import SettingField
from offline_ledger.texts.command_line import choose_language

FIELDS = (
    SettingField("city.id", sf.text(16)),
    SettingField("city.url", sf.url()),
    SettingField("city.grant_kgo", sf.amount(), 100_00),
    SettingField("serve.port", sf.integer(0, 65_535), 8443),
    SettingField("serve.names", sf.items(sf.text()), ()),
    SettingField("serve.level", sf.choice("info", "debug"), "info"),
    SettingField("serve.quiet", sf.boolean(), False),
    SettingField("files.database", sf.path(), "ledger.db"),
)
GOOD = '[city]\nid = "TH-40"\nurl = "https://localhost:8443"\n'


def problems_of(content: str, language: str = "en") -> list[str]:
    with pytest.raises(SettingsInvalid) as caught:
        sf.read_settings(content, FIELDS, "city.toml", language)
    return list(caught.value.problems)


def test_values_and_defaults() -> None:
    values = sf.read_settings(GOOD + '[serve]\nport = 0\nnames = ["a", "b"]\n', FIELDS, "city.toml")
    assert values == {
        "city.id": "TH-40",
        "city.url": "https://localhost:8443",
        "city.grant_kgo": 10_000,
        "serve.port": 0,
        "serve.names": ("a", "b"),
        "serve.level": "info",
        "serve.quiet": False,
        "files.database": "ledger.db",
    }


def test_three_mistakes_are_reported_together_in_line_order() -> None:
    found = problems_of('[serve]\nport = "8443"\n\n[city]\nid = "TH-40"\nurl = "http://x"\ngrant = "1"\n')
    assert [problem.split(": ")[1] for problem in found] == ["line 2", "line 6", "line 7"]
    assert found[0] == (
        "city.toml: line 2: serve.port must be a whole number; write one from 0 to 65535 without quotes"
    )
    assert found[2].endswith("did you mean city.grant_kgo?")


def test_thai_is_the_default() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        sf.read_settings('[city]\nid = "TH-40"\n', FIELDS, "city.toml")
    assert caught.value.problems == ("city.toml: บรรทัด 1: ขาดค่า city.url; เพิ่มค่านี้",)


def test_what_python_cannot_hold_is_a_problem_with_its_line() -> None:
    for bracket in ("[", "{a="):
        deep = problems_of(GOOD + "a = " + bracket * 20_000 + "\n[serve]\nport = 70000\n")
        assert deep[0] == "city.toml: line 4: brackets are nested too deep here; write a plain value"
        assert len(deep) == 2 and "line 6" in deep[1]
    lines = problems_of(GOOD + "a = " + "[\n" * 5_000)
    assert any("nested too deep" in problem for problem in lines)
    for impossible in ("9" * 5_000, "-" + "9" * 5_000, "2569-99-99"):
        found = problems_of(GOOD + f"[serve]\nport = {impossible}\nlevel = 'loud'\n")
        assert [problem.split(": ")[1] for problem in found] == ["line 5", "line 6"], found
    two = problems_of(GOOD + f"[serve]\nport = {'9' * 5_000}\nquiet = {'9' * 5_000}\n")
    assert [problem.split(": ")[1] for problem in two] == ["line 5", "line 6"]


def test_unreadable_lines_do_not_hide_the_others() -> None:
    found = problems_of('[city]\nid = "TH-40\nurl = "ftp://x"\n[serve]\nport = 70000\nlevel = \n')
    assert [problem.split(": ")[1] for problem in found] == ["line 2", "line 3", "line 5", "line 6"]
    assert "no TOML" in found[0] and "https address" in found[1] and "70000" in found[2] and "no TOML" in found[3]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("[serve]\nport = true", "whole number"),
        ("[serve]\nport = -1", "out of range"),
        ("[serve]\nport = 65536", "out of range"),
        ("[serve]\nport = 1.5", "whole number"),
        ("[serve]\nquiet = 1", "true or false"),
        ('[serve]\nlevel = "loud"', "choose one of info, debug"),
        ('[serve]\nnames = "a"', "must be a list"),
        ("[serve]\nnames = [1]", "must be text"),
        ('[files]\ndatabase = ""', "no file name"),
        ("[files]\ndatabase = 3", "must be text"),
        ("[files.database]\nx = 1", "must be text"),
        ("[[serve]]\nport = 1", "serve is not a setting"),
        ("[nonsense]\nport = 1", "not a setting"),
        ("port = 1", "not a setting"),
        ("[serve]\nport = 1\nport = 2", "set once already"),
    ],
)
def test_each_kind_of_mistake(line: str, word: str) -> None:
    """The good part comes last where the mistake needs the top level."""
    content = line + "\n" + GOOD
    found = problems_of(content)
    assert len(found) == 1 and word in found[0], found


def lines_of(found: list[str]) -> list[str]:
    return [problem.split(": ")[1] for problem in found]


def test_a_second_heading_is_told_as_that_and_its_settings_are_judged_where_they_belong() -> None:
    content = (
        GOOD + '[serve]\nport = 70000\n[city]\nurl = "http://x"\nid = "TH-41"\n[serve]\nlevel = "loud"\nquit = 1\n'
    )
    found = problems_of(content)
    assert lines_of(found) == [f"line {number}" for number in range(5, 12)]
    told = dict(zip(lines_of(found), found, strict=True))
    assert "[city] stands on line 1 already" in told["line 6"] and "[serve] stands on line 4 already" in told["line 9"]
    assert "set once already" in told["line 7"] and "set once already" in told["line 8"]
    assert "70000" in told["line 5"] and "choose one of" in told["line 10"] and "serve.quiet" in told["line 11"]
    assert len(found) == 7


def test_a_second_heading_alone_is_one_problem() -> None:
    content = '[city]\nid = "TH-40"\n\n[serve]\nport = 1\n\n[city]\nurl = "https://x"\n'
    assert problems_of(content) == [
        "city.toml: line 7: [city] stands on line 1 already; move its settings there and remove this heading"
    ]
    thrice = problems_of(content + "[city]\n[serve]\n")
    assert lines_of(thrice) == ["line 7", "line 9", "line 10"]
    with pytest.raises(SettingsInvalid) as caught:
        sf.read_settings(content, FIELDS, "city.toml")
    assert "มีหัวข้อ [city] แล้วในบรรทัด 1" in caught.value.problems[0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('city.id = "TH-40"\ncity.url = "https://x"\n[city]\ngrant_kgo = "x"\n', ["line 3"]),
        ('[[city]]\n[city]\nid = "x"\n', ["line 2"]),
        ('[files]\ndatabase = """\n[files]\n"""\n[files]\n' + GOOD, ["line 5"]),
        (GOOD + "[serve]\n[serve]\n[serve]\n", ["line 5", "line 6"]),
        (GOOD + "[ serve ]\nport = 1\n[serve]\nport = 2\n", ["line 6", "line 7"]),
        ("[a]\n[a]\n" * 60, [f"line {at}" for at in range(2, 52)]),
    ],
)
def test_tables_made_twice_in_other_ways(content: str, expected: list[str]) -> None:
    found = lines_of(problems_of(content))
    assert found[: len(expected)] == expected
    assert len(found) <= sf.PROBLEMS_MAX


@pytest.mark.parametrize("value", ["1.234", "-1", "", "1e3", "1,00", "12345678901"])
def test_amounts_are_exact_or_refused(value: str) -> None:
    assert "no amount" in problems_of(GOOD + f'grant_kgo = "{value}"\n')[0]
    assert sf.read_settings(GOOD + 'grant_kgo = "1.05"\n', FIELDS, "f")["city.grant_kgo"] == 105


@pytest.mark.parametrize(
    "value",
    ["https://", "https://a b", "https://x:0", "https://x:99999", "https://u@x", "https://x?q=1", "x", "https://[x"],
)
def test_addresses(value: str) -> None:
    assert "https address" in problems_of(f'[city]\nid = "TH-40"\nurl = "{value}"\n')[0]


def test_lines_inside_long_texts_are_not_taken_for_settings() -> None:
    content = '[city]\nid = """\nurl = "x"\n"""\nurl = "http://x"\n'
    found = problems_of(content)
    assert [problem.split(": ")[1] for problem in found] == ["line 2", "line 5"]


def test_file_problems(tmp_path: Path) -> None:
    file = tmp_path / "city.toml"
    with pytest.raises(SettingsInvalid, match="cannot be opened"):
        sf.load_settings(file, FIELDS, "en")
    file.write_bytes(b"[city]\nid = '\xff'\n")
    with pytest.raises(SettingsInvalid, match="line 2: this is no UTF-8"):
        sf.load_settings(file, FIELDS, "en")
    file.write_bytes(b"#" * (sf.SETTINGS_BYTES_MAX + 1))
    with pytest.raises(SettingsInvalid, match="over 65536 bytes"):
        sf.load_settings(file, FIELDS, "en")
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert sf.load_settings(file, FIELDS)["city.id"] == "TH-40"


def test_garbage_ends_in_problems_not_in_a_loop() -> None:
    found = problems_of("= [\n" * 400)
    assert len(found) == sf.PROBLEMS_MAX


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_plain_file_is_told_at_once(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """A pipe made the program wait for ever, also where it only looks for its language."""
    make(tmp_path / "city.toml")
    with pytest.raises(SettingsInvalid) as caught:
        sf.load_settings(tmp_path / "city.toml", FIELDS, "en")
    assert "city.toml: " in caught.value.problems[0]
    assert choose_language(["--settings", str(tmp_path / "city.toml")], "city.language") == "th"
