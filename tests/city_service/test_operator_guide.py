"""The operator's guide, command by command, as it stands in docs/operator.md. DESIGN §1."""

import argparse
import re
import shlex
from pathlib import Path

from offline_ledger.city import cli
from offline_ledger.texts import Texts
from tests.city_service.desk import run, run_anew

GUIDE = Path(__file__).parents[2] / "docs" / "operator.md"
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_command_of_the_guide_does_what_the_guide_says(tmp_path: Path) -> None:
    ran = 0
    for language, name, content in BLOCK.findall(GUIDE.read_text("utf-8")):
        if language in ("json", "csv"):
            (tmp_path / name).write_text(content, encoding="utf-8")
        elif language == "console":
            for part in content.split("$ ")[1:]:
                command, *expected = part.splitlines()
                words = shlex.split(command)
                assert words[0] == "kgo-city"
                done = run_anew(*words[1:], folder=tmp_path)  # as it is typed: each loads what it needs
                assert done.returncode == 0, (command, done.stderr)
                for line in expected:
                    assert line in done.stdout + done.stderr, (command, done.stdout)
                ran += 1
    assert ran >= 15


def test_every_command_is_in_the_guide() -> None:
    guide = GUIDE.read_text("utf-8")
    listed = re.findall(r"^    ([a-z]+)  ", run("--help").stdout, re.MULTILINE)
    assert len(listed) >= 15
    for command in listed:
        assert f"kgo-city {command}" in guide or f"`{command} " in guide or f"`{command}`" in guide, command


def reference() -> list[str]:
    """The table of section "Reference" as the parser has it: command, words, what it is for."""
    lines: list[str] = []
    for action in cli.build_parser(Texts("en"))._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        for name, made in action.choices.items():
            words = [_word(one) for one in made._actions if one.dest not in ("help", "settings", "language")]
            lines.append(f"| `{' '.join([name, *words])}` | {made.description} |")
    return lines


def _word(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or "\\|".join(action.choices or [action.dest.upper()]))
    if not action.option_strings:
        return f"[{value}]" if action.nargs == "?" else value
    word = f"{action.option_strings[0]} {value}".strip()
    return word if action.required else f"[{word}]"


def test_the_reference_is_what_the_program_takes() -> None:
    section = GUIDE.read_text("utf-8").partition("## Reference")[2]
    written = [line for line in section.splitlines() if line.startswith("| `")]
    expected = reference()
    assert len(expected) > 20
    assert written == expected, "\n".join(expected)
