"""docs/technician.md is followed literally on a bench without hardware, and its table names every number. DESIGN §1."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.texts import Texts
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


def what_the_bench_can_show() -> list[type[Refusal]]:
    """Every refusal that a module of `kgo-flash` names."""
    named: set[str] = set()
    for path in (ROOT / "firmware" / "flash").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == errors.__name__:
                named |= {alias.name for alias in node.names}
    kinds = (getattr(errors, name) for name in sorted(named))
    return sorted((kind for kind in kinds if isinstance(kind, type) and kind.number), key=lambda kind: kind.number)


def row(kind: type[Refusal]) -> str:
    thai, english = Texts("th"), Texts("en")
    title = f"{thai.title(kind)}<br>{english.title(kind)}"
    return f"| {kind.number} | {title} | {thai.remedy(kind)}<br>{english.remedy(kind)} |"


def test_every_number_stands_in_the_table_with_its_words() -> None:
    """`python -m tests.flash.test_technician_guide` prints them."""
    assert NUMBER_ROW.findall(GUIDE) == [row(kind) for kind in what_the_bench_can_show()]


if __name__ == "__main__":
    import sys

    sys.stdout.write("\n".join(row(kind) for kind in what_the_bench_can_show()) + "\n")
