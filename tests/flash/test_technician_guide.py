"""docs/technician.md is followed literally on a bench without hardware, and its table names every number. DESIGN §1."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.flash.bench_words import BenchTexts
from offline_ledger.errors import Refusal
from offline_ledger.texts import LANGUAGES, LOCALE
from tests.flash.bench_refusals import bench_refusals
from tests.simulators.benches import Bench, running_bench

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "technician.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
NUMBER_ROW = re.compile(r"^\| [1-9][0-9]{3} \| .*$", re.MULTILINE)
COMMAND_S_MAX = 120


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running_bench(tmp_path / "bench", "th") as made:
        yield made


def steps() -> Iterator[tuple[str, list[str]]]:
    """Each command as it stands in the guide, and what the guide says that it answers."""
    for block in BLOCKS:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *answers = part.rstrip("\n").split("\n")
            yield command, answers


@pytest.mark.timeout(600)
def test_every_line_works_as_it_stands(bench: Bench) -> None:
    """In a shell, with the programs on its path, in the bench's folder."""
    done: list[str] = []
    for command, answers in steps():
        ran = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=bench.folder,
            env={"PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        said = ran.stdout + ran.stderr
        assert ran.returncode == 0, f"{command}: {said}"
        assert [answer for answer in answers if answer not in said] == [], f"{command}: {said}"
        done.append(command)
    assert len(done) > 8 and (bench.folder / "record.csv").stat().st_size > 100


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
