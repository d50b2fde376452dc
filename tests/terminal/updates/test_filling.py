"""A package into a slot: real pip, real venv, read back from the disk; SIGKILL and every way of failing on the way."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import ReleasePackageUnfit, SlotDamaged, SlotNotMade, StorageFull
from offline_ledger.terminal.updates import filling
from offline_ledger.terminal.updates.filling import check_slot, install
from offline_ledger.terminal.updates.package import slot_manifest
from offline_ledger.terminal.updates.start import MANIFEST
from simulators.demo.processes import wait_until
from tests.processes.small_disk import on_small_disk
from tests.terminal.updates.package_desk import WHEEL, package, wheel
from tests.terminal.updates.slot_desk import PROGRAM, ROOT, killed

INSTALL = """
import sys
from pathlib import Path
from offline_ledger.terminal.updates.filling import install
install(Path(sys.argv[1]), Path(sys.argv[2]), "kgo-bus")
"""
SOAK_S_MAX = 3_600
STEPS_MAX = 2_000
STEPS = ["checked", "emptied", "unpacked", "made", "installed", "verified", "whole"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """One slot that was filled; nothing of it is changed."""
    folder = tmp_path_factory.mktemp("filled")
    steps: list[str] = []
    install(package(folder / "p.zip"), folder / "slots" / "b", PROGRAM, steps.append)
    return folder / "p.zip", folder / "slots" / "b", steps


def test_it_runs_and_knows_its_version(filled: tuple[Path, Path, list[str]]) -> None:
    _path, slot, steps = filled
    assert steps == STEPS
    done = subprocess.run([slot / "bin" / PROGRAM, "x"], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == "ran x\n"
    found = slot_manifest(slot)
    assert found is not None and found.version == "0.2.0"
    assert (slot / "system" / "kgo-bus.service").read_bytes() == b"[Unit]\n" and not (slot / "wheels").exists()
    assert slot_manifest(slot.parent / "a") is None


def test_what_the_disk_changed_is_found(filled: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    _path, slot, _steps = filled
    found = slot_manifest(slot)
    assert found is not None
    system = {f"system/{name}": value for name, value in found.system.items()}
    check_slot(slot, found, system)
    (module,) = slot.glob("lib/python*/site-packages/kgo_test.py")
    whole = module.read_bytes()
    try:
        module.write_bytes(whole.replace(b"ran", b"ram"))
        with pytest.raises(SlotDamaged, match=r"kgo_test\.py"):
            check_slot(slot, found, system)
        module.unlink()
        with pytest.raises(SlotDamaged, match=r"kgo_test\.py"):
            check_slot(slot, found, system)
    finally:
        module.write_bytes(whole)
    with pytest.raises(SlotDamaged, match="system"):
        check_slot(slot, found, {"system/kgo-bus.service": "00" * 32})
    with pytest.raises(SlotDamaged, match="1 of 2 wheels"):
        check_slot(slot, found._replace(wheels={**found.wheels, "other.whl": "00"}), system)


def test_what_cannot_be_installed_is_no_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slot = tmp_path / "slots" / "b"
    slot.mkdir(parents=True)
    (slot / MANIFEST).write_text("{}")
    (slot / "left").write_text("of before")
    with pytest.raises(ReleasePackageUnfit):
        install(package(tmp_path / "p.zip", {WHEEL: b"no wheel"}), slot, PROGRAM)
    assert slot_manifest_is_gone(slot) and not (slot / "left").exists()
    with pytest.raises(SlotNotMade, match="kgo-bus"):
        install(package(tmp_path / "p.zip", {WHEEL: wheel(code=3)}), slot, PROGRAM)
    assert slot_manifest_is_gone(slot)
    torn = wheel().replace(b"Wheel-Version: 1.0", b"Wheel-Version: 9.0")
    with pytest.raises(SlotNotMade, match="pip"):
        install(package(tmp_path / "p.zip", {WHEEL: torn}), slot, PROGRAM)
    assert slot_manifest_is_gone(slot)
    monkeypatch.setattr(filling, "ROOM_BYTES_MIN", 1 << 60)
    with pytest.raises(StorageFull):
        install(package(tmp_path / "p.zip"), slot, PROGRAM)


def slot_manifest_is_gone(slot: Path) -> bool:
    return slot.is_dir() and not (slot / MANIFEST).exists()


@pytest.mark.timeout(SOAK_S_MAX)
def test_killed_at_any_step_the_slot_is_none_or_whole(
    tmp_path: Path, rng: Random, soak: bool, report: Callable[[str], None]
) -> None:
    """SIGKILL of the real command before a step of it: a slot with a manifest is whole, one without is filled anew."""
    path, slot, script = package(tmp_path / "p.zip"), tmp_path / "slots" / "b", tmp_path / "install.py"
    script.write_text(INSTALL)
    words = [str(script), str(path), str(slot)]
    install(path, slot, PROGRAM)
    shutil.copytree(slot, tmp_path / "whole", symlinks=True)
    count, last = 0, -1
    for at in range(STEPS_MAX) if soak else sorted({0, 2, 8, 20, rng.randrange(21, 90)}):
        if not (slot / MANIFEST).exists():  # each time a whole slot is filled anew
            shutil.rmtree(slot)
            shutil.copytree(tmp_path / "whole", slot, symlinks=True)
        if not killed([sys.executable, "-P"], at, [slot.parent], words):
            break
        count, last = count + 1, at
        if (slot / MANIFEST).exists():
            done = subprocess.run([slot / "bin" / PROGRAM], capture_output=True, text=True, check=True, cwd="/")
            assert done.stdout == "ran\n"
    install(path, slot, PROGRAM)
    assert slot_manifest(slot) is not None and count >= (20 if soak else 3)
    report(f"filling a slot: killed at {count} steps, the last one {last}")


ON_A_FULL_DISK = """
import sys
from pathlib import Path
from offline_ledger.errors import StorageFull
from offline_ledger.terminal.updates import filling
filling.ROOM_BYTES_MIN = -(1 << 40)
try:
    filling.install(Path(sys.argv[1]), Path(sys.argv[2]) / "b", "kgo-bus", lambda step: print(step, end=" "))
except StorageFull:
    print("full", (Path(sys.argv[2]) / "b" / "manifest.json").exists())
"""


@pytest.mark.timeout(SOAK_S_MAX)
def test_a_disk_that_fills_up_at_any_step_leaves_no_slot(
    tmp_path: Path, soak: bool, report: Callable[[str], None]
) -> None:
    """A real disk of so many KiB; that nobody looked for room before is the test's."""
    path, place, seed = package(tmp_path / "p.zip"), tmp_path / "disk", tmp_path / "seed"
    script = tmp_path / "install.py"
    script.write_text(ON_A_FULL_DISK)
    for folder in (place, seed):
        folder.mkdir()
    reached: dict[str, int] = {}
    for size_kib in range(4, 96, 4) if soak else (4, 12, 44):
        words = (sys.executable, "-P", str(script), str(path), str(place))
        done = subprocess.run(
            on_small_disk(place, f"{size_kib}k", seed, words),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "th_TH.UTF-8"},
        )
        *steps, end, is_slot = done.stdout.split()
        assert (end, is_slot) == ("full", "False") or steps[-1] == "installed", done.stdout
        reached[steps[-1]] = reached.get(steps[-1], 0) + 1
    assert {"emptied", "unpacked", "made"} <= reached.keys()
    report(f"filling a slot: disk full after {reached}")


@pytest.mark.timeout(SOAK_S_MAX)
def test_killed_at_chance_moments_while_pip_works(
    tmp_path: Path, rng: Random, slice_of: Callable[[int, int], int]
) -> None:
    """Command and pip together, at once, as a power cut does it."""
    path, slot, script = package(tmp_path / "p.zip"), tmp_path / "slots" / "b", tmp_path / "install.py"
    script.write_text(INSTALL)
    around = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(slice_of(30, 1)):
        (slot / MANIFEST).unlink(missing_ok=True)
        words = [sys.executable, "-P", str(script), str(path), str(slot)]
        with subprocess.Popen(words, env=around, start_new_session=True) as works:
            wait_until(lambda: (slot / "wheels").exists() or works.poll() is not None, "its unpacking")
            time.sleep(rng.uniform(0.0, 1.5))  # any moment is as good as another: nothing is waited for
            os.killpg(works.pid, signal.SIGKILL)
        if (slot / MANIFEST).exists():
            done = subprocess.run([slot / "bin" / PROGRAM], capture_output=True, text=True, check=True, cwd="/")
            assert done.stdout == "ran\n"


def test_it_needs_pip_of_this_slot_or_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(filling, "find_spec", lambda _name: "found")
    assert filling._pip() == ("-m", "pip")
    monkeypatch.setattr(filling, "find_spec", lambda _name: None)
    assert filling._pip()[0].endswith("/pip"), "Python's own, in a wheel"
    monkeypatch.setattr(filling, "PIP_WHEELS", (str(tmp_path),))
    with pytest.raises(SlotNotMade, match="python3-venv"):
        filling._pip()
