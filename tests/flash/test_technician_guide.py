"""docs/technician.md is followed literally on a bench without hardware, and its table names every number. DESIGN §1."""

import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bus_validator.validator import _own_commands as bus_commands
from firmware.flash.bench_words import BenchTexts
from firmware.flash.cli import build_parser as flash_parser
from offline_ledger.errors import Refusal
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal.commands import build_parser
from offline_ledger.terminal.program import Program
from offline_ledger.texts import LANGUAGES, LOCALE, Texts
from simulators.bench_desk.boards import HANDS
from simulators.bench_desk.run import TERMINAL_HANDS
from tests.flash.bench_refusals import bench_refusals
from tests.simulators.benches import Bench, running_bench

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "technician.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
NUMBER_ROW = re.compile(r"^\| [1-9][0-9]{3} \| .*$", re.MULTILINE)
COMMAND_S_MAX = 120


BUS = Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda _opened: 0, commands=bus_commands)
TERMINALS = re.compile(r"bus-[89]|bootfs|releases")
"""What only a bench with a terminal has."""
AGAIN = 75
"""The exit code of what is worth trying again, and the guide says that it is."""
FIRST, SECOND = "> ", "$ "
"""The windows that a line is typed in."""


class Step(NamedTuple):
    """A line as it stands in the guide, which window it is typed in, and what the guide says that comes of it."""

    window: str
    line: str
    answers: list[str]

    @property
    def needs_terminal(self) -> bool:
        return self.window == FIRST or bool(TERMINALS.search(self.line))


def steps() -> Iterator[Step]:
    for block in BLOCKS:
        for part in re.split(r"^(?=[>$] )", block, flags=re.MULTILINE)[1:]:
            line, *answers = part.rstrip("\n").split("\n")
            yield Step(line[:2], line[2:], answers)


def follow(bench: Bench, step: Step) -> None:
    """In the bench's window, or in a shell in its folder with the programs on its path."""
    if step.window == FIRST:
        bench.tell(step.line, step.answers[-1], COMMAND_S_MAX)
        assert [answer for answer in step.answers if answer not in bench.said()] == [], step.line
        return
    until_s = time.monotonic() + COMMAND_S_MAX
    while True:
        ran = subprocess.run(
            ["/bin/sh", "-c", step.line],
            cwd=bench.folder,
            env={"PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        if ran.returncode != AGAIN or time.monotonic() > until_s:
            break
        time.sleep(1)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, f"{step.line}: {said}"
    assert [answer for answer in step.answers if answer not in said] == [], f"{step.line}: {said}"


@pytest.mark.timeout(1200)
def test_every_line_works_as_it_stands(tmp_path: Path, soak: bool) -> None:
    """All of them in the soak, else those of heads."""
    done = 0
    with running_bench(tmp_path / "bench", "th", is_heads_only=not soak) as bench:
        for step in steps():
            if soak or not step.needs_terminal:
                follow(bench, step)
                done += 1
        assert done > (22 if soak else 8) and (bench.folder / "record.csv").stat().st_size > 100


def test_every_line_is_one_that_the_programs_and_the_bench_take() -> None:
    texts = Texts("en")
    typed = [step.line for step in steps() if step.window == FIRST]
    assert typed and set(typed) <= {*HANDS, *TERMINAL_HANDS}
    commands = [shlex.split(step.line.replace("$(uname -m)", "aarch64")) for step in steps() if step.window == SECOND]
    for program, *words in commands:
        if program == "./bus-8":
            build_parser(BUS, texts).parse_args(["--settings", "bus.toml", *words])
        else:
            assert program == "kgo-flash"
            flash_parser(texts).parse_args(words)
    assert {words[0] for words in commands} == {"kgo-flash", "./bus-8"}


def test_every_part_of_the_guide_is_in_both_languages() -> None:
    """A paragraph that is in one of them alone stands beside one in the other."""
    guide = GUIDE[: GUIDE.index("## หมายเลข")]
    for part in re.split(r"^## ", guide, flags=re.MULTILINE)[1:]:
        words = re.sub(r"^```.*?^```|^    .*?$|`[^`]*`|\]\([^)]*\)", "", part, flags=re.MULTILINE | re.DOTALL)
        thai, english = (len(re.findall(letters, words)) for letters in ("[\u0e01-\u0e3a\u0e40-\u0e46]", "[a-zA-Z]"))
        assert 0.4 < thai / english < 2.5, f"{part.splitlines()[0]}: {thai} Thai letters, {english} English ones"


def test_every_picture_and_page_of_the_guide_is_there() -> None:
    for name in re.findall(r"\]\(([a-z][^)#]*)", GUIDE):
        assert (ROOT / "docs" / name).is_file(), name


def row(kind: type[Refusal]) -> str:
    thai, english = BenchTexts("th"), BenchTexts("en")
    title = f"{thai.title(kind)}<br>{english.title(kind)}"
    return f"| {kind.number} | {title} | {thai.remedy(kind)}<br>{english.remedy(kind)} |"


def test_every_number_stands_in_the_table_with_its_words() -> None:
    """`python -m tests.flash.test_technician_guide` prints them."""
    assert NUMBER_ROW.findall(GUIDE) == [row(kind) for kind in bench_refusals()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_bench_says_otherwise_is_of_a_refusal_that_it_can_show(language: str) -> None:
    source = (LOCALE / language / "LC_MESSAGES/kgo.po").read_text("utf-8")
    found = re.findall(r'^msgid "flash\.refusal\.(\w+)\.(\w+)"$', source, re.MULTILINE)
    assert len(found) > 20 and {part for _, part in found} == {"title", "remedy"}
    assert {key for key, _ in found} <= {kind.key for kind in bench_refusals()}
    titles = [BenchTexts(language).title(kind) for kind in bench_refusals()]
    assert len(titles) == len(set(titles)), "no two have one title"


NOT_HERE = r"รับ KGO|ใบเสร็จที่รอ|เรียกช่าง|แจ้งช่าง|ให้ช่าง|\b(taking KGO|no KGO|call the technician|[Ll]et a technician)\b"
"""What is said to a cashier or a driver: here the technician reads it."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_remedy_sends_the_technician_to_a_technician(language: str) -> None:
    texts = BenchTexts(language)
    said = {kind.number: texts.remedy(kind) for kind in bench_refusals()}
    assert {number: remedy for number, remedy in said.items() if re.search(NOT_HERE, remedy)} == {}


if __name__ == "__main__":
    import sys

    sys.stdout.write("\n".join(row(kind) for kind in bench_refusals()) + "\n")
