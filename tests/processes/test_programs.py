"""Every command that the project installs says what it is, and ends well when asked only that. DESIGN §3."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from simulators.demo.city import PORT_MIN, PORTS_GIVEN, free_port

ROOT = Path(__file__).parents[2]
COMMANDS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
RUN_S_MAX = 30


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command itself, beside this interpreter."""
    command = (str(Path(sys.executable).with_name(name)), *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_version_and_help(name: str) -> None:
    version = run(name, "--version")
    assert (version.returncode, version.stdout) == (0, f"{name} {VERSION}\n")
    told = run(name, "--help")
    assert told.returncode == 0 and name in told.stdout and not told.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_word_is_wrong_usage_and_no_stack_trace(name: str) -> None:
    done = run(name, "--no-such-option")
    assert done.returncode == 2 and done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_free_port_is_none_that_the_system_gives_to_connections() -> None:
    """Else a connection of somebody else may sit on it before the program that it is for listens."""
    lowest_given = int(PORTS_GIVEN.read_text().split()[0])
    ports = [free_port() for _ in range(200)]
    assert max(ports) < lowest_given and min(ports) >= PORT_MIN and len(set(ports)) > 150
