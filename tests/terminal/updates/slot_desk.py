"""Slots in a folder of the test's own, and real processes that are ended by SIGKILL at a chosen step of theirs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from offline_ledger.terminal.updates import start
from offline_ledger.terminal.updates.package import STORES, Store, stores_as_json
from offline_ledger.terminal.updates.start import MANIFEST, Slot, SlotDisk, State

START = Path(start.__file__)
ROOT = Path(__file__).parents[3]
SYSTEM_PYTHON = "/usr/bin/python3"
PROGRAM = "kgo-bus"
KILLER = """
import os, signal, sys
at, folders = int(sys.argv[1]), sys.argv[2].split(":")
STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.link", "os.symlink", "fcntl.flock",
          "os.exec", "subprocess.Popen", "shutil.rmtree", "os.listdir", "os.scandir"}
count = 0
def hook(event, given):
    global count
    if event not in STEPS:
        return
    named = next((one for one in given if isinstance(one, (str, bytes, os.PathLike))), "")
    named = os.fsdecode(named)
    if event in ("fcntl.flock", "os.exec", "subprocess.Popen") or any(named.startswith(one) for one in folders):
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
sys.argv = sys.argv[3:]
source = open(sys.argv[0]).read()
sys.addaudithook(hook)
exec(compile(source, sys.argv[0], "exec"), {"__name__": "__main__", "__file__": sys.argv[0]})
"""
"""Runs a script, and kills itself before the step of this number: opening, renaming, removing, starting a program."""


class SlotDesk:
    """A terminal's /opt/kgo and /var/lib/kgo/updates."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "opt", folder / "updates"
        (self.root / "slots").mkdir(parents=True)
        self.disk = SlotDisk(str(self.root), str(self.state))
        self.launcher = self.root / "start"
        self.launcher.write_bytes(START.read_bytes())
        self.launcher.chmod(0o755)

    def slot(self, name: str) -> Path:
        """Its folder."""
        return self.root / "slots" / name

    def fill(self, name: str, version: str, script: str, *, stores: dict[str, Store] | None = None) -> None:
        """A slot whose program is this script."""
        program = self.slot(name) / "bin" / PROGRAM
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(script)
        program.chmod(0o755)
        said = manifest(version, stores=stores)
        (self.slot(name) / MANIFEST).write_text(json.dumps(said))

    def put(self, state: State) -> None:
        """This is so from now on."""
        self.state.mkdir(exist_ok=True)
        self.disk.write(state)

    def now(self) -> State:
        """As it is on the disk."""
        state = self.disk.read()
        assert state is not None
        return state

    def words(self, *arguments: str) -> list[str]:
        """To start its program, as the service does."""
        return [str(self.launcher), "--root", str(self.root), "--state", str(self.state), PROGRAM, *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The launcher, as the service starts it."""
        return subprocess.run(self.words(*arguments), capture_output=True, text=True, timeout=30, check=False)

    def run_killed(self, at: int, *arguments: str) -> bool:
        """The launcher, killed before its step of this number; False: it came to its end before."""
        words = self.words(*arguments)
        return killed([SYSTEM_PYTHON, "-IS"], at, [self.state], words)


def killed(python: Sequence[str], at: int, folders: Sequence[Path], words: Sequence[str]) -> bool:
    """Runs a script with this Python, killed before the step of this number in these folders. False: it ended first."""
    around = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*python, "-c", KILLER, str(at), ":".join(map(str, folders)), *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=around,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def says(slot: str) -> str:
    """A program that says which slot it is and ends."""
    return f'#!/bin/sh\necho "{slot} $KGO_SLOT $@"\n'


def manifest(version: str, *, stores: dict[str, Store] | None = None, **more: object) -> dict[str, object]:
    """Of a package for this machine."""
    kept = stores_as_json() if stores is None else {
        name: {"reads": [one.oldest, one.newest], "writes": one.writes} for name, one in (STORES | stores).items()
    }  # fmt: skip
    said: dict[str, object] = {
        "format": 1,
        "name": "kgo-terminal",
        "version": version,
        "platform": f"linux_{os.uname().machine}",
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "programs": ["kgo-pos", "kgo-bus"],
        "wheels": {"kgo.whl": "00" * 32},
        "system": {},
        "stores": kept,
    }
    return said | more


GOOD_A = Slot(start.GOOD, "0.1.0", "aa" * 32)
NEW_B = Slot(start.STAGED, "0.2.0", "bb" * 32)
