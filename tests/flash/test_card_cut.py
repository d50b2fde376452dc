"""Power cut at every step of preparing a card: it boots as before, or has all that its first boot needs.

"Killed" is SIGKILL of a real process. The judge shares no code with what it judges.
"""

import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.flash.record import Record
from firmware.flash.record_reading import INTERRUPTED, jobs
from simulators.bench_desk.bootfs import CMDLINES, CONFIG, boot_partition
from tests.flash.cards import ca_file, update_root

pytestmark = pytest.mark.timeout(3600)  # the soak's full counts

RUN_S_MAX = 60
CUTS_SLICE = 4


def work_in(folder: Path, package: Path) -> Path:
    folder.mkdir()
    boot_partition(folder / "boot")
    (folder / package.name).hardlink_to(package)
    ca_file(folder / "ca.crt")
    update_root(folder / "root.json")
    return folder


def bench(work: Path, at: int, *more: str) -> "subprocess.CompletedProcess[str]":
    command = (sys.executable, "-m", "tests.flash.card_cut", str(at), str(work), *more)
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)


def steps_of(work: Path, *more: str) -> int:
    done = bench(work, 0, *more)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def faults_of(boot: Path) -> list[str]:
    """What would keep this card from starting, in the old state or in the new one."""
    words = (boot / "cmdline.txt").read_text().split()
    faults = [] if set(CMDLINES["bookworm"].split()) <= set(words) else ["cmdline.txt lost a word of its own"]
    if not (boot / "config.txt").read_text().startswith(CONFIG.rstrip()):
        faults.append("config.txt lost a line of its own")
    if not any(word.startswith("systemd.run") for word in words):
        return faults
    try:
        named = json.loads((boot / "kgo" / "card.json").read_bytes())["files"]
    except (OSError, ValueError) as error:
        return [*faults, f"the first boot runs, and card.json: {error}"]
    for name, wanted in {"first-boot.sh": "", **named}.items():
        place = boot / "kgo" / name
        if not place.exists() or hashlib.sha256(place.read_bytes()).hexdigest() != (wanted or named["first-boot.sh"]):
            faults.append(f"the first boot runs, and {name} is not there")
    return faults


def is_new(boot: Path) -> bool:
    return "systemd.run=" in (boot / "cmdline.txt").read_text()


def cut_and_go_on(work: Path, at: int, *more: str) -> bool:
    """Cuts there; everything that must hold then; runs it again. Whether the card was new at the cut."""
    killed = bench(work, at, *more)
    assert killed.returncode == -9, f"step {at}: {killed.returncode} {killed.stderr}"
    assert faults_of(work / "boot") == [], f"cut at step {at}"
    was_new = is_new(work / "boot")
    record = Record.open(work / "bench.db")
    newest = max(jobs(record), key=lambda job: job.number)
    record.close()
    assert (newest.subject, newest.outcome) == ("bus-8", INTERRUPTED), f"cut at step {at}"
    assert not was_new or newest.steps[-1].name == "start", f"cut at step {at}"  # until then the record says: as before
    again = bench(work, 0, *more)
    assert again.returncode == 0, again.stderr
    assert faults_of(work / "boot") == [] and is_new(work / "boot")
    left = [one.name for one in work.glob("boot/**/*") if one.name.endswith((".new", ".part"))]
    assert left == [], f"cut at step {at}"
    return was_new


def test_a_card_that_was_cut_boots_as_before_or_as_new_and_is_completed(
    tmp_path: Path,
    card_package: Path,
    rng: random.Random,
    slice_of: Callable[[int, int], int],
    report: Callable[[str], None],
) -> None:
    steps = steps_of(work_in(tmp_path / "whole", card_package))
    places = sorted([*rng.sample(range(1, steps + 1), slice_of(steps, CUTS_SLICE)), steps])
    new = 0
    for at in places:
        work = work_in(tmp_path / str(at), card_package)
        new += cut_and_go_on(work, at)
        shutil.rmtree(work)
    report(
        f"card: cut at {len(places)} of {steps} steps, {len(places) - new} as before, {new} new, 0 that do not start"
    )
    assert steps > 40 and new > 0


def test_a_card_that_is_prepared_anew_is_never_half_old(
    tmp_path: Path, card_package: Path, rng: random.Random, slice_of: Callable[[int, int], int]
) -> None:
    """Other settings for a card that would run the first boot: it is told not to before any file of it changes."""
    work = work_in(tmp_path / "work", card_package)
    steps_of(work)
    kept = tmp_path / "kept"
    shutil.copytree(work, kept, copy_function=shutil.copy2)
    steps = steps_of(work, "right-order", "/anew")
    for at in rng.sample(range(1, steps + 1), slice_of(steps, 2)):
        shutil.rmtree(work)
        shutil.copytree(kept, work, copy_function=shutil.copy2)
        killed = bench(work, at, "right-order", "/anew")
        assert killed.returncode == -9 and faults_of(work / "boot") == [], f"cut at step {at}"
        assert bench(work, 0, "right-order", "/anew").returncode == 0
        assert faults_of(work / "boot") == [] and b"/anew" in (work / "boot" / "kgo" / "bus.toml").read_bytes()


def test_the_boot_file_first_is_caught(tmp_path: Path, card_package: Path, report: Callable[[str], None]) -> None:
    """The proof has teeth: written in the wrong order, a cut leaves a card that starts a first boot it has not."""
    steps = steps_of(work_in(tmp_path / "whole", card_package), "wrong-order")
    caught = 0
    places = range(steps // 4, steps, steps // 4)
    for at in places:
        work = work_in(tmp_path / str(at), card_package)
        assert bench(work, at, "wrong-order").returncode == -9
        caught += bool(faults_of(work / "boot"))
        shutil.rmtree(work)
    report(f"card, negative control (boot file first): {caught} of {len(places)} cuts leave a card that does not start")
    assert caught >= len(places) // 2
