"""Files to a USB stick: FAT and exFAT keep no permissions and no second names, and take them. DESIGN §4."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import FileTaken, KeyFileUnsafe
from offline_ledger.files import PRIVATE_MODE, write_atomically
from offline_ledger.key_files import make_key_file
from offline_ledger.named_files import write_named
from tests.sticks import KINDS, mounted_stick


@pytest.fixture(scope="module", params=KINDS)
def stick(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted_stick(request.param, tmp_path_factory.mktemp("stick")) as place:
        yield place


def test_it_is_a_stick_that_refuses_second_names_and_permissions(stick: Path) -> None:
    """The negative control: without it these tests could run on any disk."""
    (stick / "probe").write_bytes(b"x")
    with pytest.raises(OSError):
        os.link(stick / "probe", stick / "second")
    assert stat.S_IMODE((stick / "probe").stat().st_mode) & 0o100  # nobody made it a program


@pytest.mark.parametrize("mode", [0o644, PRIVATE_MODE])
def test_a_file_is_written_whole_replaced_and_never_by_accident(stick: Path, mode: int) -> None:
    file = stick / f"file-{mode:o}"
    write_atomically(file, b"one", mode)
    write_atomically(file, b"two", mode)
    assert file.read_bytes() == b"two"
    with pytest.raises(FileExistsError):
        write_atomically(file, b"three", mode, may_replace=False)
    assert file.read_bytes() == b"two"
    write_atomically(stick / f"new-{mode:o}", b"new", mode, may_replace=False)
    assert (stick / f"new-{mode:o}").read_bytes() == b"new"
    assert [path.name for path in stick.iterdir() if path.name.startswith(".")] == []


def test_what_an_operator_names_lands_there_once(stick: Path) -> None:
    write_named(stick / "sheet.pdf", b"%PDF", PRIVATE_MODE)
    with pytest.raises(FileTaken):
        write_named(stick / "sheet.pdf", b"other")
    assert (stick / "sheet.pdf").read_bytes() == b"%PDF"


def test_no_key_is_left_where_others_could_read_it(stick: Path) -> None:
    place = stick / "device.key"
    if stat.S_IMODE(stick.stat().st_mode) & 0o077 == 0:  # mounted for one user alone, as desktops do
        make_key_file(place)
        return
    with pytest.raises(KeyFileUnsafe, match="mode 0777"):
        make_key_file(place)
    assert [path.name for path in stick.iterdir() if "device.key" in path.name] == []


def back_up_and_restore(copy: Path, folder: Path, *before: str) -> None:
    """A city is founded in `folder`, copied out and put back. `before`: what runs `kgo-city backup`."""

    def city(*words: str, within: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        command = [*within, sys.executable, "-m", "offline_ledger.city", *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)

    assert city("init", "town", "--sample").returncode == 0
    settings = ("--settings", "town/city.toml")
    done = city("backup", str(copy), *settings, within=before)
    assert done.returncode == 0, done.stderr
    assert city("backup", str(copy), *settings, within=before).returncode == 1  # never over an older one
    restored = city("restore", str(copy), *settings)
    assert restored.returncode == 0, restored.stderr
    assert [path.name for path in copy.parent.iterdir() if path.name.startswith(".")] == []


def test_a_city_is_backed_up_where_no_second_names_are(tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    refuse = (
        "strace",
        "-f",
        "-qq",
        "-A",
        "-e",
        "trace=link,linkat,fchmod",
        "-e",
        "inject=link,linkat,fchmod:error=EPERM",
    )
    back_up_and_restore(tmp_path / "stick" / "copy.db", tmp_path, *refuse, "-o", str(tmp_path / "calls"))
    assert "EPERM (Operation not permitted) (INJECTED)" in (tmp_path / "calls").read_text()


# FAT's driver on this machine cannot lengthen a file, as SQLite does; the kernel's can.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "fat"])
def test_a_city_is_backed_up_to_a_stick_and_comes_back(tmp_path: Path, kind: str) -> None:
    with mounted_stick(kind, tmp_path) as place:
        back_up_and_restore(place / "ledger-copy.db", tmp_path)
