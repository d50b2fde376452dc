"""`make test-arm64` itself: what is left out is named rightly, what CI runs is there, and a machine that cannot run it
hears why. The emulation is not started here. Decisions 0220 to 0222."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import arm64

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "arm64.sh"
TOOLS = ("bash", "dirname")
KINDS = {
    "tests/card": "a card by PC/SC",
    "tests/pos_app": "the till's paper and PINs",
    "tests/processes": "a whole bus and a whole till",
    "tests/protocol": "the golden vectors",
    "tests/terminal": "a journal and its power cuts",
}


def folders() -> list[str]:
    """What the script runs when it is told nothing else."""
    found = re.search(r"^tests=\((.+)\)$", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1].split()


@pytest.mark.parametrize("name", arm64.LEFT_OUT)
def test_what_is_left_out_is_a_test(name: str) -> None:
    file, _, function = name.partition("::")
    assert re.search(rf"^def {re.escape(function)}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_fixtures_that_are_left_out_are_fixtures() -> None:
    shared = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    assert [name for name in arm64.NEEDS if f"\n@pytest.fixture\ndef {name}(" not in shared] == []


@pytest.mark.parametrize("folder", KINDS)
def test_ci_runs_some_of_each_kind(folder: str) -> None:
    assert folder in folders()
    marked = [path for path in (ROOT / folder).rglob("test_*.py") if "mark.arm64" in path.read_text(encoding="utf-8")]
    assert marked, KINDS[folder]


def test_what_is_marked_stands_where_it_is_looked_for() -> None:
    marked = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"^(@|pytestmark = )pytest\.mark\.arm64$", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert [name for name in marked if not name.startswith(tuple(f"{one}/" for one in folders()))] == []


@pytest.mark.parametrize(
    ("has", "told"),
    [
        ({"uname": "echo aarch64"}, "make test runs all tests"),
        ({"uname": "echo riscv64"}, "on x86-64 alone"),
        ({"uname": "echo x86_64", "id": "echo 1000"}, "sudo make test-arm64"),
        ({"uname": "echo x86_64", "id": "echo 0", "unshare": "exit 0"}, "Run: make setup"),
        ({"uname": "echo x86_64", "id": "echo 0", "mmdebstrap": "exit 0", "unshare": "exit 1"}, "--privileged"),
    ],
)
def test_a_machine_that_cannot_hears_why_and_nothing_is_made(tmp_path: Path, has: dict[str, str], told: str) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(SCRIPT, tmp_path / ".ci")
    for tool in TOOLS:
        if (found := shutil.which(tool)) is not None:
            (tmp_path / "bin" / tool).symlink_to(found)
    for name, does in has.items():
        (tmp_path / "bin" / name).write_text(f"#!{tmp_path / 'bin' / 'bash'}\n{does}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    done = subprocess.run(
        [tmp_path / ".ci" / "arm64.sh"],
        env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and told in done.stderr, done.stderr
    assert not (tmp_path / "build").exists()


def test_no_desk_machine_takes_itself_for_a_pi() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.arm64", "--collect-only", "tests/rules/test_limits.py"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 4 and "run make test-arm64" in done.stderr, done.stderr


@pytest.mark.parametrize(("said", "waits_s"), [({}, 40.0), ({"KGO_PATIENCE": "8"}, 320.0)])
def test_a_desk_waits_as_long_as_is_written_there(said: dict[str, str], waits_s: float) -> None:
    code = "from simulators.demo.processes import WAIT_S_MAX; print(WAIT_S_MAX)"
    environment = {**{name: value for name, value in os.environ.items() if name != "KGO_PATIENCE"}, **said}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert float(done.stdout) == waits_s


def test_the_factor_is_set_by_the_emulation_alone() -> None:
    setting = [
        path.relative_to(ROOT).as_posix()
        for path in (
            *ROOT.glob(".ci/*"),
            ROOT / "Makefile",
            *ROOT.glob("tests/**/*.py"),
            *ROOT.glob("simulators/**/*.py"),
        )
        if path.is_file() and "KGO_PATIENCE" in path.read_text(encoding="utf-8")
    ]
    assert setting == [".ci/arm64.sh", "tests/test_arm64.py", "simulators/patience.py"]
