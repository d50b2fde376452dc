"""`kgo-sim bench`: what a technician without hardware gets, driven by its own words and by `kgo-flash`. DESIGN §11."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.bench_desk.folder import MARK, begin_afresh, is_taken, note_made
from simulators.board import BootDrive
from simulators.demo.processes import wait_until
from tests.forked import SIMULATORS, run_forked
from tests.simulators.benches import STEP_S_MAX, TOOL_S_MAX, Bench, running_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running_bench(tmp_path / "bench", "en") as made:
        yield made


def test_a_board_goes_from_its_bag_to_a_running_head(bench: Bench) -> None:
    assert bench.flash("boards").stdout.count("boot drive RPI-RP2") == 2
    drive = bench.folder / "drives" / "RPI-RP2-1"
    done = bench.flash("head", str(drive))
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: not drive.exists(), "the drive to go", STEP_S_MAX)
    bench.tell("look", "board 1: out_of_service")
    assert "reader head, firmware" in bench.flash("boards").stdout
    bench.tell("press 1 2", "board 1: out_of_service")
    bench.tell("unplug 1", "board 1: unplugged")
    bench.tell("bootsel 1", "board 1: bootsel")
    bench.tell("juggle 1", "The words are plug, unplug")
    bench.tell("press 9 1", "The words are")
    assert bench.process.stdin is not None
    bench.process.stdin.close()
    assert bench.process.wait(STEP_S_MAX) == 0 and bench.said().endswith("stopped\n")
    assert not any(str(bench.folder) in line for line in Path("/proc/self/mounts").read_text().splitlines())


def test_its_city_and_token_are_real(bench: Bench) -> None:
    found = re.search(r"city: (https://\S+), certificate (\S+), tokens (\S+) and", bench.said())
    assert found is not None
    token = (bench.folder / found[3]).read_text("ascii").strip()
    settings = bench.folder / "bus.toml"
    settings.write_text(
        f'[device]\ncity = "TH-40"\nid = "bus-8"\n[city]\nurl = "{found[1]}"\nca_file = "{bench.folder / found[2]}"\n'
        f'[head]\nport = "{bench.folder}/ports/board01"\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "bus_validator", "--settings", str(settings), "enrol", "--token", token]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S_MAX, check=False)
    assert done.returncode == 0 and done.stdout.startswith("bus-8 city-bus "), done.stderr
    head = tomllib.loads((bench.folder / "bench.toml").read_text())["head"]
    assert os.path.getsize(bench.folder / head["base"]) % 512 == 0


def test_one_that_runs_is_not_swept_away(bench: Bench) -> None:
    again = run_forked(SIMULATORS, ("bench", str(bench.folder), "--language", "en"), None, TOOL_S_MAX)
    assert again.returncode == 2 and "runs already" in again.stderr
    bench.tell("look", "board 1: bootsel")
    (bench.folder / "file").touch()
    for name in ("file", "file/inside"):
        done = run_forked(SIMULATORS, ("bench", str(bench.folder / name), "--language", "en"), None, TOOL_S_MAX)
        assert done.returncode == 2 and "Traceback" not in done.stderr

    (bench.folder / "file").unlink()
    bench.tell("quit", "stopped")
    assert bench.process.wait(STEP_S_MAX) == 0
    assert begin_afresh(bench.folder) is None and os.listdir(bench.folder) == [MARK], "it made all that lay there"
    (bench.folder / "bench.db").write_text("a record")
    with running_bench(bench.folder, "en") as again:
        aside = bench.folder.with_name("bench.1")
        assert again.said().splitlines()[0].endswith(f"it is kept in {aside}")
        assert (aside / "bench.db").read_text() == "a record" and not (bench.folder / "bench.db").exists()
        again.tell("quit", "stopped")
        assert again.process.wait(STEP_S_MAX) == 0


def test_it_empties_no_folder_but_its_own(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-mother.txt").write_text("dear")
    done = run_forked(SIMULATORS, ("bench", "letters", "--language", "en"), tmp_path, TOOL_S_MAX)
    assert done.returncode == 2 and "no simulated bench" in done.stderr
    assert (tmp_path / "letters" / "to-mother.txt").read_text() == "dear"


def test_a_technicians_own_folder_is_no_bench(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "release-keys").mkdir(parents=True)
    for name in ("bench.toml", "bench.db", "release-keys/root-1.pem"):
        (work / name).write_text("mine")
    for mark in ("", "another's"):
        if mark:
            (work / MARK).write_text(mark)
        done = run_forked(SIMULATORS, ("bench", "work", "--heads", "--language", "en"), tmp_path, TOOL_S_MAX)
        assert done.returncode == 2 and "no simulated bench" in done.stderr
        assert all(
            (work / name).read_text() == "mine" for name in ("bench.toml", "bench.db", "release-keys/root-1.pem")
        )


def test_a_bench_that_was_killed_leaves_no_drive_in_the_next_ones_way(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    begin_afresh(folder)
    note_made(folder)
    (folder / "drives").mkdir()
    BootDrive(folder / "drives" / "RPI-RP2-1").appear()  # and nobody takes it away
    try:
        assert begin_afresh(folder) is None and os.listdir(folder) == [MARK]
    finally:
        if os.path.ismount(folder / "drives" / "RPI-RP2-1"):
            subprocess.run(["umount", "-l", folder / "drives" / "RPI-RP2-1"], check=True)


def test_what_somebody_put_into_a_bench_is_put_aside(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    assert begin_afresh(folder) is None and not is_taken(folder)
    (folder / "city").mkdir()
    (folder / "bench.toml").write_text("made")
    note_made(folder)
    (folder / "city" / "log").write_text("the city goes on")
    assert begin_afresh(folder) is None and sorted(folder.iterdir()) == [folder / MARK], "nothing of a technician's"
    assert not list(tmp_path.glob("bench.*"))

    for number, (name, text) in enumerate((("keys/root-1.pem", "a key"), ("bench.toml", "settings of mine")), 1):
        (folder / "keys").mkdir()
        (folder / "bench.toml").write_text("made")
        note_made(folder)
        (folder / name).write_text(text)
        assert begin_afresh(folder) == tmp_path / f"bench.{number}"
        assert (tmp_path / f"bench.{number}" / name).read_text() == text and list(folder.iterdir()) == [folder / MARK]
