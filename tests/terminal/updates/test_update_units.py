"""The update's own units, what is installed with them, and the words of the guides. DESIGN §3."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from firmware.flash.release.making import LAUNCHER, LAUNCHER_NAME, SYSTEM_FOLDERS
from offline_ledger.terminal.program import EXIT_LATER
from offline_ledger.terminal.updates import by_hand, start
from tests.terminal.updates.slot_desk import ROOT

SYSTEM = ROOT / "offline_ledger" / "terminal" / "updates" / "system"
GUIDES = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("hardware.md", "kiosk.md")]
UPDATES = (ROOT / "docs" / "bench" / "updates.md").read_text(encoding="utf-8")
SERVICES = ("bus_validator/system/kgo-bus.service", "pos_app/system/kgo-pos.service")


def unit(path: Path) -> configparser.RawConfigParser:
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(path)
    return read


def test_the_updater_may_write_where_slots_and_state_are_and_nowhere_else() -> None:
    service = unit(SYSTEM / "kgo-update@.service")["Service"]
    assert service["ExecStart"] == f"{start.ROOT}/start kgo-%i --settings /var/lib/kgo/%i.toml update"
    assert set(service["ReadWritePaths"].split()) == {f"{start.ROOT}/slots", os.path.dirname(start.STATE)}
    assert service["ProtectSystem"] == "strict" and service["User"] == "kgo"
    assert int(service["SuccessExitStatus"]) == EXIT_LATER
    assert service["ExecStartPre"] == f"-+/bin/chown -R --from=root kgo:kgo {start.ROOT}/slots {start.STATE}"
    assert service["Type"] == "oneshot"
    timer = unit(SYSTEM / "kgo-update@.timer")
    assert timer["Install"]["WantedBy"] == "timers.target" and "OnUnitInactiveSec" in timer["Timer"]


@pytest.mark.parametrize("file", SERVICES)
def test_a_service_reads_its_slots_and_starts_again_whatever_the_exit_code(file: str) -> None:
    service = unit(ROOT / file)["Service"]
    assert service["ExecStart"].split()[0] == f"{start.ROOT}/start"
    assert service["Restart"] == "always" and "RestartPreventExitStatus" not in service
    assert not any(path.startswith("/opt") for path in service.get("ReadWritePaths", "").split())
    assert re.fullmatch(r"[0-9]{1,3}ms", service["RestartSec"]), "it is a part of every switch"


def test_what_systemd_thinks_of_it(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    assert tool is not None, ".ci/system-packages.txt"
    for name in ("bus", "pos"):
        for kind in ("service", "timer"):
            shutil.copyfile(SYSTEM / f"kgo-update@.{kind}", tmp_path / f"kgo-update@{name}.{kind}")
    names = sorted(str(path) for path in tmp_path.iterdir())
    said = subprocess.run([tool, "verify", *names], capture_output=True, text=True, check=False).stderr
    wrong = [line for line in said.splitlines() if "kgo-update" in line and "is not executable" not in line]
    assert wrong == []


def test_all_of_it_is_shipped_and_told() -> None:
    assert str(SYSTEM.relative_to(ROOT)) in SYSTEM_FOLDERS
    assert ROOT / LAUNCHER == Path(start.__file__) and LAUNCHER_NAME == "start"
    assert os.access(start.__file__, os.X_OK) and Path(start.__file__).read_text().startswith("#!/usr/bin/python3 -IS")
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    assert "terminal/updates/system/*" in data["offline_ledger"]
    for guide in GUIDES:
        for file in SYSTEM.iterdir():
            assert f"{SYSTEM.relative_to(ROOT)}/{file.name}" in guide
        assert f"install -m 755 {LAUNCHER} {start.ROOT}/start" in guide
        assert f"-m {by_hand.__name__} {start.ROOT}/slots/a" in guide


def test_the_guides_commands_are_commands() -> None:
    """Each `update WORD` that a technician is told to type is one that the program knows."""
    told = set(re.findall(r"\.toml update ([a-z]+)", UPDATES))
    assert told == {"check", "install", "switch", "status", "back"}
    assert f"{start.ROOT}/start --back\n" in UPDATES, "no command of a broken slot helps against it"
    words = [sys.executable, "-m", "bus_validator", "--settings", "/nowhere", "update", "dance"]
    assert subprocess.run(words, capture_output=True, check=False, cwd=ROOT).returncode == 2
