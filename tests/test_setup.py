"""`make setup` on a machine that lacks system packages: apt where root or sudo allow it, else a message that says what
to do; and nothing is built before that. The real script, in a copy, with machines of our own making around it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTED = [line.split("#")[0].split() for line in (ROOT / ".ci" / "system-packages.txt").read_text().splitlines()]
PACKAGES = [words[0] for words in LISTED if len(words) == 1]
ONLY = [words[0] for words in LISTED if words[1:] == ["[amd64]"]]
TOOLS = ("bash", "cat", "cut", "dirname", "env", "flock", "sed", "sha256sum")
"""What the script may use of this machine. No Python, no apt, no dpkg, no sudo: each test says which there are."""
PYTHON = "python-of-the-test"
"""The only one that the script may take."""
APT_FAILS_ONCE = 'echo apt-get "$@" >>"$LOG"; [ "$1" = update ] || [ -e "$LOG.2" ] || { : >"$LOG.2"; exit 100; }'


class Machine:
    """A folder of commands, and the script with its lists in another."""

    def __init__(self, folder: Path) -> None:
        self.commands, self.log = folder / "bin", folder / "log"
        self.commands.mkdir()
        self.log.touch()
        for tool in TOOLS:
            found = shutil.which(tool)
            if found is not None:
                (self.commands / tool).symlink_to(found)
        (folder / ".ci").mkdir()
        for name in ("setup.sh", "system-packages.txt"):
            shutil.copy(ROOT / ".ci" / name, folder / ".ci" / name)
        self._folder = folder

    def has(self, name: str, does: str) -> "Machine":
        """A command of this machine, in shell."""
        file = self.commands / name
        file.write_text(f"#!{self.commands / 'bash'}\n{does}\n")
        file.chmod(0o755)
        return self

    def set_up(self) -> tuple[int, str, list[str]]:
        """Exit code, what was said, and the commands that were given to apt."""
        done = subprocess.run(
            [str(self._folder / ".ci" / "setup.sh")],
            env={"PATH": str(self.commands), "LOG": str(self.log), "LC_ALL": "C", "PYTHON": PYTHON},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert not [path for path in self._folder.iterdir() if path.name.startswith(".venv")], (
            "built before it was ready"
        )
        return done.returncode, done.stdout + done.stderr, self.log.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Debian without any of the packages, an ordinary user, and no Python from which to build."""
    return Machine(tmp_path).has("dpkg-query", "exit 1").has("id", "echo 1000")


def installs(line: str) -> list[str]:
    """The packages of one apt-get line."""
    found = re.fullmatch(r"apt-get install -y --no-install-recommends (.+)", line)
    assert found, line
    return found[1].split()


def test_without_root_or_sudo_it_says_what_to_run_and_runs_nothing(machine: Machine) -> None:
    code, said, asked = machine.has("apt-get", 'echo apt-get "$@" >>"$LOG"').set_up()
    assert code == 1 and asked == []
    told = re.search(r"^ +sudo apt-get install (.+)$", said, re.MULTILINE)
    assert told is not None and told[1].split() == PACKAGES


def test_a_sudo_that_asks_for_a_password_counts_as_none(machine: Machine) -> None:
    machine.has("sudo", 'echo sudo "$@" >>"$LOG"; exit 1').has("apt-get", 'echo apt-get "$@" >>"$LOG"')
    code, said, asked = machine.set_up()
    assert code == 1 and asked == ["sudo -n true"] and "sudo apt-get install" in said


@pytest.mark.parametrize("how", ["root", "sudo"])
def test_what_is_missing_is_installed_from_the_one_list(machine: Machine, how: str) -> None:
    installed, *missing = PACKAGES
    machine.has("dpkg-query", f'case "$*" in *{installed}) echo -n installed;; *) exit 1;; esac')
    machine.has("apt-get", 'echo apt-get "$@" >>"$LOG"')
    if how == "root":
        machine.has("id", "echo 0")
    else:
        machine.has("sudo", '[ "$1" = -n ] && shift; exec "$@"').has("true", "exit 0")
    code, said, asked = machine.set_up()
    assert [installs(line) for line in asked] == [missing]
    assert code == 1 and "no Python from 3.11 on" in said, "the next thing that this machine lacks"


@pytest.mark.parametrize(("here", "wanted"), [("amd64", {*PACKAGES, *ONLY}), ("arm64", {*PACKAGES})])
def test_what_an_architecture_has_not_is_not_asked_for(machine: Machine, here: str, wanted: set[str]) -> None:
    machine.has("dpkg", f"echo {here}").has("id", "echo 0").has("apt-get", 'echo apt-get "$@" >>"$LOG"')
    _code, _said, asked = machine.set_up()
    assert ONLY and [set(installs(line)) for line in asked] == [wanted]


def test_an_old_list_of_packages_is_renewed_and_it_tries_again(machine: Machine) -> None:
    _code, _said, asked = machine.has("id", "echo 0").has("apt-get", APT_FAILS_ONCE).set_up()
    assert asked[1] == "apt-get update"
    assert [installs(line) for line in (asked[0], asked[2])] == [PACKAGES, PACKAGES]


def test_an_apt_that_fails_twice_ends_it_with_the_names(machine: Machine) -> None:
    code, said, _asked = machine.has("id", "echo 0").has("apt-get", "exit 100").set_up()
    assert code == 1 and all(package in said for package in PACKAGES) and "Check the network" in said


def test_where_all_is_installed_apt_is_not_asked(machine: Machine) -> None:
    machine.has("dpkg-query", "echo -n installed").has("apt-get", 'echo apt-get "$@" >>"$LOG"')
    code, said, asked = machine.set_up()
    assert code == 1 and asked == [] and "no Python from 3.11 on" in said


def test_a_python_that_is_too_old_is_none(machine: Machine) -> None:
    as_older = f'exec {sys.executable} -c "import sys; sys.version_info = (3, 10, 9)\n$2"'
    machine.has("dpkg-query", "echo -n installed").has(PYTHON, as_older)
    code, said, _asked = machine.set_up()
    assert code == 1 and "sudo apt-get install python3 python3-venv" in said


def test_the_script_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "setup.sh", os.X_OK) and os.access(ROOT / ".ci" / "run", os.X_OK)
