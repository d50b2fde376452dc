"""A validator whose machine is read-only but for its own folder, and the unit that runs it there. DESIGN §6."""

import configparser
import os
from pathlib import Path

from bus_validator import settings as bus_settings
from offline_ledger.terminal.headless import SETTINGS
from simulators.demo.processes import PYTHON, wait_until
from tests.processes.lone_bus import lone_bus, rider
from tests.processes.small_disk import from_outside, on_small_disk

ROOT = Path(__file__).parents[2]
SYSTEM = ROOT / "bus_validator" / "system"
_READ_ONLY = 'mount -o remount,bind,ro / && (touch /kgo-was-here 2>/dev/null && exit 9; exec "$@")'


def read_only(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command on a root that nobody can write to; a root that can be written to ends it with 9."""
    return ("sh", "-c", _READ_ONLY, "sh", *command)


def test_it_pays_and_remembers_on_a_read_only_machine(tmp_path: Path) -> None:
    place, seed = tmp_path / "disk", tmp_path / "seed"
    place.mkdir()
    seed.mkdir()
    with lone_bus(seed) as bus:
        program = (*PYTHON, "bus_validator", "--settings", str(place / "bus.toml"))
        bus.start(on_small_disk(place, "24m", seed, read_only(program)))
        held = rider(5)
        assert bus.tap(held)["light"] == "accepted_cash_due"
        assert bus.tap(held)["light"] == "already_accepted"
        told = [said for said in bus.program.said_since(0) if "trouble" in said]
        assert {said["trouble"] for said in told} <= {"sync"}, told
        disk = from_outside(bus.program.pid, place)
        wait_until(lambda: (disk / "control.sock").exists(), "the door")
        assert bus.program.stop("quit") == 0


def test_the_unit_names_what_is_there() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(SYSTEM / "kgo-bus.service")
    service = dict(unit["Service"])
    assert service["Type"] == "notify" and int(service["WatchdogSec"]) >= 10
    assert service["ProtectSystem"] == "strict"
    settings = service["ExecStart"].split("--settings ")[1]
    assert service["ReadWritePaths"] == os.path.dirname(settings)
    assert service["WorkingDirectory"] == f"%t/{service['RuntimeDirectory']}", (
        "lgpio needs a folder that it may write to"
    )
    assert service["ExecStart"].startswith("/opt/kgo/start kgo-bus ")
    assert "RestartPreventExitStatus" not in service, "a new version that refuses its settings is taken back"
    assert service["Restart"] == "always" and "/var/lib/kgo" in service["ReadWritePaths"].split()
    guide = (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
    for file in SYSTEM.iterdir():
        assert f"bus_validator/system/{file.name}" in guide, f"nobody is told to install {file.name}"


def test_the_guides_settings_are_settings() -> None:
    guide = (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
    example = configparser.RawConfigParser()
    example.read_string(guide.split("```toml\n")[1].split("```")[0])
    named = {f"{section}.{key}" for section in example.sections() for key in example[section]}
    assert named <= {field.name for field in (*SETTINGS, *bus_settings.SETTINGS)}
