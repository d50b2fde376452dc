"""The simulated GPS receiver: its sentences by another reader, its drive, its control words. DESIGN §11."""

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pynmea2
import pytest

from simulators.gps import Fault, SimulatedGps, path_of

PATH = path_of("10", 1)


def test_its_sentences_are_nmea_to_another_reader(tmp_path: Path) -> None:
    gps = SimulatedGps(tmp_path / "gps", PATH, noise_m=0.0)
    gps.skip(100)
    lines = gps.second().decode().splitlines()
    gga, rmc = (cast(Any, pynmea2.parse(line, check=True)) for line in (lines[0], lines[2]))
    latitude, longitude = gps.position
    assert abs(rmc.latitude * 1e6 - latitude) < 1 and abs(gga.longitude * 1e6 - longitude) < 1
    assert rmc.datetime.timestamp() == 1_795_000_100


def test_it_drives_waits_at_stops_and_ends(tmp_path: Path) -> None:
    gps = SimulatedGps(tmp_path / "gps", PATH, dwell_s=5, speed_kmh=36)
    assert gps.is_standing and gps.position == PATH[0]
    reached: list[int] = []
    for _ in range(4_000):
        gps.skip(1)
        if not reached or gps.stop_at != reached[-1]:
            reached.append(gps.stop_at)
    assert reached == list(range(len(PATH))) and gps.is_at_end and gps.position == PATH[-1]


def test_the_same_seed_sends_the_same_bytes(tmp_path: Path) -> None:
    def sent(seed: int) -> bytes:
        gps = SimulatedGps(tmp_path / "gps", PATH, seed=seed)
        gps.faults = {Fault.JUMPS}
        return b"".join(gps.second() for _ in range(20))

    assert sent(1) == sent(1) != sent(2)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("tick", "ok"),
        ("fault no_fix rollover", "ok"),
        ("well no_fix", "ok"),
        ("well", "ok"),
        ("speed 40", "ok"),
        ("stop 3", "ok"),
        ("plug", "ok"),
        ("unplug", "ok"),
        ("fault nonsense", "error"),
        ("tick soon", "error"),
        ("nonsense", "error"),
    ],
)
def test_its_control_words(tmp_path: Path, command: str, answer: str) -> None:
    gps = SimulatedGps(tmp_path / "gps", PATH)
    assert gps.obey(command).startswith(answer)
    gps.close()


def test_a_program_of_its_own_obeys_until_quit(tmp_path: Path) -> None:
    words = "tick 40\nstop 2\nwhere\nnonsense\nquit\n"
    done = subprocess.run(
        [sys.executable, "-m", "simulators.gps", "--link", str(tmp_path / "gps"), "--route", "10", "--direction", "1"],
        input=words, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert said[:3] == ["ready", "ok", "ok"] and said[3] == f"ok {PATH[2][0]} {PATH[2][1]} stop 2"
    assert said[4].startswith("error") and not (tmp_path / "gps").is_symlink()
