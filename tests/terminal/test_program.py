"""The commands of a terminal program beside taking payments: leaves for a restored city, rows of a damaged journal."""

import subprocess
import sys
from pathlib import Path
from time import time

import pytest

from simulators.storage.vouchers import fill_journal
from tests.terminal.provisioned import DEVICE, provision_bus

ROWS = 30


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    fill_journal(tmp_path / "journal.db", DEVICE, ROWS, seed=1)
    return provision_bus(tmp_path, int(time()), tmp_path / "no-scanner")


def kgo_bus(settings: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = (sys.executable, "-m", "bus_validator", "--settings", str(settings), *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_export_writes_the_rows_of_a_journal(settings: Path, tmp_path: Path) -> None:
    ended = kgo_bus(settings, "export", str(tmp_path / "rows"))
    assert ended.returncode == 0 and ended.stdout.startswith(f"vouchers {ROWS} ")
    assert (tmp_path / "rows").stat().st_size > 0


def test_export_works_on_a_journal_that_does_not_open(settings: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    data = bytearray(journal.read_bytes())
    at = len(data) * 2 // 3
    data[at : at + 64] = b"\xff" * 64
    journal.write_bytes(data)
    ended = kgo_bus(settings, "export", str(tmp_path / "rows"))
    assert ended.returncode == 0, ended.stderr
    words = ended.stdout.split()
    assert 0 < int(words[1]) <= ROWS


def test_leaves_are_written_for_the_city(settings: Path, tmp_path: Path) -> None:
    ended = kgo_bus(settings, "leaves", str(tmp_path / "leaves"))
    assert ended.returncode == 0, ended.stderr
    lines = (tmp_path / "leaves").read_text().splitlines()
    assert ended.stdout.split()[0] == str(len(lines))


@pytest.mark.parametrize(
    "words", [("leaves", "no/such/folder/x"), ("export", "no/such/folder/x"), ("enrol", "--answer", "no-such-file")]
)
def test_a_file_that_cannot_be_used_is_a_numbered_refusal(settings: Path, words: tuple[str, ...]) -> None:
    ended = kgo_bus(settings, *words)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert ended.stderr.split()[0] in ("5004", "2003", "2004"), ended.stderr
