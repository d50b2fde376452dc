"""What a terminal loads before it is ready, and that what it loads later is there. DESIGN §10, decision 0050."""

import ast
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from time import time

import pytest

from simulators.scanner import SimulatedScanner
from tests.processes.driven_bus import driven_bus
from tests.terminal.provisioned import provision_bus

ROOT = Path(__file__).parents[2]
ROOMS = ("offline_ledger/*.py", "offline_ledger/[prt]*/**/*.py", "bus_validator/**/*.py", "pos_app/**/*.py")
INDENTED_IMPORT = re.compile(r"^[ \t]+(import|from)\s", re.MULTILINE)
LATE = (
    "PIL",
    "argparse",
    "bus_validator.drivers.gps",
    "bus_validator.drivers.screen",
    "bus_validator.screen",
    "bus_validator.waybill",
    "cryptography.hazmat.primitives.serialization",
    "dataclasses",
    "difflib",
    "email",
    "http",
    "inspect",
    "logging",
    "luma",
    "offline_ledger.terminal.commands",
    "offline_ledger.terminal.enrol",
    "offline_ledger.terminal.sync",
    "offline_ledger.terminal.updates",
    "pkcs11",
    "pynmea2",
    "qrcode",
    "smartcard",
    "socket",
    "ssl",
    "tuf",
    "urllib3",
)
"""What once cost a start 5 ms or 1 MB, and no first decision needs."""
DRIVEN = ("bus_validator.driver_desk", "bus_validator.driver_menu", "bus_validator.trip")
"""What a bus without a crew does without for good."""
TELL = """
import json, sys
from bus_validator import validator
from offline_ledger.terminal.link_keeper import LinkKeeper
def tell(self, more, is_stopped):  # on the deciding thread, before any device has its own
    print(json.dumps({"loaded": sorted(sys.modules)}), flush=True)
LinkKeeper.start = tell
sys.exit(validator.run(sys.argv[1:]))
"""


def loaded_by(settings: Path) -> list[str]:
    """What is there when the program would begin to load the rest."""
    command = (sys.executable, "-c", TELL, "--settings", str(settings))
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        loaded: list[str] = []
        try:
            while not loaded and (line := process.stdout.readline()):
                loaded = json.loads(line).get("loaded", [])
        finally:
            process.kill()
    assert "bus_validator.validator" in loaded and "offline_ledger.terminal.acceptor" in loaded
    return loaded


def test_a_validator_is_ready_without_what_it_needs_later(tmp_path: Path) -> None:
    port = tmp_path / "scanner"
    with SimulatedScanner(port, seed=1):
        loaded = loaded_by(provision_bus(tmp_path, int(time()), port))
    assert [name for name in (*LATE, *DRIVEN) if name in loaded] == []


def test_with_all_its_devices_and_a_crew_it_is_no_other(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as (bus, _gps, _routes):
        bus.settings.write_text(
            bus.settings.read_text() + '[card]\nreader = "any"\n'
        )  # its driver needs no service yet
        loaded = loaded_by(bus.settings)
    assert {*DRIVEN, "offline_ledger.terminal.drivers.card"} <= {*loaded}
    assert [name for name in LATE if name in loaded] == []


def late_imports() -> list[tuple[str, str, str]]:
    """(file, module, name) of every import that stands inside a function."""
    found: list[tuple[str, str, str]] = []
    for file in sorted({path for pattern in ROOMS for path in ROOT.glob(pattern)}):
        text = file.read_text(encoding="utf-8")
        if not INDENTED_IMPORT.search(text):
            continue
        where, tree = str(file.relative_to(ROOT)), ast.parse(text)
        inside = (part for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for part in ast.walk(node))
        for part in inside:
            if isinstance(part, ast.Import):
                found += [(where, alias.name, "") for alias in part.names]
            elif isinstance(part, ast.ImportFrom):
                found += [(where, str(part.module), alias.name) for alias in part.names]
    return found


@pytest.mark.parametrize(("where", "module", "name"), late_imports())
def test_every_late_import_is_there(where: str, module: str, name: str) -> None:
    """A name that moved must fail here, and not on the road at the moment when it is needed."""
    room = import_module(module)
    assert not name or hasattr(room, name) or import_module(f"{module}.{name}"), where
