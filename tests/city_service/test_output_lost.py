"""Standard output that is full or closed: one refusal with its number, exit code 1, and no codes that nobody saw."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.city_service.desk import ENVIRONMENT, PROCESS_S_MAX, found, run

COMMANDS = [
    ["fleet"], ["fleet", "--json"], ["statement", "noodle-1", "--csv"], ["invite", "1"], ["audit"],
    ["enrol", "shop-1", "--role", "shop", "--owner", "noodle-1"],
]  # fmt: skip


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("output-test-only") / "city"
    found(folder)
    return folder


def into(folder: Path, shell_end: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command whose standard output goes where the shell's words say."""
    asked = [*words, "--settings", str(folder / "city.toml"), "--language", "en"]
    line = ["sh", "-c", f'exec "$@" {shell_end}', "sh", sys.executable, "-m", "offline_ledger.city", *asked]
    return subprocess.run(line, stderr=subprocess.PIPE, text=True, timeout=PROCESS_S_MAX, check=False, env=ENVIRONMENT)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("shell_end", [">/dev/full", ">&-"])
def test_output_that_is_lost_is_a_refusal(folder: Path, words: list[str], shell_end: str) -> None:
    ended = into(folder, shell_end, *words)
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.count("4095") == 1 and "Traceback" not in ended.stderr and "Exception" not in ended.stderr
    assert "give the command again" in ended.stderr


@pytest.mark.parametrize("words", [["--help"], ["fleet", "--help"], ["--version"]], ids=" ".join)
@pytest.mark.parametrize("shell_end", [">/dev/full", ">&-"])
def test_lost_help_is_no_stack_trace(folder: Path, words: list[str], shell_end: str) -> None:
    ended = into(folder, shell_end, *words)
    assert ended.returncode in (0, 1) and "Traceback" not in ended.stderr and "Exception" not in ended.stderr


def test_invitations_that_nobody_saw_were_not_made(folder: Path) -> None:
    def batches() -> list[object]:
        return json.loads(run("invitations", "--json", "--settings", str(folder / "city.toml")).stdout)

    before = batches()
    for lost in (">/dev/full", ">&-"):
        assert into(folder, lost, "invite", "2").returncode == 1
    assert batches() == before
    assert into(folder, ">/dev/null", "invite", "2").returncode == 0
    assert len(batches()) == len(before) + 1


def test_full_output_is_told_in_thai(folder: Path) -> None:
    told = into(folder, ">/dev/full", "fleet", "--language", "th").stderr
    assert "4095" in told and "ช่องแสดงผล: ดิสก์เต็ม" in told
